//! Keys of the server itself: one signs the log, one seals, one turns addresses in logs into tokens. Made at the
//! first start, kept wrapped by the root key.

use std::{ops::RangeInclusive, sync::Arc};

use aws_lc_rs::{
    digest,
    signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey},
};
use countersign_core::{digest::Digest, time::Time};
use countersign_pdf::{
    seal::{KeyFault, SealKey},
    verify::{SealFailure, check_digest, check_own_chain},
};
use countersign_store::{Batch, CommitError, Store, batch::Row, rows::KeyRow};
use countersign_tlog::{LogSigner, Verifier};
use der::Decode as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_cert::Certificate;

use super::{
    pkcs11::TokenKey,
    software::SoftwareKey,
    wrapping::{Binding, WrappingKey},
};
use crate::{app::Randomness, config::Seal, fault::Fault, tls::set_validity};

/// A seal key that jobs share. What it signs is checked with the public key of its certificate, wherever it lives.
#[derive(Clone)]
pub struct SharedSealKey {
    key: Arc<dyn SealKey + Send + Sync>,
    certified: Arc<ParsedPublicKey>,
}

impl SharedSealKey {
    /// Shares a key; one without a P-256 certificate is refused.
    pub fn new(key: impl SealKey + Send + Sync + 'static) -> Result<Self, Fault> {
        let leaf = key.certificate_chain().first();
        let leaf = leaf.ok_or_else(|| Fault::Key("the seal key has no certificate".to_owned()))?;
        let leaf = Certificate::from_der(leaf)
            .map_err(|error| Fault::Key(format!("the seal's certificate cannot be read: {error}")))?;
        let public = leaf.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
        let certified = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public).map_err(|_| foreign_key())?;
        Ok(Self { key: Arc::new(key), certified: Arc::new(certified) })
    }
}

impl SealKey for SharedSealKey {
    fn certificate_chain(&self) -> &[Vec<u8>] {
        self.key.certificate_chain()
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, KeyFault> {
        self.key.sign(digest)
    }

    fn verifies(&self, digest: &[u8; 32], signature_der: &[u8]) -> bool {
        let digest = digest::Digest::import_less_safe(digest, &digest::SHA256);
        digest.is_ok_and(|digest| self.certified.verify_digest_sig(&digest, signature_der).is_ok())
    }
}

/// The server's own keys.
pub struct ServerKeys {
    /// Signs the log's checkpoints.
    pub log: LogSigner,
    /// Turns personal values in logs into tokens.
    pub tokens: WrappingKey,
}

/// The key that seals documents, tried.
#[derive(Clone)]
pub struct SealingKey {
    /// The key.
    pub key: SharedSealKey,
    /// SHA-256 of its certificate (DER).
    pub certificate_sha256: Digest,
    /// The seconds since 1970 in which it and those above it are valid.
    validity_s: RangeInclusive<u64>,
}

const LOG: &str = "log-1";
const SEAL: &str = "seal-1";
const TOKENS: &str = "tokens-1";
/// No key, but a name that the database and the folder of blobs share.
const BLOB_FOLDER: &str = "blob-folder-1";

/// What a log is called that begins on this host.
pub(crate) fn log_name(host: &str) -> String {
    format!("{host}/log")
}

fn place(name: &str) -> Binding {
    Binding::new("server-key", &[name.as_bytes()])
}

/// What new keys are made of.
pub(crate) struct Making<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) root: &'a WrappingKey,
    pub(crate) random: &'a dyn Randomness,
    pub(crate) now: Time,
    /// Host name, which names the log.
    pub(crate) host: &'a str,
}

impl ServerKeys {
    /// Reads the keys, and makes those that are not there yet.
    pub(crate) async fn open(making: &Making<'_>) -> Result<Self, Fault> {
        let rows = making.store.keys().await?;
        let log = making.existing_or(&rows, LOG, Making::new_log_key).await?;
        let tokens = making.existing_or(&rows, TOKENS, Making::new_tokens_key).await?;
        let verifier: Verifier =
            log.public.parse().map_err(|_| Fault::Key("the log's key is damaged".into()))?;
        let seed = making.root.unwrap(&place(LOG), &log.wrapped_key)?;
        let log =
            LogSigner::from_seed(verifier.name(), seed.expose()).map_err(|e| Fault::Key(e.to_string()))?;
        let tokens = making.root.unwrap(&place(TOKENS), &tokens.wrapped_key)?;
        Ok(Self { log, tokens })
    }
}

