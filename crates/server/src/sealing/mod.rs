//! The seal: what an envelope's recipients did is placed on its documents, told on certificate pages, attached as the
//! trail with its proof, and closed under one certifying signature per file. Pure work on bytes; the job around it
//! is `jobs/seal.rs`.

pub mod fits;
pub mod fonts;
pub mod stamps;
pub mod story;

use std::{borrow::Cow, collections::BTreeMap};

use countersign_core::{
    access::Environment,
    digest::Digest,
    envelope::{Recorded, state::Underway},
    id::{DocumentId, EnvelopeId},
    time::Time,
};
use countersign_pdf::{
    certify::{Certificate, CertificateFault, DrawnCertificate, LogStatement, SealStatement, standalone},
    font::{FontBook, FontFault, Missing},
    inspect::{Limits, Original, Refusal as PdfRefusal},
    objects::{NewObjects, ObjectId},
    place::{PlaceRefusal, place},
    seal::{Attachment, SealError, SealKey, SealRequest, SignerText, UtcTime, seal},
    verify::{SealFailure, verify_own},
};
use countersign_tlog::ProofFile;
use countersign_verify::{LoggedEvent, Subject, System, Trail, trail};
use der::Decode as _;
use thiserror::Error;
use x509_cert::Certificate as X509;

/// Everything that a seal is made of.
pub struct Sealing<'a> {
    /// Which envelope.
    pub envelope: EnvelopeId,
    /// What its recipients did.
    pub underway: &'a Underway,
    /// Its events up to and including `envelope.sealing`, with their openings.
    pub events: Vec<LoggedEvent>,
    /// The proof of the last of them.
    pub proof: &'a ProofFile,
    /// The originals, in the order of the envelope.
    pub originals: Vec<(DocumentId, Vec<u8>)>,
    /// The date that the seals bear.
    pub sealed_at: Time,
    /// The system that seals.
    pub system: System,
    /// Fonts.
    pub fonts: &'a FontBook,
    /// The key.
    pub key: &'a dyn SealKey,
}

/// A sealed file.
pub struct SealedFile {
    /// The document; `None` for the certificate of completion.
    pub document: Option<DocumentId>,
    /// The sealed PDF.
    pub bytes: Vec<u8>,
    /// Characters that no font had: they are drawn as their code points.
    pub missing: Missing,
}

