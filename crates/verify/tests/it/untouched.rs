//! What is genuine passes, and the same inputs give the same bytes.

use countersign_core::envelope::{Veiled, event::Event};
use countersign_verify::{Check, Outcome, Report, Verdict, verify_package, verify_sealed_pdf};

use crate::{
    files::Files,
    story::{archive, assemble, forger, keys, log_signer, package, until_sealing},
};

fn outcome(report: &Report, check: Check) -> Outcome {
    let items = || report.items.iter().filter(|item| item.check == check);
    assert!(items().count() > 0, "{} was not reported", check.id());
    items().map(|item| item.outcome).max_by_key(|outcome| *outcome as u8).expect("items")
}

fn not_passed(report: &Report) -> Vec<&str> {
    let items = report.items.iter().filter(|item| item.outcome != Outcome::Passed);
    items.map(|item| item.check.id()).collect()
}

#[test]
fn e_6_an_untouched_package_passes_every_check() {
    let report = verify_package(archive(), &keys());
    assert_eq!(report.verdict(), Verdict::Genuine, "{}", report.to_text());
    assert_eq!(report.first_failure(), None);
    for check in Check::ALL {
        assert_eq!(outcome(&report, *check), Outcome::Passed, "{}", check.id());
    }
    assert_eq!(report.envelope.as_deref(), Some("env_144gj289144gj289144gj28914"));
}

#[test]
fn e_4_every_sealed_pdf_passes_by_itself() {
    let package = package();
    let documents = package.documents.iter().map(|document| &document.sealed);
    for pdf in documents.chain([&package.certificate]) {
        let report = verify_sealed_pdf(pdf, &keys());
        assert_eq!(report.verdict(), Verdict::Genuine, "{}", report.to_text());
    }
}

#[test]
fn e_5_the_same_envelope_always_gives_the_same_package() {
    assert_eq!(assemble(until_sealing(), log_signer()).to_bytes().expect("a package"), archive());
    assert_eq!(Files::read(archive()).write(), archive(), "other code writes the same archive");
}

#[test]
fn e_6_without_a_key_nothing_is_called_genuine() {
    let report = verify_package(archive(), &[]);
    assert_eq!(report.verdict(), Verdict::Incomplete);
    assert_eq!(
        not_passed(&report),
        ["checkpoint", "trail_checkpoint", "trail_checkpoint", "trail_checkpoint"]
    );
    let report = verify_sealed_pdf(&package().certificate, &[]);
    assert_eq!(report.verdict(), Verdict::Incomplete);
    assert_eq!(not_passed(&report), ["checkpoint"]);
    assert!(!report.to_text().contains("GENUINE:"));
}

#[test]
fn e_6_another_key_is_refused() {
    let key = [forger().verifier()];
    let report = verify_package(archive(), &key);
    assert_eq!(report.first_failure().map(|item| item.check), Some(Check::Checkpoint));
    let report = verify_sealed_pdf(&package().certificate, &key);
    assert_eq!(report.first_failure().map(|item| item.check), Some(Check::Checkpoint));
}

fn is_of(veiled: &Veiled, person: u8) -> bool {
    veiled.person.as_bytes() == &[person; 16]
}

/// Erases what belongs to the persons, as the server does when it drops their openings.
fn erased(event: &mut Event, persons: &[u8]) {
    for veiled in event.veiled_mut() {
        if persons.iter().any(|person| is_of(veiled, *person)) {
            veiled.opening = None;
        }
    }
}

#[test]
fn d_8_after_erasure_everything_else_still_passes() {
    for persons in [&[1][..], &[200], &[2], &[1, 2, 3, 4, 200]] {
        let mut package = package().clone();
        for logged in &mut package.events {
            erased(&mut logged.recorded.event, persons);
        }
        let report = verify_package(&package.to_bytes().expect("a package"), &keys());
        assert_eq!(report.verdict(), Verdict::Incomplete, "{}", report.to_text());
        assert_eq!(not_passed(&report), ["disclosed"], "{persons:?}");
    }
}

#[test]
fn e_9_the_account_answers_who_how_and_what() {
    let account = verify_package(archive(), &keys()).account.join("\n");
    for answer in [
        "This is a live envelope.",
        "\"Rose Lettings\" prepared \"Lease of 12 Rose Street\" at 2026-11-18 11:06:41 UTC, with the API key key_",
        "\"Ada Lovelace\" (\"person1@example.com\") made their signature by typing their name",
        "\"Ada Lovelace\" (\"person1@example.com\") signed at",
        "identified by the mailed link and a mailed code, from 198.51.100.7 (as a trusted proxy reported)",
        "\"Chidi Obi\" (\"person3@example.com\") confirmed reading",
        "\"Βασιλική Πέτρου\" (\"person2@example.com\") approved",
        "the mail with the link to the signed copy for \"Dora\" (\"person4@example.com\")",
    ] {
        assert!(account.contains(answer), "{answer}\n{account}");
    }
}

#[test]
fn a_report_for_programs_says_the_same() {
    let report = verify_package(archive(), &[]);
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
    assert_eq!(json["format"], "countersign-report/1");
    assert_eq!(json["verdict"], "incomplete");
    assert_eq!(json["items"].as_array().expect("items").len(), report.items.len());
    assert_eq!(json["items"][0]["id"], "archive");
    assert_eq!(json["items"][0]["outcome"], "passed");
}

#[test]
fn a_package_that_cannot_be_right_is_not_written() {
    use countersign_verify::PackageRefusal as Refusal;
    let mut none = package().clone();
    none.events.remove(0);
    assert!(matches!(none.to_bytes(), Err(Refusal::NoEnvelope)));
    let mut swapped = package().clone();
    swapped.documents.swap(0, 1);
    assert!(matches!(swapped.to_bytes(), Err(Refusal::Documents)));
    let mut silent = package().clone();
    silent.consents.clear();
    assert!(matches!(silent.to_bytes(), Err(Refusal::Consent { .. })));
    let mut unproven = package().clone();
    unproven.proof.insert(0, ' ');
    assert!(matches!(unproven.to_bytes(), Err(Refusal::Proof(_))));
}
