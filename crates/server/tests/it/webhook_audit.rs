//! `countersign audit-webhook` as a team runs it: against good receivers and careless ones, by a secret and by a key, and what it
//! says where it cannot begin.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use countersign_webhooks::{Accept, Secret};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    inward::{Counting, Why, crafted, name_server::name_server},
    receivers::{
        authority,
        careless::{Held, Manner, Receiver},
    },
};

const PAGE: &str = include_str!("../../../../docs/webhooks/proof.md");
const ID: &str = "whk_01kb1x8a9wh5t0c8m2q4r6s7vw";
const SECRET: &str = "whsec_YSBzZWNyZXQgdGhhdCBvbmx5IHRoZSB0ZXN0cyB1c2U=";

fn held() -> Held {
    Held { id: ID.to_owned(), secret: SECRET.parse::<Secret>().unwrap(), jwks: String::new() }
}

/// A folder with the receivers' authority in it, and nothing of a server.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), authority().pem()).unwrap();
    folder
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.current_dir(folder).env_clear().arg("audit-webhook");
    command
}

async fn audit(folder: &Path, words: &[&str]) -> Output {
    command(folder).args(words).output().await.unwrap()
}

/// The same against a receiver of this machine, with its secret in the environment.
async fn audit_own(folder: &Path, url: &str, words: &[&str]) -> Output {
    let own = [url, "--allow-host", "localhost", "--ca", "ca.pem", "--key-id", ID];
    command(folder).env("WEBHOOK_SECRET", SECRET).args(own).args(words).output().await.unwrap()
}

fn printed(done: &Output) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

fn said(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

async fn receiver(manner: Manner) -> Receiver {
    let receiver = Receiver::start(manner).await;
    receiver.hold(held());
    receiver
}

/// W-9: the exit code tells a careful receiver from a careless one, and what is printed says what to mend and where to read on.
#[tokio::test(flavor = "multi_thread")]
async fn a_team_sees_what_its_receiver_does() {
    let folder = folder();
    let mut told = Vec::new();
    for (manner, code) in [
        (Manner::Careful(Accept::V1), 0),
        (Manner::AnyTime, 1),
        (Manner::JsonAnew, 1),
        (Manner::Redirects, 1),
    ] {
        let receiver = receiver(manner).await;
        let done = audit_own(folder.path(), &receiver.url, &[]).await;
        assert_eq!(done.status.code(), Some(code), "{manner:?}: {}{}", printed(&done), said(&done));
        assert!(said(&done).is_empty(), "{}", said(&done));
        told.push(format!("{manner:?}\n{}", printed(&done)));
    }
    insta::assert_snapshot!(told.join("\n"));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["ca.pem"], "it keeps nothing");
}

/// W-9: a pipeline reads the same as JSON.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_reads_the_report() {
    let folder = folder();
    let careless = receiver(Manner::NoMemory).await;
    let done = audit_own(folder.path(), &careless.url, &["--json"]).await;
    assert_eq!((done.status.code(), said(&done).as_str()), (Some(1), ""));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["proven"], false);
    let lines = report["probes"].as_array().unwrap();
    let failed: Vec<&Value> = lines.iter().filter(|line| line["finding"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0]["probe"], &failed[0]["status"]), (&"replayed".into(), &200.into()));
    assert_eq!(failed[0]["page"], "docs/webhooks/proof.md#replayed");
    assert!(failed[0]["advice"].as_str().unwrap().contains("409"));
    let careful = receiver(Manner::Careful(Accept::V1)).await;
    let done = audit_own(folder.path(), &careful.url, &["--json"]).await;
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(serde_json::from_slice::<Value>(&done.stdout).unwrap()["proven"], true);
}

