//! The seal: one certifying incremental update (PAdES B-B, DocMDP 1), split so that the key can live elsewhere:
//! prepare, sign the digest, embed.

mod attach;
mod balance;
pub(crate) mod cms;
mod key;
pub(crate) mod stamp;

use std::collections::HashSet;
use std::ops::Range;

use der::Encode;
use lopdf::{Object, ObjectId, Stream, dictionary};
use sha2::{Digest, Sha256};
use x509_cert::attr::Attributes;

pub use key::{KeyFault, SealKey, SoftwareKey};

use crate::file::syntax::Node;
use crate::file::update::{Appended, Update, encryption};
use crate::file::{Loaded, write};
use crate::inspect::{Original, Refusal, damaged, effective_version};
use crate::objects::NewObjects;
pub use crate::place::PageOverlay;
use crate::verify::{self, SealFailure};
use attach::target;
use cms::Signer;

/// A moment in UTC, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcTime {
    /// Year, four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

impl UtcTime {
    /// As a PDF date (ISO 32000-2 §7.9.4).
    pub(crate) fn pdf_date(self) -> String {
        let Self { year, month, day, hour, minute, second } = self;
        format!("D:{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
    }

    /// Reads what [`Self::pdf_date`] writes.
    pub(crate) fn from_pdf_date(date: &str) -> Option<Self> {
        let digits = date.strip_prefix("D:")?.strip_suffix('Z')?.as_bytes();
        if digits.len() != 14 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = |at: usize, length: usize| {
            let field = digits.get(at..at + length)?;
            Some(field.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0')))
        };
        let two = |at: usize| u8::try_from(number(at, 2)?).ok();
        let time = Self {
            year: number(0, 4)?,
            month: two(4)?,
            day: two(6)?,
            hour: two(8)?,
            minute: two(10)?,
            second: two(12)?,
        };
        let valid = (1970..=9999).contains(&time.year)
            && (1..=12).contains(&time.month)
            && (1..=31).contains(&time.day)
            && time.hour < 24
            && time.minute < 60
            && time.second <= 60;
        valid.then_some(time)
    }

    /// Seconds since 1970 in the Gregorian calendar.
    pub fn unix_s(self) -> u64 {
        let leap_years_before = |year: u64| year / 4 - year / 100 + year / 400;
        let year = u64::from(self.year);
        let is_leap = leap_years_before(year) > leap_years_before(year - 1);
        let days_before_month = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
            .get(usize::from(self.month.saturating_sub(1)))
            .copied()
            .unwrap_or(0)
            + u64::from(is_leap && self.month > 2);
        let days_before_year = 365 * (year - 1970) + leap_years_before(year - 1) - leap_years_before(1969);
        let days = days_before_year + days_before_month + u64::from(self.day) - 1;
        ((days * 24 + u64::from(self.hour)) * 60 + u64::from(self.minute)) * 60 + u64::from(self.second)
    }
}

/// A file attached to the sealed document.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Name, with its extension.
    pub file_name: String,
    /// Media type.
    pub mime_type: String,
    /// What it is, for people.
    pub description: String,
    /// Content.
    pub bytes: Vec<u8>,
    /// When it was made.
    pub modified: UtcTime,
}

/// What readers show about who sealed.
#[derive(Clone, Debug)]
pub struct SignerText {
    /// Who.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Where; nothing is written if it is empty.
    pub location: String,
}

/// Everything that goes into a sealed document beside the original.
#[derive(Debug)]
pub struct SealRequest<'r> {
    /// Stamps on pages of the original.
    pub overlays: &'r [PageOverlay],
    /// Page dictionaries among the new objects, appended in this order.
    pub extra_pages: &'r [ObjectId],
    /// New objects, numbered from [`Original::first_free_object`].
    pub objects: NewObjects,
    /// Files to attach.
    pub attachments: &'r [Attachment],
    /// What readers show.
    pub signer: &'r SignerText,
    /// When, for `/M`.
    pub signed_at: UtcTime,
    /// DER certificates, the signer's first, each followed by its issuer.
    pub certificate_chain: &'r [Vec<u8>],
}

