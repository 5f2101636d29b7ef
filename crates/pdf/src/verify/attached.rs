//! The files that a seal attached.

use std::collections::HashSet;

use lopdf::ObjectId;
use serde::Serialize;

use super::SealFailure;
use crate::file::syntax::Node;
use crate::file::{File, Loaded};
use crate::inspect::{Refusal, damaged, text_string};

/// A file that the seal attached; those of the original are not among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SealedAttachment {
    /// Name.
    pub file_name: String,
    /// Media type.
    pub mime_type: String,
    /// What it is.
    pub description: String,
    /// Content.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// Reads the attachments whose specifications are objects from `first_new`.
pub(super) fn read(
    file: &File<'_>,
    catalog: &Loaded<'_>,
    first_new: u32,
) -> Result<Vec<SealedAttachment>, SealFailure> {
    let mut specifications = Vec::new();
    let names = match catalog.dictionary().and_then(|dictionary| dictionary.get(b"Names")) {
        Some(node) => file.resolve_in_place(node)?,
        None => None,
    };
    if let Some(tree) = names.as_deref().and_then(Node::as_dictionary).and_then(|n| n.get(b"EmbeddedFiles")) {
        collect(file, tree, &mut specifications, &mut HashSet::new(), 0)?;
    }
    specifications.retain(|id| id.0 >= first_new);
    specifications.into_iter().map(|id| attachment(file, id)).collect()
}

fn collect(
    file: &File<'_>,
    node: &Node,
    found: &mut Vec<ObjectId>,
    seen: &mut HashSet<ObjectId>,
    depth: u32,
) -> Result<(), Refusal> {
    if depth > file.budget.limits.depth {
        return Err(file.budget.too_deep());
    }
    if node.as_reference().is_some_and(|id| !seen.insert(id)) {
        return Err(damaged("a name tree holds a node twice"));
    }
    let Some(tree) = file.resolve_in_place(node)? else { return Ok(()) };
    let Some(dictionary) = tree.as_dictionary() else { return Ok(()) };
    if let Some(names) = dictionary.get(b"Names") {
        let names = file.resolve_in_place(names)?;
        let pairs = names.as_deref().and_then(Node::as_array).unwrap_or_default().chunks_exact(2);
        file.budget.copied(pairs.len() * size_of::<ObjectId>())?;
        found.extend(pairs.filter_map(|pair| pair.last()?.as_reference()));
    }
    if let Some(kids) = dictionary.get(b"Kids") {
        let kids = file.resolve_in_place(kids)?;
        for kid in kids.as_deref().and_then(Node::as_array).unwrap_or_default() {
            collect(file, kid, found, seen, depth + 1)?;
        }
    }
    Ok(())
}

fn attachment(file: &File<'_>, id: ObjectId) -> Result<SealedAttachment, SealFailure> {
    let broken = || SealFailure::Unreadable(damaged("an attachment does not parse"));
    let specification = file.load(id)?.ok_or_else(broken)?;
    let dictionary = specification.dictionary().ok_or_else(broken)?;
    let text = |key: &[u8]| -> Result<String, SealFailure> {
        let raw = dictionary.get(key).and_then(Node::as_string).unwrap_or_default();
        Ok(text_string(&file.string(&specification, raw)?))
    };
    let stream = dictionary.get(b"EF").and_then(Node::as_dictionary).and_then(|files| files.reference(b"F"));
    let stream = file.load(stream.ok_or_else(broken)?)?.ok_or_else(broken)?;
    let bytes = file.decoded(&stream, file.budget.holdable_bytes())?.ok_or_else(broken)?;
    file.budget.held(bytes.len() as u64)?;
    let mime_type =
        stream.dictionary().and_then(|dictionary| dictionary.name(b"Subtype")).unwrap_or_default();
    Ok(SealedAttachment {
        file_name: text(b"UF")?,
        mime_type: String::from_utf8_lossy(mime_type).into_owned(),
        description: text(b"Desc")?,
        bytes,
    })
}
