//! Every connection that this program opens itself: to the operator's own mail server, to addresses that strangers name
//! (guarded), and, in the demo, to itself.

mod broken;
pub mod certificate;
mod clients;
pub mod guard;
pub mod kept;
pub mod messenger;
pub(crate) mod names;
mod pinned;
mod tls;
mod tokens;

use std::{fs, path::Path};

use countersign_core::secret::Secret;

use crate::{
    app::App,
    config::{Mail, SmtpSecurity},
    fault::Fault,
    keys::secret_file,
    mail::smtp::{DkimSettings, Smtp, SmtpSettings},
};

/// Seconds for one conversation with the mail server.
const SMTP_TIMEOUT_S: u64 = 30;

fn read(path: &Path) -> Result<String, Fault> {
    fs::read_to_string(path).map_err(|error| Fault::file(path, error))
}

/// A client of this very server that trusts its development CA and nothing else, with a cookie jar of its own.
pub fn own_client(app: &App) -> Result<reqwest::Client, Fault> {
    let failed = |error: reqwest::Error| Fault::Task(format!("the client cannot be made: {error}"));
    // A provider that is installed already is the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(read(&app.config.development_ca_file())?.as_bytes())
        .map_err(failed)?;
    let listen = app.config.server.listen;
    reqwest::Client::builder()
        .tls_certs_only([ca])
        .resolve(&app.config.public_host()?, listen)
        .cookie_store(true)
        .no_proxy()
        .build()
        .map_err(failed)
}

/// The mail client for these settings; none without a host.
pub fn smtp(mail: &Mail) -> Result<Option<Smtp>, Fault> {
    let Some(host) = &mail.smtp_host else { return Ok(None) };
    let credentials = match (&mail.smtp_user, &mail.smtp_password_file) {
        (Some(user), Some(file)) => {
            Some((user.clone(), Secret::new(secret_file::read(file)?.trim_end().to_owned())))
        }
        (None, None) => None,
        _ => {
            let sentence = "set both mail.smtp_user and mail.smtp_password_file, or neither";
            return Err(Fault::Unsafe(sentence.to_owned()));
        }
    };
    let dkim = match (&mail.dkim_selector, &mail.dkim_domain, &mail.dkim_key_file) {
        (Some(selector), Some(domain), Some(file)) => Some(DkimSettings {
            selector: selector.clone(),
            domain: domain.clone(),
            private_key_pem: Secret::new(secret_file::read(file)?.to_string()),
        }),
        _ => None,
    };
    let settings = SmtpSettings {
        host: host.clone(),
        port: mail.smtp_port,
        implicit_tls: mail.smtp_security == SmtpSecurity::Tls,
        credentials,
        extra_root_pem: mail.smtp_ca_file.as_deref().map(read).transpose()?.map(String::into_bytes),
        timeout_s: SMTP_TIMEOUT_S,
        dkim,
    };
    Smtp::new(&settings).map(Some).map_err(|fault| Fault::Unsafe(fault.to_string()))
}
