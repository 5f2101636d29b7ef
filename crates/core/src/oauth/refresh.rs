//! Refresh tokens: one is good at a time, and a second use of an old one ends the grant (A-4, RFC 9700 §4.14.2). A token is
//! its grant, its generation and a MAC over both, so that the grant's row is all that is stored, and whoever uses any
//! generation is recognised.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    digest::Digest,
    id::{ClientId, GrantId, base32, from_base32},
    limits,
    oauth::token::CallerProof,
    secret::{HashedToken, NotAToken, Secret, TokenKind, checksum, equal_in_constant_time},
    time::Time,
};

const DOMAIN: &[u8] = b"countersign/refresh/v1";
const GRANT_BYTES: usize = 16;
const GENERATION_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
const BODY_BYTES: usize = GRANT_BYTES + GENERATION_BYTES + MAC_BYTES;

/// The key under which refresh tokens are made; the same on every node.
#[derive(Clone, Debug)]
pub struct RefreshKey(Secret<[u8; 32]>);

/// A refresh token whose MAC is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The grant.
    pub grant: GrantId,
    /// The generation, from 1.
    pub generation: u64,
    /// SHA-256 of its text, of which security events hold a fingerprint.
    pub hash: HashedToken,
}

impl RefreshKey {
    /// Of 32 random or derived bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Secret::new(key))
    }

    /// The text of a token.
    pub fn issue(&self, grant: GrantId, generation: u64) -> Secret<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_BYTES + 4));
        bytes.extend_from_slice(grant.as_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        let mac = self.mac(grant, generation);
        bytes.extend_from_slice(mac.as_slice());
        let check: Vec<u8> = checksum(TokenKind::RefreshToken, &bytes).collect();
        bytes.extend_from_slice(&check);
        Secret::new(format!("{}{}", TokenKind::RefreshToken.prefix(), base32(&bytes)))
    }

    /// Reads a token. A mistyped one, and one that this key did not make, is found without a look-up.
    pub fn parse(&self, text: &str) -> Result<RefreshToken, NotAToken> {
        let prefix = TokenKind::RefreshToken.prefix();
        let body = text.strip_prefix(prefix).ok_or(NotAToken::Prefix { expected: prefix })?;
        let bytes = Zeroizing::new(from_base32(body).ok_or(NotAToken::Checksum)?);
        let (body, check) = bytes.split_at_checked(BODY_BYTES).ok_or(NotAToken::Checksum)?;
        if !checksum(TokenKind::RefreshToken, body).eq(check.iter().copied()) {
            return Err(NotAToken::Checksum);
        }
        let (grant, rest) = body.split_first_chunk::<GRANT_BYTES>().ok_or(NotAToken::Checksum)?;
        let (generation, mac) = rest.split_first_chunk::<GENERATION_BYTES>().ok_or(NotAToken::Checksum)?;
        let (grant, generation) = (GrantId::from_bytes(*grant), u64::from_be_bytes(*generation));
        if !equal_in_constant_time(mac, &self.mac(grant, generation)) {
            return Err(NotAToken::Checksum);
        }
        let hash = HashedToken::from_bytes(Digest::of(text.as_bytes()).0);
        Ok(RefreshToken { grant, generation, hash })
    }

    fn mac(&self, grant: GrantId, generation: u64) -> Zeroizing<Vec<u8>> {
        // A key of 32 bytes is never refused by HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose()) else {
            return Zeroizing::default();
        };
        mac.update(DOMAIN);
        mac.update(grant.as_bytes());
        mac.update(&generation.to_be_bytes());
        Zeroizing::new(mac.finalize().into_bytes().to_vec())
    }
}

/// A grant as it is stored at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantNow {
    /// To which client.
    pub client: ClientId,
    /// Whether that client proves who it is.
    pub is_confidential: bool,
    /// Whether its refresh tokens change with every use.
    pub rotates: bool,
    /// The key or certificate that a public client's refresh tokens are bound to.
    pub binding: Option<Digest>,
    /// The generation that is good.
    pub generation: u64,
    /// The generation whose use may be the retry of a lost response: the last one that was rotated.
    pub retry_of: Option<u64>,
    /// When that generation was used first.
    pub rotated_at: Time,
    /// When it was made.
    pub created_at: Time,
    /// When it ends if nothing happens.
    pub expires_at: Time,
    /// Whether it has ended.
    pub is_ended: bool,
}

