//! A webhook as it comes in: lines of headers, an empty line, and the body. It is refused, or it is one that the keys signed.
#![no_main]

use countersign_webhooks::{Accept, Incoming, Verifier};

mod webhooks;

libfuzzer_sys::fuzz_target!(|request: &[u8]| {
    let (head, body) = webhooks::split(request, b"\n\n");
    let incoming = Incoming::new("POST", webhooks::PLACE, webhooks::headers(head), body);
    let _ = incoming.key_ids();
    for accept in [Accept::V1, Accept::V1a, Accept::V1OrV1a, Accept::MessageSignature] {
        webhooks::judge(&Verifier::new(accept), &incoming);
    }
});
