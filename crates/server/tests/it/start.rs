//! What a server refuses to start on, what it says when its database goes away, and the doctor beside it.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, task::Poll};

use countersign_core::{
    access::Environment, digest::Digest, id::PersonId, limits, scope::Scopes, secret::Personal,
};
use countersign_server::{
    app::{App, Clock as _, Records, Started, SystemClock},
    config::{Config, Mail},
    doctor, documents,
    fault::Fault,
    http::limits::read_upload,
    tls::Tls,
};
use countersign_store::{
    rows::IdempotencyClaim,
    testing::{self, proxy::Proxy},
};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{
    app::{Options, TestApp, TestDice, envelope_of, heavy_pdf, pdf, write_secret},
    people::{Human, sign, status},
};

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.server.data_dir = folder.join("data");
    config
}

async fn open(config: &Config, seed: u64) -> Result<Started, Fault> {
    App::open(config.clone(), Arc::new(SystemClock), Arc::new(TestDice::new(seed))).await
}

fn told(started: Result<Started, Fault>) -> String {
    started.map(drop).unwrap_err().to_string()
}

/// A live key without a mail server would send nobody a link.
#[tokio::test]
async fn live_keys_without_a_mail_server_are_refused_at_the_start() {
    let mail =
        || Mail { smtp_host: Some("mail.test".into()), from: "sign@sign.test".into(), ..Mail::default() };
    let test = TestApp::start_with(Options { mail: Some(mail()), ..Options::default() }).await;
    let organization = test.organization("Acme").await;
    test.key(organization, Environment::Live, Scopes::FOR_KEYS).await;
    let (mut config, _folder) = (test.app.config.clone(), Arc::clone(&test.folder));
    test.finish_without_worker().await;
    config.mail = Mail::default();
    assert!(told(open(&config, 2).await).contains("mail.smtp_host"));
    config.mail = mail();
    assert!(open(&config, 3).await.is_ok());
}

#[tokio::test]
async fn the_doctor_makes_nothing_where_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let dice = || Arc::new(TestDice::new(1));
    let refused = Records::open_existing(config.clone(), Arc::new(SystemClock), dice()).await;
    assert!(refused.map(drop).unwrap_err().to_string().contains("does not exist"));
    assert!(!config.server.data_dir.exists());
    open(&config, 1).await.unwrap();
    assert!(Records::open_existing(config, Arc::new(SystemClock), dice()).await.is_ok());
}

/// The keys of the configuration that name a file with a secret.
const SECRETS: [&str; 6] = [
    "server.database_url_file",
    "server.root_key_file",
    "server.tls_key",
    "seal.pin_file",
    "mail.smtp_password_file",
    "mail.dkim_key_file",
];

/// All others. A new key stands in one of the two lists, or `secrets_that_others_may_read_are_refused` fails.
const NO_SECRETS: [&str; 35] = [
    "oauth.access_token_s",
    "oauth.introspections_per_minute",
    "oauth.mtls_listen",
    "oauth.mtls_url",
    "oauth.client_ca_file",
    "egress.allow_hosts",
    "egress.allow_networks",
    "egress.ca_file",
    "egress.name_servers",
    "server.listen",
    "server.public_url",
    "server.data_dir",
    "server.database_ca_file",
    "server.tls_certificates",
    "server.plain_http",
    "server.trusted_proxies",
    "server.connections",
    "server.requests",
    "server.request_s",
    "server.idle_s",
    "server.job_lease_s",
    "server.shutdown_s",
    "seal.pkcs11_module",
    "seal.slot",
    "seal.label",
    "seal.certificates",
    "mail.smtp_host",
    "mail.smtp_port",
    "mail.smtp_security",
    "mail.smtp_user",
    "mail.smtp_ca_file",
    "mail.from",
    "mail.dkim_domain",
    "mail.dkim_selector",
    "log.level",
];

