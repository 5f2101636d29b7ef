//! Stamps appear where they were placed, upright, and nowhere else.

use crate::drawing::{assert_qpdf_accepts, bounds, difference, extracted_text, page, pictures, stamped};
use crate::sample::scribble;
use countersign_pdf::font::{FontBook, FontSubsets};
use countersign_pdf::geometry::{DisplayRect, PageGeometry};
use countersign_pdf::objects::NewObjects;
use countersign_pdf::place::{Align, Handwriting, Mark, PlaceRefusal, Stamp, check, place};
use proptest::prelude::*;
use std::sync::OnceLock;

fn text(value: &str) -> Mark {
    Mark::Text { value: value.into(), size_pt: None, align: Align::Left }
}

fn stamp(page: u32, (x, y, width, height): (f64, f64, f64, f64), mark: Mark) -> Stamp {
    Stamp { field: "field 7".into(), page, rect: DisplayRect { x, y, width, height }, mark }
}

fn typed(name: &str, caption: &str) -> Mark {
    Mark::Signature { ink: Handwriting::Typed { name: name.into() }, caption: caption.into() }
}

/// Rotated, cropped, odd and scaled pages.
fn shapes() -> Vec<PageGeometry> {
    let mut shapes: Vec<_> = [0, 90, 180, 270].map(|r| page(0.0, 0.0, 420.0, 595.0, r, 1.0)).into();
    shapes.extend([0, 90, 180, 270].map(|r| page(37.5, -112.25, 388.0, 310.75, r, 1.0)));
    shapes.extend([0, 270].map(|r| page(-20.0, 15.0, 130.0, 215.0, r, 2.5)));
    shapes.push(page(0.0, 0.0, 1000.0, 130.0, 90, 1.0));
    shapes
}

fn assert_inside(points: &[(f64, f64)], rect: DisplayRect, what: &str) {
    assert!(!points.is_empty(), "{what}: nothing was drawn");
    let slack = 1.0;
    for (x, y) in points {
        let inside = (rect.x - slack..=rect.x + rect.width + slack).contains(x)
            && (rect.y - slack..=rect.y + rect.height + slack).contains(y);
        assert!(inside, "{what}: ink at {x:.1}, {y:.1} outside {rect:?}");
    }
}

/// S-1: ink lies in the rectangle and the rest of the page is the same pixel for pixel.
#[test]
fn every_mark_stays_in_its_rectangle_on_every_shape_of_page() {
    let book = FontBook::new();
    let marks = [
        text("Margaret Ashworth-Öztürk"),
        Mark::MultilineText {
            value: "first\nsecond line that is rather long".into(),
            size_pt: Some(9.0),
            align: Align::Right,
        },
        Mark::Check { on: true },
        Mark::Radio { on: true },
        typed("Jörg Ğ. fyfgy", "Signed by Jörg · 2026-11-21 14:03 UTC"),
        Mark::Signature { ink: scribble(), caption: "Signed".into() },
        Mark::Initials { ink: Handwriting::Typed { name: "MA".into() }, caption: String::new() },
    ];
    let shapes = shapes();
    let (plain, _) = stamped(&shapes, &[], &book);
    let places = [(21.0, 33.0, 92.0, 40.0), (5.0, 84.0, 110.5, 30.25)];
    let before = pictures(&plain, &shapes);
    for (index, mark) in marks.iter().enumerate() {
        let place = places[index % 2];
        let stamps: Vec<_> = (1..).zip(&shapes).map(|(page, _)| stamp(page, place, mark.clone())).collect();
        let (file, missing) = stamped(&shapes, &stamps, &book);
        assert!(missing.characters.is_empty());
        let drawn = pictures(&file, &shapes);
        for (number, shape) in shapes.iter().enumerate() {
            let changed = difference(&before[number], &drawn[number], shape);
            assert_inside(&changed, stamps[number].rect, &format!("{mark:?} on {shape:?}"));
        }
    }
}

