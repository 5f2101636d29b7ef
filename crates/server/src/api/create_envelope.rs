//! `POST /v1/envelopes`: put documents, recipients and fields together as a draft.

use std::{net::IpAddr, sync::Arc};

use axum::response::Response;
use countersign_core::{
    access::{Operation, detail_for_documents},
    envelope::{
        Command,
        command::{NewEnvelope, NewField, NewRecipient},
        event::Factor,
        fields::{check_access_code, check_email},
        passkey::relying_party,
    },
    id::{DocumentId, EnvelopeId, OrganizationId},
    limits,
    refusal::{Code, Refusal},
    secret::{Personal, Secret},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer,
    shapes::{
        AssuranceBody, EnvelopeBody, FactorBody, KindBody, KindParameters, RectBody, RoleBody, kind_of,
    },
};
use crate::{
    accounts::codes::{self, Holder},
    app::App,
    documents,
    envelopes::{self, Along, Answering, access_code_mac},
    fault::Failure,
    http::{
        gate::{Call, Endpoint, Method, Takes, spend_of},
        idempotency::respond,
        problem::Problem,
    },
    persons,
    sealing::fits::check_fields,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/envelopes",
    operation: Operation::CreateEnvelope,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(create(app, call)),
};

/// An envelope to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEnvelopeBody {
    /// Title: on the button that signs, and in mails.
    #[schema(value_type = String, max_length = 200)]
    title: Personal<String>,
    /// Message to the recipients.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 4000)]
    message: Option<Personal<String>>,
    /// Uploaded documents, in order.
    #[schema(min_items = 1, max_items = 10)]
    documents: Vec<DocumentReference>,
    /// Recipients.
    #[schema(min_items = 1, max_items = 50)]
    recipients: Vec<NewRecipientBody>,
    /// Fields, in reading order.
    #[serde(default)]
    #[schema(max_items = 500)]
    fields: Vec<NewFieldBody>,
    /// Life after sending, in seconds; 30 days by default.
    #[serde(default = "default_lifetime_s")]
    #[schema(minimum = 60, maximum = 31_536_000)]
    lifetime_s: i64,
    /// What everybody who signs or approves must reach; nothing by default.
    #[serde(default)]
    assurance: Option<AssuranceBody>,
}

fn default_lifetime_s() -> i64 {
    limits::ENVELOPE_DEFAULT_S
}

/// An uploaded document.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentReference {
    /// Its id.
    id: String,
}

/// A recipient to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRecipientBody {
    /// Name.
    #[schema(value_type = String, max_length = 200)]
    name: Personal<String>,
    /// E-mail address.
    #[schema(value_type = String, max_length = 254)]
    email: Personal<String>,
    /// Role.
    role: RoleBody,
    /// Routing order from 1; equal orders act in parallel. 1 by default.
    #[serde(default = "first")]
    #[schema(minimum = 1, maximum = 65_535)]
    order: u16,
    /// What must identify the recipient; a mailed code by default.
    #[serde(default)]
    factor: FactorBody,
    /// The code of the factor `access_code`, of ASCII characters. It is kept as a keyed hash and never given back.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 6, max_length = 64)]
    access_code: Option<Secret<String>>,
}

fn first() -> u16 {
    1
}

/// A field to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFieldBody {
    /// Position in `documents`, from 0.
    #[schema(maximum = 9)]
    document: usize,
    /// Position in `recipients`, from 0.
    #[schema(maximum = 49)]
    recipient: usize,
    /// Kind.
    kind: KindBody,
    /// Page from 1.
    #[schema(minimum = 1, maximum = 1_000)]
    page: u32,
    /// Where on the displayed page.
    rect: RectBody,
    /// Whether it must be filled; true by default.
    #[serde(default = "yes")]
    required: bool,
    /// What it is called.
    #[schema(max_length = 200)]
    label: String,
    /// Most characters of a text.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 4_000)]
    max_chars: Option<u32>,
    /// Whether a text may have line breaks.
    #[serde(default)]
    multiline: Option<bool>,
    /// Most digits after the point of a number.
    #[serde(default)]
    #[schema(maximum = 10)]
    decimals: Option<u8>,
    /// Name of a radio button's group.
    #[serde(default)]
    group: Option<String>,
    /// The list of a dropdown.
    #[serde(default)]
    options: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

