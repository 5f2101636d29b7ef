//! The program `countersign-verify`: exit codes, keys and both forms of the report (E-6).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::story::{archive, forger, keys, package, sandbox_package};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("written");
        path
    }
}

fn run(file: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let program = Command::new(env!("CARGO_BIN_EXE_countersign-verify")).arg(file).args(more).output();
    let Output { status, stdout, stderr } = program.expect("it starts");
    (
        status.code(),
        String::from_utf8_lossy(&stdout).into_owned(),
        String::from_utf8_lossy(&stderr).into_owned(),
    )
}

/// The package as `zip` writes it who unpacked it: with its files deflated.
fn repacked() -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let mut package = zip::ZipArchive::new(std::io::Cursor::new(archive())).expect("an archive");
    let mut again = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in 0..package.len() {
        let mut file = package.by_index(index).expect("a file");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("its bytes");
        let name = file.name().expect("a name").into_owned();
        again.start_file(name, zip::write::SimpleFileOptions::default()).expect("a place");
        again.write_all(&bytes).expect("written");
    }
    again.finish().expect("an archive").into_inner()
}

#[test]
fn e_6_exit_codes_say_genuine_failed_or_not_fully_checked() {
    let folder = Folder::new();
    let zip = folder.put("package.zip", archive());
    let pdf = folder.put("sealed.pdf", &package().documents[0].sealed);
    let key = keys()[0].to_string();
    let key_file = folder.put("keys", format!("{}\n\n{key}\n", forger().verifier()).as_bytes());
    let key_file = key_file.to_str().expect("a path");
    for file in [&zip, &pdf] {
        let (code, out, _) = run(file, &["--key", &key]);
        assert_eq!(code, Some(0), "{out}");
        assert!(out.contains("GENUINE: env_144gj289144gj289144gj28914") && !out.contains("NOT"), "{out}");
        assert_eq!(run(file, &["--key", key_file]).0, Some(0));
        let (code, out, _) = run(file, &[]);
        assert_eq!(code, Some(2));
        assert!(out.contains("NOT FULLY CHECKED") && out.contains("no key of the log was given"), "{out}");
        let (code, out, _) = run(file, &["--key", &forger().verifier().to_string()]);
        assert_eq!(code, Some(1));
        assert!(out.contains("First failure: checkpoint"), "{out}");
        for (name, id) in [
            (keys()[0].name(), keys()[0].key_id()),
            (forger().verifier().name(), forger().verifier().key_id()),
        ] {
            assert!(out.contains(&format!("\"{name}\"+{id:08x}")), "both keys are named: {out}");
        }
    }
    let (_, out, _) = run(&folder.put("again.zip", &repacked()), &["--key", &key]);
    assert!(out.contains("packing it again does this"), "{out}");
    let mut changed = archive().to_vec();
    let at = changed.len() / 2;
    changed[at] ^= 1;
    let changed = folder.put("changed.zip", &changed);
    let (code, out, _) = run(&changed, &["--key", &key, "--json"]);
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(report["first_failure"], "archive");
    assert_eq!(report["verdict"], "failed");
}

#[test]
fn e_6_a_sandbox_envelope_never_reads_like_a_live_one() {
    let folder = Folder::new();
    let package = sandbox_package();
    let zip = folder.put("package.zip", &package.to_bytes().expect("a package"));
    let pdf = folder.put("sealed.pdf", &package.documents[0].sealed);
    let key = keys()[0].to_string();
    for file in [&zip, &pdf] {
        let (code, out, _) = run(file, &["--key", &key]);
        assert_eq!(code, Some(3), "{out}");
        assert!(
            out.contains("GENUINE BUT A SANDBOX TEST: it binds nobody.") && !out.contains("GENUINE:"),
            "{out}"
        );
        assert!(out.contains("This is a sandbox envelope"), "{out}");
        let (code, out, _) = run(file, &["--key", &key, "--json"]);
        let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((code, &report["environment"]), (Some(3), &"sandbox".into()));
        assert_eq!(report["verdict"], "genuine_sandbox");
        let (code, out, _) = run(file, &[]);
        assert_eq!(code, Some(2));
        assert!(out.contains("It is a sandbox test and binds nobody."), "{out}");
    }
    let zip = folder.put("live.zip", archive());
    let (_, out, _) = run(&zip, &["--key", &key, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&report["environment"], &report["verdict"]), (&"live".into(), &"genuine".into()));
}

#[test]
fn a_call_that_is_not_understood_says_what_is_wrong() {
    let folder = Folder::new();
    let zip = folder.put("package.zip", archive());
    let empty = folder.put("empty", b"\n");
    let (code, out, errors) = run(&folder.0.path().join("missing.zip"), &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(errors.contains("missing.zip cannot be read"), "{errors}");
    let (code, _, errors) = run(&zip, &["--key", "nonsense"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("neither a verifier key nor a readable file"), "{errors}");
    let (code, _, errors) = run(&zip, &["--key", empty.to_str().expect("a path")]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("holds no key"), "{errors}");
    let (code, _, errors) = run(&zip, &["--key", zip.to_str().expect("a path")]);
    assert_eq!(code, Some(2), "{errors}");
    assert_eq!(run(&zip, &["--online"]).0, Some(2));
}
