//! The evidence package, format 1: one deterministic archive with everything that a verifier needs about a completed
//! envelope.

use std::{borrow::Cow, collections::BTreeMap};

use countersign_core::{
    access::Environment,
    digest::Digest,
    envelope::{
        Body, Event,
        event::{ConsentText, Document},
    },
    id::{DocumentId, EnvelopeId},
};
use countersign_tlog::{ProofFile, ProofFileRefusal};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    archive::{self, Entry},
    line::{LoggedEvent, write_lines},
    readme,
    system::System,
};

/// The format's name and version.
const FORMAT: &str = "countersign-evidence/1";

pub(crate) const README: &str = "README.txt";
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const CERTIFICATE: &str = "certificate.pdf";
pub(crate) const EVENTS: &str = "events.jsonl";
pub(crate) const PROOF: &str = "log/proof.tlog-proof";
pub(crate) const CHECKPOINT: &str = "log/checkpoint";
pub(crate) const SYSTEM: &str = "system.json";

/// A package as it is written.
#[derive(Clone, Debug)]
pub struct Package {
    /// The documents in the envelope's order.
    pub documents: Vec<PackageDocument>,
    /// The sealed certificate of completion.
    pub certificate: Vec<u8>,
    /// All events that are in the log, from the first, at least up to `envelope.sealed`. Values whose opening is
    /// attached are disclosed.
    pub events: Vec<LoggedEvent>,
    /// The proof file of the last event's leaf (C2SP tlog-proof).
    pub proof: String,
    /// Every consent text that the events name, in any order.
    pub consents: Vec<ConsentFile>,
    /// The system description that the trails carry (`trail::system_of`).
    pub system: System,
}

/// A document of a package.
#[derive(Clone, Debug)]
pub struct PackageDocument {
    /// Which.
    pub id: DocumentId,
    /// The bytes that were uploaded.
    pub original: Vec<u8>,
    /// The sealed PDF.
    pub sealed: Vec<u8>,
}

/// A consent text as it was shown.
#[derive(Clone, Debug)]
pub struct ConsentFile {
    /// Its version.
    pub version: String,
    /// The text, whose UTF-8 bytes have the digest in the events.
    pub text: String,
}

/// Why a package cannot be written.
#[derive(Debug, Error)]
pub enum PackageRefusal {
    /// The events do not begin with the envelope's creation.
    #[error("the first event is not envelope.created")]
    NoEnvelope,
    /// Other documents than the envelope's.
    #[error("the documents are not those of the envelope, in its order")]
    Documents,
    /// A consent text that the events name is not there, or its version cannot be a file name.
    #[error(
        "the consent text {version} is missing, or its version is not made of letters, digits, dots and dashes"
    )]
    Consent {
        /// Its version.
        version: String,
    },
    /// The proof file is malformed.
    #[error("the proof cannot be read: {0}")]
    Proof(#[from] ProofFileRefusal),
    /// More than a package may hold.
    #[error("the package would be larger than 4 GiB or have too many files")]
    TooLarge,
}

/// `env_….evidence.zip`.
pub fn file_name(envelope: EnvelopeId) -> String {
    format!("{envelope}.evidence.zip")
}

impl Package {
    /// The archive: the same package always gives the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PackageRefusal> {
        let plan = Plan::of(self.events.iter().map(|logged| &logged.recorded.event))
            .ok_or(PackageRefusal::NoEnvelope)?;
        if !plan.documents.iter().map(|document| document.id).eq(self.documents.iter().map(|file| file.id)) {
            return Err(PackageRefusal::Documents);
        }
        let proof = ProofFile::parse(self.proof.as_bytes())?;
        let mut files: BTreeMap<String, Cow<'_, [u8]>> = BTreeMap::new();
        for document in &self.documents {
            files.insert(original_name(document.id), Cow::from(&document.original));
            files.insert(sealed_name(document.id), Cow::from(&document.sealed));
        }
        for version in plan.consents.keys() {
            let missing = || PackageRefusal::Consent { version: version.clone() };
            let consent = self.consents.iter().find(|consent| consent.version == *version);
            let consent = consent.filter(|_| is_file_name(version)).ok_or_else(missing)?;
            files.insert(consent_name(version), Cow::from(consent.text.as_bytes()));
        }
        files.insert(README.to_owned(), Cow::from(readme::of(&plan).into_bytes()));
        files.insert(CERTIFICATE.to_owned(), Cow::from(&self.certificate));
        files.insert(EVENTS.to_owned(), Cow::from(write_lines(&self.events)));
        files.insert(PROOF.to_owned(), Cow::from(self.proof.as_bytes()));
        files.insert(CHECKPOINT.to_owned(), Cow::from(proof.checkpoint().to_string().into_bytes()));
        files.insert(SYSTEM.to_owned(), Cow::from(self.system.to_file()));
        let names = plan.names();
        let listed: Vec<Entry<'_>> =
            names.iter().filter_map(|name| files.get(name).map(|bytes| Entry { name, bytes })).collect();
        let manifest = manifest(plan.envelope, &listed);
        let mut entries = listed;
        entries.insert(1, Entry { name: MANIFEST, bytes: &manifest });
        archive::write(&entries).map_err(|_| PackageRefusal::TooLarge)
    }
}