/// What the use of a refresh token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The good one: the next generation is good from now on.
    Rotate {
        /// The next generation.
        to: u64,
    },
    /// The good one, which stays: its client proves with a key who it is.
    Keep,
    /// The one before, from the same client, whose response was lost: what was issued since is void.
    Retry {
        /// The generations whose access tokens end.
        burn: (u64, u64),
        /// The generation that is good from now on.
        to: u64,
    },
    /// The one before, at the same moment as its first use: the other one won. It gets nothing, and nothing ends.
    TooSoon,
    /// It was used before: somebody has a copy. Everything of the grant ends.
    Reuse,
    /// The good one, from a caller who did not prove what it is bound to. It gets nothing, and nothing ends.
    Unproven,
    /// The grant had ended before.
    Ended,
    /// The grant is over.
    Expired,
}

/// Judges the use of the refresh token `presented` (its generation; its MAC was right) by `client`.
pub fn decide(grant: &GrantNow, presented: u64, client: ClientId, caller: &CallerProof, now: Time) -> Use {
    if client != grant.client {
        return Use::Unproven;
    }
    if grant.is_ended {
        return Use::Ended;
    }
    if grant.expires_at <= now {
        return Use::Expired;
    }
    let proof = Proven::of(grant, caller);
    if presented == grant.generation {
        return match proof {
            Proven::Nothing => Use::Unproven,
            _ if !grant.rotates => Use::Keep,
            _ => Use::Rotate { to: grant.generation.saturating_add(1) },
        };
    }
    let age_ms = now.since_ms(grant.rotated_at);
    if grant.retry_of != Some(presented) || proof != Proven::Identity {
        return Use::Reuse;
    }
    if age_ms < limits::REFRESH_RACE_S * 1_000 {
        return Use::TooSoon;
    }
    if age_ms > limits::REFRESH_RETRY_S * 1_000 {
        return Use::Reuse;
    }
    let burn = (presented.saturating_add(1), grant.generation);
    Use::Retry { burn, to: grant.generation.saturating_add(1) }
}

/// What a caller proved, as far as this grant asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proven {
    /// Not what the token is bound to.
    Nothing,
    /// That it has the token: all that an unbound public client can prove.
    Possession,
    /// That it is the client, or has the key.
    Identity,
}

impl Proven {
    fn of(grant: &GrantNow, caller: &CallerProof) -> Self {
        if grant.is_confidential {
            return if caller.is_authenticated { Self::Identity } else { Self::Nothing };
        }
        let Some(bound) = grant.binding else { return Self::Possession };
        let has = |proved: Option<Digest>| proved.is_some_and(|it| equal_in_constant_time(&it.0, &bound.0));
        if has(caller.key) || has(caller.certificate) { Self::Identity } else { Self::Nothing }
    }
}

/// When a grant ends that was made then and used now: a month after its last use, three after it was made.
pub fn expires_at(created_at: Time, now: Time) -> Time {
    now.plus_s(limits::GRANT_IDLE_S).min(created_at.plus_s(limits::GRANT_S))
}

