//! What a receiver checks, in the order of the wire format.

use sha2::{Digest as _, Sha256};

use crate::event::Event;
use crate::headers::{self, Headers, Scheme, Signature};
use crate::ids::KeyId;
use crate::incoming::Incoming;
use crate::keys::{Held, KeySet};
use crate::message_signature::{self, Received};
use crate::refused::Refused;
use crate::replay::{Attempt, Remembered, ReplayStore, StoreFault};
use crate::signed::signed_text;

/// How long a body may be, in bytes, unless the receiver says otherwise.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long an id is kept, so that a message is acted on once: longer than anybody can have the sender send it again, which is 29 days.
const ID_LIFETIME_S: i64 = 35 * 24 * 60 * 60;

/// Which proof of origin a receiver takes. Nothing else is looked at: there is no falling back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// `v1`: HMAC-SHA256 with the shared secret.
    V1,
    /// `v1a`: Ed25519 with the public key. The receiver holds nothing that could sign.
    V1a,
    /// `v1` or `v1a`, whichever key is held. As strong as the weaker one that is held.
    V1OrV1a,
    /// An HTTP Message Signature, which covers method, place and headers too. The endpoint has to have chosen it.
    MessageSignature,
}

/// How far the time of a message may be from the receiver's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// Five minutes.
    #[default]
    FiveMinutes,
    /// Two minutes, for receivers whose clock is kept well.
    TwoMinutes,
}

impl Window {
    /// The window in seconds.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::FiveMinutes => 300,
            Self::TwoMinutes => 120,
        }
    }
}

/// A message that was taken. In both cases the answer is 200.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// Act on it, and say so ([`Verifier::acted`]).
    New(Event),
    /// It was acted on before, in another attempt: do nothing.
    Duplicate(Event),
}

/// Checks webhooks: what is accepted, within which window, up to which size. It has no clock and no keys of its own.
#[derive(Clone, Copy, Debug)]
pub struct Verifier {
    accept: Accept,
    window: Window,
    body_bytes_max: usize,
}

impl Verifier {
    /// Accepts one kind of proof, within five minutes, with a body of up to 256 KiB.
    pub const fn new(accept: Accept) -> Self {
        Self { accept, window: Window::FiveMinutes, body_bytes_max: BODY_BYTES_MAX }
    }

    /// The same with another window.
    #[must_use]
    pub const fn with_window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// The same with another size of the body, in bytes.
    #[must_use]
    pub const fn with_body_bytes_max(mut self, body_bytes_max: usize) -> Self {
        self.body_bytes_max = body_bytes_max;
        self
    }

    /// Checks all of it, in the order of the wire format. `now_s` is the clock: seconds since 1970.
    ///
    /// When you have acted on what is [`New`](Taken::New), call [`acted`](Self::acted), and only then answer. If acting
    /// fails, or the process ends before, the next attempt is new again. To have message and memory in one transaction,
    /// use [`authenticate`](Self::authenticate) and [`attempt`](Self::attempt).
    pub fn verify(
        &self,
        incoming: &Incoming<'_>,
        keys: &KeySet,
        store: &dyn ReplayStore,
        now_s: i64,
    ) -> Result<Taken, Refused> {
        let event = self.authenticate(incoming, keys, now_s)?;
        match store.remember(&self.attempt(&event, now_s), now_s) {
            Ok(Remembered::New) => Ok(Taken::New(event)),
            Ok(Remembered::Duplicate) => Ok(Taken::Duplicate(event)),
            Ok(Remembered::Replayed) => Err(Refused::Replayed),
            Err(fault) => Err(Refused::Unavailable { reason: fault.to_string() }),
        }
    }

    /// Says that a message was acted on: its next attempts are duplicates.
    pub fn acted(&self, event: &Event, store: &dyn ReplayStore, now_s: i64) -> Result<(), StoreFault> {
        store.acted(&self.attempt(event, now_s), now_s)
    }

    /// Checks all but whether the message was seen before: that it is ours, fresh and unchanged. Somebody who
    /// overheard it can send it again within the window: remember its [`attempt`](Self::attempt) before acting on it.
    pub fn authenticate(&self, incoming: &Incoming<'_>, keys: &KeySet, now_s: i64) -> Result<Event, Refused> {
        if incoming.body().len() > self.body_bytes_max {
            return Err(Refused::TooLarge { bytes_max: self.body_bytes_max });
        }
        headers::refuse_encoding(incoming)?;
        let headers = Headers::read(incoming)?;
        if self.accept == Accept::MessageSignature {
            let received = message_signature::received(incoming, &headers)?;
            let digest = message_signature::stated_digest(incoming)?;
            self.check_time(headers.timestamp_s, now_s)?;
            let key_id = self.check_message_signature(&headers, &received, keys, now_s)?;
            // It is covered; that the body is the one it is of has to be seen here (RFC 9530 §6.3).
            if digest.as_slice() != Sha256::digest(incoming.body()).as_slice() {
                return Err(Refused::BadSignature);
            }
            return Event::read(headers, key_id, true, incoming.body());
        }
        self.check_time(headers.timestamp_s, now_s)?;
        let key_id = self.check_signatures(incoming, &headers, keys)?;
        Event::read(headers, key_id, false, incoming.body())
    }

