//! Which face draws which character: itemises a text into runs of one direction, one script and one face.

use super::Typeface;
use super::book::{FontBook, ITALIC};
use super::subset::FontSubsets;
use std::ops::Range;
use unicode_bidi::ParagraphBidiInfo;
use unicode_script::{Script, UnicodeScript};

/// A stretch of text that is shaped at once.
pub(super) struct Item {
    /// Bytes of the prepared text.
    pub range: Range<usize>,
    /// Position of the face in the subsets; nothing where no font has the character.
    pub face: Option<usize>,
    pub script: Script,
    pub right_to_left: bool,
}

/// The text as it is drawn: white space becomes a space, other control characters and those that override the
/// direction (U+202A–202E, U+2066–2069: a name could otherwise show as another name) are taken out.
pub(super) fn prepare(text: &str) -> String {
    let overrides = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
    text.chars()
        .map(|c| if c.is_whitespace() && !matches!(c, '\u{A0}' | '\u{202F}') { ' ' } else { c })
        .filter(|c| !c.is_control() && !overrides(*c))
        .collect()
}

/// Items of `text` (as prepared) in visual order, from left to right.
pub(super) fn itemize(subsets: &mut FontSubsets<'_>, typeface: Typeface, text: &str) -> Vec<Item> {
    let candidates = order_for(subsets.book(), typeface, text);
    if !text.chars().any(may_be_right_to_left) {
        let mut items = Vec::new();
        split(subsets, candidates, text, 0..text.len(), false, &mut items);
        return items;
    }
    let bidi = ParagraphBidiInfo::new(text, None);
    let (levels, runs) = bidi.visual_runs(0..text.len());
    let mut items = Vec::new();
    for run in runs {
        let right_to_left = levels.get(run.start).is_some_and(unicode_bidi::Level::is_rtl);
        let first = items.len();
        split(subsets, candidates, text, run, right_to_left, &mut items);
        if right_to_left && let Some(logical) = items.get_mut(first..) {
            logical.reverse();
        }
    }
    items
}

/// Hebrew to Arabic Extended-A, right-to-left marks, presentation forms and the right-to-left planes.
fn may_be_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{200F}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}' | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
}

/// A signature is set in one face where one has all its letters: a name half script, half italic looks forged.
fn order_for(book: &FontBook, typeface: Typeface, text: &str) -> &'static [usize] {
    let candidates = FontBook::candidates(typeface);
    if typeface != Typeface::Signature {
        return candidates;
    }
    let has_all = |index: &usize| {
        book.embedded().get(*index).is_some_and(|embedded| {
            text.chars().filter(|c| c.is_alphabetic()).all(|c| embedded.face.glyph_index(c).is_some())
        })
    };
    match candidates {
        [first, rest @ ..] if !has_all(first) && rest.contains(&ITALIC) && has_all(&ITALIC) => rest,
        _ => candidates,
    }
}

/// Splits one bidirectional run by script and face, in logical order.
fn split(
    subsets: &mut FontSubsets<'_>,
    candidates: &[usize],
    text: &str,
    run: Range<usize>,
    right_to_left: bool,
    items: &mut Vec<Item>,
) {
    let first = items.len();
    let Some(part) = text.get(run.clone()) else { return };
    for (offset, c) in part.char_indices() {
        let start = run.start + offset;
        let range = start..start + c.len_utf8();
        let script = c.script();
        let neutral = matches!(script, Script::Common | Script::Inherited);
        let open = if items.len() > first { items.last_mut() } else { None };
        let current = open.as_ref().and_then(|item| item.face);
        // Marks, joiners and spaces stay with the letters before them as long as that face has them.
        let stays = neutral && (!c.is_alphanumeric() || script == Script::Inherited);
        let face = if stays && current.is_some_and(|face| subsets.has(face, c)) {
            current
        } else if is_ignorable(c) {
            if open.is_none() {
                continue;
            }
            current
        } else {
            subsets.face_for(candidates, c)
        };
        match open {
            Some(item)
                if item.face == face && (neutral || item.script == script || is_neutral(item.script)) =>
            {
                item.range.end = range.end;
                if !neutral {
                    item.script = script;
                }
            }
            _ => items.push(Item { range, face, script, right_to_left }),
        }
    }
}

fn is_neutral(script: Script) -> bool {
    matches!(script, Script::Common | Script::Inherited)
}

/// Characters that leave no ink of their own: joiners, directional marks, variation selectors, the soft hyphen.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}
