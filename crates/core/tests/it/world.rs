//! An envelope under test, with a clock and dice of its own.

use std::sync::Arc;

use countersign_core::{
    access::Environment,
    digest::Digest,
    envelope::{
        Body, Chain, Command, Context, Recorded, State,
        command::{ActorNow, NewEnvelope, NewField, NewRecipient, OriginNow, Submission, UploadedDocument},
        decide,
        event::{AdoptionMethod, Factor, FieldKind, IpSource, Rect, Role, ShownDocument},
        fields::button_label,
        passkey::{PublicKey, VerifyPasskey},
        state::{Contents, Folded},
    },
    id::{
        ApiKeyId, CodeId, CorrelationId, DocumentId, EnvelopeId, LinkId, OrganizationId, PersonId,
        RecipientId, SessionId,
    },
    refusal::{Code, Refusal},
    secret::Personal,
    time::Time,
};

pub(crate) const TITLE: &str = "Lease of 12 Rose Street";
pub(crate) const CONSENT: &str = "I agree to do business electronically.";

/// Stands for a signature: the hash of the key's first coordinate and the message.
#[derive(Debug)]
pub(crate) struct Toy;

/// What [`Toy`] takes for a signature.
pub(crate) fn toy_signature(x: &[u8; 32], message: &[u8]) -> Vec<u8> {
    Digest::of_parts(&[x, message]).0.to_vec()
}

impl VerifyPasskey for Toy {
    fn is_signed(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let (PublicKey::Es256 { x, .. } | PublicKey::EdDsa(x)) = key;
        toy_signature(x, message) == signature
    }
}

pub(crate) struct World {
    pub(crate) folded: Folded,
    pub(crate) recorded: Vec<Recorded>,
    pub(crate) now: Time,
    pub(crate) can_seal: bool,
    dice: u64,
}

pub(crate) fn personal(text: &str) -> Personal<String> {
    Personal::new(text.to_owned())
}

pub(crate) fn recipient(index: u8, role: Role, order: u16) -> NewRecipient {
    NewRecipient {
        person: PersonId::from_bytes([index; 16]),
        role,
        order,
        name: personal(&format!("Person {index}")),
        email: personal(&format!("person{index}@example.com")),
        factor: Factor::EmailCode,
        access_code: None,
    }
}

pub(crate) fn field(recipient_index: usize, kind: FieldKind, required: bool) -> NewField {
    NewField {
        document_index: 0,
        recipient_index,
        kind,
        page: 1,
        rect: Rect { x_cpt: 1_000, y_cpt: 1_000, width_cpt: 10_000, height_cpt: 2_000 },
        required,
        label: "Here".to_owned(),
    }
}

pub(crate) fn new_envelope(recipients: Vec<NewRecipient>, fields: Vec<NewField>) -> NewEnvelope {
    let document = |index: u8| UploadedDocument {
        id: DocumentId::from_bytes([index; 16]),
        name: personal(&format!("document {index}.pdf")),
        sha256: Digest::of(&[index]),
        size_bytes: 1_000,
        page_sizes_cpt: vec![(59_500, 84_200); 2],
    };
    NewEnvelope {
        envelope: World::envelope(),
        environment: Environment::Live,
        organization: OrganizationId::from_bytes([7; 16]),
        organization_name: "Rose Lettings".to_owned(),
        sender: PersonId::from_bytes([200; 16]),
        title: personal(TITLE),
        message: Some(personal("Please sign.")),
        documents: vec![document(1), document(2)],
        recipients,
        fields,
        lifetime_s: 3_600,
        assurance: None,
    }
}

