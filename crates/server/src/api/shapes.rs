//! What the API shows: envelopes, recipients, fields and documents as JSON. Measures are points, as decimals.

use std::collections::BTreeSet;

use countersign_core::{
    envelope::{
        State, Veiled,
        event::{Factor, FieldKind, Rect, Role},
    },
    level::Level,
    time::Time,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::envelopes::Opened;

/// A rectangle on the displayed page in points, origin top left.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RectBody {
    /// Distance from the left.
    pub x: f64,
    /// Distance from the top.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// Hundredths of a point, rounded; `None` for what is no measure on a page.
fn cpt(points: f64) -> Option<u32> {
    if !(0.0..=1_000_000.0).contains(&points) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    let hundredths = (points * 100.0).round() as u32;
    Some(hundredths)
}

/// Points from hundredths.
pub(super) fn points(cpt: u32) -> f64 {
    f64::from(cpt) / 100.0
}

impl RectBody {
    /// As the core keeps it; `None` for measures that no page has.
    pub(super) fn to_rect(self) -> Option<Rect> {
        let (x_cpt, y_cpt) = (cpt(self.x)?, cpt(self.y)?);
        Some(Rect { x_cpt, y_cpt, width_cpt: cpt(self.width)?, height_cpt: cpt(self.height)? })
    }

    fn of(rect: Rect) -> Self {
        let (x, y) = (points(rect.x_cpt), points(rect.y_cpt));
        Self { x, y, width: points(rect.width_cpt), height: points(rect.height_cpt) }
    }
}

/// What a recipient is asked to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RoleBody {
    /// Signs.
    Signer,
    /// Approves, without a signature.
    Approver,
    /// Reads.
    Viewer,
    /// Gets the sealed documents at the end.
    Copy,
}

impl From<RoleBody> for Role {
    fn from(role: RoleBody) -> Self {
        match role {
            RoleBody::Signer => Self::Signer,
            RoleBody::Approver => Self::Approver,
            RoleBody::Viewer => Self::Viewer,
            RoleBody::Copy => Self::Copy,
        }
    }
}

impl From<Role> for RoleBody {
    fn from(role: Role) -> Self {
        match role {
            Role::Signer => Self::Signer,
            Role::Approver => Self::Approver,
            Role::Viewer => Self::Viewer,
            Role::Copy => Self::Copy,
        }
    }
}

/// What must identify a recipient.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FactorBody {
    /// Having the link that was mailed.
    Link,
    /// A code that is mailed and typed into the same browser.
    #[default]
    EmailCode,
    /// A code that you tell the recipient by another way than this product; `access_code` belongs to it.
    AccessCode,
    /// A code of the authenticator app with which the recipient signs in: of members of your organization who have one.
    Totp,
    /// A passkey, made for this envelope after link and mailed code, which then also signs the act.
    Passkey,
}

/// How surely somebody is identified, by the levels of NIST SP 800-63B-4.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) enum AssuranceBody {
    /// One factor: a mailed code, or an access code.
    #[serde(rename = "aal1")]
    Aal1,
    /// Two factors; of those that recipients have, the code of a member's authenticator app, or a passkey.
    #[serde(rename = "aal2")]
    Aal2,
    /// Two factors that cannot be phished: a passkey.
    #[serde(rename = "aal2-phr")]
    Aal2Phr,
}

impl From<AssuranceBody> for Level {
    fn from(assurance: AssuranceBody) -> Self {
        match assurance {
            AssuranceBody::Aal1 => Self::Aal1,
            AssuranceBody::Aal2 => Self::Aal2,
            AssuranceBody::Aal2Phr => Self::Aal2Phr,
        }
    }
}

impl From<Level> for AssuranceBody {
    fn from(level: Level) -> Self {
        match level {
            Level::Aal1 => Self::Aal1,
            Level::Aal2 => Self::Aal2,
            Level::Aal2Phr => Self::Aal2Phr,
        }
    }
}

impl From<FactorBody> for Factor {
    fn from(factor: FactorBody) -> Self {
        match factor {
            FactorBody::Link => Self::Link,
            FactorBody::EmailCode => Self::EmailCode,
            FactorBody::AccessCode => Self::AccessCode,
            FactorBody::Totp => Self::Totp,
            FactorBody::Passkey => Self::Passkey,
        }
    }
}

impl From<Factor> for FactorBody {
    fn from(factor: Factor) -> Self {
        match factor {
            Factor::Link => Self::Link,
            Factor::EmailCode => Self::EmailCode,
            Factor::AccessCode => Self::AccessCode,
            Factor::Totp => Self::Totp,
            Factor::Passkey => Self::Passkey,
        }
    }
}

/// What kind of field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KindBody {
    /// The adopted signature.
    Signature,
    /// The initials of the adopted signature.
    Initials,
    /// The date of signing, set by the server.
    DateSigned,
    /// The recipient's name, set by the server.
    Name,
    /// The recipient's e-mail address, set by the server.
    Email,
    /// Company, typed.
    Company,
    /// Title, typed.
    Title,
    /// Text; `max_chars` and `multiline` belong to it.
    Text,
    /// A decimal number; `decimals` belongs to it.
    Number,
    /// A checkbox.
    Checkbox,
    /// One button of a radio group; `group` belongs to it.
    Radio,
    /// One of a list; `options` belong to it.
    Dropdown,
}

