//! How fast endpoints are: so many more are taken of a fast one, or it would have nothing to do until the next claim is durable.

use std::{collections::HashMap, mem};

use countersign_core::id::EndpointId;

/// How many attempts of each endpoint end from one claim to the next.
#[derive(Default)]
pub(super) struct Drained {
    since: HashMap<EndpointId, usize>,
    before: HashMap<EndpointId, usize>,
}

impl Drained {
    /// An attempt ended.
    pub(super) fn ended(&mut self, endpoint: EndpointId) {
        *self.since.entry(endpoint).or_default() += 1;
    }

    /// A claim begins.
    pub(super) fn claims(&mut self) {
        self.before = mem::take(&mut self.since);
    }

    /// How many ended from the claim before the last one to that.
    pub(super) fn of(&self, endpoint: EndpointId) -> usize {
        self.before.get(&endpoint).copied().unwrap_or(0)
    }
}
