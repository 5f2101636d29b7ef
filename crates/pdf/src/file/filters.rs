//! Stream filters: decoding what the structure needs, and measuring what everything else would expand to, without
//! holding it (ISO 32000-2 §7.4).

use std::cell::RefCell;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::syntax::{Dictionary, Node, hex_digit, is_whitespace};
use crate::inspect::{Budget, Refusal, damaged};

/// Longest chain of filters on one stream that is followed.
const FILTERS_MAX: usize = 8;
/// Piece in which a decoder's output is counted.
const PIECE_BYTES: usize = 16 << 10;

/// One step of a stream's filter chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    Flate,
    Lzw {
        early_change: bool,
    },
    AsciiHex,
    Ascii85,
    RunLength,
    /// An image or unknown filter: opaque here.
    Other,
}

/// `/Predictor` and what it needs, as in `/DecodeParms` (§7.4.4.4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Predictor {
    kind: i64,
    bytes_per_pixel: usize,
    bytes_per_row: usize,
}

/// The filter chain of a stream and the predictor of its last filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    pub(crate) filters: Vec<Filter>,
    predictor: Option<Predictor>,
    /// Whether the first filter is `/Crypt` with the identity: the stream is not encrypted (§7.4.10).
    pub(crate) crypt_identity: bool,
}

impl Chain {
    /// Reads `/Filter` and `/DecodeParms`, both already resolved to direct nodes.
    pub(crate) fn read(filter: Option<&Node>, parameters: Option<&Node>) -> Result<Self, Refusal> {
        let names: Vec<&[u8]> = match filter {
            None => Vec::new(),
            Some(node) => match node.as_array() {
                Some(items) => items.iter().filter_map(Node::as_name).collect(),
                None => node.as_name().into_iter().collect(),
            },
        };
        if names.len() > FILTERS_MAX {
            return Err(Refusal::ExpansionBomb);
        }
        let parameter = |index: usize| match parameters.and_then(Node::as_array) {
            Some(items) => items.get(index).and_then(Node::as_dictionary),
            None => parameters.filter(|_| index == 0).and_then(Node::as_dictionary),
        };
        let mut chain = Self::default();
        for (index, name) in names.iter().enumerate() {
            let options = parameter(index);
            if *name == b"Crypt" {
                chain.crypt_identity =
                    matches!(options.and_then(|o| o.name(b"Name")), None | Some(b"Identity"));
                continue;
            }
            chain.predictor = options.and_then(Predictor::read);
            chain.filters.push(match *name {
                b"FlateDecode" | b"Fl" => Filter::Flate,
                b"LZWDecode" | b"LZW" => {
                    Filter::Lzw { early_change: options.and_then(|o| o.integer(b"EarlyChange")) != Some(0) }
                }
                b"ASCIIHexDecode" | b"AHx" => Filter::AsciiHex,
                b"ASCII85Decode" | b"A85" => Filter::Ascii85,
                b"RunLengthDecode" | b"RL" => Filter::RunLength,
                _ => Filter::Other,
            });
        }
        Ok(chain)
    }
}

impl Predictor {
    fn read(options: &Dictionary) -> Option<Self> {
        let kind = options.integer(b"Predictor").filter(|kind| *kind > 1)?;
        // What is no positive number gives a row that no stream has.
        let positive = |key: &[u8], default: i64| {
            let stated = usize::try_from(options.integer(key).unwrap_or(default)).ok();
            stated.filter(|number| *number > 0).unwrap_or(usize::MAX)
        };
        let bits_per_pixel = positive(b"Colors", 1).saturating_mul(positive(b"BitsPerComponent", 8));
        let bits_per_row = bits_per_pixel.saturating_mul(positive(b"Columns", 1));
        Some(Self {
            kind,
            bytes_per_pixel: bits_per_pixel.div_ceil(8),
            bytes_per_row: bits_per_row.div_ceil(8),
        })
    }

    fn undo(self, encoded: &[u8]) -> Result<Vec<u8>, Refusal> {
        if self.kind < 10 {
            return Err(damaged("a structural stream uses a TIFF predictor"));
        }
        if encoded.is_empty() {
            return Ok(Vec::new());
        }
        // The file states the width of a row: nothing is set aside for one that is not there.
        if self.bytes_per_row >= encoded.len() {
            return Err(damaged("a predicted stream is shorter than one of its rows"));
        }
        let mut decoded: Vec<u8> = Vec::with_capacity(encoded.len());
        let mut above = vec![0_u8; self.bytes_per_row];
        let mut current = vec![0_u8; self.bytes_per_row];
        for row in encoded.chunks(self.bytes_per_row + 1) {
            let (filter, values) = row.split_first().ok_or(damaged("a predicted stream has an empty row"))?;
            for (index, value) in values.iter().enumerate() {
                let left_index = index.checked_sub(self.bytes_per_pixel);
                let at = |row: &[u8], index: Option<usize>| {
                    index.and_then(|index| row.get(index)).copied().unwrap_or(0)
                };
                let (left, up) = (at(&current, left_index), at(&above, Some(index)));
                let predicted = match filter {
                    0 => 0,
                    1 => left,
                    2 => up,
                    3 => left.midpoint(up),
                    4 => paeth(left, up, at(&above, left_index)),
                    _ => return Err(damaged("a predicted stream names no PNG filter")),
                };
                if let Some(cell) = current.get_mut(index) {
                    *cell = value.wrapping_add(predicted);
                }
            }
            decoded.extend(current.iter().take(values.len()));
            std::mem::swap(&mut above, &mut current);
        }
        Ok(decoded)
    }
}

