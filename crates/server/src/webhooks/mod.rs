//! Webhooks on their way out (W-1 to W-9): events become messages in their own commit, a worker takes what is due, signs it,
//! sends it through the guard, and writes down what came of it. The rules are `countersign_core::webhook`.

pub mod act;
pub mod again;
pub(crate) mod announce;
pub(crate) mod attempt;
pub(crate) mod certificates;
pub mod containment;
mod drained;
pub mod endpoints;
pub(crate) mod feed;
mod full;
pub mod given;
mod health;
mod kept_channel;
pub(crate) mod keys;
mod known;
mod leaving;
pub(crate) mod loaded;
pub(crate) mod message_keys;
pub(crate) mod moving;
pub(crate) mod notices;
pub(crate) mod probes;
pub mod proof;
pub(crate) mod publishing;
pub(crate) mod pulling;
pub(crate) mod replay;
pub mod rotating;
mod running;
mod stored;
pub mod testing;
pub mod work;

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countersign_core::{
    id::EndpointId,
    webhook::{concurrency::Concurrency, release::Releases},
};

use crate::{app::Records, egress::messenger::Messenger, fault::Fault};

/// What delivering needs besides the records.
pub struct Webhooks {
    /// Sends.
    pub(crate) messenger: Messenger,
    /// How many deliveries each endpoint showed to take at the same time.
    concurrency: Mutex<HashMap<EndpointId, Concurrency>>,
    /// What was released lately.
    releases: Mutex<Releases>,
}

impl Webhooks {
    /// With the operator's exceptions of where to go.
    pub fn new(records: &Records) -> Result<Self, Fault> {
        let messenger = Messenger::new(&records.config.egress)?;
        Ok(Self { messenger, concurrency: Mutex::default(), releases: Mutex::default() })
    }

    /// Gives an attempt another time, all in all: for tests in which hundreds hang.
    pub fn give_time(&mut self, deadline: Duration) {
        self.messenger = self.messenger.clone().within(deadline);
    }

    /// How many deliveries may be in work for an endpoint.
    fn limit(&self, endpoint: EndpointId) -> u8 {
        let known = self.concurrency.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&endpoint).copied().unwrap_or_default().limit()
    }

    fn releases(&self) -> MutexGuard<'_, Releases> {
        self.releases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns from an attempt.
    fn settled(&self, endpoint: EndpointId, is_success: bool, took_ms: u32) {
        let mut known = self.concurrency.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_ENDPOINTS && !known.contains_key(&endpoint) {
            known.clear();
        }
        known.entry(endpoint).or_default().settled(is_success, i64::from(took_ms));
    }
}

/// Endpoints whose pace is remembered; what is forgotten begins anew.
const KNOWN_ENDPOINTS: usize = 10_000;
