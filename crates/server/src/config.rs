//! Configuration: one TOML file, the environment over it, and a start-up that refuses what is unsafe and says how to
//! mend it. `countersign.example.toml` documents every key.

use std::{
    ffi::{OsStr, OsString},
    fs,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::{Uri, uri::Authority};
pub use countersign_core::network::Network;
use countersign_core::{limits, secret::Secret};
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use crate::{fault::Fault, keys::secret_file};

/// What the variables begin with that set keys.
const PREFIX: &str = "COUNTERSIGN_";
/// The one with that prefix that sets none: it names the file.
const FILE: &str = "COUNTERSIGN_CONFIG";

/// All that an operator can set.
#[derive(Clone, Debug, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Listening, TLS, the data folder.
    pub server: Server,
    /// The authorization server.
    pub oauth: OAuth,
    /// The key that seals.
    pub seal: Seal,
    /// Outgoing mail.
    pub mail: Mail,
    /// Where connections to addresses that strangers name may lead.
    pub egress: Egress,
    /// Logs.
    pub log: Log,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// What people and programs reach the server under; names the log, and is in every link.
    pub public_url: String,
    /// Database, blobs and keys.
    pub data_dir: PathBuf,
    /// File with a PostgreSQL URL; without one the database is a SQLite file in the data folder.
    pub database_url_file: Option<PathBuf>,
    /// PEM of the CA that the database's certificate comes from, if it is not one of the system's.
    pub database_ca_file: Option<PathBuf>,
    /// The root key's file; `root.key` in the data folder if it is not set.
    pub root_key_file: Option<PathBuf>,
    /// PEM chain of the server's certificate.
    pub tls_certificates: Option<PathBuf>,
    /// PEM of its private key.
    pub tls_key: Option<PathBuf>,
    /// Plain HTTP, for a proxy on the same machine.
    pub plain_http: bool,
    /// Addresses or networks of proxies whose `X-Forwarded-For` is believed (G-11).
    pub trusted_proxies: Vec<Network>,
    /// Connections at the same time.
    pub connections: usize,
    /// Requests in work at the same time.
    pub requests: usize,
    /// Seconds for a request from its headers until its answer begins; its body must have arrived by then.
    pub request_s: u32,
    /// Seconds that a connection may be without a request, and that a client may take for 256 KiB of an answer.
    pub idle_s: u32,
    /// Seconds that a job may take before another worker may have it; so long it rests after a crash.
    pub job_lease_s: u32,
    /// Seconds that requests in work get to end at a shutdown.
    pub shutdown_s: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            public_url: "https://localhost:8443".to_owned(),
            data_dir: PathBuf::from("data"),
            database_url_file: None,
            database_ca_file: None,
            root_key_file: None,
            tls_certificates: None,
            tls_key: None,
            plain_http: false,
            trusted_proxies: Vec::new(),
            connections: 4_096,
            requests: limits::CONCURRENT_REQUESTS,
            request_s: limits::REQUEST_S,
            idle_s: 60,
            job_lease_s: 120,
            shutdown_s: 20,
        }
    }
}

impl Server {
    /// How long a request waits for its turn, or for a form of a signer's page: a third of its time, so that it can be
    /// answered in words and the rest is left for the work.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.request_s.into()) / 3
    }
}

/// `[oauth]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct OAuth {
    /// Life of access tokens in seconds, at most an hour. With an admin scope they live five minutes at most.
    pub access_token_s: u32,
    /// Address and port that ask callers for a certificate (RFC 8705); without one there is no mutual TLS.
    pub mtls_listen: Option<SocketAddr>,
    /// What programs reach that port under.
    pub mtls_url: Option<String>,
    /// PEM of the CAs whose certificates clients may show (`tls_client_auth`). Self-signed ones need none.
    pub client_ca_file: Option<PathBuf>,
    /// How many tokens one resource server may ask about in a minute (RFC 7662), on each server.
    pub introspections_per_minute: NonZeroU32,
}

impl Default for OAuth {
    fn default() -> Self {
        Self {
            access_token_s: u32::try_from(limits::ACCESS_TOKEN_S).unwrap_or(600),
            mtls_listen: None,
            mtls_url: None,
            client_ca_file: None,
            introspections_per_minute: limits::INTROSPECTIONS_PER_MINUTE,
        }
    }
}

