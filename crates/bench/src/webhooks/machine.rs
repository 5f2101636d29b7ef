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

/// Between two looks: rare enough to cost the measurement nothing that shows.
const BETWEEN: Duration = Duration::from_millis(100);
/// What is written: a page of a database.
const PAGE: [u8; 4_096] = [7; 4_096];

/// Measures, and adds to its figures what the machine did meanwhile.
pub(crate) fn beside(
    measure: impl FnOnce() -> Result<Map<String, Value>, Failure>,
) -> Result<Map<String, Value>, Failure> {
    let folder = Folder::new()?;
    let mut file = File::create(folder.path().join("page"))?;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut looks = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                looks.push(Look::take(&mut file)?);
            }
            Ok::<_, Failure>(looks)
        });
        let measured = measure();
        ended.store(true, Ordering::Relaxed);
        let looks = looks.join().map_err(|_| "the look at the machine broke")??;
        let mut figures = measured?;
        for (name, of) in [("wakes", Look::late_ms as fn(&Look) -> f64), ("syncs", Look::sync_ms)] {
            let mut values: Vec<f64> = looks.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            for (figure, percent) in [("p50_ms", 50), ("p99_ms", 99), ("worst_ms", 100)] {
                figures.insert(format!("{name}_{figure}"), json!(percentile(&values, percent)));
            }
        }
        Ok(figures)
    })
}

struct Look {
    late: Duration,
    sync: Duration,
}

impl Look {
    fn take(file: &mut File) -> Result<Self, Failure> {
        let since = |at: Instant| cpu::now().saturating_duration_since(at);
        let asleep = cpu::now();
        cpu::pause(BETWEEN);
        let late = since(asleep).saturating_sub(BETWEEN);
        let writes = cpu::now();
        file.rewind()?;
        file.write_all(&PAGE)?;
        file.sync_data()?;
        Ok(Self { late, sync: since(writes) })
    }

    fn late_ms(&self) -> f64 {
        self.late.as_secs_f64() * 1_000.0
    }

    fn sync_ms(&self) -> f64 {
        self.sync.as_secs_f64() * 1_000.0
    }
}
