//! Security events: what happened to credentials, people and powers, written in the same commit as the change itself and
//! told to the log (L-4). Addresses and agents in them are veiled like those of envelopes.

mod origins;
pub mod reading;

pub use origins::Origins;

use countersign_core::{
    access::{Environment, Identity, Principal, Tenant},
    canonical,
    digest::Digest,
    envelope::{Opening, Veiled, command::OriginNow, event::Origin},
    id::{CorrelationId, OrganizationId, PersonId, SecurityEventId},
    limits,
    secret::Personal,
    security::{SecurityActor, SecurityBody, SecurityEvent},
};
use countersign_store::{
    Batch,
    access_rows::{SecurityRow, Spend},
    batch::Row,
    rows::{OpeningRow, security_stream},
};

use crate::{
    app::{App, Records},
    fault::Fault,
    keys::WrappingKey,
    persons::opening_binding,
};

/// Rows of the event of something that failed: the event, the address and the agent.
const ROWS_OF_AN_EVENT: usize = 3;

/// Who did it, from where, and because of which request or job.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// Who, as far as it is known.
    pub actor: SecurityActor,
    /// From where, and under whose key that goes; what came from nowhere has none.
    pub origin: Option<(PersonId, OriginNow)>,
    /// The request or job.
    pub correlation: CorrelationId,
}

impl Circumstances {
    /// Those of a request whose caller is known.
    pub fn of(principal: &Principal, origin: &OriginNow, correlation: CorrelationId) -> Self {
        let actor = match principal.identity() {
            Identity::ApiKey { key, .. } => SecurityActor::ApiKey { key: *key },
            Identity::Client(client) => {
                SecurityActor::Client { client: client.client, user: client.member.map(|member| member.user) }
            }
            Identity::Member(member) => {
                SecurityActor::User { user: member.member.user, sign_in: Some(member.sign_in) }
            }
            Identity::Signer { .. } => SecurityActor::Unknown,
        };
        let origin = principal.sender().map(|person| (person, origin.clone()));
        Self { actor, origin, correlation }
    }

    /// The same for an event of another tenant, whose keys the address cannot go under: the correlation leads to it.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { origin: None, ..self.clone() }
    }
}

/// Adds an event to what is about to be committed.
pub async fn record(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    body: SecurityBody,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let origin = match &circumstances.origin {
        Some((person, origin)) => {
            let key = app.person_key(tenant, *person).await?;
            Some(veiled(app, tenant, *person, &key, origin, batch)?)
        }
        None => None,
    };
    add(app, tenant, circumstances, origin, body, batch)
}

/// The same for a client that proved who it is and acts for itself: where it calls from is sealed once an hour.
pub async fn record_of_program(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    body: SecurityBody,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let origin = match &circumstances.origin {
        Some((person, origin)) => Some(origins::origin_of_program(app, tenant, *person, origin).await?),
        None => None,
    };
    add(app, tenant, circumstances, origin, body, batch)
}

fn add(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    origin: Option<Origin>,
    body: SecurityBody,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let kind = body.kind();
    let event = SecurityEvent {
        id: SecurityEventId::new(app.now(), app.draw()),
        organization: tenant.organization(),
        environment: tenant.environment(),
        at: app.now(),
        actor: circumstances.actor,
        origin,
        correlation: circumstances.correlation,
        body,
    };
    tracing::info!(
        event_type = kind,
        event_result = "recorded",
        security_event = %event.id,
        correlation_id = %event.correlation
    );
    let bytes =
        canonical::to_vec(&event).map_err(|error| Fault::Task(format!("a security event: {error}")))?;
    batch.security.push(SecurityRow { event: event.id, tenant: *tenant, bytes });
    Ok(())
}

/// Commits an event by itself, where nothing was changed.
pub async fn tell(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    body: SecurityBody,
) -> Result<(), Fault> {
    let mut batch = Batch::default();
    record(app, tenant, circumstances, body, &mut batch).await?;
    app.store.commit(batch).await.map(drop).map_err(Fault::of_commit)
}

/// The work of [`tell`] where there is nobody to tell, so that it takes as long: the event's encoding, its veiled
/// address and agent, its line in the log, and a commit of as many rows, which mean nothing and are swept soon.
pub async fn tell_nobody(
    app: &App,
    origin: &OriginNow,
    correlation: CorrelationId,
    body: SecurityBody,
) -> Result<(), Fault> {
    let nobody = &app.accounts.nobody;
    let person = PersonId::from_bytes(*nobody.row.user.as_bytes());
    for value in [Some(&origin.ip), origin.user_agent.as_ref()].into_iter().flatten() {
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
        correlation,
        body,
    };
    canonical::to_vec(&event).map_err(|error| Fault::Task(format!("a security event: {error}")))?;
    tracing::info!(
        event_type = event.body.kind(),
        event_result = "told_to_nobody",
        security_event = %event.id,
        correlation_id = %event.correlation
    );
    pass_time(app, ROWS_OF_AN_EVENT).await
}

/// Commits so many rows that mean nothing and are swept soon.
pub async fn pass_time(app: &Records, row_count: usize) -> Result<(), Fault> {
    let nothing = |_| Spend { hash: Digest(app.draw()), expires_at: app.now() };
    let batch = Batch { spends: (0..row_count).map(nothing).collect(), ..Batch::default() };
    app.store.commit(batch).await.map(drop).map_err(Fault::of_commit)
}

fn veiled(
    app: &Records,
    tenant: &Tenant,
    person: PersonId,
    key: &WrappingKey,
    origin: &OriginNow,
    batch: &mut Batch,
) -> Result<Origin, Fault> {
    let mut veil = |value: Personal<String>| {
        let veiled = Veiled::new(person, app.draw(), value);
        let sealed = veiled.opening.as_ref().map(Opening::to_bytes).unwrap_or_default();
        batch.rows.push(Row::Opening(OpeningRow {
            tenant: *tenant,
            envelope: security_stream(tenant),
            commitment: veiled.sha256,
            person,
            sealed: key.seal(&*app.random, &opening_binding(person, &veiled.sha256), &sealed)?,
        }));
        Ok::<_, Fault>(veiled)
    };
    let agent = origin.user_agent.as_ref().map(|agent| {
        Personal::new(agent.disclose().chars().take(limits::USER_AGENT_CHARS).collect::<String>())
    });
    Ok(Origin {
        ip: veil(origin.ip.clone())?,
        ip_source: origin.ip_source,
        user_agent: agent.map(veil).transpose()?,
        time_zone: None,
    })
}
