//! Files that were made to do harm: each is refused with its code, or sealed so that the seal verifies.

use countersign_pdf::inspect::{Limits, inspect};
use countersign_pdf::verify::verify;

use crate::shaped::{Objects, deflated, objects, one_page, pages, stream, with_object_stream, with_table};
use crate::support::{seal_bare, seal_whole};

fn code(bytes: &[u8]) -> Option<&'static str> {
    inspect(bytes, &Limits::default()).err().map(|refusal| refusal.code())
}

/// It is accepted, sealed with everything and bare, and both verify.
fn assert_sealed(bytes: &[u8], what: &str) {
    assert_eq!(code(bytes), None, "{what}");
    for sealed in [seal_whole(bytes), seal_bare(bytes)] {
        let sealed = sealed.unwrap_or_else(|error| panic!("{what}: {error}"));
        let verified = verify(&sealed, &Limits::for_sealed());
        verified.unwrap_or_else(|failure| panic!("{what}: {failure}"));
    }
}

fn extended(mut objects: Objects, more: Objects) -> Objects {
    objects.extend(more);
    objects
}

/// S-1: a page that draws objects which do not exist would draw the stamps of the seal, which take their numbers.
#[test]
fn references_to_the_numbers_that_a_seal_takes_are_refused_s_1() {
    let inner = objects(&[(5, "<< /Later 1050 0 R >>")]);
    for (what, file) in [
        ("a picture of a page", with_table(&one_page("", "/Resources << /XObject << /X 1050 0 R >> >>"), "")),
        ("the number right after the last", with_table(&one_page("", "/Annots [1002 0 R]"), "")),
        ("another generation", with_table(&one_page("", "/Annots [1002 3 R]"), "")),
        ("a field of the form", with_table(&one_page("/AcroForm << /Fields [1050 0 R] >>", ""), "")),
        ("the trailer", with_table(&one_page("", ""), "/Info 1050 0 R")),
        ("an object that is named", with_table(&extended(one_page("", "/A 5 0 R"), inner.clone()), "")),
        (
            "an object that is named in a wrong generation first",
            with_table(&extended(one_page("/A 5 0 R", "/B 5 1 R"), inner.clone()), ""),
        ),
        ("an object in an object stream", with_object_stream(&one_page("", "/A 5 0 R"), &inner)),
        (
            "the dictionary of a stream",
            with_table(&extended(one_page("/A 5 0 R", ""), vec![(5, stream("/X 1050 0 R", b"x"))]), ""),
        ),
    ] {
        assert_eq!(code(&file), Some("pdf-dangling-reference"), "{what}");
    }
    // Below the last object there is no room that a seal fills: such a reference stays one to nothing.
    let below = with_table(&one_page("/A 700 0 R", "/Resources << /XObject << /X 700 0 R >> >>"), "");
    assert_sealed(&below, "a reference to nothing below the last object");
    let stated = with_table(&one_page("", "/Resources << /XObject << /X 1050 0 R >> >>"), "/Size 2000");
    assert_sealed(&stated, "a reference to nothing below the stated size");
}

/// A small file with a cross-reference stream that lists the objects as they come.
fn with_stream(objects: &Objects) -> Vec<u8> {
    let (mut bytes, mut rows, mut index) = (b"%PDF-1.7\n".to_vec(), Vec::new(), String::new());
    for (number, body) in objects {
        let offset = u16::try_from(bytes.len()).expect("a small file");
        rows.extend([&[1], offset.to_be_bytes().as_slice()].concat());
        index.extend([format!("{number} 1 ")]);
        bytes.extend([format!("{number} 0 obj\n").as_bytes(), body, b"\nendobj\n"].concat());
    }
    let start = bytes.len();
    bytes.extend(b"5 0 obj\n");
    bytes.extend(stream(&format!("/Type /XRef /Size 1002 /W [1 2 0] /Index [{index}] /Root 1 0 R"), &rows));
    bytes.extend(format!("\nendobj\nstartxref\n{start}\n%%EOF\n").into_bytes());
    bytes
}

