//! Security events: what happened to credentials, people and powers, written in the same commit as the change itself and
//! told to the log (L-4). Addresses and agents in them are veiled like those of envelopes.

pub mod reading;

use countersign_core::{
    access::{Identity, Principal, Tenant},
    canonical,
    envelope::{Opening, Veiled, command::OriginNow, event::Origin},
    id::{CorrelationId, PersonId, SecurityEventId},
    limits,
    secret::Personal,
    security::{SecurityActor, SecurityBody, SecurityEvent},
};
use countersign_store::{
    Batch,
    access_rows::SecurityRow,
    batch::Row,
    rows::{OpeningRow, security_stream},
};

use crate::{app::Records, fault::Fault, keys::WrappingKey, persons::opening_binding};

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
    let kind = body.kind();
    let origin = match &circumstances.origin {
        Some((person, origin)) => {
            let key = app.person_key(tenant, *person).await?;
            Some(veiled(app, tenant, *person, &key, origin, batch)?)
        }
        None => None,
    };
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
