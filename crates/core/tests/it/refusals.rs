//! What the rules refuse, and what they let pass quietly.

use countersign_core::{
    digest::Digest,
    envelope::{
        Command, State,
        command::Submission,
        event::{AdoptionMethod, FieldKind, Role},
        state::RecipientStatus,
    },
    id::{FieldId, LinkId, MailId, RecipientId, SessionId},
    limits,
    refusal::Code,
};

use crate::world::{CONSENT, World, code, field, new_envelope, personal, recipient, types};

fn one_signer() -> (World, RecipientId) {
    let world = World::sent(vec![recipient(1, Role::Signer, 1)], Vec::new());
    let signer = world.recipient(0);
    (world, signer)
}

/// A signer, then an approver and a viewer in parallel, and somebody who gets a copy.
fn four() -> World {
    let recipients = vec![
        recipient(1, Role::Signer, 1),
        recipient(2, Role::Approver, 2),
        recipient(3, Role::Viewer, 2),
        recipient(4, Role::Copy, 1),
    ];
    World::sent(recipients, Vec::new())
}

fn status(world: &World, recipient: RecipientId) -> RecipientStatus {
    world.state().underway().unwrap().progress_of(recipient).unwrap().status
}

#[test]
fn what_does_not_exist_is_not_found() {
    let mut world = World::new();
    assert_eq!(code(world.by_sender(Command::Send)), Code::NotFound);
    assert_eq!(code(world.by_sender(Command::Void { reason: None })), Code::NotFound);
    assert_eq!(code(world.by_sender(Command::RecordExport)), Code::NotFound);
    let (nobody, mail) = (RecipientId::from_bytes([1; 16]), MailId::from_bytes([1; 16]));
    for command in [
        Command::Expire,
        Command::RecordNotified { recipient: nobody, mail },
        Command::RecordBounced { recipient: nobody, mail, smtp_status: 550 },
        Command::RecordCodeDelivered { recipient: nobody, mail },
        Command::RecordCopied { recipient: nobody, mail },
    ] {
        assert_eq!(world.by_system(command).unwrap(), Vec::new());
    }
    let (mut world, _) = one_signer();
    for command in [
        Command::RecordNotified { recipient: nobody, mail },
        Command::RecordBounced { recipient: nobody, mail, smtp_status: 550 },
        Command::RecordCodeDelivered { recipient: nobody, mail },
    ] {
        assert_eq!(world.by_system(command).unwrap(), Vec::new(), "a mail to nobody is no event");
    }
}

#[test]
fn an_envelope_is_created_once_and_sent_once() {
    let mut world = World::new();
    let new = || Command::Create(Box::new(new_envelope(vec![recipient(1, Role::Signer, 1)], Vec::new())));
    world.by_sender(new()).unwrap();
    assert_eq!(code(world.by_sender(new())), Code::WrongState);
    let signer = world.recipient(0);
    assert_eq!(code(world.open_session(signer)), Code::WrongState, "a draft has no sessions");
    assert_eq!(types(&world.by_sender(Command::Send).unwrap()), ["envelope.sent", "link.issued"]);
    assert_eq!(world.by_sender(Command::Send).unwrap(), Vec::new(), "sending again changes nothing");
}

#[test]
fn an_expired_envelope_takes_nothing() {
    let (mut world, signer) = one_signer();
    assert_eq!(world.by_system(Command::Expire).unwrap(), Vec::new(), "not before its time");
    let session = world.ready(signer);
    world.now = world.now.plus_s(3_600);
    let submission = world.submission(signer, session);
    assert_eq!(code(world.submit(signer, submission)), Code::Expired, "even before the job has noticed");
    assert_eq!(types(&world.by_system(Command::Expire).unwrap()), ["envelope.expired"]);
    assert_eq!(world.by_system(Command::Expire).unwrap(), Vec::new());
    assert_eq!(code(world.open_session(signer)), Code::Expired);
    assert_eq!(code(world.by_sender(Command::Void { reason: None })), Code::Expired);
    assert_eq!(code(world.by_sender(Command::Resend { recipient: None })), Code::Expired);
    assert_eq!(code(world.by_sender(Command::Send)), Code::Expired);
}

