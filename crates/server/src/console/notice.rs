//! What a person is told instead of a page of the console or of a consent: the refusal's own sentence, under a heading for its
//! kind. Recipients of envelopes have notices of their own (`signer/notice.rs`).

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_core::refusal::Kind;

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

fn told(status: StatusCode, code: &str, heading: &str, sentence: &str) -> NotShown {
    let template = NoticePage { assets: Assets, code, heading, sentence };
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
            return told(status_of(kind), refusal.code.text(), heading(kind), &refusal.sentence);
        }
        // Logged there, once.
        let problem = Problem::from(failure);
        let (status, code) = (problem.status(), problem.code());
        let sentence = "Nothing was changed by this. Please try again in a moment; if it stays like this, tell whoever runs \
                        this server.";
        told(status, code, "Something went wrong on our side", sentence)
    }
}

impl From<Fault> for NotShown {
    fn from(fault: Fault) -> Self {
        Failure::from(fault).into()
    }
}
