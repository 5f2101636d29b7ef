//! The page tree: every page once, in order, with what it inherits (ISO 32000-2 §7.7.3).

use std::collections::HashSet;
use std::rc::Rc;

use lopdf::ObjectId;

use super::{Refusal, damaged};
use crate::file::syntax::{Dictionary, Node};
use crate::file::{File, Loaded};
use crate::geometry::{PageGeometry, UserRect};

/// A page with its inherited attributes resolved.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) object: Rc<Loaded<'a>>,
    pub(crate) geometry: PageGeometry,
    pub(crate) resources: Option<Resources<'a>>,
}

/// Where a page's `/Resources` stand: the object that holds the entry, which is the page or an ancestor, and the
/// entry.
#[derive(Clone, Debug)]
pub(crate) struct Resources<'a> {
    pub(crate) owner: Rc<Loaded<'a>>,
    pub(crate) node: Rc<Node>,
}

#[derive(Clone, Default)]
struct Inherited<'a> {
    media: Option<UserRect>,
    crop: Option<UserRect>,
    rotate: Option<i64>,
    resources: Option<Resources<'a>>,
}

struct Walk<'a, 'f> {
    file: &'f File<'a>,
    seen: HashSet<ObjectId>,
    pages: Vec<Page<'a>>,
}

/// Reads the whole tree below the catalog.
pub(super) fn read<'a>(file: &File<'a>, catalog: &Loaded<'a>) -> Result<Vec<Page<'a>>, Refusal> {
    let root = catalog.dictionary().and_then(|dictionary| dictionary.reference(b"Pages"));
    let root = root.ok_or(damaged("the catalog refers to no page tree"))?;
    let mut walk = Walk { file, seen: HashSet::new(), pages: Vec::new() };
    let stated = walk.node(root, &Inherited::default(), 0)?;
    if walk.pages.is_empty() {
        return Err(Refusal::NoPages);
    }
    // Readers that trust the count and readers that walk the tree would show different documents.
    if stated != Some(walk.pages.len()) {
        return Err(damaged("the page tree does not hold the number of pages that it states"));
    }
    Ok(walk.pages)
}

impl<'a> Walk<'a, '_> {
    /// Visits a node; the `/Count` it states, if it is an inner one.
    fn node(&mut self, id: ObjectId, above: &Inherited<'a>, depth: u32) -> Result<Option<usize>, Refusal> {
        if depth > self.file.budget.limits.depth {
            return Err(self.file.budget.too_deep());
        }
        if !self.seen.insert(id) {
            return Err(damaged("the page tree holds a node twice"));
        }
        let broken = || damaged("the page tree holds something that is no page");
        let object = Rc::new(self.file.load(id)?.ok_or_else(broken)?);
        self.file.budget.kept(object.value_count)?;
        let dictionary = object.dictionary().ok_or_else(broken)?;
        let attributes = self.attributes(&object, dictionary, above)?;
        let Some(kids) = dictionary.get(b"Kids") else {
            if dictionary.name(b"Type").is_some_and(|name| name == b"Pages") {
                return Err(damaged("a node of the page tree has no kids"));
            }
            self.page(Rc::clone(&object), attributes)?;
            return Ok(None);
        };
        let kids = self.file.resolve_in_place(kids)?;
        for kid in kids.as_deref().and_then(Node::as_array).ok_or_else(broken)? {
            self.node(kid.as_reference().ok_or_else(broken)?, &attributes, depth + 1)?;
        }
        let count = match dictionary.get(b"Count") {
            Some(count) => self.file.resolve_in_place(count)?,
            None => None,
        };
        Ok(count.and_then(|count| usize::try_from(count.as_integer()?).ok()))
    }

    fn attributes(
        &self,
        object: &Rc<Loaded<'a>>,
        dictionary: &Dictionary,
        above: &Inherited<'a>,
    ) -> Result<Inherited<'a>, Refusal> {
        let mut attributes = above.clone();
        if let Some(media) = dictionary.get(b"MediaBox") {
            attributes.media = rectangle(self.file, media)?;
        }
        if let Some(crop) = dictionary.get(b"CropBox") {
            attributes.crop = rectangle(self.file, crop)?;
        }
        if let Some(rotate) = dictionary.get(b"Rotate") {
            let degrees = self.file.resolve_in_place(rotate)?.and_then(|node| node.as_number());
            let whole = degrees.filter(|degrees| degrees.fract() == 0.0 && degrees.abs() < 1.0e9);
            #[expect(clippy::cast_possible_truncation, reason = "a whole number below 10^9")]
            let rotation = whole.map(|degrees| degrees as i64);
            attributes.rotate = Some(rotation.unwrap_or(1));
        }
        if let Some(node) = dictionary.get(b"Resources") {
            attributes.resources = Some(Resources { owner: Rc::clone(object), node: Rc::new(node.clone()) });
        }
        Ok(attributes)
    }

    fn page(&mut self, object: Rc<Loaded<'a>>, attributes: Inherited<'a>) -> Result<(), Refusal> {
        let limit = self.file.budget.limits.pages;
        if self.pages.len() >= limit as usize {
            return Err(Refusal::TooManyPages { limit });
        }
        let number = u32::try_from(self.pages.len()).unwrap_or(u32::MAX).saturating_add(1);
        let wrong = || Refusal::PageGeometry { page: number };
        let media = attributes.media.filter(|media| !is_empty(*media)).ok_or_else(wrong)?;
        // A crop box beside the media box is ignored, as readers do.
        let crop = attributes.crop.map(|crop| intersection(crop, media)).filter(|crop| !is_empty(*crop));
        let rotation = match attributes.rotate.unwrap_or(0).rem_euclid(360) {
            0 => 0,
            90 => 90,
            180 => 180,
            270 => 270,
            _ => return Err(wrong()),
        };
        let user_unit = match object.dictionary().and_then(|dictionary| dictionary.get(b"UserUnit")) {
            Some(node) => self.file.resolve_in_place(node)?.and_then(|node| node.as_number()),
            None => None,
        };
        let user_unit = user_unit.unwrap_or(1.0);
        if !(user_unit > 0.0 && user_unit <= 1.0e6) {
            return Err(wrong());
        }
        let geometry = PageGeometry { crop: crop.unwrap_or(media), rotation, user_unit };
        self.pages.push(Page { object, geometry, resources: attributes.resources });
        Ok(())
    }
}

/// A rectangle, normalised; `None` if it is not four numbers.
pub(super) fn rectangle(file: &File<'_>, node: &Node) -> Result<Option<UserRect>, Refusal> {
    let Some(array) = file.resolve_in_place(node)? else { return Ok(None) };
    let mut corners = Vec::new();
    for item in array.as_array().unwrap_or_default().iter().take(4) {
        corners.extend(file.resolve_in_place(item)?.and_then(|node| node.as_number()));
    }
    let [x1, y1, x2, y2] = corners.as_slice() else { return Ok(None) };
    if corners.iter().any(|corner| corner.abs() > 1.0e7) {
        return Ok(None);
    }
    Ok(Some(UserRect { left: x1.min(*x2), bottom: y1.min(*y2), right: x1.max(*x2), top: y1.max(*y2) }))
}

fn is_empty(rect: UserRect) -> bool {
    rect.right <= rect.left || rect.top <= rect.bottom
}

fn intersection(one: UserRect, other: UserRect) -> UserRect {
    UserRect {
        left: one.left.max(other.left),
        bottom: one.bottom.max(other.bottom),
        right: one.right.min(other.right),
        top: one.top.min(other.top),
    }
}
