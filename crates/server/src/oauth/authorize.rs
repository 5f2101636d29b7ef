//! The authorization endpoint (RFC 6749 §3.1): a browser comes with a request, its person signs in, reads in plain words what
//! is asked for, and agrees or refuses. A request belongs to the browser that came with it first, and is decided once.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    access::Environment,
    digest::Digest,
    level::Level,
    limits,
    oauth::{
        authorize::{self, AuthorizationRequest, Reference, Refused, Source},
        client::GrantType,
        details::Detail,
        error::{ErrorCode, OAuthError},
        form::Parameters,
        metadata::path,
        redirect,
        stepup::{self, Asked, Missing},
    },
    refusal::{Code, Refusal},
    scope::Scope,
    secret::{HashedToken, PlainToken, TokenKind},
    time::Time,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, MemberRow, PushedRequestRow},
    batch::Row,
};
use serde::Deserialize;

use super::{consent, issue, par};
use crate::{
    accounts::session::{self, SignedIn},
    app::App,
    clients::Registered,
    console::notice::NotShown,
    fault::{Failure, Fault},
    http::headers::FormsTo,
    signer::{
        answer,
        assets::Assets,
        strict::{self, Caller},
    },
};

/// The cookie that ties a request to the browser that came with it.
const COOKIE: &str = "__Host-cs-authorize";

/// An authorization request with its client, in the hands of the browser that came with it.
pub struct Waiting {
    /// Its row.
    pub row: PushedRequestRow,
    /// What is asked for.
    pub request: AuthorizationRequest,
    /// Who asks.
    pub client: Registered,
}

fn over() -> Refusal {
    Refusal::new(
        Code::NotFound,
        "This request is over, was decided, or began in another browser. Go back to the application and begin again.",
    )
}

fn shown(error: &OAuthError) -> Refusal {
    Refusal::new(
        Code::Invalid,
        format!("The application that sent you here asked wrongly: {}.", error.description),
    )
}

