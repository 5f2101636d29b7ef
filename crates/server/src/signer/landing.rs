//! The landing page: the same bytes for every envelope, known or not. What the link opens is asked for by the page's
//! script, which alone knows the secret; looking changes nothing, and going on opens a session (E-8, S-4).

use std::sync::Arc;

use askama::Template;
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::{
    access::Environment,
    digest::Digest,
    envelope::{
        Command, Context, State as Envelope,
        command::ActorNow,
        decide,
        event::{Factor, Recipient},
        state::Underway,
    },
    id::{EnvelopeId, SessionId},
    limits,
    refusal::{Code, Refusal},
    secret::{PlainToken, Secret, TokenKind},
    time::Time,
};
use countersign_store::{
    batch::Row,
    rows::{LinkRow, SessionRow},
};
use serde::{Deserialize, Serialize};

use super::{
    answer::{Unshown, page},
    assets::Assets,
    ceremony::{Ceremony, end_of_session, step_of},
    frame::masked_email,
    notice::{self, Notice},
    step::Step,
    strict::{self, Caller, Id},
};
use crate::{
    app::App,
    envelopes::{self, Along, Asking, Opened, OwnPasskeys},
    fault::{Failure, Fault},
    http::{
        auth::session_cookie_name,
        problem::{About, Problem},
    },
    words,
};

/// The page.
#[derive(Template)]
#[template(path = "signer/landing.html")]
struct LandingPage {
    assets: Assets,
    notices: &'static [Notice],
}

/// `GET /s/{envelope}`
pub async fn show() -> Result<Response, Unshown> {
    Ok(page(&LandingPage { assets: Assets, notices: notice::ALL }, StatusCode::OK)?)
}

/// What the page's script hands over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    secret: Secret<String>,
    #[serde(default)]
    time_zone: Option<String>,
}

/// What the link opens: nothing of the documents.
#[derive(Debug, Serialize)]
struct Preview {
    organization: String,
    request: &'static str,
    title: String,
    message: Option<String>,
    recipient: String,
    email: String,
    until: Option<String>,
    needs: &'static str,
    action: &'static str,
    sandbox: bool,
}

/// Where to go on.
#[derive(Debug, Serialize)]
struct Next {
    next: Option<String>,
}

/// A link that was found by its secret, and what it would open.
struct Found {
    link: LinkRow,
    opened: Opened,
}

async fn find(app: &App, envelope: EnvelopeId, key: &Key) -> Result<Found, Failure> {
    let secret =
        PlainToken::parse(TokenKind::SigningLink, key.secret.expose()).map_err(|_| Refusal::not_found())?;
    let link = app.store.link(envelope, &secret.hash()).await?.ok_or_else(Refusal::not_found)?;
    let opened = envelopes::read(app, &link.tenant, envelope).await?;
    if let Some(recipient) =
        opened.folded.state.contents().and_then(|contents| contents.recipient(link.recipient))
    {
        tracing::Span::current().record("user_id", recipient.person.to_string());
    }
    Ok(Found { link, opened })
}

fn opening(link: &LinkRow, session: SessionId) -> Command {
    Command::OpenSession { recipient: link.recipient, link: link.link, session }
}

/// Who opens a session that does not exist yet.
fn asking(caller: &Caller, key: &Key, link: &LinkRow, session: SessionId) -> Asking {
    let mut origin = caller.origin.clone();
    origin.time_zone.clone_from(&key.time_zone);
    let actor = ActorNow::Recipient { recipient: link.recipient, session, origin };
    Asking { tenant: link.tenant, actor, correlation: caller.correlation }
}

/// `POST /s/{envelope}/open`: decides whether a session could be opened, and opens none.
pub async fn look(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Json(key): strict::Json<Key>,
) -> Result<Response, Problem> {
    let Found { link, opened } = find(&app, envelope, &key).await?;
    let session = SessionId::new(app.now(), app.draw());
    let context = Context {
        now: app.now(),
        actor: asking(&caller, &key, &link, session).actor,
        correlation: caller.correlation,
        nonce: app.draw(),
        seal_certificate_sha256: app.seal.certificate_at(app.now()),
        passkeys: Arc::new(OwnPasskeys),
    };
    if let Err(refusal) = decide(envelope, &opened.folded, opening(&link, session), &context) {
        let about = ended(refusal.code, &opened, &link, app.now());
        let problem = Problem::from(refusal);
        return Err(match about {
            Some(about) => problem.about(about),
            None => problem,
        });
    }
    let state = &opened.folded.state;
    let underway = state.underway().ok_or_else(Refusal::not_found)?;
    let recipient = underway.contents.recipient(link.recipient).ok_or_else(Refusal::not_found)?;
    let answer = preview(state, underway, recipient, link.expires_at);
    Ok(Json(answer).into_response())
}

