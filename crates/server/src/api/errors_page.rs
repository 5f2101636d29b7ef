//! `GET /docs/errors`: the page that the `type` of every problem points to, and the same as Markdown. All words come
//! from where the codes are defined.

use std::fmt::Write as _;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::refusal::Code;
use countersign_pdf::inspect;

use crate::http::{
    headers::Page,
    problem::{INTERNAL, status_of},
};

/// What there is to say about one code.
struct Entry {
    status: u16,
    code: &'static str,
    title: &'static str,
    advice: &'static str,
}

/// Every error, by code.
fn all() -> Vec<Entry> {
    let of_code = |code: &Code| Entry {
        status: status_of(code.kind()).as_u16(),
        code: code.text(),
        title: code.title(),
        advice: code.advice(),
    };
    let mut all: Vec<_> = Code::ALL.iter().map(of_code).collect();
    all.push(Entry { status: 500, code: INTERNAL.0, title: INTERNAL.1, advice: INTERNAL.2 });
    all.sort_by_key(|entry| entry.code);
    all
}

/// `docs/errors.md`.
pub fn markdown() -> String {
    let mut text = "# Errors\n\nEvery error answer is `application/problem+json` (RFC 9457). `code` never changes its \
        meaning, `detail` says\nwhat to do, `request_id` names the request in the logs. For `pdf_refused`, `reason` is \
        the code of the inspection;\n[pdf.md](pdf.md) lists them.\n\n| status | code | meaning | what to do |\n\
        |---|---|---|---|\n"
        .to_owned();
    for Entry { status, code, title, advice } in all() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {status} | <a id=\"{code}\"></a>`{code}` | {title} | {advice} |");
    }
    text
}

/// The page.
pub async fn serve() -> Response {
    let mut response = html().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.extensions_mut().insert(Page);
    response
}

fn html() -> String {
    let mut html = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
        <meta name=\"viewport\" content=\"width=device-width\">\n<title>Errors · Countersign</title>\n\
        <h1>Errors</h1>\n"
        .to_owned();
    for Entry { status, code, title, advice } in all() {
        // Writing to a string cannot fail.
        let _ = write!(
            html,
            "<h2 id=\"{code}\"><code>{code}</code></h2>\n<p><strong>{}</strong> (HTTP status {status})</p>\n<p>{}</p>\n",
            marked_up(title),
            marked_up(advice),
        );
        if code == Code::PdfRefused.text() {
            html.push_str(&reasons());
        }
    }
    html.push_str("</html>\n");
    html
}

/// The reasons of `pdf_refused`. The numbers in their sentences are examples.
fn reasons() -> String {
    let mut html = "<p>Its reasons (numbers are examples):</p>\n<dl>\n".to_owned();
    for refusal in inspect::Refusal::examples() {
        // Writing to a string cannot fail.
        let _ = writeln!(html, "<dt><code>{}</code><dd>{}", refusal.code(), marked_up(&refusal.sentence()));
    }
    html.push_str("</dl>\n");
    html
}

/// Our own words as HTML: code is between backticks, and nothing else is markup.
fn marked_up(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    let parts = escaped.split('`').enumerate();
    let parts = parts
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() });
    parts.collect()
}
