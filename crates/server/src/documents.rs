//! Documents: an upload is inspected, encrypted, kept and hashed again whenever it is read (D-1).

use axum::body::Bytes;
use countersign_core::{
    access::Tenant,
    digest::Digest,
    envelope::{command::UploadedDocument, fields::check_line},
    id::{DocumentId, EnvelopeId, PersonId},
    refusal::{Code, Refusal},
    secret::Personal,
};
use countersign_pdf::{
    geometry::PageGeometry,
    inspect::{Inspection, Limits, inspect},
};
use countersign_store::{Batch, CommitError, batch::Row, rows::DocumentRow, rows::IdempotencyClaim};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    app::App,
    envelopes::{Answer, finished},
    fault::{Failure, Fault},
    keys::Binding,
    vault::{Kept, on_blocking_thread},
};

/// What is known about a document, kept encrypted under its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    name: String,
    page_sizes_cpt: Vec<(u32, u32)>,
    report: serde_json::Value,
}

/// A document as it is read.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its row.
    pub row: DocumentRow,
    /// Its name.
    pub name: Personal<String>,
    /// Width and height of each displayed page, in 1/100 pt.
    pub page_sizes_cpt: Vec<(u32, u32)>,
    /// What the inspection found: form fields, notices, make.
    pub report: serde_json::Value,
}

impl Document {
    /// As an envelope takes it.
    pub fn for_envelope(&self) -> UploadedDocument {
        UploadedDocument {
            id: self.row.document,
            name: self.name.clone(),
            sha256: self.row.sha256,
            size_bytes: self.row.size_bytes,
            page_sizes_cpt: self.page_sizes_cpt.clone(),
        }
    }
}