/// What the events call for: which files there are, and what they are called.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) envelope: EnvelopeId,
    pub(crate) environment: Environment,
    pub(crate) documents: Vec<Document>,
    /// Consent texts by version, as often as they are named with their digests.
    pub(crate) consents: BTreeMap<String, Vec<Digest>>,
}

impl Plan {
    /// The plan of an envelope; `None` if the events do not begin with its creation.
    pub(crate) fn of<'a>(events: impl Iterator<Item = &'a Event>) -> Option<Self> {
        let mut events = events.peekable();
        let created = events.peek()?;
        let Body::Created { environment, documents, .. } = &created.body else { return None };
        let (envelope, environment, documents) = (created.envelope, *environment, documents.clone());
        let mut consents: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
        for event in events {
            if let Some(ConsentText { version, sha256 }) = consent_of(&event.body) {
                consents.entry(version.clone()).or_default().push(*sha256);
            }
        }
        Some(Self { envelope, environment, documents, consents })
    }

    /// The names of all files but the manifest, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec![README.to_owned()];
        names.extend(self.documents.iter().map(|document| original_name(document.id)));
        names.extend(self.documents.iter().map(|document| sealed_name(document.id)));
        names.extend([CERTIFICATE, EVENTS, PROOF, CHECKPOINT].map(str::to_owned));
        names.extend(self.consents.keys().map(|version| consent_name(version)));
        names.push(SYSTEM.to_owned());
        names
    }
}

fn consent_of(body: &Body) -> Option<&ConsentText> {
    match body {
        Body::DisclosureShown { text, .. } | Body::ConsentGiven { text, .. } => Some(text),
        Body::Signed(act) | Body::Approved(act) | Body::Read(act) => Some(&act.consent),
        _ => None,
    }
}

pub(crate) fn original_name(document: DocumentId) -> String {
    format!("originals/{document}.pdf")
}

pub(crate) fn sealed_name(document: DocumentId) -> String {
    format!("sealed/{document}.pdf")
}

pub(crate) fn consent_name(version: &str) -> String {
    format!("consent/{version}.txt")
}

/// Versions name files, so they are kept to what is a plain name everywhere.
pub(crate) fn is_file_name(version: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=60).contains(&version.len()) && version.bytes().all(plain) && !version.starts_with('.')
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    envelope: EnvelopeId,
    files: Vec<ManifestFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    name: String,
    sha256: Digest,
    size_bytes: u64,
}

/// `manifest.json` for all files but itself: canonical JSON and a line break.
fn manifest(envelope: EnvelopeId, files: &[Entry<'_>]) -> Vec<u8> {
    let files = files.iter().map(|file| ManifestFile {
        name: file.name.to_owned(),
        sha256: Digest::of(file.bytes),
        size_bytes: u64::try_from(file.bytes.len()).unwrap_or(u64::MAX),
    });
    let manifest = Manifest { format: FORMAT.to_owned(), envelope, files: files.collect() };
    let mut bytes = crate::json::canonical(&manifest);
    bytes.push(b'\n');
    bytes
}

/// Compares a manifest with the files; says what is first wrong. `files` are all but the manifest, in order.
pub(crate) fn check_manifest(bytes: &[u8], files: &[Entry<'_>]) -> Result<EnvelopeId, String> {
    let bytes = bytes.strip_suffix(b"\n").ok_or("manifest.json does not end in a line break")?;
    let manifest: Manifest =
        crate::json::read(bytes).map_err(|reason| format!("manifest.json cannot be read: {reason}"))?;
    if manifest.format != FORMAT {
        return Err(format!("the format is {}, not {FORMAT}", manifest.format));
    }
    if !manifest.files.iter().map(|listed| listed.name.as_str()).eq(files.iter().map(|file| file.name)) {
        return Err("manifest.json lists other files than the archive holds".to_owned());
    }
    for (listed, file) in manifest.files.iter().zip(files) {
        if u64::try_from(file.bytes.len()) != Ok(listed.size_bytes) || Digest::of(file.bytes) != listed.sha256
        {
            return Err(format!("{} is not the file that manifest.json names", file.name));
        }
    }
    Ok(manifest.envelope)
}
