//! Whom we believe where the owner of a receiver pinned its key (W-7): an authority has to vouch for it, and the pin besides.

use std::sync::Arc;

use countersign_core::webhook::pin::Pin;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use thiserror::Error as ThisError;

/// The receiver has another key.
#[derive(Clone, Copy, Debug, ThisError)]
#[error("the receiver's key is none of the pinned ones: it is {0}. Pin it too if it is the receiver's own")]
pub(super) struct NotPinned(Pin);

impl NotPinned {
    /// That this is why a handshake failed.
    pub(super) fn of(error: &Error) -> Option<Self> {
        let Error::InvalidCertificate(CertificateError::Other(OtherError(error))) = error else {
            return None;
        };
        error.downcast_ref().copied()
    }
}

/// Asks somebody else, and then for the pin.
#[derive(Debug)]
pub(super) struct Pinned {
    verifier: Arc<dyn ServerCertVerifier>,
    pins: Vec<Pin>,
}

impl Pinned {
    pub(super) fn new(verifier: Arc<dyn ServerCertVerifier>, pins: Vec<Pin>) -> Self {
        Self { verifier, pins }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let pin = Pin::of(&key);
        if self.pins.contains(&pin) {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(NotPinned(pin))))))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
