//! What an envelope is: the fold of its events. `apply` is total; an event that does not fit leaves the state as it
//! is, and `decide` never makes such an event.

mod follow;
mod status;

use std::collections::{BTreeMap, BTreeSet};

pub use status::RecipientStatus;

use super::{
    encode::Chain,
    event::{
        Act, Actor, AdoptionMethod, Body, Document, Event, Factor, Field, Recipient, Role, SealedDocument,
    },
    passkey::{Assertion, Passkey},
    veil::Veiled,
};
use crate::{
    access::Environment,
    digest::Digest,
    id::{CodeId, DocumentId, LinkId, MailId, OrganizationId, RecipientId, SessionId},
    level::Level,
    limits,
    time::Time,
};

/// An envelope.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum State {
    /// Not created yet.
    #[default]
    Absent,
    /// Created, not sent.
    Draft(Contents),
    /// With the recipients.
    Sent(Underway),
    /// All have acted; the seal is being made.
    Sealing(Underway, Digest),
    /// Sealed.
    Completed(Underway, Outcome),
    /// Ended by a recipient.
    Declined(Underway, RecipientId, Option<Veiled>),
    /// Ended by the sender.
    Voided(Box<State>, Option<Veiled>),
    /// Ended by the clock.
    Expired(Underway),
}

/// What the sender put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// When it was created.
    pub created_at: Time,
    /// Sandbox or live.
    pub environment: Environment,
    /// By which organization.
    pub organization: OrganizationId,
    /// The organization's name then.
    pub organization_name: String,
    /// Title.
    pub title: Veiled,
    /// Message to the recipients.
    pub message: Option<Veiled>,
    /// Documents in order.
    pub documents: Vec<Document>,
    /// Recipients as given.
    pub recipients: Vec<Recipient>,
    /// Fields in reading order.
    pub fields: Vec<Field>,
    /// Life after sending, in seconds.
    pub lifetime_s: i64,
    /// What everybody who signs or approves must reach.
    pub assurance: Option<Level>,
}

/// An envelope that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underway {
    /// What was sent.
    pub contents: Contents,
    /// When.
    pub sent_at: Time,
    /// When it expires.
    pub expires_at: Time,
    /// How far each recipient is, in the order of `contents.recipients`.
    pub progress: Vec<Progress>,
}

/// How far one recipient is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Who.
    pub recipient: RecipientId,
    /// Where.
    pub status: RecipientStatus,
    /// The link that is valid now.
    pub link: Option<IssuedLink>,
    /// The link that the seal replaced: nobody asked for that, so its sessions go on showing the receipt.
    pub sealed_link: Option<LinkId>,
    /// Sessions in order of opening.
    pub sessions: Vec<Session>,
    /// Wrong codes since the last right one or the last link.
    pub wrong_codes: u32,
    /// The passkey that it registered last, with its counter as it was used last.
    pub passkey: Option<Passkey>,
    /// Whether since the last link a passkey was used that may be a copy.
    pub was_cloned: bool,
    /// What it read, as far as that is recorded.
    pub record_count: u32,
    /// Events by it and about it after those that all share.
    pub reserved_count: u32,
    /// How the mark was adopted, and the mark.
    pub adopted: Option<(AdoptionMethod, Veiled)>,
    /// The act, once it has acted.
    pub act: Option<Box<Act>>,
    /// When it acted.
    pub acted_at: Option<Time>,
    /// The newest accepted mail about the completed envelope.
    pub copied: Option<MailId>,
}

/// A link as issued; its secret is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedLink {
    /// Which.
    pub link: LinkId,
    /// The mail that carries it.
    pub mail: MailId,
    /// When it ends.
    pub expires_at: Time,
}

/// A signer's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which.
    pub session: SessionId,
    /// The link that opened it.
    pub link: LinkId,
    /// Factors passed, the link first.
    pub factors: Vec<Factor>,
    /// The newest code.
    pub code: Option<(CodeId, Time)>,
    /// Codes issued.
    pub code_count: u32,
    /// Whether the disclosure was shown.
    pub disclosure_shown: bool,
    /// The consent text agreed to.
    pub consent: Option<super::event::ConsentText>,
    /// Documents opened, with the digest served.
    pub opened: Vec<(DocumentId, Digest)>,
    /// Pages that came into view.
    pub shown: BTreeMap<DocumentId, BTreeSet<u32>>,
}

/// What the seal gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When.
    pub sealed_at: Time,
    /// The sealed documents.
    pub documents: Vec<SealedDocument>,
    /// SHA-256 of the sealed certificate of completion.
    pub certificate_sha256: Digest,
    /// Its size in bytes.
    pub certificate_size_bytes: u64,
    /// SHA-256 of the certificate that sealed (DER).
    pub seal_certificate_sha256: Digest,
}

