//! What the targets of the webhook verifier share: a receiver that holds keys of the vectors, and takes their messages as of now.

use std::sync::LazyLock;

use countersign_webhooks::{Incoming, KeySet, Place, Verifier};

/// The place of the vectors.
pub const PLACE: Place<'static> = Place {
    scheme: "https",
    authority: "receiver.example",
    path: "/hooks/countersign",
    query: Some("tenant=7"),
};

/// A secret, and a JWK set.
static KEYS: LazyLock<Option<[KeySet; 2]>> = LazyLock::new(|| {
    let id = "whk_01kbz3334m2271gfab3zbh556q".parse().ok()?;
    let secret = include_str!("../../seeds/webhook_keys/secret").parse().ok()?;
    let published = KeySet::from_jwks(include_bytes!("../../seeds/webhook_keys/jwks.json")).ok()?;
    Some([KeySet::new().with_secret(id, secret), published])
});

/// Verifies a request, and looks at all that comes of it.
pub fn judge(verifier: &Verifier, incoming: &Incoming<'_>) {
    assert!(KEYS.is_some(), "the seeds are keys");
    for keys in KEYS.iter().flatten() {
        match verifier.authenticate(incoming, keys, 1_795_342_830) {
            Ok(event) => assert!(!event.kind.is_empty(), "an event has a type"),
            Err(refused) => assert!((400..=503).contains(&refused.status()), "{refused}"),
        }
    }
}

/// The lines of a head as headers.
pub fn headers(head: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    head.split(|byte| *byte == b'\n').filter_map(|line| {
        let (name, value) = split(line, b": ");
        Some((std::str::from_utf8(name).ok()?, value))
    })
}

/// Before and after the first of these, or all of it.
pub fn split<'b>(bytes: &'b [u8], by: &[u8]) -> (&'b [u8], &'b [u8]) {
    let at = bytes.windows(by.len()).position(|found| found == by);
    at.map_or((bytes, &[]), |at| (&bytes[..at], &bytes[at + by.len()..]))
}
