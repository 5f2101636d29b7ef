//! The configuration: one TOML file, and secrets from the environment. What is wrong in it is told with its place and what
//! to do, all at once.

mod checked;
mod machine;
pub(crate) mod pem;
mod secrets;
mod senders;
mod text;
mod tls;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;

use crate::fault::Fault;

pub use checked::{Checked, Database, Outlet, Sender};
pub use secrets::{Environment, Secrets};

/// What `countersign-relay init` writes.
pub const EXAMPLE: &str = include_str!("../example.toml");

/// The file, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where senders connect.
    pub listen: Listen,
    /// Where the operator's programs connect.
    #[serde(default)]
    pub internal: Internal,
    /// Where messages are kept.
    pub queue: Queue,
    /// Logs.
    #[serde(default)]
    pub log: Log,
    /// Who sends, by the name in `/in/NAME`.
    pub senders: BTreeMap<String, SenderFile>,
}

/// Where senders connect, and what one of them may cost.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address and port.
    #[serde(deserialize_with = "text::address")]
    pub address: SocketAddr,
    /// The certificate and what leads to its CA (PEM).
    pub tls_certificate_file: Option<PathBuf>,
    /// The certificate's key (PEM).
    pub tls_key_file: Option<PathBuf>,
    /// CAs whose client certificates are believed (PEM).
    pub client_ca_file: Option<PathBuf>,
    /// Whether something in front does TLS, so that plain text is taken on an address that others reach.
    #[serde(default)]
    pub behind_proxy: bool,
    /// Whose `X-Forwarded-For` is believed.
    #[serde(default, deserialize_with = "text::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Connections at once.
    #[serde(default = "defaults::connections")]
    pub connections: u32,
    /// Connections at once of one address, trusted proxies apart.
    #[serde(default = "defaults::connections_per_address")]
    pub connections_per_address: u32,
    /// Time for a request, from its first byte to its last, in seconds.
    #[serde(default = "defaults::request_s")]
    pub request_s: u32,
    /// The longest body, in bytes.
    #[serde(default = "defaults::body_bytes")]
    pub body_bytes: usize,
    /// What all bodies that are on their way may hold together, in bytes.
    #[serde(default = "defaults::bodies_bytes")]
    pub bodies_bytes: usize,
    /// Requests of one address in a second.
    #[serde(default = "defaults::requests_per_address")]
    pub requests_per_address_per_s: u32,
    /// How long requests in work may take when the relay is told to stop, in seconds.
    #[serde(default = "defaults::drain_s")]
    pub drain_s: u32,
}

/// Where metrics, health and pull are served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Internal {
    /// Address and port.
    #[serde(deserialize_with = "text::address")]
    pub address: SocketAddr,
    /// Whether others than this machine may connect in plain text.
    pub open: bool,
}

impl Default for Internal {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 8441)), open: false }
    }
}

/// Where messages are kept, how many, and how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The file of the SQLite database.
    pub file: Option<PathBuf>,
    /// The variable that holds the URL of a PostgreSQL database.
    pub postgres_url_env: Option<String>,
    /// The CA of the PostgreSQL server (PEM), where the system does not know it.
    pub postgres_ca_file: Option<PathBuf>,
    /// Messages that wait at most.
    #[serde(default = "defaults::queue_messages")]
    pub messages: u64,
    /// Bytes that wait at most.
    #[serde(default = "defaults::queue_bytes")]
    pub bytes: u64,
    /// How long a message is known, so that it is forwarded once, in days.
    #[serde(default = "defaults::remember_days")]
    pub remember_days: u32,
    /// How long forwarding is tried before a message is set aside, in hours.
    #[serde(default = "defaults::try_h")]
    pub try_h: u32,
}

/// Logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}

/// How messages of a sender look.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Countersign's wire format.
    Countersign,
    /// Stripe's.
    Stripe,
    /// GitHub's.
    Github,
    /// That of `DocuSign` Connect.
    Docusign,
}

/// Which proof Countersign's messages need.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Accept {
    /// HMAC-SHA256.
    V1,
    /// Ed25519.
    V1a,
    /// Either.
    V1OrV1a,
    /// RFC 9421.
    MessageSignature,
}

/// A key of a Countersign endpoint: its id, and the secret or the public key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// `whk_…`
    pub id: String,
    /// The variable that holds `whsec_…`.
    pub secret_env: Option<String>,
    /// `whpk_…`
    pub public_key: Option<String>,
}

/// One who sends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderFile {
    /// How its messages look.
    pub format: Format,
    /// Countersign: which proof.
    pub accept: Option<Accept>,
    /// Countersign: keys.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Countersign: where its public keys are.
    pub jwks_url: Option<String>,
    /// A CA for that (PEM), where the system does not know it.
    pub jwks_ca_file: Option<PathBuf>,
    /// Countersign: the URL that the endpoint is registered with; an HTTP Message Signature covers it.
    pub url: Option<String>,
    /// Others: the variables that hold the secrets, two while one is changed.
    #[serde(default)]
    pub secret_envs: Vec<String>,
    /// How far the time of a message may be from this machine's, in seconds: 300 or 120.
    #[serde(default = "defaults::window_s")]
    pub window_s: u32,
    /// From where it may send; from everywhere if there is none.
    #[serde(default, deserialize_with = "text::networks")]
    pub networks: Vec<IpNet>,
    /// Whether it has to show a client certificate of `listen.client_ca_file`.
    #[serde(default)]
    pub client_certificate: bool,
    /// Messages in a second.
    #[serde(default = "defaults::messages_per_s")]
    pub messages_per_s: u32,
    /// Where messages go.
    pub forward: Option<Forward>,
    /// Who asks for messages.
    pub pull: Option<Pull>,
}

