//! Finds the largest size at which a text fits a box.

use super::MINIMUM_SIZE_PT;
use crate::font::{FontSubsets, Line, Typeface, wrap};

/// Height of a line in ems: ascent and descent of the text faces.
pub(crate) const LINE_EM: f64 = 1.36;
/// Distance from the top of a line to its base line, in ems.
pub(crate) const BASELINE_EM: f64 = 1.07;
/// Below this a single line rather wraps than shrinks.
const WRAP_BELOW_PT: f64 = 6.0;
const STEP_PT: f64 = 0.5;

/// Lines and their size in points.
pub(super) struct Fitted {
    pub lines: Vec<Line>,
    pub size_pt: f64,
}

/// Fits on one line if that is possible at 6 points, else on several; nothing where 4 points are too large.
pub(super) fn single_line(
    subsets: &mut FontSubsets<'_>,
    value: &str,
    (width, height): (f64, f64),
    preferred_pt: f64,
) -> Option<Fitted> {
    let line = Line::shape(subsets, Typeface::Text, value);
    let by_width = if line.width_em > 0.0 { width / line.width_em } else { preferred_pt };
    let size_pt = preferred_pt.min(by_width).min(height / LINE_EM);
    if size_pt >= WRAP_BELOW_PT.min(preferred_pt) {
        return Some(Fitted { lines: vec![line], size_pt });
    }
    let sizes = (preferred_pt, MINIMUM_SIZE_PT);
    let wrapped = several_lines(subsets, Typeface::Text, value, (width, height), sizes);
    match wrapped {
        Some(wrapped) if wrapped.size_pt > size_pt => Some(wrapped),
        _ => (size_pt >= MINIMUM_SIZE_PT).then_some(Fitted { lines: vec![line], size_pt }),
    }
}

/// Fits on as many lines as needed, at the largest size from `preferred_pt` down to `minimum_pt` in steps of a half.
pub(super) fn several_lines(
    subsets: &mut FontSubsets<'_>,
    typeface: Typeface,
    value: &str,
    (width, height): (f64, f64),
    (preferred_pt, minimum_pt): (f64, f64),
) -> Option<Fitted> {
    /// Lines end before their spaces, so that a text may take this much less than its length.
    const SLACK: f64 = 1.3;
    // The area bounds the size: most steps, and all work on a text that is far too long, are spared.
    let length_em: f64 = value.lines().map(|line| Line::shape(subsets, typeface, line).width_em).sum();
    let bound_pt = SLACK * (width * height / (LINE_EM * length_em.max(0.01))).sqrt();
    if bound_pt < minimum_pt {
        return None;
    }
    let steps = (bound_pt / STEP_PT).ceil() * STEP_PT;
    let mut size_pt = preferred_pt.min(steps).max(minimum_pt);
    loop {
        let lines = wrap(subsets, typeface, value, width / size_pt);
        let widest_em = lines.iter().map(|line| line.width_em).fold(0.0, f64::max);
        let line_count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        if f64::from(line_count) * size_pt * LINE_EM <= height && widest_em * size_pt <= width + 0.01 {
            return Some(Fitted { lines, size_pt });
        }
        if size_pt <= minimum_pt {
            return None;
        }
        size_pt = (size_pt - STEP_PT).max(minimum_pt);
    }
}
