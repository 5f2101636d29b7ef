//! The certificate that a caller showed over mutual TLS: put into every request by the accept loop, judged where a client
//! authenticates and where a token is bound to it (RFC 8705).

use std::{str::FromStr as _, sync::Arc};

use countersign_core::{digest::Digest, time::Time};
use der::Decode as _;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_cert::{
    Certificate,
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
};

/// The certificates of a connection, the caller's own first. Its key was proved in the handshake.
#[derive(Clone, Debug)]
pub struct PeerCertificates(Arc<[CertificateDer<'static>]>);

impl PeerCertificates {
    /// What the handshake gave, if it gave something.
    pub fn of(certificates: Option<&[CertificateDer<'static>]>) -> Option<Self> {
        certificates.filter(|chain| !chain.is_empty()).map(|chain| Self(chain.into()))
    }

    fn own(&self) -> Option<&CertificateDer<'static>> {
        self.0.first()
    }

    /// SHA-256 of the caller's certificate: what tokens are bound to (RFC 8705 §3.1).
    pub fn sha256(&self) -> Digest {
        self.own().map_or(Digest([0; 32]), |certificate| Digest::of(certificate))
    }

    /// Whether the chain leads to one of the operator's CAs, and is valid at `now`.
    pub fn is_of(&self, ca: &dyn ClientCertVerifier, now: Time) -> bool {
        let Some((own, others)) = self.0.split_first() else { return false };
        let seconds = u64::try_from(now.unix_ms() / 1_000).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        ca.verify_client_cert(own, others, at).is_ok()
    }

    fn certificate(&self) -> Option<Certificate> {
        Certificate::from_der(self.own()?).ok()
    }

    /// Whether `now` is within the certificate's own validity.
    pub fn is_valid_at(&self, now: Time) -> bool {
        let seconds = u64::try_from(now.unix_ms() / 1_000).unwrap_or_default();
        self.certificate().is_some_and(|certificate| {
            let validity = certificate.tbs_certificate().validity();
            let (from, to) = (validity.not_before, validity.not_after);
            (from.to_unix_duration().as_secs()..=to.to_unix_duration().as_secs()).contains(&seconds)
        })
    }

    /// Whether the subject is this distinguished name (RFC 4514).
    pub fn has_subject(&self, distinguished_name: &str) -> bool {
        let (Some(certificate), Ok(wanted)) = (self.certificate(), Name::from_str(distinguished_name)) else {
            return false;
        };
        certificate.tbs_certificate().subject().to_string() == wanted.to_string()
    }

    /// Whether one of the alternative names is this DNS name.
    pub fn has_dns_name(&self, dns_name: &str) -> bool {
        let Some(certificate) = self.certificate() else { return false };
        let Ok(Some((_, names))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
            return false;
        };
        names.0.iter().any(|name| match name {
            GeneralName::DnsName(found) => found.as_str().eq_ignore_ascii_case(dns_name),
            _ => false,
        })
    }
}
