//! `countersign demo`: the whole product on one machine. Serves, sends the example contract to two people, signs as both
//! through the pages' own requests, waits for the seal, writes and verifies the evidence, and keeps serving.

pub mod api;
pub mod ceremony;
pub mod client;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use countersign_core::{
    access::Environment,
    digest::Digest,
    envelope::event::Factor,
    id::OrganizationId,
    oauth::{
        client::Registration,
        jose::{Algorithm, Jwk, JwkSet},
    },
    scope::{Scope, Scopes},
    security::SecurityActor,
};
use countersign_verify::{Report, Verdict, Verifier, verify_package, verify_sealed_pdf};
use serde_json::{Value, json};
use thiserror::Error;

use self::{
    api::{Api, id_of, key_of},
    ceremony::{Person, sign},
    client::DpopClient,
};
use crate::{
    app::{App, SystemClock, SystemRandomness},
    clients,
    command_line::print,
    config::Config,
    egress,
    fault::{Failure, Fault},
    http::accept::serve,
    jobs::Dispatcher,
    keys::SigningKey,
    organizations,
    security::Circumstances,
    tls::Tls,
};

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Port on the loopback address.
    pub port: u16,
    /// Where results go.
    pub out: PathBuf,
    /// Where the demo keeps its data.
    pub data: PathBuf,
    /// Where the example contracts are.
    pub examples: PathBuf,
    /// Exit when the evidence is verified.
    pub once: bool,
}

/// Why the demo did not come to its end.
#[derive(Debug, Error)]
pub enum DemoFault {
    /// The server does not start, or broke.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// A request was refused.
    #[error("{what} was answered {status}: {body}")]
    Refused {
        /// What was asked.
        what: String,
        /// HTTP status.
        status: u16,
        /// The answer.
        body: String,
    },
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Http(#[from] reqwest::Error),
    /// An answer is not what it should be.
    #[error("{0}")]
    Unexpected(String),
    /// The evidence is not genuine, or could not be checked.
    #[error("the evidence does not verify: {0}")]
    NotGenuine(String),
}

impl From<Fault> for DemoFault {
    fn from(fault: Fault) -> Self {
        Self::Failure(fault.into())
    }
}

const ORGANIZATION: &str = "Northwind Instruments";
/// The contract of the envelope that the demo signs, and of the one that its reader signs.
const EXAMPLES: [&str; 2] = ["consulting-agreement.pdf", "non-disclosure-agreement.pdf"];
/// How the verifier is called in the repository: it is built from the same crates as the demo, which are built by then.
pub const VERIFY: &str = "cargo run --release --bin countersign-verify --";
/// How long the demo waits for a mail or a seal before it says that something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The demo's server at work.
struct Running {
    app: Arc<App>,
    api: Api,
    url: String,
}

/// Runs the demo. `told_to_stop` ends it, unless it ends by itself.
pub async fn run(wish: Wish, told_to_stop: impl Future<Output = Result<(), Fault>>) -> Result<(), DemoFault> {
    check(&wish)?;
    let url = format!("https://localhost:{}", wish.port);
    say(&format!("Starting the server on {url} with its data in {} …", wish.data.display()));
    let mut config = Config::default();
    config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, wish.port));
    config.server.public_url.clone_from(&url);
    config.server.data_dir.clone_from(&wish.data);
    let started = App::open(config, Arc::new(SystemClock), Arc::new(SystemRandomness)).await?;
    for announcement in &started.announcements {
        say(announcement);
    }
    let app = started.app;
    check_organizations(&app, &wish).await?;
    let tls = Tls::open(&app.config, app.now())?;
    let serving = serve(Arc::clone(&app), Some(&tls)).await.map_err(|_| busy_port(&wish))?;
    let dispatcher = Dispatcher::start(Arc::clone(&app));
    let client = register(&app, Scopes::FOR_KEYS).await?;
    let running = Running { api: Api::of_client(egress::own_client(&app)?, &url, client), app, url };
    let told = story(&running, &wish).await?;
    if wish.once {
        print(told)?;
    } else {
        let waiting = second_envelope(&running, &wish).await?;
        let mailbox = api_key(&running.app, Scopes::of(&[Scope::MailboxRead])).await?;
        print(format_args!("{told}\n\n{}", invitation(&running, &waiting, &mailbox)))?;
        told_to_stop.await?;
    }
    serving.stop().await?;
    dispatcher.stop().await?;
    Ok(())
}

