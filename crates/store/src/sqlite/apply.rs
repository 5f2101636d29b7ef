//! The changes: what a batch, a claim, a lease and a checkpoint write, each within the writer's transaction.

use countersign_core::{
    access::Tenant,
    id::{ApiKeyId, DocumentId, EnvelopeId, UserId},
    time::Time,
};
use rusqlite::{Connection, params};

use super::{
    access_apply,
    row::{execute, first, rows},
    sql, webhooks,
};
use crate::{
    access_cells::networks_column,
    batch::{Append, Batch, Chain, CommitError, Committed, NewEvent, Row},
    cells::{self, Cells as _, signed},
    fault::Fault,
    rows::{
        FinishedIdempotency, IdempotencyClaim, IdempotencyState, JobRow, LeafRow, NewJob, PutBack, TileRow,
        security_stream,
    },
};

/// The tenant columns as parameters.
pub(super) fn tenant(tenant: &Tenant) -> ([u8; 16], &'static str) {
    (*tenant.organization().as_bytes(), tenant.environment().text())
}

/// A whole batch, or its first refusal.
pub(super) fn commit(connection: &Connection, batch: &Batch) -> Result<Committed, CommitError> {
    if let Some(job) = &batch.finishes {
        let removed = execute(connection, sql::FINISH_JOB, params![job.job.as_bytes(), signed(job.fence)?])?;
        if removed == 0 {
            return Err(CommitError::LeaseLost);
        }
    }
    if let Some(finished) = &batch.answers {
        answer(connection, finished)?;
    }
    webhooks::settle(connection, &batch.settles)?;
    access_apply::spend(connection, &batch.spends)?;
    for change in &batch.changes {
        access_apply::change(connection, change)?;
    }
    if let Some(appended) = &batch.append {
        append(connection, appended)?;
    }
    if let Some(chained) = &batch.chains {
        chain(connection, chained)?;
    }
    webhooks::announce(connection, &batch.messages)?;
    for row in &batch.rows {
        insert(connection, row)?;
    }
    access_apply::receive(connection, &batch.security)?;
    for job in &batch.jobs {
        add_job(connection, job)?;
    }
    Ok(batch.committed())
}

fn answer(connection: &Connection, finished: &FinishedIdempotency) -> Result<(), CommitError> {
    let FinishedIdempotency { claim, answer } = finished;
    let (organization, environment) = tenant(&claim.tenant);
    let answered = execute(
        connection,
        sql::ANSWER,
        params![
            organization,
            environment,
            claim.caller,
            claim.key,
            claim.claim,
            answer.status,
            answer.location,
            answer.sealed_body
        ],
    )?;
    if answered == 0 { Err(CommitError::ClaimLost) } else { Ok(()) }
}

fn append(connection: &Connection, append: &Append) -> Result<(), CommitError> {
    let (organization, environment) = tenant(&append.tenant);
    let envelope = append.envelope.as_bytes();
    let row = &append.projection;
    let last_seq = signed(row.last_seq)?;
    let expires_at = row.expires_at.map(Time::unix_ms);
    let (created_at, changed_at) = (row.created_at.unix_ms(), row.changed_at.unix_ms());
    let before = signed(append.expected_seq - 1)?;
    let moved = if before == 0 {
        let new = params![
            envelope,
            organization,
            environment,
            row.status,
            created_at,
            changed_at,
            expires_at,
            row.title.0,
            last_seq
        ];
        execute(connection, sql::NEW_ENVELOPE, new)?
    } else {
        let next = params![
            envelope,
            organization,
            environment,
            row.status,
            created_at,
            changed_at,
            expires_at,
            row.title.0,
            last_seq,
            before
        ];
        execute(connection, sql::MOVE_ENVELOPE, next)?
    };
    if moved == 0 {
        return Err(CommitError::Conflict);
    }
    add_events(connection, &append.tenant, append.envelope, before, &append.events)?;
    Ok(())
}

