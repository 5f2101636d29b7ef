//! How much there can be of an envelope (G-8): what was only read stops being recorded and is given all the same, and
//! every recipient keeps room for its act.

use countersign_core::{
    digest::Digest,
    envelope::{
        Body, Command, State,
        event::{Download, Role},
    },
    id::{MailId, RecipientId, SessionId},
    limits,
    refusal::Code,
};

use crate::{
    receipts::{progress, resend, seal, three},
    world::{World, code, new_envelope, recipient, types},
};

fn download() -> Command {
    Command::RecordDownload { what: Download::Certificate }
}

fn show(world: &World, recipient: RecipientId, session: SessionId) -> Command {
    let document = world.contents().documents[0].clone();
    let (document, sha256) = (document.id, document.sha256);
    Command::ShowPages { recipient, session, document, sha256, pages: vec![1] }
}

fn len(world: &World) -> u64 {
    world.recorded.len().try_into().unwrap()
}

#[test]
fn g_8_downloads_past_a_recipients_share_are_given_without_a_record_and_leave_the_senders() {
    let (mut world, [signer, approver, _]) = three();
    let session = world.ready(signer);
    for _ in 0..limits::RECORDS_PER_RECIPIENT {
        assert_eq!(types(&world.by(signer, session, download()).unwrap()), ["envelope.downloaded"]);
    }
    let before = world.recorded.len();
    let again = [download(), show(&world, signer, session)];
    for again in again {
        assert_eq!(world.by(signer, session, again).unwrap(), Vec::new());
    }
    let document = world.contents().documents[0].id;
    let sha256 = Digest::of(b"changed in the store");
    let changed = Command::OpenDocument { recipient: signer, session, document, sha256 };
    assert_eq!(code(world.by(signer, session, changed)), Code::DocumentChanged);
    assert_eq!(world.recorded.len(), before);
    assert_eq!(types(&world.by_sender(download()).unwrap()), ["envelope.downloaded"]);
    assert_eq!(types(&world.by_sender(Command::RecordExport).unwrap()), ["evidence.exported"]);
    let other = world.submission(signer, session);
    world.submit(signer, other).unwrap();
    let session = world.ready(approver);
    let reported = show(&world, approver, session);
    assert_eq!(types(&world.by(approver, session, reported).unwrap()), ["pages.shown"]);
    world.refolded();
}

/// A job that exports once a minute goes on for ever, and records a thousand times.
#[test]
fn g_8_the_senders_downloads_past_its_share_are_given_without_a_record() {
    let (mut world, [signer, approver, _]) = three();
    world.act(signer);
    world.act(approver);
    seal(&mut world);
    for _ in 0..limits::RECORDS_OF_SENDER {
        assert_eq!(types(&world.by_sender(Command::RecordExport).unwrap()), ["evidence.exported"]);
    }
    let before = world.recorded.len();
    for again in [Command::RecordExport, download()] {
        assert_eq!(world.by_sender(again).unwrap(), Vec::new());
    }
    assert_eq!(world.recorded.len(), before);
    let session = world.identified(signer);
    assert_eq!(types(&world.by(signer, session, download()).unwrap()), ["envelope.downloaded"]);
    resend(&mut world, signer);
    assert_eq!(world.refolded(), world.folded);
}

/// An envelope for that many signers at once, in which all room that is shared is used.
fn full(signer_count: u8) -> World {
    let signers = (1..=signer_count).map(|index| recipient(index, Role::Signer, 1)).collect();
    let mut new = new_envelope(signers, Vec::new());
    new.lifetime_s = limits::ENVELOPE_LONGEST_S;
    let mut world = World::new();
    world.by_sender(Command::Create(Box::new(new))).unwrap();
    world.by_sender(Command::Send).unwrap();
    while len(&world) < limits::EVENTS_IN_COMMON {
        world.by_sender(Command::Resend { recipient: None }).unwrap();
    }
    world
}

