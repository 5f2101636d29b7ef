//! Recovery codes: ten at a time, 80 random bits each, written so that people can copy them from paper.

use crate::id::{base32, from_base32};
use crate::secret::Secret;

/// Codes of a set.
pub const CODES: usize = 10;
/// Random bytes of a code.
pub const CODE_BYTES: usize = 10;
/// Characters between two dashes.
const GROUP_CHARS: usize = 4;

/// A code as it is shown: four groups of four characters.
pub fn text(code: &[u8; CODE_BYTES]) -> Secret<String> {
    let plain = base32(code);
    let mut text = String::with_capacity(plain.len() + 3);
    for (index, symbol) in plain.chars().enumerate() {
        if index > 0 && index % GROUP_CHARS == 0 {
            text.push('-');
        }
        text.push(symbol);
    }
    Secret::new(text)
}

/// A code as it was typed: in capitals or not, with or without dashes, and with the letters that look like digits.
pub fn read(typed: &str) -> Option<[u8; CODE_BYTES]> {
    let plain: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect();
    from_base32(&plain)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// a code that was written down is read again, however it was copied.
        #[test]
        fn a_code_survives_paper(code: [u8; CODE_BYTES]) {
            let shown = text(&code).expose().clone();
            prop_assert_eq!(shown.len(), 19);
            prop_assert_eq!(read(&shown), Some(code));
            prop_assert_eq!(read(&format!(" {} ", shown.to_uppercase().replace('-', " "))), Some(code));
            prop_assert_eq!(read(&shown.replace('0', "O").replace('1', "l")), Some(code));
        }
    }

    #[test]
    fn what_is_no_code_is_not_read() {
        for wrong in ["", "0000-0000-0000-000", "0000-0000-0000-00000", "uuuu-uuuu-uuuu-uuuu"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
