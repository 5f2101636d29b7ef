//! What can happen to an envelope (E-1). Names and shapes here are a stored format: version 1 never changes, see
//! `encode`.

use serde::{Deserialize, Serialize};

pub use super::factor::Factor;
use super::{
    passkey::{Assertion, Passkey, Registration},
    veil::Veiled,
};
use crate::{
    access::Environment,
    digest::Digest,
    id::{
        ApiKeyId, ClientId, CodeId, CorrelationId, DocumentId, EnvelopeId, FieldId, GrantId, LinkId, MailId,
        OrganizationId, PersonId, RecipientId, SessionId, UserId,
    },
    level::Level,
    time::Time,
};

/// One event of one envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The envelope.
    pub envelope: EnvelopeId,
    /// Position in the envelope's stream, from 1.
    pub seq: u64,
    /// When, by the server's clock.
    pub at: Time,
    /// Who.
    pub actor: Actor,
    /// The request or job that caused it.
    pub correlation: CorrelationId,
    /// What.
    pub body: Body,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Actor {
    /// The server by itself: a job or the clock.
    System,
    /// A program with an API key.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// From where.
        origin: Origin,
    },
    /// A client with an access token, for itself or for a member.
    Client {
        /// Which client.
        client: ClientId,
        /// For whom, where not for itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<UserId>,
        /// The grant behind its token.
        grant: GrantId,
        /// From where.
        origin: Origin,
    },
    /// A recipient in a signer session.
    Recipient {
        /// Who.
        recipient: RecipientId,
        /// In which session.
        session: SessionId,
        /// What identified the person in this session so far.
        factors: Vec<Factor>,
        /// From where.
        origin: Origin,
    },
}

/// Where a request came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Client address.
    pub ip: Veiled,
    /// How the address was learnt.
    pub ip_source: IpSource,
    /// User agent, as the client named itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Veiled>,
    /// IANA time zone, as the client named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// How a client address was learnt (G-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpSource {
    /// The other end of the connection.
    Connection,
    /// A forwarding header of a trusted proxy.
    TrustedProxy,
}

/// What a recipient is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Signs.
    Signer,
    /// Approves, without a signature.
    Approver,
    /// Reads.
    Viewer,
    /// Gets the sealed documents at the end.
    Copy,
}

/// What kind of field, with its own bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FieldKind {
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
    /// Text.
    Text {
        /// Most characters.
        max_chars: u32,
        /// Whether line breaks are allowed.
        multiline: bool,
    },
    /// A decimal number.
    Number {
        /// Most digits after the point.
        decimals: u8,
    },
    /// A checkbox: `true` or `false`.
    Checkbox,
    /// One button of a radio group: `true` or `false`, at most one `true` in a group.
    Radio {
        /// Name of the group, of the same recipient.
        group: String,
    },
    /// One of a list.
    Dropdown {
        /// The list.
        options: Vec<String>,
    },
}

/// A rectangle on the displayed page in hundredths of a point, origin top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rect {
    /// Distance from the left, in 1/100 pt.
    pub x_cpt: u32,
    /// Distance from the top, in 1/100 pt.
    pub y_cpt: u32,
    /// Width, in 1/100 pt.
    pub width_cpt: u32,
    /// Height, in 1/100 pt.
    pub height_cpt: u32,
}

/// A document of the envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Which.
    pub id: DocumentId,
    /// Its name.
    pub name: Veiled,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its pages.
    pub page_count: u32,
}

/// A recipient of the envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// Which.
    pub id: RecipientId,
    /// Whose data.
    pub person: PersonId,
    /// What is asked.
    pub role: Role,
    /// Routing order from 1; equal orders act in parallel.
    pub order: u16,
    /// Name.
    pub name: Veiled,
    /// E-mail address.
    pub email: Veiled,
    /// What must identify the person.
    pub factor: Factor,
    /// The keyed hash of the access code, where that is what identifies the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_code: Option<Veiled>,
}

/// A field to be filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Which.
    pub id: FieldId,
    /// On which document.
    pub document: DocumentId,
    /// For whom.
    pub recipient: RecipientId,
    /// What kind.
    pub kind: FieldKind,
    /// Page from 1.
    pub page: u32,
    /// Where on the displayed page.
    pub rect: Rect,
    /// Whether it must be filled.
    pub required: bool,
    /// What it is called on the page.
    pub label: String,
}

