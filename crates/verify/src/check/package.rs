//! A whole evidence package.

use countersign_core::{
    digest::Digest,
    envelope::{
        State,
        state::{Outcome, Underway},
    },
    limits,
};
use countersign_tlog::{Checkpoint, Verifier};

use super::{Checked, Checks, Finding, acts, ensure, log, replay, seal, stream};
use crate::{
    archive::{self, Entry},
    line::{Followed, read_lines},
    package::{self, Plan},
    readme,
    report::{Check, Report},
    system::System,
};

/// Checks an evidence package against `keys` that were learnt elsewhere. Without keys the report says so and is never
/// genuine.
pub fn verify_package(archive: &[u8], keys: &[Verifier]) -> Report {
    let mut checks = Checks::default();
    match archive::read(archive) {
        Err(refusal) => checks.record(Check::Archive, None, Err(Finding::Failed(refusal.to_string()))),
        Ok(entries) => {
            let whole = match archive::defect(archive, &entries) {
                None => Ok(format!("{} files", entries.len())),
                Some(defect) => Err(Finding::Failed(defect.to_string())),
            };
            checks.record(Check::Archive, None, whole);
            check(&mut checks, &entries, keys);
        }
    }
    checks.finish(Check::ALL)
}

fn find<'a>(entries: &[Entry<'a>], name: &str) -> Option<&'a [u8]> {
    entries.iter().find(|entry| entry.name == name).map(|entry| entry.bytes)
}

fn check(checks: &mut Checks, entries: &[Entry<'_>], keys: &[Verifier]) {
    let manifested = manifest(entries);
    let Some(events) = find(entries, package::EVENTS) else {
        checks.record(Check::Manifest, None, manifested.map(|envelope| format!("of {envelope}")));
        return checks.record(Check::Files, None, Err(Finding::failed("events.jsonl is missing")));
    };
    let lines = match events.len() {
        0..=limits::TRAIL_BYTES => read_lines(events),
        _ => Err(format!("events.jsonl is larger than {} bytes", limits::TRAIL_BYTES)),
    };
    let Some(events) = stream::follow(checks, lines) else {
        return checks.record(Check::Manifest, None, manifested.map(|envelope| format!("of {envelope}")));
    };
    let Some(plan) = Plan::of(events.iter().map(|logged| &logged.recorded.event)) else {
        let sentence =
            "the events do not begin with envelope.created, so nothing says which files belong here";
        return checks.record(Check::Files, None, Err(Finding::failed(sentence)));
    };
    checks.tell(&events);
    let same = manifested.and_then(|envelope| {
        ensure(envelope == plan.envelope.to_string(), format!("of {envelope}"), "it names another envelope")
    });
    checks.record(Check::Manifest, None, same);
    checks.record(Check::Files, None, files(entries, &plan));
    checks.record(Check::Acts, None, acts::check(&events));
    checks.record(Check::Legal, None, replay::check(&events));
    check_around(checks, entries, &plan, &events, keys);
}

/// What stands around the events: log, documents, texts.
fn check_around(
    checks: &mut Checks,
    entries: &[Entry<'_>],
    plan: &Plan,
    events: &[Followed],
    keys: &[Verifier],
) {
    let mut checkpoint = None;
    if let Some(proof) = find(entries, package::PROOF) {
        let place = log::Place { inclusion: Check::Inclusion, checkpoint: Check::Checkpoint, file: None };
        checkpoint = log::check(checks, &place, proof, events, keys);
        checks.record(Check::Checkpoint, Some(package::CHECKPOINT), same_checkpoint(entries, proof));
    }
    let system = find(entries, package::SYSTEM).map(System::from_file);
    if let Some(system) = &system {
        checks.record(Check::System, None, check_system(system.as_ref(), checkpoint.as_ref()));
    }
    for version in plan.consents.keys() {
        let name = package::consent_name(version);
        checks.record(Check::Consent, Some(&name), consent(entries, plan, version));
    }
    if plan.consents.is_empty() {
        checks.record(Check::Consent, None, Ok("nobody was asked to consent".to_owned()));
    }
    if let Some(readme) = find(entries, package::README) {
        let same = readme == readme::of(plan).as_bytes();
        checks.record(Check::Readme, None, ensure(same, "as it should be", "README.txt was changed"));
    }
    for document in &plan.documents {
        let name = package::original_name(document.id);
        if let Some(original) = find(entries, &name) {
            let same = u64::try_from(original.len()) == Ok(document.size_bytes)
                && Digest::of(original) == document.sha256;
            let sentence = format!("its SHA-256 is {}", document.sha256);
            let checked = ensure(same, sentence, "its SHA-256 or size is not that of envelope.created");
            checks.record(Check::Original, Some(&name), checked);
        }
    }
    let state = stream::fold(events);
    let State::Completed(underway, outcome) = &state else {
        let sentence = format!("the envelope is {}, not completed", state.status_text());
        return checks.record(Check::Ended, None, Err(Finding::Failed(sentence)));
    };
    checks.record(Check::Ended, None, Ok(format!("completed at {}", outcome.sealed_at.in_utc())));
    let system = system.and_then(Result::ok);
    let around = Around { entries, underway, outcome, events, system: system.as_ref(), keys, checkpoint };
    around.check(checks);
}

/// The sealed files of a completed envelope.
struct Around<'a> {
    entries: &'a [Entry<'a>],
    underway: &'a Underway,
    outcome: &'a Outcome,
    events: &'a [Followed],
    system: Option<&'a System>,
    keys: &'a [Verifier],
    checkpoint: Option<Checkpoint>,
}

