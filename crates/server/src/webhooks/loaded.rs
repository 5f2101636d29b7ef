//! An endpoint with what a delivery, and whoever looks at it, needs of it.

use std::sync::Arc;

use countersign_core::{
    access::Tenant,
    id::EndpointId,
    refusal::Refusal,
    time::Time,
    webhook::{
        class::{Class, Classes},
        containment::{self, Fate},
        endpoint::Settings,
        rotation::Keys,
    },
};
use countersign_store::webhook_rows::{DeliveryRow, EndpointRow, WebhookKeyRow};

use super::{
    attempt::class_of,
    containment::stopped,
    keys::Signer,
    stored::{Condition, condition_of, key_of, settings_of},
};
use crate::{
    app::App,
    egress::messenger::Way,
    fault::{Failure, Fault},
};

/// An endpoint, opened.
pub struct Loaded {
    pub(crate) row: EndpointRow,
    pub(crate) settings: Settings,
    pub(crate) condition: Condition,
    /// The classes of events that something besides the endpoint itself blocks.
    pub(crate) stopped: Classes,
    /// Its keys, in the order in which they were made, also those that are gone.
    pub(crate) keys: Keys,
    pub(crate) key_rows: Vec<WebhookKeyRow>,
    /// The keys that sign now, the primary one first.
    pub(crate) signers: Vec<Signer>,
}

impl Loaded {
    /// How its messages go out at this moment.
    pub(crate) fn way(&self, now: Time) -> Way<'_> {
        Way { url: &self.settings.url, channel: &self.settings.channel, now, refused_token: None }
    }

    /// What becomes of events of a class that it is told of.
    pub(crate) fn fate(&self, class: Class) -> Fate {
        containment::fate(self.condition.standing, self.keys.is_signing(), self.stopped, class)
    }

    /// What becomes of a delivery. One of no class that we know is kept.
    pub(crate) fn fate_of(&self, row: &DeliveryRow) -> Fate {
        class_of(row).map_or(Fate::Waits, |class| self.fate(class))
    }

    /// The classes of which events that were not accepted yet have this fate. Tests have none: they are sent once.
    pub(crate) fn with_fate(&self, fate: Fate) -> Classes {
        let classes = Class::ALL.into_iter().filter(|class| *class != Class::Test);
        classes.filter(|class| self.fate(*class) == fate).collect()
    }

    /// Whether tests and the probes of its receiver go out.
    pub(crate) fn is_tested(&self) -> bool {
        containment::is_tested(self.condition.standing, self.stopped)
    }

    /// Refuses them where they do not.
    pub(crate) fn check_tested(&self) -> Result<(), Refusal> {
        containment::check_tested(self.condition.standing, self.stopped)
    }
}

/// Loads an endpoint of this tenant; `None` if it has none of that id.
pub(crate) async fn load(
    app: &App,
    tenant: &Tenant,
    endpoint: EndpointId,
    now: Time,
) -> Result<Option<Arc<Loaded>>, Fault> {
    let Some(row) = app.store.endpoint(tenant, endpoint).await? else { return Ok(None) };
    open(app, row, now).await.map(|loaded| Some(Arc::new(loaded)))
}

/// The same for whoever asks for it by name.
pub(crate) async fn read(app: &App, tenant: &Tenant, endpoint: EndpointId) -> Result<Arc<Loaded>, Failure> {
    let found = load(app, tenant, endpoint, app.now()).await?;
    Ok(found.ok_or_else(Refusal::not_found)?)
}

/// Opens an endpoint.
pub(crate) async fn open(app: &App, row: EndpointRow, now: Time) -> Result<Loaded, Fault> {
    let key_rows: Vec<_> = app.store.webhook_keys(row.endpoint).await?;
    let key_rows: Vec<_> = key_rows.into_iter().filter(|key| key.tenant == row.tenant).collect();
    let keys = Keys::stored(key_rows.iter().map(key_of).collect::<Result<_, _>>()?, now);
    let organization = app.organization(row.tenant.organization()).await?;
    let mut signers = Vec::new();
    for id in keys.signing(now) {
        for row in key_rows.iter().filter(|row| row.key == id) {
            signers.push(Signer::open(&organization, row).await?);
        }
    }
    let (settings, condition) = (settings_of(&organization, &row)?, condition_of(&row)?);
    let stopped = stopped(app, &row.tenant).await?;
    Ok(Loaded { row, settings, condition, stopped, keys, key_rows, signers })
}
