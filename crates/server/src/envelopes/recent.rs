//! Envelopes that were open a moment ago. A browser asks for the same envelope many times within seconds, and what an
//! event says never changes: a stream whose last event is still the same is not read, decrypted and folded again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use countersign_core::{access::Tenant, id::EnvelopeId, time::Time};

use super::Opened;

/// Most envelopes that are kept.
const KEPT: usize = 128;
/// Most bytes that the events of one may have: memory stays bounded, and few are larger.
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

    /// Keeps an envelope that was read just now, unless it is large or too many others are kept.
    pub(super) fn put(&self, tenant: &Tenant, opened: &Opened, stream_bytes: usize, now: Time) {
        let mut kept = self.kept();
        kept.remove(&(*tenant, opened.envelope));
        if kept.len() >= KEPT {
            kept.retain(|_, kept| is_fresh(kept, now));
        }
        if kept.len() < KEPT && stream_bytes <= STREAM_BYTES {
            kept.insert((*tenant, opened.envelope), Kept { read_at: now, opened: opened.clone() });
        }
    }

    /// Takes in what was added to an envelope that is kept. It is not kept any longer for that.
    pub(super) fn grow(&self, tenant: &Tenant, opened: &Opened) {
        if let Some(kept) = self.kept().get_mut(&(*tenant, opened.envelope)) {
            kept.opened = opened.clone();
        }
    }

    /// Forgets what was read too long ago.
    pub(crate) fn sweep(&self, now: Time) {
        self.kept().retain(|_, kept| is_fresh(kept, now));
    }
}

fn is_fresh(kept: &Kept, now: Time) -> bool {
    (0..KEPT_MS).contains(&now.since_ms(kept.read_at))
}

#[cfg(test)]
mod tests {
    use countersign_core::{access::Environment, envelope::state::Folded, id::OrganizationId};

    use super::*;
    use crate::persons::PersonKeys;

    fn at(ms: i64) -> Time {
        Time::from_unix_ms(1_800_000_000_000 + ms)
    }

    fn tenant(environment: Environment) -> Tenant {
        Tenant::of_stored_row(OrganizationId::new(at(0), [1; 10]), environment)
    }

    fn opened(number: u8) -> Opened {
        Opened {
            envelope: EnvelopeId::new(at(0), [number; 10]),
            folded: Folded::default(),
            events: Vec::new(),
            persons: PersonKeys::default(),
        }
    }

    fn is_kept(recent: &Recent, tenant: &Tenant, number: u8, now: Time) -> bool {
        recent.get(tenant, opened(number).envelope, now).is_some()
    }

    #[test]
    fn an_envelope_is_kept_for_ten_seconds_from_its_reading_however_it_grows() {
        let (recent, mine) = (Recent::default(), tenant(Environment::Live));
        recent.put(&mine, &opened(1), 1_000, at(0));
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
        recent.put(&tenant(Environment::Live), &opened(1), 1_000, at(0));
        assert!(is_kept(&recent, &tenant(Environment::Live), 1, at(0)));
        assert!(!is_kept(&recent, &tenant(Environment::Sandbox), 1, at(0)));
    }

    #[test]
    fn memory_is_bounded_in_number_and_in_size() {
        let (recent, mine) = (Recent::default(), tenant(Environment::Live));
        recent.put(&mine, &opened(200), STREAM_BYTES + 1, at(0));
        assert!(!is_kept(&recent, &mine, 200, at(0)));
        for number in 0..=128 {
            recent.put(&mine, &opened(number), 1_000, at(0));
        }
        assert!(is_kept(&recent, &mine, 127, at(0)) && !is_kept(&recent, &mine, 128, at(0)));
        recent.put(&mine, &opened(128), 1_000, at(10_000));
        assert_eq!(recent.kept().len(), 1, "those that are over make room");
    }
}
