//! What the machine did meanwhile: how late a thread woke that had nothing to do, and how long a small write took to reach the
//! disk. Where both are slow, so is whatever is measured beside them.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use super::percentile;
use crate::{Failure, cpu, house::Folder};

/// How long the thread sleeps.
const ASLEEP: Duration = Duration::from_millis(100);
/// Of so many times that it wakes it writes once: what is measured may have to wait for that.
const WRITES_EVERY: usize = 10;
/// What is written: a page of a database.
const PAGE: [u8; 4_096] = [7; 4_096];

/// Measures, and adds to its figures what the machine did meanwhile.
pub(crate) fn beside(
    measure: impl FnOnce() -> Result<Map<String, Value>, Failure>,
) -> Result<Map<String, Value>, Failure> {
    let folder = Folder::new()?;
    let mut file = File::create(folder.path().join("page"))?;
    let has_ended = AtomicBool::new(false);
    let (measured, seen) = thread::scope(|scope| {
        let seen = scope.spawn(|| Seen::until(&has_ended, &mut file));
        let ends = Ends(&has_ended);
        let measured = measure();
        drop(ends);
        (measured, seen.join())
    });
    let mut figures = measured?;
    let seen = seen.map_err(|_| "the look at the machine broke")??;
    for (name, mut values_ms) in [("wakes", seen.late_ms), ("syncs", seen.syncs_ms)] {
        values_ms.sort_by(f64::total_cmp);
        for (figure, percent) in [("p50_ms", 50), ("p99_ms", 99), ("worst_ms", 100)] {
            figures.insert(format!("{name}_{figure}"), json!(percentile(&values_ms, percent)));
        }
    }
    Ok(figures)
}

/// Ends the look, however the measurement ended.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Seen {
    late_ms: Vec<f64>,
    syncs_ms: Vec<f64>,
}

impl Seen {
    fn until(has_ended: &AtomicBool, file: &mut File) -> Result<Self, Failure> {
        let since_ms = |at: Instant| cpu::now().saturating_duration_since(at).as_secs_f64() * 1_000.0;
        let mut seen = Self::default();
        while !has_ended.load(Ordering::Relaxed) {
            let asleep = cpu::now();
            cpu::pause(ASLEEP);
            seen.late_ms.push(since_ms(asleep) - ASLEEP.as_secs_f64() * 1_000.0);
            if seen.late_ms.len().is_multiple_of(WRITES_EVERY) {
                let writes = cpu::now();
                file.rewind()?;
                file.write_all(&PAGE)?;
                file.sync_data()?;
                seen.syncs_ms.push(since_ms(writes));
            }
        }
        Ok(seen)
    }
}
