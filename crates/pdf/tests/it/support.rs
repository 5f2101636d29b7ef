//! Fixtures and judges: files made once for the whole run, a sealing key, and the independent verdicts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use countersign_pdf::font::{FontBook, FontSubsets};
use countersign_pdf::inspect::{Limits, Original};
use countersign_pdf::objects::NewObjects;
use countersign_pdf::place::{Stamp, place};
use countersign_pdf::seal::{
    Attachment, PageOverlay, SealError, SealRequest, SignerText, SoftwareKey, UtcTime, seal,
};
use lopdf::{Dictionary, Object, Stream, dictionary};

/// The Python of the judges: `CS_TEST_PYTHON`, else the environment that `cargo xtask test` makes.
pub(crate) fn python() -> PathBuf {
    let cached = || {
        let home = std::env::var_os("HOME").map(PathBuf::from).expect("HOME is set");
        home.join(".cache/countersign/venv/bin/python")
    };
    let python = std::env::var_os("CS_TEST_PYTHON").map_or_else(cached, PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run `cargo xtask test` once, or set CS_TEST_PYTHON",
        python.display()
    );
    python
}

pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A fresh folder for this run below the target folder.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pdf-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for test files");
    folder
}

/// The folder of fixtures, made once for each run.
pub(crate) fn fixtures() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let out = folder("fixtures");
        let made = Command::new(python()).arg(scripts().join("make.py")).arg(&out).output().expect("python starts");
        let errors = String::from_utf8_lossy(&made.stderr);
        assert!(
            made.status.success(),
            "fixtures are not made (Debian: qpdf, chromium; PyPI: crates/xtask/python-requirements.txt):\n{errors}"
        );
        out
    })
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let made = fixtures().join(name);
    let path = if made.exists() { made } else { scripts().join("shipped").join(name) };
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn chain() -> Vec<Vec<u8>> {
    vec![fixture("leaf.der"), fixture("middle.der")]
}

pub(crate) fn key() -> SoftwareKey {
    SoftwareKey::from_pkcs8_der(&fixture("leaf.pk8"), chain()).expect("the test key is a P-256 key")
}

pub(crate) const SIGNED_AT: UtcTime =
    UtcTime { year: 2026, month: 11, day: 21, hour: 9, minute: 30, second: 5 };

pub(crate) fn attachments() -> Vec<Attachment> {
    let attachment = |file_name: &str, mime_type: &str, bytes: Vec<u8>| Attachment {
        file_name: file_name.to_owned(),
        mime_type: mime_type.to_owned(),
        description: format!("Evidence: {file_name}"),
        bytes,
        modified: SIGNED_AT,
    };
    vec![
        attachment("trail.json", "application/json", br#"{"events":[]}"#.repeat(40)),
        attachment("proof – Prüfung.txt", "text/plain", b"tlog-proof".to_vec()),
    ]
}

fn signer_text() -> SignerText {
    SignerText {
        name: "Countersign (test)".to_owned(),
        reason: "Sealed after all signatures: Ærø, Łódź".to_owned(),
        location: "Test (sandbox)".to_owned(),
    }
}

/// A frame with a line of text, drawn in display coordinates on every page; and one more page.
fn drawing(original: &Original<'_>, objects: &mut NewObjects) -> (Vec<PageOverlay>, Vec<lopdf::ObjectId>) {
    let font = objects.add(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica",
    });
    let form = objects.add(Object::Stream(Stream::new(
        dictionary! {
            "Type" => "XObject", "Subtype" => "Form", "BBox" => vec![0.into(), 0.into(), 160.into(), 40.into()],
            "Resources" => dictionary! { "Font" => dictionary! { "F1" => font } },
        },
        b"1 0.2 0.2 RG 2 w 1 1 158 38 re S BT /F1 12 Tf 1 0 0 -1 8 26 Tm (Signed: Ada Lovelace) Tj ET".to_vec(),
    )));
    let overlays = original
        .structure()
        .pages
        .iter()
        .zip(1..)
        .map(|(geometry, page)| {
            let mut matrix = geometry.display_to_user();
            // The origin of the form moves to (40, 50) on the displayed page.
            matrix[4] += matrix[0] * 40.0 + matrix[2] * 50.0;
            matrix[5] += matrix[1] * 40.0 + matrix[3] * 50.0;
            PageOverlay { page, form, matrix }
        })
        .collect();
    let content = objects.add(Object::Stream(Stream::new(
        Dictionary::new(),
        b"BT /F1 18 Tf 72 700 Td (Certificate of completion) Tj ET".to_vec(),
    )));
    let page = objects.add(dictionary! {
        "Type" => "Page", "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()], "Contents" => content,
        "Resources" => dictionary! { "Font" => dictionary! { "F1" => font } },
    });
    (overlays, vec![page])
}

