//! The store's tests: one suite for all backends, and what each backend promises besides.

#[cfg(test)]
mod access;
#[cfg(test)]
mod access_command;
#[cfg(test)]
mod basics;
#[cfg(test)]
mod blobs;
#[cfg(test)]
mod command;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod encryption;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod events;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod people;
#[cfg(test)]
mod races;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod sweeps;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod webhooks;
