//! `countersign audit-webhook`: the probes of a receiver (W-9) from the command line, without a server.

use std::{fmt, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;
use countersign_core::{
    access::Environment,
    id::{CorrelationId, OrganizationId, WebhookKeyId},
    webhook::{
        channel::Channel,
        endpoint::{Profile, host_of},
    },
};

use super::{audit_key, print};
use crate::{
    app::{Clock as _, SystemClock, SystemRandomness, draw},
    config::{Egress, Network},
    egress::messenger::Messenger,
    fault::Fault,
    webhooks::{
        probes::{Probed, Prober},
        proof::{Line, Report},
    },
};

/// The receiver is not what it should be.
const FAILED: u8 = 1;
/// The call was not understood, or nothing answered.
const NOT_PROBED: u8 = 2;

/// What to probe, and with what.
#[derive(Args)]
pub struct AuditWebhook {
    /// Where the receiver is: https://…. Probe what is yours.
    #[arg(required_unless_present = "new_key")]
    url: Option<String>,
    /// The secret that the receiver holds, `whsec_…`. Other users of the machine see what stands here: give it as
    /// WEBHOOK_SECRET.
    #[arg(long, env = "WEBHOOK_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// File with a private key (mode 0600), whose public part the receiver holds: Ed25519 as JWK or PEM, or what the profile
    /// takes, as PEM.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// What the receiver calls the key, `whk_…`.
    #[arg(long, value_name = "ID")]
    key_id: Option<WebhookKeyId>,
    /// Make a key for --key in a new file, of the algorithm of --profile (Ed25519 for `standard`), and print its public part as a
    /// JWK set for the receiver.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "key", "key_id"])]
    new_key: Option<PathBuf>,
    /// How messages are signed: `standard`, or `ed25519`, `ecdsa-p256-sha256` or `rsa-pss-sha512` for an HTTP Message Signature
    /// besides.
    #[arg(long, default_value = "standard", value_parser = parse_profile)]
    profile: Profile,
    /// File with a certificate authority (PEM) that is trusted besides the machine's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A host that may have an address of your own network; give several by repeating it.
    #[arg(long = "allow-host", value_name = "HOST")]
    allow_hosts: Vec<String>,
    /// A network of your own that may be connected to, like 10.0.0.0/8; give several by repeating it.
    #[arg(long = "allow-net", value_name = "NETWORK")]
    allow_networks: Vec<Network>,
    /// A name server to ask for the address of the host, like 10.0.0.53:53, instead of the machine's; give several by repeating it.
    #[arg(long = "name-server", value_name = "ADDRESS")]
    name_servers: Vec<SocketAddr>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn parse_profile(text: &str) -> Result<Profile, String> {
    let known = || Profile::ALL.map(Profile::text).join(", ");
    Profile::parse(text).ok_or_else(|| format!("profiles are: {}", known()))
}

/// Probes a receiver, and says what that showed.
pub async fn run(wish: AuditWebhook) -> ExitCode {
    if let Some(file) = &wish.new_key {
        return match audit_key::make(file, wish.profile, &SystemClock, &SystemRandomness).await {
            Ok(made) => {
                let (file, id) = (file.display(), made.id);
                eprintln!(
                    "The private key is in {file}: probe with --key {file} --key-id {id}. This is the JWK set for the receiver:"
                );
                print(made.set).map_or_else(|fault| not_probed(&fault), |()| ExitCode::SUCCESS)
            }
            Err(fault) => not_probed(&fault),
        };
    }
    match probe(&wish).await {
        Ok((report, trouble)) => tell(&wish, &report, trouble),
        Err(fault) => not_probed(&fault),
    }
}

fn not_probed(why: &dyn fmt::Display) -> ExitCode {
    eprintln!("countersign: {why}");
    ExitCode::from(NOT_PROBED)
}

/// The report, and why nothing answered if nothing did.
async fn probe(wish: &AuditWebhook) -> Result<(Report, Option<String>), Fault> {
    let unusable = |sentence: String| Fault::Unsafe(sentence);
    if wish.secret.is_none() && wish.key.is_none() {
        let sentence = "give what the receiver verifies with: its secret as WEBHOOK_SECRET, or --key FILE";
        return Err(unusable(sentence.to_owned()));
    }
    if wish.profile != Profile::Standard && wish.key.is_none() {
        let sentence =
            "an HTTP Message Signature takes a private key: give --key FILE (--new-key FILE makes one)";
        return Err(unusable(sentence.to_owned()));
    }
    let (secret, file) = (wish.secret.as_deref(), wish.key.as_deref());
    let signer = audit_key::signer(secret, file, (wish.key_id, wish.profile), &SystemRandomness)?;
    let egress = Egress {
        allow_hosts: wish.allow_hosts.clone(),
        allow_networks: wish.allow_networks.clone(),
        ca_file: wish.ca.clone(),
        name_servers: wish.name_servers.clone(),
    };
    let messenger = Messenger::new(&egress)?;
    let url = messenger.check(wish.url.as_deref().unwrap_or_default());
    let url = url.map_err(|why| unusable(format!("{why}{}", way_in(&why.to_string()))))?;
    let prober = Prober {
        messenger: &messenger,
        clock: &SystemClock,
        random: &SystemRandomness,
        url: url.as_str(),
        channel: &Channel::default(),
        profile: wish.profile,
        signers: &[signer],
        organization: OrganizationId::new(SystemClock.now(), draw(&SystemRandomness)),
        environment: Environment::Sandbox,
        correlation: CorrelationId::new(SystemClock.now(), draw(&SystemRandomness)),
    };
    let probed = prober.run(async || Ok(true)).await?;
    let Probed { answers, troubles } = probed.unwrap_or_default();
    let report = Report::of(SystemClock.now(), &answers, &troubles);
    let is_silent = report.probes.iter().all(|line| line.status.is_none());
    let trouble = troubles.first().filter(|_| is_silent).map(|(_, said)| format!("{said}{}", way_in(said)));
    Ok((report, trouble))
}

/// What to do where the guard refuses.
fn way_in(said: &str) -> &'static str {
    if said.contains("not of the public Internet") {
        ". If it is your own, allow it: --allow-host HOST for a name, --allow-net NETWORK for an address"
    } else {
        ""
    }
}

fn tell(wish: &AuditWebhook, report: &Report, trouble: Option<String>) -> ExitCode {
    let text = match (wish.json, &trouble) {
        (true, _) => Some(serde_json::json!(report).to_string()),
        (false, None) => Some(Told(report).to_string()),
        (false, Some(_)) => None,
    };
    if let Some(Err(fault)) = text.map(|text| print(text.trim_end())) {
        return not_probed(&fault);
    }
    if let Some(trouble) = trouble {
        let host = host_of(wish.url.as_deref().unwrap_or_default());
        return not_probed(&format!("{host} did not answer: {trouble}"));
    }
    if report.is_proven { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// The report for people: a line for each probe, and then what to mend.
struct Told<'a>(&'a Report);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { is_proven, probes, .. } = self.0;
        for Line { probe, sent, expected, status, came, finding, .. } in probes {
            let word = match *finding {
                "passed" => "ok",
                "failed" => "FAILED",
                other => other,
            };
            let answer = status.map_or_else(|| "---".to_owned(), |status| status.to_string());
            write!(f, "{word:<8} {probe:<13} {answer}  {sent}")?;
            match status {
                _ if word == "ok" => writeln!(f)?,
                Some(_) => writeln!(f, " (expected {expected})")?,
                None => writeln!(f, " ({came})")?,
            }
        }
        if *is_proven {
            return writeln!(f, "\nProven: the receiver takes what is right, and refuses what is not.");
        }
        writeln!(f, "\nNot proven. What to mend:")?;
        let mut rest: Vec<&Line> = probes.iter().filter(|line| !line.advice.is_empty()).collect();
        while let Some(first) = rest.first().copied() {
            let (alike, others): (Vec<&Line>, Vec<&Line>) =
                rest.into_iter().partition(|line| line.advice == first.advice);
            let names: Vec<&str> = alike.iter().map(|line| line.probe).collect();
            writeln!(f, "\n{}: {}\n  {}", names.join(", "), first.advice, first.page)?;
            rest = others;
        }
        Ok(())
    }
}