/// Seals with stamps on every page, one more page and two attachments.
pub(crate) fn seal_whole(bytes: &[u8]) -> Result<Vec<u8>, SealError> {
    let original = Original::open(bytes, &Limits::default())?;
    let mut objects = NewObjects::new(original.first_free_object());
    let (overlays, extra_pages) = drawing(&original, &mut objects);
    let chain = chain();
    let request = SealRequest {
        overlays: &overlays,
        extra_pages: &extra_pages,
        objects,
        attachments: &attachments(),
        signer: &signer_text(),
        signed_at: SIGNED_AT,
        certificate_chain: &chain,
    };
    seal(&original, request, &key())
}

/// Seals with these stamps, drawn as an envelope's are.
pub(crate) fn seal_stamped(bytes: &[u8], stamps: &[Stamp]) -> Result<Vec<u8>, SealError> {
    let original = Original::open(bytes, &Limits::default())?;
    let mut objects = NewObjects::new(original.first_free_object());
    let book = FontBook::new();
    let mut subsets = FontSubsets::new(&book);
    let overlays = place(stamps, &original.structure().pages, &mut subsets, &mut objects);
    let overlays = overlays.expect("the stamps are placed");
    let missing = subsets.finish(&mut objects).expect("the fonts are embedded");
    assert!(missing.characters.is_empty(), "the fonts lack {:?}", missing.characters);
    let chain = chain();
    let request = SealRequest {
        overlays: &overlays,
        extra_pages: &[],
        objects,
        attachments: &[],
        signer: &signer_text(),
        signed_at: SIGNED_AT,
        certificate_chain: &chain,
    };
    seal(&original, request, &key())
}

/// Seals with nothing else.
pub(crate) fn seal_bare(bytes: &[u8]) -> Result<Vec<u8>, SealError> {
    let original = Original::open(bytes, &Limits::default())?;
    let chain = chain();
    let request = SealRequest {
        overlays: &[],
        extra_pages: &[],
        objects: NewObjects::new(original.first_free_object()),
        attachments: &[],
        signer: &signer_text(),
        signed_at: SIGNED_AT,
        certificate_chain: &chain,
    };
    seal(&original, request, &key())
}

/// What the judges say of one file.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) file: String,
    pub(crate) pyhanko: String,
    pub(crate) qpdf: String,
    pub(crate) read: serde_json::Value,
}

/// Asks pyHanko and qpdf about files, in one process for all of them.
pub(crate) fn judge(files: &[PathBuf]) -> Vec<Verdict> {
    judged(files, &[])
}

/// The same, and what pikepdf and poppler read in files that were sealed with everything.
pub(crate) fn judge_and_read(files: &[PathBuf]) -> Vec<Verdict> {
    judged(files, &["--read-back"])
}

fn judged(files: &[PathBuf], options: &[&str]) -> Vec<Verdict> {
    let done = Command::new(python())
        .arg(scripts().join("judge.py"))
        .arg(fixtures().join("root.der"))
        .args(options)
        .args(files)
        .output()
        .expect("python starts");
    assert!(done.status.success(), "the judge fails:\n{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).expect("the judge writes UTF-8");
    let verdicts: Vec<Verdict> = text
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("the judge writes JSON");
            let field = |name: &str| value[name].as_str().expect("a verdict is text").to_owned();
            let (file, pyhanko, qpdf) = (field("file"), field("pyhanko"), field("qpdf"));
            Verdict { file, pyhanko, qpdf, read: value }
        })
        .collect();
    let judged: Vec<_> = verdicts.iter().map(|verdict| verdict.file.clone()).collect();
    let asked: Vec<_> =
        files.iter().filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned())).collect();
    assert_eq!(judged, asked, "a verdict for each file, in order");
    verdicts
}
