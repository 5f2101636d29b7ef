//! `countersign webhooks`: block, release, list. The operator's way to stop what goes out, of an organization or of all; running
//! servers obey within a second.

use clap::{Args, Subcommand};
use countersign_core::{
    access::Environment,
    webhook::{class::Class, containment::Holder, standing::BlockReason},
};
use countersign_store::webhook_rows::{BlockKey, BlockRow};

use super::{clients::parse_environment, print};
use crate::{
    app::Records,
    fault::{Failure, Fault},
    organizations::{self, operator},
    webhooks::containment,
};

/// Webhooks.
#[derive(Subcommand)]
pub enum Webhooks {
    /// Stop deliveries, also in servers that run. They are parked until the release, and none is lost.
    Block {
        /// Where, and what.
        #[command(flatten)]
        place: Place,
        /// Why: `compromised`, `wrong_receiver`, `overload` or `incident`.
        #[arg(long, value_parser = parse_reason)]
        reason: BlockReason,
    },
    /// Take a block of the operator away. What was parked goes out, at a bounded rate, unless something else stops it.
    Release {
        /// Where, and what.
        #[command(flatten)]
        place: Place,
    },
    /// List what is blocked: since when, where, which class, why, and who set it.
    List,
}

/// Where, and what.
#[derive(Args)]
pub struct Place {
    /// Name or id of an organization.
    #[arg(long, required_unless_present = "everywhere", conflicts_with = "everywhere")]
    organization: Option<String>,
    /// All organizations.
    #[arg(long)]
    everywhere: bool,
    /// `sandbox` or `live`; without it, both.
    #[arg(long, value_parser = parse_environment, conflicts_with = "everywhere")]
    environment: Option<Environment>,
    /// `envelope`, `recipient`, `evidence` or `security`; without it, all, tests and probes among them.
    #[arg(long, value_parser = parse_class)]
    class: Option<Class>,
}

fn parse_reason(text: &str) -> Result<BlockReason, String> {
    BlockReason::parse(text).ok_or_else(|| {
        let known = BlockReason::ALL.map(BlockReason::text);
        format!("reasons are: {}", known.join(", "))
    })
}

fn parse_class(text: &str) -> Result<Class, String> {
    let known = Class::ALL.into_iter().filter(|class| *class != Class::Test);
    let known: Vec<Class> = known.collect();
    known.iter().copied().find(|class| class.text() == text).ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(|class| class.text()).collect();
        format!("classes are: {}", known.join(", "))
    })
}

/// Runs one of them.
pub async fn run(records: &Records, command: Webhooks) -> Result<(), Failure> {
    match command {
        Webhooks::Block { place, reason } => {
            let keys = keys(records, &place, |is_blocked| !is_blocked).await?;
            containment::set(records, &operator(records), &keys, reason, None).await?;
            eprintln!("Blocked. What comes is parked until `countersign webhooks release`.");
            Ok(())
        }
        Webhooks::Release { place } => {
            let keys = keys(records, &place, |is_blocked| is_blocked).await?;
            containment::unset(records, &operator(records), &keys, None).await?;
            eprintln!(
                "Released. What was parked goes out at a bounded rate, unless something else blocks it."
            );
            Ok(())
        }
        Webhooks::List => list(records).await,
    }
}

/// The places that are named, of which those are acted on where there is something to do: one of two environments may be blocked
/// already. All of them where there is nothing to do anywhere, so that this is said.
async fn keys(
    records: &Records,
    place: &Place,
    is_wanted: impl Fn(bool) -> bool,
) -> Result<Vec<BlockKey>, Failure> {
    let named = named(records, place).await?;
    let held = containment::are_held(records, &named).await?;
    let left = named.iter().zip(held).filter(|(_, is_held)| is_wanted(*is_held));
    let left: Vec<BlockKey> = left.map(|(key, _)| *key).collect();
    Ok(if left.is_empty() { named } else { left })
}

async fn named(records: &Records, place: &Place) -> Result<Vec<BlockKey>, Failure> {
    let (class, holder) = (place.class, Holder::Operator);
    let Some(name_or_id) = &place.organization else {
        return Ok(vec![BlockKey { tenant: None, class, holder }]);
    };
    let organization = organizations::find(records, name_or_id).await?.organization;
    let environments = [Environment::Sandbox, Environment::Live].into_iter();
    let chosen = environments.filter(|one| place.environment.is_none_or(|environment| environment == *one));
    let key = |environment| {
        let tenant = Some(organizations::tenant(organization, environment));
        BlockKey { tenant, class, holder }
    };
    Ok(chosen.map(key).collect())
}

async fn list(records: &Records) -> Result<(), Failure> {
    let rows = records.store.webhook_blocks(None).await?;
    for row in &rows {
        print(line(records, row).await?)?;
    }
    if rows.is_empty() {
        eprintln!("Nothing is blocked, but perhaps single endpoints: their organizations see that.");
    }
    Ok(())
}

async fn line(records: &Records, row: &BlockRow) -> Result<String, Fault> {
    let place = match row.key.tenant {
        None => "everywhere".to_owned(),
        Some(tenant) => {
            let organization = records.organization(tenant.organization()).await?;
            format!("{}  {}  {}", tenant.organization(), tenant.environment().text(), organization.name)
        }
    };
    let class = row.key.class.map_or("all", Class::text);
    let (reason, holder) = (row.reason.text(), row.key.holder.text());
    Ok(format!("{}  {place}  {class}  {reason}  by the {holder}", row.created_at))
}
