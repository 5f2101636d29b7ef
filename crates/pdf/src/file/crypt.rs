//! The standard security handler for files that open without a password: what is read is decrypted, what an update
//! adds is encrypted with the same file key (ISO 32000-2 §7.6).

use aes::cipher::{
    BlockModeDecrypt, BlockModeEncrypt, KeyIvInit,
    block_padding::{NoPadding, Padding, Pkcs7},
};
use lopdf::ObjectId;
use md5::{Digest, Md5};
use sha2::{Sha256, Sha384, Sha512};

use super::syntax::Dictionary;
use crate::inspect::{Refusal, damaged};

/// The padding of passwords, which is the whole of an empty one (§7.6.4.3.2).
const PADDING: [u8; 32] = [
    0x28, 0xBF, 0x4E, 0x5E, 0x4E, 0x75, 0x8A, 0x41, 0x64, 0x00, 0x4E, 0x56, 0xFF, 0xFA, 0x01, 0x08, 0x2E,
    0x2E, 0x00, 0xB6, 0xD0, 0x68, 0x3E, 0x80, 0x2F, 0x0C, 0xA9, 0xFE, 0x64, 0x53, 0x69, 0x7A,
];

/// How strings or streams are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Identity,
    Rc4,
    Aes128,
    Aes256,
}

/// The key of an encrypted file and how it is used.
#[derive(Debug)]
pub(crate) struct Crypt {
    key: Vec<u8>,
    strings: Method,
    streams: Method,
}

impl Crypt {
    /// Opens the handler that `/Encrypt` describes with the empty user password.
    pub(crate) fn open(encrypt: &Dictionary, first_id: &[u8]) -> Result<Self, Refusal> {
        if encrypt.name(b"Filter") != Some(b"Standard") {
            return Err(Refusal::UnsupportedEncryption);
        }
        let version = encrypt.integer(b"V").unwrap_or(0);
        let revision = encrypt.integer(b"R").unwrap_or(0);
        let (strings, streams) = match version {
            1 | 2 => (Method::Rc4, Method::Rc4),
            4 | 5 => (method(encrypt, b"StrF")?, method(encrypt, b"StmF")?),
            _ => return Err(Refusal::UnsupportedEncryption),
        };
        let length_bits = match version {
            1 => 40,
            2 => encrypt.integer(b"Length").unwrap_or(40),
            4 => 128,
            _ => 256,
        };
        if encrypt.get(b"EFF").is_some_and(|node| node.as_name() != encrypt.name(b"StmF")) {
            return Err(Refusal::UnsupportedEncryption);
        }
        let permissions =
            encrypt.integer(b"P").ok_or(damaged("the encryption dictionary has no permissions"))?;
        // Written as a signed or an unsigned 32-bit number in real files.
        let permissions = (permissions & 0xffff_ffff) as u32 as i32;
        let key = match (version, revision) {
            (1 | 2 | 4, 2..=4) => legacy_key(encrypt, first_id, revision, length_bits, permissions)?,
            (5, 5 | 6) => modern_key(encrypt, revision)?,
            _ => return Err(Refusal::UnsupportedEncryption),
        };
        Ok(Self { key, strings, streams })
    }

    /// Decrypts a string of the object `id`.
    pub(crate) fn decrypt_string(&self, id: ObjectId, string: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.decrypt(self.strings, id, string)
    }

    /// Decrypts the stream of the object `id`.
    pub(crate) fn decrypt_stream(&self, id: ObjectId, stream: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.decrypt(self.streams, id, stream)
    }

    /// Encrypts a string for the object `id`.
    pub(crate) fn encrypt_string(&self, id: ObjectId, string: &[u8]) -> Vec<u8> {
        self.encrypt(self.strings, id, string)
    }

    /// Encrypts a stream for the object `id`.
    pub(crate) fn encrypt_stream(&self, id: ObjectId, stream: &[u8]) -> Vec<u8> {
        self.encrypt(self.streams, id, stream)
    }

    /// The key for one object (§7.6.3.3, algorithm 1).
    fn object_key(&self, method: Method, id: ObjectId) -> Vec<u8> {
        let mut hash = Md5::new();
        hash.update(&self.key);
        hash.update(id.0.to_le_bytes().get(..3).unwrap_or_default());
        hash.update(id.1.to_le_bytes());
        if method == Method::Aes128 {
            hash.update(b"sAlT");
        }
        hash.finalize().iter().copied().take((self.key.len() + 5).min(16)).collect()
    }

