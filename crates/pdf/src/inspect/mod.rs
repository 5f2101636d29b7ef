//! What a PDF is before anyone signs it: bounded, refused with a code where it cannot be sealed safely, and described.

mod forms;
mod limits;
mod pages;
mod refusal;
mod sweep;

use lopdf::ObjectId;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use crate::file::xref::XrefKind;
pub use forms::{FieldKind, FormField};
pub use limits::Limits;
pub use refusal::{ExistingSignature, Refusal};
pub use sweep::Notice;

pub(crate) use forms::text_string;
pub(crate) use limits::Budget;
pub(crate) use pages::{Page, Resources};
pub(crate) use refusal::damaged;
pub(crate) use sweep::check_file_name;

use crate::file::syntax::Node;
use crate::file::{File, Loaded};
use crate::geometry::PageGeometry;
use crate::seal;

/// What a file is, as far as sealing it needs to know.
#[derive(Clone, Debug, Serialize)]
pub struct Structure {
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Size of the file, bytes.
    pub size_bytes: u64,
    /// PDF version, the newer of header and catalog.
    pub version: String,
    /// Geometry of each page, in order.
    pub pages: Vec<PageGeometry>,
    /// Interactive form fields, one entry for each place where a field shows.
    pub fields: Vec<FormField>,
    /// Whether the file is encrypted but opens without a password.
    pub owner_password: bool,
    /// How its newest revision writes cross-references.
    pub xref: XrefKind,
    /// Whether it was written for page-at-a-time download.
    pub linearized: bool,
    /// Number of cross-reference sections: 1 for a file that was never updated (2 if linearized).
    pub revisions: u32,
}

/// Everything that is told about an accepted file.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Pages, fields and the make of the file.
    #[serde(flatten)]
    pub structure: Structure,
    /// What a sender should know about it.
    pub notices: Vec<Notice>,
}

/// Reads every reachable object of an upload within `limits`, and tells what the file is or why it is refused.
/// Any bytes give one or the other; nothing is repaired.
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<Inspection, Refusal> {
    Original::open(bytes, limits)?.inspect()
}

/// Catalog, pages and form of any file, accepted or not.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) catalog: Loaded<'a>,
    pub(crate) pages: Vec<Page<'a>>,
    pub(crate) form: forms::Form,
}

impl<'a> Parts<'a> {
    pub(crate) fn read(file: &File<'a>) -> Result<Self, Refusal> {
        let catalog = load_catalog(file)?;
        let pages = pages::read(file, &catalog)?;
        let form = forms::read(file, &catalog, &pages)?;
        Ok(Self { catalog, pages, form })
    }
}

/// An accepted file, parsed as far as sealing needs.
#[derive(Debug)]
pub struct Original<'a> {
    pub(crate) file: File<'a>,
    pub(crate) catalog: Loaded<'a>,
    pub(crate) pages: Vec<Page<'a>>,
    pub(crate) digest: Sha256,
    structure: Structure,
    has_xfa: bool,
}

impl<'a> Original<'a> {
    /// Reads the structure of a file: cross-references, catalog, pages and form. Streams stay closed; whoever
    /// accepts an upload calls [`inspect`], which opens them too.
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refusal> {
        let file = File::open(bytes, limits)?;
        let Parts { catalog, pages, form } = Parts::read(&file)?;
        if !form.signatures.is_empty() {
            return Err(Refusal::AlreadySigned { signatures: form.signatures });
        }
        if form.xfa_only {
            return Err(Refusal::XfaOnly);
        }
        let mut digest = Sha256::new();
        digest.update(bytes);
        let version = effective_version(&file, &catalog);
        let structure = Structure {
            sha256: hex::encode(digest.clone().finalize()),
            size_bytes: bytes.len() as u64,
            version: format!("{}.{}", version.0, version.1),
            pages: pages.iter().map(|page| page.geometry).collect(),
            fields: form.fields,
            owner_password: file.crypt.is_some(),
            xref: file.xref_kind()?,
            linearized: is_linearized(bytes),
            revisions: u32::try_from(file.xref.sections.len()).unwrap_or(u32::MAX),
        };
        Ok(Self { file, catalog, pages, digest, structure, has_xfa: form.has_xfa })
    }

    /// Pages, fields and the make of the file.
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// The first object number that the file does not use: where new objects begin.
    pub fn first_free_object(&self) -> u32 {
        self.file.first_free()
    }

    /// Opens every reachable object and stream within the limits, and rehearses the seal.
    pub fn inspect(&self) -> Result<Inspection, Refusal> {
        let mut notices = sweep::read(&self.file, &self.pages)?;
        seal::rehearse(self)?;
        if self.file.crypt.is_some() {
            notices.insert(Notice::OwnerPassword);
        }
        if self.has_xfa {
            notices.insert(Notice::XfaAlongside);
        }
        Ok(Inspection { structure: self.structure.clone(), notices: notices.into_iter().collect() })
    }
}

fn load_catalog<'a>(file: &File<'a>) -> Result<Loaded<'a>, Refusal> {
    let broken = || damaged("there is no document catalog");
    let id: ObjectId = file.trailer()?.reference(b"Root").ok_or_else(broken)?;
    let catalog = file.load(id)?.ok_or_else(broken)?;
    match catalog.dictionary() {
        Some(dictionary) if dictionary.get(b"Pages").is_some() => Ok(catalog),
        _ => Err(broken()),
    }
}

/// The newer of the versions in header and catalog (§7.2.2 of ISO 32000-1 and its successor).
pub(crate) fn effective_version(file: &File<'_>, catalog: &Loaded<'_>) -> (u8, u8) {
    let stated = match catalog.dictionary().and_then(|d| d.get(b"Version")).and_then(Node::as_name) {
        Some([major @ b'1'..=b'2', b'.', minor @ b'0'..=b'9']) => (major - b'0', minor - b'0'),
        _ => file.version,
    };
    stated.max(file.version)
}

/// The linearization dictionary is the first object (Annex F.2).
fn is_linearized(bytes: &[u8]) -> bool {
    let head = bytes.get(..1024.min(bytes.len())).unwrap_or_default();
    head.windows(b"/Linearized".len()).any(|window| window == b"/Linearized")
}
