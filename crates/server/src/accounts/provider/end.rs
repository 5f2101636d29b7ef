//! The end of a provider, and what ends with it in the same commit: its sessions, its connections, and what was granted by
//! whoever was connected.

use std::collections::BTreeSet;

use countersign_core::{
    access::Environment,
    id::{OrganizationId, ProviderId},
    limits,
    refusal::{Code, Refusal},
    security::{EndReason, SecurityBody},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, Ending, SignInRow},
};

use super::{Provider, links, of, required};
use crate::{
    accounts::{
        busy,
        changes::{self, Edit},
        letters::Notice,
        people::{self, Factors, PROVIDER},
    },
    app::Records,
    fault::{Failure, Fault},
    organizations,
    security::{self, Circumstances},
};

/// Adds the end of what hangs on a provider to what is about to be committed.
pub(super) async fn add_end(
    app: &Records,
    circumstances: &Circumstances,
    old: &Provider,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let (id, now) = (old.row.provider, app.now());
    let live = organizations::tenant(old.row.organization, Environment::Live);
    // Also of former members.
    for member in app.store.members(old.row.organization).await? {
        let Some(user) = people::by_id(app, member.user).await? else { continue };
        let mut edit = Edit::new(Notice::ProviderUnlinked);
        for row in Factors::of(app, user.id()).await?.kind(PROVIDER) {
            if links::read(&user, row)?.provider == id {
                edit.removed.push(row.clone());
            }
        }
        let its = |row: &SignInRow| row.provider == Some(id) && row.ended_at.is_none();
        let ended: Vec<_> = app.store.sign_ins(user.id()).await?.into_iter().filter(its).collect();
        let mut events = changes::signed_out(&ended, None, EndReason::ProviderRemoved);
        if !edit.removed.is_empty() {
            let why = (&member, EndReason::ProviderRemoved);
            required::end_grants(app, (&live, circumstances), why, |_| Ok(true), batch).await?;
            events.extend(changes::apply_factors(&edit, now, batch));
        }
        for body in events {
            security::record(app, &live, circumstances, body, batch).await?;
        }
    }
    // After the connections, so that a session that begins through one of them at this moment ends, too.
    batch.changes.push(Change::End { what: Ending::SignInsThrough(id), at: now, once: false });
    Ok(())
}

/// Removes the provider of an organization: this one, or the one that it has.
pub async fn remove(
    app: &Records,
    circumstances: &Circumstances,
    (organization, this): (OrganizationId, Option<ProviderId>),
) -> Result<ProviderId, Failure> {
    let live = organizations::tenant(organization, Environment::Live);
    for _ in 0..limits::CONFLICT_TRIES {
        let none = || Refusal::new(Code::NotFound, "this organization has no provider");
        let old = of(app, organization).await?;
        let old = old.filter(|old| this.is_none_or(|this| old.row.provider == this)).ok_or_else(none)?;
        let mut batch = Batch::default();
        add_end(app, circumstances, &old, &mut batch).await?;
        let id = old.row.provider;
        let body = SecurityBody::ProviderRemoved { provider: id };
        security::record(app, &live, circumstances, body, &mut batch).await?;
        batch.changes.push(Change::NameProvider { organization, names: BTreeSet::new() });
        batch.changes.push(Change::End { what: Ending::Provider(id), at: app.now(), once: true });
        match app.store.commit(batch).await {
            Ok(_) => return Ok(id),
            Err(CommitError::Outdated | CommitError::Conflict) => {}
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Err(busy().into())
}