/// Why a seal could not be made. The envelope stays in `sealing`, visibly, and the job tries again.
#[derive(Debug, Error)]
pub enum SealFault {
    /// An original that was accepted cannot be read any more.
    #[error("an original cannot be read: {0}")]
    Original(#[from] PdfRefusal),
    /// A value that was accepted cannot be placed.
    #[error("a value cannot be placed: {0}")]
    Place(#[from] PlaceRefusal),
    /// A font.
    #[error(transparent)]
    Font(#[from] FontFault),
    /// The certificate of completion.
    #[error("the certificate of completion cannot be drawn: {0}")]
    Certificate(#[from] CertificateFault),
    /// The signature.
    #[error("the signature cannot be made: {0}")]
    Seal(#[from] SealError),
    /// The checkpoint in the proof cannot be read.
    #[error("the checkpoint cannot be read")]
    Checkpoint,
    /// The seal's certificate cannot be read.
    #[error("the seal's certificate cannot be read")]
    SealCertificate,
    /// The envelope is bound to another certificate than the configured one.
    #[error(
        "the envelope is to be sealed with the certificate whose SHA-256 is {promised}, but the configured one is \
         {configured}: put the key and the certificate {promised} back until no envelope is in `sealing`"
    )]
    OtherCertificate {
        /// SHA-256 of the certificate that `envelope.sealing` names.
        promised: Digest,
        /// SHA-256 of the one that is configured.
        configured: Digest,
    },
    /// What was sealed does not hold.
    #[error("what was sealed does not verify ({code}): {0}", code = .0.code())]
    Unverified(#[from] SealFailure),
    /// What was sealed is not what was to be sealed.
    #[error("what was sealed is another document than the original")]
    Mixed,
}

/// The subject of a certificate, as RFC 4514 writes it.
pub fn subject(certificate_der: &[u8]) -> Result<String, SealFault> {
    let certificate = X509::from_der(certificate_der).map_err(|_| SealFault::SealCertificate)?;
    Ok(certificate.tbs_certificate().subject().to_string())
}

/// The system as trails and packages describe it.
pub fn system(issuer: &str, log_vkey: String, key: &dyn SealKey) -> Result<System, SealFault> {
    let leaf = key.certificate_chain().first().ok_or(SealFault::SealCertificate)?;
    let factors = [
        (
            "access_code",
            "A code that the sender gave when the envelope was made and told the recipient by another way, typed beside \
             the personal link; how it was told is the sender's word",
        ),
        (
            "email_code",
            "A one-time code of six digits, mailed to the recipient's address and typed into the same browser",
        ),
        ("link", "Having the personal link that was mailed to the recipient's address"),
        (
            "passkey",
            "A key pair made for this envelope after the personal link and a mailed code, opened by a finger, a face or a PIN; \
             it also signs what is acted on (WebAuthn). That it is this person's rests on the mailbox",
        ),
        (
            "totp",
            "A one-time code of six digits (RFC 6238) of the authenticator app with which the recipient, a member of the sender's \
             organization, signs in; typed beside the personal link, and good once",
        ),
    ];
    Ok(System {
        software: "Countersign".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        issuer: issuer.to_owned(),
        log_origin: log_vkey.split('+').next().unwrap_or_default().to_owned(),
        log_vkey,
        seal_key: subject(leaf)?,
        factors: BTreeMap::from(factors.map(|(name, meaning)| (name.to_owned(), meaning.to_owned()))),
    })
}

impl Sealing<'_> {
    /// Seals every document and the certificate of completion.
    pub fn seal_all(&self) -> Result<Vec<SealedFile>, SealFault> {
        let certificate = self.certificate()?;
        let drawn = DrawnCertificate::draw(&certificate, self.fonts);
        let mut files = Vec::with_capacity(self.originals.len() + 1);
        for (document, original) in &self.originals {
            let file = self.seal_document(*document, original, &drawn)?;
            self.check(&file.bytes, original)?;
            files.push(file);
        }
        let (pages, missing) = standalone(&certificate, &drawn)?;
        let original = Original::open(&pages, &Limits::default())?;
        let objects = NewObjects::new(original.first_free_object());
        let bytes = self.close(&original, objects, &[], &[], Subject::Certificate)?;
        self.check(&bytes, &pages)?;
        files.push(SealedFile { document: None, bytes, missing });
        Ok(files)
    }

    /// Reads a sealed file as a stranger would who has the seal's certificates, before any event says that it is sealed.
    fn check(&self, sealed: &[u8], original: &[u8]) -> Result<(), SealFault> {
        let verified = verify_own(sealed, &Limits::for_sealed(), self.key)?;
        if verified.original_size_bytes == original.len() as u64 { Ok(()) } else { Err(SealFault::Mixed) }
    }

    /// What the certificate of completion says.
    pub fn certificate(&self) -> Result<Certificate, SealFault> {
        let note = self.proof.checkpoint().text();
        let mut lines = note.lines();
        let mut line = || lines.next().ok_or(SealFault::Checkpoint);
        let (origin, size, root) = (line()?, line()?, line()?);
        let leaf = self.key.certificate_chain().first().ok_or(SealFault::SealCertificate)?;
        let circumstances = story::Circumstances {
            log: LogStatement {
                origin: origin.to_owned(),
                tree_size: size.parse().map_err(|_| SealFault::Checkpoint)?,
                root_hash: root.to_owned(),
            },
            seal: SealStatement {
                statement: "One certifying signature (PAdES B-B, ECDSA P-256) covers every byte of this file and forbids \
                            any later change."
                    .to_owned(),
                signer: subject(leaf)?,
                fingerprint: Digest::of(leaf).to_string(),
            },
        };
        Ok(story::certificate(self.underway, &self.envelope.to_string(), &self.recorded(), &circumstances))
    }

    fn recorded(&self) -> Vec<&Recorded> {
        self.events.iter().map(|logged| &logged.recorded).collect()
    }

    /// Seals one document: its stamps, the certificate's pages, the trail, the signature.
    pub fn seal_document(
        &self,
        document: DocumentId,
        bytes: &[u8],
        certificate: &DrawnCertificate<'_>,
    ) -> Result<SealedFile, SealFault> {
        let original = Original::open(bytes, &Limits::default())?;
        let mut objects = NewObjects::new(original.first_free_object());
        let mut appendix = certificate.append();
        let stamps = stamps::stamps(self.underway, self.envelope, &self.recorded(), document);
        let overlays = place(&stamps, &original.structure().pages, appendix.subsets(), &mut objects)?;
        let (pages, missing) = appendix.finish(&mut objects)?;
        let subject = Subject::Document {
            document,
            original_sha256: Digest::of(bytes),
            original_size_bytes: bytes.len() as u64,
        };
        let bytes = self.close(&original, objects, &overlays, &pages, subject)?;
        Ok(SealedFile { document: Some(document), bytes, missing })
    }

    fn reason(&self) -> String {
        let reason = format!("Seals what the recipients of {} signed", self.envelope);
        match self.underway.contents.environment {
            Environment::Live => reason,
            Environment::Sandbox => format!("{reason} (a sandbox test that binds nobody)"),
        }
    }

    fn close(
        &self,
        original: &Original<'_>,
        objects: NewObjects,
        overlays: &[countersign_pdf::place::PageOverlay],
        extra_pages: &[ObjectId],
        subject: Subject,
    ) -> Result<Vec<u8>, SealFault> {
        let signed_at = utc(self.sealed_at);
        let trail = Trail {
            subject,
            events: Cow::Borrowed(&self.events),
            proof: self.proof.to_string(),
            system: Cow::Borrowed(&self.system),
        };
        let attachment = Attachment {
            file_name: trail::FILE_NAME.to_owned(),
            mime_type: "application/json".to_owned(),
            description: "The audit trail of this envelope, with the proof that it is in the log".to_owned(),
            bytes: trail.to_bytes(),
            modified: signed_at,
        };
        let signer = SignerText {
            name: format!("{} through Countersign", self.underway.contents.organization_name),
            reason: self.reason(),
            location: String::new(),
        };
        let request = SealRequest {
            overlays,
            extra_pages,
            objects,
            attachments: &[attachment],
            signer: &signer,
            signed_at,
            certificate_chain: self.key.certificate_chain(),
        };
        Ok(seal(original, request, self.key)?)
    }
}

fn utc(at: Time) -> UtcTime {
    let calendar = at.calendar();
    let part = |value: i8| u8::try_from(value).unwrap_or(0);
    UtcTime {
        year: u16::try_from(calendar.year).unwrap_or(0),
        month: part(calendar.month),
        day: part(calendar.day),
        hour: part(calendar.hour),
        minute: part(calendar.minute),
        second: part(calendar.second),
    }
}