/// What a server says that starts with every section filled in and one secret in this file.
async fn with_secret(folder: &Path, key: &str, file: &Path) -> Option<String> {
    let chain = folder.join("chain.pem");
    let mut config = toml::Table::try_from(config(folder)).unwrap();
    let mut set = |key: &str, value: &str| {
        let (section, key) = key.split_once('.').unwrap();
        config[section].as_table_mut().unwrap().insert(key.to_owned(), value.into());
    };
    let beside: &[(&str, &str)] = match key.split_once('.').unwrap() {
        ("seal", _) => &[("seal.pkcs11_module", "/nowhere.so"), ("seal.label", "one")],
        ("mail", "dkim_key_file") => &[("mail.dkim_domain", "sign.test"), ("mail.dkim_selector", "one")],
        ("mail", _) => &[("mail.smtp_user", "me")],
        _ => &[],
    };
    for (key, value) in beside {
        set(key, value);
    }
    let chain = chain.to_str().unwrap();
    match key {
        "seal.pin_file" => set("seal.certificates", chain),
        "server.tls_key" => set("server.tls_certificates", chain),
        _ => {
            set("mail.smtp_host", "mail.test");
            set("mail.from", "sign@sign.test");
        }
    }
    set(key, file.to_str().unwrap());
    let config: Config = config.try_into().unwrap();
    let started = async {
        let app = open(&config, 1).await?.app;
        Tls::open(&config, app.now()).map(drop)
    };
    started.await.err().map(|fault| fault.to_string())
}

#[tokio::test]
async fn secrets_that_others_may_read_are_refused() {
    let known = serde_json::to_value(Config::default()).unwrap();
    let known = known.as_object().unwrap().iter().flat_map(|(section, keys)| {
        keys.as_object().unwrap().keys().map(move |key| format!("{section}.{key}"))
    });
    let known: BTreeSet<String> = known.collect();
    let listed = SECRETS.iter().chain(&NO_SECRETS).map(|key| (*key).to_owned()).collect();
    assert_eq!(known, listed, "is a new key's value a file with a secret?");
    let refused = async |folder: &Path, key: &str, file: &Path| {
        for (mode, is_refused) in [(0o640, true), (0o604, true), (0o600, false), (0o400, false)] {
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
            let said = with_secret(folder, key, file).await;
            let says_so = said.as_ref().is_some_and(|text| {
                text.contains("others may read this secret") && text.contains(file.to_str().unwrap())
            });
            assert_eq!(says_so, is_refused, "{key} {mode:o} {said:?}");
        }
    };
    for key in SECRETS {
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        fs::write(folder.path().join("chain.pem"), certificate.pem()).unwrap();
        let file = folder.path().join("secret");
        write_secret(&file, &pair.serialize_pem());
        refused(folder.path(), key, &file).await;
    }
    // What the server makes for itself in the data folder.
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    Tls::open(&config, open(&config, 1).await.unwrap().app.now()).unwrap();
    let file = config.server.data_dir.join("tls-ca.key");
    for (mode, is_refused) in [(0o640, true), (0o600, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(Tls::open(&config, SystemClock.now()).is_err(), is_refused, "{mode:o}");
    }
}

/// People trusted the development CA once: another port is no reason to ask them again. Another host is, because the CA can
/// vouch for the hosts alone that it was made for.
#[tokio::test]
async fn the_development_ca_survives_another_port_and_vouches_for_no_other_host() {
    use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let app = open(&config, 1).await.unwrap().app;
    Tls::open(&config, app.now()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(config.development_ca_file()).unwrap()).unwrap();
    let host = config.public_host().unwrap();
    config.server.public_url = format!("https://{host}:9443");
    let tls = Tls::open(&config, app.now()).unwrap();
    assert!(tls.announcement.is_none(), "no new CA");
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(host).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let acceptor = tokio_rustls::TlsAcceptor::from(tls.server);
    let (client, server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    client.unwrap();
    server.unwrap();
    config.server.public_url = "https://other.test:9443".to_owned();
    let refused = Tls::open(&config, app.now()).err().unwrap().to_string();
    for file in ["tls-ca.pem", "tls-ca.key"] {
        assert!(refused.contains(file), "which files to remove: {refused}");
    }
}

/// Several servers over one database must see one folder of documents.
#[tokio::test]
async fn a_folder_of_documents_that_the_database_does_not_know_is_refused() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let url = testing::cluster().unwrap().database().await.unwrap();
    let url_file = folders[0].path().join("database-url");
    write_secret(&url_file, &url);
    let [one, other] = [&folders[0], &folders[1]].map(|folder| {
        let mut config = config(folder.path());
        config.server.database_url_file = Some(url_file.clone());
        config.server.root_key_file = Some(folders[0].path().join("root.key"));
        config
    });
    open(&one, 1).await.unwrap();
    let refusal = told(open(&other, 2).await);
    assert!(refusal.contains("shared storage"), "{refusal}");
    let mut shared = one.clone();
    shared.server.listen = "127.0.0.1:0".parse().unwrap();
    assert!(open(&shared, 3).await.is_ok());
    fs::remove_dir_all(one.server.data_dir.join("blobs")).unwrap();
    assert!(told(open(&one, 4).await).contains("shared storage"), "a folder that was lost");
    let records = Records::open_existing(one, Arc::new(SystemClock), Arc::new(TestDice::new(5))).await;
    let report = doctor::examine(&records.unwrap().records).await.unwrap();
    assert!(report.findings.iter().any(|finding| finding.contains("shared storage")), "{report}");
}

/// Documents without their database are no first start: a new log under the old name would speak against the old one.
#[tokio::test]
async fn documents_whose_database_is_gone_are_not_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let app = open(&config, 1).await.unwrap().app;
    app.blobs.put("documents/one", b"a lease".to_vec()).await.unwrap();
    drop(app);
    let (database, aside) = (config.server.data_dir.join("countersign.sqlite"), folder.path().join("aside"));
    fs::rename(&database, &aside).unwrap();
    let refusal = told(open(&config, 2).await);
    assert!(refusal.contains("Put the database back"), "{refusal}");
    fs::rename(&aside, &database).unwrap();
    assert!(open(&config, 3).await.is_ok());
}

