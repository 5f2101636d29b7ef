//! Pages of the sealed document: the content of a stamped page is wrapped and followed by its stamps, and new pages
//! are appended to the page tree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use lopdf::{Dictionary, Object, ObjectId, Stream};

use super::attach::target;
use super::SealError;
use super::balance::Balance;
use crate::file::syntax::Node;
use crate::file::update::{Splice, Update, encryption, set_splice};
use crate::file::{File, Loaded, write};
use crate::place::PageOverlay;
use crate::inspect::{Original, Page, Refusal, Resources, damaged};

/// What is drawn on one page: name in the resources, form and matrix.
type Stamps = Vec<(String, ObjectId, [f64; 6])>;

/// What pages share: the balance of the same content, and the stream that opens it.
#[derive(Default)]
struct Contents {
    balances: HashMap<Vec<ObjectId>, Balance>,
    openings: BTreeMap<usize, ObjectId>,
}

/// A dictionary of the file that gets names of forms.
#[derive(Debug)]
struct Container<'a> {
    owner: Loaded<'a>,
    node: Node,
    /// Whether it is the resource dictionary, without `/XObject`, or the `/XObject` dictionary itself.
    is_resources: bool,
    names: BTreeSet<(String, ObjectId)>,
}

/// Draws the overlays on their pages.
pub(super) fn stamp<'a>(
    update: &mut Update<'a, '_>,
    original: &Original<'a>,
    overlays: &[PageOverlay],
    new: &mut Vec<(ObjectId, Vec<u8>)>,
) -> Result<(), SealError> {
    let mut by_page: BTreeMap<u32, Vec<&PageOverlay>> = BTreeMap::new();
    for overlay in overlays {
        by_page.entry(overlay.page).or_default().push(overlay);
    }
    let mut containers: BTreeMap<(ObjectId, usize), Container<'a>> = BTreeMap::new();
    let mut contents = Contents::default();
    for (number, overlays) in by_page {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let page = index.and_then(|index| original.pages.get(index)).ok_or(SealError::UnknownPage(number))?;
        let stamps = name_forms(update, original, page, &overlays, &mut containers)?;
        wrap(update, original, page, &stamps, &mut contents, new)?;
    }
    for container in containers.into_values() {
        let entries = form_entries(container.names.iter().map(|(name, form)| (name, *form)));
        if container.is_resources {
            update.set(&container.owner, &container.node, "XObject", format!("<<{entries} >>").as_bytes())?;
        } else {
            for (name, form) in &container.names {
                update.set(&container.owner, &container.node, name, write::reference(*form).as_bytes())?;
            }
        }
    }
    Ok(())
}

fn form_entries<'n>(forms: impl Iterator<Item = (&'n String, ObjectId)>) -> String {
    forms.fold(String::new(), |mut text, (name, form)| {
        // Writing to a string cannot fail.
        let _ = write!(text, " /{name} {}", write::reference(form));
        text
    })
}