/// What belongs to some kinds of field only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct KindParameters {
    /// Most characters of a text (default 200).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_chars: Option<u32>,
    /// Whether a text may have line breaks (default false).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiline: Option<bool>,
    /// Most digits after the point of a number (default 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Name of a radio button's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The list of a dropdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
}

impl KindParameters {
    /// Names of those that are given.
    pub(super) fn names(&self) -> BTreeSet<&'static str> {
        let given = [
            (self.max_chars.is_some(), "max_chars"),
            (self.multiline.is_some(), "multiline"),
            (self.decimals.is_some(), "decimals"),
            (self.group.is_some(), "group"),
            (self.options.is_some(), "options"),
        ];
        given.into_iter().filter_map(|(is_given, name)| is_given.then_some(name)).collect()
    }
}

/// The kind of the core with its parameters, and which parameters it took.
pub(super) fn kind_of(kind: KindBody, given: &KindParameters) -> (FieldKind, KindParameters) {
    let mut used = KindParameters::default();
    let kind = match kind {
        KindBody::Signature => FieldKind::Signature,
        KindBody::Initials => FieldKind::Initials,
        KindBody::DateSigned => FieldKind::DateSigned,
        KindBody::Name => FieldKind::Name,
        KindBody::Email => FieldKind::Email,
        KindBody::Company => FieldKind::Company,
        KindBody::Title => FieldKind::Title,
        KindBody::Checkbox => FieldKind::Checkbox,
        KindBody::Text => {
            (used.max_chars, used.multiline) = (given.max_chars, given.multiline);
            FieldKind::Text {
                max_chars: given.max_chars.unwrap_or(200),
                multiline: given.multiline.unwrap_or(false),
            }
        }
        KindBody::Number => {
            used.decimals = given.decimals;
            FieldKind::Number { decimals: given.decimals.unwrap_or(2) }
        }
        KindBody::Radio => {
            used.group.clone_from(&given.group);
            FieldKind::Radio { group: given.group.clone().unwrap_or_default() }
        }
        KindBody::Dropdown => {
            used.options.clone_from(&given.options);
            FieldKind::Dropdown { options: given.options.clone().unwrap_or_default() }
        }
    };
    (kind, used)
}

fn kind_shown(kind: &FieldKind) -> (KindBody, KindParameters) {
    let mut with = KindParameters::default();
    let kind = match kind {
        FieldKind::Signature => KindBody::Signature,
        FieldKind::Initials => KindBody::Initials,
        FieldKind::DateSigned => KindBody::DateSigned,
        FieldKind::Name => KindBody::Name,
        FieldKind::Email => KindBody::Email,
        FieldKind::Company => KindBody::Company,
        FieldKind::Title => KindBody::Title,
        FieldKind::Checkbox => KindBody::Checkbox,
        FieldKind::Text { max_chars, multiline } => {
            (with.max_chars, with.multiline) = (Some(*max_chars), Some(*multiline));
            KindBody::Text
        }
        FieldKind::Number { decimals } => {
            with.decimals = Some(*decimals);
            KindBody::Number
        }
        FieldKind::Radio { group } => {
            with.group = Some(group.clone());
            KindBody::Radio
        }
        FieldKind::Dropdown { options } => {
            with.options = Some(options.clone());
            KindBody::Dropdown
        }
    };
    (kind, with)
}

/// An envelope.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnvelopeBody {
    /// Its id.
    id: String,
    /// `draft`, `sent`, `sealing`, `completed`, `declined`, `voided` or `expired`; more may come.
    status: &'static str,
    /// Title; null once erased, which no command does yet.
    title: Option<String>,
    /// Message to the recipients.
    message: Option<String>,
    /// When it was created (RFC 3339, UTC).
    created_at: String,
    /// When it was sent.
    sent_at: Option<String>,
    /// When it expires.
    expires_at: Option<String>,
    /// Why it was declined or voided.
    reason: Option<String>,
    /// What everybody who signs or approves must reach; null if nothing was asked.
    assurance: Option<AssuranceBody>,
    /// Documents in order.
    documents: Vec<EnvelopeDocumentBody>,
    /// Recipients as given.
    recipients: Vec<RecipientBody>,
    /// Fields in reading order.
    fields: Vec<FieldBody>,
    /// What the seal gave, once completed.
    sealed: Option<SealedBody>,
}

/// A document of an envelope.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnvelopeDocumentBody {
    /// Its id.
    id: String,
    /// Name; null once erased, which no command does yet.
    name: Option<String>,
    /// SHA-256 of the upload, lower-case hex.
    sha256: String,
    /// Size in bytes.
    size_bytes: u64,
    /// Pages.
    page_count: u32,
}

