//! The public keys of an endpoint as a JWK set (RFC 7517): each from the moment it is staged until it is gone.

use countersign_core::{id::EndpointId, webhook::rotation::Keys};
use serde_json::{Value, json};

use super::stored::key_of;
use crate::{app::App, fault::Fault};

/// The set; `None` if no endpoint has that id.
pub(crate) async fn jwks(app: &App, endpoint: EndpointId) -> Result<Option<Value>, Fault> {
    let (rows, now) = (app.store.webhook_keys(endpoint).await?, app.now());
    if rows.is_empty() {
        return Ok(None);
    }
    let keys = Keys::stored(rows.iter().map(key_of).collect::<Result<_, _>>()?, now);
    let mut published = Vec::new();
    for id in keys.published(now) {
        for row in rows.iter().filter(|row| row.key == id) {
            let public: Vec<Value> = serde_json::from_str(&row.public)
                .map_err(|error| Fault::Task(format!("the public keys of {id}: {error}")))?;
            published.extend(public);
        }
    }
    Ok(Some(json!({ "keys": published })))
}
