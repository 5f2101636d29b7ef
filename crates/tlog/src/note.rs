//! Signed notes: a text with signature lines below it, read and written strictly (C2SP signed-note §Format).

use crate::text::{from_base64, is_forbidden_control, to_base64};
use std::fmt;

/// Longest note that is read, in bytes.
pub const MAX_NOTE_BYTES: usize = 1 << 20;

/// Most signatures that are read; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 100;

/// What begins each signature line: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// A text and the signatures under it. Nothing is verified; [`crate::open`] does that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: u32,
    signature: Vec<u8>,
}

/// Why bytes are not a signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteRefusal {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("the note is longer than {MAX_NOTE_BYTES} bytes")]
    TooLarge,
    /// Not UTF-8.
    #[error("the note is not valid UTF-8")]
    NotUtf8,
    /// A control character other than newline.
    #[error("the note holds a control character other than newline")]
    ControlCharacter,
    /// The text does not end in a newline.
    #[error("the text of the note does not end in a newline")]
    TextEnd,
    /// No empty line with at least one signature line after it, or a last line without newline.
    #[error("the note has no block of signature lines after an empty line")]
    NoSignatures,
    /// More than [`MAX_SIGNATURES`].
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A line of the signature block is not of the form `— name base64`.
    #[error("signature line {line} is not of the form '\u{2014} name base64'")]
    SignatureLine {
        /// Number of the line within the block, from 1.
        line: usize,
    },
    /// A key name that is empty or holds a space, a plus or a control character.
    #[error("a key name must not be empty and must hold no space, plus or control character")]
    KeyName,
    /// A signature without bytes after the key id.
    #[error("a signature must not be empty")]
    EmptySignature,
}

impl NoteRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "note_too_large",
            Self::NotUtf8 => "note_not_utf8",
            Self::ControlCharacter => "note_control_character",
            Self::TextEnd => "note_text_end",
            Self::NoSignatures => "note_no_signatures",
            Self::TooManySignatures => "note_too_many_signatures",
            Self::SignatureLine { .. } => "note_signature_line",
            Self::KeyName => "key_name",
            Self::EmptySignature => "note_empty_signature",
        }
    }
}

impl NoteSignature {
    /// A signature of the key with this name and id.
    pub fn new(name: &str, key_id: u32, signature: Vec<u8>) -> Result<Self, NoteRefusal> {
        if !is_key_name(name) {
            return Err(NoteRefusal::KeyName);
        }
        if signature.is_empty() {
            return Err(NoteRefusal::EmptySignature);
        }
        Ok(Self { name: name.to_owned(), key_id, signature })
    }

    /// Name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id of the key: with the name it says which key and algorithm.
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The bytes after the key id.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Reads one line without its newline.
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        let bytes = from_base64(encoded)?;
        let (key_id, signature) = bytes.split_first_chunk::<4>()?;
        Self::new(name, u32::from_be_bytes(*key_id), signature.to_vec()).ok()
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id.to_be_bytes(), self.signature.as_slice()].concat();
        write!(formatter, "{SIGNATURE_PREFIX}{} {}", self.name, to_base64(&bytes))
    }
}

impl SignedNote {
    /// A note from a text that ends in a newline and at least one signature.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, NoteRefusal> {
        if text.contains(is_forbidden_control) {
            return Err(NoteRefusal::ControlCharacter);
        }
        if !text.ends_with('\n') {
            return Err(NoteRefusal::TextEnd);
        }
        if signatures.is_empty() {
            return Err(NoteRefusal::NoSignatures);
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteRefusal::TooManySignatures);
        }
        Ok(Self { text, signatures })
    }

    /// Reads a note; what it accepts is exactly what [`SignedNote`]'s `Display` writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteRefusal> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteRefusal::TooLarge);
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteRefusal::NotUtf8)?;
        if note.contains(is_forbidden_control) {
            return Err(NoteRefusal::ControlCharacter);
        }
        // The text keeps its newline; the last empty line divides (signed-note §Format).
        let (text, block) = note.rsplit_once("\n\n").ok_or(NoteRefusal::NoSignatures)?;
        let block = block.strip_suffix('\n').ok_or(NoteRefusal::NoSignatures)?;
        if block.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteRefusal::TooManySignatures);
        }
        let signatures = (1..)
            .zip(block.split('\n'))
            .map(|(line, content)| NoteSignature::parse(content).ok_or(NoteRefusal::SignatureLine { line }));
        let signatures = signatures.collect::<Result<Vec<_>, _>>()?;
        Self::new(format!("{text}\n"), signatures)
    }

    /// The signed text, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures in the order of their lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The same note with one signature more, as a witness adds it.
    pub fn with_signature(mut self, signature: NoteSignature) -> Result<Self, NoteRefusal> {
        self.signatures.push(signature);
        Self::new(self.text, self.signatures)
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(formatter, "{signature}"))
    }
}

/// Key names are not empty and hold no Unicode space, plus or control character (signed-note §Format).
pub(crate) fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(|character: char| {
            character.is_whitespace() || character == '+' || is_forbidden_control(character)
        })
}
