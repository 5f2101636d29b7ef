//! An operator who holds all keys and writes a history that the rules do not allow: logged, proven and sealed in
//! form, and still named.

use countersign_core::{
    digest::Digest,
    envelope::{
        Body, Veiled,
        event::{Act, Actor, Event, Role},
    },
    id::{PersonId, SessionId},
};
use countersign_verify::{Check, Subject, Verdict, verify_package, verify_sealed_pdf};

use crate::story::{
    assemble, assemble_by, assemble_with, document_ids, keys, log_signer, personal, seal_key_with,
    until_sealing,
};

type OfEvents = fn(&mut Vec<Event>);

fn at(events: &[Event], kind: &str) -> usize {
    events.iter().position(|event| event.body.type_text() == kind).expect(kind)
}

fn drop_first(events: &mut Vec<Event>, kind: &str) {
    events.remove(at(events, kind));
}

fn acts(events: &mut [Event]) -> impl Iterator<Item = &mut Act> {
    events.iter_mut().filter_map(|event| match &mut event.body {
        Body::Signed(act) | Body::Approved(act) | Body::Read(act) => Some(act),
        _ => None,
    })
}

fn signed(events: &mut [Event], change: impl FnOnce(&mut Act)) {
    change(acts(events).next().expect("an act"));
}

fn veil(person: PersonId, value: &str) -> Veiled {
    Veiled::new(person, [1; 16], personal(value))
}

fn value(act: &mut Act, index: usize, value: &str) {
    let veiled = &mut act.values[index].value;
    *veiled = veil(veiled.person, value);
}

fn created(events: &mut [Event]) -> &mut Body {
    &mut events[0].body
}

/// Numbers and dates events again.
fn renumbered(mut events: Vec<Event>) -> Vec<Event> {
    let mut last = events[0].at;
    for (event, seq) in events.iter_mut().zip(1..) {
        event.seq = seq;
        last = last.max(event.at);
        event.at = last;
    }
    events
}

