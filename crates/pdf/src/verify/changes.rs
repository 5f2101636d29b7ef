//! What the sealing update may change of the original: it extends named dictionaries and arrays and wraps the content
//! of pages; everything else is as it was.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use lopdf::ObjectId;

use super::{SealFailure, same};
use crate::file::syntax::{Dictionary, Entry, Node, Value};
use crate::file::update::OF_ONE_SECTION;
use crate::file::{File, Loaded};
use crate::inspect::{Original, Page, Parts};
use crate::seal::stamp::content_streams;

/// How a node of the original may differ in the sealed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Not at all.
    Same,
    /// In any way.
    Anything,
    /// It may be gone.
    Removed,
    /// An array with references to new objects after its items.
    Appended,
    /// It refers to a new object.
    NewReference,
    /// The catalog.
    Catalog,
    /// The interactive form.
    Form,
    /// The catalog's name dictionary.
    Names,
    /// A page.
    Page,
    /// A resource dictionary.
    Resources,
    /// The forms of a resource dictionary.
    Forms,
    /// The root of the page tree.
    Root,
}

struct Comparison<'a, 'c> {
    original: &'c Original<'a>,
    sealed: &'c File<'a>,
    first_new: u32,
}

/// Checks every object that the newest revision of `sealed` redefines.
pub(super) fn check<'a>(
    original: &Original<'a>,
    sealed: &File<'a>,
    parts: &Parts<'a>,
) -> Result<(), SealFailure> {
    check_trailer(&original.file, sealed)?;
    let comparison = Comparison { original, sealed, first_new: original.first_free_object() };
    let rules = rules(original)?;
    let pages: HashMap<ObjectId, &Page<'a>> =
        original.pages.iter().map(|page| (page.object.id, page)).collect();
    for (number, _) in &sealed.xref.newest()?.places {
        if *number >= comparison.first_new {
            continue;
        }
        let changed = |detail| SealFailure::UnexpectedChange { detail };
        let (id, rule) = rules.get(number).copied().ok_or(changed("an object that seals leave alone"))?;
        let (Some(before), Some(after)) = (original.file.load(id)?, sealed.load(id)?) else {
            return Err(changed("an object is removed"));
        };
        if before.stream.is_some() || after.stream.is_some() {
            return Err(changed("a stream"));
        }
        comparison.node((&before, &before.node), (&after, &after.node), rule)?;
        if let Some(page) = pages.get(&id) {
            comparison.content(page, &after)?;
        }
    }
    let kept = original.pages.iter().zip(&parts.pages).all(|(one, other)| one.object.id == other.object.id);
    if kept && parts.pages.len() >= original.pages.len() {
        Ok(())
    } else {
        Err(SealFailure::UnexpectedChange { detail: "the order of pages" })
    }
}

/// The newest trailer is the original's but for what belongs to its section, in the same kind of cross-references, and
/// its permanent identifier, from which the key of an encrypted file is derived, stays.
fn check_trailer(original: &File<'_>, sealed: &File<'_>) -> Result<(), SealFailure> {
    fn kept<'f>(file: &File<'f>) -> Result<BTreeMap<Vec<u8>, &'f [u8]>, SealFailure> {
        let entries = file.trailer()?.entries().iter();
        let kept = entries.filter(|entry| !OF_ONE_SECTION.contains(&entry.key.as_slice()));
        let source = |entry: &Entry| file.bytes.get(entry.node.span.clone()).unwrap_or_default();
        Ok(kept.map(|entry| (entry.key.clone(), source(entry))).collect())
    }
    fn permanent<'f>(file: &File<'f>) -> Result<Option<&'f [u8]>, SealFailure> {
        let identifiers = file.trailer()?.get(b"ID").and_then(Node::as_array);
        Ok(identifiers.and_then(<[Node]>::first).and_then(|first| file.bytes.get(first.span.clone())))
    }
    let same_identifier = match (permanent(original)?, permanent(sealed)?) {
        (None, Some(_)) => original.crypt.is_none(),
        (before, after) => before == after,
    };
    let same_kind = original.xref_kind()? == sealed.xref_kind()?;
    if same_identifier && same_kind && kept(original)? == kept(sealed)? {
        Ok(())
    } else {
        Err(SealFailure::UnexpectedChange { detail: "the trailer" })
    }
}