/// S-1: a tall L keeps its shape: stem at the left, foot at the bottom, no ink at the upper right.
#[test]
fn text_is_upright_on_every_shape_of_page() {
    let book = FontBook::new();
    let shapes = shapes();
    let mark = Mark::Text { value: "L".into(), size_pt: Some(60.0), align: Align::Center };
    let stamps: Vec<_> =
        (1..).zip(&shapes).map(|(page, _)| stamp(page, (10.0, 10.0, 100.0, 100.0), mark.clone())).collect();
    let (plain, _) = stamped(&shapes, &[], &book);
    let (file, _) = stamped(&shapes, &stamps, &book);
    let (before, drawn) = (pictures(&plain, &shapes), pictures(&file, &shapes));
    for (number, shape) in shapes.iter().enumerate() {
        let points = difference(&before[number], &drawn[number], shape);
        let ink = bounds(&points);
        assert!(ink.height > 1.3 * ink.width, "{shape:?}: the stem is longer than the foot, {ink:?}");
        let share = |right: bool, bottom: bool| {
            let in_quarter = |(x, y): &&(f64, f64)| {
                (*x > ink.x + ink.width / 2.0) == right && (*y > ink.y + ink.height / 2.0) == bottom
            };
            points.iter().filter(in_quarter).count()
        };
        assert_eq!(share(true, false), 0, "{shape:?}: the upper right of an L is empty");
        for (right, bottom) in [(false, false), (false, true), (true, true)] {
            assert!(share(right, bottom) > 10, "{shape:?}: right {right}, bottom {bottom}");
        }
    }
}

#[test]
fn check_and_radio_marks_differ_when_on_and_off() {
    let (book, shape) = (FontBook::new(), [page(0.0, 0.0, 200.0, 200.0, 0, 1.0)]);
    let draw = |mark| {
        let (file, _) = stamped(&shape, &[stamp(1, (20.0, 20.0, 14.0, 14.0), mark)], &book);
        pictures(&file, &shape).remove(0)
    };
    assert!(draw(Mark::Check { on: true }) != draw(Mark::Check { on: false }));
    assert!(draw(Mark::Radio { on: true }) != draw(Mark::Radio { on: false }));
    assert!(draw(Mark::Check { on: false }) != draw(Mark::Radio { on: false }));
}

/// Poppler finds what was stamped, on several pages, in three scripts.
#[test]
fn stamped_names_can_be_searched_and_copied() {
    let book = FontBook::new();
    let shapes = [page(0.0, 0.0, 595.0, 842.0, 0, 1.0), page(0.0, 0.0, 595.0, 842.0, 90, 1.0)];
    let names = ["Margaret Ashworth-Öztürk", "Наталія Ковальчук", "Γιώργος Παπαδόπουλος", "Nguyễn Thị Ánh"];
    let rows = (1_u32..).map(|row| f64::from(row) * 70.0);
    let stamps: Vec<_> = names
        .iter()
        .zip(rows)
        .flat_map(|(name, y)| {
            let signature = typed(name, "Signed by the person above · 2026-11-21 14:03 UTC · env_01");
            [stamp(1, (20.0, y, 200.0, 20.0), text(name)), stamp(2, (20.0, y, 200.0, 60.0), signature)]
        })
        .collect();
    let (file, missing) = stamped(&shapes, &stamps, &book);
    assert!(missing.characters.is_empty());
    assert_qpdf_accepts(&file);
    let found = extracted_text(&file);
    for name in names {
        assert_eq!(found.matches(name).count(), 2, "{name} in {found}");
    }
    assert_eq!(found.matches("2026-11-21 14:03 UTC").count(), names.len(), "{found}");
}

#[test]
fn a_long_value_shrinks_then_wraps_and_never_loses_a_character() {
    let (book, shape) = (FontBook::new(), [page(0.0, 0.0, 400.0, 400.0, 0, 1.0)]);
    let value = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft GmbH & Co. KG, Abteilung 4";
    let (file, _) = stamped(&shape, &[stamp(1, (10.0, 10.0, 120.0, 40.0), text(value))], &book);
    let found: String = extracted_text(&file).split_whitespace().collect();
    assert_eq!(found, value.split_whitespace().collect::<String>());
}