/// Which consent text was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentText {
    /// Version of the text.
    pub version: String,
    /// SHA-256 of the text as shown (UTF-8).
    pub sha256: Digest,
}

/// What a document was when it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownDocument {
    /// Which.
    pub document: DocumentId,
    /// SHA-256 of the bytes that the page rendered.
    pub sha256: Digest,
    /// Pages.
    pub page_count: u32,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldValue {
    /// Which field.
    pub field: FieldId,
    /// Its value.
    pub value: Veiled,
}

/// How a signature was adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdoptionMethod {
    /// The name was typed.
    Typed,
    /// It was drawn.
    Drawn,
}

/// All that a signature or an approval is bound to (E-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// Who.
    pub recipient: RecipientId,
    /// In which session.
    pub session: SessionId,
    /// The documents as they were shown.
    pub documents: Vec<ShownDocument>,
    /// The recipient's values, all of them.
    pub values: Vec<FieldValue>,
    /// The consent text that was agreed to.
    pub consent: ConsentText,
    /// The label of the button that was pressed.
    pub label: Veiled,
    /// The session's single-use nonce.
    pub nonce: Digest,
    /// The mark as it was adopted with this act, where a passkey signs it too: the commitment of `signature.adopted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Veiled>,
    /// The assertion over all of the above, of a recipient whom a passkey identifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
}

/// A sealed document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedDocument {
    /// Which.
    pub document: DocumentId,
    /// SHA-256 of the sealed PDF.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// What was downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Download {
    /// A document as it was uploaded.
    Original {
        /// Which.
        document: DocumentId,
    },
    /// A sealed document.
    Sealed {
        /// Which.
        document: DocumentId,
    },
    /// The sealed certificate of completion.
    Certificate,
}

