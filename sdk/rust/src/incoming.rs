//! A request as it came in, or as it will: what a verifier reads, and what a sender signs.

use thiserror::Error;

use crate::headers;
use crate::ids::KeyId;
use crate::refused::{Problem, Refused};

/// Where a request was sent: what an HTTP Message Signature covers of its URL.
///
/// Behind a proxy that rewrites it, give the URL that the endpoint is registered with: see [`Place::of_url`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// `https`, or `http` on a developer's machine.
    pub scheme: &'a str,
    /// Host, and port where it is not that of the scheme: the `host` header, or `:authority` in HTTP/2.
    pub authority: &'a str,
    /// The path as it was sent, percent-encoding and all.
    pub path: &'a str,
    /// What is after the question mark, where there is one.
    pub query: Option<&'a str>,
}

/// A text that is no URL a webhook is sent to.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "this is no URL of an endpoint: give https://host/path in ASCII, without user, password and fragment"
)]
pub struct NotAPlace;

impl<'a> Place<'a> {
    /// Takes a URL apart, without changing any part.
    pub fn of_url(url: &'a str) -> Result<Self, NotAPlace> {
        let (scheme, rest) = url.split_once("://").ok_or(NotAPlace)?;
        if !matches!(scheme, "http" | "https") || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotAPlace);
        }
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = match rest.find('/').and_then(|position| rest.split_at_checked(position)) {
            Some(parts) => parts,
            None => (rest, "/"),
        };
        if authority.is_empty() || authority.contains('@') || url.contains('#') {
            return Err(NotAPlace);
        }
        Ok(Self { scheme, authority, path, query })
    }

    /// `@authority`: in lower case, without the scheme's own port (RFC 9421 §2.2.3).
    pub(crate) fn normal_authority(&self) -> String {
        let own_port = if self.scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
        self.authority.strip_suffix(own_port).unwrap_or(self.authority).to_ascii_lowercase()
    }

    /// `@path`: an empty one is a slash (RFC 9421 §2.2.6).
    pub(crate) fn normal_path(&self) -> &'a str {
        if self.path.is_empty() { "/" } else { self.path }
    }
}

/// A request: nothing of it is believed yet.
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    method: &'a str,
    place: Place<'a>,
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// Takes a request: its headers as they came in (names in any case, repeated ones repeated), and its body byte
    /// for byte. `http::HeaderMap::iter` fits, and so do pairs of texts.
    pub fn new<N, V>(
        method: &'a str,
        place: Place<'a>,
        headers: impl IntoIterator<Item = (&'a N, &'a V)>,
        body: &'a [u8],
    ) -> Self
    where
        N: AsRef<str> + ?Sized + 'a,
        V: AsRef<[u8]> + ?Sized + 'a,
    {
        let headers = headers.into_iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        Self { method, place, headers, body }
    }

    /// The keys that the message says it was signed with. Nothing of it is verified: it serves to ask a
    /// [`KeyCache`](crate::KeyCache).
    pub fn key_ids(&self) -> Result<Vec<KeyId>, Refused> {
        headers::key_ids(self)
    }

    pub(crate) fn method(&self) -> &'a str {
        self.method
    }

    pub(crate) fn place(&self) -> &Place<'a> {
        &self.place
    }

    pub(crate) fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The values of all lines of a header.
    pub(crate) fn lines<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.headers
            .iter()
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The value of a header that may be there once, of at most `bytes_max` printable ASCII characters.
    pub(crate) fn optional(&self, name: &'static str, bytes_max: usize) -> Result<Option<&'a str>, Refused> {
        let mut lines = self.lines(name);
        let Some(line) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(Refused::malformed(name, Problem::Repeated));
        }
        if line.len() > bytes_max {
            return Err(Refused::malformed(name, Problem::TooLong));
        }
        printable(line).map(Some).ok_or(Refused::malformed(name, Problem::NotInForm))
    }

    /// The value of a header that has to be there once.
    pub(crate) fn required(&self, name: &'static str, bytes_max: usize) -> Result<&'a str, Refused> {
        self.optional(name, bytes_max)?.ok_or(Refused::malformed(name, Problem::Missing))
    }
}

/// A header's value as text, where it is printable ASCII and nothing else.
pub(crate) fn printable(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_not_changed() {
        let place = |url| Place::of_url(url).unwrap();
        let full = place("https://Hooks.example.com:443/in/%7Ea?x=1&y=?");
        assert_eq!(
            (full.authority, full.path, full.query),
            ("Hooks.example.com:443", "/in/%7Ea", Some("x=1&y=?"))
        );
        assert_eq!(full.normal_authority(), "hooks.example.com");
        let bare = place("http://[::1]:8080");
        assert_eq!((bare.authority, bare.path, bare.query), ("[::1]:8080", "/", None));
        assert_eq!(bare.normal_authority(), "[::1]:8080");
        assert_eq!(place("https://a?b/c").query, Some("b/c"));
        for bad in [
            "",
            "a",
            "ftp://a/",
            "https://",
            "https:///x",
            "https://u:p@a/",
            "https://a/#b",
            "https://ä/",
            "https://a/ b",
        ] {
            assert_eq!(Place::of_url(bad), Err(NotAPlace), "{bad}");
        }
    }
}
