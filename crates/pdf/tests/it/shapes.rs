//! Files of many producers and shapes are sealed, and independent judges accept every one.

use crate::support::{fixture, folder, judge, seal_bare, seal_whole};

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
