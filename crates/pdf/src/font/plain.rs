//! Shapes plain text (ASCII and common punctuation) from a table: most of what a certificate says, at a tenth of the
//! shaper's cost, with the same result. A pair that the face joins or substitutes is left to the shaper.

use super::shape::{Glyph, Line, Run};
use rustybuzz::{Direction, Face, ShapePlan, UnicodeBuffer, script};
use std::ops::Range;

/// What follows the printable ASCII characters in the table.
const PUNCTUATION: [char; 9] = ['·', '–', '—', '‘', '’', '“', '”', '…', '•'];
const ASCII_COUNT: usize = 95;
const COUNT: usize = ASCII_COUNT + PUNCTUATION.len();

fn alphabet() -> impl Iterator<Item = char> + Clone {
    (' '..='~').chain(PUNCTUATION)
}

/// Where the table has a character.
fn position(c: char) -> Option<usize> {
    match c {
        ' '..='~' => usize::try_from(u32::from(c) - u32::from(' ')).ok(),
        _ => PUNCTUATION.iter().position(|known| *known == c).map(|at| ASCII_COUNT + at),
    }
}

/// Glyphs, advances and pair kerning of plain characters.
pub(super) struct PlainTable {
    /// Glyph and advance in ems.
    glyphs: Vec<(u16, f64)>,
    /// By first and second character; nothing where the pair needs the shaper.
    kerning_em: Vec<Option<f64>>,
}

impl PlainTable {
    /// Asks the shaper for every pair once.
    pub(super) fn build(face: &Face<'_>, plan: &ShapePlan) -> Self {
        let em = f64::from(face.units_per_em());
        let glyphs: Vec<_> = alphabet()
            .map(|c| {
                let id = face.glyph_index(c).unwrap_or_default();
                (id.0, f64::from(face.glyph_hor_advance(id).unwrap_or(0)) / em)
            })
            .collect();
        let mut kerning_em = Vec::with_capacity(COUNT * COUNT);
        let mut buffer = UnicodeBuffer::new();
        for (first, (first_id, advance)) in alphabet().zip(&glyphs) {
            for (cluster, c) in (0..).zip(alphabet().flat_map(|second| [first, second])) {
                buffer.add(c, cluster);
            }
            buffer.set_script(script::LATIN);
            buffer.set_direction(Direction::LeftToRight);
            let shaped = rustybuzz::shape_with_plan(face, plan, buffer);
            let all: Vec<_> = shaped.glyph_infos().iter().zip(shaped.glyph_positions()).collect();
            for (cluster, (second_id, _)) in (0..).step_by(2).zip(&glyphs) {
                let at = |cluster: u32, id: u16| {
                    all.iter().find(|(info, _)| {
                        info.cluster == cluster && info.glyph_id == u32::from(id) && id != 0
                    })
                };
                let pair = at(cluster, *first_id).zip(at(cluster + 1, *second_id));
                let flat = pair
                    .filter(|((_, a), (_, b))| [a.x_offset, a.y_offset, b.x_offset, b.y_offset] == [0; 4]);
                kerning_em.push(flat.map(|((_, a), _)| f64::from(a.x_advance) / em - advance));
            }
            buffer = shaped.clear();
        }
        Self { glyphs, kerning_em }
    }

    /// Every character that the face has, with its glyph and its advance in ems.
    pub(super) fn glyphs(&self) -> impl Iterator<Item = (char, u16, f64)> {
        let known = alphabet().zip(&self.glyphs).filter(|(_, (id, _))| *id != 0);
        known.map(|(character, (id, advance_em))| (character, *id, *advance_em))
    }

    /// The line, if the table knows all of it.
    pub(super) fn shape(&self, face: usize, text: &str) -> Option<Line> {
        let mut glyphs: Vec<Glyph> = Vec::with_capacity(text.len());
        let width_em = self.walk(text, |source, id, nominal, kerning| {
            if let Some(last) = glyphs.last_mut() {
                last.advance += kerning;
            }
            glyphs.push(Glyph { id, source, advance: nominal, nominal, x_offset: 0.0, y_offset: 0.0 });
        })?;
        let run = Run { face, glyphs, text: text.to_owned(), needs_actual_text: false };
        Some(Line { runs: vec![run], width_em })
    }

    /// Its width in ems, if the table knows all of it.
    pub(super) fn width_em(&self, text: &str) -> Option<f64> {
        self.walk(text, |_, _, _, _| {})
    }

    /// Visits each character: its bytes, glyph, advance, and the kerning before it. Gives the width; nothing where the
    /// table does not know enough.
    fn walk(&self, text: &str, mut visit: impl FnMut(Range<usize>, u16, f64, f64)) -> Option<f64> {
        let mut width_em = 0.0;
        let mut previous: Option<usize> = None;
        for (at, c) in text.char_indices() {
            let position = position(c)?;
            let (id, nominal) = *self.glyphs.get(position)?;
            let kerning = match previous {
                Some(before) => (*self.kerning_em.get(before * COUNT + position)?)?,
                None if id == 0 => return None,
                None => 0.0,
            };
            visit(at..at + c.len_utf8(), id, nominal, kerning);
            width_em += kerning + nominal;
            previous = Some(position);
        }
        Some(width_em)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FontBook, FontSubsets, Line, Typeface};
    use proptest::prelude::*;
    use std::sync::OnceLock;

    static BOOK: OnceLock<FontBook> = OnceLock::new();

    fn positions(line: &Line) -> Vec<(u16, i64)> {
        let glyphs = line.runs.iter().flat_map(|run| &run.glyphs);
        #[expect(clippy::cast_possible_truncation, reason = "ems of a test")]
        glyphs.map(|glyph| (glyph.id, (glyph.advance * 1e6).round() as i64)).collect()
    }

    proptest! {
        /// The table is an optimisation only.
        #[test]
        fn the_table_gives_what_the_shaper_gives(text in "[ -~·–—‘’“”…•]{0,40}") {
            let book = BOOK.get_or_init(FontBook::new);
            for (face, typeface) in [(0, Typeface::Text), (1, Typeface::TextBold), (2, Typeface::Mono)] {
                let Some(quick) = book.embedded()[face].plain().shape(face, &text) else { continue };
                let slow = Line::shape_in_full(&mut FontSubsets::new(book), typeface, &text);
                prop_assert_eq!(positions(&quick), positions(&slow));
                prop_assert_eq!(book.embedded()[face].plain().width_em(&text), Some(quick.width_em));
            }
        }
    }

    #[test]
    fn the_table_knows_ordinary_words_and_leaves_ligatures_to_the_shaper() {
        let table = BOOK.get_or_init(FontBook::new).embedded()[0].plain();
        for text in ["", "To AV. Ward, 2026-11-21 14:03:07 UTC", "a@b.example <x>", "“Annex A” — 3 pages · …"]
        {
            assert!(table.shape(0, text).is_some(), "{text}");
        }
        assert!(table.shape(0, "é").is_none());
    }
}
