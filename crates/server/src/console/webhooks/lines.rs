//! Endpoints, their keys and deliveries in words.

use countersign_core::{
    limits,
    scope::Scopes,
    time::Time,
    webhook::{
        channel::ClientCertificate,
        class::{Class, Payload, told},
        endpoint::{Profile, host_of},
        health::Due,
        rotation::{Key, State as KeyState},
        standing::{BlockReason, DisableReason, State},
    },
};
use countersign_store::webhook_rows::{DeliveryRow, DeliveryState};

use super::super::Moment;
use crate::webhooks::loaded::Loaded;

/// A state: its words, and the tone of their colour, which says nothing that they do not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Badge {
    pub(super) words: &'static str,
    pub(super) tone: &'static str,
}

impl Badge {
    const fn good(words: &'static str) -> Self {
        Self { words, tone: "good" }
    }

    const fn wait(words: &'static str) -> Self {
        Self { words, tone: "wait" }
    }

    const fn bad(words: &'static str) -> Self {
        Self { words, tone: "bad" }
    }

    const fn plain(words: &'static str) -> Self {
        Self { words, tone: "over" }
    }
}

/// A client certificate.
pub(super) struct Certificate {
    /// SHA-256 of it.
    pub(super) sha256: String,
    /// Its end.
    pub(super) ends: Moment,
    pub(super) has_ended: bool,
    /// Whether its people were told that it ends.
    pub(super) ends_soon: bool,
}

impl Certificate {
    fn of(certificate: &ClientCertificate, now: Time) -> Self {
        Self {
            sha256: certificate.fingerprint().to_string(),
            ends: certificate.expires_at.into(),
            has_ended: certificate.has_expired(now),
            ends_soon: certificate.ends_soon(now),
        }
    }
}

/// An endpoint.
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that the page says or leaves out")]
pub(super) struct EndpointLine {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) host: String,
    pub(super) url: String,
    pub(super) state: Badge,
    /// What the state means.
    pub(super) means: &'static str,
    /// Why it is blocked, if it is.
    pub(super) blocked: Option<&'static str>,
    /// Those of its classes that something else blocks.
    pub(super) stopped: Vec<&'static str>,
    /// Since when everything fails, and when it is disabled for that.
    pub(super) failing: Option<(Moment, Moment)>,
    pub(super) classes: Vec<&'static str>,
    /// What it can read.
    pub(super) reads: Vec<&'static str>,
    pub(super) is_full: bool,
    pub(super) profile: &'static str,
    pub(super) is_ordered: bool,
    /// What is shown to the receiver.
    pub(super) certificate: Option<Certificate>,
    /// Keys of which the receiver must have one.
    pub(super) pins: Vec<String>,
    /// Where each delivery has a token from, and in whose name.
    pub(super) oauth: Option<(String, String)>,
    pub(super) is_ended: bool,
    pub(super) is_told: bool,
    pub(super) is_proven: bool,
    pub(super) made: Moment,
}

impl EndpointLine {
    pub(super) fn of(loaded: &Loaded, now: Time, reader: Scopes) -> Self {
        let (settings, condition) = (&loaded.settings, &loaded.condition);
        let standing = condition.standing;
        let failing = condition.health.failing.filter(|_| condition.health.due(now) != Due::Nothing);
        let (state, means) = state_words(standing.state);
        let reads =
            settings.classes.iter().filter_map(|class| reads(class, settings.payload, settings.scopes));
        Self {
            id: loaded.row.endpoint.to_string(),
            description: settings.description.clone(),
            host: host_of(&settings.url),
            url: settings.url_for(reader),
            state,
            means,
            blocked: standing.blocked.filter(|_| standing.state != State::Ended).map(block_words),
            stopped: settings
                .classes
                .iter()
                .filter(|class| standing.state != State::Ended && loaded.stopped.has(*class))
                .map(class_name)
                .collect(),
            failing: failing.filter(|_| standing.is_told()).map(|failing| {
                (failing.since.into(), failing.since.plus_s(limits::WEBHOOK_FAILING_S).into())
            }),
            classes: settings.classes.iter().map(class_name).collect(),
            reads: reads.collect(),
            is_full: settings.payload == Payload::Full,
            profile: profile_words(settings.profile).0,
            is_ordered: settings.is_ordered,
            oauth: settings
                .channel
                .oauth
                .as_ref()
                .map(|one| (host_of(&one.token_url), one.client_id.clone())),
            pins: settings.channel.pins.iter().map(ToString::to_string).collect(),
            certificate: settings.channel.certificate.as_ref().map(|one| Certificate::of(one, now)),
            is_ended: standing.state == State::Ended,
            is_told: standing.is_told(),
            is_proven: standing.is_proven,
            made: loaded.row.created_at.into(),
        }
    }
}

