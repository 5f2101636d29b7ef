//! The operator's commands: what they make and what they must not, the keys they end, what they say of a damaged folder,
//! and the documents that describe them.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use countersign_core::secret::{PlainToken, TokenKind};
use countersign_server::{
    api_keys,
    app::{App, Records, SystemClock},
    config::Config,
    demo, doctor,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{TestApp, TestDice, envelope_of, pdf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub(crate) fn run(folder: &Path, words: &[&str]) -> Output {
    run_with(folder, &[], words)
}

/// The same with more of the configuration.
pub(crate) fn run_with(folder: &Path, configuration: &[(&str, &str)], words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .env("COUNTERSIGN_SERVER__DATA_DIR", folder.join("data"))
        .env("COUNTERSIGN_SERVER__LISTEN", "127.0.0.1:0")
        .env("COUNTERSIGN_SERVER__PUBLIC_URL", "https://sign.test")
        .envs(configuration.iter().copied())
        .args(words)
        .output()
        .unwrap()
}

pub(crate) fn printed(done: &Output) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

pub(crate) fn said(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

/// a leaked key ends at once, in a server that runs, and the others go on.
#[tokio::test]
async fn a_key_that_the_operator_ends_opens_nothing_more_and_no_list_shows_a_secret() {
    let test = TestApp::start().await;
    let leaked = test.sandbox("Acme").await;
    let other = test.sandbox("Other").await;
    let folder = test.folder.path();
    let listed = printed(&run(folder, &["keys", "list", "--organization", "Acme"]));
    assert_eq!(listed.lines().count(), 1, "{listed}");
    for shown in ["csk_sandbox_…", "ends ", "Acme", "documents:write", "test"] {
        assert!(listed.contains(shown), "{shown}: {listed}");
    }
    let secret: String = leaked.token.chars().skip(12).take(12).collect();
    assert!(!listed.contains(&secret), "{listed}");
    let all = printed(&run(folder, &["keys", "list"]));
    assert_eq!(all.lines().count(), 2, "{all}");
    let key = listed.split_whitespace().next().unwrap().to_owned();
    let ended = run(folder, &["keys", "end", &key]);
    assert!(ended.status.success(), "{}", said(&ended));
    // The test's clock stands still and the program's does not: a key ends at once where clocks differ, too.
    let response = test.get(&leaked, "/v1/envelopes").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "key_expired");
    assert_eq!(test.get(&other, "/v1/envelopes").await.status(), StatusCode::OK);
    let again = run(folder, &["keys", "end", &key]);
    assert!(!again.status.success() && said(&again).contains("it has ended"), "{}", said(&again));
    let listed = printed(&run(folder, &["keys", "list"]));
    assert!(listed.lines().any(|line| line.starts_with(&key) && line.contains("ended ")), "{listed}");
    let unknown = PlainToken::new(TokenKind::SandboxApiKey, &[9; 32]);
    for token in ["csk_sandbox_mistyped", unknown.expose()] {
        let asked = test.request(reqwest::Method::GET, "/v1/envelopes").bearer_auth(token);
        let problem: Value = asked.send().await.unwrap().json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains("is not known here"), "{problem}");
    }
    test.finish().await;
}

/// the whole life of a key on the command line: networks, rotation with an overlap, last use, end.
#[tokio::test]
async fn the_operator_makes_rotates_and_ends_a_key() {
    let test = TestApp::start().await;
    test.organization("Acme").await;
    let folder = test.folder.path();
    let create = |network: &str| {
        let words =
            ["keys", "create", "--organization", "Acme", "--scope", "envelopes:status", "--network", network];
        run(folder, &words)
    };
    let refused = create("10.1.2.3/8");
    assert!(!refused.status.success() && said(&refused).contains("write `10.0.0.0/8`"), "{}", said(&refused));
    let made = create("127.0.0.0/8");
    assert!(made.status.success(), "{}", said(&made));
    let token = printed(&made).trim().to_owned();
    let key = said(&made).split_whitespace().find(|word| word.starts_with("key_")).unwrap().to_owned();
    let status = async |token: &str| {
        test.request(reqwest::Method::GET, "/v1/envelopes").bearer_auth(token).send().await.unwrap().status()
    };
    assert_eq!(status(&token).await, StatusCode::OK);
    let listed = printed(&run(folder, &["keys", "list"]));
    for shown in [key.as_str(), "ends ", "127.0.0.0/8", "used ", " from 127.0.0.1", "command line"] {
        assert!(listed.contains(shown), "{shown}: {listed}");
    }
    for wrong in ["169", "-1"] {
        assert!(!run(folder, &["keys", "rotate", &key, "--overlap-hours", wrong]).status.success());
    }
    let rotated = run(folder, &["keys", "rotate", &key, "--overlap-hours", "1", "--expires-days", "30"]);
    assert!(said(&rotated).contains(&format!("{key} works until")), "{}", said(&rotated));
    let newer = printed(&rotated).trim().to_owned();
    assert_eq!((status(&token).await, status(&newer).await), (StatusCode::OK, StatusCode::OK));
    let again = run(folder, &["keys", "rotate", &key]);
    assert!(!again.status.success() && said(&again).contains("was rotated to"), "{}", said(&again));
    let listed = printed(&run(folder, &["keys", "list", "--organization", "Acme"]));
    assert!(listed.lines().any(|line| line.starts_with(&key) && line.contains("replaced, ends")), "{listed}");
    // The programs' clock goes on while the test's stands still.
    test.clock.forward_s(3_600 + 60);
    assert_eq!((status(&token).await, status(&newer).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    test.work().await;
    test.finish().await;
}

/// a leaked key is ended also where the token that seals, or the mail server, is away; only serving needs them.
#[test]
fn what_an_operator_does_in_an_emergency_needs_neither_the_seal_s_key_nor_the_mail_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mail = [("COUNTERSIGN_MAIL__SMTP_HOST", "mail.test"), ("COUNTERSIGN_MAIL__FROM", "sign@sign.test")];
    assert!(run(folder, &["organizations", "create", "Acme"]).status.success());
    let create = ["keys", "create", "--organization", "Acme", "--environment", "live"];
    let made = run_with(folder, &mail, &create);
    assert!(made.status.success(), "{}", said(&made));
    let refused = run(folder, &["serve"]);
    assert!(!refused.status.success() && said(&refused).contains("mail.smtp_host"), "{}", said(&refused));
    let no_password =
        [("COUNTERSIGN_MAIL__SMTP_USER", "me"), ("COUNTERSIGN_MAIL__SMTP_PASSWORD_FILE", "/nowhere")];
    let no_token = [
        ("COUNTERSIGN_SEAL__PKCS11_MODULE", "/nowhere.so"),
        ("COUNTERSIGN_SEAL__LABEL", "one"),
        ("COUNTERSIGN_SEAL__PIN_FILE", "/nowhere.pin"),
        ("COUNTERSIGN_SEAL__CERTIFICATES", "/nowhere.pem"),
    ];
    let away = [&mail[..], &no_password, &no_token].concat();
    let refused = run_with(folder, &away, &["serve"]);
    assert!(!refused.status.success() && said(&refused).contains("/nowhere.pem"), "{}", said(&refused));
    let listed = run_with(folder, &no_token, &["keys", "list"]);
    assert!(listed.status.success(), "{}", said(&listed));
    let key = printed(&listed).split_whitespace().next().unwrap().to_owned();
    let examined = run_with(folder, &away, &["doctor"]);
    assert_eq!(examined.status.code(), Some(1), "{}", said(&examined));
    let told = printed(&examined);
    assert!(told.contains("WRONG  the key that seals: /nowhere.pem"), "{told}");
    assert!(told.contains("ok     0 blobs are there") && told.matches("WRONG").count() == 1, "{told}");
    for configuration in [&no_token[..], &away] {
        let listed = run_with(folder, configuration, &["organizations", "list"]);
        assert!(printed(&listed).contains("Acme"), "{}", said(&listed));
    }
    let ended = run_with(folder, &away, &["keys", "end", &key]);
    assert!(ended.status.success() && said(&ended).contains("has ended"), "{}", said(&ended));
}

/// The same when the certificate that seals is over; the doctor says so, and of everything else that it is well.
#[tokio::test]
async fn the_doctor_finds_a_certificate_that_is_over_and_keys_can_be_ended_beside_it() {
    let test = TestApp::start().await;
    test.sandbox("Acme").await;
    let ten_years_s = 10 * 366 * 24 * 3_600;
    test.clock.forward_s(ten_years_s);
    let late = |seed| (test.app.config.clone(), Arc::clone(&test.clock) as _, Arc::new(TestDice::new(seed)));
    let (config, clock, dice) = late(2);
    let refused = App::open(config, clock, dice).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("was not valid"), "{refused}");
    let (config, clock, dice) = late(3);
    let records = Records::open_existing(config, clock, dice).await.unwrap().records;
    let report = doctor::examine(&records).await.unwrap();
    assert_eq!(report.findings.len(), 1, "{report}");
    assert!(
        report.findings[0].contains("the key that seals") && report.findings[0].contains("was not valid")
    );
    assert_eq!(api_keys::of_organizations(&records, None).await.unwrap().len(), 1);
    test.clock.forward_s(-ten_years_s);
    test.finish().await;
}

#[test]
fn what_only_looks_makes_nothing_and_a_name_stands_for_one_organization() {
    let folder = tempfile::tempdir().unwrap();
    for words in [&["organizations", "list"][..], &["keys", "list"], &["doctor"]] {
        let done = run(folder.path(), words);
        assert!(!done.status.success() && said(&done).contains("nothing to look at"), "{}", said(&done));
    }
    assert!(!folder.path().join("data").exists());
    let made = run(folder.path(), &["organizations", "create", "Acme"]);
    assert!(made.status.success(), "{}", said(&made));
    assert!(said(&made).contains("The log is called sign.test/log"), "{}", said(&made));
    let again = run(folder.path(), &["organizations", "create", "Acme"]);
    assert!(!again.status.success() && said(&again).contains("there is an organization of this name"));
    assert_eq!(printed(&run(folder.path(), &["organizations", "list"])).lines().count(), 1);
    let key = run(folder.path(), &["keys", "create", "--organization", "Acme"]);
    assert!(key.status.success(), "{}", said(&key));
    let examined = run(folder.path(), &["doctor"]);
    assert!(examined.status.success(), "{}", printed(&examined));
    assert!(printed(&examined).contains("no key that seals yet"), "it makes none");
    // After a clean end nothing is in SQLite's own log.
    let log = fs::metadata(folder.path().join("data/countersign.sqlite-wal"));
    assert!(log.is_ok_and(|log| log.len() == 0), "the database's file alone is the database");
}

#[tokio::test]
async fn the_log_keeps_its_name_and_another_public_url_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.server.data_dir = folder.path().join("data");
    config.server.public_url = "https://one.test".to_owned();
    let mut seed = 0;
    let mut told = async |config: &Config| {
        seed += 1;
        let started = App::open(config.clone(), Arc::new(SystemClock), Arc::new(TestDice::new(seed))).await;
        started.unwrap().announcements.join("\n")
    };
    assert!(told(&config).await.contains("The log is called one.test/log from now on"));
    assert_eq!(told(&config).await, "");
    config.server.public_url = "https://other.test:9443".to_owned();
    let warning = told(&config).await;
    assert!(warning.contains("other.test") && warning.contains("called one.test/log since"), "{warning}");
    assert_eq!(config.dead_links(8443), None, "a public URL that was set is believed");
    let default = Config::default();
    assert_eq!(default.dead_links(8443), None);
    assert!(default.dead_links(9000).unwrap().contains("port 9000"));
}

