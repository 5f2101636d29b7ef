//! The configuration after it was checked: secrets read, keys parsed, files opened. What is wrong is collected, not told one
//! by one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::{Client, Url};
use rustls::ServerConfig;
use tracing_subscriber::filter::LevelFilter;
use zeroize::Zeroizing;

use super::{Environment, File, Internal, Listen, Queue, SenderFile, machine};
use crate::fault::Fault;
use crate::log;
use crate::mac::MacKey;
use crate::queue::Access;
use crate::sender::Proof;

const DAY_S: i64 = 24 * 60 * 60;

/// What the relay runs with.
#[derive(Debug)]
pub struct Checked {
    /// Where senders connect.
    pub listen: Listen,
    /// TLS of that place.
    pub tls: Option<Arc<ServerConfig>>,
    /// Where the operator's programs connect.
    pub internal: Internal,
    /// What is logged.
    pub log: LevelFilter,
    /// How many messages are kept, and how long.
    pub queue: Queue,
    /// Where.
    pub database: Database,
    /// Who sends.
    pub senders: Vec<Arc<Sender>>,
    /// What does not keep the relay from serving, and is without effect or will make trouble.
    pub doubts: Vec<String>,
}

/// Where messages are kept.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A PostgreSQL that relays share.
    Postgres(Box<Access>),
}

/// One who sends.
#[derive(Debug)]
pub struct Sender {
    /// As in `/in/NAME`.
    pub name: Arc<str>,
    /// What its messages are verified with.
    pub proof: Proof,
    /// From where it may send.
    pub networks: Vec<IpNet>,
    /// Whether it has to show a certificate.
    pub client_certificate: bool,
    /// Messages in a second.
    pub messages_per_s: u32,
    /// Where its messages go.
    pub outlet: Outlet,
}

/// Where messages of a sender go.
#[derive(Debug)]
pub enum Outlet {
    /// To a system.
    Forward {
        /// Its URL.
        url: Url,
        /// The client for it, with the deadline of an attempt.
        client: Client,
        /// What they are signed with.
        keys: Vec<MacKey>,
        /// Messages on their way at once.
        concurrency: u32,
        /// Time for one attempt.
        attempt: Duration,
        /// Whether in order, and then how long one waits for what it overtook.
        gap: Option<Duration>,
    },
    /// To who asks for them.
    Pull {
        /// The hash of the token.
        token: [u8; 32],
        /// For how long a message is given out.
        lease: Duration,
    },
}

impl Sender {
    /// How long a message waits for one that it overtook, if they go in order.
    pub fn gap(&self) -> Option<Duration> {
        match &self.outlet {
            Outlet::Forward { gap, .. } => *gap,
            Outlet::Pull { .. } => None,
        }
    }
}

impl File {
    /// Checks the settings, and reads the secrets and the files that they name.
    pub fn check(self, environment: &dyn Environment) -> Result<Checked, Fault> {
        let reader = self.reader(environment);
        self.judged(reader)
    }

    /// The same without a doubt, and what a start would stumble over on this machine: the queue's file, and the addresses.
    pub fn check_here(self, environment: &dyn Environment) -> Result<Checked, Fault> {
        let wrong = machine::wrong(&self);
        let reader = Reader { wrong, is_strict: true, ..self.reader(environment) };
        self.judged(reader)
    }

    /// Where messages are kept, and nothing else: a command of the operator needs no secret of a sender.
    pub fn database(&self, environment: &dyn Environment) -> Result<Database, Fault> {
        let mut reader = self.reader(environment);
        match reader.database(&self.queue) {
            Some(database) if reader.wrong.is_empty() => Ok(database),
            _ => Err(Fault::Configuration(reader.wrong.join("\n"))),
        }
    }

