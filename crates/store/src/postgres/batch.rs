//! What batches write, as calls: events, openings and jobs of many batches in one statement each, rarer rows one by
//! one. No call fails for a row that exists; it changes fewer rows than it should.

use countersign_core::{access::Tenant, id::SecurityEventId, time::Time};

use super::{
    access_batch, access_change,
    connection::{Call, call},
    lookup_key, sql, webhook_batch,
};
use crate::{
    access_cells::networks_column,
    batch::{Append, Batch, CommitError, Row, waits_already},
    cells::{signed, work_text},
    fault::Fault,
    rows::{FinishedIdempotency, NewJob, OpeningRow},
};

/// A call and what it must do.
pub(super) struct Step<'batch> {
    pub(super) call: Call,
    /// How many rows it must change, and what it means if it does not; `None` where any number will do.
    pub(super) must: Option<(u64, Unmet<'batch>)>,
}

/// What is wrong when a call changed fewer rows than it must.
#[derive(Clone, Copy)]
pub(super) enum Unmet<'batch> {
    Lease,
    Claim,
    Spent,
    Change,
    Append,
    Name,
    Row(&'batch Row),
    Security(SecurityEventId),
}

impl Unmet<'_> {
    /// The answer for the batch. For what has a lookup, `lookup_exists` tells the two reasons apart.
    pub(super) fn refusal(self, lookup_exists: bool) -> CommitError {
        match self {
            Self::Lease => CommitError::LeaseLost,
            Self::Claim => CommitError::ClaimLost,
            Self::Spent => CommitError::Spent,
            Self::Change => CommitError::Outdated,
            Self::Append | Self::Name => CommitError::Conflict,
            Self::Row(_) if lookup_exists => CommitError::Conflict,
            Self::Row(row) => row.refusal().unwrap_or(CommitError::Conflict),
            Self::Security(event) => waits_already(event),
        }
    }
}

impl Unmet<'_> {
    /// Asks whether somebody else has the lookup of a row that was not added.
    pub(super) fn same_lookup(self) -> Option<Call> {
        let Self::Row(row) = self else { return None };
        match row {
            Row::Person(row) => {
                Some(call!(sql::PERSON_BY_LOOKUP, vec![lookup_key(&row.tenant, &row.lookup)]))
            }
            Row::User(row) => Some(call!(sql::USER_BY_LOOKUP, row.lookup.0.to_vec())),
            Row::Authenticator(row) => {
                row.lookup.map(|lookup| call!(sql::AUTHENTICATOR_BY_LOOKUP, lookup.0.to_vec()))
            }
            _ => None,
        }
    }
}

/// The tenant columns as parameters.
pub(super) fn tenant(tenant: &Tenant) -> (Vec<u8>, &'static str) {
    (tenant.organization().as_bytes().to_vec(), tenant.environment().text())
}

/// The calls of a group of batches. Those of one batch alone are in the order in which it is refused; among several,
/// rows of the same kind go out together.
pub(super) fn steps<'batch>(group: &[&'batch Batch]) -> Result<Vec<Step<'batch>>, Fault> {
    let mut steps = Vec::new();
    for batch in group {
        if let Some(job) = &batch.finishes {
            let call = call!(sql::FINISH_JOB, job.job.as_bytes().to_vec(), signed(job.fence)?);
            steps.push(Step { call, must: Some((1, Unmet::Lease)) });
        }
    }
    answers(group, &mut steps);
    webhook_batch::settle(group, &mut steps);
    access_batch::spends(group, &mut steps);
    access_change::changes(group, &mut steps)?;
    appends(group, &mut steps)?;
    for chain in group.iter().filter_map(|batch| batch.chains.as_ref()) {
        access_batch::chain(chain, &mut steps)?;
    }
    webhook_batch::announce(group, &mut steps)?;
    let is_alone = group.len() == 1;
    for row in group.iter().flat_map(|batch| &batch.rows) {
        if !is_alone && matches!(row, Row::Grant(_) | Row::AccessToken(_)) {
            continue;
        }
        if let Row::Link(link) = row {
            let (organization, environment) = tenant(&link.tenant);
            let (envelope, recipient) =
                (link.envelope.as_bytes().to_vec(), link.recipient.as_bytes().to_vec());
            let call = call!(sql::REMOVE_LINKS, organization, environment, envelope, recipient);
            steps.push(Step { call, must: None });
        }
        if let Some(call) = insert(row)? {
            let must = row.refusal().is_some().then_some((1, Unmet::Row(row)));
            steps.push(Step { call, must });
        }
    }
    if !is_alone {
        access_batch::pooled(group, &mut steps)?;
    }
    openings(group, &mut steps);
    access_batch::security(group, &mut steps);
    jobs(group, &mut steps)?;
    Ok(steps)
}