/// What happened. In canonical JSON the name `type` comes before `value`, so that a reader knows the type when it meets
/// the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of the variants are named after the types that document them")]
pub enum Body {
    /// The envelope was created.
    #[serde(rename = "envelope.created")]
    Created {
        /// A sandbox envelope binds nobody; evidence of it says so.
        environment: Environment,
        organization: OrganizationId,
        /// Name of the organization, shown to recipients as the sender.
        organization_name: String,
        title: Veiled,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Veiled>,
        documents: Vec<Document>,
        recipients: Vec<Recipient>,
        fields: Vec<Field>,
        /// Life after sending, in seconds.
        lifetime_s: i64,
        /// What everybody who signs or approves must reach.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assurance: Option<Level>,
    },
    /// The envelope was sent.
    #[serde(rename = "envelope.sent")]
    Sent { expires_at: Time },
    /// A signing link was issued; an earlier one of the same recipient ends.
    #[serde(rename = "link.issued")]
    LinkIssued { recipient: RecipientId, link: LinkId, mail: MailId, expires_at: Time },
    /// The mail with the link, or that the envelope was voided or declined, was accepted by the mail server (or put into
    /// the sandbox mailbox).
    #[serde(rename = "recipient.notified")]
    Notified { recipient: RecipientId, mail: MailId },
    /// The mail was refused for good.
    #[serde(rename = "recipient.bounced")]
    Bounced { recipient: RecipientId, mail: MailId, smtp_status: u16 },
    /// A session was opened with the link.
    #[serde(rename = "session.opened")]
    SessionOpened { recipient: RecipientId, link: LinkId, session: SessionId },
    /// A code was made for this session and its mail queued.
    #[serde(rename = "code.issued")]
    CodeIssued { recipient: RecipientId, session: SessionId, code: CodeId, mail: MailId, expires_at: Time },
    /// The mail with the code was accepted by the mail server (or put into the sandbox mailbox).
    #[serde(rename = "code.delivered")]
    CodeDelivered { recipient: RecipientId, mail: MailId },
    /// A passkey was made and registered for this recipient, for this envelope.
    #[serde(rename = "passkey.registered")]
    PasskeyRegistered {
        recipient: RecipientId,
        session: SessionId,
        passkey: Passkey,
        registration: Registration,
    },
    /// A passkey's signature counter did not grow, as if it had been copied: the recipient cannot go on until the sender
    /// sends again, and then registers another one.
    #[serde(rename = "passkey.cloned")]
    PasskeyCloned { recipient: RecipientId, session: SessionId, assertion: Assertion },
    /// The right code was typed, or the registered passkey used.
    #[serde(rename = "factor.passed")]
    FactorPassed {
        recipient: RecipientId,
        session: SessionId,
        factor: Factor,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assertion: Option<Assertion>,
    },
    /// A wrong code was typed.
    #[serde(rename = "factor.failed")]
    FactorFailed { recipient: RecipientId, session: SessionId, factor: Factor, tries_left: u32 },
    /// Too many wrong codes, or a passkey that may be a copy: the recipient cannot go on until the sender sends again.
    #[serde(rename = "factor.locked")]
    FactorLocked { recipient: RecipientId, factor: Factor },
    /// The disclosure was shown.
    #[serde(rename = "disclosure.shown")]
    DisclosureShown { recipient: RecipientId, session: SessionId, text: ConsentText },
    /// Consent was given.
    #[serde(rename = "consent.given")]
    ConsentGiven { recipient: RecipientId, session: SessionId, text: ConsentText },
    /// A document's bytes went to the recipient's reader.
    #[serde(rename = "document.opened")]
    DocumentOpened { recipient: RecipientId, session: SessionId, document: DocumentId, sha256: Digest },
    /// Pages came into view, as the reader reported.
    #[serde(rename = "pages.shown")]
    PagesShown {
        recipient: RecipientId,
        session: SessionId,
        document: DocumentId,
        sha256: Digest,
        pages: Vec<u32>,
    },
    /// The stored bytes of a document no longer have the digest that they had at upload; nothing can be signed.
    #[serde(rename = "document.mismatched")]
    DocumentMismatched { document: DocumentId, expected: Digest, found: Digest },
    /// A signature was adopted.
    #[serde(rename = "signature.adopted")]
    SignatureAdopted { recipient: RecipientId, session: SessionId, method: AdoptionMethod, mark: Veiled },
    /// The recipient signed.
    #[serde(rename = "recipient.signed")]
    Signed(Act),
    /// The recipient approved.
    #[serde(rename = "recipient.approved")]
    Approved(Act),
    /// The recipient, asked only to read, has read.
    #[serde(rename = "recipient.read")]
    Read(Act),
    /// The recipient declined, which ends the envelope.
    #[serde(rename = "recipient.declined")]
    Declined {
        recipient: RecipientId,
        session: SessionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Veiled>,
    },
    /// The sender voided the envelope.
    #[serde(rename = "envelope.voided")]
    Voided {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Veiled>,
    },
    /// The envelope expired.
    #[serde(rename = "envelope.expired")]
    Expired,
    /// All have acted; the documents are being sealed by the named certificate.
    #[serde(rename = "envelope.sealing")]
    SealingStarted { seal_certificate_sha256: Digest },
    /// The documents and the certificate of completion were sealed.
    #[serde(rename = "envelope.sealed")]
    Sealed {
        documents: Vec<SealedDocument>,
        certificate_sha256: Digest,
        certificate_size_bytes: u64,
        /// Size of the log under the checkpoint that the sealed documents carry.
        checkpoint_size: u64,
    },
    /// The mail about the completed envelope was accepted by the mail server (or put into the sandbox mailbox).
    #[serde(rename = "recipient.copied")]
    Copied { recipient: RecipientId, mail: MailId },
    /// Something was downloaded.
    #[serde(rename = "envelope.downloaded")]
    Downloaded { what: Download },
    /// The evidence package was exported.
    #[serde(rename = "evidence.exported")]
    Exported,
}

