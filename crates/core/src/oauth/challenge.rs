//! `WWW-Authenticate`: what a protected resource tells a caller whose token does not do (RFC 6750 §3, RFC 9449 §7.1,
//! RFC 9470 §3, RFC 9728 §5.1).

use std::fmt;

use crate::{
    level::StepUp,
    oauth::{error::OAuthError, jose::Algorithm},
    scope::Scope,
};

/// The scheme that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A token alone, or bound to the certificate of the connection (RFC 6750, RFC 8705).
    Bearer,
    /// A token bound to a key, with a proof (RFC 9449).
    Dpop,
}

/// One challenge. A caller that sent no credential gets one without an error (RFC 6750 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// What was wrong.
    pub error: Option<&'a OAuthError>,
    /// The scope that is needed.
    pub scope: Option<Scope>,
    /// How the person must have authenticated.
    pub step_up: Option<StepUp>,
    /// Where the metadata of the resource is (RFC 9728 §3).
    pub resource_metadata: Option<&'a str>,
}

impl<'a> Challenge<'a> {
    /// A challenge that says the scheme only.
    pub fn new(scheme: Scheme) -> Self {
        Self { scheme, error: None, scope: None, step_up: None, resource_metadata: None }
    }

    /// The same with what was wrong.
    #[must_use]
    pub fn because(mut self, error: &'a OAuthError) -> Self {
        self.error = Some(error);
        self
    }
}

/// The value of the header.
impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parameters: Vec<(&str, String)> = Vec::new();
        if let Some(error) = self.error {
            parameters.push(("error", error.code.text().to_owned()));
            parameters.push(("error_description", error.description.clone()));
        }
        if let Some(scope) = self.scope {
            parameters.push(("scope", scope.text().to_owned()));
        }
        if self.scheme == Scheme::Dpop {
            parameters.push(("algs", Algorithm::ALL.map(Algorithm::text).join(" ")));
        }
        if let Some(step_up) = self.step_up {
            parameters.push(("acr_values", step_up.level.text().to_owned()));
            parameters.push(("max_age", step_up.max_age_s.to_string()));
        }
        if let Some(url) = self.resource_metadata {
            parameters.push(("resource_metadata", url.to_owned()));
        }
        f.write_str(match self.scheme {
            Scheme::Bearer => "Bearer",
            Scheme::Dpop => "DPoP",
        })?;
        for (index, (name, value)) in parameters.iter().enumerate() {
            let between = if index == 0 { " " } else { ", " };
            write!(f, "{between}{name}=\"{}\"", Quoted(value))?;
        }
        Ok(())
    }
}

/// The inside of a quoted-string (RFC 9110 §5.6.4). What is no visible ASCII or space cannot be in a header of ours.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                ' '..='~' => f.write_char(character)?,
                _ => f.write_char('?')?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{level::Level, oauth::error::ErrorCode};

    /// the step-up challenge names the level and the age (RFC 9470 §3).
    #[test]
    fn a_challenge_says_what_is_missing() {
        let error = OAuthError::new(ErrorCode::InsufficientUserAuthentication, "sign in again");
        let mut challenge = Challenge::new(Scheme::Dpop).because(&error);
        challenge.step_up = Some(StepUp { level: Level::Aal2, max_age_s: 600 });
        challenge.resource_metadata = Some("https://sign.test/.well-known/oauth-protected-resource");
        assert_eq!(
            challenge.to_string(),
            "DPoP error=\"insufficient_user_authentication\", error_description=\"sign in again\", \
             algs=\"ES256 EdDSA PS256\", acr_values=\"aal2\", max_age=\"600\", \
             resource_metadata=\"https://sign.test/.well-known/oauth-protected-resource\""
        );
        assert_eq!(Challenge::new(Scheme::Bearer).to_string(), "Bearer");
    }

    /// G-7: no value ends the header or its own quotes.
    #[test]
    fn a_value_cannot_leave_its_quotes() {
        let mut challenge = Challenge::new(Scheme::Bearer);
        challenge.resource_metadata = Some("a\"b\\c\r\nSet-Cookie: d\u{e9}");
        assert_eq!(challenge.to_string(), "Bearer resource_metadata=\"a\\\"b\\\\c??Set-Cookie: d?\"");
    }
}