/// A seal could not be prepared or finished.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The original does not allow it.
    #[error(transparent)]
    Original(#[from] Refusal),
    /// An overlay names a page that the original does not have.
    #[error("the document has no page {0}")]
    UnknownPage(u32),
    /// An overlay or an extra page names an object that is not among the new ones, or is of the wrong kind.
    #[error("object {} is not among the new objects", .0.0)]
    UnknownObject(ObjectId),
    /// The new objects are not numbered from the first free number of this file.
    #[error("the new objects are numbered for another file")]
    WrongNumbers,
    /// The certificate chain is empty, is not DER, or its first key is not on P-256.
    #[error("the certificate chain cannot seal: it needs DER certificates, the first with a P-256 key")]
    Certificate,
    /// The signature is not one of these attributes by this certificate's key.
    #[error("the signature does not belong to the document and the certificate")]
    SignatureInvalid,
    /// The signature and its certificates take more room than was set aside.
    #[error("the signature is larger than the room that was set aside")]
    SignatureTooLarge,
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] KeyFault),
}

/// A document that lacks its signature only.
#[derive(Debug)]
pub struct Prepared {
    appended: Appended,
    /// The hexadecimal digits between the angle brackets.
    digits: Range<usize>,
    signer: Signer,
    attributes: Attributes,
    to_sign: Vec<u8>,
}

impl Prepared {
    /// The DER of the signed attributes: what the key signs.
    pub fn to_sign(&self) -> &[u8] {
        &self.to_sign
    }

    /// SHA-256 of [`Self::to_sign`].
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.to_sign).into()
    }

    /// Puts in the signature (DER, ECDSA on P-256 over [`Self::digest`]) after a check against the certificate: a key
    /// that does not belong to its certificate must never give a file that looks sealed.
    pub fn embed(self, signature_der: &[u8]) -> Result<Vec<u8>, SealError> {
        self.signer.check(&self.digest(), signature_der)?;
        self.embed_checked(signature_der)
    }

    fn embed_checked(mut self, signature_der: &[u8]) -> Result<Vec<u8>, SealError> {
        let cms = self.signer.signed_data(&self.attributes, signature_der)?;
        let digits = hex::encode(cms);
        if digits.len() > self.digits.len() || !self.appended.patch(self.digits.start, digits.as_bytes()) {
            return Err(SealError::SignatureTooLarge);
        }
        Ok(self.appended.bytes)
    }
}

/// Seals with a key at hand.
pub fn seal(
    original: &Original<'_>,
    request: SealRequest<'_>,
    key: &dyn SealKey,
) -> Result<Vec<u8>, SealError> {
    let same_leaf = request.certificate_chain.first() == key.certificate_chain().first();
    let prepared = prepare(original, request)?;
    let digest = prepared.digest();
    let signature = key.sign(&digest)?;
    if !same_leaf || !key.verifies(&digest, &signature) {
        return Err(SealError::SignatureInvalid);
    }
    prepared.embed_checked(&signature)
}

/// Writes everything but the signature. The result begins with the original, byte by byte (D-5).
pub fn prepare(original: &Original<'_>, request: SealRequest<'_>) -> Result<Prepared, SealError> {
    let signer = Signer::read(request.certificate_chain)?;
    let first_free = original.first_free_object();
    let (objects, next) = request.objects.into_parts();
    if next < first_free || objects.iter().any(|(id, _)| id.0 < first_free || id.1 != 0) {
        return Err(SealError::WrongNumbers);
    }
    if let Some(overlay) = request.overlays.iter().find(|o| !objects.iter().any(|(id, _)| *id == o.form)) {
        return Err(SealError::UnknownObject(overlay.form));
    }
    let reserved = Signer::reserved_bytes(request.certificate_chain);
    let parts = Addition {
        overlays: request.overlays,
        extra_pages: request.extra_pages,
        attachments: request.attachments,
        signer: request.signer,
        signed_at: request.signed_at,
        reserved,
    };
    let (mut appended, value) = parts.append(original, objects, next)?;
    let digits = fill_in_range(&mut appended, value, reserved)?;
    finish(original, appended, digits, signer)
}

