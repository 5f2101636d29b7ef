//! What cannot be sealed safely is refused with the documented code, and what is accepted is described.

use countersign_pdf::inspect::{FieldKind, Limits, Notice, Refusal, XrefKind, inspect};

use crate::support::fixture;

fn refusal(name: &str) -> Refusal {
    match inspect(&fixture(&format!("{name}.pdf")), &Limits::default()) {
        Ok(_) => panic!("{name} is accepted"),
        Err(refusal) => refusal,
    }
}

#[test]
fn what_cannot_be_sealed_safely_is_refused_with_its_code() {
    for (name, code) in [
        ("not-a-pdf", "pdf-not-a-pdf"),
        ("truncated", "pdf-damaged"),
        ("damaged-startxref", "pdf-damaged"),
        ("same-key-twice", "pdf-damaged"),
        ("odd-generation", "pdf-damaged"),
        ("user-password", "pdf-password-needed"),
        ("user-password-rc4", "pdf-password-needed"),
        ("signed-by-approval", "pdf-already-signed"),
        ("certified", "pdf-already-signed"),
        ("xfa-only", "pdf-xfa-only"),
        ("no-pages", "pdf-no-pages"),
        ("too-many-pages", "pdf-too-many-pages"),
        ("odd-rotation", "pdf-page-geometry"),
        ("too-deep", "pdf-too-deep"),
        ("hybrid", "pdf-hybrid-references"),
        ("bomb", "pdf-expansion-bomb"),
        ("double-bomb", "pdf-expansion-bomb"),
    ] {
        assert_eq!(refusal(name).code(), code, "{name}");
    }
}

#[test]
fn every_limit_refuses_what_exceeds_it() {
    let bytes = fixture("object-streams.pdf");
    let refused = |limits: Limits| inspect(&bytes, &limits).err().map(|refusal| refusal.code());
    let limits = Limits::default;
    assert_eq!(refused(limits()), None);
    assert_eq!(refused(Limits { size_bytes: bytes.len() as u64 - 1, ..limits() }), Some("pdf-too-large"));
    assert_eq!(refused(Limits { pages: 0, ..limits() }), Some("pdf-too-many-pages"));
    assert_eq!(refused(Limits { objects: 5, ..limits() }), Some("pdf-too-many-objects"));
    assert_eq!(refused(Limits { values_per_object: 10, ..limits() }), Some("pdf-too-many-objects"));
    assert_eq!(refused(Limits { depth: 1, ..limits() }), Some("pdf-too-deep"));
    assert_eq!(refused(Limits { revisions: 0, ..limits() }), Some("pdf-too-complex"));
    assert_eq!(refused(Limits { work: 3000, ..limits() }), Some("pdf-too-complex"));
    assert_eq!(refused(Limits { structure_bytes: 64, ..limits() }), Some("pdf-expansion-bomb"));
    assert_eq!(refused(Limits { total_stream_bytes: 3000, ..limits() }), Some("pdf-expansion-bomb"));
    let scan = fixture("scanned.pdf");
    let few_pixels = Limits { image_pixels: 1_000_000, ..limits() };
    assert_eq!(inspect(&scan, &few_pixels).err().map(|refusal| refusal.code()), Some("pdf-expansion-bomb"));
}

#[test]
fn an_earlier_signature_is_reported_with_its_field_coverage_and_permission() {
    for (name, doc_mdp) in [("signed-by-approval", None), ("certified", Some(2))] {
        let Refusal::AlreadySigned { signatures } = refusal(name) else { panic!("{name}: another refusal") };
        assert_eq!(signatures.len(), 1, "{name}");
        assert_eq!(signatures[0].field_name, "Approval");
        assert_eq!(signatures[0].doc_mdp, doc_mdp);
        assert!(signatures[0].covers_whole_file);
    }
}

#[test]
fn form_fields_are_reported_where_they_show() {
    for name in [
        "reportlab-form.pdf",
        "object-streams.pdf",
        "owner-rc4.pdf",
        "owner-aes-128.pdf",
        "owner-aes-256.pdf",
    ] {
        let inspection = inspect(&fixture(name), &Limits::default()).expect("the form is accepted");
        let found = |field: &str| {
            let fields = &inspection.structure.fields;
            let one = fields.iter().find(|other| other.name == field);
            one.unwrap_or_else(|| panic!("{name} has no {field}: {fields:?}"))
        };
        let text = found("full_name");
        assert_eq!((text.kind, text.page), (FieldKind::Text, Some(1)), "{name}");
        let rect = text.rect.expect("it shows");
        assert!(
            (rect.x - 72.0).abs() < 1.0 && (rect.y - (841.889_764 - 720.0)).abs() < 1.0,
            "{name}: {rect:?}"
        );
        assert_eq!(found("accept").kind, FieldKind::Checkbox);
        assert_eq!(found("kind").kind, FieldKind::Radio);
        assert_eq!(found("country").kind, FieldKind::Choice);
    }
}

#[test]
fn the_make_of_a_file_is_reported() {
    let structure = |name: &str| inspect(&fixture(name), &Limits::default()).expect("accepted").structure;
    let plain = structure("reportlab.pdf");
    assert_eq!(
        (plain.pages.len(), plain.xref, plain.linearized, plain.revisions),
        (10, XrefKind::Table, false, 1)
    );
    assert!(structure("linearized.pdf").linearized);
    assert_eq!(structure("word-like.pdf").xref, XrefKind::Stream);
    assert_eq!(structure("updated.pdf").revisions, 2);
    let rotations: Vec<u16> = structure("rotated.pdf").pages.iter().map(|page| page.rotation).collect();
    assert_eq!(rotations, [90, 180, 270, 270, 90, 0, 90, 180, 270, 0]);
    let cropped = structure("cropped.pdf").pages[0];
    assert_eq!((cropped.crop.left, cropped.crop.bottom, cropped.user_unit), (36.0, 48.25, 2.0));
    assert!((cropped.crop.top - 841.889_764).abs() < 1e-9);
    let inherited = structure("inherited.pdf").pages[9];
    assert_eq!((inherited.rotation, inherited.crop.right), (90, 600.0));
}

#[test]
fn a_sender_is_told_what_a_file_holds() {
    let notices = |name: &str| inspect(&fixture(name), &Limits::default()).expect("accepted").notices;
    assert!(notices("reportlab.pdf").is_empty());
    assert_eq!(notices("attachments.pdf"), [Notice::EmbeddedFiles]);
    assert_eq!(notices("owner-aes-256.pdf"), [Notice::OwnerPassword]);
    assert_eq!(notices("xfa-alongside.pdf"), [Notice::XfaAlongside]);
    assert_eq!(notices("chromium.pdf"), [Notice::ExternalActions]);
}

#[test]
fn an_inspection_is_json_that_a_command_can_print() {
    let inspection = inspect(&fixture("reportlab-form.pdf"), &Limits::default()).expect("accepted");
    let json = serde_json::to_value(&inspection).expect("it serializes");
    assert_eq!(json["pages"][0]["rotation"], 0);
    assert_eq!(json["fields"][0]["kind"], "text");
    assert_eq!(json["xref"], "table");
    assert_eq!(json["sha256"].as_str().map(str::len), Some(64));
}
