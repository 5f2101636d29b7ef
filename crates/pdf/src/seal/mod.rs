//! The seal: one certifying incremental update (PAdES B-B, DocMDP 1), split so that the key can live elsewhere:
//! prepare, sign the digest, embed.

mod attach;
mod balance;
pub(crate) mod cms;
mod key;
pub(crate) mod stamp;

use std::ops::Range;

use der::Encode;
use lopdf::ObjectId;
use sha2::{Digest, Sha256};
use x509_cert::attr::Attributes;

pub use key::{KeyFault, SealKey, SoftwareKey};

use crate::file::syntax::Node;
use crate::file::update::{Appended, Update, encryption};
use crate::file::{Loaded, write};
use crate::inspect::{Original, Refusal, damaged, effective_version};
use crate::objects::NewObjects;
use crate::place::PageOverlay;
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

    /// Puts in the signature (DER, ECDSA on P-256 over [`Self::digest`]): the sealed document.
    pub fn embed(mut self, signature_der: &[u8]) -> Result<Vec<u8>, SealError> {
        let cms = self.signer.signed_data(&self.attributes, &self.digest(), signature_der)?;
        let digits = hex::encode(cms);
        if digits.len() > self.digits.len() || !self.appended.patch(self.digits.start, digits.as_bytes()) {
            return Err(SealError::SignatureTooLarge);
        }
        Ok(self.appended.bytes)
    }
}

/// Seals with a key at hand.
pub fn seal(original: &Original<'_>, request: SealRequest<'_>, key: &dyn SealKey) -> Result<Vec<u8>, SealError> {
    let prepared = prepare(original, request)?;
    let signature = key.sign(&prepared.digest())?;
    prepared.embed(&signature)
}

/// Writes everything but the signature. The result begins with the original, byte by byte (D-5).
pub fn prepare(original: &Original<'_>, request: SealRequest<'_>) -> Result<Prepared, SealError> {
    let signer = Signer::read(request.certificate_chain)?;
    let first_free = original.first_free_object();
    let (mut objects, next) = request.objects.into_parts();
    if next < first_free || objects.iter().any(|(id, _)| id.0 < first_free || id.1 != 0) {
        return Err(SealError::WrongNumbers);
    }
    if let Some(overlay) = request.overlays.iter().find(|o| !objects.iter().any(|(id, _)| *id == o.form)) {
        return Err(SealError::UnknownObject(overlay.form));
    }
    let file = &original.file;
    let mut update = Update::new(file, next);
    let mut new = Vec::new();
    stamp::append_pages(&mut update, original, request.extra_pages, &mut objects)?;
    stamp::stamp(&mut update, original, request.overlays, &mut new)?;
    attach::attach(&mut update, file, &original.catalog, request.attachments, &mut new)?;
    new.extend(objects.iter().map(|(id, object)| (*id, write::object(object, &encryption(file, *id)))));
    let value = update.reserve();
    certify(&mut update, original, value, &mut new)?;
    let reserved = Signer::reserved_bytes(request.certificate_chain);
    new.push((value, signature_dictionary(&encryption(file, value), request.signer, request.signed_at, reserved)));
    let appended = update.append(new)?;
    let lost = || damaged("the signature was not written");
    let body = appended.body_offset(value).ok_or_else(lost)?;
    finish(original, appended, body, reserved, signer)
}

/// Fills in `/ByteRange` and computes what is to be signed.
fn finish(
    original: &Original<'_>,
    mut appended: Appended,
    body: usize,
    reserved: usize,
    signer: Signer,
) -> Result<Prepared, SealError> {
    let lost = || damaged("the signature was not written");
    let find = |bytes: &[u8], word: &[u8]| {
        let tail = bytes.get(body..)?;
        Some(body + tail.windows(word.len()).position(|window| window == word)? + word.len())
    };
    let contents = find(&appended.bytes, CONTENTS_KEY).ok_or_else(lost)?;
    let range = find(&appended.bytes, RANGE_KEY).ok_or_else(lost)?;
    let digits = contents..contents + 2 * reserved;
    let (before, after) = (digits.start - 1, digits.end + 1);
    let numbers = format!("{before:<10} {after:<10} {:<10}", appended.bytes.len() - after);
    if !appended.patch(range, numbers.as_bytes()) {
        return Err(lost().into());
    }
    let mut digest = original.digest.clone();
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
        Some((owner, array)) if array.as_array().is_some() => update.push(&owner, &array, reference.as_bytes()),
        _ => update.set(owner, dictionary, key, format!("[{reference}]").as_bytes()),
    }
}

/// `Seal`, or with a number if the document has such a field.
fn field_name(original: &Original<'_>) -> String {
    let taken = |name: &str| {
        let fields = &original.structure().fields;
        fields.iter().any(|field| field.name == name || field.name.starts_with(&format!("{name}.")))
    };
    let mut name = "Seal".to_owned();
    let mut number = 2_u32;
    while taken(&name) {
        name = format!("Seal{number}");
        number += 1;
    }
    name
}
