//! How pages answer: a page, a way to the right page, or a notice.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::{access::Environment, envelope::State, id::EnvelopeId, refusal::Code};

use super::{
    assets::Assets,
    ceremony::Ceremony,
    notice::{self, Notice, NoticePage},
    step::Step,
    strict::Caller,
};
use crate::{
    app::App,
    fault::{Failure, Fault},
    http::{
        auth,
        headers::Page,
        problem::{About, Problem, status_of},
    },
};

/// A page that is not shown, and why: a notice for people.
pub struct Unshown(Box<Response>);

impl IntoResponse for Unshown {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Failure> for Unshown {
    fn from(failure: Failure) -> Self {
        // Making the problem logs what broke, once; its words are for programs, and people get a notice.
        let problem = Problem::from(failure);
        Self(Box::new(notice(Notice::named(problem.code()), problem.status(), None, None)))
    }
}

impl From<Fault> for Unshown {
    fn from(fault: Fault) -> Self {
        Failure::from(fault).into()
    }
}

/// A page.
pub fn page(template: &impl Template, status: StatusCode) -> Result<Response, Fault> {
    let html = template.render().map_err(|error| Fault::Task(format!("a page: {error}")))?;
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
    let mut response = (status, headers, html).into_response();
    response.extensions_mut().insert(Page);
    Ok(response)
}

fn notice(
    notice: &'static Notice,
    status: StatusCode,
    about: Option<About>,
    reason: Option<String>,
) -> Response {
    let template = NoticePage { assets: Assets, notice, about, reason };
    page(&template, status).unwrap_or_else(|_| status.into_response())
}

/// Enters a page with the session of this browser, or says why it cannot be shown.
pub async fn enter(app: &App, caller: &Caller, envelope: EnvelopeId) -> Result<Ceremony, Unshown> {
    let entered = Ceremony::enter(app, caller, envelope).await;
    entered.map_err(|failure| match failure {
        // Who never had a session here is not told that it ended.
        Failure::Refused(refusal)
            if refusal.code == Code::SessionEnded && !auth::has_session_cookie(&caller.headers, envelope) =>
        {
            let status = status_of(refusal.code.kind());
            Unshown(Box::new(notice(Notice::named("session_missing"), status, None, None)))
        }
        other => other.into(),
    })
}

/// The way to another page of the ceremony, after a form or from an address that is not right now (303).
pub fn go(path: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(path) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// What to answer instead of a page that is right in other steps: the way to the right one, or a notice.
pub fn elsewhere(ceremony: &Ceremony) -> Response {
    match ceremony.step {
        Step::Notice(code) => notice_in(ceremony, code),
        step => go(&format!("{}/{}", ceremony.base(), step.path())),
    }
}

/// A notice for a recipient in a session: it names what was sent, unless it may not be known yet.
fn notice_in(ceremony: &Ceremony, code: Code) -> Response {
    let is_known = code != Code::FactorLocked && code != Code::NotFound;
    let contents = ceremony.contents().ok().filter(|_| is_known);
    let by_you = matches!(&ceremony.opened.folded.state,
        State::Declined(_, by, _) if *by == ceremony.session.recipient);
    let about = contents.map(|contents| About {
        organization: contents.organization_name.clone(),
        title: ceremony.title(),
        is_sandbox: contents.environment == Environment::Sandbox,
        by_you,
    });
    match &ceremony.opened.folded.state {
        // One's own act went well.
        State::Declined(..) if by_you => {
            notice(Notice::named(notice::YOU_DECLINED), StatusCode::OK, about, None)
        }
        State::Voided(_, Some(reason)) => {
            let reason = reason.value().map(|reason| reason.disclose().clone());
            notice(Notice::named(code.text()), status_of(code.kind()), about, reason)
        }
        _ => notice(Notice::named(code.text()), status_of(code.kind()), about, None),
    }
}