fn paeth(left: u8, up: u8, up_left: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(up_left);
    let distance = |value: u8| (estimate - i16::from(value)).abs();
    if distance(left) <= distance(up) && distance(left) <= distance(up_left) {
        left
    } else if distance(up) <= distance(up_left) {
        up
    } else {
        up_left
    }
}

/// Decodes a stream completely, to at most `limit` bytes. `None` if a filter of its chain is opaque here.
pub(crate) fn decode(
    raw: &[u8],
    chain: &Chain,
    limit: u64,
    budget: &Budget,
) -> Result<Option<Vec<u8>>, Refusal> {
    let limit = limit.min(budget.limits.stream_bytes);
    // A stream may be named a thousand times, and need not be compressed to cost something each time.
    budget.handled(raw.len() as u64)?;
    let mut bytes: Option<Vec<u8>> = None;
    for filter in &chain.filters {
        let input = bytes.as_deref().unwrap_or(raw);
        let output = match filter {
            Filter::Flate => inflate(input, limit)?,
            Filter::AsciiHex => ascii_hex(input, limit)?,
            Filter::Ascii85 => ascii_85(input, limit)?,
            Filter::RunLength => run_length(input, limit)?,
            Filter::Lzw { early_change } => lzw(input, *early_change, limit)?,
            Filter::Other => return Ok(None),
        };
        budget.expanded(output.len() as u64)?;
        bytes = Some(output);
    }
    let bytes = bytes.unwrap_or_else(|| raw.to_vec());
    Ok(Some(match chain.predictor {
        Some(predictor) => predictor.undo(&bytes)?,
        None => bytes,
    }))
}

fn inflate(input: &[u8], limit: u64) -> Result<Vec<u8>, Refusal> {
    let mut output = Vec::new();
    ZlibDecoder::new(input)
        .take(limit + 1)
        .read_to_end(&mut output)
        .map_err(|_| damaged("compressed data does not expand"))?;
    if output.len() as u64 > limit { Err(Refusal::ExpansionBomb) } else { Ok(output) }
}

/// A decoder whose output is charged as it is read. Each one of a chain has its own: an inner one may expand what the
/// outer one shrinks to nothing.
struct Counted<'c, R> {
    reader: R,
    expanded: u64,
    budget: &'c Budget,
    refusal: &'c RefCell<Option<Refusal>>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.expanded += count as u64;
        let charged = if self.expanded > self.budget.limits.stream_bytes {
            Err(Refusal::ExpansionBomb)
        } else {
            self.budget.expanded(count as u64)
        };
        charged.map(|()| count).map_err(|refusal| {
            self.refusal.replace(Some(refusal));
            std::io::Error::other("beyond the budget")
        })
    }
}

/// Counts what a stream expands to, holding nothing where it is deflated only. Returns whether it expanded without an
/// error.
pub(crate) fn measure(raw: &[u8], chain: &Chain, budget: &Budget) -> Result<bool, Refusal> {
    let deflated = chain.filters.iter().take_while(|filter| **filter == Filter::Flate).count();
    let rest = chain.filters.get(deflated..).unwrap_or_default();
    if rest.iter().any(|filter| *filter != Filter::Other) {
        // Rare and old filters: decoded in memory, within what may be held.
        let opaque_at = chain.filters.iter().position(|filter| *filter == Filter::Other);
        let decodable = opaque_at.and_then(|index| chain.filters.get(..index)).unwrap_or(&chain.filters);
        let prefix = Chain { filters: decodable.to_vec(), predictor: None, crypt_identity: false };
        return match decode(raw, &prefix, budget.limits.structure_bytes, budget) {
            Ok(_) => Ok(true),
            Err(Refusal::Damaged { .. }) => Ok(false),
            Err(refusal) => Err(refusal),
        };
    }
    budget.handled(raw.len() as u64)?;
    let refusal = RefCell::new(None);
    let mut reader: Box<dyn Read + '_> = Box::new(raw);
    for _ in 0..deflated {
        let decoder = ZlibDecoder::new(reader);
        reader = Box::new(Counted { reader: decoder, expanded: 0, budget, refusal: &refusal });
    }
    if deflated == 0 {
        return Ok(true);
    }
    let mut piece = vec![0_u8; PIECE_BYTES];
    let expands = loop {
        match reader.read(&mut piece) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(_) => break false,
        }
    };
    drop(reader);
    refusal.into_inner().map_or(Ok(expands), Err)
}

