//! `countersign keys`: create, list, rotate, end.

use clap::{Args, Subcommand};
use countersign_core::{
    access::Environment,
    api_key::Wish,
    id::ApiKeyId,
    limits,
    network::Networks,
    refusal::{Code, Refusal},
    scope::{Scope, Scopes},
};

use super::{clients::parse_environment, print, print_once};
use crate::{
    api_keys::{self, Giver, Known, NewKey, Rotating, State, uses},
    app::Records,
    fault::{Failure, Fault},
    organizations::{self, operator},
};

const DAY_S: i64 = 24 * 3_600;

/// API keys.
#[derive(Subcommand)]
pub enum Keys {
    /// Make an API key and print its token, once.
    Create(Create),
    /// List API keys: id, beginning of the token, end, organization, scopes, networks, last use, and what you call it.
    List {
        /// Name or id of an organization; without it, the keys of all.
        #[arg(long)]
        organization: Option<String>,
    },
    /// Make a key that takes over from another, with its name, scopes and networks, and print its token, once. Both work
    /// until the overlap is over.
    Rotate {
        /// Id of the old key, `key_…`.
        key: ApiKeyId,
        /// Hours for which the old key works beside the new one, at most 168 (7 days).
        #[arg(long, default_value_t = limits::API_KEY_OVERLAP_DEFAULT_S / 3_600,
            value_parser = clap::value_parser!(i64).range(0..=168))]
        overlap_hours: i64,
        /// Days until the new key ends, at most 90; as long as the old one was to live if nothing is said.
        #[arg(long, value_parser = clap::value_parser!(i64).range(1..=90))]
        expires_days: Option<i64>,
    },
    /// End an API key at once, also in a server that runs.
    End {
        /// Its id, `key_…`.
        key: ApiKeyId,
    },
}

/// What a key is to be.
#[derive(Args)]
pub struct Create {
    /// Name or id of the organization.
    #[arg(long)]
    organization: String,
    /// A scope; give several by repeating it. Without one the key may do nothing.
    #[arg(long = "scope", value_parser = parse_scope)]
    scopes: Vec<Scope>,
    /// `sandbox` or `live`.
    #[arg(long, default_value = "sandbox", value_parser = parse_environment)]
    environment: Environment,
    /// A network that the key is taken from, like 192.0.2.0/24, 2001:db8::/32 or an address; give several by repeating it.
    /// Without one it is taken from everywhere.
    #[arg(long = "network")]
    networks: Vec<String>,
    /// Days until it ends, at most 90.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=90))]
    expires_days: i64,
    /// What you call it.
    #[arg(long, default_value = "command line")]
    label: String,
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).filter(|scope| Scopes::FOR_KEYS.has(*scope)).ok_or_else(|| {
        let known: Vec<&str> = Scopes::FOR_KEYS.iter().map(Scope::text).collect();
        format!("scopes of API keys are: {}", known.join(", "))
    })
}

/// Runs one of them.
pub async fn run(records: &Records, command: Keys) -> Result<(), Failure> {
    match command {
        Keys::Create(wanted) => create(records, wanted).await,
        Keys::List { organization } => list(records, organization.as_deref()).await,
        Keys::Rotate { key, overlap_hours, expires_days } => {
            let lifetime_s = expires_days.map(|days| days * DAY_S);
            rotate(records, key, Rotating { overlap_s: overlap_hours * 3_600, lifetime_s }).await
        }
        Keys::End { key } => end(records, key).await,
    }
}

async fn create(app: &Records, wanted: Create) -> Result<(), Failure> {
    let organization = organizations::find(app, &wanted.organization).await?.organization;
    let tenant = organizations::tenant(organization, wanted.environment);
    let wish = Wish {
        label: wanted.label,
        scopes: Scopes::of(&wanted.scopes),
        networks: Networks::read(&wanted.networks)?,
        lifetime_s: wanted.expires_days * DAY_S,
    };
    let made = api_keys::create(app, &tenant, &operator(app), Giver::OPERATOR, &wish, None).await?;
    show(&made)
}

fn show(made: &NewKey) -> Result<(), Failure> {
    eprintln!("{} ends at {}. This is its token, shown once:", made.key.row.key, made.key.row.expires_at);
    Ok(print_once(made.token.expose())?)
}

/// A key of whatever tenant: the operator has all of them.
async fn known(app: &Records, key: ApiKeyId) -> Result<Known, Failure> {
    let row = app.store.api_key_by_id(key).await?;
    let row = row.ok_or_else(|| {
        Refusal::new(Code::NotFound, "there is no such key (`countersign keys list` shows all)")
    })?;
    api_keys::read(app, &row.tenant, key).await
}

async fn rotate(app: &Records, key: ApiKeyId, how: Rotating) -> Result<(), Failure> {
    let tenant = known(app, key).await?.row.tenant;
    let made = api_keys::rotate(app, &tenant, &operator(app), Giver::OPERATOR, key, how, None).await?;
    let old = api_keys::read(app, &tenant, key).await?;
    match old.state(app.now()) {
        State::Ended => eprintln!("{key} has ended."),
        _ => eprintln!("{key} works until {}.", old.row.expires_at),
    }
    show(&made)
}

async fn end(app: &Records, key: ApiKeyId) -> Result<(), Failure> {
    let tenant = known(app, key).await?.row.tenant;
    api_keys::end(app, &tenant, &operator(app), key, None).await?;
    eprintln!("{key} has ended.");
    Ok(())
}

async fn list(app: &Records, organization: Option<&str>) -> Result<(), Failure> {
    for (organization, known) in api_keys::of_organizations(app, organization).await? {
        print(line(app, &organization.name, &known).await?)?;
    }
    Ok(())
}

async fn line(app: &Records, organization: &str, known: &Known) -> Result<String, Fault> {
    let row = &known.row;
    let end = match known.state(app.now()) {
        State::Active => "ends",
        State::Replaced => "replaced, ends",
        State::Ended => "ended",
    };
    let scopes: Vec<&str> = row.scopes.iter().map(Scope::text).collect();
    let networks = if row.networks.is_empty() { "everywhere".to_owned() } else { row.networks.join(",") };
    let used = match uses::last(app, row).await? {
        Some((at, origin)) => format!("used {at} from {}", origin.ip),
        None => "not used".to_owned(),
    };
    Ok(format!(
        "{}  {}…  {end} {}  {organization}  {}  {networks}  {used}  {}",
        row.key,
        api_keys::token_kind(row.tenant.environment()).prefix(),
        row.expires_at,
        scopes.join(","),
        row.label
    ))
}
