//! A sealed file looks as its original does, with the stamps where they were placed: the pages are drawn before and
//! after the seal and compared pixel by pixel.

use countersign_pdf::geometry::DisplayRect;
use countersign_pdf::inspect::{Limits, Original};
use countersign_pdf::place::{Align, Handwriting, Mark, Stamp};

use crate::drawing::{bounds, difference, pictures};
use crate::support::{fixture, seal_stamped};

const PLACES: [DisplayRect; 2] = [
    DisplayRect { x: 40.0, y: 30.0, width: 130.0, height: 44.0 },
    DisplayRect { x: 210.0, y: 290.0, width: 150.0, height: 60.0 },
];

fn stamps(page: u32) -> [Stamp; 2] {
    let field = || format!("field on page {page}");
    let name = Mark::Text { value: "Ada Lovelace".to_owned(), size_pt: Some(16.0), align: Align::Left };
    let signature = Mark::Signature {
        ink: Handwriting::Typed { name: "Ada Lovelace".to_owned() },
        caption: "Signed 2026-11-21".to_owned(),
    };
    [
        Stamp { field: field(), page, rect: PLACES[0], mark: name },
        Stamp { field: field(), page, rect: PLACES[1], mark: signature },
    ]
}

fn is_in((x, y): (f64, f64), rect: &DisplayRect) -> bool {
    let slack = 1.0;
    (rect.x - slack..=rect.x + rect.width + slack).contains(&x)
        && (rect.y - slack..=rect.y + rect.height + slack).contains(&y)
}

/// Every second of the first pages is stamped.
fn assert_drawn_where_placed(name: &str, pages: usize) {
    let bytes = fixture(&format!("{name}.pdf"));
    let geometries = Original::open(&bytes, &Limits::default()).expect("accepted").structure().pages.clone();
    let stamped: Vec<usize> = (0..pages).filter(|index| index % 3 != 2).collect();
    let stamps: Vec<Stamp> =
        stamped.iter().flat_map(|index| stamps(u32::try_from(index + 1).expect("few pages"))).collect();
    let sealed = seal_stamped(&bytes, &stamps).expect("it is sealed");
    let shapes = &geometries[..pages];
    let (before, after) = (pictures(&bytes, shapes), pictures(&sealed, shapes));
    for (index, geometry) in shapes.iter().enumerate() {
        let (before, after) = (&before[index], &after[index]);
        let what = format!("{name}, page {}, {geometry:?}", index + 1);
        assert!(before.grey.iter().any(|grey| *grey < 200), "{what}: the original shows nothing");
        let changed = difference(before, after, geometry);
        if !stamped.contains(&index) {
            assert!(changed.is_empty(), "{what}: changed without a stamp: {:?}", bounds(&changed));
            continue;
        }
        for place in &PLACES {
            let ink: Vec<_> = changed.iter().copied().filter(|point| is_in(*point, place)).collect();
            assert!(ink.len() > 200, "{what}: {} pixels of the stamp at {place:?}", ink.len());
            let drawn = bounds(&ink);
            assert!(drawn.width > 0.4 * place.width, "{what}: drawn at {drawn:?} for {place:?}");
        }
        let beside = changed.iter().find(|point| !PLACES.iter().any(|place| is_in(**point, place)));
        assert_eq!(beside, None, "{what}: changed beside the stamps");
    }
}

#[test]
fn stamps_on_rotated_pages_are_drawn_where_they_were_placed_and_nothing_else_changes_s_1() {
    assert_drawn_where_placed("rotated", 5);
}

#[test]
fn stamps_on_cropped_and_scaled_pages_are_drawn_where_they_were_placed_s_1() {
    assert_drawn_where_placed("cropped", 3);
}

/// Page 1 begins with restores that nothing saved and leaves a scale, page 2 saves twice and scales.
#[test]
fn stamps_after_unbalanced_content_are_drawn_where_they_were_placed_s_1() {
    assert_drawn_where_placed("unbalanced", 2);
}

#[test]
fn stamps_on_pages_with_inherited_resources_are_drawn_where_they_were_placed_s_1() {
    assert_drawn_where_placed("inherited", 4);
}
