//! Seals an envelope: waits for the checkpoint that covers the last act, hashes the originals again (D-1), seals on a
//! blocking thread, verifies what was sealed, writes the blobs, and commits the event with the rows that name them.

use std::{sync::Arc, time::Duration};

use countersign_core::{
    digest::Digest,
    envelope::{Body, Command, State, event::SealedDocument},
    id::{DocumentId, EnvelopeId},
};
use countersign_store::{
    batch::Row,
    rows::{ArtifactRow, JobRow},
};
use countersign_tlog::ProofFile;
use countersign_verify::LoggedEvent;

use super::{Ended, finish, published};
use crate::{
    app::App,
    documents,
    envelopes::{self, Along, Asking, Opened, act_on},
    fault::{Failure, Fault},
    sealing::{SealFault, SealedFile, Sealing, system},
    vault::on_blocking_thread,
};

/// Wait when another server has to publish the checkpoint first.
const CHECKPOINT_WAIT_MS: i64 = 500;

pub(super) async fn run(app: &Arc<App>, job: &JobRow, envelope: EnvelopeId) -> Result<Ended, Failure> {
    let mut opened = envelopes::read(app, &job.tenant, envelope).await?;
    if !is_covered(&opened) {
        published(app, Duration::from_secs(2)).await;
        opened = envelopes::read(app, &job.tenant, envelope).await?;
    }
    if !matches!(opened.folded.state, State::Sealing(..)) {
        // Somebody sealed it before this lease: only the job is left to finish.
        return finish(app, job).await;
    }
    let Some((events, proof)) = covered(app, &opened).await? else {
        return Ok(Ended::Later(CHECKPOINT_WAIT_MS, "no checkpoint covers the last act yet"));
    };
    let _permit = app.seals.acquire().await.map_err(|error| Fault::Task(error.to_string()))?;
    let files = seal(app, job, &opened, events, proof).await?;
    let (rows, command) = keep(app, job, envelope, files.files, files.checkpoint_size).await?;
    let along = Along { rows, finishes: Some(job.clone()), ..Along::default() };
    act_on(app, &Asking::job(job), opened, command, along).await?;
    Ok(Ended::Done)
}

/// Position of the event that started the sealing.
fn sealing_position(opened: &Opened) -> Option<usize> {
    opened.events.iter().position(|recorded| matches!(recorded.event.body, Body::SealingStarted { .. }))
}

fn is_covered(opened: &Opened) -> bool {
    let stored = sealing_position(opened).and_then(|position| opened.stored.get(position));
    stored.is_some_and(|stored| stored.log_index.is_some())
}

/// The events up to the start of the sealing with their places in the log, and the proof of the last.
async fn covered(app: &App, opened: &Opened) -> Result<Option<(Vec<LoggedEvent>, ProofFile)>, Fault> {
    let Some(last) = sealing_position(opened).and_then(|position| opened.stored.get(position)) else {
        return Ok(None);
    };
    let Some(proof) = app.log.prove(last).await? else { return Ok(None) };
    let mut events = Vec::new();
    for (recorded, stored) in opened.events.iter().zip(&opened.stored) {
        let Some(log_index) = stored.log_index else { return Ok(None) };
        events.push(LoggedEvent { recorded: recorded.clone(), leaf_id: stored.leaf_id, log_index });
        if stored.seq == last.seq {
            break;
        }
    }
    Ok(Some((events, proof)))
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
    let (promised, configured) = (*promised, app.keys.seal_certificate_sha256);
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
            system: system(&public_url, app.log.verifier_key(), &app.keys.seal)?,
            fonts: &app.fonts,
            key: &app.keys.seal,
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
