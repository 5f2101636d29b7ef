//! OAuth 2.0 on delivery (W-7): where a token for each delivery comes from (RFC 6749 §4.4).

use subtle::ConstantTimeEq as _;

use super::endpoint::check_url;
use crate::{
    digest::Digest,
    limits,
    refusal::{Code, Refusal},
    secret::Secret,
};

/// Client credentials that deliveries are sent with.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// Where tokens are asked for: `https`. Its path and query may hold a secret.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// What shows it, by HTTP Basic.
    pub client_secret: Secret<String>,
    /// What the token is to be good for, where the authorization server is told.
    pub scope: Option<String>,
}

impl OAuth {
    /// Refuses what cannot be sent.
    pub fn check(&self) -> Result<(), Refusal> {
        check_url(&self.token_url, "/oauth/token_url", "token URL")?;
        let most = limits::WEBHOOK_OAUTH_BYTES;
        let wrong = |member: &str, sentence: String| {
            Err(Refusal::at(Code::Invalid, format!("/oauth/{member}"), sentence))
        };
        for (member, text) in [("client_id", &self.client_id), ("client_secret", self.client_secret.expose())]
        {
            // RFC 6749 §A.1 and §A.2.
            let is_visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if text.is_empty() || text.len() > most || !is_visible {
                return wrong(
                    member,
                    format!("`{member}` has 1 to {most} characters of ASCII that can be seen"),
                );
            }
        }
        // RFC 6749 §3.3.
        let is_token = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
        };
        match &self.scope {
            Some(scope) if scope.len() > most || !scope.split(' ').all(is_token) => {
                let sentence = format!(
                    "`scope` is words with one space between, of {most} characters at most; leave it out for none"
                );
                wrong("scope", sentence)
            }
            _ => Ok(()),
        }
    }

    /// What tells it from others.
    pub fn digest(&self) -> Digest {
        let scope = self.scope.as_deref().unwrap_or_default();
        let parts = [&self.token_url, &self.client_id, self.client_secret.expose(), scope];
        // None of them has a line break.
        Digest::of(parts.join("\n").as_bytes())
    }
}

impl PartialEq for OAuth {
    fn eq(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.token_url.clone(), one.client_id.clone(), one.scope.clone());
        let [own, others] = [self, other].map(|one| one.client_secret.expose().as_bytes());
        of(self) == of(other) && bool::from(own.ct_eq(others))
    }
}

impl Eq for OAuth {}

#[cfg(test)]
mod tests {
    use super::*;

    fn oauth() -> OAuth {
        OAuth {
            token_url: "https://login.example.com/token".to_owned(),
            client_id: "us".to_owned(),
            client_secret: Secret::new("between us".to_owned()),
            scope: Some("hooks:write x".to_owned()),
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_in_its_place() {
        assert_eq!(oauth().check(), Ok(()));
        assert_eq!(OAuth { scope: None, ..oauth() }.check(), Ok(()));
        let long = "x".repeat(limits::WEBHOOK_OAUTH_BYTES + 1);
        let url = |url: &str| OAuth { token_url: url.to_owned(), ..oauth() };
        let client = |id: &str| OAuth { client_id: id.to_owned(), ..oauth() };
        let secret = |text: &str| OAuth { client_secret: Secret::new(text.to_owned()), ..oauth() };
        let scope = |text: &str| OAuth { scope: Some(text.to_owned()), ..oauth() };
        for (wrong, member, word) in [
            (url("http://login.example.com/token"), "token_url", "a token URL is https"),
            (url("https://us:secret@login.example.com/"), "token_url", "user"),
            (client(""), "client_id", "1 to"),
            (client(&long), "client_id", "1 to"),
            (client("ü"), "client_id", "ASCII"),
            (secret("a\nb"), "client_secret", "ASCII"),
            (secret(""), "client_secret", "1 to"),
            (scope(""), "scope", "leave it out"),
            (scope("a  b"), "scope", "one space"),
            (scope("a\"b"), "scope", "words"),
            (scope(&long), "scope", "at most"),
        ] {
            let refusal = wrong.check().unwrap_err();
            assert_eq!(refusal.pointer, Some(format!("/oauth/{member}")), "{}", refusal.sentence);
            assert!(refusal.sentence.contains(word), "{}", refusal.sentence);
        }
    }

    #[test]
    fn each_part_makes_it_another() {
        let others = [
            OAuth { token_url: "https://login.example.com/".to_owned(), ..oauth() },
            OAuth { client_id: "them".to_owned(), ..oauth() },
            OAuth { client_secret: Secret::new("between them".to_owned()), ..oauth() },
            OAuth { scope: None, ..oauth() },
        ];
        assert!(oauth() == oauth() && oauth().digest() == oauth().digest());
        assert!(others.iter().all(|other| *other != oauth() && other.digest() != oauth().digest()));
        assert!(!format!("{:?}", oauth()).contains("between"), "L-3");
    }
}