/// An upload.
pub struct Upload {
    /// Its tenant.
    pub tenant: Tenant,
    /// Under whose key its name goes.
    pub person: PersonId,
    /// Its name.
    pub name: Personal<String>,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Inspects and hashes a PDF within the product's bounds, on a thread of its own and a few at a time.
async fn inspected(app: &App, bytes: Bytes) -> Result<(Digest, Inspection), Failure> {
    let turn = app.turn(&app.inspections, 1).await?;
    let (sha256, inspection) = on_blocking_thread(move || {
        // The request may be over before this is.
        let _turn = turn;
        (Digest::of(&bytes), inspect(&bytes, &Limits::default()))
    })
    .await?;
    match inspection {
        Ok(inspection) => Ok((sha256, inspection)),
        Err(refusal) => Err(Failure::PdfRefused { reason: refusal.code(), sentence: refusal.sentence() }),
    }
}

/// Hundredths of a point, rounded; sizes are bounded by the inspection.
fn cpt(points: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range first")]
    let hundredths = (points * 100.0).round().clamp(0.0, f64::from(u32::MAX)) as u32;
    hundredths
}

fn inspection_binding(document: DocumentId) -> Binding {
    Binding::new("inspection", &[document.as_bytes()])
}

/// Takes an upload in, and answers its idempotency claim in the same transaction.
pub async fn upload(
    app: &App,
    upload: Upload,
    claim: &IdempotencyClaim,
    answer: &(dyn Fn(&Document) -> Answer + Send + Sync),
) -> Result<Answer, Failure> {
    check_line("/name", upload.name.disclose())?;
    let bytes = upload.bytes;
    let (sha256, inspection) = inspected(app, bytes.clone()).await?;
    let tenant = upload.tenant;
    let document = DocumentId::new(app.now(), app.draw());
    let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let page_sizes_cpt: Vec<(u32, u32)> = inspection
        .structure
        .pages
        .iter()
        .map(PageGeometry::displayed_size)
        .map(|(width, height)| (cpt(width), cpt(height)))
        .collect();
    let report = serde_json::to_value(&inspection).map_err(|error| Fault::Task(error.to_string()))?;
    let known = Known { name: upload.name.disclose().clone(), page_sizes_cpt, report };
    let json = serde_json::to_vec(&known).map_err(|error| Fault::Task(error.to_string()))?;
    let (kept, key) = app.keep(&tenant, format!("{document}.original"), bytes).await?;
    let row = DocumentRow {
        tenant,
        document,
        sha256,
        size_bytes,
        blob: kept.blob,
        wrapped_key: kept.wrapped_key,
        inspection: key.seal(&*app.random, &inspection_binding(document), &json)?,
        person: upload.person,
        created_at: app.now(),
    };
    let made = Document {
        row: row.clone(),
        name: upload.name,
        page_sizes_cpt: known.page_sizes_cpt,
        report: known.report,
    };
    let answer = answer(&made);
    let organization = app.organization(tenant.organization()).await?;
    let answers = Some(finished(app, &organization, claim, &answer)?);
    match app.store.commit(Batch { rows: vec![Row::Document(row)], answers, ..Batch::default() }).await {
        Ok(_) => Ok(answer),
        Err(CommitError::ClaimLost) => Err(Refusal::new(
            Code::IdempotencyInFlight,
            "another request with this Idempotency-Key took over; ask again for its answer",
        )
        .into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

/// A document; `not_found` if the tenant has none of that id.
pub async fn read(app: &App, tenant: &Tenant, document: DocumentId) -> Result<Document, Failure> {
    let row = app.store.document(tenant, document).await?.ok_or_else(Refusal::not_found)?;
    let key = app.key_of(tenant, &kept(&row)).await?;
    let plain = key.open(&inspection_binding(document), &row.inspection)?;
    let known: Known = serde_json::from_slice(&plain)
        .map_err(|error| Fault::Missing(format!("the inspection of {document} ({error})")))?;
    Ok(Document {
        row,
        name: Personal::new(known.name),
        page_sizes_cpt: known.page_sizes_cpt,
        report: known.report,
    })
}

fn kept(row: &DocumentRow) -> Kept {
    Kept { blob: row.blob.clone(), wrapped_key: row.wrapped_key.clone() }
}

/// A document's bytes, with the SHA-256 that they have now (D-1).
pub async fn original_as_found(
    app: &App,
    tenant: &Tenant,
    document: DocumentId,
) -> Result<(Vec<u8>, Digest), Failure> {
    let row = app.store.document(tenant, document).await?.ok_or_else(Refusal::not_found)?;
    Ok(app.fetch_as_found(tenant, &kept(&row)).await?)
}

/// A document's bytes, if they are still those that were uploaded (D-1).
pub async fn original(app: &App, tenant: &Tenant, document: DocumentId) -> Result<Vec<u8>, Failure> {
    let row = app.store.document(tenant, document).await?.ok_or_else(Refusal::not_found)?;
    Ok(app.fetch(tenant, &kept(&row), row.sha256).await?)
}

/// A sealed document of an envelope, or its certificate of completion, hashed again (D-1); `not_found` until it is
/// sealed.
pub async fn artifact(
    app: &App,
    tenant: &Tenant,
    envelope: EnvelopeId,
    document: Option<DocumentId>,
) -> Result<Vec<u8>, Failure> {
    let rows = app.store.artifacts(tenant, envelope).await?;
    let row = rows.into_iter().find(|row| row.document == document).ok_or_else(Refusal::not_found)?;
    let kept = Kept { blob: row.blob, wrapped_key: row.wrapped_key };
    Ok(app.fetch(tenant, &kept, row.sha256).await?)
}

/// What `countersign inspect` prints about a file that cannot be read.
pub fn unreadable(file: &std::path::Path, error: &std::io::Error) -> Result<String, Fault> {
    let (file, sentence) = (file.display().to_string(), format!("the file cannot be read: {error}"));
    let value = json!({ "file": file, "accepted": false, "code": "unreadable", "sentence": sentence });
    serde_json::to_string(&value).map_err(|error| Fault::Task(error.to_string()))
}

/// What `countersign inspect` prints about one file, as one line of JSON, and whether the file would be accepted.
pub fn report(file: &std::path::Path, bytes: &[u8]) -> Result<(String, bool), Fault> {
    let file = file.display().to_string();
    let (value, is_accepted) = match inspect(bytes, &Limits::default()) {
        Ok(inspection) => (json!({ "file": file, "accepted": true, "inspection": inspection }), true),
        Err(refusal) => {
            let (code, sentence) = (refusal.code(), refusal.sentence());
            (json!({ "file": file, "accepted": false, "code": code, "sentence": sentence }), false)
        }
    };
    let text = serde_json::to_string(&value).map_err(|error| Fault::Task(error.to_string()))?;
    Ok((text, is_accepted))
}
