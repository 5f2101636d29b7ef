//! Collects the glyphs that a file uses and writes one subset per face at the end.

use super::book::FontBook;
use super::cid::{EmbeddedFont, Embedding};
use super::ready::ReadyFont;
use super::shape::{Glyph, Line, Run};
use super::{FallbackFont, FontFault, Missing, Typeface};
use crate::file::deflate::deflate;
use crate::objects::NewObjects;
use lopdf::{Dictionary, Object, ObjectId, dictionary};
use rustybuzz::UnicodeBuffer;
use rustybuzz::ttf_parser::{self, GlyphId, Permissions};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use subsetter::GlyphRemapper;

/// The faces and glyphs that one file uses, shared by its stamps and its certificate.
#[derive(Clone)]
pub struct FontSubsets<'book> {
    book: &'book FontBook,
    faces: Vec<UsedFace<'book>>,
    found: HashMap<char, Option<usize>>,
    missing: Missing,
    buffer: Buffer,
    /// Lines that the shaper made: names and dates return in the rows of a certificate.
    lines: HashMap<(Typeface, String), Line>,
}

/// A bound on memory, far above what a certificate repeats.
const MAXIMUM_KEPT_LINES: usize = 1_000;

/// Room that shaping uses again; its content means nothing.
#[derive(Default)]
struct Buffer(UnicodeBuffer);

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[derive(Clone)]
struct UsedFace<'book> {
    /// Nothing for the embedded faces, which come first.
    fallback: Option<FallbackFont>,
    glyphs: Glyphs<'book>,
    object: Option<ObjectId>,
}

/// What of a face is used.
#[derive(Clone)]
enum Glyphs<'book> {
    /// Nothing beyond what most files need.
    Ready(&'book ReadyFont),
    /// More, or other than that.
    Own(GlyphSet),
}

/// The glyphs of a subset.
#[derive(Clone)]
pub(super) struct GlyphSet {
    pub remapper: GlyphRemapper,
    /// By new glyph number, which is the CID; 0 is never drawn.
    pub glyphs: Vec<UsedGlyph>,
}

impl Default for GlyphSet {
    fn default() -> Self {
        // The remapper keeps 0 for .notdef, so the first drawn glyph is 1.
        let glyphs = vec![UsedGlyph { text: String::new(), width: 0.0 }];
        Self { remapper: GlyphRemapper::new(), glyphs }
    }
}

impl GlyphSet {
    /// Puts a glyph in, with what it says unless that is known; its CID.
    pub(super) fn add(&mut self, id: u16, nominal_em: f64, text: &str) -> u16 {
        let cid = self.remapper.remap(id);
        let position = usize::from(cid);
        if position >= self.glyphs.len() {
            self.glyphs.push(UsedGlyph { text: text.to_owned(), width: (nominal_em * 1000.0).round() });
        }
        if let Some(known) = self.glyphs.get_mut(position)
            && known.text.is_empty()
        {
            text.clone_into(&mut known.text);
        }
        cid
    }

    /// The glyph of a face as it is written, if it is in the set.
    pub(super) fn written(&self, id: u16, text: &str) -> Option<WrittenGlyph> {
        let cid = self.remapper.get(id)?;
        let known = self.glyphs.get(usize::from(cid))?;
        let is_ambiguous = known.text != text && !text.is_empty();
        Some(WrittenGlyph { cid, width: known.width, is_ambiguous })
    }
}

/// A glyph of the subset.
#[derive(Clone, Debug)]
pub(super) struct UsedGlyph {
    /// What it says.
    pub text: String,
    /// Its advance in thousandths of an em, as written to the file.
    pub width: f64,
}

/// How a glyph is written in a content stream.
pub(super) struct WrittenGlyph {
    pub cid: u16,
    /// Thousandths of an em that a reader advances.
    pub width: f64,
    /// Whether the glyph already stands for other characters in this file.
    pub is_ambiguous: bool,
}

impl<'book> FontSubsets<'book> {
    /// No glyph yet.
    pub fn new(book: &'book FontBook) -> Self {
        let faces = book.embedded().iter().map(|face| {
            let glyphs = face.ready().map_or_else(|| Glyphs::Own(GlyphSet::default()), Glyphs::Ready);
            UsedFace { fallback: None, glyphs, object: None }
        });
        Self {
            book,
            faces: faces.collect(),
            found: HashMap::new(),
            missing: Missing::default(),
            buffer: Buffer::default(),
            lines: HashMap::new(),
        }
    }

    /// Characters that no font had so far.
    pub fn missing(&self) -> &Missing {
        &self.missing
    }

    /// Writes the subsets that were referred to. A face whose subset fails is a fault: text would be lost.
    pub fn finish(self, objects: &mut NewObjects) -> Result<Missing, FontFault> {
        for (index, used) in self.faces.iter().enumerate() {
            let Some(font) = used.object else { continue };
            let set = match &used.glyphs {
                Glyphs::Ready(ready) => {
                    ready.font.put(font, objects);
                    continue;
                }
                Glyphs::Own(set) => set,
            };
            let (bytes, face_index) = match (&used.fallback, self.book.embedded().get(index)) {
                (Some(fallback), _) => (&*fallback.bytes, fallback.face_index),
                (None, Some(embedded)) => (embedded.bytes, 0),
                (None, None) => unreachable!("a face is embedded or comes from the machine"),
            };
            EmbeddedFont::make(Embedding { bytes, face_index, set }, deflate)?.put(font, objects);
        }
        Ok(self.missing)
    }

