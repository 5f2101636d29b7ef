//! Passkeys of recipients (S-3, E-7): what a registration and an assertion must be by Web Authentication Level 3 §7.1
//! and §7.2, and the challenges that they answer. Pure: whoever calls verifies the signature itself.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::event::Act;
use crate::{
    canonical,
    digest::Digest,
    id::{EnvelopeId, RecipientId, SessionId},
    limits,
};

const ACT_DOMAIN: &[u8] = b"countersign/act/v1\0";
const CHALLENGE_DOMAIN: &[u8] = b"countersign/passkey/v1\0";

/// Bytes that are written as base64url without padding (RFC 4648 §5).
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if text.len() > limits::PASSKEY_PART_BYTES * 4 / 3 + 1 {
            return Err(serde::de::Error::custom("it is longer than any part of a passkey's answer"));
        }
        URL_SAFE_NO_PAD.decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// The algorithms that passkeys may sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (COSE -7), its signatures in DER.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519 (COSE -8).
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A public key that signatures can be verified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// The point of a P-256 key.
    Es256 {
        /// Its x coordinate, big-endian.
        x: [u8; 32],
        /// Its y coordinate, big-endian.
        y: [u8; 32],
    },
    /// An Ed25519 key (RFC 8032 §5.1.5).
    EdDsa([u8; 32]),
}

impl PublicKey {
    /// Reads a COSE_Key (RFC 9052 §7) in the one form that authenticators write (CTAP 2.1 §6, canonical CBOR); gives the
    /// rest as well.
    fn read(cose: &[u8]) -> Option<(Self, &[u8])> {
        const ES256: &[u8] = &[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20];
        const ES256_Y: &[u8] = &[0x22, 0x58, 0x20];
        const EDDSA: &[u8] = &[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 0x20];
        if let Some(rest) = cose.strip_prefix(ES256) {
            let (x, rest) = rest.split_first_chunk()?;
            let (y, rest) = rest.strip_prefix(ES256_Y)?.split_first_chunk()?;
            return Some((Self::Es256 { x: *x, y: *y }, rest));
        }
        let (x, rest) = cose.strip_prefix(EDDSA)?.split_first_chunk()?;
        Some((Self::EdDsa(*x), rest))
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Es256 { .. } => Algorithm::Es256,
            Self::EdDsa(_) => Algorithm::EdDsa,
        }
    }
}

/// A registered passkey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passkey {
    /// Id of the credential.
    pub credential: Bytes,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The public key as a COSE_Key.
    pub public_key: Bytes,
    /// Its signature counter; many passkeys leave it at 0.
    pub sign_count: u32,
    /// Whether it may be copied to other devices of its owner (the flag BE).
    pub backup_eligible: bool,
    /// The web origin that it belongs to; its relying party is the host of that.
    pub origin: String,
}

/// What an authenticator answers when a passkey is made. The attestation is not asked for and not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Authenticator data with the new credential (§6.1).
    pub authenticator_data: Bytes,
    /// The client's data (§5.8.1).
    pub client_data_json: Bytes,
}

/// What an authenticator answers when a passkey is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// Id of the credential.
    pub credential: Bytes,
    /// Authenticator data (§6.1).
    pub authenticator_data: Bytes,
    /// The client's data (§5.8.1).
    pub client_data_json: Bytes,
    /// The signature over the authenticator data and the SHA-256 of the client's data.
    pub signature: Bytes,
}

/// Why a passkey's answer is not taken; the words are for the person who used it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// It is not what an authenticator answers.
    #[error("the passkey's answer cannot be read; use a current browser and try again")]
    Unreadable,
    /// A registration where an assertion belongs, or the other way round.
    #[error("the passkey's answer is to another question; reload the page and try again")]
    Type,
    /// It answers another challenge.
    #[error("the passkey has answered an earlier question, or what it signed has changed since; try again")]
    Challenge,
    /// It was made on another site.
    #[error("the passkey was used on another site than this one; open the link from your mail")]
    Origin,
    /// It was made inside a page of another site.
    #[error("the passkey was used inside a page of another site; open the link from your mail")]
    CrossOrigin,
    /// It was made for another host.
    #[error("the passkey belongs to another site than this one; use the one that you made here")]
    RelyingParty,
    /// Nobody touched it.
    #[error("the passkey was used without you being there; try again and touch it when asked")]
    Presence,
    /// Nobody proved to be its owner.
    #[error(
        "the passkey did not check that it is you; unlock it with a fingerprint, a face or a PIN, and try again"
    )]
    Verification,
    /// It says that it is copied, or may be, and did not or cannot.
    #[error("the passkey contradicts itself about where it is kept; use the one that you made here")]
    Backup,
    /// It is another one than the registered one.
    #[error("this is another passkey than the one that you made for this request; use that one")]
    Credential,
    /// It signs with what is not taken here.
    #[error("this kind of passkey is not taken here; use another (ES256 or EdDSA)")]
    Algorithm,
    /// The signature is not by the registered key, or over something else.
    #[error("the passkey's signature is not right; use the passkey that you made for this request")]
    Signature,
}

