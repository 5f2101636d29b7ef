//! Finds where everything of a mark goes, so that clipping it to its rectangle cuts nothing; [`super::draw`] draws it.

use super::fit::{self, Fitted, LINE_EM};
use super::{
    Align, DEFAULT_SIZE_PT, Handwriting, MAXIMUM_INK_POINTS, MINIMUM_CAPTION_PT, MINIMUM_SIZE_PT, Mark,
    PlaceRefusal, Stamp,
};
use crate::font::{FontSubsets, Line, Typeface};
use crate::geometry::DisplayRect;

/// Less room than this shows no signature.
const SMALLEST_PAD_PT: f64 = 4.0;

/// A mark that fits its rectangle.
pub(super) struct Layout<'a> {
    pub area: DisplayRect,
    pub parts: Parts<'a>,
}

pub(super) enum Parts<'a> {
    Lines { fitted: Fitted, inner: DisplayRect, top: f64, align: Align },
    Check { on: bool },
    Radio { on: bool },
    Signature(Signature<'a>),
}

/// Frame, signature, and the caption under a rule; the caption takes at most half of the height.
pub(super) struct Signature<'a> {
    pub ink: &'a Handwriting,
    pub inner: DisplayRect,
    pub pad: DisplayRect,
    pub frame_width: f64,
    pub caption: Option<Fitted>,
    pub has_rule: bool,
}

impl<'a> Layout<'a> {
    pub(super) fn of(stamp: &'a Stamp, subsets: &mut FontSubsets<'_>) -> Result<Self, PlaceRefusal> {
        let area = stamp.rect;
        let parts = match &stamp.mark {
            Mark::Text { value, size_pt, align } => {
                let inner = inset(area, 1.5_f64.min(area.width / 10.0), 0.0);
                let size = preferred(*size_pt);
                let fitted = fit::single_line(subsets, value, (inner.width, inner.height), size);
                let fitted = fitted.ok_or_else(|| does_not_fit(stamp))?;
                let top = inner.y + (inner.height - height(&fitted)) / 2.0;
                Parts::Lines { fitted, inner, top, align: *align }
            }
            Mark::MultilineText { value, size_pt, align } => {
                let inner = inset(area, 1.5_f64.min(area.width / 10.0), 0.0);
                let (room, sizes) = ((inner.width, inner.height), (preferred(*size_pt), MINIMUM_SIZE_PT));
                let fitted = fit::several_lines(subsets, Typeface::Text, value, room, sizes);
                let fitted = fitted.ok_or_else(|| does_not_fit(stamp))?;
                Parts::Lines { fitted, inner, top: inner.y, align: *align }
            }
            Mark::Check { on } => Parts::Check { on: *on },
            Mark::Radio { on } => Parts::Radio { on: *on },
            Mark::Signature { ink, caption } => {
                Parts::Signature(signature(stamp, (ink, caption, true), subsets)?)
            }
            Mark::Initials { ink, caption } => {
                Parts::Signature(signature(stamp, (ink, caption, false), subsets)?)
            }
        };
        Ok(Self { area, parts })
    }
}

fn signature<'a>(
    stamp: &Stamp,
    (ink, caption, has_rule): (&'a Handwriting, &str, bool),
    subsets: &mut FontSubsets<'_>,
) -> Result<Signature<'a>, PlaceRefusal> {
    let area = stamp.rect;
    let frame_width = 0.6_f64.min(area.height / 20.0);
    let margins =
        ((area.width * 0.03).min(4.0).max(frame_width), (area.height * 0.04).min(2.0).max(frame_width));
    let inner = inset(area, margins.0, margins.1);
    let mut pad = inner;
    let mut fitted = None;
    if !caption.trim().is_empty() {
        let room = (inner.width, inner.height * 0.5);
        let sizes = ((area.height / 7.5).clamp(MINIMUM_CAPTION_PT, 6.5), MINIMUM_CAPTION_PT);
        let small_print = fit::several_lines(subsets, Typeface::Text, caption, room, sizes);
        let small_print = small_print.ok_or_else(|| does_not_fit(stamp))?;
        pad.height -= height(&small_print) + 1.0;
        fitted = Some(small_print);
    }
    if !is_sound(ink) {
        return Err(PlaceRefusal::BadInk { field: stamp.field.clone() });
    }
    if pad.width < SMALLEST_PAD_PT || pad.height < SMALLEST_PAD_PT {
        return Err(does_not_fit(stamp));
    }
    Ok(Signature { ink, inner, pad, frame_width, caption: fitted, has_rule })
}

fn does_not_fit(stamp: &Stamp) -> PlaceRefusal {
    PlaceRefusal::DoesNotFit { field: stamp.field.clone(), page: stamp.page }
}

fn preferred(size_pt: Option<f64>) -> f64 {
    size_pt.filter(|size| size.is_finite()).unwrap_or(DEFAULT_SIZE_PT).clamp(MINIMUM_SIZE_PT, 144.0)
}

fn height(Fitted { lines, size_pt }: &Fitted) -> f64 {
    count(lines) * size_pt * LINE_EM
}

fn count(lines: &[Line]) -> f64 {
    f64::from(u32::try_from(lines.len()).unwrap_or(u32::MAX))
}

pub(super) fn inset(area: DisplayRect, x: f64, y: f64) -> DisplayRect {
    DisplayRect { x: area.x + x, y: area.y + y, width: area.width - 2.0 * x, height: area.height - 2.0 * y }
}

/// Whether a signature can be drawn: it has ink, all of it on its pad.
pub(super) fn is_sound(ink: &Handwriting) -> bool {
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
