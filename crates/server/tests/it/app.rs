//! The test app: the real server in this process, over TLS on a free port, with a clock that a test moves and dice that
//! it seeds.

use std::{
    collections::HashSet,
    fmt::Write as _,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{ApiKeyId, OrganizationId},
    scope::Scopes,
    time::Time,
};
use countersign_server::{
    accounts::passwords::Cost,
    app::{App, Clock, Randomness, SystemClock},
    config::{Config, Mail},
    doctor,
    http::accept::{Serving, serve},
    jobs,
    logs::{self, Lines},
    organizations::{self, ApiKeyWish},
    tls::Tls,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;

/// A clock that stands still until a test moves it. It starts at the machine's time, because TLS certificates are
/// checked against that.
pub(crate) struct TestClock {
    ms: AtomicI64,
    /// Since when it goes along with the machine's, if it does.
    going_since: Option<Time>,
}

impl TestClock {
    fn new(goes: bool) -> Self {
        let now = SystemClock.now();
        Self { ms: AtomicI64::new(now.unix_ms()), going_since: goes.then_some(now) }
    }

    pub(crate) fn forward_s(&self, seconds: i64) {
        self.ms.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        let gone_ms = self.going_since.map_or(0, |since| SystemClock.now().since_ms(since));
        Time::from_unix_ms(self.ms.load(Ordering::SeqCst) + gone_ms)
    }
}

/// Dice with a seed: the same test draws the same numbers.
pub(crate) struct TestDice {
    seed: u64,
    drawn: AtomicU64,
}

impl TestDice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Randomness for TestDice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
            let block = Digest::of_parts(&[b"test dice", &self.seed.to_be_bytes(), &drawn.to_be_bytes()]);
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

/// What a test may want to be otherwise.
pub(crate) struct Options {
    pub(crate) seed: u64,
    /// PostgreSQL instead of SQLite.
    pub(crate) postgres: bool,
    /// Its database, if it is not a new one of the cluster of all tests.
    pub(crate) database_url: Option<String>,
    pub(crate) configure: fn(&mut Config),
    /// Whether its public URL has its port in it, for clients that are not told where `sign.test` is.
    pub(crate) has_own_port: bool,
    /// Whether its clock goes, for clients that sign with the time of the machine.
    pub(crate) clock_goes: bool,
    /// The mail server of live environments.
    pub(crate) mail: Option<Mail>,
    /// Time for one attempt of a delivery, where it is not the usual one.
    pub(crate) attempt_deadline: Option<Duration>,
    /// Cost of a password's hash: small, where a test is not about it.
    pub(crate) cost: Cost,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            postgres: false,
            database_url: None,
            configure: |_| {},
            has_own_port: false,
            clock_goes: false,
            mail: None,
            attempt_deadline: None,
            cost: Cost::of(8, 1),
        }
    }
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps the log lines of all tests of this process. A subscriber for one test alone would miss lines, because what
/// is logged is decided once for the process.
fn keep_lines() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let lines = Lines::new(|line: &str| LINES.lock().unwrap().push(line.to_owned()));
        let filter = logs::checked("info").unwrap();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(filter).with(lines))
            .unwrap();
    });
}

/// The log lines of all tests of this process so far.
pub(crate) fn logged() -> Vec<String> {
    LINES.lock().unwrap().clone()
}

/// The log's last line about a request, by the headers of its answer.
pub(crate) fn log_line(answer: &reqwest::header::HeaderMap) -> Value {
    let id = answer["x-request-id"].to_str().unwrap();
    let lines = LINES.lock().unwrap();
    let line = lines.iter().rfind(|line| line.contains(id) && line.contains("\"answered\""));
    serde_json::from_str(line.expect("the line of a request")).unwrap()
}

/// The server under test.
pub(crate) struct TestApp {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) client: reqwest::Client,
    pub(crate) url: String,
    pub(crate) folder: Arc<tempfile::TempDir>,
    options: Options,
    serving: Option<Serving>,
    keys_sent: Mutex<HashSet<String>>,
}

/// The file with the URL of this test's own PostgreSQL database.
async fn database_url_file(folder: &Path, url: Option<String>) -> PathBuf {
    let file = folder.join("database-url");
    if !file.exists() {
        let url = match url {
            Some(url) => url,
            None => countersign_store::testing::cluster().unwrap().database().await.unwrap(),
        };
        write_secret(&file, &url);
    }
    file
}

