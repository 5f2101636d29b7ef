//! Random sequences of commands: whatever is asked, the rules hold (E-2).

use std::{collections::BTreeSet, mem::discriminant};

use countersign_core::{
    envelope::{
        Body, State, Veiled,
        event::{Factor, Role},
    },
    id::RecipientId,
};
use proptest::prelude::*;

use crate::{
    asks::{ask, created, put, roles},
    world::{World, personal},
};

fn is_terminal(state: &State) -> bool {
    matches!(state, State::Completed(..) | State::Declined(..) | State::Voided(..) | State::Expired(_))
}

/// What must hold of the events alone.
fn check_history(world: &World) -> Result<(), TestCaseError> {
    let contents = world.contents();
    let mut done: BTreeSet<RecipientId> = BTreeSet::new();
    let must_act = |order: u16| {
        contents
            .recipients
            .iter()
            .filter(move |one| one.role != Role::Copy && one.order < order)
            .map(|one| one.id)
    };
    for recorded in &world.recorded {
        match &recorded.event.body {
            Body::Signed(act) | Body::Approved(act) | Body::Read(act) => {
                let recipient = contents.recipient(act.recipient).unwrap();
                prop_assert!(done.insert(recipient.id), "one act each");
                prop_assert!(must_act(recipient.order).all(|before| done.contains(&before)), "in order");
                let session = world.state().underway().unwrap().progress_of(recipient.id).unwrap();
                let session = session.session(act.session).unwrap();
                prop_assert!(session.factors.contains(&Factor::EmailCode), "identified");
                prop_assert_eq!(session.consent.as_ref(), Some(&act.consent));
            }
            Body::SealingStarted { .. } => {
                prop_assert!(
                    must_act(u16::MAX).all(|one| done.contains(&one)),
                    "sealed only after all acted"
                );
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn e_2_whatever_is_asked_the_events_are_the_truth(roles in roles(), asks in proptest::collection::vec(ask(), 0..70)) {
        let mut world = created(&roles);
        for ask in &asks {
            let (before, count) = (world.folded.clone(), world.recorded.len());
            put(&mut world, ask);
            if world.recorded.len() == count {
                prop_assert_eq!(&before, &world.folded, "nothing changes without an event");
            }
            if is_terminal(&before.state) {
                prop_assert_eq!(discriminant(&before.state), discriminant(world.state()), "{:?} revived it", ask);
            }
        }
        prop_assert_eq!(&world.refolded(), &world.folded, "the events alone give the state");
        check_history(&world)?;
    }

    #[test]
    fn d_8_an_opening_survives_its_bytes_and_opens_only_its_own(salt: [u8; 16], value in ".{0,40}", other in ".{0,40}") {
        let person = countersign_core::id::PersonId::from_bytes([1; 16]);
        let veiled = Veiled::new(person, salt, personal(&value));
        let mut closed = veiled.clone();
        closed.opening = None;
        let wrong = countersign_core::envelope::Opening { salt, value: personal(&other) };
        prop_assert_eq!(closed.open(wrong), value == other);
    }

    #[test]
    fn arbitrary_bytes_are_no_event_and_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(countersign_core::envelope::Chain::default().follow(&bytes).is_err());
    }
}
