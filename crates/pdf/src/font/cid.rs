//! Writes a subset as a composite font (ISO 32000-2 §9.7) whose text can be copied (§9.10.3).

use super::FontFault;
use super::subset::{GlyphSet, UsedGlyph};
use crate::objects::NewObjects;
use lopdf::{Dictionary, Object, ObjectId, Stream, StringFormat, dictionary};
use rustybuzz::ttf_parser::{Face, RawFace, Tag, name_id};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A face with the glyphs of it that are used.
pub(super) struct Embedding<'a> {
    pub bytes: &'a [u8],
    pub face_index: u32,
    pub set: &'a GlyphSet,
}

/// A font as its objects say it, before they have numbers.
#[derive(Debug)]
pub(super) struct EmbeddedFont {
    tagged: String,
    is_cff: bool,
    file: Stream,
    descriptor: Dictionary,
    widths: Object,
    to_unicode: Stream,
}

impl EmbeddedFont {
    /// Makes the subset of a face, compressed by `pack`.
    pub(super) fn make(embedding: Embedding<'_>, pack: fn(&[u8]) -> Vec<u8>) -> Result<Self, FontFault> {
        let fault = |name: &str, reason: &dyn std::fmt::Display| FontFault {
            font: name.to_owned(),
            reason: reason.to_string(),
        };
        let face =
            Face::parse(embedding.bytes, embedding.face_index).map_err(|error| fault("font file", &error))?;
        let name = postscript_name(&face);
        let subset = subsetter::subset(embedding.bytes, embedding.face_index, &embedding.set.remapper)
            .map_err(|error| fault(&name, &error))?;
        let tagged = format!("{}+{name}", tag(&subset));
        let is_cff = face.tables().glyf.is_none();
        let file = if is_cff {
            let raw = RawFace::parse(&subset, 0).map_err(|error| fault(&name, &error))?;
            let table = raw.table(Tag::from_bytes(b"CFF ")).ok_or_else(|| fault(&name, &"no CFF table"))?;
            packed(dictionary! { "Subtype" => "CIDFontType0C" }, pack(table))
        } else {
            let length = i64::try_from(subset.len()).map_err(|error| fault(&name, &error))?;
            packed(dictionary! { "Length1" => length }, pack(&subset))
        };
        Ok(Self {
            descriptor: descriptor(&face, &tagged),
            tagged,
            is_cff,
            file,
            widths: widths(&embedding.set.glyphs),
            to_unicode: packed(Dictionary::new(), pack(to_unicode(&embedding.set.glyphs).as_bytes())),
        })
    }

    /// Puts the font under the number `font`, and what it consists of under new numbers.
    pub(super) fn put(&self, font: ObjectId, objects: &mut NewObjects) {
        let file = objects.add(self.file.clone());
        let mut descriptor = self.descriptor.clone();
        descriptor.set(if self.is_cff { "FontFile3" } else { "FontFile2" }, file);
        let descriptor = objects.add(descriptor);
        let system_information = dictionary! {
            "Registry" => Object::String(b"Adobe".to_vec(), StringFormat::Literal),
            "Ordering" => Object::String(b"Identity".to_vec(), StringFormat::Literal),
            "Supplement" => 0,
        };
        let mut descendant = dictionary! {
            "Type" => "Font",
            "Subtype" => if self.is_cff { "CIDFontType0" } else { "CIDFontType2" },
            "BaseFont" => self.tagged.as_str(),
            "CIDSystemInfo" => system_information,
            "FontDescriptor" => descriptor,
            "DW" => 0,
            "W" => self.widths.clone(),
        };
        if !self.is_cff {
            descendant.set("CIDToGIDMap", "Identity");
        }
        let descendant = objects.add(descendant);
        let to_unicode = objects.add(self.to_unicode.clone());
        let base_font = if self.is_cff { format!("{}-Identity-H", self.tagged) } else { self.tagged.clone() };
        objects.put(
            font,
            dictionary! {
                "Type" => "Font",
                "Subtype" => "Type0",
                "BaseFont" => base_font,
                "Encoding" => "Identity-H",
                "DescendantFonts" => vec![Object::Reference(descendant)],
                "ToUnicode" => to_unicode,
            },
        );
    }
}

/// A stream of content that is compressed already.
pub(crate) fn packed(mut dictionary: Dictionary, compressed: Vec<u8>) -> Stream {
    dictionary.set("Filter", "FlateDecode");
    Stream::new(dictionary, compressed).with_compression(false)
}

fn postscript_name(face: &Face<'_>) -> String {
    let mut names = face.names().into_iter().filter(|name| name.name_id == name_id::POST_SCRIPT_NAME);
    let found = names.find_map(|name| name.to_string()).unwrap_or_else(|| "Font".to_owned());
    found.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// Six letters that depend on the subset's content (ISO 32000-2 §9.9.2).
fn tag(subset: &[u8]) -> String {
    Sha256::digest(subset).iter().take(6).map(|byte| char::from(b'A' + byte % 26)).collect()
}

fn descriptor(face: &Face<'_>, name: &str) -> Dictionary {
    const SYMBOLIC: i64 = 4;
    let scale = |value: i16| (f64::from(value) * 1000.0 / f64::from(face.units_per_em())).round();
    let bounds = face.global_bounding_box();
    let corners = [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max];
    dictionary! {
        "Type" => "FontDescriptor",
        "FontName" => name,
        "Flags" => SYMBOLIC,
        "FontBBox" => corners.map(|value| Object::from(scale(value))).to_vec(),
        "ItalicAngle" => f64::from(face.italic_angle()),
        "Ascent" => scale(face.ascender()),
        "Descent" => scale(face.descender()),
        "CapHeight" => scale(face.capital_height().unwrap_or_else(|| face.ascender())),
        "StemV" => if face.is_bold() { 140 } else { 80 },
    }
}

/// `[1 [w1 w2 …]]`: CIDs are consecutive from 1 (ISO 32000-2 §9.7.4.3).
fn widths(glyphs: &[UsedGlyph]) -> Object {
    let all: Vec<Object> = glyphs.iter().skip(1).map(|glyph| Object::from(glyph.width)).collect();
    Object::Array(vec![Object::from(1), Object::Array(all)])
}

fn to_unicode(glyphs: &[UsedGlyph]) -> String {
    let mut map = String::from(
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo << /Registry (Adobe) \
         /Ordering (UCS) /Supplement 0 >> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n\
         1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n",
    );
    let spoken: Vec<_> = glyphs.iter().enumerate().filter(|(_, glyph)| !glyph.text.is_empty()).collect();
    for chunk in spoken.chunks(100) {
        line(&mut map, format_args!("{} beginbfchar", chunk.len()));
        for (cid, glyph) in chunk {
            line(&mut map, format_args!("<{cid:04X}> <{}>", utf16_hex(&glyph.text)));
        }
        map.push_str("endbfchar\n");
    }
    map.push_str("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n");
    map
}

fn line(map: &mut String, content: std::fmt::Arguments<'_>) {
    let written = writeln!(map, "{content}");
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

/// UTF-16BE in hexadecimal, without a byte order mark.
pub(super) fn utf16_hex(text: &str) -> String {
    let mut hexadecimal = String::new();
    for unit in text.encode_utf16() {
        hexadecimal.push_str(&hex::encode_upper(unit.to_be_bytes()));
    }
    hexadecimal
}
