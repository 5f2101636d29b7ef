//! The certificate of completion of an envelope with more events than it has room for.

use countersign_core::{
    envelope::{Command, State, event::Role},
    limits,
};
use countersign_pdf::{
    certify::{DrawnCertificate, LogStatement, SealStatement, standalone},
    font::FontBook,
    inspect::{Limits, Original},
};
use countersign_server::sealing::story::{self, Circumstances};

use crate::world::{World, new_envelope, personal, recipient};

/// Fifty signers with the widest names there are, and as many events as all share.
fn signed() -> World {
    let signers = (1..=u8::try_from(limits::RECIPIENTS_PER_ENVELOPE).unwrap()).map(|index| {
        let mut signer = recipient(index, Role::Signer, 1);
        signer.name = personal(&"\u{10a60}".repeat(limits::LINE_CHARS));
        signer
    });
    let mut world = World::new();
    world.by_sender(Command::Create(Box::new(new_envelope(signers.collect(), Vec::new())))).unwrap();
    world.by_sender(Command::Send).unwrap();
    while u64::try_from(world.recorded.len()).unwrap() < limits::EVENTS_IN_COMMON {
        world.by_sender(Command::Resend { recipient: None }).unwrap();
    }
    for index in 0..limits::RECIPIENTS_PER_ENVELOPE {
        world.act(world.recipient(index));
    }
    world
}

#[test]
fn the_certificate_of_the_longest_envelope_can_be_sealed_tells_every_act_and_says_what_it_leaves_out() {
    let world = signed();
    let State::Sealing(underway, _) = world.state() else { panic!("{}", world.state().status_text()) };
    let events: Vec<_> = world.recorded.iter().collect();
    let words = || "words".to_owned();
    let circumstances = Circumstances {
        log: LogStatement { origin: words(), tree_size: 1, root_hash: words() },
        seal: SealStatement { statement: words(), signer: words(), fingerprint: words() },
    };
    let certificate = story::certificate(underway, "env", &events, &circumstances);
    assert_eq!(certificate.timeline.len(), limits::CERTIFICATE_ROWS);
    let told = |start: &str| certificate.timeline.iter().filter(|row| row.action.starts_with(start)).count();
    assert_eq!(told("signed, by"), limits::RECIPIENTS_PER_ENVELOPE);
    assert_eq!((told("created"), told("sent"), told("began to seal")), (1, 1, 1));
    let left_out = events.len() - limits::CERTIFICATE_ROWS;
    let note = format!("{left_out} of {} events are left out here", events.len());
    assert!(certificate.timeline_note.starts_with(&note), "{}", certificate.timeline_note);
    let fonts = FontBook::new();
    let (pages, _) = standalone(&certificate, &DrawnCertificate::draw(&certificate, &fonts)).unwrap();
    let original = Original::open(&pages, &Limits::default()).unwrap();
    let most = usize::try_from(Limits::default().pages).unwrap() * 3 / 4;
    assert!(original.structure().pages.len() < most, "{}", original.structure().pages.len());
}
