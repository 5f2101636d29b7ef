//! Shapes one line of text into positioned glyphs, in visual order and in ems, so that it can be drawn at any size.

use super::Typeface;
use super::book::{FontBook, TEXT};
use super::choose::{Item, itemize, prepare};
use super::plain::PlainTable;
use super::subset::FontSubsets;
use rustybuzz::ttf_parser::GlyphId;
use rustybuzz::{BufferClusterLevel, BufferFlags, Direction, Face, GlyphBuffer, UnicodeBuffer};
use std::ops::Range;

/// One shaped line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(super) runs: Vec<Run>,
    /// Sum of the advances, in ems.
    pub width_em: f64,
}

/// Glyphs of one face.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub face: usize,
    pub glyphs: Vec<Glyph>,
    /// What the run says, in logical order.
    pub text: String,
    /// Whether the glyphs alone do not say it (ISO 32000-2 §14.9.4).
    pub needs_actual_text: bool,
}

/// One glyph; distances in ems.
#[derive(Clone, Debug)]
pub(super) struct Glyph {
    pub id: u16,
    /// The characters it stands for: bytes of the run's text.
    pub source: Range<usize>,
    pub advance: f64,
    /// The advance that the font file itself gives.
    pub nominal: f64,
    pub x_offset: f64,
    pub y_offset: f64,
}

impl Line {
    /// Shapes `text` as one line: line breaks become spaces.
    pub(crate) fn shape(subsets: &mut FontSubsets<'_>, typeface: Typeface, text: &str) -> Self {
        if let Some((face, table)) = plain_table(subsets, typeface)
            && let Some(line) = table.shape(face, text)
        {
            return line;
        }
        Self::shape_beyond_table(subsets, typeface, text)
    }

    /// How wide `text` is as one line, in ems.
    pub(super) fn measure(subsets: &mut FontSubsets<'_>, typeface: Typeface, text: &str) -> f64 {
        let known = plain_table(subsets, typeface).and_then(|(_, table)| table.width_em(text));
        known.unwrap_or_else(|| Self::shape_beyond_table(subsets, typeface, text).width_em)
    }

    fn shape_beyond_table(subsets: &mut FontSubsets<'_>, typeface: Typeface, text: &str) -> Self {
        if let Some(line) = subsets.known_line(typeface, text) {
            return line;
        }
        let line = Self::shape_in_full(subsets, typeface, text);
        subsets.keep_line(typeface, text, &line);
        line
    }

    /// Shapes without the table and without what was shaped before.
    pub(super) fn shape_in_full(subsets: &mut FontSubsets<'_>, typeface: Typeface, text: &str) -> Self {
        let prepared = prepare(text);
        let mut line = Self::default();
        for item in itemize(subsets, typeface, &prepared) {
            let run = shape_item(subsets, &item, prepared.get(item.range.clone()).unwrap_or_default());
            line.width_em += run.glyphs.iter().map(|glyph| glyph.advance).sum::<f64>();
            line.runs.push(run);
        }
        line
    }

    /// The box of the ink in ems: left, bottom, right and top, from the start of the base line with y up. Nothing
    /// where there is no ink.
    pub(crate) fn ink_em(&self, subsets: &FontSubsets<'_>) -> Option<[f64; 4]> {
        let mut ink: Option<[f64; 4]> = None;
        let mut pen = 0.0;
        for run in &self.runs {
            for (glyph, bounds) in run.glyphs.iter().zip(subsets.bounds(run)) {
                if let Some([left, bottom, right, top]) = bounds {
                    let (x, y) = (pen + glyph.x_offset, glyph.y_offset);
                    let area = [x + left, y + bottom, x + right, y + top];
                    ink = Some(ink.map_or(area, |old| union(old, area)));
                }
                pen += glyph.advance;
            }
        }
        ink
    }
}

/// The table of the first face of a typeface; a signature is set in a face that has all its letters.
fn plain_table<'book>(
    subsets: &FontSubsets<'book>,
    typeface: Typeface,
) -> Option<(usize, &'book PlainTable)> {
    if typeface == Typeface::Signature {
        return None;
    }
    let face = *FontBook::candidates(typeface).first()?;
    Some((face, subsets.book().embedded().get(face)?.plain()))
}

fn union([al, ab, ar, at]: [f64; 4], [bl, bb, br, bt]: [f64; 4]) -> [f64; 4] {
    [al.min(bl), ab.min(bb), ar.max(br), at.max(bt)]
}

