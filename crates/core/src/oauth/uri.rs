//! Absolute URIs, taken apart strictly (RFC 3986): as a client registers them, and normalised as DPoP compares them.

use thiserror::Error;

/// Longest URI, in bytes.
const URI_BYTES: usize = 2_048;

/// Text that is no absolute URI of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is not an absolute URI in ASCII, without a user, of 2048 characters at most (RFC 3986)")]
pub struct NotAUri;

/// An absolute URI, taken apart and otherwise as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// What stands before the first colon.
    pub scheme: &'a str,
    /// Host and port, for a URI that has `//`.
    pub authority: Option<Authority<'a>>,
    /// The path; it may be empty.
    pub path: &'a str,
    /// What stands behind `?`.
    pub query: Option<&'a str>,
    /// What stands behind `#`.
    pub fragment: Option<&'a str>,
}

/// Host and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host, of IPv6 with its brackets.
    pub host: &'a str,
    /// The digits behind the colon, where there are some.
    pub port: Option<u16>,
}

impl<'a> Uri<'a> {
    /// Takes a URI apart.
    pub fn parse(text: &'a str) -> Result<Self, NotAUri> {
        if text.len() > URI_BYTES || !text.bytes().all(may_stand) || !percents_are_whole(text) {
            return Err(NotAUri);
        }
        let (scheme, rest) = text.split_once(':').ok_or(NotAUri)?;
        let tail = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(tail) {
            return Err(NotAUri);
        }
        let (rest, fragment) = split_before(rest, '#');
        let (rest, query) = split_before(rest, '?');
        if fragment.is_some_and(|fragment| fragment.contains('#')) {
            return Err(NotAUri);
        }
        let Some(after) = rest.strip_prefix("//") else {
            return Ok(Self { scheme, authority: None, path: rest, query, fragment });
        };
        let at = after.find('/').unwrap_or(after.len());
        let (authority, path) = after.split_at_checked(at).ok_or(NotAUri)?;
        Ok(Self { scheme, authority: Some(Authority::parse(authority)?), path, query, fragment })
    }

    /// Whether it begins with this scheme, in any case of letters (RFC 3986 §3.1).
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The URI without query and fragment, normalised by syntax and by scheme (RFC 3986 §6.2.2, §6.2.3): what DPoP
    /// compares as `htu` (RFC 9449 §4.3).
    pub fn target(&self) -> Result<String, NotAUri> {
        let scheme = self.scheme.to_ascii_lowercase();
        let authority = self.authority.ok_or(NotAUri)?;
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(NotAUri),
        };
        let port = authority.port.filter(|port| *port != default);
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        if authority.host.contains('%') {
            return Err(NotAUri);
        }
        let host = authority.host.to_ascii_lowercase();
        let path = without_dots(&decode_unreserved(self.path));
        Ok(format!("{scheme}://{host}{port}{path}"))
    }
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str) -> Result<Self, NotAUri> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let end = rest.find(']').ok_or(NotAUri)?;
                text.split_at_checked(end + 2).ok_or(NotAUri)?
            }
            None => text.split_at_checked(text.find(':').unwrap_or(text.len())).ok_or(NotAUri)?,
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| NotAUri)?)
            }
            _ => return Err(NotAUri),
        };
        let is_literal = host.starts_with('[');
        let inner = host.trim_start_matches('[').trim_end_matches(']');
        let fits = if is_literal {
            inner.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty() && !host.contains(['@', '[', ']', ','])
        };
        if fits { Ok(Self { host, port }) } else { Err(NotAUri) }
    }
}

/// The part before `mark`, and what follows it.
fn split_before(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// The characters of RFC 3986 §2.2 and §2.3, and `%`.
fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

fn percents_are_whole(text: &str) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    let after = |at: usize| digit(bytes.get(at + 1)) && digit(bytes.get(at + 2));
    bytes.iter().enumerate().all(|(at, byte)| *byte != b'%' || after(at))
}

/// Percent-encoded octets in upper case, and decoded where they stand for an unreserved character (RFC 3986 §6.2.2).
fn decode_unreserved(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            decoded.push(character);
            continue;
        }
        let digits: String = rest.by_ref().take(2).collect();
        let octet = u8::from_str_radix(&digits, 16).map(char::from);
        match octet {
            Ok(octet) if octet.is_ascii_alphanumeric() || "-._~".contains(octet) => decoded.push(octet),
            _ => {
                decoded.push('%');
                decoded.push_str(&digits.to_ascii_uppercase());
            }
        }
    }
    decoded
}

/// The path without `.` and `..` (RFC 3986 §5.2.4); an empty one is `/`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<_> = path.split('/').skip(1).collect();
    let last = segments.len().saturating_sub(1);
    for (index, segment) in segments.into_iter().enumerate() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if index == last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(text: &str) -> Result<String, NotAUri> {
        Uri::parse(text)?.target()
    }

    /// the equivalences of RFC 3986 §6.2.2 and §6.2.3, and nothing else.
    #[test]
    fn equivalent_uris_have_one_target() {
        let same = [
            "https://sign.test/oauth/token",
            "HTTPS://SIGN.test:443/oauth/token",
            "https://sign.test:/oauth/./x/../token",
            "https://sign.test/oauth/%74oken?query#fragment",
            "https://sign.test/%6fauth/token",
        ];
        for text in same {
            assert_eq!(target(text).as_deref(), Ok("https://sign.test/oauth/token"), "{text}");
        }
        let others = [
            "http://sign.test/oauth/token",
            "https://sign.test:8443/oauth/token",
            "https://sign.test/oauth/token/",
            "https://sign.test/oauth//token",
            "https://sign.test/OAuth/token",
            "https://sign.test/oauth%2Ftoken",
        ];
        for text in others {
            assert_ne!(target(text).as_deref(), Ok("https://sign.test/oauth/token"), "{text}");
        }
        assert_eq!(target("https://sign.test").as_deref(), Ok("https://sign.test/"));
        assert_eq!(target("https://sign.test/a/..").as_deref(), Ok("https://sign.test/"));
        assert_eq!(target("https://sign.test/%c3%a9").as_deref(), Ok("https://sign.test/%C3%A9"));
        assert_eq!(target("http://[::1]:80/x").as_deref(), Ok("http://[::1]/x"));
    }

    #[test]
    fn what_is_no_absolute_uri_is_refused() {
        for text in [
            "",
            "/oauth/token",
            "sign.test",
            "https://",
            "https://user@sign.test/",
            "https://a:b@sign.test/",
            "https://sign.test:x/",
            "https://sign.test:99999/",
            "https://sign.test/\u{e9}",
            "https://sign.test/ x",
            "https://sign.test/%zz",
            "https://sign.test/%2",
            "1ttps://sign.test/",
            "https://[::1/",
            "https://[x]/",
            "https://sign.test/\\",
            "https://sign.test/#a#b",
        ] {
            assert_eq!(Uri::parse(text), Err(NotAUri), "{text}");
        }
        assert!(target("app.example:/callback").is_err());
    }

    proptest! {
        /// normalising twice changes nothing.
        #[test]
        fn a_target_is_its_own_target(path in "(/[a-zA-Z.%27AF~]{0,6}){0,5}") {
            if let Ok(once) = target(&format!("https://sign.test{path}")) {
                prop_assert_eq!(target(&once), Ok(once));
            }
        }

        #[test]
        fn no_text_makes_it_stumble(text: String) {
            let _ = target(&text);
        }
    }
}
