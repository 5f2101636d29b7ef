//! Puts values, check marks and signatures on pages, where the displayed page has them.

mod draw;
mod fit;
mod layout;

use crate::font::{Canvas, FontBook, FontSubsets};
use crate::geometry::{DisplayRect, PageGeometry};
use crate::objects::NewObjects;
pub(crate) use draw::draw_handwriting;
pub(crate) use fit::{BASELINE_EM, LINE_EM};
use layout::Layout;
use lopdf::ObjectId;
use std::collections::BTreeMap;

/// Smallest type that a value is set in before it is refused, in points.
pub const MINIMUM_SIZE_PT: f64 = 4.0;
/// Smallest type of the small print of a signature, in points: it is meant for a screen that can enlarge it.
pub const MINIMUM_CAPTION_PT: f64 = 3.0;
/// Size of values whose field names none, in points.
pub const DEFAULT_SIZE_PT: f64 = 11.0;
/// Most points that a drawn signature may have.
pub const MAXIMUM_INK_POINTS: usize = 20_000;

/// One mark at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamp {
    /// What the caller calls the field; refusals name it.
    pub field: String,
    /// Page, from 1.
    pub page: u32,
    /// Where on the displayed page.
    pub rect: DisplayRect,
    /// What to draw.
    pub mark: Mark,
}

/// What a stamp shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A value on one line: it shrinks to 6 points, then wraps where the field is high enough, then shrinks to
    /// [`MINIMUM_SIZE_PT`], and is refused beyond. It never loses a character.
    Text {
        /// The value.
        value: String,
        /// Preferred size in points; [`DEFAULT_SIZE_PT`] if not given.
        size_pt: Option<f64>,
        /// Where in the field.
        align: Align,
    },
    /// A value on as many lines as it needs, from the top; it shrinks as a whole to [`MINIMUM_SIZE_PT`].
    MultilineText {
        /// The value; line feeds break lines.
        value: String,
        /// Preferred size in points; [`DEFAULT_SIZE_PT`] if not given.
        size_pt: Option<f64>,
        /// Where in the field.
        align: Align,
    },
    /// A box, with a tick when on.
    Check {
        /// Whether it is ticked.
        on: bool,
    },
    /// A circle, with a dot when on.
    Radio {
        /// Whether it is chosen.
        on: bool,
    },
    /// A signature in a thin frame, with a caption below.
    Signature {
        /// How it was adopted.
        ink: Handwriting,
        /// Small print, such as who signed when; may be empty.
        caption: String,
    },
    /// Initials: a signature without a rule above the caption.
    Initials {
        /// How they were adopted.
        ink: Handwriting,
        /// Small print; may be empty.
        caption: String,
    },
}

/// An adopted signature.
#[derive(Clone, Debug, PartialEq)]
pub enum Handwriting {
    /// A name, set in a script face.
    Typed {
        /// The name.
        name: String,
    },
    /// Pen strokes.
    Drawn {
        /// Points of each stroke in the unit square, origin top left.
        strokes: Vec<Vec<(f64, f64)>>,
        /// Width of the pad divided by its height.
        aspect: f64,
    },
}

/// Horizontal place of a value in its field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// At the left.
    #[default]
    Left,
    /// In the middle.
    Center,
    /// At the right.
    Right,
}

/// Everything that is drawn on one page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageOverlay {
    /// Page, from 1.
    pub page: u32,
    /// A form XObject in displayed coordinates.
    pub form: ObjectId,
    /// Takes displayed coordinates to user space: operands of `cm` before `Do`.
    pub matrix: [f64; 6],
}