/// Gives the forms names in the page's resources, wherever those stand.
fn name_forms<'a>(
    update: &mut Update<'a, '_>,
    original: &Original<'a>,
    page: &Page<'a>,
    overlays: &[&PageOverlay],
    containers: &mut BTreeMap<(ObjectId, usize), Container<'a>>,
) -> Result<Stamps, SealError> {
    let file = &original.file;
    let resources = match &page.resources {
        Some(Resources { owner, node }) => target(file, owner, node)?,
        None => None,
    };
    let Some((owner, node)) = resources.filter(|(_, node)| node.as_dictionary().is_some()) else {
        let stamps = named(overlays, None);
        let entries = form_entries(stamps.iter().map(|(name, form, _)| (name, *form)));
        let value = format!("<< /XObject <<{entries} >> >>");
        update.set(&page.object, &page.object.node, "Resources", value.as_bytes())?;
        return Ok(stamps);
    };
    let forms = match node.as_dictionary().and_then(|dictionary| dictionary.get(b"XObject")) {
        Some(forms) => target(file, &owner, forms)?,
        None => None,
    };
    let forms = forms.filter(|(_, node)| node.as_dictionary().is_some());
    let stamps = named(overlays, forms.as_ref().map(|(_, node)| node));
    let inherited_in_place = page.resources.as_ref().is_some_and(|resources| {
        resources.node.as_reference().is_none() && resources.owner.id != page.object.id
    });
    let held_by_reference = forms.as_ref().is_some_and(|(forms_owner, _)| forms_owner.id != owner.id);
    if inherited_in_place && !held_by_reference {
        let copied = copy_resources(update, &owner, &node, forms.as_ref(), &stamps, page.object.id)?;
        update.set(&page.object, &page.object.node, "Resources", &copied)?;
        return Ok(stamps);
    }
    let is_resources = forms.is_none();
    let (owner, node) = forms.unwrap_or((owner, node));
    let container = containers.entry((owner.id, node.span.start)).or_insert_with(|| Container {
        owner,
        node,
        is_resources,
        names: BTreeSet::new(),
    });
    container.names.extend(stamps.iter().map(|(name, form, _)| (name.clone(), *form)));
    Ok(stamps)
}

fn named(overlays: &[&PageOverlay], existing: Option<&Node>) -> Stamps {
    let existing = existing.and_then(Node::as_dictionary);
    overlays
        .iter()
        .map(|overlay| {
            let mut name = format!("Countersign{}", overlay.form.0);
            while existing.is_some_and(|dictionary| dictionary.entry(name.as_bytes()).is_some()) {
                name.push('x');
            }
            (name, overlay.form, overlay.matrix)
        })
        .collect()
}

/// The resources of an ancestor with the forms added, to stand in the page: other pages keep theirs.
fn copy_resources<'a>(
    update: &Update<'a, '_>,
    owner: &Loaded<'a>,
    node: &Node,
    forms: Option<&(Loaded<'a>, Node)>,
    stamps: &Stamps,
    page: ObjectId,
) -> Result<Vec<u8>, Refusal> {
    let unique: BTreeMap<&String, ObjectId> = stamps.iter().map(|(name, form, _)| (name, *form)).collect();
    let mut splices: Vec<Splice> = Vec::new();
    match forms {
        Some((_, forms)) => {
            for (name, form) in unique {
                splices.push(set_splice(forms, name, write::reference(form).as_bytes())?);
            }
        }
        None => {
            let value = format!("<<{} >>", form_entries(unique.into_iter()));
            splices.push(set_splice(node, "XObject", value.as_bytes())?);
        }
    }
    update.render(owner, node, &splices, page)
}

/// Puts the content of a page between a save and a restore, and the stamps after it.
fn wrap<'a>(
    update: &mut Update<'a, '_>,
    original: &Original<'a>,
    page: &Page<'a>,
    stamps: &Stamps,
    contents: &mut Contents,
    new: &mut Vec<(ObjectId, Vec<u8>)>,
) -> Result<(), SealError> {
    let file = &original.file;
    let streams = content_streams(file, page)?;
    let balance = match contents.balances.get(&streams) {
        Some(balance) => *balance,
        None => content_balance(file, &streams)?,
    };
    contents.balances.insert(streams.clone(), balance);
    let Balance { missing_saves, missing_restores } = balance;
    let saves = missing_saves + 1;
    let first = *contents.openings.entry(saves).or_insert_with(|| {
        let id = update.reserve();
        new.push((id, content(file, id, &"q\n".repeat(saves))));
        id
    });
    let mut text = "\n".to_owned() + &"Q\n".repeat(missing_restores + 1);
    for (name, _, matrix) in stamps {
        let [a, b, c, d, e, f] = matrix.map(coordinate);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "q {a} {b} {c} {d} {e} {f} cm /{name} Do Q");
    }
    let last = update.reserve();
    new.push((last, content(file, last, &text)));
    let parts: Vec<String> = [first].into_iter().chain(streams).chain([last]).map(write::reference).collect();
    let value = format!("[{}]", parts.join(" "));
    update.set(&page.object, &page.object.node, "Contents", value.as_bytes())?;
    Ok(())
}

