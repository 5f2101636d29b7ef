//! Whatever bytes come, the verifier answers and never calls them genuine.

use countersign_verify::{Verdict, verify_package, verify_sealed_pdf};
use proptest::prelude::*;

use crate::{
    files::Files,
    story::{archive, keys, package},
};

/// What is done to bytes, at a place that is taken modulo their length.
#[derive(Clone, Debug)]
enum Damage {
    Put(usize, u8),
    Insert(usize, Vec<u8>),
    Cut(usize, usize),
    Double(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Put(at, byte)),
        (any::<usize>(), proptest::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<usize>(), 1..2_000_usize).prop_map(|(at, length)| Damage::Cut(at, length)),
        (any::<usize>(), 1..2_000_usize).prop_map(|(at, length)| Damage::Double(at, length)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    let length = bytes.len().max(1);
    match damage {
        Damage::Put(at, byte) => {
            if let Some(place) = bytes.get_mut(at % length) {
                *place = *byte;
            }
        }
        Damage::Insert(at, more) => drop(bytes.splice(at % length..at % length, more.iter().copied())),
        Damage::Cut(at, count) => drop(bytes.drain(at % length..(at % length + count).min(bytes.len()))),
        Damage::Double(at, count) => {
            let part = bytes[at % length..(at % length + count).min(bytes.len())].to_vec();
            bytes.splice(at % length..at % length, part);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_archives_are_answered(damages in proptest::collection::vec(damage(), 1..4)) {
        let mut bytes = archive().to_vec();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        prop_assert!(bytes == archive() || verify_package(&bytes, &keys()).verdict() == Verdict::Failed);
    }

    #[test]
    fn damaged_files_in_a_fitting_archive_are_answered(
        file in any::<proptest::sample::Index>(),
        damages in proptest::collection::vec(damage(), 1..4),
    ) {
        let mut files = Files::read(archive());
        let index = file.index(files.0.len());
        for damage in &damages {
            apply(&mut files.0[index].1, damage);
        }
        let bytes = files.write();
        prop_assert!(bytes == archive() || verify_package(&bytes, &keys()).verdict() == Verdict::Failed);
    }

    #[test]
    fn damaged_pdfs_are_answered(damages in proptest::collection::vec(damage(), 1..4)) {
        let sealed = &package().documents[0].sealed;
        let mut bytes = sealed.clone();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        prop_assert!(bytes == *sealed || verify_sealed_pdf(&bytes, &keys()).verdict() == Verdict::Failed);
    }

    #[test]
    fn arbitrary_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(verify_package(&bytes, &keys()).verdict(), Verdict::Failed);
        prop_assert_eq!(verify_sealed_pdf(&bytes, &keys()).verdict(), Verdict::Failed);
    }
}