    fn reader<'e>(&self, environment: &'e dyn Environment) -> Reader<'e> {
        // A provider that is installed already is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let around = Around {
            own: [self.listen.address, self.internal.address],
            remember_s: i64::from(self.queue.remember_days).saturating_mul(DAY_S),
            body_bytes: self.listen.body_bytes,
            has_client_ca: self.listen.client_ca_file.is_some(),
        };
        Reader { environment, around, is_strict: false, wrong: Vec::new(), doubts: Vec::new() }
    }

    fn judged(self, mut reader: Reader<'_>) -> Result<Checked, Fault> {
        let tls = reader.listen(&self.listen);
        reader.internal(&self.internal, &self.senders);
        let log = reader.log(&self.log.level);
        let database = reader.database(&self.queue);
        if self.senders.is_empty() {
            reader.refuse("senders", "there is none: add a table `[senders.NAME]`");
        }
        let senders: Vec<_> = self
            .senders
            .into_iter()
            .filter_map(|(name, file)| reader.sender(&name, file))
            .map(Arc::new)
            .collect();
        match (database, log, reader.wrong.is_empty()) {
            (Some(database), Some(log), true) => Ok(Checked {
                listen: self.listen,
                tls,
                internal: self.internal,
                log,
                queue: self.queue,
                database,
                senders,
                doubts: reader.doubts,
            }),
            _ => Err(Fault::Configuration(reader.wrong.join("\n"))),
        }
    }
}

/// Reads, and collects what is wrong.
pub(super) struct Reader<'e> {
    pub(super) environment: &'e dyn Environment,
    pub(super) around: Around,
    /// Whether a doubt is wrong, too.
    is_strict: bool,
    pub(super) wrong: Vec<String>,
    doubts: Vec<String>,
}

/// What the settings of a sender are compared with.
pub(super) struct Around {
    /// Where the relay itself listens.
    pub(super) own: [SocketAddr; 2],
    /// How long a message is known.
    pub(super) remember_s: i64,
    /// The longest body.
    pub(super) body_bytes: usize,
    /// Whether client certificates are asked for.
    pub(super) has_client_ca: bool,
}

/// Whether whoever listens at one address is in the way of the other.
pub(super) fn is_same_place(one: SocketAddr, other: SocketAddr) -> bool {
    // A socket of `[::]` takes what comes by IPv4 as well.
    let covers =
        |one: SocketAddr, other: SocketAddr| one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4());
    let is_same_address = one.ip() == other.ip() || covers(one, other) || covers(other, one);
    one.port() == other.port() && one.port() != 0 && is_same_address
}

