//! Files of many producers and shapes are sealed, and independent judges accept every one.

use countersign_pdf::inspect::{Limits, Original};
use sha2::{Digest, Sha256};

use crate::support::{attachments, fixture, folder, judge, judge_and_read, seal_bare, seal_whole};

/// What is sealed.
const SEALED: &[&str] = &[
    "reportlab",
    "reportlab-form",
    "small",
    "chromium",
    "libreoffice",
    "tex",
    "linearized",
    "linearized-object-streams",
    "object-streams",
    "rotated",
    "cropped",
    "unbalanced",
    "inherited",
    "inherited-encrypted",
    "attachments",
    "attachments-encrypted",
    "word-like",
    "scanned",
    "updated",
    "xfa-alongside",
    "owner-rc4-40",
    "owner-rc4",
    "owner-aes-128",
    "owner-aes-128-plain-metadata",
    "owner-aes-256",
];

/// D-5 and D-6: each shape is sealed with stamps, a page and attachments, and bare; the sealed file begins with the
/// original; pyHanko (strict) and qpdf accept it.
#[test]
fn every_shape_is_sealed_so_that_pyhanko_and_qpdf_accept_it_d_6() {
    let out = folder("sealed");
    let mut files = Vec::new();
    for name in SEALED {
        let original = fixture(&format!("{name}.pdf"));
        for (kind, sealed) in [("whole", seal_whole(&original)), ("bare", seal_bare(&original))] {
            let sealed = sealed.unwrap_or_else(|error| panic!("{name} is not sealed ({kind}): {error}"));
            assert!(sealed.starts_with(&original), "{name} ({kind}) does not begin with the original");
            let file = out.join(format!("{name}-{kind}.pdf"));
            std::fs::write(&file, sealed).expect("a sealed file is written");
            files.push(file);
        }
    }
    let wrong: Vec<String> = judge(&files)
        .into_iter()
        .filter(|verdict| verdict.pyhanko != "ok" || verdict.qpdf != "ok")
        .map(|verdict| format!("{verdict:#?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// D-6: what the seal adds is there for other readers, in encrypted files too: attachments byte by byte, strings, and
/// each stamp where it was placed on the displayed page.
#[test]
fn other_readers_find_attachments_strings_and_stamps_where_they_belong_d_6() {
    let out = folder("read");
    let files: Vec<_> = SEALED
        .iter()
        .map(|name| {
            let sealed = seal_whole(&fixture(&format!("{name}.pdf"))).expect("it is sealed");
            let file = out.join(format!("{name}.pdf"));
            std::fs::write(&file, sealed).expect("written");
            file
        })
        .collect();
    for (verdict, name) in judge_and_read(&files).iter().zip(SEALED) {
        let bytes = fixture(&format!("{name}.pdf"));
        let pages = Original::open(&bytes, &Limits::default()).expect("accepted").structure().pages.clone();
        let read = &verdict.read;
        assert_eq!(read["pages"], pages.len() + 1, "{name}");
        assert_eq!(read["reason"], "Sealed after all signatures: Ærø, Łódź", "{name}");
        for attachment in attachments() {
            let taken = attachment.file_name == "trail.json" && name.starts_with("attachments");
            let key = if taken { format!("2 {}", attachment.file_name) } else { attachment.file_name };
            let digest = hex::encode(Sha256::digest(&attachment.bytes));
            assert_eq!(read["attached"][key.as_str()], digest, "{name}: {key}");
        }
        if name.starts_with("attachments") {
            assert_eq!(
                read["attached"].as_object().map(serde_json::Map::len),
                Some(6),
                "{name}: all are kept"
            );
        }
        if name.starts_with("inherited") {
            assert_eq!(read["note"], "a string", "{name}: a string of inherited resources");
        }
        let words = read["words"].as_array().expect("words");
        assert_eq!(words.len(), pages.len(), "{name}: a stamp on each page");
        for ((word, page), number) in words.iter().zip(&pages).zip(1..) {
            // The form begins at (40, 50); the word begins 78 points to its right, its box 15 to 18 below it. Poppler
            // counts in user units.
            let points = |value: &serde_json::Value| value.as_f64().unwrap_or(0.0) * page.user_unit;
            let (x, y) = (points(&word[0]), points(&word[1]));
            assert!(
                (x - 118.0).abs() < 3.0 && (y - 65.0).abs() < 6.0,
                "{name}, page {number}: stamp at {x}, {y}"
            );
        }
    }
}
