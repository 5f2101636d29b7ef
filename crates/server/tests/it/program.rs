//! The program as an operator meets it: what its commands print, how they end, and what they say where they cannot begin.

use std::{
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use reqwest::Method;
use serde_json::Value;

use crate::{
    app::{TestApp, envelope_of, pdf},
    people::PUBLIC_URL,
    privacy::files,
};

/// The program with its data in `folder`, under the public URL of the tests.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .env("COUNTERSIGN_SERVER__DATA_DIR", folder.join("data"))
        .env("COUNTERSIGN_SERVER__LISTEN", "127.0.0.1:0")
        .env("COUNTERSIGN_SERVER__PUBLIC_URL", PUBLIC_URL);
    command
}

fn run(folder: &Path, words: &[&str]) -> Output {
    command(folder).args(words).output().unwrap()
}

fn printed(done: &Output) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

fn said(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

#[test]
fn the_first_command_says_where_the_root_key_is_and_the_next_one_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), &["organizations", "create", "Acme"]);
    assert!(first.status.success(), "{}", said(&first));
    let key = folder.path().join("data/root.key");
    assert!(key.exists() && said(&first).contains(&key.display().to_string()), "{}", said(&first));
    assert!(said(&first).contains("Back it up") && printed(&first).starts_with("org_"));
    let next = run(folder.path(), &["organizations", "list"]);
    assert!(!said(&next).contains("root key") && printed(&next).contains("Acme"), "{}", said(&next));
}

#[test]
fn a_variable_that_is_not_text_stops_the_program_in_words_if_it_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["organizations", "create", "Acme"]).status.success());
    let latin = OsStr::from_bytes(b"ren\xe9");
    let list = |name: &str| {
        command(folder.path()).env(name, latin).args(["organizations", "list"]).output().unwrap()
    };
    let of_others = list("SOMEBODY_ELSES");
    assert!(of_others.status.success(), "{}", said(&of_others));
    let ours = list("COUNTERSIGN_MAIL__SMTP_USER");
    assert_eq!(ours.status.code(), Some(1));
    assert!(said(&ours).contains("COUNTERSIGN_MAIL__SMTP_USER is not UTF-8"), "{}", said(&ours));
}

/// What nobody reads to the end, as behind `| head`, was wanted no further; a secret that nobody reads is lost, and that is said.
#[test]
fn a_command_whose_output_nobody_reads_ends_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["organizations", "create", "Acme"]).status.success());
    let file = folder.path().join("any.pdf");
    fs::write(&file, pdf(1)).unwrap();
    let file = file.to_str().unwrap();
    let key =
        ["keys", "create", "--organization", "Acme", "--environment", "sandbox", "--scope", "envelopes:read"];
    for (words, code, word) in [
        (vec!["openapi"], 0, ""),
        (vec!["organizations", "list"], 0, ""),
        (vec!["inspect", file], 0, ""),
        (key.to_vec(), 1, "make another, and end the one"),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = command(folder.path()).args(&words).stdout(writer).output().unwrap();
        assert_eq!(done.status.code(), Some(code), "{words:?}: {}", said(&done));
        assert!(
            said(&done).contains(word) && !said(&done).contains("panicked"),
            "{words:?}: {}",
            said(&done)
        );
    }
}

#[test]
fn inspect_prints_a_line_of_json_for_each_file_and_fails_if_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good.pdf"), folder.path().join("bad.pdf"));
    fs::write(&good, pdf(2)).unwrap();
    fs::write(&bad, "Dear Sir or Madam").unwrap();
    let (good, bad) = (good.display().to_string(), bad.display().to_string());
    let done = run(folder.path(), &["inspect", &good, &bad]);
    assert!(!done.status.success());
    let lines: Vec<Value> = printed(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [of_good, of_bad] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&of_good["file"], &of_good["accepted"]), (&good.as_str().into(), &true.into()));
    assert_eq!(of_good["inspection"]["pages"].as_array().unwrap().len(), 2, "{of_good}");
    assert_eq!((&of_bad["file"], &of_bad["accepted"]), (&bad.as_str().into(), &false.into()));
    assert_eq!(of_bad["code"], "pdf-not-a-pdf");
    assert!(of_bad["sentence"].as_str().unwrap().contains("Upload a PDF file"), "{of_bad}");

    assert!(run(folder.path(), &["inspect", &good]).status.success());
    let missing = run(folder.path(), &["inspect", &good, "nowhere.pdf"]);
    assert!(!missing.status.success() && said(&missing).contains("nowhere.pdf"), "{}", said(&missing));
    assert!(!folder.path().join("data").exists(), "it only looks");
}

/// the document can be had without a server, and is the one that servers give.
#[tokio::test]
async fn openapi_prints_the_document_that_the_server_gives() {
    let test = TestApp::start().await;
    let done = run(test.folder.path(), &["openapi"]);
    assert!(done.status.success());
    let printed: Value = serde_json::from_str(&printed(&done)).unwrap();
    assert!(printed["openapi"].as_str().unwrap().starts_with("3.1"));
    let served: Value =
        test.request(Method::GET, "/v1/openapi.json").send().await.unwrap().json().await.unwrap();
    assert!(printed == served, "`countersign openapi` and /v1/openapi.json differ");
    test.finish().await;
}

#[tokio::test]
async fn the_doctor_s_exit_code_tells_a_clean_folder_from_a_damaged_and_an_empty_one() {
    let test = TestApp::start().await;
    let folder = Arc::clone(&test.folder);
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    test.create(&key, &envelope_of(&document)).await;
    test.finish_without_worker().await;
    let clean = run(folder.path(), &["doctor"]);
    assert_eq!(clean.status.code(), Some(0), "{}{}", printed(&clean), said(&clean));
    assert!(printed(&clean).lines().all(|line| line.starts_with("ok ")) && !printed(&clean).is_empty());

    let mut blobs = files(folder.path().join("data/blobs")).into_iter();
    let blob = blobs.find(|path| path.display().to_string().contains(&document)).unwrap();
    let mut bytes = fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&blob, bytes).unwrap();
    let damaged = run(folder.path(), &["doctor"]);
    assert_eq!(damaged.status.code(), Some(1), "{}", said(&damaged));
    let wrong: Vec<String> =
        printed(&damaged).lines().filter(|line| line.starts_with("WRONG ")).map(str::to_owned).collect();
    assert!(wrong.len() == 1 && wrong[0].contains(&document), "{wrong:?}");

    let elsewhere = tempfile::tempdir().unwrap();
    let empty = run(elsewhere.path(), &["doctor"]);
    assert_eq!(empty.status.code(), Some(1));
    assert!(said(&empty).contains("there is nothing to look at") && printed(&empty).is_empty());
}

/// The most likely thing to go wrong in the first minute.
#[test]
fn the_demo_says_what_to_do_where_its_port_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let (data, out) = (folder.path().join("demo"), folder.path().join("out"));
    let done = command(folder.path())
        .args(["demo", "--once", "--port", &port.to_string(), "--data"])
        .arg(&data)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    let told = said(&done);
    let other = port.checked_add(1).unwrap_or(8443);
    assert!(told.contains(&format!("port {port} cannot be used")), "{told}");
    assert!(told.contains(&format!("demo --port {other}")), "{told}");
    assert!(!out.exists());
}
