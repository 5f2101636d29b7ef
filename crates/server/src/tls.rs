//! TLS: the operator's certificate, or a development CA of our own in the data folder. TLS 1.2 is the least (D-4). Where
//! mutual TLS is configured, a port of its own asks for certificates (RFC 8705): browsers never meet it.

use std::{net::IpAddr, path::Path, sync::Arc};

use countersign_core::time::Time;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
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

use x509_cert::{
    der::Decode as _,
    ext::pkix::{self, name::GeneralName},
};

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
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for host in config.hosts()? {
        if !names.contains(&host) {
            names.push(host);
        }
    }
    // A start that was killed may have left the key alone.
    if !certificate_file.exists() {
        let mut params = ca_params(now);
        params.name_constraints = Some(only_for(&names));
        let certificate = params.self_signed(&ca_key).map_err(failed)?;
        write_new(&certificate_file, certificate.pem().as_bytes(), 0o644)?;
        announcement = Some(format!(
            "No TLS certificate is configured: a development CA was made. Trust {} on the machines that call \
             this server, or set server.tls_certificates and server.tls_key.",
            certificate_file.display()
        ));
    }
    let issuer = Issuer::new(ca_params(now), ca_key);
    check_is_for(&certificate_file, &key_file, &names)?;
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

/// What a development CA may vouch for (RFC 5280 §4.2.1.10): whoever reads its key cannot pass for anybody else.
fn only_for(names: &[String]) -> NameConstraints {
    let subtree = |name: &String| match name.parse::<IpAddr>() {
        Ok(address @ IpAddr::V4(_)) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, 32)),
        Ok(address @ IpAddr::V6(_)) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, 128)),
        Err(_) => GeneralSubtree::DnsName(name.clone()),
    };
    NameConstraints { permitted_subtrees: names.iter().map(subtree).collect(), excluded_subtrees: Vec::new() }
}

/// Refuses to start with a development CA that may not vouch for one of these names: no program would believe it. One without
/// constraints, of an earlier version, may.
fn check_is_for(certificate_file: &Path, key_file: &Path, names: &[String]) -> Result<(), Fault> {
    let broken = |error: &dyn std::fmt::Display| Fault::file(certificate_file, error.to_string());
    let certificates = read_certificates(certificate_file)?;
    let der = certificates.first().ok_or_else(|| broken(&"there is no certificate in it"))?;
    let certificate = x509_cert::Certificate::from_der(der).map_err(|error| broken(&error))?;
    let found = certificate.tbs_certificate().get_extension::<pkix::NameConstraints>();
    let Some((_, constraints)) = found.map_err(|error| broken(&error))? else { return Ok(()) };
    let permitted = constraints.permitted_subtrees.unwrap_or_default();
    let is_of = |name: &String, base: &GeneralName| match (name.parse::<IpAddr>(), base) {
        (Ok(IpAddr::V4(address)), GeneralName::IpAddress(range)) => {
            range.as_bytes().starts_with(&address.octets())
        }
        (Ok(IpAddr::V6(address)), GeneralName::IpAddress(range)) => {
            range.as_bytes().starts_with(&address.octets())
        }
        (Err(_), GeneralName::DnsName(base)) => base.as_str().eq_ignore_ascii_case(name),
        _ => false,
    };
    let beyond = names.iter().find(|name| !permitted.iter().any(|subtree| is_of(name, &subtree.base)));
    let Some(beyond) = beyond else { return Ok(()) };
    Err(Fault::Unsafe(format!(
        "the development CA {} is for other hosts than {beyond}: remove it and {}, start again, and trust the new one, or \
         set server.tls_certificates and server.tls_key",
        certificate_file.display(),
        key_file.display()
    )))
}

/// The name is always the same: an issuer and its certificates are matched by it.
fn ca_params(now: Time) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Countersign development TLS CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, CA_YEARS);
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, url: &str) -> Result<Option<String>, Fault> {
        let mut config = Config::default();
        config.server.data_dir = folder.to_owned();
        config.server.public_url = url.to_owned();
        Tls::open(&config, Time::from_unix_ms(1_795_000_000_000)).map(|tls| tls.announcement)
    }

    /// D-4: the development CA vouches for this server's hosts and for nobody else, and says so in a way that must be understood.
    #[test]
    fn a_development_ca_is_for_its_hosts_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(open(folder.path(), "https://sign.test:8443").unwrap().is_some(), "it was made");
        let file = folder.path().join("tls-ca.pem");
        let der = read_certificates(&file).unwrap().remove(0);
        let certificate = x509_cert::Certificate::from_der(&der).unwrap();
        let found = certificate.tbs_certificate().get_extension::<pkix::NameConstraints>().unwrap();
        let (is_critical, constraints) = found.unwrap();
        assert!(is_critical);
        assert_eq!(constraints.permitted_subtrees.unwrap().len(), 4);
        let pem = std::fs::read(&file).unwrap();
        assert_eq!(open(folder.path(), "https://sign.test").unwrap(), None, "the files stay");
        assert_eq!(std::fs::read(&file).unwrap(), pem);
        let other = open(folder.path(), "https://bank.test").unwrap_err().to_string();
        assert!(other.contains("bank.test") && other.contains("tls-ca.key"), "{other}");
        let addressed = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            open(addressed.path(), "https://[2001:db8::7]:8443").unwrap();
        }
    }

    /// D-4: a development CA of before stays as it is, and serves every host.
    #[test]
    fn an_older_development_ca_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (key, now) = (KeyPair::generate().unwrap(), Time::from_unix_ms(1_795_000_000_000));
        write_new(&folder.path().join("tls-ca.key"), key.serialize_pem().as_bytes(), 0o600).unwrap();
        let pem = ca_params(now).self_signed(&key).unwrap().pem();
        write_new(&folder.path().join("tls-ca.pem"), pem.as_bytes(), 0o644).unwrap();
        for url in ["https://sign.test", "https://bank.test"] {
            assert_eq!(open(folder.path(), url).unwrap(), None);
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("tls-ca.pem")).unwrap(), pem);
    }
}
