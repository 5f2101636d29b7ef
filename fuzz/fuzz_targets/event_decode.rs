//! An event's bytes: what is read has one encoding, and folding it never panics.
#![no_main]

use countersign_core::envelope::{Chain, State};

libfuzzer_sys::fuzz_target!(|stream: &[u8]| {
    let (mut chain, mut state) = (Chain::default(), State::default());
    for line in stream.split(|byte| *byte == b'\n') {
        let Ok(recorded) = chain.follow(line) else { return };
        assert_eq!(recorded.bytes, line, "an event has one encoding");
        state.apply(&recorded.event);
    }
});
