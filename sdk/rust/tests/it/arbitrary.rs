//! Whatever arrives: it is taken or refused, and never more than that.

use countersign_webhooks::{Accept, Incoming, KeySet, Place, PublicKey, Secret, Verifier};
use proptest::prelude::*;

use crate::sample::{NOW_S, Sample, keys};

const ALL: [Accept; 4] = [Accept::V1, Accept::V1a, Accept::V1OrV1a, Accept::MessageSignature];
const NAMES: [&str; 14] = [
    "content-encoding",
    "content-type",
    "content-digest",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "webhook-key-id",
    "webhook-attempt-id",
    "webhook-event-class",
    "webhook-sequence",
    "correlation-id",
    "signature-input",
    "signature",
    "",
];

/// A value near enough to a right one to get further than the first check.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[ -~]{0,100}".prop_map(String::into_bytes),
        "(v1|v1a|v2),[A-Za-z0-9+/]{0,90}={0,2}( v1,[A-Za-z0-9+/]{43}=){0,4}".prop_map(String::into_bytes),
        r#"[a-z-]{0,12}=(\(("[@a-z-]{0,20}" ?){0,15}\))?(;(created|expires|keyid|alg|nonce|tag)(="[ -~]{0,30}"|=[0-9]{0,20})?){0,7}"#
            .prop_map(String::into_bytes),
        "(sha-256|sha-512|countersign)=:[A-Za-z0-9+/]{0,90}={0,2}:".prop_map(String::into_bytes),
    ]
}

fn refuses_or_takes(sample: &Sample) -> Vec<bool> {
    let Some(incoming) = sample.incoming() else { return vec![false; ALL.len()] };
    let _ = incoming.key_ids();
    ALL.iter().map(|accept| Verifier::new(*accept).authenticate(&incoming, &keys(), NOW_S).is_ok()).collect()
}

/// Which parts of a request a kind of proof covers.
fn covered(sample: &mut Sample, accept: Accept) -> Vec<&mut Vec<u8>> {
    let mut names = vec!["webhook-id", "webhook-timestamp"];
    let is_all = accept == Accept::MessageSignature;
    if is_all {
        names.extend(&NAMES[1..3]);
        names.extend(["webhook-key-id", "webhook-attempt-id", "webhook-event-class", "webhook-sequence"]);
        names.extend(["correlation-id", "signature-input"]);
    }
    let mut parts = vec![&mut sample.body];
    if is_all {
        parts.extend([&mut sample.method, &mut sample.authority, &mut sample.path, &mut sample.query]);
    }
    let is_covered = |name: &str| names.iter().any(|covered| name.eq_ignore_ascii_case(covered));
    parts.extend(sample.headers.iter_mut().filter(|(name, _)| is_covered(name)).map(|(_, value)| value));
    parts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// W-1: any bytes in any header are refused, and never a panic.
    #[test]
    fn any_headers_are_refused(
        headers in prop::collection::vec((0..NAMES.len(), value()), 0..16),
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (NAMES[*name], value)).collect();
        let place = Place { scheme: "https", authority: "a", path: "", query: None };
        let incoming = Incoming::new("POST", place, headers.iter().map(|(name, value)| (*name, *value)), &body);
        for accept in ALL {
            prop_assert!(Verifier::new(accept).authenticate(&incoming, &keys(), NOW_S).is_err());
        }
    }

    /// W-1: a right message with one header of anything in place of its own is still no panic.
    #[test]
    fn any_header_in_a_right_message_gives_an_answer(name in 0..NAMES.len(), value in value(), is_added in any::<bool>()) {
        let mut sample = Sample::at(NOW_S);
        if !is_added {
            sample.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(NAMES[name]));
        }
        sample.headers.push((NAMES[name].to_owned(), value));
        refuses_or_takes(&sample);
    }

    /// W-1: one bit of whatever is signed, and the message is refused.
    #[test]
    fn a_flipped_bit_of_what_is_signed_is_refused(part in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), bit in 0..8_u8) {
        for (index, accept) in ALL.into_iter().enumerate() {
            let mut sample = Sample::at(NOW_S);
            prop_assert!(refuses_or_takes(&sample)[index]);
            let mut parts = covered(&mut sample, accept);
            let part = part.index(parts.len());
            let byte = byte.index(parts[part].len());
            // A host has no case (RFC 9421 §2.2.3).
            let is_case = accept == Accept::MessageSignature && part == 2 && bit == 5 && parts[part][byte].is_ascii_alphabetic();
            prop_assume!(!is_case);
            parts[part][byte] ^= 1 << bit;
            prop_assert!(!refuses_or_takes(&sample)[index], "{accept:?} {sample:?}");
        }
    }

    /// W-1: one bit of the signature, and the message is refused.
    #[test]
    fn a_flipped_bit_of_a_signature_is_refused(byte in any::<prop::sample::Index>(), bit in 0..8_u8) {
        for (header, before, after, accept) in [
            ("webhook-signature", "v1,", " ", Accept::V1),
            ("webhook-signature", "v1a,", "", Accept::V1a),
        ] {
            let mut sample = Sample::at(NOW_S);
            let value = sample.header(header);
            let text = String::from_utf8(value.clone()).unwrap();
            let start = text.find(before).unwrap() + before.len();
            let end = if after.is_empty() { text.len() } else { text.find(after).unwrap() };
            value[start + byte.index(end - start)] ^= 1 << bit;
            prop_assert!(Verifier::new(accept).authenticate(&sample.incoming().unwrap(), &keys(), NOW_S).is_err());
        }
    }

    #[test]
    fn any_text_for_a_key_gives_an_answer(text in "(whsec_|whpk_)?[ -~]{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (text.parse::<Secret>(), text.parse::<PublicKey>(), Place::of_url(&text), KeySet::from_jwks(&bytes));
    }
}
