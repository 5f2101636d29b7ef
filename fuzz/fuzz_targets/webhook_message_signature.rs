//! The structured fields of an HTTP Message Signature (RFC 9421 §4): `signature-input`, `signature` and `content-digest`, a line each, in a
//! request that is right otherwise.
#![no_main]

use countersign_webhooks::{Accept, Incoming, Verifier};

mod webhooks;

const RIGHT: &[u8] = include_bytes!("../seeds/webhook_request/http-ed25519");

libfuzzer_sys::fuzz_target!(|lines: &[u8]| {
    let (input, rest) = webhooks::split(lines, b"\n");
    let (signature, digest) = webhooks::split(rest, b"\n");
    let fields = [("signature-input", input), ("signature", signature), ("content-digest", digest)];
    let (head, body) = webhooks::split(RIGHT, b"\n\n");
    let others = webhooks::headers(head).filter(|(name, _)| fields.iter().all(|(field, _)| field != name));
    let incoming = Incoming::new("POST", webhooks::PLACE, others.chain(fields), body);
    webhooks::judge(&Verifier::new(Accept::MessageSignature), &incoming);
});