/// Writes a file that only its owner may read.
pub(crate) fn write_secret(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(TestClock::new(options.clock_goes));
        Self::run(folder, clock, options).await
    }

    async fn run(folder: Arc<tempfile::TempDir>, clock: Arc<TestClock>, options: Options) -> Self {
        keep_lines();
        let mut config = Config::default();
        config.server.data_dir = folder.path().join("data");
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.server.public_url = "https://sign.test".to_owned();
        if options.has_own_port {
            let port = countersign_store::testing::free_port().unwrap();
            config.server.listen.set_port(port);
            config.server.public_url = format!("https://sign.test:{port}");
        }
        if options.postgres {
            config.server.database_url_file =
                Some(database_url_file(folder.path(), options.database_url.clone()).await);
        }
        config.server.shutdown_s = 2;
        if let Some(mail) = &options.mail {
            config.mail = mail.clone();
        }
        (options.configure)(&mut config);
        // Another start draws other numbers, as another process would.
        let dice = Arc::new(TestDice::new(
            options.seed.wrapping_mul(1_000_003) ^ clock.now().unix_ms().cast_unsigned(),
        ));
        let started = App::open_with(config, Arc::clone(&clock) as _, dice, options.cost).await.unwrap();
        let mut app = started.app;
        if let Some(deadline) = options.attempt_deadline {
            let own = Arc::get_mut(&mut app).unwrap();
            own.webhooks.give_time(deadline);
        }
        let tls = Tls::open(&app.config, app.now()).unwrap();
        let serving = serve(Arc::clone(&app), Some(&tls)).await.unwrap();
        let ca = std::fs::read(app.config.development_ca_file()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        // Another test of this process may have been first.
        let _ = provider.install_default();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
            .redirect(reqwest::redirect::Policy::none())
            .resolve("sign.test", serving.address)
            .no_proxy()
            .build()
            .unwrap();
        let url = format!("https://sign.test:{}", serving.address.port());
        Self { app, clock, client, url, folder, options, serving: Some(serving), keys_sent: Mutex::default() }
    }

    /// Another server on the same database and folder, with the same clock and dice of its own.
    pub(crate) async fn beside(&self, seed: u64) -> Self {
        let options = Options { seed, postgres: self.options.postgres, ..Options::default() };
        Self::run(Arc::clone(&self.folder), Arc::clone(&self.clock), options).await
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) async fn restart(mut self) -> Self {
        self.serving.take().unwrap().stop().await.unwrap();
        let Self { folder, clock, options, app, .. } = self;
        drop(app);
        Self::run(folder, clock, options).await
    }

    /// Runs all jobs that are due, and those that follow from them.
    pub(crate) async fn work(&self) -> usize {
        jobs::run_due(&self.app).await.unwrap()
    }

    /// A browser of its own: a cookie jar, and a name for itself.
    pub(crate) fn browser(&self) -> reqwest::Client {
        let ca = std::fs::read(self.app.config.development_ca_file()).unwrap();
        browser(&ca, "Mozilla/5.0 (Test)", "127.0.0.1".parse().unwrap())
    }

    /// Ends a test: no job is due, and the doctor finds nothing.
    pub(crate) async fn finish(mut self) {
        let due = self.app.store.next_due().await.unwrap();
        assert!(due.is_none_or(|due| due > self.app.now()), "a job is due: {due:?}, now {}", self.app.now());
        let report = doctor::examine(&self.app).await.unwrap();
        assert!(report.is_clean(), "{report}");
        self.serving.take().unwrap().stop().await.unwrap();
    }

    /// Ends a test that leaves jobs on purpose: it has no worker.
    pub(crate) async fn finish_without_worker(mut self) {
        let report = doctor::examine(&self.app).await.unwrap();
        assert!(report.is_clean(), "{report}");
        self.serving.take().unwrap().stop().await.unwrap();
    }

    pub(crate) async fn organization(&self, name: &str) -> OrganizationId {
        organizations::create(&self.app, name).await.unwrap().organization
    }

    /// A new API key: its tenant and its token.
    pub(crate) async fn key(
        &self,
        organization: OrganizationId,
        environment: Environment,
        scopes: impl Into<Scopes>,
    ) -> Key {
        let wish = ApiKeyWish {
            environment,
            scopes: scopes.into(),
            label: "test".to_owned(),
            lifetime_s: 90 * 24 * 3_600,
        };
        let made = organizations::create_api_key(&self.app, organization, wish).await.unwrap();
        Key { id: made.row.key, tenant: made.row.tenant, token: made.token.expose().to_owned() }
    }

    /// An organization and a sandbox key with all scopes that a key can have.
    pub(crate) async fn sandbox(&self, name: &str) -> Key {
        let organization = self.organization(name).await;
        self.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, key: &Key, path: &str) -> Response {
        self.request(Method::GET, path).bearer_auth(&key.token).send().await.unwrap()
    }

    pub(crate) async fn get_json(&self, key: &Key, path: &str) -> Value {
        let response = self.get(key, path).await;
        let status = response.status();
        let body = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A POST with a key that no other request of this test has.
    pub(crate) fn post(&self, key: &Key, path: &str) -> RequestBuilder {
        let mut sent = self.keys_sent.lock().unwrap();
        let idempotency_key = format!("test-{}", sent.len());
        sent.insert(idempotency_key.clone());
        self.request(Method::POST, path).bearer_auth(&key.token).header("Idempotency-Key", idempotency_key)
    }

    pub(crate) async fn post_json(&self, key: &Key, path: &str, body: &Value) -> (StatusCode, Value) {
        let response = self.post(key, path).json(body).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Uploads a PDF and gives its id.
    pub(crate) async fn upload(&self, key: &Key, name: &str, pdf: Vec<u8>) -> String {
        let request = self.post(key, &format!("/v1/documents?name={name}"));
        let response = request.header("Content-Type", "application/pdf").body(pdf).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    /// Creates an envelope and gives its id.
    pub(crate) async fn create(&self, key: &Key, body: &Value) -> String {
        let (status, body) = self.post_json(key, "/v1/envelopes", body).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    /// Sends an envelope.
    pub(crate) async fn send(&self, key: &Key, envelope: &str) -> Value {
        let path = format!("/v1/envelopes/{envelope}/send");
        let response = self.post(key, &path).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }
}

/// A browser that trusts `ca` (PEM), goes nowhere but to `sign.test`, reaches `sign.test` on the loopback address, and says who it is and whence.
pub(crate) fn browser(ca: &[u8], user_agent: &str, address: IpAddr) -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(ca).unwrap()])
        .resolve("sign.test", "127.0.0.1:0".parse().unwrap())
        .local_address(address)
        .redirect(reqwest::redirect::Policy::custom(|attempt| match attempt.url().host_str() {
            Some("sign.test") => attempt.follow(),
            _ => attempt.stop(),
        }))
        .cookie_store(true)
        .user_agent(user_agent)
        .no_proxy()
        .build()
        .unwrap()
}

/// An API key of a test.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: ApiKeyId,
    pub(crate) tenant: Tenant,
    pub(crate) token: String,
}