/// S-1: of two places for one object, qpdf, Poppler and Ghostscript read the first, and pyHanko the last: people would
/// sign another text than the one that was shown.
#[test]
fn an_object_in_two_places_of_one_section_is_refused_s_1() {
    let text = |text: &str| vec![(4, stream("", format!("BT /F 24 Tf ({text}) Tj ET").as_bytes()))];
    let page = one_page("", "/Contents 4 0 R");
    let twice = with_table(&extended(extended(page.clone(), text("One")), text("Other")), "");
    assert_eq!(code(&twice), Some("pdf-damaged"));
    let free = |file: Vec<u8>| {
        let file = String::from_utf8(file).expect("the test writes text");
        file.replace("trailer", "4 1\n0000000000 00001 f \ntrailer").into_bytes()
    };
    assert_eq!(code(&free(with_table(&extended(page.clone(), text("One")), ""))), Some("pdf-damaged"));
    assert_eq!(code(&with_stream(&extended(page.clone(), text("One")))), None);
    let twice = extended(extended(page.clone(), text("One")), text("Other"));
    assert_eq!(code(&with_stream(&twice)), Some("pdf-damaged"));
    // A later section has the last word with every reader, and the same place twice is one place.
    let one = with_table(&extended(page, text("One")), "");
    let again = String::from_utf8(one.clone()).expect("the test writes text");
    let (_, listed) = again.split_once("\n4 1\n").expect("object 4 is listed");
    let line = format!("4 1\n{}\ntrailer", listed.split_once('\n').expect("a line").0);
    assert_sealed(again.replace("trailer", &line).as_bytes(), "the same place twice");
    let start = again.rfind("\nxref\n").expect("there is a table") + 1;
    let mut updated = one;
    let offset = updated.len();
    updated.extend(b"4 0 obj\n");
    updated.extend(stream("", b"BT ET"));
    let table = updated.len() + b"\nendobj\n".len();
    updated.extend(
        format!(
            "\nendobj\nxref\n4 1\n{offset:010} 00000 n \ntrailer\n<< /Size 5 /Root 1 0 R /Prev {start} >>\n\
             startxref\n{table}\n%%EOF\n"
        )
        .into_bytes(),
    );
    assert_sealed(&updated, "a newer place in a newer section");
}

/// Lengths and widths are what the file states; nothing is set aside for them before they are compared with it.
#[test]
fn stated_widths_and_sizes_are_compared_before_memory_is_set_aside() {
    let file = |entries: &str| {
        let objects = one_page("", "");
        let mut bytes = with_table(&objects, "");
        let start = bytes.len();
        let rows = deflated(&[0; 64]);
        bytes.extend(b"1500 0 obj\n");
        bytes.extend(stream(&format!("/Type /XRef /Root 1 0 R /Filter /FlateDecode {entries}"), &rows));
        bytes.extend(format!("\nendobj\nstartxref\n{start}\n%%EOF\n").into_bytes());
        bytes
    };
    let wide = "/Size 4 /W [1 1 1] /DecodeParms << /Predictor 12 /Colors 1048576 /BitsPerComponent 1048576";
    let large = i64::MAX;
    for (entries, expected) in [
        (format!("{wide} /Columns 131072 >>"), "pdf-damaged"),
        (format!("{wide} /Columns {large} >>"), "pdf-damaged"),
        (format!("/Size 4 /W [{large} {large} 2]"), "pdf-damaged"),
        (format!("/Size 4 /W [1 {large} {large}]"), "pdf-damaged"),
        (format!("/Size 4 /W [1 1 1] /Index [{large} {large}]"), "pdf-too-many-objects"),
        ("/Size 4294967295 /W [1 1 1] /Index [0 0]".to_owned(), "pdf-too-many-objects"),
    ] {
        assert_eq!(code(&file(&entries)), Some(expected), "{entries}");
    }
    // One row is listed again and again.
    let many = "0 400000 ".repeat(10);
    let rows = deflated(&vec![0; 4_000_000]);
    let mut bytes = b"%PDF-1.7\n".to_vec();
    bytes.extend(b"9 0 obj\n");
    bytes.extend(stream(
        &format!("/Type /XRef /Size 400000 /W [1 0 0] /Index [{many}] /Filter /FlateDecode"),
        &rows,
    ));
    bytes.extend(b"\nendobj\nstartxref\n9\n%%EOF\n");
    assert_eq!(code(&bytes), Some("pdf-too-many-objects"));
}

/// The next update counts from the stated size, and so does whoever verifies it, whatever the limits.
#[test]
fn a_stated_size_beyond_the_limit_is_refused_and_not_cut_down() {
    assert_eq!(code(&with_table(&one_page("", ""), "/Size 500001")), Some("pdf-too-many-objects"));
    assert_sealed(&with_table(&one_page("", ""), "/Size 500000"), "the largest size");
}