/// An envelope with the end of its chain: what a use case loads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The state.
    pub state: State,
    /// Where the next event goes.
    pub chain: Chain,
    /// The date of the last event.
    pub last_at: Option<Time>,
    /// What the sender read, as far as that is recorded.
    pub sender_record_count: u32,
}

impl Contents {
    /// The recipient with this id.
    pub fn recipient(&self, id: RecipientId) -> Option<&Recipient> {
        self.recipients.iter().find(|recipient| recipient.id == id)
    }

    /// The document with this id.
    pub fn document(&self, id: DocumentId) -> Option<&Document> {
        self.documents.iter().find(|document| document.id == id)
    }

    /// The fields of one recipient, in reading order.
    pub fn fields_of(&self, recipient: RecipientId) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.recipient == recipient)
    }
}

impl Underway {
    /// How far `recipient` is.
    pub fn progress_of(&self, recipient: RecipientId) -> Option<&Progress> {
        self.progress.iter().find(|progress| progress.recipient == recipient)
    }

    fn progress_mut(&mut self, recipient: RecipientId) -> Option<&mut Progress> {
        self.progress.iter_mut().find(|progress| progress.recipient == recipient)
    }

    fn session_mut(&mut self, recipient: RecipientId, session: SessionId) -> Option<&mut Session> {
        self.progress_mut(recipient)?.sessions.iter_mut().find(|open| open.session == session)
    }

    /// The lowest routing order that still has someone to act; `None` when all have.
    pub fn current_order(&self) -> Option<u16> {
        let waiting = |recipient: &&Recipient| {
            recipient.role != Role::Copy
                && !self.progress_of(recipient.id).is_some_and(|progress| progress.status.is_done())
        };
        self.contents.recipients.iter().filter(waiting).map(|recipient| recipient.order).min()
    }

    /// Whether it is this recipient's turn.
    pub fn is_turn_of(&self, recipient: RecipientId) -> bool {
        self.contents.recipient(recipient).is_some_and(|recipient| {
            recipient.role != Role::Copy && self.current_order() == Some(recipient.order)
        })
    }
}

impl Progress {
    /// Whether too many wrong codes were typed since the last link, or a copied passkey used: then none is taken or made,
    /// whatever the recipient has done before (S-4).
    pub fn is_locked(&self) -> bool {
        self.wrong_codes >= limits::CODE_TRIES || self.was_cloned
    }

    /// Sessions that this link has opened.
    pub fn session_count(&self, link: LinkId) -> usize {
        self.sessions.iter().filter(|open| open.link == link).count()
    }

    /// Whether something may be done in this session: a newer link ends those of the earlier ones.
    pub fn is_current(&self, open: &Session) -> bool {
        self.link.as_ref().is_some_and(|issued| issued.link == open.link)
    }

    /// Whether the receipt may be read in this session: it is current, or was when the envelope was sealed and no link
    /// was asked for since.
    pub fn may_read(&self, open: &Session) -> bool {
        self.is_current(open) || self.sealed_link == Some(open.link)
    }

    /// Whether the recipient has been asked: its mail arrived, or it used its link.
    pub fn was_reached(&self) -> bool {
        !self.sessions.is_empty()
            || !matches!(self.status, RecipientStatus::Pending | RecipientStatus::Bounced)
    }

    /// The session with this id.
    pub fn session(&self, session: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|open| open.session == session)
    }
}

