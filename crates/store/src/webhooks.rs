//! What the application needs for webhooks, as the third part of the store.

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    id::{EndpointId, MessageId, WorkerId},
    time::Time,
};

use crate::{
    fault::Fault,
    webhook_rows::{
        AttemptRow, BlockRow, Claimed, DeliveryClaim, DeliveryMove, DeliveryQuery, DeliveryRow, EndpointRow,
        FedEvent, WebhookKeyRow,
    },
};

/// Endpoints, their keys, and the work of delivering. What is to change goes into a [`Batch`](crate::Batch), which also
/// makes the deliveries: in the transaction of their event, for the endpoints that there are at that moment.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// An endpoint.
    async fn endpoint(&self, tenant: &Tenant, endpoint: EndpointId) -> Result<Option<EndpointRow>, Fault>;

    /// Endpoints before `before`, newest first, also those that ended.
    async fn endpoints(
        &self,
        tenant: &Tenant,
        before: Option<EndpointId>,
        limit: usize,
    ) -> Result<Vec<EndpointRow>, Fault>;

    /// The keys of an endpoint of whatever tenant, by id: for those who verify, and for who signs.
    async fn webhook_keys(&self, endpoint: EndpointId) -> Result<Vec<WebhookKeyRow>, Fault>;

    /// The blocks that concern a tenant, its own and those of everything; all that there are if none is named.
    async fn webhook_blocks(&self, tenant: Option<&Tenant>) -> Result<Vec<BlockRow>, Fault>;

    /// A delivery.
    async fn delivery(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        message: MessageId,
    ) -> Result<Option<DeliveryRow>, Fault>;

    /// Deliveries of an endpoint, newest first.
    async fn deliveries(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        query: &DeliveryQuery,
    ) -> Result<Vec<DeliveryRow>, Fault>;

    /// What was tried of a delivery, oldest first.
    async fn attempts(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        message: MessageId,
    ) -> Result<Vec<AttemptRow>, Fault>;

    /// Events of the tenant that are in the log after an index, in its order, which never changes: whoever remembers the last
    /// index misses none.
    async fn fed_events(
        &self,
        tenant: &Tenant,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<FedEvent>, Fault>;

    // Work

    /// Notes that a worker lives until `until`, and frees up to a bounded number of deliveries of those that did not by
    /// `now`. `false` if this worker is among them: what it has is lost to it, and it needs another id.
    async fn beat(&self, worker: WorkerId, now: Time, until: Time) -> Result<bool, Fault>;

    /// Gives a worker that lives deliveries that are due by `now` and that nobody has, those of each lane by due time. An
    /// ordered one only if no earlier of its stream and endpoint is to be tried. To a worker that does not live, nothing.
    async fn claim_deliveries(
        &self,
        worker: WorkerId,
        now: Time,
        claim: &DeliveryClaim,
    ) -> Result<Vec<Claimed>, Fault>;

    /// When the next delivery that nobody has is due, of those that are not shelved.
    async fn next_delivery_due(&self) -> Result<Option<Time>, Fault>;

    /// Shelves an endpoint: its deliveries are taken by name alone from now on. Moves up to `limit` of those that wait; how
    /// many it moved.
    async fn shelve(&self, endpoint: EndpointId, limit: usize) -> Result<usize, Fault>;

    /// Takes an endpoint off the shelf, with up to `limit` deliveries that wait there; how many it moved.
    async fn unshelve(&self, endpoint: EndpointId, limit: usize) -> Result<usize, Fault>;

    /// The endpoints that are shelved, by id, each with how many deliveries of it wait there, counted up to `most`.
    async fn shelved(&self, most: usize) -> Result<Vec<(EndpointId, usize)>, Fault>;

    /// Moves deliveries from one state to another, those with the first ids; how many.
    async fn move_deliveries(&self, tenant: &Tenant, moves: &DeliveryMove) -> Result<usize, Fault>;

    /// Waits until a commit has made deliveries, or `timeout_ms` have passed, as
    /// [`Store::wait_for_work`](crate::Store::wait_for_work) does for jobs.
    async fn wait_for_deliveries(&self, timeout_ms: u64);

    /// Removes up to `limit` attempts, and up to as many deliveries that are over, of before `before`, and takes up to as many
    /// from the shelf whose endpoint is not there; how many in all.
    async fn sweep_deliveries(&self, before: Time, limit: usize) -> Result<usize, Fault>;
}
