//! Tools that are not ours read what we write: the commands of the README, unzip, qpdf, pyHanko, aics-tlog.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    files::Files,
    story::{archive, document_ids, keys, originals, package},
};

/// Runs a shell script in a folder; a tool that is missing fails the test.
fn shell(folder: &Path, script: &str) -> Output {
    for tool in ["sha256sum", "jq", "openssl", "qpdf", "unzip", "pdfsig"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().expect("a shell");
        assert!(
            found.status.success(),
            "{tool} is missing (Debian: coreutils, jq, openssl, qpdf, unzip, poppler-utils)"
        );
    }
    Command::new("bash")
        .args(["-c", &format!("set -euo pipefail\n{script}")])
        .current_dir(folder)
        .output()
        .expect("bash")
}

fn prints(folder: &Path, script: &str) -> String {
    let output = shell(folder, script);
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{out}\n{errors}");
    out.into_owned()
}

/// The package as `unzip` unpacks it.
fn unpacked() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("package.zip"), archive()).expect("written");
    prints(folder.path(), "unzip -tq package.zip && unzip -q package.zip");
    for (name, bytes) in Files::read(archive()).0 {
        assert_eq!(fs::read(folder.path().join(&name)).expect("unpacked"), bytes, "{name}");
    }
    folder
}

#[test]
fn d_5_three_lines_of_shell_find_the_original_in_the_sealed_pdf() {
    let folder = unpacked();
    for (id, original) in document_ids().into_iter().zip(originals()) {
        let script = format!(
            "head -c {} sealed/{id}.pdf | sha256sum | cut -d' ' -f1\nsha256sum originals/{id}.pdf | cut -d' ' -f1\n\
             jq -r '.event.event.body.value.documents[]? | select(.id == \"{id}\") | .sha256' events.jsonl",
            original.len()
        );
        let printed = prints(folder.path(), &script);
        let digests: Vec<&str> = printed.lines().collect();
        assert_eq!(digests.len(), 3);
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{printed}");
    }
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let folder = unpacked();
    let readme = fs::read_to_string(folder.path().join("README.txt")).expect("README.txt");
    let commands: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let ours = commands.iter().filter(|line| line.starts_with("countersign-verify")).count();
    assert_eq!(ours, 1);
    let script: Vec<&str> =
        commands.into_iter().filter(|line| !line.starts_with("countersign-verify")).collect();
    let printed = prints(folder.path(), &format!("VKEY='{}'\n{}", keys()[0], script.join("\n")));
    let digest = |line: &str| line.split(' ').next().filter(|word| word.len() == 64).map(str::to_owned);
    let digests: Vec<String> = printed.lines().filter_map(digest).collect();
    // Two for each document, two for the chain, two for the value: each pair is the same digest.
    assert_eq!(digests.len(), 8, "{printed}");
    for pair in digests.chunks(2) {
        assert_eq!(pair[0], pair[1], "{printed}");
    }
    assert!(printed.contains("Signature Verified Successfully"), "{printed}");
    assert_eq!(printed.matches("Signature is Valid").count(), 2, "{printed}");
    assert_eq!(printed.matches("\"kind\": \"document\"").count(), 2, "{printed}");
}

fn python() -> PathBuf {
    let cached = || {
        let home = std::env::var_os("HOME").map(PathBuf::from).expect("HOME is set");
        home.join(".cache/countersign/venv/bin/python")
    };
    let python = std::env::var_os("CS_TEST_PYTHON").map_or_else(cached, PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run `cargo xtask test` once, or set CS_TEST_PYTHON",
        python.display()
    );
    python
}

#[test]
fn e_3_other_code_accepts_the_whole_chain_and_every_opening() {
    let folder = unpacked();
    let script = r#"
import hashlib, json, sys
previous, values = "0" * 64, 0
for line in open("events.jsonl", encoding="utf-8"):
    line = json.loads(line)
    assert line["event"]["previous"] == previous
    # Keys are ASCII and numbers are integers, where sorted compact JSON is RFC 8785.
    canonical = json.dumps(line["event"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    previous = hashlib.sha256(canonical).hexdigest()
    committed = json.dumps(line["event"])
    for opening in line["openings"]:
        salted = b"countersign/veil/v1\0" + bytes.fromhex(opening["salt"]) + opening["value"].encode()
        assert hashlib.sha256(salted).hexdigest() == opening["sha256"] and opening["sha256"] in committed
        values += 1
entry = bytes.fromhex(line["leaf_id"]) + bytes.fromhex(previous)
# RFC 6962 §2.1.3.2 by itself.
proof = open("log/proof.tlog-proof").read()
head, checkpoint = proof.split("\n\n", 1)
import base64
lines = head.split("\n")
index, path = int(lines[1].split(" ")[1]), [base64.b64decode(part) for part in lines[2:]]
origin, size, root = checkpoint.split("\n")[:3]
fn, sn, node = index, int(size) - 1, hashlib.sha256(b"\0" + entry).digest()
for part in path:
    assert sn > 0
    if fn & 1 or fn == sn:
        node = hashlib.sha256(b"\1" + part + node).digest()
        while not fn & 1 and fn:
            fn, sn = fn >> 1, sn >> 1
    else:
        node = hashlib.sha256(b"\1" + node + part).digest()
    fn, sn = fn >> 1, sn >> 1
assert sn == 0 and node == base64.b64decode(root)
print(values)
"#;
    let output =
        Command::new(python()).args(["-c", script]).current_dir(folder.path()).output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let values = package().events.iter().map(|logged| logged.recorded.event.veiled().len()).sum::<usize>();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), values.to_string());
}