impl State {
    /// As it is written in answers and projections.
    pub fn status_text(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Draft(_) => "draft",
            Self::Sent(_) => "sent",
            Self::Sealing(..) => "sealing",
            Self::Completed(..) => "completed",
            Self::Declined(..) => "declined",
            Self::Voided(..) => "voided",
            Self::Expired(_) => "expired",
        }
    }

    /// What the sender put together, once created.
    pub fn contents(&self) -> Option<&Contents> {
        match self {
            Self::Absent => None,
            Self::Draft(contents) => Some(contents),
            Self::Voided(before, _) => before.contents(),
            _ => self.underway().map(|underway| &underway.contents),
        }
    }

    /// The recipients' progress, once sent.
    pub fn underway(&self) -> Option<&Underway> {
        match self {
            Self::Sent(underway)
            | Self::Sealing(underway, _)
            | Self::Completed(underway, _)
            | Self::Declined(underway, ..)
            | Self::Expired(underway) => Some(underway),
            Self::Voided(before, _) => before.underway(),
            Self::Absent | Self::Draft(_) => None,
        }
    }

    fn underway_mut(&mut self) -> Option<&mut Underway> {
        match self {
            Self::Sent(underway)
            | Self::Sealing(underway, _)
            | Self::Completed(underway, _)
            | Self::Declined(underway, ..)
            | Self::Expired(underway) => Some(underway),
            Self::Voided(before, _) => before.underway_mut(),
            Self::Absent | Self::Draft(_) => None,
        }
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: &Event) {
        match &event.body {
            Body::Created { .. } => self.create(event),
            Body::Sent { expires_at } => self.send(event.at, *expires_at),
            Body::Declined { recipient, reason, .. } => self.decline(*recipient, reason.clone(), event.at),
            Body::Voided { reason } => {
                let before = std::mem::take(self);
                *self = Self::Voided(Box::new(before), reason.clone());
            }
            Body::Expired => {
                *self = match std::mem::take(self) {
                    Self::Sent(underway) => Self::Expired(underway),
                    other => other,
                }
            }
            Body::SealingStarted { seal_certificate_sha256 } => {
                *self = match std::mem::take(self) {
                    Self::Sent(underway) => Self::Sealing(underway, *seal_certificate_sha256),
                    other => other,
                }
            }
            Body::Sealed { documents, certificate_sha256, certificate_size_bytes, .. } => {
                *self = match std::mem::take(self) {
                    Self::Sealing(mut underway, seal_certificate_sha256) => {
                        for progress in &mut underway.progress {
                            progress.sealed_link = progress.link.take().map(|issued| issued.link);
                        }
                        let outcome = Outcome {
                            sealed_at: event.at,
                            documents: documents.clone(),
                            certificate_sha256: *certificate_sha256,
                            certificate_size_bytes: *certificate_size_bytes,
                            seal_certificate_sha256,
                        };
                        Self::Completed(underway, outcome)
                    }
                    other => other,
                }
            }
            _ => {
                if let Some(underway) = self.underway_mut() {
                    underway.apply(event);
                }
            }
        }
    }

    fn create(&mut self, event: &Event) {
        let Body::Created {
            environment,
            organization,
            organization_name,
            title,
            message,
            documents,
            recipients,
            fields,
            lifetime_s,
            assurance,
        } = &event.body
        else {
            return;
        };
        *self = Self::Draft(Contents {
            created_at: event.at,
            environment: *environment,
            organization: *organization,
            organization_name: organization_name.clone(),
            title: title.clone(),
            message: message.clone(),
            documents: documents.clone(),
            recipients: recipients.clone(),
            fields: fields.clone(),
            lifetime_s: *lifetime_s,
            assurance: *assurance,
        });
    }

    fn send(&mut self, sent_at: Time, expires_at: Time) {
        *self = match std::mem::take(self) {
            Self::Draft(contents) => {
                let progress =
                    contents.recipients.iter().map(|recipient| Progress::new(recipient.id)).collect();
                Self::Sent(Underway { contents, sent_at, expires_at, progress })
            }
            other => other,
        }
    }

    fn decline(&mut self, recipient: RecipientId, reason: Option<Veiled>, at: Time) {
        *self = match std::mem::take(self) {
            Self::Sent(mut underway) => {
                if let Some(progress) = underway.progress_mut(recipient) {
                    progress.status = RecipientStatus::Declined;
                    progress.acted_at = Some(at);
                }
                Self::Declined(underway, recipient, reason)
            }
            other => other,
        }
    }
}

impl Progress {
    fn new(recipient: RecipientId) -> Self {
        Self {
            recipient,
            status: RecipientStatus::Pending,
            link: None,
            sealed_link: None,
            sessions: Vec::new(),
            wrong_codes: 0,
            passkey: None,
            was_cloned: false,
            record_count: 0,
            reserved_count: 0,
            adopted: None,
            act: None,
            acted_at: None,
            copied: None,
        }
    }

    /// Keeps the counter of a passkey that was used.
    fn used(&mut self, assertion: Option<&Assertion>) {
        let counted = assertion.and_then(Assertion::sign_count);
        if let Some((passkey, counted)) = self.passkey.as_mut().zip(counted) {
            passkey.sign_count = counted;
        }
    }

    fn acted(&mut self, status: RecipientStatus, act: &Act, at: Time) {
        self.status = status;
        self.act = Some(Box::new(act.clone()));
        self.acted_at = Some(at);
    }
}

impl Session {
    fn new(session: SessionId, link: LinkId) -> Self {
        Self {
            session,
            link,
            factors: vec![Factor::Link],
            code: None,
            code_count: 0,
            disclosure_shown: false,
            consent: None,
            opened: Vec::new(),
            shown: BTreeMap::new(),
        }
    }
}

impl Folded {
    /// Takes in a recorded event, whose chain was already followed.
    pub fn apply(&mut self, event: &Event) {
        self.state.apply(event);
        self.last_at = Some(event.at);
        let is_of_sender = !matches!(event.actor, Actor::Recipient { .. });
        self.sender_record_count += u32::from(is_of_sender && event.body.is_record());
    }
}
