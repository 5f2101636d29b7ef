//! Integrators that create envelopes, each on a connection of its own, one request after the other.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::subject::Subject;
use crate::{
    Failure,
    connection::{Connection, Endpoint},
    cpu,
};

/// An envelope that was made, and the message of it that is to arrive.
pub(crate) struct Made {
    /// Its id.
    pub(crate) envelope: String,
    /// When the first byte of the request went out.
    pub(crate) at: Instant,
}

/// Integrators at the same time.
pub(crate) struct Senders<'a> {
    subject: &'a Subject,
    create: Endpoint,
    count: u32,
}

/// Envelopes of each sender, where answers alone count.
const FEWEST: u32 = 3;

/// Every request has a key of its own.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl<'a> Senders<'a> {
    /// So many.
    pub(crate) fn open(subject: &'a Subject, count: u32) -> Result<Self, Failure> {
        Ok(Self { subject, create: subject.endpoint("/v1/envelopes")?, count })
    }

    /// Everybody creates one envelope after the other for so long, and a few however short that is.
    pub(crate) fn send_for(&self, seconds: f64) -> Result<Vec<Made>, Failure> {
        self.send(0, |number, began| number < FEWEST || began.elapsed().as_secs_f64() < seconds)
    }

    /// Creates so many in all for the organization of this number, as fast as they go.
    pub(crate) fn send_count(&self, organization: usize, count: u32) -> Result<Vec<Made>, Failure> {
        let each = count.div_ceil(self.count.max(1));
        self.send(organization, |number, _| number < each)
    }

    /// Everybody creates `each` envelopes for the organization of this number, one every `every`, the first after `first`.
    pub(crate) fn send_paced(
        &self,
        organization: usize,
        each: u32,
        every: Duration,
        first: Duration,
    ) -> Result<Vec<Made>, Failure> {
        self.send(organization, |number, began| {
            let next = first + every * number;
            cpu::pause(next.saturating_sub(began.elapsed()));
            number < each
        })
    }

    fn send(
        &self,
        organization: usize,
        goes_on: impl Fn(u32, Instant) -> bool + Sync,
    ) -> Result<Vec<Made>, Failure> {
        let connections: Vec<Connection> =
            (0..self.count).map(|_| self.subject.connect(&self.create)).collect::<Result<_, _>>()?;
        let goes_on = &goes_on;
        thread::scope(|scope| {
            let tasks: Vec<_> = connections
                .into_iter()
                .map(|connection| scope.spawn(move || self.one(connection, organization, goes_on)))
                .collect();
            let mut all = Vec::new();
            for task in tasks {
                all.extend(task.join().map_err(|_| "a sender broke")??);
            }
            Ok(all)
        })
    }

    fn one(
        &self,
        mut connection: Connection,
        organization: usize,
        goes_on: impl Fn(u32, Instant) -> bool,
    ) -> Result<Vec<Made>, Failure> {
        let (mut made, began) = (Vec::new(), cpu::now());
        let (token, body) = self.subject.order(organization)?;
        for number in 0.. {
            if !goes_on(number, began) {
                break;
            }
            let key = NUMBER.fetch_add(1, Ordering::Relaxed);
            let headers = format!("Authorization: Bearer {token}\r\nIdempotency-Key: bench-{key}\r\n");
            let request = self.create.post_json(&headers, body);
            let at = cpu::now();
            let answer = connection.ask(&request)?;
            if answer.status != 201 {
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                return Err(format!("an envelope was answered with {}: {said}", answer.status).into());
            }
            let answer: Value = serde_json::from_slice(&answer.body)?;
            let envelope = answer.get("id").and_then(Value::as_str).ok_or("an envelope has no id")?;
            made.push(Made { envelope: envelope.to_owned(), at });
        }
        Ok(made)
    }
}