#[test]
fn voiding_twice_is_not_an_error_and_ends_everything() {
    let (mut world, signer) = one_signer();
    let session = world.ready(signer);
    let reason = Some(personal("A mistake."));
    assert_eq!(types(&world.by_sender(Command::Void { reason }).unwrap()), ["envelope.voided"]);
    assert_eq!(world.by_sender(Command::Void { reason: None }).unwrap(), Vec::new());
    let submission = world.submission(signer, session);
    assert_eq!(code(world.submit(signer, submission)), Code::Voided);
    assert_eq!(code(world.open_session(signer)), Code::Voided);
    assert_eq!(code(world.by_sender(Command::Send)), Code::Voided);
}

#[test]
fn a_completed_envelope_cannot_be_voided_or_declined() {
    let (mut world, signer) = one_signer();
    world.act(signer);
    assert!(matches!(world.state(), State::Sealing(..)));
    assert_eq!(code(world.by_sender(Command::Void { reason: None })), Code::WrongState);
    let session = world.open_session(signer).unwrap();
    let decline = Command::Decline { recipient: signer, session, reason: None };
    assert_eq!(code(world.by(signer, session, decline)), Code::AlreadyDone);
}

#[test]
fn declining_ends_the_envelope_for_all() {
    let mut world = four();
    let signer = world.recipient(0);
    let session = world.identified(signer);
    let decline = || Command::Decline { recipient: signer, session, reason: Some(personal("Wrong rent.")) };
    assert_eq!(types(&world.by(signer, session, decline()).unwrap()), ["recipient.declined"]);
    assert_eq!(world.by(signer, session, decline()).unwrap(), Vec::new(), "a double click");
    assert_eq!(status(&world, signer), RecipientStatus::Declined);
    assert_eq!(code(world.open_session(world.recipient(1))), Code::Declined);
    assert_eq!(code(world.by_sender(Command::Void { reason: None })), Code::Declined);
}

#[test]
fn nobody_acts_out_of_turn() {
    let mut world = four();
    let (signer, approver, viewer, copy) =
        (world.recipient(0), world.recipient(1), world.recipient(2), world.recipient(3));
    assert_eq!(world.link(approver), None, "the second in order has no link yet");
    assert_eq!(code(world.by_sender(Command::Resend { recipient: Some(approver) })), Code::NotYourTurn);
    assert_eq!(code(world.by_sender(Command::Resend { recipient: Some(copy) })), Code::NotYourTurn);
    let nobody = RecipientId::from_bytes([1; 16]);
    assert_eq!(code(world.by_sender(Command::Resend { recipient: Some(nobody) })), Code::NotFound);
    assert_eq!(code(world.open_session(approver)), Code::LinkExpired);
    world.act(signer);
    let issued = world.recorded.iter().filter(|one| one.event.body.type_text() == "link.issued").count();
    assert_eq!(issued, 3, "one at first, then two in parallel");
    world.act(viewer);
    assert!(matches!(world.state(), State::Sent(_)), "the approver is still to come");
    world.act(approver);
    assert!(matches!(world.state(), State::Sealing(..)));
}

#[test]
fn only_the_newest_link_opens_a_session_until_it_ends() {
    let (mut world, signer) = one_signer();
    let first = world.link(signer).unwrap();
    world.by_sender(Command::Resend { recipient: None }).unwrap();
    let session = SessionId::from_bytes([8; 16]);
    let open = |link: LinkId| Command::OpenSession { recipient: signer, link, session };
    assert_eq!(code(world.by(signer, session, open(first))), Code::LinkExpired);
    let second = world.link(signer).unwrap();
    assert_ne!(first, second);
    world.by(signer, session, open(second)).unwrap();
    assert_eq!(code(world.open_session(RecipientId::from_bytes([1; 16]))), Code::NotFound);

    let mut long = World::new();
    let mut new = new_envelope(vec![recipient(1, Role::Signer, 1)], Vec::new());
    new.lifetime_s = limits::ENVELOPE_LONGEST_S;
    long.by_sender(Command::Create(Box::new(new))).unwrap();
    long.by_sender(Command::Send).unwrap();
    long.now = long.now.plus_s(limits::LINK_S);
    let signer = long.recipient(0);
    assert_eq!(code(long.open_session(signer)), Code::LinkExpired);
    long.by_sender(Command::Resend { recipient: Some(signer) }).unwrap();
    long.open_session(signer).unwrap();
}