/// A number without an exponent, to a millionth of a unit.
fn coordinate(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn content(file: &File<'_>, id: ObjectId, text: &str) -> Vec<u8> {
    let stream = Stream::new(Dictionary::new(), text.as_bytes().to_vec());
    write::object(&Object::Stream(stream), &encryption(file, id))
}

/// The content streams of a page in order.
pub(crate) fn content_streams(file: &File<'_>, page: &Page<'_>) -> Result<Vec<ObjectId>, Refusal> {
    let Some(node) = page.object.dictionary().and_then(|dictionary| dictionary.get(b"Contents")) else {
        return Ok(Vec::new());
    };
    let array = match node.as_reference() {
        None => node.clone(),
        Some(id) => match file.load(id)? {
            None => return Ok(Vec::new()),
            Some(object) if object.stream.is_some() => return Ok(vec![id]),
            Some(object) => object.node,
        },
    };
    let items = array.as_array().ok_or(damaged("the content of a page is neither a stream nor an array"))?;
    items
        .iter()
        .map(|item| {
            item.as_reference().ok_or(damaged("the content of a page holds something that is no stream"))
        })
        .collect()
}

fn content_balance(file: &File<'_>, streams: &[ObjectId]) -> Result<Balance, Refusal> {
    let mut balance = Balance::default();
    for id in streams {
        let Some(object) = file.load(*id)? else { continue };
        let decoded = file.decoded(&object, file.budget.limits.structure_bytes)?;
        balance.count(&decoded.ok_or(damaged("the content of a page is compressed by no known method"))?);
    }
    Ok(balance)
}

/// Appends pages to the root of the page tree. What the root would hand down is set aside in each page.
pub(super) fn append_pages<'a>(
    update: &mut Update<'a, '_>,
    original: &Original<'a>,
    pages: &[ObjectId],
    objects: &mut [(ObjectId, Object)],
) -> Result<(), SealError> {
    if pages.is_empty() {
        return Ok(());
    }
    let file = &original.file;
    let root_id = original.catalog.dictionary().and_then(|dictionary| dictionary.reference(b"Pages"));
    let root_id = root_id.ok_or(damaged("the catalog refers to no page tree"))?;
    let root = file.load(root_id)?.ok_or(damaged("the catalog refers to no page tree"))?;
    let dictionary = root.dictionary().ok_or(damaged("the catalog refers to no page tree"))?;
    for id in pages {
        let object = objects.iter_mut().find(|(other, _)| other == id).map(|(_, object)| object);
        let Some(Object::Dictionary(page)) = object else { return Err(SealError::UnknownObject(*id)) };
        page.set("Type", Object::Name(b"Page".to_vec()));
        page.set("Parent", root_id);
        if dictionary.get(b"Rotate").is_some() && !page.has(b"Rotate") {
            page.set("Rotate", 0);
        }
        if dictionary.get(b"CropBox").is_some() && !page.has(b"CropBox") {
            let media = page.get(b"MediaBox").map_err(|_| SealError::UnknownObject(*id))?.clone();
            page.set("CropBox", media);
        }
    }
    let references: Vec<String> = pages.iter().map(|id| write::reference(*id)).collect();
    let references = references.join(" ");
    let kids = dictionary.get(b"Kids").map(|node| target(file, &root, node)).transpose()?.flatten();
    match kids {
        Some((owner, array)) => update.push(&owner, &array, references.as_bytes())?,
        // A tree whose root is its only page: such a file has no node to append to.
        None => return Err(damaged("the root of the page tree is a page").into()),
    }
    let count = original.pages.len() + pages.len();
    update.set(&root, &root.node, "Count", count.to_string().as_bytes())?;
    Ok(())
}