/// What can be known before anything is made: the port, the examples, and where the results go.
fn check(wish: &Wish) -> Result<(), DemoFault> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, wish.port)).map_err(|_| busy_port(wish))?;
    for example in EXAMPLES {
        std::fs::File::open(wish.examples.join(example))
            .map_err(|error| no_example(wish, example, &error))?;
    }
    std::fs::create_dir_all(&wish.out).map_err(|error| {
        let sentence = format!("the results cannot go to the folder {} (--out): {error}", wish.out.display());
        DemoFault::Unexpected(sentence)
    })
}

fn no_example(wish: &Wish, example: &str, error: &std::io::Error) -> DemoFault {
    let path = wish.examples.join(example);
    let sentence = format!(
        "{error}; run the demo in the repository's folder, or name its folder of examples with --examples"
    );
    Fault::file(&path, sentence).into()
}

/// The demo makes keys and envelopes as it likes: not in a folder in which somebody works.
async fn check_organizations(app: &App, wish: &Wish) -> Result<(), DemoFault> {
    let organizations = app.store.organizations().await.map_err(Fault::from)?;
    if organizations.iter().all(|row| row.name == ORGANIZATION) {
        return Ok(());
    }
    Err(DemoFault::Unexpected(format!(
        "{} has organizations that are not the demo's: it belongs to a server. Give the demo a folder of its own with --data",
        wish.data.display()
    )))
}

fn say(sentence: &str) {
    eprintln!("· {sentence}");
}

fn busy_port(wish: &Wish) -> DemoFault {
    let port = wish.port;
    let other = port.checked_add(1).unwrap_or(8443);
    DemoFault::Unexpected(format!(
        "port {port} cannot be used, most likely because another program has it. Choose another one: \
         cargo run --release -- demo --port {other}"
    ))
}

async fn organization(app: &App) -> Result<OrganizationId, DemoFault> {
    match organizations::find(app, ORGANIZATION).await {
        Ok(found) => Ok(found.organization),
        Err(Failure::Refused(_)) => Ok(organizations::create(app, ORGANIZATION).await?.organization),
        Err(broken) => Err(broken.into()),
    }
}

/// Registers the demo as a client of the FAPI 2.0 profile: its key proves who it is, and its tokens are bound to another.
async fn register(app: &App, scopes: Scopes) -> Result<DpopClient, DemoFault> {
    let key = || SigningKey::read(Algorithm::Es256, &SigningKey::generate(Algorithm::Es256)?);
    let (own, dpop) = (key()?, key()?);
    let public = own.public().ok_or_else(|| unexpected("a key has no public part"))?;
    let keys = JwkSet::new(vec![Jwk { key: public, kid: None, x5c: Vec::new() }]);
    let registration = Registration::of_key("Demo".to_owned(), keys, scopes);
    let tenant = organizations::tenant(organization(app).await?, Environment::Sandbox);
    let circumstances =
        Circumstances { actor: SecurityActor::Operator, origin: None, correlation: app.new_correlation() };
    let made = clients::register(app, &tenant, &circumstances, Scopes::ALL, registration, None).await?;
    Ok(DpopClient {
        id: made.client.row.client,
        issuer: app.oauth.issuer.clone(),
        scope: scopes.to_string(),
        key: own,
        dpop,
        clock: Arc::clone(&app.clock),
        random: Arc::clone(&app.random),
        held: Mutex::default(),
    })
}

/// A key for the mailbox page, which a person opens in a browser.
async fn api_key(app: &App, scopes: Scopes) -> Result<String, DemoFault> {
    let organization = organization(app).await?;
    let wish = organizations::ApiKeyWish {
        environment: Environment::Sandbox,
        scopes,
        label: "demo".to_owned(),
        lifetime_s: 24 * 3_600,
    };
    Ok(organizations::create_api_key(app, organization, wish).await?.token.expose().to_owned())
}

/// A signature and a date for each party, above the lines that the examples have for them.
fn fields(page: u32) -> Value {
    let field = |recipient: u32, kind: &str, label: &str, x: f64, y: f64, height: f64| {
        json!({
            "document": 0, "recipient": recipient, "kind": kind, "label": label, "page": page,
            "rect": { "x": x, "y": y, "width": 190.0, "height": height },
        })
    };
    let mut fields = Vec::new();
    for (recipient, x) in [(0, 74.0), (1, 329.0)] {
        fields.push(field(recipient, "signature", "Signature", x, 212.0, 44.0));
        fields.push(field(recipient, "date_signed", "Date", x, 294.0, 18.0));
        fields.push(field(recipient, "name", "Name", x, 334.0, 18.0));
        fields.push(field(recipient, "title", "Title", x, 356.0, 18.0));
    }
    Value::Array(fields)
}

fn recipient(name: &str, email: &str, order: u16, factor: Factor) -> Value {
    json!({ "name": name, "email": email, "role": "signer", "order": order, "factor": factor })
}

