//! Addresses of accounts: read leniently, compared in one form.

use crate::{
    limits,
    refusal::{Code, Refusal},
    secret::Personal,
};

/// An address as its owner writes it, without the spaces around it. It has one `@` with something on both sides, and
/// no space or control character; whether it exists only a mail can tell.
pub fn read(text: &str) -> Result<Personal<String>, Refusal> {
    let text = text.trim();
    let refused = || Refusal::at(Code::Invalid, "/email", "an e-mail address looks like name@example.com");
    let (local, domain) = text.rsplit_once('@').ok_or_else(refused)?;
    let is_plain = !text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ','));
    let is_short = text.chars().count() <= limits::EMAIL_CHARS;
    if local.is_empty() || domain.is_empty() || local.contains('@') || !is_plain || !is_short {
        return Err(refused());
    }
    Ok(Personal::new(text.to_owned()))
}

/// The form in which two addresses are compared: lower case.
pub fn compared(email: &Personal<String>) -> String {
    email.disclose().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_two_sides_and_no_spaces() {
        let read = |text| read(text).map(|email| compared(&email)).ok();
        assert_eq!(read(" Ada@Example.com "), Some("ada@example.com".to_owned()));
        for wrong in
            ["", "ada", "@example.com", "ada@", "a@b@c", "a da@example.com", "a@b\r\nBcc: c", "<a@b>"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read(&format!("{}@b", "a".repeat(limits::EMAIL_CHARS))), None);
    }
}
