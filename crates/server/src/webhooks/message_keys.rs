//! The key of HTTP Message Signatures (RFC 9421 §3.3) of endpoints that chose another algorithm than Ed25519.

use std::sync::Arc;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PSS_SHA512},
};
use countersign_core::webhook::endpoint::Profile;
use countersign_webhooks::{Algorithm, PublicKey};
use der::{Decode as _, Sequence, asn1::UintRef};
use tokio::sync::{OnceCell, Semaphore};
use zeroize::Zeroizing;

use crate::fault::Fault;

/// An RSA key takes a processor for a second or so: one is made at a time, whoever asks.
static MAKING: Semaphore = Semaphore::const_new(1);
/// So many RSA keys sign at the same time: each takes a processor for a millisecond or more.
const RSA_AT_WORK: usize = 4;
/// Their turns.
static AT_WORK: Semaphore = Semaphore::const_new(RSA_AT_WORK);
/// The turns of RSA keys that are read. They are no signatures': whoever takes deliveries reads first, and all of them would wait.
static READING: Semaphore = Semaphore::const_new(RSA_AT_WORK);
/// The RSA key of forgeries (W-9). Nobody holds it, so that one is enough for all of them.
static FORGER: OnceCell<Zeroizing<Vec<u8>>> = OnceCell::const_new();

/// The kinds of keys that are made for a profile besides those that every endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ECDSA over P-256 with SHA-256.
    P256,
    /// RSASSA-PSS with SHA-512, of 3072 bits.
    Rsa,
}

impl Kind {
    /// The one that a profile takes, if it takes one.
    pub(crate) fn of(profile: Profile) -> Option<Self> {
        match profile {
            Profile::Standard | Profile::Ed25519 => None,
            Profile::EcdsaP256Sha256 => Some(Self::P256),
            Profile::RsaPssSha512 => Some(Self::Rsa),
        }
    }

    fn tag(self) -> u8 {
        match self {
            Self::P256 => 1,
            Self::Rsa => 2,
        }
    }
}

/// A key that signs HTTP messages.
pub(crate) enum MessageKey {
    /// Of P-256.
    P256(EcdsaKeyPair),
    /// Of RSA.
    Rsa(Arc<RsaKeyPair>),
}

/// RFC 8017 §A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

impl MessageKey {
    /// A new one as it is kept: its kind, and PKCS #8.
    pub(crate) async fn make(kind: Kind) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let pkcs8 = match kind {
            Kind::P256 => p256()?,
            Kind::Rsa => rsa().await?,
        };
        Ok(Zeroizing::new([&[kind.tag()], pkcs8.as_slice()].concat()))
    }

    /// One that nobody holds.
    pub(crate) async fn stranger(kind: Kind) -> Result<Self, Fault> {
        let kept = match kind {
            Kind::P256 => Self::make(kind).await?,
            Kind::Rsa => FORGER.get_or_try_init(|| Self::make(kind)).await?.clone(),
        };
        Self::read(&kept).await
    }

    /// Reads what was kept.
    pub(crate) async fn read(kept: &[u8]) -> Result<Self, Fault> {
        let unreadable = || Fault::Sealed("a webhook key".to_owned());
        let (tag, pkcs8) = kept.split_first().ok_or_else(unreadable)?;
        let kind = [Kind::P256, Kind::Rsa].into_iter().find(|kind| kind.tag() == *tag);
        let read = match kind.ok_or_else(unreadable)? {
            Kind::P256 => Self::of_pkcs8(Kind::P256, pkcs8),
            Kind::Rsa => {
                let pkcs8 = Zeroizing::new(pkcs8.to_vec());
                aside(&READING, move || Self::of_pkcs8(Kind::Rsa, &pkcs8)).await?
            }
        };
        read.ok_or_else(unreadable)
    }

    /// Reads PKCS #8.
    pub(crate) fn of_pkcs8(kind: Kind, pkcs8: &[u8]) -> Option<Self> {
        match kind {
            Kind::P256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok().map(Self::P256)
            }
            Kind::Rsa => RsaKeyPair::from_pkcs8(pkcs8).ok().map(Arc::new).map(Self::Rsa),
        }
    }

    /// Its algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::EcdsaP256Sha256,
            Self::Rsa(_) => Algorithm::RsaPssSha512,
        }
    }

    /// Its public part; `None` for a key that no receiver takes.
    pub(crate) fn public(&self) -> Option<PublicKey> {
        match self {
            Self::P256(pair) => {
                // An uncompressed point (SEC 1 §2.3.3).
                let (x, rest) = pair.public_key().as_ref().strip_prefix(&[4])?.split_first_chunk::<32>()?;
                PublicKey::p256(x, rest.first_chunk()?).ok()
            }
            Self::Rsa(pair) => {
                let public = RsaPublicKey::from_der(pair.public_key().as_ref()).ok()?;
                PublicKey::rsa(public.modulus.as_bytes(), public.exponent.as_bytes()).ok()
            }
        }
    }

    /// Signs.
    pub(crate) async fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Fault> {
        let failed = |_| Fault::Key("a webhook key does not sign".to_owned());
        match self {
            Self::P256(pair) => {
                pair.sign(&SystemRandom::new(), text).map(|made| made.as_ref().to_vec()).map_err(failed)
            }
            Self::Rsa(pair) => {
                let (pair, text) = (Arc::clone(pair), text.to_vec());
                let signed = aside(&AT_WORK, move || {
                    let mut signature = vec![0; pair.public_modulus_len()];
                    pair.sign(&RSA_PSS_SHA512, &SystemRandom::new(), &text, &mut signature)
                        .map(|()| signature)
                });
                signed.await?.map_err(failed)
            }
        }
    }
}