    /// What has to be remembered of a verified event, and until when: for a store of your own.
    pub fn attempt(&self, event: &Event, now_s: i64) -> Attempt {
        // Both edges of the window are taken: what was signed a window ahead is taken for twice the window and a second.
        let twice_the_window_s = 2 * i64::from(self.window.seconds()) + 1;
        Attempt {
            id: event.id,
            signed_at_s: event.signed_at_s,
            attempt_until_s: now_s.saturating_add(twice_the_window_s),
            id_until_s: now_s.saturating_add(ID_LIFETIME_S),
        }
    }

    fn check_time(&self, timestamp_s: i64, now_s: i64) -> Result<(), Refused> {
        let window_s = self.window.seconds();
        let age_s = now_s.saturating_sub(timestamp_s);
        if age_s > i64::from(window_s) {
            Err(Refused::Stale { window_s })
        } else if age_s < -i64::from(window_s) {
            Err(Refused::Future { window_s })
        } else {
            Ok(())
        }
    }

    /// `v1` and `v1a`: one signature by one of the named keys that are held.
    fn check_signatures(
        &self,
        incoming: &Incoming<'_>,
        headers: &Headers,
        keys: &KeySet,
    ) -> Result<KeyId, Refused> {
        let takes_v1 = matches!(self.accept, Accept::V1 | Accept::V1OrV1a);
        let takes_v1a = matches!(self.accept, Accept::V1a | Accept::V1OrV1a);
        let is_usable =
            |held: &Held| (takes_v1 && held.secret.is_some()) || (takes_v1a && held.ed25519.is_some());
        let held: Vec<(KeyId, &Held)> =
            named_and_held(headers, keys).filter(|(_, held)| is_usable(held)).collect();
        if held.is_empty() {
            return Err(Refused::UnknownKey);
        }
        let text = if takes_v1a {
            signed_text(&headers.id, headers.timestamp_s, incoming.body())
        } else {
            Vec::new()
        };
        let is_right = |held: &Held, signature: &Signature| match signature.scheme {
            Scheme::V1 if takes_v1 => held.secret.as_ref().is_some_and(|secret| {
                secret.verify(&headers.id, headers.timestamp_s, incoming.body(), &signature.bytes)
            }),
            Scheme::V1a if takes_v1a => {
                held.ed25519.as_ref().is_some_and(|key| key.verify(&text, &signature.bytes))
            }
            Scheme::V1 | Scheme::V1a | Scheme::Unknown => false,
        };
        held.into_iter()
            .find(|(_, held)| headers.signatures.iter().any(|signature| is_right(held, signature)))
            .map(|(id, _)| id)
            .ok_or(Refused::BadSignature)
    }

    /// The HTTP Message Signature: one that a held key made, over the request as it is here.
    fn check_message_signature(
        &self,
        headers: &Headers,
        received: &[Received],
        keys: &KeySet,
        now_s: i64,
    ) -> Result<KeyId, Refused> {
        if received.iter().any(|one| one.expires_s.is_some_and(|expires_s| expires_s < now_s)) {
            return Err(Refused::Stale { window_s: self.window.seconds() });
        }
        if !named_and_held(headers, keys).any(|(_, held)| held.of_messages().is_some()) {
            return Err(Refused::UnknownKey);
        }
        // The algorithm is the key's own; what the message says of it has to agree (RFC 9421 §3.2).
        let is_right = |one: &&Received| {
            keys.get(&one.key_id).and_then(Held::of_messages).is_some_and(|key| {
                one.algorithm == key.algorithm().name() && key.verify(one.base.as_bytes(), &one.signature)
            })
        };
        received.iter().find(is_right).map(|one| one.key_id).ok_or(Refused::BadSignature)
    }
}

fn named_and_held<'k>(headers: &Headers, keys: &'k KeySet) -> impl Iterator<Item = (KeyId, &'k Held)> {
    headers.key_ids.clone().into_iter().filter_map(|id| Some((id, keys.get(&id)?)))
}
