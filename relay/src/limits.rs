//! What one address, one sender, and all bodies together may cost. All of it is counted in memory and bounded.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use hyper::header::HeaderMap;
use ipnet::IpNet;

use crate::queue::Depth;

/// Addresses that are counted at once at most; beyond that, strangers are asked to wait.
const ADDRESSES_MAX: usize = 100_000;

/// What counts as one address: an IPv4 address, or the network of 64 bits that one customer has in IPv6.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The client's address: the other end of the connection or, where that is a trusted proxy, what the proxy says. Of
/// `X-Forwarded-For`, which anybody can begin, only the end is believed.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter();
    let named: Vec<&str> =
        lines.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    for text in named.iter().rev() {
        // A trusted proxy that writes nonsense is not believed any further.
        let Ok(address) = text.trim().parse::<IpAddr>() else { return peer };
        let address = address.to_canonical();
        if !is_trusted(&address) {
            return address;
        }
    }
    peer
}

/// Connections of each address.
#[derive(Debug)]
pub struct Crowd {
    most: u32,
    trusted: Vec<IpNet>,
    here: Mutex<HashMap<IpAddr, u32>>,
}

/// One of the connections of an address, until it is dropped.
pub struct OneOf {
    crowd: Arc<Crowd>,
    address: Option<IpAddr>,
}

impl Crowd {
    /// So many for each address, trusted proxies apart.
    pub fn new(most: u32, trusted: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { most, trusted, here: Mutex::default() })
    }

    /// Counts one more, if there is room for it.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<OneOf> {
        if self.trusted.iter().any(|network| network.contains(&address)) {
            return Some(OneOf { crowd: Arc::clone(self), address: None });
        }
        let address = counted(address);
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let count = here.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(OneOf { crowd: Arc::clone(self), address: Some(address) })
    }

    /// Connections that are counted.
    pub fn count(&self) -> u64 {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).values().map(|count| u64::from(*count)).sum()
    }
}

impl Drop for OneOf {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut here = self.crowd.here.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = here.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                here.remove(&address);
            }
        }
    }
}

/// Requests of each address.
pub struct AddressPace {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl AddressPace {
    /// So many in a second.
    pub fn new(per_s: u32) -> Self {
        Self { limiter: RateLimiter::keyed(quota(per_s)), clock: DefaultClock::default() }
    }

    /// Counts one; how many seconds to wait if it is one too many.
    pub fn count(&self, address: IpAddr) -> Result<(), u64> {
        if self.limiter.len() > ADDRESSES_MAX {
            self.forget();
            if self.limiter.len() > ADDRESSES_MAX {
                return Err(1);
            }
        }
        self.limiter
            .check_key(&counted(address))
            .map_err(|until| wait_s(until.wait_time_from(self.clock.now())))
    }

    /// Forgets addresses that have waited long enough.
    pub fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// Messages of a sender.
pub struct SenderPace {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl SenderPace {
    /// So many in a second.
    pub fn new(per_s: u32) -> Self {
        Self { limiter: RateLimiter::direct(quota(per_s)), clock: DefaultClock::default() }
    }

    /// Counts one; how many seconds to wait if it is one too many.
    pub fn count(&self) -> Result<(), u64> {
        self.limiter.check().map_err(|until| wait_s(until.wait_time_from(self.clock.now())))
    }
}

fn quota(per_s: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(per_s).unwrap_or(NonZeroU32::MIN))
}

fn wait_s(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(1)
}

/// What all bodies that are on their way hold together.
#[derive(Debug)]
pub struct Bodies {
    most: usize,
    held: AtomicUsize,
}

/// What one body holds of it.
pub struct Share<'b> {
    bodies: &'b Bodies,
    bytes: usize,
}

impl Bodies {
    /// So many bytes.
    pub fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0) }
    }

    /// A body that holds nothing yet.
    pub fn share(&self) -> Share<'_> {
        Share { bodies: self, bytes: 0 }
    }

    /// What they hold.
    pub fn bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Share<'_> {
    /// Takes more, if there is room.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.bodies.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|held| *held <= self.bodies.most)
        });
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.bodies.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How full the queue is: as it was last seen, and what came since.
#[derive(Debug)]
pub struct Room {
    most: (u64, u64),
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Messages and bytes that came since the start.
    came: (u64, u64),
    /// What of these the last look may not have seen is added to what it saw.
    came_before: (u64, u64),
    seen: Option<Depth>,
}

