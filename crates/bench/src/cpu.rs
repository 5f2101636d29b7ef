//! Clocks: the wall's, and the processor time that Linux accounts to threads. Figures in processor time hardly depend on
//! what else the machine does.

use std::{fs, path::Path, time::Instant};

use crate::Failure;

/// Now, for differences.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn schedstat_ns(folder: &Path) -> Result<u64, Failure> {
    let text = fs::read_to_string(folder.join("schedstat"))?;
    let first = text.split_whitespace().next().ok_or("schedstat is empty")?;
    Ok(first.parse()?)
}

/// Processor time of this thread in ns.
pub(crate) fn of_this_thread_ns() -> Result<u64, Failure> {
    schedstat_ns(Path::new("/proc/thread-self"))
}

/// Processor time in ns of the threads of this process whose name starts with `name`.
pub(crate) fn of_threads_ns(name: &str) -> Result<u64, Failure> {
    let mut sum_ns = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let folder = thread?.path();
        // A thread may end between the listing and the look.
        let Ok(found) = fs::read_to_string(folder.join("comm")) else { continue };
        if found.starts_with(name) {
            sum_ns += schedstat_ns(&folder).unwrap_or(0);
        }
    }
    Ok(sum_ns)
}

/// Processor time of this process in ns, threads that ended included; exact to 10 ms.
pub(crate) fn of_this_process_ns() -> Result<u64, Failure> {
    let text = fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in parentheses, may hold spaces: fields are counted after it (proc_pid_stat(5)).
    let (_, rest) = text.rsplit_once(')').ok_or("stat has no name")?;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
    // 100 ticks a second on every Linux that is built for us.
    Ok(ticks * 10_000_000)
}

/// Mean processor time in ms of one `work` of this thread: the median of seven batches.
pub(crate) fn median_ms(count: u32, mut work: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut batches = Vec::new();
    for _ in 0..7 {
        let before = of_this_thread_ns()?;
        for _ in 0..count {
            work()?;
        }
        batches.push(ms(of_this_thread_ns()? - before) / f64::from(count));
    }
    batches.sort_by(f64::total_cmp);
    batches.get(3).copied().ok_or_else(|| "nothing was measured".into())
}

/// ns as ms.
#[expect(clippy::cast_precision_loss, reason = "a measurement is not exact")]
pub(crate) fn ms(ns: u64) -> f64 {
    ns as f64 / 1_000_000.0
}
