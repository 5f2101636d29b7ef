//! The commands: `init`, `check`, `serve`, `dead`, `secret`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, EXAMPLE, Secrets};
use crate::fault::Fault;
use crate::queue::Aside;
use crate::{log, serve};

/// Dead letters that are listed at once.
const LISTED: u32 = 500;

/// Receives webhooks, keeps them, and forwards each once it can.
#[derive(Parser)]
#[command(name = "countersign-relay", version)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = "relay.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a configuration with comments, to begin with.
    Init,
    /// Check the configuration and the variables that it names.
    Check,
    /// Receive and forward until told to stop (SIGTERM).
    Serve,
    /// Make a secret to sign forwarded messages with, or a token for pull.
    Secret,
    /// Messages that were set aside.
    Dead {
        #[command(subcommand)]
        command: Dead,
    },
}

#[derive(Subcommand)]
enum Dead {
    /// List them.
    List,
    /// Put some back into the queue.
    Requeue(Which),
    /// Remove some for good.
    Remove(Which),
}

#[derive(Args)]
struct Which {
    /// One, by its number in the list.
    #[arg(long, conflicts_with = "sender", required_unless_present = "sender")]
    number: Option<i64>,
    /// All of a sender.
    #[arg(long)]
    sender: Option<String>,
}

impl From<Which> for Aside {
    fn from(which: Which) -> Self {
        match which.number {
            Some(number) => Self::Number(number),
            None => Self::Sender(which.sender.unwrap_or_default()),
        }
    }
}

impl Arguments {
    /// Does what was asked for.
    pub async fn run(self) -> Result<(), Fault> {
        match self.command {
            Command::Init => init(&self.config),
            Command::Secret => secret(),
            Command::Check => {
                config::read(&self.config)?.check_here(&Secrets)?;
                say(&format!("{} can be used", self.config.display()))
            }
            Command::Serve => serve(&self.config).await,
            Command::Dead { command } => dead(&self.config, command).await,
        }
    }
}

fn say(line: &str) -> Result<(), Fault> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Fault::NobodyReads,
        _ => Fault::Machine(format!("standard output: {error}")),
    })
}

fn init(path: &Path) -> Result<(), Fault> {
    let failed = |error: std::io::Error| {
        let sentence = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                "it is there already: remove it, or name another with --config".into()
            }
            _ => error.to_string(),
        };
        Fault::Machine(format!("{}: {sentence}", path.display()))
    };
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    file.write_all(EXAMPLE.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    say(&format!(
        "{} is written: put your own values in, and the secrets in the variables that it names",
        path.display()
    ))
}

fn secret() -> Result<(), Fault> {
    let mut bytes = [0_u8; 32];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Fault::Machine("the system gives no randomness".to_owned()))?;
    say(&format!("whsec_{}", STANDARD.encode(bytes)))
}

async fn serve(path: &Path) -> Result<(), Fault> {
    let checked = config::read(path)?.check(&Secrets)?;
    log::start(checked.log)?;
    for doubt in &checked.doubts {
        tracing::warn!(doubt, "a setting is without effect, or will make trouble");
    }
    let relay = serve::start(checked).await?;
    let failed = |error: std::io::Error| Fault::Machine(error.to_string());
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
    match say(&format!("Listening on {} (senders) and {} (internal)", relay.address, relay.internal_address))
    {
        // Messages come all the same.
        Ok(()) | Err(Fault::NobodyReads) => {}
        Err(fault) => return Err(fault),
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to stop");
    relay.stop().await;
    Ok(())
}

async fn dead(path: &Path, command: Dead) -> Result<(), Fault> {
    let queue = serve::open(&config::read(path)?.database(&Secrets)?, false).await?;
    match command {
        Dead::List => {
            let mut after = 0;
            say("number\tsender\tid\tattempts\tcame\tset aside\treason")?;
            loop {
                let letters = queue.dead(after, LISTED).await?;
                let Some(last) = letters.last() else { return Ok(()) };
                after = last.number;
                for letter in letters {
                    let (came, died) = (time(letter.times_ms.0), time(letter.times_ms.1));
                    say(&format!(
                        "{}\t{}\t{}\t{}\t{came}\t{died}\t{}",
                        letter.number, letter.sender, letter.id, letter.attempts, letter.reason
                    ))?;
                }
            }
        }
        Dead::Requeue(which) => counted(queue.requeue(which.into()).await?, "put back into the queue"),
        Dead::Remove(which) => counted(queue.remove(which.into()).await?, "removed"),
    }
}

fn counted(count: u64, what: &str) -> Result<(), Fault> {
    match count {
        0 => Err(Fault::Machine("there is no such message: see `countersign-relay dead list`".to_owned())),
        count => say(&format!("{count} {what}")),
    }
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}