/// A look at the queue that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Look((u64, u64));

impl Room {
    /// So many messages and bytes.
    pub fn new(messages: u64, bytes: u64) -> Self {
        Self { most: (messages, bytes), counts: Mutex::default() }
    }

    /// Whether there is room for one more message. What was set aside takes room as well: the disk is finite.
    pub fn is_left(&self) -> bool {
        let depth = self.depth().unwrap_or_default();
        depth.messages.saturating_add(depth.dead) < self.most.0 && depth.bytes < self.most.1
    }

    /// One more came.
    pub fn add(&self, bytes: usize) {
        let came = &mut self.counts().came;
        *came = (came.0 + 1, came.1 + bytes as u64);
    }

    /// Begins to look at the queue.
    pub fn look(&self) -> Look {
        Look(self.counts().came)
    }

    /// It was looked at; none if that failed.
    pub fn seen(&self, look: Look, depth: Option<Depth>) {
        let mut counts = self.counts();
        counts.came_before = look.0;
        counts.seen = depth;
    }

    /// How full it is; none if the queue could not be read at the last look.
    pub fn depth(&self) -> Option<Depth> {
        let counts = *self.counts();
        let depth = counts.seen?;
        Some(Depth {
            messages: depth.messages + (counts.came.0 - counts.came_before.0),
            bytes: depth.bytes + (counts.came.1 - counts.came_before.1),
            ..depth
        })
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::headers_of;

    #[test]
    fn only_what_a_trusted_proxy_says_last_is_believed() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let found = |peer: &str, forwarded: &str| {
            let headers = headers_of(&[("x-forwarded-for", forwarded)]);
            client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
        };
        assert_eq!(found("192.0.2.1", "203.0.113.9"), "192.0.2.1");
        assert_eq!(found("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.9.9.9"), "203.0.113.9");
        assert_eq!(found("10.0.0.1", "1.2.3.4, unknown"), "10.0.0.1");
    }

    #[test]
    fn a_customer_of_ipv6_is_one_address() {
        let crowd = Crowd::new(1, vec!["2001:db8:1::/48".parse().unwrap()]);
        let first = crowd.enter("2001:db8::1".parse().unwrap());
        assert!(first.is_some());
        assert!(crowd.enter("2001:db8::2".parse().unwrap()).is_none());
        assert!(crowd.enter("2001:db8:0:1::2".parse().unwrap()).is_some());
        let proxies: Vec<_> = (0..3).map(|_| crowd.enter("2001:db8:1::1".parse().unwrap())).collect();
        assert!(proxies.iter().all(Option::is_some));
        drop(first);
        assert!(crowd.enter("2001:db8::2".parse().unwrap()).is_some());
    }

    #[test]
    fn bodies_share_what_there_is() {
        let bodies = Bodies::new(10);
        let (mut one, mut two) = (bodies.share(), bodies.share());
        assert!(one.grow(6) && !two.grow(5) && two.grow(4));
        drop(one);
        assert!(two.grow(6) && bodies.bytes() == 10);
    }

    #[test]
    fn what_came_while_somebody_looked_counts() {
        let room = Room::new(3, 1_000);
        let look = room.look();
        room.add(10);
        room.seen(look, Some(Depth { messages: 1, bytes: 5, ..Depth::default() }));
        assert_eq!(room.depth().map(|depth| (depth.messages, depth.bytes)), Some((2, 15)));
        assert!(room.is_left());
        room.add(10);
        assert!(!room.is_left());
        room.seen(room.look(), Some(Depth::default()));
        assert!(room.is_left());
        room.seen(room.look(), None);
        assert_eq!(room.depth(), None);
        assert!(room.is_left(), "whether it can be kept is seen when it is kept");
    }
}
