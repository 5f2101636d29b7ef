//! The making of access tokens: what is stored, what is told to the organization, and what the client gets.

use countersign_core::{
    access::Environment,
    limits,
    oauth::{
        client::Constraint,
        dpop::{BadProof, Proof},
        error::{ErrorCode, OAuthError},
    },
    scope::Scopes,
    secret::{PlainToken, TokenKind},
    security::{Fingerprint, SecurityBody},
    time::Time,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{AccessTokenRow, Binding, GrantRow, Spend},
    batch::Row,
};
use serde_json::{Map, Value, json};

use super::{answer::Denied, asked::Asked, client_auth::Client};
use crate::{
    app::App,
    fault::Fault,
    security::{self, Circumstances},
};

/// What an access token is to be.
pub struct Wish<'a> {
    /// Its grant.
    pub grant: &'a GrantRow,
    /// The scopes.
    pub scopes: Scopes,
    /// For which resource server; this API if there is none.
    pub audience: Option<String>,
    /// What it is bound to.
    pub binding: Option<Binding>,
}

/// An access token in the making.
pub struct Made {
    /// The token.
    pub token: PlainToken,
    /// What is stored of it.
    pub row: AccessTokenRow,
}

/// What the tokens of this request are bound to, as the client's registration asks for it; a client that is free and
/// brings a proof gets bound tokens, too. A request that would get less than the registration says is refused.
pub fn binding(client: &Client, proof: Option<&Proof>) -> Result<Option<Binding>, OAuthError> {
    let key = proof.map(|proof| Binding::Key(proof.thumbprint));
    match client.registration.constraint() {
        Constraint::Free => Ok(key),
        Constraint::Dpop => key.map(Some).ok_or_else(|| BadProof::Missing.into()),
        Constraint::Certificate => {
            let certificate = client.certificate.as_ref();
            let bound = certificate.map(|certificate| Binding::Certificate(certificate.sha256));
            bound.map(Some).ok_or_else(|| {
                OAuthError::request(
                    "the tokens of this client are bound to a certificate: show it (mutual TLS)",
                )
            })
        }
    }
}

/// The scopes of a request: named, known, and within everything that is over them (RFC 6749 §3.3).
pub fn scopes(asked: Option<&str>, ceiling: Scopes) -> Result<Scopes, OAuthError> {
    let wrong = |sentence: String| OAuthError::new(ErrorCode::InvalidScope, sentence);
    let text =
        asked.ok_or_else(|| wrong("name the scopes that you need in the parameter scope".to_owned()))?;
    let scopes = Scopes::parse(text).map_err(|unknown| wrong(format!("no scope is called {unknown}")))?;
    let beyond = scopes.without(ceiling);
    if scopes.is_empty() || !beyond.is_empty() {
        return Err(wrong(format!("these scopes are not open to this client: {beyond}")));
    }
    Ok(scopes)
}

/// How long an access token with these scopes lives, in seconds.
pub fn life_s(app: &App, scopes: Scopes) -> i64 {
    let set = i64::from(app.config.oauth.access_token_s);
    if scopes.has_admin() { set.min(limits::ADMIN_TOKEN_S) } else { set }
}

/// Makes an access token of the grant's newest generation.
pub fn make(app: &App, wish: Wish<'_>) -> Made {
    let Wish { grant, scopes, audience, binding } = wish;
    let kind = match grant.tenant.environment() {
        Environment::Sandbox => TokenKind::SandboxAccessToken,
        Environment::Live => TokenKind::LiveAccessToken,
    };
    let token = PlainToken::new(kind, &app.draw());
    let now = app.now();
    let expires_at = now.plus_s(life_s(app, scopes)).min(grant.expires_at);
    let row = AccessTokenRow {
        hash: token.hash(),
        grant: grant.grant,
        generation: grant.generation,
        scopes,
        audience,
        binding,
        created_at: now,
        expires_at,
    };
    Made { token, row }
}

/// Puts the token and the news of it into what is about to be committed.
pub async fn record(
    app: &App,
    circumstances: &Circumstances,
    grant: &GrantRow,
    made: &Made,
    grant_type: &str,
    batch: &mut Batch,
) -> Result<(), Fault> {
    batch.rows.push(Row::AccessToken(made.row.clone()));
    let body = SecurityBody::TokenIssued {
        grant: grant.grant,
        client: grant.client,
        token: Fingerprint::of(&made.row.hash),
        grant_type: grant_type.to_owned(),
        scopes: made.row.scopes,
        binding: made.row.binding.map(|binding| bound_to(binding).to_owned()),
        audience: made.row.audience.clone(),
        expires_at: made.row.expires_at,
    };
    security::record(app, &grant.tenant, circumstances, body, batch).await
}

fn bound_to(binding: Binding) -> &'static str {
    match binding {
        Binding::Key(_) => "dpop",
        Binding::Certificate(_) => "certificate",
    }
}

/// The answer of the token endpoint (RFC 6749 §5.1, RFC 9449 §5).
pub fn answer(made: &Made, now: Time) -> Map<String, Value> {
    let token_type = if matches!(made.row.binding, Some(Binding::Key(_))) { "DPoP" } else { "Bearer" };
    let mut body = Map::new();
    body.insert("access_token".to_owned(), json!(made.token.expose()));
    body.insert("token_type".to_owned(), json!(token_type));
    body.insert("expires_in".to_owned(), json!(made.row.expires_at.since_ms(now) / 1_000));
    body.insert("scope".to_owned(), json!(made.row.scopes));
    body
}

/// What a request uses up: the client's proof of itself, and the proof of possession.
pub fn spends(client: &Client, proof: Option<&Proof>) -> Vec<Spend> {
    let proof = proof.map(|proof| Spend { hash: proof.jti_hash, expires_at: proof.expires_at });
    client.spends.iter().copied().chain(proof).collect()
}

/// What came of a commit.
pub enum Written {
    /// It is durable.
    Yes,
    /// Somebody else changed the same row first: load and decide again.
    Outdated,
}

/// Commits what was decided. A proof or an assertion that was used before refuses all of it (G-7).
pub async fn commit(app: &App, client: &Client, asked: &Asked, batch: Batch) -> Result<Written, Denied> {
    match app.store.commit(batch).await {
        Ok(_) => Ok(Written::Yes),
        Err(CommitError::Outdated | CommitError::Conflict) => Ok(Written::Outdated),
        Err(CommitError::Spent) => Err(replayed(app, client, asked).await?.into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

/// Says which of the things that are good once was used before, and tells the organization.
async fn replayed(app: &App, client: &Client, asked: &Asked) -> Result<OAuthError, Fault> {
    let body = SecurityBody::ClientFailed {
        client: client.row.client,
        reason: countersign_core::security::FailureReason::Replayed,
    };
    security::tell(app, &client.row.tenant, &client.circumstances(asked), body).await?;
    for spend in &client.spends {
        if app.store.is_spent(spend.hash).await? {
            return Ok(OAuthError::new(
                ErrorCode::InvalidClient,
                "this client_assertion was used before: make one with a new jti for every request",
            ));
        }
    }
    Ok(OAuthError::new(
        ErrorCode::InvalidDpopProof,
        "this proof was used before: make one with a new jti for every request",
    ))
}
