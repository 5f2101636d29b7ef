//! Where people are sent back to: a registered URI, compared character by character (RFC 9700 §2.1), with the code or
//! the error in its query, and with the issuer (RFC 9207).

use thiserror::Error;

use crate::oauth::{error::OAuthError, uri::Uri};

/// Parameters of our answer, which a registered query must not hold already.
const OURS: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

/// Why a URI cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotARedirect {
    /// Not absolute, or with something in it that we never take.
    #[error("a redirect URI is absolute, in ASCII, without user, fragment, wildcard and dot segments")]
    Syntax,
    /// Another scheme, or one that this client may not use.
    #[error(
        "a redirect URI is https; a public client may use http on 127.0.0.1 or [::1], or a scheme of its own with a dot and one slash (RFC 8252 section 7)"
    )]
    Scheme,
    /// Its query would be taken for our answer.
    #[error("the query of a redirect URI holds no parameter of an authorization response")]
    Query,
}

/// Whether a URI may be registered: `https`; on loopback addresses `http`, if `is_local_fine`; of public clients a
/// private-use scheme with a dot (RFC 8252 §7).
pub fn check(text: &str, is_public: bool, is_local_fine: bool) -> Result<(), NotARedirect> {
    let uri = Uri::parse(text).map_err(|_| NotARedirect::Syntax)?;
    let has_dots = uri.path.split('/').any(|segment| matches!(segment, "." | ".."));
    if uri.fragment.is_some() || text.contains('*') || has_dots {
        return Err(NotARedirect::Syntax);
    }
    let fits = match uri.scheme {
        "https" => uri.authority.is_some(),
        "http" => is_local_fine && is_loopback(&uri),
        private => is_public && private.contains('.') && uri.authority.is_none() && uri.path.starts_with('/'),
    };
    if !fits {
        return Err(NotARedirect::Scheme);
    }
    let names = uri.query.into_iter().flat_map(|query| query.split('&'));
    let mut names = names.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    if names.any(|name| name.contains('%') || OURS.contains(&name)) {
        return Err(NotARedirect::Query);
    }
    Ok(())
}

/// `http` on a literal loopback address; `localhost` could be another machine (RFC 8252 §8.3).
fn is_loopback(uri: &Uri<'_>) -> bool {
    uri.scheme == "http"
        && uri.authority.is_some_and(|authority| matches!(authority.host, "127.0.0.1" | "[::1]"))
}

/// Whether `asked` is one of the registered URIs: the same characters, but for the port of a loopback address
/// (RFC 8252 §7.3).
pub fn is_registered(asked: &str, registered: &[String]) -> bool {
    registered.iter().any(|one| one == asked || differs_in_loopback_port_only(asked, one))
}

fn differs_in_loopback_port_only(asked: &str, registered: &str) -> bool {
    let (Ok(asked), Ok(registered)) = (Uri::parse(asked), Uri::parse(registered)) else { return false };
    let host = |uri: &Uri<'_>| uri.authority.map(|authority| authority.host.to_owned());
    is_loopback(&asked)
        && is_loopback(&registered)
        && host(&asked) == host(&registered)
        && (asked.path, asked.query, asked.fragment)
            == (registered.path, registered.query, registered.fragment)
}

/// Where the browser goes with a code.
pub fn success(redirect_uri: &str, code: &str, state: Option<&str>, issuer: &str) -> String {
    with_query(redirect_uri, &[("code", Some(code)), ("state", state), ("iss", Some(issuer))])
}

/// Where the browser goes with an error.
pub fn failure(redirect_uri: &str, error: &OAuthError, state: Option<&str>, issuer: &str) -> String {
    let parameters = [
        ("error", Some(error.code.text())),
        ("error_description", Some(error.description.as_str())),
        ("state", state),
        ("iss", Some(issuer)),
    ];
    with_query(redirect_uri, &parameters)
}

/// `response_mode=query` (RFC 6749 §4.1.2): what the URI had in its query stays.
fn with_query(uri: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut text = uri.to_owned();
    let mut between = if uri.contains('?') { "&" } else { "?" };
    if uri.ends_with(['?', '&']) {
        between = "";
    }
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        text.push_str(between);
        text.push_str(name);
        text.push('=');
        encode(value, &mut text);
        between = "&";
    }
    text
}

