//! The window, what the receiver chose, and what comes after the signature.

use countersign_webhooks::{Accept, KeySet, MemoryStore, Problem, Refused, Taken, Verifier, Window};

use crate::sample::{NOW_S, Sample, key_id, keys, secret};

const ALL: [Accept; 4] = [Accept::V1, Accept::V1a, Accept::V1OrV1a, Accept::MessageSignature];

/// W-3: two minutes by choice.
#[test]
fn a_narrow_window_is_two_minutes_both_ways() {
    for accept in ALL {
        let verifier = Verifier::new(accept).with_window(Window::TwoMinutes);
        let sample = Sample::at(NOW_S);
        let at = |now_s| {
            verifier.authenticate(&sample.incoming().unwrap(), &keys(), now_s).map(|event| event.signed_at_s)
        };
        assert_eq!(at(NOW_S + 120), Ok(NOW_S));
        assert_eq!(at(NOW_S - 120), Ok(NOW_S));
        assert_eq!(at(NOW_S + 121), Err(Refused::Stale { window_s: 120 }));
        assert_eq!(at(NOW_S - 121), Err(Refused::Future { window_s: 120 }));
        for far in [i64::MIN, i64::MAX] {
            assert!(at(far).is_err());
        }
    }
}

/// W-3: an attempt is taken once, and its message is acted on once.
#[test]
fn an_attempt_is_taken_once_and_a_retry_is_a_duplicate() {
    for accept in ALL {
        let (verifier, store) = (Verifier::new(accept), MemoryStore::new(10));
        let (first, retry) = (Sample::at(NOW_S), Sample::at(NOW_S + 35));
        let verify =
            |sample: &Sample, now_s| verifier.verify(&sample.incoming().unwrap(), &keys(), &store, now_s);
        assert!(matches!(verify(&first, NOW_S), Ok(Taken::New(_))));
        assert_eq!(verify(&first, NOW_S + 299), Err(Refused::Replayed));
        let Ok(Taken::New(event)) = verify(&retry, NOW_S + 35) else { panic!("it was not acted on") };
        verifier.acted(&event, &store, NOW_S + 35).unwrap();
        assert_eq!(verify(&retry, NOW_S + 36), Err(Refused::Replayed));
        assert_eq!(verify(&first, NOW_S + 40), Err(Refused::Replayed), "the attempt stays known");
        assert!(matches!(verify(&Sample::at(NOW_S + 50), NOW_S + 50), Ok(Taken::Duplicate(_))));
    }
}

/// W-3: a message that was signed ahead of our clock can come again until its own window ends.
#[test]
fn an_attempt_is_remembered_until_nobody_would_take_it() {
    let (verifier, store) = (Verifier::new(Accept::V1), MemoryStore::new(10));
    let sample = Sample::at(NOW_S + 300);
    let verify = |now_s| verifier.verify(&sample.incoming().unwrap(), &keys(), &store, now_s);
    assert!(verify(NOW_S).is_ok());
    assert_eq!(verify(NOW_S + 600), Err(Refused::Replayed), "the window's last second");
    assert_eq!(verify(NOW_S + 601), Err(Refused::Stale { window_s: 300 }));
}

/// W-1: what is configured is asked for, and nothing weaker in its place.
#[test]
fn nothing_weaker_is_taken_in_place_of_what_was_chosen() {
    let code = |accept, sample: &Sample, keys: &KeySet| {
        Verifier::new(accept)
            .authenticate(&sample.incoming().unwrap(), keys, NOW_S)
            .map_err(|refused| refused.code())
            .err()
    };
    let good = Sample::at(NOW_S);
    let only_secret = KeySet::new().with_secret(key_id(), secret());
    assert_eq!(code(Accept::V1a, &good, &only_secret), Some("unknown_key"));
    assert_eq!(code(Accept::MessageSignature, &good, &only_secret), Some("unknown_key"));
    assert_eq!(code(Accept::V1OrV1a, &good, &only_secret), None);
    let mut by_key = good.clone();
    let signatures = String::from_utf8(by_key.header("webhook-signature").clone()).unwrap();
    let (by_secret, by_public_key) = signatures.split_once(' ').unwrap();
    *by_key.header("webhook-signature") = by_public_key.as_bytes().to_vec();
    assert_eq!(code(Accept::V1, &by_key, &keys()), Some("bad_signature"));
    assert_eq!(code(Accept::V1OrV1a, &by_key, &keys()), None);
    *by_key.header("webhook-signature") = by_secret.as_bytes().to_vec();
    assert_eq!(code(Accept::V1a, &by_key, &keys()), Some("bad_signature"));
    let mut without = good.clone();
    without.headers.retain(|(name, _)| !name.starts_with("Signature"));
    assert_eq!(code(Accept::MessageSignature, &without, &keys()), Some("malformed"));
    assert_eq!(code(Accept::V1, &without, &keys()), None);
}

