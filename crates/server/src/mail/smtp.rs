//! The way out for mail: one SMTP server, always with TLS, with DKIM when a key is configured (RFC 6376).

use std::time::Duration;

use countersign_core::secret::Secret;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        dkim::{DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm, DkimSigningKey},
        header::HeaderName,
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters, TlsVersion},
    },
};
use thiserror::Error;

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
    transport: AsyncSmtpTransport<Tokio1Executor>,
    dkim: Option<DkimConfig>,
}

impl Smtp {
    /// A client for these settings. It connects when the first mail is sent.
    pub fn new(settings: &SmtpSettings) -> Result<Self, SmtpFault> {
        let broken = |error: lettre::transport::smtp::Error| SmtpFault::Settings(error.to_string());
        let mut tls = TlsParameters::builder(settings.host.clone()).set_min_tls_version(TlsVersion::Tlsv12);
        if let Some(pem) = &settings.extra_root_pem {
            tls = tls.add_root_certificate(Certificate::from_pem(pem).map_err(broken)?);
        }
        let tls = tls.build_rustls().map_err(broken)?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
            .port(settings.port)
            .timeout(Some(Duration::from_secs(settings.timeout_s)))
            .tls(if settings.implicit_tls { Tls::Wrapper(tls) } else { Tls::Required(tls) });
        if let Some((user, password)) = &settings.credentials {
            transport = transport.credentials(Credentials::new(user.clone(), password.expose().clone()));
        }
        let dkim = settings.dkim.as_ref().map(dkim).transpose()?;
        Ok(Self { transport: transport.build(), dkim })
    }

    /// Signs and sends a message.
    pub async fn send(&self, mut message: Message) -> Result<(), SmtpFault> {
        if let Some(dkim) = &self.dkim {
            message.sign(dkim);
        }
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => {
                let status = error.status().map_or(500, u16::from);
                Err(SmtpFault::Permanent(status))
            }
            // The text of an answer may quote the address: only its kind is kept.
            Err(error) => Err(SmtpFault::Transient(transient(&error))),
        }
    }
}

fn transient(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(status) => format!("status {}", u16::from(status)),
        None if error.is_timeout() => "timeout".to_owned(),
        None if error.is_tls() => "TLS could not be negotiated".to_owned(),
        None => "the connection failed".to_owned(),
    }
}

fn dkim(settings: &DkimSettings) -> Result<DkimConfig, SmtpFault> {
    let key = DkimSigningKey::new(settings.private_key_pem.expose(), DkimSigningAlgorithm::Rsa)
        .map_err(|error| SmtpFault::Settings(format!("the DKIM key cannot be read: {error}")))?;
    let signed = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"];
    let headers = signed.map(HeaderName::new_from_ascii_str).to_vec();
    let relaxed = DkimCanonicalization {
        header: DkimCanonicalizationType::Relaxed,
        body: DkimCanonicalizationType::Relaxed,
    };
    Ok(DkimConfig::new(settings.selector.clone(), settings.domain.clone(), key, headers, relaxed))
}
