//! Stripe's signatures: `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 in hexadecimal digits over time, full stop and body. While a
//! secret is rolled there are several `v1`; other schemes are passed over.

use hyper::header::HeaderMap;
use serde_json::Value;

use super::{Nonce, Refusal, Verified, bad_signature, is_name, malformed, passed_on, required};
use crate::mac::MacKey;

/// Signatures that are tried at most: each costs a hash of the body.
const SIGNATURES_MAX: usize = 8;

pub(super) fn check(
    keys: &[MacKey],
    window_s: u32,
    headers: &HeaderMap,
    body: &[u8],
    now_s: i64,
) -> Result<Verified, Refusal> {
    let header = required(headers, "stripe-signature")?;
    let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let mut times = pairs().filter(|(name, _)| *name == "t").map(|(_, value)| value);
    let (Some(time), None) = (times.next(), times.next()) else {
        return Err(malformed("the header stripe-signature has to have one t"));
    };
    let is_number = (1..=12).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
    let signed_at_s: i64 = time
        .parse()
        .ok()
        .filter(|_| is_number)
        .ok_or_else(|| malformed("the time of stripe-signature is no number"))?;
    let window = i64::from(window_s);
    let age_s = now_s.saturating_sub(signed_at_s);
    if age_s > window {
        return Err(Refusal::new(408, "stale", format!("it was signed more than {window_s} seconds ago")));
    }
    if age_s < -window {
        let sentence = format!("it was signed more than {window_s} seconds from now: set this clock by NTP");
        return Err(Refusal::new(400, "future", sentence));
    }
    let codes: Vec<Vec<u8>> = pairs()
        .filter(|(name, _)| *name == "v1")
        .take(SIGNATURES_MAX)
        .filter_map(|(_, digits)| hex::decode(digits).ok())
        .collect();
    let parts: [&[u8]; 3] = [time.as_bytes(), b".", body];
    if !keys.iter().any(|key| codes.iter().any(|code| key.is_right(&parts, code))) {
        return Err(bad_signature());
    }
    let event: Option<Value> = serde_json::from_slice(body).ok();
    let id = event.as_ref().and_then(|event| event.get("id")?.as_str()).filter(|id| is_name(id));
    let id = id.ok_or_else(|| Refusal::new(400, "not_an_event", "the signed body has no `id`"))?;
    Ok(Verified {
        id: id.to_owned(),
        nonce: Nonce::Attempt(format!("{id}.{signed_at_s}"), 2 * window + 1),
        place: None,
        headers: passed_on(headers, &[]),
    })
}

#[cfg(test)]
mod tests {
    use super::super::headers_of;
    use super::*;

    fn judged(header: &str, body: &[u8], now_s: i64) -> Result<Verified, &'static str> {
        let keys = [MacKey::of_text("whsec_one"), MacKey::of_text("whsec_two")];
        check(&keys, 300, &headers_of(&[("stripe-signature", header)]), body, now_s)
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn time_and_body_are_signed_and_one_signature_is_enough() {
        let body = br#"{"id":"evt_1","object":"event"}"#;
        let sign =
            |key: &str, time: &str| hex::encode(MacKey::of_text(key).sign(&[time.as_bytes(), b".", body]));
        let right = sign("whsec_two", "1000");
        let header = format!("t=1000,v1={},v1={right},v0=abc", sign("whsec_other", "1000"));
        let verified = judged(&header, body, 1300).unwrap();
        assert_eq!(verified.id, "evt_1");
        assert_eq!(verified.nonce, Nonce::Attempt("evt_1.1000".into(), 601));
        assert_eq!(judged(&header, body, 1301), Err("stale"));
        assert_eq!(judged(&header, body, 699), Err("future"));
        assert_eq!(judged(&header, b"{}", 1000), Err("bad_signature"));
        assert_eq!(judged(&format!("t=1001,v1={right}"), body, 1000), Err("bad_signature"));
        assert_eq!(judged(&format!("t=1000,v0={right}"), body, 1000), Err("bad_signature"));
        for bad in ["", "v1=00", "t=1000,t=1000", "t=+1000", "t=1e3", "t=", "t=99999999999999999999"] {
            assert_eq!(judged(&format!("{bad},v1={right}"), body, 1000), Err("malformed"), "{bad}");
        }
        // More signatures than are tried are no way around the limit.
        let many = format!("t=1000{},v1={right}", ",v1=00".repeat(8));
        assert_eq!(judged(&many, body, 1000), Err("bad_signature"));
    }
}
