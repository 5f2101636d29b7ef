//! What bad receivers do to the others: an organization sends at a steady pace to a good receiver, first alone, then beside
//! organizations whose receivers are slow, dead, failing, hanging, resetting and lying, and beside a queue to a slow one.

use std::{path::Path, thread, time::Duration};

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
/// Of which the one whose receiver takes its time.
const SLOW: usize = 1;
/// Pace of the one that is measured.
const EVERY: Duration = Duration::from_millis(20);
/// Pace of each of the others.
const OTHERS_EVERY: Duration = Duration::from_millis(100);
/// Messages that wait for the slow receiver.
const QUEUED: u32 = 1_500;
/// Of them, where answers alone count.
const FEW: u32 = 32;

/// Measures; each part for about `seconds`.
pub(crate) fn measure(program: &Path, pdf: &Path, postgres: bool, seconds: u32) -> Result<Value, Failure> {
    let folder = Folder::new()?;
    let receiver = Receiver::start(&folder)?;
    let wish = Wish {
        program,
        pdf,
        postgres,
        plain: false,
        payload: Payload::Thin,
        receivers: &ORGANIZATIONS,
        parked: 0,
    };
    let subject = Subject::start(&wish, &folder, &receiver)?;
    let one = Senders::open(&subject, 1)?;
    let measured = |every: Duration| times(seconds, every);
    let steady = || one.send_paced(0, measured(EVERY), EVERY);
    let mut figures = Map::new();
    let mut add = |name: &str, made: &[Made]| {
        let latencies_ms = latencies_ms(made, &receiver.wait_for(made.len(), PATIENCE)?)?;
        figures.insert(format!("{name}_p50_ms"), json!(percentile(&latencies_ms, 50)));
        figures.insert(format!("{name}_p99_ms"), json!(percentile(&latencies_ms, 99)));
        Ok::<_, Failure>(())
    };
    steady()?;
    subject.rest()?;
    receiver.take();
    add("quiet", &steady()?)?;
    // The same requests of others, so that what the requests themselves cost is in both.
    let beside = |organizations: &[usize]| {
        thread::scope(|scope| {
            let others: Vec<_> = organizations
                .iter()
                .map(|of| {
                    let one = &one;
                    scope.spawn(move || one.send_paced(*of, times(seconds, OTHERS_EVERY), OTHERS_EVERY))
                })
                .collect();
            let made = steady()?;
            for other in others {
                other.join().map_err(|_| "a sender broke")??;
            }
            Ok::<_, Failure>(made)
        })
    };
    let bad: Vec<usize> = (1..ORGANIZATIONS.len()).collect();
    add("disturbed", &beside(&bad)?)?;
    let requests = receiver.requests();
    Senders::open(&subject, 16)?.send_count(SLOW, if seconds == 0 { FEW } else { QUEUED })?;
    add("queued", &steady()?)?;
    for (path, count) in requests {
        figures.insert(format!("requests_at_{}", path.trim_start_matches('/')), json!(count));
    }
    Ok(Value::Object(figures))
}

/// How often something happens in so many seconds.
fn times(seconds: u32, every: Duration) -> u32 {
    u32::try_from(Duration::from_secs(seconds.into()).as_millis() / every.as_millis().max(1))
        .unwrap_or(u32::MAX)
        .max(1)
}
