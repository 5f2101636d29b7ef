//! The interactive form: fields where they show, signatures that a change would break, and XFA (ISO 32000-2 §12.7).

use std::collections::{HashMap, HashSet};

use lopdf::ObjectId;
use serde::Serialize;

use super::pages::rectangle;
use super::{ExistingSignature, Page, Refusal, damaged};
use crate::file::syntax::{Dictionary, Node, Value};
use crate::file::{File, Loaded};
use crate::geometry::{DisplayRect, PageGeometry, UserRect};

/// What a field asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// Text.
    Text,
    /// A box to tick.
    Checkbox,
    /// One of several buttons.
    Radio,
    /// A button without a value.
    PushButton,
    /// A choice from a list.
    Choice,
    /// An empty signature field.
    Signature,
    /// A kind that the standard does not know, or none.
    Unknown,
}

/// A form field at one place where it shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FormField {
    /// Fully qualified name.
    pub name: String,
    /// What it asks for.
    pub kind: FieldKind,
    /// Page from 1; absent if it shows on none.
    pub page: Option<u32>,
    /// Where it shows on the displayed page, points.
    pub rect: Option<DisplayRect>,
}

/// What was found of the form.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(super) fields: Vec<FormField>,
    pub(crate) signatures: Vec<ExistingSignature>,
    /// The objects that hold signatures of fields.
    pub(crate) signature_objects: Vec<ObjectId>,
    pub(super) has_xfa: bool,
    pub(super) xfa_only: bool,
}

#[derive(Clone, Default)]
struct Inherited {
    name: String,
    kind: Option<Vec<u8>>,
    flags: i64,
}

struct Walk<'a, 'f> {
    file: &'f File<'a>,
    pages: &'f [Page<'a>],
    page_of_widget: HashMap<ObjectId, usize>,
    seen: HashSet<ObjectId>,
    form: Form,
}

pub(super) fn read<'a>(file: &File<'a>, catalog: &Loaded<'a>, pages: &[Page<'a>]) -> Result<Form, Refusal> {
    let catalog_dictionary = catalog.dictionary().ok_or(damaged("there is no document catalog"))?;
    let mut walk =
        Walk { file, pages, page_of_widget: HashMap::new(), seen: HashSet::new(), form: Form::default() };
    walk.fields(catalog_dictionary)?;
    walk.permissions(catalog_dictionary)?;
    Ok(walk.form)
}

