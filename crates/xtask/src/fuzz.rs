//! Builds the fuzz targets on the stable toolchain and runs each for half a minute.
//!
//! libFuzzer needs coverage counters in the code. LLVM adds them by options that stable rustc passes on, so neither
//! `cargo fuzz` nor a nightly compiler is needed. The address sanitizer, which would need one, is left out: our
//! crates hold no unsafe code, and what is looked for are panics, overflows, endless work and memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::failure::Failure;
use crate::process;
use crate::report::{Report, Tally};

const SECONDS_EACH: u32 = 30;

/// What `cargo fuzz --sanitizer none` passes to the compiler, with overflow checks.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// Builds and runs every target.
pub(crate) fn run(root: &Path, target: &Path, report: &mut Report) {
    let mut programs = Vec::new();
    let built = report.check("build of the fuzz targets", || {
        programs = build(root, &target.join("fuzz"))?;
        Ok(())
    });
    if built {
        report.section("fuzzing", || run_all(root, &target.join("fuzz"), &programs));
    }
}

/// Most targets at the same time: each may take [`MEMORY_MB`].
const MOST_AT_ONCE: usize = 4;
const MEMORY_MB: u32 = 2_048;

/// Runs as many targets at the same time as there are processors.
fn run_all(root: &Path, target: &Path, programs: &[PathBuf]) -> (Tally, Option<Failure>) {
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    let at_once = thread::available_parallelism().map_or(1, usize::from).min(MOST_AT_ONCE);
    for together in programs.chunks(at_once) {
        thread::scope(|scope| {
            let running: Vec<_> =
                together.iter().map(|program| scope.spawn(move || run_one(root, target, program))).collect();
            for one in running {
                match one.join() {
                    Ok(Ok(())) => tally.passed += 1,
                    Ok(Err(failure)) => failures.push(failure.0),
                    Err(_) => failures.push("a fuzz target was not awaited to its end".to_owned()),
                }
            }
        });
    }
    tally.failed = u32::try_from(failures.len()).unwrap_or(u32::MAX);
    let failure = (!failures.is_empty()).then(|| Failure(failures.join("\n")));
    (tally, failure)
}

/// Names of the targets, from the files of `fuzz/fuzz_targets`.
fn names(root: &Path) -> Result<Vec<String>, Failure> {
    let directory = root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&directory).map_err(|error| Failure::of_file(&directory, error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(Failure(format!("{} holds no target", directory.display())));
    }
    Ok(names)
}

fn build(root: &Path, target: &Path) -> Result<Vec<PathBuf>, Failure> {
    let names = names(root)?;
    let version = process::read(Command::new("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .ok_or_else(|| Failure("`rustc -vV` names no host".into()))?;
    // `--target` keeps the flags away from build scripts and macros.
    process::run(
        Command::new("cargo")
            .args(["build", "--quiet", "--locked", "--release", "--bins", "--target", host])
            .current_dir(root.join("fuzz"))
            .env("CARGO_TARGET_DIR", target)
            .env("RUSTFLAGS", FLAGS),
    )?;
    Ok(names.iter().map(|name| target.join(host).join("release").join(name)).collect())
}

/// One target for its time, from the seeds in `fuzz/seeds/<target>` where there are any. What it finds interesting
/// is kept beside the build, so that the next run goes on from there.
fn run_one(root: &Path, target: &Path, program: &Path) -> Result<(), Failure> {
    let name = program.file_name().unwrap_or_default();
    let corpus = target.join("corpus").join(name);
    let findings = target.join("findings").join(name);
    for directory in [&corpus, &findings] {
        fs::create_dir_all(directory).map_err(|error| Failure::of_file(directory, error))?;
    }
    let mut command = Command::new(program);
    command
        .args([
            &format!("-max_total_time={SECONDS_EACH}"),
            "-timeout=10",
            &format!("-rss_limit_mb={MEMORY_MB}"),
        ])
        .args(["-print_final_stats=1", "-verbosity=0"])
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg(&corpus);
    let seeds = root.join("fuzz/seeds").join(name);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    process::run(&mut command).map_err(|failure| {
        Failure(format!("{}; the input that did it is in {}", failure.0, findings.display()))
    })
}
