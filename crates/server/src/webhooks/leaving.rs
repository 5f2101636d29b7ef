//! Endpoints that left the shelf a while ago. A commit that began before that may put a delivery there after it, where nobody looks
//! for those of such an endpoint: so it is looked after once more soon, and at each beat for longer than a commit takes.

use countersign_core::{id::EndpointId, time::Time};

/// Nearly all commits that began before have ended by then.
pub(super) const SOON_MS: i64 = 250;
/// No commit takes so long.
const LOOKED_AFTER_MS: i64 = 60_000;

/// The endpoints, with the moment when each left.
#[derive(Default)]
pub(super) struct Leaving(Vec<(EndpointId, Time)>);

impl Leaving {
    /// An endpoint leaves the shelf.
    pub(super) fn leaves(&mut self, endpoint: EndpointId, now: Time) {
        self.0.retain(|(other, _)| *other != endpoint);
        self.0.push((endpoint, now));
    }

    /// Those to look after at this moment; each at least once, however late that is.
    pub(super) fn look_after(&mut self, now: Time) -> Vec<EndpointId> {
        let all = self.0.iter().map(|(endpoint, _)| *endpoint).collect();
        self.0.retain(|(_, left)| now.since_ms(*left) < LOOKED_AFTER_MS);
        all
    }

    /// How many left at this moment.
    pub(super) fn left_at(&self, now: Time) -> usize {
        self.0.iter().filter(|(_, left)| *left == now).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_left_is_looked_after_for_a_minute_and_at_least_once() {
        let (one, two) = (EndpointId::from_bytes([1; 16]), EndpointId::from_bytes([2; 16]));
        let begin = Time::from_unix_ms(1_000_000);
        let after = |ms: i64| begin.plus_ms(ms);
        let mut leaving = Leaving::default();
        assert_eq!((leaving.look_after(begin), leaving.left_at(begin)), (vec![], 0));
        leaving.leaves(one, begin);
        assert_eq!((leaving.left_at(begin), leaving.left_at(after(SOON_MS))), (1, 0));
        assert_eq!(leaving.look_after(after(SOON_MS)), [one]);
        leaving.leaves(two, after(30_000));
        assert_eq!(leaving.look_after(after(59_999)), [one, two]);
        assert_eq!(leaving.look_after(after(75_000)), [one, two], "late, but once more");
        assert_eq!(leaving.look_after(after(80_000)), [two]);
        leaving.leaves(two, after(85_000));
        assert_eq!(leaving.look_after(after(140_000)), [two], "it left again");
        assert_eq!(leaving.look_after(after(500_000)), [two]);
        assert!(leaving.look_after(after(500_001)).is_empty());
    }
}
