//! The configuration after it was checked: secrets read, keys parsed, files opened. What is wrong is collected, not told one
//! by one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::{Client, Url};
use zeroize::Zeroizing;

use super::{Environment, File, Internal, Listen, Queue, SenderFile};
use crate::fault::Fault;
use crate::mac::MacKey;
use crate::sender::Proof;

const DAY_S: i64 = 24 * 60 * 60;

/// What the relay runs with.
#[derive(Debug)]
pub struct Checked {
    /// Where senders connect.
    pub listen: Listen,
    /// The certificate of that place.
    pub tls: Option<Tls>,
    /// Where the operator's programs connect.
    pub internal: Internal,
    /// How many messages are kept, and how long.
    pub queue: Queue,
    /// Where.
    pub database: Database,
    /// Who sends.
    pub senders: Vec<Arc<Sender>>,
}

/// Files of a TLS server.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate and what leads to its CA.
    pub certificate_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// CAs of client certificates.
    pub client_ca_file: Option<PathBuf>,
}

/// Where messages are kept.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A PostgreSQL that relays share: its URL, and its CA.
    Postgres(Zeroizing<String>, Option<PathBuf>),
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
    /// Checks everything, and reads the secrets.
    pub fn check(self, environment: &dyn Environment) -> Result<Checked, Fault> {
        // A provider that is installed already is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut reader = Reader { environment, wrong: Vec::new() };
        let tls = reader.listen(&self.listen);
        reader.internal(&self.internal, &self.senders);
        let database = reader.database(&self.queue);
        let remember_s = i64::from(self.queue.remember_days).saturating_mul(DAY_S);
        let body_bytes = self.listen.body_bytes;
        if self.senders.is_empty() {
            reader.refuse("senders", "there is none: add a table `[senders.NAME]`");
        }
        let client_ca = self.listen.client_ca_file.is_some();
        let senders: Vec<_> = self
            .senders
            .into_iter()
            .filter_map(|(name, file)| reader.sender(&name, file, remember_s, body_bytes, client_ca))
            .map(Arc::new)
            .collect();
        match (database, reader.wrong.is_empty()) {
            (Some(database), true) => Ok(Checked {
                listen: self.listen,
                tls,
                internal: self.internal,
                queue: self.queue,
                database,
                senders,
            }),
            _ => Err(Fault::Configuration(reader.wrong.join("\n"))),
        }
    }
}

/// Reads, and collects what is wrong.
pub(super) struct Reader<'e> {
    pub(super) environment: &'e dyn Environment,
    pub(super) wrong: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn refuse(&mut self, place: &str, sentence: &str) {
        self.wrong.push(format!("{place}: {sentence}"));
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
        let value = self.environment.read(variable).filter(|value| !value.is_empty());
        if value.is_none() {
            self.refuse(place, &format!("the variable {variable} is not set: put the secret there"));
        }
        value
    }

    fn listen(&mut self, listen: &Listen) -> Option<Tls> {
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
        match (&listen.tls_certificate_file, &listen.tls_key_file) {
            (Some(certificate), Some(key)) => Some(Tls {
                certificate_file: certificate.clone(),
                key_file: key.clone(),
                client_ca_file: listen.client_ca_file.clone(),
            }),
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
        match (&queue.file, &queue.postgres_url_env) {
            (Some(file), None) => Some(Database::Sqlite(file.clone())),
            (None, Some(variable)) => {
                let url = self.secret("queue.postgres_url_env", variable)?;
                Some(Database::Postgres(url, queue.postgres_ca_file.clone()))
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
