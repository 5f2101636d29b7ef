//! API keys: made, changed, rotated and ended, by an operator on the command line, by a member on the console, or by a
//! program with the admin scope. A token is given once, when its key is made.

mod acts;
pub mod uses;
pub mod watch;

use std::collections::HashMap;

use countersign_core::{
    access::{Environment, Identity, Principal, Tenant, scopes_of},
    api_key::life::{END_TOLD, Life},
    id::{ApiKeyId, UserId},
    network::Networks,
    refusal::Refusal,
    scope::Scopes,
    secret::TokenKind,
    time::Time,
};
use countersign_store::rows::{ApiKeyRow, FinishedIdempotency, OrganizationRow};

pub use acts::{NewKey, Rotating, change, create, end, rotate};

use crate::{
    app::Records,
    fault::{Failure, Fault},
    organizations,
};

/// A key with what took its place.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its row.
    pub row: ApiKeyRow,
    /// The key that it was rotated to; none while it works and that one has ended.
    pub replaced_by: Option<ApiKeyId>,
}

/// What a key is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Active,
    /// It was rotated, and works until its overlap is over.
    Replaced,
    /// It has ended.
    Ended,
}

impl State {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Replaced => "replaced",
            Self::Ended => "ended",
        }
    }
}

impl Known {
    /// What it is at `now`.
    pub fn state(&self, now: Time) -> State {
        match (life(&self.row).is_over(now), self.replaced_by) {
            (true, _) => State::Ended,
            (false, Some(_)) => State::Replaced,
            (false, None) => State::Active,
        }
    }
}

/// Who makes a key: what it may be given at most, and who is told of its end.
#[derive(Clone, Copy, Debug)]
pub struct Giver {
    /// What whoever makes it may do itself.
    pub scopes: Scopes,
    /// Who it is, where it is a person or acts for one.
    pub user: Option<UserId>,
}

impl Giver {
    /// The operator, who has all of it.
    pub const OPERATOR: Self = Self { scopes: Scopes::ALL, user: None };

    /// Whoever calls.
    pub fn of(principal: &Principal) -> Self {
        let user = match principal.identity() {
            Identity::Client(client) => client.member.map(|member| member.user),
            Identity::Member(member) => Some(member.member.user),
            Identity::ApiKey { .. } | Identity::Signer { .. } => None,
        };
        Self { scopes: scopes_of(principal), user }
    }
}

/// What a commit keeps for the same request coming again: made of the key as it is stored, without its token.
pub type Keep<'a> = &'a (dyn Fn(&Known) -> Result<FinishedIdempotency, Fault> + Send + Sync);

/// The life of a stored key.
pub fn life(row: &ApiKeyRow) -> Life {
    Life { created_at: row.created_at, expires_at: row.expires_at, told_days: row.warned_days }
}

/// The row of the next version, with this life.
fn living(row: &ApiKeyRow, life: Life) -> ApiKeyRow {
    ApiKeyRow {
        expires_at: life.expires_at,
        warned_days: life.told_days,
        version: row.version + 1,
        ..row.clone()
    }
}

/// The same for a key whose end is told in the same commit.
fn ended(row: &ApiKeyRow, expires_at: Time) -> ApiKeyRow {
    living(row, Life { expires_at, told_days: Some(END_TOLD), ..life(row) })
}

/// The networks of a stored key.
pub fn networks(row: &ApiKeyRow) -> Result<Networks, Fault> {
    Networks::read(&row.networks)
        .map_err(|_| Fault::Task(format!("the networks of {} cannot be read", row.key)))
}

/// What the tokens of an environment begin with.
pub fn token_kind(environment: Environment) -> TokenKind {
    match environment {
        Environment::Sandbox => TokenKind::SandboxApiKey,
        Environment::Live => TokenKind::LiveApiKey,
    }
}

/// Keys with what took their place: of several, what works longest. A key that still works, and whose successor has ended,
/// stands for itself again: it can be rotated to another.
fn known(rows: Vec<ApiKeyRow>, now: Time) -> impl Iterator<Item = Known> {
    let mut replaced: HashMap<ApiKeyId, (Time, ApiKeyId)> = HashMap::new();
    for row in &rows {
        let Some(old) = row.replaces else { continue };
        let by = (row.expires_at, row.key);
        replaced.entry(old).and_modify(|other| *other = by.max(*other)).or_insert(by);
    }
    rows.into_iter().map(move |row| {
        let by = replaced.get(&row.key).filter(|(end, _)| now < *end || life(&row).is_over(now));
        Known { replaced_by: by.map(|(_, by)| *by), row }
    })
}

/// All keys of a tenant, newest first, also those that ended.
pub async fn all(app: &Records, tenant: &Tenant) -> Result<Vec<Known>, Fault> {
    let rows = app.store.api_keys(tenant.organization()).await?;
    let mut keys: Vec<Known> = known(rows, app.now()).filter(|known| known.row.tenant == *tenant).collect();
    keys.reverse();
    Ok(keys)
}

/// All keys of this organization, or of all, also those that ended: for the operator.
pub async fn of_organizations(
    app: &Records,
    name_or_id: Option<&str>,
) -> Result<Vec<(OrganizationRow, Known)>, Failure> {
    let organizations = match name_or_id {
        Some(name_or_id) => vec![organizations::find(app, name_or_id).await?],
        None => app.store.organizations().await?,
    };
    let mut keys = Vec::new();
    for organization in organizations {
        let rows = app.store.api_keys(organization.organization).await?;
        keys.extend(known(rows, app.now()).map(|known| (organization.clone(), known)));
    }
    Ok(keys)
}

/// A key of this tenant.
pub async fn read(app: &Records, tenant: &Tenant, key: ApiKeyId) -> Result<Known, Failure> {
    let found = all(app, tenant).await?.into_iter().find(|known| known.row.key == key);
    Ok(found.ok_or_else(Refusal::not_found)?)
}
