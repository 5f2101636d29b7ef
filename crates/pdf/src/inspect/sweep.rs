//! Every reachable object and stream of an upload, once: what expands too far or does not parse is refused, what a
//! sender should know is noticed.

use std::collections::{BTreeSet, HashSet};

use lopdf::ObjectId;
use serde::Serialize;

use super::{Page, Refusal, damaged, text_string};
use crate::file::syntax::{Dictionary, Node, Value};
use crate::file::{File, Loaded};

/// Something in an accepted file that a sender should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// The file is encrypted but opens without a password; its author restricts what readers offer to do with it.
    OwnerPassword,
    /// Scripts, which may change what some readers show.
    #[serde(rename = "javascript")]
    JavaScript,
    /// Files inside the file.
    EmbeddedFiles,
    /// Actions that leave the file: links, programs, other files, form submission.
    ExternalActions,
    /// Layers that can be shown or hidden.
    OptionalContent,
    /// Sound, film or three-dimensional content.
    Multimedia,
    /// An XFA form beside the pages: it is dropped by the seal, so that every reader shows the pages.
    XfaAlongside,
    /// A picture, font or other stream that does not expand without an error; pages may show gaps.
    BrokenStream,
}

impl Notice {
    /// Every notice, for tables and tests.
    pub const ALL: [Self; 8] = [
        Self::OwnerPassword,
        Self::JavaScript,
        Self::EmbeddedFiles,
        Self::ExternalActions,
        Self::OptionalContent,
        Self::Multimedia,
        Self::XfaAlongside,
        Self::BrokenStream,
    ];

    /// A sentence for the sender.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::OwnerPassword => {
                "The file is encrypted by an owner password; it opens without one and stays so."
            }
            Self::JavaScript => "The file holds scripts, which may change what some readers show.",
            Self::EmbeddedFiles => "The file holds other files; they are sealed with it.",
            Self::ExternalActions => "The file holds links or actions that leave it.",
            Self::OptionalContent => "The file has layers that can be shown or hidden.",
            Self::Multimedia => "The file holds sound, film or three-dimensional content.",
            Self::XfaAlongside => "The file holds an XFA form beside its pages; the seal drops it.",
            Self::BrokenStream => "A picture or font in the file is broken; pages may show gaps.",
        }
    }
}

/// How the names of files begin that a seal attaches as evidence.
const RESERVED_START: &str = "countersign-";

struct Sweep<'a, 'f> {
    file: &'f File<'a>,
    first_free: u32,
    seen: HashSet<ObjectId>,
    pending: Vec<ObjectId>,
    notices: BTreeSet<Notice>,
}

pub(super) fn read<'a>(file: &File<'a>, pages: &[Page<'a>]) -> Result<BTreeSet<Notice>, Refusal> {
    let mut sweep = Sweep {
        file,
        first_free: file.first_free(),
        seen: HashSet::new(),
        pending: Vec::new(),
        notices: BTreeSet::new(),
    };
    let contents = content_streams(file, pages)?;
    for entry in file.trailer()?.entries() {
        sweep.node(None, &entry.node)?;
    }
    while let Some(id) = sweep.pending.pop() {
        let Some(object) = file.load(id)? else { continue };
        sweep.node(Some(&object), &object.node)?;
        if object.stream.is_some() {
            sweep.stream(&object, contents.contains(&id))?;
        }
    }
    Ok(sweep.notices)
}

/// Refuses the name of an embedded file that could be taken for the evidence that a seal attaches.
pub(crate) fn check_file_name(raw: &[u8]) -> Result<(), Refusal> {
    let name = text_string(raw);
    let last = name.rsplit(['/', '\\', ':']).next().unwrap_or_default();
    let last = last.trim_matches(|letter: char| letter.is_whitespace() || letter.is_control());
    let start: String = last.chars().take(RESERVED_START.len()).collect();
    if start.eq_ignore_ascii_case(RESERVED_START) { Err(Refusal::ReservedFileName) } else { Ok(()) }
}

