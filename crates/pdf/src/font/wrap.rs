//! Breaks a text into lines that fit a width, without ever losing a character.

use super::shape::Line;
use super::{FontSubsets, Typeface};

/// Shapes `text` into lines of at most `width_em` ems. Breaks at line feeds, spaces and between ideographs, else
/// after punctuation inside long words (addresses, paths), else anywhere. One character always fits.
pub(crate) fn wrap(
    subsets: &mut FontSubsets<'_>,
    typeface: Typeface,
    text: &str,
    width_em: f64,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let whole = Line::shape(subsets, typeface, paragraph);
        if whole.width_em <= width_em {
            lines.push(whole);
            continue;
        }
        let mut current = String::new();
        let mut current_em = 0.0;
        for word in pieces(paragraph) {
            let (solid_em, spaced_em) = measure(subsets, typeface, word);
            if current_em + solid_em <= width_em {
                current.push_str(word);
                current_em += spaced_em;
                continue;
            }
            if !current.trim().is_empty() {
                lines.push(Line::shape(subsets, typeface, current.trim_end()));
            }
            current = break_long(subsets, typeface, word, width_em, &mut lines);
            current_em = measure(subsets, typeface, &current).1;
        }
        if !current.trim().is_empty() || lines.is_empty() {
            lines.push(Line::shape(subsets, typeface, current.trim_end()));
        }
    }
    lines
}

/// Width of a word in ems, without and with the spaces after it.
fn measure(subsets: &mut FontSubsets<'_>, typeface: Typeface, word: &str) -> (f64, f64) {
    let spaced = Line::measure(subsets, typeface, word);
    let solid = word.trim_end();
    if solid.len() == word.len() {
        return (spaced, spaced);
    }
    (Line::measure(subsets, typeface, solid), spaced)
}

/// Puts full lines of a word that is longer than a line; gives back what is left of it.
fn break_long(
    subsets: &mut FontSubsets<'_>,
    typeface: Typeface,
    word: &str,
    width_em: f64,
    lines: &mut Vec<Line>,
) -> String {
    let mut rest = word;
    loop {
        let window = beginning(rest);
        if window.len() == rest.len() && measure(subsets, typeface, rest).0 <= width_em {
            return rest.to_owned();
        }
        let at = longest_prefix(subsets, typeface, window, width_em);
        let Some((head, tail)) = rest.split_at_checked(at) else { return rest.to_owned() };
        lines.push(Line::shape(subsets, typeface, head));
        rest = tail;
    }
}

/// More than any line holds: what is looked at, so that a word of any length takes linear time.
fn beginning(word: &str) -> &str {
    const LONGEST_LINE_CHARACTERS: usize = 1_000;
    let end = word.char_indices().nth(LONGEST_LINE_CHARACTERS).map_or(word.len(), |(at, _)| at);
    word.get(..end).unwrap_or(word)
}

/// Bytes of the longest beginning that fits, at least one character; shortened to the last punctuation in its
/// second half, where there is one.
fn longest_prefix(subsets: &mut FontSubsets<'_>, typeface: Typeface, text: &str, width_em: f64) -> usize {
    let ends: Vec<usize> =
        text.char_indices().skip(1).map(|(at, _)| at).filter(|at| !splits_cluster(text, *at)).collect();
    let fitting = ends.partition_point(|end| {
        Line::measure(subsets, typeface, text.get(..*end).unwrap_or_default()) <= width_em
    });
    let Some(longest) = ends.get(fitting.saturating_sub(1)).copied() else { return text.len() };
    let head = text.get(..longest).unwrap_or_default();
    let after_punctuation = head
        .char_indices()
        .filter(|(_, c)| matches!(c, '-' | '/' | '_' | '.' | '@' | '?' | '&' | '=' | '+' | ':' | ';' | ','))
        .map(|(at, c)| at + c.len_utf8())
        .rfind(|at| *at * 2 > longest);
    after_punctuation.unwrap_or(longest)
}

/// Whether what follows `at` belongs to the character before: combining marks and joiners.
fn splits_cluster(text: &str, at: usize) -> bool {
    use unicode_script::{Script, UnicodeScript};
    let next = text.get(at..).and_then(|rest| rest.chars().next());
    next.is_some_and(|c| c.script() == Script::Inherited || matches!(c, '\u{200C}' | '\u{200D}'))
}

/// Words with the spaces after them; ideographs one by one.
fn pieces(paragraph: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut previous: Option<char> = None;
    for (at, c) in paragraph.char_indices() {
        let after_space = previous.is_some_and(|p| p == ' ' || p == '\t') && !c.is_whitespace();
        let between_ideographs = previous.is_some_and(|p| {
            is_ideograph(p) && c.is_alphanumeric() || is_ideograph(c) && p.is_alphanumeric()
        });
        if after_space || between_ideographs {
            pieces.extend(paragraph.get(start..at));
            start = at;
        }
        previous = Some(c);
    }
    pieces.extend(paragraph.get(start..));
    pieces
}

/// Kana and Han: a line may end after each.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}
