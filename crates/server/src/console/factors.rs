//! The pages on which somebody adds, changes and removes what opens the account. Each act asks for a proof of the last
//! minutes.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use countersign_core::{id::AuthenticatorId, limits, secret::Secret};
use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::RegisterPublicKeyCredential;

use super::{
    Said, Typed, again_with, enter, enter_for_script, go, next, notice::NotShown, settled, shown, spoken,
    to_confirm, to_sign_in,
};
use crate::{
    accounts::{
        changes::{self, Changing, passkeys_of},
        people::{Factors, RECOVERY_CODE, TOTP},
        qr, recovery, sealed,
        session::{self, SignedIn},
        totp,
    },
    app::App,
    fault::{Failure, Fault},
    http::problem::Problem,
    signer::{
        assets::Assets,
        strict::{self, Caller},
    },
};

/// `POST /account/passkeys/options`
pub async fn passkey_options(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Problem> {
    let signed_in = enter_for_script(&app, &caller).await?;
    signed_in.check_fresh(app.now())?;
    let factors = Factors::of(&app, signed_in.user_id()).await?;
    let asked = passkeys_of(&app.accounts)?.ask_new(&app, &signed_in.user, &factors)?;
    Ok(axum::Json(asked).into_response())
}

/// A passkey that was made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadePasskey {
    state: String,
    credential: RegisterPublicKeyCredential,
    label: String,
}

/// `POST /account/passkeys`
pub async fn add_passkey(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Json(form): strict::Json<MadePasskey, { limits::PASSKEY_FORM_BYTES }>,
) -> Result<Response, Problem> {
    let signed_in = enter_for_script(&app, &caller).await?;
    let changing = Changing { app: &app, caller: &caller, signed_in: &signed_in };
    let mut cookies = changing.add_passkey(&form.state, &form.credential, &form.label).await?;
    cookies.push(Said::PasskeyAdded.cookie()?);
    Ok(next("/account", cookies))
}

/// A passkey and its other name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameForm {
    passkey: AuthenticatorId,
    label: String,
}

/// `POST /account/passkeys/rename`
pub async fn rename_passkey(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<RenameForm>,
) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let changing = Changing { app: &app, caller: &caller, signed_in: &signed_in };
    let renamed = changing.rename_passkey(form.passkey, &form.label).await;
    settled(renamed.map(|()| Vec::new()), "/account", ("/account", Said::PasskeyRenamed))
}

/// A passkey.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveForm {
    passkey: AuthenticatorId,
}

/// `POST /account/passkeys/remove`
pub async fn remove_passkey(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<RemoveForm>,
) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let changing = Changing { app: &app, caller: &caller, signed_in: &signed_in };
    let removed = changing.remove_passkey(form.passkey).await;
    settled(removed, "/account", ("/account", Said::PasskeyRemoved))
}

/// Somebody in a session of any level, for the page that adds the missing factor.
async fn enter_at_any_level(app: &App, caller: &Caller) -> Result<Result<SignedIn, Response>, NotShown> {
    let found = session::of_any_level(app, &caller.headers).await?;
    Ok(found.ok_or_else(|| to_sign_in("/account/codes")))
}

const CODES: &str = "codes";

/// A secret that is being set up: what the browser carries.
#[derive(Serialize, Deserialize)]
struct SettingUp {
    user: countersign_core::id::UserId,
    secret: totp::Bytes,
    password_hash: Option<String>,
}

/// What an authenticator app needs.
struct ToScan {
    qr: qr::Drawing,
    address: String,
    text: String,
    state: String,
}

#[derive(Template)]
#[template(path = "console/codes.html")]
struct CodesPage {
    assets: Assets,
    email: String,
    has_password: bool,
    has_codes: bool,
    must: bool,
    to_scan: Option<ToScan>,
    error: Option<String>,
}