/// Writes the update that any seal writes, and has it checked as the verification of a seal does, but for the signature:
/// whoever accepts a file knows then that it can be sealed and that the seal verifies, and no envelope waits for a seal
/// that cannot come.
pub(crate) fn rehearse(original: &Original<'_>) -> Result<(), Refusal> {
    let mut objects = NewObjects::new(original.first_free_object());
    let form = objects.add(Stream::new(dictionary! { "Type" => "XObject", "Subtype" => "Form" }, Vec::new()));
    let media = vec![0.into(), 0.into(), 1.into(), 1.into()];
    let page = objects.add(dictionary! { "Type" => "Page", "MediaBox" => media });
    let overlays: Vec<PageOverlay> = (1..)
        .take(original.pages.len())
        .map(|page| PageOverlay { page, form, matrix: [1.0, 0.0, 0.0, 1.0, 0.0, 0.0] })
        .collect();
    let signed_at = UtcTime { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
    let attachment = Attachment {
        file_name: "rehearsal".to_owned(),
        mime_type: "text/plain".to_owned(),
        description: String::new(),
        bytes: Vec::new(),
        modified: signed_at,
    };
    let nobody = SignerText { name: String::new(), reason: String::new(), location: String::new() };
    let addition = Addition {
        overlays: &overlays,
        extra_pages: &[page],
        attachments: &[attachment],
        signer: &nobody,
        signed_at,
        reserved: 8,
    };
    let (objects, next) = objects.into_parts();
    let sealed = addition.append_unsigned(original, objects, next).map_err(|error| match error {
        SealError::Original(refusal) => refusal,
        _ => damaged("its parts do not fit together"),
    })?;
    // The other half is room for what the seal to come holds beside this.
    let budget = &original.file.budget;
    if budget.copied_bytes() > budget.limits.copied_bytes / 2 {
        return Err(Refusal::TooComplex);
    }
    verify::check_rehearsal(original, &sealed).map_err(|failure| match failure {
        SealFailure::Unreadable(refusal) => refusal,
        _ => damaged("a seal of it would not verify"),
    })
}

/// What one update adds.
struct Addition<'r> {
    overlays: &'r [PageOverlay],
    extra_pages: &'r [ObjectId],
    attachments: &'r [Attachment],
    signer: &'r SignerText,
    signed_at: UtcTime,
    reserved: usize,
}

impl Addition<'_> {
    /// Writes the update; also the object that holds the signature.
    fn append(
        &self,
        original: &Original<'_>,
        mut objects: Vec<(ObjectId, Object)>,
        next: u32,
    ) -> Result<(Appended, ObjectId), SealError> {
        let file = &original.file;
        let mut update = Update::new(file, next);
        let mut new = Vec::new();
        stamp::append_pages(&mut update, original, self.extra_pages, &mut objects)?;
        stamp::stamp(&mut update, original, self.overlays, &mut new)?;
        attach::attach(&mut update, file, &original.catalog, self.attachments, &mut new)?;
        new.extend(objects.iter().map(|(id, object)| (*id, write::object(object, &encryption(file, *id)))));
        let value = update.reserve();
        certify(&mut update, original, value, &mut new)?;
        let body = signature_dictionary(&encryption(file, value), self.signer, self.signed_at, self.reserved);
        new.push((value, body));
        Ok((update.append(new)?, value))
    }

    /// The whole file with the shortest DER in place of the signature.
    fn append_unsigned(
        &self,
        original: &Original<'_>,
        objects: Vec<(ObjectId, Object)>,
        next: u32,
    ) -> Result<Vec<u8>, SealError> {
        let (mut appended, value) = self.append(original, objects, next)?;
        let digits = fill_in_range(&mut appended, value, self.reserved)?;
        let is_written = appended.patch(digits.start, b"3000");
        if is_written { Ok(appended.bytes) } else { Err(SealError::SignatureTooLarge) }
    }
}

