//! The gate of the API: every endpoint is declared in a table, and every request to it is authenticated, authorized,
//! bounded and claimed here, before its handler sees it. What is not declared is not reachable (G-8).

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts as _, Query, RawPathParams, Request},
    http::{Uri, request::Parts, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    access::{Identity, Operation, Principal, Tenant, allow, detail_for},
    digest::Digest,
    id::{CorrelationId, EnvelopeId},
    limits,
    oauth::details::{Detail, is_spent_first},
    refusal::{Code, Refusal},
};
use countersign_store::{Batch, CommitError, access_rows::Spend, rows::IdempotencyClaim};
use serde::de::DeserializeOwned;

use super::{
    auth::{self, Credential},
    edge::RequestContext,
    idempotency::{self, Held},
    json,
    limits::{read_body, read_upload},
    media_type::{check_accept, check_content_type},
    problem::Problem,
};
use crate::{app::App, envelopes::Asking, fault::Fault, oauth::with_nonce, security::Circumstances};

/// A handler's answer in the making.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// What a request body must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// No body.
    Nothing,
    /// `application/json`.
    Json,
    /// `application/pdf`.
    Pdf,
}

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Changes something, once for each `Idempotency-Key`.
    Post,
}

impl Method {
    /// As HTTP writes it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// One declared endpoint.
pub struct Endpoint {
    /// Method.
    pub method: Method,
    /// Path with `{parameters}`.
    pub path: &'static str,
    /// What it does: names its scope.
    pub operation: Operation,
    /// Its body.
    pub takes: Takes,
    /// Its query parameters.
    pub query: &'static [&'static str],
    /// Its handler.
    pub run: fn(Arc<App>, Call) -> Answering,
}

/// A request that passed the gate.
pub struct Call {
    /// Who calls.
    pub principal: Principal,
    /// From where, and which request it is.
    pub context: RequestContext,
    /// The body.
    pub body: Bytes,
    claim: Option<IdempotencyClaim>,
    path: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
}

impl Call {
    /// The caller's tenant.
    pub fn tenant(&self) -> &Tenant {
        self.principal.tenant()
    }

    /// The caller, for a use case.
    pub fn asking(&self) -> Asking {
        Asking::principal(&self.principal, self.context.origin.clone(), self.context.correlation)
    }

    /// The caller, for the organization's security events.
    pub fn circumstances(&self) -> Circumstances {
        Circumstances::of(&self.principal, &self.context.origin, self.context.correlation)
    }

    /// The request.
    pub fn correlation(&self) -> CorrelationId {
        self.context.correlation
    }

    /// The idempotency claim: every POST has one.
    pub fn claim(&self) -> Result<&IdempotencyClaim, Fault> {
        self.claim.as_ref().ok_or_else(|| Fault::Missing("the idempotency claim of a POST".to_owned()))
    }

    /// An id in the path. What is not an id is not found.
    pub fn id<T: std::str::FromStr>(&self, name: &str) -> Result<T, Refusal> {
        self.path.get(name).and_then(|text| text.parse().ok()).ok_or_else(Refusal::not_found)
    }

    /// A query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The body as JSON; unknown fields are refused.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        json::read(&self.body)
    }
}

/// Takes a request through the gate and to its handler. What is done for a proof with a nonce that is about to end brings the
/// next one along, so that no request is lost to that (RFC 9449 §8.2).
pub async fn pass(app: Arc<App>, endpoint: &'static Endpoint, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let operation = endpoint.operation;
    tracing::Span::current().record("event_type", operation.text());
    let credential = auth::credential(&app, &parts)
        .map_err(|refusal| Problem::from(refusal).challenging(auth::scheme(&parts.headers), operation))?;
    let answer = pass_with(&app, endpoint, &credential, parts, body).await?;
    Ok(if credential.has_old_nonce() { with_nonce(&app, answer) } else { answer })
}

async fn pass_with(
    app: &Arc<App>,
    endpoint: &'static Endpoint,
    credential: &Credential,
    mut parts: Parts,
    body: Body,
) -> Result<Response, Problem> {
    let context = parts.extensions.get::<RequestContext>().cloned();
    let context = context.ok_or_else(|| Fault::Missing("the context of a request".to_owned()))?;
    let operation = endpoint.operation;
    let principal = authorized(app, credential, &context, operation).await?;
    let query = known_query(endpoint.query, &parts.uri)?;
    check_content_type(&parts.headers, media_type_of(endpoint.takes))?;
    check_accept(&parts.headers, given_by(operation))?;
    let body = match endpoint.takes {
        Takes::Nothing => read_body(body, 0).await?,
        Takes::Json => read_body(body, limits::BODY_BYTES).await?,
        Takes::Pdf => read_upload(app, body).await?,
    };
    if endpoint.takes == Takes::Nothing && !body.is_empty() {
        return Err(Refusal::new(Code::UnsupportedMediaType, "this takes no body").into());
    }
    let path = path_parameters(&mut parts).await;
    let envelope = path.get("envelope").and_then(|text| text.parse().ok());
    detail_for(&principal, operation, envelope)?;
    let held = match endpoint.method {
        Method::Get => None,
        Method::Post => {
            let target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
            let fingerprint = Digest::of_parts(&[b"POST ", target.as_bytes(), b"\n", &body]);
            match idempotency::claim(app, &principal, &parts.headers, fingerprint).await? {
                idempotency::Claimed::Work(held) => Some(held),
                idempotency::Claimed::Replay(answer) => return Ok(idempotency::respond(answer, true)),
            }
        }
    };
    // Not before the claim: the same request coming again gets its answer, and spends nothing more.
    let spent = if is_spent_first(operation) {
        spend_detail(app, &principal, operation, envelope).await?
    } else {
        check_unspent(app, &principal, operation).await?;
        None
    };
    let claim = held.as_ref().and_then(Held::claim).cloned();
    let call = Call { principal, context, body, claim, path, query };
    let answer = (endpoint.run)(Arc::clone(app), call).await;
    if let (Err(problem), Some(hash)) = (&answer, spent)
        && problem.status().is_client_error()
    {
        give_back(app, hash).await;
    }
    if let Some(mut held) = held {
        match answer {
            Ok(_) => held.keep(),
            Err(_) => held.release().await,
        }
    }
    answer
}

