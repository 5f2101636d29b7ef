//! The router: everything that is reachable, and nothing else (G-8).

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter, get, on},
};
use countersign_core::refusal::{Code, Refusal};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    edge::{self, Edge},
    gate::{self, Endpoint, Method},
    problem::Problem,
};
use crate::{
    api,
    app::App,
};

/// The whole service.
pub fn router(app: Arc<App>) -> Router {
    let permits = Arc::new(Semaphore::new(app.config.server.requests));
    let edge = Edge { app: Arc::clone(&app), permits };
    let mut router = Router::new();
    for endpoint in api::ENDPOINTS {
        router = router.route(endpoint.path, gated(endpoint));
    }
    router
        .route("/v1/openapi.json", get(api::openapi::serve))
        .route("/docs/errors", get(api::errors_page::serve))
        .route("/health", get(api::health::alive))
        .route("/ready", get(api::health::ready))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .with_state(app)
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(middleware::from_fn_with_state(edge, edge::pass))
}

fn gated(endpoint: &'static Endpoint) -> MethodRouter<Arc<App>> {
    let filter = match endpoint.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
    };
    let handler = move |State(app): State<Arc<App>>, request: Request| async move {
        gate::pass(app, endpoint, request).await
    };
    on(filter, handler)
}

async fn unknown_route() -> Response {
    Problem::from(Refusal::not_found()).into_response()
}

async fn unknown_method() -> Response {
    let sentence = "this method is not offered here; the `Allow` header names those that are";
    Problem::from(Refusal::new(Code::MethodNotAllowed, sentence)).into_response()
}
