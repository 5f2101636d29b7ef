//! Files attached to a sealed document: in the name tree of embedded files and as associated files of the document
//! (ISO 32000-2 §7.11.4 and §14.13).

use std::collections::HashSet;
use std::rc::Rc;

use lopdf::{Dictionary, Object, ObjectId, Stream, StringFormat};

use super::{Attachment, SealError};
use crate::file::deflate::deflate;
use crate::file::syntax::Node;
use crate::file::update::{Update, encryption};
use crate::file::{File, Loaded, write};
use crate::inspect::{Refusal, check_file_name, damaged};

/// Name trees deeper or with more names than this are no part of a document that people sign.
const NAMES_MAX: usize = 10_000;

/// A name of the tree with its key and value as they are written.
struct Name {
    key: Vec<u8>,
    written_key: Vec<u8>,
    written_value: Vec<u8>,
}

/// Writes the attachments and enters them into the catalog.
pub(super) fn attach<'a>(
    update: &mut Update<'a, '_>,
    file: &File<'a>,
    catalog: &Loaded<'a>,
    attachments: &[Attachment],
    new: &mut Vec<(ObjectId, Vec<u8>)>,
) -> Result<(), SealError> {
    if attachments.is_empty() {
        return Ok(());
    }
    let tree_id = update.reserve();
    let names_node = catalog.dictionary().and_then(|dictionary| dictionary.get(b"Names"));
    let names = names_node.map(|node| target(file, catalog, node)).transpose()?.flatten();
    let mut tree = Vec::new();
    if let Some((owner, node)) = &names
        && let Some(embedded) = node.as_dictionary().and_then(|dictionary| dictionary.get(b"EmbeddedFiles"))
        && let Some((owner, root)) = target(file, owner, embedded)?
    {
        collect(update, file, &owner, &root, tree_id, &mut tree, &mut HashSet::new(), 0)?;
    }
    let mut specifications = Vec::new();
    for attachment in attachments {
        let (specification, stream) = (update.reserve(), update.reserve());
        new.push((
            stream,
            write::object(&Object::Stream(embedded_file(attachment)), &encryption(file, stream)),
        ));
        let body = Object::Dictionary(file_specification(attachment, stream));
        new.push((specification, write::object(&body, &encryption(file, specification))));
        let key = unique_key(&tree, &attachment.file_name);
        tree.push(Name {
            written_key: encryption(file, tree_id).string(&key),
            written_value: write::reference(specification).into_bytes(),
            key,
        });
        specifications.push(write::reference(specification));
    }
    tree.sort_by(|one, other| one.key.cmp(&other.key));
    let mut body = b"<< /Names [".to_vec();
    for name in &tree {
        body.extend([b"\n", name.written_key.as_slice(), b" ", &name.written_value].concat());
    }
    body.extend_from_slice(b"] >>");
    new.push((tree_id, body));
    let tree_reference = write::reference(tree_id);
    if let Some((owner, node)) = &names {
        update.set(owner, node, "EmbeddedFiles", tree_reference.as_bytes())?;
    } else {
        let value = format!("<< /EmbeddedFiles {tree_reference} >>");
        update.set(catalog, &catalog.node, "Names", value.as_bytes())?;
    }
    associate(update, file, catalog, &specifications.join(" "))
}

fn associate<'a>(
    update: &mut Update<'a, '_>,
    file: &File<'a>,
    catalog: &Loaded<'a>,
    references: &str,
) -> Result<(), SealError> {
    let existing = catalog.dictionary().and_then(|dictionary| dictionary.get(b"AF"));
    match existing.map(|node| target(file, catalog, node)).transpose()?.flatten() {
        Some((owner, array)) if array.as_array().is_some() => {
            update.push(&owner, &array, references.as_bytes())?;
        }
        _ => update.set(catalog, &catalog.node, "AF", format!("[{references}]").as_bytes())?,
    }
    Ok(())
}

