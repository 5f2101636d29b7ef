//! A minimal writer that applies overlays, PDFium, which draws pages, and poppler as judge of text.

use countersign_pdf::font::{FontBook, FontSubsets, Missing};
use countersign_pdf::geometry::{DisplayRect, PageGeometry, UserRect};
use countersign_pdf::objects::NewObjects;
use countersign_pdf::place::{PageOverlay, Stamp, place};
use lopdf::{Dictionary, Document, Object, Stream, dictionary};
use std::path::Path;
use std::process::Command;

use crate::support::{python, scripts};

/// Pixels per point.
const SCALE: f64 = 2.0;

pub(crate) fn page(
    left: f64,
    bottom: f64,
    right: f64,
    top: f64,
    rotation: u16,
    user_unit: f64,
) -> PageGeometry {
    PageGeometry { crop: UserRect { left, bottom, right, top }, rotation, user_unit }
}

/// A document whose pages carry a grey pattern, with overlays on top, and what no font had.
pub(crate) fn stamped(pages: &[PageGeometry], stamps: &[Stamp], book: &FontBook) -> (Vec<u8>, Missing) {
    let mut objects = NewObjects::new(1);
    let mut subsets = FontSubsets::new(book);
    let overlays = place(stamps, pages, &mut subsets, &mut objects).expect("the stamps are placed");
    let missing = subsets.finish(&mut objects).expect("the fonts are embedded");
    (document(pages, &overlays, objects), missing)
}

fn document(pages: &[PageGeometry], overlays: &[PageOverlay], mut objects: NewObjects) -> Vec<u8> {
    let (catalog, tree) = (objects.reserve(), objects.reserve());
    let mut kids = Vec::new();
    for (geometry, number) in pages.iter().zip(1..) {
        let UserRect { left, bottom, right, top } = geometry.crop;
        let mut content = String::from("q 0.8 G 3 w ");
        content.extend((-30..60).map(|step| {
            let x = left + f64::from(step) * 25.0;
            format!("{x} {bottom} m {} {top} l S ", x + 130.0)
        }));
        content += "Q ";
        let mut forms = Dictionary::new();
        for overlay in overlays.iter().filter(|overlay| overlay.page == number) {
            let matrix = overlay.matrix.map(|value| value.to_string()).join(" ");
            content.extend(["q ", &matrix, " cm /Overlay Do Q "]);
            forms.set("Overlay", overlay.form);
        }
        let contents = objects.add(Stream::new(Dictionary::new(), content.into_bytes()));
        let rectangle = |r: [f64; 4]| r.map(Object::from).to_vec();
        kids.push(Object::Reference(objects.add(dictionary! {
            "Type" => "Page",
            "Parent" => tree,
            "MediaBox" => rectangle([left - 40.0, bottom - 30.0, right + 20.0, top + 10.0]),
            "CropBox" => rectangle([left, bottom, right, top]),
            "Rotate" => i64::from(geometry.rotation),
            "UserUnit" => geometry.user_unit,
            "Contents" => contents,
            "Resources" => dictionary! { "XObject" => forms },
        })));
    }
    let count = i64::try_from(kids.len()).unwrap();
    objects.put(tree, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count });
    objects.put(catalog, dictionary! { "Type" => "Catalog", "Pages" => tree });
    let (list, next) = objects.into_parts();
    let mut file = Document::with_version("1.7");
    file.objects.extend(list);
    file.max_id = next - 1;
    file.trailer.set("Root", catalog);
    let mut bytes = Vec::new();
    file.save_to(&mut bytes).unwrap();
    bytes
}

/// A rendered page: grey values, row by row.
#[derive(PartialEq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) grey: Vec<i32>,
}