fn ascii_hex(input: &[u8], limit: u64) -> Result<Vec<u8>, Refusal> {
    if input.len() as u64 / 2 > limit {
        return Err(Refusal::ExpansionBomb);
    }
    let mut output = Vec::with_capacity(input.len() / 2);
    let mut pending = None;
    for byte in input.iter().copied().take_while(|byte| *byte != b'>') {
        if is_whitespace(byte) {
            continue;
        }
        let digit = hex_digit(byte).ok_or(damaged("hexadecimal data holds another character"))?;
        match pending.take() {
            Some(high) => output.push(high << 4 | digit),
            None => pending = Some(digit),
        }
    }
    output.extend(pending.map(|high: u8| high << 4));
    Ok(output)
}

fn ascii_85(input: &[u8], limit: u64) -> Result<Vec<u8>, Refusal> {
    let mut output = Vec::new();
    let mut group: Vec<u32> = Vec::with_capacity(5);
    for byte in input.iter().copied().take_while(|byte| *byte != b'~') {
        if output.len() as u64 > limit {
            return Err(Refusal::ExpansionBomb);
        }
        match byte {
            b'z' if group.is_empty() => output.extend([0; 4]),
            b'!'..=b'u' => {
                group.push(u32::from(byte - b'!'));
                if group.len() == 5 {
                    output.extend(ascii_85_group(&group));
                    group.clear();
                }
            }
            _ if is_whitespace(byte) => {}
            _ => return Err(damaged("base-85 data holds another character")),
        }
    }
    if group.len() > 1 {
        let count = group.len() - 1;
        group.resize(5, 84);
        output.extend(ascii_85_group(&group).iter().take(count));
    }
    Ok(output)
}

fn ascii_85_group(group: &[u32]) -> [u8; 4] {
    group.iter().fold(0_u32, |value, digit| value.wrapping_mul(85).wrapping_add(*digit)).to_be_bytes()
}

fn run_length(input: &[u8], limit: u64) -> Result<Vec<u8>, Refusal> {
    let mut output = Vec::new();
    let mut rest = input;
    while let Some((length, after)) = rest.split_first() {
        rest = match *length {
            128 => break,
            0..128 => {
                let count = usize::from(*length) + 1;
                let (literal, after) =
                    after.split_at_checked(count).ok_or(damaged("run-length data ends early"))?;
                output.extend_from_slice(literal);
                after
            }
            129..=255 => {
                let (byte, after) = after.split_first().ok_or(damaged("run-length data ends early"))?;
                output.resize(output.len() + 257 - usize::from(*length), *byte);
                after
            }
        };
        if output.len() as u64 > limit {
            return Err(Refusal::ExpansionBomb);
        }
    }
    Ok(output)
}

/// LZW as PDF uses it: codes of 9 to 12 bits, 256 clears, 257 ends (§7.4.4.2).
fn lzw(input: &[u8], early_change: bool, limit: u64) -> Result<Vec<u8>, Refusal> {
    let broken = || damaged("LZW data does not expand");
    let mut output: Vec<u8> = Vec::new();
    // Each entry is a piece of the output: start and length.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let mut previous: Option<(usize, usize)> = None;
    let (mut buffer, mut bit_count, mut width) = (0_u32, 0_u32, 9_u32);
    for byte in input {
        buffer = buffer << 8 | u32::from(*byte);
        bit_count += 8;
        if bit_count < width {
            continue;
        }
        bit_count -= width;
        let code = (buffer >> bit_count & ((1 << width) - 1)) as usize;
        buffer &= (1 << bit_count) - 1;
        match code {
            256 => {
                table.clear();
                previous = None;
                width = 9;
                continue;
            }
            257 => return Ok(output),
            _ => {}
        }
        let start = output.len();
        if let Ok(byte) = u8::try_from(code) {
            output.push(byte);
        } else {
            let known = table.get(code - 258).copied();
            let (from, length) = match (known, previous) {
                (Some(piece), _) => piece,
                (None, Some((from, length))) if code - 258 == table.len() => (from, length + 1),
                _ => return Err(broken()),
            };
            // The piece may reach into what it produces, so it is copied byte by byte.
            for offset in 0..length {
                let byte = output.get(from + offset).copied().ok_or_else(broken)?;
                output.push(byte);
            }
        }
        if let Some((from, length)) = previous
            && table.len() < 4096 - 258
        {
            table.push((from, length + 1));
        }
        previous = Some((start, output.len() - start));
        width = match table.len() + 258 + usize::from(early_change) {
            0..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        };
        if output.len() as u64 > limit {
            return Err(Refusal::ExpansionBomb);
        }
    }
    Ok(output)
}
