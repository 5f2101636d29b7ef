//! Cross-reference sections, newest first, exactly as written: what does not parse is refused, never rebuilt
//! (ISO 32000-2 §7.5.4 and §7.5.8).

use std::collections::{HashMap, HashSet};

use lopdf::ObjectId;
use serde::Serialize;

use super::filters::{Chain, decode};
use super::syntax::{Dictionary, Parser, is_whitespace};
use crate::inspect::{Budget, Refusal, damaged};

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Free,
    At { offset: usize, generation: u16 },
    In { stream: u32, index: usize },
}

/// The kind of a file's newest cross-reference section, which an update continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum XrefKind {
    /// A table of fixed-width lines.
    Table,
    /// A compressed stream.
    Stream,
}

/// One cross-reference section.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) offset: usize,
    pub(crate) kind: XrefKind,
    pub(crate) trailer: Dictionary,
    pub(crate) places: Vec<(u32, Place)>,
}

/// All sections of a file, newest first, and the merged view of them.
#[derive(Debug)]
pub(crate) struct Xref {
    pub(crate) sections: Vec<Section>,
    /// Each object's newest place, and how many newer sections there are than the one that names it.
    places: HashMap<u32, (usize, Place)>,
    pub(crate) highest_number: u32,
}

impl Xref {
    pub(crate) fn read(bytes: &[u8], budget: &Budget) -> Result<Self, Refusal> {
        let mut next = Some(startxref(bytes)?);
        let mut seen = HashSet::new();
        let mut sections = Vec::new();
        while let Some(offset) = next {
            if !seen.insert(offset) {
                return Err(damaged("the cross-reference sections form a loop"));
            }
            if sections.len() >= budget.limits.revisions as usize {
                return Err(Refusal::TooComplex);
            }
            let section = Section::read(bytes, offset, budget)?;
            next = match section.trailer.get(b"Prev") {
                None => None,
                Some(node) => Some(
                    node.as_integer()
                        .and_then(|offset| usize::try_from(offset).ok())
                        .ok_or(damaged("a cross-reference section names no valid earlier one"))?,
                ),
            };
            sections.push(section);
        }
        let mut places = HashMap::new();
        for (age, section) in sections.iter().enumerate() {
            section.check_size(budget)?;
            for (number, place) in &section.places {
                let (since, known) = *places.entry(*number).or_insert((age, *place));
                // A section has one entry for a number (§7.5.4). Of two, some readers take the first and some the last.
                if since == age && known != *place {
                    return Err(damaged(
                        "a cross-reference section lists an object twice, in different places",
                    ));
                }
            }
        }
        let highest_number = places.keys().copied().max().unwrap_or(0);
        Ok(Self { sections, places, highest_number })
    }

    pub(crate) fn place(&self, number: u32) -> Place {
        self.places.get(&number).map_or(Place::Free, |(_, place)| *place)
    }

    pub(crate) fn newest(&self) -> Result<&Section, Refusal> {
        self.sections.first().ok_or(damaged("there is no cross-reference section"))
    }
}

/// The offset that the end of the file names.
fn startxref(bytes: &[u8]) -> Result<usize, Refusal> {
    let broken = || damaged("the file does not end with startxref, an offset and the end-of-file marker");
    let trimmed =
        |bytes: &[u8]| bytes.len() - bytes.iter().rev().take_while(|byte| is_whitespace(**byte)).count();
    let end = trimmed(bytes);
    let body = bytes.get(..end).and_then(|body| body.strip_suffix(b"%%EOF")).ok_or_else(broken)?;
    let body = body.get(..trimmed(body)).unwrap_or_default();
    let digits = body.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, number) = body.split_at_checked(body.len() - digits).ok_or_else(broken)?;
    let before = before.get(..trimmed(before)).unwrap_or_default();
    if !before.ends_with(b"startxref") {
        return Err(broken());
    }
    std::str::from_utf8(number).ok().and_then(|digits| digits.parse().ok()).ok_or_else(broken)
}

impl Section {
    fn read(bytes: &[u8], offset: usize, budget: &Budget) -> Result<Self, Refusal> {
        let mut parser = Parser::new(bytes, offset, budget);
        if parser.keyword(b"xref") {
            return Self::table(parser, offset, budget);
        }
        let id =
            parser.object_header().ok_or(damaged("no cross-reference section stands where one is named"))?;
        Self::stream(bytes, parser, offset, id, budget)
    }

    /// Strict validators refuse a file whose trailer states fewer objects than its section lists.
    fn check_size(&self, budget: &Budget) -> Result<(), Refusal> {
        let size = self.trailer.integer(b"Size").and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        check_numbers(0, size, budget)?;
        let within =
            self.places.iter().all(|(number, place)| u64::from(*number) < size || *place == Place::Free);
        if within {
            Ok(())
        } else {
            Err(damaged("the cross-references list more objects than the trailer states"))
        }
    }

    fn table(mut parser: Parser<'_>, offset: usize, budget: &Budget) -> Result<Self, Refusal> {
        let broken = || damaged("a cross-reference table does not parse");
        let mut places = Vec::new();
        while !parser.keyword(b"trailer") {
            let first = parser.unsigned().ok_or_else(broken)?;
            let count = parser.unsigned().ok_or_else(broken)?;
            check_numbers(first, count, budget)?;
            budget.listed(count)?;
            for number in first..first + count {
                let offset = parser.unsigned().ok_or_else(broken)?;
                let generation = parser.unsigned().and_then(|number| u16::try_from(number).ok());
                let generation = generation.ok_or_else(broken)?;
                let place = if parser.keyword(b"n") {
                    Place::At { offset: usize::try_from(offset).map_err(|_| broken())?, generation }
                } else if parser.keyword(b"f") {
                    Place::Free
                } else {
                    return Err(broken());
                };
                // An offset of zero is how some producers write a free entry.
                let place = if matches!(place, Place::At { offset: 0, .. }) { Place::Free } else { place };
                places.push((u32::try_from(number).map_err(|_| broken())?, place));
            }
            parser.settle()?;
        }
        parser.skip_whitespace();
        let trailer = parser.object()?;
        let trailer = trailer.as_dictionary().cloned().ok_or(damaged("a trailer is no dictionary"))?;
        if trailer.get(b"XRefStm").is_some() {
            return Err(Refusal::HybridReferences);
        }
        Ok(Self { offset, kind: XrefKind::Table, trailer, places })
    }