/// Draws the first pages, which are of these shapes, with PDFium. It knows no `UserUnit`: the width is said.
pub(crate) fn pictures(pdf: &[u8], shapes: &[PageGeometry]) -> Vec<Picture> {
    let size_px = |shape: &PageGeometry| {
        let (width_pt, height_pt) = shape.displayed_size();
        (width_pt * SCALE, height_pt * SCALE)
    };
    let script = scripts().join("draw.py").to_str().unwrap().to_owned();
    let widths = shapes.iter().map(|shape| size_px(shape).0.to_string());
    let asked: Vec<String> = [script, "FILE".to_owned()].into_iter().chain(widths).collect();
    let drawn = run(python(), &asked, pdf, "crates/xtask/python-requirements.txt");
    let mut rest = drawn.as_slice();
    let pictures: Vec<Picture> = shapes.iter().map(|_| Picture::take(&mut rest)).collect();
    assert!(rest.is_empty());
    for (picture, shape) in pictures.iter().zip(shapes) {
        let is_about =
            |pixels: usize, size: f64| (f64::from(u32::try_from(pixels).unwrap()) - size).abs() <= 1.5;
        let (width, height) = size_px(shape);
        assert!(is_about(picture.width, width) && is_about(picture.height, height), "{shape:?}");
    }
    pictures
}

impl Picture {
    /// Reads a portable grey map: three words and a number, each before one blank, then a byte for each point.
    fn take(rest: &mut &[u8]) -> Self {
        let mut word = || {
            let end = rest.iter().position(u8::is_ascii_whitespace).expect("a head of four words");
            let (word, after) = rest.split_at(end);
            *rest = &after[1..];
            std::str::from_utf8(word).unwrap().to_owned()
        };
        assert_eq!(word(), "P5");
        let (width, height) = (word().parse().unwrap(), word().parse().unwrap());
        assert_eq!(word(), "255");
        let (points, after) = rest.split_at(width * height);
        *rest = after;
        Self { width, height, grey: points.iter().copied().map(i32::from).collect() }
    }
}

/// Where two pictures of one page differ, in points of the displayed page, and every such point.
pub(crate) fn difference(before: &Picture, after: &Picture, geometry: &PageGeometry) -> Vec<(f64, f64)> {
    assert_eq!((before.width, before.height), (after.width, after.height));
    let (width_pt, _) = geometry.displayed_size();
    let points_per_pixel = width_pt / f64::from(u32::try_from(before.width).unwrap());
    let pixels = before.grey.iter().zip(&after.grey).enumerate();
    let changed = pixels.filter(|(_, (a, b))| (*a - *b).abs() > 2);
    let middle = |value: usize| (f64::from(u32::try_from(value).unwrap()) + 0.5) * points_per_pixel;
    changed.map(|(at, _)| (middle(at % before.width), middle(at / before.width))).collect()
}

pub(crate) fn bounds(points: &[(f64, f64)]) -> DisplayRect {
    let fold =
        |pick: fn(&(f64, f64)) -> f64, of: fn(f64, f64) -> f64| points.iter().map(pick).reduce(of).unwrap();
    let (x, y) = (fold(|p| p.0, f64::min), fold(|p| p.1, f64::min));
    DisplayRect { x, y, width: fold(|p| p.0, f64::max) - x, height: fold(|p| p.1, f64::max) - y }
}

/// Runs a tool on a file and gives what it prints. It must not complain.
pub(crate) fn judge(tool: &str, arguments: &[&str], pdf: &[u8], package: &str) -> String {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    String::from_utf8_lossy(&run(tool, &arguments, pdf, package)).into_owned()
}

fn run(tool: impl AsRef<Path>, arguments: &[String], pdf: &[u8], source: &str) -> Vec<u8> {
    let (tool, folder) = (tool.as_ref(), tempfile::tempdir().unwrap());
    let path = folder.path().join("file.pdf");
    std::fs::write(&path, pdf).unwrap();
    let with_path = arguments.iter().map(|one| if one == "FILE" { path.to_str().unwrap() } else { one });
    let output = Command::new(tool).args(with_path).output();
    let name = tool.display();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}; it comes with {source}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{name} of {source}: {error}");
    output.stdout
}

pub(crate) fn extracted_text(pdf: &[u8]) -> String {
    let text = judge("pdftotext", &["-layout", "FILE", "-"], pdf, "poppler-utils");
    // Marks of direction that poppler puts around right-to-left text.
    text.chars().filter(|c| !matches!(c, '\u{202A}'..='\u{202E}' | '\u{200E}' | '\u{200F}')).collect()
}

pub(crate) fn assert_qpdf_accepts(pdf: &[u8]) {
    judge("qpdf", &["--check", "FILE"], pdf, "qpdf");
}
