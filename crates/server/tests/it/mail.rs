//! Mail through a real SMTP server that others wrote: TLS or nothing, DKIM, retries, bounces, and one correlation id
//! from the request to the mail.

use std::{
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use countersign_core::{
    access::Environment,
    envelope::{Body, Veiled, state::Folded},
    id::EnvelopeId,
    scope::Scopes,
    secret::Personal,
};
use countersign_server::{
    config::{Mail, SmtpSecurity},
    envelopes,
    keys::Binding,
};
use countersign_store::{
    Batch,
    batch::{Append, NewEvent, Row},
    rows::OpeningRow,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    app::{Key, Options, TestApp, envelope_of, logged, pdf, write_secret},
    people::{Human, Letter, letters, status, types},
    sealing::python,
};

/// A mail server in a process of its own.
struct MailServer {
    process: Child,
    events: Lines<BufReader<ChildStdout>>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Writes a CA and a certificate for `localhost`.
fn write_certificates(folder: &Path) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca_key = KeyPair::generate().unwrap();
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    std::fs::write(folder.join("ca.pem"), ca_certificate.pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

impl MailServer {
    fn start(mode: &str, answers: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_certificates(folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judges/mail_server.py");
        let mut process = Command::new(python())
            .arg(script)
            .arg(folder.path())
            .arg(mode)
            .args(answers)
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo xtask test prepares the Python environment");
        let events = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut server = Self { process, events, folder, port: 0 };
        server.port = u16::try_from(server.next("listening")["port"].as_u64().unwrap()).unwrap();
        server
    }

    /// The next thing that happened, which must be `event`.
    fn next(&mut self, event: &str) -> Value {
        let line = self.events.next().expect("the mail server ended: see its error above").unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["event"], event, "{value}");
        value
    }

    /// The next mail that was taken.
    fn mail(&mut self) -> Value {
        self.next("from");
        assert_eq!(self.next("rcpt")["answer"], "250 OK");
        self.next("mail")
    }

    fn settings(&self, smtp_security: SmtpSecurity) -> Mail {
        Mail {
            smtp_host: Some("localhost".to_owned()),
            smtp_port: self.port,
            smtp_security,
            smtp_ca_file: Some(self.folder.path().join("ca.pem")),
            from: "Harbour Mills <sign@mills.example>".to_owned(),
            dkim_domain: Some("mills.example".to_owned()),
            dkim_selector: Some("autumn".to_owned()),
            dkim_key_file: Some(self.folder.path().join("dkim.pem")),
            ..Mail::default()
        }
    }
}

/// A live environment that mails through `mail`, with one envelope, sent.
struct Live {
    test: TestApp,
    key: Key,
    envelope: String,
    /// The id in the answer of the request that sent it.
    request_id: String,
}

async fn sent(mail: Mail, seed: u64) -> Live {
    let test = TestApp::start_with(Options { mail: Some(mail), seed, ..Options::default() }).await;
    let organization = test.organization("Harbour Mills").await;
    let key = test.key(organization, Environment::Live, Scopes::FOR_KEYS).await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    let response = test.post(&key, &format!("/v1/envelopes/{envelope}/send")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    Live { test, key, envelope, request_id }
}

impl Live {
    async fn recipient_status(&self) -> String {
        let read = self.test.get_json(&self.key, &format!("/v1/envelopes/{}", self.envelope)).await;
        read["recipients"][0]["status"].as_str().unwrap().to_owned()
    }

    async fn types(&self) -> Vec<String> {
        types(&self.test, &self.key, &self.envelope).await
    }
}

/// A whole life with real mail: the link in the mail works, and each mail is under TLS, signed, and in two forms.
async fn mails_reach_people(mode: &str, security: SmtpSecurity, seed: u64) {
    let mut server = MailServer::start(mode, &[]);
    let live = sent(server.settings(security), seed).await;
    assert_eq!(live.recipient_status().await, "pending");
    live.test.work().await;
    assert_eq!(live.recipient_status().await, "notified");
    let mail = server.mail();
    assert_eq!(mail["tls"], true);
    assert_eq!((&mail["dkim"], &mail["dkim_when_changed"]), (&json!(true), &json!(false)));
    assert_eq!(mail["dkim_name"], "autumn._domainkey.mills.example.");
    let letter = Letter::read(mail["message"].as_str().unwrap());
    assert_eq!(letter.header("Auto-Submitted"), "auto-generated");
    assert!(letter.header("From").contains("<sign@mills.example>"));
    assert!(letter.header("To").contains("ada@example.com"));
    assert!(letter.header("Message-ID").ends_with("@sign.test>"));
    let link = letter.link(&live.envelope).unwrap();
    assert!(letter.html.contains(&link), "both forms have the link: {}", letter.html);
    let http = live.test.browser();
    let ada = Human::typing("ada@example.com", "Ada Lovelace");
    let link = format!("{}{link}", live.test.url);
    crate::people::sign_with(&live.test, &live.key, &link, &ada, &http).await.unwrap();
    live.test.work().await;
    assert_eq!(status(&live.test, &live.key, &live.envelope).await, "completed");
    let mail = server.mail();
    let last = Letter::read(mail["message"].as_str().unwrap());
    assert!(last.text.contains("complete") && last.link(&live.envelope).is_some(), "{}", last.text);
    let mailbox = live.test.get(&live.key, "/v1/mailbox").await;
    assert_eq!(mailbox.status(), StatusCode::NOT_FOUND, "a live environment has no mailbox");
    live.test.finish().await;
}

#[tokio::test]
async fn mails_go_out_over_starttls_signed_with_dkim_as_text_and_html() {
    mails_reach_people("starttls", SmtpSecurity::Starttls, 21).await;
}

#[tokio::test]
async fn mails_go_out_over_implicit_tls_signed_with_dkim_as_text_and_html() {
    mails_reach_people("tls", SmtpSecurity::Tls, 22).await;
}

/// L-2: one id from the answer of the request through the job's log lines and the event to the mail; and a mail that is
/// refused for now is the same mail when it is sent again.
#[tokio::test]
async fn a_mail_refused_for_now_is_sent_again_as_the_same_mail_under_the_id_of_its_request() {
    let busy = "451 4.3.0 Busy with ada@example.com";
    let mut server = MailServer::start("starttls", &[busy, busy]);
    let live = sent(server.settings(SmtpSecurity::Starttls), 23).await;
    for attempt in 0..2 {
        live.test.work().await;
        server.next("from");
        assert_eq!(server.next("rcpt")["answer"], busy, "attempt {attempt}");
        assert_eq!(live.recipient_status().await, "pending");
        assert_eq!(live.test.work().await, 0, "it waits");
        live.test.clock.forward_s(10);
    }
    live.test.work().await;
    let mail = server.mail();
    assert_eq!(live.recipient_status().await, "notified");
    let letter = Letter::read(mail["message"].as_str().unwrap());
    assert_eq!(letter.header("Countersign-Correlation-Id"), live.request_id);

    let events = live.test.get_json(&live.key, &format!("/v1/envelopes/{}/events", live.envelope)).await;
    let events = events["events"].as_array().unwrap();
    for kind in ["envelope.sent", "link.issued", "recipient.notified"] {
        let event = events.iter().find(|event| event["type"] == kind).unwrap();
        assert!(event["chained"].to_string().contains(&live.request_id), "{event}");
    }
    let issued = events.iter().find(|event| event["type"] == "link.issued").unwrap();
    let mail_id = issued["chained"].to_string();
    let message_id = letter.header("Message-ID").trim_start_matches('<').split('@').next().unwrap();
    assert!(mail_id.contains(message_id), "the Message-ID is the mail's id, however often it is sent");
    // The date is that of the event, though the clock has moved on since.
    let date = letter.header("Date");
    let at = issued["at"].as_str().unwrap();
    let time_of_day = at.split_once('T').unwrap().1.get(..8).unwrap();
    assert!(date.contains(time_of_day), "{date} is not {at}");

    let lines = logged();
    let own = lines.iter().filter(|line| line.contains(&live.request_id));
    let own: Vec<Value> = own.map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event_type: &str, event_result: &str| {
        let fits = |line: &&Value| line["event_type"] == event_type && line["event_result"] == event_result;
        own.iter().filter(fits).count()
    };
    assert_eq!((of("send_envelope", "ok"), of("job", "fault"), of("job", "done")), (1, 2, 1), "{own:?}");
    assert!(!lines.iter().any(|line| line.contains("Busy with")), "what the server quotes is not logged");
    live.test.finish().await;
}

/// The mail server has the whole mail, and then says that it failed: what comes again has the same Message-ID and date.
#[tokio::test]
async fn a_mail_that_is_sent_twice_has_one_message_id_and_one_date() {
    let mut server = MailServer::start("starttls", &["data 451 4.3.0 The disk is full"]);
    let live = sent(server.settings(SmtpSecurity::Starttls), 24).await;
    live.test.work().await;
    let refused = server.mail();
    assert_eq!(refused["answer"], "451 4.3.0 The disk is full");
    live.test.clock.forward_s(65);
    live.test.work().await;
    let taken = server.mail();
    assert_eq!(taken["answer"], "250 OK");
    let [refused, taken] = [refused, taken].map(|mail| Letter::read(mail["message"].as_str().unwrap()));
    for name in ["Message-ID", "Date", "Subject", "To", "Countersign-Correlation-Id"] {
        assert_eq!(refused.header(name), taken.header(name));
    }
    assert_eq!((refused.text, refused.html), (taken.text, taken.html));
    assert_eq!(live.types().await.iter().filter(|kind| *kind == "recipient.notified").count(), 1);
    live.test.finish().await;
}

#[tokio::test]
async fn a_mail_refused_for_good_shows_as_bounced_and_resending_recovers() {
    let mut server = MailServer::start("tls", &["550 5.1.1 No such user"]);
    let live = sent(server.settings(SmtpSecurity::Tls), 25).await;
    live.test.work().await;
    server.next("from");
    server.next("rcpt");
    assert_eq!(live.recipient_status().await, "bounced");
    let events = live.test.get_json(&live.key, &format!("/v1/envelopes/{}/events", live.envelope)).await;
    let bounced =
        events["events"].as_array().unwrap().iter().find(|event| event["type"] == "recipient.bounced");
    assert!(bounced.unwrap()["chained"].to_string().contains("550"));
    live.test.clock.forward_s(3_600);
    assert_eq!(live.test.work().await, 0, "it is not tried again by itself");
    let path = format!("/v1/envelopes/{}/resend", live.envelope);
    let (status, _) = live.test.post_json(&live.key, &path, &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    live.test.work().await;
    server.mail();
    assert_eq!(live.recipient_status().await, "notified");
    live.test.finish().await;
}

/// What the mail server says of us, and not of the recipient, bounces nobody: the mail goes out when it is put right.
#[tokio::test]
async fn a_mail_server_that_refuses_us_bounces_nobody() {
    for (answers, told, seed) in [
        (["from 550 5.7.1 Sender rejected"].as_slice(), "from", 28),
        (&["ehlo 550 5.7.1 Go away"], "ehlo", 29),
        (&["530 5.7.0 Authentication required"], "from", 30),
    ] {
        let mut server = MailServer::start("tls", answers);
        let live = sent(server.settings(SmtpSecurity::Tls), seed).await;
        assert_eq!(live.test.work().await, 1);
        server.next(told);
        if seed == 30 {
            server.next("rcpt");
        }
        assert_eq!(live.recipient_status().await, "pending", "{answers:?}");
        live.test.clock.forward_s(10);
        live.test.work().await;
        server.mail();
        assert_eq!(live.recipient_status().await, "notified");
        assert!(!live.types().await.contains(&"recipient.bounced".to_owned()));
        live.test.finish().await;
    }
}

/// A wrong password is our fault: mails wait until it is right.
#[tokio::test]
async fn a_wrong_password_for_the_mail_server_bounces_nobody() {
    let mut server = MailServer::start("starttls", &["auth open sesame"]);
    let mut settings = server.settings(SmtpSecurity::Starttls);
    let password = server.folder.path().join("password");
    write_secret(&password, "open barley");
    (settings.smtp_user, settings.smtp_password_file) = (Some("mills".to_owned()), Some(password.clone()));
    let mut live = sent(settings, 31).await;
    for _ in 0..2 {
        assert_eq!(live.test.work().await, 1, "it is tried");
        assert_eq!(server.next("auth")["right"], false);
        assert_eq!(live.recipient_status().await, "pending");
        live.test.clock.forward_s(10);
    }
    write_secret(&password, "open sesame");
    live.test = live.test.restart().await;
    live.test.work().await;
    assert_eq!(server.next("auth")["right"], true);
    server.mail();
    assert_eq!(live.recipient_status().await, "notified");
    live.test.finish().await;
}

/// A permanent answer to DATA is about the mail.
#[tokio::test]
async fn a_mail_whose_content_is_refused_for_good_shows_as_bounced() {
    let mut server = MailServer::start("tls", &["data 554 5.7.1 Looks like spam"]);
    let live = sent(server.settings(SmtpSecurity::Tls), 32).await;
    live.test.work().await;
    server.mail();
    assert_eq!(live.recipient_status().await, "bounced");
    live.test.finish().await;
}

/// Whoever gives a domain in other letters is told its spelling for mail servers, and mail to that one goes out.
#[tokio::test]
async fn an_international_domain_is_written_to_in_punycode() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let mut body = envelope_of(&document);
    for (address, word) in [("ada@bücher.example", "Punycode"), ("adá@example.com", "SMTPUTF8")] {
        body["recipients"][0]["email"] = address.into();
        let (status, problem) = test.post_json(&key, "/v1/envelopes", &body).await;
        assert_eq!(
            (status, &problem["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("/recipients/0/email"))
        );
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    let punycode = "ada@xn--bcher-kva.example";
    body["recipients"][0]["email"] = punycode.into();
    let envelope = test.create(&key, &body).await;
    test.send(&key, &envelope).await;
    test.work().await;
    let letter = letters(&test, &key, punycode).await.remove(0);
    assert!(letter.header("To").ends_with(&format!("<{punycode}>")), "{}", letter.header("To"));
    assert!(types(&test, &key, &envelope).await.contains(&"recipient.notified".to_owned()));
    test.finish().await;
}

/// Whatever the rules take for an address can be written into a mail.
#[test]
fn every_address_that_is_taken_can_be_written() {
    let mut runner = proptest::test_runner::TestRunner::default();
    let address = "[a-z0-9.!#$%&'*+/=?^_`{|}~\\-@é\"(]{1,12}@[a-zA-Z0-9.\\-é\\[\\]]{1,12}";
    runner
        .run(&address, |address| {
            let is_taken = countersign_core::envelope::fields::check_email("", &address).is_ok();
            let is_written = address.parse::<lettre::Address>().is_ok();
            proptest::prop_assert!(is_written || !is_taken, "{address}");
            Ok(())
        })
        .unwrap();
}

/// An envelope whose recipient has an address that no mail can be written to, as no request makes one: it is stored
/// without asking the rules.
async fn with_unwritable_address(test: &TestApp, key: &Key) -> EnvelopeId {
    let document = test.upload(key, "lease.pdf", pdf(1)).await;
    let good = test.create(key, &envelope_of(&document)).await.parse().unwrap();
    let opened = envelopes::read(&test.app, &key.tenant, good).await.unwrap();
    let mut event = opened.events[0].event.clone();
    event.envelope = EnvelopeId::from_bytes([7; 16]);
    for veiled in event.veiled_mut() {
        *veiled = Veiled::new(veiled.person, [7; 16], veiled.value().unwrap().clone());
    }
    let Body::Created { recipients, .. } = &mut event.body else { panic!("{event:?}") };
    let unwritable = Personal::new("a..b@example.com".to_owned());
    recipients[0].email = Veiled::new(recipients[0].person, [7; 16], unwritable);
    let mut folded = Folded::default();
    let recorded = folded.chain.record(event);
    folded.apply(&recorded.event);
    let envelope = recorded.event.envelope;
    let rows = recorded.event.veiled().into_iter().map(|veiled| {
        let binding = Binding::new("opening", &[veiled.person.as_bytes(), &veiled.sha256.0]);
        let plain = veiled.opening.as_ref().unwrap().to_bytes();
        let sealed = opened.persons.of(veiled.person).unwrap().seal(&*test.app.random, &binding, &plain);
        let (tenant, commitment, person) = (key.tenant, veiled.sha256, veiled.person);
        Row::Opening(OpeningRow { tenant, envelope, commitment, person, sealed: sealed.unwrap() })
    });
    let append = Append {
        tenant: key.tenant,
        envelope,
        expected_seq: 1,
        events: vec![NewEvent { bytes: recorded.bytes.clone(), hash: recorded.hash, leaf_id: [7; 16] }],
        projection: envelopes::projection(envelope, &folded).unwrap(),
    };
    let batch = Batch { rows: rows.collect(), append: Some(append), ..Batch::default() };
    test.app.store.commit(batch).await.unwrap();
    envelope
}

#[tokio::test]
async fn a_mail_to_an_address_that_cannot_be_written_shows_as_bounced() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let envelope = with_unwritable_address(&test, &key).await.to_string();
    test.send(&key, &envelope).await;
    test.work().await;
    let told = types(&test, &key, &envelope).await;
    assert_eq!(told, ["envelope.created", "envelope.sent", "link.issued", "recipient.bounced"]);
    test.finish().await;
}

/// Nothing is sent where TLS fails: not to a server with a certificate of another CA, and not to one without TLS.
#[tokio::test]
async fn nothing_is_sent_to_a_mail_server_without_trusted_tls() {
    let stranger = MailServer::start("tls", &[]);
    let mut untrusted = MailServer::start("starttls", &[]);
    let mut plain = MailServer::start("plain", &[]);
    for (server, seed) in [(&mut untrusted, 26), (&mut plain, 27)] {
        let mut settings = server.settings(SmtpSecurity::Starttls);
        settings.smtp_ca_file = Some(stranger.folder.path().join("ca.pem"));
        let live = sent(settings, seed).await;
        for _ in 0..2 {
            assert_eq!(live.test.work().await, 1, "it is tried");
            assert_eq!(live.test.work().await, 0, "and put back");
            live.test.clock.forward_s(10);
        }
        assert_eq!(live.recipient_status().await, "pending");
        assert!(!live.types().await.contains(&"recipient.notified".to_owned()));
        live.test.finish_without_worker().await;
        server.process.kill().unwrap();
        let rest: Vec<String> = server.events.by_ref().map(Result::unwrap).collect();
        assert!(rest.is_empty(), "not even a sender was named: {rest:?}");
    }
}
