//! Addresses and agents of programs that call again and again. Each is veiled and sealed once an hour, before the first event
//! that names it, and not for each of the thousands that follow: those tell no more of it than the first. Whatever concerns a
//! person, and each refusal, gets a veil of its own (ADR 11).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use countersign_core::{
    access::Tenant,
    envelope::{
        command::OriginNow,
        event::{IpSource, Origin},
    },
    id::PersonId,
    limits,
};
use countersign_store::Batch;

use super::veiled;
use crate::{app::Records, fault::Fault};

/// So many are kept.
const KEPT: usize = 10_000;
const HOUR_MS: i64 = 3_600_000;

/// Whose, in which hour, and from where.
type Key = (Tenant, PersonId, i64, String, IpSource, Option<String>);

/// Origins that were sealed.
#[derive(Default)]
pub struct Origins(Mutex<HashMap<Key, Origin>>);

/// An origin of a program that proved who it is. What opens it is durable when this returns, so that an event may name it.
pub(super) async fn origin_of_program(
    app: &Records,
    tenant: &Tenant,
    person: PersonId,
    now: &OriginNow,
) -> Result<Origin, Fault> {
    let kept = || app.origins.0.lock().unwrap_or_else(PoisonError::into_inner);
    let key = key(tenant, person, now, app.now().unix_ms() / HOUR_MS);
    if let Some(origin) = kept().get(&key) {
        return Ok(origin.clone());
    }
    let mut batch = Batch::default();
    let person_key = app.person_key(tenant, person).await?;
    let origin = veiled(app, tenant, person, &person_key, now, &mut batch)?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    let mut kept = kept();
    if kept.len() >= KEPT {
        kept.clear();
    }
    kept.insert(key, origin.clone());
    Ok(origin)
}

fn key(tenant: &Tenant, person: PersonId, now: &OriginNow, hour: i64) -> Key {
    let agent = now.user_agent.as_ref();
    let agent = agent.map(|agent| agent.disclose().chars().take(limits::USER_AGENT_CHARS).collect());
    (*tenant, person, hour, now.ip.disclose().clone(), now.ip_source, agent)
}
