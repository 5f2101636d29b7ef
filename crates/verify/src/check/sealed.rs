//! A sealed PDF alone, which carries all that is needed to check it (E-4).

use countersign_core::envelope::{Body, State};
use countersign_tlog::Verifier;

use super::{Checked, Checks, Finding, acts, ensure, log, replay, seal, stream};
use crate::{
    line::Followed,
    report::{Check, Report},
    trail::{Encoded, Subject},
};

const CHECKS: [Check; 16] = [
    Check::Seal,
    Check::Trail,
    Check::Events,
    Check::Chain,
    Check::Openings,
    Check::Disclosed,
    Check::Checkpoint,
    Check::Inclusion,
    Check::Positions,
    Check::Acts,
    Check::Legal,
    Check::Ended,
    Check::SealCertificate,
    Check::SealTime,
    Check::Prefix,
    Check::TrailSubject,
];

/// Checks a sealed PDF by itself, against `keys` that were learnt elsewhere. Without keys the report says so and is
/// never genuine.
pub fn verify_sealed_pdf(pdf: &[u8], keys: &[Verifier]) -> Report {
    let mut checks = Checks::default();
    check(&mut checks, pdf, keys);
    checks.finish(&CHECKS)
}

fn check(checks: &mut Checks, pdf: &[u8], keys: &[Verifier]) {
    let sealed = match seal::read(pdf) {
        Ok(sealed) => sealed,
        Err(reason) => return checks.record(Check::Seal, None, Err(Finding::Failed(reason))),
    };
    checks.record(Check::Seal, None, Ok("one certifying signature over the whole file".to_owned()));
    let trail = match sealed.trail() {
        Ok(trail) => trail,
        Err(reason) => return checks.record(Check::Trail, None, Err(Finding::Failed(reason))),
    };
    checks.record(Check::Trail, None, Ok(format!("{} events", trail.events.len())));
    let Some(events) = stream::follow(checks, Ok(trail.events.clone())) else { return };
    checks.tell(&events);
    let place = log::Place { inclusion: Check::Inclusion, checkpoint: Check::Checkpoint, file: None };
    let checkpoint = log::check(checks, &place, trail.proof.as_bytes(), &events, keys);
    checks.record(Check::Acts, None, acts::check(&events));
    checks.record(Check::Legal, None, replay::check(&events));
    checks.record(Check::Ended, None, is_sealing(&events));
    checks.record(Check::SealCertificate, None, sealed.certificate(&events));
    checks.record(Check::SealTime, None, sealed.time(&events));
    let origin = checkpoint.as_ref().map(countersign_tlog::Checkpoint::origin);
    let subject = ensure(
        origin.is_none_or(|origin| origin == trail.system.log_origin),
        "a system with this log",
        "the system description names another log than the checkpoint",
    );
    checks.record(Check::TrailSubject, None, subject.and_then(|_| subject_of(&trail, &events)));
    checks.record(Check::Prefix, None, prefix(&trail, &sealed, &events));
}

/// The record inside ends where the seal begins.
fn is_sealing(events: &[Followed]) -> Checked {
    let state = stream::fold(events);
    let at_the_end =
        events.last().is_some_and(|last| matches!(last.recorded.event.body, Body::SealingStarted { .. }));
    ensure(
        at_the_end && matches!(state, State::Sealing(..)),
        "everybody has acted; the record ends where this seal was made",
        format!("the record inside does not end at the seal, the envelope is {}", state.status_text()),
    )
}

fn created_document<'a>(
    trail: &Encoded,
    events: &'a [Followed],
) -> Option<&'a countersign_core::envelope::event::Document> {
    let Subject::Document { document, .. } = &trail.subject else { return None };
    let Body::Created { documents, .. } = &events.first()?.recorded.event.body else { return None };
    documents.iter().find(|one| one.id == *document)
}

fn subject_of(trail: &Encoded, events: &[Followed]) -> Checked {
    match &trail.subject {
        Subject::Certificate => Ok("the certificate of completion".to_owned()),
        Subject::Document { document, original_sha256, original_size_bytes } => {
            let this = created_document(trail, events);
            let same = this.is_some_and(|this| {
                this.sha256 == *original_sha256 && this.size_bytes == *original_size_bytes
            });
            ensure(
                same,
                format!("document {document} of this envelope"),
                format!("document {document} is not one of the envelope, or its original was another"),
            )
        }
    }
}

fn prefix(trail: &Encoded, sealed: &seal::Sealed, events: &[Followed]) -> Checked {
    match (&trail.subject, created_document(trail, events)) {
        (Subject::Certificate, _) => {
            Ok("there is no original: this is the certificate of completion".to_owned())
        }
        (Subject::Document { .. }, Some(document)) => sealed.prefix(document),
        (Subject::Document { .. }, None) => {
            Err(Finding::failed("the trail names a document that is not of this envelope"))
        }
    }
}
