//! Watches over the life of a key: a job that waits for its next moment, tells who answers for the key 14, 7 and 1 days ahead,
//! and records its end. Each is one commit that changes the key's row, so that of several servers one does it.

use countersign_core::{
    access::Environment,
    api_key::life::{Due, Life},
    id::{ApiKeyId, CorrelationId, JobId, MailId, UserId},
    role::Role,
    security::{EndReason, SecurityActor, SecurityBody},
    time::Time,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::Change,
    rows::{ApiKeyRow, JobRow, NewJob, Work},
};

use super::{ended, life, living, read};
use crate::{
    app::Records,
    fault::{Failure, Fault},
    organizations,
    security::{self, Circumstances},
};

/// What a look at a key found.
pub enum Looked {
    /// Nothing will happen to it any more.
    Done,
    /// Something was told, or somebody else was first: look again now.
    Again,
    /// Nothing happens for so many milliseconds.
    Wait(i64),
}

/// Does what is due.
pub async fn look(app: &Records, job: &JobRow, key: ApiKeyId) -> Result<Looked, Failure> {
    let Some(row) = app.store.api_key_by_id(key).await? else { return Ok(Looked::Done) };
    let (body, mails, row) = match life(&row).due(app.now()) {
        Due::Nothing => return Ok(Looked::Done),
        Due::Later(at) => return Ok(Looked::Wait(at.since_ms(app.now()))),
        Due::Warning(days) => {
            let mails = mails(app, &row, days, job.correlation).await?;
            let told = Life { told_days: Some(days), ..life(&row) };
            (SecurityBody::KeyWarned { key, days }, mails, living(&row, told))
        }
        Due::End => {
            let is_replaced = read(app, &row.tenant, key).await?.replaced_by.is_some();
            let reason = if is_replaced { EndReason::Rotated } else { EndReason::Expired };
            (SecurityBody::KeyEnded { key, reason }, Vec::new(), ended(&row, row.expires_at))
        }
    };
    let tenant = row.tenant;
    let mut batch = Batch { changes: vec![Change::ApiKey(row)], jobs: mails, ..Batch::default() };
    let circumstances =
        Circumstances { actor: SecurityActor::System, origin: None, correlation: job.correlation };
    security::record(app, &tenant, &circumstances, body, &mut batch).await?;
    match app.store.commit(batch).await {
        Ok(_) | Err(CommitError::Outdated) => Ok(Looked::Again),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

/// Who answers for a key: whoever made it, while a member; all owners and admins otherwise.
async fn responsible(app: &Records, row: &ApiKeyRow) -> Result<Vec<UserId>, Fault> {
    let mut members = app.store.members(row.tenant.organization()).await?;
    members.retain(|member| member.ended_at.is_none());
    let made = members.iter().find(|member| Some(member.user) == row.created_by);
    if let Some(member) = made {
        return Ok(vec![member.user]);
    }
    let heads = members.iter().filter(|member| matches!(member.role, Role::Owner | Role::Admin));
    Ok(heads.map(|member| member.user).collect())
}

async fn mails(
    app: &Records,
    row: &ApiKeyRow,
    days: u32,
    correlation: CorrelationId,
) -> Result<Vec<NewJob>, Fault> {
    let users = responsible(app, row).await?;
    if users.is_empty() {
        tracing::warn!(
            event_type = "key.warned",
            event_result = "untold",
            key = %row.key,
            days,
            "an API key ends soon, and the organization has no member to be told"
        );
    }
    // Jobs of mails about accounts are the sandbox's.
    let tenant = organizations::tenant(row.tenant.organization(), Environment::Sandbox);
    let mail = |user| NewJob {
        tenant,
        job: JobId::new(app.now(), app.draw()),
        work: Work::MailKeyWarning { key: row.key, user, days, mail: MailId::new(app.now(), app.draw()) },
        correlation,
        due_at: app.now(),
    };
    Ok(users.into_iter().map(mail).collect())
}

/// The job that watches over a key. It has the key's id: there is one.
pub fn job(row: &ApiKeyRow, now: Time, correlation: CorrelationId) -> NewJob {
    NewJob {
        tenant: row.tenant,
        job: JobId::from_bytes(*row.key.as_bytes()),
        work: Work::WatchKey { key: row.key },
        correlation,
        due_at: if let Due::Later(at) = life(row).due(now) { at } else { now },
    }
}

/// Has every key watched that has not ended, also those of before there were such jobs. A job that exists is left alone.
pub async fn begin(app: &Records) -> Result<(), Fault> {
    let now = app.now();
    for organization in app.store.organizations().await? {
        let rows = app.store.api_keys(organization.organization).await?;
        let open = rows.iter().filter(|row| !life(row).is_over(now));
        let jobs: Vec<NewJob> = open.map(|row| job(row, now, app.new_correlation())).collect();
        if !jobs.is_empty() {
            app.store.commit(Batch { jobs, ..Batch::default() }).await.map_err(Fault::of_commit)?;
        }
    }
    Ok(())
}
