//! The TLS server of the place where senders connect: its files are read and compared when the configuration is checked.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::{Error as PemError, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::checked::Reader;
use super::pem;
use crate::clock;

const CERTIFICATE: &str = "listen.tls_certificate_file";
const KEY: &str = "listen.tls_key_file";
const CLIENT_CA: &str = "listen.client_ca_file";

impl Reader<'_> {
    /// TLS 1.2 or newer, with these files.
    pub(super) fn tls(
        &mut self,
        certificate_file: &Path,
        key_file: &Path,
        client_ca_file: Option<&Path>,
    ) -> Option<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = self.certificates(CERTIFICATE, certificate_file);
        let key = self.private_key(key_file);
        let verifier = client_ca_file.map(|file| self.client_verifier(file, &provider));
        let (chain, key) = (chain?, key?);
        self.validity(certificate_file, chain.first()?);
        let pair = self.pair(chain, key, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| self.refuse(CERTIFICATE, &error.to_string()))
            .ok()?;
        let builder = match verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier?),
        };
        let mut server = builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)));
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some(Arc::new(server))
    }

    fn pair(
        &mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        provider: &CryptoProvider,
    ) -> Option<CertifiedKey> {
        match CertifiedKey::from_der(chain, key, provider) {
            Ok(pair) => Some(pair),
            Err(rustls::Error::InconsistentKeys(_)) => {
                self.refuse(
                    KEY,
                    "it is not the key of the first certificate in listen.tls_certificate_file: name the one that belongs to it, \
                     and put the relay's own certificate first",
                );
                None
            }
            Err(error) => {
                let sentence = format!(
                    "the pair of listen.tls_certificate_file and this key cannot be used: {error}. Take RSA, P-256, P-384 or \
                     Ed25519"
                );
                self.refuse(KEY, &sentence);
                None
            }
        }
    }

    fn private_key(&mut self, file: &Path) -> Option<PrivateKeyDer<'static>> {
        let sentence = match PrivateKeyDer::from_pem_file(file) {
            Ok(key) => return Some(key),
            Err(PemError::NoItemsFound) => {
                "no private key is in it (one under a passphrase is not read): give PEM with `BEGIN PRIVATE KEY`"
                    .to_owned()
            }
            Err(error) => pem::unreadable(&error),
        };
        self.refuse(KEY, &format!("{}: {sentence}", file.display()));
        None
    }

    /// The certificates of a file: one at least.
    fn certificates(&mut self, place: &str, file: &Path) -> Option<Vec<CertificateDer<'static>>> {
        pem::certificates(file).map_err(|sentence| self.refuse(place, &sentence)).ok()
    }

    /// Senders refuse a certificate outside its time.
    fn validity(&mut self, file: &Path, certificate: &CertificateDer<'_>) {
        let Ok(read) = Certificate::from_der(certificate) else {
            let sentence = format!(
                "{}: the first certificate cannot be read: copy it anew from whoever issued it",
                file.display()
            );
            return self.refuse(CERTIFICATE, &sentence);
        };
        let validity = read.tbs_certificate().validity();
        let now_s = u64::try_from(clock::now_s()).unwrap_or_default();
        if validity.not_after.to_unix_duration().as_secs() < now_s {
            let sentence = format!(
                "{}: the certificate ended at {}, so that senders refuse it: put the renewed one there",
                file.display(),
                validity.not_after
            );
            self.doubt(CERTIFICATE, &sentence);
        }
        if validity.not_before.to_unix_duration().as_secs() > now_s {
            let sentence = format!(
                "{}: the certificate begins at {} only, so that senders refuse it: look at this machine's clock",
                file.display(),
                validity.not_before
            );
            self.doubt(CERTIFICATE, &sentence);
        }
    }

    fn client_verifier(
        &mut self,
        file: &Path,
        provider: &Arc<CryptoProvider>,
    ) -> Option<Arc<dyn ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        for ca in self.certificates(CLIENT_CA, file)? {
            if let Err(error) = roots.add(ca) {
                let sentence =
                    format!("{}: {error}: give certificates of CAs, and nothing else", file.display());
                self.refuse(CLIENT_CA, &sentence);
                return None;
            }
        }
        // Which sender needs one is judged with the request.
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| self.refuse(CLIENT_CA, &error.to_string()))
            .ok()
    }
}