pub(crate) fn origin() -> OriginNow {
    OriginNow {
        ip: personal("192.0.2.7"),
        ip_source: IpSource::Connection,
        user_agent: Some(personal("Test/1.0")),
        time_zone: Some("Europe/Zurich".to_owned()),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folded: Folded::default(),
            recorded: Vec::new(),
            now: Time::from_unix_ms(1_795_000_000_000),
            can_seal: true,
            dice: 0,
        }
    }

    pub(crate) fn envelope() -> EnvelopeId {
        EnvelopeId::from_bytes([9; 16])
    }

    /// An envelope that was sent to these recipients.
    pub(crate) fn sent(recipients: Vec<NewRecipient>, fields: Vec<NewField>) -> Self {
        let mut world = Self::new();
        world.by_sender(Command::Create(Box::new(new_envelope(recipients, fields)))).unwrap();
        world.by_sender(Command::Send).unwrap();
        world
    }

    pub(crate) fn roll(&mut self) -> [u8; 32] {
        self.dice += 1;
        Digest::of(&self.dice.to_be_bytes()).0
    }

    /// The circumstances of the next command.
    pub(crate) fn context(&mut self, actor: ActorNow) -> Context {
        Context {
            now: self.now,
            actor,
            correlation: CorrelationId::from_bytes([3; 16]),
            nonce: self.roll(),
            seal_certificate_sha256: self.can_seal.then(|| Digest::of(b"certificate")),
            passkeys: Arc::new(Toy),
        }
    }

    fn run(&mut self, command: Command, actor: ActorNow) -> Result<Vec<Body>, Refusal> {
        let context = self.context(actor);
        let events = decide(Self::envelope(), &self.folded, command, &context)?;
        for event in &events {
            let recorded = self.folded.chain.record(event.clone());
            self.folded.apply(&recorded.event);
            self.recorded.push(recorded);
        }
        Ok(events.into_iter().map(|event| event.body).collect())
    }

    pub(crate) fn by_sender(&mut self, command: Command) -> Result<Vec<Body>, Refusal> {
        let key = ApiKeyId::from_bytes([5; 16]);
        let person = PersonId::from_bytes([200; 16]);
        self.run(command, ActorNow::ApiKey { key, person, origin: origin() })
    }

    pub(crate) fn by_system(&mut self, command: Command) -> Result<Vec<Body>, Refusal> {
        self.run(command, ActorNow::System)
    }

    pub(crate) fn by(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        command: Command,
    ) -> Result<Vec<Body>, Refusal> {
        self.run(command, ActorNow::Recipient { recipient, session, origin: origin() })
    }

    pub(crate) fn contents(&self) -> Contents {
        self.folded.state.contents().expect("created").clone()
    }

    pub(crate) fn recipient(&self, index: usize) -> RecipientId {
        self.contents().recipients[index].id
    }

    pub(crate) fn link(&self, recipient: RecipientId) -> Option<LinkId> {
        Some(self.folded.state.underway()?.progress_of(recipient)?.link.as_ref()?.link)
    }

    pub(crate) fn open_session(&mut self, recipient: RecipientId) -> Result<SessionId, Refusal> {
        let link = self.link(recipient).unwrap_or(LinkId::from_bytes([0; 16]));
        let random: [u8; 32] = self.roll();
        let session = SessionId::from_bytes(random[..16].try_into().unwrap());
        self.by(recipient, session, Command::OpenSession { recipient, link, session })?;
        Ok(session)
    }

    pub(crate) fn issue_code(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
    ) -> Result<CodeId, Refusal> {
        let random: [u8; 32] = self.roll();
        let code = CodeId::from_bytes(random[..16].try_into().unwrap());
        self.by(recipient, session, Command::IssueCode { recipient, session, code })?;
        Ok(code)
    }

    pub(crate) fn try_code(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        code: CodeId,
        right: bool,
    ) -> Result<Vec<Body>, Refusal> {
        self.by(recipient, session, Command::TryCode { recipient, session, code, right })
    }

    /// A session of an identified recipient.
    pub(crate) fn identified(&mut self, recipient: RecipientId) -> SessionId {
        let session = self.open_session(recipient).unwrap();
        let code = self.issue_code(recipient, session).unwrap();
        self.try_code(recipient, session, code, true).unwrap();
        session
    }

    pub(crate) fn consent(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
    ) -> Result<Vec<Body>, Refusal> {
        let (version, sha256) = ("2026-11".to_owned(), Digest::of(CONSENT.as_bytes()));
        self.by(
            recipient,
            session,
            Command::ShowDisclosure { recipient, session, version: version.clone(), sha256 },
        )?;
        self.by(recipient, session, Command::GiveConsent { recipient, session, version, sha256 })
    }

    pub(crate) fn open_documents(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
    ) -> Result<(), Refusal> {
        for document in self.contents().documents {
            let (document, sha256) = (document.id, document.sha256);
            self.by(recipient, session, Command::OpenDocument { recipient, session, document, sha256 })?;
        }
        Ok(())
    }

    /// A session in which everything but the act is done.
    pub(crate) fn ready(&mut self, recipient: RecipientId) -> SessionId {
        let session = self.identified(recipient);
        self.consent(recipient, session).unwrap();
        self.open_documents(recipient, session).unwrap();
        session
    }

    /// What the page hands in, without typed values.
    pub(crate) fn submission(&mut self, recipient: RecipientId, session: SessionId) -> Submission {
        let contents = self.contents();
        let role = contents.recipient(recipient).map_or(Role::Signer, |one| one.role);
        let shown = contents.documents.iter().map(|document| ShownDocument {
            document: document.id,
            sha256: document.sha256,
            page_count: document.page_count,
        });
        Submission {
            session,
            documents: shown.collect(),
            values: Vec::new(),
            adopted: (role == Role::Signer).then(|| (AdoptionMethod::Typed, personal("P. One"))),
            consent_sha256: Digest::of(CONSENT.as_bytes()),
            label: personal(&button_label(role, TITLE)),
            nonce: Digest(self.roll()),
            salts: None,
            assertion: None,
        }
    }

    pub(crate) fn submit(
        &mut self,
        recipient: RecipientId,
        submission: Submission,
    ) -> Result<Vec<Body>, Refusal> {
        let session = submission.session;
        self.by(recipient, session, Command::Submit { recipient, submission: Box::new(submission) })
    }

    /// Everything that a recipient does, to the act.
    pub(crate) fn act(&mut self, recipient: RecipientId) {
        let session = self.ready(recipient);
        let submission = self.submission(recipient, session);
        self.submit(recipient, submission).unwrap();
    }

    /// What the recorded bytes alone give.
    pub(crate) fn refolded(&self) -> Folded {
        let mut folded = Folded { chain: Chain::default(), ..Folded::default() };
        for recorded in &self.recorded {
            let followed = folded.chain.follow(&recorded.bytes).expect("it follows");
            assert_eq!((followed.hash, &followed.event), (recorded.hash, &recorded.event));
            folded.apply(&followed.event);
        }
        folded
    }

    pub(crate) fn state(&self) -> &State {
        &self.folded.state
    }
}

/// The code of a refusal; fails where there was none.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Code {
    result.expect_err("this must be refused").code
}

/// The types of events.
pub(crate) fn types(bodies: &[Body]) -> Vec<&'static str> {
    bodies.iter().map(Body::type_text).collect()
}
