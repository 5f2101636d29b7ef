//! How pages answer: a page, a way to the right page, or a notice.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::{envelope::State, refusal::Code};

use super::{
    assets::Assets,
    ceremony::Ceremony,
    notice::{Notice, NoticePage},
    step::Step,
};
use crate::{
    fault::{Failure, Fault},
    http::{
        headers::Page,
        problem::{Problem, status_of},
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
        Self(Box::new(notice(problem.code(), problem.status(), None, None)))
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

fn notice(code: &str, status: StatusCode, title: Option<String>, reason: Option<String>) -> Response {
    let template = NoticePage { assets: Assets, notice: Notice::named(code), title, reason };
    page(&template, status).unwrap_or_else(|_| status.into_response())
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
        Step::Notice(code) => {
            let title = (code != Code::FactorLocked && code != Code::NotFound).then(|| ceremony.title());
            let reason = match &ceremony.opened.folded.state {
                State::Voided(_, Some(reason)) => reason.value().map(|reason| reason.disclose().clone()),
                _ => None,
            };
            notice(code.text(), status_of(code.kind()), title, reason)
        }
        step => go(&format!("{}/{}", ceremony.base(), step.path())),
    }
}
