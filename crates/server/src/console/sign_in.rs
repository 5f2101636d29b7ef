//! `/signin`: a passkey, or address and password and then a code; and the way out.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    accounts::return_to::ReturnTo,
    level::Level,
    limits,
    refusal::{Code, Refusal},
};
use serde::Deserialize;
use webauthn_rs::prelude::PublicKeyCredential;

use super::{Typed, Wanted, again_with, go, next, notice::NotShown, provider, shown, spoken};
use crate::{
    accounts::{
        changes::{self, passkeys_of},
        people::{Factors, PASSKEY, RECOVERY_CODE, TOTP},
        proofs::Proof,
        session,
        sign_in::{self, Aim, CameIn, HalfWay},
    },
    app::App,
    fault::{Failure, Fault},
    http::problem::Problem,
    signer::{
        assets::Assets,
        strict::{self, Caller},
    },
};

#[derive(Template)]
#[template(path = "console/sign_in.html")]
pub(super) struct SignInPage {
    assets: Assets,
    return_to: String,
    has_passkeys: bool,
    has_providers: bool,
    pub(super) email: String,
    pub(super) error: Option<String>,
    /// What was typed for the organization, and leads nowhere.
    pub(super) organization: Option<String>,
}

impl SignInPage {
    pub(super) async fn new(app: &App, return_to: &ReturnTo) -> Result<Self, Fault> {
        Ok(Self {
            assets: Assets,
            return_to: return_to.path().to_owned(),
            has_passkeys: app.accounts.passkeys.is_some(),
            has_providers: provider::is_offered(app).await?,
            email: String::new(),
            error: None,
            organization: None,
        })
    }
}

/// `GET /signin`
pub async fn show(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, NotShown> {
    let wanted = Wanted::of(&uri).map_err(Failure::from)?;
    if session::current(&app, &caller.headers).await?.is_some() {
        return Ok(go(wanted.return_to.path(), Vec::new()));
    }
    shown(&SignInPage::new(&app, &wanted.return_to).await?)
}

/// Address and password, and where to go on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordForm {
    email: String,
    password: Typed,
    return_to: Option<String>,
}

/// `POST /signin`
pub async fn password(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<PasswordForm>,
) -> Result<Response, NotShown> {
    let return_to = ReturnTo::read(form.return_to.as_deref());
    let half_way = match sign_in::password(&app, &caller, &form.email, &form.password).await {
        Ok(half_way) => half_way,
        Err(Failure::Refused(refusal)) => {
            let error = Some(spoken(&refusal));
            let email = form.email.chars().take(limits::EMAIL_CHARS).collect();
            let page = SignInPage { email, error, ..SignInPage::new(&app, &return_to).await? };
            return again_with(&page, &refusal);
        }
        Err(other) => return Err(other.into()),
    };
    if Factors::of(&app, half_way.user).await?.has_second() {
        let cookie = sign_in::half_way_cookie(&app, &half_way)?;
        let carried = session::set_cookie(RETURN_COOKIE, return_to.path(), limits::SECOND_FACTOR_S)?;
        return Ok(go("/signin/code", vec![cookie, carried]));
    }
    // Nothing but the password: the one thing that this session can do is to add a factor.
    let came_in = sign_in::finish(&app, &caller, &half_way, &Proof::Nothing, Aim::New).await?;
    Ok(go("/account/codes", came_in.cookies))
}

/// Where to go on after the second factor: an address that is read again when it is used.
const RETURN_COOKIE: &str = "__Host-cs-return";

fn return_to(caller: &Caller) -> ReturnTo {
    ReturnTo::read(session::cookie(&caller.headers, RETURN_COOKIE))
}

#[derive(Template)]
#[template(path = "console/code.html")]
struct CodePage {
    assets: Assets,
    has_codes: bool,
    has_passkey: bool,
    has_recovery: bool,
    return_to: String,
    error: Option<String>,
}

async fn code_page(app: &App, caller: &Caller, half_way: &HalfWay) -> Result<CodePage, NotShown> {
    let factors = Factors::of(app, half_way.user).await?;
    Ok(CodePage {
        assets: Assets,
        has_codes: factors.has(TOTP),
        has_passkey: factors.has(PASSKEY) && app.accounts.passkeys.is_some(),
        has_recovery: factors.has(RECOVERY_CODE),
        return_to: return_to(caller).path().to_owned(),
        error: None,
    })
}

/// `GET /signin/code`
pub async fn show_code(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    let Some((half_way, _)) = sign_in::half_way(&app, &caller).await? else {
        return Ok(go("/signin", Vec::new()));
    };
    shown(&code_page(&app, &caller, &half_way).await?)
}

/// A code as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeForm {
    code: Typed,
}

/// `POST /signin/code`
pub async fn code(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<CodeForm>,
) -> Result<Response, NotShown> {
    let Some((half_way, _)) = sign_in::half_way(&app, &caller).await? else {
        return Ok(go("/signin", Vec::new()));
    };
    match sign_in::code(&app, &caller, &half_way, &form.code, Aim::New).await {
        Ok(CameIn { cookies, .. }) => Ok(go(return_to(&caller).path(), cookies)),
        Err(Failure::Refused(refusal)) => {
            let error = Some(spoken(&refusal));
            again_with(&CodePage { error, ..code_page(&app, &caller, &half_way).await? }, &refusal)
        }
        Err(other) => Err(other.into()),
    }
}

/// `POST /signin/passkey/options`: a challenge for any passkey of this server.
pub async fn passkey_options(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let asked = passkeys_of(&app.accounts)?.ask(&app)?;
    Ok(axum::Json(asked).into_response())
}

/// A passkey's answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeyForm {
    pub(super) state: String,
    pub(super) credential: PublicKeyCredential,
    pub(super) return_to: Option<String>,
}

/// `POST /signin/passkey`
pub async fn passkey(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Json(form): strict::Json<PasskeyForm, { limits::PASSKEY_FORM_BYTES }>,
) -> Result<Response, Problem> {
    let passkeys = passkeys_of(&app.accounts)?;
    let verified = passkeys.verify(&app, &caller, &form.state, &form.credential).await?;
    let came_in = sign_in::with_passkey(&app, &caller, verified, Aim::New).await?;
    debug_assert!(came_in.row.authenticated.0 >= Level::Aal2, "a passkey is two factors");
    Ok(next(ReturnTo::read(form.return_to.as_deref()).path(), came_in.cookies))
}

/// `POST /signout`
pub async fn sign_out(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    if let Some(signed_in) = session::of_any_level(&app, &caller.headers).await? {
        match changes::sign_out(&app, &caller, &signed_in).await {
            Ok(()) => {}
            Err(Failure::Refused(Refusal { code: Code::Busy, .. })) => {
                return Ok(go("/account", Vec::new()));
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(go("/signin", vec![session::no_cookie()?]))
}
