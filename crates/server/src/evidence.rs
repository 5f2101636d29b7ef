//! The evidence package of a completed envelope: gathered from the store, written by the same code that verifies it.

use std::collections::BTreeMap;

use countersign_core::{
    access::Tenant,
    digest::Digest,
    envelope::{Body, State, state::Underway},
    id::EnvelopeId,
    refusal::{Code, Refusal},
};
use countersign_pdf::{inspect::Limits, verify::verify as verify_seal};
use countersign_verify::{ConsentFile, LoggedEvent, Package, PackageDocument, trail};

use crate::{
    app::App,
    documents,
    envelopes::{self, Placed},
    fault::{Failure, Fault},
    signer::consent::{self, ConsentVersion},
    vault::on_blocking_thread,
};

/// What came to its end in a completed envelope; else a refusal that says whether it is worth to ask again.
pub fn completed(state: &State) -> Result<&Underway, Refusal> {
    let ended = match state {
        State::Completed(underway, _) => return Ok(underway),
        State::Declined(..) => "declined",
        State::Voided(..) => "voided",
        State::Expired(_) => "expired",
        State::Absent | State::Draft(_) | State::Sent(_) | State::Sealing(..) => {
            let sentence = "the envelope is not sealed yet; ask again when its status is `completed`";
            return Err(Refusal::new(Code::WrongState, sentence));
        }
    };
    let sentence = format!(
        "the envelope is `{ended}` and stays so: nothing was sealed, and there is no evidence package. \
         `GET /v1/envelopes/{{envelope}}/events` tells what happened"
    );
    Err(Refusal::new(Code::WrongState, sentence))
}

/// The package of an envelope, with its file name.
pub async fn package(app: &App, tenant: &Tenant, envelope: EnvelopeId) -> Result<(String, Vec<u8>), Failure> {
    package_with(app, tenant, envelope, consent::EVER_SHOWN).await
}

/// The same, with the consent texts that were ever shown.
pub async fn package_with(
    app: &App,
    tenant: &Tenant,
    envelope: EnvelopeId,
    ever_shown: &[ConsentVersion],
) -> Result<(String, Vec<u8>), Failure> {
    let placed = envelopes::read_placed(app, tenant, envelope).await?;
    let underway = completed(&placed.opened.folded.state)?;
    let (events, proof) = logged(app, &placed).await?;
    let _permit = app.exports.acquire().await.map_err(|error| Fault::Task(error.to_string()))?;
    let mut files = Vec::new();
    for document in &underway.contents.documents {
        let original = documents::original(app, tenant, document.id).await?;
        let sealed = documents::artifact(app, tenant, envelope, Some(document.id)).await?;
        files.push(PackageDocument { id: document.id, original, sealed });
    }
    let certificate = documents::artifact(app, tenant, envelope, None).await?;
    let consents = consents(&events, ever_shown)?;
    let bytes = on_blocking_thread(move || {
        let broken = |reason: String| Fault::Sealed(format!("the certificate of completion ({reason})"));
        let verified = verify_seal(&certificate, &Limits::for_sealed())
            .map_err(|failure| broken(failure.to_string()))?;
        let attached = verified.attachments.iter().find(|file| file.file_name == trail::FILE_NAME);
        let attached = attached.ok_or_else(|| broken("it carries no trail".to_owned()))?;
        let system = trail::system_of(&attached.bytes).map_err(broken)?;
        let package = Package { documents: files, certificate, events, proof, consents, system };
        Ok::<_, Fault>(package.to_bytes()?)
    })
    .await??;
    Ok((countersign_verify::package::file_name(envelope), bytes))
}

/// The consent texts that the events name, as they were shown then.
fn consents(events: &[LoggedEvent], ever_shown: &[ConsentVersion]) -> Result<Vec<ConsentFile>, Fault> {
    let mut named: BTreeMap<&str, Digest> = BTreeMap::new();
    for logged in events {
        if let Body::DisclosureShown { text, .. } = &logged.recorded.event.body {
            named.insert(&text.version, text.sha256);
        }
    }
    let file = |(version, sha256): (&str, Digest)| {
        let shown = ever_shown.iter().find(|shown| shown.version == version);
        let shown = shown.filter(|shown| Digest::of(shown.text.as_bytes()) == sha256);
        let missing = || Fault::Missing(format!("the consent text {version} with the SHA-256 {sha256}"));
        let text = shown.ok_or_else(missing)?.text.to_owned();
        Ok(ConsentFile { version: version.to_owned(), text })
    };
    named.into_iter().map(file).collect()
}

/// The events that are in the log, at least up to the seal, and the proof of the last of them.
async fn logged(app: &App, placed: &Placed) -> Result<(Vec<LoggedEvent>, String), Failure> {
    let mut events: Vec<LoggedEvent> = Vec::new();
    let mut last = None;
    for (recorded, stored) in placed.events() {
        let Some(log_index) = stored.log_index else { break };
        events.push(LoggedEvent { recorded: recorded.clone(), leaf_id: stored.leaf_id, log_index });
        last = Some(stored);
    }
    let has_seal = events.iter().any(|logged| matches!(logged.recorded.event.body, Body::Sealed { .. }));
    let proof = match last.filter(|_| has_seal) {
        Some(last) => app.log.prove(last).await?,
        None => None,
    };
    let proof = proof.ok_or_else(|| {
        Refusal::new(Code::NotReady, "the seal is not in the log yet; ask again in a second")
    })?;
    Ok((events, proof.to_string()))
}
