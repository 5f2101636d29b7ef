//! What a person is told instead of a page of the console or of a consent: the refusal's own sentence, under a heading for its
//! kind. Recipients of envelopes have notices of their own (`signer/notice.rs`).

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_core::refusal::{Code, Kind, Refusal};

use super::spoken;
use crate::{
    fault::{Failure, Fault},
    http::problem::{Problem, status_of},
    signer::{answer::page, assets::Assets},
};

/// A page that is not shown, and why.
pub struct NotShown(Box<Response>);

#[derive(Template)]
#[template(path = "console/notice.html")]
struct NoticePage<'a> {
    assets: Assets,
    code: &'a str,
    heading: &'a str,
    sentence: &'a str,
    /// Whether there are ways on to show.
    leads_on: bool,
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::NotFound | Kind::Gone => "There is nothing to do here",
        Kind::Unauthenticated | Kind::Forbidden => "You may not do this",
        Kind::Conflict => "This has changed meanwhile",
        Kind::TooMany => "Too often",
        Kind::Unavailable | Kind::Timeout => "Not at this moment",
        _ => "This cannot be done",
    }
}

/// What a refusal says on a page: those about credentials speak to programs.
fn sentence(refusal: &Refusal) -> (String, bool) {
    let known = match refusal.code {
        Code::ScopeMissing => {
            "Your role does not allow this. Ask an owner or an admin of the organization if you need it."
        }
        Code::NotFound if *refusal == Refusal::not_found() => {
            "There is no such page, it has ended, or it is not yours to see."
        }
        _ => return (spoken(refusal), false),
    };
    (known.to_owned(), true)
}

fn told(status: StatusCode, code: &str, heading: &str, (sentence, leads_on): (&str, bool)) -> NotShown {
    let template = NoticePage { assets: Assets, code, heading, sentence, leads_on };
    NotShown(Box::new(page(&template, status).unwrap_or_else(|_| status.into_response())))
}

impl IntoResponse for NotShown {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Failure> for NotShown {
    fn from(failure: Failure) -> Self {
        if let Failure::Refused(refusal) = &failure {
            let kind = refusal.code.kind();
            let (sentence, leads_on) = sentence(refusal);
            return told(status_of(kind), refusal.code.text(), heading(kind), (&sentence, leads_on));
        }
        // Logged there, once.
        let problem = Problem::from(failure);
        let (status, code) = (problem.status(), problem.code());
        let sentence = "Nothing was changed by this. Please try again in a moment; if it stays like this, tell whoever runs \
                        this server.";
        told(status, code, "Something went wrong on our side", (sentence, true))
    }
}

impl From<Fault> for NotShown {
    fn from(fault: Fault) -> Self {
        Failure::from(fault).into()
    }
}

impl From<Refusal> for NotShown {
    fn from(refusal: Refusal) -> Self {
        Failure::from(refusal).into()
    }
}