/// W-9: a key that was made here proves a receiver that holds its public part alone, with `v1a` and with HTTP Message Signatures.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_public_keys_is_audited_with_a_key_that_is_made_for_it() {
    let folder = folder();
    let v1a = (Accept::V1a, "standard");
    for (profile, proven) in [
        ("standard", [v1a, (Accept::MessageSignature, "ed25519")].as_slice()),
        ("ecdsa-p256-sha256", &[(Accept::MessageSignature, "ecdsa-p256-sha256")]),
        ("rsa-pss-sha512", &[(Accept::MessageSignature, "rsa-pss-sha512")]),
    ] {
        let made = audit(folder.path(), &["--new-key", profile, "--profile", profile]).await;
        assert_eq!(made.status.code(), Some(0), "{}", said(&made));
        assert!(!printed(&made).contains("\"d\""));
        let set: Value = serde_json::from_slice(&made.stdout).unwrap();
        let id = set["keys"][0]["kid"].as_str().unwrap();
        assert!(said(&made).contains(&format!("--key {profile} --key-id {id}")), "{}", said(&made));
        for (accept, signed_as) in proven {
            let receiver = Receiver::start(Manner::Careful(*accept)).await;
            receiver.hold(Held { jwks: printed(&made), ..held() });
            let own = ["--allow-host", "localhost", "--ca", "ca.pem", "--key", profile, "--key-id", id];
            let wish = [&[receiver.url.as_str(), "--profile", signed_as], &own[..]].concat();
            let done = audit(folder.path(), &wish).await;
            assert_eq!(done.status.code(), Some(0), "{accept:?}: {}{}", printed(&done), said(&done));
        }
    }
    let again = audit(folder.path(), &["--new-key", "standard"]).await;
    assert!(again.status.code() == Some(2) && said(&again).contains("ever overwritten"), "{}", said(&again));
}

/// W-9, W-8: what cannot be probed is another exit code than what failed, and the sentence says what to do. Nothing goes into a
/// network of one's own without being allowed.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_probed_is_said_in_words() {
    let folder = folder();
    let receiver = receiver(Manner::TakesAll).await;
    let url = receiver.url.as_str();
    let literal = url.replace("localhost", "127.0.0.1");
    let silent = url.replace(url.rsplit(':').next().unwrap(), "1/");
    let secret = ["--secret", SECRET, "--key-id", ID];
    fs::write(folder.path().join("words.pem"), "hello\n").unwrap();
    let own = ["--allow-host", "localhost", "--ca", "ca.pem"];
    let with = |words: &[&[&'static str]], url: &str| -> Vec<String> {
        [url].into_iter().chain(words.concat()).map(str::to_owned).collect()
    };
    for (words, word) in [
        (with(&[], url), "WEBHOOK_SECRET"),
        (with(&[&["--secret", SECRET], &own], url), "--key-id"),
        (with(&[&["--secret", "whsec_AAAA", "--key-id", ID]], url), "32 bytes"),
        (with(&[&secret, &["--profile", "ed25519"]], url), "--new-key"),
        (with(&[&secret, &["--profile", "rsa"]], url), "standard, ed25519"),
        (with(&[&["--key", "nowhere.jwk"]], url), "nowhere.jwk"),
        (with(&[&secret, &["--ca", "nowhere.pem"]], url), "nowhere.pem"),
        (with(&[&secret, &["--ca", "words.pem"]], url), "no certificate is in it"),
        (with(&[&secret], &url.replace("https", "http")), "https://"),
        (with(&[&secret], url), "--allow-host"),
        (with(&[&secret], &literal), "--allow-net"),
        (with(&[&secret, &["--allow-host", "localhost"]], url), "certificate of the host is not trusted"),
        (with(&[&secret, &own], &silent), "did not answer"),
        (with(&[&["--key-id", "mine", "--secret", SECRET]], url), "whk_"),
        (vec!["--secret".to_owned(), SECRET.to_owned()], "URL"),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let done = audit(folder.path(), &words).await;
        assert_eq!(done.status.code(), Some(2), "{words:?}: {}", said(&done));
        assert!(said(&done).contains(word), "{words:?}: {}", said(&done));
        assert!(printed(&done).is_empty() && !said(&done).contains("YSBzZWNy"), "{}", said(&done));
    }
    assert!(receiver.came().is_empty());
    let network = ["--allow-net", "127.0.0.0/8", "--ca", "ca.pem"];
    let done = audit(folder.path(), &[&[literal.as_str()], &secret[..], &network].concat()).await;
    assert!(
        said(&done).contains("certificate"),
        "the network is allowed, its name is another: {}",
        said(&done)
    );
}

