//! How many webhooks of 1 KB are verified in a second, on one thread, for each kind of proof:
//! `cargo run --release --example verifications [SECONDS]`.

use std::error::Error;
use std::time::{Duration, Instant};

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA512, RsaKeyPair};
use countersign_webhooks::{
    Accept, Incoming, KeyId, KeySet, Place, PublicKey, Secret, SignatureInput, Verifier, content_digest,
    message_signature_headers, signed_text, v1a,
};
use ed25519_dalek::{Signer as _, SigningKey};

const NOW_S: i64 = 1_795_342_830;
const NAME: &str = "01kb1x8a9wh5t0c8m2q4r6s7vw";

/// A key of one algorithm: its public part, and what signs with it.
type Key = (PublicKey, Box<dyn Fn(&[u8]) -> Vec<u8>>);

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(2.0), |seconds| seconds.parse())?;
    let duration = Duration::from_secs_f64(seconds);
    let key_id: KeyId = format!("whk_{NAME}").parse()?;
    let secret = Secret::from_bytes([7; 32]);
    let key = SigningKey::from_bytes(&[8; 32]);
    let public = PublicKey::ed25519(key.verifying_key().as_bytes())?;
    let keys = KeySet::new().with_secret(key_id, secret.clone()).with_public_key(key_id, public.clone());
    let body = body();
    let id = format!("msg_{NAME}").parse()?;
    let by_key = v1a(&key.sign(&signed_text(&id, NOW_S, &body)).to_bytes());
    let headers = headers(&format!("{} {by_key}", secret.sign(&id, NOW_S, &body)), &body);
    for (name, accept) in [("v1", Accept::V1), ("v1a", Accept::V1a)] {
        measure(name, duration, &Verifier::new(accept), &headers, &body, &keys)?;
    }
    let ed25519: Key = (public, Box::new(move |text| key.sign(text).to_bytes().to_vec()));
    for (public, sign) in [ed25519, p256()?, rsa()?] {
        let algorithm = public.algorithm();
        let mut headers = headers.clone();
        let input = SignatureInput::new(NOW_S, &key_id, algorithm, &format!("att_{NAME}").parse()?, true);
        let signature = sign(input.base(&incoming(&headers, &body)?)?.as_bytes());
        let (inputs, signatures) = message_signature_headers((&input, &signature), None);
        headers.extend([("signature-input", inputs), ("signature", signatures)]);
        let keys = KeySet::new().with_public_key(key_id, public);
        let verifier = Verifier::new(Accept::MessageSignature);
        measure(&format!("http {algorithm}"), duration, &verifier, &headers, &body, &keys)?;
    }
    Ok(())
}

fn body() -> Vec<u8> {
    let event = r#"{"type":"envelope.sent","timestamp":"2026-11-22T10:20:30.456Z","data":{"organization":"org_01kb1x8a9wh5t0c8m2q4r6s7vw","sequence":2,"event":""#;
    let padding = "a".repeat(1024_usize.saturating_sub(event.len() + 3));
    format!("{event}{padding}\"}}}}").into_bytes()
}

fn headers(signatures: &str, body: &[u8]) -> Vec<(&'static str, String)> {
    vec![
        ("host", "receiver.example".to_owned()),
        ("user-agent", "Countersign-Webhooks/1".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("content-digest", content_digest(body)),
        ("webhook-id", format!("msg_{NAME}")),
        ("webhook-timestamp", NOW_S.to_string()),
        ("webhook-signature", signatures.to_owned()),
        ("webhook-key-id", format!("whk_{NAME}")),
        ("webhook-attempt-id", format!("att_{NAME}")),
        ("webhook-event-class", "envelope".to_owned()),
        ("webhook-sequence", "2".to_owned()),
        ("correlation-id", format!("cor_{NAME}")),
    ]
}

fn incoming<'m>(
    headers: &'m [(&'static str, String)],
    body: &'m [u8],
) -> Result<Incoming<'m>, Box<dyn Error>> {
    let place = Place::of_url("https://receiver.example/hooks/countersign?tenant=7")?;
    Ok(Incoming::new("POST", place, headers.iter().map(|(name, value)| (*name, value)), body))
}

fn p256() -> Result<Key, Box<dyn Error>> {
    use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
    let key = SigningKey::from_slice(&[9; 32])?;
    let point = key.verifying_key().to_sec1_point(false);
    let (x, y) = (point.x().ok_or("no point")?, point.y().ok_or("no point")?);
    let public = PublicKey::p256(x.as_slice().try_into()?, y.as_slice().try_into()?)?;
    let sign = move |text: &[u8]| {
        let signature: Signature = key.sign(text);
        signature.to_bytes().to_vec()
    };
    Ok((public, Box::new(sign)))
}

fn rsa() -> Result<Key, Box<dyn Error>> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
    // RSAPublicKey in DER (RFC 8017 §A.1.1): the modulus stands behind nine bytes.
    let modulus = key.public_key().as_ref().get(9..265).unwrap_or_default().to_vec();
    let sign = move |text: &[u8]| {
        let mut signature = vec![0; key.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signed = key.sign(&RSA_PSS_SHA512, &random, text, &mut signature);
        signed.map(|()| signature).unwrap_or_default()
    };
    Ok((PublicKey::rsa(&modulus, &[1, 0, 1])?, Box::new(sign)))
}

#[expect(clippy::disallowed_methods, reason = "this measures time")]
fn measure(
    name: &str,
    duration: Duration,
    verifier: &Verifier,
    headers: &[(&'static str, String)],
    body: &[u8],
    keys: &KeySet,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut count = 0_u32;
    while count == 0 || start.elapsed() < duration {
        for _ in 0..100 {
            verifier.authenticate(&incoming(headers, body)?, keys, NOW_S)?;
        }
        count += 100;
    }
    let per_s = f64::from(count) / start.elapsed().as_secs_f64();
    println!("{name}: {per_s:.0} a second, {:.1} µs each", 1e6 / per_s);
    Ok(())
}
