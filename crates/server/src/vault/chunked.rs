//! C2SP chunked-encryption as Cobblestone-256 (HKDF-SHA-512, AES-256-GCM, 16 KiB chunks): key commitment, and a cut
//! tail is found. See <https://c2sp.org/chunked-encryption>.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA512, KeyType, Prk},
};
use countersign_core::secret::equal_in_constant_time;
use thiserror::Error;
use zeroize::Zeroizing;

/// Length of the salt, which is drawn at random for each message.
pub const SALT_BYTES: usize = 24;
const COMMITMENT_BYTES: usize = 32;
const CHUNK_BYTES: usize = 16 * 1024;
const TAG_BYTES: usize = 16;
const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";

/// Why a ciphertext does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotOpened {
    /// Shorter than a header and a tag, or of a length that no message has.
    #[error("it was cut off")]
    Truncated,
    /// The key, the salt or the context is another one.
    #[error("it was encrypted with another key or for another place")]
    Commitment,
    /// A chunk was changed.
    #[error("it was changed")]
    Changed,
    /// The library refused the key; does not happen with 256-bit keys.
    #[error("the key cannot be used")]
    Key,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

struct Derived {
    key: LessSafeKey,
    base_nonce: [u8; NONCE_LEN],
    commitment: [u8; COMMITMENT_BYTES],
}

fn derive(input_key: &[u8; 32], salt: &[u8; SALT_BYTES], context: &[u8]) -> Result<Derived, NotOpened> {
    let prk = Prk::new_less_safe(HKDF_SHA512, input_key);
    let info = [INFO, salt.as_slice(), context];
    let mut bytes = Zeroizing::new([0; 32 + NONCE_LEN + COMMITMENT_BYTES]);
    let length = Length(bytes.len());
    prk.expand(&info, length).and_then(|okm| okm.fill(bytes.as_mut_slice())).map_err(|_| NotOpened::Key)?;
    let (key, rest) = bytes.split_first_chunk::<32>().ok_or(NotOpened::Key)?;
    let (base_nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(NotOpened::Key)?;
    let commitment = <[u8; COMMITMENT_BYTES]>::try_from(rest).map_err(|_| NotOpened::Key)?;
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| NotOpened::Key)?;
    Ok(Derived { key: LessSafeKey::new(key), base_nonce: *base_nonce, commitment })
}

impl Derived {
    /// The base nonce with its last eight bytes XORed with the chunk's number (big-endian).
    fn nonce(&self, chunk: u64) -> Nonce {
        let mut nonce = self.base_nonce;
        for (byte, counter) in nonce.iter_mut().rev().zip(chunk.to_le_bytes()) {
            *byte ^= counter;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Encrypts a message: salt, commitment, chunks.
pub fn encrypt(
    input_key: &[u8; 32],
    salt: &[u8; SALT_BYTES],
    context: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, NotOpened> {
    let derived = derive(input_key, salt, context)?;
    let chunk_count = message.len() / CHUNK_BYTES + 1;
    let header_bytes = SALT_BYTES + COMMITMENT_BYTES;
    let mut out = Vec::with_capacity(header_bytes + message.len() + chunk_count * TAG_BYTES);
    out.extend_from_slice(salt);
    out.extend_from_slice(&derived.commitment);
    // The last chunk is always short: a message of whole chunks ends in an empty one.
    let full = message.chunks_exact(CHUNK_BYTES);
    let last = full.remainder();
    for (number, chunk) in (0_u64..).zip(full.chain(std::iter::once(last))) {
        let start = out.len();
        out.extend_from_slice(chunk);
        let (_, text) = out.split_at_mut(start);
        let tag = derived
            .key
            .seal_in_place_separate_tag(derived.nonce(number), Aad::empty(), text)
            .map_err(|_| NotOpened::Key)?;
        out.extend_from_slice(tag.as_ref());
    }
    Ok(out)
}

/// Decrypts what [`encrypt`] made, whole.
pub fn decrypt(input_key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
    let (salt, rest) = sealed.split_first_chunk::<SALT_BYTES>().ok_or(NotOpened::Truncated)?;
    let (commitment, chunks) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(NotOpened::Truncated)?;
    let derived = derive(input_key, salt, context)?;
    if !equal_in_constant_time(commitment, &derived.commitment) {
        return Err(NotOpened::Commitment);
    }
    let full = chunks.chunks_exact(CHUNK_BYTES + TAG_BYTES);
    let last = full.remainder();
    if last.len() < TAG_BYTES {
        return Err(NotOpened::Truncated);
    }
    let mut message = Vec::with_capacity(chunks.len());
    for (number, chunk) in (0_u64..).zip(full.chain(std::iter::once(last))) {
        let start = message.len();
        message.extend_from_slice(chunk);
        let (_, text) = message.split_at_mut(start);
        let length = derived
            .key
            .open_in_place(derived.nonce(number), Aad::empty(), text)
            .map_err(|_| NotOpened::Changed)?
            .len();
        message.truncate(start + length);
    }
    Ok(message)
}
