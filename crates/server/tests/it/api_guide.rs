//! `docs/api.md`: its commands, run as they stand there.

use std::{fs, path::Path, process::Stdio};

use countersign_verify::{Verdict, Verifier, verify_package, verify_sealed_pdf};
use tokio::process::Command;

use crate::{
    app::{TestApp, pdf},
    oauth::judges::place,
    people::{Human, link, sign},
};

const GUIDE: &str = include_str!("../../../../docs/api.md");

/// Runs commands in `folder`; gives what they print.
pub(crate) async fn shell(
    test: &TestApp,
    token: &str,
    folder: &Path,
    before: &[(&str, &str)],
    commands: &str,
) -> String {
    let port = test.url.rsplit_once(':').unwrap().1;
    // Where the tests' own Python is the only one.
    let python = place("CS_TEST_PYTHON", "venv/bin/python");
    let path = format!("{}:{}", std::env::var("PATH").unwrap(), python.parent().unwrap().display());
    let done = Command::new("sh")
        .args(["-eu", "-c", commands])
        .current_dir(folder)
        .env("COUNTERSIGN", format!("https://localhost:{port}"))
        .env("CURL_CA_BUNDLE", test.app.config.development_ca_file())
        .env("KEY", token)
        .env("PATH", path)
        .envs(before.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (told, said) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.is_empty(), "{said}{told} (curl and jq are Debian packages)");
    told.into_owned()
}

/// X-1: an integrator who copies the commands comes from a PDF to evidence that verifies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_guide_lead_from_a_pdf_to_evidence() {
    let blocks: Vec<&str> =
        GUIDE.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [to_send, to_link, to_evidence] = blocks.as_slice() else { panic!("{blocks:?}") };
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("contract.pdf"), pdf(1)).unwrap();
    let commands = format!("{to_send}\necho $document $envelope");
    let told = shell(&test, &key.token, folder.path(), &[], &commands).await;
    let words: Vec<&str> = told.split_whitespace().collect();
    let ["sent", document, envelope] = words.as_slice() else { panic!("{told}") };
    test.work().await;
    let before = [("document", *document), ("envelope", *envelope)];
    let told = shell(&test, &key.token, folder.path(), &before, to_link).await;
    let mailed = link(&test, &key, envelope, "ada@example.com").await;
    let (_, path) = mailed.split_once("/s/").unwrap();
    assert_eq!(told.lines().collect::<Vec<_>>(), [format!("https://sign.test/s/{path}")]);
    sign(&test, &key, envelope, &Human::typing("ada@example.com", "Ada Lovelace")).await.unwrap();
    test.work().await;
    let told = shell(&test, &key.token, folder.path(), &before, to_evidence).await;
    assert_eq!(told.trim(), "completed");
    let file = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let vkey: Verifier = String::from_utf8(file("log.vkey")).unwrap().trim().parse().unwrap();
    for report in [
        verify_package(&file("evidence.zip"), std::slice::from_ref(&vkey)),
        verify_sealed_pdf(&file("sealed.pdf"), std::slice::from_ref(&vkey)),
    ] {
        assert_eq!(report.verdict(), Verdict::GenuineSandbox, "{}", report.to_text());
    }
    // E-4: a forger prints his own address; what the file says of the key must not lead to him.
    let done =
        Command::new("pdftotext").args(["-raw", "sealed.pdf", "-"]).current_dir(folder.path()).output();
    let text: String = String::from_utf8(done.await.unwrap().stdout).unwrap().split_whitespace().collect();
    assert!(text.contains("notfromthisfile") && !text.contains("/log/key"), "{text}");
    test.work().await;
    test.finish().await;
}

/// What the guide calls open is open, and nothing besides.
#[tokio::test]
async fn the_guide_names_every_route_that_needs_no_key() {
    for path in countersign_server::api::OPEN_PATHS {
        let shown = path.replace("{*path}", "…");
        assert!(GUIDE.contains(&format!("| `{shown}` |")), "{path}");
    }
    assert_eq!(GUIDE.matches("\n| `/").count(), countersign_server::api::OPEN_PATHS.len());
}
