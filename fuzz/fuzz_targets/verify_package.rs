//! A package or a sealed PDF: always a report, never a panic, and nothing is genuine without a key.
#![no_main]

use countersign_verify::{Verdict, verify_package, verify_sealed_pdf};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let report = match bytes.starts_with(b"%PDF") {
        true => verify_sealed_pdf(bytes, &[]),
        false => verify_package(bytes, &[]),
    };
    assert!(matches!(report.verdict(), Verdict::Failed | Verdict::Incomplete), "there is no key");
    assert!(!report.to_text().is_empty() && !report.to_json().is_empty());
});