fn chain(connection: &Connection, chain: &Chain) -> Result<(), CommitError> {
    let (organization, environment) = tenant(&chain.tenant);
    let stream = security_stream(&chain.tenant);
    let of = params![organization, environment, stream.as_bytes()];
    let last = first(connection, "events", sql::SECURITY_HEAD, of, |row| row.number::<i64>("seq"))?;
    let before = signed(chain.expected_seq - 1)?;
    if last.unwrap_or(0) != before {
        return Err(CommitError::Conflict);
    }
    add_events(connection, &chain.tenant, stream, before, &chain.events)?;
    for event in &chain.taken {
        let taken = params![event.as_bytes(), organization, environment];
        if execute(connection, sql::TAKE_SECURITY, taken)? == 0 {
            return Err(CommitError::Conflict);
        }
    }
    Ok(())
}

fn add_events(
    connection: &Connection,
    owner: &Tenant,
    stream: EnvelopeId,
    after: i64,
    events: &[NewEvent],
) -> Result<(), Fault> {
    let ((organization, environment), stream) = (tenant(owner), stream.as_bytes());
    for (seq, event) in (after + 1..).zip(events) {
        let stored =
            params![organization, environment, stream, seq, event.bytes, event.hash.0, event.leaf_id];
        execute(connection, sql::ADD_EVENT, stored)?;
        execute(connection, sql::ADD_WAITING, params![organization, environment, stream, seq])?;
    }
    Ok(())
}

