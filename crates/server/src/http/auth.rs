//! Authentication: the only place that makes a `Principal`, from an API key or from a signer's session cookie.

use axum::http::{HeaderMap, header};
use countersign_core::{
    access::{Environment, Identity, Principal},
    id::EnvelopeId,
    refusal::{Code, Refusal},
    secret::{PlainToken, TokenKind},
};
use countersign_store::rows::SessionRow;

use crate::{
    app::App,
    fault::{Failure, Fault},
};

fn unauthenticated() -> Refusal {
    Refusal::new(Code::Unauthenticated, "send an API key as `Authorization: Bearer csk_…`")
}

fn unknown() -> Refusal {
    let sentence = "this API key is not known here: it is mistyped, of another server, or gone; create another with \
                    `countersign keys create`";
    Refusal::new(Code::Unauthenticated, sentence)
}

/// Who calls with an API key. A mistyped key is refused before any look-up.
pub async fn api_key(app: &App, headers: &HeaderMap) -> Result<Principal, Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(unauthenticated().into()) };
    let text = value.to_str().map_err(|_| unauthenticated())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(unauthenticated)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthenticated().into());
    }
    let kinds =
        [(TokenKind::SandboxApiKey, Environment::Sandbox), (TokenKind::LiveApiKey, Environment::Live)];
    let parsed = kinds
        .iter()
        .find_map(|(kind, environment)| Some((PlainToken::parse(*kind, token).ok()?, *environment)));
    let (token, environment) = parsed.ok_or_else(unknown)?;
    let hash = token.hash();
    let row = app.store.api_key(&hash).await.map_err(Fault::from)?;
    let row = row.filter(|row| row.hash == hash && row.tenant.environment() == environment);
    let row = row.ok_or_else(unknown)?;
    let identity =
        Identity::ApiKey { key: row.key, person: row.person, scopes: row.scopes, expires_at: row.expires_at };
    Ok(Principal::authenticated(row.tenant, identity))
}

/// The cookie of a signer's session. One for each envelope, so that several can be open in one browser; the prefix
/// makes browsers refuse it from anywhere but this host over TLS.
pub fn session_cookie_name(envelope: EnvelopeId) -> String {
    format!("__Host-cs-{envelope}")
}

/// Who calls with a signer's session of this envelope. The row is given along for what only pages need of it.
pub async fn signer(
    app: &App,
    headers: &HeaderMap,
    envelope: EnvelopeId,
) -> Result<(Principal, SessionRow), Failure> {
    let ended =
        || Refusal::new(Code::SessionEnded, "the session has ended; open the link from your mail again");
    let token = session_cookie(headers, envelope)
        .and_then(|text| PlainToken::parse(TokenKind::SigningSession, text).ok());
    let hash = token.ok_or_else(ended)?.hash();
    let row = app.store.session(&hash).await.map_err(Fault::from)?;
    let row = row.filter(|row| row.cookie == hash && row.envelope == envelope && row.expires_at > app.now());
    let row = row.ok_or_else(ended)?;
    let identity = Identity::Signer { session: row.session, envelope, recipient: row.recipient };
    Ok((Principal::authenticated(row.tenant, identity), row))
}

/// Whether a browser once had a session of this envelope, valid or not: for the words on pages, and nothing else.
pub fn has_session_cookie(headers: &HeaderMap, envelope: EnvelopeId) -> bool {
    session_cookie(headers, envelope).is_some()
}

fn session_cookie(headers: &HeaderMap, envelope: EnvelopeId) -> Option<&str> {
    let name = session_cookie_name(envelope);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}
