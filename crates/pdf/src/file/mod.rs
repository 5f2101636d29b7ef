//! A file read lazily from its cross-references: only what is asked for is parsed, and every object keeps the bytes
//! it was read from.

pub(crate) mod crypt;
pub(crate) mod deflate;
pub(crate) mod filters;
pub(crate) mod syntax;
pub(crate) mod update;
pub(crate) mod write;
pub(crate) mod xref;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use lopdf::ObjectId;

use crate::inspect::{Budget, Limits, Refusal, damaged};
use crypt::Crypt;
use filters::{Chain, decode};
use syntax::{Dictionary, Node, Parser, Value};
use xref::{Place, Xref, XrefKind, stream_range};

/// The bytes that an object was read from.
#[derive(Clone, Debug)]
pub(crate) enum Source<'a> {
    File(&'a [u8]),
    ObjectStream(Rc<Vec<u8>>),
}

/// An object with its source.
#[derive(Clone, Debug)]
pub(crate) struct Loaded<'a> {
    pub(crate) id: ObjectId,
    pub(crate) node: Rc<Node>,
    pub(crate) source: Source<'a>,
    /// Where its stream stands in the file, if it is one.
    pub(crate) stream: Option<Range<usize>>,
    pub(crate) value_count: u32,
}

impl Loaded<'_> {
    /// The bytes of `span`, which is a span of a node of this object.
    pub(crate) fn bytes(&self, span: &Range<usize>) -> &[u8] {
        let source = match &self.source {
            Source::File(bytes) => bytes,
            Source::ObjectStream(bytes) => bytes.as_slice(),
        };
        source.get(span.clone()).unwrap_or_default()
    }

    pub(crate) fn dictionary(&self) -> Option<&Dictionary> {
        self.node.as_dictionary()
    }

    /// Whether strings of this object stand in the clear in an encrypted file (§7.5.7).
    fn is_compressed(&self) -> bool {
        matches!(self.source, Source::ObjectStream(_))
    }
}

#[derive(Debug)]
struct ObjectStream {
    bytes: Rc<Vec<u8>>,
    /// Number and offset of each object in it.
    index: Vec<(u32, usize)>,
}

/// A parsed file.
#[derive(Debug)]
pub(crate) struct File<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) xref: Xref,
    pub(crate) crypt: Option<Crypt>,
    pub(crate) version: (u8, u8),
    pub(crate) budget: Budget,
    encrypt_id: Option<ObjectId>,
    object_streams: RefCell<HashMap<u32, Rc<ObjectStream>>>,
}

impl<'a> File<'a> {
    /// Reads header, cross-references and encryption.
    pub(crate) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refusal> {
        let size_bytes = bytes.len() as u64;
        if size_bytes > limits.size_bytes {
            return Err(Refusal::TooLarge { size_bytes, limit_bytes: limits.size_bytes });
        }
        let version = header_version(bytes)?;
        let budget = Budget::new(limits);
        let xref = Xref::read(bytes, &budget)?;
        let object_streams = RefCell::new(HashMap::new());
        let mut file = Self { bytes, xref, crypt: None, version, budget, encrypt_id: None, object_streams };
        file.open_encryption()?;
        Ok(file)
    }

    fn open_encryption(&mut self) -> Result<(), Refusal> {
        let trailer = self.trailer()?;
        let Some(node) = trailer.get(b"Encrypt") else { return Ok(()) };
        let first_id = trailer
            .get(b"ID")
            .and_then(Node::as_array)
            .and_then(|items| items.first())
            .and_then(Node::as_string)
            .unwrap_or_default();
        let encrypt_id = node.as_reference();
        let dictionary = self.resolve_in_place(node)?.ok_or(Refusal::UnsupportedEncryption)?;
        let dictionary = dictionary.as_dictionary().ok_or(Refusal::UnsupportedEncryption)?;
        self.crypt = Some(Crypt::open(dictionary, first_id)?);
        self.encrypt_id = encrypt_id;
        Ok(())
    }

    /// The trailer of the newest section.
    pub(crate) fn trailer(&self) -> Result<&Dictionary, Refusal> {
        Ok(&self.xref.newest()?.trailer)
    }

    pub(crate) fn xref_kind(&self) -> Result<XrefKind, Refusal> {
        Ok(self.xref.newest()?.kind)
    }

    /// The first number that no object of the file uses and, in an accepted file, that nothing refers to. It does not
    /// depend on the limits: whoever verifies a seal computes the same.
    pub(crate) fn first_free(&self) -> u32 {
        let size = self.trailer().ok().and_then(|trailer| trailer.integer(b"Size")).unwrap_or(0);
        u32::try_from(size).unwrap_or(0).max(self.xref.highest_number + 1)
    }

