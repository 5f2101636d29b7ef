//! Reads the certificate and the key that an endpoint is to show to its receiver (W-7), and refuses what would be no use there.

use countersign_core::{
    refusal::{Code, Refusal},
    secret::Secret,
    time::Time,
    webhook::channel::ClientCertificate,
};
use der::Decode as _;
use rustls::{crypto::aws_lc_rs::default_provider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use x509_cert::Certificate;

const CHAIN: &str = "/client_certificate/chain";
const KEY: &str = "/client_certificate/key";
/// Letters of a chain, and of a key: more than any has that a receiver takes.
pub const CHAIN_BYTES: usize = 32 * 1_024;
/// The same of a key.
pub const KEY_BYTES: usize = 8 * 1_024;
/// Certificates of a chain.
const CHAIN_LENGTH: usize = 8;

/// Reads a chain (PEM, the certificate itself first) and its key (PEM, PKCS #8).
pub fn read(chain: &str, key: &Secret<String>) -> Result<ClientCertificate, Refusal> {
    let chain = certificates(chain)?;
    let first = chain.first().ok_or_else(no_certificate)?;
    let read = Certificate::from_der(first).map_err(|_| no_certificate())?;
    let validity = read.tbs_certificate().validity();
    let time = |time: &x509_cert::time::Time| {
        i64::try_from(time.to_unix_duration().as_millis())
            .map(Time::from_unix_ms)
            .map_err(|_| no_certificate())
    };
    let (begins_at, expires_at) = (time(&validity.not_before)?, time(&validity.not_after)?);
    let key = private_key(key.expose())?;
    let pair = CertifiedKey::from_der(chain.clone(), key.clone_key(), &default_provider());
    match pair {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            let sentence = "this is not the key of the first certificate: send the one that its request was made with, and the \
                 chain with the certificate itself first";
            return Err(Refusal::at(Code::Invalid, KEY, sentence));
        }
        Err(_) => {
            let sentence = "a key of RSA (2048 to 8192 bits), P-256, P-384, P-521 or Ed25519 can be used";
            return Err(Refusal::at(Code::Invalid, KEY, sentence));
        }
    }
    Ok(ClientCertificate {
        chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
        key: Secret::new(key.secret_der().to_vec()),
        begins_at,
        expires_at,
    })
}

fn no_certificate() -> Refusal {
    let sentence = "send the certificate in PEM (`-----BEGIN CERTIFICATE-----`), and behind it those between it and its authority";
    Refusal::at(Code::Invalid, CHAIN, sentence)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    if pem.contains("PRIVATE KEY") {
        let sentence = "the private key belongs in `key` alone: leave it out of `chain`";
        return Err(Refusal::at(Code::Invalid, CHAIN, sentence));
    }
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = read.map_err(|_| no_certificate())?;
    if chain.len() > CHAIN_LENGTH || pem.len() > CHAIN_BYTES {
        let sentence =
            format!("a chain has at most {CHAIN_LENGTH} certificates and {CHAIN_BYTES} characters");
        return Err(Refusal::at(Code::Invalid, CHAIN, sentence));
    }
    Ok(chain)
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, Refusal> {
    let refused = |sentence: &str| Err(Refusal::at(Code::Invalid, KEY, sentence));
    if pem.len() > KEY_BYTES {
        return refused("this is too long for a private key");
    }
    if pem.contains("ENCRYPTED") {
        return refused(
            "the key is encrypted: `openssl pkey -in key.pem` writes it as it is needed, and it is kept encrypted here",
        );
    }
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(key @ PrivateKeyDer::Pkcs8(_)) => Ok(key),
        Ok(_) => refused(
            "the key is not PKCS #8: `openssl pkey -in key.pem` writes it so (`-----BEGIN PRIVATE KEY-----`)",
        ),
        Err(_) => refused("send the private key in PEM, PKCS #8 (`-----BEGIN PRIVATE KEY-----`)"),
    }
}
