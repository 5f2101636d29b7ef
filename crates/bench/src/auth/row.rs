//! The rows: what is asked, and what the answer must be.

use serde_json::Value;

use crate::{
    Failure,
    auth::subject::{SCOPE, Subject},
    connection::{Answer, Endpoint},
};

/// What is asked again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// An access token for the client itself, authenticated by `private_key_jwt`, bound by DPoP.
    ClientCredentials,
    /// An access token and the next refresh token, by the same.
    Refresh,
    /// What an access token is worth, authenticated by `private_key_jwt`.
    Introspection,
    /// A route that there is not: what a request costs that nobody authenticates.
    Open,
    /// An envelope that there is not, with an API key: the same answer, after authentication and authorization.
    ApiKey,
    /// The same with an access token and a DPoP proof.
    AccessToken,
}

/// What authenticates one request.
pub(crate) struct Signed {
    /// Lines of the header.
    pub(crate) headers: String,
    /// The client's assertion in a form.
    pub(crate) assertion: String,
}

/// What a good answer gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// A new access token.
    pub(crate) access_token: Option<String>,
    /// The token that the next request is about, if it is another.
    pub(crate) next: Option<String>,
}

impl Row {
    /// What authorization servers are asked, in the order of the table.
    pub(crate) const OAUTH: [Self; 3] = [Self::ClientCredentials, Self::Refresh, Self::Introspection];
    /// What an API is asked.
    pub(crate) const API: [Self; 3] = [Self::Open, Self::ApiKey, Self::AccessToken];

    /// Beginning of the names of its figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::Refresh => "refresh",
            Self::Introspection => "introspection",
            Self::Open => "open",
            Self::ApiKey => "api_key",
            Self::AccessToken => "access_token",
        }
    }

    /// Whether its requests are forms.
    pub(crate) fn is_form(self) -> bool {
        Self::OAUTH.contains(&self)
    }

    /// Where its requests go.
    pub(crate) fn endpoint(self, subject: &Subject) -> Result<&Endpoint, Failure> {
        let api = || subject.api.as_ref().ok_or_else(|| Failure::from("this server has no API"));
        Ok(match self {
            Self::ClientCredentials | Self::Refresh => &subject.token,
            Self::Introspection => &subject.introspection,
            Self::Open => &api()?.nowhere,
            Self::ApiKey | Self::AccessToken => &api()?.envelope,
        })
    }

    /// A request; `token` is the one that it is about.
    pub(crate) fn request(self, endpoint: &Endpoint, token: &str, signed: &Signed) -> Vec<u8> {
        let parameters = match self {
            Self::ClientCredentials => format!("grant_type=client_credentials&scope={SCOPE}"),
            Self::Refresh => format!("grant_type=refresh_token&refresh_token={token}"),
            Self::Introspection => format!("token={token}&token_type_hint=access_token"),
            Self::Open | Self::ApiKey | Self::AccessToken => return endpoint.get(&signed.headers),
        };
        endpoint.post(&signed.headers, &format!("{parameters}&{}", signed.assertion))
    }

    /// Checks an answer.
    pub(crate) fn judge(self, token: &str, answer: &Answer) -> Result<Given, Failure> {
        let refused =
            || format!("{} {}: {}", self.name(), answer.status, String::from_utf8_lossy(&answer.body));
        let body: Value = serde_json::from_slice(&answer.body).map_err(|_| refused())?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let given = Given {
            access_token: text("access_token").filter(|_| self.is_form()),
            next: text("refresh_token").filter(|_| self == Self::Refresh),
        };
        let is_good = match self {
            Self::ClientCredentials => answer.status == 200 && given.access_token.is_some(),
            Self::Refresh => {
                let rotated = given.next.as_deref().is_some_and(|next| next != token);
                answer.status == 200 && given.access_token.is_some() && rotated
            }
            Self::Introspection => answer.status == 200 && body.get("active") == Some(&Value::Bool(true)),
            Self::Open | Self::ApiKey | Self::AccessToken => {
                answer.status == 404 && text("code").as_deref() == Some("not_found")
            }
        };
        if is_good { Ok(given) } else { Err(refused().into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, nonce: None, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn an_answer_that_a_row_does_not_expect_ends_the_measurement() {
        let rotated = answer(200, r#"{"access_token":"a","refresh_token":"new"}"#);
        let given = Row::Refresh.judge("old", &rotated).unwrap();
        assert_eq!((given.access_token.as_deref(), given.next.as_deref()), (Some("a"), Some("new")));
        assert!(Row::Refresh.judge("new", &rotated).is_err(), "a token that stays is not rotated");
        assert!(Row::Introspection.judge("", &answer(200, r#"{"active":false}"#)).is_err());
        assert!(Row::ClientCredentials.judge("", &answer(400, r#"{"error":"invalid_client"}"#)).is_err());
        assert!(Row::ApiKey.judge("", &answer(401, r#"{"code":"unauthenticated"}"#)).is_err());
        assert!(Row::ApiKey.judge("", &answer(404, r#"{"code":"not_found"}"#)).is_ok());
    }
}
