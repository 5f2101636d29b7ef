//! The router: everything that is reachable, and nothing else (G-8).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use countersign_core::refusal::{Code, Refusal};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    edge::{self, Edge},
    gate::{self, Endpoint, Method},
    log_files,
    place::Places,
    problem::Problem,
    webhook_keys,
};
use crate::{
    api,
    app::App,
    console::{self, notice::NotShown},
    oauth,
    signer::{self, answer},
};

/// The whole service.
pub fn router(app: Arc<App>) -> Router {
    let places = Places::new(app.config.server.requests, app.config.server.patience());
    let edge = Edge { app: Arc::clone(&app), places };
    let mut router = Router::new();
    let mut paths: BTreeMap<&str, Vec<&'static Endpoint>> = BTreeMap::new();
    for endpoint in api::ENDPOINTS {
        paths.entry(endpoint.path).or_default().push(endpoint);
    }
    for (path, endpoints) in &paths {
        router = router.route(path, gated(endpoints));
    }
    router
        .merge(signer::routes(&app))
        .merge(oauth::routes(&app))
        .merge(console::routes(&app))
        .merge(open())
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .with_state(app)
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(middleware::from_fn_with_state(edge, edge::pass))
}

/// What needs no credential.
fn open() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/openapi.json", get(api::openapi::serve))
        .route("/docs/errors", get(api::errors_page::serve))
        .route("/health", get(api::health::alive))
        .route("/ready", get(api::health::ready))
        .merge(log_files::routes())
        .merge(webhook_keys::routes())
        .route_layer(middleware::from_fn(gate::without_query))
}

/// The declared methods of a path, and no other: a HEAD that the handler of GET answered would leave its traces.
fn gated(endpoints: &[&'static Endpoint]) -> MethodRouter<Arc<App>> {
    let allowed: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.method.text()).collect();
    let allowed = HeaderValue::try_from(allowed.join(", ")).ok();
    let refuse = move || async move {
        let mut response = unknown_method().await;
        if let Some(allowed) = allowed {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        response
    };
    let mut routes = MethodRouter::new().head(refuse.clone()).fallback(refuse);
    for endpoint in endpoints.iter().copied() {
        let handler = move |State(app): State<Arc<App>>, request: Request| async move {
            gate::pass(app, endpoint, request).await
        };
        routes = match endpoint.method {
            Method::Get => routes.get(handler),
            Method::Post => routes.post(handler),
        };
    }
    routes
}

/// Whoever types the host alone is led to where people go in; under the console a person is told, and a program elsewhere.
async fn unknown_route(request: Request) -> Response {
    let (path, is_get) = (request.uri().path(), request.method() == axum::http::Method::GET);
    let accepted = request.headers().get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if path == "/" && is_get && accepted.into_iter().any(|value| value.contains("text/html")) {
        return answer::go("/console");
    }
    if path.starts_with("/console/") && request.method().is_safe() {
        return NotShown::from(Refusal::not_found()).into_response();
    }
    Problem::from(Refusal::not_found()).into_response()
}

async fn unknown_method() -> Response {
    let sentence = "this method is not offered here; the `Allow` header names those that are";
    Problem::from(Refusal::new(Code::MethodNotAllowed, sentence)).into_response()
}
