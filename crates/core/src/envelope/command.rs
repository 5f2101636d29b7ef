//! What can be asked of an envelope, and the circumstances: time, dice and who asks come from the application.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use std::sync::Arc;

use super::{
    event::{
        AdoptionMethod, Download, Factor, FieldKind, IpSource, Rect, Role, SealedDocument, ShownDocument,
    },
    passkey::{Assertion, Registration, VerifyPasskey},
};
use crate::{
    access::Environment,
    digest::Digest,
    id::{
        ApiKeyId, ClientId, CodeId, CorrelationId, DocumentId, EnvelopeId, FieldId, GrantId, LinkId, MailId,
        OrganizationId, PersonId, RecipientId, SessionId, UserId,
    },
    level::Level,
    secret::{Personal, Secret},
    time::Time,
};

/// The circumstances of a command.
#[derive(Clone, Debug)]
pub struct Context {
    /// The server's time.
    pub now: Time,
    /// Who asks.
    pub actor: ActorNow,
    /// The request or job.
    pub correlation: CorrelationId,
    /// 32 random bytes: every salt and id of the decision is drawn from them.
    pub nonce: [u8; 32],
    /// SHA-256 of the certificate that seals at this time; `None` while there is none that is valid.
    pub seal_certificate_sha256: Option<Digest>,
    /// Verifies signatures of passkeys.
    pub passkeys: Arc<dyn VerifyPasskey>,
}

/// Who asks, with personal values not yet veiled.
#[derive(Clone, Debug)]
pub enum ActorNow {
    /// The server by itself.
    System,
    /// A program with an API key.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// Under whose key its personal values go.
        person: PersonId,
        /// From where.
        origin: OriginNow,
    },
    /// A client with an access token, for itself or for a member.
    Client {
        /// Which client.
        client: ClientId,
        /// For whom, where not for itself.
        user: Option<UserId>,
        /// The grant behind its token.
        grant: GrantId,
        /// Under whose key its personal values go.
        person: PersonId,
        /// From where.
        origin: OriginNow,
    },
    /// A recipient in a session.
    Recipient {
        /// Who.
        recipient: RecipientId,
        /// In which session.
        session: SessionId,
        /// From where.
        origin: OriginNow,
    },
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct OriginNow {
    /// Client address.
    pub ip: Personal<String>,
    /// How it was learnt.
    pub ip_source: IpSource,
    /// User agent.
    pub user_agent: Option<Personal<String>>,
    /// IANA time zone, as the client named it.
    pub time_zone: Option<String>,
}

/// Random values drawn from a context's nonce, each once: `HMAC-SHA256(nonce, counter)`.
#[derive(Debug)]
pub struct Dice<'a> {
    nonce: &'a [u8; 32],
    drawn: u64,
}

impl<'a> Dice<'a> {
    /// Dice for one decision.
    pub fn new(nonce: &'a [u8; 32]) -> Self {
        Self { nonce, drawn: 0 }
    }

    /// The next `N` bytes, at most 32.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32, "one draw is one HMAC-SHA256") };
        self.drawn += 1;
        let mut bytes = [0; N];
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.nonce) {
            mac.update(&self.drawn.to_be_bytes());
            for (to, from) in bytes.iter_mut().zip(mac.finalize().into_bytes()) {
                *to = from;
            }
        }
        bytes
    }
}

/// A document that was uploaded and inspected.
#[derive(Clone, Debug)]
pub struct UploadedDocument {
    /// Which.
    pub id: DocumentId,
    /// Its name.
    pub name: Personal<String>,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Width and height of each displayed page, in 1/100 pt.
    pub page_sizes_cpt: Vec<(u32, u32)>,
}

/// A recipient to be.
#[derive(Clone, Debug)]
pub struct NewRecipient {
    /// Person behind the address.
    pub person: PersonId,
    /// What is asked.
    pub role: Role,
    /// Routing order from 1.
    pub order: u16,
    /// Name.
    pub name: Personal<String>,
    /// E-mail address.
    pub email: Personal<String>,
    /// What must identify the person.
    pub factor: Factor,
    /// The keyed hash of the access code, where that identifies the person.
    pub access_code: Option<Personal<String>>,
}

/// A field to be. Documents and recipients are named by their position in the command's lists, from 0.
#[derive(Clone, Debug)]
pub struct NewField {
    /// Position in the documents.
    pub document_index: usize,
    /// Position in the recipients.
    pub recipient_index: usize,
    /// What kind.
    pub kind: FieldKind,
    /// Page from 1.
    pub page: u32,
    /// Where.
    pub rect: Rect,
    /// Whether it must be filled.
    pub required: bool,
    /// What it is called.
    pub label: String,
}

