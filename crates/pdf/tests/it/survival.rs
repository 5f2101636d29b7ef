//! Whatever the bytes, reading them ends in an answer.

use countersign_pdf::inspect::{Limits, inspect};
use countersign_pdf::verify::verify;
use proptest::prelude::*;

use crate::support::{fixture, seal_whole};
use crate::throwaway;

/// The fuzz target begins with files of every kind that is read: all but the sealed one are accepted, and what it
/// checks of an accepted one holds.
#[test]
fn the_seeds_of_the_fuzz_target_are_sealed_and_verify() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/pdf_inspect");
    let mut sealed = 0;
    for entry in std::fs::read_dir(folder).expect("the seeds are there") {
        let path = entry.expect("a seed").path();
        let bytes = std::fs::read(&path).expect("a seed is readable");
        match inspect(&bytes, &limits()) {
            Ok(_) => throwaway::assert_sealable(&bytes, &limits()),
            Err(refusal) => assert_eq!(refusal.code(), "pdf-already-signed", "{}", path.display()),
        }
        sealed += 1;
    }
    assert!(sealed >= 8, "{sealed} seeds");
}

const SEEDS: [&str; 7] = [
    "reportlab-form.pdf",
    "object-streams.pdf",
    "linearized.pdf",
    "inherited.pdf",
    "attachments-encrypted.pdf",
    "owner-rc4.pdf",
    "small.pdf",
];

/// Bounds that keep a mutated length or count from costing seconds.
fn limits() -> Limits {
    Limits { work: 50_000_000, ..Limits::default() }
}

#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    Digits(usize, u32),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (place.clone(), 0..200_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (place.clone(), 0..200_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        (place, any::<u32>()).prop_map(|(at, number)| Change::Digits(at, number)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let length = bytes.len().max(1);
    match *change {
        Change::Set(at, byte) => bytes[at % length] = byte,
        Change::Remove(at, count) => {
            let at = at % length;
            bytes.drain(at..(at + count).min(length - 1).max(at));
        }
        Change::Repeat(at, count) => {
            let at = at % length;
            let piece = bytes[at..(at + count).min(length)].to_vec();
            bytes.splice(at..at, piece);
        }
        // The next digits become another number: offsets, lengths, counts and references are what parsers trust.
        Change::Digits(at, number) => {
            let at = at % length;
            if let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|skip| at + skip) {
                let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let text = format!(
                    "{:0digits$}",
                    u64::from(number) % 10_u64.pow(u32::try_from(digits.min(12)).unwrap_or(12))
                );
                bytes.splice(start..start + digits, text.into_bytes());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_are_accepted_or_refused_and_never_panic(
        seed in prop::sample::select(&SEEDS[..]),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut bytes = fixture(seed);
        for change in &changes {
            apply(&mut bytes, change);
        }
        if inspect(&bytes, &limits()).is_ok() {
            // What is accepted can be sealed.
            let sealed = seal_whole(&bytes);
            prop_assert!(sealed.is_ok(), "{:?}", sealed.err());
            let sealed = sealed.unwrap_or_default();
            prop_assert!(sealed.starts_with(&bytes));
            let verified = verify(&sealed, &Limits::for_sealed());
            prop_assert!(verified.is_ok(), "{:?}", verified.err());
        }
        let _ = verify(&bytes, &limits());
    }

    #[test]
    fn any_bytes_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(inspect(&bytes, &limits()).is_err());
        let headed = [b"%PDF-1.7\n".as_slice(), &bytes, b"\nstartxref\n9\n%%EOF"].concat();
        prop_assert!(inspect(&headed, &limits()).is_err());
    }
}