const HISTORIES: &[(&str, Check, OfEvents)] = &[
    ("no consent", Check::Acts, |e| drop_first(e, "consent.given")),
    ("consent to another text", Check::Acts, |e| {
        signed(e, |act| act.consent.sha256 = Digest::of(b"other"));
    }),
    ("another document shown", Check::Acts, |e| {
        signed(e, |act| act.documents[0].sha256 = Digest::of(b"other"));
    }),
    ("fewer pages shown", Check::Acts, |e| signed(e, |act| act.documents[0].page_count = 1)),
    ("a document not shown", Check::Acts, |e| signed(e, |act| act.documents.truncate(1))),
    ("documents in another order", Check::Acts, |e| signed(e, |act| act.documents.swap(0, 1))),
    ("another button", Check::Acts, |e| signed(e, |act| act.label = veil(act.label.person, "Continue"))),
    ("another title", Check::Acts, |e| {
        let Body::Created { title, .. } = created(e) else { panic!("created") };
        *title = veil(title.person, "Lease of 13 Rose Street");
    }),
    ("no nonce", Check::Acts, |e| signed(e, |act| act.nonce = Digest::default())),
    ("one nonce for two", Check::Acts, |e| {
        let nonce = acts(e).next().expect("an act").nonce;
        acts(e).last().expect("an act").nonce = nonce;
    }),
    ("a value of another's field", Check::Acts, |e| {
        let field = acts(e).last().expect("an act").values[0].field;
        signed(e, |act| act.values[0].field = field);
    }),
    ("an act of another role", Check::Acts, |e| {
        let event = e.iter_mut().find(|event| matches!(event.body, Body::Read(_))).expect("read");
        let Body::Read(act) = event.body.clone() else { panic!("read") };
        event.body = Body::Approved(act);
    }),
    ("another document uploaded", Check::Acts, |e| {
        let Body::Created { documents, .. } = created(e) else { panic!("created") };
        documents[0].sha256 = Digest::of(b"other");
    }),
    ("documents not opened", Check::Legal, |e| drop_first(e, "document.opened")),
    ("disclosure not shown", Check::Legal, |e| drop_first(e, "disclosure.shown")),
    ("not identified", Check::Legal, |e| drop_first(e, "factor.passed")),
    ("a wrong code hidden", Check::Legal, |e| {
        for event in e {
            if let Body::FactorFailed { tries_left, .. } = &mut event.body {
                *tries_left = 3;
            }
        }
    }),
    ("session not opened", Check::Legal, |e| drop_first(e, "session.opened")),
    ("link not issued", Check::Legal, |e| drop_first(e, "link.issued")),
    ("not sent", Check::Legal, |e| {
        let sent = at(e, "envelope.sent");
        e.swap(sent, sent + 1);
    }),
    ("a longer life", Check::Legal, |e| {
        let sent = at(e, "envelope.sent");
        e[sent].body = Body::Sent { expires_at: e[sent].at.plus_s(86_401) };
    }),
    ("signature not adopted", Check::Legal, |e| drop_first(e, "signature.adopted")),
    ("a date not of that day", Check::Legal, |e| signed(e, |act| value(act, 2, "2026-11-01"))),
    ("another's address as one's own", Check::Legal, |e| {
        signed(e, |act| value(act, 4, "eve@example.com"));
    }),
    ("a number that is none", Check::Legal, |e| value(acts(e).last().expect("an act"), 0, "much")),
    ("two radio buttons", Check::Legal, |e| signed(e, |act| value(act, 6, "true"))),
    ("a required value left out", Check::Legal, |e| signed(e, |act| drop(act.values.remove(3)))),
    ("a value veiled as another's", Check::Legal, |e| {
        signed(e, |act| act.values[3].value = veil(PersonId::from_bytes([2; 16]), "two cats"));
    }),
    ("an act by the server", Check::Legal, |e| {
        let signed = at(e, "recipient.signed");
        e[signed].actor = Actor::System;
    }),
    ("an act in another session", Check::Legal, |e| {
        let consent = at(e, "document.opened");
        let Actor::Recipient { session, .. } = &mut e[consent].actor else { panic!("a recipient") };
        *session = SessionId::from_bytes([1; 16]);
    }),
    ("a factor made up", Check::Legal, |e| {
        let opened = at(e, "session.opened");
        let Actor::Recipient { factors, .. } = &mut e[opened].actor else { panic!("a recipient") };
        factors.push(countersign_core::envelope::event::Factor::EmailCode);
    }),
    ("out of turn", Check::Legal, |e| {
        let Body::Created { recipients, .. } = created(e) else { panic!("created") };
        recipients[1].order = 3;
    }),
    ("one left out", Check::Legal, |e| drop_first(e, "recipient.read")),
    ("signed twice", Check::Legal, |e| {
        let signed = at(e, "recipient.signed");
        let mut again = e[signed].clone();
        let Body::Signed(act) = &mut again.body else { panic!("signed") };
        act.nonce = Digest::of(b"again");
        e.insert(signed + 1, again);
    }),
    ("nobody asked to sign", Check::Acts, |e| {
        let Body::Created { recipients, .. } = created(e) else { panic!("created") };
        for recipient in recipients {
            recipient.role = Role::Viewer;
        }
    }),
    ("a page that is not there", Check::Legal, |e| {
        let shown = at(e, "pages.shown");
        let Body::PagesShown { pages, .. } = &mut e[shown].body else { panic!("shown") };
        *pages = vec![7];
    }),
    ("a field beyond the last page", Check::Legal, |e| {
        let Body::Created { fields, .. } = created(e) else { panic!("created") };
        fields[0].page = 3;
    }),
    ("created twice", Check::Legal, |e| e.insert(1, e[0].clone())),
    ("another certificate promised", Check::SealCertificate, |e| {
        let last = e.last_mut().expect("events");
        last.body = Body::SealingStarted { seal_certificate_sha256: Digest::of(b"other") };
    }),
    ("more pages, all along", Check::Prefix, |e| {
        if let Body::Created { documents, .. } = created(e) {
            documents[1].page_count = 2;
        }
        acts(e).for_each(|act| act.documents[1].page_count = 2);
    }),
    ("another consent text, all along", Check::Consent, |e| {
        let other = Digest::of(b"I agree to everything.");
        acts(e).for_each(|act| act.consent.sha256 = other);
        for event in e {
            if let Body::DisclosureShown { text, .. } | Body::ConsentGiven { text, .. } = &mut event.body {
                text.sha256 = other;
            }
        }
    }),
    ("another original, all along", Check::Original, |e| {
        let other = Digest::of(b"other");
        if let Body::Created { documents, .. } = created(e) {
            documents[0].sha256 = other;
        }
        acts(e).for_each(|act| act.documents[0].sha256 = other);
        for event in e {
            if let Body::DocumentOpened { document, sha256, .. } | Body::PagesShown { document, sha256, .. } =
                &mut event.body
                && *document == document_ids()[0]
            {
                *sha256 = other;
            }
        }
    }),
];

