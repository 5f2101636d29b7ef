//! Random sequences of commands: whatever is asked, the rules hold (E-2).

use std::{collections::BTreeSet, mem::discriminant};

use countersign_core::{
    digest::Digest,
    envelope::{
        Body, Command, State, Veiled,
        event::{Download, Factor, FieldKind, Role, SealedDocument},
    },
    id::{CodeId, MailId, RecipientId, SessionId},
};
use proptest::prelude::*;

use crate::world::{CONSENT, World, field, new_envelope, personal, recipient};

/// Something that may be asked, by numbers that are taken modulo what there is.
#[derive(Clone, Debug)]
enum Ask {
    Send,
    Resend(Option<u8>),
    Void,
    Wait(i64),
    Expire,
    Mailed(u8, bool),
    Open(u8),
    Code(u8, u8),
    Try(u8, u8, bool),
    Consent(u8, u8),
    Read(u8, u8, bool),
    Submit(u8, u8, bool),
    Decline(u8, u8),
    Whole(u8),
    Seal(bool),
    Copied(u8),
    Download,
}

fn ask() -> impl Strategy<Value = Ask> {
    let recipient = || 0..5_u8;
    let session = || 0..4_u8;
    prop_oneof![
        1 => Just(Ask::Send),
        1 => proptest::option::of(recipient()).prop_map(Ask::Resend),
        1 => Just(Ask::Void),
        2 => (0..900_i64).prop_map(Ask::Wait),
        1 => Just(Ask::Expire),
        2 => (recipient(), any::<bool>()).prop_map(|(one, ok)| Ask::Mailed(one, ok)),
        4 => recipient().prop_map(Ask::Open),
        3 => (recipient(), session()).prop_map(|(one, session)| Ask::Code(one, session)),
        3 => (recipient(), session(), any::<bool>()).prop_map(|(one, session, right)| Ask::Try(one, session, right)),
        3 => (recipient(), session()).prop_map(|(one, session)| Ask::Consent(one, session)),
        3 => (recipient(), session(), any::<bool>()).prop_map(|(one, session, same)| Ask::Read(one, session, same)),
        3 => (recipient(), session(), any::<bool>()).prop_map(|(one, session, good)| Ask::Submit(one, session, good)),
        1 => (recipient(), session()).prop_map(|(one, session)| Ask::Decline(one, session)),
        6 => recipient().prop_map(Ask::Whole),
        2 => any::<bool>().prop_map(Ask::Seal),
        2 => recipient().prop_map(Ask::Copied),
        1 => Just(Ask::Download),
    ]
}

fn roles() -> impl Strategy<Value = Vec<(Role, u16)>> {
    let role = prop_oneof![
        3 => Just(Role::Signer),
        2 => Just(Role::Approver),
        1 => Just(Role::Viewer),
        1 => Just(Role::Copy),
    ];
    proptest::collection::vec((role, 1..4_u16), 0..4).prop_map(|mut roles| {
        roles.push((Role::Signer, 2));
        roles
    })
}

/// The session of a recipient with this number, or one that does not exist.
fn session_of(world: &World, recipient: RecipientId, number: u8) -> SessionId {
    let sessions = world.state().underway().and_then(|underway| underway.progress_of(recipient));
    let sessions = sessions.map(|progress| progress.sessions.as_slice()).unwrap_or_default();
    let newest_first: Vec<_> = sessions.iter().rev().map(|open| open.session).collect();
    newest_first.get(usize::from(number)).copied().unwrap_or(SessionId::from_bytes([0xff; 16]))
}