impl SealingKey {
    /// Opens and tries the key, and makes it if the operator configured none and there is none yet.
    pub(crate) async fn open(making: &Making<'_>, seal: &Seal) -> Result<Self, Fault> {
        if seal.pkcs11_module.is_none() {
            let rows = making.store.keys().await?;
            making.existing_or(&rows, SEAL, Making::new_seal_key).await?;
        }
        let found = Self::find(making.store, making.root, seal, making.now).await?;
        found.ok_or_else(|| Fault::Missing(format!("the server key {SEAL}")))
    }

    /// The same, but makes none.
    pub(crate) async fn find(
        store: &dyn Store,
        root: &WrappingKey,
        seal: &Seal,
        now: Time,
    ) -> Result<Option<Self>, Fault> {
        let key = if let Some(module) = &seal.pkcs11_module {
            SharedSealKey::new(TokenKey::open(module, seal)?)?
        } else {
            let rows = store.keys().await?;
            let Some(row) = rows.iter().find(|row| row.name == SEAL) else { return Ok(None) };
            SharedSealKey::new(software_seal_key(root, row)?)?
        };
        let (certificate, validity_s) = check_seal_key(&key, now)?;
        let certificate_sha256 = Digest::of(certificate);
        Ok(Some(Self { key, certificate_sha256, validity_s }))
    }

    /// SHA-256 of the certificate that seals, where it is valid at `now`.
    pub fn certificate_at(&self, now: Time) -> Option<Digest> {
        self.validity_s.contains(&unix_s(now)).then_some(self.certificate_sha256)
    }

    /// When the certificate that seals ends, or one above it.
    pub fn ends_at(&self) -> Time {
        Time::from_unix_ms(i64::try_from(*self.validity_s.end()).unwrap_or_default().saturating_mul(1_000))
    }
}

fn unix_s(time: Time) -> u64 {
    u64::try_from(time.unix_ms() / 1_000).unwrap_or_default()
}

/// Tries the key that seals before anything depends on it; gives its certificate (DER), and the seconds in which it is
/// valid.
fn check_seal_key(key: &SharedSealKey, now: Time) -> Result<(&[u8], RangeInclusive<u64>), Fault> {
    let certificate = key.certificate_chain().first();
    let certificate = certificate.ok_or_else(|| Fault::Key("the seal key has no certificate".to_owned()))?;
    let unusable = |failure: SealFailure| {
        Fault::Unsafe(format!(
            "the certificate that seals cannot be used: {} It must be of a P-256 key, valid today, and for signing \
             documents (key usage digitalSignature or nonRepudiation; extended key usage emailProtection and \
             documentSigning). In [seal] certificates each is followed by the one that issued it, and by no other.",
            failure.sentence()
        ))
    };
    let validity_s = check_own_chain(key.certificate_chain(), unix_s(now)).map_err(unusable)?;
    let digest = Digest::of(b"countersign/seal-key-test/v1").0;
    let signature = key.sign(&digest).map_err(|fault| Fault::Key(fault.to_string()))?;
    check_digest(certificate, &digest, &signature).map_err(|_| foreign_key())?;
    Ok((certificate, validity_s))
}

fn foreign_key() -> Fault {
    Fault::Unsafe(
        "the key that seals does not belong to its certificate, or is not on P-256: set [seal] certificates to the \
         chain that was issued for this key"
            .to_owned(),
    )
}