macro_rules! veiled_of {
    ($name:ident, ($($mutable:tt)*)) => {
        /// Every personal value of the event, in the order of the encoded text's fields as declared here.
        pub fn $name(&$($mutable)* self) -> Vec<&$($mutable)* Veiled> {
            let mut all = Vec::new();
            match &$($mutable)* self.actor {
                Actor::System => {}
                Actor::ApiKey { origin, .. }
                | Actor::Client { origin, .. }
                | Actor::Recipient { origin, .. } => {
                    all.push(&$($mutable)* origin.ip);
                    all.extend(&$($mutable)* origin.user_agent);
                }
            }
            match &$($mutable)* self.body {
                Body::Created { title, message, documents, recipients, .. } => {
                    all.push(title);
                    all.extend(message);
                    for document in documents {
                        all.push(&$($mutable)* document.name);
                    }
                    for recipient in recipients {
                        all.push(&$($mutable)* recipient.name);
                        all.push(&$($mutable)* recipient.email);
                        all.extend(&$($mutable)* recipient.access_code);
                    }
                }
                Body::SignatureAdopted { mark, .. } => all.push(mark),
                Body::Signed(act) | Body::Approved(act) | Body::Read(act) => {
                    for value in &$($mutable)* act.values {
                        all.push(&$($mutable)* value.value);
                    }
                    all.push(&$($mutable)* act.label);
                }
                Body::Declined { reason, .. } | Body::Voided { reason } => all.extend(reason),
                Body::Sent { .. }
                | Body::LinkIssued { .. }
                | Body::Notified { .. }
                | Body::Bounced { .. }
                | Body::SessionOpened { .. }
                | Body::CodeIssued { .. }
                | Body::CodeDelivered { .. }
                | Body::PasskeyRegistered { .. }
                | Body::PasskeyCloned { .. }
                | Body::FactorPassed { .. }
                | Body::FactorFailed { .. }
                | Body::FactorLocked { .. }
                | Body::DisclosureShown { .. }
                | Body::ConsentGiven { .. }
                | Body::DocumentOpened { .. }
                | Body::PagesShown { .. }
                | Body::DocumentMismatched { .. }
                | Body::Expired
                | Body::SealingStarted { .. }
                | Body::Sealed { .. }
                | Body::Copied { .. }
                | Body::Downloaded { .. }
                | Body::Exported => {}
            }
            all
        }
    };
}

impl Event {
    veiled_of!(veiled, ());
    veiled_of!(veiled_mut, (mut));
}

impl Body {
    /// Whether it only records that something was read: nothing depends on it, and there may be any number.
    pub fn is_record(&self) -> bool {
        matches!(
            self,
            Self::PagesShown { .. }
                | Self::DocumentMismatched { .. }
                | Self::Downloaded { .. }
                | Self::Exported
        )
    }

    /// The event's type, as it is encoded.
    pub fn type_text(&self) -> &'static str {
        match self {
            Self::Created { .. } => "envelope.created",
            Self::Sent { .. } => "envelope.sent",
            Self::LinkIssued { .. } => "link.issued",
            Self::Notified { .. } => "recipient.notified",
            Self::Bounced { .. } => "recipient.bounced",
            Self::SessionOpened { .. } => "session.opened",
            Self::CodeIssued { .. } => "code.issued",
            Self::CodeDelivered { .. } => "code.delivered",
            Self::PasskeyRegistered { .. } => "passkey.registered",
            Self::PasskeyCloned { .. } => "passkey.cloned",
            Self::FactorPassed { .. } => "factor.passed",
            Self::FactorFailed { .. } => "factor.failed",
            Self::FactorLocked { .. } => "factor.locked",
            Self::DisclosureShown { .. } => "disclosure.shown",
            Self::ConsentGiven { .. } => "consent.given",
            Self::DocumentOpened { .. } => "document.opened",
            Self::PagesShown { .. } => "pages.shown",
            Self::DocumentMismatched { .. } => "document.mismatched",
            Self::SignatureAdopted { .. } => "signature.adopted",
            Self::Signed(_) => "recipient.signed",
            Self::Approved(_) => "recipient.approved",
            Self::Read(_) => "recipient.read",
            Self::Declined { .. } => "recipient.declined",
            Self::Voided { .. } => "envelope.voided",
            Self::Expired => "envelope.expired",
            Self::SealingStarted { .. } => "envelope.sealing",
            Self::Sealed { .. } => "envelope.sealed",
            Self::Copied { .. } => "recipient.copied",
            Self::Downloaded { .. } => "envelope.downloaded",
            Self::Exported => "evidence.exported",
        }
    }
}
