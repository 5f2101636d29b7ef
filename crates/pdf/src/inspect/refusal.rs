//! Why a file is refused: one variant per reason, each with a stable code and a sentence that says what to do.

use serde::Serialize;

/// An existing signature that a change would break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExistingSignature {
    /// Fully qualified name of its field; empty for a usage-rights signature, which has none.
    pub field_name: String,
    /// Number of bytes from the start of the file that its `/ByteRange` spans, or 0 if it is unreadable.
    pub covers_bytes: u64,
    /// Whether it spans the file to its last byte.
    pub covers_whole_file: bool,
    /// The `/P` of its DocMDP transform (1, 2 or 3) if it certifies (ISO 32000-2 §12.8.2.2).
    pub doc_mdp: Option<u8>,
}

/// A reason to refuse a file as it was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `%PDF-` header at the first byte.
    #[error("This is not a PDF: it does not begin with a PDF header. Upload a PDF file.")]
    NotAPdf,
    /// More bytes than [`super::Limits::size_bytes`].
    #[error(
        "The file has {size_bytes} bytes; at most {limit_bytes} are accepted. Make it smaller and upload it again."
    )]
    TooLarge {
        /// Size of the file.
        size_bytes: u64,
        /// What is accepted.
        limit_bytes: u64,
    },
    /// More pages than [`super::Limits::pages`].
    #[error("The document has more than {limit} pages. Split it and upload the parts.")]
    TooManyPages {
        /// What is accepted.
        limit: u32,
    },
    /// More indirect objects, or more values in one object, than the limits allow.
    #[error(
        "The file holds more objects than are accepted ({limit}). Save it again with a current PDF program."
    )]
    TooManyObjects {
        /// What is accepted.
        limit: u32,
    },
    /// Arrays, dictionaries, page tree or field tree nested deeper than [`super::Limits::depth`].
    #[error(
        "The file nests its objects deeper than is accepted ({limit}). Save it again with a current PDF program."
    )]
    TooDeep {
        /// What is accepted.
        limit: u32,
    },
    /// Reading the file costs more steps than [`super::Limits::work`].
    #[error("Reading the file takes more work than is accepted. Save it again with a current PDF program.")]
    TooComplex,
    /// A stream, all streams together, or an image expand beyond the limits.
    #[error(
        "A part of the file expands beyond what is accepted. Reduce the resolution of its images and upload it again."
    )]
    ExpansionBomb,
    /// Encrypted so that it opens with a password only.
    #[error("The file opens with a password only. Remove the password and upload it again.")]
    PasswordNeeded,
    /// Encrypted by a handler or a method that is not supported.
    #[error(
        "The file is encrypted in a way that is not supported. Save it without encryption and upload it again."
    )]
    UnsupportedEncryption,
    /// A cross-reference section, an object or a stream does not parse cleanly; nothing is repaired.
    #[error("The file is damaged ({detail}). Open it, save it again, check it and upload the new file.")]
    Damaged {
        /// What does not parse, for whoever made the file.
        detail: &'static str,
    },
    /// A reference to a number beyond the last object: an object of the seal would stand there.
    #[error(
        "The file refers to an object ({number}) beyond its last one, where a seal would write. Save it again with a current PDF program."
    )]
    DanglingReference {
        /// Number of the object that does not exist.
        number: u32,
    },
    /// An embedded file whose name begins as those of the evidence do that a seal attaches.
    #[error(
        "The file holds another file whose name begins with \"countersign-\", as the evidence in a sealed file does. Remove or rename that file and upload the document again."
    )]
    ReservedFileName,
    /// Cross-reference tables and streams side by side: strict validators refuse signatures in such files.
    #[error(
        "The file mixes two kinds of cross-references, which signature validators refuse. Save it again with a current PDF program."
    )]
    HybridReferences,
    /// Signed, certified or rights-enabled: a change would break the earlier signature.
    #[error(
        "The file carries a signature that a change would break. Upload the document as it was before it was signed."
    )]
    AlreadySigned {
        /// What was found.
        signatures: Vec<ExistingSignature>,
    },
    /// An XFA form whose pages exist only in an XFA processor.
    #[error("The file is an XFA form without pages of its own. Print it to a PDF and upload that.")]
    XfaOnly,
    /// The page tree has no page.
    #[error("The document has no pages. Upload a document that has at least one.")]
    NoPages,
    /// A page without a usable `/MediaBox`, or with a rotation that is no multiple of 90 degrees.
    #[error("Page {page} has no valid size or rotation. Open it, save it again and upload the new file.")]
    PageGeometry {
        /// From 1.
        page: u32,
    },
}

impl Refusal {
    /// What is wrong, without what whoever uploads the file should do: the first sentence.
    pub fn finding(&self) -> String {
        let whole = self.to_string();
        whole.split_once(". ").map_or(whole.clone(), |(finding, _)| format!("{finding}."))
    }

    /// Stable code, listed in `docs/pdf.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAPdf => "pdf-not-a-pdf",
            Self::TooLarge { .. } => "pdf-too-large",
            Self::TooManyPages { .. } => "pdf-too-many-pages",
            Self::TooManyObjects { .. } => "pdf-too-many-objects",
            Self::TooDeep { .. } => "pdf-too-deep",
            Self::TooComplex => "pdf-too-complex",
            Self::ExpansionBomb => "pdf-expansion-bomb",
            Self::PasswordNeeded => "pdf-password-needed",
            Self::UnsupportedEncryption => "pdf-unsupported-encryption",
            Self::Damaged { .. } => "pdf-damaged",
            Self::DanglingReference { .. } => "pdf-dangling-reference",
            Self::ReservedFileName => "pdf-reserved-file-name",
            Self::HybridReferences => "pdf-hybrid-references",
            Self::AlreadySigned { .. } => "pdf-already-signed",
            Self::XfaOnly => "pdf-xfa-only",
            Self::NoPages => "pdf-no-pages",
            Self::PageGeometry { .. } => "pdf-page-geometry",
        }
    }

    /// The sentence for the person who uploaded the file.
    pub fn sentence(&self) -> String {
        self.to_string()
    }

    /// One of each, for tables and tests.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::NotAPdf,
            Self::TooLarge { size_bytes: 26_214_401, limit_bytes: 26_214_400 },
            Self::TooManyPages { limit: 1000 },
            Self::TooManyObjects { limit: 500_000 },
            Self::TooDeep { limit: 64 },
            Self::TooComplex,
            Self::ExpansionBomb,
            Self::PasswordNeeded,
            Self::UnsupportedEncryption,
            Self::Damaged { detail: "no cross-reference section at the offset that startxref names" },
            Self::DanglingReference { number: 42 },
            Self::ReservedFileName,
            Self::HybridReferences,
            Self::AlreadySigned { signatures: Vec::new() },
            Self::XfaOnly,
            Self::NoPages,
            Self::PageGeometry { page: 1 },
        ]
    }
}

pub(crate) fn damaged(detail: &'static str) -> Refusal {
    Refusal::Damaged { detail }
}
