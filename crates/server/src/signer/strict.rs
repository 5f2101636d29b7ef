//! What pages take in, and nothing else (G-8): typed ids in the path, bodies of one content type and bounded size,
//! no unknown fields, no query.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, request::Parts},
};
use countersign_core::{
    envelope::command::OriginNow,
    id::CorrelationId,
    limits,
    refusal::{Code, Refusal},
};
use serde::de::DeserializeOwned;

use crate::{
    fault::Fault,
    http::{edge::RequestContext, json, media_type::check_content_type, place::Place, problem::Problem},
};

/// Who calls, before the session is known.
#[derive(Clone, Debug)]
pub struct Caller {
    /// From where.
    pub origin: OriginNow,
    /// Which request it is.
    pub correlation: CorrelationId,
    /// The request's headers, for the cookie.
    pub headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let context = parts.extensions.get::<RequestContext>().cloned();
        let context = context.ok_or_else(|| Fault::Missing("the context of a request".to_owned()))?;
        let RequestContext { correlation, origin } = context;
        Ok(Self { origin, correlation, headers: parts.headers.clone() })
    }
}

/// The id in the path with this type's prefix; what is not one is not found.
#[derive(Clone, Copy, Debug)]
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: std::str::FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, state).await;
        let parameters = parameters.map_err(|_| Refusal::not_found())?;
        let found = parameters.iter().find_map(|(_, text)| text.parse().ok());
        Ok(Self(found.ok_or_else(Refusal::not_found)?))
    }
}

/// A JSON body of at most `BYTES`.
#[derive(Debug)]
pub struct Json<T, const BYTES: usize = { limits::FORM_BYTES }>(pub T);

impl<S: Send + Sync, T: DeserializeOwned, const BYTES: usize> FromRequest<S> for Json<T, BYTES> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_content_type(&parts.headers, Some("application/json"))?;
        let body = arrived(&parts, body, BYTES).await?;
        // The error is not told: it may quote what was sent.
        let read = json::read(&body).map_err(|_| unreadable())?;
        Ok(Self(read))
    }
}

/// A form's body of at most `BYTES`.
#[derive(Debug)]
pub struct Form<T, const BYTES: usize = { limits::FORM_BYTES }>(pub T);

impl<S: Send + Sync, T: DeserializeOwned, const BYTES: usize> FromRequest<S> for Form<T, BYTES> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_content_type(&parts.headers, Some("application/x-www-form-urlencoded"))?;
        let body = arrived(&parts, body, BYTES).await?;
        let request = Request::from_parts(parts, Body::from(body));
        let axum::Form(read) = axum::Form::from_request(request, state).await.map_err(|_| unreadable())?;
        Ok(Self(read))
    }
}

/// Reads a body. Nobody is known yet, so that meanwhile the request has no place among those in work.
async fn arrived(parts: &Parts, body: Body, limit_bytes: usize) -> Result<Bytes, Problem> {
    let place = parts.extensions.get::<Place>();
    let place = place.ok_or_else(|| Fault::Missing("the place of a request".to_owned()))?;
    Ok(place.form(body, limit_bytes).await?)
}

fn unreadable() -> Refusal {
    Refusal::new(Code::Malformed, "the body cannot be read here; reload the page and try again")
}
