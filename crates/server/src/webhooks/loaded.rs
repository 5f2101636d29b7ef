//! An endpoint with what a delivery needs of it.

use std::sync::Arc;

use countersign_core::{
    access::Tenant,
    id::EndpointId,
    time::Time,
    webhook::{endpoint::Settings, rotation::Keys},
};
use countersign_store::webhook_rows::EndpointRow;

use super::{
    keys::Signer,
    stored::{Condition, condition_of, key_of, settings_of},
};
use crate::{app::App, fault::Fault};

/// An endpoint, opened.
pub(crate) struct Loaded {
    pub(crate) row: EndpointRow,
    pub(crate) settings: Settings,
    pub(crate) condition: Condition,
    /// The keys that sign now, the primary one first.
    pub(crate) signers: Vec<Signer>,
}

/// Loads an endpoint of this tenant; `None` if it has none of that id.
pub(crate) async fn load(
    app: &App,
    tenant: &Tenant,
    endpoint: EndpointId,
    now: Time,
) -> Result<Option<Arc<Loaded>>, Fault> {
    let Some(row) = app.store.endpoint(tenant, endpoint).await? else { return Ok(None) };
    let rows = app.store.webhook_keys(endpoint).await?;
    let keys = Keys::new(rows.iter().map(key_of).collect::<Result<_, _>>()?);
    let organization = app.organization(tenant.organization()).await?;
    let mut signers = Vec::new();
    for id in keys.signing(now) {
        for row in rows.iter().filter(|row| row.key == id && row.tenant == *tenant) {
            signers.push(Signer::open(&organization, row)?);
        }
    }
    let (settings, condition) = (settings_of(&organization, &row)?, condition_of(&row)?);
    Ok(Some(Arc::new(Loaded { row, settings, condition, signers })))
}
