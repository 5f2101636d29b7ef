//! The certificate of completion: who signed what, how they were identified, when, and how anyone can check it.

mod layout;
mod sections;
mod standalone;

use std::collections::BTreeSet;

use crate::font::{FontBook, FontFault, FontSubsets, Missing, packed};
use crate::objects::NewObjects;
use crate::place::Handwriting;
use layout::{Flow, PAGE_HEIGHT_PT, PAGE_WIDTH_PT};
use lopdf::{Dictionary, Object, ObjectId, dictionary};
pub use standalone::{CertificateFault, standalone};

/// Everything that the pages say, in words and numbers of the caller: nothing is computed from a clock here.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Title of the envelope.
    pub title: String,
    /// Identifier of the envelope.
    pub envelope_id: String,
    /// Organization that sent it.
    pub organization: String,
    /// Who sent it: name and address.
    pub sender: String,
    /// Where it was made.
    pub environment: Environment,
    /// When it was sent.
    pub sent: Moment,
    /// When the last recipient acted.
    pub completed: Moment,
    /// What was signed.
    pub documents: Vec<CertifiedDocument>,
    /// Everyone who took part, in routing order.
    pub recipients: Vec<CertifiedRecipient>,
    /// The events, in order.
    pub timeline: Vec<TimelineRow>,
    /// What the timeline leaves out and where it stands; empty if it is whole.
    pub timeline_note: String,
    /// What seals the file.
    pub seal: SealStatement,
    /// The checkpoint that covers the last signature.
    pub log: LogStatement,
    /// Further steps to verify, after those that follow from the documents.
    pub verification: Vec<VerificationStep>,
}

/// Whether an envelope has effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// In earnest.
    Live,
    /// For testing; every page says so.
    Sandbox,
}

/// A point in time as it is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Coordinated universal time, such as `2026-11-21 14:03:07 UTC`.
    pub utc: String,
    /// The same moment in the zone of the person, such as `15:03:07 Europe/Berlin (+01:00)`; may be empty.
    pub local: String,
}

/// A document as it was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedDocument {
    /// File name.
    pub name: String,
    /// SHA-256 of the upload in hexadecimal.
    pub sha256: String,
    /// Pages.
    pub page_count: u32,
    /// Length in bytes: the sealed file begins with exactly these.
    pub size_bytes: u64,
}

/// What is known of one recipient. Empty strings are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CertifiedRecipient {
    /// Name.
    pub name: String,
    /// Address that the link went to.
    pub email: String,
    /// Role, such as `Signer`.
    pub role: String,
    /// Routing order, from 1.
    pub routing_order: u32,
    /// How the person was identified, in words.
    pub identified: String,
    /// Version and moment of the consent, in words.
    pub consent: String,
    /// What the person did, such as `Signed`.
    pub outcome: String,
    /// When.
    pub at: Moment,
    /// Network address.
    pub ip: String,
    /// How the address was learnt, in words.
    pub ip_source: String,
    /// What the browser called itself.
    pub user_agent: String,
    /// The adopted signature.
    pub mark: Option<Handwriting>,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimelineRow {
    /// When.
    pub at: Moment,
    /// Who.
    pub actor: String,
    /// What happened, in words.
    pub action: String,
    /// Network address; may be empty.
    pub ip: String,
    /// The first characters of the event's hash.
    pub event_hash: String,
}

/// What seals the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealStatement {
    /// What the seal is, in words.
    pub statement: String,
    /// Subject of the certificate.
    pub signer: String,
    /// SHA-256 of the certificate in hexadecimal.
    pub fingerprint: String,
}

/// The checkpoint of the transparency log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStatement {
    /// Origin line of the checkpoint.
    pub origin: String,
    /// Number of leaves.
    pub tree_size: u64,
    /// Root hash, base64 as in the checkpoint.
    pub root_hash: String,
}

/// One step that a reader can take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationStep {
    /// What to do, in words.
    pub text: String,
    /// What to type; may be empty.
    pub command: String,
}

/// The certificate as it is drawn: once, for all files of an envelope.
#[derive(Debug)]
pub struct DrawnCertificate<'book> {
    pages: Vec<DrawnPage>,
    subsets: FontSubsets<'book>,
}

#[derive(Debug)]
struct DrawnPage {
    /// Compressed.
    content: Vec<u8>,
    faces: BTreeSet<usize>,
}

impl<'book> DrawnCertificate<'book> {
    /// Lays the pages out and draws them.
    pub fn draw(certificate: &Certificate, book: &'book FontBook) -> Self {
        let mut subsets = FontSubsets::new(book);
        let mut flow = Flow::new(certificate);
        sections::write(certificate, &mut flow, &mut subsets);
        let canvases = flow.finish(&mut subsets).into_iter();
        let pages = canvases.map(|canvas| {
            let (content, faces) = canvas.finish();
            DrawnPage { content, faces }
        });
        Self { pages: pages.collect(), subsets }
    }

    /// The pages for one file.
    pub fn append(&self) -> Appendix<'_, 'book> {
        Appendix { pages: &self.pages, subsets: self.subsets.clone() }
    }
}

/// The certificate on its way into one file, with the fonts that the rest of what is added to the file shares.
#[derive(Debug)]
pub struct Appendix<'a, 'book> {
    pages: &'a [DrawnPage],
    subsets: FontSubsets<'book>,
}

impl<'book> Appendix<'_, 'book> {
    /// The fonts of the file.
    pub fn subsets(&mut self) -> &mut FontSubsets<'book> {
        &mut self.subsets
    }

    /// Puts page objects (A4) without `/Parent`, which the writer of the file sets, and the fonts. Gives the pages'
    /// numbers in order, and the characters that no font had.
    pub fn finish(mut self, objects: &mut NewObjects) -> Result<(Vec<ObjectId>, Missing), FontFault> {
        let mut ids = Vec::with_capacity(self.pages.len());
        for page in self.pages {
            let resources = self.subsets.resources(&page.faces, objects);
            let contents = objects.add(packed(Dictionary::new(), page.content.clone()));
            ids.push(objects.add(dictionary! {
                "Type" => "Page",
                "MediaBox" => [0.0, 0.0, PAGE_WIDTH_PT, PAGE_HEIGHT_PT].map(Object::from).to_vec(),
                "Resources" => resources,
                "Contents" => contents,
            }));
        }
        Ok((ids, self.subsets.finish(objects)?))
    }
}
