//! The real program as a process of its own, behind a cable, over data that outlives it.

use std::{
    fs::{self, File, OpenOptions},
    future::Future,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use countersign_core::scope::{Scope, Scopes};
use countersign_store::testing::{self, proxy::Proxy};

use crate::app::write_secret;

/// Looks again and again until there is something to see.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    seconds: u64,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(seconds), "{what}: not within {seconds} s");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until a server listens that logs to this file from this byte on; its port.
pub(crate) async fn listening(log: &Path, from: usize, server: &mut Child) -> u16 {
    let begun = Instant::now();
    loop {
        let said = fs::read(log).unwrap();
        let said = String::from_utf8_lossy(&said[from..]).into_owned();
        let listening = said.split_once("Listening on 127.0.0.1:").map(|(_, rest)| rest);
        if let Some((port, _)) = listening.and_then(|rest| rest.split_once(' ')) {
            break port.parse().unwrap();
        }
        let ended = server.try_wait().unwrap();
        let in_time = begun.elapsed() < Duration::from_mins(1);
        assert!(ended.is_none() && in_time, "the server does not start ({ended:?}): {said}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Where the program keeps its data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

pub(crate) struct Service {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    running: Option<Child>,
    /// Another server over the same data, which nobody calls: it does what there is to do.
    beside: Option<Child>,
    /// What stands between the program and its callers.
    pub(crate) front: Proxy,
    /// What stands between the program and PostgreSQL.
    pub(crate) database: Option<Proxy>,
    /// The port of the process itself.
    pub(crate) port: u16,
}

impl Service {
    pub(crate) async fn new(database: Database, settings: &[(&str, u32)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let front = Proxy::start(1).await.unwrap();
        let public_url = format!("https://localhost:{}", front.port());
        let data = folder.path().join("data").display().to_string();
        let mut all: Vec<(String, String)> = [
            ("SERVER__LISTEN", "127.0.0.1:0".to_owned()),
            ("SERVER__PUBLIC_URL", public_url),
            ("SERVER__DATA_DIR", data),
            ("LOG__LEVEL", "warn".to_owned()),
        ]
        .into_iter()
        .chain(settings.iter().map(|(name, value)| (*name, value.to_string())))
        .map(|(name, value)| (format!("COUNTERSIGN_{name}"), value))
        .collect();
        let mut cable = None;
        if database == Database::Postgres {
            let cluster = testing::cluster().unwrap();
            let proxy = Proxy::start(cluster.port()).await.unwrap();
            let url = cluster.database().await.unwrap();
            let through = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", proxy.port()));
            let file = folder.path().join("database-url");
            write_secret(&file, &through);
            all.push(("COUNTERSIGN_SERVER__DATABASE_URL_FILE".to_owned(), file.display().to_string()));
            cable = Some(proxy);
        }
        Self { folder, settings: all, running: None, beside: None, front, database: cable, port: 0 }
    }

    /// Has webhooks go to receivers of this authority at `localhost`.
    pub(crate) fn trust(&mut self, authority: &str) {
        let file = self.folder.path().join("egress-ca.pem");
        fs::write(&file, authority).unwrap();
        self.settings.push(("COUNTERSIGN_EGRESS__CA_FILE".to_owned(), file.display().to_string()));
        let hosts = "[\"localhost\"]".to_owned();
        self.settings.push(("COUNTERSIGN_EGRESS__ALLOW_HOSTS".to_owned(), hosts));
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.front.port())
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(words).envs(self.settings.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Runs the program for a moment; what it printed. It must succeed.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {printed}{complaint}{}", self.said());
        printed.trim().to_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("service.log")
    }

    /// What the processes said, the last of it.
    pub(crate) fn said(&self) -> String {
        let said = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(8_000)..]).into_owned()
    }

    /// Starts the server, and does not wait for it.
    pub(crate) fn begin(&mut self) {
        assert!(self.running.is_none());
        let log: File = OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command(&["serve"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.running = Some(command.spawn().unwrap());
    }

    /// Starts the server, and waits until it listens.
    pub(crate) async fn start(&mut self) {
        let before = fs::read(self.log()).unwrap_or_default().len();
        self.begin();
        let port = listening(&self.log(), before, self.running.as_mut().unwrap()).await;
        self.port = port;
        self.front.lead_to(port);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.running.take().unwrap();
        let before = child.try_wait().unwrap();
        assert!(before.is_none(), "the server ended by itself ({before:?}): {}", self.said());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts another server over the same data.
    pub(crate) async fn start_beside(&mut self) {
        assert!(self.beside.is_none());
        let log = self.folder.path().join("beside.log");
        let before = fs::read(&log).unwrap_or_default().len();
        let file: File = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = self.command(&["serve"]);
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut child = command.spawn().unwrap();
        listening(&log, before, &mut child).await;
        self.beside = Some(child);
    }

    /// SIGKILL to the other one.
    pub(crate) fn kill_beside(&mut self) {
        let mut child = self.beside.take().unwrap();
        assert!(child.try_wait().unwrap().is_none(), "the server beside ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let process = self.running.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args(["-TERM", &process]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until the server ends after [`Self::terminate`].
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.running.take().unwrap();
        until("the end of the server", 60, || std::future::ready(child.try_wait().unwrap())).await
    }

    /// An API key of an organization of its own.
    pub(crate) fn token(&self, organization: &str) -> String {
        let id = self.run(&["organizations", "create", organization]);
        let mut words = vec!["keys", "create", "--organization", &id];
        words.extend(Scopes::FOR_KEYS.iter().map(Scope::text).flat_map(|scope| ["--scope", scope]));
        self.run(&words)
    }

    /// Clients that trust this server, each with a cookie jar of its own.
    pub(crate) fn clients(&self) -> impl Fn() -> reqwest::Client + Send + Sync + 'static {
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ca = fs::read(self.data().join("tls-ca.pem")).unwrap();
        move || {
            reqwest::Client::builder()
                .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
                .resolve("localhost", ([127, 0, 0, 1], 0).into())
                .cookie_store(true)
                .no_proxy()
                .timeout(Duration::from_mins(1))
                .build()
                .unwrap()
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for mut child in self.running.take().into_iter().chain(self.beside.take()) {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
