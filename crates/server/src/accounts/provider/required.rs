//! Members who must come in through their organization's provider: what they granted to programs holds if they granted it in
//! a session of that provider. Owners are exempt, as long as they are owners.

use countersign_core::{
    access::Tenant,
    id::{OrganizationId, UserId},
    role::Role,
    security::EndReason,
};
use countersign_store::{
    Batch,
    access_rows::{GrantRow, GrantView, MemberRow},
};

use super::{Provider, of};
use crate::{app::Records, fault::Fault, grants, oauth::issue, security::Circumstances};

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

/// Whether a grant was given in a session of this provider. The grant knows, because sessions are forgotten before it ends.
fn is_of(provider: &Provider, grant: &GrantRow) -> Result<bool, Fault> {
    Ok(issue::terms(grant)?.provider == Some(provider.row.provider))
}

/// Whether what a person granted holds, as far as the provider goes. What ended with the exemption has ended in the same
/// commit; this is for what was granted in that very moment, and asked at every refresh.
pub async fn bears(app: &Records, view: &GrantView) -> Result<bool, Fault> {
    let Some(member) = &view.member else { return Ok(true) };
    match for_member(app, member).await? {
        Some(provider) => is_of(&provider, &view.grant),
        None => Ok(true),
    }
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
    let without = |grant: &GrantRow| is_of(provider, grant).map(|is_its| !is_its);
    end_grants(app, by, (member, EndReason::ProviderRequired), without, batch).await
}

/// Adds the end of these grants of a member, unless it is there already.
pub(super) async fn end_grants(
    app: &Records,
    (tenant, circumstances): By<'_>,
    (member, reason): (&MemberRow, EndReason),
    these: impl Fn(&GrantRow) -> Result<bool, Fault>,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let (organization, user): (OrganizationId, UserId) = (member.organization, member.user);
    for grant in grants::open_of(app, organization, user).await? {
        if !these(&grant)? || grants::ends(batch, &grant) {
            continue;
        }
        let is_here = grant.tenant == *tenant;
        let circumstances = if is_here { circumstances.clone() } else { circumstances.elsewhere() };
        grants::add_end(app, &circumstances, &grant, reason, batch).await?;
    }
    Ok(())
}