/// `[seal]`
#[derive(Clone, Debug, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Seal {
    /// A PKCS#11 module; without one, a key with a development certificate is made and kept in the database.
    pub pkcs11_module: Option<PathBuf>,
    /// Slot of the token; the first one with a token if it is not set.
    pub slot: Option<u64>,
    /// File with the token's PIN.
    pub pin_file: Option<PathBuf>,
    /// Label of the private key.
    pub label: Option<String>,
    /// PEM chain of its certificate, the key's own first.
    pub certificates: Option<PathBuf>,
}

/// `[mail]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// Host name of the mail server; without one sandboxes have their mailbox, and the operator prints mails about accounts.
    pub smtp_host: Option<String>,
    /// Its port.
    pub smtp_port: u16,
    /// `tls` from the first byte, or `starttls` before anything is sent; there is no plain text.
    pub smtp_security: SmtpSecurity,
    /// User name.
    pub smtp_user: Option<String>,
    /// File with the password.
    pub smtp_password_file: Option<PathBuf>,
    /// PEM of the CA that the mail server's certificate comes from, if it is not a public one.
    pub smtp_ca_file: Option<PathBuf>,
    /// Address that mails come from.
    pub from: String,
    /// Domain that DKIM signs for; without one mails are not signed.
    pub dkim_domain: Option<String>,
    /// DKIM selector.
    pub dkim_selector: Option<String>,
    /// PEM of the DKIM key (RSA).
    pub dkim_key_file: Option<PathBuf>,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            smtp_host: None,
            smtp_port: 465,
            smtp_security: SmtpSecurity::Tls,
            smtp_user: None,
            smtp_password_file: None,
            smtp_ca_file: None,
            from: "countersign@localhost".to_owned(),
            dkim_domain: None,
            dkim_selector: None,
            dkim_key_file: None,
        }
    }
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpSecurity {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// STARTTLS, required (RFC 3207).
    Starttls,
    /// Plain text: known, so that start-up can refuse it in words.
    None,
}

/// `[egress]`
#[derive(Clone, Debug, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// Host names that may have addresses of the operator's own networks.
    pub allow_hosts: Vec<String>,
    /// Networks of the operator's own that connections may lead into.
    pub allow_networks: Vec<Network>,
    /// PEM of CAs that are believed besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Name servers that are asked for the addresses of hosts, instead of the machine's.
    pub name_servers: Vec<SocketAddr>,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or a filter of `tracing`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}