async fn codes_page(app: &App, signed_in: &SignedIn) -> Result<CodesPage, Fault> {
    let factors = Factors::of(app, signed_in.user_id()).await?;
    Ok(CodesPage {
        assets: Assets,
        email: signed_in.user.email.disclose().clone(),
        has_password: signed_in.user.row.sealed_password.is_some(),
        has_codes: factors.has(TOTP),
        must: signed_in.level() < countersign_core::level::Level::Aal2,
        to_scan: None,
        error: None,
    })
}

fn to_scan(app: &App, signed_in: &SignedIn, set_up: &SettingUp) -> Result<ToScan, Fault> {
    let shown = totp::shown(app, &set_up.secret, &signed_in.user.email)?;
    Ok(ToScan {
        qr: qr::draw(shown.address.expose())?,
        address: shown.address.expose().clone(),
        text: shown.text.expose().clone(),
        state: sealed::seal(app, CODES, app.now().plus_s(limits::STEP_UP_S), set_up)?,
    })
}

/// `GET /account/codes`
pub async fn show_codes(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    let signed_in = match enter_at_any_level(&app, &caller).await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    if !signed_in.is_fresh(app.now()) {
        return Ok(to_confirm("/account/codes"));
    }
    shown(&codes_page(&app, &signed_in).await?)
}

/// A password, where there is none yet.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginForm {
    password: Option<Typed>,
}

/// `POST /account/codes`: draws a secret and shows it.
pub async fn begin_codes(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<BeginForm>,
) -> Result<Response, NotShown> {
    let signed_in = match enter_at_any_level(&app, &caller).await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    if !signed_in.is_fresh(app.now()) {
        return Ok(to_confirm("/account/codes"));
    }
    let page = codes_page(&app, &signed_in).await?;
    let begun = begin(&app, &signed_in, form.password.filter(|_| !page.has_password)).await;
    match begun {
        Ok(set_up) => {
            let to_scan = Some(to_scan(&app, &signed_in, &set_up)?);
            shown(&CodesPage { to_scan, ..page })
        }
        Err(Failure::Refused(refusal)) => {
            again_with(&CodesPage { error: Some(spoken(&refusal)), ..page }, &refusal)
        }
        Err(other) => Err(other.into()),
    }
}

async fn begin(app: &App, signed_in: &SignedIn, password: Option<Typed>) -> Result<SettingUp, Failure> {
    let user = &signed_in.user;
    let password_hash = match (&user.row.sealed_password, password) {
        (Some(_), _) => None,
        (None, password) => {
            let password = password.unwrap_or_else(|| Secret::new(String::new()));
            let own = changes::own_words(app, user, &signed_in.told).await?;
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            Some(changes::hashed(app, &password, &own).await?.to_string())
        }
    };
    Ok(SettingUp { user: user.id(), secret: app.draw(), password_hash })
}

/// The first code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishForm {
    state: String,
    code: Typed,
}

/// `POST /account/codes/finish`
pub async fn finish_codes(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<FinishForm>,
) -> Result<Response, NotShown> {
    let signed_in = match enter_at_any_level(&app, &caller).await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let set_up: Option<SettingUp> = sealed::open(&app, CODES, &form.state);
    let Some(set_up) = set_up.filter(|set_up| set_up.user == signed_in.user_id()) else {
        return Ok(go("/account/codes", Vec::new()));
    };
    let changing = Changing { app: &app, caller: &caller, signed_in: &signed_in };
    let changed = changing.set_codes(&set_up.secret, &form.code, set_up.password_hash.as_deref()).await;
    match changed {
        Err(Failure::Refused(refusal)) if refusal.pointer.as_deref() == Some("/code") => {
            let to_scan = Some(to_scan(&app, &signed_in, &set_up)?);
            let error = Some(spoken(&refusal));
            again_with(&CodesPage { to_scan, error, ..codes_page(&app, &signed_in).await? }, &refusal)
        }
        changed => settled(changed, "/account/codes", ("/account", Said::CodesSet)),
    }
}

#[derive(Template)]
#[template(path = "console/password.html")]
struct PasswordPage {
    assets: Assets,
    email: String,
    error: Option<String>,
}

