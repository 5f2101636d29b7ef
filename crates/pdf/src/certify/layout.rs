//! Pages that fill from the top: blocks that stay whole, tables that repeat their headings, headers and footers.

use super::{Certificate, Environment};
use crate::font::{Canvas, Color, FontSubsets, Line, Typeface, wrap};
use crate::geometry::DisplayRect;
use crate::place::{BASELINE_EM, Handwriting, LINE_EM, draw_handwriting};

pub(super) const PAGE_WIDTH_PT: f64 = 595.276;
pub(super) const PAGE_HEIGHT_PT: f64 = 841.89;
pub(super) const LEFT: f64 = 48.0;
pub(super) const RIGHT: f64 = PAGE_WIDTH_PT - 48.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = PAGE_HEIGHT_PT - 58.0;

pub(super) const NAVY: Color = Color(0x12, 0x2B, 0x4F);
pub(super) const BLACK: Color = Color(0x16, 0x1B, 0x26);
pub(super) const GREY: Color = Color(0x55, 0x5F, 0x70);
pub(super) const RULE: Color = Color(0xC6, 0xCE, 0xDA);
pub(super) const TINT: Color = Color(0xF2, 0xF5, 0xF9);
pub(super) const WARNING: Color = Color(0x9A, 0x34, 0x12);

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub typeface: Typeface,
    pub size_pt: f64,
    pub color: Color,
}

impl Style {
    pub(super) const fn new(typeface: Typeface, size_pt: f64, color: Color) -> Self {
        Self { typeface, size_pt, color }
    }
}

/// Something drawn, in coordinates of its block.
#[derive(Clone, Debug)]
enum Drawing {
    Text { line: Line, x: f64, top: f64, style: Style },
    Rule { from_x: f64, to_x: f64, y: f64, width: f64, color: Color },
    Fill { area: DisplayRect, color: Color },
    Frame { area: DisplayRect, color: Color },
    Mark { ink: Handwriting, pad: DisplayRect },
    Seal { middle: (f64, f64), radius: f64 },
}

impl Drawing {
    fn extent(&self) -> (f64, f64) {
        match self {
            Self::Text { top, style, .. } => (*top, top + style.size_pt * LINE_EM),
            Self::Rule { y, .. } => (*y, *y),
            Self::Fill { area, .. } | Self::Frame { area, .. } | Self::Mark { pad: area, .. } => {
                (area.y, area.y + area.height)
            }
            Self::Seal { middle, radius } => (middle.1 - radius, middle.1 + radius),
        }
    }

    fn shift(&mut self, distance: f64) {
        match self {
            Self::Text { top, .. } => *top += distance,
            Self::Rule { y, .. } => *y += distance,
            Self::Fill { area, .. } | Self::Frame { area, .. } | Self::Mark { pad: area, .. } => {
                area.y += distance;
            }
            Self::Seal { middle, .. } => middle.1 += distance,
        }
    }

    fn draw(&self, canvas: &mut Canvas, subsets: &mut FontSubsets<'_>) {
        match self {
            Self::Text { line, x, top, style } => {
                canvas.text(
                    subsets,
                    line,
                    (*x, top + BASELINE_EM * style.size_pt),
                    style.size_pt,
                    style.color,
                );
            }
            Self::Rule { from_x, to_x, y, width, color } => {
                canvas.polyline(&[(*from_x, *y), (*to_x, *y)], *width, *color);
            }
            Self::Fill { area, color } => canvas.fill_rectangle(*area, *color),
            Self::Frame { area, color } => canvas.frame(*area, 0.6, *color),
            Self::Mark { ink, pad } => draw_handwriting(ink, *pad, subsets, canvas),
            Self::Seal { middle, radius } => seal(canvas, *middle, *radius),
        }
    }
}

/// Something that stays on one page if a page can hold it.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub height: f64,
    drawings: Vec<Drawing>,
}

