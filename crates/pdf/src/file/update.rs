//! An incremental update (ISO 32000-2 §7.5.6): objects that are extended keep their source bytes around each splice,
//! new objects follow, and the cross-references continue in the kind that the file ends with.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::ops::Range;

use lopdf::ObjectId;
use sha2::{Digest, Sha256};

use super::syntax::{Entry, Node, Value};
use super::write::{Encryption, hex_string};
use super::xref::XrefKind;
use super::{File, Loaded};
use crate::inspect::{Refusal, damaged};

/// Entries of a trailer, or of a cross-reference stream, that belong to one section. An update keeps all others.
pub(crate) const OF_ONE_SECTION: [&[u8]; 10] =
    [b"Size", b"Prev", b"ID", b"Type", b"W", b"Index", b"Length", b"Filter", b"DecodeParms", b"XRefStm"];

/// A piece of an object's source and what stands there instead.
#[derive(Clone, Debug)]
pub(crate) struct Splice {
    pub(crate) span: Range<usize>,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
struct Extended<'a> {
    object: Loaded<'a>,
    splices: Vec<Splice>,
    /// Dictionary (by the start of its span) and key of every entry that was set, to refuse a second one.
    set: HashSet<(usize, Vec<u8>)>,
}

/// The objects that the update changes and adds.
#[derive(Debug)]
pub(crate) struct Update<'a, 'f> {
    file: &'f File<'a>,
    extended: BTreeMap<ObjectId, Extended<'a>>,
    next: u32,
}

/// A file with its update appended.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) bytes: Vec<u8>,
    offsets: Vec<(ObjectId, usize)>,
}

impl<'a, 'f> Update<'a, 'f> {
    /// Starts an update whose own objects are numbered from `next`.
    pub(crate) fn new(file: &'f File<'a>, next: u32) -> Self {
        Self { file, extended: BTreeMap::new(), next }
    }

    /// A number for an object of the update.
    pub(crate) fn reserve(&mut self) -> ObjectId {
        let id = (self.next, 0);
        self.next += 1;
        id
    }