/// The objects that a seal may extend, by number, each with its rule.
fn rules(original: &Original<'_>) -> Result<HashMap<u32, (ObjectId, Rule)>, SealFailure> {
    let mut rules = HashMap::new();
    let mut add = |id: Option<ObjectId>, rule| {
        if let Some(id) = id {
            rules.insert(id.0, (id, rule));
        }
    };
    let file = &original.file;
    let catalog = original.catalog.dictionary();
    let child = |dictionary: Option<&Dictionary>, key: &[u8]| -> Result<Option<Rc<Node>>, SealFailure> {
        match dictionary.and_then(|dictionary| dictionary.get(key)) {
            Some(node) => Ok(file.resolve_in_place(node)?),
            None => Ok(None),
        }
    };
    let reference = |dictionary: Option<&Dictionary>, key: &[u8]| dictionary.and_then(|d| d.reference(key));
    for page in &original.pages {
        let dictionary = page.object.dictionary();
        add(reference(dictionary, b"Annots"), Rule::Appended);
        let resources = page.resources.as_ref().map(|resources| Rc::clone(&resources.node));
        let elsewhere = resources.as_deref().and_then(Node::as_reference);
        add(elsewhere, Rule::Resources);
        let resources = match elsewhere {
            Some(id) => file.follow(id)?.map(|object| object.node),
            None => resources,
        };
        add(reference(resources.as_deref().and_then(Node::as_dictionary), b"XObject"), Rule::Forms);
    }
    for (key, rule) in [(&b"AcroForm"[..], Rule::Form), (b"Names", Rule::Names), (b"AF", Rule::Appended)] {
        add(reference(catalog, key), rule);
    }
    let form = child(catalog, b"AcroForm")?;
    add(reference(form.as_deref().and_then(Node::as_dictionary), b"Fields"), Rule::Appended);
    let root = child(catalog, b"Pages")?;
    add(reference(root.as_deref().and_then(Node::as_dictionary), b"Kids"), Rule::Appended);
    add(reference(catalog, b"Pages"), Rule::Root);
    for page in &original.pages {
        add(Some(page.object.id), Rule::Page);
    }
    add(Some(original.catalog.id), Rule::Catalog);
    Ok(rules)
}

impl Rule {
    /// The rule for the entry `key` of a dictionary under this rule, and what it is called if it is broken.
    fn of(self, key: &[u8]) -> (Self, &'static str) {
        match (self, key) {
            (Self::Catalog, b"AcroForm") => (Self::Form, "the form"),
            (Self::Catalog, b"Names") => (Self::Names, "the names of the document"),
            (Self::Catalog, b"AF") | (Self::Page, b"Annots") => {
                (Self::Appended, "annotations or associated files")
            }
            (Self::Catalog, b"Perms" | b"Version") | (Self::Form, b"SigFlags") | (Self::Root, b"Count") => {
                (Self::Anything, "")
            }
            (Self::Catalog, _) => (Self::Same, "the catalog"),
            (Self::Form, b"Fields") => (Self::Appended, "the fields of the form"),
            (Self::Form, b"NeedAppearances" | b"XFA") => (Self::Removed, "the form"),
            (Self::Form, _) => (Self::Same, "the form"),
            (Self::Names, b"EmbeddedFiles") => (Self::NewReference, "the embedded files"),
            (Self::Names, _) => (Self::Same, "the names of the document"),
            // The content of a page has a check of its own.
            (Self::Page, b"Contents") => (Self::Anything, ""),
            (Self::Page, b"Resources") => (Self::Resources, "the resources of a page"),
            (Self::Page, _) => (Self::Same, "a page"),
            (Self::Resources, b"XObject") => (Self::Forms, "the resources of a page"),
            (Self::Root, b"Kids") => (Self::Appended, "the page tree"),
            (Self::Root, _) => (Self::Same, "the page tree"),
            _ => (Self::Same, "the resources of a page"),
        }
    }
}