impl Block {
    /// Sets `text` within `width` from (`x`, `y`) and gives the height it took. Empty text takes none.
    pub(super) fn text(
        &mut self,
        subsets: &mut FontSubsets<'_>,
        style: Style,
        text: &str,
        (x, y): (f64, f64),
        width: f64,
    ) -> f64 {
        if text.is_empty() {
            return 0.0;
        }
        let mut top = y;
        for line in wrap(subsets, style.typeface, text, width / style.size_pt) {
            self.drawings.push(Drawing::Text { line, x, top, style });
            top += style.size_pt * LINE_EM;
        }
        self.height = self.height.max(top);
        top - y
    }

    /// Sets one line so that it ends at `right`.
    pub(super) fn text_right(
        &mut self,
        subsets: &mut FontSubsets<'_>,
        style: Style,
        text: &str,
        (right, y): (f64, f64),
    ) {
        let line = Line::shape(subsets, style.typeface, text);
        let x = right - line.width_em * style.size_pt;
        self.drawings.push(Drawing::Text { line, x, top: y, style });
    }

    pub(super) fn rule(&mut self, (from_x, to_x): (f64, f64), y: f64, width: f64, color: Color) {
        self.drawings.push(Drawing::Rule { from_x, to_x, y, width, color });
        self.height = self.height.max(y);
    }

    pub(super) fn mark(&mut self, ink: &Handwriting, frame: DisplayRect) {
        let DisplayRect { x, y, width, height } = frame;
        self.drawings.push(Drawing::Frame { area: frame, color: RULE });
        let pad = DisplayRect { x: x + 6.0, y: y + 4.0, width: width - 12.0, height: height - 8.0 };
        self.drawings.push(Drawing::Mark { ink: ink.clone(), pad });
        self.height = self.height.max(y + height);
    }

    pub(super) fn seal(&mut self, middle: (f64, f64), radius: f64) {
        self.drawings.push(Drawing::Seal { middle, radius });
    }

    /// Puts a tint behind everything so far.
    pub(super) fn tinted(mut self) -> Self {
        let area = DisplayRect { x: LEFT, y: 0.0, width: RIGHT - LEFT, height: self.height };
        self.drawings.insert(0, Drawing::Fill { area, color: TINT });
        self
    }

    /// The part that fits into `room`, and the rest moved up.
    fn split(self, room: f64) -> (Self, Self) {
        let (head, mut tail): (Vec<_>, Vec<_>) =
            self.drawings.into_iter().partition(|drawing| drawing.extent().1 <= room);
        let start = tail.iter().map(|drawing| drawing.extent().0).fold(f64::INFINITY, f64::min);
        let start = if start.is_finite() { start } else { 0.0 };
        for drawing in &mut tail {
            drawing.shift(-start);
        }
        (
            Self { height: room, drawings: head },
            Self { height: (self.height - start).max(0.0), drawings: tail },
        )
    }
}

/// The pages so far.
pub(super) struct Flow<'a> {
    certificate: &'a Certificate,
    pages: Vec<Vec<(f64, Block)>>,
    y: f64,
}

impl<'a> Flow<'a> {
    pub(super) fn new(certificate: &'a Certificate) -> Self {
        Self { certificate, pages: vec![Vec::new()], y: 44.0 }
    }

    fn room(&self) -> f64 {
        BOTTOM - self.y
    }

    fn turn_page(&mut self) {
        self.pages.push(Vec::new());
        self.y = TOP;
    }

    fn put(&mut self, block: Block) {
        let (y, height) = (self.y, block.height);
        if let Some(page) = self.pages.last_mut() {
            page.push((y, block));
        }
        self.y += height;
    }

    pub(super) fn space(&mut self, height: f64) {
        self.y += height;
    }

    /// Puts a block where it fits, on a new page if need be.
    pub(super) fn block(&mut self, block: Block) {
        self.with_heading(block, &Block::default());
    }

    /// Starts a new page unless there is this much room.
    pub(super) fn need(&mut self, height: f64) {
        if self.room() < height {
            self.turn_page();
        }
    }

    /// Puts rows under a heading that returns on every page that they reach.
    pub(super) fn table(&mut self, heading: &Block, rows: Vec<Block>) {
        let first = rows.first().map_or(0.0, |row| row.height);
        self.need((heading.height + first).min((BOTTOM - TOP) / 2.0));
        self.put(heading.clone());
        for row in rows {
            self.with_heading(row, heading);
        }
    }

