//! Starting other programs: shown to the person, read for their output, or told line by line.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// Runs a program whose output the person sees. A status other than 0 is a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    show(command);
    let status = command.stdin(Stdio::null()).status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(Failure(format!("`{}` ended with {status}", text(command)))) }
}

/// Runs a program and gives what it printed. A status other than 0 is a failure that holds its complaint.
pub(crate) fn read(command: &mut Command) -> Result<String, Failure> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Failure(format!("`{}` ended with {}: {}", text(command), output.status, complaint.trim())))
}

/// Runs a program, shows each line of its standard output and tells it to `line`. Gives whether the status was 0.
pub(crate) fn tell(command: &mut Command, mut line: impl FnMut(&str)) -> Result<bool, Failure> {
    show(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| not_started(command, &error))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).map_err(|error| not_started(command, &error))? > 0 {
            let told = String::from_utf8_lossy(&bytes);
            print!("{told}");
            line(told.trim_end());
            bytes.clear();
        }
    }
    let status = child.wait().map_err(|error| not_started(command, &error))?;
    Ok(status.success())
}

fn show(command: &Command) {
    println!("$ {}", text(command));
}

fn text(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure(format!("`{}` could not be run: {error}", text(command)))
}
