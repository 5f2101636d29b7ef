//! `cargo xtask bench`: every figure of the README with its aim, from release builds, beside two peers in the same run.
//! `crates/bench` measures; here its lines and the peers' become a table of medians.

mod figures;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde_json::Value;

use crate::failure::Failure;
use crate::prepare::Peers;
use crate::process;
use figures::{Round, table, to_json};

/// Files that a peer seals in one run.
const PEER_COUNT: &str = "40";

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Seals, lifecycles, commits, the log, memory.
    #[default]
    Product,
    /// Tokens in a second, beside oidc-provider over the same PostgreSQL.
    Auth,
}

/// Measures `rounds` times, prints the table, and writes it as JSON to `json`.
pub(crate) fn run(root: &Path, what: What, rounds: u32, json: Option<&Path>) -> Result<(), Failure> {
    let peers = Peers::prepare(root)?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let words = "build --release --locked -p countersign -p countersign-bench";
    process::run(Command::new("cargo").current_dir(root).args(words.split_whitespace()))?;
    let work = target.join("bench");
    fs::create_dir_all(&work).map_err(|error| Failure::of_file(&work, error))?;
    let bench = Bench { root, peers, programs: target.join("release"), work };
    if what == What::Product {
        bench.make_input()?;
    }
    let mut measured = Vec::new();
    for round in 1..=rounds.max(1) {
        println!("Round {round} of {rounds} …");
        measured.push(match what {
            What::Product => bench.round()?,
            What::Auth => bench.auth()?,
        });
    }
    println!("\n{}", table(&measured));
    if let Some(path) = json {
        fs::write(path, to_json(&measured)).map_err(|error| Failure::of_file(path, error))?;
    }
    Ok(())
}

struct Bench<'a> {
    root: &'a Path,
    peers: Peers,
    programs: PathBuf,
    work: PathBuf,
}

impl Bench<'_> {
    fn script(&self, name: &str) -> PathBuf {
        self.root.join("crates/xtask/bench").join(name)
    }

    /// The PDF of ten pages that all three seal, and the peers' key.
    fn make_input(&self) -> Result<(), Failure> {
        let mut command = Command::new(&self.peers.python);
        command.arg(self.script("make_input.py")).arg(self.pdf()).arg(self.key());
        process::read(&mut command).map(|_| ())
    }

    fn pdf(&self) -> PathBuf {
        self.work.join("ten-pages.pdf")
    }

    fn key(&self) -> PathBuf {
        self.work.join("key.p12")
    }

    /// Everything once. Seal and peers follow each other, so that they see the same machine.
    fn round(&self) -> Result<Round, Failure> {
        let mut round = Round::default();
        let contract = self.root.join("examples/consulting-agreement.pdf");
        round.add("seal", &said(self.own("seal").arg(self.pdf()).arg(&self.work))?);
        let mut pyhanko = Command::new(&self.peers.python);
        pyhanko.arg(self.script("pyhanko_seal.py"));
        round.add("pyhanko", &said(self.peer(&mut pyhanko))?);
        let mut libpdf = Command::new("node");
        libpdf.arg(self.peers.beside_modules(&self.script("libpdf_seal.mjs"))?);
        round.add("libpdf", &said(self.peer(&mut libpdf))?);
        round.add("lifecycles", &said(self.own("lifecycles").arg(contract))?);
        round.add("commits", &said(&mut self.own("commits"))?);
        round.add("log", &said(&mut self.own("log"))?);
        round.add("memory", &said(self.own("memory").arg(self.programs.join("countersign")))?);
        Ok(round)
    }

    /// Tokens once, ours and the peer's.
    fn auth(&self) -> Result<Round, Failure> {
        let mut round = Round::default();
        let peer = self.peers.folder_beside_modules(&self.root.join("crates/bench/peers/oidc-provider"))?;
        round.add("auth_peer", &said(self.own("auth").arg("--peer").arg(peer))?);
        round.add("auth", &said(&mut self.own("auth"))?);
        Ok(round)
    }

    fn own(&self, what: &str) -> Command {
        let mut command = Command::new(self.programs.join("countersign-bench"));
        command.arg(what);
        command
    }

    fn peer<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.arg(self.pdf()).arg(self.key()).arg(self.work.join("trail.json")).arg(PEER_COUNT)
    }
}

/// The JSON that a program prints.
fn said(command: &mut Command) -> Result<Value, Failure> {
    let text = process::read(command)?;
    let not_understood = |error| Failure(format!("`{}` is not understood: {error}", text.trim()));
    serde_json::from_str(&text).map_err(not_understood)
}
