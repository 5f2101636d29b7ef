//! Security headers: the one place that sets them. Pages ask for theirs by putting a [`Page`] into their answer.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};

/// Marks an answer as a page: it gets the policy of pages instead of the API's.
#[derive(Clone, Copy, Debug)]
pub struct Page;

/// Marks an answer that may be cached for ever, because what it is called never means anything else.
#[derive(Clone, Copy, Debug)]
pub struct Immutable;

/// Lets the forms of a page lead to one other origin as well: browsers hold redirects after a form to the same rule.
#[derive(Clone, Debug)]
pub struct FormsTo(pub String);

/// Marks an answer that everybody may keep for so many seconds.
#[derive(Clone, Copy, Debug)]
pub struct KeptFor(pub i64);

/// The policy of pages: nothing inline, no other origin, Trusted Types with one policy for the reader's worker.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; \
    img-src 'self' blob: data:; font-src 'self'; style-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types pdf-worker";

/// The policy of everything else: a browser may do nothing with it.
pub const API_POLICY: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const ALWAYS: [(HeaderName, HeaderValue); 7] = [
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// Sets the headers of an answer.
pub fn secure(response: &mut Response) {
    let is_page = response.extensions().get::<Page>().is_some();
    let forms_to = response.extensions().get::<FormsTo>().cloned();
    let is_immutable = response.extensions().get::<Immutable>().is_some();
    let kept = response.extensions().get::<KeptFor>().copied();
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    let policy = HeaderValue::from_static(if is_page { PAGE_POLICY } else { API_POLICY });
    let wider = forms_to.filter(|_| is_page).and_then(|FormsTo(origin)| {
        let is_one_source =
            origin.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'\''));
        let policy = PAGE_POLICY.replace("form-action 'self'", &format!("form-action 'self' {origin}"));
        HeaderValue::try_from(policy).ok().filter(|_| is_one_source)
    });
    headers.insert(header::CONTENT_SECURITY_POLICY, wider.unwrap_or(policy));
    let caching = match (is_immutable, kept) {
        (true, _) => HeaderValue::from_static("public, max-age=31536000, immutable"),
        (false, Some(KeptFor(seconds))) => HeaderValue::try_from(format!("public, max-age={seconds}"))
            .unwrap_or(HeaderValue::from_static("no-store")),
        (false, None) => HeaderValue::from_static("no-store"),
    };
    headers.insert(header::CACHE_CONTROL, caching);
}
