//! Counts tries before they are verified, in the user's row: of many at once each sees those before it (G-4).

use countersign_core::{
    accounts::lockout::{Kind, Verdict},
    digest::Digest,
    id::UserId,
    limits,
    security::{FailureReason, SecurityActor, SecurityBody},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, Spend},
};

use super::{
    busy, circumstances,
    people::{self, User},
};
use crate::{
    app::Records,
    fault::{Failure, Fault},
    signer::strict::Caller,
};

/// Rows of the event of a failed try: the event, the address and the agent.
const ROWS_OF_AN_EVENT: usize = 3;

/// Counts a try; `None` where it may not be verified, or where there is nobody whose it is. Either takes as long.
pub async fn count(
    app: &Records,
    caller: &Caller,
    user: Option<UserId>,
    device: Option<&Digest>,
    kind: Kind,
) -> Result<Option<User>, Failure> {
    let Some(user) = user else {
        pass_time(app, 1).await?;
        return Ok(None);
    };
    for _ in 0..limits::CONFLICT_TRIES {
        let Some(mut found) = people::by_id(app, user).await? else {
            pass_time(app, 1).await?;
            return Ok(None);
        };
        let mut failures = found.failures()?;
        let Verdict::Counted(locked_until) = failures.count(device, kind, app.now()) else {
            pass_time(app, 1).await?;
            return Ok(None);
        };
        found.set_failures(&failures)?;
        found.row = found.next();
        let mut batch = Batch { changes: vec![Change::User(found.row.clone())], ..Batch::default() };
        if let Some(until) = locked_until {
            let memberships = people::memberships(app, user).await?;
            let body = SecurityBody::Locked { user, method: kind.text().to_owned(), until };
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

/// Tells of a try that failed. For nobody, and for one who was not let through, it only takes as long.
pub async fn failed(
    app: &Records,
    caller: &Caller,
    user: Option<UserId>,
    method: &str,
    reason: FailureReason,
) -> Result<(), Failure> {
    let Some(user) = user else { return pass_time(app, ROWS_OF_AN_EVENT).await };
    let memberships = people::memberships(app, user).await?;
    if memberships.is_empty() {
        return pass_time(app, ROWS_OF_AN_EVENT).await;
    }
    let mut batch = Batch::default();
    let body = SecurityBody::SignInFailed { user, method: method.to_owned(), reason };
    circumstances::record(app, &memberships, SecurityActor::Unknown, caller, &body, &mut batch).await?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}

/// Commits so many rows that mean nothing and are swept soon, so that an address without an account takes as long as one
/// with an account.
pub(super) async fn pass_time(app: &Records, row_count: usize) -> Result<(), Failure> {
    let nothing = |_| Spend { hash: Digest(app.draw()), expires_at: app.now() };
    let batch = Batch { spends: (0..row_count).map(nothing).collect(), ..Batch::default() };
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}