/// The object that holds what `node` of `owner` stands for, and the node there: itself, or where it refers to.
pub(super) fn target<'a>(
    file: &File<'a>,
    owner: &Loaded<'a>,
    node: &Node,
) -> Result<Option<(Loaded<'a>, Rc<Node>)>, Refusal> {
    Ok(match node.as_reference() {
        None => Some((owner.clone(), file.copied(node)?)),
        Some(id) => file.follow(id)?.map(|object| {
            let node = Rc::clone(&object.node);
            (object, node)
        }),
    })
}

/// Collects the names of a tree in its order (§7.9.6).
#[expect(clippy::too_many_arguments, reason = "one recursion with its bounds")]
fn collect<'a>(
    update: &Update<'a, '_>,
    file: &File<'a>,
    owner: &Loaded<'a>,
    node: &Node,
    tree_id: ObjectId,
    names: &mut Vec<Name>,
    seen: &mut HashSet<ObjectId>,
    depth: u32,
) -> Result<(), Refusal> {
    if depth > file.budget.limits.depth {
        return Err(file.budget.too_deep());
    }
    let Some(dictionary) = node.as_dictionary() else { return Ok(()) };
    if let Some(entry) = dictionary.get(b"Names")
        && let Some((owner, array)) = target(file, owner, entry)?
    {
        for pair in array.as_array().unwrap_or_default().chunks_exact(2) {
            let [key, value] = pair else { continue };
            let raw = key.as_string().ok_or(damaged("a name tree holds a key that is no string"))?;
            if names.len() >= NAMES_MAX {
                return Err(Refusal::TooComplex);
            }
            let plain = file.string(&owner, raw)?;
            check_file_name(&plain)?;
            names.push(Name {
                key: plain,
                written_key: update.render(&owner, key, &[], tree_id)?,
                written_value: update.render(&owner, value, &[], tree_id)?,
            });
        }
    }
    if let Some(entry) = dictionary.get(b"Kids")
        && let Some((owner, array)) = target(file, owner, entry)?
    {
        for kid in array.as_array().unwrap_or_default() {
            if let Some(id) = kid.as_reference()
                && !seen.insert(id)
            {
                return Err(damaged("a name tree holds a node twice"));
            }
            if let Some((owner, kid)) = target(file, &owner, kid)? {
                collect(update, file, &owner, &kid, tree_id, names, seen, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// The name itself, or with a number before it if the document has one already.
fn unique_key(names: &[Name], file_name: &str) -> Vec<u8> {
    let taken = |key: &[u8]| names.iter().any(|name| name.key == key);
    let mut key = write::text_string(file_name);
    let mut number = 2_u32;
    while taken(&key) {
        key = write::text_string(&format!("{number} {file_name}"));
        number += 1;
    }
    key
}

fn text(value: &str) -> Object {
    Object::String(write::text_string(value), StringFormat::Literal)
}

fn embedded_file(attachment: &Attachment) -> Stream {
    let mut parameters = Dictionary::new();
    parameters.set("Size", i64::try_from(attachment.bytes.len()).unwrap_or(i64::MAX));
    parameters.set("ModDate", text(&attachment.modified.pdf_date()));
    let mut dictionary = Dictionary::new();
    dictionary.set("Type", Object::Name(b"EmbeddedFile".to_vec()));
    dictionary.set("Subtype", Object::Name(attachment.mime_type.clone().into_bytes()));
    dictionary.set("Params", parameters);
    let compressed = deflate(&attachment.bytes);
    if compressed.len() >= attachment.bytes.len() {
        return Stream::new(dictionary, attachment.bytes.clone());
    }
    dictionary.set("Filter", Object::Name(b"FlateDecode".to_vec()));
    Stream::new(dictionary, compressed)
}

fn file_specification(attachment: &Attachment, stream: ObjectId) -> Dictionary {
    let mut files = Dictionary::new();
    files.set("F", stream);
    files.set("UF", stream);
    let mut dictionary = Dictionary::new();
    dictionary.set("Type", Object::Name(b"Filespec".to_vec()));
    dictionary.set("F", text(&attachment.file_name));
    dictionary.set("UF", text(&attachment.file_name));
    dictionary.set("Desc", text(&attachment.description));
    dictionary.set("AFRelationship", Object::Name(b"Data".to_vec()));
    dictionary.set("EF", files);
    dictionary
}