/// What stands in the answer for an envelope that has ended: whoever has its link, and has it in time, may know what it
/// was.
fn ended(code: Code, opened: &Opened, link: &LinkRow, now: Time) -> Option<About> {
    if link.expires_at <= now {
        return None;
    }
    let state = &opened.folded.state;
    let contents =
        state.contents().filter(|_| matches!(code, Code::Declined | Code::Voided | Code::Expired))?;
    Some(About {
        organization: contents.organization_name.clone(),
        title: opened.title()?.disclose().clone(),
        is_sandbox: contents.environment == Environment::Sandbox,
        by_you: matches!(state, Envelope::Declined(_, by, _) if *by == link.recipient),
    })
}

fn preview(state: &Envelope, underway: &Underway, recipient: &Recipient, link_expires_at: Time) -> Preview {
    let told = |veiled: &countersign_core::envelope::Veiled| {
        veiled.value().map(|value| value.disclose().clone()).unwrap_or_default()
    };
    let is_done = underway.progress_of(recipient.id).is_some_and(|progress| progress.status.is_done());
    let is_over = is_done || !matches!(state, Envelope::Sent(_));
    let has_passkey = underway.progress_of(recipient.id).is_some_and(|progress| progress.passkey.is_some());
    let until = underway.expires_at.min(link_expires_at);
    Preview {
        organization: underway.contents.organization_name.clone(),
        request: if is_done { words::request_met(recipient.role) } else { words::request(recipient.role) },
        title: told(&underway.contents.title),
        message: underway.contents.message.as_ref().filter(|_| !is_over).map(told),
        recipient: told(&recipient.name),
        email: masked_email(&told(&recipient.email)),
        until: (!is_over).then(|| until.to_string()),
        needs: needs(recipient.factor, has_passkey),
        action: if is_over { "Open your receipt" } else { "Continue" },
        sandbox: underway.contents.environment == Environment::Sandbox,
    }
}

/// What identifies the recipient, before the session.
fn needs(factor: Factor, has_passkey: bool) -> &'static str {
    match (factor, has_passkey) {
        (Factor::Link, _) => "nothing more than this link",
        (Factor::EmailCode, _) => "a code that we send to this address",
        (Factor::AccessCode, _) => "the access code that the sender told you",
        (Factor::Totp, _) => "a code of the authenticator app that you sign in here with",
        (Factor::Passkey, false) => {
            "a code that we send to this address, and a device that unlocks with your finger, face or PIN, for a passkey"
        }
        (Factor::Passkey, true) => "the passkey that you made for this request",
    }
}

/// Whether the session that this browser has is of this link, and can still be gone on in.
fn goes_on(ceremony: &Ceremony, link: &LinkRow) -> Result<bool, Fault> {
    if ceremony.session.recipient != link.recipient {
        return Ok(false);
    }
    let open = ceremony.open()?;
    let has_codes = open.code_count < limits::CODES_PER_SESSION || ceremony.step != Step::Code;
    Ok(open.link == link.link && has_codes)
}

/// `POST /s/{envelope}/session`: opens a session, or goes on in the one that this browser opened with the same link.
pub async fn enter(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Json(key): strict::Json<Key>,
) -> Result<Response, Problem> {
    let Found { link, opened } = find(&app, envelope, &key).await?;
    if let Ok(ceremony) = Ceremony::enter(&app, &caller, envelope).await
        && goes_on(&ceremony, &link)?
    {
        return Ok(Json(next(&ceremony)).into_response());
    }
    let session = SessionId::new(app.now(), app.draw());
    let token = PlainToken::new(TokenKind::SigningSession, &app.draw());
    let row = SessionRow {
        tenant: link.tenant,
        session,
        cookie: token.hash(),
        envelope,
        recipient: link.recipient,
        nonce: Digest(app.draw()),
        created_at: app.now(),
        expires_at: end_of_session(app.now(), app.now()),
    };
    let asking = asking(&caller, &key, &link, session);
    let along = Along { rows: vec![Row::Session(row.clone())], ..Along::default() };
    let acted = envelopes::act_on(&app, &asking, opened, opening(&link, session), along).await?;
    let step = step_of(&app, &acted.opened, &row);
    let mut answer = Json(Next { next: Some(format!("/s/{envelope}/{}", step.path())) }).into_response();
    answer.headers_mut().insert(header::SET_COOKIE, set_cookie(envelope, &token)?);
    Ok(answer)
}

fn set_cookie(envelope: EnvelopeId, token: &PlainToken) -> Result<HeaderValue, Failure> {
    let name = session_cookie_name(envelope);
    let text = format!("{name}={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=86400", token.expose());
    let mut value =
        HeaderValue::from_str(&text).map_err(|error| Fault::Task(format!("a cookie: {error}")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn next(ceremony: &Ceremony) -> Next {
    Next { next: Some(format!("{}/{}", ceremony.base(), ceremony.step.path())) }
}

/// `POST /s/{envelope}/resume`: where to go on with the session that this browser has.
pub async fn resume(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
) -> Result<Response, Problem> {
    match Ceremony::enter(&app, &caller, envelope).await {
        Ok(ceremony) => Ok(Json(next(&ceremony)).into_response()),
        // A person without a session is no error here: the page says that the link is incomplete.
        Err(Failure::Refused(_)) => Ok(Json(Next { next: None }).into_response()),
        Err(failure) => Err(failure.into()),
    }
}
