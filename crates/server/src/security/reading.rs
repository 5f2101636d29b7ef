//! Security events as the organization reads them: chained and placed, newest first, with addresses and agents opened where
//! they are not erased (L-4).

use std::collections::HashMap;

use countersign_core::{
    access::Tenant,
    digest::Digest,
    envelope::{Opening, event::Origin},
    id::PersonId,
    refusal::{Code, Refusal},
    security::{Placed, SecurityActor, SecurityEvent},
    time::Time,
};
use countersign_store::rows::{StoredEvent, security_stream};

use crate::{
    app::Records,
    fault::Fault,
    persons::{self, PersonKeys},
};

/// Events that are read at once.
const CHUNK: usize = 250;
/// Events that are looked at for one page: those that a filter leaves out make a page short, never slow.
const LOOKED_AT: usize = 5_000;

/// Which events somebody wants to see.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this kind, or of all kinds with this beginning: `user.signed_in`, or `user`.
    pub kind: Option<String>,
    /// By this actor: an id, or `system`, `operator` or `unknown`.
    pub actor: Option<String>,
    /// Not before.
    pub from: Option<Time>,
    /// Before.
    pub until: Option<Time>,
}

impl Wanted {
    /// Refuses what no event has.
    pub fn check(&self) -> Result<(), Refusal> {
        let malformed = |sentence: &str| Err(Refusal::new(Code::Malformed, sentence));
        let is_word = |text: &str, also: fn(u8) -> bool| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || also(b))
        };
        if self.kind.as_deref().is_some_and(|kind| !is_word(kind, |b| b == b'.')) {
            return malformed(
                "`kind` is a kind of event, like `user.signed_in`, or its beginning, like `user`",
            );
        }
        if self.actor.as_deref().is_some_and(|actor| !is_word(actor, |b| b.is_ascii_digit())) {
            return malformed(
                "`actor` is the id of a user, a client or an API key, or one of: system, operator, unknown",
            );
        }
        Ok(())
    }

    fn takes(&self, event: &SecurityEvent) -> bool {
        self.kind.as_deref().is_none_or(|wanted| {
            let kind = event.body.kind();
            kind.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }) && self.actor.as_deref().is_none_or(|wanted| is_by(&event.actor, wanted))
            && self.from.is_none_or(|from| event.at >= from)
            && self.until.is_none_or(|until| event.at < until)
    }
}

fn is_by(actor: &SecurityActor, wanted: &str) -> bool {
    match actor {
        SecurityActor::System => wanted == "system",
        SecurityActor::Operator => wanted == "operator",
        SecurityActor::Unknown => wanted == "unknown",
        SecurityActor::ApiKey { key } => wanted == key.to_string(),
        SecurityActor::Client { client, user } => {
            wanted == client.to_string() || user.is_some_and(|user| wanted == user.to_string())
        }
        SecurityActor::User { user, .. } => wanted == user.to_string(),
    }
}

/// An event in its place.
#[derive(Clone, Debug)]
pub struct Read {
    /// As it is stored.
    pub stored: StoredEvent,
    /// What it says.
    pub placed: Placed,
    /// The address, unless there is none or it was erased.
    pub ip: Option<String>,
    /// The agent, likewise.
    pub user_agent: Option<String>,
}

/// A page of events.
#[derive(Clone, Debug)]
pub struct Page {
    /// Newest first.
    pub events: Vec<Read>,
    /// What to read next before; `None` on the last page. A page can be short or empty and still have a next one.
    pub next: Option<u64>,
}

/// The events before a position, newest first.
pub async fn page(
    app: &Records,
    tenant: &Tenant,
    wanted: &Wanted,
    before: Option<u64>,
    limit: usize,
) -> Result<Page, Fault> {
    let (mut before, mut found, mut looked_at) = (before, Vec::new(), 0);
    loop {
        let rows = app.store.security_events(tenant, before, CHUNK).await?;
        let is_last = rows.len() < CHUNK;
        for stored in rows {
            let placed = placed(tenant, &stored)?;
            // Nothing before this one is younger, but for the clocks of several servers.
            if wanted.from.is_some_and(|from| placed.event.at < from.plus_s(-CLOCKS_APART_S)) {
                return Ok(Page { events: opened(app, tenant, found).await?, next: None });
            }
            before = Some(stored.seq);
            looked_at += 1;
            if wanted.takes(&placed.event) {
                found.push((stored, placed));
            }
            if found.len() == limit {
                let next = before.filter(|seq| *seq > 1);
                return Ok(Page { events: opened(app, tenant, found).await?, next });
            }
        }
        if is_last || looked_at >= LOOKED_AT {
            let next = before.filter(|seq| !is_last && *seq > 1);
            return Ok(Page { events: opened(app, tenant, found).await?, next });
        }
    }
}

/// How far the clocks of several servers may be apart.
const CLOCKS_APART_S: i64 = 300;

/// Reads an event with its place.
pub(crate) fn placed(tenant: &Tenant, stored: &StoredEvent) -> Result<Placed, Fault> {
    serde_json::from_slice(&stored.bytes).map_err(|error| Fault::Chain {
        stream: format!("the security events of {}", tenant.organization()),
        reason: format!("event {}: {error}", stored.seq),
    })
}

/// The same events with what is veiled in them.
async fn opened(
    app: &Records,
    tenant: &Tenant,
    events: Vec<(StoredEvent, Placed)>,
) -> Result<Vec<Read>, Fault> {
    let stream = security_stream(tenant);
    let commitments: Vec<_> = events
        .iter()
        .filter_map(|(_, placed)| placed.event.origin.as_ref())
        .flat_map(veiled)
        .map(|sha256| (stream, sha256))
        .collect();
    let rows = app.store.openings(tenant, &commitments).await?;
    let mut persons: Vec<PersonId> = rows.iter().map(|row| row.person).collect();
    persons.sort_unstable();
    persons.dedup();
    let organization = app.organization(tenant.organization()).await?;
    let mut keys = PersonKeys::default();
    keys.add(&organization, &app.store.persons(tenant, &persons).await?)?;
    let mut values: HashMap<Digest, Opening> = HashMap::new();
    for row in rows.iter().filter(|row| keys.has(row.person)) {
        values.insert(row.commitment, persons::open(&keys, row)?);
    }
    let value = |sha256: &Digest| values.get(sha256).map(|opening| opening.value.disclose().clone());
    let read = events.into_iter().map(|(stored, placed)| {
        let origin = placed.event.origin.as_ref();
        let ip = origin.and_then(|origin| value(&origin.ip.sha256));
        let agent = origin.and_then(|origin| origin.user_agent.as_ref());
        let user_agent = agent.and_then(|agent| value(&agent.sha256));
        Read { stored, placed, ip, user_agent }
    });
    Ok(read.collect())
}

fn veiled(origin: &Origin) -> Vec<Digest> {
    [Some(&origin.ip), origin.user_agent.as_ref()].into_iter().flatten().map(|veiled| veiled.sha256).collect()
}

/// Up to so many events from a position on, oldest first, as they are chained: a line of JSON each.
pub async fn lines(app: &Records, tenant: &Tenant, from: u64, count: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let before = from.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    let mut rows = app.store.security_events(tenant, Some(before), count).await?;
    rows.retain(|row| row.seq >= from);
    rows.reverse();
    Ok(rows.into_iter().map(|row| row.bytes).collect())
}