/// Columns of many rows: one array for each.
macro_rules! columns {
    ($sql:expr, $rows:expr, $($column:expr),+ $(,)?) => {
        $crate::postgres::connection::Call { sql: $sql, parameters: vec![$({
            let column: Vec<_> = $rows.iter().map($column).collect();
            Box::new(column) as $crate::postgres::connection::Parameter
        }),+] }
    };
}
pub(super) use columns;

fn organization(tenant: &Tenant) -> Vec<u8> {
    tenant.organization().as_bytes().to_vec()
}

fn environment(tenant: &Tenant) -> &'static str {
    tenant.environment().text()
}

fn answers(group: &[&Batch], steps: &mut Vec<Step<'_>>) {
    let mut rows: Vec<_> = group.iter().filter_map(|batch| batch.answers.as_ref()).collect();
    if rows.is_empty() {
        return;
    }
    // All servers take the locks in the same order.
    rows.sort_by(|one, other| {
        let key = |row: &&FinishedIdempotency| (row.claim.tenant, row.claim.caller);
        key(one).cmp(&key(other)).then_with(|| one.claim.key.cmp(&other.claim.key))
    });
    let call = columns!(
        sql::ANSWER,
        rows,
        |row| organization(&row.claim.tenant),
        |row| environment(&row.claim.tenant),
        |row| row.claim.caller.to_vec(),
        |row| row.claim.key.clone(),
        |row| row.claim.claim.to_vec(),
        |row| i64::from(row.answer.status),
        |row| row.answer.location.clone(),
        |row| row.answer.sealed_body.clone(),
    );
    let all = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    steps.push(Step { call, must: Some((all, Unmet::Claim)) });
}

// Streams begin, streams go on, events, and their places in the queue of the log.
fn appends(group: &[&Batch], steps: &mut Vec<Step<'_>>) -> Result<(), Fault> {
    let mut appends: Vec<(&Append, i64, i64)> = Vec::with_capacity(group.len());
    for append in group.iter().filter_map(|batch| batch.append.as_ref()) {
        appends.push((append, signed(append.expected_seq - 1)?, signed(append.projection.last_seq)?));
    }
    // All servers take the locks in the same order.
    appends.sort_by_key(|(append, ..)| append.envelope);
    let (first, later): (Vec<&(&Append, i64, i64)>, Vec<_>) =
        appends.iter().partition(|(_, before, _)| *before == 0);
    let must = |rows: &[_]| Some((u64::try_from(rows.len()).unwrap_or(u64::MAX), Unmet::Append));
    for (sql, rows) in [(sql::NEW_ENVELOPES, first), (sql::MOVE_ENVELOPES, later)] {
        if rows.is_empty() {
            continue;
        }
        let mut call = columns!(
            sql,
            rows,
            |(append, ..)| append.envelope.as_bytes().to_vec(),
            |(append, ..)| organization(&append.tenant),
            |(append, ..)| environment(&append.tenant),
            |(append, ..)| append.projection.status.clone(),
            |(append, ..)| append.projection.created_at.unix_ms(),
            |(append, ..)| append.projection.changed_at.unix_ms(),
            |(append, ..)| append.projection.expires_at.map(Time::unix_ms),
            |(append, ..)| append.projection.title.0.to_vec(),
            |(_, _, last)| *last,
        );
        if sql == sql::MOVE_ENVELOPES {
            call.parameters.push(Box::new(rows.iter().map(|(_, before, _)| *before).collect::<Vec<_>>()));
        }
        steps.push(Step { call, must: must(&rows) });
    }
    let events: Vec<_> = appends
        .iter()
        .flat_map(|(append, before, _)| {
            (before + 1..).zip(&append.events).map(move |(seq, event)| (append, seq, event))
        })
        .collect();
    if events.is_empty() {
        return Ok(());
    }
    let stored = columns!(
        sql::ADD_EVENTS,
        events,
        |(append, ..)| organization(&append.tenant),
        |(append, ..)| environment(&append.tenant),
        |(append, ..)| append.envelope.as_bytes().to_vec(),
        |(_, seq, _)| *seq,
        |(.., event)| event.bytes.clone(),
        |(.., event)| event.hash.0.to_vec(),
        |(.., event)| event.leaf_id.to_vec(),
    );
    let waiting = columns!(
        sql::ADD_WAITING,
        events,
        |(append, ..)| organization(&append.tenant),
        |(append, ..)| environment(&append.tenant),
        |(append, ..)| append.envelope.as_bytes().to_vec(),
        |(_, seq, _)| *seq,
    );
    steps.extend([stored, waiting].map(|call| Step { call, must: None }));
    Ok(())
}