impl<'a> Walk<'a, '_> {
    fn fields(&mut self, catalog: &Dictionary) -> Result<(), Refusal> {
        let file = self.file;
        let form = match catalog.get(b"AcroForm") {
            Some(node) => file.resolve_in_place(node)?,
            None => None,
        };
        let Some(form) = form.as_deref().and_then(Node::as_dictionary) else { return Ok(()) };
        let fields = match form.get(b"Fields") {
            Some(node) => file.resolve_in_place(node)?,
            None => None,
        };
        let fields = fields.as_deref().and_then(Node::as_array).unwrap_or_default();
        if !fields.is_empty() {
            self.map_widgets()?;
        }
        for field in fields {
            // A field written directly into the array cannot be referred to; readers ignore it.
            if let Some(id) = field.as_reference() {
                self.field(id, &Inherited::default(), 0)?;
            }
        }
        self.form.has_xfa = form.get(b"XFA").is_some();
        let needs_rendering =
            catalog.get(b"NeedsRendering").is_some_and(|node| matches!(node.value, Value::Boolean(true)));
        self.form.xfa_only = self.form.has_xfa && (needs_rendering || fields.is_empty());
        Ok(())
    }

    fn map_widgets(&mut self) -> Result<(), Refusal> {
        for (index, page) in self.pages.iter().enumerate() {
            let annotations = match page.object.dictionary().and_then(|dictionary| dictionary.get(b"Annots"))
            {
                Some(node) => self.file.resolve_in_place(node)?,
                None => None,
            };
            for annotation in annotations.as_deref().and_then(Node::as_array).unwrap_or_default() {
                if let Some(id) = annotation.as_reference() {
                    self.page_of_widget.insert(id, index);
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, id: ObjectId, above: &Inherited, depth: u32) -> Result<(), Refusal> {
        if depth > self.file.budget.limits.depth {
            return Err(self.file.budget.too_deep());
        }
        if !self.seen.insert(id) {
            return Err(damaged("the form holds a field twice"));
        }
        let Some(object) = self.file.load(id)? else { return Ok(()) };
        let Some(dictionary) = object.dictionary() else { return Ok(()) };
        self.file.budget.handled((above.name.len() + above.kind.as_ref().map_or(0, Vec::len)) as u64)?;
        let mut own = above.clone();
        if let Some(partial) = self.text(&object, dictionary, b"T")? {
            own.name = if above.name.is_empty() { partial } else { format!("{}.{partial}", above.name) };
        }
        if let Some(kind) = dictionary.name(b"FT") {
            own.kind = Some(kind.to_vec());
        }
        own.flags = dictionary.integer(b"Ff").unwrap_or(own.flags);
        self.signature(&object, dictionary, &own)?;
        let kids = match dictionary.get(b"Kids") {
            Some(node) => self.file.resolve_in_place(node)?,
            None => None,
        };
        let kids = kids.as_deref().and_then(Node::as_array).unwrap_or_default();
        if kids.is_empty() {
            return self.show(&object, dictionary, &own);
        }
        for kid in kids {
            if let Some(id) = kid.as_reference() {
                self.field(id, &own, depth + 1)?;
            }
        }
        Ok(())
    }

    fn show(&mut self, object: &Loaded<'a>, dictionary: &Dictionary, own: &Inherited) -> Result<(), Refusal> {
        let page = match dictionary.reference(b"P") {
            Some(id) => self.pages.iter().position(|page| page.object.id == id),
            None => None,
        };
        let page = self.page_of_widget.get(&object.id).copied().or(page);
        let rect = match dictionary.get(b"Rect") {
            Some(node) => rectangle(self.file, node)?,
            None => None,
        };
        let geometry = page.and_then(|index| self.pages.get(index)).map(|page| page.geometry);
        self.file.budget.copied(own.name.len())?;
        self.form.fields.push(FormField {
            name: own.name.clone(),
            kind: kind(own),
            page: page.and_then(|index| u32::try_from(index + 1).ok()),
            rect: geometry.zip(rect).map(|(geometry, rect)| displayed(&geometry, rect)),
        });
        Ok(())
    }

    fn signature(
        &mut self,
        object: &Loaded<'a>,
        dictionary: &Dictionary,
        own: &Inherited,
    ) -> Result<(), Refusal> {
        if own.kind.as_deref() != Some(b"Sig") || dictionary.get(b"V").is_none() {
            return Ok(());
        }
        let value = match dictionary.get(b"V") {
            Some(node) => self.file.resolve_in_place(node)?,
            None => None,
        };
        if let Some(value) = value.as_deref().and_then(Node::as_dictionary) {
            let found = existing(self.file, value, own.name.clone())?;
            self.form.signatures.push(found);
            self.form.signature_objects.extend(dictionary.reference(b"V"));
        } else if object.stream.is_some() {
            return Err(damaged("a signature field is a stream"));
        }
        Ok(())
    }

    /// Usage rights and a certification that the catalog names break like any other signature (§12.8.6), even where
    /// no field of the form holds them.
    fn permissions(&mut self, catalog: &Dictionary) -> Result<(), Refusal> {
        let permissions = match catalog.get(b"Perms") {
            Some(node) => self.file.resolve_in_place(node)?,
            None => None,
        };
        let of_fields: HashSet<ObjectId> = self.form.signature_objects.iter().copied().collect();
        for entry in permissions.as_deref().and_then(Node::as_dictionary).map_or(&[][..], Dictionary::entries)
        {
            let value = self.file.resolve_in_place(&entry.node)?;
            if let Some(value) = value.as_deref().and_then(Node::as_dictionary)
                && value.get(b"Contents").is_some()
                && !entry.node.as_reference().is_some_and(|id| of_fields.contains(&id))
            {
                let found = existing(self.file, value, String::new())?;
                self.form.signatures.push(found);
            }
        }
        Ok(())
    }

    fn text(
        &self,
        object: &Loaded<'a>,
        dictionary: &Dictionary,
        key: &[u8],
    ) -> Result<Option<String>, Refusal> {
        match dictionary.get(key).and_then(Node::as_string) {
            Some(raw) => Ok(Some(text_string(&self.file.string(object, raw)?))),
            None => Ok(None),
        }
    }
}

fn existing(file: &File<'_>, value: &Dictionary, field_name: String) -> Result<ExistingSignature, Refusal> {
    let range = match value.get(b"ByteRange") {
        Some(node) => file.resolve_in_place(node)?,
        None => None,
    };
    let range: Vec<i64> = range
        .as_deref()
        .and_then(Node::as_array)
        .unwrap_or_default()
        .iter()
        .filter_map(Node::as_integer)
        .collect();
    let covers_bytes = match range.as_slice() {
        [.., start, length] => u64::try_from(start.saturating_add(*length)).unwrap_or(0),
        _ => 0,
    };
    let mut doc_mdp = None;
    let references = match value.get(b"Reference") {
        Some(node) => file.resolve_in_place(node)?,
        None => None,
    };
    for reference in references.as_deref().and_then(Node::as_array).unwrap_or_default() {
        let reference = file.resolve_in_place(reference)?;
        let Some(reference) = reference.as_deref().and_then(Node::as_dictionary) else { continue };
        if reference.name(b"TransformMethod") != Some(b"DocMDP") {
            continue;
        }
        let parameters = match reference.get(b"TransformParams") {
            Some(node) => file.resolve_in_place(node)?,
            None => None,
        };
        let level =
            parameters.as_deref().and_then(Node::as_dictionary).and_then(|p| p.integer(b"P")).unwrap_or(2);
        doc_mdp = u8::try_from(level).ok();
    }
    let covers_whole_file = covers_bytes == file.bytes.len() as u64;
    Ok(ExistingSignature { field_name, covers_bytes, covers_whole_file, doc_mdp })
}

fn kind(own: &Inherited) -> FieldKind {
    match own.kind.as_deref() {
        Some(b"Tx") => FieldKind::Text,
        Some(b"Ch") => FieldKind::Choice,
        Some(b"Sig") => FieldKind::Signature,
        // Bits 16 and 17 of the flags (§12.7.5.2.1).
        Some(b"Btn") if own.flags & 1 << 15 != 0 => FieldKind::Radio,
        Some(b"Btn") if own.flags & 1 << 16 != 0 => FieldKind::PushButton,
        Some(b"Btn") => FieldKind::Checkbox,
        _ => FieldKind::Unknown,
    }
}

/// Where a rectangle of user space stands on the displayed page.
fn displayed(page: &PageGeometry, rect: UserRect) -> DisplayRect {
    let crop = page.crop;
    let (x, y, width, height) = match page.rotation {
        90 => {
            (rect.bottom - crop.bottom, rect.left - crop.left, rect.top - rect.bottom, rect.right - rect.left)
        }
        180 => (
            crop.right - rect.right,
            rect.bottom - crop.bottom,
            rect.right - rect.left,
            rect.top - rect.bottom,
        ),
        270 => (crop.top - rect.top, crop.right - rect.right, rect.top - rect.bottom, rect.right - rect.left),
        _ => (rect.left - crop.left, crop.top - rect.top, rect.right - rect.left, rect.top - rect.bottom),
    };
    let unit = page.user_unit;
    DisplayRect { x: x * unit, y: y * unit, width: width * unit, height: height * unit }
}

/// A text string: UTF-16 with its mark, UTF-8 with its mark, or PDFDocEncoding, of which Latin-1 is read (§7.9.2.2).
pub(crate) fn text_string(bytes: &[u8]) -> String {
    if let Some(utf16) = bytes.strip_prefix(&[0xfe, 0xff]) {
        let units = utf16.chunks(2).map(|pair| match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            _ => 0xfffd,
        });
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else if let Some(utf8) = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]) {
        String::from_utf8_lossy(utf8).into_owned()
    } else {
        bytes.iter().copied().map(char::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_displayed_rectangle_maps_back_to_the_same_user_space() {
        let crop = UserRect { left: 10.0, bottom: 20.0, right: 210.0, top: 320.0 };
        let rect = UserRect { left: 30.0, bottom: 50.0, right: 90.0, top: 70.0 };
        for rotation in [0, 90, 180, 270] {
            let page = PageGeometry { crop, rotation, user_unit: 2.0 };
            let shown = displayed(&page, rect);
            let m = page.display_to_user();
            let user = |x: f64, y: f64| (m[0] * x + m[2] * y + m[4], m[1] * x + m[3] * y + m[5]);
            let (x1, y1) = user(shown.x, shown.y);
            let (x2, y2) = user(shown.x + shown.width, shown.y + shown.height);
            assert_eq!((x1.min(x2), x1.max(x2)), (rect.left, rect.right), "rotation {rotation}");
            assert_eq!((y1.min(y2), y1.max(y2)), (rect.bottom, rect.top), "rotation {rotation}");
        }
    }

    #[test]
    fn text_strings_are_read_in_their_three_encodings() {
        assert_eq!(text_string(b"Caf\xe9"), "Café");
        assert_eq!(text_string(b"\xfe\xff\x04\x16\xd8\x3d\xde\x00"), "Ж😀");
        assert_eq!(text_string(b"\xef\xbb\xbf\xc5\xbd"), "Ž");
    }
}
