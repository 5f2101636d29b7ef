//! TLS: the operator's certificate, or a development CA of our own in the data folder. TLS 1.2 is the least (D-4). Where
//! mutual TLS is configured, a port of its own asks for certificates (RFC 8705): browsers never meet it.

use std::{path::Path, sync::Arc};

use countersign_core::time::Time;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime, pem::PemObject as _};

use crate::{
    config::Config, fault::Fault, http::client_certificate::ClientCas, keys::secret_file, vault::write_new,
};

/// Years that the development CA lives.
const CA_YEARS: i16 = 10;

/// Makes a certificate valid from the day before `now` for so many years.
pub(crate) fn set_validity(params: &mut CertificateParams, now: Time, years: i16) {
    let day = |time: Time, years: i16| {
        let calendar = time.calendar();
        let month = u8::try_from(calendar.month).unwrap_or(1);
        // 29 February has no counterpart in most years: the 28th is near enough for a validity.
        let day = u8::try_from(calendar.day).unwrap_or(1).min(28);
        date_time_ymd(i32::from(calendar.year.saturating_add(years)), month, day)
    };
    params.not_before = day(now.plus_s(-24 * 3_600), 0);
    params.not_after = day(now, years);
}

/// What the accept loop needs, and what the operator should be told.
pub struct Tls {
    /// For `rustls`.
    pub server: Arc<ServerConfig>,
    /// The same, but it asks callers for a certificate.
    pub mutual: Arc<ServerConfig>,
    /// The development CA, where there is one.
    pub announcement: Option<String>,
}

impl Tls {
    /// Loads the operator's certificate, or makes one under the development CA.
    pub fn open(config: &Config, now: Time) -> Result<Self, Fault> {
        let (chain, key, announcement) = match (&config.server.tls_certificates, &config.server.tls_key) {
            (Some(certificates), Some(key)) => {
                let chain = read_certificates(certificates)?;
                (chain, read_key(key)?, None)
            }
            _ => development(config, now)?,
        };
        let failed = |error: rustls::Error| Fault::Key(format!("TLS: {error}"));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = || {
            ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
                .map_err(failed)
        };
        let alone = builder()?.with_no_client_auth().with_single_cert(chain.clone(), key.clone_key());
        let asking = builder()?
            .with_client_cert_verifier(Arc::new(AnyCertificate(provider.signature_verification_algorithms)))
            .with_single_cert(chain, key);
        let finish = |built: Result<ServerConfig, rustls::Error>| {
            let mut server = built.map_err(failed)?;
            server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Ok::<_, Fault>(Arc::new(server))
        };
        Ok(Self { server: finish(alone)?, mutual: finish(asking)?, announcement })
    }
}

/// Takes any certificate whose key the caller has: whose it is, is judged where a client authenticates, because a
/// self-signed one is as good as a CA's there (RFC 8705 §2).
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Judges chains of client certificates against the operator's CAs (RFC 8705 §2.1).
pub fn client_cas(path: &Path) -> Result<ClientCas, Fault> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = |certificate: CertificateDer<'static>| -> Result<_, Fault> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).map_err(|error| Fault::file(path, error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        Ok((certificate, verifier.build().map_err(|error| Fault::file(path, error))?))
    };
    let cas = read_certificates(path)?.into_iter().map(verifier).collect::<Result<Vec<_>, _>>()?;
    ClientCas::new(cas).map_err(|error| Fault::file(path, error))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| Fault::file(path, error))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let pem = secret_file::read(path)?;
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| Fault::file(path, error))
}

type Made = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, Option<String>);

/// A certificate for the public host and this machine, made at each start under a CA that stays.
fn development(config: &Config, now: Time) -> Result<Made, Fault> {
    let failed = |error: rcgen::Error| Fault::Key(format!("development certificate: {error}"));
    let (certificate_file, key_file) =
        (config.development_ca_file(), config.server.data_dir.join("tls-ca.key"));
    let mut announcement = None;
    if !key_file.exists() {
        let key = KeyPair::generate().map_err(failed)?;
        write_new(&key_file, key.serialize_pem().as_bytes(), 0o600)?;
    }
    let ca_key = KeyPair::from_pem(&secret_file::read(&key_file)?).map_err(failed)?;
    // A start that was killed may have left the key alone.
    if !certificate_file.exists() {
        let certificate = ca_params(now).self_signed(&ca_key).map_err(failed)?;
        write_new(&certificate_file, certificate.pem().as_bytes(), 0o644)?;
        announcement = Some(format!(
            "No TLS certificate is configured: a development CA was made. Trust {} on the machines that call \
             this server, or set server.tls_certificates and server.tls_key.",
            certificate_file.display()
        ));
    }
    let issuer = Issuer::new(ca_params(now), ca_key);
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for host in config.hosts()? {
        if !names.contains(&host) {
            names.push(host);
        }
    }
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "Countersign development server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, 1);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((vec![certificate.der().clone()], key, announcement))
}

/// The name is always the same: the public host may change, and the CA in people's trust stores stays.
fn ca_params(now: Time) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Countersign development TLS CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, CA_YEARS);
    params
}
