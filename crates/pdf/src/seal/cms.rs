//! The CMS of a seal (RFC 5652, ETSI EN 319 122-1 §6): its signed attributes, and the whole around a signature.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use const_oid::ObjectIdentifier;
use der::asn1::{Any, OctetString, SetOfVec};
use der::{Decode, Encode, Sequence};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::attr::{Attribute, Attributes};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::SealError;

/// id-data (RFC 5652 §4).
pub(crate) const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// id-signedData (RFC 5652 §5.1).
pub(crate) const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// id-contentType (RFC 5652 §11.1).
pub(crate) const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
/// id-messageDigest (RFC 5652 §11.2).
pub(crate) const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// id-aa-signingCertificateV2 (RFC 5035 §3).
pub(crate) const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// id-sha256 (RFC 5754 §2.2).
pub(crate) const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// ecdsa-with-SHA256 (RFC 5758 §3.2).
pub(crate) const ECDSA_WITH_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// ESSCertIDv2 with the default hash, SHA-256, and without issuer and serial number (RFC 5035 §4).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct EssCertIdV2 {
    pub(crate) cert_hash: OctetString,
}

/// SigningCertificateV2 without policies (RFC 5035 §3).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct SigningCertificateV2 {
    pub(crate) certs: Vec<EssCertIdV2>,
}

/// The certificates of a seal, checked once.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    certificates: Vec<Certificate>,
    leaf_digest: [u8; 32],
    key: VerifyingKey,
}

impl Signer {
    pub(crate) fn read(chain: &[Vec<u8>]) -> Result<Self, SealError> {
        let mut certificates = Vec::with_capacity(chain.len());
        for der in chain {
            let certificate = Certificate::from_der(der).map_err(|_| SealError::Certificate)?;
            if certificate.to_der().ok().as_deref() != Some(der.as_slice()) {
                return Err(SealError::Certificate);
            }
            certificates.push(certificate);
        }
        let (leaf, leaf_der) = certificates.first().zip(chain.first()).ok_or(SealError::Certificate)?;
        let key = verifying_key(leaf).ok_or(SealError::Certificate)?;
        Ok(Self { leaf_digest: Sha256::digest(leaf_der).into(), certificates, key })
    }

    /// Bytes that the CMS takes at most.
    pub(crate) fn reserved_bytes(chain: &[Vec<u8>]) -> usize {
        // The attributes, the identifiers and the signature take below 700 bytes beside the certificates and one
        // more copy of the issuer's name.
        chain.iter().map(Vec::len).sum::<usize>() + chain.first().map_or(0, Vec::len) + 1024
    }

    /// The attributes that are signed: content type, message digest, signing certificate; no signing time, which
    /// PAdES puts into `/M` (ETSI EN 319 142-1 §6.3).
    pub(crate) fn signed_attributes(&self, message_digest: &[u8; 32]) -> der::Result<Attributes> {
        let ess = SigningCertificateV2 {
            certs: vec![EssCertIdV2 { cert_hash: OctetString::new(self.leaf_digest.to_vec())? }],
        };
        let attribute = |oid: ObjectIdentifier, value: Any| -> der::Result<Attribute> {
            Ok(Attribute { oid, values: SetOfVec::from_iter([value])? })
        };
        SetOfVec::from_iter([
            attribute(CONTENT_TYPE, Any::encode_from(&DATA)?)?,
            attribute(MESSAGE_DIGEST, Any::encode_from(&OctetString::new(message_digest.to_vec())?)?)?,
            attribute(SIGNING_CERTIFICATE_V2, Any::encode_from(&ess)?)?,
        ])
    }

    /// Checks a signature against the certificate.
    pub(crate) fn check(&self, attributes_digest: &[u8; 32], signature_der: &[u8]) -> Result<(), SealError> {
        let signature = Signature::from_der(signature_der).map_err(|_| SealError::SignatureInvalid)?;
        self.key.verify_prehash(attributes_digest, &signature).map_err(|_| SealError::SignatureInvalid)
    }

    /// The CMS around a signature that was checked.
    pub(crate) fn signed_data(
        &self,
        attributes: &Attributes,
        signature_der: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let signature = Signature::from_der(signature_der).map_err(|_| SealError::SignatureInvalid)?;
        // One of the two equivalent forms, so that nobody can turn a seal into another valid one.
        let signature = signature.normalize_s().to_der();
        self.encode(attributes, signature.as_bytes()).map_err(|_| SealError::Certificate)
    }

    fn encode(&self, attributes: &Attributes, signature: &[u8]) -> der::Result<Vec<u8>> {
        let Some(leaf) = self.certificates.first() else { return Ok(Vec::new()) };
        let algorithm = |oid| AlgorithmIdentifierOwned { oid, parameters: None };
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: leaf.tbs_certificate().issuer().clone(),
                serial_number: leaf.tbs_certificate().serial_number().clone(),
            }),
            digest_alg: algorithm(SHA_256),
            signed_attrs: Some(attributes.clone()),
            signature_algorithm: algorithm(ECDSA_WITH_SHA_256),
            signature: OctetString::new(signature.to_vec())?,
            unsigned_attrs: None,
        };
        let certificates: Vec<_> =
            self.certificates.iter().cloned().map(CertificateChoices::Certificate).collect();
        let data = SignedData {
            version: CmsVersion::V1,
            digest_algorithms: SetOfVec::from_iter([algorithm(SHA_256)])?,
            encap_content_info: EncapsulatedContentInfo { econtent_type: DATA, econtent: None },
            certificates: Some(CertificateSet::try_from(certificates)?),
            crls: None,
            signer_infos: SignerInfos(SetOfVec::from_iter([signer])?),
        };
        ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&data)? }.to_der()
    }
}

/// The P-256 key of a certificate, if it has one.
pub(crate) fn verifying_key(certificate: &Certificate) -> Option<VerifyingKey> {
    let spki = certificate.tbs_certificate().subject_public_key_info().to_der().ok()?;
    VerifyingKey::from_public_key_der(&spki).ok()
}
