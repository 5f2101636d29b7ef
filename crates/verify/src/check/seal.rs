//! The seal of one PDF, read strictly, and the trail inside it.

use countersign_core::{
    digest::Digest,
    envelope::{Body, event::Document},
    time::Time,
};
use countersign_pdf::{
    inspect::Limits,
    verify::{check_signer, verify},
};
use countersign_tlog::{Checkpoint, Verifier};

use super::{Checked, Checks, Finding, ensure, log, stream};
use crate::{
    line::Followed,
    report::Check,
    system::System,
    trail::{self, Encoded, Subject},
};

/// A PDF whose one seal is intact and covers all of it.
pub(super) struct Sealed {
    /// Length of what it was before the seal's update, in bytes.
    original_size_bytes: u64,
    /// SHA-256 of that.
    original_sha256: Digest,
    /// Pages of what it was before.
    original_page_count: u32,
    /// When it was sealed, as the signature states: seconds since 1970, if it is a date in UTC.
    signed_at_unix_s: Option<u64>,
    /// The certificate that sealed (DER).
    certificate: Vec<u8>,
    /// The trail as attached, if there is exactly one.
    attachment: Option<Vec<u8>>,
}

/// What the events and the package say about a sealed file.
pub(super) struct Expected<'a> {
    pub(super) events: &'a [Followed],
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
    let certificate =
        verified.certificate_chain.into_iter().next().ok_or("the seal carries no certificate")?;
    let mut trails = verified.attachments.into_iter().filter(|file| file.file_name == trail::FILE_NAME);
    Ok(Sealed {
        original_size_bytes: verified.original_size_bytes,
        original_sha256,
        original_page_count: verified.original_page_count,
        signed_at_unix_s: verified.signed_at_unix_s,
        certificate,
        attachment: trails.next().filter(|_| trails.next().is_none()).map(|file| file.bytes),
    })
}

impl Sealed {
    /// The trail in its strict form.
    pub(super) fn trail(&self) -> Result<Encoded, String> {
        let attachment =
            self.attachment.as_ref().ok_or(format!("it does not carry one {}", trail::FILE_NAME))?;
        Encoded::read(attachment).map_err(|reason| format!("{} cannot be read: {reason}", trail::FILE_NAME))
    }

    /// That the certificate is the one that the events name, and could seal when the sealing began.
    pub(super) fn certificate(&self, events: &[Followed]) -> Checked {
        let found = Digest::of(&self.certificate);
        let (named, at) = stream::sealing(events).ok_or_else(|| Finding::failed("no event names one"))?;
        if named != found {
            let sentence = format!("the seal was made with another certificate, whose SHA-256 is {found}");
            return Err(Finding::Failed(sentence));
        }
        check_signer(&self.certificate, unix_s(at))
            .map_err(|failure| format!("{} ({})", failure.sentence(), failure.code()))?;
        Ok(format!("its SHA-256 is {found}; it was valid and could seal documents at {}", at.in_utc()))
    }

    /// That the seal bears the time at which the sealing began.
    pub(super) fn time(&self, events: &[Followed]) -> Checked {
        let (_, at) = stream::sealing(events).ok_or_else(|| Finding::failed("no event began to seal"))?;
        ensure(
            self.signed_at_unix_s == Some(unix_s(at)),
            at.in_utc(),
            format!("the seal bears another time than that of envelope.sealing, {}", at.in_utc()),
        )
    }

    /// That the PDF begins with the original (D-5).
    pub(super) fn prefix(&self, document: &Document) -> Checked {
        let (size, sha256) = (self.original_size_bytes, self.original_sha256);
        let (pages, said) = (self.original_page_count, document.page_count);
        if pages != said {
            let sentence = format!("the original has {pages} pages, envelope.created says {said}");
            return Err(Finding::Failed(sentence));
        }
        ensure(
            size == document.size_bytes && sha256 == document.sha256,
            format!("the first {size} bytes have the SHA-256 {sha256}"),
            format!(
                "before the seal it had {size} bytes with the SHA-256 {sha256}, which is not the original"
            ),
        )
    }
}

/// Seconds since 1970, as a seal states its time.
fn unix_s(at: Time) -> u64 {
    u64::try_from(at.unix_ms() / 1_000).unwrap_or_default()
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
    checks.record(Check::SealTime, file, sealed.time(expected.events));
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

fn same_events(trail: &Encoded, events: &[Followed]) -> Checked {
    let is_sealing = |logged: &Followed| matches!(logged.recorded.event.body, Body::SealingStarted { .. });
    let upto = events.iter().position(is_sealing).map_or(0, |position| position + 1);
    if trail.events.len() != upto {
        return Err(Finding::Failed(format!(
            "the trail has {} events, the package {upto} up to the seal",
            trail.events.len()
        )));
    }
    for (line, logged) in trail.events.iter().zip(events) {
        let seq = logged.recorded.event.seq;
        let same = line.event_bytes() == logged.recorded.bytes && line.leaf() == Ok(logged.leaf);
        if !same {
            return Err(Finding::Failed(format!("event {seq} of the trail is not that of the package")));
        }
        stream::open(&mut logged.recorded.event.clone(), &line.openings)?;
    }
    Ok(format!("{upto} events"))
}
