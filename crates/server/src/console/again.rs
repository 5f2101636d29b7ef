//! `/signin/again`: to prove in a session once more who it is, before something dangerous (RFC 9470).

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use countersign_core::{accounts::return_to::ReturnTo, level::Level, limits};
use serde::Deserialize;

use super::{
    Typed, Wanted, again_with, enter_for_script, go, next, notice::NotShown, shown, sign_in::PasskeyForm,
    spoken, to_sign_in,
};
use crate::{
    accounts::{
        changes::passkeys_of,
        people::{Factors, PASSKEY, TOTP},
        refused,
        session::{self, SignedIn},
        sign_in::{self, Aim},
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
#[template(path = "console/again.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a sentence of the page that stands there or not")]
struct AgainPage {
    assets: Assets,
    email: String,
    return_to: String,
    has_passkey: bool,
    has_password: bool,
    needs_passkey: bool,
    is_of_provider: bool,
    level: &'static str,
    error: Option<String>,
}

async fn page(
    app: &App,
    signed_in: &SignedIn,
    return_to: &ReturnTo,
    level: Level,
) -> Result<AgainPage, NotShown> {
    let factors = Factors::of(app, signed_in.user_id()).await?;
    let is_of_provider = signed_in.row.provider.is_some();
    let needs_passkey = level == Level::Aal2Phr && !is_of_provider;
    Ok(AgainPage {
        assets: Assets,
        email: signed_in.user.email.disclose().clone(),
        return_to: return_to.path().to_owned(),
        has_passkey: !is_of_provider && factors.has(PASSKEY) && app.accounts.passkeys.is_some(),
        has_password: !is_of_provider
            && factors.has(TOTP)
            && signed_in.user.row.sealed_password.is_some()
            && !needs_passkey,
        needs_passkey,
        is_of_provider,
        level: level.text(),
        error: None,
    })
}

/// `GET /signin/again`
pub async fn show(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, NotShown> {
    let wanted = Wanted::of(&uri).map_err(Failure::from)?;
    let Some(signed_in) = session::current(&app, &caller.headers).await? else {
        return Ok(to_sign_in(wanted.return_to.path()));
    };
    shown(&page(&app, &signed_in, &wanted.return_to, wanted.level).await?)
}

/// Password and code, in one form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgainForm {
    password: Typed,
    code: Typed,
    return_to: Option<String>,
}

/// `POST /signin/again`
pub async fn password(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<AgainForm>,
) -> Result<Response, NotShown> {
    let return_to = ReturnTo::read(form.return_to.as_deref());
    let Some(signed_in) = session::current(&app, &caller.headers).await? else {
        return Ok(to_sign_in(return_to.path()));
    };
    signed_in.check_own().map_err(Failure::from)?;
    let proved = match sign_in::password_of(&app, &caller, &signed_in.user, &form.password).await {
        Ok(half_way) => {
            let aim = Aim::Again(Box::new(signed_in.row.clone()));
            sign_in::code(&app, &caller, &half_way, &form.code, aim).await
        }
        Err(failure) => Err(failure),
    };
    match proved {
        Ok(came_in) => Ok(go(return_to.path(), came_in.cookies)),
        Err(Failure::Refused(refusal)) => {
            let error = Some(spoken(&refusal));
            let page = page(&app, &signed_in, &return_to, Level::Aal2).await?;
            again_with(&AgainPage { error, ..page }, &refusal)
        }
        Err(other) => Err(other.into()),
    }
}

/// `POST /signin/again/passkey`
pub async fn passkey(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Json(form): strict::Json<PasskeyForm, { limits::PASSKEY_FORM_BYTES }>,
) -> Result<Response, Problem> {
    let signed_in = enter_for_script(&app, &caller).await?;
    signed_in.check_own()?;
    let passkeys = passkeys_of(&app.accounts)?;
    let verified = passkeys.verify(&app, &caller, &form.state, &form.credential).await?;
    if verified.user != signed_in.user_id() {
        return Err(refused().into());
    }
    let aim = Aim::Again(Box::new(signed_in.row));
    let came_in = sign_in::with_passkey(&app, &caller, verified, aim).await?;
    Ok(next(ReturnTo::read(form.return_to.as_deref()).path(), came_in.cookies))
}
