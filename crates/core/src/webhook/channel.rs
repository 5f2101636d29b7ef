//! What a receiver is shown and asked for besides the signature (W-7).

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::{endpoint::host_of, oauth::OAuth, pin::Pin};
use crate::{
    digest::Digest,
    limits,
    refusal::{Code, Refusal},
    secret::Secret,
    time::Time,
};

/// What deliveries to an endpoint show, and ask of its receiver, beyond what every delivery does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// What is shown where the receiver asks who connects (mutual TLS).
    pub certificate: Option<ClientCertificate>,
    /// Keys of which the receiver must have one, besides a certificate that an authority vouches for; none: any key.
    pub pins: Vec<Pin>,
    /// What each delivery has a token from.
    pub oauth: Option<OAuth>,
}

const DAY_S: i64 = 24 * 3_600;
/// So many days before a certificate ends those who answer for its endpoint are told, the earliest first.
pub const NOTICES_DAYS: [u32; 3] = [30, 7, 1];

/// What of a channel is told to those who watch over an organization: whom it shows and believes, and where its tokens are from;
/// nothing secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outline {
    /// SHA-256 of the client certificate in DER, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<Digest>,
    /// The pins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// The host where tokens are asked for, if they are: path and query may hold a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_host: Option<String>,
    /// Who asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_client: Option<String>,
    /// Whether what they are asked for with is other than before, also where nothing else here shows it: the secret, the path of the
    /// address, or the scope.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_token_changed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A certificate with its key. Both were read, and belong together.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority, in DER (RFC 5280 §4.1).
    pub chain: Vec<Vec<u8>>,
    /// The private key, PKCS #8 in DER (RFC 5958 §2).
    pub key: Secret<Vec<u8>>,
    /// From when on it is valid.
    pub begins_at: Time,
    /// Until when it is.
    pub expires_at: Time,
}

impl ClientCertificate {
    /// SHA-256 of the certificate in DER: what receivers and people know it by.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(self.chain.first().map_or(&[], Vec::as_slice))
    }

    /// Whether it is not valid any more.
    pub fn has_expired(&self, now: Time) -> bool {
        now > self.expires_at
    }

    /// When its end is told of next: the first notice after this moment.
    pub fn notice_after(&self, now: Time) -> Option<Time> {
        let notices = NOTICES_DAYS.map(|days| self.expires_at.plus_s(-i64::from(days) * DAY_S));
        notices.into_iter().find(|at| *at > now)
    }

    /// Whether it ends so soon that its end is told of.
    pub fn ends_soon(&self, now: Time) -> bool {
        let first = NOTICES_DAYS.into_iter().max().unwrap_or_default();
        !self.has_expired(now) && self.expires_at.plus_s(-i64::from(first) * DAY_S) <= now
    }

    /// Refuses one that nobody would take at this moment.
    fn check(&self, now: Time) -> Result<(), Refusal> {
        let refused =
            |sentence: String| Err(Refusal::at(Code::Invalid, "/client_certificate/chain", sentence));
        if self.has_expired(now) {
            let ended = self.expires_at;
            return refused(format!(
                "the certificate ended on {ended}: have it renewed, and send the new one"
            ));
        }
        if now < self.begins_at {
            let begins = self.begins_at;
            return refused(format!(
                "the certificate is valid from {begins} on: send it then, or take another"
            ));
        }
        Ok(())
    }
}

impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain && bool::from(self.key.expose().ct_eq(other.key.expose()))
    }
}

impl Eq for ClientCertificate {}

impl Channel {
    /// What is told of it.
    pub fn outline(&self) -> Outline {
        Outline {
            certificate_sha256: self.certificate.as_ref().map(ClientCertificate::fingerprint),
            pins: self.pins.clone(),
            token_host: self.oauth.as_ref().map(|oauth| host_of(&oauth.token_url)),
            token_client: self.oauth.as_ref().map(|oauth| oauth.client_id.clone()),
            is_token_changed: false,
        }
    }

    /// What is told of it after a change: nothing where there was nothing to tell before either.
    pub fn outline_after(&self, before: &Self) -> Option<Outline> {
        let is_plain = |channel: &Self| *channel == Self::default();
        let is_token_changed = self.oauth.is_some() && before.oauth.is_some() && self.oauth != before.oauth;
        (!is_plain(self) || !is_plain(before)).then(|| Outline { is_token_changed, ..self.outline() })
    }

