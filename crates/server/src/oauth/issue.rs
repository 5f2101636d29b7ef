//! The making of access tokens: what is stored, what is told to the organization, and what the client gets.

use countersign_core::{
    access::{Environment, Tenant},
    canonical, limits,
    oauth::{
        authorize,
        client::TokenFormat,
        dpop::Proof,
        error::{ErrorCode, OAuthError},
        jwt_access,
        terms::Terms,
        token::{self, Binding},
    },
    scope::Scopes,
    secret::{HashedToken, PlainToken, Secret, TokenKind},
    security::{Fingerprint, SecurityBody},
    time::Time,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{AccessTokenRow, GrantRow, Spend},
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
    pub audience: Option<Audience>,
    /// What it is bound to.
    pub binding: Option<Binding>,
}

/// A resource server that is registered.
pub struct Audience {
    /// Its name.
    pub resource: String,
    /// What tokens for it look like.
    pub format: TokenFormat,
}

/// An access token in the making.
pub struct Made {
    /// The token.
    pub token: Secret<String>,
    /// What is stored of it.
    pub row: AccessTokenRow,
}

/// The terms of a grant.
pub fn terms(grant: &GrantRow) -> Result<Terms, Fault> {
    serde_json::from_str(&grant.terms)
        .map_err(|error| Fault::Task(format!("the terms of {}: {error}", grant.grant)))
}

/// Terms as they are stored.
pub fn terms_text(terms: &Terms) -> Result<String, Fault> {
    let bytes = canonical::to_vec(terms).map_err(|error| Fault::Task(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Fault::Task(error.to_string()))
}

/// The resource server that a token is wanted for: this API, or one of the tenant that is registered (RFC 8707).
pub async fn audience(
    app: &App,
    tenant: &Tenant,
    resource: Option<&str>,
) -> Result<Result<Option<Audience>, OAuthError>, Fault> {
    let Some(resource) = resource else { return Ok(Ok(None)) };
    let resource = match authorize::resource(resource) {
        Ok(resource) if resource == app.oauth.issuer => return Ok(Ok(None)),
        Ok(resource) => resource,
        Err(error) => return Ok(Err(error)),
    };
    let row = app.store.client_by_resource(tenant, &resource).await?.filter(|row| row.ended_at.is_none());
    let Some(row) = row else {
        let sentence = "no resource server of this name is registered in this environment";
        return Ok(Err(OAuthError::new(ErrorCode::InvalidTarget, sentence)));
    };
    let registration = app.oauth.registrations.of(Some(&row))?;
    Ok(Ok(Some(Audience { resource, format: registration.resource_token_format })))
}

/// Makes an access token of the grant's newest generation.
pub async fn make(app: &App, wish: Wish<'_>) -> Result<Made, Denied> {
    let Wish { grant, scopes, audience, binding } = wish;
    let is_jwt = audience.as_ref().is_some_and(|audience| audience.format == TokenFormat::Jwt);
    let now = app.now();
    let life_s = token::lifetime_s(scopes, i64::from(app.config.oauth.access_token_s));
    let life_s = if is_jwt { life_s.min(limits::JWT_ACCESS_TOKEN_S) } else { life_s };
    let mut row = AccessTokenRow {
        hash: HashedToken::from_bytes([0; 32]),
        grant: grant.grant,
        generation: grant.generation,
        scopes,
        audience: audience.map(|audience| audience.resource),
        binding,
        created_at: now,
        expires_at: now.plus_s(life_s).min(grant.expires_at),
        seen_at: None,
    };
    if is_jwt {
        let token = signed(app, grant, &row).await?;
        row.hash = jwt_access::hash(token.expose());
        return Ok(Made { token, row });
    }
    let kind = match grant.tenant.environment() {
        Environment::Sandbox => TokenKind::SandboxAccessToken,
        Environment::Live => TokenKind::LiveAccessToken,
    };
    let token = PlainToken::new(kind, &app.draw());
    row.hash = token.hash();
    Ok(Made { token: Secret::new(token.expose().to_owned()), row })
}

/// A token that its audience verifies by itself (RFC 9068). Nobody takes such a token back before its end, so that it is
/// worth nothing without its key.
async fn signed(app: &App, grant: &GrantRow, row: &AccessTokenRow) -> Result<Secret<String>, Denied> {
    let Some(audience) = row.audience.as_deref() else {
        return Err(Fault::Missing("the audience of a signed token".to_owned()).into());
    };
    if row.binding.is_none() {
        let sentence = "tokens for this resource are always bound: send a DPoP proof (RFC 9449 section 5), or use mutual TLS";
        return Err(OAuthError::request(sentence).into());
    }
    let terms = terms(grant)?;
    let claims = jwt_access::claims(&jwt_access::AccessToken {
        issuer: &app.oauth.issuer,
        audience,
        client: grant.client,
        user: grant.user,
        jti: &hex::encode(app.draw::<16>()),
        scopes: row.scopes,
        details: &terms.details,
        binding: row.binding,
        authenticated: grant.authenticated,
        issued_at: row.created_at,
        expires_at: row.expires_at,
    });
    Ok(Secret::new(app.oauth.keys.sign(app, jwt_access::TYPE, &claims).await?))
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
    match grant.user {
        None => security::record_of_program(app, &grant.tenant, circumstances, body, batch).await,
        Some(_) => security::record(app, &grant.tenant, circumstances, body, batch).await,
    }
}

fn bound_to(binding: Binding) -> &'static str {
    match binding {
        Binding::Key(_) => "dpop",
        Binding::Certificate(_) => "certificate",
    }
}

/// The answer of the token endpoint (RFC 6749 §5.1, RFC 9449 §5).
pub fn answer(made: &Made, now: Time) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("access_token".to_owned(), json!(made.token.expose()));
    body.insert("token_type".to_owned(), json!(Binding::token_type(made.row.binding)));
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
