//! Seals an envelope: waits for the checkpoint that covers the last act, hashes the originals again (D-1), seals on a
//! blocking thread, verifies what was sealed, writes the blobs, and commits the event with the rows that name them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use countersign_core::{
    digest::Digest,
    envelope::{Body, Command, Recorded, State, event::SealedDocument},
    id::{DocumentId, EnvelopeId},
};
use countersign_store::{
    batch::Row,
    rows::{ArtifactRow, JobRow, StoredEvent},
};
use countersign_tlog::ProofFile;
use countersign_verify::LoggedEvent;

use super::{Ended, finish, published};
use crate::{
    app::App,
    documents,
    envelopes::{self, Along, Asking, Opened, Placed, act_on},
    fault::{Failure, Fault},
    sealing::{SealFault, SealedFile, Sealing, system},
    vault::on_blocking_thread,
};

/// Wait when another server has to publish the checkpoint first.
const CHECKPOINT_WAIT_MS: i64 = 500;
/// How long a seal waits for its place. It holds up mails meanwhile, and its lease runs.
const PLACE_WAIT: Duration = Duration::from_secs(1);
/// How long before its end the certificate is spoken of.
const WARNED_BEFORE_S: i64 = 30 * 24 * 3_600;
/// When it asks for a place again.
const NEXT_PLACE_MS: i64 = 200;

pub(super) async fn run(app: &Arc<App>, job: &JobRow, envelope: EnvelopeId) -> Result<Ended, Failure> {
    let mut placed = envelopes::read_placed(app, &job.tenant, envelope).await?;
    if !is_covered(&placed) {
        published(app, Duration::from_secs(2)).await;
        placed = envelopes::read_placed(app, &job.tenant, envelope).await?;
    }
    if !matches!(placed.opened.folded.state, State::Sealing(..)) {
        // Somebody sealed it before this lease: only the job is left to finish.
        return finish(app, job).await;
    }
    let Some((events, proof)) = covered(app, &placed).await? else {
        return Ok(Ended::Later(CHECKPOINT_WAIT_MS, "no checkpoint covers the last act yet"));
    };
    let opened = placed.opened;
    let Ok(place) = tokio::time::timeout(PLACE_WAIT, app.seals.acquire()).await else {
        return Ok(Ended::Later(NEXT_PLACE_MS, "as many envelopes as may be are being sealed"));
    };
    let _place = place.map_err(|error| Fault::Task(error.to_string()))?;
    let files = seal(app, job, &opened, events, proof).await?;
    warn_of_end(app);
    let (rows, command) = keep(app, job, envelope, files.files, files.checkpoint_size).await?;
    let along = Along { rows, finishes: Some(job.clone()), ..Along::default() };
    act_on(app, &Asking::job(job), opened, command, along).await?;
    Ok(Ended::Done)
}

/// The event that started the sealing.
fn start(placed: &Placed) -> Option<&StoredEvent> {
    let is_start = |recorded: &Recorded| matches!(recorded.event.body, Body::SealingStarted { .. });
    placed.events().find(|(recorded, _)| is_start(recorded)).map(|(_, stored)| stored)
}

fn is_covered(placed: &Placed) -> bool {
    start(placed).is_some_and(|stored| stored.log_index.is_some())
}

/// The events up to the start of the sealing with their places in the log, and the proof of the last.
async fn covered(app: &App, placed: &Placed) -> Result<Option<(Vec<LoggedEvent>, ProofFile)>, Fault> {
    let Some(last) = start(placed) else { return Ok(None) };
    let Some(proof) = app.log.prove(last).await? else { return Ok(None) };
    let mut events = Vec::new();
    for (recorded, stored) in placed.events() {
        let Some(log_index) = stored.log_index else { return Ok(None) };
        events.push(LoggedEvent { recorded: recorded.clone(), leaf_id: stored.leaf_id, log_index });
        if stored.seq == last.seq {
            break;
        }
    }
    Ok(Some((events, proof)))
}