/// Fills in `/ByteRange`; where the digits of the signature stand.
fn fill_in_range(appended: &mut Appended, value: ObjectId, reserved: usize) -> Result<Range<usize>, Refusal> {
    let lost = || damaged("the signature was not written");
    let body = appended.body_offset(value).ok_or_else(lost)?;
    let find = |bytes: &[u8], word: &[u8]| {
        let tail = bytes.get(body..)?;
        Some(body + tail.windows(word.len()).position(|window| window == word)? + word.len())
    };
    let contents = find(&appended.bytes, CONTENTS_KEY).ok_or_else(lost)?;
    let range = find(&appended.bytes, RANGE_KEY).ok_or_else(lost)?;
    let digits = contents..contents + 2 * reserved;
    let (before, after) = (digits.start - 1, digits.end + 1);
    let numbers = format!("{before:<10} {after:<10} {:<10}", appended.bytes.len() - after);
    if appended.patch(range, numbers.as_bytes()) { Ok(digits) } else { Err(lost()) }
}

/// Computes what is to be signed.
fn finish(
    original: &Original<'_>,
    appended: Appended,
    digits: Range<usize>,
    signer: Signer,
) -> Result<Prepared, SealError> {
    let mut digest = original.digest.clone();
    let (before, after) = (digits.start - 1, digits.end + 1);
    digest.update(appended.bytes.get(original.file.bytes.len()..before).unwrap_or_default());
    digest.update(appended.bytes.get(after..).unwrap_or_default());
    let attributes =
        signer.signed_attributes(&digest.finalize().into()).map_err(|_| SealError::Certificate)?;
    let to_sign = attributes.to_der().map_err(|_| SealError::Certificate)?;
    Ok(Prepared { appended, digits, signer, attributes, to_sign })
}

const RANGE_KEY: &[u8] = b"/ByteRange [0 ";
const CONTENTS_KEY: &[u8] = b"/Contents <";

fn signature_dictionary(
    encryption: &write::Encryption<'_>,
    signer: &SignerText,
    signed_at: UtcTime,
    reserved: usize,
) -> Vec<u8> {
    let mut body = b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached ".to_vec();
    body.extend_from_slice(RANGE_KEY);
    body.extend_from_slice(&[b' '; 32]);
    body.extend_from_slice(b"] ");
    body.extend_from_slice(CONTENTS_KEY);
    body.resize(body.len() + 2 * reserved, b'0');
    body.extend_from_slice(b"> /M ");
    body.extend_from_slice(&encryption.string(signed_at.pdf_date().as_bytes()));
    for (key, text) in [("Name", &signer.name), ("Reason", &signer.reason), ("Location", &signer.location)] {
        if !text.is_empty() {
            body.extend_from_slice(format!(" /{key} ").as_bytes());
            body.extend_from_slice(&encryption.string(&write::text_string(text)));
        }
    }
    body.extend_from_slice(
        b" /Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams << /Type /TransformParams \
          /V /1.2 /P 1 >> >>] >>",
    );
    body
}