fn unmade<E>(_: E) -> Fault {
    Fault::Key("no webhook key could be made".to_owned())
}

fn p256() -> Result<Zeroizing<Vec<u8>>, Fault> {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    made.map(|document| Zeroizing::new(document.as_ref().to_vec())).map_err(unmade)
}

async fn rsa() -> Result<Zeroizing<Vec<u8>>, Fault> {
    let made = aside(&MAKING, || {
        let pair = RsaKeyPair::generate(KeySize::Rsa3072).map_err(unmade)?;
        let document: Pkcs8V1Der<'_> = pair.as_der().map_err(unmade)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    });
    made.await?
}

/// Works off the threads that serve others, when it has its turn.
async fn aside<T: Send + 'static>(
    turns: &'static Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let stopped = |error: &dyn std::fmt::Display| Fault::Task(error.to_string());
    let turn = turns.acquire().await.map_err(|error| stopped(&error))?;
    let working = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    working.await.map_err(|error| stopped(&error))
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

    use super::*;

    /// W-1, W-4: RSA has its turn and its own threads at each signature, and others at its opening, so that no queue of signatures holds
    /// up those who only look for what to send; the other algorithms wait for nothing.
    #[tokio::test]
    async fn rsa_waits_for_its_turn_and_nothing_else_does() {
        let (rsa, p256) =
            (MessageKey::make(Kind::Rsa).await.unwrap(), MessageKey::make(Kind::P256).await.unwrap());
        let all = u32::try_from(RSA_AT_WORK).unwrap();
        let turns = AT_WORK.acquire_many(all).await.unwrap();
        let opened = tokio::time::timeout(Duration::from_mins(1), MessageKey::read(&rsa)).await;
        let key = opened.expect("it does not wait for signatures").unwrap();
        assert!(key.public().is_some());
        let readers = READING.acquire_many(all).await.unwrap();
        let (mut reads, mut signs) = (pin!(MessageKey::read(&rsa)), pin!(key.sign(b"x")));
        for _ in 0..3 {
            assert!(poll_fn(|context| Poll::Ready(reads.as_mut().poll(context).is_pending())).await);
            assert!(poll_fn(|context| Poll::Ready(signs.as_mut().poll(context).is_pending())).await);
        }
        let other = MessageKey::read(&p256).await.unwrap();
        assert_eq!(other.sign(b"x").await.unwrap().len(), 64);
        drop((turns, readers));
        assert_eq!(signs.await.unwrap().len(), 384);
        assert!(reads.await.unwrap().public().is_some());
    }
}
