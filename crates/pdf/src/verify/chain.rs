//! Certificate chains of seals (RFC 5280 §6, as far as P-256 chains without policies and name constraints need it).

use std::ops::RangeInclusive;

use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::SealFailure;
use crate::seal::cms::{ECDSA_WITH_SHA_256, verifying_key};

/// id-kp-emailProtection (RFC 5280 §4.2.1.12).
const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
/// id-kp-documentSigning (RFC 9336 §3.1).
const DOCUMENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.36");
/// Longest chain.
const CERTIFICATES_MAX: usize = 8;

/// Checks that `chain` (DER, the signer's first, each followed by its issuer) leads to one of `anchors` (DER), that
/// every certificate was valid at `at_unix_s` (seconds since 1970), and that each may do what it did.
pub fn check_chain(chain: &[Vec<u8>], anchors: &[Vec<u8>], at_unix_s: u64) -> Result<(), SealFailure> {
    let parse = |der: &Vec<u8>| Certificate::from_der(der).map_err(|_| SealFailure::BrokenChain);
    let certificates = chain.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let leaf = certificates.first().ok_or(SealFailure::BrokenChain)?;
    let last = certificates.last().ok_or(SealFailure::BrokenChain)?;
    check_leaf(leaf)?;
    check_links(&certificates)?;
    for issuer in certificates.iter().skip(1) {
        check_authority(issuer)?;
    }
    for certificate in &certificates {
        check_validity(certificate, at_unix_s)?;
    }
    for der in anchors {
        if chain.contains(der) {
            return Ok(());
        }
        let Ok(anchor) = Certificate::from_der(der) else { continue };
        if issued(&anchor, last) {
            check_authority(&anchor)?;
            return check_validity(&anchor, at_unix_s);
        }
    }
    Err(SealFailure::Untrusted)
}

/// Checks that a `chain` (DER) may seal documents now (seconds since 1970): the signer's certificate first, each followed
/// by its issuer, all of them valid. Where it ends is for those who verify to judge. Gives the seconds in which all are.
pub fn check_own_chain(chain: &[Vec<u8>], at_unix_s: u64) -> Result<RangeInclusive<u64>, SealFailure> {
    let parse = |der: &Vec<u8>| Certificate::from_der(der).map_err(|_| SealFailure::BrokenChain);
    let certificates = chain.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let leaf = certificates.first().ok_or(SealFailure::BrokenChain)?;
    check_leaf(leaf)?;
    if ordered(leaf, &certificates)? != certificates {
        return Err(SealFailure::BrokenChain);
    }
    certificates.iter().skip(1).try_for_each(check_authority)?;
    certificates.iter().try_for_each(|certificate| check_validity(certificate, at_unix_s))?;
    let each = || certificates.iter().map(validity);
    let from = each().map(|validity| *validity.start()).max().unwrap_or(u64::MAX);
    Ok(from..=each().map(|validity| *validity.end()).min().unwrap_or(0))
}

/// Checks that a signer's `certificate` (DER) may seal documents and was valid at `at_unix_s` (seconds since 1970). Who
/// issued it is not looked at.
pub fn check_signer(certificate: &[u8], at_unix_s: u64) -> Result<(), SealFailure> {
    let leaf = Certificate::from_der(certificate).map_err(|_| SealFailure::BrokenChain)?;
    check_leaf(&leaf)?;
    check_validity(&leaf, at_unix_s)
}

/// Checks a signature (DER) of a SHA-256 digest by the P-256 key of `certificate` (DER).
pub fn check_digest(certificate: &[u8], digest: &[u8; 32], signature: &[u8]) -> Result<(), SealFailure> {
    let certificate = Certificate::from_der(certificate).map_err(|_| SealFailure::BrokenChain)?;
    let key = verifying_key(&certificate).ok_or(SealFailure::BadSignature)?;
    let signature = Signature::from_der(signature).map_err(|_| SealFailure::BadSignature)?;
    key.verify_prehash(digest, &signature).map_err(|_| SealFailure::BadSignature)
}

