//! The access code that the sender told the recipient by another way: five times wrong at most (S-3, S-4).

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use countersign_core::{
    envelope::{Body, Command, event::Factor},
    id::{EnvelopeId, SessionId},
    limits,
    secret::{Secret, equal_in_constant_time},
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
use crate::{app::App, envelopes::access_code_mac, fault::Failure};

/// The page.
#[derive(Template)]
#[template(path = "signer/access_code.html")]
struct AccessCodePage {
    assets: Assets,
    frame: Frame,
    tries_left: u32,
    is_wrong: bool,
}

/// `GET /s/{envelope}/access-code`
pub async fn show(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
) -> Result<Response, Unshown> {
    let ceremony = enter(&app, &caller, envelope).await?;
    if ceremony.step != Step::AccessCode {
        return Ok(elsewhere(&ceremony));
    }
    let template = AccessCodePage {
        assets: Assets,
        frame: ceremony.frame()?,
        tries_left: limits::CODE_TRIES.saturating_sub(ceremony.progress()?.wrong_codes),
        is_wrong: was_wrong(&ceremony),
    };
    Ok(page(&template, StatusCode::OK)?)
}

/// Whether a wrong code was typed in this session.
fn was_wrong(ceremony: &Ceremony) -> bool {
    let own = ceremony.session.session;
    ceremony.opened.events.iter().any(|recorded| {
        matches!(&recorded.event.body, Body::FactorFailed { session, factor: Factor::AccessCode, .. }
            if *session == own)
    })
}

/// A code as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    session: SessionId,
    access_code: Secret<String>,
}

/// `POST /s/{envelope}/access-code`
pub async fn take(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Form(form): strict::Form<Typed>,
) -> Result<Response, Unshown> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, form.session).await?;
    if ceremony.step != Step::AccessCode {
        return Ok(elsewhere(&ceremony));
    }
    let right = is_right(&app, &ceremony, &form.access_code).await?;
    let (recipient, session) = (ceremony.session.recipient, form.session);
    ceremony.act(&app, Command::TryAccessCode { recipient, session, right }).await?;
    Ok(elsewhere(&ceremony))
}

/// Whether it is the code that the sender gave. Once the recipient's values were erased, none is.
async fn is_right(app: &App, ceremony: &Ceremony, typed: &Secret<String>) -> Result<bool, Failure> {
    let recipient = ceremony.recipient()?;
    let recipients = &ceremony.contents()?.recipients;
    let position = recipients.iter().position(|one| one.id == recipient.id);
    let kept = recipient.access_code.as_ref().and_then(|veiled| veiled.value());
    let Some((position, kept)) = position.zip(kept) else { return Ok(false) };
    let organization = app.organization(ceremony.asking.tenant.organization()).await?;
    // No code begins or ends with a space; a pasted one may.
    let mac = access_code_mac(&organization, ceremony.session.envelope, position, typed.expose().trim());
    Ok(equal_in_constant_time(mac.disclose().as_bytes(), kept.disclose().as_bytes()))
}
