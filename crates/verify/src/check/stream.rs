//! Reading a stream of events: form, chain, and the openings of disclosed values.

use countersign_core::{
    digest::Digest,
    envelope::{Body, Chain, Event, Recorded, State, encode::ChainBreak},
    limits,
    time::Time,
};

use super::{Checked, Checks, Finding, ensure};
use crate::{
    line::{Followed, Line, OpeningLine, Placed},
    report::Check,
};

/// Follows the lines of a stream, with their openings attached where they fit; `None` where they cannot be read.
pub(super) fn follow(checks: &mut Checks, lines: Result<Vec<Line>, String>) -> Option<Vec<Followed>> {
    let lines = lines.and_then(|lines| match lines.len() {
        1.. if lines.len() as u64 <= limits::EVENTS_PER_ENVELOPE => Ok(lines),
        _ => Err(format!("there must be between 1 and {} events", limits::EVENTS_PER_ENVELOPE)),
    });
    let lines = match lines {
        Ok(lines) => lines,
        Err(reason) => {
            checks.record(Check::Events, None, Err(Finding::Failed(reason)));
            return None;
        }
    };
    let mut chain = Chain::default();
    let mut events = Vec::new();
    for line in &lines {
        match follow_one(&mut chain, line) {
            Ok(logged) => events.push(logged),
            Err((check, reason)) => {
                checks.record(check, None, Err(Finding::Failed(reason)));
                if check == Check::Chain {
                    checks.record(
                        Check::Events,
                        None,
                        Ok("readable up to the break of the chain".to_owned()),
                    );
                }
                return None;
            }
        }
    }
    let count = events.len();
    checks.record(Check::Events, None, Ok(format!("{count} events")));
    checks.record(Check::Chain, None, Ok(format!("{count} events in one chain")));
    let opened = events
        .iter_mut()
        .zip(&lines)
        .try_for_each(|(logged, line)| open(&mut logged.recorded.event, &line.openings));
    checks.record(
        Check::Openings,
        None,
        opened.map(|()| "every opening fits".to_owned()).map_err(Finding::Failed),
    );
    checks.record(Check::Disclosed, None, disclosed(&events));
    checks.record(Check::Positions, None, positions(&events));
    Some(events)
}

fn follow_one(chain: &mut Chain, line: &Line) -> Result<Followed, (Check, String)> {
    let recorded: Recorded = chain.follow(line.event_bytes()).map_err(|broken| match broken {
        ChainBreak::Unreadable { .. } => (Check::Events, broken.to_string()),
        _ => (Check::Chain, broken.to_string()),
    })?;
    if !is_bounded(&recorded.event) {
        let seq = recorded.event.seq;
        return Err((Check::Events, format!("event {seq} holds more than an envelope may have")));
    }
    let leaf =
        line.leaf().map_err(|reason| (Check::Events, format!("event {}: {reason}", recorded.event.seq)))?;
    Ok(Followed { recorded, leaf })
}

/// Whether the lists of an event are as short as those of an envelope must be, which bounds every later check.
fn is_bounded(event: &Event) -> bool {
    match &event.body {
        Body::Created { documents, recipients, fields, .. } => {
            documents.len() <= limits::DOCUMENTS_PER_ENVELOPE
                && recipients.len() <= limits::RECIPIENTS_PER_ENVELOPE
                && fields.len() <= limits::FIELDS_PER_ENVELOPE
        }
        Body::Signed(act) | Body::Approved(act) | Body::Read(act) => {
            act.values.len() <= limits::FIELDS_PER_ENVELOPE
        }
        _ => true,
    }
}

/// Attaches openings to an event's values; they come in the order of the values.
pub(super) fn open(event: &mut Event, openings: &[OpeningLine]) -> Result<(), String> {
    let seq = event.seq;
    let mut openings = openings.iter().peekable();
    for veiled in event.veiled_mut() {
        if let Some(line) = openings.next_if(|line| line.sha256 == veiled.sha256) {
            let opening = line.opening().ok_or(format!("a salt of event {seq} is not 16 bytes in hex"))?;
            if !veiled.open(opening) {
                return Err(format!("a disclosed value of event {seq} is not the one that was committed to"));
            }
        }
    }
    match openings.peek() {
        None => Ok(()),
        Some(_) => {
            Err(format!("event {seq} has an opening that belongs to none of its values, or out of order"))
        }
    }
}

fn disclosed(events: &[Followed]) -> Checked {
    let values = || events.iter().flat_map(|logged| logged.recorded.event.veiled());
    let (all, open) = (values().count(), values().filter(|veiled| veiled.opening.is_some()).count());
    if all == open {
        return Ok(format!("{all} personal values, all disclosed"));
    }
    let sentence =
        format!("{} of {all} personal values were erased or withheld; their commitments stand", all - open);
    Err(Finding::NotChecked(sentence))
}

/// The places that are stated are those that something vouches for, and there is room between them for the events
/// that state none.
fn positions(events: &[Followed]) -> Checked {
    let placed = Placed::of(events.iter().map(|logged| &logged.recorded.event));
    for (position, logged) in events.iter().enumerate() {
        let seq = logged.recorded.event.seq;
        match (placed.states(position), logged.leaf) {
            (true, None) => return Err(format!("event {seq} states no place in the log").into()),
            (false, Some(_)) => {
                return Err(format!("event {seq} states a place in the log that nothing vouches for").into());
            }
            _ => {}
        }
    }
    let stated: Vec<_> =
        (0_u64..).zip(events).filter_map(|(position, logged)| Some((position, logged.leaf?))).collect();
    let mut leaf_ids: Vec<_> = stated.iter().map(|(_, leaf)| leaf.id).collect();
    leaf_ids.sort_unstable();
    leaf_ids.dedup();
    let rising = stated.is_sorted_by(|(position, leaf), (next_position, next)| {
        next.index > leaf.index && next.index - leaf.index >= next_position - position
    });
    ensure(
        rising && leaf_ids.len() == stated.len(),
        "rising; the last one is proven here, those up to the seal are under the seals, the others are not stated",
        "the events' places in the log do not rise, or two events have the same leaf id",
    )
}

/// The state that the events give.
pub(super) fn fold(events: &[Followed]) -> State {
    let mut state = State::default();
    for logged in events {
        state.apply(&logged.recorded.event);
    }
    state
}

/// What an event's stream claims of the sealing, where it went so far: the digest of the certificate that seals, and
/// when it began.
pub(super) fn sealing(events: &[Followed]) -> Option<(Digest, Time)> {
    events.iter().find_map(|logged| match &logged.recorded.event.body {
        Body::SealingStarted { seal_certificate_sha256 } => {
            Some((*seal_certificate_sha256, logged.recorded.event.at))
        }
        _ => None,
    })
}
