//! Rows of webhooks: endpoints, their keys, what is to be delivered, and what was tried.

use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{AttemptId, CorrelationId, EndpointId, EnvelopeId, MessageId, WebhookKeyId, WorkerId},
    time::Time,
    webhook::{
        class::{Class, Classes},
        containment::{Block, Holder},
        standing::BlockReason,
    },
};

use crate::rows::StoredEvent;

/// Where events are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRow {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub endpoint: EndpointId,
    /// What was set, encrypted: an address may hold a secret.
    pub settings: Vec<u8>,
    /// What became of it so far, as JSON.
    pub condition: String,
    /// One bit for each class of events that it asks for.
    pub classes: u32,
    /// Whether deliveries are made for it.
    pub takes: Taking,
    /// Whether the deliveries of an envelope go one after the other.
    pub is_ordered: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it ended, if it did.
    pub ended_at: Option<Time>,
    /// Counts changes, from 1.
    pub version: u64,
}

/// What becomes of an event that an endpoint asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taking {
    /// Nothing is made for it.
    Nothing,
    /// It is delivered.
    Due,
    /// It waits until somebody releases it.
    Parked,
}

impl Taking {
    /// As it is stored.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Due => "due",
            Self::Parked => "parked",
        }
    }

    /// The inverse of [`Self::text`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Nothing, Self::Due, Self::Parked].into_iter().find(|taking| taking.text() == text)
    }
}

/// A key that signs for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookKeyRow {
    /// Whose.
    pub tenant: Tenant,
    /// Of which endpoint.
    pub endpoint: EndpointId,
    /// Which.
    pub key: WebhookKeyId,
    /// Secret and private keys, encrypted.
    pub sealed: Vec<u8>,
    /// Its public keys, as JSON.
    pub public: String,
    /// Where it is on its way from staged to retired, as JSON.
    pub stage: String,
    /// When it was made.
    pub created_at: Time,
    /// When it left the set of keys, if it did.
    pub ended_at: Option<Time>,
    /// Counts changes, from 1.
    pub version: u64,
}

/// What keeps deliveries back besides the state of their endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// Which.
    pub key: BlockKey,
    /// Why.
    pub reason: BlockReason,
    /// Since when.
    pub created_at: Time,
}

/// Which block: there is one of each at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockKey {
    /// In which environment of which organization; everywhere if there is none.
    pub tenant: Option<Tenant>,
    /// Of which class alone.
    pub class: Option<Class>,
    /// Who set it.
    pub holder: Holder,
}

impl BlockKey {
    /// How far it goes.
    pub fn block(&self) -> Block {
        let of = self.tenant.map(|tenant| (tenant.organization(), tenant.environment()));
        Block { of, class: self.class }
    }

    /// As it is stored, and in this order: nothing in place of a tenant or a class where there is none.
    pub(crate) fn columns(&self) -> (Vec<u8>, &'static str, i64, &'static str) {
        let organization = self.tenant.map_or(Vec::new(), |tenant| tenant.organization().as_bytes().to_vec());
        let environment = self.tenant.map_or("", |tenant| tenant.environment().text());
        let class = self.class.map_or(0, |class| i64::from(class.bit()));
        (organization, environment, class, self.holder.text())
    }
}

/// An event that endpoints may ask for. The commit makes a delivery for each endpoint of the tenant that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Whose.
    pub tenant: Tenant,
    /// Which message: it follows from the event.
    pub message: MessageId,
    /// In which stream the event is.
    pub stream: EnvelopeId,
    /// Where in it.
    pub seq: u64,
    /// The event's type.
    pub kind: String,
    /// The bit of its class.
    pub class: u32,
    /// When it happened.
    pub at: Time,
    /// Its hash.
    pub hash: Digest,
    /// The request or job that caused it.
    pub correlation: CorrelationId,
}

/// Where a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryState {
    /// It is to be tried.
    Due,
    /// It waits until somebody releases it.
    Parked,
    /// It was accepted.
    Delivered,
    /// Nobody tries any more.
    Failed,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Due, Self::Parked, Self::Delivered, Self::Failed];

    /// As it is stored and shown.
    pub fn text(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Parked => "parked",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.text() == text)
    }
}

/// A message for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The message.
    pub message: NewMessage,
    /// For which endpoint.
    pub endpoint: EndpointId,
    /// The body, encrypted, where it does not follow from the event.
    pub sealed_body: Option<Vec<u8>>,
    /// Where it is.
    pub state: DeliveryState,
    /// When it is tried next.
    pub due_at: Time,
    /// How often it was tried.
    pub attempt_count: u32,
    /// After how many of these it waited as the receiver had asked.
    pub asked_count: u32,
    /// The timestamp that signed the last attempt, in seconds since 1970.
    pub signed_s: Option<i64>,
    /// Whether it goes only after earlier ones of its stream.
    pub is_ordered: bool,
    /// Who is at it.
    pub worker: Option<WorkerId>,
}

/// A delivery that a worker has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The delivery.
    pub row: DeliveryRow,
    /// The version of its endpoint at that moment: whoever read the endpoint before knows whether it is still like that.
    pub endpoint_version: u64,
}

/// What a worker would take.
#[derive(Clone, Debug, Default)]
pub struct DeliveryClaim {
    /// Most that were never tried.
    pub fresh: usize,
    /// Most that were tried before.
    pub again: usize,
    /// Endpoints that have enough in work: nothing of theirs.
    pub full: Vec<EndpointId>,
    /// Shelved endpoints, and how many of each.
    pub shelved: Vec<(EndpointId, usize)>,
}

/// What became of a delivery that a worker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Who has it. If somebody else does by now, nothing is settled.
    pub worker: WorkerId,
    /// Of which endpoint.
    pub endpoint: EndpointId,
    /// Which message.
    pub message: MessageId,
    /// Where it goes from here.
    pub state: DeliveryState,
    /// When it is tried next.
    pub due_at: Time,
    /// Whether it waits as the receiver asked.
    pub is_asked: bool,
    /// What was tried; nothing if it is only put back.
    pub attempt: Option<AttemptRow>,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub attempt: AttemptId,
    /// Of which endpoint.
    pub endpoint: EndpointId,
    /// Which message.
    pub message: MessageId,
    /// When it began.
    pub at: Time,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// The timestamp that signed it, in seconds since 1970.
    pub signed_s: i64,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// What came of it, in a word.
    pub outcome: String,
    /// What was sent and answered besides, encrypted.
    pub sealed: Vec<u8>,
}

/// Deliveries of an endpoint that nobody has at work, on their way from one state to another. For those that were over, the
/// schedule begins anew: what they waited for so far counts as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryMove {
    /// Whose.
    pub endpoint: EndpointId,
    /// From which state.
    pub from: DeliveryState,
    /// To which.
    pub to: DeliveryState,
    /// The first message, in order of their ids.
    pub since: MessageId,
    /// The last one.
    pub until: MessageId,
    /// Only those of these classes.
    pub classes: Classes,
    /// Only those that are due, or were over, before.
    pub over_before: Time,
    /// When they are due.
    pub due_at: Time,
    /// Most of them.
    pub limit: usize,
}

/// An event of a tenant, of whichever stream, in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FedEvent {
    /// In which stream it is.
    pub stream: EnvelopeId,
    /// The event: its index in the log is there.
    pub event: StoredEvent,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only of this stream.
    pub stream: Option<EnvelopeId>,
    /// Only those before this one (the cursor).
    pub before: Option<MessageId>,
    /// Most rows.
    pub limit: usize,
}
