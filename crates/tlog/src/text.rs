//! The strict pieces that every C2SP text format shares: decimals without leading zeros and canonical base64.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Reads an ASCII decimal with no sign and no leading zero, except `0` itself.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Encodes as RFC 4648 §4 with padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes RFC 4648 §4; refuses missing padding and non-zero trailing bits, so that each value has one spelling.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// True for the characters that no signed note may hold: ASCII controls other than newline (signed-note §Format).
pub(crate) fn is_forbidden_control(character: char) -> bool {
    character < ' ' && character != '\n'
}