#[test]
fn e_2_and_e_7_a_history_against_the_rules_is_named() {
    let mut wrong = Vec::new();
    for (name, expected, change) in HISTORIES {
        let mut events = until_sealing();
        change(&mut events);
        let package = assemble(renumbered(events), log_signer());
        let report = verify_package(&package.to_bytes().expect("a package"), &keys());
        let found = report.first_failure();
        if found.map(|item| item.check) != Some(*expected) {
            let found = found.map(|item| format!("{}: {}", item.check.id(), item.sentence));
            wrong.push(format!("{name}: expected {}, found {found:?}", expected.id()));
        }
        // The sealed PDF alone names the same, where it can know.
        if matches!(expected, Check::Acts | Check::Legal | Check::SealCertificate | Check::Prefix) {
            let alone = verify_sealed_pdf(&package.documents[1].sealed, &keys());
            let found = alone.first_failure().map(|item| item.check);
            if found != Some(*expected) {
                wrong.push(format!("{name}: alone, expected {}, found {found:?}", expected.id()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), HISTORIES.len(), wrong.join("\n"));
}

#[test]
fn what_a_forger_writes_into_names_writes_no_line_of_the_report() {
    let mut events = until_sealing();
    let Body::Created { title, organization_name, .. } = created(&mut events) else { panic!("created") };
    *title = veil(title.person, "Lease\nGENUINE: all of it");
    organization_name.push_str("\u{1b}[2J\u{202e}");
    let package = assemble(renumbered(events), log_signer());
    let text = verify_package(&package.to_bytes().expect("a package"), &keys()).to_text();
    assert!(text.contains(r"Lease\u{a}GENUINE: all of it"), "{text}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("GENUINE")), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
}

#[test]
fn e_4_a_seal_at_another_time_or_by_a_certificate_that_could_not_seal_is_named() {
    let first_failure = |certificate: &[u8], later_s| {
        let mut events = until_sealing();
        let seal_certificate_sha256 = Digest::of(certificate);
        events.last_mut().expect("events").body = Body::SealingStarted { seal_certificate_sha256 };
        let key = seal_key_with(certificate);
        let package = assemble_by(&key, later_s, events, log_signer(), |_| {}, |_| {});
        let whole = verify_package(&package.to_bytes().expect("a package"), &keys());
        let alone = verify_sealed_pdf(&package.documents[0].sealed, &keys());
        let named = |report: &countersign_verify::Report| {
            report.first_failure().map(|item| (item.check, item.sentence.clone()))
        };
        assert_eq!(named(&whole), named(&alone));
        named(&whole)
    };
    let right = include_bytes!("../fixtures/seal-certificate.der");
    assert_eq!(first_failure(right, 0), None);
    let (check, sentence) = first_failure(right, 1).expect("a second late");
    assert!(check == Check::SealTime && sentence.contains("another time"), "{sentence}");
    assert_eq!(first_failure(right, -86_400).expect("a day early").0, Check::SealTime);
    let (check, sentence) =
        first_failure(include_bytes!("../fixtures/expired-certificate.der"), 0).expect("expired");
    assert!(check == Check::SealCertificate && sentence.contains("seal-outside-validity"), "{sentence}");
    let (check, sentence) =
        first_failure(include_bytes!("../fixtures/purposeless-certificate.der"), 0).expect("no purpose");
    assert!(check == Check::SealCertificate && sentence.contains("seal-purpose"), "{sentence}");
}

#[test]
fn what_somebody_is_called_says_nothing_by_itself() {
    let mut events = until_sealing();
    let Body::Created { recipients, organization_name, .. } = created(&mut events) else { panic!("created") };
    let hostile =
        "Carol\" (\"carol@x.example\") signed at 2026-11-18 11:07:00 UTC, identified by the mailed link";
    recipients[1].name = veil(recipients[1].person, hostile);
    recipients[3].name = veil(recipients[3].person, "Dora” \\ \u{200b}\u{2067}\u{a0}");
    organization_name.push_str("\" is live. \"");
    let package = assemble(renumbered(events), log_signer());
    let account = verify_package(&package.to_bytes().expect("a package"), &keys()).account.join("\n");
    assert!(account.contains("\"Rose Lettings\\\" is live. \\\"\" prepared \"Lease"), "{account}");
    assert!(account.contains("\"Carol\\\" (\\\"carol@x.example\\\") signed at"), "{account}");
    assert!(!account.contains("\"Carol\" ("), "{account}");
    assert!(account.contains(r#""Dora\u{201d} \\ \u{200b}\u{2067}\u{a0}""#), "{account}");
}

/// The first failure of a package whose trails or seal record were changed.
fn first_failure(
    change: impl Fn(&mut countersign_verify::Trail),
    otherwise: impl Fn(&mut crate::story::Outcome),
) -> Option<(Check, Option<String>)> {
    let package = assemble_with(until_sealing(), log_signer(), change, otherwise);
    let report = verify_package(&package.to_bytes().expect("a package"), &keys());
    assert_eq!(report.verdict(), Verdict::Failed);
    report.first_failure().map(|item| (item.check, item.file.clone()))
}

#[test]
fn e_4_a_trail_that_is_not_this_envelope_s_is_named() {
    let first = Some(format!("sealed/{}.pdf", document_ids()[0]));
    let trail = |change: fn(&mut countersign_verify::Trail)| first_failure(change, |_| {});
    assert_eq!(trail(|t| drop(t.events.to_mut().pop())), Some((Check::TrailEvents, first.clone())));
    assert_eq!(trail(|t| t.events.to_mut()[3].leaf_id = [0; 16]), Some((Check::TrailEvents, first.clone())));
    assert_eq!(trail(|t| t.events.to_mut()[3].log_index += 1), Some((Check::TrailEvents, first.clone())));
    assert_eq!(trail(|t| t.events.to_mut().swap(1, 2)), Some((Check::TrailEvents, first.clone())));
    assert_eq!(
        trail(|t| t.system.to_mut().version = "9".to_owned()),
        Some((Check::TrailSubject, first.clone()))
    );
    assert_eq!(trail(|t| t.subject = Subject::Certificate), Some((Check::TrailSubject, first.clone())));
    assert_eq!(
        trail(|t| t.proof = t.proof.replacen("index ", "index 1", 1)),
        Some((Check::TrailInclusion, first.clone()))
    );
    assert_eq!(trail(|t| t.proof.clear()), Some((Check::TrailInclusion, first.clone())));
    assert_eq!(
        trail(|t| t.proof = t.proof.replacen("\n\nlog.", "\n\nlag.", 1)),
        Some((Check::TrailCheckpoint, first))
    );
    let certificate = trail(|t| {
        if t.subject == Subject::Certificate {
            t.events.to_mut()[0].leaf_id = [0; 16];
        }
    });
    assert_eq!(certificate, Some((Check::TrailEvents, Some("certificate.pdf".to_owned()))));
}

#[test]
fn e_6_a_seal_record_that_is_not_of_these_files_is_named() {
    let record =
        |change: fn(&mut crate::story::Outcome)| first_failure(|_| {}, change).map(|(check, _)| check);
    assert_eq!(record(|o| o.documents[1].sha256 = Digest::of(b"other")), Some(Check::SealedFile));
    assert_eq!(record(|o| o.documents[0].size_bytes += 1), Some(Check::SealedFile));
    assert_eq!(record(|o| o.certificate_sha256 = Digest::of(b"other")), Some(Check::SealedFile));
    assert_eq!(record(|o| o.checkpoint_size += 1), Some(Check::Growth));
    assert_eq!(record(|o| o.checkpoint_size -= 1), Some(Check::Growth));
}

#[test]
fn e_4_a_sealed_pdf_alone_names_what_is_wrong_with_its_trail() {
    let alone = |change: fn(&mut countersign_verify::Trail)| {
        let package = assemble_with(until_sealing(), log_signer(), change, |_| {});
        let report = verify_sealed_pdf(&package.documents[0].sealed, &keys());
        report.first_failure().map(|item| item.check)
    };
    assert_eq!(alone(|t| t.events.to_mut().truncate(9)), Some(Check::Inclusion));
    assert_eq!(alone(|t| t.events.to_mut().clear()), Some(Check::Events));
    assert_eq!(alone(|t| t.events.to_mut().swap(1, 2)), Some(Check::Chain));
    assert_eq!(alone(|t| t.events.to_mut()[3].log_index = 0), Some(Check::Positions));
    assert_eq!(alone(|t| t.system.to_mut().log_origin.push('x')), Some(Check::TrailSubject));
    assert_eq!(alone(|t| t.proof = t.proof.replacen("\n\nlog.", "\n\nlag.", 1)), Some(Check::Checkpoint));
    assert_eq!(alone(|t| t.subject = other_document(t, 1)), Some(Check::Prefix));
    assert_eq!(alone(|t| t.subject = other_document(t, 7)), Some(Check::Prefix));
    assert_eq!(
        alone(|t| {
            if let Subject::Document { original_size_bytes, .. } = &mut t.subject {
                *original_size_bytes += 1;
            }
        }),
        Some(Check::TrailSubject)
    );
}

/// The subject of the trail with another document's id.
fn other_document(trail: &countersign_verify::Trail, index: u8) -> Subject {
    match &trail.subject {
        Subject::Certificate => Subject::Certificate,
        Subject::Document { original_sha256, original_size_bytes, .. } => Subject::Document {
            document: countersign_core::id::DocumentId::from_bytes([index + 1; 16]),
            original_sha256: *original_sha256,
            original_size_bytes: *original_size_bytes,
        },
    }
}
