//! Strict verification of a sealed file: one certifying signature over everything, by the certificate it carries, on
//! top of a complete original that the seal only extended.

mod attached;
mod chain;
mod changes;
mod failure;
mod signature;

use std::ops::Range;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use attached::SealedAttachment;
pub use chain::{check_chain, check_digest, check_own_chain, check_signer};
pub use failure::SealFailure;

use crate::file::syntax::{Dictionary, Node, Value, hex_digit};
use crate::file::xref::Place;
use crate::file::{File, Loaded, Source};
use crate::inspect::{Limits, Original, Parts, text_string};
use crate::seal::{SealKey, UtcTime};

/// What a sealed file proves.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// SHA-256 of the sealed file, lower-case hexadecimal.
    pub sealed_sha256: String,
    /// Length of the original, with which the sealed file begins (D-5).
    pub original_size_bytes: u64,
    /// SHA-256 of the original, lower-case hexadecimal.
    pub original_sha256: String,
    /// Pages of the original.
    pub original_page_count: u32,
    /// Pages of the sealed file.
    pub page_count: u32,
    /// Who sealed, as the signature states; what counts is the certificate.
    pub signer_name: String,
    /// Why, as the signature states.
    pub reason: String,
    /// When, as the signature states: a PDF date.
    pub signed_at: String,
    /// The same moment in seconds since 1970, if it is a date in UTC.
    pub signed_at_unix_s: Option<u64>,
    /// The carried certificates (DER), the signer's first, each followed by its issuer.
    #[serde(skip)]
    pub certificate_chain: Vec<Vec<u8>>,
    /// What the seal attached.
    pub attachments: Vec<SealedAttachment>,
}

/// Verifies a sealed file within `limits`. Whether its certificate is to be trusted is the caller's to decide, with
/// [`check_chain`].
pub fn verify(sealed: &[u8], limits: &Limits) -> Result<Verified, SealFailure> {
    verify_by(sealed, limits, None)
}

/// The same of a file that must be sealed by `key`, under exactly its certificates. Whether the signature holds is for
/// the key to tell, which may know a faster way; that its certificates belong together is its holder's to have checked.
pub fn verify_own(sealed: &[u8], limits: &Limits, key: &dyn SealKey) -> Result<Verified, SealFailure> {
    verify_by(sealed, limits, Some(key))
}

fn verify_by(sealed: &[u8], limits: &Limits, known: Option<&dyn SealKey>) -> Result<Verified, SealFailure> {
    let file = File::open(sealed, limits)?;
    let parts = Parts::read(&file)?;
    let value = the_signature(&file, &parts)?;
    let dictionary = value.dictionary().ok_or(form("the signature is no dictionary"))?;
    check_form(&file, &parts, &value, dictionary)?;
    let (covered, cms) = covered(sealed, &value)?;
    let mut digest = Sha256::new();
    digest.update(sealed.get(..covered.start).unwrap_or_default());
    digest.update(sealed.get(covered.end..).unwrap_or_default());
    let certificate_chain = signature::check(&cms, &digest.finalize().into(), known)?;

    let original_bytes = original_prefix(&file)?;
    let original = Original::open(original_bytes, limits).map_err(|_| SealFailure::OriginalIncomplete)?;
    check_update(&original, &file, &parts)?;
    let text = |key: &[u8]| -> Result<String, SealFailure> {
        let raw = dictionary.get(key).and_then(Node::as_string).unwrap_or_default();
        Ok(text_string(&file.string(&value, raw)?))
    };
    let signed_at = text(b"M")?;
    Ok(Verified {
        sealed_sha256: hex::encode(Sha256::digest(sealed)),
        original_size_bytes: original_bytes.len() as u64,
        original_sha256: original.structure().sha256.clone(),
        original_page_count: count(original.pages.len()),
        page_count: count(parts.pages.len()),
        signer_name: text(b"Name")?,
        reason: text(b"Reason")?,
        signed_at_unix_s: UtcTime::from_pdf_date(&signed_at).map(UtcTime::unix_s),
        signed_at,
        certificate_chain,
        attachments: attached::read(&file, &parts.catalog, original.first_free_object())?,
    })
}

/// Whether a rehearsed seal of `original`, which carries no signature, would be accepted but for that.
pub(crate) fn check_rehearsal(original: &Original<'_>, sealed: &[u8]) -> Result<(), SealFailure> {
    let upload = &original.file.budget.limits;
    // Half of the work and of the memory of the verification to come: the seal to come is larger than this one.
    let limits = Limits {
        work: upload.work,
        total_stream_bytes: upload.total_stream_bytes,
        structure_bytes: upload.structure_bytes,
        copied_bytes: upload.copied_bytes,
        ..upload.sealed()
    };
    let file = File::open(sealed, &limits)?;
    let parts = Parts::read(&file)?;
    let value = the_signature(&file, &parts)?;
    let dictionary = value.dictionary().ok_or(form("the signature is no dictionary"))?;
    check_form(&file, &parts, &value, dictionary)?;
    covered(sealed, &value)?;
    if original_prefix(&file)?.len() != original.file.bytes.len() {
        return Err(SealFailure::OriginalIncomplete);
    }
    check_update(original, &file, &parts)?;
    match attached::read(&file, &parts.catalog, original.first_free_object())?.as_slice() {
        [_] => Ok(()),
        _ => Err(form("the attachment is not found")),
    }
}

