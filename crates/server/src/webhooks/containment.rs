//! Blocks of more than an endpoint (M-3): of a class or all of an organization, in an environment, and of everything. Each is one
//! commit with its security events and the job that brings the deliveries after it; what they stop is decided in
//! `core/webhook/containment.rs`, whenever an endpoint is read.

use countersign_core::{
    access::{Environment, Tenant},
    id::{CorrelationId, JobId},
    refusal::{Code, Refusal},
    security::SecurityBody,
    webhook::{
        class::{Class, Classes},
        containment::{self, Holder},
        standing::BlockReason,
    },
};
use countersign_store::{
    Batch, CommitError,
    access_rows::Change,
    batch::Row,
    rows::{FinishedIdempotency, JobRow, NewJob, Work},
    webhook_rows::{BlockKey, BlockRow},
};

use crate::{
    app::{App, Records},
    fault::{Failure, Fault},
    organizations,
    security::{self, Circumstances},
};

/// Endpoints that are read at once.
const PAGE: usize = 100;

/// What a commit keeps for the same request coming again: made of the blocks as they are afterwards.
pub type KeepBlocks<'a> = &'a (dyn Fn(&[BlockRow]) -> Result<FinishedIdempotency, Fault> + Send + Sync);

/// The blocks that concern a tenant.
pub async fn of(app: &Records, tenant: &Tenant) -> Result<Vec<BlockRow>, Fault> {
    Ok(app.store.webhook_blocks(Some(tenant)).await?)
}

/// The classes of events that they stop there.
pub(crate) async fn stopped(app: &Records, tenant: &Tenant) -> Result<Classes, Fault> {
    let blocks = of(app, tenant).await?.into_iter().map(|row| row.key.block());
    Ok(containment::stopped(blocks, tenant.organization(), tenant.environment()))
}

/// Blocks a class, or all, in the environment of an organization that asks for it. The answer has all blocks that concern it.
pub async fn block(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    class: Option<Class>,
    reason: BlockReason,
    keep: Option<KeepBlocks<'_>>,
) -> Result<Vec<BlockRow>, Failure> {
    let key = own(tenant, class)?;
    let mut rows = of(app, tenant).await?;
    rows.push(BlockRow { key, reason, created_at: app.now() });
    let answers = keep.map(|keep| keep(&rows)).transpose()?;
    set(app, circumstances, &[key], reason, answers).await?;
    Ok(rows)
}

/// Takes such a block away.
pub async fn release(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    class: Option<Class>,
    keep: Option<KeepBlocks<'_>>,
) -> Result<Vec<BlockRow>, Failure> {
    let key = own(tenant, class)?;
    let mut rows = of(app, tenant).await?;
    let is_operators = |row: &BlockRow| row.key.holder == Holder::Operator && row.key.class == class;
    if !rows.iter().any(|row| row.key == key) && rows.iter().any(is_operators) {
        let sentence = "the operator of this server set this block: ask there for its release";
        return Err(Refusal::new(Code::WebhookState, sentence).into());
    }
    rows.retain(|row| row.key != key);
    let answers = keep.map(|keep| keep(&rows)).transpose()?;
    unset(app, circumstances, &[key], answers).await?;
    Ok(rows)
}

fn own(tenant: &Tenant, class: Option<Class>) -> Result<BlockKey, Refusal> {
    if class == Some(Class::Test) {
        let sentence = "tests are sent by whoever asks for one: block `envelope`, `recipient`, `evidence`, \
                        `security` or all";
        return Err(Refusal::at(Code::Invalid, "/class", sentence));
    }
    Ok(BlockKey { tenant: Some(*tenant), class, holder: Holder::Organization })
}

