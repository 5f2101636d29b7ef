//! The use of API keys: from which networks, when and from where last, and the security events of it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use countersign_core::{
    api_key::usage::Usage,
    canonical,
    digest::Digest,
    id::ApiKeyId,
    limits,
    secret::Personal,
    security::{FailureReason, Fingerprint, SecurityActor, SecurityBody},
    time::Time,
};
use countersign_store::{access_rows::KeyUse, rows::ApiKeyRow};
use serde::{Deserialize, Serialize};

use super::{life, networks};
use crate::{
    app::{App, Records},
    fault::Fault,
    http::edge::RequestContext,
    keys::Binding,
    security::{self, Circumstances},
};

/// Keys whose use is remembered; with more, all is forgotten once, and written once more than it must.
const KEPT: usize = 4_096;

/// What this server remembers of the use of keys.
#[derive(Debug, Default)]
pub struct Uses(Mutex<HashMap<ApiKeyId, Usage>>);

impl Uses {
    fn lock(&self) -> MutexGuard<'_, HashMap<ApiKeyId, Usage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of<T>(&self, key: ApiKeyId, judge: impl FnOnce(&mut Usage) -> T) -> T {
        let mut kept = self.lock();
        if kept.len() >= KEPT && !kept.contains_key(&key) {
            kept.clear();
        }
        judge(kept.entry(key).or_default())
    }

    /// What could not be written is written next time.
    fn forget(&self, key: ApiKeyId) {
        self.lock().remove(&key);
    }
}

/// Where a key was used last, under the key's person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The address.
    pub ip: String,
    /// The user agent.
    #[serde(default)]
    pub user_agent: Option<String>,
}

fn binding(key: ApiKeyId) -> Binding {
    Binding::new("api-key-use", &[key.as_bytes()])
}

/// When and from where a key was used last.
pub async fn last(app: &Records, row: &ApiKeyRow) -> Result<Option<(Time, Origin)>, Fault> {
    let Some((at, sealed)) = &row.used else { return Ok(None) };
    let person = app.person_key(&row.tenant, row.person).await?;
    let plain = person.open(&binding(row.key), sealed)?;
    let origin =
        serde_json::from_slice(&plain).map_err(|_| Fault::Sealed(format!("the use of {}", row.key)))?;
    Ok(Some((*at, origin)))
}

fn origin(context: &RequestContext) -> Origin {
    let agent = context.origin.user_agent.as_ref().map(Personal::disclose);
    Origin {
        ip: context.origin.ip.disclose().clone(),
        user_agent: agent.map(|agent| agent.chars().take(limits::USER_AGENT_CHARS).collect()),
    }
}

fn hash(what: &str, origin: &Origin) -> Digest {
    let agent = origin.user_agent.as_deref().unwrap_or_default();
    Digest::of_parts(&[what.as_bytes(), b"\0", origin.ip.as_bytes(), b"\0", agent.as_bytes()])
}

/// When a key ends, if it may be used from where this request comes; `None` where the caller must not learn that there is
/// such a key. A use of a key that holds is noted, and one that is refused is told to its organization.
pub async fn admit(app: &App, row: &ApiKeyRow, context: &RequestContext) -> Result<Option<Time>, Fault> {
    let origin = origin(context);
    let address = origin.ip.parse::<IpAddr>();
    let is_within = address.is_ok_and(|address| networks(row).is_ok_and(|networks| networks.allow(address)));
    if !is_within {
        refuse(app, row, context, &origin, FailureReason::WrongNetwork).await?;
        return Ok(None);
    }
    let now = app.now();
    if life(row).is_over(now) {
        // The gate refuses it; that somebody still has it is worth to know.
        refuse(app, row, context, &origin, FailureReason::Expired).await?;
        return Ok(Some(row.expires_at.min(now)));
    }
    note(app, row, context, &origin).await?;
    Ok(Some(row.expires_at))
}

async fn refuse(
    app: &App,
    row: &ApiKeyRow,
    context: &RequestContext,
    origin: &Origin,
    reason: FailureReason,
) -> Result<(), Fault> {
    let what = hash(&format!("refused {reason:?}"), origin);
    if !app.key_uses.of(row.key, |usage| usage.tell(what, app.now())) {
        return Ok(());
    }
    let circumstances = Circumstances {
        actor: SecurityActor::Unknown,
        origin: Some((row.person, context.origin.clone())),
        correlation: context.correlation,
    };
    let body = SecurityBody::AccessRefused {
        token: Fingerprint::of(&row.hash),
        reason,
        key: Some(row.key),
        client: None,
        grant: None,
    };
    let told = security::tell(app, &row.tenant, &circumstances, body).await;
    told.inspect_err(|_| app.key_uses.forget(row.key))
}

async fn note(app: &App, row: &ApiKeyRow, context: &RequestContext, origin: &Origin) -> Result<(), Fault> {
    let kept = app.key_uses.of(row.key, |usage| usage.of(hash("used", origin), app.now()));
    if !kept.note {
        return Ok(());
    }
    let written = write(app, row, context, origin, kept.tell).await;
    written.inspect_err(|_| app.key_uses.forget(row.key))
}

async fn write(
    app: &App,
    row: &ApiKeyRow,
    context: &RequestContext,
    origin: &Origin,
    tell: bool,
) -> Result<(), Fault> {
    let plain = canonical::to_vec(origin).map_err(|error| Fault::Task(error.to_string()))?;
    let person = app.person_key(&row.tenant, row.person).await?;
    let sealed_origin = person.seal(&*app.random, &binding(row.key), &plain)?;
    app.store.touch_key(KeyUse { key: row.key, at: app.now(), sealed_origin }).await?;
    if !tell {
        return Ok(());
    }
    let circumstances = Circumstances {
        actor: SecurityActor::ApiKey { key: row.key },
        origin: Some((row.person, context.origin.clone())),
        correlation: context.correlation,
    };
    security::tell(app, &row.tenant, &circumstances, SecurityBody::KeyUsed { key: row.key }).await
}
