//! Authorization requests, pushed (RFC 9126) or in the query (RFC 6749 §4.1.1): from parameters to what is stored, or to
//! an error that either the person sees or the client gets back.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    id::ClientId,
    level::Level,
    limits,
    oauth::{
        client::{GrantType, Registration},
        details::{self, Detail},
        error::{ErrorCode, OAuthError},
        form::Parameters,
        pkce::Challenge,
        redirect,
        uri::Uri,
    },
    scope::Scopes,
    secret::{PlainToken, TokenKind, equal_in_constant_time},
};

/// What a `request_uri` of ours begins with (RFC 9126 §2.2); the handle follows.
pub const REQUEST_URI_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// The scope that asks for an ID token (OpenID Connect Core §3.1.2.1); it is no power.
pub const OPENID: &str = "openid";

const STATE_CHARS: usize = 2_000;
const NONCE_CHARS: usize = 512;
/// Longest `max_age`, in seconds: a year.
const MAX_AGE_S: i64 = 365 * 24 * 3_600;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// To the PAR endpoint, from an authenticated client.
    Pushed,
    /// In the query, with a browser.
    Query,
}

/// What the person is to be asked (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Nothing: what cannot be done silently is an error.
    #[serde(default)]
    pub none: bool,
    /// To sign in again, also for another account.
    #[serde(default)]
    pub login: bool,
    /// To agree again.
    #[serde(default)]
    pub consent: bool,
}

/// An address that the sign-in form begins with. It concerns a person, so no debug print shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginHint(String);

impl LoginHint {
    /// For the form.
    pub fn disclose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LoginHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginHint(…)")
    }
}

/// A request that was found good: what is stored until the person decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: ClientId,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What is asked for.
    pub scope: Scopes,
    /// Whether an ID token is asked for.
    #[serde(default)]
    pub openid: bool,
    /// What the client wants back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What the code's redeemer must know.
    pub code_challenge: Challenge,
    /// What the ID token repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The key that the code is bound to (RFC 9449 §10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Digest>,
    /// The least level, of those that are known here and would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// How long ago the person may have authenticated, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<i64>,
    /// What the person is to be asked.
    #[serde(default)]
    pub prompt: Prompt,
    /// For which resource server (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What narrows the scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_details: Vec<Detail>,
    /// With what the sign-in form begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<LoginHint>,
}

/// Why a request is refused, and who learns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The person: where to send the browser is not certain (RFC 6749 §4.1.2.1).
    Shown(OAuthError),
    /// The client, at its redirect URI.
    SentBack {
        /// A URI that is registered.
        redirect_uri: String,
        /// The client's state, if it could be read.
        state: Option<String>,
        /// What is wrong.
        error: OAuthError,
    },
}

impl Refused {
    /// What is wrong: the answer of the PAR endpoint (RFC 9126 §2.3).
    pub fn error(&self) -> &OAuthError {
        match self {
            Self::Shown(error) | Self::SentBack { error, .. } => error,
        }
    }
}

/// A request by reference: who comes with it, and the handle (RFC 9126 §4).
#[derive(Debug)]
pub struct Reference {
    /// The client, to be compared with the stored request's.
    pub client_id: ClientId,
    /// The handle.
    pub handle: PlainToken,
}

impl Reference {
    /// Reads `client_id` and `request_uri`; `None` for a request that has no `request_uri`. Whatever else stands in the
    /// query is not looked at: the pushed request alone counts (RFC 9101 §5).
    pub fn read(parameters: &Parameters) -> Result<Option<Self>, OAuthError> {
        let Some(uri) = parameters.get("request_uri") else { return Ok(None) };
        if parameters.has("request") {
            return Err(OAuthError::request(
                "request and request_uri do not go together (RFC 9101 section 5)",
            ));
        }
        let unknown = || {
            OAuthError::new(
                ErrorCode::InvalidRequestUri,
                "the request_uri is not one of this server, is over, or was used: push the request again",
            )
        };
        let client_id = client_id(parameters)?;
        let handle = uri.strip_prefix(REQUEST_URI_PREFIX).ok_or_else(unknown)?;
        let handle = PlainToken::parse(TokenKind::PushedRequest, handle).map_err(|_| unknown())?;
        Ok(Some(Self { client_id, handle }))
    }
}

/// The `client_id` that a request names. One that cannot be is answered like an unknown one.
pub fn client_id(parameters: &Parameters) -> Result<ClientId, OAuthError> {
    parameters.require("client_id")?.parse().map_err(|_| OAuthError::unproven_client())
}

