//! An upload: inspected within bounds, refused, or sealed so that the seal verifies; never a panic.
#![no_main]

#[path = "../../crates/pdf/tests/it/throwaway.rs"]
mod throwaway;

use countersign_pdf::inspect::{Limits, inspect};

libfuzzer_sys::fuzz_target!(|pdf: &[u8]| {
    // Small bounds keep each run short; the paths are the same.
    let limits = Limits {
        work: 20_000_000,
        total_stream_bytes: 8 << 20,
        structure_bytes: 4 << 20,
        copied_bytes: 2 << 20,
        ..Limits::default()
    };
    if inspect(pdf, &limits).is_ok() {
        throwaway::assert_sealable(pdf, &limits);
    }
});