impl Reader<'_> {
    pub(super) fn refuse(&mut self, place: &str, sentence: &str) {
        self.wrong.push(format!("{place}: {sentence}"));
    }

    /// Says what is without effect, or will make trouble, and is not unsafe. A relay that is started anew serves all the same:
    /// somebody may still be content with it.
    pub(super) fn doubt(&mut self, place: &str, sentence: &str) {
        let told = if self.is_strict { &mut self.wrong } else { &mut self.doubts };
        told.push(format!("{place}: {sentence}"));
    }

    pub(super) fn within(&mut self, place: &str, value: u64, least: u64, most: u64) {
        if !(least..=most).contains(&value) {
            self.refuse(
                place,
                &format!("{value} is not taken: set it to {least} at least and {most} at most"),
            );
        }
    }

    pub(super) fn secret(&mut self, place: &str, variable: &str) -> Option<Zeroizing<String>> {
        // What is no name may be the secret itself: it is not repeated.
        if !is_variable(variable) {
            self.refuse(
                place,
                "this is no name of a variable: put the secret into a variable of the environment, and its name here",
            );
            return None;
        }
        let value = self.environment.read(variable).filter(|value| !value.is_empty());
        let Some(value) = value else {
            // A secret of letters and digits looks like a name as well.
            let may_be_secret = variable.bytes().any(|byte| byte.is_ascii_lowercase());
            let name = if may_be_secret { "that is named here" } else { variable };
            self.refuse(place, &format!("the variable {name} is not set, or empty: put the secret there"));
            return None;
        };
        if value.trim().len() != value.len() {
            self.refuse(
                place,
                &format!("what is in {variable} begins or ends with white space: take that away"),
            );
            return None;
        }
        Some(value)
    }

    fn log(&mut self, level: &str) -> Option<LevelFilter> {
        let known = log::level(level);
        if known.is_none() {
            self.refuse("log.level", "set it to off, error, warn, info, debug or trace");
        }
        known
    }

    fn listen(&mut self, listen: &Listen) -> Option<Arc<ServerConfig>> {
        self.within("listen.connections", listen.connections.into(), 1, 65_536);
        self.within("listen.connections_per_address", listen.connections_per_address.into(), 1, 65_536);
        self.within("listen.request_s", listen.request_s.into(), 1, 60);
        self.within("listen.body_bytes", listen.body_bytes as u64, 1_024, 32 * 1_024 * 1_024);
        self.within("listen.bodies_bytes", listen.bodies_bytes as u64, listen.body_bytes as u64, 1 << 32);
        self.within(
            "listen.requests_per_address_per_s",
            listen.requests_per_address_per_s.into(),
            1,
            1 << 24,
        );
        self.within("listen.drain_s", listen.drain_s.into(), 1, 600);
        if listen.behind_proxy && listen.trusted_proxies.is_empty() {
            self.refuse(
                "listen.trusted_proxies",
                "it is empty, so that all senders would count as one address: name the network of what stands in front",
            );
        }
        if listen.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
            self.refuse(
                "listen.trusted_proxies",
                "it holds every address, so that everybody could say where a request is from: name the network of what stands \
                 in front",
            );
        }
        match (&listen.tls_certificate_file, &listen.tls_key_file) {
            (Some(certificate), Some(key)) => self.tls(certificate, key, listen.client_ca_file.as_deref()),
            (None, None) => {
                if !listen.behind_proxy && !listen.address.ip().is_loopback() {
                    self.refuse(
                        "listen.address",
                        "others reach it, and there is no TLS: set listen.tls_certificate_file and listen.tls_key_file, or \
                         listen.behind_proxy = true if what stands in front does TLS",
                    );
                }
                if listen.client_ca_file.is_some() {
                    self.refuse(
                        "listen.client_ca_file",
                        "it needs listen.tls_certificate_file and listen.tls_key_file",
                    );
                }
                None
            }
            _ => {
                self.refuse("listen", "tls_certificate_file and tls_key_file go together: set both");
                None
            }
        }
    }

    fn internal(&mut self, internal: &Internal, senders: &std::collections::BTreeMap<String, SenderFile>) {
        if is_same_place(self.around.own[0], self.around.own[1]) {
            self.refuse(
                "internal.address",
                "it is the same as listen.address, where senders connect: set another port",
            );
        }
        let gives_messages = senders.values().any(|sender| sender.pull.is_some());
        if !internal.open && !internal.address.ip().is_loopback() {
            let what = if gives_messages { "messages, tokens and metrics" } else { "metrics" };
            let sentence = format!(
                "others reach it, and {what} would travel in plain text: set a loopback address, or internal.open = true if \
                 the network between is yours"
            );
            self.refuse("internal.address", &sentence);
        }
    }

    fn database(&mut self, queue: &Queue) -> Option<Database> {
        self.within("queue.messages", queue.messages, 1, 1 << 40);
        self.within("queue.bytes", queue.bytes, 1 << 20, 1 << 50);
        // Countersign tries for four days: what it sends again within them has to be known.
        self.within("queue.remember_days", queue.remember_days.into(), 5, 366);
        self.within("queue.try_h", queue.try_h.into(), 1, 24 * 366);
        if u64::from(queue.try_h) > 24 * u64::from(queue.remember_days) {
            self.doubt(
                "queue.try_h",
                "it is longer than queue.remember_days: a message that still waits would be forgotten, and taken twice",
            );
        }
        if queue.postgres_ca_file.is_some() && queue.postgres_url_env.is_none() {
            self.doubt("queue.postgres_ca_file", "it is for queue.postgres_url_env: remove it");
        }
        match (&queue.file, &queue.postgres_url_env) {
            (Some(file), None) => Some(Database::Sqlite(file.clone())),
            (None, Some(variable)) => {
                let url = self.secret("queue.postgres_url_env", variable)?;
                match Access::new(&url, queue.postgres_ca_file.as_deref()) {
                    Ok(access) => Some(Database::Postgres(Box::new(access))),
                    Err(wrong) => {
                        self.wrong.push(wrong);
                        None
                    }
                }
            }
            _ => {
                self.refuse(
                    "queue",
                    "set either `file` (SQLite, one relay) or `postgres_url_env` (PostgreSQL, several)",
                );
                None
            }
        }
    }
}

/// Whether a text is a name that a shell gives to variables, and no secret that looks like one.
fn is_variable(text: &str) -> bool {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    is_name && !["whsec_", "whpk_"].iter().any(|start| text.starts_with(start))
}
