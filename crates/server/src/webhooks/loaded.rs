//! An endpoint with what a delivery, and whoever looks at it, needs of it.

use std::sync::Arc;

use countersign_core::{
    access::Tenant,
    id::EndpointId,
    refusal::Refusal,
    time::Time,
    webhook::{endpoint::Settings, rotation::Keys},
};
use countersign_store::webhook_rows::{EndpointRow, WebhookKeyRow};

use super::{
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
            signers.push(Signer::open(&organization, row)?);
        }
    }
    let (settings, condition) = (settings_of(&organization, &row)?, condition_of(&row)?);
    Ok(Loaded { row, settings, condition, keys, key_rows, signers })
}