#[test]
fn sessions_and_codes_are_counted() {
    let (mut world, signer) = one_signer();
    let session = world.open_session(signer).unwrap();
    for _ in 0..limits::CODES_PER_SESSION {
        world.issue_code(signer, session).unwrap();
    }
    assert_eq!(code(world.issue_code(signer, session)), Code::TooMany);
    for _ in 1..limits::SESSIONS_PER_LINK {
        world.open_session(signer).unwrap();
    }
    assert_eq!(code(world.open_session(signer)), Code::TooMany);
}

#[test]
fn s_4_five_wrong_codes_lock_across_sessions_and_resending_unlocks() {
    let (mut world, signer) = one_signer();
    for tries_left in (0..5_u32).rev() {
        let session = world.open_session(signer).unwrap();
        let wrong = world.issue_code(signer, session).unwrap();
        let events = world.try_code(signer, session, wrong, false).unwrap();
        let locked = if tries_left == 0 { 2 } else { 1 };
        assert_eq!(types(&events), ["factor.failed", "factor.locked"][..locked]);
    }
    assert_eq!(status(&world, signer), RecipientStatus::FactorLocked);
    let session = world.open_session(signer).unwrap();
    assert_eq!(code(world.issue_code(signer, session)), Code::FactorLocked);
    assert_eq!(
        code(world.try_code(signer, session, countersign_core::id::CodeId::from_bytes([0; 16]), true)),
        Code::FactorLocked
    );
    assert_eq!(code(world.consent(signer, session)), Code::FactorLocked);

    world.by_sender(Command::Resend { recipient: Some(signer) }).unwrap();
    assert_eq!(status(&world, signer), RecipientStatus::Pending);
    world.act(signer);
}

#[test]
fn s_4_a_right_code_forgives_the_wrong_ones_before() {
    let (mut world, signer) = one_signer();
    for _ in 0..3 {
        let session = world.open_session(signer).unwrap();
        for right in [false, false, false, false, true] {
            let typed = world.issue_code(signer, session).unwrap();
            world.try_code(signer, session, typed, right).unwrap();
        }
    }
    assert_ne!(status(&world, signer), RecipientStatus::FactorLocked);
}

#[test]
fn s_4_a_code_ends_after_ten_minutes_after_use_and_with_the_next_one() {
    let (mut world, signer) = one_signer();
    let session = world.open_session(signer).unwrap();
    let first = world.issue_code(signer, session).unwrap();
    world.now = world.now.plus_s(limits::CODE_S);
    assert_eq!(code(world.try_code(signer, session, first, true)), Code::CodeExpired);
    let second = world.issue_code(signer, session).unwrap();
    let third = world.issue_code(signer, session).unwrap();
    assert_eq!(code(world.try_code(signer, session, second, true)), Code::CodeExpired);
    let other = world.open_session(signer).unwrap();
    assert_eq!(code(world.try_code(signer, other, third, true)), Code::CodeExpired, "bound to its session");
    world.now = world.now.plus_ms(limits::CODE_S * 1_000 - 1);
    world.try_code(signer, session, third, true).unwrap();
    assert_eq!(code(world.try_code(signer, session, third, true)), Code::CodeExpired, "single use");
}

#[test]
fn without_its_factor_a_session_shows_nothing() {
    let (mut world, signer) = one_signer();
    let session = world.open_session(signer).unwrap();
    assert_eq!(code(world.consent(signer, session)), Code::FactorMissing);
    assert_eq!(code(world.open_documents(signer, session)), Code::FactorMissing);
    let submission = world.submission(signer, session);
    assert_eq!(code(world.submit(signer, submission)), Code::FactorMissing);
    let decline = Command::Decline { recipient: signer, session, reason: None };
    assert_eq!(code(world.by(signer, session, decline)), Code::FactorMissing);
    let unknown = SessionId::from_bytes([1; 16]);
    assert_eq!(code(world.consent(signer, unknown)), Code::NotFound);
}