/// Orders the certificates of a seal from the signer's and checks each one's signature by the next: none may be left
/// over.
pub(super) fn ordered(
    leaf: &Certificate,
    certificates: &[Certificate],
) -> Result<Vec<Certificate>, SealFailure> {
    if certificates.len() > CERTIFICATES_MAX {
        return Err(SealFailure::BrokenChain);
    }
    let mut chain = vec![leaf.clone()];
    let mut rest: Vec<&Certificate> = certificates.iter().filter(|other| *other != leaf).collect();
    while !rest.is_empty() {
        let last = chain.last().ok_or(SealFailure::BrokenChain)?;
        let next = rest.iter().position(|issuer| issued(issuer, last)).ok_or(SealFailure::BrokenChain)?;
        chain.push(rest.swap_remove(next).clone());
    }
    let last = chain.last().ok_or(SealFailure::BrokenChain)?;
    let is_root = last.tbs_certificate().issuer() == last.tbs_certificate().subject();
    if is_root && !issued(last, last) { Err(SealFailure::BrokenChain) } else { Ok(chain) }
}

fn check_links(certificates: &[Certificate]) -> Result<(), SealFailure> {
    let linked =
        certificates.iter().zip(certificates.iter().skip(1)).all(|(one, issuer)| issued(issuer, one));
    if linked { Ok(()) } else { Err(SealFailure::BrokenChain) }
}

/// Whether `issuer` signed `certificate`, by name and by signature (ECDSA on P-256 with SHA-256).
fn issued(issuer: &Certificate, certificate: &Certificate) -> bool {
    let body = certificate.tbs_certificate();
    let signature = certificate.signature().as_bytes().and_then(|der| Signature::from_der(der).ok());
    match (verifying_key(issuer), signature, body.to_der()) {
        (Some(key), Some(signature), Ok(signed)) => {
            body.issuer() == issuer.tbs_certificate().subject()
                && certificate.signature_algorithm().oid == ECDSA_WITH_SHA_256
                && body.signature() == certificate.signature_algorithm()
                && key.verify(&signed, &signature).is_ok()
        }
        _ => false,
    }
}

fn check_leaf(leaf: &Certificate) -> Result<(), SealFailure> {
    let purpose = |detail| SealFailure::Purpose { detail };
    let usage = extension::<KeyUsage>(leaf)?.ok_or(purpose("no key usage"))?;
    if !usage.digital_signature() && !usage.non_repudiation() {
        return Err(purpose("its key may not sign"));
    }
    let extended = extension::<ExtendedKeyUsage>(leaf)?.ok_or(purpose("no purpose of document signing"))?;
    if !extended.0.contains(&EMAIL_PROTECTION) || !extended.0.contains(&DOCUMENT_SIGNING) {
        return Err(purpose("no purpose of document signing"));
    }
    Ok(())
}

fn check_authority(issuer: &Certificate) -> Result<(), SealFailure> {
    let is_authority = extension::<BasicConstraints>(issuer)?.is_some_and(|constraints| constraints.ca);
    let may_sign = extension::<KeyUsage>(issuer)?.is_none_or(|usage| usage.key_cert_sign());
    if is_authority && may_sign {
        Ok(())
    } else {
        Err(SealFailure::Purpose { detail: "an issuer is no authority" })
    }
}

fn extension<T: for<'a> Decode<'a> + const_oid::AssociatedOid>(
    certificate: &Certificate,
) -> Result<Option<T>, SealFailure> {
    let found = certificate.tbs_certificate().get_extension::<T>();
    found.map(|found| found.map(|(_, value)| value)).map_err(|_| SealFailure::BrokenChain)
}

fn validity(certificate: &Certificate) -> RangeInclusive<u64> {
    let validity = certificate.tbs_certificate().validity();
    validity.not_before.to_unix_duration().as_secs()..=validity.not_after.to_unix_duration().as_secs()
}

fn check_validity(certificate: &Certificate, at_unix_s: u64) -> Result<(), SealFailure> {
    if validity(certificate).contains(&at_unix_s) { Ok(()) } else { Err(SealFailure::OutsideValidity) }
}
