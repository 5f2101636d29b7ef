//! The making of access tokens: what is stored, what is told to the organization, and what the client gets.

use countersign_core::{
    access::{Environment, Tenant},
    canonical,
    oauth::{
        authorize,
        dpop::Proof,
        error::{ErrorCode, OAuthError},
        terms::Terms,
        token::{self, Binding},
    },
    scope::Scopes,
    secret::{PlainToken, TokenKind},
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
    clients::Registered,
    fault::Fault,
    security::{self, Circumstances},
};

/// Clients that are read at once in search of a resource server.
const CLIENTS_AT_ONCE: usize = 100;

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
pub async fn audience(app: &App, tenant: &Tenant, resource: Option<&str>) -> Result<Option<String>, Denied> {
    let Some(resource) = resource else { return Ok(None) };
    let resource = authorize::resource(resource)?;
    if resource == app.oauth.issuer {
        return Ok(None);
    }
    let mut before = None;
    loop {
        let rows = app.store.clients(tenant, before, CLIENTS_AT_ONCE).await?;
        before = rows.last().map(|row| row.client);
        let is_last = rows.len() < CLIENTS_AT_ONCE;
        for row in rows.into_iter().filter(|row| row.ended_at.is_none()) {
            if Registered::read(row)?.registration.resource.as_deref() == Some(resource.as_str()) {
                return Ok(Some(resource));
            }
        }
        if is_last {
            let sentence = "no resource server of this name is registered in this environment";
            return Err(OAuthError::new(ErrorCode::InvalidTarget, sentence).into());
        }
    }
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
    let expires_at = now
        .plus_s(token::lifetime_s(scopes, i64::from(app.config.oauth.access_token_s)))
        .min(grant.expires_at);
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
