//! Use cases of envelopes: load, open, decide, record, commit; on a conflict load and decide again, here and nowhere
//! else.

mod effects;
mod opened;
mod passkeys;
mod recent;

use std::sync::Arc;

use countersign_core::{
    access::{Identity, Principal, Tenant},
    envelope::{
        Command, Context, Event, State,
        command::{ActorNow, OriginNow},
        decide,
        encode::Recorded,
    },
    id::{CorrelationId, EnvelopeId},
    limits,
    refusal::{Code, Refusal},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, Spend},
    batch::{Append, NewEvent, Row},
    rows::{EnvelopeRow, FinishedIdempotency, IdempotencyClaim, JobRow, NewJob, OpeningRow, StoredAnswer},
    webhook_rows::NewMessage,
};

pub use effects::{access_code_mac, act_salts, code_digits, code_mac, job_id, job_of, link_secret};
pub use opened::{Opened, Placed, projection};
pub use passkeys::OwnPasskeys;
pub use recent::Recent;

use crate::{
    app::{App, Organization},
    fault::{Failure, Fault},
    keys::Binding,
    persons::opening_binding,
    webhooks::announce,
};

/// Who asks, in which tenant, and because of which request or job.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The tenant.
    pub tenant: Tenant,
    /// Who.
    pub actor: ActorNow,
    /// The request or job.
    pub correlation: CorrelationId,
}

impl Asking {
    /// A caller with a credential.
    pub fn principal(principal: &Principal, origin: OriginNow, correlation: CorrelationId) -> Self {
        let actor = match principal.identity() {
            Identity::ApiKey { key, person, .. } => ActorNow::ApiKey { key: *key, person: *person, origin },
            Identity::Client(client) => ActorNow::Client {
                client: client.client,
                user: client.member.map(|member| member.user),
                grant: client.grant,
                person: client.person,
                origin,
            },
            // The console reads envelopes; what acts on them comes through the API.
            Identity::Member(_) => ActorNow::System,
            Identity::Signer { session, recipient, .. } => {
                ActorNow::Recipient { recipient: *recipient, session: *session, origin }
            }
        };
        Self { tenant: *principal.tenant(), actor, correlation }
    }

    /// The server by itself, for a job.
    pub fn job(job: &JobRow) -> Self {
        Self { tenant: job.tenant, actor: ActorNow::System, correlation: job.correlation }
    }
}

/// An answer to be kept for the same request coming again (G-6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Location`, where there is one.
    pub location: Option<String>,
    /// JSON.
    pub body: Vec<u8>,
}

/// How to answer once the events are decided.
pub struct Answering<'a> {
    /// The claim that the answer settles.
    pub claim: &'a IdempotencyClaim,
    /// Makes the answer from the envelope as it will be.
    pub answer: &'a (dyn Fn(&Opened) -> Answer + Send + Sync),
}

/// What goes into the same transaction.
#[derive(Default)]
pub struct Along<'a> {
    /// More rows.
    pub rows: Vec<Row>,
    /// Changes of rows as they were read; the refusal is [`Code::Busy`] where one of them changed meanwhile.
    pub changes: Vec<Change>,
    /// The leased job that is done by this.
    pub finishes: Option<JobRow>,
    /// The idempotency claim that is answered by this.
    pub answering: Option<Answering<'a>>,
    /// What is good once and used up by this; if it was used before, there is nothing to be found.
    pub spends: Vec<Spend>,
}

/// What came of it.
#[derive(Debug)]
pub struct Acted {
    /// The envelope afterwards.
    pub opened: Opened,
    /// The new events.
    pub events: Vec<Event>,
    /// The answer, where one was asked for.
    pub answer: Option<Answer>,
}

/// Where a stored answer belongs.
pub(crate) fn answer_binding(claim: &IdempotencyClaim) -> Binding {
    Binding::new("idempotent-answer", &[&claim.caller, claim.key.as_bytes()])
}

/// Encrypts an answer for keeping.
pub(crate) fn finished(
    app: &App,
    organization: &Organization,
    claim: &IdempotencyClaim,
    answer: &Answer,
) -> Result<FinishedIdempotency, Fault> {
    let sealed_body = organization.key.seal(&*app.random, &answer_binding(claim), &answer.body)?;
    let answer = StoredAnswer { status: answer.status, location: answer.location.clone(), sealed_body };
    Ok(FinishedIdempotency { claim: claim.clone(), answer })
}

/// Asks `command` of an envelope and commits what is decided together with `along`.
pub async fn act(
    app: &App,
    asking: &Asking,
    envelope: EnvelopeId,
    command: Command,
    along: Along<'_>,
) -> Result<Acted, Failure> {
    let opened = opened::load(app, &asking.tenant, envelope).await?;
    act_on(app, asking, opened, command, along).await
}

/// The same of an envelope whose id was drawn just now, so that there is nothing to load.
pub async fn begin(
    app: &App,
    asking: &Asking,
    envelope: EnvelopeId,
    command: Command,
    along: Along<'_>,
) -> Result<Acted, Failure> {
    act_on(app, asking, Opened::empty(envelope), command, along).await
}

