//! What a receiver is given to verify with: JWK sets, secrets, public keys and the URL of its endpoint. All is refused or usable.
#![no_main]

use countersign_webhooks::{JWKS_BYTES_MAX, KeySet, Place, PublicKey, Secret};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(set) = KeySet::from_jwks(bytes) {
        assert!(bytes.len() <= JWKS_BYTES_MAX, "what is too long is refused");
        assert!(set.ids().all(|id| set.holds(id)), "what it names it holds");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(secret) = text.parse::<Secret>() {
            assert_eq!(*secret.expose(), text, "a secret has one form");
        }
        let _ = (text.parse::<PublicKey>(), Place::of_url(text));
    }
});
