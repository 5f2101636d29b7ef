//! Security headers: the one place that sets them. Pages ask for theirs by putting a [`Page`] into their answer.

use std::net::IpAddr;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};

use crate::{config::Config, fault::Fault};

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

/// For two years nothing but HTTPS goes to this host (RFC 6797), whatever the port.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

const ALWAYS: [(HeaderName, HeaderValue); 6] = [
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

/// Whether browsers may be told to come over HTTPS alone: not to this machine, whose other ports are other programs', and not
/// while the certificate is of the development CA, which goes away.
pub fn is_strict(config: &Config) -> Result<bool, Fault> {
    let host = config.public_host()?;
    let is_loopback = host.parse::<IpAddr>().map_or_else(
        |_| host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
        |address| address.to_canonical().is_loopback(),
    );
    let is_development = !config.server.plain_http && config.server.tls_certificates.is_none();
    Ok(!is_loopback && !is_development)
}

/// Sets the headers of an answer.
pub fn secure(response: &mut Response, is_strict: bool) {
    let is_page = response.extensions().get::<Page>().is_some();
    let forms_to = response.extensions().get::<FormsTo>().cloned();
    let is_immutable = response.extensions().get::<Immutable>().is_some();
    let kept = response.extensions().get::<KeptFor>().copied();
    let headers = response.headers_mut();
    if is_strict {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// S-2: a server on this machine, and one with a certificate of the development CA, force HTTPS on nobody.
    #[test]
    fn only_a_real_host_with_a_real_certificate_is_strict() {
        let strict = |url: &str, certificate: Option<&str>, plain_http: bool| {
            let mut config = Config::default();
            config.server.public_url = url.to_owned();
            config.server.tls_certificates = certificate.map(Into::into);
            config.server.plain_http = plain_http;
            is_strict(&config).unwrap()
        };
        for (url, own, proxy, development) in [
            ("https://sign.example.com", true, true, false),
            ("https://203.0.113.7:8443", true, true, false),
            ("https://localhost:8443", false, false, false),
            ("https://LOCALHOST", false, false, false),
            ("https://sign.localhost", false, false, false),
            ("https://127.0.0.1:8443", false, false, false),
            ("https://127.8.7.6", false, false, false),
            ("https://[::1]:8443", false, false, false),
        ] {
            assert_eq!(strict(url, Some("tls.pem"), false), own, "{url}");
            assert_eq!(strict(url, None, true), proxy, "{url} behind a proxy");
            assert_eq!(strict(url, None, false), development, "{url} under the development CA");
        }
    }

    /// S-2: what is decided stands in the answer.
    #[test]
    fn an_answer_is_strict_or_not() {
        for is_strict in [true, false] {
            let mut response = Response::default();
            secure(&mut response, is_strict);
            assert_eq!(response.headers().contains_key(header::STRICT_TRANSPORT_SECURITY), is_strict);
        }
    }
}