/// `GET /oauth/authorize`: takes the request in, ties it to this browser, and leads to its page.
pub async fn begin(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, NotShown> {
    let query = request.uri().query().unwrap_or_default();
    let parameters =
        Parameters::parse(query.as_bytes()).map_err(|error| shown(&error)).map_err(Failure::from)?;
    let reference = Reference::read(&parameters).map_err(|error| shown(&error)).map_err(Failure::from)?;
    let handle = match reference {
        Some(reference) => {
            let row = app.store.pushed_request(&reference.handle.hash()).await.map_err(Fault::from)?;
            let is_its = row.is_some_and(|row| row.client == reference.client_id);
            if !is_its {
                return Err(Failure::from(over()).into());
            }
            reference.handle
        }
        None => match unpushed(&app, &parameters).await? {
            Ok(handle) => handle,
            Err(away) => return Ok(away),
        },
    };
    claim(&app, &caller.headers, &handle).await
}

/// A request that comes in the query: kept as if it had been pushed, or sent back with what is wrong.
async fn unpushed(app: &App, parameters: &Parameters) -> Result<Result<PlainToken, Response>, NotShown> {
    let refuse = |error: &OAuthError| NotShown::from(Failure::from(shown(error)));
    let id = authorize::client_id(parameters).map_err(|error| refuse(&error))?;
    parameters.require("redirect_uri").map_err(|error| refuse(&error))?;
    let row = app.store.client(id).await.map_err(Fault::from)?;
    let row = row.filter(|row| row.ended_at.is_none());
    let row = row.ok_or_else(|| refuse(&authorize::unknown_destination()))?;
    let client = Registered::read(row)?;
    let ceiling = client.row.scopes.and(client.row.tenant.environment().ceiling());
    match authorize::read(parameters, id, &client.registration, ceiling, Source::Query) {
        Ok(request) => {
            if let Err(error) = issue::audience(app, &client.row.tenant, request.resource.as_deref()).await? {
                let state = request.state.as_deref();
                let to = redirect::failure(&request.redirect_uri, &error, state, &app.oauth.issuer);
                return Ok(Err(away(&to)));
            }
            let handle = PlainToken::new(TokenKind::PushedRequest, &app.draw());
            let row = par::row(app, &client.row, &handle, &request)?;
            let batch = Batch { rows: vec![Row::PushedRequest(row)], ..Batch::default() };
            app.store.commit(batch).await.map_err(Fault::of_commit)?;
            Ok(Ok(handle))
        }
        Err(Refused::Shown(error)) => Err(refuse(&error)),
        Err(Refused::SentBack { redirect_uri, state, error }) => {
            let to = redirect::failure(&redirect_uri, &error, state.as_deref(), &app.oauth.issuer);
            Ok(Err(away(&to)))
        }
    }
}

/// Ties a request to this browser; a reload by the same browser changes nothing.
async fn claim(app: &App, headers: &HeaderMap, handle: &PlainToken) -> Result<Response, NotShown> {
    let known = session::cookie(headers, COOKIE).map(|value| Digest::of(value.as_bytes()));
    let fresh = PlainToken::new(TokenKind::Ticket, &app.draw());
    let browser = known.unwrap_or_else(|| Digest::of(fresh.expose().as_bytes()));
    let now = app.now();
    let row = app.store.pushed_request(&handle.hash()).await.map_err(Fault::from)?;
    let row = row
        .filter(|row| row.used_at.is_none() && row.expires_at > now)
        .ok_or_else(|| Failure::from(over()))?;
    match row.browser {
        Some(owner) if owner == browser => {}
        Some(_) => return Err(Failure::from(over()).into()),
        None => {
            let claimed = PushedRequestRow {
                browser: Some(browser),
                expires_at: now.plus_s(limits::AUTHORIZATION_S),
                version: row.version + 1,
                ..row
            };
            let batch = Batch { changes: vec![Change::PushedRequest(claimed)], ..Batch::default() };
            match app.store.commit(batch).await {
                Ok(_) => {}
                Err(CommitError::Outdated) => return Err(Failure::from(over()).into()),
                Err(error) => return Err(Fault::of_commit(error).into()),
            }
        }
    }
    let mut response = answer::go(&page_of(handle));
    if known.is_none() {
        let cookie = session::set_cookie(COOKIE, fresh.expose(), limits::AUTHORIZATION_S)?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

fn page_of(handle: &PlainToken) -> String {
    format!("{}/{}", path::AUTHORIZE, handle.expose())
}

/// The request of a page, if this browser came with it and it is not decided yet.
async fn waiting(app: &App, headers: &HeaderMap, handle: &str) -> Result<(PlainToken, Waiting), Failure> {
    let handle = PlainToken::parse(TokenKind::PushedRequest, handle).map_err(|_| over())?;
    let browser = session::cookie(headers, COOKIE).map(|value| Digest::of(value.as_bytes()));
    let row = find(app, &handle.hash(), browser.as_ref(), app.now()).await?.ok_or_else(over)?;
    let client = app.store.client(row.client).await.map_err(Fault::from)?;
    let client = client.filter(|client| client.ended_at.is_none()).ok_or_else(over)?;
    let request = serde_json::from_str(&row.request)
        .map_err(|error| Fault::Task(format!("an authorization request: {error}")))?;
    Ok((handle, Waiting { row, request, client: Registered::read(client)? }))
}

async fn find(
    app: &App,
    hash: &HashedToken,
    browser: Option<&Digest>,
    now: Time,
) -> Result<Option<PushedRequestRow>, Fault> {
    let row = app.store.pushed_request(hash).await?;
    Ok(row.filter(|row| {
        row.used_at.is_none()
            && row.expires_at > now
            && row.browser.is_some()
            && row.browser.as_ref() == browser
    }))
}

#[derive(Template)]
#[template(path = "oauth/consent.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a sentence of the page that stands there or not")]
struct ConsentPage<'a> {
    assets: Assets,
    client: &'a str,
    organization: &'a str,
    is_sandbox: bool,
    is_unproven: bool,
    destination: &'a str,
    email: &'a str,
    role: &'static str,
    openid: bool,
    powers: Vec<&'static str>,
    admin_powers: Vec<&'static str>,
    withheld: Vec<&'static str>,
    details: Vec<Vec<String>>,
    has_refresh: bool,
    action: String,
}

/// `GET /oauth/authorize/{handle}`: what is asked for, for a person who is signed in surely and lately enough.
pub async fn show(
    State(app): State<Arc<App>>,
    Path(handle): Path<String>,
    caller: Caller,
) -> Result<Response, NotShown> {
    let (handle, waiting) = waiting(&app, &caller.headers, &handle).await?;
    let signed_in = session::current(&app, &caller.headers).await?;
    if let Err(missing) = judge(&app, &waiting, signed_in.as_ref()) {
        if waiting.request.prompt.none {
            return Ok(consent::turn_away(&app, &waiting, &missing.silently()).await?);
        }
        return Ok(to_sign_in(&page_of(&handle), missing, signed_in.is_some()));
    }
    let Some(signed_in) = signed_in else { return Ok(to_sign_in(&page_of(&handle), Missing::SignIn, false)) };
    if waiting.request.prompt.none {
        let error = OAuthError::new(ErrorCode::ConsentRequired, "the person must agree");
        return Ok(consent::turn_away(&app, &waiting, &error).await?);
    }
    let Some(member) = membership(&waiting, &signed_in) else {
        let sentence = "You are signed in as somebody who is no member of this organization. Sign out, and begin again \
                        as somebody who is.";
        return Err(Failure::from(Refusal::new(Code::NotFound, sentence)).into());
    };
    page(&app, &handle, &waiting, &signed_in, member).await
}

/// Whether the session does for what is asked. What was proved after the browser came counts as proved now.
fn judge(app: &App, waiting: &Waiting, signed_in: Option<&SignedIn>) -> Result<(), Missing> {
    let mut asked = Asked::from(&waiting.request);
    // A password alone agrees to nothing.
    asked.level = asked.level.max(Some(Level::Aal2));
    let came_at = waiting.row.expires_at.plus_s(-limits::AUTHORIZATION_S);
    let authenticated = signed_in.map(|signed_in| (signed_in.level(), signed_in.authenticated_at()));
    stepup::judge(&asked, authenticated, came_at, app.now())
}

fn to_sign_in(page: &str, missing: Missing, is_signed_in: bool) -> Response {
    match missing {
        Missing::Level(level) if is_signed_in => {
            answer::go(&format!("/signin/again?return_to={page}&level={}", level.text()))
        }
        Missing::SignIn if is_signed_in => answer::go(&format!("/signin/again?return_to={page}")),
        Missing::SignIn | Missing::Level(_) => answer::go(&format!("/signin?return_to={page}")),
    }
}

/// The person as a member of the client's organization.
fn membership<'a>(waiting: &Waiting, signed_in: &'a SignedIn) -> Option<&'a MemberRow> {
    let organization = waiting.row.tenant.organization();
    signed_in
        .memberships
        .iter()
        .find(|member| member.organization == organization && member.ended_at.is_none())
}

