//! Runs implementations of the C2SP log formats that others wrote over a directory with a log's files.
//!
//! The directory holds `checkpoint` and `tile/…` as a server gives them, and may hold `proofs/<index>.tlog-proof`,
//! `history/<size>` (older checkpoints) and `consistency/<old size>` (one base64 hash a line).

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A log's files and the key that must have signed its checkpoints.
pub(crate) struct JudgeInput<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) vkey: String,
}

/// Go's `sumdb/note` and `sumdb/tlog`: Debian packages `golang-go` and `golang-golang-x-mod-dev`.
/// `Ok` holds what was checked, `Err` why the log was refused.
pub(crate) fn go_sumdb(input: &JudgeInput<'_>) -> Result<String, String> {
    let output = Command::new("go")
        .args(["run", "main.go"])
        .arg(input.directory)
        .arg(&input.vkey)
        .current_dir(judges().join("go"))
        .env_remove("GOFLAGS")
        .envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode")])
        .output();
    verdict(output, "go", "apt-get install golang-go golang-golang-x-mod-dev")
}

/// PyPI `aics-tlog`, in the project's Python environment.
/// `Ok` holds what was checked, `Err` why the log was refused.
pub(crate) fn aics_tlog(input: &JudgeInput<'_>) -> Result<String, String> {
    python(&["judge".as_ref(), input.directory.as_os_str(), input.vkey.as_ref()])
}

/// Lets `aics-tlog` cosign the directory's checkpoint as a witness. `Ok` holds the witness's vkey.
pub(crate) fn aics_cosign(input: &JudgeInput<'_>, timestamp_s: u64) -> Result<String, String> {
    python(&["cosign".as_ref(), input.directory.as_os_str(), timestamp_s.to_string().as_ref()])
}

fn python(arguments: &[&std::ffi::OsStr]) -> Result<String, String> {
    let python = env::var_os("CS_TEST_PYTHON").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/countersign/venv/bin/python"),
        PathBuf::from,
    );
    let output = Command::new(&python).arg(judges().join("aics_tlog_judge.py")).args(arguments).output();
    verdict(output, &python.display().to_string(), "cargo xtask test, which prepares the Python environment")
}

fn judges() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tlog/tests/judges")
}

/// A judge prints `accepted: …` or `refused: …`; anything else means that it did not run, which fails the test.
fn verdict(output: std::io::Result<Output>, tool: &str, remedy: &str) -> Result<String, String> {
    let output = output.unwrap_or_else(|error| panic!("{tool} did not start ({error}): {remedy}"));
    let text = String::from_utf8_lossy(&output.stdout);
    match (output.status.success(), text.trim().split_once(": ")) {
        (true, Some(("accepted", what))) => Ok(what.to_owned()),
        (false, Some(("refused", why))) => Err(why.to_owned()),
        _ => panic!("{tool} gave no verdict ({remedy}): {text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}
