//! The CMS of a seal, read as strictly as it is written.

use cms::cert::CertificateChoices;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use const_oid::ObjectIdentifier;
use der::asn1::OctetString;
use der::{Decode, Encode};
use p256::ecdsa::Signature;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::attr::Attributes;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::{SealFailure, chain};
use crate::seal::SealKey;
use crate::seal::cms::{
    CONTENT_TYPE, DATA, ECDSA_WITH_SHA_256, MESSAGE_DIGEST, SHA_256, SIGNED_DATA, SIGNING_CERTIFICATE_V2,
    SigningCertificateV2, verifying_key,
};

fn encoding(detail: &'static str) -> SealFailure {
    SealFailure::Encoding { detail }
}

/// Checks a signature over a file whose covered bytes hash to `file_digest`; the chain it carries, in order. With a
/// `known` key it must be that key's signature under that key's certificates.
pub(super) fn check(
    cms: &[u8],
    file_digest: &[u8; 32],
    known: Option<&dyn SealKey>,
) -> Result<Vec<Vec<u8>>, SealFailure> {
    let outer = ContentInfo::from_der(cms).map_err(|_| encoding("not DER"))?;
    if outer.to_der().ok().as_deref() != Some(cms) {
        return Err(encoding("not DER"));
    }
    if outer.content_type != SIGNED_DATA {
        return Err(encoding("not signed data"));
    }
    let data: SignedData = outer.content.decode_as().map_err(|_| encoding("not signed data"))?;
    let certificates = certificates(&data)?;
    let [signer] = data.signer_infos.0.as_slice() else { return Err(encoding("not one signer")) };
    check_profile(&data, signer)?;
    let attributes = signer.signed_attrs.as_ref().ok_or(encoding("no signed attributes"))?;
    if attributes.len() != 3 || attribute::<ObjectIdentifier>(attributes, CONTENT_TYPE)? != DATA {
        return Err(encoding("other signed attributes"));
    }
    let digest: OctetString = attribute(attributes, MESSAGE_DIGEST)?;
    if digest.as_bytes() != file_digest {
        return Err(SealFailure::DigestMismatch);
    }
    let leaf = certificates.iter().find(|certificate| identifies(&signer.sid, certificate));
    let leaf = leaf.ok_or(SealFailure::CertificateMismatch)?;
    let named: SigningCertificateV2 = attribute(attributes, SIGNING_CERTIFICATE_V2)?;
    let leaf_der = leaf.to_der().map_err(|_| encoding("not DER"))?;
    let [named] = named.certs.as_slice() else { return Err(SealFailure::CertificateMismatch) };
    if named.cert_hash.as_bytes() != Sha256::digest(&leaf_der).as_slice() {
        return Err(SealFailure::CertificateMismatch);
    }
    check_signature(leaf, attributes, signer.signature.as_bytes(), known)?;
    let chain = match known {
        None => ders(&chain::ordered(leaf, &certificates)?)?,
        Some(key) => key.certificate_chain().to_vec(),
    };
    let (mut carried, mut expected) = (ders(&certificates)?, chain.clone());
    carried.sort_unstable();
    expected.sort_unstable();
    if carried == expected && chain.first() == Some(&leaf_der) {
        Ok(chain)
    } else {
        Err(SealFailure::BrokenChain)
    }
}

fn ders(certificates: &[Certificate]) -> Result<Vec<Vec<u8>>, SealFailure> {
    certificates.iter().map(|certificate| certificate.to_der().map_err(|_| encoding("not DER"))).collect()
}

fn certificates(data: &SignedData) -> Result<Vec<Certificate>, SealFailure> {
    let carried = data.certificates.as_ref().ok_or(SealFailure::CertificateMismatch)?;
    carried
        .0
        .iter()
        .map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Ok(certificate.clone()),
            CertificateChoices::Other(_) => Err(encoding("a certificate of another kind")),
        })
        .collect()
}

/// Versions, algorithms and parts are those of [`crate::seal`], and nothing unsigned is carried.
fn check_profile(data: &SignedData, signer: &SignerInfo) -> Result<(), SealFailure> {
    let sha_256 =
        |algorithm: &AlgorithmIdentifierOwned| algorithm.oid == SHA_256 && algorithm.parameters.is_none();
    let [digest] = data.digest_algorithms.as_slice() else { return Err(encoding("another digest")) };
    if !sha_256(digest) || !sha_256(&signer.digest_alg) {
        return Err(encoding("another digest"));
    }
    let algorithm = &signer.signature_algorithm;
    if algorithm.oid != ECDSA_WITH_SHA_256 || algorithm.parameters.is_some() {
        return Err(encoding("another signature algorithm"));
    }
    if data.version != CmsVersion::V1 || signer.version != CmsVersion::V1 {
        return Err(encoding("another version"));
    }
    let content = &data.encap_content_info;
    if content.econtent_type != DATA || content.econtent.is_some() {
        return Err(encoding("it holds content of its own"));
    }
    if data.crls.is_some() || signer.unsigned_attrs.is_some() {
        return Err(encoding("it carries unsigned parts"));
    }
    Ok(())
}

/// The only value of the only attribute of this kind.
fn attribute<T: for<'a> Decode<'a>>(
    attributes: &Attributes,
    oid: ObjectIdentifier,
) -> Result<T, SealFailure> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
    let (Some(attribute), None) = (found.next(), found.next()) else {
        return Err(encoding("other signed attributes"));
    };
    let [value] = attribute.values.as_slice() else { return Err(encoding("other signed attributes")) };
    let der = value.to_der().map_err(|_| encoding("not DER"))?;
    T::from_der(&der).map_err(|_| encoding("other signed attributes"))
}

fn identifies(sid: &SignerIdentifier, certificate: &Certificate) -> bool {
    let body = certificate.tbs_certificate();
    match sid {
        SignerIdentifier::IssuerAndSerialNumber(named) => {
            named.issuer == *body.issuer() && named.serial_number == *body.serial_number()
        }
        SignerIdentifier::SubjectKeyIdentifier(_) => false,
    }
}

fn check_signature(
    leaf: &Certificate,
    attributes: &Attributes,
    signature: &[u8],
    known: Option<&dyn SealKey>,
) -> Result<(), SealFailure> {
    let key = verifying_key(leaf).ok_or(SealFailure::Purpose { detail: "its key is not on P-256" })?;
    let signed = attributes.to_der().map_err(|_| encoding("not DER"))?;
    let parsed = Signature::from_der(signature).map_err(|_| SealFailure::BadSignature)?;
    // The other of the two equivalent forms is a change that nobody with the key made.
    if parsed.normalize_s().to_der().as_bytes() != signature {
        return Err(SealFailure::BadSignature);
    }
    let digest = Sha256::digest(&signed);
    let holds = match known {
        None => key.verify_prehash(&digest, &parsed).is_ok(),
        Some(known) => known.verifies(&digest.into(), signature),
    };
    if holds { Ok(()) } else { Err(SealFailure::BadSignature) }
}
