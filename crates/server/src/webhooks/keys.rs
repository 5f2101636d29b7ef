//! What signs for an endpoint: the shared secret and the Ed25519 key of each of its keys, sealed under the organization's key.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::id::{AttemptId, MessageId, WebhookKeyId};
use countersign_store::webhook_rows::WebhookKeyRow;
use countersign_webhooks::{
    Algorithm, Incoming, Place, Secret, SignatureInput, content_digest, message_signature_headers,
    signed_text, v1a,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    app::{Organization, Randomness, draw},
    fault::Fault,
    keys::Binding,
};

fn binding(key: WebhookKeyId) -> Binding {
    Binding::new("webhook-key", &[key.as_bytes()])
}

/// A key with what it signs with.
pub(crate) struct Signer {
    id: WebhookKeyId,
    secret: Secret,
    ed25519: Ed25519KeyPair,
}

/// A key that was made just now, as it is kept.
pub(crate) struct Made {
    /// Secret and seed, encrypted.
    pub(crate) sealed: Vec<u8>,
    /// Its public keys, as JSON.
    pub(crate) public: String,
    /// The secret, for whoever is to hold it.
    pub(crate) secret: Secret,
}

/// Makes a key.
pub(crate) fn make(
    organization: &Organization,
    id: WebhookKeyId,
    random: &dyn Randomness,
) -> Result<Made, Fault> {
    let material = Zeroizing::new(draw::<64>(random));
    let signer = Signer::of(id, material.as_slice())?;
    let sealed = organization.key.seal(random, &binding(id), material.as_slice())?;
    Ok(Made { sealed, public: json!([signer.jwk()]).to_string(), secret: signer.secret })
}

impl Signer {
    /// Opens a key.
    pub(crate) fn open(organization: &Organization, row: &WebhookKeyRow) -> Result<Self, Fault> {
        Self::of(row.key, &organization.key.open(&binding(row.key), &row.sealed)?)
    }

    /// One of a secret and a seed.
    fn of(id: WebhookKeyId, material: &[u8]) -> Result<Self, Fault> {
        let unreadable = || Fault::Sealed("a webhook key".to_owned());
        let (secret, seed) = material.split_first_chunk::<32>().ok_or_else(unreadable)?;
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| unreadable())?;
        Ok(Self::with(id, Secret::from_bytes(*secret), ed25519))
    }

    /// One of both its parts.
    pub(crate) fn with(id: WebhookKeyId, secret: Secret, ed25519: Ed25519KeyPair) -> Self {
        Self { id, secret, ed25519 }
    }

    /// One that nobody knows, under this id.
    pub(crate) fn stranger(id: WebhookKeyId, random: &dyn Randomness) -> Result<Self, Fault> {
        Self::of(id, Zeroizing::new(draw::<64>(random)).as_slice())
    }

    /// Which key it is.
    pub(crate) fn id(&self) -> WebhookKeyId {
        self.id
    }

    fn jwk(&self) -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(self.ed25519.public_key()),
            "kid": self.id,
            "use": "sig",
            "alg": "EdDSA",
        })
    }

    fn ed25519(&self, text: &[u8]) -> Result<[u8; 64], Fault> {
        let signature = self.ed25519.sign(text);
        signature
            .as_ref()
            .try_into()
            .map_err(|_| Fault::Key("a signature of Ed25519 has 64 bytes".to_owned()))
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

/// The headers of an HTTP Message Signature (RFC 9421) over a request that has all others already.
pub(crate) fn message_signature(
    signers: &[Signer],
    attempt: Attempt<'_>,
    url: &str,
    headers: &[(&'static str, String)],
) -> Result<Vec<(&'static str, String)>, Fault> {
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
        let input = SignatureInput::new(attempt.signed_s, &key, Algorithm::Ed25519, &name, has_sequence);
        let base = input.base(&request).map_err(|refused| Fault::Task(refused.to_string()))?;
        let signature = signer.ed25519(base.as_bytes())?;
        made.push((input, signature));
    }
    let mut members = made.iter().map(|(input, signature)| (input, signature.as_slice()));
    let first = members.next().ok_or_else(|| Fault::Missing("a key that signs".to_owned()))?;
    let (inputs, signatures) = message_signature_headers(first, members.next());
    Ok(vec![("content-digest", digest), ("signature-input", inputs), ("signature", signatures)])
}
