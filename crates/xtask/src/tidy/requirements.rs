//! What has been promised is shown: each requirement is named in a test, so that a search for its id finds its proof.

use super::sources::{is_test_file, split_tests};
use super::{Complaint, SourceFile};

/// What is promised today: id, and what it asks in a few words. The list only grows.
const PROMISED: &[(&str, &str)] = &[
    ("S-1", "envelopes, documents, recipients, routing order, fields, expiry, decline, void, resend"),
    ("S-2", "the ceremony: disclosure, consent, guided fields, adopted signature, one button, receipt"),
    ("S-3", "the signer's factors: link and mailed code"),
    ("S-4", "links are locators with their secret in the fragment"),
    ("D-1", "SHA-256 of a document at upload, at each signature and at sealing"),
    ("D-2", "documents and personal data are encrypted at rest"),
    ("D-5", "the sealed PDF begins with the original bytes"),
    ("D-6", "PAdES B-B, and no silent downgrade"),
    ("D-8", "erasing a person's values leaves every proof valid"),
    ("E-1", "every act is an event"),
    ("E-2", "events are the truth and state is their fold"),
    ("E-3", "hash chain, Merkle log, checkpoints, proofs"),
    ("E-4", "the sealed PDF carries its trail"),
    ("E-5", "one evidence package for each envelope"),
    ("E-6", "an offline verifier that names the first thing that is wrong"),
    ("E-7", "a signature is bound to what was shown"),
    ("E-8", "opening a link proves nothing"),
    ("A-3", "small scopes: each operation needs its own"),
    ("A-9", "API keys: scoped, hashed, checksummed, ending within 90 days"),
    ("A-12", "objects of another organization are answered like unknown ones"),
    ("G-6", "idempotency keys"),
    ("G-8", "what is not declared is refused"),
    ("G-9", "security headers and a content security policy without unsafe sources"),
    ("L-1", "JSON logs with the agreed fields"),
    ("L-2", "one correlation id from request to job to mail"),
    ("L-3", "no personal data in logs"),
    ("X-1", "OpenAPI from the code"),
    ("X-2", "problem details with stable codes"),
    ("W-1", "Standard Webhooks headers, and HTTP Message Signatures with a published JWK set"),
    ("W-2", "keys are named and rotated behind a gate"),
    ("W-3", "a window, and replays refused by SDKs and relay"),
    ("W-4", "deliveries are made by the commit of their event, and none is lost"),
    ("W-5", "retries over days, notices, and sending again"),
    ("W-6", "endpoints see the classes and fields that their scope allows"),
    ("W-8", "nothing goes to an address that is not public, and little is read of an answer"),
    ("W-9", "receivers are proven before live events go to them"),
    ("W-10", "the relay verifies, keeps and forwards"),
    ("W-11", "verification examples in seven languages are run"),
    ("W-12", "a log of deliveries and attempts, bounded, with pages"),
];

/// Requirements that no test names.
pub(super) fn check(files: &[SourceFile]) -> Vec<Complaint> {
    let tests: Vec<&str> =
        files.iter().filter(|file| !file.path.starts_with("crates/xtask/")).map(tests_of).collect();
    PROMISED
        .iter()
        .filter(|(id, _)| !tests.iter().any(|text| names(text, id)))
        .map(|(id, what)| format!("no test names {id} ({what}): name it where it is shown"))
        .collect()
}

fn tests_of(file: &SourceFile) -> &str {
    if is_test_file(&file.path) { &file.text } else { split_tests(&file.text).1 }
}

/// Whether `text` names `id`, and not a longer id that begins or ends with it.
fn names(text: &str, id: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '-';
    text.match_indices(id).any(|(position, _)| {
        let (before, from) = text.split_at(position);
        let after = from.strip_prefix(id).unwrap_or_default();
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_as_a_whole_and_not_inside_another() {
        assert!(names("/// A-12: like an unknown one.", "A-12"));
        assert!(names("(D-5, E-3)", "E-3"));
        assert!(!names("/// A-12", "A-1"));
        assert!(!names("/// AA-1", "A-1"));
        assert!(!names("SHA-1-160", "A-1"));
    }

    #[test]
    fn an_id_counts_in_tests_only() {
        let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
        let all = PROMISED.len();
        assert_eq!(check(&[file("crates/core/src/a.rs", "//! E-3\n")]).len(), all);
        assert_eq!(
            check(&[file("crates/core/src/a.rs", "//! A\n#[cfg(test)]\nmod tests { // E-3\n}")]).len(),
            all - 1
        );
        assert_eq!(check(&[file("crates/core/tests/it/a.rs", "//! E-3\n")]).len(), all - 1);
    }
}