/// Why stamps cannot be placed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlaceRefusal {
    /// The document has no such page.
    #[error("field {field}: there is no page {page}, the document has {page_count}")]
    NoSuchPage {
        /// Name of the field.
        field: String,
        /// What was asked for.
        page: u32,
        /// What there is.
        page_count: usize,
    },
    /// A rectangle reaches beyond the displayed page, is empty or is not made of finite numbers.
    #[error(
        "field {field}: the rectangle must lie on page {page}, which is {width_pt:.1} by {height_pt:.1} points"
    )]
    OutsidePage {
        /// Name of the field.
        field: String,
        /// Page, from 1.
        page: u32,
        /// Displayed width.
        width_pt: f64,
        /// Displayed height.
        height_pt: f64,
    },
    /// A value or caption does not fit at the smallest size.
    #[error(
        "field {field}: the text does not fit on page {page} in the smallest type, make the field larger"
    )]
    DoesNotFit {
        /// Name of the field.
        field: String,
        /// Page, from 1.
        page: u32,
    },
    /// Strokes outside the unit square, not finite, none at all, or too many points.
    #[error("field {field}: the drawn signature is empty, too long or has points outside its pad")]
    BadInk {
        /// Name of the field.
        field: String,
    },
}

/// Draws all stamps, one form per stamped page, in the order given. Fonts are written by [`FontSubsets::finish`].
pub fn place(
    stamps: &[Stamp],
    pages: &[PageGeometry],
    subsets: &mut FontSubsets<'_>,
    objects: &mut NewObjects,
) -> Result<Vec<PageOverlay>, PlaceRefusal> {
    let mut drawn: BTreeMap<u32, (&PageGeometry, Canvas)> = BTreeMap::new();
    for stamp in stamps {
        let (geometry, layout) = lay_out(stamp, pages, subsets)?;
        let (_, canvas) = drawn.entry(stamp.page).or_insert_with(|| (geometry, Canvas::default()));
        draw::draw(&layout, subsets, canvas);
    }
    let overlays = drawn.into_iter().map(|(page, (geometry, canvas))| {
        let form = canvas.into_form(geometry.displayed_size(), subsets, objects);
        PageOverlay { page, form: objects.add(form), matrix: geometry.display_to_user() }
    });
    Ok(overlays.collect())
}

/// Whether [`place`] will accept the stamps: to be asked before a value is accepted, so that sealing cannot fail.
pub fn check(stamps: &[Stamp], pages: &[PageGeometry], book: &FontBook) -> Result<(), PlaceRefusal> {
    let mut subsets = FontSubsets::new(book);
    stamps.iter().try_for_each(|stamp| lay_out(stamp, pages, &mut subsets).map(drop))
}

/// All that can refuse a stamp is here.
fn lay_out<'a>(
    stamp: &'a Stamp,
    pages: &'a [PageGeometry],
    subsets: &mut FontSubsets<'_>,
) -> Result<(&'a PageGeometry, Layout<'a>), PlaceRefusal> {
    let index = usize::try_from(stamp.page).ok().and_then(|page| page.checked_sub(1));
    let Some(geometry) = index.and_then(|index| pages.get(index)) else {
        let (field, page_count) = (stamp.field.clone(), pages.len());
        return Err(PlaceRefusal::NoSuchPage { field, page: stamp.page, page_count });
    };
    lies_on_page(stamp, geometry)?;
    Ok((geometry, Layout::of(stamp, subsets)?))
}

fn lies_on_page(stamp: &Stamp, geometry: &PageGeometry) -> Result<(), PlaceRefusal> {
    /// Rounding of callers that compute in single precision or with two decimals.
    const TOLERANCE_PT: f64 = 0.01;
    let DisplayRect { x, y, width, height } = stamp.rect;
    let (width_pt, height_pt) = geometry.displayed_size();
    let is_finite = [x, y, width, height].iter().all(|value| value.is_finite());
    let is_inside = x >= -TOLERANCE_PT
        && y >= -TOLERANCE_PT
        && x + width <= width_pt + TOLERANCE_PT
        && y + height <= height_pt + TOLERANCE_PT;
    if is_finite && is_inside && width > 0.0 && height > 0.0 {
        return Ok(());
    }
    Err(PlaceRefusal::OutsidePage { field: stamp.field.clone(), page: stamp.page, width_pt, height_pt })
}