async fn page(
    app: &App,
    handle: &PlainToken,
    waiting: &Waiting,
    signed_in: &SignedIn,
    member: &MemberRow,
) -> Result<Response, NotShown> {
    let organization = app.organization(waiting.row.tenant.organization()).await?;
    let offered = consent::offered(waiting, member);
    let words =
        |admin: bool| offered.iter().filter(|scope| scope.is_admin() == admin).map(Scope::words).collect();
    let destination = origin_of(&waiting.request.redirect_uri);
    let page = ConsentPage {
        assets: Assets,
        client: &waiting.client.registration.client_name,
        organization: &organization.name,
        is_sandbox: waiting.row.tenant.environment() == Environment::Sandbox,
        is_unproven: waiting.client.registration.is_public(),
        destination: &destination,
        email: signed_in.user.email.disclose(),
        role: member.role.text(),
        openid: waiting.request.openid,
        powers: words(false),
        admin_powers: words(true),
        withheld: waiting.request.scope.without(offered).iter().map(Scope::words).collect(),
        details: waiting.request.authorization_details.iter().map(Detail::words).collect(),
        has_refresh: waiting.client.registration.may_use(GrantType::RefreshToken),
        action: page_of(handle),
    };
    let mut response = answer::page(&page, StatusCode::OK)?;
    response.extensions_mut().insert(FormsTo(destination));
    Ok(response)
}

/// Where a redirect URI leads: its origin, or its scheme where it has no host.
fn origin_of(uri: &str) -> String {
    let parsed: Option<Uri> = uri.parse().ok();
    let origin =
        parsed.as_ref().and_then(|uri| Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?)));
    origin.unwrap_or_else(|| uri.split(':').next().map(|scheme| format!("{scheme}:")).unwrap_or_default())
}

/// What the person decided.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionForm {
    decision: Decision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Agree,
    Refuse,
}

/// `POST /oauth/authorize/{handle}`: the person agrees or refuses, once, and the browser goes back to the client.
pub async fn decide(
    State(app): State<Arc<App>>,
    Path(handle): Path<String>,
    caller: Caller,
    strict::Form(form): strict::Form<DecisionForm>,
) -> Result<Response, NotShown> {
    let (handle, waiting) = waiting(&app, &caller.headers, &handle).await?;
    let signed_in = session::current(&app, &caller.headers).await?;
    if let Err(missing) = judge(&app, &waiting, signed_in.as_ref()) {
        return Ok(to_sign_in(&page_of(&handle), missing, signed_in.is_some()));
    }
    let Some(signed_in) = signed_in else { return Ok(to_sign_in(&page_of(&handle), Missing::SignIn, false)) };
    let member = membership(&waiting, &signed_in).ok_or_else(|| Failure::from(over()))?;
    let to = match form.decision {
        Decision::Agree => consent::agree(&app, &caller, &waiting, &signed_in, member).await?,
        Decision::Refuse => consent::refuse(&app, &caller, &waiting, &signed_in, member).await?,
    };
    Ok(away(&to))
}

/// The way back to the client. The code in it goes nowhere else: browsers send no referrer.
pub fn away(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}
