//! Declining, with a reason or without.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use countersign_core::{
    envelope::fields::is_blank,
    envelope::{Command, event::Role},
    id::{EnvelopeId, SessionId},
    limits,
    refusal::Code,
    secret::Personal,
};
use serde::Deserialize;

use super::{
    answer::{Unshown, elsewhere, enter, go, page},
    assets::Assets,
    ceremony::Ceremony,
    frame::Frame,
    step::Step,
    strict::{self, Caller, Id},
};
use crate::{
    app::App,
    fault::{Failure, Fault},
};

/// The page.
#[derive(Template)]
#[template(path = "signer/decline.html")]
struct DeclinePage {
    assets: Assets,
    frame: Frame,
    reason: String,
    error: Option<String>,
}

fn may_decline(ceremony: &Ceremony) -> Result<bool, Fault> {
    let can_act = matches!(ceremony.step, Step::Consent | Step::Sign);
    Ok(can_act && ceremony.recipient()?.role != Role::Copy)
}

/// `GET /s/{envelope}/decline`
pub async fn show(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
) -> Result<Response, Unshown> {
    let ceremony = enter(&app, &caller, envelope).await?;
    if !may_decline(&ceremony)? {
        return Ok(elsewhere(&ceremony));
    }
    let mut frame = ceremony.frame()?;
    (frame.step, frame.may_decline) = (None, false);
    let template = DeclinePage { assets: Assets, frame, reason: String::new(), error: None };
    Ok(page(&template, StatusCode::OK)?)
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declining {
    session: SessionId,
    reason: Personal<String>,
}

/// `POST /s/{envelope}/decline`
pub async fn take(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Form(form): strict::Form<Declining, { limits::REASON_FORM_BYTES }>,
) -> Result<Response, Unshown> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, form.session).await?;
    if !may_decline(&ceremony)? {
        return Ok(elsewhere(&ceremony));
    }
    // Browsers send line breaks as CR LF (HTML, form submission).
    let typed = form.reason.disclose().replace("\r\n", "\n");
    let reason = (!is_blank(&typed)).then(|| Personal::new(typed.clone()));
    let recipient = ceremony.session.recipient;
    match ceremony.act(&app, Command::Decline { recipient, session: form.session, reason }).await {
        Ok(_) => Ok(go(&format!("{}/receipt", ceremony.base()))),
        Err(Failure::Refused(refusal)) if refusal.code == Code::Invalid => {
            let mut frame = ceremony.frame()?;
            (frame.step, frame.may_decline) = (None, false);
            let error = Some(format!("About the reason: {}.", refusal.sentence));
            let template = DeclinePage { assets: Assets, frame, reason: typed, error };
            Ok(page(&template, StatusCode::UNPROCESSABLE_ENTITY)?)
        }
        Err(failure) => Err(failure.into()),
    }
}