/// An envelope to be.
#[derive(Clone, Debug)]
pub struct NewEnvelope {
    /// Its id.
    pub envelope: EnvelopeId,
    /// Sandbox or live.
    pub environment: Environment,
    /// The organization.
    pub organization: OrganizationId,
    /// Its name.
    pub organization_name: String,
    /// Under whose key title, message and names of documents go.
    pub sender: PersonId,
    /// Title.
    pub title: Personal<String>,
    /// Message.
    pub message: Option<Personal<String>>,
    /// Documents.
    pub documents: Vec<UploadedDocument>,
    /// Recipients.
    pub recipients: Vec<NewRecipient>,
    /// Fields.
    pub fields: Vec<NewField>,
    /// Life after sending, in seconds.
    pub lifetime_s: i64,
    /// What everybody who signs or approves must reach.
    pub assurance: Option<Level>,
}

/// What a recipient hands in at the end.
#[derive(Clone, Debug)]
pub struct Submission {
    /// In which session.
    pub session: SessionId,
    /// The documents as the page rendered them.
    pub documents: Vec<ShownDocument>,
    /// The values typed; those that the server sets are left out.
    pub values: Vec<(FieldId, Personal<String>)>,
    /// How the mark was adopted and the mark: the typed name, or the strokes as JSON.
    pub adopted: Option<(AdoptionMethod, Personal<String>)>,
    /// SHA-256 of the consent text agreed to.
    pub consent_sha256: Digest,
    /// The label of the button.
    pub label: Personal<String>,
    /// The session's nonce.
    pub nonce: Digest,
    /// What the salts of the act's values are drawn from, where a passkey signs it: the same for its challenge and for the
    /// act. The decision's own dice elsewhere.
    pub salts: Option<Secret<[u8; 32]>>,
    /// The passkey's assertion over the act.
    pub assertion: Option<Assertion>,
}

/// What can be asked.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields of the variants are named after the types that document them")]
pub enum Command {
    /// Create it.
    Create(Box<NewEnvelope>),
    /// Send it.
    Send,
    /// Issue new links: to those whose turn it is, and once all have acted to everybody; or to one recipient, who may
    /// also have acted already.
    Resend { recipient: Option<RecipientId> },
    /// End it as the sender. Voiding twice changes nothing.
    Void { reason: Option<Personal<String>> },
    /// End it because its time is over; nothing happens before.
    Expire,
    /// The mail with a link, or that the envelope was voided or declined, was accepted.
    RecordNotified { recipient: RecipientId, mail: MailId },
    /// A mail was refused for good.
    RecordBounced { recipient: RecipientId, mail: MailId, smtp_status: u16 },
    /// Open a session with a link whose secret was checked.
    OpenSession { recipient: RecipientId, link: LinkId, session: SessionId },
    /// Make a code.
    IssueCode { recipient: RecipientId, session: SessionId, code: CodeId },
    /// The mail with a code was accepted.
    RecordCodeDelivered { recipient: RecipientId, mail: MailId },
    /// A code was typed; whether it was right was found in constant time.
    TryCode { recipient: RecipientId, session: SessionId, code: CodeId, right: bool },
    /// An access code was typed; whether it was right was found in constant time.
    TryAccessCode { recipient: RecipientId, session: SessionId, right: bool },
    /// A code of the member's authenticator app was typed; whether it was right was found in constant time. Whoever asks this
    /// spends the code in the same commit.
    TryTotp { recipient: RecipientId, session: SessionId, right: bool },
    /// Register a passkey that was made on a page of this web origin.
    RegisterPasskey { recipient: RecipientId, session: SessionId, origin: String, registration: Registration },
    /// Be identified by the registered passkey.
    UsePasskey { recipient: RecipientId, session: SessionId, assertion: Assertion },
    /// The disclosure is being shown.
    ShowDisclosure { recipient: RecipientId, session: SessionId, version: String, sha256: Digest },
    /// The recipient agrees to the disclosure.
    GiveConsent { recipient: RecipientId, session: SessionId, version: String, sha256: Digest },
    /// A document's bytes, with this digest, go to the reader.
    OpenDocument { recipient: RecipientId, session: SessionId, document: DocumentId, sha256: Digest },
    /// Pages came into view.
    ShowPages {
        recipient: RecipientId,
        session: SessionId,
        document: DocumentId,
        sha256: Digest,
        pages: Vec<u32>,
    },
    /// Sign, approve or confirm reading, as the role asks.
    Submit { recipient: RecipientId, submission: Box<Submission> },
    /// Decline.
    Decline { recipient: RecipientId, session: SessionId, reason: Option<Personal<String>> },
    /// The seal was made.
    RecordSealed {
        documents: Vec<SealedDocument>,
        certificate_sha256: Digest,
        certificate_size_bytes: u64,
        checkpoint_size: u64,
    },
    /// The mail about completion was accepted.
    RecordCopied { recipient: RecipientId, mail: MailId },
    /// Something is being downloaded.
    RecordDownload { what: Download },
    /// The evidence package is being exported.
    RecordExport,
}
