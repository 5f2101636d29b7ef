//! Registrations of clients that call again and again: each is parsed once for as long as it stays the same.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_core::{
    id::ClientId,
    oauth::{
        client::Registration,
        jose::{Algorithm, Jwk, JwkSet, decoy},
    },
    scope::Scopes,
};
use countersign_store::access_rows::ClientRow;

use crate::fault::Fault;

/// So many are kept.
const KEPT: usize = 1_000;

/// Registrations that were read.
pub struct Registrations {
    kept: Mutex<HashMap<ClientId, (String, Arc<Registration>)>>,
    nobody: Arc<Registration>,
}

impl Default for Registrations {
    fn default() -> Self {
        let keys = JwkSet::new(vec![Jwk { kid: Some("nobody".to_owned()), ..decoy(Algorithm::Es256) }]);
        let nobody = Registration::of_key("Nobody".to_owned(), keys, Scopes::NONE);
        Self { kept: Mutex::default(), nobody: Arc::new(nobody) }
    }
}

impl Registrations {
    /// The registration in a row; of no row one that stands in, so that its refusal is as much work.
    pub fn of(&self, row: Option<&ClientRow>) -> Result<Arc<Registration>, Fault> {
        let Some(row) = row else { return Ok(Arc::clone(&self.nobody)) };
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((text, registration)) = kept().get(&row.client)
            && *text == row.registration
        {
            return Ok(Arc::clone(registration));
        }
        let registration: Registration = serde_json::from_str(&row.registration)
            .map_err(|error| Fault::Task(format!("the registration of {}: {error}", row.client)))?;
        let registration = Arc::new(registration);
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(row.client, (row.registration.clone(), Arc::clone(&registration)));
        Ok(registration)
    }
}
