//! Draws single marks. Each is clipped to its rectangle, and laid out so that clipping cuts nothing.

use super::fit::{self, BASELINE_EM, Fitted, LINE_EM};
use super::{
    Align, DEFAULT_SIZE_PT, Handwriting, MAXIMUM_INK_POINTS, MINIMUM_CAPTION_PT, MINIMUM_SIZE_PT, Mark,
    PlaceRefusal, Stamp,
};
use crate::font::{Canvas, Color, FontSubsets, Line, Typeface};
use crate::geometry::DisplayRect;

const INK: Color = Color(0x11, 0x18, 0x27);
/// Signatures are blue-black, as ink is: a copy on a black and white printer differs from an original.
const PEN: Color = Color(0x10, 0x2A, 0x6B);
const FRAME: Color = Color(0x8A, 0x94, 0xA6);
const CAPTION: Color = Color(0x37, 0x41, 0x51);

/// Less room than this shows no signature.
const SMALLEST_PAD_PT: f64 = 4.0;

pub(super) fn draw(
    stamp: &Stamp,
    subsets: &mut FontSubsets<'_>,
    canvas: &mut Canvas,
) -> Result<(), PlaceRefusal> {
    let does_not_fit = || PlaceRefusal::DoesNotFit { field: stamp.field.clone(), page: stamp.page };
    let area = stamp.rect;
    match &stamp.mark {
        Mark::Text { value, size_pt, align } => {
            let inner = inset(area, 1.5_f64.min(area.width / 10.0), 0.0);
            let size = preferred(*size_pt);
            let fitted = fit::single_line(subsets, value, (inner.width, inner.height), size);
            let Fitted { lines, size_pt } = fitted.ok_or_else(does_not_fit)?;
            let top = inner.y + (inner.height - count(&lines) * size_pt * LINE_EM) / 2.0;
            canvas.clipped(area, |canvas| paragraph(canvas, subsets, &lines, (inner, top), size_pt, *align));
        }
        Mark::MultilineText { value, size_pt, align } => {
            let inner = inset(area, 1.5_f64.min(area.width / 10.0), 0.0);
            let (room, sizes) = ((inner.width, inner.height), (preferred(*size_pt), MINIMUM_SIZE_PT));
            let fitted = fit::several_lines(subsets, Typeface::Text, value, room, sizes);
            let Fitted { lines, size_pt } = fitted.ok_or_else(does_not_fit)?;
            canvas.clipped(area, |canvas| {
                paragraph(canvas, subsets, &lines, (inner, inner.y), size_pt, *align);
            });
        }
        Mark::Check { on } => canvas.clipped(area, |canvas| check(canvas, area, *on)),
        Mark::Radio { on } => canvas.clipped(area, |canvas| radio(canvas, area, *on)),
        Mark::Signature { ink, caption } => signature(stamp, (ink, caption, true), subsets, canvas)?,
        Mark::Initials { ink, caption } => signature(stamp, (ink, caption, false), subsets, canvas)?,
    }
    Ok(())
}

fn preferred(size_pt: Option<f64>) -> f64 {
    size_pt.filter(|size| size.is_finite()).unwrap_or(DEFAULT_SIZE_PT).clamp(MINIMUM_SIZE_PT, 144.0)
}

fn count(lines: &[Line]) -> f64 {
    f64::from(u32::try_from(lines.len()).unwrap_or(u32::MAX))
}

fn inset(area: DisplayRect, x: f64, y: f64) -> DisplayRect {
    DisplayRect { x: area.x + x, y: area.y + y, width: area.width - 2.0 * x, height: area.height - 2.0 * y }
}

fn paragraph(
    canvas: &mut Canvas,
    subsets: &mut FontSubsets<'_>,
    lines: &[Line],
    (inner, top): (DisplayRect, f64),
    size_pt: f64,
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
        canvas.text(subsets, line, (x, baseline), size_pt, INK);
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

/// Frame, signature, and the caption under a rule; the caption takes at most half of the height.
fn signature(
    stamp: &Stamp,
    (ink, caption, with_rule): (&Handwriting, &str, bool),
    subsets: &mut FontSubsets<'_>,
    canvas: &mut Canvas,
) -> Result<(), PlaceRefusal> {
    let area = stamp.rect;
    let line = 0.6_f64.min(area.height / 20.0);
    let inner = inset(area, (area.width * 0.03).min(4.0).max(line), (area.height * 0.04).min(2.0).max(line));
    let mut pad = inner;
    let mut small_print = None;
    if !caption.trim().is_empty() {
        let room = (inner.width, inner.height * 0.5);
        let sizes = ((area.height / 7.5).clamp(MINIMUM_CAPTION_PT, 6.5), MINIMUM_CAPTION_PT);
        let fitted = fit::several_lines(subsets, Typeface::Text, caption, room, sizes);
        let fitted = fitted
            .ok_or_else(|| PlaceRefusal::DoesNotFit { field: stamp.field.clone(), page: stamp.page })?;
        pad.height -= count(&fitted.lines) * fitted.size_pt * LINE_EM + 1.0;
        small_print = Some(fitted);
    }
    if !is_sound(ink) {
        return Err(PlaceRefusal::BadInk { field: stamp.field.clone() });
    }
    if pad.width < SMALLEST_PAD_PT || pad.height < SMALLEST_PAD_PT {
        return Err(PlaceRefusal::DoesNotFit { field: stamp.field.clone(), page: stamp.page });
    }
    canvas.clipped(area, |canvas| {
        canvas.frame(area, line, FRAME);
        draw_handwriting(ink, inset(pad, 0.0, pad.height * 0.06), subsets, canvas);
        let Some(Fitted { lines, size_pt }) = small_print else { return };
        let below = pad.y + pad.height;
        if with_rule {
            canvas.polyline(
                &[(inner.x, below + 0.5), (inner.x + inner.width, below + 0.5)],
                line * 0.6,
                FRAME,
            );
        }
        let mut baseline = below + 1.0 + BASELINE_EM * size_pt;
        for text in &lines {
            canvas.text(subsets, text, (inner.x, baseline), size_pt, CAPTION);
            baseline += LINE_EM * size_pt;
        }
    });
    Ok(())
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

fn is_sound(ink: &Handwriting) -> bool {
    match ink {
        Handwriting::Typed { name } => !name.trim().is_empty(),
        Handwriting::Drawn { strokes, aspect } => {
            let point_count: usize = strokes.iter().map(Vec::len).sum();
            let on_pad = |(u, v): &(f64, f64)| (0.0..=1.0).contains(u) && (0.0..=1.0).contains(v);
            (0.05..=50.0).contains(aspect)
                && (1..=MAXIMUM_INK_POINTS).contains(&point_count)
                && strokes.iter().flatten().all(on_pad)
        }
    }
}
