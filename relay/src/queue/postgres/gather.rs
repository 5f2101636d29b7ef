//! Work of many callers that is done in one statement: one commit for all that came while the last one was made.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::link::{Link, told};
use super::sql;
use crate::fault::Fault;
use crate::queue::{Accepted, Arrival, OVERTAKEN, millis, write_headers};
use crate::sender::Nonce;

/// Callers that wait at most; beyond that they wait for a place.
const WAITING: usize = 4_096;
/// Pieces in one statement at most.
const GROUP: usize = 256;

type Waiting<R> = Vec<(Arrival, R)>;
type Reply<T> = oneshot::Sender<Result<T, Fault>>;

/// The way to a task that gathers.
pub(super) struct Gatherer<I, T>(mpsc::Sender<(I, Reply<T>)>);

impl<I, T> Gatherer<I, T> {
    pub(super) async fn call(&self, input: I) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        let gone = || Fault::queue("its writer has ended");
        self.0.send((input, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Keeps messages.
pub(super) fn accepts(link: Link) -> Gatherer<Arrival, Accepted> {
    let (way, mut work) = mpsc::channel::<(Arrival, Reply<Accepted>)>(WAITING);
    tokio::spawn(async move {
        let (mut waiting, mut later) = (Vec::with_capacity(GROUP), Vec::new());
        loop {
            if later.is_empty() {
                if work.recv_many(&mut waiting, GROUP).await == 0 {
                    return;
                }
            } else {
                waiting.append(&mut later);
            }
            let (group, rest) = apart(std::mem::take(&mut waiting));
            later = rest;
            answer_accepts(&link, group).await;
        }
    });
    Gatherer(way)
}

/// Takes those apart that name the same: one statement takes each key once.
fn apart<R>(waiting: Waiting<R>) -> (Waiting<R>, Waiting<R>) {
    let mut known = HashSet::new();
    waiting.into_iter().partition(|(arrival, _)| {
        let sender = &arrival.sender;
        let is_new_id = known.insert((Arc::clone(sender), false, arrival.verified.id.clone()));
        let is_new_nonce = nonce(arrival)
            .is_none_or(|(nonce, _, _)| known.insert((Arc::clone(sender), true, nonce.to_owned())));
        is_new_id && is_new_nonce
    })
}

/// The nonce, how long it is kept, and whether it may come again with its id.
fn nonce(arrival: &Arrival) -> Option<(&str, i64, bool)> {
    match &arrival.verified.nonce {
        Nonce::Message => None,
        Nonce::Attempt(nonce, keep_s) => Some((nonce, keep_s.saturating_mul(1_000), false)),
        Nonce::Bytes(nonce) => Some((nonce, millis(arrival.remember), true)),
    }
}

async fn answer_accepts(link: &Link, group: Vec<(Arrival, Reply<Accepted>)>) {
    let arrivals: Vec<&Arrival> = group.iter().map(|(arrival, _)| arrival).collect();
    let kept = keep(link, &arrivals).await;
    for (arrival, reply) in group {
        let answer = match &kept {
            Ok(kept) => {
                let key = (arrival.sender.to_string(), arrival.verified.id.clone());
                kept.get(&key).copied().ok_or_else(|| Fault::queue("PostgreSQL said nothing of a message"))
            }
            Err(fault) => Err(fault.clone()),
        };
        // A caller that went away needs no answer.
        let _: Result<(), _> = reply.send(answer);
    }
}

async fn keep(link: &Link, arrivals: &[&Arrival]) -> Result<HashMap<(String, String), Accepted>, Fault> {
    let place = |arrival: &&Arrival| arrival.verified.place.clone().filter(|_| arrival.gap.is_some());
    let places: Vec<_> = arrivals.iter().map(place).collect();
    let senders: Vec<&str> = arrivals.iter().map(|one| &*one.sender).collect();
    let ids: Vec<&str> = arrivals.iter().map(|one| &*one.verified.id).collect();
    let nonces: Vec<Option<&str>> = arrivals.iter().map(|one| nonce(one).map(|(nonce, ..)| nonce)).collect();
    let nonce_ms: Vec<i64> = arrivals.iter().map(|one| nonce(one).map_or(0, |(_, ms, _)| ms)).collect();
    let id_ms: Vec<i64> = arrivals.iter().map(|one| millis(one.remember)).collect();
    let streams: Vec<Option<&str>> = places.iter().map(|place| Some(&*place.as_ref()?.stream)).collect();
    let sequences: Vec<Option<i64>> = places.iter().map(|place| Some(place.as_ref()?.sequence)).collect();
    let gaps: Vec<i64> = arrivals.iter().map(|one| millis(one.gap.unwrap_or_default())).collect();
    let types: Vec<Option<&str>> = arrivals.iter().map(|one| one.content_type.as_deref()).collect();
    let headers: Vec<String> = arrivals.iter().map(|one| write_headers(&one.verified.headers)).collect();
    let bodies: Vec<&[u8]> = arrivals.iter().map(|one| &*one.body).collect();
    let rows = link
        .query(
            sql::ACCEPT,
            &[
                &senders, &ids, &nonces, &nonce_ms, &id_ms, &streams, &sequences, &gaps, &types, &headers,
                &bodies, &OVERTAKEN,
            ],
        )
        .await?;
    let may_come_again: HashMap<(&str, &str), bool> = arrivals
        .iter()
        .map(|one| ((&*one.sender, &*one.verified.id), nonce(one).is_some_and(|(_, _, again)| again)))
        .collect();
    let mut kept = HashMap::new();
    for row in rows {
        let column = |index: usize| row.try_get::<_, bool>(index).map_err(|error| told(&error));
        let text = |index: usize| row.try_get::<_, String>(index).map_err(|error| told(&error));
        let (sender, id) = (text(0)?, text(1)?);
        let again = may_come_again.get(&(&*sender, &*id)).copied().unwrap_or_default();
        let accepted = match (column(2)?, column(3)?, column(4)? && again, column(5)?) {
            (false, _, true, _) | (true, false, _, _) => Accepted::Duplicate,
            (false, _, false, _) => Accepted::Replayed,
            (true, true, _, true) => Accepted::Overtaken,
            (true, true, _, false) => Accepted::New,
        };
        kept.insert((sender, id), accepted);
    }
    Ok(kept)
}

/// A message that the system has.
pub(super) struct Ended {
    pub(super) number: i64,
    pub(super) attempt: i64,
    pub(super) sender: Arc<str>,
    /// In ordered mode, its stream and its sequence.
    pub(super) place: Option<(String, i64)>,
    /// How long the next one waits for what it overtook.
    pub(super) gap: Duration,
}

/// Ends attempts of messages that the system has.
pub(super) fn ends(link: Link) -> Gatherer<Ended, bool> {
    let (way, mut work) = mpsc::channel::<(Ended, Reply<bool>)>(WAITING);
    tokio::spawn(async move {
        let mut group = Vec::with_capacity(GROUP);
        while work.recv_many(&mut group, GROUP).await > 0 {
            let ended = end(&link, &group).await;
            for (one, reply) in group.drain(..) {
                let answer = ended.as_ref().map(|ended| ended.contains(&one.number)).map_err(Clone::clone);
                let _: Result<(), _> = reply.send(answer);
            }
        }
    });
    Gatherer(way)
}

async fn end(link: &Link, group: &[(Ended, Reply<bool>)]) -> Result<HashSet<i64>, Fault> {
    let numbers: Vec<i64> = group.iter().map(|(one, _)| one.number).collect();
    let attempts: Vec<i64> = group.iter().map(|(one, _)| one.attempt).collect();
    let senders: Vec<&str> = group.iter().map(|(one, _)| &*one.sender).collect();
    let streams: Vec<Option<&str>> = group.iter().map(|(one, _)| Some(&*one.place.as_ref()?.0)).collect();
    let sequences: Vec<Option<i64>> = group.iter().map(|(one, _)| Some(one.place.as_ref()?.1)).collect();
    let gaps: Vec<i64> = group.iter().map(|(one, _)| millis(one.gap)).collect();
    let rows = link
        .query(sql::DONE_GROUP, &[&numbers, &attempts, &senders, &streams, &sequences, &gaps, &OVERTAKEN])
        .await?;
    rows.iter().map(|row| row.try_get(0).map_err(|error| told(&error))).collect()
}