fn software_seal_key(root: &WrappingKey, row: &KeyRow) -> Result<SoftwareKey, Fault> {
    let der = root.open(&place(SEAL), &row.wrapped_key)?;
    let chain = CertificateDer::pem_slice_iter(row.public.as_bytes())
        .map(|certificate| certificate.map(|certificate| certificate.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Fault::Key(format!("the seal's certificates are damaged: {error}")))?;
    SoftwareKey::from_pkcs8_der(&der, chain).map_err(|fault| Fault::Key(fault.detail))
}

/// The id of the folder of blobs that the database knows.
pub(crate) async fn blob_folder(store: &dyn Store) -> Result<Option<String>, Fault> {
    let rows = store.keys().await?;
    Ok(rows.into_iter().find(|row| row.name == BLOB_FOLDER).map(|row| row.public))
}

impl Making<'_> {
    /// The row of that name, made and committed if there is none. When another server makes the same key at the
    /// same time, one of the two is kept and both use it.
    async fn existing_or(
        &self,
        rows: &[KeyRow],
        name: &str,
        make: fn(&Self) -> Result<KeyRow, Fault>,
    ) -> Result<KeyRow, Fault> {
        if let Some(row) = rows.iter().find(|row| row.name == name) {
            return Ok(row.clone());
        }
        self.kept(make(self)?).await
    }

    /// Makes `id` the folder of blobs that the database knows, unless it knows one by now; gives the one it knows.
    pub(crate) async fn take_blob_folder(&self, id: &str) -> Result<String, Fault> {
        let row = self.row(BLOB_FOLDER, "blob-folder", id.as_bytes(), id.to_owned())?;
        Ok(self.kept(row).await?.public)
    }

    /// Commits a row; gives the one of its name that is kept.
    async fn kept(&self, row: KeyRow) -> Result<KeyRow, Fault> {
        let batch = Batch { rows: vec![Row::Key(row.clone())], ..Batch::default() };
        match self.store.commit(batch).await {
            Ok(_) => Ok(row),
            Err(CommitError::Conflict) => {
                let rows = self.store.keys().await?;
                let found = rows.into_iter().find(|found| found.name == row.name);
                found.ok_or_else(|| Fault::Missing(format!("the server key {}", row.name)))
            }
            Err(error) => Err(Fault::of_commit(error)),
        }
    }

    fn row(&self, name: &str, purpose: &str, secret: &[u8], public: String) -> Result<KeyRow, Fault> {
        Ok(KeyRow {
            name: name.to_owned(),
            purpose: purpose.to_owned(),
            wrapped_key: self.root.seal(self.random, &place(name), secret)?,
            public,
            created_at: self.now,
        })
    }

    fn new_log_key(&self) -> Result<KeyRow, Fault> {
        let seed = WrappingKey::generate(self.random);
        let origin = log_name(self.host);
        let signer = LogSigner::from_seed(&origin, seed.expose()).map_err(|e| Fault::Key(e.to_string()))?;
        self.row(LOG, "log", seed.expose(), signer.verifier().to_string())
    }

    fn new_tokens_key(&self) -> Result<KeyRow, Fault> {
        self.row(TOKENS, "tokens", WrappingKey::generate(self.random).expose(), String::new())
    }

    /// A P-256 key with a leaf certificate under a development CA whose own key is thrown away.
    fn new_seal_key(&self) -> Result<KeyRow, Fault> {
        let failed = |error: rcgen::Error| Fault::Key(error.to_string());
        let mut ca = CertificateParams::default();
        ca.distinguished_name
            .push(DnType::CommonName, format!("Countersign development CA of {}", self.host));
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut ca, self.now, 10);
        let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let ca_certificate = ca.self_signed(&ca_key).map_err(failed)?;

        let mut leaf = CertificateParams::default();
        leaf.distinguished_name
            .push(DnType::CommonName, format!("Countersign development seal of {}", self.host));
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
        let document_signing = ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 36]);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection, document_signing];
        leaf.use_authority_key_identifier_extension = true;
        set_validity(&mut leaf, self.now, 9);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let issuer = Issuer::new(ca, ca_key);
        let certificate = leaf.signed_by(&key, &issuer).map_err(failed)?;
        let chain = [certificate.pem(), ca_certificate.pem()].concat();
        self.row(SEAL, "seal", key.serialized_der(), chain)
    }
}
