//! Sends webhooks (W-7, W-8): through the same guard as everything that strangers name, on connections that are kept, with one
//! deadline over name, connection, handshake, headers and body, and with little read of the answer.

use std::time::Duration;

use reqwest::{
    Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use super::guard::{self, Guard, NotFetched};
use crate::{config::Egress, fault::Fault};

/// Time for one attempt, all in all.
const DEADLINE: Duration = Duration::from_secs(15);
/// So much of an answer is read: for whoever looks for what went wrong.
pub const ANSWER_BYTES: usize = 16 * 1_024;

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The status, if one came.
    pub status: Option<u16>,
    /// `Retry-After`, if it came as text.
    pub retry_after: Option<String>,
    /// The first bytes of the answer, or what is wrong if there was none.
    pub answer: Vec<u8>,
}

/// Sends what was signed.
#[derive(Clone)]
pub struct Messenger {
    guard: Guard,
    deadline: Duration,
}

impl Messenger {
    /// One with the operator's exceptions.
    pub fn new(egress: &Egress) -> Result<Self, Fault> {
        Ok(Self { guard: Guard::new(egress)?, deadline: DEADLINE })
    }

    /// The same with another time for one attempt, all in all.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The URL as it is sent to and signed, if it may be named at all: its form alone, without asking anybody.
    pub fn check(&self, url: &str) -> Result<Url, NotFetched> {
        self.guard.takes(url)
    }

    /// Posts a body. Whatever goes wrong on the way is told as an answer without a status.
    pub async fn post(&self, url: &str, headers: &[(&'static str, String)], body: Vec<u8>) -> Sent {
        let url = match self.guard.takes(url) {
            Ok(url) => url,
            Err(refused) => return failed(&refused.to_string()),
        };
        let mut lines = HeaderMap::with_capacity(headers.len() + 1);
        for (name, value) in headers {
            let Ok(value) = HeaderValue::from_str(value) else { return failed("a header cannot be written") };
            lines.insert(HeaderName::from_static(name), value);
        }
        lines.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut response =
            match self.guard.client.post(url).timeout(self.deadline).headers(lines).body(body).send().await {
                Ok(response) => response,
                Err(error) => return failed(&self.told(&error)),
            };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut answer = Vec::new();
        // What is left of a long answer is not read: its connection is closed with it.
        while answer.len() < ANSWER_BYTES {
            match response.chunk().await {
                Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
                // An answer that does not end in time is none: its status may have come with the first byte.
                Err(error) if error.is_timeout() => return failed(&self.told(&error)),
                // One that breaks off said what counts. TLS without a farewell ends many that have no length.
                Ok(None) | Err(_) => break,
            }
        }
        answer.truncate(ANSWER_BYTES);
        Sent { status: Some(status), retry_after, answer }
    }

    /// What to tell the owner of the receiver: nothing of addresses that are behind a name.
    fn told(&self, error: &reqwest::Error) -> String {
        if guard::is_refused(error) {
            return NotFetched::NotPublic.to_string();
        }
        if error.is_timeout() {
            return format!("there was no whole answer within {} seconds", self.deadline.as_secs());
        }
        let what = if error.is_connect() {
            "no connection could be made: the host is not known, does not listen, or its certificate is not trusted"
        } else {
            "the connection broke before there was a whole answer"
        };
        what.to_owned()
    }
}

fn failed(sentence: &str) -> Sent {
    Sent { answer: sentence.as_bytes().to_vec(), ..Sent::default() }
}
