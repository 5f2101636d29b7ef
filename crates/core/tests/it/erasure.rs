//! Erasing a person's data leaves every proof valid (D-8).

use countersign_core::{
    envelope::{Chain, Opening, event::Role, state::Folded},
    id::PersonId,
};

use crate::world::{World, personal, recipient};

#[test]
fn d_8_bytes_hold_no_personal_value() {
    let mut world = World::sent(vec![recipient(1, Role::Signer, 1)], Vec::new());
    world.act(world.recipient(0));
    for recorded in &world.recorded {
        let bytes = String::from_utf8(recorded.bytes.clone()).unwrap();
        for personal in
            ["Person 1", "person1@", "192.0.2.7", "Test/1.0", "Rose Street", "P. One", "document 1"]
        {
            assert!(!bytes.contains(personal), "{personal} is in {}", recorded.event.body.type_text());
        }
    }
}

#[test]
fn d_8_without_openings_the_chain_and_the_state_are_the_same() {
    let mut world = World::sent(vec![recipient(1, Role::Signer, 1)], Vec::new());
    world.act(world.recipient(0));
    let mut chain = Chain::default();
    let mut folded = Folded::default();
    for recorded in &world.recorded {
        let read = chain.follow(&recorded.bytes).unwrap();
        assert_eq!(read.hash, recorded.hash);
        assert!(read.event.veiled().iter().all(|veiled| veiled.opening.is_none()));
        folded.apply(&read.event);
    }
    folded.chain = chain;
    assert_eq!(folded, world.folded, "an erased value is still the same value");
}

#[test]
fn d_8_only_the_right_opening_opens_a_value() {
    let world = World::sent(vec![recipient(1, Role::Signer, 1)], Vec::new());
    let known = world.contents().title;
    let mut erased = known.clone();
    erased.opening = None;
    let opening = known.opening.clone().unwrap();
    let read = Opening::from_bytes(&opening.to_bytes()).unwrap();
    assert_eq!(read, opening);
    assert_eq!(Opening::from_bytes(&opening.to_bytes()[..15]), None);
    let other_value = Opening { value: personal("Lease of 13 Rose Street"), ..opening.clone() };
    let mut other_salt = opening.clone();
    other_salt.salt[15] ^= 1;
    assert!(!erased.open(other_value) && !erased.open(other_salt) && erased.value().is_none());
    assert!(erased.open(opening));
    assert_eq!(erased.value().unwrap().disclose(), "Lease of 12 Rose Street");
    let mut of_another = erased.clone();
    of_another.person = PersonId::from_bytes([1; 16]);
    assert_ne!(of_another, erased, "whose value it is belongs to it");
}

#[test]
fn every_salt_is_drawn_once() {
    let mut world = World::sent(vec![recipient(1, Role::Signer, 1)], Vec::new());
    world.act(world.recipient(0));
    let values = world.recorded.iter().flat_map(|recorded| recorded.event.veiled());
    let mut salts: Vec<_> = values.filter_map(|veiled| Some(veiled.opening.as_ref()?.salt)).collect();
    let actors = world.recorded.iter().map(|recorded| recorded.event.actor.clone()).collect::<Vec<_>>();
    // Events of one decision share their actor, and with it its values.
    let shared = actors.windows(2).filter(|pair| pair[0] == pair[1]).count() * 2;
    let all = salts.len();
    salts.sort_unstable();
    salts.dedup();
    assert_eq!(salts.len(), all - shared);
}
