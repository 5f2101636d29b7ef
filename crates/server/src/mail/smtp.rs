//! The way out for mail: one SMTP server, always with TLS, with DKIM when a key is configured (RFC 6376).

use std::time::Duration;

use countersign_core::secret::Secret;
use lettre::{
    Message,
    message::{
        dkim::{
            DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm, DkimSigningKey,
        },
        header::HeaderName,
    },
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, TlsParameters, TlsVersion},
        commands::{Data, Mail, Rcpt},
        extension::ClientId,
    },
};
use thiserror::Error;
use tokio::sync::Mutex;

/// Statuses that are about us whatever they answer: unknown commands and bad sequences of them (RFC 5321 §4.2.3), and
/// authentication (RFC 4954 §6).
const ABOUT_US: &[u16] = &[500, 502, 503, 530, 534, 535, 538];
/// How long a connection that waited has for saying that it still works.
const STILL_THERE: Duration = Duration::from_secs(5);

/// How to reach the mail server.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Host name, also the name its certificate must have.
    pub host: String,
    /// Port: 465 for implicit TLS, 587 for STARTTLS.
    pub port: u16,
    /// TLS from the first byte; STARTTLS otherwise, which is required, not offered.
    pub implicit_tls: bool,
    /// User and password.
    pub credentials: Option<(String, Secret<String>)>,
    /// A CA beyond the public ones, as PEM.
    pub extra_root_pem: Option<Vec<u8>>,
    /// Seconds for one conversation.
    pub timeout_s: u64,
    /// DKIM, when a key is configured.
    pub dkim: Option<DkimSettings>,
}

/// How to sign mails.
#[derive(Clone, Debug)]
pub struct DkimSettings {
    /// Selector: the key is published at `<selector>._domainkey.<domain>`.
    pub selector: String,
    /// Domain.
    pub domain: String,
    /// RSA private key, PKCS#1 PEM.
    pub private_key_pem: Secret<String>,
}

/// Why a mail was not accepted.
#[derive(Debug, Error)]
pub enum SmtpFault {
    /// For good: the recipient's server does not want it (RFC 5321 §4.2.1, 5yz).
    #[error("the mail server refused the mail for good with status {0}")]
    Permanent(u16),
    /// For now.
    #[error("the mail server did not take the mail: {0}")]
    Transient(String),
    /// The settings do not work.
    #[error("the mail settings do not work: {0}")]
    Settings(String),
}

/// The mail client.
pub struct Smtp {
    host: String,
    port: u16,
    implicit_tls: bool,
    tls: TlsParameters,
    credentials: Option<Credentials>,
    timeout: Duration,
    dkim: Option<DkimConfig>,
    /// Connections that wait for the next mail.
    idle: Mutex<Vec<AsyncSmtpConnection>>,
}

/// An answer of the mail server, or none, and whether it is about the mail: said to RCPT or DATA. What is said before
/// that is about us.
struct Unsent {
    error: lettre::transport::smtp::Error,
    is_about_mail: bool,
}

impl From<lettre::transport::smtp::Error> for Unsent {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        Self { error, is_about_mail: false }
    }
}

impl Unsent {
    fn about_mail(error: lettre::transport::smtp::Error) -> Self {
        Self { error, is_about_mail: true }
    }

    fn fault(&self) -> SmtpFault {
        let status = self.error.status().map(u16::from);
        match status {
            Some(status)
                if self.is_about_mail && self.error.is_permanent() && !ABOUT_US.contains(&status) =>
            {
                SmtpFault::Permanent(status)
            }
            // The text of an answer may quote the address: only its kind is kept.
            Some(status) => SmtpFault::Transient(format!("status {status}")),
            None if self.error.is_timeout() => SmtpFault::Transient("timeout".to_owned()),
            None if self.error.is_tls() => SmtpFault::Transient("TLS could not be negotiated".to_owned()),
            None => SmtpFault::Transient("the connection failed".to_owned()),
        }
    }
}

impl Smtp {
    /// A client for these settings. It connects when the first mail is sent.
    pub fn new(settings: &SmtpSettings) -> Result<Self, SmtpFault> {
        let broken = |error: lettre::transport::smtp::Error| SmtpFault::Settings(error.to_string());
        let mut tls = TlsParameters::builder(settings.host.clone()).set_min_tls_version(TlsVersion::Tlsv12);
        if let Some(pem) = &settings.extra_root_pem {
            tls = tls.add_root_certificate(Certificate::from_pem(pem).map_err(broken)?);
        }
        let credentials = settings.credentials.as_ref();
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            implicit_tls: settings.implicit_tls,
            tls: tls.build_rustls().map_err(broken)?,
            credentials: credentials
                .map(|(user, password)| Credentials::new(user.clone(), password.expose().clone())),
            timeout: Duration::from_secs(settings.timeout_s),
            dkim: settings.dkim.as_ref().map(dkim).transpose()?,
            idle: Mutex::default(),
        })
    }

    /// Signs and sends a message.
    pub async fn send(&self, mut message: Message) -> Result<(), SmtpFault> {
        if let Some(dkim) = &self.dkim {
            message.sign(dkim);
        }
        match tokio::time::timeout(self.timeout, Box::pin(self.converse(&message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(unsent)) => Err(unsent.fault()),
            Err(_) => Err(SmtpFault::Transient("timeout".to_owned())),
        }
    }

    async fn converse(&self, message: &Message) -> Result<(), Unsent> {
        let mut connection = match self.waiting().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        match hand_over(&mut connection, message).await {
            Ok(()) => {
                self.idle.lock().await.push(connection);
                Ok(())
            }
            Err(unsent) => {
                connection.abort().await;
                Err(unsent)
            }
        }
    }

    /// A connection that another mail went over and that still answers.
    async fn waiting(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let mut connection = self.idle.lock().await.pop()?;
            let answers = tokio::time::timeout(STILL_THERE, connection.test_connected()).await;
            if answers.unwrap_or(false) {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Unsent> {
        let hello = ClientId::default();
        let first_tls = self.implicit_tls.then(|| self.tls.clone());
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &hello, first_tls, None).await?;
        if !self.implicit_tls {
            // Fails where the server offers no STARTTLS: nothing is said in plain text.
            connection.starttls(self.tls.clone(), &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

/// One mail (RFC 5321 §3.3): what is answered to RCPT and DATA is about the mail.
async fn hand_over(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Unsent> {
    let envelope = message.envelope();
    connection.command(Mail::new(envelope.from().cloned(), Vec::new())).await?;
    for to in envelope.to() {
        let rcpt = Rcpt::new(to.clone(), Vec::new());
        connection.command(rcpt).await.map_err(Unsent::about_mail)?;
    }
    connection.command(Data).await.map_err(Unsent::about_mail)?;
    connection.message(&message.formatted()).await.map_err(Unsent::about_mail)?;
    Ok(())
}

fn dkim(settings: &DkimSettings) -> Result<DkimConfig, SmtpFault> {
    let key = DkimSigningKey::new(settings.private_key_pem.expose(), DkimSigningAlgorithm::Rsa)
        .map_err(|error| SmtpFault::Settings(format!("the DKIM key cannot be read: {error}")))?;
    let signed =
        ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"];
    let headers = signed.map(HeaderName::new_from_ascii_str).to_vec();
    let relaxed = DkimCanonicalization {
        header: DkimCanonicalizationType::Relaxed,
        body: DkimCanonicalizationType::Relaxed,
    };
    Ok(DkimConfig::new(settings.selector.clone(), settings.domain.clone(), key, headers, relaxed))
}
