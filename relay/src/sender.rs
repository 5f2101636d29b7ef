//! Whose a request is: the proof that each sender's messages carry, and what of them has to be remembered.

mod countersign;
mod docusign;
mod github;
mod key_source;
mod stripe;

use std::fmt;

use hyper::header::HeaderMap;
use hyper::http::request::Parts;

use crate::mac::MacKey;

pub use countersign::Countersign;
pub use key_source::KeySource;

/// What a sender's messages are verified with.
#[derive(Debug)]
pub enum Proof {
    /// Countersign's wire format.
    Countersign(Box<Countersign>),
    /// Stripe's signatures, within a window in seconds.
    Stripe(Vec<MacKey>, u32),
    /// GitHub's.
    Github(Vec<MacKey>),
    /// Those of `DocuSign` Connect, no older than so many seconds.
    Docusign(Vec<MacKey>, i64),
}

/// What is known of a message whose proof is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What the sender calls the message: the same when it is sent again.
    pub id: String,
    /// What makes one attempt differ from another.
    pub nonce: Nonce,
    /// Where the message stands in its stream.
    pub place: Option<Place>,
    /// Headers that go along, by their names.
    pub headers: Vec<(String, String)>,
}

/// What tells a replay from a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nonce {
    /// The sender signs what names the message, and sends the same bytes again: a replay is a duplicate.
    Message,
    /// Each attempt has its own; kept for so many seconds.
    Attempt(String, i64),
    /// The sender does not sign the id: these bytes belong to the id that they first came with, for as long as ids are kept.
    Bytes(String),
}

/// A place in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The stream: an envelope, or the organization's own.
    pub stream: String,
    /// From 1.
    pub sequence: i64,
}

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer with.
    pub status: u16,
    /// The name of the reason, which never changes.
    pub code: &'static str,
    /// What the operator reads.
    pub sentence: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: u16, code: &'static str, sentence: impl Into<String>) -> Self {
        Self { status, code, sentence: sentence.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.sentence)
    }
}

impl Proof {
    /// Whether a message is the sender's, fresh and unchanged.
    pub async fn check(&self, head: &Parts, body: &[u8], now_s: i64) -> Result<Verified, Refusal> {
        match self {
            Self::Countersign(countersign) => countersign.check(head, body, now_s).await,
            Self::Stripe(keys, window_s) => stripe::check(keys, *window_s, &head.headers, body, now_s),
            Self::Github(keys) => github::check(keys, &head.headers, body),
            Self::Docusign(keys, age_s) => docusign::check(keys, *age_s, &head.headers, body, now_s),
        }
    }
}

/// The value of a header that has to be there once, in printable ASCII.
fn required<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Refusal> {
    let mut lines = headers.get_all(name).iter();
    let (first, second) = (lines.next(), lines.next());
    let text = first.and_then(|value| value.to_str().ok()).filter(|_| second.is_none());
    text.ok_or_else(|| malformed(&format!("the header {name} has to be there once, in ASCII")))
}

fn malformed(sentence: &str) -> Refusal {
    Refusal::new(400, "malformed", sentence)
}

fn bad_signature() -> Refusal {
    Refusal::new(
        401,
        "bad_signature",
        "no signature is right: check the secret, and that nothing in between changes the body",
    )
}

/// Whether a text is one that can be kept as the name of a message.
fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'!'..=b'~'))
}

/// The headers of a list that are there, once and in ASCII.
fn passed_on(headers: &HeaderMap, names: &[&str]) -> Vec<(String, String)> {
    let value = |name: &&str| {
        let mut lines = headers.get_all(*name).iter();
        let value = lines.next().filter(|value| value.len() <= 256)?.to_str().ok()?;
        lines.next().is_none().then(|| ((*name).to_owned(), value.to_owned()))
    };
    names.iter().filter_map(value).collect()
}

#[cfg(test)]
pub(crate) fn headers_of(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The headers that presets read, with anything in them.
    fn anything() -> impl Strategy<Value = HeaderMap> {
        let names = prop::sample::select(vec![
            "stripe-signature",
            "x-hub-signature-256",
            "x-github-delivery",
            "x-docusign-signature-1",
            "x-docusign-signature-2",
        ]);
        let value = prop_oneof![
            "[ -~]{0,80}",
            "t=[0-9]{0,20}(,v1=[0-9a-f]{0,66}){0,3}",
            "sha256=[0-9a-f]{0,66}",
            "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=",
            "\\PC{0,20}",
        ];
        prop::collection::vec((names, value), 0..6).prop_map(|pairs| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                if let Ok(value) = hyper::header::HeaderValue::from_bytes(value.as_bytes()) {
                    headers.append(name, value);
                }
            }
            headers
        })
    }

    proptest! {
        /// W-10: whatever stands in the headers of a preset, it is refused in its own words, and nothing panics.
        #[test]
        fn nothing_passes_without_the_secret(
            headers in anything(),
            body in prop::collection::vec(any::<u8>(), 0..200),
            now_s in any::<i64>(),
        ) {
            let keys = [MacKey::of_text("nobody knows this one")];
            for judged in [
                stripe::check(&keys, 300, &headers, &body, now_s),
                github::check(&keys, &headers, &body),
                docusign::check(&keys, 86_400, &headers, &body, now_s),
            ] {
                let refusal = judged.unwrap_err();
                prop_assert!([400, 401, 408].contains(&refusal.status), "{refusal}");
            }
        }
    }
}
