//! Pages of the sealed document: the content of a stamped page is wrapped and followed by its stamps, and new pages
//! are appended to the page tree.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write;
use std::rc::Rc;

use lopdf::{Dictionary, Object, ObjectId, Stream};

use super::SealError;
use super::attach::target;
use super::balance::Balance;
use crate::file::syntax::Node;
use crate::file::update::{Splice, Update, encryption, set_splice};
use crate::file::{File, Loaded, write};
use crate::inspect::{Original, Page, Refusal, Resources, damaged};
use crate::place::PageOverlay;

/// What is drawn on one page: name in the resources, form and matrix.
type Stamps = Vec<(String, ObjectId, [f64; 6])>;

/// What pages share: content streams and the streams that open them, and dictionaries that name forms.
#[derive(Default)]
struct Shared<'a> {
    balances: HashMap<ObjectId, Balance>,
    openings: BTreeMap<usize, ObjectId>,
    containers: BTreeMap<Place, Container<'a>>,
    names: HashMap<Place, Names>,
}

/// A dictionary of the file: its object, and where it begins there.
type Place = (ObjectId, usize);

/// The names that forms get in one dictionary.
#[derive(Debug, Default)]
struct Names {
    taken: HashSet<Vec<u8>>,
    given: HashMap<ObjectId, String>,
}

/// How the names of our forms begin.
const NAME_START: &str = "Countersign";

impl Names {
    fn beside(existing: &Node) -> Self {
        let entries = existing.as_dictionary().map_or(&[][..], |dictionary| dictionary.entries());
        let ours = entries.iter().filter(|entry| entry.key.starts_with(NAME_START.as_bytes()));
        Self { taken: ours.map(|entry| entry.key.clone()).collect(), given: HashMap::new() }
    }

    /// The name of a form: with its number, and with another if the document has such a name.
    fn give(&mut self, form: ObjectId) -> String {
        let Self { taken, given } = self;
        let name = given.entry(form).or_insert_with(|| {
            let plain = format!("{NAME_START}{}", form.0);
            let mut name = plain.clone();
            let mut number = 2_u32;
            while taken.contains(name.as_bytes()) {
                name = format!("{plain}-{number}");
                number += 1;
            }
            name
        });
        name.clone()
    }
}

/// A dictionary of the file that gets names of forms.
#[derive(Debug)]
struct Container<'a> {
    owner: Loaded<'a>,
    node: Rc<Node>,
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
    let mut shared = Shared::default();
    for (number, overlays) in by_page {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let page = index.and_then(|index| original.pages.get(index)).ok_or(SealError::UnknownPage(number))?;
        let stamps = name_forms(update, original, page, &overlays, &mut shared)?;
        wrap(update, original, page, &stamps, &mut shared, new)?;
    }
    for container in shared.containers.into_values() {
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
    shared: &mut Shared<'a>,
) -> Result<Stamps, SealError> {
    let file = &original.file;
    let resources = match &page.resources {
        Some(Resources { owner, node }) if node.as_reference().is_some() => target(file, owner, node)?,
        Some(Resources { owner, node }) => Some((Loaded::clone(owner), Rc::clone(node))),
        None => None,
    };
    let Some((owner, node)) = resources.filter(|(_, node)| node.as_dictionary().is_some()) else {
        let stamps = named(overlays, &mut Names::default());
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
    let stamps = match &forms {
        None => named(overlays, &mut Names::default()),
        Some((owner, forms)) => {
            let place = (owner.id, forms.span.start);
            named(overlays, shared.names.entry(place).or_insert_with(|| Names::beside(forms)))
        }
    };
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
    let container = shared.containers.entry((owner.id, node.span.start)).or_insert_with(|| Container {
        owner,
        node,
        is_resources,
        names: BTreeSet::new(),
    });
    container.names.extend(stamps.iter().map(|(name, form, _)| (name.clone(), *form)));
    Ok(stamps)
}

fn named(overlays: &[&PageOverlay], names: &mut Names) -> Stamps {
    overlays.iter().map(|overlay| (names.give(overlay.form), overlay.form, overlay.matrix)).collect()
}

/// The resources of an ancestor with the forms added, to stand in the page: other pages keep theirs.
fn copy_resources<'a>(
    update: &Update<'a, '_>,
    owner: &Loaded<'a>,
    node: &Node,
    forms: Option<&(Loaded<'a>, Rc<Node>)>,
    stamps: &Stamps,
    page: ObjectId,
) -> Result<Vec<u8>, Refusal> {
    let unique: BTreeMap<&String, ObjectId> = stamps.iter().map(|(name, form, _)| (name, *form)).collect();
    let mut splices: Vec<Splice> = Vec::new();
    if let Some((_, forms)) = forms {
        for (name, form) in unique {
            splices.push(set_splice(forms, name, write::reference(form).as_bytes())?);
        }
    } else {
        let value = format!("<<{} >>", form_entries(unique.into_iter()));
        splices.push(set_splice(node, "XObject", value.as_bytes())?);
    }
    update.render(owner, node, &splices, page)
}

/// Puts the content of a page between a save and a restore, and the stamps after it.
fn wrap<'a>(
    update: &mut Update<'a, '_>,
    original: &Original<'a>,
    page: &Page<'a>,
    stamps: &Stamps,
    shared: &mut Shared<'a>,
    new: &mut Vec<(ObjectId, Vec<u8>)>,
) -> Result<(), SealError> {
    let file = &original.file;
    let streams = content_streams(file, page)?;
    let mut balance = Balance::default();
    for id in &streams {
        let of_stream = match shared.balances.get(id) {
            Some(balance) => *balance,
            None => content_balance(file, *id)?,
        };
        shared.balances.insert(*id, of_stream);
        balance = balance.then(of_stream);
    }
    let Balance { missing_saves, missing_restores } = balance;
    let saves = missing_saves + 1;
    // What the content leaves open is closed on each page that shows it.
    file.budget.copied(b"q\nQ\n".len().saturating_mul(saves + missing_restores))?;
    let first = *shared.openings.entry(saves).or_insert_with(|| {
        let id = update.reserve();
        new.push((id, content(file, id, &"q\n".repeat(saves))));
        id
    });
    let mut text = "\n".to_owned() + &"Q\n".repeat(missing_restores + 1);
    for (name, _, matrix) in stamps {
        let matrix = matrix.map(coordinate).join(" ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "q {matrix} cm /{name} Do Q");
    }
    let last = update.reserve();
    new.push((last, content(file, last, &text)));
    let parts: Vec<String> = [first].into_iter().chain(streams).chain([last]).map(write::reference).collect();
    let value = format!("[{}]", parts.join(" "));
    file.budget.copied(value.len())?;
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
        None => file.copied(node)?,
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

fn content_balance(file: &File<'_>, stream: ObjectId) -> Result<Balance, Refusal> {
    let Some(object) = file.load(stream)? else { return Ok(Balance::default()) };
    let decoded = file.decoded(&object, file.budget.limits.structure_bytes)?;
    let decoded = decoded.ok_or(damaged("the content of a page is compressed by no known method"))?;
    file.budget.handled(2 * decoded.len() as u64)?;
    Ok(Balance::of(&decoded))
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