async fn send(
    running: &Running,
    wish: &Wish,
    example: &str,
    page: u32,
    title: &str,
    recipients: Value,
) -> Result<String, DemoFault> {
    let path = wish.examples.join(example);
    let pdf = std::fs::read(&path).map_err(|error| no_example(wish, example, &error))?;
    let run = running.app.draw::<16>();
    let document = running.api.upload(example, &key_of(&run, "upload"), pdf).await?;
    let body = json!({
        "title": title,
        "message": "Please read the agreement and sign on its last page.",
        "documents": [{ "id": document }],
        "recipients": recipients,
        "fields": fields(page),
    });
    let envelope = id_of(&running.api.post_json("/v1/envelopes", &key_of(&run, "create"), &body).await?)?;
    running.api.post(&format!("/v1/envelopes/{envelope}/send"), &key_of(&run, "send")).await?;
    Ok(envelope)
}

/// The first envelope, from upload to verified evidence; the report.
async fn story(running: &Running, wish: &Wish) -> Result<String, DemoFault> {
    let begun = running.app.now();
    say("Sending examples/consulting-agreement.pdf to two people, one after the other …");
    let (clara, jonas) = ("clara.weber@northwind.example", "jonas.okafor@consulting.example");
    let recipients = json!([
        recipient("Clara Weber", clara, 1, Factor::EmailCode),
        recipient("Jonas Okafor", jonas, 2, Factor::Link),
    ]);
    let envelope = send(running, wish, EXAMPLES[0], 3, "Consulting Agreement", recipients).await?;
    let drawn = json!({ "width": 300, "height": 100, "strokes": [
        [[20, 70], [45, 20], [52, 18], [48, 60], [40, 85], [30, 80]],
        [[60, 55], [75, 42], [88, 50], [80, 66], [66, 62], [60, 55]],
        [[95, 64], [108, 44], [116, 60], [128, 42], [138, 62], [152, 44], [166, 60], [190, 40], [230, 52], [285, 30]],
    ] });
    for (name, address, title, mark) in [
        ("Clara Weber", clara, "Head of Engineering", ("typed", "Clara Weber".to_owned())),
        ("Jonas Okafor", jonas, "Consultant", ("drawn", drawn.to_string())),
    ] {
        let link = link_of(running, address, &envelope).await?;
        say(&format!("{name} opens the link from the mail, agrees, reads, and signs …"));
        let http = egress::own_client(&running.app)?;
        let person = Person { http: &http, public_url: &running.url, values: &[("Title", title)], mark };
        let read_code = || -> std::pin::Pin<Box<dyn Future<Output = _> + Send + '_>> {
            Box::pin(code_of(running, address, &envelope))
        };
        sign(&person, &link, &read_code).await?;
    }
    say("Waiting for the seal …");
    let completed = wait_until_completed(running, &envelope).await?;
    let written = write_evidence(running, wish, &envelope, &completed).await?;
    let took_ms = running.app.now().since_ms(begun);
    Ok(report(&envelope, &written, took_ms))
}

/// Looks again until there is something to see.
async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> Result<T, DemoFault>
where
    F: Future<Output = Result<Option<T>, DemoFault>>,
{
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    });
    found.await.unwrap_or_else(|_| Err(DemoFault::Unexpected(format!("{what} did not come within a minute"))))
}

async fn link_of(running: &Running, address: &str, envelope: &str) -> Result<String, DemoFault> {
    let start = format!("{}/s/{envelope}#", running.url);
    eventually("the mail with the link", async || {
        let mail = running.api.mail(address, &[&start]).await?;
        let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        Ok(mail.and_then(|mail| {
            let (_, rest) = mail.split_once(&start)?;
            Some(format!("{start}{}", rest.split(end).next()?))
        }))
    })
    .await
}

async fn code_of(running: &Running, address: &str, envelope: &str) -> Result<String, DemoFault> {
    eventually("the mail with the code", async || {
        let mail = running.api.mail(address, &["Your code for", envelope]).await?;
        let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
        Ok(mail.and_then(|mail| mail.lines().map(str::trim).find(is_code).map(str::to_owned)))
    })
    .await
}

async fn wait_until_completed(running: &Running, envelope: &str) -> Result<Value, DemoFault> {
    eventually("the seal", async || {
        let read = running.api.get_json(&format!("/v1/envelopes/{envelope}")).await?;
        Ok((read.get("status").and_then(Value::as_str) == Some("completed")).then_some(read))
    })
    .await
}

