//! An envelope in which all room is used is sealed and checked like any other.

use countersign_core::limits;
use countersign_verify::{Verdict, verify_sealed_pdf};

use crate::story::{keys, sealed_document, until_sealing_when_full};

/// E-2: what the rules let happen, however much it is, can be checked.
#[test]
fn an_envelope_that_is_full_is_genuine() {
    let events = until_sealing_when_full();
    let count = u64::try_from(events.len()).unwrap();
    let acts = 10 * limits::RECIPIENTS_PER_ENVELOPE as u64;
    assert!(count > limits::EVENTS_IN_COMMON + acts && count < limits::EVENTS_PER_ENVELOPE, "{count}");
    let report = verify_sealed_pdf(&sealed_document(events), &keys());
    assert_eq!(report.verdict(), Verdict::Genuine, "{report:?}");
}
