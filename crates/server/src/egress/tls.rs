//! TLS to whatever is outside: whom we believe, and what we show of ourselves.

use std::{path::Path, sync::Arc};

use countersign_core::webhook::{channel::Channel, pin::Pin};
use rustls::{
    ClientConfig, client::danger::ServerCertVerifier, crypto::CryptoProvider,
    crypto::aws_lc_rs::default_provider,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use rustls_platform_verifier::Verifier;

use super::pinned::Pinned;
use crate::fault::Fault;

/// What is spoken over TLS, the first the best (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Whom we believe: the authorities of the machine, and those of the operator.
#[derive(Clone)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
}

fn failed(error: rustls::Error) -> Fault {
    Fault::Task(format!("TLS cannot be set up: {error}"))
}

impl Trust {
    /// With the authorities of a file besides.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, Fault> {
        let provider = Arc::new(default_provider());
        let more = ca_file.map(certificates).transpose()?.unwrap_or_default();
        let verifier = Verifier::new_with_extra_roots(more, Arc::clone(&provider)).map_err(failed)?;
        Ok(Self { provider, verifier: Arc::new(verifier) })
    }

    fn verifier(&self, pins: &[Pin]) -> Arc<dyn ServerCertVerifier> {
        let verifier = Arc::clone(&self.verifier);
        if pins.is_empty() { verifier } else { Arc::new(Pinned::new(verifier, pins.to_vec())) }
    }

    /// How connections are made that show, and ask for, what a channel says.
    pub(super) fn config(&self, channel: &Channel) -> Result<ClientConfig, Fault> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(&channel.pins));
        let mut config = match &channel.certificate {
            Some(certificate) => {
                let chain = certificate.chain.iter().cloned().map(CertificateDer::from).collect();
                let key = PrivatePkcs8KeyDer::from(certificate.key.expose().clone());
                builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(key)).map_err(failed)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let pem = std::fs::read(path).map_err(|error| Fault::file(path, error))?;
    let read = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let read = read.map_err(|error| Fault::file(path, error))?;
    if read.is_empty() {
        return Err(Fault::file(path, "no certificate is in it: give PEM with `BEGIN CERTIFICATE`"));
    }
    Ok(read)
}
