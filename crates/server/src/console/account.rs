//! `/account`: what one comes in with, where one is signed in, and where one is a member.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use countersign_core::{
    access::Environment,
    id::{OrganizationId, SignInId},
    role::Role,
};
use countersign_store::access_rows::SignInRow;
use serde::Deserialize;

use super::{
    Moment, Said,
    desk::{Desk, Place, settle},
    enter,
    notice::NotShown,
    settled, shown, to_sign_in, with_cookies,
};
use crate::{
    accounts::{
        changes::Changing,
        members, passkeys,
        people::{Factors, PASSKEY, PROVIDER, RECOVERY_CODE, TOTP},
        provider::{self, links},
        session::{self, SignedIn},
    },
    app::App,
    fault::Fault,
    http::auth,
    signer::{
        assets::Assets,
        strict::{self, Caller},
    },
};

struct PasskeyLine {
    id: String,
    label: String,
    added: Moment,
    used: Option<Moment>,
    is_last_way: bool,
}

struct SessionLine {
    id: String,
    device: String,
    ip: String,
    methods: String,
    since: Moment,
    used: Moment,
    is_this: bool,
}

struct ConnectionLine {
    id: String,
    organization: String,
    issuer: String,
    since: Moment,
}

struct OrganizationLine {
    id: String,
    page: String,
    may_leave: bool,
    sets_provider: bool,
    name: String,
    role: &'static str,
    words: &'static str,
    since: Moment,
}

#[derive(Template)]
#[template(path = "console/account.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a sentence of the page that stands there or not")]
struct AccountPage {
    assets: Assets,
    name: String,
    email: String,
    said: Option<&'static str>,
    is_fresh: bool,
    has_passkeys: bool,
    passkeys: Vec<PasskeyLine>,
    has_password: bool,
    codes_since: Option<Moment>,
    recovery_left: usize,
    sessions: Vec<SessionLine>,
    organizations: Vec<OrganizationLine>,
    is_of_provider: bool,
    connections: Vec<ConnectionLine>,
    to_connect: Vec<(String, String)>,
}

/// `GET /account`
pub async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let heard = Said::heard(&caller);
    let said = heard.as_ref().map(|(words, _)| *words);
    let page = page(&app, &signed_in, said).await?;
    Ok(with_cookies(shown(&page)?, heard.map(|(_, cookie)| cookie).into_iter().collect()))
}

async fn page(app: &App, signed_in: &SignedIn, said: Option<&'static str>) -> Result<AccountPage, Fault> {
    let user = &signed_in.user;
    let factors = Factors::of(app, user.id()).await?;
    let has_password = user.row.sealed_password.is_some();
    let mut lines = Vec::new();
    for row in factors.kind(PASSKEY) {
        lines.push(PasskeyLine {
            id: row.authenticator.to_string(),
            label: passkeys::label(user, row)?,
            added: row.created_at.into(),
            used: row.used_at.map(Moment::from),
            is_last_way: factors.kind(PASSKEY).count() == 1 && !(has_password && factors.has(TOTP)),
        });
    }
    let mut sessions = Vec::new();
    for row in app.store.sign_ins(user.id()).await? {
        if session::is_open(&row, user, app.now()) && signed_in.sees(&row) {
            sessions.push(session_line(signed_in, &row)?);
        }
    }
    sessions.sort_by_key(|line| !line.is_this);
    let mut organizations = Vec::new();
    for member in &signed_in.memberships {
        let place = Place { organization: member.organization, environment: Environment::Live };
        organizations.push(OrganizationLine {
            id: member.organization.to_string(),
            page: place.page(""),
            // Owners leave on their page among the members, which says what is in the way.
            may_leave: member.role != Role::Owner,
            sets_provider: matches!(member.role, Role::Owner | Role::Admin),
            name: app.organization(member.organization).await?.name.clone(),
            role: member.role.text(),
            words: member.role.words(),
            since: member.created_at.into(),
        });
    }
    let (connections, to_connect) = connections(app, signed_in, &factors).await?;
    Ok(AccountPage {
        assets: Assets,
        name: user.name.disclose().clone(),
        email: user.email.disclose().clone(),
        said,
        is_fresh: signed_in.is_fresh(app.now()),
        has_passkeys: app.accounts.passkeys.is_some(),
        passkeys: lines,
        has_password,
        codes_since: factors.kind(TOTP).next().map(|row| row.created_at.into()),
        recovery_left: factors.kind(RECOVERY_CODE).count(),
        sessions,
        organizations,
        is_of_provider: signed_in.row.provider.is_some(),
        connections,
        to_connect,
    })
}

