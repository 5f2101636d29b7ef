//! Writes drawing operators (ISO 32000-2 Annex A) in points with the origin top left and y pointing down.

use super::FontSubsets;
use super::cid::{packed, utf16_hex};
use super::shape::{Line, Run};
use crate::file::deflate::deflate;
use crate::geometry::DisplayRect;
use crate::objects::NewObjects;
use lopdf::{Object, Stream, dictionary};
use std::collections::BTreeSet;

/// A colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Color(pub u8, pub u8, pub u8);

/// A content stream under construction.
#[derive(Debug, Default)]
pub(crate) struct Canvas {
    content: Vec<u8>,
    faces: BTreeSet<usize>,
    /// The colour that is filled with, where this canvas has set it.
    fill: Option<Color>,
}

/// Distance of control points that makes a cubic curve a quarter of a circle.
const QUARTER_CIRCLE: f64 = 0.552_284_75;

impl Canvas {
    /// Takes a drawing with y pointing down to a page of this height, in points.
    pub(crate) fn flip(&mut self, page_height: f64) {
        self.operator(&[1.0, 0.0, 0.0, -1.0, 0.0, page_height], "cm");
    }

    /// Restricts what `draw` draws to a rectangle.
    pub(crate) fn clipped(&mut self, area: DisplayRect, draw: impl FnOnce(&mut Self)) {
        let fill = self.fill;
        self.operator(&[], "q");
        self.operator(&[area.x, area.y, area.width, area.height], "re");
        self.operator(&[], "W n");
        draw(self);
        self.operator(&[], "Q");
        self.fill = fill;
    }

    pub(crate) fn fill_rectangle(&mut self, area: DisplayRect, color: Color) {
        self.fill_color(color);
        self.operator(&[area.x, area.y, area.width, area.height], "re");
        self.operator(&[], "f");
    }

    /// Draws the outline, its middle `width / 2` inside the rectangle.
    pub(crate) fn frame(&mut self, area: DisplayRect, width: f64, color: Color) {
        self.stroke_style(width, color);
        let (x, y) = (area.x + width / 2.0, area.y + width / 2.0);
        self.operator(&[x, y, area.width - width, area.height - width], "re");
        self.operator(&[], "S");
    }