    /// Refuses what is new in it and cannot be. What an endpoint had before is not judged again: a certificate that has ended
    /// keeps nobody from changing something else.
    pub fn check(&self, before: &Self, now: Time) -> Result<(), Refusal> {
        if self.pins.len() > limits::WEBHOOK_PINS {
            let sentence = format!("an endpoint has at most {} pins", limits::WEBHOOK_PINS);
            return Err(Refusal::at(Code::Invalid, "/pins", sentence));
        }
        if let Some(oauth) = &self.oauth {
            oauth.check()?;
        }
        match &self.certificate {
            Some(certificate) if self.certificate != before.certificate => certificate.check(now),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn certificate(first: u8, key: u8) -> ClientCertificate {
        ClientCertificate {
            chain: vec![vec![first; 3], vec![9; 3]],
            key: Secret::new(vec![key; 3]),
            begins_at: Time::from_unix_ms(1_000_000),
            expires_at: Time::from_unix_ms(2_000_000),
        }
    }

    fn with(certificate: ClientCertificate) -> Channel {
        Channel { certificate: Some(certificate), ..Channel::default() }
    }

    /// W-7: a certificate is taken while it is valid; one that was taken and ended is in nobody's way, and neither is its removal.
    #[test]
    fn a_new_certificate_is_one_that_is_valid_now() {
        let none = Channel::default();
        let at = |ms: i64| with(certificate(1, 1)).check(&none, Time::from_unix_ms(ms));
        assert_eq!((at(1_000_000), at(2_000_000)), (Ok(()), Ok(())));
        for (ms, word) in [(999_999, "valid from"), (2_000_001, "renewed")] {
            let refusal = at(ms).unwrap_err();
            assert_eq!(refusal.pointer.as_deref(), Some("/client_certificate/chain"));
            assert!(refusal.sentence.contains(word), "{}", refusal.sentence);
        }
        let late = Time::from_unix_ms(3_000_000);
        assert_eq!(with(certificate(1, 1)).check(&with(certificate(1, 1)), late), Ok(()));
        assert_eq!(none.check(&with(certificate(1, 1)), late), Ok(()));
        assert!(with(certificate(2, 2)).check(&with(certificate(1, 1)), late).is_err());
    }

    /// W-7: 30, 7 and 1 days before; a notice that is past is not told late beside the next one.
    #[test]
    fn its_end_is_told_three_times() {
        let end = Time::from_unix_ms(1_800_000_000_000);
        let one = ClientCertificate { expires_at: end, ..certificate(1, 1) };
        let before = |days: i64| end.plus_s(-days * DAY_S);
        let mut told = Vec::new();
        let mut now = before(400);
        while let Some(at) = one.notice_after(now) {
            told.push(at);
            now = at;
        }
        assert_eq!(told, [30, 7, 1].map(before));
        assert_eq!(one.notice_after(before(29)), Some(before(7)));
        let soon = |at: Time| one.ends_soon(at);
        assert_eq!(
            [soon(before(30).plus_ms(-1)), soon(before(30)), soon(end), soon(end.plus_ms(1))],
            [false, true, true, false]
        );
    }

    #[test]
    fn there_are_so_many_pins_and_no_more() {
        let pinned = |count: usize| Channel { pins: vec![Pin::of(b""); count], ..Channel::default() };
        let check = |count| pinned(count).check(&Channel::default(), Time::from_unix_ms(0));
        assert_eq!(check(limits::WEBHOOK_PINS), Ok(()));
        assert_eq!(check(limits::WEBHOOK_PINS + 1).unwrap_err().pointer.as_deref(), Some("/pins"));
    }

    /// L-4, L-3: a change of the secret alone, of the path or of the scope is told, without any of them; what stays is not.
    #[test]
    fn that_tokens_are_asked_for_otherwise_is_told() {
        let oauth = OAuth {
            token_url: "https://as.example.com/token".to_owned(),
            client_id: "us".to_owned(),
            client_secret: Secret::new("old".to_owned()),
            scope: None,
        };
        let channel = |oauth| Channel { oauth, ..Channel::default() };
        let before = channel(Some(oauth.clone()));
        let told = |after: &Channel| serde_json::to_value(after.outline_after(&before)).unwrap();
        let shown = json!({ "token_host": "as.example.com", "token_client": "us" });
        assert_eq!(told(&before), shown);
        assert_eq!(told(&channel(None)), json!({}), "it is gone");
        let first = serde_json::to_value(before.outline_after(&Channel::default())).unwrap();
        assert_eq!(first, shown, "it is new");
        let changed =
            json!({ "token_host": "as.example.com", "token_client": "us", "is_token_changed": true });
        for other in [
            OAuth { client_secret: Secret::new("new".to_owned()), ..oauth.clone() },
            OAuth { token_url: "https://as.example.com/other".to_owned(), ..oauth.clone() },
            OAuth { scope: Some("hooks".to_owned()), ..oauth },
        ] {
            assert_eq!(told(&channel(Some(other))), changed);
        }
        let old: Outline = serde_json::from_value(shown).unwrap();
        assert!(!old.is_token_changed, "old events are read as they were");
    }

    #[test]
    fn a_certificate_is_known_by_its_own_bytes() {
        assert_eq!(certificate(1, 1).fingerprint(), Digest::of(&[1, 1, 1]));
        assert_eq!(certificate(1, 1), certificate(1, 1));
        assert_ne!(certificate(1, 1), certificate(1, 2));
        assert_ne!(certificate(1, 1), certificate(2, 1));
        assert!(!format!("{:?}", certificate(1, 7)).contains("7, 7"), "L-3");
    }
}
