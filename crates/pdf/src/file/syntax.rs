//! PDF objects with the place of each in its source, so that an update can splice bytes instead of writing again
//! what it read (ISO 32000-2 §7.3).

use std::ops::Range;

use lopdf::ObjectId;

use crate::inspect::{Budget, Refusal, damaged};

/// An object and where it stands in its source.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// The value of an object. Strings are as written: still encrypted where the file is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Name(Vec<u8>),
    String(Vec<u8>),
    Array(Vec<Node>),
    Dictionary(Dictionary),
    Reference(ObjectId),
}

/// A dictionary in the order of its source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dictionary {
    entries: Vec<Entry>,
}

/// One key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key_span: Range<usize>,
    pub(crate) key: Vec<u8>,
    pub(crate) node: Node,
}

impl Dictionary {
    /// The value of `key`; a null counts as absent (§7.3.7).
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node).filter(|node| !matches!(node.value, Value::Null))
    }

    pub(crate) fn entry(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn name(&self, key: &[u8]) -> Option<&[u8]> {
        self.get(key).and_then(Node::as_name)
    }

    pub(crate) fn integer(&self, key: &[u8]) -> Option<i64> {
        self.get(key).and_then(Node::as_integer)
    }

    pub(crate) fn reference(&self, key: &[u8]) -> Option<ObjectId> {
        self.get(key).and_then(Node::as_reference)
    }
}

