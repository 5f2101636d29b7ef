//! What signs for an endpoint: the shared secret and the Ed25519 key of each of its keys, and the one of HTTP Message Signatures
//! where the endpoint chose another algorithm, sealed under the organization's key.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use countersign_core::{
    id::{AttemptId, MessageId, WebhookKeyId},
    webhook::endpoint::Profile,
};
use countersign_store::webhook_rows::WebhookKeyRow;
use countersign_webhooks::{
    Algorithm, Incoming, Place, PublicKey, Secret, SignatureInput, content_digest, message_signature_headers,
    signed_text, v1a,
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::message_keys::{Kind, MessageKey};
use crate::{
    app::{Organization, Randomness, draw},
    fault::Fault,
    keys::Binding,
};

fn binding(key: WebhookKeyId) -> Binding {
    Binding::new("webhook-key", &[key.as_bytes()])
}

/// Bytes of the secret and the seed. What is kept behind them is the key of HTTP Message Signatures.
const BASE_BYTES: usize = 64;

/// A key with what it signs with.
pub(crate) struct Signer {
    id: WebhookKeyId,
    secret: Secret,
    ed25519: Ed25519KeyPair,
    message_key: Option<MessageKey>,
}

/// A key that was made just now, as it is kept.
pub(crate) struct Made {
    /// Secret and private keys, encrypted.
    pub(crate) sealed: Vec<u8>,
    /// Its public keys, as JSON.
    pub(crate) public: String,
    /// The secret, for whoever is to hold it.
    pub(crate) secret: Secret,
}

/// Makes a key for messages of this profile.
pub(crate) async fn make(
    organization: &Organization,
    id: WebhookKeyId,
    profile: Profile,
    random: &dyn Randomness,
) -> Result<Made, Fault> {
    let base = Zeroizing::new(draw::<BASE_BYTES>(random));
    made(organization, id, base.as_slice(), profile, random).await
}

/// The same key for messages of another profile: what receivers hold of it besides stays right.
pub(crate) async fn remake(
    organization: &Organization,
    row: &WebhookKeyRow,
    profile: Profile,
    random: &dyn Randomness,
) -> Result<Made, Fault> {
    let kept = organization.key.open(&binding(row.key), &row.sealed)?;
    let base = kept.get(..BASE_BYTES).ok_or_else(unreadable)?;
    made(organization, row.key, base, profile, random).await
}

async fn made(
    organization: &Organization,
    id: WebhookKeyId,
    base: &[u8],
    profile: Profile,
    random: &dyn Randomness,
) -> Result<Made, Fault> {
    let message_key = match Kind::of(profile) {
        Some(kind) => MessageKey::make(kind).await?,
        None => Zeroizing::default(),
    };
    let material = Zeroizing::new([base, message_key.as_slice()].concat());
    let signer = Signer::of(id, &material).await?;
    let sealed = organization.key.seal(random, &binding(id), &material)?;
    Ok(Made { sealed, public: Value::Array(signer.jwks()?).to_string(), secret: signer.secret })
}

fn unreadable() -> Fault {
    Fault::Sealed("a webhook key".to_owned())
}

impl Signer {
    /// Opens a key.
    pub(crate) async fn open(organization: &Organization, row: &WebhookKeyRow) -> Result<Self, Fault> {
        Self::of(row.key, &organization.key.open(&binding(row.key), &row.sealed)?).await
    }

    /// One of a secret, a seed, and the key of HTTP Message Signatures if it has one.
    async fn of(id: WebhookKeyId, material: &[u8]) -> Result<Self, Fault> {
        let (secret, rest) = material.split_first_chunk::<32>().ok_or_else(unreadable)?;
        let (seed, message_key) = rest.split_first_chunk::<32>().ok_or_else(unreadable)?;
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| unreadable())?;
        let message_key =
            if message_key.is_empty() { None } else { Some(MessageKey::read(message_key).await?) };
        Ok(Self::with(id, Secret::from_bytes(*secret), ed25519, message_key))
    }

    /// One of all its parts.
    pub(crate) fn with(
        id: WebhookKeyId,
        secret: Secret,
        ed25519: Ed25519KeyPair,
        message_key: Option<MessageKey>,
    ) -> Self {
        Self { id, secret, ed25519, message_key }
    }

    /// One that nobody knows, under this id, for messages of this profile.
    pub(crate) async fn stranger(
        id: WebhookKeyId,
        profile: Profile,
        random: &dyn Randomness,
    ) -> Result<Self, Fault> {
        let message_key = match Kind::of(profile) {
            Some(kind) => Some(MessageKey::stranger(kind).await?),
            None => None,
        };
        let stranger = Self::of(id, Zeroizing::new(draw::<BASE_BYTES>(random)).as_slice()).await?;
        Ok(Self { message_key, ..stranger })
    }

    /// Which key it is.
    pub(crate) fn id(&self) -> WebhookKeyId {
        self.id
    }

    /// Its public keys (RFC 7517).
    fn jwks(&self) -> Result<Vec<Value>, Fault> {
        let weak = || Fault::Key("a webhook key that no receiver takes".to_owned());
        let point = self.ed25519.public_key().as_ref().try_into().map_err(|_| weak())?;
        let mut keys = vec![PublicKey::ed25519(&point).map_err(|_| weak())?];
        if let Some(key) = &self.message_key {
            keys.push(key.public().ok_or_else(weak)?);
        }
        let id = parsed(&self.id)?;
        Ok(keys.iter().map(|key| key.jwk(&id)).collect())
    }

    fn ed25519(&self, text: &[u8]) -> Result<[u8; 64], Fault> {
        let signature = self.ed25519.sign(text);
        signature
            .as_ref()
            .try_into()
            .map_err(|_| Fault::Key("a signature of Ed25519 has 64 bytes".to_owned()))
    }

    /// Signs an HTTP message with this algorithm, and with no other one.
    async fn sign_message(&self, algorithm: Algorithm, text: &[u8]) -> Result<Vec<u8>, Fault> {
        match &self.message_key {
            Some(key) if key.algorithm() == algorithm => key.sign(text).await,
            None if algorithm == Algorithm::Ed25519 => self.ed25519(text).map(Vec::from),
            _ => Err(Fault::Key(format!("{} has no key of {algorithm}", self.id))),
        }
    }
}