    fn extend(&mut self, object: &Loaded<'a>) -> Result<&mut Extended<'a>, Refusal> {
        if object.stream.is_some() {
            return Err(damaged("a stream stands where a dictionary is expected"));
        }
        Ok(self.extended.entry(object.id).or_insert_with(|| Extended {
            object: object.clone(),
            splices: Vec::new(),
            set: HashSet::new(),
        }))
    }

    /// Sets `key` of a dictionary inside `object`.
    pub(crate) fn set(
        &mut self,
        object: &Loaded<'a>,
        dictionary: &Node,
        key: &str,
        value: &[u8],
    ) -> Result<(), Refusal> {
        let splice = set_splice(dictionary, key, value)?;
        let extended = self.extend(object)?;
        if !extended.set.insert((dictionary.span.start, key.as_bytes().to_vec())) {
            return Err(damaged("one dictionary serves two purposes of the document"));
        }
        extended.splices.push(splice);
        Ok(())
    }

    /// Removes `key` of a dictionary inside `object`, if it is there.
    pub(crate) fn remove(
        &mut self,
        object: &Loaded<'a>,
        dictionary: &Node,
        key: &[u8],
    ) -> Result<(), Refusal> {
        let entry = dictionary.as_dictionary().and_then(|dictionary| dictionary.entry(key));
        if let Some(Entry { key_span, node, .. }) = entry {
            let span = key_span.start..node.span.end;
            self.extend(object)?.splices.push(Splice { span, bytes: Vec::new() });
        }
        Ok(())
    }

    /// Appends items to an array inside `object`.
    pub(crate) fn push(&mut self, object: &Loaded<'a>, array: &Node, items: &[u8]) -> Result<(), Refusal> {
        let end = array.span.end.saturating_sub(1);
        self.extend(object)?.splices.push(Splice { span: end..end, bytes: [b" ", items].concat() });
        Ok(())
    }

    /// The source bytes of `node` of `object`, spliced, as they read inside the object `target`.
    pub(crate) fn render(
        &self,
        object: &Loaded<'_>,
        node: &Node,
        splices: &[Splice],
        target: ObjectId,
    ) -> Result<Vec<u8>, Refusal> {
        self.file.budget.copied(node.span.len())?;
        let mut splices = splices.to_vec();
        splices.extend(self.recrypted(object, node, target, &splices)?);
        splices.sort_by_key(|splice| (splice.span.start, splice.span.end));
        let mut bytes = Vec::with_capacity(node.span.len() + 64);
        let mut position = node.span.start;
        for splice in &splices {
            if splice.span.start < position {
                return Err(damaged("one object serves two purposes of the document"));
            }
            bytes.extend_from_slice(object.bytes(&(position..splice.span.start)));
            bytes.extend_from_slice(&splice.bytes);
            position = splice.span.end;
        }
        bytes.extend_from_slice(object.bytes(&(position..node.span.end)));
        Ok(bytes)
    }

    /// In an encrypted file a string belongs to the object that holds it: one that moves, or that leaves an object
    /// stream, is encrypted anew (§7.6.3).
    fn recrypted(
        &self,
        object: &Loaded<'_>,
        node: &Node,
        target: ObjectId,
        splices: &[Splice],
    ) -> Result<Vec<Splice>, Refusal> {
        let mut recrypted = Vec::new();
        let Some(crypt) = &self.file.crypt else { return Ok(recrypted) };
        if object.id == target && !object.is_compressed() {
            return Ok(recrypted);
        }
        let mut strings = Vec::new();
        strings_of(node, &mut strings);
        for (span, raw) in strings {
            let replaced =
                splices.iter().any(|splice| splice.span.start <= span.start && span.end <= splice.span.end);
            if !replaced {
                let plain = self.file.string(object, raw)?;
                recrypted.push(Splice { span, bytes: hex_string(&crypt.encrypt_string(target, &plain)) });
            }
        }
        Ok(recrypted)
    }

    /// The file followed by the extended objects and `new` objects, already written out. One line feed parts the
    /// original from the update: the original is everything before it.
    pub(crate) fn append(self, new: Vec<(ObjectId, Vec<u8>)>) -> Result<Appended, Refusal> {
        let added: usize = new.iter().map(|(_, bytes)| bytes.len() + 64).sum();
        let mut bytes =
            Vec::with_capacity(self.file.bytes.len() + added + self.extended.len() * 1024 + 65_536);
        bytes.extend_from_slice(self.file.bytes);
        bytes.push(b'\n');
        let mut appended = Appended { bytes, offsets: Vec::new() };
        for (id, extended) in &self.extended {
            let body = self.render(&extended.object, &extended.object.node, &extended.splices, *id)?;
            appended.object(*id, &body);
        }
        for (id, body) in &new {
            appended.object(*id, body);
        }
        appended.cross_references(self.file, self.next)?;
        Ok(appended)
    }
}

/// The splice that sets `key` of `dictionary`.
pub(crate) fn set_splice(dictionary: &Node, key: &str, value: &[u8]) -> Result<Splice, Refusal> {
    let entries = dictionary
        .as_dictionary()
        .ok_or(damaged("a dictionary is expected and something else stands there"))?;
    Ok(if let Some(entry) = entries.entry(key.as_bytes()) {
        Splice { span: entry.node.span.clone(), bytes: [b" ", value].concat() }
    } else {
        let end = dictionary.span.end.saturating_sub(2);
        Splice { span: end..end, bytes: [b" /", key.as_bytes(), b" ", value].concat() }
    })
}

fn strings_of<'n>(node: &'n Node, found: &mut Vec<(Range<usize>, &'n [u8])>) {
    match &node.value {
        Value::String(raw) => found.push((node.span.clone(), raw)),
        Value::Array(items) => items.iter().for_each(|item| strings_of(item, found)),
        Value::Dictionary(dictionary) => {
            dictionary.entries().iter().for_each(|entry| strings_of(&entry.node, found));
        }
        _ => {}
    }
}

impl Appended {
    fn object(&mut self, id: ObjectId, body: &[u8]) {
        self.offsets.push((id, self.bytes.len()));
        self.text(format_args!("{} {} obj\n", id.0, id.1));
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(b"\nendobj\n");
    }

    /// Where the body of an appended object begins.
    pub(crate) fn body_offset(&self, id: ObjectId) -> Option<usize> {
        let (_, offset) = self.offsets.iter().find(|(other, _)| *other == id)?;
        let header = self.bytes.get(*offset..)?.iter().position(|byte| *byte == b'\n')?;
        Some(offset + header + 1)
    }

    fn text(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a vector cannot fail.
        let _ = self.bytes.write_fmt(text);
    }

