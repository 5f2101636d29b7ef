//! How fast what was parked goes out again: so many of an endpoint, and so many of all, in each span of time. A receiver that was
//! kept from everything is not flooded by it, and neither is this server when everything is released.

use std::collections::BTreeSet;

use crate::{id::EndpointId, limits, time::Time};

/// The span that is counted, in milliseconds.
pub const SPAN_MS: i64 = 2_000;

/// Deliveries of one endpoint in a span.
pub fn of_endpoint() -> usize {
    per_span(limits::WEBHOOK_RELEASED_PER_S)
}

fn per_span(per_s: usize) -> usize {
    per_s * usize::try_from(SPAN_MS / 1_000).unwrap_or(1)
}

/// What one server released lately.
#[derive(Clone, Debug, Default)]
pub struct Releases {
    until: Option<Time>,
    count: usize,
    endpoints: BTreeSet<EndpointId>,
}

impl Releases {
    /// How many deliveries of an endpoint may be released now. They count as released: what was not is given back.
    pub fn take(&mut self, endpoint: EndpointId, now: Time) -> usize {
        // A clock that went back begins anew.
        let is_over = |until: Time| until <= now || until.since_ms(now) > SPAN_MS;
        if self.until.is_none_or(is_over) {
            *self = Self { until: Some(now.plus_ms(SPAN_MS)), ..Self::default() };
        }
        let left = per_span(limits::WEBHOOK_RELEASED_IN_ALL_PER_S).saturating_sub(self.count);
        let given = of_endpoint().min(left);
        if given == 0 || !self.endpoints.insert(endpoint) {
            return 0;
        }
        self.count += given;
        given
    }

    /// Gives back what was taken for an endpoint and not released. One of which nothing was may take again.
    pub fn give_back(&mut self, endpoint: EndpointId, count: usize, released: usize) {
        self.count = self.count.saturating_sub(count.saturating_sub(released));
        if released == 0 {
            self.endpoints.remove(&endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(number: u8) -> EndpointId {
        EndpointId::from_bytes([number; 16])
    }

    /// M-3: an endpoint has so many in a span, whoever asks and however often, and all have so many together.
    #[test]
    fn what_was_parked_goes_out_at_a_bounded_rate() {
        let (mut releases, now) = (Releases::default(), Time::from_unix_ms(5_000));
        assert_eq!(releases.take(endpoint(1), now), of_endpoint());
        assert_eq!(releases.take(endpoint(1), now.plus_ms(SPAN_MS - 1)), 0);
        assert_eq!(releases.take(endpoint(1), now.plus_ms(SPAN_MS)), of_endpoint());
        let all: usize = (2..200).map(|number| releases.take(endpoint(number), now.plus_ms(SPAN_MS))).sum();
        assert_eq!(all + of_endpoint(), per_span(limits::WEBHOOK_RELEASED_IN_ALL_PER_S));
    }

    #[test]
    fn what_was_not_released_is_given_back() {
        let (mut releases, now) = (Releases::default(), Time::from_unix_ms(5_000));
        let taken = releases.take(endpoint(1), now);
        releases.give_back(endpoint(1), taken, 0);
        assert_eq!(releases.take(endpoint(1), now), taken);
        releases.give_back(endpoint(1), taken, 1);
        assert_eq!((releases.take(endpoint(1), now), releases.count), (0, 1));
    }

    #[test]
    fn a_clock_that_goes_back_stops_no_release() {
        let (mut releases, now) = (Releases::default(), Time::from_unix_ms(500_000));
        assert!(releases.take(endpoint(1), now) > 0);
        assert!(releases.take(endpoint(1), now.plus_ms(-100_000)) > 0);
    }
}