/// A PDF with so many empty A4 pages.
pub(crate) fn pdf(page_count: usize) -> Vec<u8> {
    heavy_pdf(page_count, 0)
}

/// The same with a comment of so many bytes in it.
pub(crate) fn heavy_pdf(page_count: usize, comment_bytes: usize) -> Vec<u8> {
    let kids: Vec<String> = (0..page_count).map(|page| format!("{} 0 R", page + 3)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Count {page_count} /Kids [{}] >>", kids.join(" ")),
    ];
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> >>";
    objects.extend((0..page_count).map(|_| page.to_owned()));
    let mut file = format!("%PDF-1.7\n%{}\n", "x".repeat(comment_bytes));
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", index + 1).unwrap();
    }
    let xref = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    let size = objects.len() + 1;
    write!(file, "trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n").unwrap();
    file.into_bytes()
}

/// An envelope of one document with one signer.
pub(crate) fn envelope_of(document: &str) -> Value {
    serde_json::json!({
        "title": "Lease of the old mill",
        "documents": [{ "id": document }],
        "recipients": [{ "name": "Ada Lovelace", "email": "ada@example.com", "role": "signer", "factor": "link" }],
        "fields": [{
            "document": 0, "recipient": 0, "kind": "signature", "page": 1, "label": "Signature",
            "rect": { "x": 72, "y": 600.5, "width": 180, "height": 40 },
        }],
    })
}
