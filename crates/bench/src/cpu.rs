//! Clocks: the wall's, and the processor time that Linux accounts to threads. Figures in processor time hardly depend on
//! what else the machine does.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::Failure;

/// Now, for differences.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits: a measurement lets a program that it does not see into come to rest.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A server that spends less than this in [`QUIET`] has done what it put off. Ours looks for that once a second.
const QUIET_NS: u64 = 20_000_000;
const QUIET: Duration = Duration::from_millis(1_300);
/// Longest wait for that.
const QUIET_TRIES: u32 = 50;

/// Waits until whatever spends the processor time that `spent` tells, in ns, has nothing left to do. Gives since when.
pub(crate) fn at_rest(spent: impl Fn() -> Result<u64, Failure>) -> Result<Instant, Failure> {
    let mut before = spent()?;
    for _ in 0..QUIET_TRIES {
        let since = now();
        pause(QUIET);
        let spent_by_now = spent()?;
        if spent_by_now - before <= QUIET_NS {
            return Ok(since);
        }
        before = spent_by_now;
    }
    Err("the server does not come to rest".into())
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

/// What `stat` in the folder of a process says of it.
struct Stat {
    parent: u64,
    own_ns: u64,
    of_ended_children_ns: u64,
}

impl Stat {
    fn read(folder: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(folder.join("stat"))?;
        // The name of the program, in parentheses, may hold spaces: fields are counted after it (proc_pid_stat(5)).
        let (_, rest) = text.rsplit_once(')').ok_or("stat has no name")?;
        let field = |number: usize| -> Result<u64, Failure> {
            Ok(rest.split_whitespace().nth(number - 3).ok_or("stat is short")?.parse()?)
        };
        // 100 ticks a second on every Linux that is built for us.
        let sum_ns = |first: usize| Ok::<_, Failure>((field(first)? + field(first + 1)?) * 10_000_000);
        Ok(Self { parent: field(4)?, own_ns: sum_ns(14)?, of_ended_children_ns: sum_ns(16)? })
    }
}

/// Processor time of this process in ns, threads that ended included; exact to 10 ms.
pub(crate) fn of_this_process_ns() -> Result<u64, Failure> {
    Ok(Stat::read(Path::new("/proc/self"))?.own_ns)
}

/// The same of another process and its children.
pub(crate) fn of_process_and_children_ns(process: u32) -> Result<u64, Failure> {
    let head = Stat::read(&Path::new("/proc").join(process.to_string()))?;
    Ok(head.own_ns
        + head.of_ended_children_ns
        + children(process)?.iter().map(|(_, stat)| stat.own_ns).sum::<u64>())
}

/// The children of a process that run, each with its folder.
fn children(process: u32) -> Result<Vec<(PathBuf, Stat)>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let folder = entry?.path();
        // Not every entry is a process, and one may end between the listing and the look.
        let Ok(stat) = Stat::read(&folder) else { continue };
        if stat.parent == u64::from(process) {
            found.push((folder, stat));
        }
    }
    Ok(found)
}

/// Processor time in ns of a process and its children, each with one thread, as PostgreSQL's are. What ended children
/// spent is exact to 10 ms.
pub(crate) fn of_family_ns(process: u32) -> Result<u64, Failure> {
    let head = Path::new("/proc").join(process.to_string());
    let mut sum_ns = schedstat_ns(&head)? + Stat::read(&head)?.of_ended_children_ns;
    for (folder, _) in children(process)? {
        sum_ns += schedstat_ns(&folder).unwrap_or(0);
    }
    Ok(sum_ns)
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