/// Reads a request of `client`. `ceiling` is the most that the client may ask for at this moment.
pub fn read(
    parameters: &Parameters,
    client: ClientId,
    registration: &Registration,
    ceiling: Scopes,
    source: Source,
) -> Result<AuthorizationRequest, Refused> {
    let redirect_uri = destination(parameters, client, registration).map_err(Refused::Shown)?;
    let state = parameters.get("state");
    let readable = state.filter(|state| is_visible(state, STATE_CHARS)).map(str::to_owned);
    let asked = Asked { parameters, registration, ceiling, source };
    match asked.read(client, redirect_uri, readable.clone()) {
        Ok(request) => Ok(request),
        Err(error) => {
            Err(Refused::SentBack { redirect_uri: redirect_uri.to_owned(), state: readable, error })
        }
    }
}

/// The one answer where a client is not known and where it has no such redirect URI: what a stranger learns is the same.
pub fn unknown_destination() -> OAuthError {
    OAuthError::request(
        "no client with this client_id has this redirect_uri registered: it is compared character by character",
    )
}

/// The redirect URI, if it is this client's.
fn destination<'a>(
    parameters: &'a Parameters,
    client: ClientId,
    registration: &Registration,
) -> Result<&'a str, OAuthError> {
    if parameters.has("client_id") && client_id(parameters)? != client {
        return Err(OAuthError::request("client_id is not the client that authenticated"));
    }
    let uri = parameters.require("redirect_uri")?;
    if redirect::is_registered(uri, &registration.redirect_uris) {
        Ok(uri)
    } else {
        Err(unknown_destination())
    }
}

/// The characters of RFC 6749 appendix A.5, of which there is at least one.
fn is_visible(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

struct Asked<'a> {
    parameters: &'a Parameters,
    registration: &'a Registration,
    ceiling: Scopes,
    source: Source,
}

