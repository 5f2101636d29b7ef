//! The official library of Standard Webhooks for Rust, as a judge of what is signed here.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use standardwebhooks::Webhook;

use crate::sample::{BODY, Sample, secret};

fn accepts(sample: &Sample) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in &sample.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    let judge = Webhook::new(&secret().expose()).unwrap();
    judge.verify(&sample.body, &headers).is_ok()
}

#[expect(clippy::disallowed_methods, reason = "the judge looks at the clock itself")]
fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// W-1, W-3: the official package takes what is signed here, and nothing that was changed.
#[test]
fn the_official_package_takes_what_is_signed_here_and_refuses_what_was_changed() {
    let now_s = now_s();
    let good = Sample::at(now_s);
    assert!(accepts(&good));
    let changed = |change: &dyn Fn(&mut Sample)| {
        let mut sample = good.clone();
        change(&mut sample);
        accepts(&sample)
    };
    assert!(!changed(&|sample| sample.body = BODY.replace("sandbox", "live").into_bytes()));
    assert!(!changed(&|sample| sample.body.push(b' ')));
    assert!(!changed(&|sample| *sample.header("webhook-id") = b"msg_01kb1x8a9wh5t0c8m2q4r6s7vx".to_vec()));
    assert!(!changed(&|sample| *sample.header("webhook-timestamp") = (now_s + 1).to_string().into_bytes()));
    assert!(!changed(&|sample| *sample.header("webhook-signature") = b"v1,AAAA".to_vec()));
    assert!(!accepts(&Sample::at(now_s - 330)));
}
