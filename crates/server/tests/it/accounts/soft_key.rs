//! A passkey in software, so that a test can make answers that no honest one would: without verification, for another
//! origin, with a counter that stands still (WebAuthn Level 3 §6).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::digest::Digest;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};

/// A passkey.
#[derive(Clone)]
pub(crate) struct SoftKey {
    key: SigningKey,
    id: [u8; 16],
    handle: Vec<u8>,
    pub(crate) counter: u32,
    pub(crate) origin: String,
    pub(crate) verifies: bool,
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 4;
const HAS_CREDENTIAL: u8 = 64;

impl SoftKey {
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_slice(&[seed; 32]).unwrap(),
            id: [seed; 16],
            handle: Vec::new(),
            counter: 0,
            origin: "https://sign.test".to_owned(),
            verifies: true,
        }
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        let challenge = &options["publicKey"]["challenge"];
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
    }

    fn authenticator_data(&mut self, more: u8) -> Vec<u8> {
        self.counter += 1;
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        let mut bytes = Digest::of(b"sign.test").0.to_vec();
        bytes.push(USER_PRESENT | verified | more);
        bytes.extend(self.counter.to_be_bytes());
        bytes
    }

    /// Answers a registration, with no attestation (§8.7).
    pub(crate) fn make(&mut self, asked: &Value) -> Value {
        let options = &asked["options"];
        self.handle = URL_SAFE_NO_PAD.decode(options["publicKey"]["user"]["id"].as_str().unwrap()).unwrap();
        let client_data = self.client_data("webauthn.create", options);
        let mut data = self.authenticator_data(HAS_CREDENTIAL);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id);
        // The key as COSE (RFC 9053 §7.1.1): {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
        let point = self.key.verifying_key().to_sec1_point(false);
        data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend(point.x().unwrap());
        data.extend([0x22, 0x58, 32]);
        data.extend(point.y().unwrap());
        // {"fmt": "none", "attStmt": {}, "authData": bytes}
        let mut attestation = vec![0xa3, 0x63];
        attestation.extend(b"fmt");
        attestation.push(0x64);
        attestation.extend(b"none");
        attestation.push(0x67);
        attestation.extend(b"attStmt");
        attestation.extend([0xa0, 0x68]);
        attestation.extend(b"authData");
        attestation.extend([0x58, u8::try_from(data.len()).unwrap()]);
        attestation.extend(&data);
        json!({
            "state": asked["state"],
            "credential": {
                "id": text(&self.id), "rawId": text(&self.id), "type": "public-key", "extensions": {},
                "response": { "attestationObject": text(&attestation), "clientDataJSON": text(client_data.as_bytes()) },
            },
        })
    }

    /// Answers a request to sign in.
    pub(crate) fn answer(&mut self, asked: &Value) -> Value {
        let client_data = self.client_data("webauthn.get", &asked["options"]);
        let data = self.authenticator_data(0);
        let signed = [data.as_slice(), &Digest::of(client_data.as_bytes()).0].concat();
        let signature: Signature = self.key.sign(&signed);
        json!({
            "state": asked["state"],
            "credential": {
                "id": text(&self.id), "rawId": text(&self.id), "type": "public-key", "extensions": {},
                "response": {
                    "authenticatorData": text(&data), "clientDataJSON": text(client_data.as_bytes()),
                    "signature": text(signature.to_der().as_bytes()), "userHandle": text(&self.handle),
                },
            },
        })
    }
}
