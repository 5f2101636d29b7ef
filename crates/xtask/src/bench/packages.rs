//! Verifications in a second with each of the packages for receivers: each has a program that says so, a line for each
//! scheme that begins with its name and the number, as in `v1: 25000 a second, 40 µs of CPU each`.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use super::figures::Round;
use crate::failure::Failure;
use crate::prepare::Peers;
use crate::process;

/// Measures all three; each scheme for about `seconds`.
pub(super) fn measure(
    root: &Path,
    peers: &Peers,
    programs: &Path,
    seconds: u32,
    round: &mut Round,
) -> Result<(), Failure> {
    let seconds = seconds.to_string();
    let rust = process::read(Command::new(programs.join("examples/verifications")).arg(&seconds))?;
    round.add("webhooks_verified_rust", &rates(&rust)?);
    let typescript = peers.folder_beside_modules(&root.join("sdk/typescript"))?;
    peers.compile(&typescript)?;
    let mut node = Command::new("node");
    node.current_dir(typescript).args(["bench.mjs", &seconds]);
    node.env("CS_TEST_VECTORS", root.join("docs/webhooks/vectors.json"));
    round.add("webhooks_verified_typescript", &rates(&process::read(&mut node)?)?);
    let mut python = Command::new(&peers.python);
    python.current_dir(root.join("sdk/python")).args(["bench.py", &seconds]);
    python.env("PYTHONPATH", "src:tests").env("PYTHONDONTWRITEBYTECODE", "1");
    round.add("webhooks_verified_python", &rates(&process::read(&mut python)?)?);
    Ok(())
}

/// The numbers of such lines by their names.
fn rates(said: &str) -> Result<Value, Failure> {
    let rate = |line: &str| {
        let (name, rest) = line.split_once(": ")?;
        Some((name.to_owned(), json!(rest.split(' ').next()?.parse::<f64>().ok()?)))
    };
    let found: Option<Map<String, Value>> = said.lines().map(rate).collect();
    found
        .filter(|found| !found.is_empty())
        .map(Value::Object)
        .ok_or_else(|| Failure(format!("not understood: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_scheme_and_its_rate() {
        let said = rates("v1: 25000 a second, 40 µs of CPU each\nhttp ed25519: 9000 a second\n").unwrap();
        assert_eq!(said, json!({ "v1": 25_000.0, "http ed25519": 9_000.0 }));
        assert!(rates("").is_err() && rates("v1 is fast").is_err());
    }
}
