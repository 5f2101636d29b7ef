//! The relay, tested as those use it who run it: the real program, over HTTP, with a system behind it.

#[cfg(test)]
mod checked;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod judges;
#[cfg(test)]
mod order;
#[cfg(test)]
mod program;
#[cfg(test)]
mod pull;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod system;
// The store's own PostgreSQL for tests, as a file: the relay may not depend on the store, not even in its tests.
#[cfg(test)]
#[path = "../../../crates/store/src/testing/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "it is the store's, which uses all of it and shows it to others"
)]
mod testing;
