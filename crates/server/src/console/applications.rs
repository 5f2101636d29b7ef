//! Connected applications: what people allowed programs to do in their name. Everybody sees and ends their own; whoever may
//! sees and ends those of the organization. The end acts on the next request.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use countersign_core::{access::Operation, id::GrantId, refusal::Refusal, scope::Scope};
use serde::Deserialize;

use super::{
    Moment, Said,
    desk::{self, Desk, Frame, Place, Tab, settle},
    notice::NotShown,
    to_sign_in, with_cookies,
};
use crate::{
    accounts::{members, session},
    app::App,
    fault::Failure,
    grants::{self, Given},
    http::auth,
    signer::{
        answer,
        assets::Assets,
        strict::{self, Caller},
    },
};

/// An application that acts for somebody.
pub struct Line {
    grant: String,
    name: String,
    /// `for` somebody, or `in` an organization.
    whose: (&'static str, String),
    is_sandbox: bool,
    powers: Vec<&'static str>,
    admin_powers: Vec<&'static str>,
    is_kept: bool,
    since: Moment,
    used: Option<Moment>,
    until: Moment,
}

impl Line {
    fn of(given: &Given, whose: (&'static str, String)) -> Self {
        let row = &given.row;
        let words = |is_admin: bool| {
            row.scopes.iter().filter(|scope| scope.is_admin() == is_admin).map(Scope::words).collect()
        };
        let is_kept = row.generation > 0;
        Self {
            grant: row.grant.to_string(),
            name: given.client.registration.client_name.clone(),
            whose,
            is_sandbox: row.tenant.environment() == countersign_core::access::Environment::Sandbox,
            powers: words(false),
            admin_powers: words(true),
            is_kept,
            since: row.created_at.into(),
            used: is_kept.then(|| row.rotated_at.into()),
            until: row.expires_at.into(),
        }
    }
}

#[derive(Template)]
#[template(path = "console/applications.html")]
struct ApplicationsPage {
    assets: Assets,
    frame: Frame,
    lines: Vec<Line>,
    may_end: bool,
}

/// `GET /console/{organization}/{environment}/applications`
pub async fn show(State(app): State<Arc<App>>, caller: Caller, place: Place) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &place.page("/applications")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = *desk.allow(&app, Operation::ListGrants)?;
    let mut lines = Vec::new();
    for member in members::all(&app, place.organization).await? {
        let mut open = grants::open_of(&app, place.organization, member.row.user).await?;
        open.retain(|row| row.tenant == tenant);
        for given in grants::that_hold(&app, open).await? {
            lines.push(Line::of(&given, ("for", member.user.name.disclose().clone())));
        }
    }
    let page = ApplicationsPage {
        assets: Assets,
        frame: desk.frame(&app, &caller, Tab::Applications).await?,
        lines,
        may_end: desk.may(Operation::EndGrant),
    };
    page.frame.show(&page)
}

/// Which grant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndForm {
    grant: GrantId,
}

/// `POST /console/{organization}/{environment}/applications/end`
pub async fn end(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    strict::Form(form): strict::Form<EndForm>,
) -> Result<Response, NotShown> {
    let page = place.page("/applications");
    let desk = match desk::enter(&app, &caller, place, &page).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let ended = match desk.allow(&app, Operation::EndGrant) {
        Ok(tenant) => {
            let circumstances = Desk::circumstances(&desk.principal, &caller);
            grants::end(&app, tenant, &circumstances, (form.grant, None), None).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    settle(ended, &page, (&page, Said::ApplicationEnded))
}

#[derive(Template)]
#[template(path = "console/own_applications.html")]
struct OwnPage {
    assets: Assets,
    email: String,
    said: Option<&'static str>,
    lines: Vec<Line>,
}

const OWN: &str = "/account/applications";

/// `GET /account/applications`: what one allowed oneself, in all organizations.
pub async fn own(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    let Some(signed_in) = session::current(&app, &caller.headers).await? else {
        return Ok(to_sign_in(OWN));
    };
    let mut lines = Vec::new();
    for member in &signed_in.memberships {
        let organization = app.organization(member.organization).await?.name.clone();
        let open = grants::open_of(&app, member.organization, member.user).await?;
        let given = grants::that_hold(&app, open).await?;
        lines.extend(given.iter().map(|given| Line::of(given, ("in", organization.clone()))));
    }
    let heard = Said::heard(&caller);
    let page = OwnPage {
        assets: Assets,
        email: signed_in.user.email.disclose().clone(),
        said: heard.as_ref().map(|(words, _)| *words),
        lines,
    };
    let shown = answer::page(&page, StatusCode::OK)?;
    Ok(with_cookies(shown, heard.map(|(_, cookie)| cookie).into_iter().collect()))
}

/// `POST /account/applications/end`: takes back what one allowed. Everybody may, at any time, without another proof.
pub async fn end_own(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<EndForm>,
) -> Result<Response, NotShown> {
    let Some(signed_in) = session::current(&app, &caller.headers).await? else {
        return Ok(to_sign_in(OWN));
    };
    let row = app.store.grant(form.grant).await.map_err(Failure::from)?;
    let tenant = row.map(|row| row.tenant).ok_or_else(Refusal::not_found)?;
    let principal = auth::member(&signed_in, tenant.organization(), tenant.environment())?;
    let circumstances = Desk::circumstances(&principal, &caller);
    let whose = (form.grant, Some(signed_in.user_id()));
    let ended = grants::end(&app, principal.tenant(), &circumstances, whose, None).await;
    settle(ended, OWN, (OWN, Said::ApplicationEnded))
}