/// What is refused did nothing: the detail is good for another request. Of several at once still one is done, because each
/// spends before it begins. After a fault of ours, and if the caller goes away, nobody knows: it stays spent.
async fn give_back(app: &App, hash: Digest) {
    if let Err(fault) = app.store.give_back(hash).await {
        tracing::warn!(event_type = "single_use", event_result = "failed", "a detail stays spent: {fault}");
    }
}

/// How the detail that permits a request is spent; not at all if it can be used again.
pub fn spend_of(app: &App, principal: &Principal, found: Option<(usize, &Detail)>) -> Option<Spend> {
    let (index, _) = found.filter(|(_, detail)| detail.single_use)?;
    let Identity::Client(client) = principal.identity() else { return None };
    let index = u64::try_from(index).unwrap_or(u64::MAX).to_be_bytes();
    let hash = Digest::of_parts(&[b"countersign/detail/v1\0", client.grant.as_bytes(), &index]);
    Some(Spend { hash, expires_at: app.now().plus_s(limits::GRANT_S) })
}

/// Spends what of a token's details is good once; what was spent. Where documents decide, the handler spends it.
async fn spend_detail(
    app: &App,
    principal: &Principal,
    operation: Operation,
    envelope: Option<EnvelopeId>,
) -> Result<Option<Digest>, Problem> {
    let Some(spend) = spend_of(app, principal, detail_for(principal, operation, envelope)?) else {
        return Ok(None);
    };
    let batch = Batch { spends: vec![spend], ..Batch::default() };
    match app.store.commit(batch).await {
        Ok(_) => Ok(Some(spend.hash)),
        Err(CommitError::Spent) => Err(Refusal::not_found().into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

/// Refuses to prepare what was done already: an upload where the detail that permits it is spent.
async fn check_unspent(app: &App, principal: &Principal, operation: Operation) -> Result<(), Problem> {
    if operation != Operation::UploadDocument {
        return Ok(());
    }
    let Some(spend) = spend_of(app, principal, detail_for(principal, operation, None)?) else {
        return Ok(());
    };
    if app.store.is_spent(spend.hash).await.map_err(Fault::from)? {
        return Err(Refusal::not_found().into());
    }
    Ok(())
}

/// Who calls, if it may do that. Whoever may not is told what is missing in `WWW-Authenticate`, too.
async fn authorized(
    app: &App,
    credential: &Credential,
    context: &RequestContext,
    operation: Operation,
) -> Result<Principal, Problem> {
    let challenged = |problem: Problem| problem.challenging(credential.scheme, operation);
    let principal =
        auth::caller(app, credential, context).await.map_err(|failure| challenged(failure.into()))?;
    allow(&principal, operation, app.now()).map_err(|refusal| challenged(refusal.into()))?;
    Ok(principal)
}

fn media_type_of(takes: Takes) -> Option<&'static str> {
    match takes {
        Takes::Nothing => None,
        Takes::Json => Some("application/json"),
        Takes::Pdf => Some("application/pdf"),
    }
}

/// Refuses every query.
pub async fn without_query(request: Request, next: Next) -> Response {
    match known_query(&[], request.uri()) {
        Ok(_) => next.run(request).await,
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

fn known_query(names: &[&str], uri: &Uri) -> Result<BTreeMap<String, String>, Refusal> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Refusal::new(Code::Malformed, "the query cannot be read"))?;
    let mut known = BTreeMap::new();
    for (name, value) in pairs {
        if !names.contains(&name.as_str()) {
            let sentence = match names {
                [] => "this takes no query parameters".to_owned(),
                names => format!("the query parameters known here are: {}", names.join(", ")),
            };
            return Err(Refusal::new(Code::UnknownParameter, sentence));
        }
        if known.insert(name, value).is_some() {
            return Err(Refusal::new(Code::Malformed, "a query parameter is given twice"));
        }
    }
    Ok(known)
}

/// What is answered where nothing is refused.
fn given_by(operation: Operation) -> &'static str {
    match operation {
        Operation::ReadOriginal | Operation::ReadSealed | Operation::ReadCertificate => "application/pdf",
        Operation::ReadEvidence => "application/zip",
        _ => "application/json",
    }
}

async fn path_parameters(parts: &mut Parts) -> BTreeMap<String, String> {
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(parameters) => {
            parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        }
        Err(_) => BTreeMap::new(),
    }
}
