//! DPoP nonces that need no store: a MAC over the minute, good in its minute and in the next (RFC 9449 §8, §9, G-7).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    limits,
    secret::{Secret, equal_in_constant_time},
    time::Time,
};

const DOMAIN: &[u8] = b"countersign/dpop-nonce/v1";
const NONCE_BYTES: usize = 16;

/// The key under which nonces are made; the same on every node.
#[derive(Clone, Debug)]
pub struct NonceKey(Secret<[u8; 32]>);

impl NonceKey {
    /// Of 32 random or derived bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Secret::new(key))
    }

    /// The nonce to hand out at `now`.
    pub fn issue(&self, now: Time) -> String {
        URL_SAFE_NO_PAD.encode(self.of_step(step(now)))
    }

    /// Whether `nonce` was handed out in this step or in the one before.
    pub fn is_good(&self, nonce: &str, now: Time) -> bool {
        let Ok(found) = URL_SAFE_NO_PAD.decode(nonce) else { return false };
        let step = step(now);
        let of_this = equal_in_constant_time(&found, &self.of_step(step));
        let of_last = equal_in_constant_time(&found, &self.of_step(step.saturating_sub(1)));
        of_this | of_last
    }

    /// Whether `nonce` is the one to hand out at `now`. Whoever proves with an older one that is good gets the newer one along
    /// with the answer (RFC 9449 §8.2).
    pub fn is_newest(&self, nonce: &str, now: Time) -> bool {
        equal_in_constant_time(nonce.as_bytes(), self.issue(now).as_bytes())
    }

    fn of_step(&self, step: i64) -> Vec<u8> {
        // A key of 32 bytes is never refused by HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose()) else { return Vec::new() };
        mac.update(DOMAIN);
        mac.update(&step.to_be_bytes());
        mac.finalize().into_bytes().into_iter().take(NONCE_BYTES).collect()
    }
}

fn step(now: Time) -> i64 {
    now.unix_ms() / (limits::DPOP_NONCE_S * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// a nonce is good for at least one step and for less than two.
        #[test]
        fn a_nonce_lives_between_one_step_and_two(at in 0_i64..4_000_000_000_000, later in 0_i64..200_000) {
            let key = NonceKey::new([7; 32]);
            let now = Time::from_unix_ms(at);
            let nonce = key.issue(now);
            let is_good = key.is_good(&nonce, now.plus_ms(later));
            let step_ms = limits::DPOP_NONCE_S * 1_000;
            prop_assert_eq!(is_good, (at + later) / step_ms <= at / step_ms + 1);
            prop_assert_eq!(key.is_newest(&nonce, now.plus_ms(later)), (at + later) / step_ms == at / step_ms);
            prop_assert!(later > step_ms || is_good);
            prop_assert!(later < 2 * step_ms || !is_good);
        }
    }

    /// G-7: a nonce of another key, of the future or of nobody is none.
    #[test]
    fn a_nonce_cannot_be_made_without_the_key() {
        let now = Time::from_unix_ms(1_795_000_000_000);
        let key = NonceKey::new([7; 32]);
        assert!(!key.is_good(&NonceKey::new([8; 32]).issue(now), now));
        assert!(!key.is_good(&key.issue(now.plus_s(120)), now));
        assert!(!key.is_good("", now) && !key.is_good("AAAA", now));
        assert_eq!(format!("{key:?}"), "NonceKey(Secret(…))");
    }
}
