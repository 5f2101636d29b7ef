//! Endpoints as a worker read them, for as long as they are like that: a claim says which version each has, so that an endpoint
//! to which deliveries go all the time is read and opened once a second.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use countersign_core::{access::Tenant, id::EndpointId, time::Time, webhook::class::Classes};
use countersign_store::webhook_rows::Claimed;

use super::{
    containment::stopped,
    loaded::{self, Loaded},
};
use crate::{app::App, fault::Fault};

/// So long an endpoint that was read is taken for what it is: its keys change with time.
const FRESH_MS: i64 = 1_000;

/// Whether what was read then still holds; not where the clock was set back.
pub(super) fn is_fresh(read_at: Time, now: Time) -> bool {
    (0..FRESH_MS).contains(&now.since_ms(read_at))
}

/// An endpoint that was read.
#[derive(Clone)]
pub(super) struct Read {
    pub(super) loaded: Arc<Loaded>,
    pub(super) at: Time,
}

/// An endpoint of this version or a later one; nothing of one that is not there or cannot be opened.
struct Seen {
    version: u64,
    at: Time,
    loaded: Option<Arc<Loaded>>,
}

/// What a worker read.
#[derive(Default)]
pub(super) struct Known {
    endpoints: HashMap<EndpointId, Seen>,
    /// What is blocked besides endpoints, as of this claim: that changes no endpoint's version.
    blocked: HashMap<Tenant, Classes>,
}

impl Known {
    /// Forgets what may be otherwise at the next claim.
    pub(super) fn forget(&mut self, now: Time) {
        self.endpoints.retain(|_, seen| is_fresh(seen.at, now));
        self.blocked.clear();
    }

    /// The endpoint of a delivery; `None` for one that is not there or cannot be opened: it holds up no other.
    pub(super) async fn endpoint_of(
        &mut self,
        app: &App,
        claimed: &Claimed,
        now: Time,
    ) -> Result<Option<Read>, Fault> {
        let (tenant, endpoint) = (claimed.row.message.tenant, claimed.row.endpoint);
        if let Some(seen) =
            self.endpoints.get(&endpoint).filter(|seen| seen.version >= claimed.endpoint_version)
        {
            let Some(loaded) = seen.loaded.clone() else { return Ok(None) };
            let at = seen.at;
            if loaded.stopped == self.blocked_of(app, tenant).await? {
                return Ok(Some(Read { loaded, at }));
            }
        }
        let loaded = readable(loaded::load(app, &tenant, endpoint, now).await, endpoint)?;
        if let Some(loaded) = &loaded {
            self.blocked.insert(tenant, loaded.stopped);
        }
        let version = loaded.as_ref().map_or(claimed.endpoint_version, |loaded| loaded.row.version);
        self.endpoints.insert(endpoint, Seen { version, at: now, loaded: loaded.clone() });
        Ok(loaded.map(|loaded| Read { loaded, at: now }))
    }

    async fn blocked_of(&mut self, app: &App, tenant: Tenant) -> Result<Classes, Fault> {
        match self.blocked.entry(tenant) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(unknown) => Ok(*unknown.insert(stopped(app, &tenant).await?)),
        }
    }
}

fn readable(
    loaded: Result<Option<Arc<Loaded>>, Fault>,
    endpoint: EndpointId,
) -> Result<Option<Arc<Loaded>>, Fault> {
    match loaded {
        Ok(loaded) => Ok(loaded),
        Err(fault @ Fault::Store(countersign_store::Fault::Unavailable(_))) => Err(fault),
        Err(fault) => {
            tracing::error!(event_type = "webhook.endpoint", event_result = "fault", %endpoint, fault = %fault);
            Ok(None)
        }
    }
}
