//! Why a sealed file does not verify: one variant per reason, each with a stable code and a sentence.

use crate::inspect::Refusal;

/// The first thing that is wrong with a sealed file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFailure {
    /// The file does not parse cleanly.
    #[error("{} It was damaged on its way, or changed after it was sealed: ask for it again.", .0.finding())]
    Unreadable(Refusal),
    /// No signature field holds a signature.
    #[error("The file carries no seal.")]
    NotSealed,
    /// More than one signature.
    #[error("The file carries {count} signatures; a sealed file carries one.")]
    SeveralSignatures {
        /// How many.
        count: usize,
    },
    /// The signature dictionary or its field is not as a seal writes it.
    #[error("The seal is not made as seals are ({detail}).")]
    UnexpectedForm {
        /// What differs.
        detail: &'static str,
    },
    /// The signature does not certify, or allows changes.
    #[error("The seal does not certify the document against all changes.")]
    NotCertifying,
    /// `/ByteRange` leaves out more than the signature itself.
    #[error("The seal does not cover the whole file.")]
    NotCovered,
    /// Something was appended after the seal.
    #[error("The file was extended after it was sealed.")]
    LaterRevision,
    /// The room around the signature holds something else than zeros, or the digits are not canonical.
    #[error("The room set aside for the signature holds something else.")]
    DirtyContents,
    /// The CMS is not DER, or has parts that a seal does not have.
    #[error("The signature is not encoded as seals are ({detail}).")]
    Encoding {
        /// What differs.
        detail: &'static str,
    },
    /// The file's bytes are not those that were signed.
    #[error("The file was changed after it was sealed: its digest is not the one that was signed.")]
    DigestMismatch,
    /// The signed attributes name another certificate.
    #[error("The signature names another certificate than the one it carries.")]
    CertificateMismatch,
    /// The signature does not verify with the certificate's key.
    #[error("The signature is not one by the certificate's key.")]
    BadSignature,
    /// The carried certificates do not form one chain from the signer's.
    #[error("The certificates in the seal do not form one chain.")]
    BrokenChain,
    /// No anchor issued the chain.
    #[error("The certificates do not lead to a trusted one.")]
    Untrusted,
    /// A certificate was not valid at the time.
    #[error("A certificate was not valid when the seal was made.")]
    OutsideValidity,
    /// A certificate may not be used for this.
    #[error("A certificate may not be used to seal documents ({detail}).")]
    Purpose {
        /// What it lacks.
        detail: &'static str,
    },
    /// The bytes before the update are not a document of their own.
    #[error("The part before the seal is not the complete original document.")]
    OriginalIncomplete,
    /// The update changes more than a seal does.
    #[error("The update that seals the file changes more than a seal does: {detail}.")]
    UnexpectedChange {
        /// What was changed.
        detail: &'static str,
    },
}

impl SealFailure {
    /// Stable code, listed in `docs/pdf.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "seal-unreadable",
            Self::NotSealed => "seal-missing",
            Self::SeveralSignatures { .. } => "seal-several-signatures",
            Self::UnexpectedForm { .. } => "seal-unexpected-form",
            Self::NotCertifying => "seal-not-certifying",
            Self::NotCovered => "seal-not-covered",
            Self::LaterRevision => "seal-later-revision",
            Self::DirtyContents => "seal-dirty-contents",
            Self::Encoding { .. } => "seal-encoding",
            Self::DigestMismatch => "seal-digest-mismatch",
            Self::CertificateMismatch => "seal-certificate-mismatch",
            Self::BadSignature => "seal-bad-signature",
            Self::BrokenChain => "seal-broken-chain",
            Self::Untrusted => "seal-untrusted",
            Self::OutsideValidity => "seal-outside-validity",
            Self::Purpose { .. } => "seal-purpose",
            Self::OriginalIncomplete => "seal-original-incomplete",
            Self::UnexpectedChange { .. } => "seal-unexpected-change",
        }
    }

    /// The sentence for whoever checks the file.
    pub fn sentence(&self) -> String {
        self.to_string()
    }

    /// One of each, for tables and tests.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::Unreadable(Refusal::NotAPdf),
            Self::NotSealed,
            Self::SeveralSignatures { count: 2 },
            Self::UnexpectedForm { detail: "another signature format" },
            Self::NotCertifying,
            Self::NotCovered,
            Self::LaterRevision,
            Self::DirtyContents,
            Self::Encoding { detail: "not DER" },
            Self::DigestMismatch,
            Self::CertificateMismatch,
            Self::BadSignature,
            Self::BrokenChain,
            Self::Untrusted,
            Self::OutsideValidity,
            Self::Purpose { detail: "no purpose of document signing" },
            Self::OriginalIncomplete,
            Self::UnexpectedChange { detail: "a content stream" },
        ]
    }
}

impl From<Refusal> for SealFailure {
    fn from(refusal: Refusal) -> Self {
        Self::Unreadable(refusal)
    }
}