/// How an assertion came out that is right in everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is good.
    Good,
    /// Its signature counter has not grown: the passkey may have been copied (§6.1.1).
    Cloned,
}

/// What a passkey is asked for besides an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To be made.
    Register,
    /// To identify its owner in a session.
    Identify,
}

#[derive(Serialize)]
struct Asked {
    envelope: EnvelopeId,
    recipient: RecipientId,
    session: SessionId,
    purpose: Purpose,
}

/// The challenge of a registration or an identification: `SHA-256("countersign/passkey/v1" || 0x00 || canonical JSON)` of
/// envelope, purpose, recipient and session. The session's id is random, and a session registers and identifies once, so
/// that no answer can be made before it or used after it.
pub fn challenge(
    purpose: Purpose,
    envelope: EnvelopeId,
    recipient: RecipientId,
    session: SessionId,
) -> Digest {
    let asked = canonical::to_vec(&Asked { envelope, recipient, session, purpose });
    assert!(asked.is_ok(), "ids and a word have a canonical form");
    Digest::of_parts(&[CHALLENGE_DOMAIN, &asked.unwrap_or_default()])
}

impl Act {
    /// The challenge that a passkey signs with the act (E-7): `SHA-256("countersign/act/v1" || 0x00 || canonical JSON)` of
    /// the act as it stands in its event, without `assertion`.
    pub fn challenge(&self) -> Digest {
        let bare = Self { assertion: None, ..self.clone() };
        let encoded = canonical::to_vec(&bare);
        assert!(encoded.is_ok(), "an act holds ids, digests, integers below 2^53 and the version of a text");
        Digest::of_parts(&[ACT_DOMAIN, &encoded.unwrap_or_default()])
    }
}

/// Verifies signatures of passkeys: the server with its own library, the verifier in pure Rust.
pub trait VerifyPasskey: fmt::Debug + Send + Sync {
    /// Whether `signature` is by `key` over `message`: ECDSA with SHA-256 in DER, or Ed25519 (§6.5.5).
    fn is_signed(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;

    /// The challenge that an assertion must answer, where the decision came to `made`. It is that one; only who decides
    /// recorded events again, with salts that no decision draws twice, has it from the record.
    fn expected(&self, made: Digest) -> Digest {
        made
    }
}

/// The host of a web origin: the relying party's id (§5.1.2).
pub fn relying_party(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// What the client says of itself (§5.8.1).
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: Bytes,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    is_cross_origin: bool,
    #[serde(rename = "topOrigin", default)]
    top_origin: Option<serde::de::IgnoredAny>,
}

impl ClientData {
    fn read(json: &Bytes) -> Result<Self, Unfit> {
        // serde would take an array of the values as well.
        if !json.0.starts_with(b"{") {
            return Err(Unfit::Unreadable);
        }
        serde_json::from_slice(&json.0).map_err(|_| Unfit::Unreadable)
    }

    fn check(&self, kind: &str, challenge: &Digest, origin: &str) -> Result<(), Unfit> {
        if self.kind != kind {
            return Err(Unfit::Type);
        }
        if self.challenge.0 != challenge.0 {
            return Err(Unfit::Challenge);
        }
        if self.origin != origin {
            return Err(Unfit::Origin);
        }
        if self.is_cross_origin || self.top_origin.is_some() { Err(Unfit::CrossOrigin) } else { Ok(()) }
    }
}

/// Authenticator data up to where a new credential or extensions begin (§6.1).
struct AuthenticatorData<'a> {
    relying_party_sha256: [u8; 32],
    flags: u8,
    sign_count: u32,
    rest: &'a [u8],
}

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;

