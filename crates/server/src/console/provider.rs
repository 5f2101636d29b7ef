//! The way to an organization's own OpenID provider and back. The page in between names the host that one leaves for.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    accounts::{return_to::ReturnTo, ticket::Purpose},
    id::{AuthenticatorId, OrganizationId, ProviderId},
    level::Level,
    refusal::{Code, Refusal},
    secret::Secret,
};
use serde::Deserialize;

use super::{
    Said, again_with, enter, next, notice::NotShown, settled, sign_in::SignInPage, spoken, to_sign_in,
    with_cookies,
};
use crate::{
    accounts::{
        people::User,
        provider::{
            self, Provider, change,
            flow::{self, Aim, Leaving, Parameters},
        },
        session, tickets, welcome,
    },
    app::App,
    fault::{Failure, Fault},
    http::problem::{Problem, status_of},
    signer::{
        answer,
        assets::Assets,
        strict::{self, Caller},
    },
};

#[derive(Template)]
#[template(path = "console/leave.html")]
struct LeavePage {
    assets: Assets,
    organization: String,
    host: String,
    address: String,
}

#[derive(Template)]
#[template(path = "console/provider_problem.html")]
struct ProblemPage {
    assets: Assets,
    error: String,
    again: String,
}

/// The page that one leaves from, with the cookie of the way.
async fn leaving(app: &App, provider: &Provider, leaving: Leaving) -> Result<Response, NotShown> {
    let organization = app.organization(provider.row.organization).await?;
    let page = LeavePage {
        assets: Assets,
        organization: organization.name.clone(),
        host: provider.host(),
        address: leaving.address,
    };
    Ok(with_cookies(answer::page(&page, StatusCode::OK)?, vec![leaving.cookie]))
}

/// What was wrong, and the way to try again.
fn problem(refusal: &Refusal, again: String, cookies: Vec<HeaderValue>) -> Result<Response, NotShown> {
    let page = ProblemPage { assets: Assets, error: spoken(refusal), again };
    Ok(with_cookies(answer::page(&page, status_of(refusal.code.kind()))?, cookies))
}

/// Leaves, or shows why not.
async fn leave(
    app: &App,
    provider: &Provider,
    aim: Aim,
    level: Option<Level>,
    return_to: &str,
    again: String,
) -> Result<Response, NotShown> {
    match flow::leave(app, provider, aim, level, return_to).await {
        Ok(way) => leaving(app, provider, way).await,
        Err(Failure::Refused(refusal)) => problem(&refusal, again, Vec::new()),
        Err(other) => Err(other.into()),
    }
}

/// Whose provider, as it was typed, and where to go on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationForm {
    organization: String,
    return_to: Option<String>,
}

/// `POST /signin/provider`
pub async fn begin(
    State(app): State<Arc<App>>,
    strict::Form(form): strict::Form<OrganizationForm>,
) -> Result<Response, NotShown> {
    let return_to = ReturnTo::read(form.return_to.as_deref());
    let Some(found) = provider::meant_by(&app, &form.organization).await? else {
        let sentence = "no organization has a sign-in of its own under this name or for addresses like this one; ask in your \
                        organization what to type here";
        let refusal = Refusal::new(Code::SignInRefused, sentence);
        let error = Some(spoken(&refusal));
        let mut page = SignInPage::new(&app, &return_to).await?;
        page.error = error;
        page.organization = Some(form.organization);
        return again_with(&page, &refusal);
    };
    let again = format!("/signin?return_to={}", return_to.path());
    leave(&app, &found, Aim::SignIn, Some(Level::Aal2), return_to.path(), again).await
}

/// Where to go on, and how surely.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgainForm {
    return_to: Option<String>,
    level: Option<String>,
}

/// `POST /signin/provider/again`
pub async fn again(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<AgainForm>,
) -> Result<Response, NotShown> {
    let return_to = ReturnTo::read(form.return_to.as_deref());
    let level = form.level.as_deref().and_then(Level::parse).unwrap_or(Level::Aal2).max(Level::Aal2);
    let Some(signed_in) = session::current(&app, &caller.headers).await? else {
        return Ok(to_sign_in(return_to.path()));
    };
    let found = match signed_in.row.provider {
        Some(provider) => provider::by_id(&app, provider).await?,
        None => None,
    };
    let found = found.ok_or_else(|| Failure::from(Refusal::not_found()))?;
    let back = format!("/signin/again?return_to={}&level={}", return_to.path(), level.text());
    leave(&app, &found, Aim::Again(signed_in.sign_in()), Some(level), return_to.path(), back).await
}

