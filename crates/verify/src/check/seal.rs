//! The seal of one PDF, read strictly, and the trail inside it.

use countersign_core::{
    digest::Digest,
    envelope::{Body, event::Document},
};
use countersign_pdf::{inspect::Limits, verify::verify};
use countersign_tlog::{Checkpoint, Verifier};

use super::{Checked, Checks, Finding, ensure, log, stream};
use crate::{
    line::LoggedEvent,
    report::Check,
    system::System,
    trail::{self, Encoded, Subject},
};

/// A PDF whose one seal is intact and covers all of it.
pub(super) struct Sealed {
    /// Length of what it was before the seal's update, in bytes.
    pub(super) original_size_bytes: u64,
    /// SHA-256 of that.
    pub(super) original_sha256: Digest,
    /// SHA-256 of the certificate that sealed (DER).
    pub(super) certificate_sha256: Digest,
    /// The trail as attached, if there is exactly one.
    attachment: Option<Vec<u8>>,
}

/// What the events and the package say about a sealed file.
pub(super) struct Expected<'a> {
    pub(super) events: &'a [LoggedEvent],
    /// The document; none for the certificate of completion.
    pub(super) document: Option<&'a Document>,
    pub(super) system: Option<&'a System>,
    pub(super) keys: &'a [Verifier],
}

/// Reads a sealed PDF; says what is wrong with its seal.
pub(super) fn read(pdf: &[u8]) -> Result<Sealed, String> {
    let verified = verify(pdf, &Limits::for_sealed())
        .map_err(|failure| format!("{} ({})", failure.sentence(), failure.code()))?;
    let original_sha256 = verified.original_sha256.parse().map_err(|_| "the original has no digest")?;
    let certificate = verified.certificate_chain.first().ok_or("the seal carries no certificate")?;
    let certificate_sha256 = Digest::of(certificate);
    let mut trails = verified.attachments.into_iter().filter(|file| file.file_name == trail::FILE_NAME);
    Ok(Sealed {
        original_size_bytes: verified.original_size_bytes,
        original_sha256,
        certificate_sha256,
        attachment: trails.next().filter(|_| trails.next().is_none()).map(|file| file.bytes),
    })
}

impl Sealed {
    /// The trail in its strict form.
    pub(super) fn trail(&self) -> Result<Encoded, String> {
        let attachment = self.attachment.as_ref().ok_or(format!("it does not carry one {}", trail::FILE_NAME))?;
        Encoded::read(attachment).map_err(|reason| format!("{} cannot be read: {reason}", trail::FILE_NAME))
    }

    /// That the certificate is the one that the events name.
    pub(super) fn certificate(&self, events: &[LoggedEvent]) -> Checked {
        ensure(
            stream::seal_certificate(events) == Some(self.certificate_sha256),
            format!("its SHA-256 is {}", self.certificate_sha256),
            format!("the seal was made with another certificate, whose SHA-256 is {}", self.certificate_sha256),
        )
    }

    /// That the PDF begins with the original (D-5).
    pub(super) fn prefix(&self, document: &Document) -> Checked {
        let (size, sha256) = (self.original_size_bytes, self.original_sha256);
        ensure(
            size == document.size_bytes && sha256 == document.sha256,
            format!("the first {size} bytes have the SHA-256 {sha256}"),
            format!("before the seal it had {size} bytes with the SHA-256 {sha256}, which is not the original"),
        )
    }
}

/// Checks a sealed PDF of a package; gives the checkpoint of its trail.
pub(super) fn check(
    checks: &mut Checks,
    file: &str,
    pdf: &[u8],
    expected: &Expected<'_>,
) -> Option<Checkpoint> {
    let file = Some(file);
    let sealed = match read(pdf) {
        Ok(sealed) => sealed,
        Err(reason) => {
            checks.record(Check::Seal, file, Err(Finding::Failed(reason)));
            return None;
        }
    };
    checks.record(Check::Seal, file, Ok("one certifying signature over the whole file".to_owned()));
    checks.record(Check::SealCertificate, file, sealed.certificate(expected.events));
    if let Some(document) = expected.document {
        checks.record(Check::Prefix, file, sealed.prefix(document));
    }
    let trail = match sealed.trail() {
        Ok(trail) => trail,
        Err(reason) => {
            checks.record(Check::Trail, file, Err(Finding::Failed(reason)));
            return None;
        }
    };
    checks.record(Check::Trail, file, Ok(format!("{} events", trail.events.len())));
    checks.record(Check::TrailSubject, file, subject(&trail, expected));
    checks.record(Check::TrailEvents, file, same_events(&trail, expected.events));
    let place = log::Place { inclusion: Check::TrailInclusion, checkpoint: Check::TrailCheckpoint, file };
    let upto = expected.events.get(..trail.events.len()).unwrap_or(expected.events);
    log::check(checks, &place, trail.proof.as_bytes(), upto, expected.keys)
}

fn subject(trail: &Encoded, expected: &Expected<'_>) -> Checked {
    let is_this_file = match (&trail.subject, expected.document) {
        (Subject::Certificate, None) => true,
        (Subject::Document { document, original_sha256, original_size_bytes }, Some(this)) => {
            *document == this.id && *original_sha256 == this.sha256 && *original_size_bytes == this.size_bytes
        }
        _ => false,
    };
    if !is_this_file {
        return Err(Finding::failed("the trail inside is that of another file"));
    }
    ensure(
        expected.system.is_none_or(|system| *system == trail.system),
        "this file, made by the system of this package",
        "the system description under the seal is not that of system.json",
    )
}

fn same_events(trail: &Encoded, events: &[LoggedEvent]) -> Checked {
    let is_sealing = |logged: &LoggedEvent| matches!(logged.recorded.event.body, Body::SealingStarted { .. });
    let upto = events.iter().position(is_sealing).map_or(0, |position| position + 1);
    if trail.events.len() != upto {
        return Err(Finding::Failed(format!(
            "the trail has {} events, the package {upto} up to the seal",
            trail.events.len()
        )));
    }
    for (line, logged) in trail.events.iter().zip(events) {
        let seq = logged.recorded.event.seq;
        let same = line.event_bytes() == logged.recorded.bytes
            && line.leaf_id() == Some(logged.leaf_id)
            && line.log_index == logged.log_index;
        if !same {
            return Err(Finding::Failed(format!("event {seq} of the trail is not that of the package")));
        }
        stream::open(&mut logged.recorded.event.clone(), &line.openings)?;
    }
    Ok(format!("{upto} events"))
}
