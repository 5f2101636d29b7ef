//! Whether a delivery may start now: half of the slots are kept for first attempts, no organization has more than a quarter
//! while others wait, and an endpoint has as many as it showed to take (W-4). So a receiver that takes its time, or a thousand of
//! them, holds up nobody's first attempts.

use std::num::NonZeroU32;

/// Deliveries that are in work, on one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// All.
    pub total: u32,
    /// Those of them that were tried before.
    pub repeated: u32,
    /// Those of the candidate's organization.
    pub of_organization: u32,
    /// Those of the candidate's endpoint.
    pub of_endpoint: u32,
}

/// A delivery that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Whether it was never tried.
    pub is_first: bool,
    /// Whether deliveries of other organizations wait.
    pub others_wait: bool,
    /// How many its endpoint takes at the same time.
    pub endpoint_limit: u8,
}

/// Why a delivery does not start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// All slots are taken.
    Full,
    /// Those that are left are kept for first attempts.
    KeptForFirst,
    /// Its organization has its share.
    Organization,
    /// Its endpoint has as many as it takes.
    Endpoint,
}

/// Decides whether a delivery may start on a server with so many slots.
pub fn may_start(slots: NonZeroU32, in_flight: InFlight, candidate: Candidate) -> Result<(), Held> {
    if in_flight.total >= slots.get() {
        return Err(Held::Full);
    }
    if in_flight.of_endpoint >= u32::from(candidate.endpoint_limit.max(1)) {
        return Err(Held::Endpoint);
    }
    // At least one each: else a server with few slots would never try again, or serve nobody.
    if !candidate.is_first && in_flight.repeated >= (slots.get() / 2).max(1) {
        return Err(Held::KeptForFirst);
    }
    if candidate.others_wait && in_flight.of_organization >= (slots.get() / 4).max(1) {
        return Err(Held::Organization);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SLOTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);
    const FIRST: Candidate = Candidate { is_first: true, others_wait: false, endpoint_limit: 32 };
    const AGAIN: Candidate = Candidate { is_first: false, ..FIRST };

    /// W-4: a thousand deliveries that hang take half of the slots and no more.
    #[test]
    fn half_of_the_slots_are_kept_for_first_attempts() {
        let hanging = InFlight { total: 32, repeated: 32, ..InFlight::default() };
        assert_eq!(may_start(SLOTS, hanging, AGAIN), Err(Held::KeptForFirst));
        assert_eq!(may_start(SLOTS, hanging, FIRST), Ok(()));
        let one_less = InFlight { total: 63, repeated: 31, ..InFlight::default() };
        assert_eq!(may_start(SLOTS, one_less, AGAIN), Ok(()));
        let full = InFlight { total: 64, repeated: 31, ..InFlight::default() };
        assert_eq!(may_start(SLOTS, full, FIRST), Err(Held::Full));
    }

    /// W-4: while others wait an organization has a quarter; alone it may have all.
    #[test]
    fn an_organization_has_a_quarter_while_others_wait() {
        let share = InFlight { total: 16, of_organization: 16, ..InFlight::default() };
        let contested = Candidate { others_wait: true, ..FIRST };
        assert_eq!(may_start(SLOTS, share, contested), Err(Held::Organization));
        assert_eq!(may_start(SLOTS, share, FIRST), Ok(()));
        let less = InFlight { of_organization: 15, ..share };
        assert_eq!(may_start(SLOTS, less, contested), Ok(()));
    }

    /// W-4: an endpoint has as many as it showed to take, and one always.
    #[test]
    fn an_endpoint_has_as_many_as_it_takes() {
        let busy = InFlight { total: 3, of_endpoint: 3, ..InFlight::default() };
        let takes = |endpoint_limit: u8| Candidate { endpoint_limit, ..FIRST };
        assert_eq!(may_start(SLOTS, busy, takes(3)), Err(Held::Endpoint));
        assert_eq!(may_start(SLOTS, busy, takes(4)), Ok(()));
        assert_eq!(may_start(SLOTS, InFlight::default(), takes(0)), Ok(()));
    }

    proptest! {
        /// W-4: whatever a server's size and whatever comes, something starts where nothing is in work, and the bounds hold.
        #[test]
        fn nothing_is_starved_and_no_bound_is_passed(
            slots in 1_u32..100,
            comes in proptest::collection::vec((any::<bool>(), any::<bool>(), 0_u32..4, 0_u8..33), 1..200),
        ) {
            let slots = NonZeroU32::new(slots).unwrap();
            let (mut total, mut repeated, mut of) = (0, 0, [0_u32; 4]);
            for (is_first, others_wait, organization, endpoint_limit) in comes {
                let of_organization = of[organization as usize];
                let in_flight = InFlight { total, repeated, of_organization, of_endpoint: of_organization };
                let candidate = Candidate { is_first, others_wait, endpoint_limit };
                let verdict = may_start(slots, in_flight, candidate);
                prop_assert!(total > 0 || verdict == Ok(()));
                if verdict.is_ok() {
                    total += 1;
                    repeated += u32::from(!is_first);
                    of[organization as usize] += 1;
                    prop_assert!(total <= slots.get() && repeated <= (slots.get() / 2).max(1));
                    prop_assert!(!others_wait || of[organization as usize] <= (slots.get() / 4).max(1));
                }
            }
        }
    }
}
