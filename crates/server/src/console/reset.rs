//! `/reset`: asks for a link by mail, in the same words for every address; `/reset/password`: where that link leads.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use countersign_core::{accounts::ticket::Purpose, limits, refusal::Refusal, secret::Secret};
use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::PublicKeyCredential;

use super::{Said, Typed, next, notice::NotShown, shown};
use crate::{
    accounts::{
        changes::passkeys_of,
        people::{Factors, PASSKEY},
        proofs::Proof,
        reset,
        tickets::{self, Opened},
    },
    app::App,
    fault::Failure,
    http::problem::Problem,
    signer::{
        assets::Assets,
        strict::{self, Caller},
    },
};

#[derive(Template)]
#[template(path = "console/reset.html")]
struct ResetPage {
    assets: Assets,
    is_sent: bool,
}

/// `GET /reset`
pub async fn show() -> Result<Response, NotShown> {
    shown(&ResetPage { assets: Assets, is_sent: false })
}

/// An address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressForm {
    email: String,
}

/// `POST /reset`
pub async fn ask(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<AddressForm>,
) -> Result<Response, NotShown> {
    tickets::ask_reset(&app, &caller, &form.email).await?;
    shown(&ResetPage { assets: Assets, is_sent: true })
}

#[derive(Template)]
#[template(path = "console/reset_password.html")]
struct PasswordPage {
    assets: Assets,
}

/// `GET /reset/password`
pub async fn show_password() -> Result<Response, NotShown> {
    shown(&PasswordPage { assets: Assets })
}

/// The secret of the link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    secret: Secret<String>,
}

async fn find(app: &App, secret: &Secret<String>) -> Result<Opened, Failure> {
    tickets::open(app, secret, &[Purpose::PasswordReset]).await
}

/// What is asked besides the link.
#[derive(Debug, Serialize)]
struct Preview {
    email: String,
    needs_second: bool,
    has_passkey: bool,
}

/// `POST /reset/password/open`: says what is asked besides the link, and changes nothing.
pub async fn open(
    State(app): State<Arc<App>>,
    strict::Json(key): strict::Json<Key>,
) -> Result<Response, Problem> {
    let opened = find(&app, &key.secret).await?;
    let user = opened.user.as_ref().ok_or_else(Refusal::not_found)?;
    let factors = Factors::of(&app, user.id()).await?;
    reset::check_way(&app, user, &factors).await?;
    let preview = Preview {
        email: opened.email.disclose().clone(),
        needs_second: factors.has_second(),
        has_passkey: factors.has(PASSKEY) && app.accounts.passkeys.is_some(),
    };
    Ok(axum::Json(preview).into_response())
}

/// The other password, and the second factor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetForm {
    secret: Secret<String>,
    password: Typed,
    #[serde(default)]
    code: Option<Typed>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    credential: Option<PublicKeyCredential>,
}

/// `POST /reset/password`
pub async fn finish(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Json(form): strict::Json<ResetForm, { limits::PASSKEY_FORM_BYTES }>,
) -> Result<Response, Problem> {
    let opened = find(&app, &form.secret).await?;
    let proof = match (form.code, form.state, form.credential) {
        (_, Some(state), Some(credential)) => {
            let passkeys = passkeys_of(&app.accounts)?;
            Proof::Passkey(Box::new(passkeys.verify(&app, &caller, &state, &credential).await?))
        }
        (Some(code), ..) => Proof::Typed(code),
        _ => Proof::Nothing,
    };
    let reset = reset::reset(&app, &caller, &opened, &form.password, proof).await?;
    let mut cookies = reset.cookies;
    cookies.push(Said::PasswordChanged.cookie()?);
    Ok(next(if reset.needs_codes { "/account/codes" } else { "/account" }, cookies))
}