/// W-8: no name and no redirect leads the audit inside, whatever name servers say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_leads_the_audit_inside() {
    let (folder, listener) = (folder(), Counting::start());
    let server = name_server().address.to_string();
    for lure in crafted("audit") {
        let url = format!("https://{}:{}/", lure.name, listener.port);
        let words = [url.as_str(), "--name-server", &server, "--key-id", ID];
        let done = command(folder.path()).env("WEBHOOK_SECRET", SECRET).args(words).output().await.unwrap();
        let expected = match lure.why {
            Why::Refused => "not of the public Internet",
            Why::Nowhere => "no connection could be made",
        };
        assert!(done.status.code() == Some(2) && said(&done).contains(expected), "{url}: {}", said(&done));
    }
    assert_eq!(listener.count(), 0);
}

/// Runs commands of the page in `folder`, with a program `start-receiver` that waits until the test has read what it was given.
async fn shell(folder: &Path, url: &str, commands: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
    let path = format!("{}:{}:{}", folder.display(), program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-eu", "-c", commands]).current_dir(folder).env_clear();
    command.env("PATH", path).env("RECEIVER", url).env("WEBHOOK_SECRET", SECRET).env("WEBHOOK_KEY_ID", ID);
    command.output().await.unwrap()
}

/// A program that tells the test what the receiver is to hold, and goes on when it does.
fn start_receiver(folder: &Path) {
    let (given, held) = (folder.join("given"), folder.join("held"));
    for pipe in [&given, &held] {
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let script = "#!/bin/sh\n{ echo \"$WEBHOOK_SECRET\"; cat ${1:-/dev/null}; } > given\nread line < held\n";
    let file = folder.join("start-receiver");
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
}

/// W-9: the commands of the page work as they stand there, by a secret, by a key, and in a pipeline; a careless receiver fails them.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_work() {
    let blocks: Vec<&str> =
        PAGE.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [by_secret, by_key, in_pipeline, to_mend] = blocks.as_slice() else { panic!("{blocks:?}") };
    let careful = receiver(Manner::Careful(Accept::V1)).await;
    let folder_of_it = folder();
    let done = shell(folder_of_it.path(), &careful.url, by_secret).await;
    assert!(done.status.success() && printed(&done).contains("Proven"), "{}", said(&done));
    for (commands, manner, code) in [
        (by_key, Manner::Careful(Accept::MessageSignature), 0),
        (in_pipeline, Manner::Careful(Accept::V1), 0),
        (in_pipeline, Manner::AnyTime, 1),
    ] {
        let folder = folder();
        start_receiver(folder.path());
        let receiver = Receiver::start(manner).await;
        let hold = async {
            let given = tokio::fs::read_to_string(folder.path().join("given")).await.unwrap();
            let (secret, jwks) = given.split_once('\n').unwrap();
            receiver.hold(Held { secret: secret.parse().unwrap(), jwks: jwks.to_owned(), ..held() });
            tokio::fs::write(folder.path().join("held"), "yes\n").await.unwrap();
        };
        let (done, ()) = tokio::join!(shell(folder.path(), &receiver.url, commands), hold);
        assert_eq!(done.status.code(), Some(code), "{manner:?}: {}{}", printed(&done), said(&done));
        let kept = fs::read(folder.path().join("audit.json")).ok();
        let report = kept.map(|kept| serde_json::from_slice::<Value>(&kept).unwrap());
        assert_eq!(report.is_some(), commands == in_pipeline);
        assert!(report.is_none_or(|report| report["proven"] == (code == 0)));
        if code == 1 {
            let mend = shell(folder.path(), &receiver.url, to_mend).await;
            assert!(printed(&mend).starts_with("stale: A message of ten minutes ago"), "{}", said(&mend));
        }
    }
}

/// W-9: each probe has its place on the page, where reports lead to.
#[test]
fn the_page_tells_of_each_probe() {
    for probe in countersign_core::webhook::proof::Probe::ALL {
        assert_eq!(PAGE.matches(&format!("\n### `{}`\n", probe.text())).count(), 1, "{probe:?}");
        let row = format!("| [`{0}`](#{0}) | {1}", probe.text(), probe.sent().split(" in ").next().unwrap());
        assert!(PAGE.contains(&row), "{row}");
    }
}