fn content_streams(file: &File<'_>, pages: &[Page<'_>]) -> Result<HashSet<ObjectId>, Refusal> {
    let mut streams = HashSet::new();
    for page in pages {
        let Some(node) = page.object.dictionary().and_then(|dictionary| dictionary.get(b"Contents")) else {
            continue;
        };
        streams.extend(node.as_reference());
        if let Some(array) = file.resolve_in_place(node)? {
            streams.extend(array.as_array().unwrap_or_default().iter().filter_map(Node::as_reference));
        }
    }
    Ok(streams)
}

impl Sweep<'_, '_> {
    /// Visits a node of `owner`, or of the trailer.
    fn node(&mut self, owner: Option<&Loaded<'_>>, node: &Node) -> Result<(), Refusal> {
        match &node.value {
            // The objects of a seal take these numbers: a page could have their stamps drawn where nobody placed them,
            // or have the form name them as its fields.
            Value::Reference(id) if id.0 >= self.first_free => {
                return Err(Refusal::DanglingReference { number: id.0 });
            }
            Value::Reference(id) if self.seen.insert(*id) => self.pending.push(*id),
            Value::Array(items) => {
                for item in items {
                    self.node(owner, item)?;
                }
            }
            Value::Dictionary(dictionary) => {
                self.dictionary(owner, dictionary)?;
                for entry in dictionary.entries() {
                    self.node(owner, &entry.node)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn dictionary(&mut self, owner: Option<&Loaded<'_>>, dictionary: &Dictionary) -> Result<(), Refusal> {
        if dictionary.get(b"JS").is_some() || dictionary.name(b"S") == Some(b"JavaScript") {
            self.notices.insert(Notice::JavaScript);
        }
        if dictionary.get(b"EF").is_some() {
            self.notices.insert(Notice::EmbeddedFiles);
            self.file_names(owner, dictionary)?;
        }
        if dictionary.get(b"OCProperties").is_some() {
            self.notices.insert(Notice::OptionalContent);
        }
        if let Some(b"URI" | b"Launch" | b"GoToR" | b"SubmitForm" | b"ImportData") = dictionary.name(b"S") {
            self.notices.insert(Notice::ExternalActions);
        }
        if let Some(b"3D" | b"RichMedia" | b"Movie" | b"Sound" | b"Screen") = dictionary.name(b"Subtype") {
            self.notices.insert(Notice::Multimedia);
        }
        Ok(())
    }

    /// The names that a file specification gives its file (§7.11.3).
    fn file_names(&self, owner: Option<&Loaded<'_>>, specification: &Dictionary) -> Result<(), Refusal> {
        for key in [&b"F"[..], b"UF", b"DOS", b"Mac", b"Unix"] {
            let Some(node) = specification.get(key) else { continue };
            let elsewhere = node.as_reference().map(|id| self.file.follow(id)).transpose()?.flatten();
            let (owner, node) = match &elsewhere {
                Some(object) => (Some(object), &*object.node),
                None => (owner, node),
            };
            if let (Some(owner), Some(raw)) = (owner, node.as_string()) {
                check_file_name(&self.file.string(owner, raw)?)?;
            }
        }
        Ok(())
    }

    fn stream(&mut self, object: &Loaded<'_>, is_page_content: bool) -> Result<(), Refusal> {
        let Some(dictionary) = object.dictionary() else { return Ok(()) };
        if dictionary.get(b"F").is_some() {
            return Err(damaged("a stream stands in another file"));
        }
        if dictionary.name(b"Subtype") == Some(b"Image") {
            self.image(dictionary)?;
        }
        if self.file.measured(object)? {
            return Ok(());
        }
        if is_page_content {
            return Err(damaged("the content of a page does not expand"));
        }
        self.notices.insert(Notice::BrokenStream);
        Ok(())
    }

    fn image(&self, dictionary: &Dictionary) -> Result<(), Refusal> {
        let mut pixels = 1_u64;
        for key in [&b"Width"[..], b"Height"] {
            let size = match dictionary.get(key) {
                Some(node) => self.file.resolve_in_place(node)?.and_then(|node| node.as_integer()),
                None => None,
            };
            pixels = pixels.saturating_mul(size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0));
        }
        if pixels > self.file.budget.limits.image_pixels { Err(Refusal::ExpansionBomb) } else { Ok(()) }
    }
}
