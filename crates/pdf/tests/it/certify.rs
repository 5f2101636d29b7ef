//! The certificate says everything, on as many pages as it takes, and any reader can read it.

use crate::drawing::{assert_qpdf_accepts, extracted_text, judge};
use crate::sample::{MachineFonts, certificate};
use countersign_pdf::certify::{
    Certificate, CertificateFault, DrawnCertificate, Environment, TimelineRow, standalone,
};
use countersign_pdf::font::{FontBook, Missing};

fn pages(certificate: &Certificate, book: &FontBook) -> Result<(Vec<u8>, Missing), CertificateFault> {
    standalone(certificate, &DrawnCertificate::draw(certificate, book))
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// E-4: every value of the certificate is on its pages.
#[test]
fn everything_that_is_certified_can_be_read() {
    let sample = certificate(24);
    let (file, missing) = pages(&sample, &FontBook::new()).unwrap();
    assert!(missing.characters.is_empty());
    assert_qpdf_accepts(&file);
    let raw = squeezed(&judge("pdftotext", &["-raw", "FILE", "-"], &file, "poppler-utils"));
    let mut said = vec![
        sample.title.clone(),
        sample.envelope_id.clone(),
        sample.organization.clone(),
        sample.sender.clone(),
    ];
    for document in &sample.documents {
        said.extend([
            document.name.clone(),
            document.sha256.clone(),
            format!("head -c {} SEALED.pdf | sha256sum", document.size_bytes),
        ]);
    }
    for person in &sample.recipients {
        said.extend(
            [
                &person.name,
                &person.email,
                &person.identified,
                &person.consent,
                &person.ip,
                &person.user_agent,
                &person.at.utc,
            ]
            .map(Clone::clone),
        );
    }
    for row in &sample.timeline {
        said.extend([&row.at.utc, &row.actor, &row.action, &row.event_hash].map(Clone::clone));
    }
    said.extend([
        sample.seal.fingerprint.clone(),
        sample.log.origin.clone(),
        sample.log.root_hash.clone(),
        "1,284,531 entries".into(),
    ]);
    assert!(!raw.contains("))"), "a zone is named once");
    assert!(raw.contains("first16digits"), "a part of a hash is called so");
    for value in said {
        assert!(raw.contains(&squeezed(&value)), "{value} in {raw}");
    }
}

#[test]
fn a_long_timeline_breaks_across_pages_under_repeated_headings() {
    let (file, missing) = pages(&certificate(200), &FontBook::new()).unwrap();
    assert!(missing.characters.is_empty());
    let text = extracted_text(&file);
    let pages: Vec<_> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert!(pages.len() > 8, "{}", pages.len());
    for (number, page) in (1..).zip(&pages) {
        assert!(page.contains(&format!("Page {number} of {}", pages.len())), "{page}");
        let has_rows = page.contains("Europe/Berlin") && number > 1;
        assert_eq!(has_rows, has_rows && page.contains("Event hash"), "{page}");
    }
    assert_eq!(text.matches("15:01:23 Europe/Berlin").count(), 1, "no row is lost or doubled");
}

#[test]
fn what_the_timeline_leaves_out_is_said_above_it() {
    let note = "The timeline leaves out 17,000 events of 20,000";
    let sample = Certificate { timeline_note: note.to_owned(), ..certificate(3) };
    let text = squeezed(&extracted_text(&pages(&sample, &FontBook::new()).unwrap().0));
    let (before, after) = text.split_once(&squeezed(note)).expect("it is said");
    assert!(before.contains("Timeline") && after.contains("Eventhash"), "{text}");
}

/// A row longer than a page is continued; long words are broken, never cut off.
#[test]
fn text_of_any_length_is_kept() {
    let mut sample = certificate(2);
    let words: Vec<String> = (0..1500).map(|n| format!("word{n}")).collect();
    sample.timeline.push(TimelineRow { action: words.join(" "), ..sample.timeline[0].clone() });
    sample.recipients[0].email = format!("{}@{}.example", "a".repeat(120), "b".repeat(180));
    sample.recipients[1].user_agent = "Ж".repeat(20_000);
    sample.recipients[0].name = "Wolfeschlegelsteinhausenbergerdorff".repeat(6);
    sample.documents[0].name = format!("{}.pdf", "very_long-file.name".repeat(12));
    let (file, missing) = pages(&sample, &FontBook::new()).unwrap();
    assert!(missing.characters.is_empty());
    let raw = squeezed(&judge("pdftotext", &["-raw", "FILE", "-"], &file, "poppler-utils"));
    assert_eq!(raw.matches('Ж').count(), 20_000);
    for value in words.iter().chain([
        &sample.recipients[0].email,
        &sample.recipients[0].name,
        &sample.documents[0].name,
    ]) {
        assert!(raw.contains(&squeezed(value)), "{value}");
    }
}

#[test]
fn names_in_other_scripts_are_certified_in_logical_order() {
    let mut sample = certificate(3);
    for (person, name) in sample.recipients.iter_mut().zip(["محمد عبد الله", "יעל כהן", "王小明"])
    {
        person.name = name.into();
    }
    let (file, missing) = pages(&sample, &FontBook::new().with_fallback(MachineFonts::load())).unwrap();
    assert!(missing.characters.is_empty());
    let text = extracted_text(&file);
    for person in &sample.recipients {
        assert!(text.contains(&person.name), "{} in {text}", person.name);
    }
}

#[test]
fn the_file_is_deterministic_titled_and_names_its_language() {
    let sample = certificate(5);
    let (file, missing) = pages(&sample, &FontBook::new()).unwrap();
    assert!(missing.characters.is_empty());
    assert_eq!(file, pages(&sample, &FontBook::new()).unwrap().0);
    let said = judge("pdfinfo", &["FILE"], &file, "poppler-utils");
    assert!(said.contains(&format!("Certificate of completion: {}", sample.title)), "{said}");
    let document = lopdf::Document::load_mem(&file).unwrap();
    assert_eq!(document.catalog().unwrap().get(b"Lang").unwrap().as_str().unwrap(), b"en");
}

#[test]
fn a_sandbox_certificate_says_so_on_every_page() {
    let mut sample = certificate(40);
    let said = |sample: &Certificate| extracted_text(&pages(sample, &FontBook::new()).unwrap().0);
    assert!(!said(&sample).contains("Sandbox"));
    sample.environment = Environment::Sandbox;
    for page in said(&sample).split('\u{c}').filter(|page| !page.trim().is_empty()) {
        assert!(page.contains("without legal effect"), "{page}");
    }
}