    fn cross_references(&mut self, file: &File<'_>, next: u32) -> Result<(), Refusal> {
        let previous = file.xref.newest()?;
        let start = self.bytes.len();
        let kind = previous.kind;
        let own = (next.max(file.first_free()), 0);
        if kind == XrefKind::Stream {
            self.offsets.push((own, start));
        }
        self.offsets.sort_unstable();
        let size = if kind == XrefKind::Stream { own.0 + 1 } else { own.0 };
        let runs = runs(&self.offsets);
        match kind {
            XrefKind::Table => {
                self.bytes.extend_from_slice(b"xref\n");
                for run in &runs {
                    let first = run.first().map_or(0, |(id, _)| id.0);
                    self.text(format_args!("{first} {}\n", run.len()));
                    for (id, offset) in run {
                        self.text(format_args!("{offset:010} {:05} n \n", id.1));
                    }
                }
                self.bytes.extend_from_slice(b"trailer\n<<");
                self.trailer(file, start, size)?;
                self.bytes.extend_from_slice(b" >>\n");
            }
            XrefKind::Stream => {
                let index: Vec<String> = runs
                    .iter()
                    .map(|run| format!("{} {}", run.first().map_or(0, |(id, _)| id.0), run.len()))
                    .collect();
                let rows: Vec<u8> =
                    runs.iter().flatten().flat_map(|(id, offset)| row(*id, *offset)).collect();
                let index = index.join(" ");
                self.text(format_args!(
                    "{} 0 obj\n<< /Type /XRef /W [1 8 2] /Index [{index}] /Length {}",
                    own.0,
                    rows.len()
                ));
                self.trailer(file, start, size)?;
                self.bytes.extend_from_slice(b" >>\nstream\n");
                self.bytes.extend_from_slice(&rows);
                self.bytes.extend_from_slice(b"\nendstream\nendobj\n");
            }
        }
        self.text(format_args!("startxref\n{start}\n%%EOF\n"));
        Ok(())
    }

    /// The entries of the newest trailer, continued.
    fn trailer(&mut self, file: &File<'_>, start: usize, size: u32) -> Result<(), Refusal> {
        let previous = file.xref.newest()?;
        for entry in previous.trailer.entries() {
            if !OF_ONE_SECTION.contains(&entry.key.as_slice()) {
                let source = file.bytes.get(entry.key_span.start..entry.node.span.end).unwrap_or_default();
                self.bytes.push(b' ');
                self.bytes.extend_from_slice(source);
            }
        }
        self.text(format_args!(" /Size {size} /Prev {}", previous.offset));
        let added = self.bytes.get(file.bytes.len()..start).unwrap_or_default();
        let mut digest = Sha256::new();
        digest.update(b"countersign pdf file identifier");
        digest.update(added);
        let changing: Vec<u8> = digest.finalize().iter().copied().take(16).collect();
        let changing = hex_string(&changing);
        let identifier = previous.trailer.get(b"ID").and_then(Node::as_array);
        match identifier.and_then(<[Node]>::first) {
            Some(permanent) => {
                let source = file.bytes.get(permanent.span.clone()).unwrap_or_default();
                self.bytes.extend([b" /ID [", source, b" ", &changing, b"]"].concat());
            }
            // The first identifier is part of the key of an encrypted file: none may appear there.
            None if file.crypt.is_some() => {}
            None => self.bytes.extend([b" /ID [", changing.as_slice(), b" ", &changing, b"]"].concat()),
        }
        Ok(())
    }

    /// Replaces `bytes.len()` bytes at `offset`.
    pub(crate) fn patch(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let place = self.bytes.get_mut(offset..offset.saturating_add(bytes.len()));
        place.map(|place| place.copy_from_slice(bytes)).is_some()
    }
}

fn row(id: ObjectId, offset: usize) -> [u8; 11] {
    let mut row = [0; 11];
    let fields = std::iter::once(1).chain((offset as u64).to_be_bytes()).chain(id.1.to_be_bytes());
    row.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    row
}

/// Consecutive object numbers together.
fn runs(offsets: &[(ObjectId, usize)]) -> Vec<Vec<(ObjectId, usize)>> {
    let mut runs: Vec<Vec<(ObjectId, usize)>> = Vec::new();
    for entry in offsets {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|(id, _)| id.0 + 1 == entry.0.0) => run.push(*entry),
            _ => runs.push(vec![*entry]),
        }
    }
    runs
}

/// How new objects of `file` are encrypted.
pub(crate) fn encryption<'f>(file: &'f File<'_>, id: ObjectId) -> Encryption<'f> {
    Encryption { crypt: file.crypt.as_ref(), id }
}
