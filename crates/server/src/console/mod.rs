//! The pages of signing in, of one's own account, and of the organizations that one is a member of. They translate; `accounts` decides. No GET changes anything.

pub mod account;
pub mod again;
pub mod applications;
pub mod clients;
mod desk;
pub mod factors;
pub mod home;
pub mod keys;
pub mod members;
pub mod notice;
pub mod provider;
pub mod provider_settings;
pub mod reset;
mod said;
pub mod security;
pub mod sign_in;
pub mod webhooks;
pub mod welcome;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use countersign_core::{
    accounts::return_to::ReturnTo,
    level::Level,
    refusal::{Code, Refusal},
    secret::Secret,
    time::Time,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use notice::NotShown;
use said::Said;

use crate::{
    accounts::session::{self, SignedIn},
    app::App,
    fault::Failure,
    http::problem::Problem,
    signer::{answer, same_site, strict::Caller},
};

/// All routes of these pages.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/signin", get(sign_in::show).post(sign_in::password))
        .route("/signin/passkey/options", post(sign_in::passkey_options))
        .route("/signin/passkey", post(sign_in::passkey))
        .route("/signin/code", get(sign_in::show_code).post(sign_in::code))
        .route("/signin/provider", post(provider::begin))
        .route("/signin/provider/again", post(provider::again))
        .route("/signin/provider/{provider}/callback", get(provider::callback))
        .route("/signin/provider/{provider}/keys", get(provider::keys))
        .route("/signin/again", get(again::show).post(again::password))
        .route("/signin/again/passkey", post(again::passkey))
        .route("/signout", post(sign_in::sign_out))
        .route("/welcome", get(welcome::show))
        .route("/welcome/open", post(welcome::open))
        .route("/welcome/passkey/options", post(welcome::passkey_options))
        .route("/welcome/passkey", post(welcome::passkey))
        .route("/welcome/codes", post(welcome::codes))
        .route("/welcome/codes/finish", post(welcome::codes_finish))
        .route("/welcome/provider", post(provider::join))
        .route("/welcome/join", post(welcome::join))
        .route("/reset", get(reset::show).post(reset::ask))
        .route("/reset/password", get(reset::show_password).post(reset::finish))
        .route("/reset/password/open", post(reset::open))
        .route("/account", get(account::show))
        .route("/account/provider/link", post(provider::link))
        .route("/account/provider/unlink", post(provider::unlink))
        .route("/console/provider/{organization}", get(provider_settings::show).post(provider_settings::set))
        .route("/console/provider/{organization}/remove", post(provider_settings::remove))
        .route("/account/sessions/end", post(account::end_sessions))
        .route("/account/passkeys/options", post(factors::passkey_options))
        .route("/account/passkeys", post(factors::add_passkey))
        .route("/account/passkeys/rename", post(factors::rename_passkey))
        .route("/account/passkeys/remove", post(factors::remove_passkey))
        .route("/account/codes", get(factors::show_codes).post(factors::begin_codes))
        .route("/account/codes/finish", post(factors::finish_codes))
        .route("/account/password", get(factors::show_password).post(factors::change_password))
        .route("/account/password/remove", post(factors::remove_password))
        .route("/account/recovery", get(factors::show_recovery).post(factors::draw_recovery))
        .route("/account/recovery/keep", post(factors::keep_recovery))
        .route("/account/organizations/leave", post(account::leave))
        .route("/account/applications", get(applications::own))
        .route("/account/applications/end", post(applications::end_own))
        .route("/console", get(home::organizations))
        .nest("/console/{organization}/{environment}", desk_routes())
        .merge(keys::routes())
        .merge(webhooks::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard))
}

/// The pages of an environment of an organization.
fn desk_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(home::show))
        .route("/members", get(members::show))
        .route("/members/invite", post(members::invite))
        .route("/members/invitations/resend", post(members::resend))
        .route("/members/invitations/cancel", post(members::cancel))
        .route("/members/{member}", get(members::show_one))
        .route("/members/{member}/role", post(members::change))
        .route("/members/{member}/remove", post(members::remove))
        .route("/clients", get(clients::show))
        .route("/clients/new", get(clients::show_new).post(clients::register))
        .route("/clients/{client}", get(clients::show_one))
        .route("/clients/{client}/end", post(clients::end))
        .route("/applications", get(applications::show))
        .route("/applications/end", post(applications::end))
        .route("/security", get(security::show))
        .route("/security/export", get(security::export))
}