/// Asks; whether anything happens is for the rules to say.
fn put(world: &mut World, ask: &Ask) {
    let contents = world.contents();
    let of = |number: u8| contents.recipients[usize::from(number) % contents.recipients.len()].id;
    let mail = MailId::from_bytes([1; 16]);
    let (version, sha256) = ("2026-11".to_owned(), Digest::of(CONSENT.as_bytes()));
    let _ = match *ask {
        Ask::Send => world.by_sender(Command::Send),
        Ask::Resend(number) => world.by_sender(Command::Resend { recipient: number.map(of) }),
        Ask::Void => world.by_sender(Command::Void { reason: Some(personal("changed my mind")) }),
        Ask::Wait(seconds) => {
            world.now = world.now.plus_s(seconds);
            Ok(Vec::new())
        }
        Ask::Expire => world.by_system(Command::Expire),
        Ask::Mailed(number, true) => world.by_system(Command::RecordNotified { recipient: of(number), mail }),
        Ask::Mailed(number, false) => {
            world.by_system(Command::RecordBounced { recipient: of(number), mail, smtp_status: 550 })
        }
        Ask::Open(number) => world.open_session(of(number)).map(|_| Vec::new()),
        Ask::Code(number, session) => {
            let session = session_of(world, of(number), session);
            world.issue_code(of(number), session).map(|_| Vec::new())
        }
        Ask::Try(number, session, right) => {
            let session = session_of(world, of(number), session);
            let underway = world.state().underway();
            let code = underway.and_then(|underway| underway.progress_of(of(number))?.session(session)?.code);
            let code = code.map_or(CodeId::from_bytes([0; 16]), |(code, _)| code);
            world.try_code(of(number), session, code, right)
        }
        Ask::Consent(number, session) => {
            let (recipient, session) = (of(number), session_of(world, of(number), session));
            let show = Command::ShowDisclosure { recipient, session, version: version.clone(), sha256 };
            let _ = world.by(recipient, session, show);
            world.by(recipient, session, Command::GiveConsent { recipient, session, version, sha256 })
        }
        Ask::Read(number, session, same) => {
            let (recipient, session) = (of(number), session_of(world, of(number), session));
            let document = contents.documents[0].id;
            let sha256 = if same { contents.documents[0].sha256 } else { Digest::of(b"other") };
            world.by(recipient, session, Command::OpenDocument { recipient, session, document, sha256 })
        }
        Ask::Submit(number, session, good) => {
            let (recipient, session) = (of(number), session_of(world, of(number), session));
            let mut submission = world.submission(recipient, session);
            if !good {
                submission.documents.reverse();
            }
            world.submit(recipient, submission)
        }
        Ask::Decline(number, session) => {
            let (recipient, session) = (of(number), session_of(world, of(number), session));
            world.by(recipient, session, Command::Decline { recipient, session, reason: None })
        }
        Ask::Whole(number) => whole(world, of(number)),
        Ask::Seal(good) => {
            let documents = contents.documents.iter().take(if good { 2 } else { 1 });
            let documents = documents.map(|one| SealedDocument {
                document: one.id,
                sha256: Digest::of(b"sealed"),
                size_bytes: 1,
            });
            world.by_system(Command::RecordSealed {
                documents: documents.collect(),
                certificate_sha256: Digest::of(b"completion"),
                certificate_size_bytes: 1,
                checkpoint_size: 1,
            })
        }
        Ask::Copied(number) => world.by_system(Command::RecordCopied { recipient: of(number), mail }),
        Ask::Download => world.by_sender(Command::RecordDownload { what: Download::Certificate }),
    };
}

/// All that a recipient does, as far as the rules let it.
fn whole(world: &mut World, recipient: RecipientId) -> Result<Vec<Body>, countersign_core::refusal::Refusal> {
    let session = world.open_session(recipient)?;
    let code = world.issue_code(recipient, session)?;
    world.try_code(recipient, session, code, true)?;
    world.consent(recipient, session)?;
    world.open_documents(recipient, session)?;
    let submission = world.submission(recipient, session);
    world.submit(recipient, submission)
}

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
        let recipients = roles.iter().zip(1..).map(|((role, order), index)| recipient(index, *role, *order)).collect();
        let fields = roles.iter().enumerate().filter(|(_, (role, _))| *role == Role::Signer);
        let fields = fields.map(|(index, _)| field(index, FieldKind::Signature, true)).collect();
        let mut world = World::new();
        world.by_sender(Command::Create(Box::new(new_envelope(recipients, fields)))).unwrap();
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
