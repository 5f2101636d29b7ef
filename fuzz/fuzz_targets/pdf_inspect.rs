//! An upload: inspected within bounds, refused or ready to be sealed; never a panic.
#![no_main]

use countersign_pdf::inspect::{Limits, inspect};

libfuzzer_sys::fuzz_target!(|pdf: &[u8]| {
    // Small bounds keep each run short; the paths are the same.
    let limits = Limits {
        work: 20_000_000,
        total_stream_bytes: 8 << 20,
        structure_bytes: 4 << 20,
        ..Limits::default()
    };
    let _ = inspect(pdf, &limits);
});