/// D-1: what nobody uses yet must be found damaged before somebody does.
#[tokio::test]
async fn the_doctor_reads_uploads_that_no_envelope_uses_and_counts_what_is_there() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let damaged = test.upload(&key, "a.pdf", pdf(1)).await;
    let lost = test.upload(&key, "b.pdf", pdf(1)).await;
    test.upload(&key, "c.pdf", pdf(1)).await;
    let folder = Arc::clone(&test.folder);
    let clean = printed(&run(folder.path(), &["doctor"]));
    assert!(clean.contains("ok     3 uploads that no envelope uses"), "{clean}");
    assert!(clean.contains("ok     3 blobs are there"), "{clean}");
    test.finish_without_worker().await;
    let blob = |document: &str| -> PathBuf {
        let all = crate::privacy::files(folder.path().join("data/blobs")).into_iter();
        let mut its = all.filter(|path| path.display().to_string().contains(document));
        its.next().unwrap()
    };
    let mut bytes = fs::read(blob(&damaged)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(blob(&damaged), bytes).unwrap();
    fs::remove_file(blob(&lost)).unwrap();
    let done = run(folder.path(), &["doctor"]);
    let told = printed(&done);
    assert_eq!(done.status.code(), Some(1));
    for line in [
        "ok     1 uploads that no envelope uses".to_owned(),
        "ok     2 blobs are there".to_owned(),
        format!("WRONG  {damaged}: the blob"),
        format!("WRONG  {lost}: the blob"),
        "WRONG  1 of the 3 blobs that rows name are missing".to_owned(),
    ] {
        assert!(told.contains(&line), "{line}\n{told}");
    }
}