#[test]
fn what_many_pages_share_is_not_copied_beyond_the_limit() {
    let shared = |count: u32, string: usize| {
        let tree = format!("/Resources << /Private ({}) >>", "a".repeat(string));
        with_object_stream(&vec![], &pages(count, "", &tree, ""))
    };
    assert_sealed(&shared(10, 200_000), "little is copied");
    assert_eq!(code(&shared(200, 200_000)), Some("pdf-too-complex"));
    // Each page closes what the content that it shares with others leaves open.
    let open = |count: u32| {
        let content = vec![(4, stream("/Filter /FlateDecode", &deflated(&b"q ".repeat(300_000))))];
        with_table(&extended(pages(count, "", "", "/Contents 4 0 R"), content), "")
    };
    assert_sealed(&open(2), "little is left open");
    assert_eq!(code(&open(40)), Some("pdf-too-complex"));
    // Each field bears the names of those above it.
    let named = |count: u32| {
        let kids: Vec<String> = (10..10 + count).map(|number| format!("{number} 0 R")).collect();
        let parent = format!("<< /T ({}) /Kids [{}] >>", "n".repeat(100_000), kids.join(" "));
        let kids = (10..10 + count).map(|number| (number, b"<< /FT /Tx /T (k) >>".to_vec()));
        let form = one_page("/AcroForm << /Fields [4 0 R] >>", "");
        with_object_stream(&form, &[(4, parent.into_bytes())].into_iter().chain(kids).collect())
    };
    assert_sealed(&named(20), "short names together");
    assert_eq!(code(&named(700)), Some("pdf-too-complex"));
}

/// The work is linear in what is there: with its square, these would not end in time.
#[test]
fn names_and_contents_that_repeat_are_looked_at_once() {
    let fields: Vec<String> = (2..20_002).map(|number| format!("{number}")).rev().collect();
    let kids: Vec<String> = (2000..22_001).map(|number| format!("{number} 0 R")).collect();
    let form = one_page(&format!("/AcroForm << /Fields [{}] >>", kids.join(" ")), "");
    let names = fields.iter().map(String::as_str).chain([""]).zip(2000..);
    let packed = names.map(|(name, number)| (number, format!("<< /T (Seal{name}) >>").into_bytes()));
    assert_sealed(&with_object_stream(&form, &packed.collect()), "names of fields that the seal would take");

    let content = vec![(4, stream("", &b"n ".repeat(500_000)))];
    let repeated = format!("/Contents [{}]", "4 0 R ".repeat(4000));
    assert_sealed(
        &with_table(&extended(one_page("", &repeated), content), ""),
        "one content four thousand times",
    );

    let taken: Vec<String> = (1..20_000).map(|number| format!("/Countersign{number} 1001 0 R")).collect();
    let forms = format!("/XObject << {} >>", taken.join(" "));
    let shared = pages(8, "", &format!("/Resources << {forms} >>"), "");
    let mut longer = String::new();
    let names: Vec<String> = (0..700)
        .map(|_| {
            longer.push('x');
            format!("/Countersign1021{longer} 1001 0 R")
        })
        .collect();
    assert_sealed(&with_table(&shared, ""), "names of forms that the seal would take");
    let forms = format!("/Resources << /XObject << /Countersign1021 1001 0 R {} >> >>", names.join(" "));
    assert_sealed(&with_table(&pages(20, "", &forms, ""), ""), "long names of forms");
}

/// What an inner filter expands to is counted even if the outer one makes nothing of it.
#[test]
fn filters_that_expand_to_nothing_are_counted() {
    // Stored blocks of no bytes.
    let nothing = [&[0x78, 0x01][..], &[0, 0, 0, 0xff, 0xff].repeat(800_000)].concat();
    let bomb = stream("/Filter [/FlateDecode /FlateDecode]", &deflated(&nothing));
    let file = with_table(&extended(one_page("/A 5 0 R", ""), vec![(5, bomb)]), "");
    let limits = Limits { stream_bytes: 1 << 20, ..Limits::default() };
    assert_eq!(inspect(&file, &limits).err().map(|refusal| refusal.code()), Some("pdf-expansion-bomb"));
    let limits = Limits { total_stream_bytes: 1 << 20, ..Limits::default() };
    assert_eq!(inspect(&file, &limits).err().map(|refusal| refusal.code()), Some("pdf-expansion-bomb"));
}

