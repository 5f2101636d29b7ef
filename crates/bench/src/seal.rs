//! Processor time of a seal: the very code that the server's job runs, on an envelope that two people signed through
//! the pages. Beside it the verification of the package and of the sealed file that came of it.

use std::{fs, path::Path, sync::Arc, time::Duration};

use countersign_core::{
    envelope::{Body, State, state::Underway},
    id::{DocumentId, EnvelopeId},
};
use countersign_pdf::{certify::DrawnCertificate, inspect::Limits, verify::verify};
use countersign_server::{
    demo::DemoFault,
    documents, envelopes,
    sealing::{SealFault, Sealing, system},
};
use countersign_tlog::{ProofFile, Verifier};
use countersign_verify::{LoggedEvent, Report, Verdict, verify_package, verify_sealed_pdf};
use serde_json::{Value, json};
use tokio::runtime;

use crate::{
    Failure, cpu,
    house::{Folder, House},
    lifecycle::{Links, Users},
};

/// What the server's job seals.
struct Signed {
    envelope: EnvelopeId,
    underway: Underway,
    events: Vec<LoggedEvent>,
    proof: ProofFile,
    original: (DocumentId, Vec<u8>),
    package: Vec<u8>,
}

/// Measures with `pdf`; leaves `trail.json`, `evidence.zip` and `log.vkey` in `out`.
pub(crate) fn measure(pdf: &Path, out: &Path, count: u32) -> Result<Value, Failure> {
    let pdf = fs::read(pdf)?;
    let folder = Folder::new()?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let house = runtime.block_on(House::open(folder.path()))?;
    let signed = runtime.block_on(signed(&house, pdf))?;
    let (sealed, seal_ms) = seal(&house, &signed, count)?;
    let vkey = house.app.log.verifier_key();
    runtime.block_on(house.close())?;

    let keys: Vec<Verifier> = vec![vkey.parse().map_err(|_| "the log's key cannot be read")?];
    genuine(&verify_sealed_pdf(&sealed, &keys))?;
    genuine(&verify_package(&signed.package, &keys))?;
    let package_ms = cpu::median_ms(count, || genuine(&verify_package(&signed.package, &keys)))?;
    let sealed_ms = cpu::median_ms(count, || genuine(&verify_sealed_pdf(&sealed, &keys)))?;
    let attached = verify(&sealed, &Limits::for_sealed())?.attachments;
    let trail = attached.first().ok_or("the sealed file has no attachment")?;
    fs::create_dir_all(out)?;
    fs::write(out.join("trail.json"), &trail.bytes)?;
    fs::write(out.join("evidence.zip"), &signed.package)?;
    fs::write(out.join("log.vkey"), format!("{vkey}\n"))?;
    Ok(json!({
        "seal_cpu_ms": seal_ms,
        "verify_package_cpu_ms": package_ms,
        "verify_sealed_cpu_ms": sealed_ms,
        "event_count": signed.events.len(),
        "original_bytes": signed.original.1.len(),
        "sealed_bytes": sealed.len(),
        "trail_bytes": trail.bytes.len(),
        "package_bytes": signed.package.len(),
    }))
}

fn genuine(report: &Report) -> Result<(), Failure> {
    if report.verdict() == Verdict::GenuineSandbox { Ok(()) } else { Err(report.to_text().into()) }
}

/// An envelope that went through its whole life, and what the job sealed it from.
async fn signed(house: &House, pdf: Vec<u8>) -> Result<Signed, Failure> {
    let links = Links::App(Arc::clone(&house.app), house.tenant);
    let users = Users::new(&house.app.config, &house.token, links)?;
    let envelope = users.live(b"seal", pdf).await?;
    let package = loop {
        match users.api.get(&format!("/v1/envelopes/{envelope}/evidence")).await {
            Ok(package) => break package,
            // The seal is not in the log yet.
            Err(DemoFault::Refused { status: 503, .. }) => {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            Err(fault) => return Err(fault.into()),
        }
    };
    let placed = envelopes::read_placed(&house.app, &house.tenant, envelope).await?;
    let State::Completed(underway, _) = &placed.opened.folded.state else {
        return Err("it is not completed".into());
    };
    let mut events = Vec::new();
    let mut last = None;
    for (recorded, stored) in placed.events() {
        let log_index = stored.log_index.ok_or("an event is not in the log")?;
        events.push(LoggedEvent { recorded: recorded.clone(), leaf_id: stored.leaf_id, log_index });
        last = Some(stored);
        if matches!(recorded.event.body, Body::SealingStarted { .. }) {
            break;
        }
    }
    let proof = house.app.log.prove(last.ok_or("there are no events")?).await?.ok_or("there is no proof")?;
    let document = underway.contents.documents.first().ok_or("there is no document")?.id;
    let original = (document, documents::original(&house.app, &house.tenant, document).await?);
    Ok(Signed { envelope, underway: underway.clone(), events, proof, original, package })
}

/// A sealed file, and the processor time of each in ms.
fn seal(house: &House, signed: &Signed, count: u32) -> Result<(Vec<u8>, f64), Failure> {
    let app = &house.app;
    let began = signed.events.last().ok_or("there are no events")?.recorded.event.at;
    let public_url = app.config.server.public_url.clone();
    let sealing = Sealing {
        envelope: signed.envelope,
        underway: &signed.underway,
        events: signed.events.clone(),
        proof: &signed.proof,
        originals: Vec::new(),
        sealed_at: began,
        system: system(&public_url, app.log.verifier_key(), &app.seal.key)?,
        fonts: &app.fonts,
        key: &app.seal.key,
    };
    let (document, original) = &signed.original;
    let one = || {
        let certificate = DrawnCertificate::draw(&sealing.certificate()?, sealing.fonts);
        Ok::<_, SealFault>(sealing.seal_document(*document, original, &certificate)?.bytes)
    };
    let sealed = one()?;
    let each_ms = cpu::median_ms(count, || Ok(one().map(|_| ())?))?;
    Ok((sealed, each_ms))
}
