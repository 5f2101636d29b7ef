//! Members of an organization: who they are, their roles, and their end. Who may do what to whom is decided in
//! `core/accounts/members.rs`; a change acts on the next request, because every look-up of a token or a session brings the
//! role along.

use std::collections::BTreeSet;

use countersign_core::{
    access::{Identity, Principal},
    accounts::members::{check_power, remaining_owner},
    id::{OrganizationId, UserId},
    limits,
    refusal::Refusal,
    role::Role,
    security::{EndReason, SecurityBody},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, Ending, MemberRow},
};

use super::{
    busy,
    people::{self, User},
    provider, session,
};
use crate::{
    app::Records,
    clients::Keep,
    fault::{Failure, Fault},
    grants,
    security::{self, Circumstances},
};

/// A member.
#[derive(Clone)]
pub struct Member {
    /// As stored.
    pub row: MemberRow,
    /// The person.
    pub user: User,
}

/// The members of an organization now, by id.
pub async fn all(app: &Records, organization: OrganizationId) -> Result<Vec<Member>, Fault> {
    let mut found = Vec::new();
    for row in current(app, organization).await? {
        if let Some(user) = people::by_id(app, row.user).await? {
            found.push(Member { row, user });
        }
    }
    Ok(found)
}

async fn current(app: &Records, organization: OrganizationId) -> Result<Vec<MemberRow>, Fault> {
    let mut rows = app.store.members(organization).await?;
    rows.retain(|row| row.ended_at.is_none());
    Ok(rows)
}

/// A member of an organization.
pub async fn find(app: &Records, organization: OrganizationId, user: UserId) -> Result<Member, Failure> {
    let row = app.store.member(organization, user).await?.filter(|row| row.ended_at.is_none());
    let row = row.ok_or_else(Refusal::not_found)?;
    let user = people::by_id(app, user).await?.ok_or_else(Refusal::not_found)?;
    Ok(Member { row, user })
}

/// The person who acts, in person or through a client.
fn acting(principal: &Principal) -> Option<(UserId, Role)> {
    let behind = match principal.identity() {
        Identity::Member(member) => Some(member.member),
        Identity::Client(client) => client.member,
        Identity::ApiKey { .. } | Identity::Signer { .. } => None,
    };
    behind.map(|behind| (behind.user, behind.role))
}

/// Binds the commit to what was decided on: whoever acts still has that role, and if an owner stops being one, another one
/// still is. Of two who take each other's power at the same moment, one comes too late. It changes nobody who vouches: a
/// member who acts on others again and again does not hold up their own end by that.
async fn vouch(
    app: &Records,
    principal: &Principal,
    leaving: &MemberRow,
    stays_owner: bool,
    batch: &mut Batch,
) -> Result<(), Failure> {
    let rows = current(app, leaving.organization).await?;
    let mut vouching = BTreeSet::new();
    let acting = acting(principal);
    if let Some((user, role)) = acting.filter(|(user, _)| *user != leaving.user) {
        if !rows.iter().any(|row| row.user == user && row.role == role) {
            return Err(Refusal::not_found().into());
        }
        vouching.insert(user);
    }
    if leaving.role == Role::Owner && !stays_owner {
        let owners = rows.iter().filter(|row| row.role == Role::Owner).map(|row| row.user);
        vouching.insert(remaining_owner(owners, leaving.user, acting.map(|(user, _)| user))?);
    }
    let unchanged = rows.into_iter().filter(|row| vouching.contains(&row.user));
    let vouch = |MemberRow { organization, user, role, .. }| Change::Vouch { organization, user, role };
    batch.changes.extend(unchanged.map(vouch));
    Ok(())
}

/// Gives a member another role.
pub async fn change(
    app: &Records,
    principal: &Principal,
    circumstances: &Circumstances,
    user: UserId,
    role: Role,
    keep: Option<Keep<'_, Member>>,
) -> Result<Member, Failure> {
    let tenant = principal.tenant();
    for _ in 0..limits::CONFLICT_TRIES {
        let known = find(app, tenant.organization(), user).await?;
        let from = known.row.role;
        check_power(principal, from)?;
        check_power(principal, role)?;
        let mut batch = Batch::default();
        let mut changed = known.clone();
        if from != role {
            vouch(app, principal, &known.row, role == Role::Owner, &mut batch).await?;
            changed.row = MemberRow { role, version: known.row.version + 1, ..known.row };
            batch.changes.push(Change::Member(changed.row.clone()));
            let body = SecurityBody::MemberChanged { user, from, to: role };
            security::record(app, tenant, circumstances, body, &mut batch).await?;
            // Only owners may come in by themselves where the others must come in through a provider.
            if from == Role::Owner {
                let by = (tenant, circumstances);
                provider::required::end_grants_of(app, by, &changed.row, &mut batch).await?;
            }
        }
        batch.answers = keep.map(|keep| keep(&changed)).transpose()?;
        match app.store.commit(batch).await {
            Ok(_) => return Ok(changed),
            Err(CommitError::Outdated) => {}
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Err(busy().into())
}

/// Ends a membership, with everything that the person granted in this organization, in one commit. Who is a member nowhere
/// else has no session any more, either. Whoever leaves needs no power for it.
pub async fn remove(
    app: &Records,
    principal: &Principal,
    circumstances: &Circumstances,
    user: UserId,
    keep: Option<Keep<'_, Member>>,
) -> Result<Member, Failure> {
    let tenant = principal.tenant();
    for _ in 0..limits::CONFLICT_TRIES {
        let known = find(app, tenant.organization(), user).await?;
        let leaves = matches!(principal.identity(), Identity::Member(member) if member.member.user == user);
        if !leaves {
            check_power(principal, known.row.role)?;
        }
        let mut batch = Batch { answers: keep.map(|keep| keep(&known)).transpose()?, ..Batch::default() };
        vouch(app, principal, &known.row, false, &mut batch).await?;
        let (organization, role) = (tenant.organization(), known.row.role);
        let what = Ending::Member { organization, user, role };
        batch.changes.push(Change::End { what, at: app.now(), once: true });
        let body = SecurityBody::MemberRemoved { user };
        security::record(app, tenant, circumstances, body, &mut batch).await?;
        for grant in grants::open_of(app, tenant.organization(), user).await? {
            let is_here = grant.tenant == *tenant;
            let circumstances = if is_here { circumstances.clone() } else { circumstances.elsewhere() };
            grants::add_end(app, &circumstances, &grant, EndReason::MemberRemoved, &mut batch).await?;
        }
        if people::memberships(app, user).await?.len() <= 1 {
            end_sessions(app, circumstances, principal, &known.user, &mut batch).await?;
        }
        match app.store.commit(batch).await {
            Ok(_) => return Ok(known),
            Err(CommitError::Outdated) => {}
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Err(busy().into())
}

async fn end_sessions(
    app: &Records,
    circumstances: &Circumstances,
    principal: &Principal,
    user: &User,
    batch: &mut Batch,
) -> Result<(), Fault> {
    for row in app.store.sign_ins(user.id()).await? {
        if session::is_open(&row, user, app.now()) {
            batch.changes.push(session::ending(row.sign_in, app.now()));
            let (user, sign_in, reason) = (row.user, row.sign_in, EndReason::MemberRemoved);
            let body = SecurityBody::SignedOut { user, sign_in, reason };
            security::record(app, principal.tenant(), circumstances, body, batch).await?;
        }
    }
    Ok(())
}
