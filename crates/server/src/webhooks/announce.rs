//! Events as messages: what the commit of an event tells the store, which makes a delivery for each endpoint that asks for it.

use countersign_core::{
    access::Tenant,
    digest::Digest,
    envelope::Event,
    security::SecurityEvent,
    webhook::{
        class::Class,
        message::{Stream, message_id},
    },
};
use countersign_store::{rows::security_stream, webhook_rows::NewMessage};

/// The message about an envelope's event.
pub(crate) fn of_envelope(tenant: &Tenant, event: &Event, hash: Digest) -> NewMessage {
    NewMessage {
        tenant: *tenant,
        message: message_id(Stream::Envelope(event.envelope), event.seq, event.at),
        stream: event.envelope,
        seq: event.seq,
        kind: event.body.type_text().to_owned(),
        class: u32::from(Class::of(&event.body).bit()),
        at: event.at,
        hash,
        correlation: event.correlation,
    }
}

/// The message about a security event, which has its place by now.
pub(crate) fn of_security(tenant: &Tenant, event: &SecurityEvent, seq: u64, hash: Digest) -> NewMessage {
    let stream = Stream::Security(tenant.organization(), tenant.environment());
    NewMessage {
        tenant: *tenant,
        message: message_id(stream, seq, event.at),
        stream: security_stream(tenant),
        seq,
        kind: event.body.kind(),
        class: u32::from(Class::of_security(&event.body).bit()),
        at: event.at,
        hash,
        correlation: event.correlation,
    }
}
