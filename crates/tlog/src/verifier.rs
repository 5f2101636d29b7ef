//! Keys: verifier keys (vkeys) of logs and witnesses, and the log's own signing key (C2SP signed-note §Verifier
//! keys, tlog-cosignature).

use crate::note::{NoteSignature, is_key_name};
use crate::text::{from_base64, to_base64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// What a key signs, as the signature type byte of its vkey says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// `0x01`: Ed25519 over the text of a note. Logs sign so.
    Ed25519,
    /// `0x04`: Ed25519 over a time and a checkpoint. Witnesses sign so (tlog-cosignature).
    CosignatureV1,
}

/// A public key with the name it signs under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

/// A witness's statement that it saw the checkpoint as the log's newest at that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// Name of the witness.
    pub name: String,
    /// Seconds since 1970-01-01T00:00:00Z, as the witness said.
    pub timestamp_s: u64,
}

/// The log's signing key. It signs under its origin as name.
#[derive(Clone)]
pub struct LogSigner {
    name: String,
    key: SigningKey,
}

/// Why a text is not a verifier key, or a name not a key name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// Not of the form `name+id+key`.
    #[error("a verifier key is of the form name+8 lowercase hex digits+base64")]
    Form,
    /// A name that is empty or holds a space, a plus or a control character.
    #[error("a key name must not be empty and must hold no space, plus or control character")]
    Name,
    /// A signature type other than Ed25519 and cosignature/v1.
    #[error("signature type {signature_type:#04x} is not supported: only 0x01 and 0x04 are")]
    Kind {
        /// The byte before the key.
        signature_type: u8,
    },
    /// Not a sound Ed25519 public key.
    #[error("the key is not a sound 32-byte Ed25519 public key")]
    Key,
    /// The id is not the one that name, type and key give.
    #[error("the key id does not belong to this name and key")]
    KeyId,
}

impl KeyRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "vkey_form",
            Self::Name => "key_name",
            Self::Kind { .. } => "vkey_kind",
            Self::Key => "vkey_key",
            Self::KeyId => "vkey_key_id",
        }
    }
}

impl KeyKind {
    fn signature_type(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    fn from_signature_type(signature_type: u8) -> Result<Self, KeyRefusal> {
        match signature_type {
            0x01 => Ok(Self::Ed25519),
            0x04 => Ok(Self::CosignatureV1),
            _ => Err(KeyRefusal::Kind { signature_type }),
        }
    }
}

impl Verifier {
    /// A key from its 32 bytes (RFC 8032); refuses keys of small order, under which anything verifies.
    pub fn new(name: &str, kind: KeyKind, public_key: &[u8; 32]) -> Result<Self, KeyRefusal> {
        if !is_key_name(name) {
            return Err(KeyRefusal::Name);
        }
        let key = VerifyingKey::from_bytes(public_key).map_err(|_| KeyRefusal::Key)?;
        if key.is_weak() {
            return Err(KeyRefusal::Key);
        }
        Ok(Self { name: name.to_owned(), kind, key })
    }

    /// The name that the key signs under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The 32 bytes of the public key.
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// First four bytes of SHA-256 over name, newline, signature type and key (signed-note §Signatures).
    pub fn key_id(&self) -> u32 {
        let digest = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', self.kind.signature_type()])
            .chain_update(self.key.as_bytes())
            .finalize();
        digest.iter().take(4).fold(0, |id, byte| id << 8 | u32::from(*byte))
    }

    /// True when a signature line carries this key's name and id.
    pub(crate) fn matches(&self, signature: &NoteSignature) -> bool {
        self.name == signature.name() && self.key_id() == signature.key_id()
    }

    /// Checks a plain Ed25519 signature over the text of a note.
    pub(crate) fn verify_note(&self, text: &str, signature: &NoteSignature) -> Option<()> {
        let signature = Signature::from_slice(signature.signature()).ok()?;
        self.key.verify_strict(text.as_bytes(), &signature).ok()
    }

    /// Checks a timestamped cosignature over the text of a checkpoint (tlog-cosignature §Ed25519 signed message).
    pub(crate) fn verify_cosignature(&self, text: &str, signature: &NoteSignature) -> Option<Cosignature> {
        let (timestamp, signature) = signature.signature().split_first_chunk::<8>()?;
        let timestamp_s = u64::from_be_bytes(*timestamp);
        if timestamp_s > i64::MAX.unsigned_abs() {
            return None;
        }
        let signature = Signature::from_slice(signature).ok()?;
        let message = format!("cosignature/v1\ntime {timestamp_s}\n{text}");
        self.key.verify_strict(message.as_bytes(), &signature).ok()?;
        Some(Cosignature { name: self.name.clone(), timestamp_s })
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.signature_type()], self.key.as_bytes().as_slice()].concat();
        write!(formatter, "{}+{:08x}+{}", self.name, self.key_id(), to_base64(&key))
    }
}

impl FromStr for Verifier {
    type Err = KeyRefusal;

    fn from_str(vkey: &str) -> Result<Self, KeyRefusal> {
        let (name, rest) = vkey.split_once('+').ok_or(KeyRefusal::Form)?;
        let (key_id, encoded) = rest.split_once('+').ok_or(KeyRefusal::Form)?;
        let bytes = from_base64(encoded).ok_or(KeyRefusal::Form)?;
        let (signature_type, key) = bytes.split_first().ok_or(KeyRefusal::Form)?;
        let kind = KeyKind::from_signature_type(*signature_type)?;
        let verifier = Self::new(name, kind, key.try_into().map_err(|_| KeyRefusal::Key)?)?;
        if format!("{:08x}", verifier.key_id()) != key_id {
            return Err(KeyRefusal::KeyId);
        }
        Ok(verifier)
    }
}

impl LogSigner {
    /// The key that RFC 8032 derives from a 32-byte seed. `origin` names the log and the key.
    pub fn from_seed(origin: &str, seed: &[u8; 32]) -> Result<Self, KeyRefusal> {
        if !is_key_name(origin) {
            return Err(KeyRefusal::Name);
        }
        Ok(Self { name: origin.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// The log's origin, which is also the key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half, to hand out.
    pub fn verifier(&self) -> Verifier {
        Verifier { name: self.name.clone(), kind: KeyKind::Ed25519, key: self.key.verifying_key() }
    }

    /// Signs the text of a note.
    pub(crate) fn sign(&self, text: &str) -> Vec<u8> {
        self.key.sign(text.as_bytes()).to_bytes().to_vec()
    }
}

impl fmt::Debug for LogSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LogSigner").field("name", &self.name).finish_non_exhaustive()
    }
}
