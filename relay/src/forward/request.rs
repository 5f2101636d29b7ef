//! One attempt: the message as the system behind gets it, signed in the manner of Standard Webhooks with the relay's own secret.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::Target;
use crate::queue::Claimed;

/// So much of an answer is read, so that its connection can be used again.
const ANSWER_BYTES: usize = 16 * 1_024;

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// The status, if one came.
    pub(super) status: Option<u16>,
    /// What the system asks to wait, in seconds.
    pub(super) retry_after_s: Option<u64>,
    /// What is wrong if none came.
    pub(super) reason: &'static str,
}

impl Answered {
    /// How it is counted.
    pub(super) fn name(&self) -> &'static str {
        match self.status {
            Some(200..=299) => "done",
            Some(_) => "refused",
            None => "unreachable",
        }
    }

    /// Whether something answered that can take messages: not a proxy that stands before nothing.
    pub(super) fn is_the_system(&self) -> bool {
        !matches!(self.status, None | Some(502..=504))
    }
}

/// What names a message for the system behind: the same in each attempt, and different for different senders.
pub fn idempotency_key(sender: &str, id: &str) -> String {
    format!("{sender}:{id}")
}

/// Posts a message.
pub(super) async fn post(target: &Target<'_>, claimed: &Claimed, now_s: i64) -> Answered {
    let Some(headers) = headers(target, claimed, now_s) else {
        return Answered { reason: "its headers cannot be written", ..Answered::default() };
    };
    let sent =
        target.client.post(target.url.clone()).headers(headers).body(claimed.body.clone()).send().await;
    let mut response = match sent {
        Ok(response) => response,
        Err(error) => return Answered { reason: told(&error), ..Answered::default() },
    };
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_s = retry_after.and_then(|text| text.parse().ok());
    let status = Some(response.status().as_u16());
    let mut read = 0;
    while read < ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) => break,
            // An answer that does not end is none.
            Err(error) => return Answered { reason: told(&error), ..Answered::default() },
        }
    }
    Answered { status, retry_after_s, reason: "the system did not take it" }
}

fn headers(target: &Target<'_>, claimed: &Claimed, now_s: i64) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut insert = |name: &str, value: &str| {
        let name = HeaderName::try_from(name).ok()?;
        headers.insert(name, HeaderValue::from_str(value).ok()?);
        Some(())
    };
    for (name, value) in &claimed.headers {
        insert(name, value)?;
    }
    let key = idempotency_key(&claimed.sender, &claimed.id);
    let time = now_s.to_string();
    insert(CONTENT_TYPE.as_str(), claimed.content_type.as_deref().unwrap_or("application/octet-stream"))?;
    insert("idempotency-key", &key)?;
    insert("relay-sender", &claimed.sender)?;
    insert("relay-attempt", &claimed.attempt.to_string())?;
    insert("webhook-id", &key)?;
    insert("webhook-timestamp", &time)?;
    let mut signatures = String::new();
    for secret in target.keys {
        let code = secret.sign(&[key.as_bytes(), b".", time.as_bytes(), b".", &claimed.body]);
        let space = if signatures.is_empty() { "" } else { " " };
        write!(signatures, "{space}v1,{}", STANDARD.encode(code)).ok()?;
    }
    if !signatures.is_empty() {
        insert("webhook-signature", &signatures)?;
    }
    Some(headers)
}

fn told(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "there was no whole answer in the time of an attempt (forward.attempt_s)"
    } else if error.is_connect() {
        "no connection could be made: the system does not listen, or its certificate is not trusted (forward.ca_file)"
    } else {
        "the connection broke before there was a whole answer"
    }
}