/// Says with each seal that the certificate ends soon, so that whoever looks at the log sees it in time.
fn warn_of_end(app: &App) {
    let ends_at = app.seal.ends_at();
    if ends_at <= app.now().plus_s(WARNED_BEFORE_S) {
        tracing::warn!(
            event_type = "seal",
            event_result = "certificate_ends",
            ends_at = %ends_at,
            "the certificate that seals ends soon: renew it, or nobody can act last on an envelope"
        );
    }
}

struct Sealed {
    files: Vec<SealedFile>,
    checkpoint_size: u64,
}

async fn seal(
    app: &Arc<App>,
    job: &JobRow,
    opened: &Opened,
    events: Vec<LoggedEvent>,
    proof: ProofFile,
) -> Result<Sealed, Failure> {
    let State::Sealing(underway, promised) = &opened.folded.state else {
        return Err(Fault::Missing("the envelope in sealing".to_owned()).into());
    };
    let (promised, configured) = (*promised, app.seal.certificate_sha256);
    if promised != configured {
        return Err(Fault::from(SealFault::OtherCertificate { promised, configured }).into());
    }
    let mut originals: Vec<(DocumentId, Vec<u8>)> = Vec::new();
    for document in &underway.contents.documents {
        let bytes = documents::original(app, &job.tenant, document.id).await?;
        originals.push((document.id, bytes));
    }
    let underway = underway.clone();
    let started = events.last().map_or_else(|| app.now(), |last| last.recorded.event.at);
    let (app, envelope) = (Arc::clone(app), opened.envelope);
    let sealed = on_blocking_thread(move || {
        let public_url = app.config.server.public_url.clone();
        let sealing = Sealing {
            envelope,
            underway: &underway,
            events,
            proof: &proof,
            originals,
            sealed_at: started,
            system: system(&public_url, app.log.verifier_key(), &app.seal.key)?,
            fonts: &app.fonts,
            key: &app.seal.key,
        };
        let files = sealing.seal_all()?;
        let size = proof.checkpoint().text().lines().nth(1).and_then(|size| size.parse().ok());
        let checkpoint_size = size.ok_or_else(|| Fault::Missing("the checkpoint's size".to_owned()))?;
        Ok::<_, Fault>(Sealed { files, checkpoint_size })
    })
    .await??;
    Ok(sealed)
}

/// Writes the blobs; the rows that name them, and the command that records them. A lease that is lost afterwards
/// leaves blobs that no row names; `doctor` lists them.
async fn keep(
    app: &App,
    job: &JobRow,
    envelope: EnvelopeId,
    files: Vec<SealedFile>,
    checkpoint_size: u64,
) -> Result<(Vec<Row>, Command), Fault> {
    let mut rows = Vec::new();
    let mut documents = Vec::new();
    let mut certificate = None;
    let missing: BTreeSet<char> = files.iter().flat_map(|file| &file.missing.characters).copied().collect();
    if !missing.is_empty() {
        // How many, not which: they are parts of names.
        tracing::warn!(
            event_type = "seal",
            event_result = "characters_without_font",
            envelope = %envelope,
            count = missing.len(),
            "characters that no font has are drawn as their code points: install fonts for them on every server"
        );
    }
    for file in files {
        let (sha256, size_bytes) = (Digest::of(&file.bytes), file.bytes.len() as u64);
        let name = file.document.map_or_else(|| "certificate".to_owned(), |document| document.to_string());
        let blob = format!("sealed/{envelope}/{name}.{}", hex::encode(app.draw::<8>()));
        let (kept, _) = app.keep(&job.tenant, blob, file.bytes).await?;
        match file.document {
            Some(document) => documents.push(SealedDocument { document, sha256, size_bytes }),
            None => certificate = Some((sha256, size_bytes)),
        }
        rows.push(Row::Artifact(ArtifactRow {
            tenant: job.tenant,
            envelope,
            document: file.document,
            sha256,
            size_bytes,
            blob: kept.blob,
            wrapped_key: kept.wrapped_key,
        }));
    }
    let (certificate_sha256, certificate_size_bytes) =
        certificate.ok_or_else(|| Fault::Missing("the certificate of completion".to_owned()))?;
    let command =
        Command::RecordSealed { documents, certificate_sha256, certificate_size_bytes, checkpoint_size };
    Ok((rows, command))
}
