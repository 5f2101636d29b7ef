//! a fuzzer that reads the OpenAPI document sends what it allows and what it forbids, and judges the answers.

use std::{path::Path, process::Stdio};

use tokio::process::Command;

use crate::{
    app::{TestApp, envelope_of, pdf},
    sealing::python,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_no_answer_that_the_openapi_document_does_not_describe() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    let port = test.url.rsplit_once(':').unwrap().1.to_owned();
    let url = format!("https://localhost:{port}");
    let folder = tempfile::tempdir().unwrap();
    let judges = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judges");
    let run = Command::new(python().with_file_name("schemathesis"))
        .current_dir(folder.path())
        .env("PYTHONPATH", &judges)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("--config-file")
        .arg(judges.join("schemathesis.toml"))
        .args(["run", &format!("{url}/v1/openapi.json"), "--url", &url])
        .arg("--tls-verify")
        .arg(test.app.config.development_ca_file())
        .args(["--header", &format!("Authorization: Bearer {}", key.token)])
        .args(["--mode", "all", "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "6", "--seed", "7", "--generation-deterministic"])
        .args(["--checks", "all", "--exclude-checks", "ignored_auth,missing_required_header"])
        .args(["--warnings", "off"])
        .args([
            "--suppress-health-check",
            "all",
            "--request-timeout",
            "20",
            "--request-retries",
            "2",
            "--no-color",
        ])
        .stdin(Stdio::null())
        .output()
        .await
        .expect("cargo xtask test prepares the Python environment");
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));
    test.work().await;
    test.finish().await;
}
