//! What bad receivers do to the others: an organization sends at a steady pace to a good receiver, in turns on a server that has
//! nothing else to do and on new ones with organizations whose receivers are slow, dead, failing, hanging, resetting and lying; then
//! beside a queue to the slow one. One late message in a hundred is not much to go by: each is measured in several phases.

use std::{collections::BTreeMap, ops::Range, path::Path, thread, time::Duration};

use serde_json::{Map, Value, json};

use countersign_core::webhook::class::Payload;

use super::{
    PATIENCE, latencies_ms, percentile,
    receiver::{Manner, Receiver},
    senders::{Made, Senders},
    subject::{Subject, Wish},
};
use crate::{Failure, house::Folder};

/// The organizations: the first one is the one that is measured.
const ORGANIZATIONS: [Manner; 7] =
    [Manner::Good, Manner::Slow, Manner::Dead, Manner::Fails, Manner::Hangs, Manner::Resets, Manner::Lies];
/// Of which the ones whose receivers are bad.
const BAD: Range<usize> = 1..ORGANIZATIONS.len();
/// None of them.
const NOBODY: Range<usize> = 0..0;
/// Of which the one whose receiver takes its time.
const SLOW: usize = 1;
/// Pace of the one that is measured.
const EVERY: Duration = Duration::from_millis(20);
/// Pace of each of the others.
const OTHERS_EVERY: Duration = Duration::from_millis(100);
/// How far they are apart.
const BETWEEN_OTHERS: Duration = Duration::from_micros(14_286);
/// Measured phases of each kind.
const PHASES: u32 = 5;
/// Messages that wait for the slow receiver.
const QUEUED: u32 = 1_500;
/// Of them, where answers alone count.
const FEW: u32 = 32;

/// Measures; each phase for about `seconds`.
pub(crate) fn measure(
    program: &Path,
    pdf: &Path,
    postgres: bool,
    seconds: u32,
) -> Result<Map<String, Value>, Failure> {
    let (phases, queue) = if seconds == 0 { (1, FEW) } else { (PHASES, QUEUED) };
    let open = || House::open(program, pdf, postgres, seconds);
    let (mut quiet, mut disturbed, mut queued) = (Phases::default(), Phases::default(), Phases::default());
    let alone = open()?;
    alone.warm_up()?;
    let mut requests = BTreeMap::new();
    for _ in 0..phases {
        quiet.add(alone.phase(NOBODY)?);
        // Ended before the next quiet phase: what failed is tried again for long.
        let beside = open()?;
        beside.warm_up()?;
        // By the second phase what failed in the first is tried again, too.
        beside.phase(BAD)?;
        disturbed.add(beside.phase(BAD)?);
        for (path, count) in beside.receiver.requests() {
            *requests.entry(path).or_default() += count;
        }
    }
    let waiting = open()?;
    waiting.warm_up()?;
    Senders::open(&waiting.subject, 16)?.send_count(SLOW, queue)?;
    for _ in 0..phases {
        queued.add(waiting.phase(NOBODY)?);
    }
    let came: u32 = waiting.receiver.requests().into_values().sum();
    if came >= queue {
        return Err("the queue to the slow receiver was empty before the end".into());
    }
    let mut figures = figures_of_requests(requests);
    for (name, phases) in [("quiet", quiet), ("disturbed", disturbed), ("queued", queued)] {
        for (figure, value) in phases.figures() {
            figures.insert(format!("{name}_{figure}"), json!(value));
        }
    }
    Ok(figures)
}

fn figures_of_requests(requests: BTreeMap<&'static str, u32>) -> Map<String, Value> {
    let named = |path: &str| format!("requests_at_{}", path.trim_start_matches('/'));
    requests.into_iter().map(|(path, count)| (named(path), json!(count))).collect()
}

/// A server, and the receivers of its organizations.
struct House {
    subject: Subject,
    receiver: Receiver,
    seconds: u32,
    // Ends after what lies in it.
    _folder: Folder,
}

impl House {
    fn open(program: &Path, pdf: &Path, postgres: bool, seconds: u32) -> Result<Self, Failure> {
        let folder = Folder::new()?;
        let receiver = Receiver::start(&folder)?;
        let (plain, payload, receivers) = (false, Payload::Thin, ORGANIZATIONS.as_slice());
        let wish = Wish { program, pdf, postgres, plain, payload, receivers, parked: 0 };
        let subject = Subject::start(&wish, &folder, &receiver)?;
        Ok(Self { subject, receiver, seconds, _folder: folder })
    }

    fn warm_up(&self) -> Result<(), Failure> {
        self.phase(NOBODY)?;
        self.subject.rest()
    }

    /// Sends for the one that is measured, and for these others at their pace. Gives how long its messages took, sorted.
    fn phase(&self, others: Range<usize>) -> Result<Vec<f64>, Failure> {
        let one = Senders::open(&self.subject, 1)?;
        let made = thread::scope(|scope| {
            let one = &one;
            let paced = |of, every, first| one.send_paced(of, times(self.seconds, every), every, first);
            // Apart, as people are who know nothing of each other.
            let others: Vec<_> = (1..)
                .zip(others)
                .map(|(number, of)| scope.spawn(move || paced(of, OTHERS_EVERY, BETWEEN_OTHERS * number)))
                .collect();
            let made = paced(0, EVERY, Duration::ZERO)?;
            for other in others {
                other.join().map_err(|_| "a sender broke")??;
            }
            Ok::<Vec<Made>, Failure>(made)
        })?;
        latencies_ms(&made, &self.receiver.wait_for(made.len(), PATIENCE)?)
    }
}

/// How long messages took, phase by phase.
#[derive(Default)]
struct Phases(Vec<Vec<f64>>);

impl Phases {
    fn add(&mut self, latencies_ms: Vec<f64>) {
        self.0.push(latencies_ms);
    }

    /// The middle one of the phases' percentiles, and those of all messages: a phase in which the machine was busy with something
    /// else does not decide the one, and shows in the other.
    fn figures(&self) -> [(&'static str, f64); 4] {
        let mut all: Vec<f64> = self.0.iter().flatten().copied().collect();
        all.sort_by(f64::total_cmp);
        let middle = |percent| {
            let mut each: Vec<f64> = self.0.iter().map(|phase| percentile(phase, percent)).collect();
            each.sort_by(f64::total_cmp);
            percentile(&each, 50)
        };
        [
            ("p50_ms", middle(50)),
            ("p99_ms", middle(99)),
            ("all_p99_ms", percentile(&all, 99)),
            ("worst_ms", percentile(&all, 100)),
        ]
    }
}

/// How often something happens in so many seconds.
fn times(seconds: u32, every: Duration) -> u32 {
    u32::try_from(Duration::from_secs(seconds.into()).as_millis() / every.as_millis().max(1))
        .unwrap_or(u32::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_busy_phase_shows_and_does_not_decide() {
        let mut phases = Phases::default();
        for late in [5.0, 90.0, 4.0, 6.0, 7.0] {
            phases.add([vec![1.0; 97], vec![late; 3]].concat());
        }
        let [p50, p99, all, worst] = phases.figures().map(|(_, value)| value);
        assert_eq!((p50, p99, all, worst), (1.0, 6.0, 7.0, 90.0));
    }
}