    fn decrypt(&self, method: Method, id: ObjectId, input: &[u8]) -> Result<Vec<u8>, Refusal> {
        let broken = || damaged("encrypted content does not decrypt");
        match method {
            Method::Identity => Ok(input.to_vec()),
            Method::Rc4 => Ok(rc4(&self.object_key(method, id), input)),
            // Some producers write nothing, or the vector alone, for nothing.
            Method::Aes128 | Method::Aes256 if input.is_empty() || input.len() == 16 => Ok(Vec::new()),
            Method::Aes128 => {
                let (iv, body) = input.split_at_checked(16).ok_or_else(broken)?;
                let cipher = cbc::Decryptor::<aes::Aes128>::new_from_slices(&self.object_key(method, id), iv);
                cipher.ok().and_then(|cipher| decrypt_blocks::<Pkcs7>(cipher, body)).ok_or_else(broken)
            }
            Method::Aes256 => {
                let (iv, body) = input.split_at_checked(16).ok_or_else(broken)?;
                let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(&self.key, iv);
                cipher.ok().and_then(|cipher| decrypt_blocks::<Pkcs7>(cipher, body)).ok_or_else(broken)
            }
        }
    }

    fn encrypt(&self, method: Method, id: ObjectId, input: &[u8]) -> Vec<u8> {
        match method {
            Method::Identity => input.to_vec(),
            Method::Rc4 => rc4(&self.object_key(method, id), input),
            Method::Aes128 | Method::Aes256 => {
                let iv = self.initialization_vector(id, input);
                let body = if method == Method::Aes128 {
                    let key = self.object_key(method, id);
                    let cipher = cbc::Encryptor::<aes::Aes128>::new_from_slices(&key, &iv);
                    cipher.ok().and_then(|cipher| encrypt_blocks::<Pkcs7>(cipher, input))
                } else {
                    let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(&self.key, &iv);
                    cipher.ok().and_then(|cipher| encrypt_blocks::<Pkcs7>(cipher, input))
                };
                assert!(body.is_some(), "key and vector have the cipher's lengths");
                let body = body.unwrap_or_default();
                [iv.as_slice(), &body].concat()
            }
        }
    }

    /// Derived from key, object and content, so that sealing twice gives the same bytes and no vector repeats for
    /// different content. Such a file opens without a password: its encryption keeps nothing secret.
    fn initialization_vector(&self, id: ObjectId, input: &[u8]) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(b"countersign pdf initialization vector");
        hash.update(&self.key);
        hash.update(id.0.to_be_bytes());
        hash.update(input);
        let mut vector = [0; 16];
        vector.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        vector
    }
}

fn decrypt_blocks<P: Padding>(cipher: impl BlockModeDecrypt, input: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = input.to_vec();
    cipher.decrypt_padded::<P>(&mut buffer).ok().map(<[u8]>::to_vec)
}

fn encrypt_blocks<P: Padding>(cipher: impl BlockModeEncrypt, input: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = input.to_vec();
    buffer.resize(input.len() + 16, 0);
    cipher.encrypt_padded::<P>(&mut buffer, input.len()).ok().map(<[u8]>::to_vec)
}

/// The method of the crypt filter that `/StrF` or `/StmF` names (§7.6.6).
fn method(encrypt: &Dictionary, which: &[u8]) -> Result<Method, Refusal> {
    let name = match encrypt.name(which) {
        None | Some(b"Identity") => return Ok(Method::Identity),
        Some(name) => name,
    };
    let filters = encrypt.get(b"CF").and_then(|node| node.as_dictionary());
    let filter = filters.and_then(|filters| filters.get(name)).and_then(|node| node.as_dictionary());
    match filter.and_then(|filter| filter.name(b"CFM")) {
        Some(b"V2") => Ok(Method::Rc4),
        Some(b"AESV2") => Ok(Method::Aes128),
        Some(b"AESV3") => Ok(Method::Aes256),
        Some(b"None") => Ok(Method::Identity),
        _ => Err(Refusal::UnsupportedEncryption),
    }
}

fn required<'a>(encrypt: &'a Dictionary, key: &[u8]) -> Result<&'a [u8], Refusal> {
    encrypt
        .get(key)
        .and_then(|node| node.as_string())
        .ok_or(damaged("the encryption dictionary lacks a required string"))
}

