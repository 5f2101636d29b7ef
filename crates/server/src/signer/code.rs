//! The mailed code: six digits that work in the browser that asked for them, once, and five times wrong at most.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use countersign_core::{
    envelope::{Body, Command},
    id::{CodeId, EnvelopeId, SessionId},
    limits,
    secret::Secret,
    time::Time,
};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::{
    answer::{Unshown, elsewhere, enter, go, page},
    assets::Assets,
    ceremony::Ceremony,
    frame::{Frame, masked_email},
    step::Step,
    strict::{self, Caller, Id},
};
use crate::{app::App, envelopes::code_mac, fault::Failure};

/// The page.
#[derive(Template)]
#[template(path = "signer/code.html")]
struct CodePage {
    assets: Assets,
    frame: Frame,
    email: String,
    /// Minutes that the newest code is still valid, rounded up; `None` if there is no such code.
    minutes_left: Option<i64>,
    tries_left: u32,
    error: Option<&'static str>,
}

/// `GET /s/{envelope}/code`
pub async fn show(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
) -> Result<Response, Unshown> {
    let ceremony = enter(&app, &caller, envelope).await?;
    if ceremony.step != Step::Code {
        return Ok(elsewhere(&ceremony));
    }
    let email = ceremony.recipient()?.email.value().map(|email| masked_email(email.disclose()));
    let minutes_left = minutes_left(ceremony.open()?.code, app.now());
    let template = CodePage {
        assets: Assets,
        frame: ceremony.frame()?,
        email: email.unwrap_or_default(),
        minutes_left,
        tries_left: limits::CODE_TRIES.saturating_sub(ceremony.progress()?.wrong_codes),
        error: error(&ceremony, minutes_left.is_some()),
    };
    Ok(page(&template, StatusCode::OK)?)
}

fn minutes_left(code: Option<(CodeId, Time)>, now: Time) -> Option<i64> {
    let left_ms = code?.1.since_ms(now);
    (left_ms > 0).then_some((left_ms + 59_999) / 60_000)
}

/// What went wrong last in this session, as the events tell it.
fn error(ceremony: &Ceremony, is_valid: bool) -> Option<&'static str> {
    let own = ceremony.session.session;
    let last = ceremony.opened.events.iter().rev().find_map(|recorded| match &recorded.event.body {
        Body::CodeIssued { session, .. } if *session == own => Some(false),
        Body::FactorFailed { session, .. } if *session == own => Some(true),
        _ => None,
    });
    match last {
        Some(true) if is_valid => {
            Some("That code is not right. Look into the newest mail and type it again.")
        }
        Some(_) if !is_valid => Some("The code has expired. Have another one sent."),
        _ => None,
    }
}

/// A form with nothing but its session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// The session whose page it is.
    pub session: SessionId,
}

/// `POST /s/{envelope}/code/send`
pub async fn send(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Form(form): strict::Form<Plain>,
) -> Result<Response, Unshown> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, form.session).await?;
    if ceremony.step != Step::Code {
        return Ok(elsewhere(&ceremony));
    }
    let command = Command::IssueCode {
        recipient: ceremony.session.recipient,
        session: form.session,
        code: CodeId::new(app.now(), app.draw()),
    };
    ceremony.act(&app, command).await?;
    Ok(go(&format!("{}/code", ceremony.base())))
}

/// A code as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    session: SessionId,
    code: Secret<String>,
}

/// `POST /s/{envelope}/code`
pub async fn take(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Form(form): strict::Form<Typed>,
) -> Result<Response, Unshown> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, form.session).await?;
    let code = ceremony.open()?.code.map(|(code, _)| code);
    let (Step::Code, Some(code)) = (ceremony.step, code) else { return Ok(elsewhere(&ceremony)) };
    let right = is_right(&app, &ceremony, code, &form.code).await?;
    let recipient = ceremony.session.recipient;
    match ceremony.act(&app, Command::TryCode { recipient, session: form.session, code, right }).await {
        // The page itself tells that the code has expired.
        Err(Failure::Refused(refusal)) if refusal.code == countersign_core::refusal::Code::CodeExpired => {}
        other => drop(other?),
    }
    Ok(elsewhere(&ceremony))
}

async fn is_right(
    app: &App,
    ceremony: &Ceremony,
    code: CodeId,
    typed: &Secret<String>,
) -> Result<bool, Failure> {
    let tenant = &ceremony.asking.tenant;
    let Some(row) = app.store.code(tenant, code).await? else { return Ok(false) };
    let digits =
        Secret::new(typed.expose().chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>());
    let organization = app.organization(tenant.organization()).await?;
    let mac = code_mac(&organization, code, digits.expose());
    Ok(row.session == ceremony.session.session && bool::from(mac.0.ct_eq(&row.mac.0)))
}