    fn stream(
        bytes: &[u8],
        mut parser: Parser<'_>,
        offset: usize,
        id: ObjectId,
        budget: &Budget,
    ) -> Result<Self, Refusal> {
        let broken = || damaged("a cross-reference stream does not parse");
        let node = parser.object()?;
        let trailer = node.as_dictionary().cloned().ok_or_else(broken)?;
        if trailer.name(b"Type") != Some(b"XRef") {
            return Err(damaged("no cross-reference section stands where one is named"));
        }
        let length = trailer.integer(b"Length").and_then(|length| usize::try_from(length).ok());
        let data = stream_range(&mut parser, length.ok_or_else(broken)?)?;
        let raw = bytes.get(data).ok_or_else(broken)?;
        let chain = Chain::read(trailer.get(b"Filter"), trailer.get(b"DecodeParms"))?;
        let table = decode(raw, &chain, budget.holdable_bytes(), budget)?.ok_or_else(broken)?;
        budget.held(table.len() as u64)?;
        let widths: Vec<usize> = trailer
            .get(b"W")
            .and_then(|node| node.as_array())
            .map(|items| items.iter().filter_map(|item| usize::try_from(item.as_integer()?).ok()).collect())
            .ok_or_else(broken)?;
        let [kind_width, first_width, second_width] = widths.try_into().map_err(|_| broken())?;
        if [kind_width, first_width, second_width].iter().any(|width| *width > 8) {
            return Err(broken());
        }
        let row = kind_width + first_width + second_width;
        if row == 0 {
            return Err(broken());
        }
        let size = trailer.integer(b"Size").and_then(|size| u64::try_from(size).ok()).ok_or_else(broken)?;
        let index: Vec<u64> = match trailer.get(b"Index").and_then(|node| node.as_array()) {
            None => vec![0, size],
            Some(items) => items.iter().filter_map(|item| u64::try_from(item.as_integer()?).ok()).collect(),
        };
        let mut rows = table.chunks_exact(row);
        let mut places = Vec::new();
        for pair in index.chunks(2) {
            let [first, count] = pair else { return Err(broken()) };
            check_numbers(*first, *count, budget)?;
            budget.listed(*count)?;
            for number in *first..*first + *count {
                let fields = rows.next().ok_or_else(broken)?;
                let number = u32::try_from(number).map_err(|_| broken())?;
                places.push((number, place(fields, kind_width, first_width)?));
            }
        }
        budget.parsed(table.len())?;
        // The stream need not list itself, and its number is taken.
        if !places.iter().any(|(number, _)| *number == id.0) {
            places.push((id.0, Place::At { offset, generation: id.1 }));
        }
        Ok(Self { offset, kind: XrefKind::Stream, trailer, places })
    }
}

fn place(fields: &[u8], kind_width: usize, first_width: usize) -> Result<Place, Refusal> {
    let broken = || damaged("a cross-reference stream does not parse");
    let (kind, rest) = fields.split_at_checked(kind_width).ok_or_else(broken)?;
    let (first, second) = rest.split_at_checked(first_width).ok_or_else(broken)?;
    let number = |field: &[u8]| field.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let kind = if kind_width == 0 { 1 } else { number(kind) };
    let (first, second) = (number(first), number(second));
    Ok(match kind {
        1 => Place::At {
            offset: usize::try_from(first).map_err(|_| broken())?,
            generation: u16::try_from(second).map_err(|_| broken())?,
        },
        2 => Place::In {
            stream: u32::try_from(first).map_err(|_| broken())?,
            index: usize::try_from(second).map_err(|_| broken())?,
        },
        // Unknown kinds are references to the null object, as free entries are (§7.5.8.3).
        _ => Place::Free,
    })
}

fn check_numbers(first: u64, count: u64, budget: &Budget) -> Result<(), Refusal> {
    let limit = budget.limits.objects;
    if first.saturating_add(count) > u64::from(limit) {
        Err(Refusal::TooManyObjects { limit })
    } else {
        Ok(())
    }
}

/// The bytes of the stream whose keyword comes next: its length must be exact (§7.3.8.1).
pub(crate) fn stream_range(
    parser: &mut Parser<'_>,
    length: usize,
) -> Result<std::ops::Range<usize>, Refusal> {
    let broken = || damaged("a stream does not have the length that it states");
    if !parser.keyword(b"stream") {
        return Err(broken());
    }
    let rest = parser.rest();
    let line_end = if rest.starts_with(b"\r\n") {
        2
    } else if rest.starts_with(b"\n") || rest.starts_with(b"\r") {
        1
    } else {
        return Err(broken());
    };
    parser.advance(line_end)?;
    let start = parser.position();
    let end = start.checked_add(length).ok_or_else(broken)?;
    let after = parser.rest().get(length..).ok_or_else(broken)?;
    let gap = after.iter().take_while(|byte| is_whitespace(**byte)).take(3).count();
    if !after.get(gap..).is_some_and(|after| after.starts_with(b"endstream")) {
        return Err(broken());
    }
    parser.advance(length + gap + b"endstream".len())?;
    Ok(start..end)
}