    /// Loads an object; `None` where the file has none, which is the null object (§7.3.10).
    pub(crate) fn load(&self, id: ObjectId) -> Result<Option<Loaded<'a>>, Refusal> {
        match self.xref.place(id.0) {
            Place::At { offset, generation } if generation == id.1 => self.load_at(id, offset).map(Some),
            Place::In { stream, index } if id.1 == 0 => self.load_from(id, stream, index).map(Some),
            _ => Ok(None),
        }
    }

    fn load_at(&self, id: ObjectId, offset: usize) -> Result<Loaded<'a>, Refusal> {
        let mut parser = Parser::new(self.bytes, offset, &self.budget);
        if parser.object_header() != Some(id) {
            return Err(damaged("an object does not stand where the cross-references say"));
        }
        let node = Rc::new(parser.object()?);
        let source = Source::File(self.bytes);
        let value_count = parser.value_count();
        if parser.keyword(b"endobj") {
            parser.settle()?;
            return Ok(Loaded { id, node, source, stream: None, value_count });
        }
        let dictionary = node.as_dictionary().ok_or(damaged("an object does not end where it should"))?;
        let length = match dictionary.get(b"Length").map(|node| &node.value) {
            Some(Value::Integer(length)) => Some(*length),
            Some(Value::Reference(target)) => self.plain_integer(*target)?,
            _ => None,
        };
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or(damaged("a stream states no length"))?;
        let stream = stream_range(&mut parser, length)?;
        if !parser.keyword(b"endobj") {
            return Err(damaged("an object does not end where it should"));
        }
        parser.settle()?;
        Ok(Loaded { id, node, source, stream: Some(stream), value_count })
    }

    /// The integer that stands at `id`, found without following anything further, so that no loop can arise.
    fn plain_integer(&self, id: ObjectId) -> Result<Option<i64>, Refusal> {
        match self.xref.place(id.0) {
            Place::At { offset, generation } if generation == id.1 => {
                let mut parser = Parser::new(self.bytes, offset, &self.budget);
                if parser.object_header() != Some(id) {
                    return Err(damaged("an object does not stand where the cross-references say"));
                }
                Ok(parser.object()?.as_integer())
            }
            // A length inside an object stream: the object stream's own length must then be direct or plain.
            Place::In { stream, index } if id.1 == 0 => {
                Ok(self.load_from(id, stream, index)?.node.as_integer())
            }
            _ => Ok(None),
        }
    }

    fn load_from(&self, id: ObjectId, stream: u32, index: usize) -> Result<Loaded<'a>, Refusal> {
        let stream = self.object_stream(stream)?;
        let (number, offset) =
            stream.index.get(index).copied().ok_or(damaged("an object stream lacks an object"))?;
        if number != id.0 {
            return Err(damaged("an object does not stand where the cross-references say"));
        }
        let mut parser = Parser::new(&stream.bytes, offset, &self.budget);
        let node = Rc::new(parser.object()?);
        let (source, value_count) = (Source::ObjectStream(Rc::clone(&stream.bytes)), parser.value_count());
        Ok(Loaded { id, node, source, stream: None, value_count })
    }

    fn object_stream(&self, number: u32) -> Result<Rc<ObjectStream>, Refusal> {
        if let Some(stream) = self.object_streams.borrow().get(&number) {
            return Ok(Rc::clone(stream));
        }
        let broken = || damaged("an object stream does not parse");
        let Place::At { offset, generation } = self.xref.place(number) else { return Err(broken()) };
        let id = (number, generation);
        let mut parser = Parser::new(self.bytes, offset, &self.budget);
        if parser.object_header() != Some(id) {
            return Err(damaged("an object does not stand where the cross-references say"));
        }
        let node = Rc::new(parser.object()?);
        let dictionary = node.as_dictionary().ok_or_else(broken)?;
        let length = match dictionary.get(b"Length").map(|node| &node.value) {
            Some(Value::Integer(length)) => Some(*length),
            Some(Value::Reference(target)) if matches!(self.xref.place(target.0), Place::At { .. }) => {
                self.plain_integer(*target)?
            }
            _ => None,
        };
        let length = length.and_then(|length| usize::try_from(length).ok()).ok_or_else(broken)?;
        let stream = stream_range(&mut parser, length)?;
        let (source, value_count) = (Source::File(self.bytes), parser.value_count());
        let loaded = Loaded { id, node: Rc::clone(&node), source, stream: Some(stream), value_count };
        let bytes = self.decoded(&loaded, self.budget.holdable_bytes())?.ok_or_else(broken)?;
        self.budget.held(bytes.len() as u64)?;
        let stream = Rc::new(self.index_object_stream(dictionary, bytes)?);
        self.object_streams.borrow_mut().insert(number, Rc::clone(&stream));
        Ok(stream)
    }

    fn index_object_stream(&self, dictionary: &Dictionary, bytes: Vec<u8>) -> Result<ObjectStream, Refusal> {
        let broken = || damaged("an object stream does not parse");
        let positive = |key: &[u8]| dictionary.integer(key).and_then(|number| usize::try_from(number).ok());
        let first = positive(b"First").ok_or_else(broken)?;
        let count = positive(b"N").ok_or_else(broken)?;
        if count > self.budget.limits.objects as usize {
            return Err(Refusal::TooManyObjects { limit: self.budget.limits.objects });
        }
        self.budget.listed(count as u64)?;
        let mut parser = Parser::new(&bytes, 0, &self.budget);
        let mut index = Vec::new();
        for _ in 0..count {
            let number =
                parser.unsigned().and_then(|number| u32::try_from(number).ok()).ok_or_else(broken)?;
            let offset =
                parser.unsigned().and_then(|offset| usize::try_from(offset).ok()).ok_or_else(broken)?;
            index.push((number, first.checked_add(offset).ok_or_else(broken)?));
        }
        parser.settle()?;
        Ok(ObjectStream { bytes: Rc::new(bytes), index })
    }

    /// The decoded stream of an object, to at most `limit` bytes; `None` if a filter is opaque.
    pub(crate) fn decoded(&self, loaded: &Loaded<'_>, limit: u64) -> Result<Option<Vec<u8>>, Refusal> {
        let chain = self.chain(loaded)?;
        let plain;
        let raw = match self.stream_crypt(loaded, &chain) {
            None => self.raw_stream(loaded),
            Some(crypt) => {
                plain = crypt.decrypt_stream(loaded.id, self.raw_stream(loaded))?;
                &plain
            }
        };
        decode(raw, &chain, limit, &self.budget)
    }

    /// Counts what the stream of an object expands to; whether it does so without an error.
    pub(crate) fn measured(&self, loaded: &Loaded<'_>) -> Result<bool, Refusal> {
        let chain = self.chain(loaded)?;
        match self.stream_crypt(loaded, &chain) {
            None => filters::measure(self.raw_stream(loaded), &chain, &self.budget),
            Some(crypt) => match crypt.decrypt_stream(loaded.id, self.raw_stream(loaded)) {
                Ok(plain) => filters::measure(&plain, &chain, &self.budget),
                Err(_) => Ok(false),
            },
        }
    }

    fn stream_crypt(&self, loaded: &Loaded<'_>, chain: &Chain) -> Option<&Crypt> {
        let exempt = loaded.dictionary().and_then(|d| d.name(b"Type")) == Some(b"XRef");
        self.crypt.as_ref().filter(|_| !exempt && !chain.crypt_identity)
    }

    pub(crate) fn raw_stream(&self, loaded: &Loaded<'_>) -> &'a [u8] {
        loaded.stream.clone().and_then(|range| self.bytes.get(range)).unwrap_or_default()
    }

    fn chain(&self, loaded: &Loaded<'_>) -> Result<Chain, Refusal> {
        let Some(dictionary) = loaded.dictionary() else { return Ok(Chain::default()) };
        let direct = |key: &[u8]| match dictionary.get(key) {
            Some(node) => self.resolve_in_place(node),
            None => Ok(None),
        };
        let (filter, parameters) = (direct(b"Filter")?, direct(b"DecodeParms")?);
        Chain::read(filter.as_deref(), parameters.as_deref())
    }

    /// The node itself, or the object that it refers to, through at most a few references; null is `None`.
    pub(crate) fn resolve_in_place(&self, node: &Node) -> Result<Option<Rc<Node>>, Refusal> {
        match node.value {
            Value::Reference(id) => Ok(self.follow(id)?.map(|loaded| loaded.node)),
            Value::Null => Ok(None),
            _ => self.copied(node).map(Some),
        }
    }

    /// A node of an object that is not kept, at the price of reading it again.
    pub(crate) fn copied(&self, node: &Node) -> Result<Rc<Node>, Refusal> {
        self.budget.parsed(node.span.len())?;
        Ok(Rc::new(node.clone()))
    }

    /// The object at the end of a chain of references.
    pub(crate) fn follow(&self, id: ObjectId) -> Result<Option<Loaded<'a>>, Refusal> {
        let mut id = id;
        for _ in 0..4 {
            let Some(loaded) = self.load(id)? else { return Ok(None) };
            match loaded.node.value {
                Value::Reference(next) => id = next,
                Value::Null => return Ok(None),
                _ => return Ok(Some(loaded)),
            }
        }
        Err(damaged("an object refers to another through too many references"))
    }

    /// The plain bytes of a string of `owner`.
    pub(crate) fn string(&self, owner: &Loaded<'_>, raw: &[u8]) -> Result<Vec<u8>, Refusal> {
        match &self.crypt {
            Some(crypt) if !owner.is_compressed() && self.encrypt_id != Some(owner.id) => {
                crypt.decrypt_string(owner.id, raw)
            }
            _ => Ok(raw.to_vec()),
        }
    }
}

fn header_version(bytes: &[u8]) -> Result<(u8, u8), Refusal> {
    let version = bytes.strip_prefix(b"%PDF-").ok_or(Refusal::NotAPdf)?;
    match version {
        [major @ b'1'..=b'2', b'.', minor @ b'0'..=b'9', ..] => Ok((major - b'0', minor - b'0')),
        _ => Err(damaged("the header names no PDF version")),
    }
}