    /// Joins the points by straight lines with round ends.
    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], width: f64, color: Color) {
        let [(x, y), rest @ ..] = points else { return };
        self.stroke_style(width, color);
        self.operator(&[*x, *y], "m");
        for (x, y) in rest {
            self.operator(&[*x, *y], "l");
        }
        self.operator(&[], "S");
    }

    /// Draws a smooth curve through the points (Catmull–Rom), as a pen would; a dot for a single point.
    pub(crate) fn pen_stroke(&mut self, points: &[(f64, f64)], width: f64, color: Color) {
        let [first, rest @ ..] = points else { return };
        self.stroke_style(width, color);
        self.operator(&[first.0, first.1], "m");
        if rest.is_empty() {
            self.operator(&[first.0, first.1], "l");
        }
        for (index, (start, end)) in points.iter().zip(rest).enumerate() {
            let before = index.checked_sub(1).and_then(|i| points.get(i)).unwrap_or(start);
            let after = points.get(index + 2).unwrap_or(end);
            let c1 = (start.0 + (end.0 - before.0) / 6.0, start.1 + (end.1 - before.1) / 6.0);
            let c2 = (end.0 - (after.0 - start.0) / 6.0, end.1 - (after.1 - start.1) / 6.0);
            self.operator(&[c1.0, c1.1, c2.0, c2.1, end.0, end.1], "c");
        }
        self.operator(&[], "S");
    }

    pub(crate) fn circle(&mut self, (x, y): (f64, f64), radius: f64, width: f64, color: Color) {
        self.stroke_style(width, color);
        self.circle_path(x, y, radius);
        self.operator(&[], "S");
    }

    pub(crate) fn disc(&mut self, (x, y): (f64, f64), radius: f64, color: Color) {
        self.fill_color(color);
        self.circle_path(x, y, radius);
        self.operator(&[], "f");
    }

    /// Draws a line upright, its base line starting at (`x`, `y`).
    pub(crate) fn text(
        &mut self,
        subsets: &mut FontSubsets<'_>,
        line: &Line,
        (mut x, y): (f64, f64),
        size_pt: f64,
        color: Color,
    ) {
        self.fill_color(color);
        for run in &line.runs {
            self.run(subsets, run, (x, y), size_pt);
            x += run.glyphs.iter().map(|glyph| glyph.advance).sum::<f64>() * size_pt;
        }
    }

    /// The compressed content, and the faces that it is set in.
    pub(crate) fn finish(self) -> (Vec<u8>, BTreeSet<usize>) {
        (deflate(&self.content), self.faces)
    }

    /// A form XObject (ISO 32000-2 §8.10) that covers a displayed page of this size.
    pub(crate) fn into_form(
        self,
        (width, height): (f64, f64),
        subsets: &mut FontSubsets<'_>,
        objects: &mut NewObjects,
    ) -> Stream {
        let (content, faces) = self.finish();
        let corners = [0.0, 0.0, width, height];
        let form = dictionary! {
            "Type" => "XObject",
            "Subtype" => "Form",
            "BBox" => corners.map(Object::from).to_vec(),
            "Resources" => subsets.resources(&faces, objects),
        };
        packed(form, content)
    }

    fn run(&mut self, subsets: &mut FontSubsets<'_>, run: &Run, (x, y): (f64, f64), size_pt: f64) {
        self.faces.insert(run.face);
        let mut ambiguous = run.needs_actual_text;
        let mut written = Vec::with_capacity(run.glyphs.len());
        for glyph in &run.glyphs {
            // A run that carries its text apart adds no meaning to glyphs, so that they stay free for others.
            let text = if run.needs_actual_text {
                ""
            } else {
                run.text.get(glyph.source.clone()).unwrap_or_default()
            };
            if let Some(known) = subsets.write_glyph(run.face, glyph, text) {
                ambiguous |= known.is_ambiguous;
                written.push((glyph, known));
            }
        }
        if ambiguous {
            self.raw("/Span << /ActualText <FEFF");
            self.raw(&utf16_hex(&run.text));
            self.raw("> >> BDC\n");
        }
        self.raw("BT /F");
        self.raw(&run.face.to_string());
        self.raw(" ");
        self.operator(&[size_pt], "Tf");
        self.operator(&[1.0, 0.0, 0.0, -1.0, x, y], "Tm");
        self.raw("[<");
        let (mut rise, mut pending) = (0.0, 0.0);
        for (glyph, known) in written {
            if (glyph.y_offset - rise).abs() > 1e-6 {
                self.raw(">] TJ\n");
                self.operator(&[glyph.y_offset * size_pt], "Ts");
                self.raw("[<");
                rise = glyph.y_offset;
            }
            self.adjust(pending + glyph.x_offset * 1000.0);
            self.glyph(known.cid);
            pending = glyph.advance * 1000.0 - known.width - glyph.x_offset * 1000.0;
        }
        self.raw(">] TJ\n");
        if rise != 0.0 {
            self.operator(&[0.0], "Ts");
        }
        self.raw(if ambiguous { "ET\nEMC\n" } else { "ET\n" });
    }

    /// Moves the pen by thousandths of an em, inside a `TJ` array. Less than a thousandth is left out.
    fn adjust(&mut self, distance: f64) {
        if distance.abs() >= 0.5 {
            self.raw("> ");
            self.number(-distance.round());
            self.raw("<");
        }
    }

    fn glyph(&mut self, cid: u16) {
        const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
        for shift in [12, 8, 4, 0] {
            self.content.extend(DIGITS.get(usize::from(cid >> shift & 15)));
        }
    }

    fn circle_path(&mut self, x: f64, y: f64, r: f64) {
        let k = r * QUARTER_CIRCLE;
        self.operator(&[x + r, y], "m");
        self.operator(&[x + r, y + k, x + k, y + r, x, y + r], "c");
        self.operator(&[x - k, y + r, x - r, y + k, x - r, y], "c");
        self.operator(&[x - r, y - k, x - k, y - r, x, y - r], "c");
        self.operator(&[x + k, y - r, x + r, y - k, x + r, y], "c");
        self.raw("h\n");
    }

    fn fill_color(&mut self, color: Color) {
        if self.fill.replace(color) == Some(color) {
            return;
        }
        let Color(r, g, b) = color;
        self.operator(&[r, g, b].map(|part| f64::from(part) / 255.0), "rg");
    }

    fn stroke_style(&mut self, width: f64, color: Color) {
        let Color(r, g, b) = color;
        self.operator(&[r, g, b].map(|part| f64::from(part) / 255.0), "RG");
        self.operator(&[width], "w 1 J 1 j");
    }

    fn operator(&mut self, operands: &[f64], name: &str) {
        for operand in operands {
            self.number(*operand);
        }
        self.raw(name);
        self.raw("\n");
    }

    /// Writes a number with at most three decimals and a space.
    fn number(&mut self, value: f64) {
        let thousandths = thousandths(value);
        if thousandths < 0 {
            self.content.push(b'-');
        }
        let magnitude = thousandths.unsigned_abs();
        self.digits(magnitude / 1_000, 1);
        let decimals = magnitude % 1_000;
        if decimals > 0 {
            self.content.push(b'.');
            let (shown, count) = match (decimals % 100, decimals % 10) {
                (0, _) => (decimals / 100, 1),
                (_, 0) => (decimals / 10, 2),
                _ => (decimals, 3),
            };
            self.digits(shown, count);
        }
        self.content.push(b' ');
    }

    /// Writes a whole number with at least so many digits.
    fn digits(&mut self, value: u64, least: u32) {
        if value >= 10 || least > 1 {
            self.digits(value / 10, least.saturating_sub(1));
        }
        self.content.push(b'0' + u8::try_from(value % 10).unwrap_or_default());
    }

    fn raw(&mut self, text: &str) {
        self.content.extend_from_slice(text.as_bytes());
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a page is less than 15,000 points wide; the cast saturates"
)]
fn thousandths(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}