#[test]
fn every_line_of_content_encoding_is_read() {
    let code = |lines: &[&str]| {
        let mut sample = Sample::at(NOW_S);
        for line in lines {
            sample.add("Content-Encoding", line);
        }
        let refused = Verifier::new(Accept::V1).authenticate(&sample.incoming().unwrap(), &keys(), NOW_S);
        refused.map_err(|refused| refused.code()).err()
    };
    assert_eq!(code(&["identity", "Identity"]), None);
    for lines in [&["identity", "gzip"][..], &["gzip", "identity"], &[""], &["br"]] {
        assert_eq!(code(lines), Some("unsupported_encoding"), "{lines:?}");
    }
}

#[test]
fn a_signed_body_that_is_no_event_is_refused_and_not_remembered() {
    let store = MemoryStore::new(10);
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "{} {}",
        r#"{"type":1,"timestamp":"2026-11-22T10:20:30.456Z","data":{}}"#,
        r#"{"type":"","timestamp":"2026-11-22T10:20:30.456Z","data":{}}"#,
        r#"{"type":"a","timestamp":"","data":{}}"#,
        r#"{"type":"a","timestamp":"2026-11-22T10:20:30.456Z","data":[]}"#,
        r#"{"type":"a","type":"b","timestamp":"2026-11-22T10:20:30.456Z","data":{}}"#,
        r#"{"type":"a","timestamp":"2026-11-22T10:20:30.456Z","data":{"x":{"y":1,"y":1}}}"#,
    ] {
        let sample = Sample::with_body(NOW_S, body.as_bytes());
        for accept in ALL {
            let refused = Verifier::new(accept)
                .verify(&sample.incoming().unwrap(), &keys(), &store, NOW_S)
                .unwrap_err();
            assert_eq!((refused.code(), refused.status()), ("not_an_event", 400), "{body}");
        }
    }
    assert!(
        Verifier::new(Accept::V1)
            .verify(&Sample::at(NOW_S).incoming().unwrap(), &keys(), &store, NOW_S)
            .is_ok()
    );
}

#[test]
fn a_store_that_cannot_say_refuses_and_the_sender_tries_again() {
    let store = MemoryStore::new(1);
    let refused =
        Verifier::new(Accept::V1).verify(&Sample::at(NOW_S).incoming().unwrap(), &keys(), &store, NOW_S);
    let refused = refused.unwrap_err();
    assert_eq!((refused.code(), refused.status()), ("unavailable", 503));
}

#[test]
fn a_refusal_says_which_header_is_wrong() {
    for (name, problem) in [
        ("webhook-id", Problem::Missing),
        ("webhook-sequence", Problem::NotInForm),
        ("correlation-id", Problem::Repeated),
        ("webhook-event-class", Problem::TooLong),
    ] {
        let mut sample = Sample::at(NOW_S);
        match problem {
            Problem::Missing => sample.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name)),
            Problem::Repeated => sample.add(name, "cor_01kb1x8a9wh5t0c8m2q4r6s7vw"),
            Problem::TooLong => *sample.header(name) = vec![b'a'; 65],
            _ => *sample.header(name) = b"02".to_vec(),
        }
        let refused =
            Verifier::new(Accept::V1).authenticate(&sample.incoming().unwrap(), &keys(), NOW_S).unwrap_err();
        assert_eq!(refused, Refused::Malformed { header: name, problem });
        assert!(refused.to_string().contains(name), "{refused}");
    }
}