/// Percent encoding of everything but unreserved characters (RFC 3986 §2.1).
fn encode(value: &str, into: &mut String) {
    use std::fmt::Write as _;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::form::Parameters;
    use proptest::prelude::*;

    /// who may be sent where.
    #[test]
    fn only_addresses_that_belong_to_the_client_are_registered() {
        for (text, public, confidential) in [
            ("https://app.test/callback", Ok(()), Ok(())),
            ("https://app.test/callback?tenant=7", Ok(()), Ok(())),
            ("http://127.0.0.1/callback", Ok(()), Err(NotARedirect::Scheme)),
            ("http://[::1]:8080/callback", Ok(()), Err(NotARedirect::Scheme)),
            ("http://localhost/callback", Err(NotARedirect::Scheme), Err(NotARedirect::Scheme)),
            ("http://127.0.0.1.evil.test/", Err(NotARedirect::Scheme), Err(NotARedirect::Scheme)),
            ("http://app.test/callback", Err(NotARedirect::Scheme), Err(NotARedirect::Scheme)),
            ("com.example.app:/callback", Ok(()), Err(NotARedirect::Scheme)),
            ("com.example.app://callback", Err(NotARedirect::Scheme), Err(NotARedirect::Scheme)),
            ("myapp:/callback", Err(NotARedirect::Scheme), Err(NotARedirect::Scheme)),
            ("javascript:alert(1)", Err(NotARedirect::Scheme), Err(NotARedirect::Scheme)),
            ("data:text/html,x", Err(NotARedirect::Scheme), Err(NotARedirect::Scheme)),
            ("https:/callback", Err(NotARedirect::Scheme), Err(NotARedirect::Scheme)),
            ("https://app.test/#x", Err(NotARedirect::Syntax), Err(NotARedirect::Syntax)),
            ("https://*.app.test/", Err(NotARedirect::Syntax), Err(NotARedirect::Syntax)),
            ("https://user@app.test/", Err(NotARedirect::Syntax), Err(NotARedirect::Syntax)),
            ("https://app.test/a/../b", Err(NotARedirect::Syntax), Err(NotARedirect::Syntax)),
            ("/callback", Err(NotARedirect::Syntax), Err(NotARedirect::Syntax)),
            ("https://app.test/?code=1", Err(NotARedirect::Query), Err(NotARedirect::Query)),
            ("https://app.test/?a=1&%69ss=x", Err(NotARedirect::Query), Err(NotARedirect::Query)),
        ] {
            assert_eq!(check(text, true, true), public, "{text}");
            assert_eq!(check(text, false, false), confidential, "{text}");
        }
    }

    /// nothing but the port of a loopback address may differ.
    #[test]
    fn a_redirect_uri_is_compared_exactly() {
        let registered = ["https://app.test/cb".to_owned(), "http://127.0.0.1/cb?x=1".to_owned()];
        for asked in ["https://app.test/cb", "http://127.0.0.1/cb?x=1", "http://127.0.0.1:49152/cb?x=1"] {
            assert!(is_registered(asked, &registered), "{asked}");
        }
        for asked in [
            "https://app.test/cb/",
            "https://app.test/cb?x=1",
            "https://APP.test/cb",
            "https://app.test:443/cb",
            "https://app.test/%63b",
            "http://127.0.0.1:49152/cb",
            "http://127.0.0.1:49152/cb?x=2",
            "http://[::1]:49152/cb?x=1",
            "http://127.0.0.2:1/cb?x=1",
            "https://127.0.0.1:1/cb?x=1",
            "http://127.0.0.1:1/cb?x=1#f",
            "http://a@127.0.0.1:1/cb?x=1",
            "",
        ] {
            assert!(!is_registered(asked, &registered), "{asked}");
        }
    }

    /// the issuer is in every answer, and the state is the client's, byte by byte.
    #[test]
    fn answers_carry_state_and_issuer() {
        assert_eq!(
            success("https://app.test/cb?x=1", "csc_1", Some("a b&c=d"), "https://sign.test"),
            "https://app.test/cb?x=1&code=csc_1&state=a%20b%26c%3Dd&iss=https%3A%2F%2Fsign.test"
        );
        let error = OAuthError::new(crate::oauth::error::ErrorCode::AccessDenied, "no");
        assert_eq!(
            failure("com.example.app:/cb", &error, None, "https://sign.test"),
            "com.example.app:/cb?error=access_denied&error_description=no&iss=https%3A%2F%2Fsign.test"
        );
    }

    proptest! {
        #[test]
        fn a_state_comes_back_as_it_was(state in "[ -~]{1,60}") {
            let uri = success("https://app.test/cb", "c", Some(&state), "https://sign.test");
            let query = uri.split_once('?').unwrap().1;
            let parameters = Parameters::parse(query.as_bytes()).unwrap();
            prop_assert_eq!(parameters.get("state"), Some(state.as_str()));
        }
    }
}
