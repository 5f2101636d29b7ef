//! Webhooks of the model.

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    id::{EndpointId, MessageId, WorkerId},
    time::Time,
};

use super::Memory;
use crate::{
    fault::Fault,
    webhook_rows::{
        AttemptRow, BlockRow, Claimed, DeliveryClaim, DeliveryMove, DeliveryQuery, DeliveryRow, EndpointRow,
        FedEvent, WebhookKeyRow,
    },
    webhooks::WebhookStore,
};

#[async_trait]
impl WebhookStore for Memory {
    async fn endpoint(&self, tenant: &Tenant, endpoint: EndpointId) -> Result<Option<EndpointRow>, Fault> {
        let state = self.state();
        Ok(state.webhooks.endpoints.get(&endpoint).filter(|row| row.tenant == *tenant).cloned())
    }

    async fn endpoints(
        &self,
        tenant: &Tenant,
        before: Option<EndpointId>,
        limit: usize,
    ) -> Result<Vec<EndpointRow>, Fault> {
        let state = self.state();
        let its =
            |row: &&EndpointRow| row.tenant == *tenant && before.is_none_or(|before| row.endpoint < before);
        Ok(state.webhooks.endpoints.values().rev().filter(its).take(limit).cloned().collect())
    }

    async fn webhook_keys(&self, endpoint: EndpointId) -> Result<Vec<WebhookKeyRow>, Fault> {
        let state = self.state();
        Ok(state.webhooks.keys.values().filter(|row| row.endpoint == endpoint).cloned().collect())
    }

    async fn webhook_blocks(&self, tenant: Option<&Tenant>) -> Result<Vec<BlockRow>, Fault> {
        Ok(self.state().webhooks.blocks(tenant))
    }

    async fn delivery(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        message: MessageId,
    ) -> Result<Option<DeliveryRow>, Fault> {
        let state = self.state();
        let its = |row: &&DeliveryRow| {
            row.message.tenant == *tenant && row.endpoint == endpoint && row.message.message == message
        };
        Ok(state.webhooks.deliveries().find(its).cloned())
    }

    async fn deliveries(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        query: &DeliveryQuery,
    ) -> Result<Vec<DeliveryRow>, Fault> {
        let state = self.state();
        let asked = |row: &&DeliveryRow| {
            row.message.tenant == *tenant
                && row.endpoint == endpoint
                && query.state.is_none_or(|state| row.state == state)
                && query.stream.is_none_or(|stream| row.message.stream == stream)
                && query.before.is_none_or(|before| row.message.message < before)
        };
        Ok(state.webhooks.deliveries().rev().filter(asked).take(query.limit).cloned().collect())
    }

    async fn attempts(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        message: MessageId,
    ) -> Result<Vec<AttemptRow>, Fault> {
        let state = self.state();
        let its =
            |row: &&AttemptRow| row.tenant == *tenant && row.endpoint == endpoint && row.message == message;
        Ok(state.webhooks.attempts.values().filter(its).cloned().collect())
    }

    async fn fed_events(
        &self,
        tenant: &Tenant,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<FedEvent>, Fault> {
        Ok(self.state().fed_events(tenant, after, limit))
    }

    async fn beat(&self, worker: WorkerId, now: Time, until: Time) -> Result<bool, Fault> {
        Ok(self.state().webhooks.beat(worker, now, until))
    }

    async fn claim_deliveries(
        &self,
        worker: WorkerId,
        now: Time,
        claim: &DeliveryClaim,
    ) -> Result<Vec<Claimed>, Fault> {
        Ok(self.state().webhooks.claim(worker, now, claim))
    }

    async fn next_delivery_due(&self) -> Result<Option<Time>, Fault> {
        Ok(self.state().webhooks.next_due())
    }

    async fn shelve(&self, endpoint: EndpointId, limit: usize) -> Result<usize, Fault> {
        Ok(self.state().webhooks.shelve(endpoint, true, limit))
    }

    async fn unshelve(&self, endpoint: EndpointId, limit: usize) -> Result<usize, Fault> {
        Ok(self.state().webhooks.shelve(endpoint, false, limit))
    }

    async fn shelved(&self, most: usize) -> Result<Vec<(EndpointId, usize)>, Fault> {
        Ok(self.state().webhooks.shelved(most))
    }

    async fn move_deliveries(&self, tenant: &Tenant, moves: &DeliveryMove) -> Result<usize, Fault> {
        Ok(self.state().webhooks.move_deliveries(tenant, moves))
    }

    async fn wait_for_deliveries(&self, timeout_ms: u64) {
        self.work.wait_for_deliveries(timeout_ms).await;
    }

    async fn sweep_deliveries(&self, before: Time, limit: usize) -> Result<usize, Fault> {
        Ok(self.state().webhooks.sweep(before, limit))
    }
}
