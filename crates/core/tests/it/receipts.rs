//! What recipients can do who have acted or get a copy, and how often anybody can do anything.

use countersign_core::{
    digest::Digest,
    envelope::{
        Body, Command, State,
        event::{Role, SealedDocument},
        state::Progress,
    },
    id::{MailId, RecipientId},
    limits,
    refusal::Code,
};

use crate::world::{World, code, new_envelope, recipient, types};

/// A signer, an approver after that, and somebody who gets a copy.
pub(crate) fn three() -> (World, [RecipientId; 3]) {
    let mut world = World::new();
    let recipients =
        vec![recipient(1, Role::Signer, 1), recipient(2, Role::Approver, 2), recipient(3, Role::Copy, 1)];
    let mut new = new_envelope(recipients, Vec::new());
    new.lifetime_s = limits::ENVELOPE_LONGEST_S;
    world.by_sender(Command::Create(Box::new(new))).unwrap();
    world.by_sender(Command::Send).unwrap();
    let ids = [world.recipient(0), world.recipient(1), world.recipient(2)];
    (world, ids)
}

pub(crate) fn seal(world: &mut World) {
    let documents = world.contents().documents;
    let sealed = documents.iter().map(|document| SealedDocument {
        document: document.id,
        sha256: Digest::of(b"sealed"),
        size_bytes: 1,
    });
    let seal = Command::RecordSealed {
        documents: sealed.collect(),
        certificate_sha256: Digest::of(b"completion"),
        certificate_size_bytes: 1,
        checkpoint_size: 1,
    };
    world.by_system(seal).unwrap();
}

pub(crate) fn progress(world: &World, recipient: RecipientId) -> Progress {
    world.state().underway().unwrap().progress_of(recipient).unwrap().clone()
}

pub(crate) fn resend(world: &mut World, recipient: RecipientId) {
    let events = world.by_sender(Command::Resend { recipient: Some(recipient) }).unwrap();
    assert!(
        matches!(&events[..], [Body::LinkIssued { recipient: to, .. }] if *to == recipient),
        "{events:?}"
    );
}

/// Five wrong codes are taken, and then neither a right one nor another; a new link starts afresh.
fn check_that_codes_are_counted(world: &mut World, recipient: RecipientId) {
    let session = world.open_session(recipient).unwrap();
    let typed = world.issue_code(recipient, session).unwrap();
    for tries_left in (0..limits::CODE_TRIES).rev() {
        let events = world.try_code(recipient, session, typed, false).unwrap();
        let locked = if tries_left == 0 { 2 } else { 1 };
        assert_eq!(types(&events), ["factor.failed", "factor.locked"][..locked]);
    }
    assert_eq!(code(world.try_code(recipient, session, typed, true)), Code::FactorLocked);
    assert_eq!(code(world.try_code(recipient, session, typed, false)), Code::FactorLocked);
    assert_eq!(code(world.issue_code(recipient, session)), Code::FactorLocked);
    let other = world.open_session(recipient).unwrap();
    assert_eq!(code(world.issue_code(recipient, other)), Code::FactorLocked);
    resend(world, recipient);
    world.identified(recipient);
}

#[test]
fn s_4_codes_are_counted_for_who_has_acted_and_for_copies_too() {
    let (mut world, [signer, approver, copy]) = three();
    world.act(signer);
    assert!(matches!(world.state(), State::Sent(_)));
    check_that_codes_are_counted(&mut world, signer);
    world.act(approver);
    assert!(matches!(world.state(), State::Sealing(..)));
    check_that_codes_are_counted(&mut world, signer);
    seal(&mut world);
    assert!(matches!(world.state(), State::Completed(..)));
    check_that_codes_are_counted(&mut world, approver);
    check_that_codes_are_counted(&mut world, copy);
}

#[test]
fn links_are_sent_again_to_who_has_acted_and_to_all_when_all_have() {
    let (mut world, [signer, approver, copy]) = three();
    world.act(signer);
    resend(&mut world, signer);
    world.open_session(signer).unwrap();
    let too_early = world.by_sender(Command::Resend { recipient: Some(copy) }).unwrap_err();
    assert_eq!(too_early.code, Code::NotYourTurn);
    assert!(
        too_early.sentence.contains("gets a copy: its mail follows when everybody has acted"),
        "{too_early}"
    );
    let to_all = world.by_sender(Command::Resend { recipient: None }).unwrap();
    assert!(
        matches!(&to_all[..], [Body::LinkIssued { recipient, .. }] if *recipient == approver),
        "who has acted is not written to again unasked"
    );
    world.act(approver);
    for complete in [false, true] {
        if complete {
            seal(&mut world);
        }
        world.now = world.now.plus_s(limits::LINK_S);
        for recipient in [signer, approver, copy] {
            assert_eq!(code(world.open_session(recipient)), Code::LinkExpired);
            resend(&mut world, recipient);
            world.open_session(recipient).unwrap();
        }
        let to_all = world.by_sender(Command::Resend { recipient: None }).unwrap();
        assert_eq!(types(&to_all), ["link.issued"; 3]);
    }
    let nobody = RecipientId::from_bytes([1; 16]);
    assert_eq!(code(world.by_sender(Command::Resend { recipient: Some(nobody) })), Code::NotFound);
    world.refolded();
}

#[test]
fn every_accepted_mail_about_completion_is_recorded_once() {
    let (mut world, [signer, approver, _]) = three();
    world.act(signer);
    world.act(approver);
    seal(&mut world);
    for mail in [1, 2] {
        let copied = Command::RecordCopied { recipient: signer, mail: MailId::from_bytes([mail; 16]) };
        assert_eq!(types(&world.by_system(copied.clone()).unwrap()), ["recipient.copied"]);
        assert_eq!(world.by_system(copied).unwrap(), Vec::new(), "a job that ran twice");
    }
}

#[test]
fn sessions_are_counted_for_each_link() {
    let (mut world, [signer, ..]) = three();
    for _ in 0..2 {
        for _ in 0..limits::SESSIONS_PER_LINK {
            world.open_session(signer).unwrap();
        }
        assert_eq!(code(world.open_session(signer)), Code::TooMany);
        resend(&mut world, signer);
    }
    world.act(signer);
}

#[test]
fn g_8_a_page_that_was_reported_is_not_recorded_again_in_the_same_session() {
    let (mut world, [signer, ..]) = three();
    let [first, second] = [0, 1].map(|number| world.contents().documents[number].clone());
    let sessions = [world.ready(signer), world.ready(signer)];
    for session in sessions {
        for (document, pages, new) in [
            (&first, vec![1], vec![1]),
            (&first, vec![1], vec![]),
            (&first, vec![2, 1], vec![2]),
            (&second, vec![1, 2], vec![1, 2]),
            (&first, vec![1, 2], vec![]),
        ] {
            let (document, sha256) = (document.id, document.sha256);
            let show = Command::ShowPages { recipient: signer, session, document, sha256, pages };
            let recorded: Vec<u32> = world
                .by(signer, session, show)
                .unwrap()
                .into_iter()
                .flat_map(|body| match body {
                    Body::PagesShown { pages, .. } => pages,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(recorded, new);
        }
    }
}