#[test]
fn no_document_and_no_act_before_consent_to_the_text_that_was_shown() {
    let (mut world, signer) = one_signer();
    let session = world.identified(signer);
    let (version, sha256) = ("2026-11".to_owned(), Digest::of(CONSENT.as_bytes()));
    let give = Command::GiveConsent { recipient: signer, session, version, sha256 };
    assert_eq!(code(world.by(signer, session, give)), Code::ConsentMissing, "nothing was shown yet");
    assert_eq!(code(world.open_documents(signer, session)), Code::ConsentMissing);
    let submission = world.submission(signer, session);
    assert_eq!(code(world.submit(signer, submission)), Code::ConsentMissing);
    world.consent(signer, session).unwrap();
    world.open_documents(signer, session).unwrap();
    let mut submission = world.submission(signer, session);
    submission.consent_sha256 = Digest::of(b"another text");
    assert_eq!(code(world.submit(signer, submission)), Code::ConsentMissing);
}

#[test]
fn d_1_a_changed_document_stops_signing() {
    let (mut world, signer) = one_signer();
    let session = world.identified(signer);
    world.consent(signer, session).unwrap();
    let submission = world.submission(signer, session);
    assert_eq!(code(world.submit(signer, submission)), Code::DocumentChanged, "nothing was opened");
    let document = world.contents().documents[0].id;
    let changed = Digest::of(b"changed in the store");
    let open = Command::OpenDocument { recipient: signer, session, document, sha256: changed };
    assert_eq!(types(&world.by(signer, session, open).unwrap()), ["document.mismatched"]);
    let pages = Command::ShowPages { recipient: signer, session, document, sha256: changed, pages: vec![1] };
    assert_eq!(code(world.by(signer, session, pages)), Code::DocumentChanged);
    world.open_documents(signer, session).unwrap();
    for change in 0..4 {
        let mut submission = world.submission(signer, session);
        match change {
            0 => submission.documents[0].sha256 = changed,
            1 => submission.documents[1].page_count += 1,
            2 => submission.documents.swap(0, 1),
            _ => drop(submission.documents.pop()),
        }
        assert_eq!(code(world.submit(signer, submission)), Code::DocumentChanged, "change {change}");
    }
    let submission = world.submission(signer, session);
    world.submit(signer, submission).unwrap();
}

#[test]
fn pages_are_reported_once_each_and_only_where_they_exist() {
    let (mut world, signer) = one_signer();
    let session = world.ready(signer);
    let document = world.contents().documents[0].clone();
    let show = |pages: Vec<u32>| Command::ShowPages {
        recipient: signer,
        session,
        document: document.id,
        sha256: document.sha256,
        pages,
    };
    let shown = world.by(signer, session, show(vec![2, 1, 2, 0, 3])).unwrap();
    assert!(
        matches!(&shown[..], [countersign_core::envelope::Body::PagesShown { pages, .. }] if *pages == [1, 2])
    );
    assert_eq!(world.by(signer, session, show(vec![0, 9])).unwrap(), Vec::new());
}