/// What every request for these pages passes: it began here if it may change something, and only the pages that one is
/// sent to take a query: two by this server, and one by an organization's provider.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let checked = same_site::check(&app.config.server.public_url, request.method(), request.headers());
    let takes_query = request.method().is_safe() && takes_query(request.uri().path());
    let checked = checked.and_then(|()| match request.uri().query() {
        Some(_) if !takes_query => {
            Err(Refusal::new(Code::UnknownParameter, "this takes no query parameters"))
        }
        _ => Ok(()),
    });
    match checked {
        Ok(()) => next.run(request).await,
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

/// The pages that one is sent to, and those that show a part of something long. Each reads its query strictly.
fn takes_query(path: &str) -> bool {
    let is_list = ["/clients", "/security", "/security/export", "/webhooks", "/deliveries"]
        .iter()
        .any(|end| path.ends_with(end));
    let is_callback = path.starts_with("/signin/provider/") && path.ends_with("/callback");
    matches!(path, "/signin" | "/signin/again") || is_callback || (path.starts_with("/console/") && is_list)
}

/// The query of a page, each parameter once and none that is unknown.
fn read_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let query = uri.query().unwrap_or_default();
    serde_urlencoded::from_str(query)
        .map_err(|_| Refusal::new(Code::UnknownParameter, "this page does not take this query"))
}

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paged {
    before: Option<String>,
}

/// The query of the two pages that one is sent to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    return_to: Option<String>,
    level: Option<String>,
}

/// Where to go on, and how surely.
struct Wanted {
    return_to: ReturnTo,
    level: Level,
}

impl Wanted {
    fn of(uri: &Uri) -> Result<Self, Refusal> {
        let query = uri.query().unwrap_or_default();
        let query: Query = serde_urlencoded::from_str(query).map_err(|_| {
            Refusal::new(Code::UnknownParameter, "this page takes `return_to` and `level`, each once")
        })?;
        let level = query.level.as_deref().and_then(Level::parse).unwrap_or(Level::Aal2);
        Ok(Self { return_to: ReturnTo::read(query.return_to.as_deref()), level })
    }
}

/// What scripts are told to open next.
#[derive(Debug, Serialize)]
struct NextPage {
    next: String,
}

fn with_cookies(mut response: Response, cookies: Vec<HeaderValue>) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The way to another page after a form (303), with cookies.
fn go(path: &str, cookies: Vec<HeaderValue>) -> Response {
    with_cookies(answer::go(path), cookies)
}

/// The next page, for a script, with cookies.
fn next(path: &str, cookies: Vec<HeaderValue>) -> Response {
    with_cookies(axum::Json(NextPage { next: path.to_owned() }).into_response(), cookies)
}

/// The way to sign in, and back.
fn to_sign_in(return_to: &str) -> Response {
    answer::go(&format!("/signin?return_to={return_to}"))
}

/// The way to confirm that it is you, and back.
fn to_confirm(return_to: &str) -> Response {
    answer::go(&format!("/signin/again?return_to={return_to}"))
}

/// A refusal, as a sentence of a page.
fn spoken(refusal: &Refusal) -> String {
    let mut letters = refusal.sentence.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if letters.as_str().ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// A page that a form was sent to: again, with what was wrong.
fn again_with(template: &impl Template, refusal: &Refusal) -> Result<Response, NotShown> {
    Ok(answer::page(template, crate::http::problem::status_of(refusal.code.kind()))?)
}

fn shown(template: &impl Template) -> Result<Response, NotShown> {
    Ok(answer::page(template, StatusCode::OK)?)
}

/// Somebody signed in, or the way to that.
async fn enter(app: &App, caller: &Caller, path: &str) -> Result<Result<SignedIn, Response>, NotShown> {
    let found = session::current(app, &caller.headers).await?;
    Ok(found.ok_or_else(|| to_sign_in(path)))
}

/// The same for what a script asks.
async fn enter_for_script(app: &App, caller: &Caller) -> Result<SignedIn, Failure> {
    let found = session::current(app, &caller.headers).await?;
    Ok(found.ok_or_else(|| Refusal::new(Code::SignInNeeded, "your session has ended; sign in again"))?)
}

/// After a form of an account page: on to `done` with a word about it, or to the page that the refusal asks for.
fn settled(
    changed: Result<Vec<HeaderValue>, Failure>,
    page: &str,
    done: (&str, Said),
) -> Result<Response, NotShown> {
    match changed {
        Ok(mut cookies) => {
            cookies.push(done.1.cookie()?);
            Ok(go(done.0, cookies))
        }
        Err(Failure::Refused(refusal)) if refusal.code == Code::StepUpRequired => Ok(to_confirm(page)),
        Err(Failure::Refused(refusal)) if refusal.code == Code::SignInNeeded => Ok(to_sign_in(page)),
        Err(other) => Err(other.into()),
    }
}

/// A moment, for programs and for people.
#[derive(Clone, Debug)]
struct Moment {
    machine: String,
    people: String,
}

impl From<Time> for Moment {
    fn from(at: Time) -> Self {
        Self { machine: at.to_string(), people: at.in_utc() }
    }
}

/// A typed secret of a form.
type Typed = Secret<String>;
