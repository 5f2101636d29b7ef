//! The one guard against requests that another site makes a browser send: nothing changes here without proof that the
//! request began on one of our own pages.

use axum::http::{HeaderMap, Method, header::ORIGIN};
use countersign_core::refusal::{Code, Refusal};

/// Refuses a request that may change something, unless the browser says that it began on `public_url`.
///
/// `Sec-Fetch-Site` (Fetch Metadata) decides where it is sent; an older browser's `Origin` must be ours.
pub fn check(public_url: &str, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if method.is_safe() {
        return Ok(());
    }
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = match header("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => header(ORIGIN.as_str()) == Some(public_url),
    };
    if is_own {
        return Ok(());
    }
    Err(Refusal::new(Code::CrossSite, "this request came from another site; open the link from your mail again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (axum::http::HeaderName::from_static(name), (*value).parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_our_own_pages_may_change_something() {
        let own = "https://sign.example.com";
        let may = |pairs: &[(&'static str, &'static str)]| check(own, &Method::POST, &headers(pairs)).is_ok();
        assert!(may(&[("sec-fetch-site", "same-origin")]));
        assert!(may(&[("origin", "https://sign.example.com")]));
        assert!(!may(&[]));
        assert!(!may(&[("sec-fetch-site", "same-site")]));
        assert!(!may(&[("sec-fetch-site", "cross-site"), ("origin", "https://sign.example.com")]));
        assert!(!may(&[("sec-fetch-site", "none")]));
        assert!(!may(&[("origin", "https://sign.example.com.evil.test")]));
        assert!(!may(&[("origin", "null")]));
        assert!(check(own, &Method::GET, &headers(&[("sec-fetch-site", "cross-site")])).is_ok());
    }
}