/// The same of an envelope that was loaded before; the commit finds out whether it is still like that.
pub async fn act_on(
    app: &App,
    asking: &Asking,
    mut opened: Opened,
    command: Command,
    along: Along<'_>,
) -> Result<Acted, Failure> {
    let envelope = opened.envelope;
    let organization = app.organization(asking.tenant.organization()).await?;
    for _ in 0..limits::CONFLICT_TRIES {
        let now = app.now();
        // The event is not dated before the last one, and the certificate must hold on its date.
        let dated = opened.folded.last_at.map_or(now, |last_at| now.max(last_at));
        let context = Context {
            now,
            actor: asking.actor.clone(),
            correlation: asking.correlation,
            nonce: app.draw(),
            seal_certificate_sha256: app.seal.certificate_at(dated),
            passkeys: Arc::new(OwnPasskeys),
        };
        let decided = decide(envelope, &opened.folded, command.clone(), &context);
        let events = decided.inspect_err(|refusal| tell_operator(app, refusal))?;
        opened.add_missing_keys(app, &organization, &asking.tenant, &events).await?;
        let expected_seq = opened.folded.chain.next_seq();
        let is_new = opened.events.is_empty();
        let recorded = opened.record(events.clone());
        let answer = along.answering.as_ref().map(|answering| (answering.answer)(&opened));
        let answers = match (&along.answering, &answer) {
            (Some(answering), Some(answer)) => Some(finished(app, &organization, answering.claim, answer)?),
            _ => None,
        };
        let mut made = made_of(app, asking, &organization, &opened, &recorded)?;
        made.rows.extend(along.rows.iter().cloned());
        let batch = Batch {
            append: append(asking.tenant, envelope, expected_seq, made.events, opened.projection()),
            rows: made.rows,
            jobs: made.jobs,
            messages: made.messages,
            changes: along.changes.clone(),
            finishes: along.finishes.clone(),
            spends: along.spends.clone(),
            answers,
            ..Batch::default()
        };
        match commit(app, batch).await? {
            Written::Yes => {
                if is_new {
                    app.recent.keep(&asking.tenant, &opened, app.now());
                } else {
                    app.recent.grow(&asking.tenant, &opened);
                }
                return Ok(Acted { opened, events, answer });
            }
            Written::Conflict => opened = opened::load(app, &asking.tenant, envelope).await?,
        }
    }
    Err(busy().into())
}

/// What a caller is refused and cannot mend: the operator can.
fn tell_operator(app: &App, refusal: &Refusal) {
    if refusal.code == Code::SealUnavailable {
        tracing::error!(
            event_type = "seal",
            event_result = "certificate_ended",
            ended_at = %app.seal.ends_at(),
            "the certificate that seals is not valid: nobody can act last until it is renewed"
        );
    }
}

fn busy() -> Refusal {
    Refusal::new(Code::Busy, "too many others are changing this now; try again")
}

enum Written {
    Yes,
    Conflict,
}

async fn commit(app: &App, batch: Batch) -> Result<Written, Failure> {
    let is_empty = batch.append.is_none()
        && batch.rows.is_empty()
        && batch.changes.is_empty()
        && batch.jobs.is_empty()
        && batch.finishes.is_none()
        && batch.answers.is_none();
    if is_empty {
        return Ok(Written::Yes);
    }
    match app.store.commit(batch).await {
        Ok(_) => Ok(Written::Yes),
        Err(CommitError::Conflict) => Ok(Written::Conflict),
        Err(CommitError::Outdated) => Err(busy().into()),
        Err(CommitError::Spent) => Err(Refusal::not_found().into()),
        Err(CommitError::ClaimLost) => Err(Refusal::new(
            Code::IdempotencyInFlight,
            "another request with this Idempotency-Key took over; ask again for its answer",
        )
        .into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

fn append(
    tenant: Tenant,
    envelope: EnvelopeId,
    expected_seq: u64,
    events: Vec<NewEvent>,
    projection: Option<EnvelopeRow>,
) -> Option<Append> {
    let projection = projection.filter(|_| !events.is_empty())?;
    Some(Append { tenant, envelope, expected_seq, events, projection })
}

/// Events as they are stored, and what follows from them.
#[derive(Default)]
struct Made {
    events: Vec<NewEvent>,
    rows: Vec<Row>,
    jobs: Vec<NewJob>,
    messages: Vec<NewMessage>,
}

fn made_of(
    app: &App,
    asking: &Asking,
    organization: &Organization,
    opened: &Opened,
    recorded: &[Arc<Recorded>],
) -> Result<Made, Fault> {
    let mut made = Made::default();
    for one in recorded {
        made.events.push(NewEvent { bytes: one.bytes.clone(), hash: one.hash, leaf_id: app.draw() });
        for veiled in one.event.veiled() {
            let Some(opening) = &veiled.opening else { continue };
            let key = opened.persons.of(veiled.person)?;
            let binding = opening_binding(veiled.person, &veiled.sha256);
            made.rows.push(Row::Opening(OpeningRow {
                tenant: asking.tenant,
                envelope: one.event.envelope,
                commitment: veiled.sha256,
                person: veiled.person,
                sealed: key.seal(&*app.random, &binding, &opening.to_bytes())?,
            }));
        }
        made.rows.extend(effects::row_of(app, &asking.tenant, organization, opened, &one.event)?);
        made.messages.push(announce::of_envelope(&asking.tenant, &one.event, one.hash));
        made.jobs.extend(job_of(asking.tenant, &one.event));
        made.jobs.extend(effects::notices_of(asking.tenant, &one.event, &opened.folded.state));
    }
    Ok(made)
}

/// An envelope with the places of its events in the log; `not_found` if the tenant has none of that id.
pub async fn read_placed(app: &App, tenant: &Tenant, envelope: EnvelopeId) -> Result<Placed, Failure> {
    let placed = opened::load_placed(app, tenant, envelope).await?;
    placed.ok_or_else(|| Refusal::not_found().into())
}

/// An envelope as it is; `not_found` if the tenant has none of that id.
pub async fn read(app: &App, tenant: &Tenant, envelope: EnvelopeId) -> Result<Opened, Failure> {
    let opened = opened::load(app, tenant, envelope).await?;
    if opened.folded.state == State::Absent {
        return Err(Refusal::not_found().into());
    }
    Ok(opened)
}
