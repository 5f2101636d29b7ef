//! Counts tries before they are verified, in the user's row: of many at once each sees those before it (G-4).

use countersign_core::{
    access::Environment,
    accounts::lockout::{Kind, Verdict},
    canonical,
    digest::Digest,
    envelope::{Opening, Veiled},
    id::{OrganizationId, PersonId, SecurityEventId, UserId},
    limits,
    security::{FailureReason, SecurityActor, SecurityBody, SecurityEvent},
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
    app::{App, Records},
    fault::{Failure, Fault},
    persons::opening_binding,
    signer::strict::Caller,
};

/// Rows of the event of a failed try: the event, the address and the agent.
const ROWS_OF_AN_EVENT: usize = 3;

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
        found.set_failures(&failures)?;
        let (Verdict::Counted(locked_until), true) = (verdict, user == Some(found.id())) else {
            pass_time(app, 1).await?;
            return Ok(None);
        };
        found.row = found.next();
        let mut batch = Batch { changes: vec![Change::User(found.row.clone())], ..Batch::default() };
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
    let nobody = &app.accounts.nobody;
    let somebody = user.unwrap_or(nobody.id());
    let memberships = people::memberships(app, somebody).await?;
    let body = SecurityBody::SignInFailed { user: somebody, method: method.to_owned(), reason };
    if memberships.is_empty() {
        work_like_an_event(app, nobody, caller, body)?;
        return pass_time(app, ROWS_OF_AN_EVENT).await;
    }
    let mut batch = Batch::default();
    circumstances::record(app, &memberships, SecurityActor::Unknown, caller, &body, &mut batch).await?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}

/// The work of an event that is told to nobody: its encoding, its veiled address and agent, its line in the log.
fn work_like_an_event(app: &App, nobody: &User, caller: &Caller, body: SecurityBody) -> Result<(), Fault> {
    let person = PersonId::from_bytes(*nobody.row.user.as_bytes());
    for value in [Some(&caller.origin.ip), caller.origin.user_agent.as_ref()].into_iter().flatten() {
        let veiled = Veiled::new(person, app.draw(), value.clone());
        let plain = veiled.opening.as_ref().map(Opening::to_bytes).unwrap_or_default();
        nobody.key.seal(&*app.random, &opening_binding(person, &veiled.sha256), &plain)?;
    }
    let event = SecurityEvent {
        id: SecurityEventId::new(app.now(), app.draw()),
        organization: OrganizationId::from_bytes(*nobody.row.user.as_bytes()),
        environment: Environment::Live,
        at: app.now(),
        actor: SecurityActor::Unknown,
        origin: None,
        correlation: caller.correlation,
        body,
    };
    canonical::to_vec(&event).map_err(|error| Fault::Task(error.to_string()))?;
    tracing::info!(
        event_type = event.body.kind(),
        event_result = "told_to_nobody",
        security_event = %event.id,
        correlation_id = %event.correlation
    );
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