impl Asked<'_> {
    fn read(
        &self,
        client_id: ClientId,
        redirect_uri: &str,
        state: Option<String>,
    ) -> Result<AuthorizationRequest, OAuthError> {
        self.check_form()?;
        if state.is_none() && self.parameters.has("state") {
            return Err(OAuthError::request("state has up to 2000 visible ASCII characters"));
        }
        let (scope, openid) = self.scope()?;
        let authorization_details = match self.parameters.get("authorization_details") {
            Some(text) => details::parse(text)?,
            None => Vec::new(),
        };
        details::check_scopes(&authorization_details, scope)?;
        Ok(AuthorizationRequest {
            client_id,
            redirect_uri: redirect_uri.to_owned(),
            scope,
            openid,
            state,
            code_challenge: self.challenge()?,
            nonce: self.visible("nonce", NONCE_CHARS)?,
            dpop_jkt: self.dpop_jkt()?,
            level: self.level()?,
            max_age: self.max_age()?,
            prompt: self.prompt()?,
            resource: self.resource()?,
            authorization_details,
            login_hint: self.login_hint(),
        })
    }

    /// What the request is, before what it asks for.
    fn check_form(&self) -> Result<(), OAuthError> {
        let parameters = self.parameters;
        if parameters.has("request") {
            let sentence = "request objects are not taken: push the parameters themselves (RFC 9126)";
            return Err(OAuthError::new(ErrorCode::RequestNotSupported, sentence));
        }
        if parameters.has("request_uri") {
            return Err(OAuthError::request("a pushed request has no request_uri (RFC 9126 section 2.1)"));
        }
        if self.source == Source::Query && self.registration.must_push() {
            return Err(OAuthError::request(
                "this client pushes its requests (RFC 9126): send them to /oauth/par",
            ));
        }
        if parameters.require("response_type")? != "code" {
            return Err(OAuthError::new(
                ErrorCode::UnsupportedResponseType,
                "the only response_type is code",
            ));
        }
        if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(OAuthError::request("the only response_mode is query"));
        }
        if !self.registration.may_use(GrantType::AuthorizationCode) {
            let sentence = "this client is not registered for authorization_code";
            return Err(OAuthError::new(ErrorCode::UnauthorizedClient, sentence));
        }
        Ok(())
    }

    fn scope(&self) -> Result<(Scopes, bool), OAuthError> {
        let wrong = |sentence: String| OAuthError::new(ErrorCode::InvalidScope, sentence);
        let text = self.parameters.get("scope").unwrap_or_default();
        let names: Vec<_> = text.split(' ').filter(|name| !name.is_empty()).collect();
        let openid = names.contains(&OPENID);
        let powers: Vec<_> = names.into_iter().filter(|name| *name != OPENID).collect();
        let powers = powers.join(" ");
        let scope = Scopes::parse(&powers).map_err(|name| wrong(format!("no scope is called {name}")))?;
        let beyond = scope.without(self.ceiling);
        if !beyond.is_empty() {
            return Err(wrong(format!("this client may not ask for {beyond}")));
        }
        if scope.is_empty() && !openid {
            return Err(wrong("name the scopes that are needed".to_owned()));
        }
        Ok((scope, openid))
    }

    fn challenge(&self) -> Result<Challenge, OAuthError> {
        let challenge = self.parameters.require("code_challenge")?;
        let method = self.parameters.get("code_challenge_method");
        Challenge::parse(challenge, method).map_err(|error| OAuthError::request(error.to_string()))
    }

    fn visible(&self, name: &str, most: usize) -> Result<Option<String>, OAuthError> {
        match self.parameters.get(name) {
            Some(text) if !is_visible(text, most) => {
                Err(OAuthError::request(format!("{name} has up to {most} visible ASCII characters")))
            }
            text => Ok(text.map(str::to_owned)),
        }
    }

    fn dpop_jkt(&self) -> Result<Option<Digest>, OAuthError> {
        let Some(text) = self.parameters.get("dpop_jkt") else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let sentence = "dpop_jkt is the SHA-256 thumbprint of a key in base64url: 43 characters";
        bytes.map(|bytes| Some(Digest(bytes))).ok_or_else(|| OAuthError::request(sentence))
    }

    /// The lowest of the levels that would do. Unknown ones are left out, and none that is known cannot be met
    /// (RFC 9470 §5).
    fn level(&self) -> Result<Option<Level>, OAuthError> {
        let Some(text) = self.parameters.get("acr_values") else { return Ok(None) };
        let sentence = "no level of acr_values is known here: see acr_values_supported in the metadata";
        let lowest = text.split(' ').filter_map(Level::parse).min();
        lowest.map(Some).ok_or_else(|| OAuthError::new(ErrorCode::UnmetAuthenticationRequirements, sentence))
    }

    fn max_age(&self) -> Result<Option<i64>, OAuthError> {
        let Some(text) = self.parameters.get("max_age") else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let age_s = text.parse().ok().filter(|age_s| digits && *age_s <= MAX_AGE_S);
        age_s
            .map(Some)
            .ok_or_else(|| OAuthError::request("max_age is a number of seconds, of a year at most"))
    }

    fn prompt(&self) -> Result<Prompt, OAuthError> {
        let mut prompt = Prompt::default();
        let text = self.parameters.get("prompt").unwrap_or_default();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            match name {
                "none" => prompt.none = true,
                "login" | "select_account" => prompt.login = true,
                "consent" => prompt.consent = true,
                _ => return Err(OAuthError::request("prompt is none, login, select_account or consent")),
            }
        }
        if prompt.none && (prompt.login || prompt.consent) {
            return Err(OAuthError::request("prompt=none stands alone"));
        }
        Ok(prompt)
    }

    fn resource(&self) -> Result<Option<String>, OAuthError> {
        let Some(text) = self.parameters.get("resource") else { return Ok(None) };
        resource(text).map(Some)
    }

    fn login_hint(&self) -> Option<LoginHint> {
        let text = self.parameters.get("login_hint")?;
        // A hint that cannot be an address is as good as none.
        let fits = text.chars().count() <= limits::EMAIL_CHARS && !text.contains(char::is_control);
        fits.then(|| LoginHint(text.to_owned()))
    }
}

/// A `resource` as it may be named (RFC 8707 §2); whether there is one, the store says.
pub fn resource(text: &str) -> Result<String, OAuthError> {
    let fits = Uri::parse(text)
        .is_ok_and(|uri| uri.is("https") && uri.authority.is_some() && uri.fragment.is_none());
    let wrong = || OAuthError::new(ErrorCode::InvalidTarget, "resource is an https URL without a fragment");
    fits.then(|| text.to_owned()).ok_or_else(wrong)
}

