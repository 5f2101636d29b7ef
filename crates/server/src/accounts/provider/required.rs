//! Members who must come in through their organization's provider: what they granted to programs holds if they granted it in
//! a session of that provider. Owners are exempt, as long as they are owners.

use std::collections::BTreeSet;

use countersign_core::{
    access::Tenant,
    id::{OrganizationId, SignInId, UserId},
    role::Role,
    security::EndReason,
};
use countersign_store::{
    Batch,
    access_rows::{GrantRow, GrantView, MemberRow},
};

use super::{Provider, of};
use crate::{app::Records, fault::Fault, grants, security::Circumstances};

/// Who ends something, and the tenant whose keys the address of that goes under.
pub type By<'a> = (&'a Tenant, &'a Circumstances);

/// The provider that this member must come in through, where there is one.
pub(super) async fn for_member(app: &Records, member: &MemberRow) -> Result<Option<Provider>, Fault> {
    let found = match member.role {
        Role::Owner => None,
        _ => of(app, member.organization).await?,
    };
    Ok(found.filter(|provider| provider.settings.is_required))
}

/// The sessions of a user that a provider opened.
async fn opened_by(app: &Records, provider: &Provider, user: UserId) -> Result<BTreeSet<SignInId>, Fault> {
    let rows = app.store.sign_ins(user).await?;
    Ok(rows
        .into_iter()
        .filter(|row| row.provider == Some(provider.row.provider))
        .map(|row| row.sign_in)
        .collect())
}

fn is_of(opened: &BTreeSet<SignInId>, grant: &GrantRow) -> bool {
    grant.sign_in.is_some_and(|sign_in| opened.contains(&sign_in))
}

/// Whether what a person granted holds, as far as the provider goes. What ended with the exemption has ended in the same
/// commit; this is for what was granted in that very moment.
pub async fn bears(app: &Records, view: &GrantView) -> Result<bool, Fault> {
    let Some(member) = &view.member else { return Ok(true) };
    let Some(provider) = for_member(app, member).await? else { return Ok(true) };
    Ok(is_of(&opened_by(app, &provider, member.user).await?, &view.grant))
}

/// Adds the end of what a member granted without the provider to what is about to be committed. `member` is as it will be.
pub async fn end_grants_of(
    app: &Records,
    by: By<'_>,
    member: &MemberRow,
    batch: &mut Batch,
) -> Result<(), Fault> {
    match for_member(app, member).await? {
        Some(provider) => end_grants_without(app, by, &provider, member, batch).await,
        None => Ok(()),
    }
}

/// The same where this provider is the one to come in through.
pub(super) async fn end_grants_without(
    app: &Records,
    by: By<'_>,
    provider: &Provider,
    member: &MemberRow,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let opened = opened_by(app, provider, member.user).await?;
    let without = |grant: &GrantRow| !is_of(&opened, grant);
    end_grants(app, by, (member, EndReason::ProviderRequired), without, batch).await
}

/// Adds the end of these grants of a member, unless it is there already.
pub(super) async fn end_grants(
    app: &Records,
    (tenant, circumstances): By<'_>,
    (member, reason): (&MemberRow, EndReason),
    these: impl Fn(&GrantRow) -> bool,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let (organization, user): (OrganizationId, UserId) = (member.organization, member.user);
    for grant in grants::open_of(app, organization, user).await?.into_iter().filter(these) {
        if grants::ends(batch, &grant) {
            continue;
        }
        let is_here = grant.tenant == *tenant;
        let circumstances = if is_here { circumstances.clone() } else { circumstances.elsewhere() };
        grants::add_end(app, &circumstances, &grant, reason, batch).await?;
    }
    Ok(())
}