impl Around<'_> {
    fn check(&self, checks: &mut Checks) {
        for document in &self.underway.contents.documents {
            let sealed = self.outcome.documents.iter().find(|sealed| sealed.document == document.id);
            let expected = sealed.map(|sealed| (sealed.sha256, sealed.size_bytes));
            self.check_file(checks, &package::sealed_name(document.id), expected, Some(document));
        }
        let certificate = (self.outcome.certificate_sha256, self.outcome.certificate_size_bytes);
        self.check_file(checks, package::CERTIFICATE, Some(certificate), None);
    }

    fn check_file(
        &self,
        checks: &mut Checks,
        name: &str,
        recorded: Option<(Digest, u64)>,
        document: Option<&countersign_core::envelope::event::Document>,
    ) {
        let Some(pdf) = find(self.entries, name) else { return };
        let (sha256, size) = (Digest::of(pdf), u64::try_from(pdf.len()).unwrap_or(u64::MAX));
        let checked = ensure(
            recorded == Some((sha256, size)),
            format!("its SHA-256 is {sha256}"),
            "its SHA-256 or size is not that of envelope.sealed",
        );
        checks.record(Check::SealedFile, Some(name), checked);
        let expected = seal::Expected { events: self.events, document, system: self.system, keys: self.keys };
        let sealing = seal::check(checks, name, pdf, &expected);
        if let (Some(sealing), Some(export)) = (sealing, &self.checkpoint) {
            checks.record(Check::Growth, Some(name), self.growth(&sealing, export));
        }
    }

    /// Both checkpoints are of one log, and it did not shrink. That the later one contains the earlier is for a
    /// consistency proof of the public log to show.
    fn growth(&self, sealing: &Checkpoint, export: &Checkpoint) -> Checked {
        use countersign_core::envelope::Body;
        let named = self.events.iter().find_map(|logged| match &logged.recorded.event.body {
            Body::Sealed { checkpoint_size, .. } => Some(*checkpoint_size),
            _ => None,
        });
        if named != Some(sealing.size()) {
            return Err(Finding::failed(
                "the trail's checkpoint is not of the size that envelope.sealed names",
            ));
        }
        let same_tree = sealing.size() < export.size() || sealing.root() == export.root();
        ensure(
            sealing.origin() == export.origin() && sealing.size() <= export.size() && same_tree,
            format!("from {} leaves at sealing to {} at export", sealing.size(), export.size()),
            "the checkpoint under the seal is of another log, or of a later one than the package's",
        )
    }
}

fn manifest(entries: &[Entry<'_>]) -> Checked {
    let bytes =
        find(entries, package::MANIFEST).ok_or_else(|| Finding::failed("manifest.json is missing"))?;
    let others: Vec<Entry<'_>> =
        entries.iter().filter(|entry| entry.name != package::MANIFEST).copied().collect();
    Ok(package::check_manifest(bytes, &others)?.to_string())
}

fn files(entries: &[Entry<'_>], plan: &Plan) -> Checked {
    if let Some(version) = plan.consents.keys().find(|version| !package::is_file_name(version)) {
        return Err(Finding::Failed(format!("the consent version {version:?} cannot name a file")));
    }
    let mut expected = plan.names();
    expected.insert(1, package::MANIFEST.to_owned());
    if let Some(missing) = expected.iter().find(|name| find(entries, name).is_none()) {
        return Err(Finding::Failed(format!("{missing} is missing")));
    }
    if let Some(extra) = entries.iter().find(|entry| !expected.iter().any(|name| name == entry.name)) {
        return Err(Finding::Failed(format!("{} does not belong here", extra.name)));
    }
    ensure(
        expected.iter().eq(entries.iter().map(|entry| entry.name)),
        format!("{} files", entries.len()),
        "a file is there twice, or the files are not in the order of the format",
    )
}

fn same_checkpoint(entries: &[Entry<'_>], proof: &[u8]) -> Checked {
    let Some(checkpoint) = find(entries, package::CHECKPOINT) else {
        return Err(Finding::NotChecked("log/checkpoint is missing".to_owned()));
    };
    // The proof file ends in its checkpoint, after an empty line (C2SP tlog-proof §Format).
    let same = proof.strip_suffix(checkpoint).is_some_and(|proof| proof.ends_with(b"\n\n"));
    ensure(same, "the proof leads to log/checkpoint", "log/checkpoint is not the one that the proof leads to")
}

fn check_system(system: Result<&System, &String>, checkpoint: Option<&Checkpoint>) -> Checked {
    let system = system.map_err(|reason| format!("system.json cannot be read: {reason}"))?;
    let Some(checkpoint) = checkpoint else {
        return Err(Finding::NotChecked("there is no readable checkpoint to compare it with".to_owned()));
    };
    let key = system.log_vkey.parse::<Verifier>().map_err(|refusal| format!("log_vkey: {refusal}"))?;
    ensure(
        system.log_origin == checkpoint.origin() && key.name() == checkpoint.origin(),
        format!("{} {} at {}", system.software, system.version, system.issuer),
        "it names another log than the checkpoint",
    )
}

fn consent(entries: &[Entry<'_>], plan: &Plan, version: &str) -> Checked {
    let digests = plan.consents.get(version).map(Vec::as_slice).unwrap_or_default();
    let text = find(entries, &package::consent_name(version))
        .ok_or_else(|| Finding::NotChecked("the text is missing".to_owned()))?;
    let digest = Digest::of(text);
    ensure(
        digests.iter().all(|named| *named == digest),
        format!("its SHA-256 is {digest}"),
        format!("the text has the SHA-256 {digest}, which is not the one that was shown or agreed to"),
    )
}