impl PasswordPage {
    fn new(signed_in: &SignedIn) -> Self {
        Self { assets: Assets, email: signed_in.user.email.disclose().clone(), error: None }
    }
}

/// `GET /account/password`
pub async fn show_password(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account/password").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    if signed_in.user.row.sealed_password.is_none() {
        return Ok(go("/account/codes", Vec::new()));
    }
    if !signed_in.is_fresh(app.now()) {
        return Ok(to_confirm("/account/password"));
    }
    shown(&PasswordPage::new(&signed_in))
}

/// Another password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordForm {
    password: Typed,
}

/// `POST /account/password`
pub async fn change_password(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<PasswordForm>,
) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account/password").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let changing = Changing { app: &app, caller: &caller, signed_in: &signed_in };
    match changing.change_password(&form.password).await {
        Err(Failure::Refused(refusal)) if refusal.pointer.as_deref() == Some("/password") => {
            let error = Some(spoken(&refusal));
            again_with(&PasswordPage { error, ..PasswordPage::new(&signed_in) }, &refusal)
        }
        changed => settled(changed, "/account/password", ("/account", Said::PasswordChanged)),
    }
}

/// `POST /account/password/remove`
pub async fn remove_password(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let changing = Changing { app: &app, caller: &caller, signed_in: &signed_in };
    settled(changing.remove_password().await, "/account", ("/account", Said::PasswordRemoved))
}

const RECOVERY: &str = "recovery-codes";

/// A set that is shown: what the browser carries until it is kept.
#[derive(Serialize, Deserialize)]
struct Drawn {
    user: countersign_core::id::UserId,
    set: recovery::Set,
}

#[derive(Template)]
#[template(path = "console/recovery.html")]
struct RecoveryPage {
    assets: Assets,
    email: String,
    left: usize,
    codes: Vec<String>,
    state: String,
}

/// `GET /account/recovery`
pub async fn show_recovery(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account/recovery").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    if !signed_in.is_fresh(app.now()) {
        return Ok(to_confirm("/account/recovery"));
    }
    let left = Factors::of(&app, signed_in.user_id()).await?.kind(RECOVERY_CODE).count();
    let email = signed_in.user.email.disclose().clone();
    shown(&RecoveryPage { assets: Assets, email, left, codes: Vec::new(), state: String::new() })
}

/// `POST /account/recovery`: shows a new set, which is kept only when its owner says that it was written down.
pub async fn draw_recovery(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account/recovery").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    if !signed_in.is_fresh(app.now()) {
        return Ok(to_confirm("/account/recovery"));
    }
    let drawn = Drawn { user: signed_in.user_id(), set: recovery::draw(&app) };
    let codes = recovery::shown(&drawn.set).iter().map(|code| code.expose().clone()).collect();
    let state = sealed::seal(&app, RECOVERY, app.now().plus_s(limits::STEP_UP_S), &drawn)?;
    let left = Factors::of(&app, signed_in.user_id()).await?.kind(RECOVERY_CODE).count();
    let email = signed_in.user.email.disclose().clone();
    shown(&RecoveryPage { assets: Assets, email, left, codes, state })
}

/// The set that was written down.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepForm {
    state: String,
    kept: String,
}

/// `POST /account/recovery/keep`
pub async fn keep_recovery(
    State(app): State<Arc<App>>,
    caller: Caller,
    strict::Form(form): strict::Form<KeepForm>,
) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, "/account/recovery").await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let drawn: Option<Drawn> = sealed::open(&app, RECOVERY, &form.state);
    let drawn = drawn.filter(|drawn| drawn.user == signed_in.user_id() && form.kept == "yes");
    let Some(drawn) = drawn else { return Ok(go("/account/recovery", Vec::new())) };
    let changing = Changing { app: &app, caller: &caller, signed_in: &signed_in };
    let kept = changing.keep_recovery_codes(&drawn.set).await;
    settled(kept, "/account/recovery", ("/account", Said::RecoveryKept))
}
