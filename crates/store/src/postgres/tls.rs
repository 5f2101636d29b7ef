//! TLS to the database (D-4): what leaves this machine is never in plain text, and goes to nobody but the server whose
//! name the certificate holds.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use crate::fault::Fault;

/// Makes TLS connections, where the configuration asks for them.
pub(super) type Tls = tokio_postgres_rustls::MakeRustlsConnect;

/// The protocol's name (PostgreSQL 17 asks for it where TLS comes without a request before it).
const PROTOCOL: &[u8] = b"postgresql";

/// Makes TLS a must where the connection leaves this machine, and elsewhere where the operator asks for it. `prefer` would
/// take a server at its word that it has none, and is nowhere left as it is.
pub(super) fn guarded(config: &mut Config, ca: Option<&Path>) -> Result<Tls, Fault> {
    let is_local = stays_here(config);
    let mode = match config.get_ssl_mode() {
        SslMode::Disable if !is_local => {
            let sentence = "it asks for `sslmode=disable`, and its host is not this machine: everything would travel in \
                            plain text. Remove `sslmode`, or set it to `require`, and give the server a certificate"
                .to_owned();
            return Err(Fault::Address(sentence));
        }
        SslMode::Disable => SslMode::Disable,
        SslMode::Prefer if is_local => SslMode::Disable,
        _ => SslMode::Require,
    };
    config.ssl_mode(mode);
    let roots = if mode == SslMode::Require { roots(ca)? } else { RootCertStore::empty() };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| Fault::Address(format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Tls::new(client))
}

// Whether every host and every address that the configuration names is this machine.
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

fn roots(ca: Option<&Path>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca else {
        // Files of the system that cannot be read are as good as not there.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let sentence = "this machine knows no CA to check the server's certificate with: install \
                            `ca-certificates`, or set server.database_ca_file";
            return Err(Fault::Address(sentence.to_owned()));
        }
        return Ok(roots);
    };
    let wrong = |reason: String| Fault::Address(format!("the CA file {}: {reason}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> Result<SslMode, String> {
        let mut config: Config = url.parse().unwrap();
        guarded(&mut config, None).map_err(|fault| fault.to_string())?;
        Ok(config.get_ssl_mode())
    }

    /// D-4: whoever is not this machine is reached under TLS or not at all.
    #[test]
    fn what_leaves_this_machine_needs_tls() {
        for url in ["postgres://a@db.example.com/b", "postgres://a@10.0.0.7/b?sslmode=prefer"] {
            assert_eq!(mode(url), Ok(SslMode::Require), "{url}");
        }
        for url in [
            "host=db.example.com hostaddr=127.0.0.1",
            "host=localhost hostaddr=192.0.2.1",
            "host=localhost,db.example.com",
        ] {
            assert_eq!(mode(url), Ok(SslMode::Require), "{url}");
        }
        let refused = mode("postgres://a@db.example.com/b?sslmode=disable").unwrap_err();
        assert!(refused.contains("plain text") && refused.contains("require"), "{refused}");
    }

    #[test]
    fn on_this_machine_tls_is_the_operators_choice() {
        for url in
            ["postgres://a@localhost/b", "postgres://a@127.0.0.1/b", "host=/run/postgresql", "host=::1"]
        {
            assert_eq!(mode(url), Ok(SslMode::Disable), "{url}");
        }
        assert_eq!(mode("postgres://a@localhost/b?sslmode=require"), Ok(SslMode::Require));
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut config: Config = "host=db.example.com".parse().unwrap();
        let refused = guarded(&mut config, Some(file.path())).map(drop).unwrap_err().to_string();
        assert!(refused.contains("no certificate"), "{refused}");
    }
}
