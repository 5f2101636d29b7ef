//! Receivers of other languages: what the README of each package shows, run as a program of its own.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{authority, careless::Held};
use crate::oauth::{certificates::Wish, judges::place};

/// A receiver that ends with its test.
pub(crate) struct Process {
    pub(crate) url: String,
    _child: Child,
    input: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    _folder: tempfile::TempDir,
}

fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk").canonicalize().unwrap()
}

impl Process {
    /// The server of the Python package's README.
    pub(crate) async fn python() -> Self {
        let mut command = Command::new(place("CS_TEST_PYTHON", "venv/bin/python"));
        command
            .arg(sdk().join("vectors/servers/readme.py"))
            .env("PYTHONPATH", sdk().join("python/src"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Self::start(command, tempfile::tempdir().unwrap()).await
    }

    /// The server of the TypeScript package's README.
    pub(crate) async fn typescript() -> Self {
        let folder = typescript_package().await;
        fs::copy(sdk().join("vectors/servers/readme.mjs"), folder.path().join("readme.mjs")).unwrap();
        let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
        let (snippet, _) = readme.split_once("```ts\n").unwrap().1.split_once("```").unwrap();
        let declared = "declare function store(event: unknown): Promise<void>;\n";
        // The id is known when the endpoint is made, and the endpoint when the receiver listens.
        assert!(snippet.contains("\"whk_…\""), "{snippet}");
        let snippet = snippet.replace("\"whk_…\"", "process.env.WEBHOOK_KEY_ID!");
        fs::write(folder.path().join("snippet.ts"), format!("{declared}{snippet}")).unwrap();
        let options = "snippet.ts --ignoreConfig --strict --target ES2022 --module NodeNext --types node --lib \
                       ES2022,DOM,DOM.Iterable,DOM.AsyncIterable";
        compile(folder.path(), options).await;
        let mut command = Command::new("node");
        command.arg("readme.mjs").current_dir(folder.path());
        Self::start(command, folder).await
    }

    async fn start(mut command: Command, folder: tempfile::TempDir) -> Self {
        let (chain, key) = authority().certify(&Wish::dns("localhost")).files(folder.path(), "receiver");
        let mut child = command
            .env("CERTIFICATE", chain)
            .env("CERTIFICATE_KEY", key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut said = BufReader::new(output).lines();
        let port: u16 = said.next_line().await.unwrap().expect("a port").parse().unwrap();
        let url = format!("https://localhost:{port}/hooks/countersign");
        Self { url, _child: child, input, said, _folder: folder }
    }

    /// Gives it what it verifies with, and waits until it does.
    pub(crate) async fn hold(&mut self, held: &Held) {
        let line = json!({ "key_id": held.id, "secret": *held.secret.expose() });
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        assert_eq!(self.said.next_line().await.unwrap().as_deref(), Some("ready"));
    }

    /// The type of what it acts on next.
    pub(crate) async fn acted_on(&mut self) -> String {
        self.said.next_line().await.unwrap().unwrap()
    }
}

/// The TypeScript package, built, with what its tests need.
async fn typescript_package() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let parts = ["package.json", "tsconfig.json", "README.md", "src", "tests"];
    copy(&sdk().join("typescript"), folder.path(), &parts);
    symlink(place("CS_TEST_NODE_MODULES", "node/node_modules"), folder.path().join("node_modules")).unwrap();
    compile(folder.path(), "--project tsconfig.json").await;
    folder
}

/// What the packages of Python and TypeScript, and those of others, say to messages in the form of the wire format's vectors:
/// how many each ran, or took and refused. All of them must agree with what is expected there.
pub(crate) async fn judged(vectors: &Value) -> Vec<Value> {
    let folder = typescript_package().await;
    let file = folder.path().join("came.json");
    fs::write(&file, vectors.to_string()).unwrap();
    let mut said = Vec::new();
    for script in ["vectors.mjs", "judges.mjs"] {
        let mut command = Command::new("node");
        command.arg(folder.path().join("tests").join(script)).arg(&file);
        said.push(ran(command).await);
    }
    for script in ["vectors.py", "judges.py"] {
        let mut command = Command::new(place("CS_TEST_PYTHON", "venv/bin/python"));
        command
            .arg(sdk().join("python/tests").join(script))
            .env("CS_TEST_VECTORS", &file)
            .env("PYTHONPATH", sdk().join("python/src"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        said.push(ran(command).await);
    }
    said
}

async fn ran(mut command: Command) -> Value {
    let done = command.output().await.unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

async fn compile(folder: &Path, options: &str) {
    let mut command = Command::new("node");
    command.arg("node_modules/typescript/bin/tsc").args(options.split_whitespace()).current_dir(folder);
    let done = command.output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        let (source, target) = (from.join(name), to.join(name));
        if source.is_dir() {
            fs::create_dir(&target).unwrap();
            for entry in fs::read_dir(&source).unwrap() {
                let file = entry.unwrap();
                fs::copy(file.path(), target.join(file.file_name())).unwrap();
            }
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}