impl GrantNow {
    /// The grant after this use; `None` where the use changes nothing. A retry leaves the time of the first use, so that
    /// one window is all there is.
    pub fn after(&self, used: Use, now: Time) -> Option<Self> {
        let expires_at = expires_at(self.created_at, now);
        match used {
            Use::Rotate { to } => Some(Self {
                generation: to,
                retry_of: Some(self.generation),
                rotated_at: now,
                expires_at,
                ..*self
            }),
            Use::Retry { to, .. } => Some(Self { generation: to, expires_at, ..*self }),
            Use::Keep => Some(Self { expires_at, ..*self }),
            Use::Reuse => Some(Self { is_ended: true, ..*self }),
            Use::TooSoon | Use::Unproven | Use::Ended | Use::Expired => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client() -> ClientId {
        ClientId::from_bytes([4; 16])
    }

    fn start() -> Time {
        Time::from_unix_ms(1_795_000_000_000)
    }

    fn grant() -> GrantNow {
        GrantNow {
            client: client(),
            is_confidential: false,
            rotates: true,
            binding: Some(Digest::of(b"key")),
            generation: 1,
            retry_of: None,
            rotated_at: start(),
            created_at: start(),
            expires_at: start().plus_s(limits::GRANT_IDLE_S),
            is_ended: false,
        }
    }

    fn holder() -> CallerProof {
        CallerProof { key: Some(Digest::of(b"key")), ..CallerProof::default() }
    }

    fn thief() -> CallerProof {
        CallerProof { key: Some(Digest::of(b"thief")), ..CallerProof::default() }
    }

    /// After the first rotation.
    fn rotated() -> GrantNow {
        grant().after(Use::Rotate { to: 2 }, start()).unwrap()
    }

    fn judge(grant: &GrantNow, presented: u64, caller: CallerProof, later_ms: i64) -> Use {
        decide(grant, presented, client(), &caller, start().plus_ms(later_ms))
    }

    /// the windows, to the millisecond.
    #[test]
    fn a_lost_response_can_be_asked_for_again_for_a_minute() {
        let grant = rotated();
        assert_eq!(judge(&grant, 2, holder(), 0), Use::Rotate { to: 3 });
        assert_eq!(judge(&grant, 1, holder(), -5), Use::TooSoon);
        assert_eq!(judge(&grant, 1, holder(), 999), Use::TooSoon);
        assert_eq!(judge(&grant, 1, holder(), 1_000), Use::Retry { burn: (2, 2), to: 3 });
        assert_eq!(judge(&grant, 1, holder(), 60_000), Use::Retry { burn: (2, 2), to: 3 });
        assert_eq!(judge(&grant, 1, holder(), 60_001), Use::Reuse);
        let retried = grant.after(Use::Retry { burn: (2, 2), to: 3 }, start().plus_s(30)).unwrap();
        assert_eq!(judge(&retried, 1, holder(), 40_000), Use::Retry { burn: (2, 3), to: 4 });
        assert_eq!(judge(&retried, 1, holder(), 60_001), Use::Reuse);
        assert_eq!(judge(&retried, 2, holder(), 40_000), Use::Reuse, "a burnt one is an old one");
        assert_eq!(judge(&retried, 3, holder(), 40_000), Use::Rotate { to: 4 });
    }

    /// without a key there is no second chance, and without the key of the token there is none at all.
    #[test]
    fn who_did_not_prove_the_key_gets_nothing() {
        let grant = rotated();
        assert_eq!(judge(&grant, 2, thief(), 5_000), Use::Unproven);
        assert_eq!(judge(&grant, 2, CallerProof::default(), 5_000), Use::Unproven);
        assert_eq!(judge(&grant, 1, thief(), 5_000), Use::Reuse);
        let bearer = GrantNow { binding: None, ..grant };
        assert_eq!(judge(&bearer, 2, CallerProof::default(), 5_000), Use::Rotate { to: 3 });
        assert_eq!(judge(&bearer, 1, CallerProof::default(), 5_000), Use::Reuse);
        assert_eq!(judge(&bearer, 1, CallerProof::default(), 5), Use::Reuse);
        let other = ClientId::from_bytes([5; 16]);
        assert_eq!(decide(&grant, 2, other, &holder(), start()), Use::Unproven);
        assert_eq!(decide(&grant, 1, other, &holder(), start().plus_s(100)), Use::Unproven);
    }

    /// a FAPI client keeps its token, which nobody can use without the client's key.
    #[test]
    fn a_fapi_client_keeps_its_token() {
        let grant = GrantNow { is_confidential: true, rotates: false, binding: None, ..grant() };
        let proved = CallerProof { is_authenticated: true, ..CallerProof::default() };
        assert_eq!(judge(&grant, 1, proved, 5), Use::Keep);
        assert_eq!(judge(&grant, 1, holder(), 5), Use::Unproven);
        assert_eq!(judge(&grant, 2, proved, 5), Use::Reuse, "a generation that was never issued");
        let after = grant.after(Use::Keep, start().plus_s(60)).unwrap();
        assert_eq!((after.generation, after.retry_of), (1, None));
    }

    /// a grant ends a month after its last use and three months after it was made.
    #[test]
    fn a_grant_ends_by_itself() {
        assert_eq!(judge(&grant(), 1, holder(), limits::GRANT_IDLE_S * 1_000), Use::Expired);
        let used = start().plus_s(80 * 24 * 3_600);
        assert_eq!(expires_at(start(), used), start().plus_s(limits::GRANT_S));
        assert_eq!(expires_at(start(), start()), start().plus_s(limits::GRANT_IDLE_S));
        let ended = GrantNow { is_ended: true, ..grant() };
        assert_eq!(judge(&ended, 1, holder(), 0), Use::Ended);
    }

    #[test]
    fn a_token_is_recognised_by_its_key_only() {
        let key = RefreshKey::new([7; 32]);
        let token = key.issue(GrantId::from_bytes([9; 16]), 3);
        let text = token.expose();
        assert_eq!(text.len(), "csr_".len() + 96);
        let read = key.parse(text).unwrap();
        assert_eq!((read.grant, read.generation), (GrantId::from_bytes([9; 16]), 3));
        assert_eq!(RefreshKey::new([8; 32]).parse(text), Err(NotAToken::Checksum));
        assert_eq!(key.parse("cst_live_x"), Err(NotAToken::Prefix { expected: "csr_" }));
        assert_eq!(key.parse("csr_"), Err(NotAToken::Checksum));
    }

    proptest! {
        /// one wrong character is found before any look-up.
        #[test]
        fn a_mistyped_token_is_refused(generation: u64, at in 0_usize..100, to in "[0-9a-z]") {
            let key = RefreshKey::new([7; 32]);
            let text = key.issue(GrantId::from_bytes([9; 16]), generation).expose().clone();
            prop_assert_eq!(key.parse(&text).unwrap().generation, generation);
            let mut wrong = text.clone();
            wrong.replace_range(at..=at, &to);
            prop_assert_eq!(wrong == text, key.parse(&wrong).is_ok());
        }

        /// whatever uses come in whatever order, at most one refresh token is good; whoever uses any other after the
        /// window ends everything; and of uses at one moment exactly one wins.
        #[test]
        fn at_most_one_refresh_token_is_good(
            steps in prop::collection::vec((0_usize..8, prop::bool::weighted(0.8), 0_i64..90_000), 1..40)
        ) {
            let mut grant = grant();
            let mut issued = vec![1_u64];
            let mut now = start();
            for (index, is_holder, wait_ms) in steps {
                now = now.plus_ms(wait_ms);
                let presented = issued[index % issued.len()];
                let caller = if is_holder { holder() } else { thief() };
                let used = decide(&grant, presented, client(), &caller, now);
                let is_old = presented != grant.generation;
                if is_old && !grant.is_ended && now.since_ms(grant.rotated_at) > limits::REFRESH_RETRY_S * 1_000 {
                    prop_assert_eq!(used, Use::Reuse);
                }
                if !is_holder {
                    prop_assert!(matches!(used, Use::Reuse | Use::Unproven | Use::Ended), "{:?}", used);
                }
                if let Use::Rotate { to } | Use::Retry { to, .. } = used {
                    prop_assert!(issued.iter().all(|generation| *generation < to), "a generation is issued once");
                    issued.push(to);
                }
                if let Use::Retry { burn: (from, to), .. } = used {
                    prop_assert!(from == presented + 1 && to == grant.generation);
                }
                let Some(after) = grant.after(used, now) else { continue };
                grant = after;
                // The same token at the same moment, now that this one has won: nobody wins again.
                let again = decide(&grant, presented, client(), &caller, now);
                prop_assert!(!matches!(again, Use::Rotate { .. } | Use::Keep), "{:?}", again);
                let good = |generation: &&u64| {
                    matches!(decide(&grant, **generation, client(), &holder(), now), Use::Rotate { .. })
                };
                let count = issued.iter().filter(good).count();
                prop_assert_eq!(count, usize::from(!grant.is_ended));
            }
        }

        /// after an end nothing is good any more.
        #[test]
        fn an_ended_grant_stays_ended(presented in 0_u64..5, later_ms in 0_i64..100_000, is_holder: bool) {
            let ended = rotated().after(Use::Reuse, start()).unwrap();
            let caller = if is_holder { holder() } else { thief() };
            prop_assert_eq!(judge(&ended, presented, caller, later_ms), Use::Ended);
        }
    }
}
