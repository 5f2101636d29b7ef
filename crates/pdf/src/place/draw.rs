//! Draws marks as they were laid out. Each is clipped to its rectangle.

use super::fit::{BASELINE_EM, Fitted, LINE_EM};
use super::layout::{Layout, Parts, Signature, inset, is_sound};
use super::{Align, Handwriting};
use crate::font::{Canvas, Color, FontSubsets, Line, Typeface};
use crate::geometry::DisplayRect;

const INK: Color = Color(0x11, 0x18, 0x27);
/// Signatures are blue-black, as ink is: a copy on a black and white printer differs from an original.
const PEN: Color = Color(0x10, 0x2A, 0x6B);
const FRAME: Color = Color(0x8A, 0x94, 0xA6);
const CAPTION: Color = Color(0x37, 0x41, 0x51);

pub(super) fn draw(layout: &Layout<'_>, subsets: &mut FontSubsets<'_>, canvas: &mut Canvas) {
    let area = layout.area;
    canvas.clipped(area, |canvas| match &layout.parts {
        Parts::Lines { fitted, inner, top, align } => {
            paragraph(canvas, subsets, fitted, (*inner, *top), *align);
        }
        Parts::Check { on } => check(canvas, area, *on),
        Parts::Radio { on } => radio(canvas, area, *on),
        Parts::Signature(laid_out) => signature(canvas, subsets, area, laid_out),
    });
}

fn paragraph(
    canvas: &mut Canvas,
    subsets: &mut FontSubsets<'_>,
    Fitted { lines, size_pt }: &Fitted,
    (inner, top): (DisplayRect, f64),
    align: Align,
) {
    let mut baseline = top + BASELINE_EM * size_pt;
    for line in lines {
        let spare = inner.width - line.width_em * size_pt;
        let x = inner.x
            + match align {
                Align::Left => 0.0,
                Align::Center => spare / 2.0,
                Align::Right => spare,
            };
        canvas.text(subsets, line, (x, baseline), *size_pt, INK);
        baseline += LINE_EM * size_pt;
    }
}

/// The largest square in the middle of a rectangle.
fn square(area: DisplayRect) -> DisplayRect {
    let side = area.width.min(area.height);
    DisplayRect {
        x: area.x + (area.width - side) / 2.0,
        y: area.y + (area.height - side) / 2.0,
        width: side,
        height: side,
    }
}

fn check(canvas: &mut Canvas, area: DisplayRect, on: bool) {
    let DisplayRect { x, y, width: side, .. } = square(area);
    canvas.frame(DisplayRect { x, y, width: side, height: side }, (side / 16.0).min(0.8), INK);
    if on {
        let tick = [(0.22, 0.54), (0.42, 0.74), (0.79, 0.27)].map(|(u, v)| (x + u * side, y + v * side));
        canvas.polyline(&tick, side / 9.0, INK);
    }
}

fn radio(canvas: &mut Canvas, area: DisplayRect, on: bool) {
    let DisplayRect { x, y, width: side, .. } = square(area);
    let (middle, line) = ((x + side / 2.0, y + side / 2.0), (side / 16.0).min(0.8));
    canvas.circle(middle, (side - line) / 2.0, line, INK);
    if on {
        canvas.disc(middle, side * 0.27, INK);
    }
}

fn signature(
    canvas: &mut Canvas,
    subsets: &mut FontSubsets<'_>,
    area: DisplayRect,
    Signature { ink, inner, pad, frame_width, caption, has_rule }: &Signature<'_>,
) {
    canvas.frame(area, *frame_width, FRAME);
    draw_handwriting(ink, inset(*pad, 0.0, pad.height * 0.06), subsets, canvas);
    let Some(Fitted { lines, size_pt }) = caption else { return };
    let below = pad.y + pad.height;
    if *has_rule {
        let ends = [(inner.x, below + 0.5), (inner.x + inner.width, below + 0.5)];
        canvas.polyline(&ends, frame_width * 0.6, FRAME);
    }
    let mut baseline = below + 1.0 + BASELINE_EM * size_pt;
    for text in lines {
        canvas.text(subsets, text, (inner.x, baseline), *size_pt, CAPTION);
        baseline += LINE_EM * size_pt;
    }
}

/// Draws an adopted signature as large as it fits, in the middle. Ink that is not sound is not drawn.
pub(crate) fn draw_handwriting(
    ink: &Handwriting,
    pad: DisplayRect,
    subsets: &mut FontSubsets<'_>,
    canvas: &mut Canvas,
) {
    match ink {
        Handwriting::Typed { name } => typed(name, pad, subsets, canvas),
        Handwriting::Drawn { strokes, aspect } if is_sound(ink) => drawn(strokes, *aspect, pad, canvas),
        Handwriting::Drawn { .. } => {}
    }
}

fn typed(name: &str, pad: DisplayRect, subsets: &mut FontSubsets<'_>, canvas: &mut Canvas) {
    /// Larger than this a short name looks like a poster.
    const LARGEST_PT: f64 = 40.0;
    let line = Line::shape(subsets, Typeface::Signature, name);
    let Some([left, bottom, right, top]) = line.ink_em(subsets) else { return };
    let (width_em, height_em) = ((right - left).max(0.01), (top - bottom).max(0.01));
    let size_pt = (pad.width / width_em).min(pad.height / height_em).min(LARGEST_PT);
    let x = pad.x + (pad.width - width_em * size_pt) / 2.0 - left * size_pt;
    let baseline = pad.y + f64::midpoint(pad.height, height_em * size_pt) + bottom * size_pt;
    canvas.text(subsets, &line, (x, baseline), size_pt, PEN);
}

fn drawn(strokes: &[Vec<(f64, f64)>], aspect: f64, pad: DisplayRect, canvas: &mut Canvas) {
    let pen = (pad.height / 28.0).clamp(0.5, 1.6);
    let pad = inset(pad, pen, pen);
    let scale = (pad.width / aspect).min(pad.height);
    let (width, height) = (scale * aspect, scale);
    let (left, top) = (pad.x + (pad.width - width) / 2.0, pad.y + (pad.height - height) / 2.0);
    for stroke in strokes {
        let points: Vec<_> = stroke.iter().map(|(u, v)| (left + u * width, top + v * height)).collect();
        canvas.pen_stroke(&points, pen, PEN);
    }
}