/// A database that is away is nobody's fault that can be named, and comes back: 503, and when to ask again.
#[tokio::test]
async fn without_its_database_or_its_folder_the_server_is_not_ready_and_says_so() {
    let cluster = testing::cluster().unwrap();
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let url = cluster.database().await.unwrap();
    let through = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", proxy.port()));
    let options = Options { postgres: true, database_url: Some(through), ..Options::default() };
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let ready = async || test.request(Method::GET, "/ready").send().await.unwrap().status();
    assert_eq!(ready().await, StatusCode::OK);
    let unfinished = test.app.config.server.data_dir.join("blobs/.unfinished");
    let elsewhere = test.folder.path().join("elsewhere");
    fs::rename(&unfinished, &elsewhere).unwrap();
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    fs::rename(&elsewhere, &unfinished).unwrap();
    // Nobody listens there.
    let nowhere = testing::free_port().unwrap();
    proxy.lead_to(nowhere);
    proxy.cut();
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    let response = test.get(&key, "/v1/envelopes").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "not_ready");
    proxy.lead_to(cluster.port());
    assert_eq!(ready().await, StatusCode::OK);
    test.finish().await;
}

/// The doctor beside a server that works: what goes on between two of its reads is no finding.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_doctor_finds_nothing_wrong_with_a_server_at_work() {
    let test = Arc::new(TestApp::start().await);
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let at_work = {
        let (test, key) = (Arc::clone(&test), key.clone());
        tokio::spawn(async move {
            for _ in 0..12 {
                let document = test.upload(&key, "lease.pdf", pdf(1)).await;
                let envelope = test.create(&key, &envelope_of(&document)).await;
                test.send(&key, &envelope).await;
                sign(&test, &key, &envelope, &Human::typing("ada@example.com", "Ada")).await.unwrap();
                test.work().await;
            }
        })
    };
    let mut count = 0;
    while !at_work.is_finished() {
        let report = doctor::examine(&test.app).await.unwrap();
        assert!(report.is_clean(), "{report}");
        count += 1;
    }
    at_work.await.unwrap();
    assert!(count > 3, "the doctor looked {count} times");
    let envelope = test.create(&key, &envelope_of(&document)).await;
    assert_eq!(status(&test, &key, &envelope).await, "draft");
    Arc::into_inner(test).unwrap().finish_without_worker().await;
}

