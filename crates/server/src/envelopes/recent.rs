//! Envelopes that were open a moment ago. A browser asks for the same envelope many times within seconds, and what an
//! event says never changes: a stream whose last event is still the same is not read, decrypted and folded again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_core::{access::Tenant, envelope::encode::Recorded, id::EnvelopeId, time::Time};

use super::Opened;

/// Most envelopes that are kept.
const KEPT: usize = 128;
/// Most bytes that the events of one may have, with the values in them: memory stays bounded, and few are larger.
const STREAM_BYTES: usize = 64 * 1024;
/// How long one is kept, in milliseconds: what is erased meanwhile is forgotten this much later.
const KEPT_MS: i64 = 10_000;

/// Envelopes that were open a moment ago, by tenant.
#[derive(Default)]
pub struct Recent(Mutex<HashMap<(Tenant, EnvelopeId), Kept>>);

struct Kept {
    read_at: Time,
    opened: Opened,
}

impl Recent {
    fn kept(&self) -> MutexGuard<'_, HashMap<(Tenant, EnvelopeId), Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The envelope as it was last.
    pub(super) fn get(&self, tenant: &Tenant, envelope: EnvelopeId, now: Time) -> Option<Opened> {
        let kept = self.kept();
        let found = kept.get(&(*tenant, envelope)).filter(|kept| is_fresh(kept, now))?;
        Some(found.opened.clone())
    }

    /// Keeps an envelope that was read or begun just now, unless it is large. If there are too many, the one that was
    /// read longest ago makes room.
    pub(super) fn keep(&self, tenant: &Tenant, opened: &Opened, now: Time) {
        let mut kept = self.kept();
        kept.remove(&(*tenant, opened.envelope));
        if is_large(opened) {
            return;
        }
        if kept.len() >= KEPT {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.read_at).map(|(name, _)| *name);
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        kept.insert((*tenant, opened.envelope), Kept { read_at: now, opened: opened.clone() });
    }

    /// Takes in what was added to an envelope that is kept. It is not kept any longer for that.
    pub(super) fn grow(&self, tenant: &Tenant, opened: &Opened) {
        let mut all = self.kept();
        let name = (*tenant, opened.envelope);
        if is_large(opened) {
            all.remove(&name);
        } else if let Some(kept) = all.get_mut(&name) {
            kept.opened = opened.clone();
        }
    }

    /// Forgets what was read too long ago.
    pub(crate) fn sweep(&self, now: Time) {
        self.kept().retain(|_, kept| is_fresh(kept, now));
    }
}

fn is_large(opened: &Opened) -> bool {
    let size_bytes = |recorded: &Arc<Recorded>| {
        let values = recorded.event.veiled().into_iter().filter_map(|veiled| veiled.value());
        recorded.bytes.len() + values.map(|value| value.disclose().len()).sum::<usize>()
    };
    opened.events.iter().map(size_bytes).sum::<usize>() > STREAM_BYTES
}

fn is_fresh(kept: &Kept, now: Time) -> bool {
    (0..KEPT_MS).contains(&now.since_ms(kept.read_at))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_core::{
        access::Environment,
        envelope::{
            Body, Event,
            encode::{Chain, Recorded},
            event::Actor,
        },
        id::{CorrelationId, OrganizationId},
    };

    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_unix_ms(1_800_000_000_000 + ms)
    }

    fn tenant(environment: Environment) -> Tenant {
        Tenant::of_stored_row(OrganizationId::new(at(0), [1; 10]), environment)
    }

    fn opened(number: u8) -> Opened {
        Opened::empty(EnvelopeId::new(at(0), [number; 10]))
    }

    fn is_kept(recent: &Recent, tenant: &Tenant, number: u8, now: Time) -> bool {
        recent.get(tenant, opened(number).envelope, now).is_some()
    }

    #[test]
    fn an_envelope_is_kept_for_ten_seconds_from_its_reading_however_it_grows() {
        let (recent, mine) = (Recent::default(), tenant(Environment::Live));
        recent.keep(&mine, &opened(1), at(0));
        let mut grown = opened(1);
        grown.folded.last_at = Some(at(9_000));
        recent.grow(&mine, &grown);
        recent.grow(&mine, &opened(2));
        let found = recent.get(&mine, opened(1).envelope, at(9_999)).unwrap();
        assert_eq!(found.folded.last_at, Some(at(9_000)));
        assert!(!is_kept(&recent, &mine, 1, at(10_000)), "it does not live longer for having grown");
        assert!(!is_kept(&recent, &mine, 1, at(-1)), "a clock that was set back ends it too");
        assert!(!is_kept(&recent, &mine, 2, at(0)), "what was never read is not kept");
        recent.sweep(at(10_000));
        assert!(recent.kept().is_empty());
    }

    /// what one tenant read is nothing to another.
    #[test]
    fn an_envelope_is_kept_for_its_tenant_alone() {
        let recent = Recent::default();
        recent.keep(&tenant(Environment::Live), &opened(1), at(0));
        assert!(is_kept(&recent, &tenant(Environment::Live), 1, at(0)));
        assert!(!is_kept(&recent, &tenant(Environment::Sandbox), 1, at(0)));
    }

    /// The envelope with an event of so many bytes.
    fn with_bytes(number: u8, bytes: usize) -> Opened {
        let mut opened = opened(number);
        let envelope = opened.envelope;
        let event = Event {
            envelope,
            seq: 1,
            at: at(0),
            actor: Actor::System,
            correlation: CorrelationId::new(at(0), [0; 10]),
            body: Body::Expired,
        };
        let recorded = Recorded { bytes: vec![b' '; bytes], ..Chain::default().record(event) };
        opened.events.push(Arc::new(recorded));
        opened
    }

    #[test]
    fn memory_is_bounded_in_number_and_in_size() {
        let (recent, mine) = (Recent::default(), tenant(Environment::Live));
        recent.keep(&mine, &with_bytes(200, STREAM_BYTES + 1), at(0));
        assert!(!is_kept(&recent, &mine, 200, at(0)));
        recent.keep(&mine, &with_bytes(200, STREAM_BYTES), at(0));
        assert!(is_kept(&recent, &mine, 200, at(0)));
        recent.grow(&mine, &with_bytes(200, STREAM_BYTES + 1));
        assert!(!is_kept(&recent, &mine, 200, at(0)), "nor what grew large");
        for number in 0..=128 {
            recent.keep(&mine, &opened(number), at(i64::from(number)));
        }
        assert_eq!(recent.kept().len(), KEPT);
        assert!(!is_kept(&recent, &mine, 0, at(128)), "the one that was read longest ago made room");
        assert!(is_kept(&recent, &mine, 1, at(128)) && is_kept(&recent, &mine, 128, at(128)));
    }
}
