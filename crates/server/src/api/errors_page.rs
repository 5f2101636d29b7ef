//! `GET /docs/errors`: the page that the `type` of every problem points to, and the same as Markdown.

use std::fmt::Write as _;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::refusal::Code;

use crate::http::{
    headers::Page,
    problem::{INTERNAL, status_of},
};

/// Status, code and title of every error, by code.
fn all() -> Vec<(u16, &'static str, &'static str)> {
    let mut all: Vec<_> =
        Code::ALL.iter().map(|code| (status_of(code.kind()).as_u16(), code.text(), code.title())).collect();
    all.push((500, INTERNAL.0, INTERNAL.1));
    all.sort_by_key(|(_, code, _)| *code);
    all
}

/// `docs/errors.md`.
pub fn markdown() -> String {
    let mut text = "# Errors\n\nEvery error answer is `application/problem+json` (RFC 9457). `code` never changes its \
        meaning, `detail` says\nwhat to do, `request_id` names the request in the logs. For `pdf_refused`, `reason` is \
        the code of the inspection.\n\n| status | code | meaning |\n|---|---|---|\n"
        .to_owned();
    for (status, code, title) in all() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {status} | <a id=\"{code}\"></a>`{code}` | {title} |");
    }
    text
}

/// The page.
pub async fn serve() -> Response {
    let mut html = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Errors · Countersign</title>\n\
        <h1>Errors</h1>\n<table>\n<tr><th>status<th>code<th>meaning\n"
        .to_owned();
    for (status, code, title) in all() {
        // Writing to a string cannot fail. Codes and titles are ours and hold no markup.
        let _ = writeln!(html, "<tr id=\"{code}\"><td>{status}<td><code>{code}</code><td>{title}");
    }
    html.push_str("</table>\n</html>\n");
    let mut response = html.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.extensions_mut().insert(Page);
    response
}