impl NewFieldBody {
    fn into_field(self, index: usize) -> Result<NewField, Refusal> {
        let Self { max_chars, multiline, decimals, group, options, .. } = self;
        let given = KindParameters { max_chars, multiline, decimals, group, options };
        let (kind, used) = kind_of(self.kind, &given);
        if let Some(foreign) = given.names().difference(&used.names()).next() {
            let sentence = "this does not go with the field's kind: `max_chars` and `multiline` are for text, `decimals` \
                            for number, `group` for radio, `options` for dropdown; leave it out";
            return Err(Refusal::at(Code::Invalid, format!("/fields/{index}/{foreign}"), sentence));
        }
        let rect = self.rect.to_rect().ok_or_else(|| {
            let sentence = "measures are points between 0 and the page's size";
            Refusal::at(Code::Invalid, format!("/fields/{index}/rect"), sentence)
        })?;
        Ok(NewField {
            document_index: self.document,
            recipient_index: self.recipient,
            kind,
            page: self.page,
            rect,
            required: self.required,
            label: self.label,
        })
    }
}

/// Create an envelope as a draft; send it with `POST /v1/envelopes/{envelope}/send`.
#[utoipa::path(
    post,
    path = "/v1/envelopes",
    operation_id = "create_envelope",
    tag = "envelopes",
    params(("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done")),
    request_body = NewEnvelopeBody,
    responses(
        (status = 201, description = "Created", body = EnvelopeBody, headers(("Location" = String, description = "The envelope"))),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["envelopes:write"]), ("api_key" = ["envelopes:write"])),
)]
pub(super) async fn create(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let body: NewEnvelopeBody = call.json()?;
    let envelope = EnvelopeId::new(app.now(), app.draw());
    let new = compose(&app, &call, envelope, body).await?;
    let documents = new.documents.iter().map(|document| document.sha256).collect();
    let permitting = detail_for_documents(&call.principal, Operation::CreateEnvelope, &documents)?;
    check_fields(&new, app.now(), &app.fonts)?;
    let along = Along {
        answering: Some(Answering {
            claim: call.claim()?,
            answer: &|opened| {
                let location = format!("/v1/envelopes/{}", opened.envelope);
                answer(201, Some(location), &EnvelopeBody::of(opened))
            },
        }),
        spends: spend_of(&app, &call.principal, permitting).into_iter().collect(),
        ..Along::default()
    };
    let command = Command::Create(Box::new(new));
    let acted = envelopes::begin(&app, &call.asking(), envelope, command, along).await.map_err(renamed)?;
    acted.answer.map(|answer| respond(answer, false)).ok_or_else(Problem::internal)
}

/// The core names parameters of a kind under `kind`; here they stand beside it.
fn renamed(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(mut refusal) => {
            refusal.pointer = refusal.pointer.map(|pointer| pointer.replacen("/kind/", "/", 1));
            Failure::Refused(refusal)
        }
        other => other,
    }
}

