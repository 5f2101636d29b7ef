//! Tests of evidence packages, sealed PDFs and the program that checks them.

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
#[path = "../../../core/tests/it/asks.rs"]
mod asks;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod files;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod judges;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod passkeys;
#[cfg(test)]
mod program;
#[cfg(test)]
mod replayed;
#[cfg(test)]
mod story;
#[cfg(test)]
mod untouched;
#[cfg(test)]
#[expect(dead_code, reason = "the tests of the rules, where it is from, use all of it")]
#[path = "../../../core/tests/it/world.rs"]
mod world;
