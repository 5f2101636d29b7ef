//! The certificate that a caller showed over mutual TLS: put into every request by the accept loop, judged where a client
//! authenticates and where a token is bound to it (RFC 8705).

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use countersign_core::{digest::Digest, oauth::subject::Subject, time::Time};
use der::{
    Decode as _, Tag, Tagged as _,
    asn1::{Any, Ia5StringRef, PrintableStringRef, Utf8StringRef},
};
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_cert::{
    Certificate,
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
};

/// What a connection over mutual TLS showed: the caller's certificate first, or nothing. Its key was proved in the
/// handshake.
#[derive(Clone, Debug)]
pub struct PeerCertificates(Arc<[CertificateDer<'static>]>);

/// The caller's certificate, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// SHA-256 of its DER: what tokens are bound to (RFC 8705 §3.1).
    pub sha256: Digest,
    /// Its subject, if all of it is text.
    pub subject: Option<Subject>,
    /// Its alternative DNS names.
    pub dns_names: Vec<String>,
    /// Whether it leads to one of the operator's CAs and is valid now.
    pub is_trusted: bool,
    /// Whether the moment is within its own validity.
    pub is_current: bool,
}

/// The operator's CAs of client certificates.
pub struct ClientCas(Vec<ClientCa>);

struct ClientCa {
    /// In s since 1970.
    valid: RangeInclusive<u64>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCas {
    /// Of certificates, each with what judges chains that lead to it.
    pub fn new(
        cas: impl IntoIterator<Item = (CertificateDer<'static>, Arc<dyn ClientCertVerifier>)>,
    ) -> Result<Self, der::Error> {
        let read = |(certificate, verifier): (CertificateDer<'_>, _)| {
            Ok(ClientCa { valid: valid(&Certificate::from_der(&certificate)?), verifier })
        };
        cas.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a certificate leads to one of them that is valid now. Path validation asks that of every certificate but the
    /// CA's own (RFC 5280 §6.1), and a CA that is over is not trusted here.
    fn trust(&self, own: &CertificateDer<'_>, others: &[CertificateDer<'_>], now_s: u64) -> bool {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now_s));
        let leads_to = |ca: &ClientCa| {
            ca.valid.contains(&now_s) && ca.verifier.verify_client_cert(own, others, now).is_ok()
        };
        self.0.iter().any(leads_to)
    }
}

fn valid(certificate: &Certificate) -> RangeInclusive<u64> {
    let validity = certificate.tbs_certificate().validity();
    validity.not_before.to_unix_duration().as_secs()..=validity.not_after.to_unix_duration().as_secs()
}

impl PeerCertificates {
    /// What the handshake gave.
    pub fn of(certificates: Option<&[CertificateDer<'static>]>) -> Self {
        Self(certificates.unwrap_or_default().into())
    }

    /// SHA-256 of the caller's certificate, if it showed one.
    pub fn sha256(&self) -> Option<Digest> {
        self.0.first().map(|certificate| Digest::of(certificate))
    }

    /// The caller's certificate at `now`, if it showed one that can be read.
    pub fn judge(&self, cas: Option<&ClientCas>, now: Time) -> Option<Judged> {
        let (own, others) = self.0.split_first()?;
        let certificate = Certificate::from_der(own).ok()?;
        let now_s = u64::try_from(now.unix_ms() / 1_000).unwrap_or_default();
        Some(Judged {
            sha256: Digest::of(own),
            subject: subject(certificate.tbs_certificate().subject()),
            dns_names: dns_names(&certificate),
            is_trusted: cas.is_some_and(|cas| cas.trust(own, others, now_s)),
            is_current: valid(&certificate).contains(&now_s),
        })
    }
}

/// A name as core compares it: the most particular part first (RFC 4514 §2.1).
fn subject(name: &Name) -> Option<Subject> {
    let mut parts = Vec::new();
    for part in name.iter_rdn() {
        let attributes = part.iter().map(|one| Some((one.oid.to_string(), text(&one.value)?)));
        parts.push(attributes.collect::<Option<Vec<_>>>()?);
    }
    parts.reverse();
    Some(Subject::of(parts))
}

fn text(value: &Any) -> Option<String> {
    let text = match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok()?.as_str(),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str(),
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok()?.as_str(),
        _ => return None,
    };
    Some(text.to_owned())
}

fn dns_names(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, names))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    let dns = names.0.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        _ => None,
    });
    dns.collect()
}