#[test]
fn e_7_the_button_s_label_and_the_mark_are_what_the_role_asks() {
    let mut world = four();
    let signer = world.recipient(0);
    let session = world.ready(signer);
    let mut wrong = world.submission(signer, session);
    wrong.label = personal("Sign “Another title”");
    assert_eq!(code(world.submit(signer, wrong)), Code::Invalid);
    let mut unmarked = world.submission(signer, session);
    unmarked.adopted = None;
    assert_eq!(code(world.submit(signer, unmarked)), Code::FieldMissing);
    let outside = r#"{"width":10,"height":10,"strokes":[[[11,0],[1,1]]]}"#;
    for scribble in ["", "{}", outside, "[10,10,[[[10,0],[1,1]]]]"] {
        let mut drawn = world.submission(signer, session);
        drawn.adopted = Some((AdoptionMethod::Drawn, personal(scribble)));
        assert_eq!(code(world.submit(signer, drawn)), Code::Invalid);
    }
    let mut drawn = world.submission(signer, session);
    drawn.adopted =
        Some((AdoptionMethod::Drawn, personal(r#"{"width":10,"height":10,"strokes":[[[10,0],[1,1]]]}"#)));
    let events = world.submit(signer, drawn).unwrap();
    assert_eq!(types(&events)[..2], ["signature.adopted", "recipient.signed"]);

    let approver = world.recipient(1);
    let session = world.ready(approver);
    let mut marked = world.submission(approver, session);
    marked.adopted = Some((AdoptionMethod::Typed, personal("P. Two")));
    assert_eq!(code(world.submit(approver, marked)), Code::Invalid);
}

#[test]
fn g_7_handing_in_twice_signs_once() {
    let (mut world, signer) = one_signer();
    let session = world.ready(signer);
    let submission = world.submission(signer, session);
    let first = world.submit(signer, submission.clone()).unwrap();
    assert_eq!(types(&first), ["signature.adopted", "recipient.signed", "envelope.sealing"]);
    assert_eq!(world.submit(signer, submission.clone()).unwrap(), Vec::new(), "a lost answer");
    let other_tab = world.submission(signer, session);
    assert_eq!(code(world.submit(signer, other_tab)), Code::AlreadyDone);
}

/// E-7: another act under the nonce of the first is not the first again: nobody is told that it counts.
#[test]
fn g_7_handing_in_something_else_after_the_act_is_refused() {
    let rent = field(0, FieldKind::Text { max_chars: 9, multiline: false }, false);
    let mut world = World::sent(vec![recipient(1, Role::Signer, 1)], vec![rent]);
    let signer = world.recipient(0);
    let session = world.ready(signer);
    let rent = world.contents().fields[0].id;
    let mut submission = world.submission(signer, session);
    submission.values = vec![(rent, personal("100"))];
    world.submit(signer, submission.clone()).unwrap();
    assert_eq!(world.submit(signer, submission.clone()).unwrap(), Vec::new(), "the same");
    let others: [fn(&mut Submission, FieldId); 5] = [
        |other, rent| other.values = vec![(rent, personal("999"))],
        |other, _| other.values.clear(),
        |other, _| other.adopted = Some((AdoptionMethod::Typed, personal("Somebody"))),
        |other, _| other.adopted = None,
        |other, _| other.documents.clear(),
    ];
    for change in others {
        let mut other = submission.clone();
        change(&mut other, rent);
        assert_eq!(code(world.submit(signer, other)), Code::AlreadyDone);
    }
}

#[test]
fn only_what_is_sealing_is_sealed_and_exactly_its_documents() {
    let (mut world, signer) = one_signer();
    let seal = |documents: Vec<u8>| Command::RecordSealed {
        documents: documents
            .into_iter()
            .map(|index| countersign_core::envelope::event::SealedDocument {
                document: countersign_core::id::DocumentId::from_bytes([index; 16]),
                sha256: Digest::of(&[index]),
                size_bytes: 2_000,
            })
            .collect(),
        certificate_sha256: Digest::of(b"completion"),
        certificate_size_bytes: 3_000,
        checkpoint_size: 10,
    };
    assert_eq!(code(world.by_system(seal(vec![1, 2]))), Code::WrongState);
    world.act(signer);
    for wrong in [vec![], vec![1], vec![2, 1], vec![1, 2, 3]] {
        assert_eq!(code(world.by_system(seal(wrong))), Code::Invalid);
    }
    assert_eq!(types(&world.by_system(seal(vec![1, 2])).unwrap()), ["envelope.sealed", "link.issued"]);
    assert_eq!(world.by_system(seal(vec![1, 2])).unwrap(), Vec::new(), "a job that ran twice");
    let mail = MailId::from_bytes([1; 16]);
    let copied = Command::RecordCopied { recipient: signer, mail };
    assert_eq!(types(&world.by_system(copied.clone()).unwrap()), ["recipient.copied"]);
    assert_eq!(world.by_system(copied).unwrap(), Vec::new());
}

#[test]
fn a_clock_that_was_set_back_dates_no_event_before_the_last() {
    let (mut world, signer) = one_signer();
    world.now = world.now.plus_s(-500);
    world.open_session(signer).unwrap();
    world.refolded();
}

/// E-4: nothing is bound to a certificate that is not valid, and what does not complete the envelope goes on.
#[test]
fn the_last_act_is_refused_while_nothing_can_be_sealed() {
    let mut world =
        World::sent(vec![recipient(1, Role::Signer, 1), recipient(2, Role::Signer, 2)], Vec::new());
    world.can_seal = false;
    world.act(world.recipient(0));
    let last = world.recipient(1);
    let session = world.ready(last);
    let submission = world.submission(last, session);
    assert_eq!(code(world.submit(last, submission.clone())), Code::SealUnavailable);
    assert!(matches!(world.state(), State::Sent(..)));
    world.can_seal = true;
    world.submit(last, submission).unwrap();
    assert!(matches!(world.state(), State::Sealing(..)));
}
