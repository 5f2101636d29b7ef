//! Whatever the rules decide, deciding it again accepts; one event less, it does not (E-2).

use countersign_core::envelope::Chain;
use countersign_verify::{
    Check, ConsentFile, LoggedEvent, Outcome, Package, PackageDocument, verify_package,
};
use proptest::prelude::*;

use crate::{
    asks::{ask, created, put, roles},
    story::{keys, package, system},
    world::{CONSENT, World},
};

/// A package of these events around empty files; only what is said of the events matters.
fn around(world: &World, left_out: Option<usize>) -> Package {
    let mut chain = Chain::default();
    let mut events = Vec::new();
    for (index, recorded) in world.recorded.iter().enumerate().filter(|(index, _)| Some(*index) != left_out) {
        let mut event = recorded.event.clone();
        event.seq = chain.next_seq();
        let log_index = index as u64;
        let leaf_id = u128::from(log_index).to_be_bytes();
        events.push(LoggedEvent { recorded: chain.record(event), leaf_id, log_index });
    }
    let documents = world.contents().documents.into_iter().map(|document| PackageDocument {
        id: document.id,
        original: Vec::new(),
        sealed: Vec::new(),
    });
    Package {
        documents: documents.collect(),
        certificate: Vec::new(),
        events,
        proof: package().proof.clone(),
        consents: vec![ConsentFile { version: "2026-11".to_owned(), text: CONSENT.to_owned() }],
        system: system(),
    }
}

fn outcome(package: &Package, check: Check) -> (Outcome, String) {
    let report = verify_package(&package.to_bytes().expect("a package"), &keys());
    let item = report.items.into_iter().find(|item| item.check == check).expect("reported");
    (item.outcome, item.sentence)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn e_2_every_history_of_the_rules_is_legal(
        roles in roles(),
        asks in proptest::collection::vec(ask(), 0..60),
        erased in proptest::option::of(1..6_u8),
        left_out in any::<proptest::sample::Index>(),
    ) {
        let mut world = created(&roles);
        for ask in &asks {
            put(&mut world, ask);
        }
        let mut whole = around(&world, None);
        for check in [Check::Acts, Check::Legal] {
            prop_assert_eq!(outcome(&whole, check).0, Outcome::Passed, "{}", outcome(&whole, check).1);
        }
        for veiled in whole.events.iter_mut().flat_map(|logged| logged.recorded.event.veiled_mut()) {
            if erased.is_some_and(|person| veiled.person.as_bytes() == &[person; 16]) {
                veiled.opening = None;
            }
        }
        prop_assert_eq!(outcome(&whole, Check::Legal).0, Outcome::Passed, "{}", outcome(&whole, Check::Legal).1);

        // What others build on cannot be left out; a session that nobody used can.
        let index = left_out.index(world.recorded.len());
        let kind = world.recorded[index].event.body.type_text();
        if index > 0 && matches!(kind, "envelope.sent" | "envelope.sealing" | "factor.locked") {
            let gap = around(&world, Some(index));
            prop_assert_eq!(outcome(&gap, Check::Legal).0, Outcome::Failed, "{} was left out", kind);
        }
    }
}
