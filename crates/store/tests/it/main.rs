//! The store's tests: one suite for all backends, and what each backend promises besides.

#[cfg(test)]
mod basics;
#[cfg(test)]
mod rows;
