//! Checkpoints: the signed size and root of a log (C2SP tlog-checkpoint), made and opened.

use crate::hash::{EMPTY_ROOT, Hash};
use crate::note::{NoteRefusal, NoteSignature, SignedNote};
use crate::text::{decimal, is_forbidden_control};
use crate::verifier::{Cosignature, KeyKind, LogSigner, Verifier};
use std::{fmt, str::FromStr};

/// What a log says about itself: who it is, how many leaves it has, and their root. Its `Display` is the note text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

/// A checkpoint that its log signed, with what else was found under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The checkpoint; its origin is the name of the key that signed it.
    pub checkpoint: Checkpoint,
    /// Valid cosignatures of known witnesses.
    pub cosignatures: Vec<Cosignature>,
    /// Signatures of keys that are not known. They say nothing.
    pub unverified: Vec<NoteSignature>,
}

/// Why a text is not a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointRefusal {
    /// Not three lines that each end in a newline.
    #[error("a checkpoint has an origin line, a size line and a root line, each ending in a newline")]
    Lines,
    /// An empty origin, or one with a line break or control character.
    #[error("the origin must not be empty and must hold no control character")]
    Origin,
    /// Not a decimal without leading zeros below 2⁶⁴.
    #[error("the size must be a decimal number without leading zeros")]
    Size,
    /// Not the canonical base64 of 32 bytes.
    #[error("the root must be the canonical base64 of 32 bytes")]
    Root,
    /// Lines after the root. They are allowed but of no use to this log, and nobody audits them.
    #[error("the checkpoint has extension lines, which this log does not use")]
    ExtensionLines,
    /// Size 0 with a root other than SHA-256 of nothing.
    #[error("a log without leaves must have the root of the empty tree")]
    EmptyTreeRoot,
    /// The key is named for another log.
    #[error("the checkpoint's origin is not the name of the signing key")]
    ForeignOrigin,
}

impl CheckpointRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Lines => "checkpoint_lines",
            Self::Origin => "checkpoint_origin",
            Self::Size => "checkpoint_size",
            Self::Root => "checkpoint_root",
            Self::ExtensionLines => "checkpoint_extension_lines",
            Self::EmptyTreeRoot => "checkpoint_empty_tree_root",
            Self::ForeignOrigin => "checkpoint_foreign_origin",
        }
    }
}

/// Why a note is not a checkpoint that a known log signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefusal {
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] NoteRefusal),
    /// A known key's signature does not verify: the text was changed, or the signature was.
    #[error("the signature of {name} does not verify")]
    BadSignature {
        /// Name of the known key.
        name: String,
    },
    /// None of the signatures is of a known key.
    #[error("the note carries no signature of a known key")]
    Unsigned,
    /// The signed text is not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointRefusal),
    /// Known keys signed, but not the log's own.
    #[error("no known log key signed this checkpoint of {origin}")]
    NoLogSignature {
        /// The origin line.
        origin: String,
    },
}

impl OpenRefusal {
    /// A stable short name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Note(refusal) => refusal.code(),
            Self::BadSignature { .. } => "bad_signature",
            Self::Unsigned => "unsigned",
            Self::Checkpoint(refusal) => refusal.code(),
            Self::NoLogSignature { .. } => "no_log_signature",
        }
    }
}

impl Checkpoint {
    /// A checkpoint of the log `origin` with `size` leaves.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointRefusal> {
        let is_break = |character| character == '\n' || is_forbidden_control(character);
        if origin.is_empty() || origin.contains(is_break) {
            return Err(CheckpointRefusal::Origin);
        }
        if size == 0 && root != EMPTY_ROOT {
            return Err(CheckpointRefusal::EmptyTreeRoot);
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The log's name, the same for its whole life.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree with that many leaves.
    pub fn root(&self) -> Hash {
        self.root
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}\n{}\n{}", self.origin, self.size, self.root.to_base64())
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointRefusal;

    fn from_str(text: &str) -> Result<Self, CheckpointRefusal> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointRefusal::Lines)?.split('\n');
        let mut line = || lines.next().ok_or(CheckpointRefusal::Lines);
        let (origin, size, root) = (line()?, line()?, line()?);
        if lines.next().is_some() {
            return Err(CheckpointRefusal::ExtensionLines);
        }
        let size = decimal(size).ok_or(CheckpointRefusal::Size)?;
        let root = Hash::from_base64(root).map_err(|_| CheckpointRefusal::Root)?;
        Self::new(origin, size, root)
    }
}

/// Signs a checkpoint; refuses one of another log than the key is named for.
pub fn sign_checkpoint(checkpoint: &Checkpoint, signer: &LogSigner) -> Result<SignedNote, OpenRefusal> {
    if checkpoint.origin != signer.name() {
        return Err(CheckpointRefusal::ForeignOrigin.into());
    }
    let text = checkpoint.to_string();
    let signature = NoteSignature::new(signer.name(), signer.verifier().key_id(), signer.sign(&text))?;
    Ok(SignedNote::new(text, vec![signature])?)
}

/// Reads a note and accepts it as a checkpoint if a known log key signed it.
///
/// As signed-note §Signatures asks: signatures of unknown keys are set aside, a signature of a known key that does
/// not verify refuses the note, and the text is not looked at before a known key has signed it. Beyond that, the
/// log's key must carry the origin as its name, so that one log's key says nothing about another log.
pub fn open(note: &[u8], verifiers: &[Verifier]) -> Result<Opened, OpenRefusal> {
    open_note(&SignedNote::parse(note)?, verifiers)
}

/// [`open`] for a note that is already read.
pub(crate) fn open_note(note: &SignedNote, verifiers: &[Verifier]) -> Result<Opened, OpenRefusal> {
    let text = note.text();
    let mut log_names = Vec::new();
    let mut cosignatures = Vec::new();
    let mut unverified = Vec::new();
    for signature in note.signatures() {
        let mut known = verifiers.iter().filter(|verifier| verifier.matches(signature)).peekable();
        if known.peek().is_none() {
            unverified.push(signature.clone());
        }
        for verifier in known {
            let bad = || OpenRefusal::BadSignature { name: verifier.name().to_owned() };
            match verifier.kind() {
                KeyKind::Ed25519 => {
                    verifier.verify_note(text, signature).ok_or_else(bad)?;
                    log_names.push(verifier.name());
                }
                KeyKind::CosignatureV1 => {
                    cosignatures.push(verifier.verify_cosignature(text, signature).ok_or_else(bad)?);
                }
            }
        }
    }
    if log_names.is_empty() && cosignatures.is_empty() {
        return Err(OpenRefusal::Unsigned);
    }
    let checkpoint: Checkpoint = text.parse()?;
    if !log_names.contains(&checkpoint.origin()) {
        return Err(OpenRefusal::NoLogSignature { origin: checkpoint.origin });
    }
    Ok(Opened { checkpoint, cosignatures, unverified })
}