/// File key and check of the empty user password for revisions 2 to 4 (§7.6.4.3.2, algorithms 2, 4 and 5).
fn legacy_key(
    encrypt: &Dictionary,
    first_id: &[u8],
    revision: i64,
    length_bits: i64,
    permissions: i32,
) -> Result<Vec<u8>, Refusal> {
    let owner = required(encrypt, b"O")?;
    let user = required(encrypt, b"U")?;
    let length = usize::try_from(length_bits / 8).ok().filter(|length| (5..=16).contains(length));
    let length = length.ok_or(Refusal::UnsupportedEncryption)?;
    let mut hash = Md5::new();
    hash.update(PADDING);
    hash.update(owner.get(..32).ok_or(damaged("the encryption dictionary has a short string"))?);
    hash.update(permissions.to_le_bytes());
    hash.update(first_id);
    let metadata_plain = encrypt
        .get(b"EncryptMetadata")
        .is_some_and(|node| matches!(node.value, super::syntax::Value::Boolean(false)));
    if revision >= 4 && metadata_plain {
        hash.update([0xff; 4]);
    }
    let mut key: Vec<u8> = hash.finalize().to_vec();
    if revision >= 3 {
        for _ in 0..50 {
            key.truncate(length);
            key = Md5::digest(&key).to_vec();
        }
    }
    key.truncate(length);
    let expected = if revision == 2 {
        rc4(&key, &PADDING)
    } else {
        let mut hash = Md5::new();
        hash.update(PADDING);
        hash.update(first_id);
        (0..20_u8).fold(hash.finalize().to_vec(), |value, round| {
            let round_key: Vec<u8> = key.iter().map(|byte| byte ^ round).collect();
            rc4(&round_key, &value)
        })
    };
    if user.starts_with(&expected) { Ok(key) } else { Err(Refusal::PasswordNeeded) }
}

/// File key for revisions 5 and 6 with the empty user password (§7.6.4.3.3, algorithm 2.A).
fn modern_key(encrypt: &Dictionary, revision: i64) -> Result<Vec<u8>, Refusal> {
    let short = || damaged("the encryption dictionary has a short string");
    let user = required(encrypt, b"U")?;
    let check = user.get(..32).ok_or_else(short)?;
    let validation_salt = user.get(32..40).ok_or_else(short)?;
    let key_salt = user.get(40..48).ok_or_else(short)?;
    if password_hash(validation_salt, revision)?.as_slice() != check {
        return Err(Refusal::PasswordNeeded);
    }
    let intermediate = password_hash(key_salt, revision)?;
    let sealed_key = required(encrypt, b"UE")?.get(..32).ok_or_else(short)?;
    cbc::Decryptor::<aes::Aes256>::new_from_slices(&intermediate, &[0; 16])
        .ok()
        .and_then(|cipher| decrypt_blocks::<NoPadding>(cipher, sealed_key))
        .ok_or(Refusal::UnsupportedEncryption)
}

/// Algorithm 2.B (§7.6.4.3.4) for the empty password; revision 5 is one SHA-256.
fn password_hash(salt: &[u8], revision: i64) -> Result<Vec<u8>, Refusal> {
    let mut key = Sha256::digest(salt).to_vec();
    if revision == 5 {
        return Ok(key);
    }
    let mut round = 0_u32;
    loop {
        let block = key.repeat(64);
        let (cipher_key, vector) = key.split_at_checked(16).ok_or(Refusal::UnsupportedEncryption)?;
        let vector = vector.get(..16).ok_or(Refusal::UnsupportedEncryption)?;
        let encrypted = cbc::Encryptor::<aes::Aes128>::new_from_slices(cipher_key, vector)
            .ok()
            .and_then(|cipher| encrypt_blocks::<NoPadding>(cipher, &block))
            .ok_or(Refusal::UnsupportedEncryption)?;
        let remainder = encrypted.iter().take(16).map(|byte| u32::from(*byte)).sum::<u32>() % 3;
        key = match remainder {
            0 => Sha256::digest(&encrypted).to_vec(),
            1 => Sha384::digest(&encrypted).to_vec(),
            _ => Sha512::digest(&encrypted).to_vec(),
        };
        round += 1;
        if round >= 64 && u32::from(encrypted.last().copied().unwrap_or(0)) <= round - 32 {
            key.truncate(32);
            return Ok(key);
        }
    }
}

/// RC4, which only legacy files use and no maintained crate in the tree offers (§7.6.3.2).
fn rc4(key: &[u8], input: &[u8]) -> Vec<u8> {
    let mut state: Vec<u8> = (0..=255).collect();
    let at = |state: &[u8], index: u8| state.get(usize::from(index)).copied().unwrap_or(0);
    let mut j = 0_u8;
    for (i, key_byte) in (0..=255_u8).zip(key.iter().cycle()) {
        j = j.wrapping_add(at(&state, i)).wrapping_add(*key_byte);
        state.swap(usize::from(i), usize::from(j));
    }
    let (mut i, mut j) = (0_u8, 0_u8);
    input
        .iter()
        .map(|byte| {
            i = i.wrapping_add(1);
            j = j.wrapping_add(at(&state, i));
            state.swap(usize::from(i), usize::from(j));
            byte ^ at(&state, at(&state, i).wrapping_add(at(&state, j)))
        })
        .collect()
}
