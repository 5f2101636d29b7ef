//! The edge: what every request meets first and every answer last. Correlation id, client address, bounds, one log
//! line, problems written out, security headers.

use std::{any::Any, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use countersign_core::{envelope::command::OriginNow, id::CorrelationId, secret::Personal};
use tracing::Instrument as _;

use super::{
    client_ip::{Peer, client_address},
    headers::secure,
    limits::{check_headers, timed_out},
    place::{Place, Places},
    problem::Problem,
};
use crate::{
    app::App,
    fault::Fault,
    oauth::{Outcome, with_nonce},
};

/// Names the request in answers; one that a client sends is ignored (L-2).
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known about a request before anybody is authenticated.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The request.
    pub correlation: CorrelationId,
    /// From where. The time zone is for pages to fill in.
    pub origin: OriginNow,
}

/// State of the edge.
#[derive(Clone)]
pub struct Edge {
    /// The application.
    pub app: Arc<App>,
    /// The places of requests in work.
    pub places: Arc<Places>,
}

/// Takes one request in and its answer out.
pub async fn pass(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let app = &edge.app;
    let correlation = app.new_correlation();
    let context = context_of(app, &request, correlation);
    let span = span_of(app, &context);
    span.record("event_type", route_of(&request).as_str());
    let response = async {
        let response = match context {
            Ok((context, address)) => {
                request.extensions_mut().insert(context);
                bounded(&edge, address, request, next).await
            }
            Err(fault) => Problem::from(fault).into_response(),
        };
        finish(app, correlation, response)
    };
    response.instrument(span).await
}

fn context_of(
    app: &App,
    request: &Request,
    correlation: CorrelationId,
) -> Result<(RequestContext, IpAddr), Fault> {
    let peer = request.extensions().get::<Peer>().copied();
    let peer = peer.ok_or_else(|| Fault::Missing("the other end of a connection".to_owned()))?;
    let address = client_address(peer.0, request.headers(), &app.config.server.trusted_proxies);
    let user_agent = request.headers().get(header::USER_AGENT);
    let user_agent =
        user_agent.map(|value| Personal::new(String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let origin = OriginNow {
        ip: Personal::new(address.ip.to_string()),
        ip_source: address.source,
        user_agent,
        time_zone: None,
    };
    Ok((RequestContext { correlation, origin }, address.ip))
}

/// The span that gives every line of a request the fields of L-1. Addresses and agents show as tokens only (L-3).
fn span_of(app: &App, context: &Result<(RequestContext, IpAddr), Fault>) -> tracing::Span {
    let token = |kind: &str, value: &Personal<String>| {
        let mac = app.keys.tokens.mac(&[kind.as_bytes(), b"\0", value.disclose().as_bytes()]);
        hex::encode(mac.0.first_chunk::<8>().copied().unwrap_or_default())
    };
    let (ip, ua, correlation) = match context {
        Ok((context, _)) => (
            token("ip", &context.origin.ip),
            context.origin.user_agent.as_ref().map(|agent| token("ua", agent)).unwrap_or_default(),
            context.correlation.to_string(),
        ),
        Err(_) => Default::default(),
    };
    tracing::info_span!(
        "request",
        user_id = tracing::field::Empty,
        client_id = tracing::field::Empty,
        event_type = tracing::field::Empty,
        ip,
        ua,
        correlation_id = correlation,
    )
}

/// The route of a request as the log calls it, without the ids in its path; an endpoint of the API puts its operation in
/// its place.
fn route_of(request: &Request) -> String {
    let path = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    format!("{} {path}", request.method())
}

async fn bounded(edge: &Edge, address: IpAddr, mut request: Request, next: Next) -> Response {
    if let Err(refusal) = check_headers(request.headers()) {
        return Problem::from(refusal).into_response();
    }
    // Kept here until the answer: what stands in the request ends with the reading of it.
    let mut place = None;
    if !is_probe(&request) {
        match Place::take(&edge.places, address) {
            Ok(taken) => {
                request.extensions_mut().insert(taken.clone());
                place = Some(taken);
            }
            Err(refusal) => return Problem::from(refusal).into_response(),
        }
    }
    let seconds = edge.app.config.server.request_s;
    let answered = tokio::time::timeout(Duration::from_secs(seconds.into()), next.run(request)).await;
    drop(place);
    answered.unwrap_or_else(|_| Problem::from(timed_out(seconds)).into_response())
}

/// Whoever restarts a server or takes it from the traffic must get its answer when all places are taken, too.
fn is_probe(request: &Request) -> bool {
    matches!(request.uri().path(), "/health" | "/ready")
}

fn finish(app: &App, correlation: CorrelationId, response: Response) -> Response {
    let problem = response.extensions().get::<Problem>().cloned();
    let mut response = match &problem {
        Some(problem) => problem.render(&app.config.server.public_url, correlation, &response),
        None => response,
    };
    if problem.as_ref().is_some_and(Problem::is_about_a_proof) {
        response = with_nonce(app, response);
    }
    secure(&mut response, app.is_strict);
    if let Ok(id) = HeaderValue::try_from(correlation.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let outcome = response.extensions().get::<Outcome>().map_or("ok", |outcome| outcome.0);
    let event_result = problem.map_or(outcome, |problem| problem.code());
    tracing::info!(event_result, status = response.status().as_u16(), "answered");
    response
}

/// A handler that panicked: a fault like any other, and the server goes on.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::from(Fault::Task("a handler panicked".to_owned())).into_response()
}
