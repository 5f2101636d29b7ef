//! Text in any script is drawn with a real glyph, can be searched, or is reported.

use crate::drawing::{assert_qpdf_accepts, extracted_text, judge, page, pictures, stamped};
use crate::sample::MachineFonts;
use countersign_pdf::font::FontBook;
use countersign_pdf::geometry::{DisplayRect, PageGeometry};
use countersign_pdf::place::{Align, Mark, Stamp};
use lopdf::{Document, Object};

fn sheet() -> PageGeometry {
    page(0.0, 0.0, 595.0, 842.0, 0, 1.0)
}

fn file_with(values: &[&str], book: &FontBook) -> (Vec<u8>, countersign_pdf::font::Missing) {
    let rows = (0_u32..).map(|row| 10.0 + 30.0 * f64::from(row));
    let stamp = |(value, y): (&&str, f64)| Stamp {
        field: "name".into(),
        page: 1,
        rect: DisplayRect { x: 10.0, y, width: 560.0, height: 24.0 },
        mark: Mark::Text { value: (*value).into(), size_pt: None, align: Align::Left },
    };
    let stamps: Vec<_> = values.iter().zip(rows).map(stamp).collect();
    stamped(&[sheet()], &stamps, book)
}

/// Every hexadecimal code in the text operators of the overlays.
fn codes(file: &[u8]) -> Vec<String> {
    let document = Document::load_mem(file).unwrap();
    let forms = document.objects.values().filter_map(|object| match object {
        Object::Stream(s)
            if s.dict.get(b"Subtype").is_ok_and(|t| t.as_name().is_ok_and(|name| name == b"Form")) =>
        {
            Some(s)
        }
        _ => None,
    });
    let mut codes = Vec::new();
    for form in forms {
        let content = String::from_utf8(form.decompressed_content().unwrap()).unwrap();
        for shown in content.lines().filter(|line| line.ends_with("] TJ")) {
            for part in shown.split('<').skip(1) {
                let hexadecimal = part.split('>').next().unwrap();
                codes.extend(
                    hexadecimal.as_bytes().chunks(4).map(|code| String::from_utf8(code.to_vec()).unwrap()),
                );
            }
        }
    }
    codes
}

/// S-1: names in right-to-left scripts and in Han come out of poppler in logical order.
#[test]
fn names_in_other_scripts_are_shaped_and_can_be_searched() {
    let book = FontBook::new().with_fallback(MachineFonts::load());
    let names = ["محمد عبد الله", "יעל כהן", "王小明", "山田太郎", "김민수", "لا إله"];
    let (file, missing) = file_with(&names, &book);
    assert!(missing.characters.is_empty(), "{missing:?}");
    assert_qpdf_accepts(&file);
    let found = extracted_text(&file);
    for name in names {
        assert!(found.contains(name), "{name} in {found}");
    }
}

/// OpenType with CFF outlines goes into the file as CIDFontType0C, and is drawn.
#[test]
fn a_font_with_cff_outlines_is_embedded() {
    let book = FontBook::new().with_fallback(MachineFonts::load());
    let (file, missing) = file_with(&["∑∫"], &book);
    assert!(missing.characters.is_empty(), "{missing:?}");
    assert_qpdf_accepts(&file);
    let fonts = judge("pdffonts", &["FILE"], &file, "poppler-utils");
    assert!(fonts.contains("CID Type 0C"), "{fonts}");
    assert!(extracted_text(&file).contains("∑∫"));
    let dark = pictures(&file, &[sheet()])[0].grey.iter().filter(|grey| **grey < 80).count();
    assert!(dark > 40, "only {dark} dark pixels");
}

#[test]
fn mixed_directions_keep_their_words() {
    let book = FontBook::new().with_fallback(MachineFonts::load());
    let (file, _) = file_with(&["Signed by محمد on 2026-11-21 (Acme Ltd.)"], &book);
    let found = extracted_text(&file);
    for word in ["Signed by", "محمد", "2026-11-21", "(Acme Ltd.)"] {
        assert!(found.contains(word), "{word} in {found}");
    }
}

/// Never a silent box: the code point is written out and reported, and glyph 0 is not drawn.
#[test]
fn a_character_without_a_font_is_named_and_reported_and_still_found() {
    let (file, missing) = file_with(&["A 王 B", "👍🏽", "\u{E000}x", "e\u{301}\u{20E3}"], &FontBook::new());
    assert!(missing.characters.contains(&'王') && missing.characters.contains(&'👍'), "{missing:?}");
    let found = extracted_text(&file);
    assert!(found.contains('王') && found.contains('👍'), "the text is still itself: {found}");
    assert!(!codes(&file).iter().any(|code| code == "0000"));
}

#[test]
fn glyph_zero_is_never_drawn_in_any_script_of_the_embedded_fonts() {
    let ranges = [0x20..0x7F, 0xA1..0x530, 0x1E00..0x1FFF, 0x2010..0x2060, 0x20A0..0x20C1];
    let all: Vec<String> = ranges
        .into_iter()
        .flat_map(|range| {
            let characters: Vec<char> =
                range.filter_map(char::from_u32).filter(|c| c.is_alphanumeric()).collect();
            characters.chunks(50).map(|chunk| chunk.iter().collect()).collect::<Vec<String>>()
        })
        .collect();
    for values in all.chunks(20) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let (file, missing) = file_with(&values, &FontBook::new());
        let unexpected: Vec<_> = missing.characters.iter().filter(|c| (**c as u32) < 0x370).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
        let codes = codes(&file);
        assert!(codes.len() > 500);
        assert!(!codes.iter().any(|code| code == "0000"));
    }
}

/// A name must not show as another one: overrides of direction have no effect and leave no trace.
#[test]
fn control_characters_do_not_reorder_a_name() {
    let (file, missing) = file_with(&["Ann \u{202E}htimS\u{202C} end\u{0}\u{7}"], &FontBook::new());
    assert!(missing.characters.is_empty());
    assert!(extracted_text(&file).contains("Ann htimS end"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let book = FontBook::new().with_fallback(MachineFonts::load());
    let values = ["Margaret", "محمد", "王小明"];
    assert_eq!(
        file_with(&values, &book).0,
        file_with(&values, &FontBook::new().with_fallback(MachineFonts::load())).0
    );
}
