//! Sends webhooks (W-7, W-8): through the same guard as everything that strangers name, on connections that are kept, with one
//! deadline over name, connection, handshake, headers and body, and with little read of the answer.

use std::{sync::Arc, time::Duration};

use countersign_core::{time::Time, webhook::channel::Channel};
use reqwest::{
    Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use rustls::AlertDescription;

use super::{
    broken,
    guard::{self, Guard, NotFetched},
    pinned::NotPinned,
    tokens::{Token, Tokens},
};
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
    /// The token that it was sent with, if it was kept from before.
    pub kept_token: Option<TokenNumber>,
}

/// Where a message goes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The address.
    pub url: &'a str,
    /// What its receiver is shown and asked for.
    pub channel: &'a Channel,
    /// When this is.
    pub now: Time,
    /// A token that its receiver refused just now.
    pub refused_token: Option<TokenNumber>,
}

/// Which token it was, of those of its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenNumber(u64);

/// Sends what was signed.
#[derive(Clone)]
pub struct Messenger {
    guard: Guard,
    deadline: Duration,
    tokens: Arc<Tokens>,
}

impl Messenger {
    /// One with the operator's exceptions.
    pub fn new(egress: &Egress) -> Result<Self, Fault> {
        Ok(Self { guard: Guard::new(egress)?, deadline: DEADLINE, tokens: Arc::default() })
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

    /// Has the next delivery of this channel ask for a token.
    pub fn forget_token(&self, channel: &Channel) {
        if let Some(oauth) = &channel.oauth {
            self.tokens.forget(oauth, None);
        }
    }

    /// Posts a body. Whatever goes wrong on the way is told as an answer without a status.
    pub async fn post(&self, way: Way<'_>, headers: &[(&'static str, String)], body: Vec<u8>) -> Sent {
        let posted = tokio::time::timeout(self.deadline, self.posted(way, headers, body)).await;
        posted.unwrap_or_else(|_| failed(&too_late(self.deadline)))
    }

    async fn posted(&self, way: Way<'_>, headers: &[(&'static str, String)], body: Vec<u8>) -> Sent {
        let url = match self.guard.takes(way.url) {
            Ok(url) => url,
            Err(refused) => return failed(&refused.to_string()),
        };
        let mut lines = HeaderMap::with_capacity(headers.len() + 1);
        for (name, value) in headers {
            let Ok(value) = HeaderValue::from_str(value) else { return failed("a header cannot be written") };
            lines.insert(HeaderName::from_static(name), value);
        }
        lines.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(certificate) = way.channel.certificate.as_ref().filter(|one| one.has_expired(way.now)) {
            let ended = certificate.expires_at;
            return failed(&format!(
                "the client certificate of this endpoint ended on {ended}: have it renewed, and send the new one"
            ));
        }
        let Ok(client) = self.guard.client_of(way.channel) else {
            return failed("the client certificate of this endpoint cannot be used: send another one");
        };
        let token = match self.token(way).await {
            Ok(token) => token,
            Err(why) => return failed(&why),
        };
        if let Some((token, _)) = &token {
            let Some(value) = token.header() else { return failed("the token cannot be sent") };
            lines.insert(header::AUTHORIZATION, value);
        }
        let mut response =
            match client.post(url).timeout(self.deadline).headers(lines).body(body).send().await {
                Ok(response) => response,
                Err(error) => return failed(&self.told(&error, way.channel)),
            };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let mut retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut answer = Vec::new();
        // What is left of a long answer is not read: its connection is closed with it.
        while answer.len() < ANSWER_BYTES {
            match response.chunk().await {
                Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
                // An answer that does not end in time is none: its status may have come with the first byte.
                Err(error) if error.is_timeout() => return failed(&self.told(&error, way.channel)),
                // One that breaks off said what counts. TLS without a farewell ends many that have no length.
                Ok(None) | Err(_) => break,
            }
        }
        answer.truncate(ANSWER_BYTES);
        let mut kept_token = None;
        if let Some((token, is_new)) = token {
            answer = token.hidden(&answer);
            retry_after =
                retry_after.map(|text| String::from_utf8_lossy(&token.hidden(text.as_bytes())).into_owned());
            kept_token = (!is_new).then_some(TokenNumber(token.number));
        }
        Sent { status: Some(status), retry_after, answer, kept_token }
    }

    /// The token of a delivery that has one, and whether it is new.
    async fn token(&self, way: Way<'_>) -> Result<Option<(Token, bool)>, String> {
        let Some(oauth) = &way.channel.oauth else { return Ok(None) };
        if let Some(TokenNumber(refused)) = way.refused_token {
            self.tokens.forget(oauth, Some(refused));
        }
        self.tokens.get(&self.guard, oauth, way.now).await.map(Some)
    }

    /// What to tell the owner of the receiver: nothing of addresses that are behind a name.
    fn told(&self, error: &reqwest::Error, channel: &Channel) -> String {
        if guard::is_refused(error) {
            return NotFetched::NotPublic.to_string();
        }
        let tls = broken::found::<rustls::Error>(error);
        if let Some(not_pinned) = tls.and_then(NotPinned::of) {
            return not_pinned.to_string();
        }
        if error.is_timeout() {
            return too_late(self.deadline);
        }
        let Some(rustls::Error::AlertReceived(alert)) = tls else { return broken::told(error) };
        if !is_of_certificate(*alert) {
            return broken::told(error);
        }
        let what = match channel.certificate {
            Some(_) => "the receiver does not accept the client certificate of this endpoint",
            None => "the receiver asks for a client certificate, and this endpoint has none",
        };
        what.to_owned()
    }
}

fn failed(sentence: &str) -> Sent {
    Sent { answer: sentence.as_bytes().to_vec(), ..Sent::default() }
}

fn too_late(deadline: Duration) -> String {
    format!("there was no whole answer within {} seconds", deadline.as_secs())
}

/// Whether a receiver refused us because of what we showed, or did not show (RFC 8446 §6.2).
fn is_of_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}
