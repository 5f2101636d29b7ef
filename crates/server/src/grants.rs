//! Grants: what clients were allowed, seen and ended by the person who allowed it or by an admin. The end acts on the next
//! request, because a token is looked up together with its grant.

use std::collections::{BTreeMap, btree_map::Entry};

use countersign_core::{
    access::{Environment, Tenant},
    id::{ClientId, GrantId, OrganizationId, SignInId, UserId},
    refusal::Refusal,
    security::{EndReason, SecurityBody},
    time::Time,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, Ending, GrantRow},
};

use crate::{
    accounts::people,
    app::Records,
    clients::{Keep, Registered},
    fault::{Failure, Fault},
    organizations,
    security::{self, Circumstances},
};

/// A grant that holds, with its client.
#[derive(Clone, Debug)]
pub struct Given {
    /// The grant.
    pub row: GrantRow,
    /// To whom.
    pub client: Registered,
}

/// Grants that are read at once.
const PAGE: usize = 100;

/// Whether a grant has neither ended nor expired.
fn is_open(row: &GrantRow, now: Time) -> bool {
    row.ended_at.is_none() && row.expires_at > now
}

/// What a user granted in an organization, in both environments, and has not ended.
pub async fn open_of(
    app: &Records,
    organization: OrganizationId,
    user: UserId,
) -> Result<Vec<GrantRow>, Fault> {
    let mut open = Vec::new();
    for environment in [Environment::Sandbox, Environment::Live] {
        let tenant = organizations::tenant(organization, environment);
        let mut before = None;
        loop {
            let rows = app.store.grants(&tenant, None, Some(user), before, PAGE).await?;
            before = rows.last().map(|row| row.grant);
            let is_last = rows.len() < PAGE;
            open.extend(rows.into_iter().filter(|row| is_open(row, app.now())));
            if is_last {
                break;
            }
        }
    }
    Ok(open)
}

/// Those that hold at this moment, with their clients: a grant ends also with its client, its session, and its person.
pub async fn that_hold(app: &Records, rows: Vec<GrantRow>) -> Result<Vec<Given>, Fault> {
    let mut clients: BTreeMap<ClientId, Option<Registered>> = BTreeMap::new();
    let mut users: BTreeMap<(OrganizationId, UserId), Option<Standing>> = BTreeMap::new();
    let mut given = Vec::new();
    for row in rows.into_iter().filter(|row| is_open(row, app.now())) {
        if let Some(user) = row.user {
            let of = (row.tenant.organization(), user);
            let standing = match users.entry(of) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(Standing::read(app, of).await?),
            };
            if !standing.as_ref().is_some_and(|standing| standing.bears(&row)) {
                continue;
            }
        }
        let client = match clients.entry(row.client) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let client = app.store.client(row.client).await?.filter(|client| client.ended_at.is_none());
                new.insert(client.map(Registered::read).transpose()?)
            }
        };
        if let Some(client) = client.clone() {
            given.push(Given { row, client });
        }
    }
    Ok(given)
}

/// What the grants of a member hang on.
struct Standing {
    valid_from: Time,
    ended_sign_ins: Vec<SignInId>,
}

impl Standing {
    async fn read(
        app: &Records,
        (organization, user): (OrganizationId, UserId),
    ) -> Result<Option<Self>, Fault> {
        let member = app.store.member(organization, user).await?;
        let Some(user) = people::by_id(app, user).await? else { return Ok(None) };
        if member.is_none_or(|member| member.ended_at.is_some()) {
            return Ok(None);
        }
        let sign_ins = app.store.sign_ins(user.id()).await?;
        let ended = sign_ins.into_iter().filter(|row| row.ended_at.is_some());
        Ok(Some(Self {
            valid_from: user.row.valid_from,
            ended_sign_ins: ended.map(|row| row.sign_in).collect(),
        }))
    }

    fn bears(&self, row: &GrantRow) -> bool {
        row.created_at >= self.valid_from
            && row.sign_in.is_none_or(|sign_in| !self.ended_sign_ins.contains(&sign_in))
    }
}

/// The end of a grant, however often it is refreshed meanwhile. The refresh that comes later finds another version, and adds
/// nothing. If it had ended, `once` makes the batch outdated.
pub fn ending(app: &Records, grant: GrantId, once: bool) -> Change {
    Change::End { what: Ending::Grant(grant), at: app.now(), once }
}

/// Whether the end of a grant is in what is about to be committed.
pub fn ends(batch: &Batch, grant: &GrantRow) -> bool {
    let its = Ending::Grant(grant.grant);
    batch.changes.iter().any(|change| matches!(change, Change::End { what, .. } if *what == its))
}

/// Adds the end of a grant, among that of others, to what is about to be committed. One that ends by itself meanwhile holds
/// nothing up.
pub async fn add_end(
    app: &Records,
    circumstances: &Circumstances,
    grant: &GrantRow,
    reason: EndReason,
    batch: &mut Batch,
) -> Result<(), Fault> {
    batch.changes.push(ending(app, grant.grant, false));
    tell_end(app, circumstances, grant, reason, batch).await
}

async fn tell_end(
    app: &Records,
    circumstances: &Circumstances,
    grant: &GrantRow,
    reason: EndReason,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let body = SecurityBody::GrantEnded { grant: grant.grant, client: grant.client, reason };
    security::record(app, &grant.tenant, circumstances, body, batch).await
}

/// Ends a grant of this tenant: one of `user`, or of anybody.
pub async fn end(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    (grant, user): (GrantId, Option<UserId>),
    keep: Option<Keep<'_, Given>>,
) -> Result<Given, Failure> {
    let row = app.store.grant(grant).await?.filter(|row| row.tenant == *tenant);
    let row = row.filter(|row| user.is_none() || row.user == user).ok_or_else(Refusal::not_found)?;
    let found = that_hold(app, vec![row]).await?.pop().ok_or_else(Refusal::not_found)?;
    let changes = vec![ending(app, grant, true)];
    let answers = keep.map(|keep| keep(&found)).transpose()?;
    let mut batch = Batch { changes, answers, ..Batch::default() };
    let reason = if user.is_some() { EndReason::Revoked } else { EndReason::Ended };
    tell_end(app, circumstances, &found.row, reason, &mut batch).await?;
    match app.store.commit(batch).await {
        Ok(_) => Ok(found),
        // Somebody else ended it first.
        Err(CommitError::Outdated) => Err(Refusal::not_found().into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}