    pub(super) fn book(&self) -> &'book FontBook {
        self.book
    }

    pub(super) fn fallback_font(&self, face: usize) -> Option<FallbackFont> {
        self.faces.get(face)?.fallback.clone()
    }

    /// Whether a face has a character.
    pub(super) fn has(&self, face: usize, c: char) -> bool {
        match (self.book.embedded().get(face), self.faces.get(face)) {
            (Some(embedded), _) => embedded.face.glyph_index(c).is_some_and(|id| id.0 != 0),
            (None, Some(UsedFace { fallback: Some(font), .. })) => {
                ttf_parser::Face::parse(&font.bytes, font.face_index)
                    .is_ok_and(|parsed| parsed.glyph_index(c).is_some_and(|id| id.0 != 0))
            }
            _ => false,
        }
    }

    /// The first of the embedded `candidates` that has a character, else a font of the machine.
    pub(super) fn face_for(&mut self, candidates: &[usize], c: char) -> Option<usize> {
        if let Some(face) = candidates.iter().find(|face| self.has(**face, c)) {
            return Some(*face);
        }
        if let Some(found) = self.found.get(&c) {
            return *found;
        }
        let found = self.find_fallback(c);
        self.found.insert(c, found);
        found
    }

    fn find_fallback(&mut self, c: char) -> Option<usize> {
        let font = self.book.fallback()?.find(c)?;
        let parsed = ttf_parser::Face::parse(&font.bytes, font.face_index).ok()?;
        let tables = parsed.tables();
        let has_outlines = tables.glyf.is_some() || tables.cff.is_some();
        let may_embed =
            parsed.permissions() != Some(Permissions::Restricted) && parsed.is_subsetting_allowed();
        if !has_outlines || !may_embed || parsed.glyph_index(c).is_none_or(|id| id.0 == 0) {
            return None;
        }
        let same = |used: &UsedFace| {
            used.fallback
                .as_ref()
                .is_some_and(|old| Arc::ptr_eq(&old.bytes, &font.bytes) && old.face_index == font.face_index)
        };
        let known = self.faces.iter().position(same);
        Some(known.unwrap_or_else(|| {
            let glyphs = Glyphs::Own(GlyphSet::default());
            self.faces.push(UsedFace { fallback: Some(font), glyphs, object: None });
            self.faces.len() - 1
        }))
    }

    pub(super) fn report_missing(&mut self, text: &str) {
        self.missing.characters.extend(text.chars());
    }

    pub(super) fn known_line(&self, typeface: Typeface, text: &str) -> Option<Line> {
        self.lines.get(&(typeface, text.to_owned())).cloned()
    }

    pub(super) fn keep_line(&mut self, typeface: Typeface, text: &str, line: &Line) {
        if self.lines.len() < MAXIMUM_KEPT_LINES {
            self.lines.insert((typeface, text.to_owned()), line.clone());
        }
    }

    pub(super) fn take_buffer(&mut self) -> UnicodeBuffer {
        std::mem::take(&mut self.buffer.0)
    }

    pub(super) fn return_buffer(&mut self, buffer: UnicodeBuffer) {
        self.buffer.0 = buffer;
    }

    /// The box of the ink of each glyph of a run, in ems.
    pub(super) fn bounds(&self, run: &Run) -> Vec<Option<[f64; 4]>> {
        let measure = |parsed: &ttf_parser::Face<'_>| {
            let em = f64::from(parsed.units_per_em());
            let scaled =
                |b: ttf_parser::Rect| [b.x_min, b.y_min, b.x_max, b.y_max].map(|v| f64::from(v) / em);
            let boxes =
                run.glyphs.iter().map(|glyph| parsed.glyph_bounding_box(GlyphId(glyph.id)).map(scaled));
            boxes.collect()
        };
        match (self.book.embedded().get(run.face), self.fallback_font(run.face)) {
            (Some(embedded), _) => measure(&embedded.face),
            (None, Some(font)) => ttf_parser::Face::parse(&font.bytes, font.face_index)
                .map(|parsed| measure(&parsed))
                .unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }

    /// Puts a glyph into the subset of its face.
    pub(super) fn write_glyph(&mut self, face: usize, glyph: &Glyph, text: &str) -> Option<WrittenGlyph> {
        let used = self.faces.get_mut(face)?;
        if let Glyphs::Ready(ready) = &used.glyphs {
            if let Some(written) = ready.set.written(glyph.id, text) {
                return Some(written);
            }
            used.glyphs = Glyphs::Own(ready.set.clone());
        }
        if let Glyphs::Own(set) = &mut used.glyphs {
            set.add(glyph.id, glyph.nominal, text);
            return set.written(glyph.id, text);
        }
        None
    }

    /// The `/Resources` of content that is set in these faces.
    pub(crate) fn resources(&mut self, faces: &BTreeSet<usize>, objects: &mut NewObjects) -> Dictionary {
        let mut fonts = Dictionary::new();
        for face in faces {
            if let Some(used) = self.faces.get_mut(*face) {
                let object = *used.object.get_or_insert_with(|| objects.reserve());
                fonts.set(format!("F{face}"), Object::Reference(object));
            }
        }
        dictionary! { "Font" => fonts }
    }
}

impl std::fmt::Debug for FontSubsets<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FontSubsets").field("missing", &self.missing).finish_non_exhaustive()
    }
}
