//! `cargo xtask bench`: every figure of the README with its aim, of programs built as operators build them, beside two peers in the same run.
//! `crates/bench` measures; here its lines and the peers' become a table of medians.

mod figures;
mod packages;

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
    /// All of it.
    #[default]
    All,
    /// Seals, lifecycles, commits, the log, memory.
    Product,
    /// Tokens in a second, beside oidc-provider, and what authentication adds to a request.
    Auth,
    /// Messages in a second from a request to the receiver, beside bad receivers, and verifications.
    Webhooks,
}

impl What {
    fn has(self, part: Self) -> bool {
        self == part || self == Self::All
    }
}

/// Times that everything is measured, and how long each row of [`What::Auth`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// Rounds.
    pub(crate) rounds: u32,
    /// Seconds for each row.
    pub(crate) seconds: u32,
}

/// Measures, prints the table, and writes it as JSON to `json`.
pub(crate) fn run(root: &Path, what: What, length: Length, json: Option<&Path>) -> Result<(), Failure> {
    let peers = Peers::prepare(root)?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let words = "build --profile dist --locked -p countersign -p countersign-bench -p countersign-webhooks \
                 --features countersign-webhooks/rsa-pss --bins --example verifications";
    process::run(Command::new("cargo").current_dir(root).args(words.split_whitespace()))?;
    let work = target.join("bench");
    fs::create_dir_all(&work).map_err(|error| Failure::of_file(&work, error))?;
    let bench = Bench { root, peers, programs: target.join("dist"), work };
    if what.has(What::Product) {
        bench.make_input()?;
    }
    let mut measured = Vec::new();
    let rounds = length.rounds.max(1);
    for number in 1..=rounds {
        println!("Round {number} of {rounds} …");
        let mut round = Round::default();
        if what.has(What::Product) {
            bench.product(&mut round)?;
        }
        if what.has(What::Auth) {
            bench.auth(&mut round, length.seconds)?;
        }
        if what.has(What::Webhooks) {
            bench.webhooks(&mut round, length.seconds)?;
        }
        measured.push(round);
    }
    if what.has(What::Auth) {
        println!("\n{}", circumstances()?);
    }
    println!("\n{}", table(&measured));
    if let Some(path) = json {
        fs::write(path, to_json(&measured)).map_err(|error| Failure::of_file(path, error))?;
    }
    Ok(())
}

/// Runs each part of [`What::Auth`] and of [`What::Webhooks`] for a moment, with programs that are in `programs`: answers
/// count, figures do not.
pub(crate) fn for_a_moment(root: &Path, peers: Peers, programs: &Path) -> Result<(), Failure> {
    let bench = Bench { root, peers, programs: programs.to_owned(), work: PathBuf::new() };
    bench.auth(&mut Round::default(), 0)?;
    bench.delivered(&mut Round::default(), 0)
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
    fn product(&self, round: &mut Round) -> Result<(), Failure> {
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
        round.add("memory", &said(self.own("memory").arg(self.server()))?);
        Ok(())
    }

    /// Tokens once, the peer's and ours.
    fn auth(&self, round: &mut Round, seconds: u32) -> Result<(), Failure> {
        let peer = self.peers.folder_beside_modules(&self.root.join("crates/bench/peers/oidc-provider"))?;
        let auth = || {
            let mut command = self.own("auth");
            command.arg("--seconds").arg(seconds.to_string());
            command
        };
        round.add("auth_peer", &said(auth().arg("--peer").arg(&peer))?);
        round.add("auth", &said(auth().arg("--server").arg(self.server()).arg("--postgres"))?);
        round.add("auth_peer_two", &said(auth().arg("--peer").arg(&peer).args(["--workers", "2"]))?);
        round.add("auth_sqlite", &said(auth().arg("--server").arg(self.server()))?);
        Ok(())
    }

    /// Webhooks and verifications once.
    fn webhooks(&self, round: &mut Round, seconds: u32) -> Result<(), Failure> {
        self.delivered(round, seconds)?;
        packages::measure(self.root, &self.peers, &self.programs, seconds, round)
    }

    /// What of webhooks takes a server.
    fn delivered(&self, round: &mut Round, seconds: u32) -> Result<(), Failure> {
        let contract = self.root.join("examples/consulting-agreement.pdf");
        let webhooks = |part: &str| {
            let mut command = self.own("webhooks");
            command.arg(part).arg(self.server()).arg(&contract).arg("--seconds").arg(seconds.to_string());
            command
        };
        round.add("webhooks", &said(&mut webhooks("rate"))?);
        round.add("webhooks_postgres", &said(webhooks("rate").arg("--postgres"))?);
        round.add("webhooks_disturbed", &said(&mut webhooks("disturbed"))?);
        round.add("webhooks_postgres_disturbed", &said(webhooks("disturbed").arg("--postgres"))?);
        round.add("webhooks_parked", &said(&mut webhooks("parked"))?);
        Ok(())
    }

    fn server(&self) -> PathBuf {
        self.programs.join("countersign")
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

/// What the comparison with the peer was made with.
fn circumstances() -> Result<String, Failure> {
    let node = process::read(Command::new("node").arg("--version"))?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(format!(
        "oidc-provider 9.13.3 on Node {}, NODE_ENV=production, in one process and in a cluster of two, {processors} \
         processors for server, database and load together. Each server has a PostgreSQL of its own with its defaults: \
         fsync, full_page_writes and synchronous_commit are on. Processor time holds what a server does after its answer.",
        node.trim()
    ))
}

/// The JSON that a program prints.
fn said(command: &mut Command) -> Result<Value, Failure> {
    let text = process::read(command)?;
    let not_understood = |error| Failure(format!("`{}` is not understood: {error}", text.trim()));
    serde_json::from_str(&text).map_err(not_understood)
}
