//! `/welcome`: where a one-time link leads that makes somebody a member. The page is the same for every link; its script
//! alone knows the secret, and looking uses nothing up.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use countersign_core::{accounts::ticket::Purpose, limits, refusal::Refusal, secret::Secret};
use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::RegisterPublicKeyCredential;

use super::{Said, Typed, next, notice::NotShown, shown};
use crate::{
    accounts::{
        people::User,
        provider, qr, session,
        tickets::{self, Opened},
        welcome,
    },
    app::App,
    fault::{Failure, Fault},
    http::problem::Problem,
    signer::{
        assets::Assets,
        strict::{self, Caller},
    },
};

const FORM_BYTES: usize = limits::PASSKEY_FORM_BYTES;

#[derive(Template)]
#[template(path = "console/welcome.html")]
struct WelcomePage {
    assets: Assets,
}

/// `GET /welcome`
pub async fn show() -> Result<Response, NotShown> {
    shown(&WelcomePage { assets: Assets })
}

/// The secret of the link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    secret: Secret<String>,
}

async fn find(app: &App, secret: &Secret<String>) -> Result<Opened, Failure> {
    tickets::open(app, secret, &[Purpose::FirstOwner, Purpose::Invitation]).await
}

/// What a link leads to.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a sentence of the page that stands there or not")]
struct Preview {
    organization: String,
    role: &'static str,
    role_words: &'static str,
    email: String,
    until: String,
    has_account: bool,
    is_signed_in: bool,
    has_passkeys: bool,
    has_provider: bool,
}

/// `POST /welcome/open`: says what the link leads to, and changes nothing.
pub async fn open(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Json(key): strict::Json<Key>,
) -> Result<Response, Problem> {
    let opened = find(&app, &key.secret).await?;
    let organization = opened.organization.as_ref().ok_or_else(Refusal::not_found)?;
    let role = opened.row.role.ok_or_else(Refusal::not_found)?;
    let signed_in = session::current(&app, &caller.headers).await?;
    let user = opened.user.as_ref().map(User::id);
    let preview = Preview {
        organization: organization.name.clone(),
        role: role.text(),
        role_words: role.words(),
        email: opened.email.disclose().clone(),
        until: opened.row.expires_at.to_string(),
        has_account: user.is_some(),
        is_signed_in: user.is_some() && signed_in.map(|signed_in| signed_in.user_id()) == user,
        has_passkeys: app.accounts.passkeys.is_some(),
        has_provider: opened.purpose == Purpose::Invitation
            && provider::of(&app, organization.id).await?.is_some(),
    };
    Ok(axum::Json(preview).into_response())
}

/// The secret and a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    secret: Secret<String>,
    name: String,
}

/// `POST /welcome/passkey/options`
pub async fn passkey_options(
    State(app): State<Arc<App>>,
    strict::Json(form): strict::Json<Named>,
) -> Result<Response, Problem> {
    let opened = find(&app, &form.secret).await?;
    let asked = welcome::ask_passkey(&app, &opened, &form.name)?;
    Ok(axum::Json(asked).into_response())
}

/// A passkey that was made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadePasskey {
    secret: Secret<String>,
    state: String,
    credential: RegisterPublicKeyCredential,
    label: String,
}

/// `POST /welcome/passkey`
pub async fn passkey(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Json(form): strict::Json<MadePasskey, FORM_BYTES>,
) -> Result<Response, Problem> {
    let opened = find(&app, &form.secret).await?;
    let cookies =
        welcome::with_passkey(&app, &caller, &opened, &form.state, &form.credential, &form.label).await?;
    Ok(next("/account/recovery", cookies))
}

/// The secret, a name and a password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithPassword {
    secret: Secret<String>,
    name: String,
    password: Typed,
}

/// What an authenticator app needs.
#[derive(Debug, Serialize)]
struct ShownCodes {
    size: i32,
    path: String,
    address: String,
    text: String,
    state: String,
}

fn shown_codes(codes: welcome::Codes) -> Result<ShownCodes, Fault> {
    let drawing = qr::draw(codes.shown.address.expose())?;
    Ok(ShownCodes {
        size: drawing.size,
        path: drawing.path,
        address: codes.shown.address.expose().clone(),
        text: codes.shown.text.expose().clone(),
        state: codes.state,
    })
}

/// `POST /welcome/codes`: takes the password, and gives the secret for the authenticator app.
pub async fn codes(
    State(app): State<Arc<App>>,
    strict::Json(form): strict::Json<WithPassword>,
) -> Result<Response, Problem> {
    let opened = find(&app, &form.secret).await?;
    let codes = welcome::ask_codes(&app, &opened, &form.name, &form.password).await?;
    Ok(axum::Json(shown_codes(codes)?).into_response())
}

/// The first code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstCode {
    secret: Secret<String>,
    state: String,
    code: Typed,
}

/// `POST /welcome/codes/finish`
pub async fn codes_finish(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Json(form): strict::Json<FirstCode>,
) -> Result<Response, Problem> {
    let opened = find(&app, &form.secret).await?;
    let cookies = welcome::with_codes(&app, &caller, &opened, &form.state, &form.code).await?;
    Ok(next("/account/recovery", cookies))
}

/// `POST /welcome/join`: makes somebody who is signed in a member.
pub async fn join(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Json(key): strict::Json<Key>,
) -> Result<Response, Problem> {
    let signed_in = super::enter_for_script(&app, &caller).await?;
    let opened = find(&app, &key.secret).await?;
    welcome::join(&app, &caller, &opened, &signed_in).await?;
    Ok(next("/account", vec![Said::Joined.cookie()?]))
}