/// D-8: only an erasure takes a value, and it takes the person's key with it; whatever else is missing is lost.
#[tokio::test]
async fn the_doctor_finds_lost_values_and_lost_links() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    let folder = Arc::clone(&test.folder);
    test.finish_without_worker().await;
    let database = rusqlite::Connection::open(folder.path().join("data/countersign.sqlite")).unwrap();
    for (table, finding) in [("openings", "personal values are lost"), ("links", "the row of the link")] {
        database.execute(&format!("DELETE FROM {table}"), []).unwrap();
        let done = run(folder.path(), &["doctor"]);
        assert_eq!(done.status.code(), Some(1));
        let told = printed(&done);
        assert!(
            told.lines()
                .any(|line| line.starts_with(&format!("WRONG  {envelope}")) && line.contains(finding)),
            "{told}"
        );
    }
}

#[test]
fn the_demo_makes_nothing_where_it_cannot_run() {
    let folder = tempfile::tempdir().unwrap();
    let free = countersign_store::testing::free_port().unwrap().to_string();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let (data, out, file) =
        (folder.path().join("demo"), folder.path().join("out"), folder.path().join("file"));
    fs::write(&file, "").unwrap();
    let examples = format!("{ROOT}/examples");
    let text = |path: &Path| path.display().to_string();
    let demo = |port: &str, out: &Path, examples: &str, data: &Path| {
        let words = ["--port", port, "--out", &text(out), "--examples", examples, "--data", &text(data)];
        run(folder.path(), &[&["demo", "--once"], &words[..]].concat())
    };
    for (done, expected) in [
        (demo(&taken, &out, &examples, &data), "cannot be used"),
        (demo(&free, &out, "nowhere", &data), "folder of examples"),
        (demo(&free, &file.join("out"), &examples, &data), "(--out)"),
    ] {
        assert!(!done.status.success() && said(&done).contains(expected), "{expected}: {}", said(&done));
        assert!(!data.exists(), "{expected}");
    }
    assert!(run(folder.path(), &["organizations", "create", "Somebody"]).status.success());
    let refused = demo(&free, &out, &examples, &folder.path().join("data"));
    assert!(
        !refused.status.success() && said(&refused).contains("belongs to a server"),
        "{}",
        said(&refused)
    );
    let keys = printed(&run(folder.path(), &["keys", "list"]));
    assert_eq!(keys, "", "no key was made there");
}