#[test]
fn what_cannot_be_placed_is_refused_by_name_before_and_while_sealing() {
    let (book, shape) = (FontBook::new(), [page(0.0, 0.0, 400.0, 300.0, 90, 1.0)]);
    let drawn = |strokes, aspect| Mark::Signature {
        ink: Handwriting::Drawn { strokes, aspect },
        caption: String::new(),
    };
    let good = (10.0, 10.0, 100.0, 40.0);
    let refused = |stamp: Stamp| {
        let stamps = [stamp];
        let refusal = check(&stamps, &shape, &book).expect_err("it must be refused");
        let mut objects = NewObjects::new(1);
        assert_eq!(place(&stamps, &shape, &mut FontSubsets::new(&book), &mut objects), Err(refusal.clone()));
        assert!(refusal.to_string().contains("field 7"), "{refusal}");
        refusal
    };
    for number in [0, 2, u32::MAX] {
        assert!(matches!(refused(stamp(number, good, text("x"))), PlaceRefusal::NoSuchPage { .. }));
    }
    let nan = f64::NAN;
    for rect in [
        (-1.0, 10.0, 50.0, 20.0),
        (260.0, 10.0, 50.0, 20.0),
        (10.0, 390.0, 50.0, 20.0),
        (10.0, 10.0, 0.0, 20.0),
        (10.0, 10.0, 50.0, -20.0),
        (nan, 10.0, 50.0, 20.0),
        (10.0, 10.0, f64::INFINITY, 20.0),
    ] {
        assert!(matches!(refused(stamp(1, rect, text("x"))), PlaceRefusal::OutsidePage { .. }), "{rect:?}");
    }
    assert!(matches!(
        refused(stamp(1, (0.0, 0.0, 20.0, 6.0), text("far too long for this"))),
        PlaceRefusal::DoesNotFit { .. }
    ));
    assert!(matches!(
        refused(stamp(1, (0.0, 0.0, 3.0, 3.0), typed("A", ""))),
        PlaceRefusal::DoesNotFit { .. }
    ));
    for ink in [
        drawn(vec![], 2.0),
        drawn(vec![vec![(0.5, 1.5)]], 2.0),
        drawn(vec![vec![(nan, 0.5)]], 2.0),
        drawn(vec![vec![(0.5, 0.5)]], nan),
        drawn(vec![vec![(0.5, 0.5); 20_001]], 2.0),
        typed("  ", ""),
    ] {
        assert!(matches!(refused(stamp(1, good, ink)), PlaceRefusal::BadInk { .. }));
    }
}

static BOOK: OnceLock<FontBook> = OnceLock::new();

/// Hostile lengths are answered in linear time: this would not end otherwise.
#[test]
fn a_value_of_a_megabyte_is_refused_or_wrapped_at_once() {
    let (book, shape) = (FontBook::new(), [page(0.0, 0.0, 400.0, 300.0, 0, 1.0)]);
    for value in ["a".repeat(1_000_000), "ä ".repeat(300_000), "W".repeat(3_000)] {
        let mark = Mark::MultilineText { value, size_pt: Some(100.0), align: Align::Left };
        let refusal = check(&[stamp(1, (0.0, 0.0, 200.0, 100.0), mark)], &shape, &book);
        assert!(matches!(refusal, Err(PlaceRefusal::DoesNotFit { .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever is asked for, placing answers; what it accepts, poppler can read.
    #[test]
    fn placing_never_fails_otherwise_than_by_a_refusal(
        value in "\\PC{0,60}",
        x in -10.0..400.0_f64, y in -10.0..400.0_f64, width in -1.0..300.0_f64, height in -1.0..100.0_f64,
        kind in 0..4_u8,
    ) {
        let mark = match kind {
            0 => text(&value),
            1 => Mark::MultilineText { value: value.clone(), size_pt: Some(width), align: Align::Center },
            2 => typed(&value, &value),
            _ => Mark::Initials { ink: scribble(), caption: value.clone() },
        };
        let pages = [page(0.0, 0.0, 400.0, 400.0, 180, 1.0)];
        let book = BOOK.get_or_init(FontBook::new);
        let stamps = [stamp(1, (x, y, width, height), mark)];
        if check(&stamps, &pages, book).is_ok() {
            let (file, _) = stamped(&pages, &stamps, book);
            prop_assert!(lopdf::Document::load_mem(&file).is_ok());
        }
    }
}