fn state_words(state: State) -> (Badge, &'static str) {
    match state {
        State::Inactive => (Badge::wait("Not active yet"), "It is told of nothing before it is activated."),
        State::Active => (Badge::good("Active"), "It is told of what happens."),
        State::Disabled(reason) => (
            Badge::bad("Disabled"),
            match reason {
                DisableReason::Gone => {
                    "It answered that it is gone for good (410). It is told of nothing until it is activated."
                }
                DisableReason::Failing => {
                    "Nothing was delivered to it for five days. It is told of nothing until it is activated."
                }
                DisableReason::ByHand => "Somebody disabled it. It is told of nothing until it is activated.",
            },
        ),
        State::Ended => (Badge::plain("Ended"), "It is told of nothing any more."),
    }
}

/// Why deliveries are blocked.
pub(super) fn block_words(reason: BlockReason) -> &'static str {
    match reason {
        BlockReason::Compromised => "the receiver, or a secret that it holds, may be in the hands of others",
        BlockReason::WrongReceiver => "messages go where they should not",
        BlockReason::Overload => "there is too much of it",
        BlockReason::Incident => "something else is looked into",
    }
}

/// What people call a class.
pub(super) fn class_name(class: Class) -> &'static str {
    match class {
        Class::Envelope => "Envelopes",
        Class::Recipient => "Recipients",
        Class::Evidence => "Evidence",
        Class::Security => "Security",
        Class::Test => "Tests",
    }
}

/// What is in a class.
pub(super) fn class_words(class: Class) -> &'static str {
    match class {
        Class::Envelope => "created, sent, declined, voided, expired, sealed: each step and each end",
        Class::Recipient => "what recipients are sent and do: links, codes, consent, signatures",
        Class::Evidence => {
            "who took documents and evidence, and whether what is stored is still what was uploaded"
        }
        Class::Security => "sign-ins, members, clients, keys and powers of the organization",
        Class::Test => "nothing happened: somebody tries the endpoint",
    }
}

/// What an endpoint reads of a class, as far as its scopes go.
pub(super) fn reads(class: Class, payload: Payload, scopes: Scopes) -> Option<&'static str> {
    Some(match (class, told(class, payload, scopes)?) {
        (Class::Envelope, Payload::Thin) => "which envelope it is and what became of it",
        (Class::Envelope, Payload::Full) => {
            "which envelope it is and what became of it, with title, recipients and fields"
        }
        (Class::Recipient, Payload::Thin) => "of which envelope a recipient did something, and what",
        (Class::Recipient, Payload::Full) => "what a recipient did, with name, addresses and what was typed",
        (Class::Evidence, Payload::Thin) => "of which envelope something was taken or checked",
        (Class::Evidence, Payload::Full) => "what was taken or checked, by whom and from where",
        (Class::Security, Payload::Thin) => "that something happened to sign-ins, members or keys, and what",
        (Class::Security, Payload::Full) => {
            "what happened to sign-ins, members or keys, by whom and from where"
        }
        (Class::Test, _) => return None,
    })
}

/// How messages are signed: in a word, and what it takes.
pub(super) fn profile_words(profile: Profile) -> (&'static str, &'static str) {
    match profile {
        Profile::Standard => (
            "Standard Webhooks",
            "a shared secret (v1) and Ed25519 (v1a) over id, time and body: every library of Standard Webhooks checks it",
        ),
        Profile::Ed25519 => (
            "Standard Webhooks and an HTTP Message Signature, Ed25519",
            "besides, a signature over method, address and headers (RFC 9421): no other address takes the message",
        ),
        Profile::EcdsaP256Sha256 => (
            "Standard Webhooks and an HTTP Message Signature, ECDSA P-256",
            "the same with a key of P-256, for receivers that are bound to NIST curves",
        ),
        Profile::RsaPssSha512 => (
            "Standard Webhooks and an HTTP Message Signature, RSA-PSS",
            "the same with a key of RSA of 3072 bits, for receivers that verify nothing else",
        ),
    }
}

/// A key of an endpoint.
pub(super) struct KeyLine {
    pub(super) id: String,
    pub(super) state: Badge,
    pub(super) means: &'static str,
    pub(super) until: Option<Moment>,
    pub(super) proven: Option<Moment>,
    pub(super) made: Option<Moment>,
    pub(super) is_live: bool,
}