async fn compose(
    app: &App,
    call: &Call,
    envelope: EnvelopeId,
    body: NewEnvelopeBody,
) -> Result<NewEnvelope, Failure> {
    let sender = call.principal.sender().ok_or_else(Refusal::not_found)?;
    let over = |count: usize, most: usize, pointer: &str| {
        let sentence = format!("there must be between 1 and {most} of these");
        if count <= most { Ok(()) } else { Err(Refusal::at(Code::Invalid, pointer, sentence)) }
    };
    over(body.documents.len(), limits::DOCUMENTS_PER_ENVELOPE, "/documents")?;
    over(body.recipients.len(), limits::RECIPIENTS_PER_ENVELOPE, "/recipients")?;
    let mut documents = Vec::with_capacity(body.documents.len());
    for (index, reference) in body.documents.iter().enumerate() {
        let unknown = || {
            let sentence = "there is no such document; upload it with `POST /v1/documents`";
            Refusal::at(Code::Invalid, format!("/documents/{index}/id"), sentence)
        };
        let id: DocumentId = reference.id.parse().map_err(|_| unknown())?;
        let document = match documents::read(app, call.tenant(), id).await {
            Err(Failure::Refused(refusal)) if refusal.code == Code::NotFound => return Err(unknown().into()),
            other => other?,
        };
        documents.push(document.for_envelope());
    }
    for (index, recipient) in body.recipients.iter().enumerate() {
        check_email(&format!("/recipients/{index}/email"), recipient.email.disclose())?;
        check_factor(app, index, recipient)?;
    }
    check_members(app, call.tenant().organization(), &body.recipients).await?;
    let emails: Vec<_> = body.recipients.iter().map(|recipient| &recipient.email).collect();
    let persons = persons::ensure(app, call.tenant(), &emails).await?;
    let organization = app.organization(call.tenant().organization()).await?;
    let recipients = body
        .recipients
        .into_iter()
        .zip(persons)
        .enumerate()
        .map(|(position, (recipient, person))| NewRecipient {
            person,
            role: recipient.role.into(),
            order: recipient.order,
            name: recipient.name,
            email: recipient.email,
            factor: recipient.factor.into(),
            access_code: recipient
                .access_code
                .map(|code| access_code_mac(&organization, envelope, position, code.expose())),
        })
        .collect();
    let fields = body.fields.into_iter().enumerate().map(|(index, field)| field.into_field(index));
    Ok(NewEnvelope {
        envelope,
        environment: call.tenant().environment(),
        organization: organization.id,
        organization_name: organization.name.clone(),
        sender,
        title: body.title,
        message: body.message,
        documents,
        recipients,
        fields: fields.collect::<Result<_, _>>()?,
        lifetime_s: body.lifetime_s,
        assurance: body.assurance.map(Into::into),
    })
}

/// Refuses an access code that cannot be one, and passkeys where no browser makes any: they belong to a host with a name
/// (Web Authentication §5.1.2).
fn check_factor(app: &App, index: usize, recipient: &NewRecipientBody) -> Result<(), Refusal> {
    if let Some(code) = &recipient.access_code {
        check_access_code(&format!("/recipients/{index}/access_code"), code.expose())?;
    }
    let host = relying_party(&app.config.server.public_url);
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    if Factor::from(recipient.factor) == Factor::Passkey && is_address {
        let sentence =
            "this server is reached under an address, and passkeys need a host name: set server.public_url";
        return Err(Refusal::at(Code::Invalid, format!("/recipients/{index}/factor"), sentence));
    }
    Ok(())
}

/// Refuses the factor `totp` for whom no authenticator app can identify. Whoever sends for an organization may know its
/// members.
async fn check_members(
    app: &App,
    organization: OrganizationId,
    recipients: &[NewRecipientBody],
) -> Result<(), Failure> {
    for (index, recipient) in recipients.iter().enumerate() {
        if Factor::from(recipient.factor) != Factor::Totp {
            continue;
        }
        let (part, sentence) = match codes::holder(app, organization, &recipient.email).await? {
            Holder::Ready(_) => continue,
            Holder::Nobody => (
                "email",
                "`totp` identifies members of your organization, and none has this address: invite this person, or choose \
                 `access_code` or `passkey`",
            ),
            Holder::WithoutCodes => (
                "factor",
                "this member has no authenticator app: one is set up at /account; or choose `access_code` or `passkey`",
            ),
        };
        return Err(Refusal::at(Code::Invalid, format!("/recipients/{index}/{part}"), sentence).into());
    }
    Ok(())
}
