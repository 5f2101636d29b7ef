//! A relay as a process of its own, its configuration, and a sender.

#![expect(
    clippy::disallowed_methods,
    reason = "another process is watched here, and that lives in real time"
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_webhooks::{MessageId, Secret};
use tempfile::TempDir;

use crate::testing;

pub(crate) const KEY_ID: &str = "whk_01kb1x8a9wh5t0c8m2q4r6s7vw";
pub(crate) const SECRET: [u8; 32] = [7; 32];
/// What forwarded messages are signed with in tests.
pub(crate) const FORWARD_SECRET: &str = "whsec_CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

/// Looks again and again until there is something to see.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn now_s() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// An id of the kind that a prefix says, another one each time.
pub(crate) fn id(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}_{:026}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A message as Countersign sends it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The body of an event of an envelope.
pub(crate) fn event(envelope: &str, sequence: u64) -> Vec<u8> {
    format!(
        r#"{{"type":"envelope.sent","timestamp":"2026-11-22T10:20:30.456Z","data":{{"organization":"org_1","environment":"live","envelope":"{envelope}","sequence":{sequence}}}}}"#
    )
    .into_bytes()
}

/// A message, signed with `v1` at a time.
pub(crate) fn signed(id: &str, time_s: i64, body: &[u8]) -> Sent {
    let message: MessageId = id.parse().unwrap();
    let signature = Secret::from_bytes(SECRET).sign(&message, time_s, body);
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", time_s.to_string()),
        ("webhook-signature", signature),
        ("webhook-key-id", KEY_ID.to_owned()),
        ("webhook-attempt-id", self::id("att")),
        ("webhook-event-class", "envelope".to_owned()),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Sent { id: id.to_owned(), headers, body: body.to_vec() }
}

/// A new message of now.
pub(crate) fn message() -> Sent {
    signed(&id("msg"), now_s(), &event("env_1", 1))
}

impl Sent {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Where a relay keeps its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

pub(crate) const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];

/// The URL of an empty database.
pub(crate) async fn database() -> String {
    testing::cluster().unwrap().database().await.unwrap()
}

/// A relay: a folder, variables, and a process now and then.
pub(crate) struct Relay {
    pub(crate) folder: TempDir,
    variables: Vec<(String, String)>,
    running: Option<Child>,
    /// How large its files may grow: a disk that is soon full.
    pub(crate) file_kib_max: Option<u32>,
    pub(crate) client: reqwest::Client,
    /// Where senders connect and where the operator's programs do, with `http://`.
    pub(crate) url: String,
    pub(crate) internal_url: String,
}

/// What most tests run with: `listen`, the tables after it, and where messages go.
pub(crate) fn configuration(listen: &str, more: &str, forward: &str) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n{listen}\n[internal]\naddress = \"127.0.0.1:0\"\n[queue]\nfile = \"relay.db\"\n\
         [senders.countersign]\nformat = \"countersign\"\n\
         keys = [{{ id = \"{KEY_ID}\", secret_env = \"CS_SECRET\" }}]\n{more}\n{forward}\n"
    )
}

/// Messages go to a system.
pub(crate) fn forward_to(url: &str) -> String {
    format!(
        "[senders.countersign.forward]\nurl = \"{url}\"\nattempt_s = 2\nsecret_envs = [\"FORWARD_SECRET\"]\n"
    )
}