/// What lies in the output folder.
struct Written {
    sealed: PathBuf,
    sealed_sha256: Digest,
    original_size_bytes: u64,
    original_sha256: String,
    package: PathBuf,
    package_report: Report,
    key: PathBuf,
}

async fn write_evidence(
    running: &Running,
    wish: &Wish,
    envelope: &str,
    read: &Value,
) -> Result<Written, DemoFault> {
    let document = read.pointer("/documents/0").ok_or_else(|| unexpected("the envelope has no document"))?;
    let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
    let path = format!("/v1/envelopes/{envelope}");
    let sealed = running.api.get(&format!("{path}/documents/{id}/sealed")).await?;
    let package = eventually("the seal in the log", async || {
        match running.api.get(&format!("{path}/evidence")).await {
            Ok(package) => Ok(Some(package)),
            Err(DemoFault::Refused { status: 503, .. }) => Ok(None),
            Err(other) => Err(other),
        }
    })
    .await?;
    let key = String::from_utf8_lossy(&running.api.get("/log/key").await?).trim().to_owned();
    say("Verifying the sealed PDF and the evidence package, with nothing but the log's public key …");
    let keys: Vec<Verifier> = vec![key.parse().map_err(|_| unexpected("the log's key cannot be read"))?];
    genuine("sealed.pdf", &verify_sealed_pdf(&sealed, &keys))?;
    let package_report = verify_package(&package, &keys);
    genuine("the evidence package", &package_report)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = wish.out.join(name);
        std::fs::write(&path, bytes).map_err(|error| Fault::file(&path, error)).map(|()| path)
    };
    Ok(Written {
        sealed_sha256: Digest::of(&sealed),
        original_size_bytes: document.get("size_bytes").and_then(Value::as_u64).unwrap_or_default(),
        original_sha256: document.get("sha256").and_then(Value::as_str).unwrap_or_default().to_owned(),
        sealed: write("sealed.pdf", &sealed)?,
        package: write("evidence.zip", &package)?,
        key: write("log.vkey", format!("{key}\n").as_bytes())?,
        package_report,
    })
}

fn unexpected(sentence: &str) -> DemoFault {
    DemoFault::Unexpected(sentence.to_owned())
}

fn genuine(what: &str, report: &Report) -> Result<(), DemoFault> {
    if report.verdict() == Verdict::GenuineSandbox {
        return Ok(());
    }
    Err(DemoFault::NotGenuine(format!("{what}\n{}", report.to_text())))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn report(envelope: &str, written: &Written, took_ms: i64) -> String {
    let Written { sealed, sealed_sha256, original_size_bytes, original_sha256, package, package_report, key } =
        written;
    let (sealed, package, key) = (shown(sealed), shown(package), shown(key));
    let checks = package_report.items.len();
    let seconds = took_ms / 1_000;
    let tenths = took_ms % 1_000 / 100;
    format!(
        "\nSigned, sealed and verified in {seconds}.{tenths} s.\n\
         \n  Envelope         {envelope}\
         \n  Original         {original_size_bytes} bytes, SHA-256 {original_sha256}\
         \n  Sealed PDF       {sealed}, SHA-256 {sealed_sha256}\
         \n  Evidence         {package}: genuine, of a sandbox ({checks} checks)\
         \n  Log key          {key}\n\
         \nOpen {sealed} in any PDF reader: the certificate of completion is at its end.\
         \nCheck it yourself, without this server:\
         \n  {VERIFY} {package} --key {key}   # exits with 3: genuine, a sandbox test\
         \n  head -c {original_size_bytes} {sealed} | sha256sum"
    )
}

/// A second envelope that waits for the reader.
async fn second_envelope(running: &Running, wish: &Wish) -> Result<String, DemoFault> {
    say("Sending a second envelope, which waits for you …");
    let recipients = json!([
        recipient("You", "you@example.com", 1, Factor::Link),
        recipient("Clara Weber", "clara.weber@northwind.example", 2, Factor::EmailCode),
    ]);
    let envelope = send(running, wish, EXAMPLES[1], 2, "Non-Disclosure Agreement", recipients).await?;
    link_of(running, "you@example.com", &envelope).await
}

fn invitation(running: &Running, link: &str, mailbox_key: &str) -> String {
    let (url, ca) = (&running.url, running.app.config.development_ca_file());
    format!(
        "Now sign one yourself. Open this link in a browser (it will warn once, because the server made its own\n\
         development CA, {}):\n\n  {link}\n\n\
         A second person, Clara Weber, has to sign after you. Her link, and the code that she is asked for, are among\n\
         the mails of this sandbox:\n\n  {url}/mailbox#{mailbox_key}\n\nCtrl-C stops the server.",
        ca.display()
    )
}
