//! A newer link ends what was opened with the earlier one; only the seal's own link leaves it the receipt.

use countersign_core::{
    digest::Digest,
    envelope::{
        Body, Command, State,
        event::{Download, Role},
        state::Progress,
    },
    id::{RecipientId, SessionId},
    limits,
    refusal::Code,
};

use crate::{
    receipts::{progress, resend, seal, three},
    world::{CONSENT, World, code, recipient, types},
};

fn open(world: &World, recipient: RecipientId, session: SessionId) -> (Progress, bool, bool) {
    let progress = progress(world, recipient);
    let open = progress.session(session).unwrap();
    let (is_current, may_read) = (progress.is_current(open), progress.may_read(open));
    (progress, is_current, may_read)
}

/// S-3: who found a link opens a session, the sender sends a new link, and the finder's session does nothing more.
#[test]
fn s_3_a_new_link_ends_the_sessions_of_the_old_one() {
    let (mut world, [signer, ..]) = three();
    let old = world.ready(signer);
    let typed = world.issue_code(signer, old).unwrap();
    let submission = world.submission(signer, old);
    resend(&mut world, signer);
    let before = world.recorded.len();
    let (recipient, session) = (signer, old);
    let (version, sha256) = ("another".to_owned(), Digest::of(CONSENT.as_bytes()));
    let document = world.contents().documents[0].clone();
    let shown = (document.id, document.sha256);
    for act in [
        Command::ShowDisclosure { recipient, session, version: version.clone(), sha256 },
        Command::GiveConsent { recipient, session, version, sha256 },
        Command::OpenDocument { recipient, session, document: shown.0, sha256: shown.1 },
        Command::ShowPages { recipient, session, document: shown.0, sha256: shown.1, pages: vec![1] },
        Command::Decline { recipient, session, reason: None },
        Command::RecordDownload { what: Download::Original { document: shown.0 } },
    ] {
        let refused = world.by(signer, old, act).unwrap_err();
        assert_eq!(refused.code, Code::SessionEnded);
        assert!(refused.sentence.contains("newest mail"), "{refused}");
    }
    assert_eq!(code(world.submit(signer, submission)), Code::SessionEnded);
    assert_eq!(code(world.issue_code(signer, old)), Code::SessionEnded);
    assert_eq!(code(world.try_code(signer, old, typed, true)), Code::SessionEnded);
    assert_eq!(world.recorded.len(), before);
    world.act(signer);
}

#[test]
fn s_4_old_sessions_cannot_lock_the_new_link() {
    let (mut world, [signer, ..]) = three();
    let old = world.open_session(signer).unwrap();
    let typed = world.issue_code(signer, old).unwrap();
    for _ in 0..limits::CODE_TRIES {
        world.try_code(signer, old, typed, false).unwrap();
    }
    resend(&mut world, signer);
    for _ in 0..limits::CODE_TRIES {
        assert_eq!(code(world.try_code(signer, old, typed, false)), Code::SessionEnded);
    }
    assert_eq!(progress(&world, signer).wrong_codes, 0);
    world.act(signer);
}

#[test]
fn the_link_of_the_seal_leaves_open_receipts_readable_and_one_that_was_asked_for_does_not() {
    let (mut world, [signer, approver, copy]) = three();
    world.act(signer);
    let identified = world.identified(signer);
    let unidentified = world.open_session(signer).unwrap();
    let typed = world.issue_code(signer, unidentified).unwrap();
    world.act(approver);
    seal(&mut world);
    let download = || Command::RecordDownload { what: Download::Certificate };
    let read = world.by(signer, identified, download()).unwrap();
    assert_eq!(types(&read), ["envelope.downloaded"]);
    let (progress, is_current, may_read) = open(&world, signer, identified);
    assert!(!is_current && may_read && progress.link.is_some());
    assert_eq!(code(world.issue_code(signer, identified)), Code::SessionEnded);
    assert_eq!(code(world.try_code(signer, unidentified, typed, false)), Code::SessionEnded);
    let newer = world.identified(signer);
    world.by(signer, newer, download()).unwrap();
    resend(&mut world, signer);
    for session in [identified, newer] {
        assert_eq!(code(world.by(signer, session, download())), Code::SessionEnded);
    }
    let newest = world.identified(signer);
    world.by(signer, newest, download()).unwrap();
    let of_copy = world.identified(copy);
    world.by(copy, of_copy, download()).unwrap();
    assert_eq!(code(world.by(copy, newest, download())), Code::NotFound, "of another recipient");
    assert!(matches!(world.state(), State::Completed(..)));
    world.refolded();
}

#[test]
fn a_link_for_one_recipient_ends_no_session_of_another() {
    let mut world =
        World::sent(vec![recipient(1, Role::Signer, 1), recipient(2, Role::Signer, 1)], Vec::new());
    let (first, second) = (world.recipient(0), world.recipient(1));
    let session = world.ready(second);
    resend(&mut world, first);
    let submission = world.submission(second, session);
    let events = world.submit(second, submission).unwrap();
    assert!(matches!(events.last(), Some(Body::Signed(_))), "{events:?}");
}
