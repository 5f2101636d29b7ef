//! Claims that several of our tokens and answers have, and how they are written.

use serde_json::{Map, Value, json};

use crate::{
    level::Level,
    oauth::{details::Detail, jose::base64url, token::Binding},
    time::Time,
};

/// An object that grows by what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Adds a claim.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a claim, if there is one.
    pub(super) fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// `acr` and `auth_time`, where a person authenticated (RFC 9470 §6.1, RFC 9068 §2.2.1).
    pub(super) fn authenticated(self, authenticated: Option<(Level, Time)>) -> Self {
        match authenticated {
            Some((level, at)) => self.with("acr", level.text()).with("auth_time", numeric_date(at)),
            None => self,
        }
    }

    /// `cnf`, where a token is bound (RFC 7800 §3.1, RFC 9449 §6.1, RFC 8705 §3.1).
    pub(super) fn confirmed(self, binding: Option<Binding>) -> Self {
        let confirmation = binding.map(|binding| match binding {
            Binding::Key(thumbprint) => json!({ "jkt": base64url(&thumbprint.0) }),
            Binding::Certificate(digest) => json!({ "x5t#S256": base64url(&digest.0) }),
        });
        self.maybe("cnf", confirmation)
    }

    /// `authorization_details`, where a token has some (RFC 9396 §9).
    pub(super) fn detailed(self, details: &[Detail]) -> Self {
        let written = serde_json::to_value(details).ok().filter(|_| !details.is_empty());
        self.maybe("authorization_details", written)
    }

    /// The whole, its members in one order, whatever features `serde_json` is built with.
    pub(super) fn into_value(self) -> Value {
        let mut value = Value::Object(self.0);
        value.sort_all_objects();
        value
    }
}

/// Seconds since 1970 (RFC 7519 §2).
pub(super) fn numeric_date(at: Time) -> i64 {
    at.unix_ms() / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    /// A-5: a token says in one way what it is bound to.
    #[test]
    fn a_binding_is_confirmed_by_its_name() {
        let written = |binding| Claims::default().confirmed(binding).into_value().to_string();
        let text = base64url(&Digest::of(b"x").0);
        assert_eq!(written(Some(Binding::Key(Digest::of(b"x")))), format!(r#"{{"cnf":{{"jkt":"{text}"}}}}"#));
        assert_eq!(
            written(Some(Binding::Certificate(Digest::of(b"x")))),
            format!("{{\"cnf\":{{\"x5t#S256\":\"{text}\"}}}}")
        );
        assert_eq!(written(None), "{}");
    }
}