    fn with_heading(&mut self, mut block: Block, heading: &Block) {
        let whole_page = BOTTOM - TOP - heading.height;
        if block.height > self.room() {
            if block.height <= whole_page || self.room() < whole_page / 4.0 {
                self.turn_page();
                self.put(heading.clone());
            }
            while block.height > self.room() {
                let (head, tail) = block.split(self.room());
                self.put(head);
                self.turn_page();
                self.put(heading.clone());
                block = tail;
            }
        }
        self.put(block);
    }

    /// Draws everything, with headers and footers that know the number of pages.
    pub(super) fn finish(self, subsets: &mut FontSubsets<'_>) -> Vec<Canvas> {
        let page_count = self.pages.len();
        let mut canvases = Vec::with_capacity(page_count);
        for (index, blocks) in self.pages.into_iter().enumerate() {
            let mut canvas = Canvas::default();
            canvas.flip(PAGE_HEIGHT_PT);
            if index > 0 {
                running_header(self.certificate, subsets).draw(&mut canvas, subsets, 34.0);
            }
            for (y, block) in blocks {
                block.draw(&mut canvas, subsets, y);
            }
            let footer = footer(self.certificate, subsets, (index + 1, page_count));
            footer.draw(&mut canvas, subsets, BOTTOM + 14.0);
            canvases.push(canvas);
        }
        canvases
    }
}

impl Block {
    fn draw(self, canvas: &mut Canvas, subsets: &mut FontSubsets<'_>, y: f64) {
        for mut drawing in self.drawings {
            drawing.shift(y);
            drawing.draw(canvas, subsets);
        }
    }
}

fn running_header(certificate: &Certificate, subsets: &mut FontSubsets<'_>) -> Block {
    let mut block = Block::default();
    let small = Style::new(Typeface::TextBold, 8.0, NAVY);
    block.seal((LEFT + 9.0, 9.0), 9.0);
    block.text(subsets, small, "Certificate of completion", (LEFT + 26.0, 3.5), 200.0);
    let id = Style::new(Typeface::Mono, 7.5, GREY);
    block.text_right(subsets, id, &certificate.envelope_id, (RIGHT, 4.0));
    block.rule((LEFT, RIGHT), 24.0, 0.5, RULE);
    block
}

fn footer(
    certificate: &Certificate,
    subsets: &mut FontSubsets<'_>,
    (page, page_count): (usize, usize),
) -> Block {
    let mut block = Block::default();
    let small = Style::new(Typeface::Text, 7.0, GREY);
    block.rule((LEFT, RIGHT), 0.0, 0.5, RULE);
    block.text_right(subsets, small, &format!("Page {page} of {page_count}"), (RIGHT, 5.0));
    let said = "This certificate is part of the sealed file. Any change to the file breaks its seal.";
    block.text(subsets, small, said, (LEFT, 5.0), RIGHT - LEFT - 70.0);
    if certificate.environment == Environment::Sandbox {
        let warning = Style::new(Typeface::TextBold, 7.0, WARNING);
        block.text(subsets, warning, "Sandbox: made for testing, without legal effect.", (LEFT, 15.0), 300.0);
    }
    block
}

/// Two ticks in a milled ring: a signature, and the one that confirms it.
fn seal(canvas: &mut Canvas, (x, y): (f64, f64), radius: f64) {
    let thin = radius / 26.0;
    canvas.circle((x, y), radius - thin, thin * 1.6, NAVY);
    canvas.circle((x, y), radius * 0.8, thin, NAVY);
    for step in 0..48_u8 {
        let (sine, cosine) = (f64::from(step) * std::f64::consts::TAU / 48.0).sin_cos();
        let at = |share: f64| (x + cosine * radius * share, y + sine * radius * share);
        canvas.polyline(&[at(0.85), at(0.92)], thin, NAVY);
    }
    for (shift, color) in [(-0.13, RULE), (0.13, NAVY)] {
        let tick = [(-0.38, 0.02), (-0.1, 0.3), (0.42, -0.32)];
        let points = tick.map(|(u, v)| (x + (u + shift) * radius, y + (v + shift * 0.35) * radius));
        canvas.polyline(&points, radius * 0.11, color);
    }
}
