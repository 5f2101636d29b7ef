//! A recipient's passkey: made once for this envelope after a mailed code, and used to be identified and to sign (S-3, E-7).

use std::sync::Arc;

use askama::Template;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    envelope::{
        Body, Command, Event,
        passkey::{self, Assertion, Bytes, Purpose, Registration, relying_party},
    },
    id::{EnvelopeId, SessionId},
    refusal::{Code, Refusal},
};
use serde::{Deserialize, Serialize};

use super::{
    answer::{Unshown, elsewhere, enter, page},
    assets::Assets,
    ceremony::Ceremony,
    frame::{Frame, masked_email},
    step::Step,
    strict::{self, Caller, Id},
};
use crate::{app::App, fault::Fault, http::problem::Problem};

/// The page.
#[derive(Template)]
#[template(path = "signer/passkey.html")]
struct PasskeyPage {
    assets: Assets,
    frame: Frame,
    email: String,
    has_passkey: bool,
    /// Whether it was made in this very session.
    is_new: bool,
    passkey: String,
}

/// What the script asks the browser for; `recipient_passkey.js` describes it.
#[derive(Serialize)]
struct ForScript<'a> {
    base: String,
    session: SessionId,
    challenge: Bytes,
    relying_party: &'a str,
    organization: &'a str,
    user: Bytes,
    title: String,
    name: &'a str,
    credential: Option<&'a Bytes>,
}

/// What a page needs to have an act signed by the registered passkey.
#[derive(Serialize)]
pub(super) struct ForAct<'a> {
    relying_party: &'a str,
    credential: &'a Bytes,
}

impl<'a> ForAct<'a> {
    /// Of a recipient whom a passkey identifies; `None` for others.
    pub(super) fn of(app: &'a App, ceremony: &'a Ceremony) -> Result<Option<Self>, Fault> {
        let registered = ceremony.progress()?.passkey.as_ref();
        let relying_party = relying_party(&app.config.server.public_url);
        Ok(registered.map(|passkey| Self { relying_party, credential: &passkey.credential }))
    }
}

/// `GET /s/{envelope}/passkey`
pub async fn show(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
) -> Result<Response, Unshown> {
    let ceremony = enter(&app, &caller, envelope).await?;
    if ceremony.step != Step::Passkey {
        return Ok(elsewhere(&ceremony));
    }
    let own = ceremony.session.session;
    let is_new = ceremony.opened.events.iter().any(
        |recorded| matches!(&recorded.event.body, Body::PasskeyRegistered { session, .. } if *session == own),
    );
    let email = ceremony.recipient()?.email.value().map(|email| masked_email(email.disclose()));
    let template = PasskeyPage {
        assets: Assets,
        frame: ceremony.frame()?,
        email: email.unwrap_or_default(),
        has_passkey: ceremony.progress()?.passkey.is_some(),
        is_new,
        passkey: for_script(&app, &ceremony)?,
    };
    Ok(page(&template, StatusCode::OK)?)
}

fn for_script(app: &App, ceremony: &Ceremony) -> Result<String, Fault> {
    let (recipient, session) = (ceremony.recipient()?, ceremony.session.session);
    let registered = ceremony.progress()?.passkey.as_ref();
    let purpose = if registered.is_some() { Purpose::Identify } else { Purpose::Register };
    let challenge = passkey::challenge(purpose, ceremony.session.envelope, recipient.id, session);
    let all = ForScript {
        base: ceremony.base(),
        session,
        challenge: Bytes(challenge.0.to_vec()),
        relying_party: relying_party(&app.config.server.public_url),
        organization: &ceremony.contents()?.organization_name,
        user: Bytes(recipient.id.as_bytes().to_vec()),
        title: ceremony.title(),
        name: recipient.name.value().map(|name| name.disclose().as_str()).unwrap_or_default(),
        credential: registered.map(|passkey| &passkey.credential),
    };
    serde_json::to_string(&all).map_err(|error| Fault::Task(format!("a passkey's options as JSON: {error}")))
}

/// A new passkey.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    session: SessionId,
    registration: Registration,
}

/// `POST /s/{envelope}/passkey/register`
pub async fn register(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Json(made): strict::Json<Made>,
) -> Result<Response, Problem> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, made.session).await?;
    let command = Command::RegisterPasskey {
        recipient: ceremony.session.recipient,
        session: made.session,
        origin: app.config.server.public_url.clone(),
        registration: made.registration,
    };
    ceremony.act(&app, command).await?;
    Ok(next(&ceremony))
}

/// The answer of a passkey.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    session: SessionId,
    assertion: Assertion,
}

/// `POST /s/{envelope}/passkey/use`
pub async fn identify(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Json(used): strict::Json<Used>,
) -> Result<Response, Problem> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, used.session).await?;
    let (recipient, session) = (ceremony.session.recipient, used.session);
    let command = Command::UsePasskey { recipient, session, assertion: used.assertion };
    let events = ceremony.act(&app, command).await?;
    refuse_copy(&events)?;
    Ok(next(&ceremony))
}

fn next(ceremony: &Ceremony) -> Response {
    Json(serde_json::json!({ "next": format!("{}/{}", ceremony.base(), ceremony.step.path()) }))
        .into_response()
}

/// Tells that a passkey may be a copy, which the record has by now.
pub(super) fn refuse_copy(events: &[Event]) -> Result<(), Refusal> {
    if !events.iter().any(|event| matches!(event.body, Body::PasskeyCloned { .. })) {
        return Ok(());
    }
    tracing::warn!(
        event_type = "passkey",
        event_result = "cloned",
        "a passkey was used whose counter has not grown, as if it had been copied"
    );
    let sentence = "this passkey may have been copied, so nothing was taken from it and the link is locked; ask the \
                    sender to send the envelope again";
    Err(Refusal::new(Code::FactorLocked, sentence))
}