/// D-6: what is accepted at a limit is still within those of verification once the seal has added to it.
#[test]
fn a_file_at_the_limits_is_sealed_and_the_seal_verifies_d_6() {
    let revised = |count: usize| {
        let mut bytes = with_table(&one_page("", ""), "");
        for _ in 1..count {
            let text = String::from_utf8_lossy(&bytes);
            let previous = text.rsplit("startxref\n").next().and_then(|tail| tail.lines().next());
            let previous = previous.expect("an offset").to_owned();
            let start = bytes.len();
            let table = "xref\n0 1\n0000000000 65535 f \ntrailer\n";
            bytes.extend(
                format!("{table}<< /Size 1002 /Root 1 0 R /Prev {previous} >>\nstartxref\n{start}\n%%EOF\n")
                    .into_bytes(),
            );
        }
        bytes
    };
    assert_sealed(&revised(200), "the largest number of revisions");
    assert_eq!(code(&revised(201)), Some("pdf-too-complex"));
    let annotated =
        |count: usize| with_table(&one_page("", &format!("/Annots [{}]", "null ".repeat(count))), "");
    assert_sealed(&annotated(399_995), "the largest object");
    assert_eq!(code(&annotated(399_999)), Some("pdf-too-many-objects"));
    assert_sealed(&with_table(&pages(1000, "", "", ""), ""), "the largest number of pages");
}

/// What serves two purposes can be extended, but nobody could tell that from a change: it is refused at the upload.
#[test]
fn a_file_whose_seal_would_not_verify_is_refused_at_the_upload() {
    let double = with_table(&one_page("/AcroForm 1001 0 R", "/Fields []"), "");
    assert_eq!(code(&double), Some("pdf-damaged"));
}

/// E-4: whoever looks for the evidence in a sealed file by its name finds that of the seal.
#[test]
fn embedded_files_under_a_name_of_the_evidence_are_refused_e_4() {
    let with_names = |key: &str| {
        let names = format!("/Names << /EmbeddedFiles << /Names [{key} 5 0 R] >> >>");
        let specification = objects(&[(5, "<< /Type /Filespec /F (a.txt) /EF << /F 6 0 R >> >>")]);
        let file = vec![(6, stream("/Type /EmbeddedFile", b"{}"))];
        with_table(&extended(extended(one_page(&names, ""), specification), file), "")
    };
    let specified = |names: &str| {
        let page = format!("/Annots [<< /Subtype /FileAttachment /FS << {names} /EF << /F 6 0 R >> >> >>]");
        let file = vec![(6, stream("/Type /EmbeddedFile", b"{}")), (7, b"(countersign-trail.json)".to_vec())];
        with_table(&extended(one_page("", &page), file), "")
    };
    let utf16 =
        hex::encode("countersign-trail.json".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
    for key in ["(countersign-trail.json)", "(Countersign-Trail.json)", &format!("<feff{utf16}>")] {
        assert_eq!(code(&with_names(key)), Some("pdf-reserved-file-name"), "{key}");
    }
    for names in [
        "/F (countersign-trail.json)",
        "/F (a) /UF (countersign-trail.json)",
        "/F (/tmp/countersign-trail.json)",
        "/F ( countersign-trail.json)",
        "/UF 7 0 R",
    ] {
        assert_eq!(code(&specified(names)), Some("pdf-reserved-file-name"), "{names}");
    }
    assert_sealed(&with_names("(trail.json)"), "another name");
    assert_sealed(&specified("/F (not-by-countersign.txt)"), "another name");
}

/// D-6: a certification that the catalog names counts, even where the form does not list its field.
#[test]
fn a_certification_without_a_field_counts_as_a_signature_d_6() {
    let signature = objects(&[(5, "<< /Type /Sig /Contents <00> /ByteRange [0 1 2 3] >>")]);
    for catalog in [
        "/Perms << /DocMDP 5 0 R >>",
        "/Perms << /DocMDP 5 0 R >> /AcroForm << /Fields [] >>",
        "/Perms << /DocMDP << /Type /Sig /Contents <00> >> >>",
        "/Perms << /UR3 5 0 R >>",
    ] {
        let file = with_table(&extended(one_page(catalog, ""), signature.clone()), "");
        assert_eq!(code(&file), Some("pdf-already-signed"), "{catalog}");
    }
}
