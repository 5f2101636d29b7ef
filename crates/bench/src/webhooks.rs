//! Webhooks: from the act of an integrator to the receiver, with the program that ships. Senders, receiver, server and database
//! share the machine's cores.

mod disturbed;
mod machine;
mod parked;
mod receiver;
mod senders;
mod subject;

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use countersign_core::webhook::class::Payload;
use serde_json::{Map, Value, json};

use crate::{Failure, cpu, house::Folder};
use receiver::{Arrival, Manner, Receiver};
use senders::{Made, Senders};
use subject::{Subject, Wish};

/// Senders at the same time, in each of the rows.
const ROWS: [u32; 3] = [1, 16, 64];
/// The same, in what is compared with them.
const COMPARED: [u32; 1] = [16];
/// How long each row is warmed up, in parts of its length.
const WARM: u32 = 4;
/// Longest wait for what was made to arrive.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is measured of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Messages in a second, and how long each takes, at 1, 16 and 64 senders.
    Rate,
    /// What receivers that do not answer as they should do to the others.
    Disturbed,
    /// What a million parked deliveries do to the server's memory.
    Parked,
}

/// Measures the program; each row for about `seconds`.
pub(crate) fn measure(
    part: Part,
    program: &Path,
    pdf: &Path,
    postgres: bool,
    seconds: u32,
) -> Result<Value, Failure> {
    match part {
        Part::Rate => machine::beside(|| rate(program, pdf, postgres, seconds)).map(Value::Object),
        Part::Disturbed => {
            machine::beside(|| disturbed::measure(program, pdf, postgres, seconds)).map(Value::Object)
        }
        Part::Parked => parked::measure(program, pdf, postgres, seconds),
    }
}

fn rate(program: &Path, pdf: &Path, postgres: bool, seconds: u32) -> Result<Map<String, Value>, Failure> {
    let mut figures = Map::new();
    // Messages are thin unless an endpoint asks for more; the way in without TLS and whole events are there to compare.
    let ways =
        [("tls", false, Payload::Thin), ("plain", true, Payload::Thin), ("full", false, Payload::Full)];
    for (name, plain, payload) in ways {
        let folder = Folder::new()?;
        let receiver = Receiver::start(&folder)?;
        let wish = Wish { program, pdf, postgres, plain, payload, receivers: &[Manner::Good], parked: 0 };
        let subject = Subject::start(&wish, &folder, &receiver)?;
        let rows: &[u32] = if name == "tls" { &ROWS } else { &COMPARED };
        for senders in rows.iter().copied() {
            let row = Row::measure(&subject, &receiver, senders, seconds)?;
            for (figure, value) in row.figures() {
                figures.insert(format!("{name}_{senders}_{figure}"), json!(value));
            }
        }
    }
    Ok(figures)
}

struct Row {
    messages: u32,
    per_second: f64,
    latencies_ms: Vec<f64>,
    server_cpu_ms: f64,
    database_cpu_ms: f64,
    users_cpu_ms: f64,
    body_bytes: f64,
}

impl Row {
    fn measure(subject: &Subject, receiver: &Receiver, senders: u32, seconds: u32) -> Result<Self, Failure> {
        let all = Senders::open(subject, senders)?;
        all.send_for(f64::from(seconds) / f64::from(WARM))?;
        subject.rest()?;
        receiver.take();
        let (before, users) = (subject.cpu_ns()?, cpu::of_this_process_ns()?);
        let made = all.send_for(f64::from(seconds))?;
        let arrivals = receiver.wait_for(made.len(), PATIENCE)?;
        let users = cpu::of_this_process_ns()? - users;
        subject.rest()?;
        let after = subject.cpu_ns()?;
        let messages = u32::try_from(made.len())?;
        let each = |ns: u64| cpu::ms(ns) / f64::from(messages.max(1));
        let began = made.iter().map(|made| made.at).min().ok_or("nothing was made")?;
        let ended = arrivals.iter().map(|arrival| arrival.at).max().ok_or("nothing arrived")?;
        let bytes: usize = arrivals.iter().map(|arrival| arrival.body_bytes).sum();
        Ok(Self {
            messages,
            per_second: f64::from(messages) / ended.duration_since(began).as_secs_f64(),
            latencies_ms: latencies_ms(&made, &arrivals)?,
            server_cpu_ms: each(after[0] - before[0]),
            database_cpu_ms: each(after[1] - before[1]),
            users_cpu_ms: each(users),
            body_bytes: f64::from(u32::try_from(bytes)?) / f64::from(messages.max(1)),
        })
    }

    fn figures(&self) -> [(&'static str, f64); 9] {
        [
            ("per_second", self.per_second),
            ("p50_ms", percentile(&self.latencies_ms, 50)),
            ("p99_ms", percentile(&self.latencies_ms, 99)),
            ("cpu_ms", self.server_cpu_ms + self.database_cpu_ms),
            ("server_cpu_ms", self.server_cpu_ms),
            ("database_cpu_ms", self.database_cpu_ms),
            ("users_cpu_ms", self.users_cpu_ms),
            ("body_bytes", self.body_bytes),
            ("messages", f64::from(self.messages)),
        ]
    }
}

/// From the first byte of each request to the arrival of its message, sorted. Every message must have arrived, once.
fn latencies_ms(made: &[Made], arrivals: &[Arrival]) -> Result<Vec<f64>, Failure> {
    let mut began: HashMap<&str, Instant> =
        made.iter().map(|made| (made.envelope.as_str(), made.at)).collect();
    let mut found = Vec::with_capacity(made.len());
    for arrival in arrivals {
        if let Some(at) = began.remove(arrival.envelope.as_str()) {
            found.push(arrival.at.saturating_duration_since(at).as_secs_f64() * 1_000.0);
        }
    }
    if !began.is_empty() {
        return Err(format!("{} of {} messages did not arrive", began.len(), made.len()).into());
    }
    found.sort_by(f64::total_cmp);
    Ok(found)
}

/// The value that so many percent of the sorted ones do not pass.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn made(envelope: &str, at: Instant) -> Made {
        Made { envelope: envelope.to_owned(), at }
    }

    fn arrival(envelope: &str, at: Instant) -> Arrival {
        Arrival { envelope: envelope.to_owned(), at, body_bytes: 1_000 }
    }

    #[test]
    fn a_message_is_late_by_its_own_request_and_none_is_missed() {
        let start = cpu::now();
        let after = |ms: u64| start + Duration::from_millis(ms);
        let made = [made("a", after(0)), made("b", after(10))];
        let arrivals = [arrival("b", after(12)), arrival("a", after(30)), arrival("c", after(31))];
        assert_eq!(latencies_ms(&made, &arrivals).unwrap(), [2.0, 30.0]);
        assert!(latencies_ms(&made, &arrivals[1..]).is_err(), "b is missing");
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (100.0, 198.0));
        assert_eq!((percentile(&[7.0], 99), percentile(&[], 99)), (7.0, 0.0));
    }
}