/// Enters the signature: its field, which has an invisible widget on the first page, the form, and the catalog's
/// permissions. The document's own fields stay as they are; DocMDP 1 freezes them.
fn certify<'a>(
    update: &mut Update<'a, '_>,
    original: &Original<'a>,
    value: ObjectId,
    new: &mut Vec<(ObjectId, Vec<u8>)>,
) -> Result<(), SealError> {
    let file = &original.file;
    let catalog = &original.catalog;
    let field = update.reserve();
    let page = original.pages.first().ok_or(Refusal::NoPages)?;
    let name = encryption(file, field).string(field_name(original).as_bytes());
    let (value, page_reference) = (write::reference(value), write::reference(page.object.id));
    let body = [
        b"<< /Type /Annot /Subtype /Widget /FT /Sig /T ".as_slice(),
        &name,
        format!(" /V {value} /F 132 /Rect [0 0 0 0] /P {page_reference} >>").as_bytes(),
    ]
    .concat();
    new.push((field, body));
    let field = write::reference(field);
    append_to(update, original, &page.object, &page.object.node, "Annots", &field)?;
    let form = catalog.dictionary().and_then(|dictionary| dictionary.get(b"AcroForm"));
    let form = form.map(|node| target(file, catalog, node)).transpose()?.flatten();
    match form.filter(|(_, node)| node.as_dictionary().is_some()) {
        None => {
            let form = format!("<< /Fields [{field}] /SigFlags 3 >>");
            update.set(catalog, &catalog.node, "AcroForm", form.as_bytes())?;
        }
        Some((owner, node)) => {
            append_to(update, original, &owner, &node, "Fields", &field)?;
            update.set(&owner, &node, "SigFlags", b"3")?;
            // Both would let a reader show something else than the pages that were signed.
            update.remove(&owner, &node, b"NeedAppearances")?;
            update.remove(&owner, &node, b"XFA")?;
        }
    }
    let permissions = format!("<< /DocMDP {value} >>");
    update.set(catalog, &catalog.node, "Perms", permissions.as_bytes())?;
    if effective_version(file, catalog) < (1, 7) {
        update.set(catalog, &catalog.node, "Version", b"/1.7")?;
    }
    Ok(())
}

/// Appends a reference to the array at `key` of a dictionary, which may be absent, in place or elsewhere.
fn append_to<'a>(
    update: &mut Update<'a, '_>,
    original: &Original<'a>,
    owner: &Loaded<'a>,
    dictionary: &Node,
    key: &str,
    reference: &str,
) -> Result<(), Refusal> {
    let existing = dictionary.as_dictionary().and_then(|dictionary| dictionary.get(key.as_bytes()));
    match existing.map(|node| target(&original.file, owner, node)).transpose()?.flatten() {
        Some((owner, array)) if array.as_array().is_some() => {
            update.push(&owner, &array, reference.as_bytes())
        }
        _ => update.set(owner, dictionary, key, format!("[{reference}]").as_bytes()),
    }
}

/// `Seal`, or with a number if the document has such a field.
fn field_name(original: &Original<'_>) -> String {
    let fields = &original.structure().fields;
    let taken: HashSet<&str> = fields.iter().filter_map(|field| field.name.split('.').next()).collect();
    let mut name = "Seal".to_owned();
    let mut number = 2_u32;
    while taken.contains(name.as_str()) {
        name = format!("Seal{number}");
        number += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_in_a_pdf_date_and_in_seconds() {
        let time =
            |year, month, day, hour, minute, second| UtcTime { year, month, day, hour, minute, second };
        for (time, seconds) in [
            (time(1970, 1, 1, 0, 0, 0), 0),
            (time(2000, 2, 29, 23, 59, 59), 951_868_799),
            (time(2026, 11, 21, 9, 30, 5), 1_795_253_405),
            (time(2100, 3, 1, 0, 0, 0), 4_107_542_400),
        ] {
            assert_eq!(time.unix_s(), seconds);
            assert_eq!(UtcTime::from_pdf_date(&time.pdf_date()), Some(time));
        }
        assert_eq!(UtcTime::from_pdf_date("D:20261321093005Z"), None);
        assert_eq!(UtcTime::from_pdf_date("D:20261121093005+01'00'"), None);
    }
}