fn openings(group: &[&Batch], steps: &mut Vec<Step<'_>>) {
    let rows: Vec<&OpeningRow> = group
        .iter()
        .flat_map(|batch| &batch.rows)
        .filter_map(|row| if let Row::Opening(row) = row { Some(row) } else { None })
        .collect();
    if rows.is_empty() {
        return;
    }
    let call = columns!(
        sql::ADD_OPENINGS,
        rows,
        |row| row.commitment.0.to_vec(),
        |row| organization(&row.tenant),
        |row| environment(&row.tenant),
        |row| row.envelope.as_bytes().to_vec(),
        |row| row.person.as_bytes().to_vec(),
        |row| row.sealed.clone(),
    );
    steps.push(Step { call, must: None });
}

fn jobs(group: &[&Batch], steps: &mut Vec<Step<'_>>) -> Result<(), Fault> {
    let mut rows: Vec<(&NewJob, String)> = Vec::new();
    for job in group.iter().flat_map(|batch| &batch.jobs) {
        rows.push((job, work_text(&job.work)?));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let call = columns!(
        sql::ADD_JOBS,
        rows,
        |(job, _)| job.job.as_bytes().to_vec(),
        |(job, _)| organization(&job.tenant),
        |(job, _)| environment(&job.tenant),
        |(_, work)| work.clone(),
        |(job, _)| job.correlation.as_bytes().to_vec(),
        |(job, _)| job.due_at.unix_ms(),
    );
    steps.push(Step { call, must: None });
    Ok(())
}

// `None` for rows that go with those of other batches.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of row, each only names its columns")]
fn insert(row: &Row) -> Result<Option<Call>, Fault> {
    let call = match row {
        Row::Opening(_) => return Ok(None),
        Row::Organization(row) => call!(
            sql::ADD_ORGANIZATION,
            row.organization.as_bytes().to_vec(),
            row.name.clone(),
            row.wrapped_key.clone(),
            row.created_at.unix_ms()
        ),
        Row::Person(row) => call!(
            sql::ADD_PERSON,
            row.person.as_bytes().to_vec(),
            organization(&row.tenant),
            environment(&row.tenant),
            row.lookup.0.to_vec(),
            row.wrapped_key.clone()
        ),
        Row::Document(row) => call!(
            sql::ADD_DOCUMENT,
            row.document.as_bytes().to_vec(),
            organization(&row.tenant),
            environment(&row.tenant),
            row.sha256.0.to_vec(),
            signed(row.size_bytes)?,
            row.blob.clone(),
            row.wrapped_key.clone(),
            row.inspection.clone(),
            row.person.as_bytes().to_vec(),
            row.created_at.unix_ms()
        ),
        Row::ApiKey(row) => call!(
            sql::ADD_API_KEY,
            row.key.as_bytes().to_vec(),
            organization(&row.tenant),
            environment(&row.tenant),
            row.hash.as_bytes().to_vec(),
            row.scopes.to_string(),
            row.person.as_bytes().to_vec(),
            row.label.clone(),
            row.created_at.unix_ms(),
            row.expires_at.unix_ms(),
            networks_column(&row.networks),
            row.replaces.map(|key| key.as_bytes().to_vec()),
            row.used.as_ref().map(|(at, _)| at.unix_ms()),
            row.used.as_ref().map(|(_, origin)| origin.clone()),
            row.warned_days.map(i64::from),
            row.created_by.map(|user| user.as_bytes().to_vec()),
            signed(row.version)?
        ),
        Row::Link(row) => call!(
            sql::ADD_LINK,
            row.link.as_bytes().to_vec(),
            organization(&row.tenant),
            environment(&row.tenant),
            row.envelope.as_bytes().to_vec(),
            row.recipient.as_bytes().to_vec(),
            row.secret.as_bytes().to_vec(),
            row.sealed_secret.clone(),
            row.expires_at.unix_ms()
        ),
        Row::Session(row) => call!(
            sql::ADD_SESSION,
            row.session.as_bytes().to_vec(),
            organization(&row.tenant),
            environment(&row.tenant),
            row.cookie.as_bytes().to_vec(),
            row.envelope.as_bytes().to_vec(),
            row.recipient.as_bytes().to_vec(),
            row.nonce.0.to_vec(),
            row.created_at.unix_ms(),
            row.expires_at.unix_ms()
        ),
        Row::Code(row) => call!(
            sql::ADD_CODE,
            row.code.as_bytes().to_vec(),
            organization(&row.tenant),
            environment(&row.tenant),
            row.session.as_bytes().to_vec(),
            row.mac.0.to_vec(),
            row.sealed_digits.clone(),
            row.expires_at.unix_ms()
        ),
        Row::Artifact(row) => call!(
            sql::ADD_ARTIFACT,
            row.envelope.as_bytes().to_vec(),
            row.document.map(|document| document.as_bytes().to_vec()),
            organization(&row.tenant),
            environment(&row.tenant),
            row.sha256.0.to_vec(),
            signed(row.size_bytes)?,
            row.blob.clone(),
            row.wrapped_key.clone()
        ),
        Row::Mailbox(row) => call!(
            sql::ADD_MAIL,
            row.mail.as_bytes().to_vec(),
            organization(&row.tenant),
            environment(&row.tenant),
            row.at.unix_ms(),
            row.sealed.clone()
        ),
        Row::Key(row) => call!(
            sql::ADD_KEY,
            row.name.clone(),
            row.purpose.clone(),
            row.wrapped_key.clone(),
            row.public.clone(),
            row.created_at.unix_ms()
        ),
        Row::Client(row) => access_batch::add_client(row)?,
        Row::Grant(row) => access_batch::add_grants(&[row])?,
        Row::AccessToken(row) => access_batch::add_access_tokens(&[row])?,
        Row::AuthorizationCode(row) => access_batch::add_authorization_code(row)?,
        Row::PushedRequest(row) => access_batch::add_pushed_request(row)?,
        Row::User(row) => access_batch::add_user(row)?,
        Row::Member(row) => access_batch::add_member(row)?,
        Row::Authenticator(row) => access_batch::add_authenticator(row)?,
        Row::SignIn(row) => access_batch::add_sign_in(row)?,
        Row::Ticket(row) => access_batch::add_ticket(row)?,
        Row::Provider(row) => access_batch::add_provider(row)?,
        Row::Endpoint(row) => webhook_batch::add_endpoint(row)?,
        Row::WebhookKey(row) => webhook_batch::add_key(row)?,
        Row::WebhookBlock(row) => webhook_batch::add_block(row),
        Row::Delivery(row) => webhook_batch::add_delivery(row)?,
        Row::Attempt(row) => webhook_batch::add_attempts(&[row]),
    };
    Ok(Some(call))
}
