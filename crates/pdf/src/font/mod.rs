//! Text that any reader can see, copy and search: embedded faces for Latin, Greek and Cyrillic, system faces for
//! the rest, bidirectional shaping, and one subset per face and file.

mod book;
mod canvas;
mod choose;
mod cid;
mod plain;
mod ready;
mod shape;
mod subset;
mod wrap;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use book::{FontBook, SIGNATURE_FONT};
pub(crate) use canvas::{Canvas, Color};
pub(crate) use cid::packed;
pub(crate) use shape::Line;
pub use subset::FontSubsets;
pub(crate) use wrap::wrap;

/// A role that text plays; each has one embedded face.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Typeface {
    /// Running text.
    Text,
    /// Headings and names.
    TextBold,
    /// Hashes and commands.
    Mono,
    /// Typed signatures: a script face, an upright italic for letters that it lacks.
    Signature,
}

/// A font file that the machine has: where a character is found that no embedded face has.
#[derive(Clone, Debug)]
pub struct FallbackFont {
    /// The whole font file (TrueType, OpenType or a collection).
    pub bytes: Arc<[u8]>,
    /// Which face of a collection; 0 otherwise.
    pub face_index: u32,
}

/// Finds a system font for a character (right-to-left scripts, Han, Hangul and so on). The same character should
/// give the same `Arc` again: faces are told apart by it.
pub trait FallbackFonts: Send + Sync {
    /// The font to draw `character` with, or nothing where the machine has none.
    fn find(&self, character: char) -> Option<FallbackFont>;
}

/// Whether a face of a font file draws `character` by an outline, which can be embedded; faces that hold pictures of
/// characters cannot.
pub fn has_outline(bytes: &[u8], face_index: u32, character: char) -> bool {
    let face = rustybuzz::Face::from_slice(bytes, face_index);
    let glyph = face.as_ref().and_then(|face| face.glyph_index(character));
    face.zip(glyph).is_some_and(|(face, glyph)| face.glyph_bounding_box(glyph).is_some())
}

/// Characters that no font had: drawn as `[U+XXXX]`, still found and copied as themselves. For the log of the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Each character once, in order of code points.
    pub characters: BTreeSet<char>,
}

/// A face that could not be embedded, although its glyphs could be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the font {font} cannot be embedded: {reason}")]
pub struct FontFault {
    /// PostScript name of the face.
    pub font: String,
    /// What the subsetter said.
    pub reason: String,
}
