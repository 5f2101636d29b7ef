//! Connections to PostgreSQL: made when they are needed, made anew when they broke, and in plain text on this machine alone.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Mutex;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::pem;
use crate::fault::Fault;

const CONNECT: Duration = Duration::from_secs(5);
/// After this long without an answer to its packets a connection is given up.
const SILENT: Duration = Duration::from_secs(20);
/// Whatever the server's configuration says: an answered commit is durable, nothing waits for ever, and each statement goes by
/// its index, however small the tables were when it was planned.
const SETTINGS: &str = "-c synchronous_commit=on -c statement_timeout=30s -c lock_timeout=20s \
    -c idle_in_transaction_session_timeout=30s -c enable_seqscan=off -c jit=off";

/// How to reach the database.
#[derive(Clone)]
pub struct Access {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Access {
    /// Reads a URL, and demands TLS where the connection leaves this machine. The error names the setting.
    pub fn new(url: &str, ca_file: Option<&Path>) -> Result<Self, String> {
        let wrong = |reason: &str| format!("queue.postgres_url_env: {reason}");
        let mut config: Config = url.parse().map_err(|_| {
            wrong("what is in the variable is no URL of a database: postgres://user:password@host/database")
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("the URL names no host: postgres://user:password@host/database"));
        }
        let is_local = stays_here(&config);
        let mode = match config.get_ssl_mode() {
            SslMode::Disable if !is_local => {
                return Err(wrong(
                    "it asks for sslmode=disable, and its host is not this machine: set it to require",
                ));
            }
            SslMode::Disable | SslMode::Prefer if is_local => SslMode::Disable,
            _ => SslMode::Require,
        };
        config
            .ssl_mode(mode)
            .connect_timeout(CONNECT)
            .tcp_user_timeout(SILENT)
            .keepalives_idle(SILENT)
            .application_name("countersign-relay")
            .options(SETTINGS);
        let roots = if mode == SslMode::Require { roots(ca_file)? } else { RootCertStore::empty() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| wrong(&error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self { config, tls: MakeRustlsConnect::new(client) })
    }

    /// A connection of its own.
    pub(super) async fn connect(&self) -> Result<Client, Fault> {
        let (client, connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| told(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to PostgreSQL broke");
            }
        });
        Ok(client)
    }
}

impl fmt::Debug for Access {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access(…)")
    }
}

/// A connection that is made anew when it broke. Statements of several callers follow each other on it.
pub(super) struct Link {
    access: Access,
    kept: Mutex<Option<Arc<Kept>>>,
}

/// A connection, and what was prepared on it.
struct Kept {
    client: Client,
    statements: RwLock<HashMap<&'static str, Statement>>,
}

impl Link {
    pub(super) fn new(access: Access) -> Self {
        Self { access, kept: Mutex::default() }
    }

    /// Runs a statement, which is prepared once on each connection.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        let kept = self.kept().await?;
        let statement = kept.statement(sql).await?;
        kept.client.query(&statement, parameters).await.map_err(|error| told(&error))
    }

    /// The same for a statement that gives no rows; how many it changed.
    pub(super) async fn execute(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Fault> {
        let kept = self.kept().await?;
        let statement = kept.statement(sql).await?;
        kept.client.execute(&statement, parameters).await.map_err(|error| told(&error))
    }

    async fn kept(&self) -> Result<Arc<Kept>, Fault> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| !kept.client.is_closed()) {
            return Ok(Arc::clone(kept));
        }
        let made = Arc::new(Kept { client: self.access.connect().await?, statements: RwLock::default() });
        *kept = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl Kept {
    async fn statement(&self, sql: &'static str) -> Result<Statement, Fault> {
        let known = self.statements.read().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let prepared = self.client.prepare(sql).await.map_err(|error| told(&error))?;
        self.statements.write().unwrap_or_else(PoisonError::into_inner).insert(sql, prepared.clone());
        Ok(prepared)
    }
}

/// What PostgreSQL says, with its own sentence where there is one.
pub(super) fn told(error: &tokio_postgres::Error) -> Fault {
    match error.as_db_error() {
        Some(said) => Fault::queue(format!("PostgreSQL: {} ({})", said.message(), said.code().code())),
        None => Fault::queue(format!("PostgreSQL: {error}")),
    }
}

fn stays_here(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            let address = name.parse().map(|address: std::net::IpAddr| address.is_loopback());
            address.unwrap_or_else(|_| name.eq_ignore_ascii_case("localhost"))
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    hosts && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (certificates, where_from) = match ca_file {
        // Files of the system that cannot be read are as good as not there.
        None => (rustls_native_certs::load_native_certs().certs, "this machine knows no CA".to_owned()),
        Some(path) => {
            let read =
                pem::certificates(path).map_err(|sentence| format!("queue.postgres_ca_file: {sentence}"))?;
            (read, format!("{}: no certificate is in it that can be used", path.display()))
        }
    };
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(format!(
            "queue.postgres_ca_file: {where_from}: name a file (PEM) with the CA of the PostgreSQL server, or remove the setting \
             and install ca-certificates"
        ));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_this_machine_needs_tls() {
        let mode = |url| Access::new(url, None).map(|access| access.config.get_ssl_mode());
        for url in ["postgres://a@127.0.0.1/b", "postgres://a@localhost/b", "host=/run/postgresql"] {
            assert_eq!(mode(url).unwrap(), SslMode::Disable, "{url}");
        }
        assert_eq!(mode("postgres://a@localhost/b?sslmode=require").unwrap(), SslMode::Require);
        for url in ["postgres://a@db.example.com/b", "host=localhost hostaddr=192.0.2.1"] {
            assert_eq!(mode(url).unwrap(), SslMode::Require, "{url}");
        }
        assert!(mode("postgres://a@db.example.com/b?sslmode=disable").is_err());
        assert!(mode("nonsense").is_err());
        assert!(mode("postgres:///database").is_err(), "no host");
    }
}
