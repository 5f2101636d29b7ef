//! Signatures of `DocuSign` Connect: `X-DocuSign-Signature-1` and on, one for each key of the account, HMAC-SHA256 in base64 over
//! the body alone. The body says when it was made and what it is about, so that both are signed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::header::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Nonce, Refusal, Verified, bad_signature, malformed};
use crate::mac::MacKey;

/// Keys that an account may have, and signatures that are tried.
const SIGNATURES_MAX: usize = 10;
const PREFIX: &str = "x-docusign-signature-";

pub(super) fn check(
    keys: &[MacKey],
    age_s: i64,
    headers: &HeaderMap,
    body: &[u8],
    now_s: i64,
) -> Result<Verified, Refusal> {
    let signatures = headers.iter().filter(|(name, _)| name.as_str().starts_with(PREFIX));
    let codes: Vec<Vec<u8>> = signatures
        .take(SIGNATURES_MAX)
        .filter_map(|(_, value)| STANDARD.decode(value.as_bytes()).ok())
        .collect();
    if codes.is_empty() {
        return Err(malformed(
            "there is no header x-docusign-signature-1: add a key for HMAC to the account and to the Connect configuration",
        ));
    }
    if !keys.iter().any(|key| codes.iter().any(|code| key.is_right(&[body], code))) {
        return Err(bad_signature());
    }
    let event: Option<Value> = serde_json::from_slice(body).ok();
    let event = event.as_ref().and_then(Value::as_object).ok_or_else(|| {
        Refusal::new(
            400,
            "not_an_event",
            "the signed body is no JSON object: choose JSON in the Connect configuration",
        )
    })?;
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let made_at: Option<Timestamp> = text("generatedDateTime").parse().ok();
    let made_at = made_at
        .ok_or_else(|| Refusal::new(400, "not_an_event", "the signed body has no `generatedDateTime`"))?;
    if now_s.saturating_sub(made_at.as_second()) > age_s {
        return Err(Refusal::new(408, "stale", "it was made before the time that ids are kept for"));
    }
    Ok(Verified { id: id_of(event), nonce: Nonce::Message, place: None, headers: Vec::new() })
}

/// What the message is about: all of it besides how often it was tried.
fn id_of(event: &serde_json::Map<String, Value>) -> String {
    let mut about = event.clone();
    about.remove("retryCount");
    hex::encode(Sha256::digest(Value::Object(about).to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::headers_of;
    use super::*;

    #[test]
    fn one_of_several_signatures_is_enough_and_a_retry_is_the_same_message() {
        let keys = [MacKey::of_text("one"), MacKey::of_text("two=")];
        let body = |retries: u32, time: &str| {
            format!(
                r#"{{"event":"envelope-completed","retryCount":{retries},"generatedDateTime":"{time}","data":{{"envelopeId":"e"}}}}"#
            )
        };
        let judged = |key: &str, body: &str, now_s| {
            let right = STANDARD.encode(MacKey::of_text(key).sign(&[body.as_bytes()]));
            let headers =
                headers_of(&[("x-docusign-signature-1", "AAAA"), ("x-docusign-signature-2", &right)]);
            check(&keys, 86_400, &headers, body.as_bytes(), now_s).map_err(|refusal| refusal.code)
        };
        let time = "2026-11-22T10:20:30.1234567Z";
        let now_s = 1_795_342_830;
        let first = judged("two=", &body(0, time), now_s).unwrap();
        assert_eq!(judged("two=", &body(3, time), now_s).unwrap(), first);
        let other = judged("two=", &body(0, "2026-11-22T10:20:31Z"), now_s).unwrap();
        assert_ne!(other.id, first.id);
        assert_eq!(judged("three", &body(0, time), now_s), Err("bad_signature"));
        assert_eq!(judged("one", &body(0, time), now_s + 86_401), Err("stale"));
        assert_eq!(judged("one", &body(0, "yesterday"), now_s), Err("not_an_event"));
        assert_eq!(judged("one", "<xml/>", now_s), Err("not_an_event"));
        assert_eq!(
            check(&keys, 1, &HeaderMap::new(), b"{}", now_s).map_err(|refusal| refusal.code),
            Err("malformed")
        );
    }
}
