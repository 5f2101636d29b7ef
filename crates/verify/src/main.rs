//! `countersign-verify`: checks an evidence package or a sealed PDF, offline. Exit codes: 0 genuine, 1 not genuine,
//! 2 not fully checked or not understood, 3 genuine but of a sandbox.

use std::{fs, io::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use countersign_verify::{Report, Verdict, Verifier, verify_package, verify_sealed_pdf};

/// Checks an evidence package or a sealed PDF without any network. Exit code 0: genuine. 1: not genuine, the first
/// thing that is wrong is named. 2: not fully checked, or the call was not understood. 3: genuine, but a sandbox test,
/// which binds nobody.
#[derive(Parser)]
#[command(name = "countersign-verify", version)]
struct Arguments {
    /// An evidence package (`env_….evidence.zip`) or a sealed PDF.
    package_or_pdf: PathBuf,
    /// The log's verifier key, or a file that holds one per line. Get it from elsewhere than the package. May be
    /// given several times.
    #[arg(long = "key", value_name = "VKEY_OR_FILE")]
    keys: Vec<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(report) => {
            let text = if arguments.json { report.to_json() + "\n" } else { report.to_text() };
            // A closed pipe must not change the verdict.
            let _ = std::io::stdout().write_all(text.as_bytes());
            match report.verdict() {
                Verdict::Genuine => ExitCode::SUCCESS,
                Verdict::Failed => ExitCode::from(1),
                Verdict::Incomplete => ExitCode::from(2),
                Verdict::GenuineSandbox => ExitCode::from(3),
            }
        }
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "countersign-verify: {reason}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Report, String> {
    let mut keys = Vec::new();
    for argument in &arguments.keys {
        keys.extend(keys_of(argument)?);
    }
    let path = &arguments.package_or_pdf;
    let bytes = fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(if bytes.starts_with(b"%PDF-") {
        verify_sealed_pdf(&bytes, &keys)
    } else {
        verify_package(&bytes, &keys)
    })
}

/// The keys that an argument gives, itself or as the name of a file.
fn keys_of(argument: &str) -> Result<Vec<Verifier>, String> {
    if let Ok(key) = argument.parse() {
        return Ok(vec![key]);
    }
    let file = fs::read_to_string(argument)
        .map_err(|error| format!("--key {argument}: neither a verifier key nor a readable file ({error})"))?;
    let lines = file.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<Verifier> = lines
        .map(|line| line.parse().map_err(|refusal| format!("--key {argument}: {refusal}")))
        .collect::<Result<_, String>>()?;
    if keys.is_empty() { Err(format!("--key {argument}: the file holds no key")) } else { Ok(keys) }
}
