//! The reader, the review, and the act. The page's script shows the documents; what it hands in at the end is decided
//! by the envelope's rules, against the bytes as they are stored now (D-1, E-7).

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    digest::Digest,
    envelope::{
        Body, Command, Veiled,
        command::{ActorNow, Submission},
        event::{AdoptionMethod, Factor, Field, Role, ShownDocument},
        fields,
        passkey::{Assertion, Bytes},
    },
    id::{DocumentId, EnvelopeId, FieldId, SessionId},
    limits,
    refusal::{Code, Refusal},
    secret::Personal,
};
use serde::{Deserialize, Serialize};

use super::{
    answer::{Unshown, elsewhere, enter, page},
    assets::Assets,
    ceremony::Ceremony,
    code::Plain,
    consent,
    filled::ByOthers,
    frame::Frame,
    passkey::{ForAct, refuse_copy},
    step::Step,
    strict::{self, Caller, Id},
};
use crate::{
    app::App,
    documents,
    envelopes::act_salts,
    fault::{Failure, Fault},
    http::problem::Problem,
    sealing::fits::check_submission,
};

/// The page.
#[derive(Template)]
#[template(path = "signer/sign.html")]
struct SignPage {
    assets: Assets,
    frame: Frame,
    ceremony: String,
    label: String,
    has_passkey: bool,
    consent_version: String,
    signs: bool,
}

/// What the scripts need; `ceremony.js` describes it.
#[derive(Serialize)]
struct ForScripts<'a> {
    base: String,
    session: SessionId,
    nonce: Digest,
    role: Role,
    recipient_id: String,
    recipient: &'a str,
    initials: String,
    email: &'a str,
    consent_sha256: Digest,
    passkey: Option<ForAct<'a>>,
    pdfjs: String,
    documents: Vec<DocumentForScripts<'a>>,
    fields: Vec<&'a Field>,
    /// What others have filled in by now.
    #[serde(flatten)]
    by_others: ByOthers<'a>,
}

#[derive(Serialize)]
struct DocumentForScripts<'a> {
    id: DocumentId,
    name: &'a str,
    sha256: Digest,
    page_count: u32,
}

/// `GET /s/{envelope}/sign`
pub async fn show(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
) -> Result<Response, Unshown> {
    let ceremony = enter(&app, &caller, envelope).await?;
    if ceremony.step != Step::Sign {
        return Ok(elsewhere(&ceremony));
    }
    let recipient = ceremony.recipient()?;
    let template = SignPage {
        assets: Assets,
        frame: ceremony.frame()?,
        ceremony: for_scripts(&app, &ceremony)?,
        label: fields::button_label(recipient.role, &ceremony.title()),
        has_passkey: recipient.factor == Factor::Passkey,
        consent_version: consent::VERSION.to_owned(),
        signs: recipient.role == Role::Signer,
    };
    Ok(page(&template, StatusCode::OK)?)
}

fn for_scripts(app: &App, ceremony: &Ceremony) -> Result<String, Fault> {
    let (contents, recipient) = (ceremony.contents()?, ceremony.recipient()?);
    let underway = ceremony.opened.folded.state.underway();
    let by_others = underway.map(|underway| ByOthers::new(underway, &ceremony.opened.events, recipient.id));
    let name = told(&recipient.name);
    let documents = contents.documents.iter().map(|document| DocumentForScripts {
        id: document.id,
        name: told(&document.name),
        sha256: document.sha256,
        page_count: document.page_count,
    });
    let all = ForScripts {
        base: ceremony.base(),
        session: ceremony.session.session,
        nonce: ceremony.session.nonce,
        role: recipient.role,
        recipient_id: recipient.id.to_string(),
        recipient: name,
        initials: fields::initials(name),
        email: told(&recipient.email),
        consent_sha256: consent::sha256(),
        passkey: ForAct::of(app, ceremony)?,
        pdfjs: Assets.pdfjs(),
        documents: documents.collect(),
        fields: contents.fields_of(recipient.id).collect(),
        by_others: by_others.unwrap_or_default(),
    };
    serde_json::to_string(&all).map_err(|error| Fault::Task(format!("the ceremony as JSON: {error}")))
}

/// A personal value, for the person it is meant for; empty once it was erased.
fn told(veiled: &Veiled) -> &str {
    veiled.value().map(|value| value.disclose().as_str()).unwrap_or_default()
}

/// `POST /s/{envelope}/documents/{document}`: the bytes for the reader, which is an act that the record shows.
pub async fn document(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    Id(document): Id<DocumentId>,
    caller: Caller,
    strict::Json(asked): strict::Json<Plain>,
) -> Result<Response, Problem> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, asked.session).await?;
    if ceremony.contents()?.document(document).is_none() {
        return Err(Refusal::not_found().into());
    }
    let bytes = open(&app, &mut ceremony, document).await?;
    let headers = [(header::CONTENT_TYPE, "application/pdf")];
    Ok((headers, bytes).into_response())
}

