//! AES-256-GCM for keys and small values: random nonce, and additional data that binds the ciphertext to its place.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use countersign_core::digest::Digest;
use zeroize::Zeroizing;

use crate::{app::Randomness, fault::Fault};

/// Where a ciphertext belongs: its kind and the ids that it hangs on. A ciphertext that was moved does not open.
#[derive(Clone, Debug)]
pub struct Binding {
    kind: &'static str,
    bytes: Vec<u8>,
}

impl Binding {
    /// The place of a `kind` with these ids, each written with its length so that no two places look alike.
    pub fn new(kind: &'static str, ids: &[&[u8]]) -> Self {
        let mut bytes = format!("countersign/{kind}/v1\0").into_bytes();
        for id in ids {
            bytes.extend_from_slice(&u64::try_from(id.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(id);
        }
        Self { kind, bytes }
    }
}

/// A 256-bit key that wraps other keys or small values.
#[derive(Clone)]
pub struct WrappingKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WrappingKey(…)")
    }
}

impl WrappingKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new key.
    pub fn generate(random: &dyn Randomness) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The bytes: for wrapping this key, and for deriving from it.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> Result<LessSafeKey, Fault> {
        let key = UnboundKey::new(&AES_256_GCM, self.0.as_slice())
            .map_err(|_| Fault::Key("a key does not have 256 bits".to_owned()))?;
        Ok(LessSafeKey::new(key))
    }

    /// Encrypts: nonce, ciphertext, tag.
    pub fn seal(&self, random: &dyn Randomness, binding: &Binding, plain: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut text = plain.to_vec();
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&binding.bytes),
                &mut text,
            )
            .map_err(|_| Fault::Key(format!("a {} cannot be encrypted", binding.kind)))?;
        Ok([nonce.as_slice(), &text, tag.as_ref()].concat())
    }

    /// Decrypts what [`Self::seal`] made at the same place.
    pub fn open(&self, binding: &Binding, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let refused = || Fault::Sealed(format!("a {}", binding.kind));
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .cipher()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(&binding.bytes), &mut text)
            .map_err(|_| refused())?
            .len();
        text.truncate(length);
        Ok(text)
    }

    /// Wraps another key.
    pub fn wrap(&self, random: &dyn Randomness, binding: &Binding, key: &Self) -> Result<Vec<u8>, Fault> {
        self.seal(random, binding, key.expose())
    }

    /// Unwraps another key.
    pub fn unwrap(&self, binding: &Binding, wrapped: &[u8]) -> Result<Self, Fault> {
        let plain = self.open(binding, wrapped)?;
        let bytes = <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| Fault::Sealed(binding.kind.to_owned()))?;
        Ok(Self::from_bytes(bytes))
    }

    /// A key for another purpose, from this one (NIST SP 800-108, one block of HMAC-SHA256).
    pub fn derive(&self, purpose: &str) -> Self {
        Self::from_bytes(self.mac(&[b"countersign/derive/v1\0", purpose.as_bytes()]).0)
    }

    /// HMAC-SHA256 of the parts, one after the other.
    pub fn mac(&self, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()));
        for part in parts {
            context.update(part);
        }
        let mut mac = [0; 32];
        for (to, from) in mac.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        Digest(mac)
    }
}