#[test]
fn inspect_goes_on_after_a_file_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.pdf");
    fs::write(&good, pdf(1)).unwrap();
    let good = good.display().to_string();
    let done = run(folder.path(), &["inspect", &good, "nope.pdf", &good]);
    assert_eq!(done.status.code(), Some(1));
    let lines: Vec<Value> = printed(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let accepted: Vec<_> = lines.iter().map(|line| line["accepted"].as_bool().unwrap()).collect();
    assert_eq!(accepted, [true, false, true]);
    assert_eq!((&lines[1]["file"], &lines[1]["code"]), (&"nope.pdf".into(), &"unreadable".into()));
    assert!(printed(&run(folder.path(), &["inspect", "--help"])).contains("Exit code 0"));
}

/// The first commands that a stranger copies; both build the same crates with the same features.
#[test]
fn readme_and_demo_show_one_command_that_verifies_and_needs_no_second_build() {
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    assert!(readme.contains(&format!("{} out/evidence.zip --key out/log.vkey", demo::VERIFY)), "{readme}");
    assert!(readme.contains("exits with 3"));
    let workspace: toml::Table = fs::read_to_string(format!("{ROOT}/Cargo.toml")).unwrap().parse().unwrap();
    let members = workspace["workspace"]["default-members"].as_array().unwrap();
    let members: Vec<_> = members.iter().map(|member| member.as_str().unwrap()).collect();
    assert_eq!(members, ["crates/server", "crates/verify"]);
    let server: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    assert_eq!(server["package"]["default-run"].as_str(), Some("countersign"));
}