impl KeyLine {
    pub(super) fn of(key: &Key, loaded: &Loaded, now: Time) -> Self {
        let state = key.state.at(now);
        let (badge, means) = match state {
            KeyState::Staged => (Badge::wait("Staged"), "published, and does not sign yet"),
            KeyState::Dual => (Badge::wait("Signs too"), "signs beside the primary key"),
            KeyState::Primary => (Badge::good("Primary"), "signs"),
            KeyState::Retiring(_) => {
                (Badge::wait("Retiring"), "signs beside the new key until its time is over")
            }
            KeyState::Retired => (Badge::plain("Retired"), "gone in its time"),
            KeyState::Revoked => (Badge::bad("Revoked"), "gone before its time"),
        };
        let row = loaded.key_rows.iter().find(|row| row.key == key.id);
        Self {
            id: key.id.to_string(),
            state: badge,
            means,
            until: if let KeyState::Retiring(until) = state { Some(until.into()) } else { None },
            proven: key.proven_at.map(Moment::from),
            made: row.map(|row| row.created_at.into()),
            is_live: state.is_live(),
        }
    }
}

/// A delivery.
pub(super) struct DeliveryLine {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) class: &'static str,
    pub(super) envelope: Option<String>,
    pub(super) seq: u64,
    pub(super) at: Moment,
    pub(super) state: Badge,
    pub(super) is_due: bool,
    pub(super) due: Moment,
    pub(super) attempts: u32,
    pub(super) correlation: String,
    pub(super) is_test: bool,
}

impl DeliveryLine {
    pub(super) fn of(row: &DeliveryRow, reader: Scopes) -> Self {
        let message = &row.message;
        let class = Class::ALL.into_iter().find(|class| u32::from(class.bit()) == message.class);
        let is_of_envelope = !matches!(class, Some(Class::Security | Class::Test) | None);
        Self {
            id: message.message.to_string(),
            kind: if class.is_some_and(|class| class.is_read_by(reader)) {
                message.kind.clone()
            } else {
                "An event that your role may not read".to_owned()
            },
            class: class.map_or("", class_name),
            envelope: is_of_envelope.then(|| message.stream.to_string()),
            seq: message.seq,
            at: message.at.into(),
            state: delivery_words(row.state, row.attempt_count),
            is_due: row.state == DeliveryState::Due,
            due: row.due_at.into(),
            attempts: row.attempt_count,
            correlation: message.correlation.to_string(),
            is_test: class == Some(Class::Test),
        }
    }
}

fn delivery_words(state: DeliveryState, attempts: u32) -> Badge {
    match state {
        DeliveryState::Due if attempts == 0 => Badge::wait("On its way"),
        DeliveryState::Due => Badge::wait("To be tried again"),
        DeliveryState::Parked => Badge::wait("Parked"),
        DeliveryState::Delivered => Badge::good("Delivered"),
        DeliveryState::Failed => Badge::bad("Failed"),
    }
}

/// The states that a list can be cut down to.
pub(super) const DELIVERY_STATES: [(DeliveryState, &str); 4] = [
    (DeliveryState::Due, "On the way, or to be tried again"),
    (DeliveryState::Parked, "Parked while it is blocked"),
    (DeliveryState::Delivered, "Delivered"),
    (DeliveryState::Failed, "Failed"),
];

/// What came of an attempt. A test is not tried again.
pub(super) fn outcome_words(outcome: &str, is_test: bool) -> Badge {
    match outcome {
        "delivered" => Badge::good("Accepted"),
        "gone" => Badge::bad("Gone for good (410)"),
        "token_refused" => Badge::wait("Token refused, sent again with another one"),
        "again" if !is_test => Badge::wait("Failed, to be tried again"),
        _ => Badge::bad("Failed"),
    }
}

/// Text of somebody else: what would be invisible, or turn the order of what is around it, is shown by its number.
pub(super) fn visible(text: &str) -> String {
    let is_unseen = |letter: char| {
        (letter.is_control() && letter != '\n')
            || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let text = text.replace("\r\n", "\n").replace('\t', "    ");
    text.chars().fold(String::new(), |mut shown, letter| {
        if is_unseen(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W-12: what a receiver answers cannot hide or reorder anything on the page.
    #[test]
    fn an_answer_is_shown_with_what_is_invisible_in_it() {
        assert_eq!(visible("ok\r\n\tdone"), "ok\n    done");
        assert_eq!(visible("a\u{202e}b\u{0}c\u{1b}[31m\u{feff}"), "a\\u{202e}b\\u{0}c\\u{1b}[31m\\u{feff}");
        assert_eq!(visible("Grüße \u{20ac}"), "Grüße \u{20ac}");
    }

    /// W-6: what the pages say that an endpoint reads is what it is told.
    #[test]
    fn an_endpoint_is_said_to_read_what_its_scopes_allow() {
        for class in Class::ALL {
            for payload in [Payload::Thin, Payload::Full] {
                let scopes: Scopes = class.needs(payload).into_iter().collect();
                assert_eq!(reads(class, payload, scopes).is_some(), class != Class::Test, "{class:?}");
                assert_eq!(reads(class, payload, Scopes::NONE), None, "{class:?}");
            }
        }
    }
}