/// Reads a document and has the envelope judge the digest that its bytes have now (D-1).
async fn open(app: &App, ceremony: &mut Ceremony, document: DocumentId) -> Result<Vec<u8>, Failure> {
    let (bytes, sha256) = documents::original_as_found(app, &ceremony.asking.tenant, document).await?;
    let (recipient, session) = (ceremony.session.recipient, ceremony.session.session);
    let judged = ceremony.act(app, Command::OpenDocument { recipient, session, document, sha256 }).await;
    let is_changed = match &judged {
        Ok(events) => events.iter().any(|event| matches!(event.body, Body::DocumentMismatched { .. })),
        // The same, where enough of it is recorded.
        Err(Failure::Refused(refusal)) => refusal.code == Code::DocumentChanged,
        Err(_) => false,
    };
    if is_changed {
        tracing::error!(
            event_type = "document",
            event_result = "changed",
            "a document is not the one that was sent"
        );
        let sentence = "a document is not the one that the sender uploaded; nothing can be signed";
        return Err(Refusal::new(Code::DocumentChanged, sentence).into());
    }
    judged?;
    Ok(bytes)
}

/// Pages that came into view.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    session: SessionId,
    document: DocumentId,
    sha256: Digest,
    pages: Vec<u32>,
}

/// `POST /s/{envelope}/pages`
pub async fn pages(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Json(seen): strict::Json<Seen>,
) -> Result<Response, Problem> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, seen.session).await?;
    let Seen { session, document, sha256, pages } = seen;
    let recipient = ceremony.session.recipient;
    ceremony.act(&app, Command::ShowPages { recipient, session, document, sha256, pages }).await?;
    Ok(Json(serde_json::json!({})).into_response())
}

/// What the page hands in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    session: SessionId,
    nonce: Digest,
    label: Personal<String>,
    consent_sha256: Digest,
    documents: Vec<ShownDocument>,
    values: BTreeMap<FieldId, Personal<String>>,
    adopted: Option<Adopted>,
    time_zone: Option<String>,
    #[serde(default)]
    assertion: Option<Assertion>,
}

/// An adopted signature.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Adopted {
    method: AdoptionMethod,
    value: Personal<String>,
}

/// `POST /s/{envelope}/sign/challenge`: what the recipient's passkey has to sign, for the same body without an assertion.
/// It changes nothing.
pub async fn challenge(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Json(act): strict::Json<Act, { limits::BODY_BYTES }>,
) -> Result<Response, Problem> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, act.session).await?;
    let submission = submission(&app, &mut ceremony, act)?;
    let challenge = Bytes(ceremony.challenge_of(&app, submission)?.0.to_vec());
    Ok(Json(serde_json::json!({ "challenge": challenge })).into_response())
}

/// `POST /s/{envelope}/sign`: signs, approves or confirms, once, however often it is sent.
pub async fn act(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Json(act): strict::Json<Act, { limits::BODY_BYTES }>,
) -> Result<Response, Problem> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, act.session).await?;
    let submission = submission(&app, &mut ceremony, act)?;
    if ceremony.step == Step::Sign {
        let documents: Vec<_> = ceremony.contents()?.documents.iter().map(|document| document.id).collect();
        for document in documents {
            check_stored(&app, &mut ceremony, document).await?;
        }
    }
    let (recipient, submission) = (ceremony.session.recipient, Box::new(submission));
    let events = ceremony.act(&app, Command::Submit { recipient, submission }).await?;
    refuse_copy(&events)?;
    Ok(Json(serde_json::json!({ "next": format!("{}/receipt", ceremony.base()) })).into_response())
}

/// What a page hands in, as the rules take it; what does not fit its place on the page is refused.
fn submission(app: &App, ceremony: &mut Ceremony, act: Act) -> Result<Submission, Failure> {
    if act.nonce != ceremony.session.nonce {
        return Err(Refusal::new(Code::SessionEnded, "this page is of an earlier session; reload it").into());
    }
    if let ActorNow::Recipient { origin, .. } = &mut ceremony.asking.actor {
        origin.time_zone.clone_from(&act.time_zone);
    }
    let recipient = ceremony.recipient()?;
    let is_bound = recipient.factor == Factor::Passkey;
    let salts = is_bound.then(|| act_salts(&ceremony.opened, recipient.id, &act.nonce)).transpose()?;
    let submission = Submission {
        session: act.session,
        documents: act.documents,
        values: act.values.into_iter().collect(),
        adopted: act.adopted.map(|adopted| (adopted.method, adopted.value)),
        consent_sha256: act.consent_sha256,
        label: act.label,
        nonce: act.nonce,
        salts,
        assertion: act.assertion,
    };
    if ceremony.step == Step::Sign {
        let about = (ceremony.session.envelope, app.now());
        check_submission(ceremony.contents()?, recipient, &submission, about, &app.fonts)?;
    }
    Ok(submission)
}

/// Hashes the stored bytes again before they are signed; a mismatch is recorded and stops the signing (D-1).
async fn check_stored(app: &App, ceremony: &mut Ceremony, document: DocumentId) -> Result<(), Failure> {
    let (_, found) = documents::original_as_found(app, &ceremony.asking.tenant, document).await?;
    if ceremony.contents()?.document(document).is_some_and(|known| known.sha256 == found) {
        return Ok(());
    }
    open(app, ceremony, document).await.map(drop)
}