/// The organizations' providers that the account is connected with, and those that it can be connected with.
async fn connections(
    app: &App,
    signed_in: &SignedIn,
    factors: &Factors,
) -> Result<(Vec<ConnectionLine>, Vec<(String, String)>), Fault> {
    let (mut lines, mut connected) = (Vec::new(), Vec::new());
    for row in factors.kind(PROVIDER) {
        let link = links::read(&signed_in.user, row)?;
        lines.push(ConnectionLine {
            id: row.authenticator.to_string(),
            organization: app.organization(link.organization).await?.name.clone(),
            issuer: link.issuer,
            since: row.created_at.into(),
        });
        connected.push(link.provider);
    }
    let mut others = Vec::new();
    for member in &signed_in.told {
        let found = provider::of(app, member.organization).await?;
        if found.is_some_and(|found| !connected.contains(&found.row.provider)) {
            let name = app.organization(member.organization).await?.name.clone();
            others.push((member.organization.to_string(), name));
        }
    }
    Ok((lines, others))
}

fn session_line(signed_in: &SignedIn, row: &SignInRow) -> Result<SessionLine, Fault> {
    let origin = session::origin(&signed_in.user, row)?;
    let methods: Vec<&str> = origin
        .methods
        .iter()
        .map(|method| match method.as_str() {
            "passkey" => "passkey",
            "password" => "password",
            "totp" => "one-time code",
            "recovery_code" => "recovery code",
            "provider" => "your organization's sign-in",
            _ => "other",
        })
        .collect();
    Ok(SessionLine {
        id: row.sign_in.to_string(),
        device: session::device_words(origin.user_agent.as_deref()),
        ip: origin.ip,
        methods: methods.join(" and "),
        since: row.created_at.into(),
        used: session::used_at(row).into(),
        is_this: row.sign_in == signed_in.sign_in(),
    })
}

/// A session to end; all others without one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndForm {
    session: Option<SignInId>,
}

/// `POST /account/sessions/end`
pub async fn end_sessions(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<EndForm>,
) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let changing = Changing { app: &app, caller: &caller, signed_in: &signed_in };
    // One is ended at once; all of them only by somebody who has just proved who it is.
    let ended = match form.session {
        Some(one) => changing.end_sessions(Some(one)).await,
        None => match signed_in.check_fresh(app.now()) {
            Ok(()) => changing.end_sessions(None).await,
            Err(refusal) => Err(refusal.into()),
        },
    };
    settled(ended.map(|()| Vec::new()), "/account", ("/account", Said::SessionsEnded))
}

/// Which organization.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveForm {
    organization: OrganizationId,
}

/// `POST /account/organizations/leave`: whoever has just proved who it is leaves an organization, whatever the role.
pub async fn leave(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<LeaveForm>,
) -> Result<Response, NotShown> {
    let Some(signed_in) = session::current(&app, &caller.headers).await? else {
        return Ok(to_sign_in("/account"));
    };
    let principal = auth::member(&signed_in, form.organization, Environment::Live)?;
    let left = match signed_in.check_fresh(app.now()) {
        Ok(()) => {
            let circumstances = Desk::circumstances(&principal, &caller);
            members::remove(&app, &principal, &circumstances, signed_in.user_id(), None).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    settle(left, "/account", ("/account", Said::Left))
}
