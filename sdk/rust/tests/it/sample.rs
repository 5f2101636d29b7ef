//! A message as the sender makes it, with the public interface of this crate.

use countersign_webhooks::{
    Algorithm, Incoming, KeyId, KeySet, Place, PublicKey, Secret, SignatureInput, content_digest,
    message_signature_headers, signed_text, v1a,
};
use ed25519_dalek::{Signer as _, SigningKey};

pub(crate) const NOW_S: i64 = 1_795_342_830;
pub(crate) const ID: &str = "msg_01kb1x8a9wh5t0c8m2q4r6s7vw";
pub(crate) const KEY_ID: &str = "whk_01kb1x8a9wh5t0c8m2q4r6s7vw";
pub(crate) const ATTEMPT_ID: &str = "att_01kb1x8a9wh5t0c8m2q4r6s7vw";
pub(crate) const BODY: &str = r#"{"type":"envelope.sent","timestamp":"2026-11-22T10:20:30.456Z","data":{"organization":"org_01kb1x8a9wh5t0c8m2q4r6s7vw","environment":"sandbox","envelope":"env_01kb1x8a9xq3n7d5f0g2h4j6km","sequence":2,"sha256":"5f2c","news":[1]},"more":{}}"#;

/// A request in parts that a test can change.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) method: Vec<u8>,
    pub(crate) authority: Vec<u8>,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn secret() -> Secret {
    Secret::from_bytes([7; 32])
}

pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[8; 32])
}

pub(crate) fn key_id() -> KeyId {
    KEY_ID.parse().unwrap()
}

pub(crate) fn keys() -> KeySet {
    let public = PublicKey::ed25519(signing_key().verifying_key().as_bytes()).unwrap();
    KeySet::new().with_secret(key_id(), secret()).with_public_key(key_id(), public)
}

impl Sample {
    /// The message with all of its signatures, sent at a time.
    pub(crate) fn at(timestamp_s: i64) -> Self {
        Self::with_body(timestamp_s, BODY.as_bytes())
    }

    pub(crate) fn with_body(timestamp_s: i64, body: &[u8]) -> Self {
        Self::sent_to("hooks.example.com:8443", timestamp_s, body)
    }

    /// The same to a host, which the HTTP Message Signature covers.
    pub(crate) fn sent_to(authority: &str, timestamp_s: i64, body: &[u8]) -> Self {
        let id = ID.parse().unwrap();
        let by_key = signing_key().sign(&signed_text(&id, timestamp_s, body)).to_bytes();
        let signatures = format!("{} {}", secret().sign(&id, timestamp_s, body), v1a(&by_key));
        let headers = [
            ("Content-Type", "application/json".to_owned()),
            ("Webhook-Id", ID.to_owned()),
            ("Webhook-Timestamp", timestamp_s.to_string()),
            ("Webhook-Signature", signatures),
            ("Webhook-Key-Id", KEY_ID.to_owned()),
            ("Webhook-Attempt-Id", ATTEMPT_ID.to_owned()),
            ("Webhook-Event-Class", "envelope".to_owned()),
            ("Webhook-Sequence", "2".to_owned()),
            ("Correlation-Id", "cor_01kb1x8a9wh5t0c8m2q4r6s7vw".to_owned()),
            ("Content-Digest", content_digest(body)),
        ];
        let mut sample = Self {
            method: b"POST".to_vec(),
            authority: authority.as_bytes().to_vec(),
            path: b"/in/%7Ea".to_vec(),
            query: b"x=1".to_vec(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect(),
            body: body.to_vec(),
        };
        let attempt_id = ATTEMPT_ID.parse().unwrap();
        let input = SignatureInput::new(timestamp_s, &key_id(), Algorithm::Ed25519, &attempt_id, true);
        let base = input.base(&sample.incoming().unwrap()).unwrap();
        let signature = signing_key().sign(base.as_bytes()).to_bytes();
        let (inputs, signatures) = message_signature_headers((&input, &signature), None);
        sample.add("Signature-Input", &inputs);
        sample.add("Signature", &signatures);
        sample
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    pub(crate) fn header(&mut self, name: &str) -> &mut Vec<u8> {
        let found = self.headers.iter_mut().find(|(given, _)| given.eq_ignore_ascii_case(name));
        &mut found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// The request, unless a part is no text.
    pub(crate) fn incoming(&self) -> Option<Incoming<'_>> {
        let place = Place {
            scheme: "https",
            authority: std::str::from_utf8(&self.authority).ok()?,
            path: std::str::from_utf8(&self.path).ok()?,
            query: Some(std::str::from_utf8(&self.query).ok()?),
        };
        let headers = self.headers.iter().map(|(name, value)| (name, value));
        Some(Incoming::new(std::str::from_utf8(&self.method).ok()?, place, headers, &self.body))
    }
}