/// What stands for a character that no font has.
fn visible_name(character: char) -> String {
    format!("[U+{:04X}]", u32::from(character))
}

fn shape_item(subsets: &mut FontSubsets<'_>, item: &Item, part: &str) -> Run {
    if let Some(face) = item.face
        && let Some(run) = shape_with(subsets, face, item.script, item.right_to_left, part)
    {
        return run;
    }
    subsets.report_missing(part);
    let visible: String = if item.right_to_left {
        part.chars().rev().map(visible_name).collect()
    } else {
        part.chars().map(visible_name).collect()
    };
    let run = shape_with(subsets, TEXT, unicode_script::Script::Latin, false, &visible);
    assert!(run.is_some(), "the embedded text face has all of ASCII");
    let glyphs = run.map(|run| run.glyphs).unwrap_or_default();
    Run { face: TEXT, glyphs, text: part.to_owned(), needs_actual_text: true }
}

/// Nothing where the face turns out to lack a glyph after all: glyph 0 is never drawn.
fn shape_with(
    subsets: &mut FontSubsets<'_>,
    face: usize,
    script: unicode_script::Script,
    right_to_left: bool,
    text: &str,
) -> Option<Run> {
    let mut buffer = subsets.take_buffer();
    buffer.push_str(text);
    buffer.set_cluster_level(BufferClusterLevel::MonotoneCharacters);
    buffer.set_flags(BufferFlags::REMOVE_DEFAULT_IGNORABLES);
    buffer.set_direction(if right_to_left { Direction::RightToLeft } else { Direction::LeftToRight });
    let shaped = match (subsets.book().embedded().get(face), right_to_left) {
        (Some(embedded), false) => {
            let (script, plan) = embedded.plan(script);
            buffer.set_script(script);
            let shaped = rustybuzz::shape_with_plan(&embedded.face, plan, buffer);
            collect(&embedded.face, face, &shaped, text).map(|run| (run, shaped))
        }
        (Some(embedded), true) => shape_guessing(&embedded.face, face, buffer, text),
        (None, _) => {
            let font = subsets.fallback_font(face)?;
            let parsed = Face::from_slice(&font.bytes, font.face_index)?;
            shape_guessing(&parsed, face, buffer, text)
        }
    };
    let (run, shaped) = shaped?;
    subsets.return_buffer(shaped.clear());
    Some(run)
}

/// Lets the shaper find the script: the item has only one.
fn shape_guessing(
    parsed: &Face<'_>,
    face: usize,
    mut buffer: UnicodeBuffer,
    text: &str,
) -> Option<(Run, GlyphBuffer)> {
    let direction = buffer.direction();
    buffer.guess_segment_properties();
    buffer.set_direction(direction);
    let shaped = rustybuzz::shape(parsed, &[], buffer);
    collect(parsed, face, &shaped, text).map(|run| (run, shaped))
}

fn collect(parsed: &Face<'_>, face: usize, shaped: &GlyphBuffer, text: &str) -> Option<Run> {
    let em = f64::from(parsed.units_per_em());
    let infos = shaped.glyph_infos();
    let mut glyphs = Vec::with_capacity(infos.len());
    let mut needs_actual_text = false;
    for (info, position) in infos.iter().zip(shaped.glyph_positions()) {
        let id = u16::try_from(info.glyph_id).ok().filter(|id| *id != 0)?;
        let start = usize::try_from(info.cluster).ok()?;
        glyphs.push(Glyph {
            id,
            source: start..start,
            advance: f64::from(position.x_advance) / em,
            nominal: f64::from(parsed.glyph_hor_advance(GlyphId(id)).unwrap_or(0)) / em,
            x_offset: f64::from(position.x_offset) / em,
            y_offset: f64::from(position.y_offset) / em,
        });
    }
    // Clusters are monotone: in logical order each ends where the next other one begins.
    let ascending = glyphs.first().map(|g| g.source.start) <= glyphs.last().map(|g| g.source.start);
    let mut following = text.len();
    let mut end = text.len();
    let mut close = |glyph: &mut Glyph| {
        if glyph.source.start == following {
            needs_actual_text = true;
        } else {
            (end, following) = (following, glyph.source.start);
        }
        glyph.source.end = end;
    };
    if ascending {
        glyphs.iter_mut().rev().for_each(&mut close);
    } else {
        glyphs.iter_mut().for_each(&mut close);
    }
    Some(Run { face, glyphs, text: text.to_owned(), needs_actual_text })
}