/// The update follows the newest revision of the original and changes what a seal may change.
fn check_update<'a>(original: &Original<'a>, file: &File<'a>, parts: &Parts<'a>) -> Result<(), SealFailure> {
    let follows = file.xref.sections.get(1).map(|section| section.offset);
    if Some(original.file.xref.newest()?.offset) != follows {
        return Err(SealFailure::OriginalIncomplete);
    }
    changes::check(original, file, parts)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn form(detail: &'static str) -> SealFailure {
    SealFailure::UnexpectedForm { detail }
}

fn the_signature<'a>(file: &File<'a>, parts: &Parts<'a>) -> Result<Loaded<'a>, SealFailure> {
    match parts.form.signatures.len() {
        0 => return Err(SealFailure::NotSealed),
        1 => {}
        count => return Err(SealFailure::SeveralSignatures { count }),
    }
    let id =
        parts.form.signature_objects.first().ok_or(form("no field of the form refers to the signature"))?;
    file.load(*id)?.ok_or(SealFailure::NotSealed)
}

/// The signature is a PAdES one that certifies and allows no change, and the catalog names it (§12.8.2.2).
fn check_form(
    file: &File<'_>,
    parts: &Parts<'_>,
    value: &Loaded<'_>,
    dictionary: &Dictionary,
) -> Result<(), SealFailure> {
    if dictionary.name(b"Type") != Some(b"Sig")
        || dictionary.name(b"SubFilter") != Some(b"ETSI.CAdES.detached")
    {
        return Err(form("another signature format"));
    }
    let references = dictionary.get(b"Reference").and_then(Node::as_array).unwrap_or_default();
    let [reference] = references else { return Err(SealFailure::NotCertifying) };
    let reference = reference.as_dictionary().ok_or(SealFailure::NotCertifying)?;
    let parameters = reference.get(b"TransformParams").and_then(Node::as_dictionary);
    let allowed = parameters.and_then(|parameters| parameters.integer(b"P"));
    if reference.name(b"TransformMethod") != Some(b"DocMDP") || allowed != Some(1) {
        return Err(SealFailure::NotCertifying);
    }
    let permissions = match parts.catalog.dictionary().and_then(|catalog| catalog.get(b"Perms")) {
        Some(node) => file.resolve_in_place(node)?,
        None => None,
    };
    let named = permissions.as_deref().and_then(Node::as_dictionary).and_then(|p| p.reference(b"DocMDP"));
    if named == Some(value.id) { Ok(()) } else { Err(SealFailure::NotCertifying) }
}

/// The bytes that the signature leaves out, which must be itself and nothing else, and the CMS in them.
fn covered(sealed: &[u8], value: &Loaded<'_>) -> Result<(Range<usize>, Vec<u8>), SealFailure> {
    // Elsewhere the places of its values would be places in something else than the file.
    if !matches!(value.source, Source::File(_)) {
        return Err(form("the signature does not stand in the file itself"));
    }
    let dictionary = value.dictionary().ok_or(form("the signature is no dictionary"))?;
    let contents = dictionary.get(b"Contents").ok_or(form("no signature value"))?;
    let ranges: Option<Vec<usize>> = dictionary
        .get(b"ByteRange")
        .and_then(Node::as_array)
        .unwrap_or_default()
        .iter()
        .map(|item| item.as_integer().and_then(|number| usize::try_from(number).ok()))
        .collect();
    let ranges = ranges.unwrap_or_default();
    let [start, before, after, rest] = ranges.as_slice() else { return Err(form("no usable byte range")) };
    let end = after.checked_add(*rest).ok_or(SealFailure::NotCovered)?;
    if *start != 0 || *before != contents.span.start || *after != contents.span.end || end > sealed.len() {
        return Err(SealFailure::NotCovered);
    }
    if end < sealed.len() {
        return Err(SealFailure::LaterRevision);
    }
    let written = sealed.get(contents.span.clone()).unwrap_or_default();
    let digits = written.strip_prefix(b"<").and_then(|digits| digits.strip_suffix(b">"));
    let digits = digits.ok_or(SealFailure::DirtyContents)?;
    let canonical = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !canonical || digits.len() % 2 != 0 {
        return Err(SealFailure::DirtyContents);
    }
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
            _ => None,
        })
        .collect();
    let length = der_length(&bytes).ok_or(SealFailure::Encoding { detail: "not DER" })?;
    let (cms, padding) = bytes.split_at_checked(length).ok_or(SealFailure::Encoding { detail: "not DER" })?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(SealFailure::DirtyContents);
    }
    Ok((contents.span.clone(), cms.to_vec()))
}

