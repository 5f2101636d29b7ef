//! Counts tries before they are verified, in the user's row: of many at once each sees those before it (G-4). They raise
//! no version, so that no tries hold up a change of the account.

use countersign_core::{
    accounts::lockout::{Kind, Verdict},
    digest::Digest,
    id::UserId,
    limits,
    security::{FailureReason, SecurityActor, SecurityBody},
};
use countersign_store::{Batch, CommitError};

use super::{
    busy, circumstances,
    people::{self, User},
};
use crate::{
    app::App,
    fault::{Failure, Fault},
    security,
    signer::strict::Caller,
};

/// Counts a try; `None` where it may not be verified, or where there is nobody whose it is. Either is as much work.
pub async fn count(
    app: &App,
    caller: &Caller,
    user: Option<UserId>,
    device: Option<&Digest>,
    kind: Kind,
) -> Result<Option<User>, Failure> {
    let nobody = &app.accounts.nobody;
    for _ in 0..limits::CONFLICT_TRIES {
        let mut found = match people::by_id(app, user.unwrap_or(nobody.id())).await? {
            Some(found) => found,
            None => people::open(app, nobody.row.clone())?,
        };
        let mut failures = found.failures()?;
        let verdict = failures.count(device, kind, app.now());
        let before = found.row.failures.clone();
        found.set_failures(&failures)?;
        let (Verdict::Counted(locked_until), true) = (verdict, user == Some(found.id())) else {
            security::pass_time(app, 1).await?;
            return Ok(None);
        };
        let mut batch = Batch { changes: vec![found.tried(before)], ..Batch::default() };
        if let Some(until) = locked_until {
            let memberships = people::memberships(app, found.id()).await?;
            let body = SecurityBody::Locked { user: found.id(), method: kind.text().to_owned(), until };
            let unknown = SecurityActor::Unknown;
            circumstances::record(app, &memberships, unknown, caller, &body, &mut batch).await?;
        }
        match app.store.commit(batch).await {
            Ok(_) => return Ok(Some(found)),
            Err(CommitError::Outdated) => {}
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Err(busy().into())
}

/// Tells of a try that failed. For nobody, and for one who was not let through, it is only as much work.
pub async fn failed(
    app: &App,
    caller: &Caller,
    user: Option<UserId>,
    method: &str,
    reason: FailureReason,
) -> Result<(), Failure> {
    let somebody = user.unwrap_or(app.accounts.nobody.id());
    let memberships = people::memberships(app, somebody).await?;
    let body = SecurityBody::SignInFailed { user: somebody, method: method.to_owned(), reason };
    if memberships.is_empty() {
        return Ok(security::tell_nobody(app, &caller.origin, caller.correlation, body).await?);
    }
    let mut batch = Batch::default();
    circumstances::record(app, &memberships, SecurityActor::Unknown, caller, &body, &mut batch).await?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}
