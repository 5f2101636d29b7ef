//! How the content of a page leaves the graphics state: stamps come after it, so what it saves and does not restore,
//! or restores and did not save, has to be known (ISO 32000-2 §8.4.2).

use crate::file::syntax::{is_delimiter, is_whitespace};

/// What has to stand before and after a content so that the graphics state after it is the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Restores without a save: that many saves belong before the content.
    pub(crate) missing_saves: usize,
    /// Saves without a restore: that many restores belong after it.
    pub(crate) missing_restores: usize,
}

impl Balance {
    /// What a content has to stand between that is followed by another.
    pub(crate) fn then(self, next: Self) -> Self {
        let restored_later = self.missing_restores.min(next.missing_saves);
        Self {
            missing_saves: self.missing_saves + next.missing_saves - restored_later,
            missing_restores: self.missing_restores + next.missing_restores - restored_later,
        }
    }

    /// Counts `q` and `Q` of a decoded content stream, outside strings, comments and inline images.
    pub(crate) fn of(content: &[u8]) -> Self {
        let mut balance = Self::default();
        let mut rest = content;
        while let Some((byte, after)) = rest.split_first() {
            rest = match byte {
                b'(' => skip_string(after),
                b'%' => skip_to(after, |byte| byte == b'\n' || byte == b'\r'),
                b'/' => skip_to(after, |byte| is_whitespace(byte) || is_delimiter(byte)),
                byte if is_whitespace(*byte) || is_delimiter(*byte) => after,
                _ => balance.operator(rest),
            };
        }
        balance
    }

    fn operator<'c>(&mut self, content: &'c [u8]) -> &'c [u8] {
        let is_regular = |byte: &&u8| !is_whitespace(**byte) && !is_delimiter(**byte);
        let length = content.iter().take_while(is_regular).count();
        let (token, after) = content.split_at_checked(length).unwrap_or((content, &[]));
        match token {
            b"q" => self.missing_restores += 1,
            b"Q" if self.missing_restores > 0 => self.missing_restores -= 1,
            b"Q" => self.missing_saves += 1,
            b"ID" => return skip_inline_image(after),
            _ => {}
        }
        after
    }
}

fn skip_to(bytes: &[u8], stop: impl Fn(u8) -> bool) -> &[u8] {
    let length = bytes.iter().take_while(|byte| !stop(**byte)).count();
    bytes.get(length..).unwrap_or_default()
}

fn skip_string(bytes: &[u8]) -> &[u8] {
    let mut open_count = 1_u32;
    let mut escaped = false;
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => open_count += 1,
            b')' => open_count -= 1,
            _ => {}
        }
        if open_count == 0 {
            return bytes.get(index + 1..).unwrap_or_default();
        }
    }
    &[]
}

/// An inline image ends at `EI` between white space.
fn skip_inline_image(bytes: &[u8]) -> &[u8] {
    let ends = |window: &[u8]| matches!(window, [before, b'E', b'I', after] if is_whitespace(*before) && is_whitespace(*after));
    match bytes.windows(4).position(ends) {
        Some(index) => bytes.get(index + 3..).unwrap_or_default(),
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saves_and_restores_are_counted_outside_strings_comments_names_and_images() {
        let balance = |content: &[u8]| {
            let Balance { missing_saves, missing_restores } = Balance::of(content);
            (missing_saves, missing_restores)
        };
        assert_eq!(balance(b"q 1 0 0 1 0 0 cm Q"), (0, 0));
        assert_eq!(balance(b"q q Q"), (0, 1));
        assert_eq!(balance(b"Q Q q"), (2, 1));
        assert_eq!(balance(b"(q \\) q (q) q) Tj % q q\n/q gs [q]"), (0, 1));
        assert_eq!(balance(b"BI /W 1 ID q q q EI Q q"), (1, 1));
        assert_eq!(balance(b"(never closed q"), (0, 0));
    }

    #[test]
    fn the_balance_of_streams_in_a_row_is_that_of_their_contents_in_one() {
        let parts: [&[u8]; 6] = [b"q q", b"Q", b"Q Q Q", b"", b"q Q q", b"Q q q"];
        for one in parts {
            for other in parts {
                let whole = [one, b"\n", other].concat();
                assert_eq!(Balance::of(one).then(Balance::of(other)), Balance::of(&whole));
            }
        }
    }
}