#[test]
fn g_8_a_full_envelope_still_ends_in_every_way_and_is_read_without_a_record() {
    let mut world = full(2);
    let signers = [world.recipient(0), world.recipient(1)];
    let full = world.folded.clone();
    for (index, end) in ["envelope.voided", "envelope.expired", "recipient.declined"].into_iter().enumerate()
    {
        world.folded = full.clone();
        let ended = match index {
            0 => world.by_sender(Command::Void { reason: None }),
            1 => {
                let now = world.now;
                world.now = now.plus_s(limits::ENVELOPE_LONGEST_S);
                let expired = world.by_system(Command::Expire);
                world.now = now;
                expired
            }
            _ => {
                let session = world.identified(signers[0]);
                let recipient = signers[0];
                world.by(recipient, session, Command::Decline { recipient, session, reason: None })
            }
        };
        assert_eq!(types(&ended.unwrap()), [end]);
    }
    world.folded = full;
    for signer in signers {
        let session = world.ready(signer);
        let again = [download(), show(&world, signer, session)];
        for again in again {
            assert_eq!(world.by(signer, session, again).unwrap(), Vec::new());
        }
        let submission = world.submission(signer, session);
        world.submit(signer, submission).unwrap();
    }
    seal(&mut world);
    assert!(matches!(world.state(), State::Completed(..)));
    assert_eq!(world.by_sender(Command::RecordExport).unwrap(), Vec::new());
    resend(&mut world, signers[0]);
    let session = world.identified(signers[0]);
    assert_eq!(world.by(signers[0], session, download()).unwrap(), Vec::new());
}

/// Uses up what a recipient of a full envelope has for itself: links as the sender, sessions as the recipient.
fn use_up(world: &mut World, recipient: RecipientId) {
    let resent = Command::Resend { recipient: Some(recipient) };
    while world.by_sender(resent.clone()).is_ok() {
        assert!(progress(world, recipient).reserved_count <= limits::EVENTS_RESERVED_FOR_LINKS);
    }
    assert_eq!(code(world.by_sender(resent)), Code::TooMany);
    assert_eq!(progress(world, recipient).reserved_count, limits::EVENTS_RESERVED_FOR_LINKS);
    let session = world.ready(recipient);
    let submission = world.submission(recipient, session);
    let code_of = world.issue_code(recipient, session).unwrap();
    while world.open_session(recipient).is_ok() {}
    while progress(world, recipient).reserved_count < limits::EVENTS_RESERVED_PER_RECIPIENT {
        let mail = MailId::from_bytes([7; 16]);
        let bounced = world.by_system(Command::RecordBounced { recipient, mail, smtp_status: 550 });
        assert_eq!(types(&bounced.unwrap()), ["recipient.bounced"]);
    }
    assert_eq!(code(world.open_session(recipient)), Code::TooMany);
    assert_eq!(code(world.issue_code(recipient, session)), Code::TooMany);
    assert_eq!(code(world.try_code(recipient, session, code_of, false)), Code::TooMany);
    let mail = MailId::from_bytes([8; 16]);
    for mailed in [
        Command::RecordNotified { recipient, mail },
        Command::RecordBounced { recipient, mail, smtp_status: 550 },
        Command::RecordCodeDelivered { recipient, mail },
    ] {
        assert_eq!(world.by_system(mailed).unwrap(), Vec::new());
    }
    let signed = world.submit(recipient, submission).unwrap();
    assert!(signed.iter().any(|body| matches!(body, Body::Signed(_))), "the act has room: {signed:?}");
}

#[test]
fn g_8_an_envelope_that_everybody_uses_up_is_signed_by_all_and_stays_within_its_bound() {
    let mut world = full(u8::try_from(limits::RECIPIENTS_PER_ENVELOPE).unwrap());
    let signers: Vec<RecipientId> = world.contents().recipients.iter().map(|one| one.id).collect();
    for signer in &signers {
        use_up(&mut world, *signer);
    }
    seal(&mut world);
    assert!(matches!(world.state(), State::Completed(..)));
    let copied = Command::RecordCopied { recipient: signers[0], mail: MailId::from_bytes([9; 16]) };
    assert_eq!(world.by_system(copied).unwrap(), Vec::new());
    assert_eq!(code(world.by_sender(Command::Resend { recipient: None })), Code::TooMany);
    let reserved = u64::from(limits::EVENTS_RESERVED_PER_RECIPIENT);
    let used = limits::EVENTS_IN_COMMON + u64::try_from(signers.len()).unwrap() * reserved;
    assert!((used..=limits::EVENTS_PER_ENVELOPE).contains(&len(&world)), "{}", len(&world));
}

#[test]
fn g_8_fifty_signers_share_what_is_recorded_of_their_reading() {
    assert_eq!(limits::records_of_one(1), limits::RECORDS_PER_RECIPIENT);
    assert_eq!(limits::records_of_one(50) * 50, limits::RECORDS_OF_RECIPIENTS);
    assert_eq!(limits::records_of_one(0), limits::RECORDS_PER_RECIPIENT);
}
