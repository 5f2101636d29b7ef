//! The code of the authenticator app with which a member signs in: five times wrong at most in the ceremony, and counted
//! among the tries of the member's account, so that nobody guesses it here who could not guess it there (S-3, S-4, G-4).

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use countersign_core::{
    accounts::lockout::Kind,
    envelope::{Body, Command, event::Factor},
    id::{EnvelopeId, SessionId},
    limits,
    refusal::Code,
    secret::Secret,
    security::FailureReason,
};
use serde::Deserialize;

use super::{
    answer::{Unshown, elsewhere, enter, page},
    assets::Assets,
    ceremony::Ceremony,
    frame::Frame,
    step::Step,
    strict::{self, Caller, Id},
};
use crate::{
    accounts::{
        busy,
        codes::{self, Holder},
        devices,
        people::User,
        tries,
    },
    app::App,
    envelopes::Along,
    fault::{Failure, Fault},
};

/// The page.
#[derive(Template)]
#[template(path = "signer/totp.html")]
struct TotpPage {
    assets: Assets,
    frame: Frame,
    tries_left: u32,
    /// Whether the recipient is a member who has an authenticator app.
    is_possible: bool,
    error: Option<&'static str>,
}

/// `GET /s/{envelope}/totp`
pub async fn show(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
) -> Result<Response, Unshown> {
    let ceremony = enter(&app, &caller, envelope).await?;
    if ceremony.step != Step::Totp {
        return Ok(elsewhere(&ceremony));
    }
    let error = was_wrong(&ceremony)
        .then_some("That code was not right, or was used before. Wait for the next one and type it.");
    Ok(shown(&app, &ceremony, error, StatusCode::OK).await?)
}

async fn shown(
    app: &App,
    ceremony: &Ceremony,
    error: Option<&'static str>,
    status: StatusCode,
) -> Result<Response, Fault> {
    let template = TotpPage {
        assets: Assets,
        frame: ceremony.frame()?,
        tries_left: limits::CODE_TRIES.saturating_sub(ceremony.progress()?.wrong_codes),
        is_possible: member(app, ceremony).await?.is_some(),
        error,
    };
    page(&template, status)
}

/// Whether a wrong code was typed in this session.
fn was_wrong(ceremony: &Ceremony) -> bool {
    let own = ceremony.session.session;
    ceremony.opened.events.iter().any(|recorded| {
        matches!(&recorded.event.body, Body::FactorFailed { session, factor: Factor::Totp, .. }
            if *session == own)
    })
}

/// The member who the recipient is, while there is an authenticator app. Once the recipient's values were erased, nobody is.
async fn member(app: &App, ceremony: &Ceremony) -> Result<Option<User>, Fault> {
    let Some(address) = ceremony.recipient()?.email.value() else { return Ok(None) };
    match codes::holder(app, ceremony.asking.tenant.organization(), address).await? {
        Holder::Ready(user) => Ok(Some(*user)),
        Holder::Nobody | Holder::WithoutCodes => Ok(None),
    }
}

/// A code as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    session: SessionId,
    code: Secret<String>,
}

/// `POST /s/{envelope}/totp`: a try is counted in the account before it is looked at.
pub async fn take(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Form(form): strict::Form<Typed>,
) -> Result<Response, Unshown> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, form.session).await?;
    let member = if ceremony.step == Step::Totp { member(&app, &ceremony).await? } else { None };
    let Some(member) = member else { return Ok(elsewhere(&ceremony)) };
    let device = devices::of(&app, &caller.headers, &member.row.lookup);
    let counted = tries::count(&app, &caller, Some(member.id()), device.as_ref(), Kind::Totp).await?;
    if counted.is_none() {
        let error = "Codes of your app were tried too often, here or at sign-in. Nothing was checked: wait a while and try \
                     again, or use a browser in which you signed in to your account before.";
        return Ok(shown(&app, &ceremony, Some(error), StatusCode::TOO_MANY_REQUESTS).await?);
    }
    if !judge(&app, &mut ceremony, &member, device.as_ref(), &form).await? {
        let (method, reason) = (Kind::Totp.text(), FailureReason::WrongCredential);
        tries::failed(&app, &caller, Some(member.id()), method, reason).await?;
    }
    Ok(elsewhere(&ceremony))
}

/// Records how the code came out, in one commit with what it spends: of several who bring it at once, here or at sign-in, one
/// is let on.
async fn judge(
    app: &App,
    ceremony: &mut Ceremony,
    member: &User,
    device: Option<&countersign_core::digest::Digest>,
    typed: &Typed,
) -> Result<bool, Failure> {
    let (recipient, session) = (ceremony.session.recipient, typed.session);
    for _ in 0..limits::CONFLICT_TRIES {
        let changes = codes::taken(app, member.id(), device, &typed.code).await?;
        let right = !changes.is_empty();
        let along = Along { changes, ..Along::default() };
        match ceremony.act_along(app, Command::TryTotp { recipient, session, right }, along).await {
            Ok(_) => return Ok(right),
            // The account changed meanwhile: the code may be spent.
            Err(Failure::Refused(refusal)) if refusal.code == Code::Busy => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(busy().into())
}