/// Length of the sequence at the start, with its header (X.690 §8.1.3).
fn der_length(bytes: &[u8]) -> Option<usize> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *tag != 0x30 {
        return None;
    }
    let extra = usize::from(first & 0x7f);
    if first & 0x80 == 0 {
        return Some(2 + extra);
    }
    if extra == 0 || extra > 4 {
        return None;
    }
    let length = rest.get(..extra)?.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    length.checked_add(2 + extra)
}

/// Everything before the line feed before the first object of the newest revision.
fn original_prefix<'a>(file: &File<'a>) -> Result<&'a [u8], SealFailure> {
    let newest = file.xref.newest()?;
    let mut first = newest.offset;
    for (_, place) in &newest.places {
        match place {
            Place::At { offset, .. } => first = first.min(*offset),
            _ => return Err(SealFailure::UnexpectedChange { detail: "an object is removed or compressed" }),
        }
    }
    let prefix = file.bytes.get(..first).and_then(|bytes| bytes.strip_suffix(b"\n"));
    prefix.ok_or(SealFailure::OriginalIncomplete)
}

/// Whether two nodes are the same values: strings as they read, not as they are encrypted.
fn same(one: (&File<'_>, &Loaded<'_>, &Node), other: (&File<'_>, &Loaded<'_>, &Node)) -> bool {
    let ((file, owner, node), (other_file, other_owner, other_node)) = (one, other);
    match (&node.value, &other_node.value) {
        (Value::Null, Value::Null) => true,
        (Value::Boolean(one), Value::Boolean(other)) => one == other,
        (Value::Integer(one), Value::Integer(other)) => one == other,
        (Value::Real(one), Value::Real(other)) => one.to_bits() == other.to_bits(),
        (Value::Name(one), Value::Name(other)) => one == other,
        (Value::Reference(one), Value::Reference(other)) => one == other,
        (Value::String(one), Value::String(other)) => {
            match (file.string(owner, one), other_file.string(other_owner, other)) {
                (Ok(one), Ok(other)) => one == other,
                _ => false,
            }
        }
        (Value::Array(ones), Value::Array(others)) => {
            ones.len() == others.len()
                && ones
                    .iter()
                    .zip(others)
                    .all(|(one, next)| same((file, owner, one), (other_file, other_owner, next)))
        }
        (Value::Dictionary(ones), Value::Dictionary(others)) => {
            ones.entries().len() == others.entries().len()
                && ones.entries().iter().zip(others.entries()).all(|(one, next)| {
                    one.key == next.key
                        && same((file, owner, &one.node), (other_file, other_owner, &next.node))
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::file::syntax::Parser;
    use crate::inspect::Budget;

    /// The verdict on a signature dictionary that stands at the start of `bytes`, in a file or in an object stream.
    fn verdict(bytes: &[u8], in_file: bool) -> Result<Range<usize>, SealFailure> {
        let budget = Budget::new(&Limits::default());
        let node = Rc::new(Parser::new(bytes, 0, &budget).object().expect("it parses"));
        let source =
            if in_file { Source::File(bytes) } else { Source::ObjectStream(Rc::new(bytes.to_vec())) };
        let value = Loaded { id: (1, 0), node, source, stream: None, value_count: 0 };
        covered(bytes, &value).map(|(range, _)| range)
    }

    #[test]
    fn the_covered_bytes_are_those_of_the_file_around_the_signature() {
        let dictionary = |range: &str| format!("<< /Contents <3000> /ByteRange [{range}] >> rest");
        let rest = dictionary("0 13 19 30").len() - 19;
        assert_eq!(rest, 32, "as the ranges below say");
        let good = dictionary("0 13 19 32");
        assert_eq!(verdict(good.as_bytes(), true), Ok(13..19));
        let code = |verdict: Result<Range<usize>, SealFailure>| verdict.err().map(|failure| failure.code());
        assert_eq!(code(verdict(good.as_bytes(), false)), Some("seal-unexpected-form"));
        for range in
            ["0 13 19 32 /X", "0 13 19 34 1.5", "0 13 (a) 19 34", "-1 0 13 19 33", "0 13 19", "0 13 19 30 30"]
        {
            assert_eq!(
                code(verdict(dictionary(range).as_bytes(), true)),
                Some("seal-unexpected-form"),
                "{range}"
            );
        }
        for range in ["1 13 19 32", "0 12 19 32", "0 13 20 31", "0 13 19 33"] {
            assert_eq!(
                code(verdict(dictionary(range).as_bytes(), true)),
                Some("seal-not-covered"),
                "{range}"
            );
        }
    }
}