impl Node {
    pub(crate) fn as_name(&self) -> Option<&[u8]> {
        if let Value::Name(name) = &self.value { Some(name) } else { None }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        if let Value::Integer(number) = self.value { Some(number) } else { None }
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        match self.value {
            #[expect(clippy::cast_precision_loss, reason = "coordinates are far below 2^52")]
            Value::Integer(number) => Some(number as f64),
            Value::Real(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn as_string(&self) -> Option<&[u8]> {
        if let Value::String(string) = &self.value { Some(string) } else { None }
    }

    pub(crate) fn as_array(&self) -> Option<&[Node]> {
        if let Value::Array(items) = &self.value { Some(items) } else { None }
    }

    pub(crate) fn as_dictionary(&self) -> Option<&Dictionary> {
        if let Value::Dictionary(dictionary) = &self.value { Some(dictionary) } else { None }
    }

    pub(crate) fn as_reference(&self) -> Option<ObjectId> {
        if let Value::Reference(id) = self.value { Some(id) } else { None }
    }
}

pub(crate) fn is_whitespace(byte: u8) -> bool {
    matches!(byte, 0 | 9 | 10 | 12 | 13 | 32)
}

pub(crate) fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn is_regular(byte: u8) -> bool {
    !is_whitespace(byte) && !is_delimiter(byte)
}

/// Reads objects from a source, within the budget.
pub(crate) struct Parser<'a> {
    bytes: &'a [u8],
    position: usize,
    budget: &'a Budget,
    depth: u32,
    values_left: u32,
    /// Up to where the budget is charged.
    charged: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(bytes: &'a [u8], position: usize, budget: &'a Budget) -> Self {
        Self {
            bytes,
            position,
            budget,
            depth: 0,
            values_left: budget.limits.values_per_object,
            charged: position,
        }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.position + ahead).copied()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    pub(crate) fn skip_whitespace(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| byte != b'\n' && byte != b'\r') {
                    self.position += 1;
                }
            } else if is_whitespace(byte) {
                self.position += 1;
            } else {
                break;
            }
        }
    }

    /// Steps over bytes that are not read.
    pub(crate) fn advance(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.settle()?;
        self.position += bytes;
        self.charged = self.position;
        Ok(())
    }

    /// Charges what was read since the last time, comments and white space included: a file could have every object
    /// begin with the same long comment.
    pub(crate) fn settle(&mut self) -> Result<(), Refusal> {
        let read = self.position.saturating_sub(self.charged);
        self.charged = self.position;
        self.budget.parsed(read)
    }

    /// How many values were read.
    pub(crate) fn value_count(&self) -> u32 {
        self.budget.limits.values_per_object.saturating_sub(self.values_left)
    }

    /// Takes `word` after white space if it stands there as a whole token.
    pub(crate) fn keyword(&mut self, word: &[u8]) -> bool {
        self.skip_whitespace();
        let found = self.rest().starts_with(word) && !self.peek_at(word.len()).is_some_and(is_regular);
        if found {
            self.position += word.len();
        }
        found
    }

    /// A non-negative integer after white space.
    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        self.skip_whitespace();
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 18 || self.peek_at(digits).is_some_and(is_regular) {
            return None;
        }
        let text = self.rest().get(..digits)?;
        self.position += digits;
        Some(text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }

    /// `N G obj`.
    pub(crate) fn object_header(&mut self) -> Option<ObjectId> {
        let number = u32::try_from(self.unsigned()?).ok()?;
        let generation = u16::try_from(self.unsigned()?).ok()?;
        // `obj` may touch what follows it: `1 0 obj<<`, and even `1 0 obj5`, stand in real files.
        self.skip_whitespace();
        self.rest().starts_with(b"obj").then(|| {
            self.position += 3;
            (number, generation)
        })
    }

    /// One object, with the bytes it took charged to the budget.
    pub(crate) fn object(&mut self) -> Result<Node, Refusal> {
        let node = self.node();
        self.settle()?;
        node
    }

    fn node(&mut self) -> Result<Node, Refusal> {
        self.skip_whitespace();
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or(Refusal::TooManyObjects { limit: self.budget.limits.values_per_object })?;
        let start = self.position;
        let value = match (self.peek(), self.peek_at(1)) {
            (Some(b'/'), _) => Value::Name(self.name()?),
            (Some(b'('), _) => Value::String(self.literal_string()?),
            (Some(b'<'), Some(b'<')) => self.nested(Self::dictionary)?,
            (Some(b'<'), _) => Value::String(self.hex_string()?),
            (Some(b'['), _) => self.nested(Self::array)?,
            (Some(b'0'..=b'9' | b'+' | b'-' | b'.'), _) => self.number_or_reference()?,
            (Some(_), _) if self.keyword(b"true") => Value::Boolean(true),
            (Some(_), _) if self.keyword(b"false") => Value::Boolean(false),
            (Some(_), _) if self.keyword(b"null") => Value::Null,
            _ => return Err(damaged("an object is expected and something else stands there")),
        };
        Ok(Node { span: start..self.position, value })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Refusal>) -> Result<Value, Refusal> {
        self.depth += 1;
        if self.depth > self.budget.limits.depth {
            return Err(self.budget.too_deep());
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Value, Refusal> {
        self.position += 1;
        let mut items = Vec::new();
        loop {
            self.skip_whitespace();
            if self.peek() == Some(b']') {
                self.position += 1;
                return Ok(Value::Array(items));
            }
            items.push(self.node()?);
        }
    }

    fn dictionary(&mut self) -> Result<Value, Refusal> {
        self.position += 2;
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            self.skip_whitespace();
            if self.rest().starts_with(b">>") {
                self.position += 2;
                break;
            }
            let start = self.position;
            if self.peek() != Some(b'/') {
                return Err(damaged("a dictionary holds a key that is no name"));
            }
            let key = self.name()?;
            entries.push(Entry { key_span: start..self.position, key, node: self.node()? });
        }
        refuse_duplicates(&entries)?;
        Ok(Value::Dictionary(Dictionary { entries }))
    }

    fn name(&mut self) -> Result<Vec<u8>, Refusal> {
        self.position += 1;
        let length = self.rest().iter().take_while(|byte| is_regular(**byte)).count();
        let raw = self.rest().get(..length).unwrap_or_default();
        self.position += length;
        if !raw.contains(&b'#') {
            return Ok(raw.to_vec());
        }
        let mut name = Vec::with_capacity(raw.len());
        let mut bytes = raw.iter().copied();
        while let Some(byte) = bytes.next() {
            if byte != b'#' {
                name.push(byte);
                continue;
            }
            let mut digits = bytes.clone();
            match (digits.next().and_then(hex_digit), digits.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => {
                    name.push(high << 4 | low);
                    bytes = digits;
                }
                _ => return Err(damaged("a name holds a number sign without two hexadecimal digits")),
            }
        }
        Ok(name)
    }

    fn literal_string(&mut self) -> Result<Vec<u8>, Refusal> {
        self.position += 1;
        let mut open_count = 1_u32;
        let mut string = Vec::new();
        loop {
            let byte = self.peek().ok_or(damaged("a string does not end"))?;
            self.position += 1;
            match byte {
                b'(' => open_count += 1,
                b')' => open_count -= 1,
                b'\\' => {
                    self.escape(&mut string);
                    continue;
                }
                // An end of line in a string is read as one line feed however it was written (§7.3.4.2).
                b'\r' => {
                    if self.peek() == Some(b'\n') {
                        self.position += 1;
                    }
                    string.push(b'\n');
                    continue;
                }
                _ => {}
            }
            if open_count == 0 {
                return Ok(string);
            }
            string.push(byte);
        }
    }

    fn escape(&mut self, string: &mut Vec<u8>) {
        let Some(byte) = self.peek() else { return };
        self.position += 1;
        match byte {
            b'n' => string.push(b'\n'),
            b'r' => string.push(b'\r'),
            b't' => string.push(b'\t'),
            b'b' => string.push(8),
            b'f' => string.push(12),
            b'\n' => {}
            b'\r' => {
                if self.peek() == Some(b'\n') {
                    self.position += 1;
                }
            }
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code << 3 | u32::from(digit - b'0');
                    self.position += 1;
                }
                // High-order overflow is ignored (§7.3.4.2).
                string.push((code & 0xff) as u8);
            }
            other => string.push(other),
        }
    }

    fn hex_string(&mut self) -> Result<Vec<u8>, Refusal> {
        self.position += 1;
        let mut string = Vec::new();
        let mut pending = None;
        loop {
            let byte = self.peek().ok_or(damaged("a string does not end"))?;
            self.position += 1;
            if byte == b'>' {
                string.extend(pending.map(|high: u8| high << 4));
                return Ok(string);
            }
            if is_whitespace(byte) {
                continue;
            }
            let digit = hex_digit(byte).ok_or(damaged("a hexadecimal string holds another character"))?;
            match pending.take() {
                Some(high) => string.push(high << 4 | digit),
                None => pending = Some(digit),
            }
        }
    }

    fn number_or_reference(&mut self) -> Result<Value, Refusal> {
        if let Some(reference) = self.reference() {
            return Ok(Value::Reference(reference));
        }
        let length = self.rest().iter().take_while(|byte| is_regular(**byte)).count();
        let text = self.rest().get(..length).and_then(|raw| std::str::from_utf8(raw).ok());
        let text = text.ok_or(damaged("a number does not parse"))?;
        self.position += length;
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Value::Integer(number));
        }
        let decimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-'));
        match text.parse::<f64>() {
            Ok(number) if decimal && number.is_finite() => Ok(Value::Real(number)),
            _ => Err(damaged("a number does not parse")),
        }
    }

    fn reference(&mut self) -> Option<ObjectId> {
        let start = self.position;
        let found = self.try_reference();
        if found.is_none() {
            self.position = start;
        }
        found
    }

    fn try_reference(&mut self) -> Option<ObjectId> {
        let number = u32::try_from(self.unsigned()?).ok()?;
        let generation = u16::try_from(self.unsigned()?).ok()?;
        self.keyword(b"R").then_some((number, generation))
    }
}

fn refuse_duplicates(entries: &[Entry]) -> Result<(), Refusal> {
    // Readers disagree on which of two equal keys counts, so what one person signs another may not see.
    let duplicate = if entries.len() <= 16 {
        entries
            .iter()
            .enumerate()
            .any(|(index, entry)| entries.iter().skip(index + 1).any(|other| other.key == entry.key))
    } else {
        let mut keys: Vec<&[u8]> = entries.iter().map(|entry| entry.key.as_slice()).collect();
        keys.sort_unstable();
        keys.iter().zip(keys.iter().skip(1)).any(|(one, next)| one == next)
    };
    if duplicate { Err(damaged("a dictionary holds the same key twice")) } else { Ok(()) }
}

pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