/// Where messages of a sender go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The system's URL.
    pub url: String,
    /// A CA for that (PEM), where the system does not know it.
    pub ca_file: Option<PathBuf>,
    /// The variables that hold the secrets to sign with (`whsec_…`), two while one is changed.
    #[serde(default)]
    pub secret_envs: Vec<String>,
    /// Messages on their way at once.
    #[serde(default = "defaults::concurrency")]
    pub concurrency: u32,
    /// Time for one attempt, in seconds.
    #[serde(default = "defaults::attempt_s")]
    pub attempt_s: u32,
    /// Whether messages of one envelope go one after the other, in their order.
    #[serde(default)]
    pub ordered: bool,
    /// Ordered: how long a message waits for one that it overtook, in seconds. Events of classes that the endpoint is not told of
    /// leave gaps that nothing fills; at an endpoint that is ordered itself nothing is overtaken, and 0 is right.
    #[serde(default = "defaults::gap_s")]
    pub gap_s: u32,
}

/// Who asks for messages of a sender.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// The variable that holds the bearer token.
    pub token_env: String,
    /// For how long a message is given out before it is given out again, in seconds.
    #[serde(default = "defaults::lease_s")]
    pub lease_s: u32,
}

mod defaults {
    //! What holds where the file says nothing.

    pub(super) fn connections() -> u32 {
        1_024
    }
    pub(super) fn connections_per_address() -> u32 {
        256
    }
    pub(super) fn request_s() -> u32 {
        10
    }
    pub(super) fn body_bytes() -> usize {
        256 * 1_024
    }
    pub(super) fn bodies_bytes() -> usize {
        64 * 1_024 * 1_024
    }
    pub(super) fn requests_per_address() -> u32 {
        1_000
    }
    pub(super) fn drain_s() -> u32 {
        20
    }
    pub(super) fn queue_messages() -> u64 {
        1_000_000
    }
    pub(super) fn queue_bytes() -> u64 {
        4 * 1_024 * 1_024 * 1_024
    }
    pub(super) fn remember_days() -> u32 {
        35
    }
    pub(super) fn try_h() -> u32 {
        96
    }
    pub(super) fn window_s() -> u32 {
        300
    }
    pub(super) fn messages_per_s() -> u32 {
        1_000
    }
    pub(super) fn concurrency() -> u32 {
        8
    }
    pub(super) fn attempt_s() -> u32 {
        15
    }
    pub(super) fn gap_s() -> u32 {
        5
    }
    pub(super) fn lease_s() -> u32 {
        60
    }
}

/// Reads the file; its relative paths are beside it.
pub fn read(path: &Path) -> Result<File, Fault> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::NotFound => {
                "Make one with `countersign-relay init`, or name another with `--config`"
            }
            _ => "Give the relay a file of text that it may read, or name another with `--config`",
        };
        Fault::Machine(format!("{}: {error}. {advice}", path.display()))
    })?;
    let mut file = parse(&text).map_err(|fault| match fault {
        Fault::Configuration(reason) => Fault::Configuration(format!("{}: {reason}", path.display())),
        other => other,
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for named in file.paths() {
        *named = folder.join(&*named);
    }
    Ok(file)
}

/// Reads the text of a file. The error names the line and repeats no value of it: somebody may have written a secret there.
pub fn parse(text: &str) -> Result<File, Fault> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Fault::Configuration(format!(
            "line {line}: {}. `countersign-relay init --config example.toml` writes an example with each setting",
            without_value(error.message())
        ))
    })
}

/// The sentence of a reader without the value that it quotes. A field that it does not know keeps its name, if it looks like one.
fn without_value(message: &str) -> String {
    let quotes_value = ["invalid type: ", "invalid value: ", "unknown variant ", "unknown field "];
    if !quotes_value.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    // The value itself may hold what stands behind it.
    let (found, expected) = message.rsplit_once(", expected ").unwrap_or((message, "another"));
    let (kind, quoted) = found.split_once(['"', '`']).unwrap_or((found, ""));
    let name = quoted.trim_end_matches('`');
    let is_name =
        (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if kind == "unknown field " && is_name {
        return message.to_owned();
    }
    format!("{}, expected {expected}", kind.trim_end())
}

impl File {
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let listen = [
            &mut self.listen.tls_certificate_file,
            &mut self.listen.tls_key_file,
            &mut self.listen.client_ca_file,
            &mut self.queue.file,
            &mut self.queue.postgres_ca_file,
        ];
        let of_senders = self.senders.values_mut().flat_map(|sender| {
            [Some(&mut sender.jwks_ca_file), sender.forward.as_mut().map(|forward| &mut forward.ca_file)]
        });
        listen.into_iter().chain(of_senders.flatten()).flatten()
    }
}
