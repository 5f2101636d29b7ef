//! Subsets that are made once for all files: the plain characters of the faces that certificates are set in. A file that
//! shows no other character of a face takes it as it is, which saves the subsetting and the compressing.

use super::FontFault;
use super::cid::{EmbeddedFont, Embedding};
use super::plain::PlainTable;
use super::subset::GlyphSet;
use crate::file::deflate::deflate_tightly;

/// A subset with its font, written but for the numbers of its objects.
pub(super) struct ReadyFont {
    pub set: GlyphSet,
    pub font: EmbeddedFont,
}

impl ReadyFont {
    pub(super) fn make(bytes: &[u8], table: &PlainTable) -> Result<Self, FontFault> {
        let mut set = GlyphSet::default();
        for (character, id, advance_em) in table.glyphs() {
            set.add(id, advance_em, character.encode_utf8(&mut [0; 4]));
        }
        let font = EmbeddedFont::make(Embedding { bytes, face_index: 0, set: &set }, deflate_tightly)?;
        Ok(Self { set, font })
    }
}