/// Packages hold all files of an envelope in memory: only a few are made at once, and others wait for their turn.
#[tokio::test]
async fn evidence_packages_are_made_a_few_at_a_time() {
    let options = Options { configure: |config| config.server.request_s = 6, ..Options::default() };
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    sign(&test, &key, &envelope, &Human::typing("ada@example.com", "Ada")).await.unwrap();
    test.work().await;
    let path = format!("/v1/envelopes/{envelope}/evidence");
    let count = u32::try_from(test.app.exports.available_permits()).unwrap();
    assert!((2..=4).contains(&count) && (2..=4).contains(&test.app.seals.available_permits()));
    let all = test.app.exports.acquire_many(count).await.unwrap();
    assert_eq!(test.get(&key, &path).await.status(), StatusCode::REQUEST_TIMEOUT);
    drop(all);
    assert_eq!(test.get(&key, &path).await.status(), StatusCode::OK);
    test.work().await;
    test.finish().await;
}

/// Uploads hold their bytes in memory and take the processor for long: others wait for room and for their turn, and are
/// told when to come again.
#[tokio::test]
async fn uploads_are_taken_a_few_at_a_time_and_whoever_waits_too_long_is_told_to_come_again() {
    let options = Options { configure: |config| config.server.request_s = 3, ..Options::default() };
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let upload = async || {
        let request = test.request(Method::POST, "/v1/documents?name=a.pdf").bearer_auth(&key.token);
        let request = request.header("Content-Type", "application/pdf").header("Idempotency-Key", "one");
        request.body(pdf(1)).send().await.unwrap()
    };
    let app = &test.app;
    assert!((2..=4).contains(&app.inspections.available_permits()));
    assert_eq!(app.upload_room.available_permits(), limits::UPLOADS_BYTES);
    for places in [&app.inspections, &app.upload_room] {
        let count = places.available_permits();
        let all = places.acquire_many(u32::try_from(count).unwrap()).await.unwrap();
        let refused = upload().await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], "overloaded");
        drop(all);
        assert_eq!(upload().await.status(), StatusCode::CREATED);
        assert_eq!(places.available_permits(), count);
    }
    test.finish().await;
}

/// What nothing can cut short keeps its place and its room when the request that wanted it is over.
#[tokio::test]
async fn an_inspection_whose_caller_went_away_keeps_its_place_until_it_ends() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let app = &test.app;
    let (room, turns) = (app.upload_room.available_permits(), app.inspections.available_permits());
    let body = heavy_pdf(200, 20 * 1024 * 1024);
    let size_bytes = body.len();
    let upload = documents::Upload {
        tenant: key.tenant,
        person: PersonId::new(app.now(), app.draw()),
        name: Personal::new("a.pdf".to_owned()),
        bytes: read_upload(app, body.into()).await.unwrap(),
    };
    let claim = IdempotencyClaim {
        tenant: key.tenant,
        caller: app.draw(),
        key: "one".to_owned(),
        fingerprint: Digest::of(b""),
        claim: app.draw(),
        now: app.now(),
        expires_at: app.now(),
        stale_after_ms: 1,
    };
    let mut asked =
        Box::pin(documents::upload(app, upload, &claim, &|_| unreachable!("nobody waits for an answer")));
    let is_begun =
        std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_pending())).await;
    assert!(is_begun);
    drop(asked);
    assert_eq!(app.inspections.available_permits(), turns - 1);
    assert_eq!(app.upload_room.available_permits(), room - size_bytes);
    while app.inspections.available_permits() < turns || app.upload_room.available_permits() < room {
        tokio::task::yield_now().await;
    }
    test.finish_without_worker().await;
}

/// The same holds for seals: without a place an envelope stays in `sealing`, and holds up no other job.
#[tokio::test]
async fn envelopes_are_sealed_a_few_at_a_time_and_the_others_wait() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    sign(&test, &key, &envelope, &Human::typing("ada@example.com", "Ada")).await.unwrap();
    assert_eq!(test.app.seals.available_permits(), 3);
    let mut all = test.app.seals.acquire_many(3).await.unwrap();
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "sealing");
    drop(all.split(1));
    test.clock.forward_s(1);
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed");
    drop(all);
    test.finish().await;
}