/// A recipient.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecipientBody {
    /// Its id.
    id: String,
    /// Name; null once erased, which no command does yet.
    name: Option<String>,
    /// E-mail address; null once erased, which no command does yet.
    email: Option<String>,
    /// Role.
    role: RoleBody,
    /// Routing order.
    order: u16,
    /// Factor.
    factor: FactorBody,
    /// `pending`, `notified`, `bounced`, `viewed`, `signed`, `approved`, `read`, `declined` or `factor_locked`; more
    /// may come. Null in a draft.
    status: Option<&'static str>,
    /// When it acted.
    acted_at: Option<String>,
}

/// A field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldBody {
    /// Its id.
    id: String,
    /// Document.
    document: String,
    /// Recipient.
    recipient: String,
    /// Kind.
    kind: KindBody,
    /// What belongs to the kind.
    #[serde(flatten)]
    parameters: KindParameters,
    /// Page from 1.
    page: u32,
    /// Where.
    rect: RectBody,
    /// Whether it must be filled.
    required: bool,
    /// Label.
    label: String,
}

/// What the seal gave.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SealedBody {
    /// When.
    sealed_at: String,
    /// SHA-256 of the certificate of completion (PDF).
    certificate_sha256: String,
    /// SHA-256 of the X.509 certificate that sealed (DER).
    seal_certificate_sha256: String,
    /// The sealed documents.
    documents: Vec<SealedDocumentBody>,
}

/// A sealed document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SealedDocumentBody {
    /// Document.
    id: String,
    /// SHA-256 of the sealed PDF.
    sha256: String,
    /// Size in bytes.
    size_bytes: u64,
}

pub(super) fn shown(veiled: &Veiled) -> Option<String> {
    veiled.value().map(|value| value.disclose().clone())
}

impl EnvelopeBody {
    /// An envelope as its organization sees it.
    pub(crate) fn of(opened: &Opened) -> Self {
        let state = &opened.folded.state;
        let contents = state.contents();
        let underway = state.underway();
        let time = |time: Time| time.to_string();
        let reason = match state {
            State::Declined(_, _, reason) | State::Voided(_, reason) => reason.as_ref().and_then(shown),
            _ => None,
        };
        Self {
            id: opened.envelope.to_string(),
            status: state.status_text(),
            title: contents.and_then(|contents| shown(&contents.title)),
            message: contents.and_then(|contents| contents.message.as_ref()).and_then(shown),
            created_at: contents.map(|contents| time(contents.created_at)).unwrap_or_default(),
            sent_at: underway.map(|underway| time(underway.sent_at)),
            expires_at: underway.map(|underway| time(underway.expires_at)),
            reason,
            assurance: contents.and_then(|contents| contents.assurance).map(Into::into),
            documents: documents(opened),
            recipients: recipients(opened),
            fields: fields(opened),
            sealed: sealed(state),
        }
    }
}

fn documents(opened: &Opened) -> Vec<EnvelopeDocumentBody> {
    let documents = opened.folded.state.contents().into_iter().flat_map(|contents| &contents.documents);
    documents
        .map(|document| EnvelopeDocumentBody {
            id: document.id.to_string(),
            name: shown(&document.name),
            sha256: document.sha256.to_string(),
            size_bytes: document.size_bytes,
            page_count: document.page_count,
        })
        .collect()
}

fn recipients(opened: &Opened) -> Vec<RecipientBody> {
    let state = &opened.folded.state;
    let recipients = state.contents().into_iter().flat_map(|contents| &contents.recipients);
    recipients
        .map(|recipient| {
            let progress = state.underway().and_then(|underway| underway.progress_of(recipient.id));
            RecipientBody {
                id: recipient.id.to_string(),
                name: shown(&recipient.name),
                email: shown(&recipient.email),
                role: recipient.role.into(),
                order: recipient.order,
                factor: recipient.factor.into(),
                status: progress.map(|progress| progress.status.text()),
                acted_at: progress.and_then(|progress| progress.acted_at).map(|at| at.to_string()),
            }
        })
        .collect()
}

fn fields(opened: &Opened) -> Vec<FieldBody> {
    let fields = opened.folded.state.contents().into_iter().flat_map(|contents| &contents.fields);
    fields
        .map(|field| {
            let (kind, parameters) = kind_shown(&field.kind);
            FieldBody {
                id: field.id.to_string(),
                document: field.document.to_string(),
                recipient: field.recipient.to_string(),
                kind,
                parameters,
                page: field.page,
                rect: RectBody::of(field.rect),
                required: field.required,
                label: field.label.clone(),
            }
        })
        .collect()
}

fn sealed(state: &State) -> Option<SealedBody> {
    let State::Completed(_, outcome) = state else { return None };
    let documents = outcome
        .documents
        .iter()
        .map(|document| SealedDocumentBody {
            id: document.document.to_string(),
            sha256: document.sha256.to_string(),
            size_bytes: document.size_bytes,
        })
        .collect();
    Some(SealedBody {
        sealed_at: outcome.sealed_at.to_string(),
        certificate_sha256: outcome.certificate_sha256.to_string(),
        seal_certificate_sha256: outcome.seal_certificate_sha256.to_string(),
        documents,
    })
}