/// An organization.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkForm {
    organization: OrganizationId,
}

/// `POST /account/provider/link`
pub async fn link(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<LinkForm>,
) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    signed_in.check_own().map_err(Failure::from)?;
    if !signed_in.is_fresh(app.now()) {
        return Ok(super::to_confirm("/account"));
    }
    let is_member = signed_in.told.iter().any(|member| member.organization == form.organization);
    let found = if is_member { provider::of(&app, form.organization).await? } else { None };
    let found = found.ok_or_else(|| Failure::from(Refusal::not_found()))?;
    let aim = Aim::Link(signed_in.sign_in());
    leave(&app, &found, aim, None, "/account", "/account".to_owned()).await
}

/// A connection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlinkForm {
    connection: AuthenticatorId,
}

/// `POST /account/provider/unlink`
pub async fn unlink(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<UnlinkForm>,
) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let removed = change::unlink(&app, &caller, &signed_in, form.connection).await;
    settled(removed, "/account", ("/account", Said::ProviderUnlinked))
}

/// The secret of an invitation, and a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinForm {
    secret: Secret<String>,
    name: String,
}

/// `POST /welcome/provider`: leaves for the provider of the organization that invites.
pub async fn join(
    State(app): State<Arc<App>>,
    strict::Json(form): strict::Json<JoinForm>,
) -> Result<Response, Problem> {
    let opened = tickets::open(&app, &form.secret, &[Purpose::Invitation]).await?;
    if opened.user.is_some() {
        return Err(welcome::has_account().into());
    }
    let name = User::check_name(&form.name)?.disclose().clone();
    let organization = opened.row.organization.ok_or_else(Refusal::not_found)?;
    let found = provider::of(&app, organization).await?.ok_or_else(Refusal::not_found)?;
    let aim = Aim::Join { secret: form.secret.expose().clone(), name };
    let way = flow::leave(&app, &found, aim, Some(Level::Aal2), "/account").await?;
    Ok(next(&way.address, vec![way.cookie]))
}

/// `GET /signin/provider/{provider}/callback`: the answer of a provider.
pub async fn callback(
    State(app): State<Arc<App>>,
    method: Method,
    strict::Id(from): strict::Id<ProviderId>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, NotShown> {
    if method == Method::HEAD {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let begun = flow::begun(&app, &caller);
    let return_to = ReturnTo::read(begun.as_ref().map(|begun| begun.return_to.as_str()));
    let came_back = async {
        let parameters = Parameters::read(uri.query().unwrap_or_default())?;
        let returned = flow::come_back(&app, &caller, from, parameters).await?;
        provider::enter::enter(&app, &caller, returned).await
    };
    match came_back.await {
        Ok(mut cookies) => {
            cookies.push(flow::no_cookie()?);
            Ok(super::go(return_to.path(), cookies))
        }
        Err(Failure::Refused(refusal)) => {
            let again = match begun.map(|begun| begun.aim) {
                Some(Aim::Again(_)) => format!("/signin/again?return_to={}", return_to.path()),
                Some(Aim::Link(_)) => "/account".to_owned(),
                Some(Aim::Join { .. }) => "/welcome".to_owned(),
                _ => format!("/signin?return_to={}", return_to.path()),
            };
            // A way that is still good in this browser is not forgotten because of an answer from elsewhere.
            problem(&refusal, again, Vec::new())
        }
        Err(other) => Err(other.into()),
    }
}

/// `GET /signin/provider/{provider}/keys`: the public key by which a provider knows this server.
pub async fn keys(
    State(app): State<Arc<App>>,
    strict::Id(id): strict::Id<ProviderId>,
) -> Result<Response, Problem> {
    let found = provider::by_id(&app, id).await?.ok_or_else(Refusal::not_found)?;
    Ok(axum::Json(found.jwks(&app).await?).into_response())
}

/// Whether any organization has a provider, so that the sign-in page asks for it.
pub async fn is_offered(app: &App) -> Result<bool, Fault> {
    Ok(app.store.providers().await?.iter().any(|row| row.ended_at.is_none()))
}