impl Config {
    /// Reads the file, if one is named, and puts `environment` over it: `COUNTERSIGN_SERVER__LISTEN` sets
    /// `listen` in `[server]`. Unknown keys are refused in both.
    pub fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Fault> {
        let mut table = match file {
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|error| Fault::file(path, error))?;
                text.parse::<toml::Table>().map_err(|error| Fault::file(path, error))?
            }
            None => toml::Table::new(),
        };
        let from = file.unwrap_or(Path::new("the configuration"));
        let mut config = Self::from_table(&table).map_err(|error| Fault::file(from, error))?;
        // One after the other, so that a refusal names the variable that is wrong.
        for (name, value) in environment {
            if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) || name == FILE {
                continue;
            }
            let (name, value) = (as_text(&name, name.clone())?, as_text(&name, value)?);
            let path = name.strip_prefix(PREFIX).unwrap_or_default();
            let Some((section, key)) = path.split_once("__") else { return Err(unknown_variable(&name)) };
            let section = table
                .entry(section.to_ascii_lowercase())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let toml::Value::Table(section) = section else {
                return Err(Fault::Unsafe(format!("{name} names a section that the file uses as a key")));
            };
            section.insert(key.to_ascii_lowercase(), environment_value(&value));
            config = Self::from_table(&table).map_err(|error| {
                Fault::Unsafe(format!(
                    "the environment variable {name}: {} (a list is written like [\"10.0.0.0/8\"])",
                    error.message()
                ))
            })?;
        }
        Ok(config)
    }

    fn from_table(table: &toml::Table) -> Result<Self, toml::de::Error> {
        toml::Value::Table(table.clone()).try_into()
    }

    /// What to say if links would lead nowhere: the public URL was left as it is by default, and another port listens.
    pub fn dead_links(&self, listening_port: u16) -> Option<String> {
        let default = Server::default();
        let is_default = self.server.public_url == default.public_url;
        (is_default && listening_port != default.listen.port()).then(|| {
            format!(
                "WARNING: nobody could open the links in mails: they begin with {}, but the server listens on port \
                 {listening_port}. Set server.public_url to what people reach it under.",
                default.public_url
            )
        })
    }

    /// The root key's file.
    pub fn root_key_file(&self) -> PathBuf {
        self.server.root_key_file.clone().unwrap_or_else(|| self.server.data_dir.join("root.key"))
    }

    /// The PostgreSQL URL, where one is configured.
    pub fn database_url(&self) -> Result<Option<Secret<String>>, Fault> {
        let Some(path) = &self.server.database_url_file else { return Ok(None) };
        Ok(Some(Secret::new(secret_file::read(path)?.trim_end().to_owned())))
    }

    /// Where the development CA's certificate is.
    pub fn development_ca_file(&self) -> PathBuf {
        self.server.data_dir.join("tls-ca.pem")
    }

    /// The host in the public URL.
    pub fn public_host(&self) -> Result<String, Fault> {
        Ok(self.public_authority()?.host().trim_matches(['[', ']']).to_owned())
    }

    /// The hosts that its certificate is for: the public one, and where it asks for certificates.
    pub fn hosts(&self) -> Result<Vec<String>, Fault> {
        let mut hosts = vec![self.public_host()?];
        let mutual: Option<Uri> = self.oauth.mtls_url.as_deref().and_then(|url| url.parse().ok());
        hosts
            .extend(mutual.as_ref().and_then(Uri::host).map(|host| host.trim_matches(['[', ']']).to_owned()));
        Ok(hosts)
    }

    fn public_authority(&self) -> Result<Authority, Fault> {
        let uri: Uri = self.server.public_url.parse().map_err(|_| {
            Fault::Unsafe(format!("server.public_url `{}` is not a URL", self.server.public_url))
        })?;
        let authority = uri.authority().cloned();
        authority.ok_or_else(|| Fault::Unsafe("server.public_url has no host".to_owned()))
    }

    /// Refuses what is unsafe, with a sentence that says how to mend it.
    pub fn check(&self) -> Result<(), Fault> {
        let server = &self.server;
        let refuse = |sentence: &str| Err(Fault::Unsafe(sentence.to_owned()));
        if !server.public_url.starts_with("https://") || server.public_url.ends_with('/') {
            return refuse("server.public_url must begin with https:// and have no slash at its end");
        }
        let authority = self.public_authority()?;
        if server.public_url.strip_prefix("https://") != Some(authority.as_str())
            || authority.as_str().contains('@')
        {
            return refuse(
                "server.public_url is https://, a host and perhaps a port, and nothing else: the pages live at the \
                 root of a host of their own",
            );
        }
        if server.plain_http && !server.listen.ip().is_loopback() {
            return refuse(
                "server.plain_http is set, but server.listen is not a loopback address: listen on 127.0.0.1 \
                 behind a proxy on the same machine, or unset plain_http",
            );
        }
        if server.plain_http && server.tls_certificates.is_some() {
            return refuse("server.plain_http and server.tls_certificates exclude each other: unset one");
        }
        if server.tls_certificates.is_some() != server.tls_key.is_some() {
            return refuse("set both server.tls_certificates and server.tls_key, or neither");
        }
        if server.trusted_proxies.iter().any(Network::is_everything) {
            return refuse(
                "server.trusted_proxies has a network of all addresses: then anybody can name any client \
                 address; list the proxies",
            );
        }
        if [server.connections, server.requests].contains(&0)
            || [server.request_s, server.idle_s, server.job_lease_s].contains(&0)
        {
            return refuse(
                "server.connections, server.requests, server.request_s, server.idle_s and server.job_lease_s must \
                 be at least 1",
            );
        }
        self.check_egress()?;
        self.check_oauth()?;
        self.check_mail()?;
        self.check_seal()
    }

    fn check_egress(&self) -> Result<(), Fault> {
        // What has more than a name in it would never be the name of a host.
        let is_name =
            |host: &&String| !host.is_empty() && !host.contains(['/', ':', '@', '*', '?', '#', ' ', '[']);
        match self.egress.allow_hosts.iter().find(|host| !is_name(host)) {
            Some(host) => Err(Fault::Unsafe(format!(
                "egress.allow_hosts: `{host}` is no name of a host: give `hooks.example.com`, without scheme, port, path or `*`; addresses \
                 go into egress.allow_networks"
            ))),
            None => Ok(()),
        }
    }

    fn check_oauth(&self) -> Result<(), Fault> {
        let refuse = |sentence: &str| Err(Fault::Unsafe(sentence.to_owned()));
        let oauth = &self.oauth;
        let most = limits::ACCESS_TOKEN_LONGEST_S;
        if oauth.access_token_s == 0 || i64::from(oauth.access_token_s) > most {
            return refuse(
                "oauth.access_token_s must be between 1 and 3600: a stolen token is worth something that long",
            );
        }
        if oauth.mtls_listen.is_some() != oauth.mtls_url.is_some() {
            return refuse("set both oauth.mtls_listen and oauth.mtls_url, or neither");
        }
        if oauth.mtls_listen.is_some() && self.server.plain_http {
            return refuse(
                "oauth.mtls_listen is set, but server.plain_http too: without TLS nobody can show a certificate. \
                 Unset one",
            );
        }
        if oauth.client_ca_file.is_some() && oauth.mtls_listen.is_none() {
            return refuse(
                "oauth.client_ca_file is set without oauth.mtls_listen: nobody is asked for a certificate",
            );
        }
        let is_base = |url: &String| {
            let uri: Option<Uri> = url.parse().ok();
            let authority = uri.as_ref().and_then(Uri::authority).map(Authority::as_str);
            authority.is_some_and(|authority| !authority.contains('@'))
                && url.strip_prefix("https://") == authority
        };
        if oauth.mtls_url.as_ref().is_some_and(|url| !is_base(url)) {
            return refuse("oauth.mtls_url is https://, a host and perhaps a port, and nothing else");
        }
        Ok(())
    }

    fn check_mail(&self) -> Result<(), Fault> {
        let mail = &self.mail;
        let refuse = |sentence: &str| Err(Fault::Unsafe(sentence.to_owned()));
        if mail.smtp_security == SmtpSecurity::None {
            return refuse(
                "mail.smtp_security is `none`: links and codes would travel in plain text; set it to `tls` or \
                 `starttls`",
            );
        }
        if mail.smtp_host.is_some() && mail.from.ends_with("@localhost") {
            return refuse("mail.smtp_host is set: set mail.from to an address that the mail server accepts");
        }
        if mail.from.parse::<Mailbox>().is_err() {
            return refuse("mail.from must be an address like `Name <mail@example.com>`");
        }
        if mail.smtp_host.is_none() && (mail.smtp_user.is_some() || mail.smtp_password_file.is_some()) {
            return refuse(
                "mail.smtp_user or mail.smtp_password_file is set without mail.smtp_host: set the host as well",
            );
        }
        let dkim = [mail.dkim_domain.is_some(), mail.dkim_selector.is_some(), mail.dkim_key_file.is_some()];
        if dkim.contains(&true) && dkim.contains(&false) {
            return refuse(
                "set mail.dkim_domain, mail.dkim_selector and mail.dkim_key_file together, or none",
            );
        }
        Ok(())
    }

    fn check_seal(&self) -> Result<(), Fault> {
        let seal = &self.seal;
        let has_token =
            [seal.slot.is_some(), seal.pin_file.is_some(), seal.label.is_some(), seal.certificates.is_some()];
        if seal.pkcs11_module.is_none() && has_token.contains(&true) {
            return Err(Fault::Unsafe(
                "[seal] names a key and no seal.pkcs11_module: the development key would seal. Set the module, or \
                 leave the whole section out"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

fn unknown_variable(name: &str) -> Fault {
    Fault::Unsafe(format!(
        "{name} sets no key: section and key are joined by two underscores, as in COUNTERSIGN_SERVER__LISTEN. Mend \
         or unset it (Kubernetes sets such variables for a service of this name: `enableServiceLinks: false`)"
    ))
}

/// A variable's name or its value as text. Values may be secret, so that only the name is told.
fn as_text(name: &OsStr, part: OsString) -> Result<String, Fault> {
    part.into_string().map_err(|_| {
        let name = name.to_string_lossy();
        Fault::Unsafe(format!("the environment variable {name} is not UTF-8: set it again, or unset it"))
    })
}

/// A value from the environment: TOML where it reads as such (`true`, `5`, `["10.0.0.0/8"]`), else text.
fn environment_value(text: &str) -> toml::Value {
    let parsed = format!("value = {text}").parse::<toml::Table>().ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| toml::Value::String(text.to_owned()))
}