type Placed<'n, 'a> = (&'n Loaded<'a>, &'n Node);

impl<'a> Comparison<'a, '_> {
    fn is_new(&self, node: &Node) -> bool {
        node.as_reference().is_some_and(|id| id.0 >= self.first_new)
    }

    fn same(&self, before: Placed<'_, 'a>, after: Placed<'_, 'a>) -> bool {
        same((&self.original.file, before.0, before.1), (self.sealed, after.0, after.1))
    }

    fn node(&self, before: Placed<'_, 'a>, after: Placed<'_, 'a>, rule: Rule) -> Result<(), SealFailure> {
        let changed = |detail| Err(SealFailure::UnexpectedChange { detail });
        if rule == Rule::Anything || self.same(before, after) {
            return Ok(());
        }
        match (rule, &before.1.value, &after.1.value) {
            (Rule::NewReference, _, _) if self.is_new(after.1) => Ok(()),
            (Rule::Appended, Value::Array(items), Value::Array(extended)) => {
                let kept = items.len() <= extended.len()
                    && items
                        .iter()
                        .zip(extended)
                        .all(|(one, other)| self.same((before.0, one), (after.0, other)));
                if kept && extended.iter().skip(items.len()).all(|item| self.is_new(item)) {
                    Ok(())
                } else {
                    changed("an array that seals extend")
                }
            }
            (
                Rule::Catalog
                | Rule::Form
                | Rule::Names
                | Rule::Page
                | Rule::Resources
                | Rule::Forms
                | Rule::Root,
                Value::Dictionary(entries),
                Value::Dictionary(extended),
            ) => self.dictionary((before.0, entries), (after.0, extended), rule),
            _ => changed("an object that seals leave alone"),
        }
    }

    fn dictionary(
        &self,
        before: (&Loaded<'a>, &Dictionary),
        after: (&Loaded<'a>, &Dictionary),
        rule: Rule,
    ) -> Result<(), SealFailure> {
        let by_key = |dictionary: &Dictionary| -> HashMap<Vec<u8>, usize> {
            dictionary.entries().iter().map(|entry| entry.key.clone()).zip(0..).collect()
        };
        let (keys_before, keys_after) = (by_key(before.1), by_key(after.1));
        for entry in before.1.entries() {
            let (inner, detail) = rule.of(&entry.key);
            let other = keys_after.get(&entry.key).and_then(|place| after.1.entries().get(*place));
            match other {
                Some(other) => {
                    let compared = self.node((before.0, &entry.node), (after.0, &other.node), inner);
                    compared.map_err(|_| SealFailure::UnexpectedChange { detail })?;
                }
                None if inner == Rule::Removed => {}
                None => return Err(SealFailure::UnexpectedChange { detail }),
            }
        }
        for entry in after.1.entries() {
            if keys_before.contains_key(&entry.key) {
                continue;
            }
            let (inner, detail) = rule.of(&entry.key);
            let allowed = match inner {
                Rule::Same | Rule::Removed => rule == Rule::Forms && self.is_new(&entry.node),
                Rule::Appended => {
                    entry.node.as_array().is_some_and(|items| items.iter().all(|item| self.is_new(item)))
                }
                Rule::NewReference => self.is_new(&entry.node),
                Rule::Resources => self.inherited(before.0.id, (after.0, &entry.node)),
                _ => true,
            };
            if !allowed {
                return Err(SealFailure::UnexpectedChange { detail });
            }
        }
        Ok(())
    }

    /// Whether resources that a page gets as its own are those that it inherited, with forms added.
    fn inherited(&self, page: ObjectId, after: Placed<'_, 'a>) -> bool {
        let page = self.original.pages.iter().find(|other| other.object.id == page);
        match page.and_then(|page| page.resources.as_ref()) {
            Some(resources) => self.node((&resources.owner, &resources.node), after, Rule::Resources).is_ok(),
            None => true,
        }
    }

    /// The content of a page is what it was, or that between two new streams.
    fn content(&self, page: &Page<'a>, after: &Loaded<'a>) -> Result<(), SealFailure> {
        let changed = SealFailure::UnexpectedChange { detail: "the content of a page" };
        let old = page.object.dictionary().and_then(|dictionary| dictionary.get(b"Contents"));
        let new = after.dictionary().and_then(|dictionary| dictionary.get(b"Contents"));
        match (old, new) {
            (None, None) => return Ok(()),
            (Some(old), Some(new)) if self.same((&page.object, old), (after, new)) => return Ok(()),
            _ => {}
        }
        let streams = content_streams(&self.original.file, page)?;
        let items = new.and_then(Node::as_array).unwrap_or_default();
        let [first, middle @ .., last] = items else { return Err(changed) };
        let kept = middle.iter().map(Node::as_reference).eq(streams.into_iter().map(Some));
        if kept && self.is_new(first) && self.is_new(last) { Ok(()) } else { Err(changed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::update::Update;
    use crate::inspect::Limits;

    const OBJECTS: [&str; 6] = [
        "<< /Type /Catalog /Pages 2 0 R /Lang (en) /AcroForm << /Fields [] /DA (x) >> >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 9 9] >>",
        "<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> /XObject << /X 5 0 R >> >> >>",
        "<< /Length 3 >>\nstream\nq Q\nendstream",
        "<< /Type /Font >>",
        "[1 2]",
    ];

    fn original() -> Vec<u8> {
        let mut file = b"%PDF-1.7\n".to_vec();
        let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", OBJECTS.len() + 1);
        for (body, number) in OBJECTS.iter().zip(1..) {
            table = format!("{table}{:010} 00000 n \n", file.len());
            file.extend(format!("{number} 0 obj\n{body}\nendobj\n").into_bytes());
        }
        let start = file.len();
        let size = OBJECTS.len() + 1;
        file.extend(
            format!("{table}trailer\n<< /Size {size} /Root 1 0 R /Info 5 0 R /ID [<61> <62>] >>\nstartxref\n{start}\n%%EOF\n")
                .into_bytes(),
        );
        file
    }

    /// The verdict on an update that writes these objects over the original's.
    fn verdict(replaced: &[(u32, &str)]) -> Result<(), SealFailure> {
        verdict_with(replaced, "", "")
    }

    /// The same, with one piece of the update's trailer replaced by another of the same length.
    fn verdict_with(replaced: &[(u32, &str)], old: &str, new: &str) -> Result<(), SealFailure> {
        assert_eq!(old.len(), new.len());
        let bytes = original();
        let original = Original::open(&bytes, &Limits::default()).expect("accepted");
        let objects =
            replaced.iter().map(|(number, body)| ((*number, 0), body.as_bytes().to_vec())).collect();
        let mut sealed = Update::new(&original.file, 20).append(objects).expect("written").bytes;
        let at = sealed.windows(old.len().max(1)).rposition(|piece| piece == old.as_bytes());
        assert!(at.is_some() || old.is_empty(), "{old} is not in the file");
        if let Some(at) = at {
            sealed.splice(at..at + old.len(), new.bytes());
        }
        let file = File::open(&sealed, &Limits::default()).expect("it parses");
        check(&original, &file, &Parts::read(&file)?)
    }

    #[test]
    fn an_update_may_extend_what_a_seal_extends() {
        let sealed = [
            (
                1,
                "<< /Type /Catalog /Pages 2 0 R /Lang (en) /AcroForm << /Fields [ 9 0 R] /DA (x) /SigFlags 3 >> /Names << /EmbeddedFiles 9 0 R >> /AF [9 0 R] /Perms << /DocMDP 9 0 R >> >>",
            ),
            (2, "<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 9 9] >>"),
            (
                3,
                "<< /Type /Page /Parent 2 0 R /Contents [9 0 R 4 0 R 9 0 R] /Resources << /Font << /F1 5 0 R >> /XObject << /X 5 0 R /Y 9 0 R >> >> /Annots [9 0 R] >>",
            ),
            (9, "<< /Anything true >>"),
        ];
        assert_eq!(verdict(&sealed), Ok(()));
    }

    #[test]
    fn the_trailer_of_an_update_names_what_that_of_the_original_names() {
        let catalog = [(1, OBJECTS[0])];
        assert_eq!(verdict(&catalog), Ok(()));
        for (old, new) in [
            ("/Info 5 0 R", "/Info 6 0 R"),
            ("/Info 5 0 R", "/Infx 5 0 R"),
            ("/Info 5 0 R", "           "),
            ("/ID [<61>", "/ID [<63>"),
            ("/ID [<61>", "/IX [<61>"),
        ] {
            let code = verdict_with(&catalog, old, new).err().map(|failure| failure.code());
            assert_eq!(code, Some("seal-unexpected-change"), "{old} becomes {new}");
        }
        // The other catalog is one that would be accepted as an extension of the first.
        let other = [(1, OBJECTS[0]), (9, OBJECTS[0])];
        let code = verdict_with(&other, "/Root 1 0 R", "/Root 9 0 R").err().map(|failure| failure.code());
        assert_eq!(code, Some("seal-unexpected-change"));
    }

    #[test]
    fn an_update_may_change_nothing_else() {
        let catalog = |rest: &str| {
            format!("<< /Type /Catalog /Pages 2 0 R /Lang (en) /AcroForm << /Fields [] /DA (x) >> {rest}")
        };
        let page = |contents: &str, resources: &str| {
            format!(
                "<< /Type /Page /Parent 2 0 R /Contents {contents} /Resources << /Font << /F1 5 0 R >> {resources} >> >>"
            )
        };
        let kept = "/XObject << /X 5 0 R >>";
        for (number, body) in [
            (1, catalog("/OpenAction 9 0 R >>")),
            (1, catalog(">>").replace("(en)", "(fr)")),
            (1, catalog(">>").replace("/Lang (en)", "")),
            (1, catalog(">>").replace("/DA (x)", "/DA (y)")),
            (1, catalog(">>").replace("/Fields []", "/Fields [5 0 R]")),
            (
                1,
                catalog("/Names << /EmbeddedFiles 5 0 R >> >>")
                    .replace("/Names <<", "/Dests 9 0 R /Names <<"),
            ),
            (2, OBJECTS[1].replace("[0 0 9 9]", "[0 0 5 9]")),
            (3, page("5 0 R", kept)),
            (3, page("[4 0 R 9 0 R]", kept)),
            (3, page("[9 0 R 9 0 R]", kept)),
            (3, page("[9 0 R 4 0 R 5 0 R]", kept)),
            (3, page("4 0 R", "/XObject << /X 9 0 R >>")),
            (3, page("4 0 R", "/XObject << /X 5 0 R /Y 5 0 R >>")),
            (3, page("4 0 R", kept).replace("/F1 5 0 R", "/F1 9 0 R")),
            (3, page("4 0 R", kept).replace("/Parent", "/Rotate 90 /Parent")),
            (4, "<< /Length 3 >>\nstream\nQ q\nendstream".to_owned()),
            (5, "<< /Type /Font /Changed true >>".to_owned()),
            (6, "[1 2 9 0 R]".to_owned()),
        ] {
            let verdict = verdict(&[(number, &body), (9, "<< /Length 3 >>\nstream\nq Q\nendstream")]);
            let code = verdict.err().map(|failure| failure.code());
            assert_eq!(code, Some("seal-unexpected-change"), "object {number} becomes {body}");
        }
    }
}
