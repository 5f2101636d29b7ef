//! README.md: its receivers are the files beside this one, which are run. Its other snippets are tests of documentation.

#[expect(
    clippy::cast_possible_wrap,
    clippy::disallowed_methods,
    clippy::single_match,
    clippy::unnecessary_wraps,
    reason = "what is shown leaves room for what its reader adds"
)]
mod axum;
mod hyper;
mod transaction;

use std::fs;

use crate::workshop::sdk;

/// W-11: what is run is what README.md shows.
#[test]
fn the_receivers_of_the_readme_are_those_that_are_run() {
    let readme = fs::read_to_string(sdk().join("rust/README.md")).unwrap();
    for source in [
        include_str!("readme/axum.rs"),
        include_str!("readme/hyper.rs"),
        include_str!("readme/transaction.rs"),
    ] {
        let (_, from) = source.split_once("\n\n").unwrap();
        let (shown, _) = from.split_once("\n#[cfg(test)]").unwrap();
        assert!(readme.contains(&format!("```rust\n{shown}```")), "put this into README.md:\n{shown}");
    }
}