/// Sets blocks, all of them or none.
pub async fn set(
    app: &Records,
    circumstances: &Circumstances,
    keys: &[BlockKey],
    reason: BlockReason,
    answers: Option<FinishedIdempotency>,
) -> Result<(), Failure> {
    // What is recorded is in the log by then: what can be refused is refused before.
    if are_held(app, keys).await?.contains(&true) {
        return Err(held_already());
    }
    let reached = reached(app, keys).await?;
    let mut batch = Batch { answers, ..Batch::default() };
    for one in &reached {
        batch.rows.push(Row::WebhookBlock(BlockRow { key: one.key, reason, created_at: app.now() }));
        record(app, circumstances, (one, Some(reason)), &mut batch).await?;
    }
    batch.jobs = follow_ups(app, &reached, circumstances.correlation);
    match app.store.commit(batch).await {
        Ok(_) => {
            log(keys, circumstances, Some(reason));
            Ok(())
        }
        Err(CommitError::Conflict) => Err(held_already()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

/// Takes blocks away, all of them or none. What was parked goes out at a bounded rate, unless something else stops it.
pub async fn unset(
    app: &Records,
    circumstances: &Circumstances,
    keys: &[BlockKey],
    answers: Option<FinishedIdempotency>,
) -> Result<(), Failure> {
    if are_held(app, keys).await?.contains(&false) {
        return Err(held_no_more());
    }
    let reached = reached(app, keys).await?;
    let changes = keys.iter().copied().map(Change::Unblock).collect();
    let mut batch = Batch { changes, answers, ..Batch::default() };
    for one in &reached {
        record(app, circumstances, (one, None), &mut batch).await?;
    }
    batch.jobs = follow_ups(app, &reached, circumstances.correlation);
    match app.store.commit(batch).await {
        Ok(_) => {
            log(keys, circumstances, None);
            Ok(())
        }
        Err(CommitError::Outdated) => Err(held_no_more()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

fn refused(sentence: &str) -> Failure {
    Refusal::new(Code::WebhookState, sentence).into()
}

fn held_already() -> Failure {
    refused("this is blocked already: there is nothing more to block")
}

fn held_no_more() -> Failure {
    refused("this is not blocked, so there is nothing to release")
}

/// Whether each of these is there at this moment.
pub async fn are_held(app: &Records, keys: &[BlockKey]) -> Result<Vec<bool>, Fault> {
    let held = app.store.webhook_blocks(None).await?;
    Ok(keys.iter().map(|key| held.iter().any(|row| row.key == *key)).collect())
}

/// A block, and the tenants that it concerns.
struct Reached {
    key: BlockKey,
    tenants: Vec<Tenant>,
}

/// The tenants that each of these blocks concerns. An organization that is made meanwhile has nothing yet that could be followed.
async fn reached(app: &Records, keys: &[BlockKey]) -> Result<Vec<Reached>, Fault> {
    let mut everybody = Vec::new();
    if keys.iter().any(|key| key.tenant.is_none()) {
        for row in app.store.organizations().await? {
            let of = |environment| organizations::tenant(row.organization, environment);
            everybody.extend([Environment::Sandbox, Environment::Live].map(of));
        }
    }
    let tenants = |key: &BlockKey| key.tenant.map_or_else(|| everybody.clone(), |tenant| vec![tenant]);
    Ok(keys.iter().map(|key| Reached { key: *key, tenants: tenants(key) }).collect())
}

fn body(key: &BlockKey, reason: Option<BlockReason>) -> SecurityBody {
    match reason {
        Some(reason) => SecurityBody::WebhookBlocked { endpoint: None, class: key.class, reason },
        None => SecurityBody::WebhookReleased { endpoint: None, class: key.class },
    }
}

/// An event of each organization that it concerns.
async fn record(
    app: &Records,
    circumstances: &Circumstances,
    (Reached { key, tenants }, reason): (&Reached, Option<BlockReason>),
    batch: &mut Batch,
) -> Result<(), Fault> {
    let elsewhere = circumstances.elsewhere();
    let circumstances = if key.tenant.is_some() { circumstances } else { &elsewhere };
    for tenant in tenants {
        security::record(app, tenant, circumstances, body(key, reason), batch).await?;
    }
    Ok(())
}

/// What concerns all organizations is a line of the log as well, once it is done.
fn log(keys: &[BlockKey], circumstances: &Circumstances, reason: Option<BlockReason>) {
    for key in keys.iter().filter(|key| key.tenant.is_none()) {
        tracing::warn!(
            event_type = body(key, reason).kind(),
            event_result = "everywhere",
            class = key.class.map(Class::text),
            reason = reason.map(BlockReason::text),
            holder = key.holder.text(),
            actor = ?circumstances.actor,
            correlation_id = %circumstances.correlation
        );
    }
}

/// The jobs that bring deliveries after blocks: one for each tenant.
fn follow_ups(app: &Records, reached: &[Reached], correlation: CorrelationId) -> Vec<NewJob> {
    let (now, work) = (app.now(), Work::FollowBlocks);
    let job = |tenant: &Tenant| NewJob {
        tenant: *tenant,
        job: JobId::new(now, app.draw()),
        work: work.clone(),
        correlation,
        due_at: now,
    };
    reached.iter().flat_map(|one| &one.tenants).map(job).collect()
}

/// Has each endpoint of a tenant followed by its deliveries, and ends the job with that.
pub(crate) async fn follow(app: &App, job: &JobRow) -> Result<(), Fault> {
    let (now, mut before) = (app.now(), None);
    let mut batch = Batch { finishes: Some(job.clone()), ..Batch::default() };
    loop {
        let page = app.store.endpoints(&job.tenant, before, PAGE).await?;
        for row in page.iter().filter(|row| row.ended_at.is_none()) {
            batch.jobs.push(NewJob {
                tenant: job.tenant,
                job: JobId::new(now, app.draw()),
                work: Work::FollowEndpoint { endpoint: row.endpoint, settled_at: None },
                correlation: job.correlation,
                due_at: now,
            });
        }
        match page.last() {
            Some(last) if page.len() == PAGE => before = Some(last.endpoint),
            _ => break,
        }
    }
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}