impl AuthorizationRequest {
    /// Binds the code to the key of the proof that came with the pushed request (RFC 9449 §10.1).
    pub fn bind(&mut self, proved: Option<Digest>) -> Result<(), OAuthError> {
        match (self.dpop_jkt, proved) {
            (Some(named), Some(proved)) if !equal_in_constant_time(&named.0, &proved.0) => {
                let sentence = "dpop_jkt is not the thumbprint of the key of the DPoP proof";
                Err(OAuthError::new(ErrorCode::InvalidDpopProof, sentence))
            }
            (None, Some(proved)) => {
                self.dpop_jkt = Some(proved);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn client() -> ClientId {
        ClientId::from_bytes([4; 16])
    }

    fn registration(profile: &str) -> Registration {
        let value = json!({
            "client_name": "Ledger", "profile": profile, "token_endpoint_auth_method": "none",
            "redirect_uris": ["https://app.test/cb"], "grant_types": ["authorization_code"],
            "scope": "envelopes:read envelopes:void",
        });
        serde_json::from_value(value).unwrap()
    }

    fn base() -> Vec<(&'static str, String)> {
        vec![
            ("client_id", client().to_string()),
            ("redirect_uri", "https://app.test/cb".to_owned()),
            ("response_type", "code".to_owned()),
            ("scope", "envelopes:read openid".to_owned()),
            ("code_challenge", CHALLENGE.to_owned()),
            ("code_challenge_method", "S256".to_owned()),
            ("state", "s 1".to_owned()),
        ]
    }

    fn with(name: &'static str, value: &str) -> Vec<(&'static str, String)> {
        let mut pairs = base();
        pairs.retain(|(other, _)| *other != name);
        if !value.is_empty() {
            pairs.push((name, value.to_owned()));
        }
        pairs
    }

    fn parameters(pairs: &[(&'static str, String)]) -> Parameters {
        let encode =
            |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        let text: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        Parameters::parse(text.join("&").as_bytes()).unwrap()
    }

    fn judge_as(
        pairs: &[(&'static str, String)],
        profile: &str,
        source: Source,
    ) -> Result<AuthorizationRequest, Refused> {
        let registration = registration(profile);
        read(&parameters(pairs), client(), &registration, registration.scope, source)
    }

    fn judge(pairs: &[(&'static str, String)]) -> Result<AuthorizationRequest, Refused> {
        judge_as(pairs, "standard", Source::Query)
    }

    /// A-2: a request with everything in it is read, and stored as it was read.
    #[test]
    fn a_request_is_read_and_survives_its_text() {
        let mut pairs = base();
        pairs.extend([
            ("nonce", "n-1".to_owned()),
            ("dpop_jkt", CHALLENGE.to_owned()),
            ("acr_values", "urn:other aal2-phr aal2".to_owned()),
            ("max_age", "0".to_owned()),
            ("prompt", "login consent".to_owned()),
            ("resource", "https://api.test/v1".to_owned()),
            ("login_hint", "ada@example.test".to_owned()),
            ("authorization_details", r#"[{"type":"envelope","actions":["read"]}]"#.to_owned()),
            ("claims", "{}".to_owned()),
        ]);
        let request = judge(&pairs).unwrap();
        assert!(request.openid && request.prompt.login && request.prompt.consent && !request.prompt.none);
        assert_eq!((request.level, request.max_age), (Some(Level::Aal2), Some(0)));
        assert_eq!(request.state.as_deref(), Some("s 1"));
        assert!(!format!("{request:?}").contains("ada@"));
        let text = crate::canonical::to_vec(&request).unwrap();
        assert_eq!(serde_json::from_slice::<AuthorizationRequest>(&text).unwrap(), request);
    }

    /// A-7: a browser is never sent to an address that is not the client's.
    #[test]
    fn an_error_goes_back_only_to_a_registered_address() {
        for (name, value) in [
            ("redirect_uri", ""),
            ("redirect_uri", "https://app.test/cb/"),
            ("redirect_uri", "https://evil.test/cb"),
            ("client_id", "cli_x"),
            ("client_id", &ClientId::from_bytes([5; 16]).to_string()),
        ] {
            assert!(matches!(judge(&with(name, value)), Err(Refused::Shown(_))), "{name}={value}");
        }
    }

    /// A-2, A-7: what is not offered is refused, with the registered code.
    #[test]
    fn each_parameter_is_checked() {
        use ErrorCode as E;
        for (name, value, code) in [
            ("response_type", "", E::InvalidRequest),
            ("response_type", "token", E::UnsupportedResponseType),
            ("response_type", "code id_token", E::UnsupportedResponseType),
            ("response_mode", "fragment", E::InvalidRequest),
            ("request", "eyJ", E::RequestNotSupported),
            ("request_uri", "urn:x", E::InvalidRequest),
            ("scope", "", E::InvalidScope),
            ("scope", "envelopes:read nonsense", E::InvalidScope),
            ("scope", "envelopes:send", E::InvalidScope),
            ("scope", "admin:clients", E::InvalidScope),
            ("code_challenge", "", E::InvalidRequest),
            ("code_challenge", "short", E::InvalidRequest),
            ("code_challenge_method", "", E::InvalidRequest),
            ("code_challenge_method", "plain", E::InvalidRequest),
            ("nonce", &"n".repeat(513), E::InvalidRequest),
            ("state", "\u{e9}", E::InvalidRequest),
            ("state", &"s".repeat(2_001), E::InvalidRequest),
            ("dpop_jkt", "short", E::InvalidRequest),
            ("acr_values", "urn:other", E::UnmetAuthenticationRequirements),
            ("max_age", "-1", E::InvalidRequest),
            ("max_age", "+1", E::InvalidRequest),
            ("max_age", "99999999999", E::InvalidRequest),
            ("prompt", "none login", E::InvalidRequest),
            ("prompt", "create", E::InvalidRequest),
            ("resource", "api.test", E::InvalidTarget),
            ("resource", "https://api.test/#x", E::InvalidTarget),
            ("authorization_details", "[]", E::InvalidAuthorizationDetails),
            (
                "authorization_details",
                r#"[{"type":"envelope","actions":["void"]}]"#,
                E::InvalidAuthorizationDetails,
            ),
        ] {
            match judge(&with(name, value)) {
                Err(Refused::SentBack { redirect_uri, error, .. }) => {
                    assert_eq!((error.code, redirect_uri.as_str()), (code, "https://app.test/cb"), "{name}");
                }
                other => panic!("{name}={value}: {other:?}"),
            }
        }
        assert!(judge(&with("state", &"s".repeat(1_000))).is_ok());
        assert!(judge(&with("nonce", &"n".repeat(384))).is_ok());
    }

    /// A-5: a FAPI client pushes, and what it sends with a browser is not read.
    #[test]
    fn a_fapi_client_pushes() {
        assert!(judge_as(&base(), "fapi2", Source::Pushed).is_ok());
        let refused = judge_as(&base(), "fapi2", Source::Query).unwrap_err();
        assert_eq!(refused.error().code, ErrorCode::InvalidRequest);
    }

    /// A-7: with a reference, the pushed request alone counts.
    #[test]
    fn a_reference_is_a_client_and_a_handle() {
        let handle = PlainToken::new(TokenKind::PushedRequest, &[3; 32]);
        let uri = format!("{REQUEST_URI_PREFIX}{}", handle.expose());
        let read = |pairs: &[(&'static str, String)]| Reference::read(&parameters(pairs));
        let id = ("client_id", client().to_string());
        let found = read(&[id.clone(), ("request_uri", uri.clone()), ("scope", "admin:keys".to_owned())]);
        let found = found.unwrap().unwrap();
        assert_eq!((found.client_id, found.handle.hash()), (client(), handle.hash()));
        assert!(read(std::slice::from_ref(&id)).unwrap().is_none());
        assert!(read(&[("request_uri", uri.clone())]).is_err());
        assert!(read(&[id.clone(), ("request_uri", uri.clone()), ("request", "eyJ".to_owned())]).is_err());
        for wrong in ["https://evil.test/request.jwt", "urn:ietf:params:oauth:request_uri:csp_x"] {
            let error = read(&[id.clone(), ("request_uri", wrong.to_owned())]).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequestUri);
        }
    }

    /// A-5: a code is bound to the key of the pushed request's proof, and the two ways to name it must agree.
    #[test]
    fn a_pushed_proof_binds_the_code() {
        let mut request = judge(&base()).unwrap();
        assert_eq!(request.bind(None), Ok(()));
        assert_eq!(request.dpop_jkt, None);
        assert_eq!(request.bind(Some(Digest::of(b"key"))), Ok(()));
        assert_eq!(request.dpop_jkt, Some(Digest::of(b"key")));
        assert_eq!(request.bind(Some(Digest::of(b"key"))), Ok(()));
        let error = request.bind(Some(Digest::of(b"other"))).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidDpopProof);
    }
}