fn insert(connection: &Connection, row: &Row) -> Result<(), CommitError> {
    if let Row::Person(person) = row {
        let (organization, environment) = tenant(&person.tenant);
        let same = params![organization, environment, person.lookup.0];
        if first(connection, "persons", sql::PERSON_BY_LOOKUP, same, |_| Ok(()))?.is_some() {
            return Err(CommitError::Conflict);
        }
    }
    if access_apply::has_lookup(connection, row)? {
        return Err(CommitError::Conflict);
    }
    if let Row::Link(link) = row {
        let (organization, environment) = tenant(&link.tenant);
        let earlier = params![organization, environment, link.envelope.as_bytes(), link.recipient.as_bytes()];
        execute(connection, sql::REMOVE_LINKS, earlier)?;
    }
    match insert_new(connection, row)? {
        0 => row.refusal().map_or(Ok(()), Err),
        _ => Ok(()),
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each kind of row, each only names its columns")]
fn insert_new(connection: &Connection, row: &Row) -> Result<usize, Fault> {
    match row {
        Row::Organization(row) => {
            let values =
                params![row.organization.as_bytes(), row.name, row.wrapped_key, row.created_at.unix_ms()];
            execute(connection, sql::ADD_ORGANIZATION, values)
        }
        Row::Person(row) => {
            let (organization, environment) = tenant(&row.tenant);
            let values =
                params![row.person.as_bytes(), organization, environment, row.lookup.0, row.wrapped_key];
            execute(connection, sql::ADD_PERSON, values)
        }
        Row::Opening(row) => {
            let (organization, environment) = tenant(&row.tenant);
            let values = params![
                row.commitment.0,
                organization,
                environment,
                row.envelope.as_bytes(),
                row.person.as_bytes(),
                row.sealed
            ];
            execute(connection, sql::ADD_OPENING, values)
        }
        Row::Document(row) => {
            let (organization, environment) = tenant(&row.tenant);
            let values = params![
                row.document.as_bytes(),
                organization,
                environment,
                row.sha256.0,
                signed(row.size_bytes)?,
                row.blob,
                row.wrapped_key,
                row.inspection,
                row.person.as_bytes(),
                row.created_at.unix_ms()
            ];
            execute(connection, sql::ADD_DOCUMENT, values)
        }
        Row::ApiKey(row) => {
            let (organization, environment) = tenant(&row.tenant);
            let values = params![
                row.key.as_bytes(),
                organization,
                environment,
                row.hash.as_bytes(),
                row.scopes.to_string(),
                row.person.as_bytes(),
                row.label,
                row.created_at.unix_ms(),
                row.expires_at.unix_ms(),
                networks_column(&row.networks),
                row.replaces.as_ref().map(ApiKeyId::as_bytes),
                row.used.as_ref().map(|(at, _)| at.unix_ms()),
                row.used.as_ref().map(|(_, origin)| origin),
                row.warned_days,
                row.created_by.as_ref().map(UserId::as_bytes),
                signed(row.version)?
            ];
            execute(connection, sql::ADD_API_KEY, values)
        }
        Row::Link(row) => {
            let (organization, environment) = tenant(&row.tenant);
            let values = params![
                row.link.as_bytes(),
                organization,
                environment,
                row.envelope.as_bytes(),
                row.recipient.as_bytes(),
                row.secret.as_bytes(),
                row.sealed_secret,
                row.expires_at.unix_ms()
            ];
            execute(connection, sql::ADD_LINK, values)
        }
        Row::Session(row) => {
            let (organization, environment) = tenant(&row.tenant);
            let values = params![
                row.session.as_bytes(),
                organization,
                environment,
                row.cookie.as_bytes(),
                row.envelope.as_bytes(),
                row.recipient.as_bytes(),
                row.nonce.0,
                row.created_at.unix_ms(),
                row.expires_at.unix_ms()
            ];
            execute(connection, sql::ADD_SESSION, values)
        }
        Row::Code(row) => {
            let (organization, environment) = tenant(&row.tenant);
            let values = params![
                row.code.as_bytes(),
                organization,
                environment,
                row.session.as_bytes(),
                row.mac.0,
                row.sealed_digits,
                row.expires_at.unix_ms()
            ];
            execute(connection, sql::ADD_CODE, values)
        }
        Row::Artifact(row) => {
            let (organization, environment) = tenant(&row.tenant);
            let values = params![
                row.envelope.as_bytes(),
                row.document.as_ref().map(DocumentId::as_bytes),
                organization,
                environment,
                row.sha256.0,
                signed(row.size_bytes)?,
                row.blob,
                row.wrapped_key
            ];
            execute(connection, sql::ADD_ARTIFACT, values)
        }
        Row::Mailbox(row) => {
            let (organization, environment) = tenant(&row.tenant);
            let values =
                params![row.mail.as_bytes(), organization, environment, row.at.unix_ms(), row.sealed];
            execute(connection, sql::ADD_MAIL, values)
        }
        Row::Key(row) => {
            let values =
                params![row.name, row.purpose, row.wrapped_key, row.public, row.created_at.unix_ms()];
            execute(connection, sql::ADD_KEY, values)
        }
        Row::Client(row) => access_apply::add_client(connection, row),
        Row::Grant(row) => access_apply::add_grant(connection, row),
        Row::AccessToken(row) => access_apply::add_access_token(connection, row),
        Row::AuthorizationCode(row) => access_apply::add_authorization_code(connection, row),
        Row::PushedRequest(row) => access_apply::add_pushed_request(connection, row),
        Row::User(row) => access_apply::add_user(connection, row),
        Row::Member(row) => access_apply::add_member(connection, row),
        Row::Authenticator(row) => access_apply::add_authenticator(connection, row),
        Row::SignIn(row) => access_apply::add_sign_in(connection, row),
        Row::Ticket(row) => access_apply::add_ticket(connection, row),
        Row::Provider(row) => access_apply::add_provider(connection, row),
        Row::Endpoint(row) => webhooks::add_endpoint(connection, row),
        Row::WebhookKey(row) => webhooks::add_key(connection, row),
        Row::WebhookBlock(row) => webhooks::add_block(connection, row),
        Row::Delivery(row) => webhooks::add_delivery(connection, row),
        Row::Attempt(row) => webhooks::add_attempt(connection, row),
    }
}

fn add_job(connection: &Connection, job: &NewJob) -> Result<(), Fault> {
    let (organization, environment) = tenant(&job.tenant);
    let values = params![
        job.job.as_bytes(),
        organization,
        environment,
        cells::work_text(&job.work)?,
        job.correlation.as_bytes(),
        job.due_at.unix_ms()
    ];
    execute(connection, sql::ADD_JOB, values).map(drop)
}

/// Claims an idempotency key, or says who has it.
pub(super) fn claim(connection: &Connection, claim: &IdempotencyClaim) -> Result<IdempotencyState, Fault> {
    let (organization, environment) = tenant(&claim.tenant);
    let caller = claim.caller;
    let taken = execute(
        connection,
        sql::CLAIM,
        params![
            organization,
            environment,
            caller,
            claim.key,
            claim.fingerprint.0,
            claim.claim,
            claim.now.unix_ms(),
            claim.expires_at.unix_ms(),
            cells::stale_before(claim)
        ],
    )?;
    if taken > 0 {
        return Ok(IdempotencyState::Claimed);
    }
    let held = params![organization, environment, caller, claim.key];
    let state = first(connection, "idempotency", sql::CLAIMED, held, |row| cells::idempotency(row, claim))?;
    state.ok_or_else(|| Fault::Contradiction("an idempotency key was neither free nor held".into()))
}

/// Gives a claim up.
pub(super) fn release(connection: &Connection, claim: &IdempotencyClaim) -> Result<(), Fault> {
    let (organization, environment) = tenant(&claim.tenant);
    let held = params![organization, environment, claim.caller, claim.key, claim.claim];
    execute(connection, sql::RELEASE, held).map(drop)
}

/// Leases due jobs.
pub(super) fn lease_jobs(
    connection: &Connection,
    now: Time,
    lease_ms: i64,
    limit: usize,
) -> Result<Vec<JobRow>, Fault> {
    let due = params![now.unix_ms(), cells::limit(limit)];
    let due = rows(connection, "jobs", sql::DUE_JOBS, due, |row| row.fixed::<16>("job"))?;
    let until = now.plus_ms(lease_ms).unix_ms();
    due.into_iter()
        .filter_map(|job| {
            first(connection, "jobs", sql::LEASE_JOB, params![job, until], |row| cells::job(row)).transpose()
        })
        .collect()
}

/// Puts a job back.
pub(super) fn put_back_job(connection: &Connection, job: &JobRow, back: &PutBack) -> Result<bool, Fault> {
    let (fence, due_at) = (signed(job.fence)?, back.due_at.unix_ms());
    let values = params![job.job.as_bytes(), fence, due_at, back.reason, back.was_attempt];
    Ok(execute(connection, sql::PUT_BACK_JOB, values)? > 0)
}

/// Makes the log longer.
pub(super) fn publish(
    connection: &Connection,
    from_index: u64,
    leaves: &[LeafRow],
    tiles: &[TileRow],
    checkpoint: &str,
) -> Result<(), Fault> {
    let size = first(connection, "checkpoints", sql::LOG_SIZE, [], |row| row.number::<u64>("size"))?;
    let size = size.unwrap_or(0);
    if size != from_index {
        return Err(Fault::Contradiction(format!("the log has {size} leaves, not {from_index}")));
    }
    let mut index = signed(from_index)?;
    for leaf in leaves {
        let values = params![index, leaf.envelope.as_bytes(), signed(leaf.seq)?, leaf.hash.0, leaf.leaf_id];
        if execute(connection, sql::ADD_LEAF, values)? != 1 {
            return Err(cells::not_waiting(leaf));
        }
        execute(connection, sql::REMOVE_WAITING, params![index])?;
        index += 1;
    }
    for tile in tiles {
        execute(connection, sql::ADD_TILE, params![tile.level, signed(tile.index)?, tile.bytes])?;
    }
    execute(connection, sql::ADD_CHECKPOINT, params![index, checkpoint]).map(drop)
}