impl<'a> AuthenticatorData<'a> {
    fn read(bytes: &'a Bytes) -> Result<Self, Unfit> {
        let split = |bytes: &'a [u8]| {
            let (relying_party_sha256, rest) = bytes.split_first_chunk()?;
            let (flags, rest) = rest.split_first()?;
            let (sign_count, rest) = rest.split_first_chunk()?;
            let sign_count = u32::from_be_bytes(*sign_count);
            Some(Self { relying_party_sha256: *relying_party_sha256, flags: *flags, sign_count, rest })
        };
        split(&bytes.0).ok_or(Unfit::Unreadable)
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn check(&self, origin: &str) -> Result<(), Unfit> {
        if self.relying_party_sha256 != Digest::of(relying_party(origin).as_bytes()).0 {
            return Err(Unfit::RelyingParty);
        }
        if !self.has(USER_PRESENT) {
            return Err(Unfit::Presence);
        }
        if !self.has(USER_VERIFIED) {
            return Err(Unfit::Verification);
        }
        if self.has(BACKED_UP) && !self.has(BACKUP_ELIGIBLE) { Err(Unfit::Backup) } else { Ok(()) }
    }
}

/// Takes in a new passkey (§7.1): for `challenge`, on `origin`, with user verification.
pub fn register(challenge: &Digest, origin: &str, registration: &Registration) -> Result<Passkey, Unfit> {
    ClientData::read(&registration.client_data_json)?.check("webauthn.create", challenge, origin)?;
    let data = AuthenticatorData::read(&registration.authenticator_data)?;
    data.check(origin)?;
    if !data.has(HAS_CREDENTIAL) {
        return Err(Unfit::Unreadable);
    }
    // AAGUID (16), length (2), id, key (§6.5.2).
    let (_, rest) = data.rest.split_at_checked(16).ok_or(Unfit::Unreadable)?;
    let (length, rest) = rest.split_first_chunk().ok_or(Unfit::Unreadable)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (credential, rest) = rest.split_at_checked(length).ok_or(Unfit::Unreadable)?;
    if credential.is_empty() || credential.len() > limits::CREDENTIAL_ID_BYTES {
        return Err(Unfit::Unreadable);
    }
    let (key, after) = PublicKey::read(rest).ok_or(Unfit::Algorithm)?;
    if after.is_empty() == data.has(HAS_EXTENSIONS) {
        return Err(Unfit::Unreadable);
    }
    let public_key = rest.strip_suffix(after).unwrap_or(rest);
    Ok(Passkey {
        credential: Bytes(credential.to_vec()),
        algorithm: key.algorithm(),
        public_key: Bytes(public_key.to_vec()),
        sign_count: data.sign_count,
        backup_eligible: data.has(BACKUP_ELIGIBLE),
        origin: origin.to_owned(),
    })
}

impl Assertion {
    /// The counter that it states; `None` if it cannot be read.
    pub fn sign_count(&self) -> Option<u32> {
        AuthenticatorData::read(&self.authenticator_data).ok().map(|data| data.sign_count)
    }

    /// The challenge that it answers; `None` if it cannot be read or is no digest.
    pub fn challenge(&self) -> Option<Digest> {
        let client = ClientData::read(&self.client_data_json).ok()?;
        client.challenge.0.try_into().ok().map(Digest)
    }

    /// Judges the assertion of `passkey` over `challenge` (§7.2). The signature is looked at last.
    pub fn judge(
        &self,
        passkey: &Passkey,
        challenge: &Digest,
        verifier: &dyn VerifyPasskey,
    ) -> Result<Judged, Unfit> {
        if self.credential != passkey.credential {
            return Err(Unfit::Credential);
        }
        ClientData::read(&self.client_data_json)?.check("webauthn.get", challenge, &passkey.origin)?;
        let data = AuthenticatorData::read(&self.authenticator_data)?;
        data.check(&passkey.origin)?;
        if data.has(BACKUP_ELIGIBLE) != passkey.backup_eligible {
            return Err(Unfit::Backup);
        }
        if data.has(HAS_CREDENTIAL) || data.rest.is_empty() == data.has(HAS_EXTENSIONS) {
            return Err(Unfit::Unreadable);
        }
        let key = PublicKey::read(&passkey.public_key.0).filter(|(_, rest)| rest.is_empty());
        let (key, _) = key.ok_or(Unfit::Algorithm)?;
        let client_sha256 = Digest::of(&self.client_data_json.0);
        let message = [self.authenticator_data.0.as_slice(), &client_sha256.0].concat();
        if !verifier.is_signed(&key, &message, &self.signature.0) {
            return Err(Unfit::Signature);
        }
        let counts = data.sign_count != 0 || passkey.sign_count != 0;
        if counts && data.sign_count <= passkey.sign_count { Ok(Judged::Cloned) } else { Ok(Judged::Good) }
    }
}
