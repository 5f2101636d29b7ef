//! The pages that recipients see: from the link in a mail to the receipt. They translate; the envelope's rules decide.
//! No GET changes anything (E-8).

pub mod access_code;
pub mod answer;
pub mod assets;
pub mod ceremony;
pub mod code;
pub mod consent;
pub mod decline;
pub mod filled;
pub mod frame;
pub mod landing;
pub mod mailbox;
pub mod notice;
pub mod passkey;
pub mod receipt;
pub mod same_site;
pub mod sign;
pub mod step;
pub mod strict;
pub mod totp;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use countersign_core::refusal::{Code, Refusal};

use crate::{
    app::App,
    http::{
        headers::{Immutable, Page},
        problem::Problem,
    },
};

/// All routes of the pages.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/s/{envelope}", get(landing::show))
        .route("/s/{envelope}/open", post(landing::look))
        .route("/s/{envelope}/session", post(landing::enter))
        .route("/s/{envelope}/resume", post(landing::resume))
        .route("/s/{envelope}/code", get(code::show).post(code::take))
        .route("/s/{envelope}/code/send", post(code::send))
        .route("/s/{envelope}/access-code", get(access_code::show).post(access_code::take))
        .route("/s/{envelope}/totp", get(totp::show).post(totp::take))
        .route("/s/{envelope}/passkey", get(passkey::show))
        .route("/s/{envelope}/passkey/register", post(passkey::register))
        .route("/s/{envelope}/passkey/use", post(passkey::identify))
        .route("/s/{envelope}/consent", get(consent::show).post(consent::give))
        .route("/s/{envelope}/consent/shown", post(consent::shown))
        .route("/s/{envelope}/sign", get(sign::show).post(sign::act))
        .route("/s/{envelope}/sign/challenge", post(sign::challenge))
        .route("/s/{envelope}/documents/{document}", post(sign::document))
        .route("/s/{envelope}/pages", post(sign::pages))
        .route("/s/{envelope}/decline", get(decline::show).post(decline::take))
        .route("/s/{envelope}/receipt", get(receipt::show))
        .route("/s/{envelope}/documents/{document}/original", post(receipt::original))
        .route("/s/{envelope}/documents/{document}/sealed", post(receipt::sealed))
        .route("/s/{envelope}/certificate", post(receipt::certificate))
        .route("/mailbox", get(mailbox::show))
        .route("/favicon.ico", get(favicon))
        .route("/assets/{hash}/{*path}", get(asset))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard))
}

/// What every request for a page passes: it began here if it may change something, and it has no query.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let checked = same_site::check(&app.config.server.public_url, request.method(), request.headers());
    let checked = checked.and_then(|()| match request.uri().query() {
        None => Ok(()),
        Some(_) => Err(Refusal::new(Code::UnknownParameter, "this takes no query parameters")),
    });
    match checked {
        Ok(()) => next.run(request).await,
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

async fn asset(Path((hash, path)): Path<(String, String)>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = assets::find(&hash, &path).ok_or_else(Refusal::not_found)?;
    let accepted =
        headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes_gzip = accepted.split(',').any(|coding| coding.trim() == "gzip");
    let mut response = match takes_gzip.then(|| found.packed()).flatten() {
        Some(packed) => ([(header::CONTENT_ENCODING, "gzip")], Bytes::from_owner(packed)).into_response(),
        None => found.bytes.into_response(),
    };
    let kind = HeaderValue::from_static(found.media_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    // Workers live under the policy of their own script.
    response.extensions_mut().insert(Page);
    response.extensions_mut().insert(Immutable);
    Ok(response)
}

/// The address that browsers try where an answer names no icon.
async fn favicon() -> Response {
    let kind = HeaderValue::from_static("image/svg+xml");
    ([(header::CONTENT_TYPE, kind)], assets::icon()).into_response()
}