/// The algorithm of the HTTP Message Signature; `None` where messages have none.
fn algorithm(profile: Profile) -> Option<Algorithm> {
    match profile {
        Profile::Standard => None,
        Profile::Ed25519 => Some(Algorithm::Ed25519),
        Profile::EcdsaP256Sha256 => Some(Algorithm::EcdsaP256Sha256),
        Profile::RsaPssSha512 => Some(Algorithm::RsaPssSha512),
    }
}

/// What is signed of an attempt.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) message: MessageId,
    pub(crate) id: AttemptId,
    pub(crate) signed_s: i64,
    pub(crate) body: &'a [u8],
}

fn parsed<T: std::str::FromStr>(id: &dyn std::fmt::Display) -> Result<T, Fault> {
    id.to_string().parse().map_err(|_| Fault::Task(format!("{id} is written otherwise on the wire")))
}

/// The headers of Standard Webhooks, signed by these keys with both schemes.
pub(crate) fn standard(
    signers: &[Signer],
    attempt: Attempt<'_>,
) -> Result<Vec<(&'static str, String)>, Fault> {
    let id: countersign_webhooks::MessageId = parsed(&attempt.message)?;
    let text = signed_text(&id, attempt.signed_s, attempt.body);
    let (mut signatures, mut names) = (Vec::new(), Vec::new());
    for signer in signers {
        signatures.push(signer.secret.sign(&id, attempt.signed_s, attempt.body));
        signatures.push(v1a(&signer.ed25519(&text)?));
        names.push(signer.id.to_string());
    }
    Ok(vec![
        ("webhook-id", id.to_string()),
        ("webhook-timestamp", attempt.signed_s.to_string()),
        ("webhook-signature", signatures.join(" ")),
        ("webhook-key-id", names.join(" ")),
    ])
}

/// The headers of the HTTP Message Signature (RFC 9421) of a profile over a request that has all others already; none for one
/// that has no such signature.
pub(crate) async fn message_signature(
    (profile, signers): (Profile, &[Signer]),
    attempt: Attempt<'_>,
    url: &str,
    headers: &[(&'static str, String)],
) -> Result<Vec<(&'static str, String)>, Fault> {
    let Some(algorithm) = algorithm(profile) else { return Ok(Vec::new()) };
    let place =
        Place::of_url(url).map_err(|_| Fault::Task("a URL that was taken has no place".to_owned()))?;
    let digest = content_digest(attempt.body);
    let covered = headers.iter().map(|(name, value)| (*name, value.as_str()));
    let covered = covered.chain([("content-digest", digest.as_str())]);
    let request = Incoming::new("POST", place, covered, attempt.body);
    let has_sequence = headers.iter().any(|(name, _)| *name == "webhook-sequence");
    let mut made = Vec::new();
    for signer in signers {
        let (key, name) = (parsed(&signer.id)?, parsed(&attempt.id)?);
        let input = SignatureInput::new(attempt.signed_s, &key, algorithm, &name, has_sequence);
        let base = input.base(&request).map_err(|refused| Fault::Task(refused.to_string()))?;
        let signature = signer.sign_message(algorithm, base.as_bytes()).await?;
        made.push((input, signature));
    }
    let mut members = made.iter().map(|(input, signature)| (input, signature.as_slice()));
    let first = members.next().ok_or_else(|| Fault::Missing("a key that signs".to_owned()))?;
    let (inputs, signatures) = message_signature_headers(first, members.next());
    Ok(vec![("content-digest", digest), ("signature-input", inputs), ("signature", signatures)])
}