impl Relay {
    /// A relay that does not run yet.
    pub(crate) fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("relay.toml"), configuration).unwrap();
        let variables = [
            ("CS_SECRET", Secret::from_bytes(SECRET).expose().to_string()),
            ("FORWARD_SECRET", FORWARD_SECRET.to_owned()),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self {
            folder,
            variables,
            running: None,
            file_kib_max: None,
            client,
            url: String::new(),
            internal_url: String::new(),
        }
    }

    /// One that runs.
    pub(crate) async fn start_with(configuration: &str) -> Self {
        let mut relay = Self::new(configuration);
        relay.start().await;
        relay
    }

    /// One that runs, over one of the databases.
    pub(crate) async fn start_over(database: Database, configuration: &str) -> Self {
        let mut relay = Self::new(configuration);
        relay.over(database).await;
        relay.start().await;
        relay
    }

    /// Gives it one of the databases.
    pub(crate) async fn over(&mut self, database: Database) {
        if database == Database::Postgres {
            self.over_url(&self::database().await);
        }
    }

    /// Gives it a PostgreSQL that others may share.
    pub(crate) fn over_url(&mut self, url: &str) {
        let file = self.folder.path().join("relay.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("file = \"relay.db\"", "postgres_url_env = \"DATABASE\"")).unwrap();
        self.set("DATABASE", url);
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    fn command(&self, words: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_countersign-relay");
        let mut command = Command::new(if self.file_kib_max.is_some() { "/bin/sh" } else { program });
        if let Some(kib) = self.file_kib_max {
            // In blocks of 512 bytes. A write beyond it fails, where the signal is ignored.
            let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
            command.args(["-c", &script, program]);
        }
        command.args(words).arg("--config").arg(self.folder.path().join("relay.toml"));
        command.env_clear().envs(self.variables.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs a command whose output nobody reads.
    pub(crate) fn run_unread(&self, words: &[&str]) -> Output {
        self.command(words)
            .stdout(unread())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap()
    }

    /// Starts the process with an output and a log that nobody reads.
    pub(crate) fn begin_unread(&mut self) {
        self.running = Some(self.command(&["serve"]).stdout(unread()).stderr(unread()).spawn().unwrap());
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("relay.log")
    }

    /// What the processes logged.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    /// Starts the process, and waits until it listens.
    pub(crate) async fn start(&mut self) {
        self.begin();
        self.listening().await;
    }

    /// Starts the process, and does not wait for it.
    pub(crate) fn begin(&mut self) {
        assert!(self.running.is_none());
        let append = |path: PathBuf| fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        let log: File = append(self.log());
        let output = self.folder.path().join("output");
        let _ = fs::remove_file(&output);
        self.running = Some(self.command(&["serve"]).stdout(append(output)).stderr(log).spawn().unwrap());
    }

    async fn listening(&mut self) {
        let output = self.folder.path().join("output");
        let log = self.log();
        let child = self.running.as_mut().unwrap();
        let line = until("the relay listens", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}: {}", fs::read_to_string(&log).unwrap_or_default());
            let said = fs::read_to_string(&output).unwrap_or_default();
            std::future::ready(said.ends_with('\n').then_some(said))
        })
        .await;
        self.heard(&line);
    }

    /// Takes the addresses out of what it says when it listens.
    pub(crate) fn heard(&mut self, line: &str) {
        let mut addresses = line.split(' ').filter(|word| word.starts_with("127.0.0.1:"));
        self.url = format!("http://{}", addresses.next().unwrap());
        self.internal_url = format!("http://{}", addresses.next().unwrap());
    }

    /// The process's id.
    pub(crate) fn process(&self) -> u32 {
        self.running.as_ref().unwrap().id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.running.take().unwrap();
        let before = child.try_wait().unwrap();
        assert!(before.is_none(), "the relay ended by itself ({before:?}): {}", self.said());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.process().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.running.take().unwrap();
        until("the end of the relay", || std::future::ready(child.try_wait().unwrap())).await
    }

    /// SIGTERM, and the end of the process.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.ended().await
    }

    /// Posts a message to a sender's path.
    pub(crate) async fn post_to(&self, name: &str, sent: &Sent) -> reqwest::Response {
        let mut request = self.client.post(format!("{}/in/{name}", self.url)).body(sent.body.clone());
        for (name, value) in &sent.headers {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }

    /// Posts a message of Countersign; the status.
    pub(crate) async fn post(&self, sent: &Sent) -> u16 {
        self.post_to("countersign", sent).await.status().as_u16()
    }

    /// What is at a path of the internal address: status and text.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("{}{path}", self.internal_url)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Waits until nothing waits in the queue.
    pub(crate) async fn until_empty(&self) {
        until("the queue is empty", || async { (self.metric("queue_messages").await == 0).then_some(()) })
            .await;
    }

    /// How often something came of requests or attempts: `received` or `forwarded`.
    pub(crate) async fn counted(&self, what: &str, outcome: &str) -> u64 {
        let label = format!("{what}_total{{sender=\"countersign\",outcome=\"{outcome}\"}}");
        self.metric(&label).await
    }

    /// The most memory that the process had, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// A gauge or a counter.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.ask("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("countersign_relay_{name} ")));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

/// A pipe whose other end is closed.
fn unread() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let said = self.said();
            let mut last = String::new();
            for line in said.lines().rev().take(20) {
                let _ = writeln!(last, "{line}");
            }
            eprintln!("the relay said, the last first:\n{last}");
        }
    }
}
