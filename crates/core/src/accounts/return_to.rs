//! Where a page may lead after signing in: to a page of this server that is known here, and nowhere else. An address that
//! is not read as one leads to the account page, so that nobody can send people elsewhere through the sign-in page.

/// An address on this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

/// Longest address.
const CHARS: usize = 200;
/// Pages with nothing after them.
const PAGES: &[&str] = &["/account", "/welcome", "/console"];
/// Pages with something after them.
const FOLDERS: &[&str] = &["/oauth/authorize/", "/account/", "/console/"];

impl ReturnTo {
    /// The address in a parameter, if a page may lead there; the account page otherwise.
    pub fn read(text: Option<&str>) -> Self {
        let known = text.filter(|text| Self::is_known(text));
        Self(known.unwrap_or("/account").to_owned())
    }

    fn is_known(text: &str) -> bool {
        // Browsers read `\` as `/`, and drop tabs and ends of lines: nothing but these characters can be in it.
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-'));
        let is_flat = !text.contains("//") && text.len() <= CHARS;
        let is_page = PAGES.contains(&text) || FOLDERS.iter().any(|folder| text.starts_with(folder));
        is_plain && is_flat && is_page
    }

    /// The address.
    pub fn path(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// the sign-in page leads to this server's own pages alone.
    #[test]
    fn nobody_is_led_to_another_site() {
        for known in [
            "/account",
            "/account/codes",
            "/console",
            "/console/members",
            "/welcome",
            "/oauth/authorize/csp_0a",
        ] {
            assert_eq!(ReturnTo::read(Some(known)).path(), known);
        }
        for wrong in [
            "",
            "/",
            "account",
            "//evil.test",
            "/\\evil.test",
            "https://evil.test",
            "/account//evil.test",
            "/account/../s/x",
            "/accounts",
            "/account?x=//evil.test",
            "/account#x",
            "/console\t/x",
            "javascript:alert(1)",
            "/signin",
            "/s/env_1",
            "/oauth/token",
            "/%2fevil.test",
            "/account/%0d%0aSet-Cookie:x",
        ] {
            assert_eq!(ReturnTo::read(Some(wrong)).path(), "/account", "{wrong}");
        }
        assert_eq!(ReturnTo::read(None).path(), "/account");
    }

    proptest! {
        /// Whatever is asked, the answer is an address of this server.
        #[test]
        fn every_address_is_of_this_server(text in ".{0,60}") {
            let read = ReturnTo::read(Some(&text));
            prop_assert!(read.path().starts_with('/') && !read.path().contains("//") && !read.path().contains('\\'));
        }
    }
}
