//! An envelope from its creation to its package, with fixed keys, dice and clock: two documents, a signer, then an
//! approver and a viewer, and somebody who gets a copy.

use std::{
    borrow::Cow,
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

use crate::passkeys::Authenticator;
use countersign_core::{
    access::Environment,
    digest::Digest,
    envelope::{
        Command, Context, Event, Recorded, challenge_of_act,
        command::{ActorNow, NewEnvelope, NewField, NewRecipient, OriginNow, Submission, UploadedDocument},
        decide,
        event::{
            AdoptionMethod, Download, Factor, FieldKind, IpSource, Rect, Role, SealedDocument, ShownDocument,
        },
        fields::button_label,
        state::Folded,
    },
    id::{
        ApiKeyId, CodeId, CorrelationId, DocumentId, EnvelopeId, LinkId, MailId, OrganizationId, PersonId,
        RecipientId, SessionId,
    },
    level::Level,
    limits,
    secret::{Personal, Secret},
    time::Time,
};
use countersign_pdf::{
    inspect::{Limits, Original},
    objects::NewObjects,
    seal::{Attachment, SealKey as _, SealRequest, SignerText, SoftwareKey, UtcTime, seal},
};
use countersign_tlog::{
    Checkpoint, Edge, LogSigner, ProofFile, TileSet, Verifier, inclusion_proof, leaf_hash, sign_checkpoint,
};
use countersign_verify::{
    ConsentFile, LoggedEvent, Package, PackageDocument, PurePasskeys, Subject, System, Trail,
};

pub(crate) const TITLE: &str = "Lease of 12 Rose Street";
pub(crate) const CONSENT: &str = "I agree to do business electronically.\n";
pub(crate) const CONSENT_VERSION: &str = "2026-11-en";
const ORIGIN: &str = "log.countersign.example/sandbox";

pub(crate) fn personal(text: &str) -> Personal<String> {
    Personal::new(text.to_owned())
}

pub(crate) fn envelope() -> EnvelopeId {
    EnvelopeId::from_bytes([9; 16])
}

pub(crate) fn document_ids() -> [DocumentId; 2] {
    [DocumentId::from_bytes([1; 16]), DocumentId::from_bytes([2; 16])]
}

/// A PDF of `pages` pages with nothing on them, its cross-reference table right to the byte.
pub(crate) fn pdf(pages: usize, name: &str) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    let kids: String = (0..pages).fold(String::new(), |kids, page| kids + &format!("{} 0 R ", page + 3));
    objects.push(format!("<< /Type /Pages /Count {pages} /Kids [ {kids}] >>"));
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> >>";
    objects.extend((0..pages).map(|_| page.to_owned()));
    let mut pdf = format!("%PDF-1.7\n% {name}\n");
    let mut table = String::from("0000000000 65535 f \n");
    for (object, number) in objects.iter().zip(1..) {
        writeln!(table, "{:010} 00000 n ", pdf.len()).expect("a string");
        writeln!(pdf, "{number} 0 obj\n{object}\nendobj").expect("a string");
    }
    let (start, size) = (pdf.len(), objects.len() + 1);
    let trailer = format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    pdf = [pdf, format!("xref\n0 {size}\n"), table, trailer].concat();
    pdf.into_bytes()
}

pub(crate) fn originals() -> [Vec<u8>; 2] {
    [pdf(2, "lease"), pdf(1, "annex")]
}

pub(crate) fn seal_key() -> SoftwareKey {
    seal_key_with(include_bytes!("../fixtures/seal-certificate.der"))
}

/// The key that seals, with another certificate.
pub(crate) fn seal_key_with(certificate: &[u8]) -> SoftwareKey {
    SoftwareKey::from_pkcs8_der(include_bytes!("../fixtures/seal-key.pk8"), vec![certificate.to_vec()])
        .expect("a P-256 key")
}

pub(crate) fn log_signer() -> LogSigner {
    LogSigner::from_seed(ORIGIN, &[42; 32]).expect("a name")
}

pub(crate) fn keys() -> Vec<Verifier> {
    vec![log_signer().verifier()]
}

/// The key of somebody else who calls the log by the same name.
pub(crate) fn forger() -> LogSigner {
    LogSigner::from_seed(ORIGIN, &[43; 32]).expect("a name")
}

pub(crate) fn system() -> System {
    System {
        software: "Countersign".to_owned(),
        version: "0.1.0".to_owned(),
        issuer: "https://countersign.example".to_owned(),
        log_origin: ORIGIN.to_owned(),
        log_vkey: log_signer().verifier().to_string(),
        seal_key: "O=Countersign tests, CN=Test seal".to_owned(),
        factors: [
            (
                "email_code".to_owned(),
                "A code mailed to the address and typed into the same browser.".to_owned(),
            ),
            ("link".to_owned(), "Having the link, which was mailed to the address.".to_owned()),
        ]
        .into(),
    }
}

/// The envelope in the making.
pub(crate) struct Story {
    folded: Folded,
    pub(crate) events: Vec<Event>,
    now: Time,
    dice: u64,
    passkey: Option<Authenticator>,
}

impl Story {
    fn new() -> Self {
        let now = Time::from_unix_ms(1_795_000_000_000);
        Self { folded: Folded::default(), events: Vec::new(), now, dice: 0, passkey: None }
    }

    /// Goes on after these events, which were recorded in their chain.
    fn after(recorded: &[Recorded]) -> Self {
        let mut story = Self { dice: 1_000_000, ..Self::new() };
        for one in recorded {
            story.folded.chain.follow(&one.bytes).expect("recorded");
            story.folded.apply(&one.event);
            story.now = one.event.at;
            story.events.push(one.event.clone());
        }
        story
    }

    fn roll(&mut self) -> [u8; 32] {
        self.dice += 1;
        Digest::of(&self.dice.to_be_bytes()).0
    }

    fn roll_16(&mut self) -> [u8; 16] {
        self.roll()[..16].try_into().expect("16")
    }

    fn run(&mut self, command: Command, actor: ActorNow) {
        self.now = self.now.plus_ms(1_250);
        let context = self.context(actor);
        let told = format!("{command:?}");
        let events = decide(envelope(), &self.folded, command, &context).expect(&told);
        for event in events {
            let recorded = self.folded.chain.record(event);
            self.folded.apply(&recorded.event);
            self.events.push(recorded.event);
        }
    }

    /// The circumstances of a command.
    fn context(&mut self, actor: ActorNow) -> Context {
        Context {
            now: self.now,
            actor,
            correlation: CorrelationId::from_bytes(self.roll_16()),
            nonce: self.roll(),
            seal_certificate_sha256: Some(Digest::of(&seal_key().certificate_chain()[0])),
            passkeys: Arc::new(PurePasskeys),
        }
    }

    fn origin(ip: &str) -> OriginNow {
        OriginNow {
            ip: personal(ip),
            ip_source: IpSource::TrustedProxy,
            user_agent: Some(personal("Mozilla/5.0 (X11; Linux x86_64)")),
            time_zone: Some("Europe/Zurich".to_owned()),
        }
    }

    fn by_sender(&mut self, command: Command) {
        let key = ApiKeyId::from_bytes([5; 16]);
        let person = PersonId::from_bytes([200; 16]);
        self.run(command, ActorNow::ApiKey { key, person, origin: Self::origin("192.0.2.1") });
    }

    pub(crate) fn by(&mut self, recipient: RecipientId, session: SessionId, command: Command) {
        self.run(command, ActorNow::Recipient { recipient, session, origin: Self::origin("198.51.100.7") });
    }

    fn recipient(&self, index: usize) -> RecipientId {
        self.folded.state.contents().expect("created").recipients[index].id
    }

    fn mail(&self, recipient: RecipientId) -> MailId {
        let underway = self.folded.state.underway().expect("sent");
        underway.progress_of(recipient).and_then(|one| one.link.as_ref()).expect("a link").mail
    }

    fn link(&self, recipient: RecipientId) -> LinkId {
        let underway = self.folded.state.underway().expect("sent");
        underway.progress_of(recipient).and_then(|one| one.link.as_ref()).expect("a link").link
    }

    fn code(&mut self, recipient: RecipientId, session: SessionId, right: bool) {
        let code = CodeId::from_bytes(self.roll_16());
        let mail = MailId::from_bytes(self.roll_16());
        self.by(recipient, session, Command::IssueCode { recipient, session, code });
        self.run(Command::RecordCodeDelivered { recipient, mail }, ActorNow::System);
        self.by(recipient, session, Command::TryCode { recipient, session, code, right });
    }

    /// A session that the recipient's link opens.
    fn session(&mut self, recipient: RecipientId) -> SessionId {
        let session = SessionId::from_bytes(self.roll_16());
        let link = self.link(recipient);
        self.by(recipient, session, Command::OpenSession { recipient, link, session });
        session
    }

    /// A recipient's ceremony to the act.
    fn act(&mut self, recipient: RecipientId, typed: &[&str]) {
        let mail = self.mail(recipient);
        self.run(Command::RecordNotified { recipient, mail }, ActorNow::System);
        let session = self.session(recipient);
        let factor = self.folded.state.contents().and_then(|contents| contents.recipient(recipient));
        let factor = factor.expect("a recipient").factor;
        for right in [false, true] {
            match factor {
                Factor::AccessCode => {
                    self.by(recipient, session, Command::TryAccessCode { recipient, session, right });
                }
                Factor::Totp => self.by(recipient, session, Command::TryTotp { recipient, session, right }),
                Factor::Link | Factor::EmailCode | Factor::Passkey => self.code(recipient, session, right),
            }
        }
        let passkey = self.passkey.clone().filter(|_| factor == Factor::Passkey);
        if let Some(mut passkey) = passkey.clone() {
            self.pass(recipient, session, &mut passkey);
            self.passkey = Some(passkey);
        }
        let (version, sha256) = (CONSENT_VERSION.to_owned(), Digest::of(CONSENT.as_bytes()));
        self.by(
            recipient,
            session,
            Command::ShowDisclosure { recipient, session, version: version.clone(), sha256 },
        );
        self.by(recipient, session, Command::GiveConsent { recipient, session, version, sha256 });
        let contents = self.folded.state.contents().expect("created").clone();
        for document in &contents.documents {
            let (document, sha256) = (document.id, document.sha256);
            self.by(recipient, session, Command::OpenDocument { recipient, session, document, sha256 });
            self.by(
                recipient,
                session,
                Command::ShowPages { recipient, session, document, sha256, pages: vec![1] },
            );
        }
        let role = contents.recipient(recipient).expect("a recipient").role;
        let fields = contents.fields_of(recipient).filter(|field| {
            matches!(field.kind, FieldKind::Text { .. } | FieldKind::Radio { .. } | FieldKind::Number { .. })
        });
        let values = fields.zip(typed).map(|(field, value)| (field.id, personal(value))).collect();
        let shown = contents.documents.iter().map(|document| ShownDocument {
            document: document.id,
            sha256: document.sha256,
            page_count: document.page_count,
        });
        let mut submission = Submission {
            session,
            documents: shown.collect(),
            values,
            adopted: (role == Role::Signer).then(|| (AdoptionMethod::Typed, personal("Ada L."))),
            consent_sha256: sha256,
            label: personal(&button_label(role, TITLE)),
            nonce: Digest(self.roll()),
            salts: passkey.is_some().then(|| Secret::new(self.roll())),
            assertion: None,
        };
        if let Some(mut passkey) = self.passkey.clone().filter(|_| factor == Factor::Passkey) {
            let now = self.now.plus_ms(1_250);
            let actor = ActorNow::Recipient { recipient, session, origin: Self::origin("198.51.100.7") };
            let context = Context { now, ..self.context(actor) };
            let asked = challenge_of_act(envelope(), &self.folded, recipient, submission.clone(), &context);
            submission.assertion = Some(passkey.assertion(asked.expect("an act")));
            self.passkey = Some(passkey);
        }
        self.by(recipient, session, Command::Submit { recipient, submission: Box::new(submission) });
    }
}

fn new_envelope(environment: Environment) -> NewEnvelope {
    let documents = document_ids().into_iter().zip(originals()).zip([2, 1]).map(|((id, bytes), pages)| {
        UploadedDocument {
            id,
            name: personal("lease.pdf"),
            sha256: Digest::of(&bytes),
            size_bytes: bytes.len() as u64,
            page_sizes_cpt: vec![(59_500, 84_200); pages],
        }
    });
    let recipient = |index: u8, role, order, name: &str| NewRecipient {
        person: PersonId::from_bytes([index; 16]),
        role,
        order,
        name: personal(name),
        email: personal(&format!("person{index}@example.com")),
        factor: Factor::EmailCode,
        access_code: None,
    };
    let field = |recipient_index, kind, y_cpt| NewField {
        document_index: 0,
        recipient_index,
        kind,
        page: 1,
        rect: Rect { x_cpt: 10_000, y_cpt, width_cpt: 10_000, height_cpt: 2_000 },
        required: true,
        label: "Here".to_owned(),
    };
    let radio = || FieldKind::Radio { group: "Rent".to_owned() };
    NewEnvelope {
        envelope: envelope(),
        environment,
        organization: OrganizationId::from_bytes([7; 16]),
        organization_name: "Rose Lettings".to_owned(),
        sender: PersonId::from_bytes([200; 16]),
        title: personal(TITLE),
        message: Some(personal("Please sign.\nThank you.")),
        documents: documents.collect(),
        recipients: vec![
            recipient(1, Role::Signer, 1, "Ada Lovelace"),
            recipient(2, Role::Approver, 2, "Βασιλική Πέτρου"),
            recipient(3, Role::Viewer, 2, "Chidi Obi"),
            recipient(4, Role::Copy, 1, "Dora"),
        ],
        fields: vec![
            field(0, FieldKind::Signature, 10_000),
            field(0, FieldKind::Initials, 20_000),
            field(0, FieldKind::DateSigned, 30_000),
            field(0, FieldKind::Text { max_chars: 40, multiline: false }, 40_000),
            field(0, FieldKind::Email, 50_000),
            field(0, radio(), 60_000),
            field(0, radio(), 70_000),
            field(1, FieldKind::Number { decimals: 2 }, 10_000),
        ],
        lifetime_s: 86_400,
        assurance: None,
    }
}

/// The events up to `envelope.sealing`.
pub(crate) fn until_sealing() -> Vec<Event> {
    until_sealing_in(Environment::Live)
}

/// The same of a sandbox or a live envelope.
pub(crate) fn until_sealing_in(environment: Environment) -> Vec<Event> {
    let mut story = Story::new();
    story.by_sender(Command::Create(Box::new(new_envelope(environment))));
    story.by_sender(Command::Send);
    let (signer, approver, viewer) = (story.recipient(0), story.recipient(1), story.recipient(2));
    let mail = story.mail(signer);
    story.run(Command::RecordBounced { recipient: signer, mail, smtp_status: 450 }, ActorNow::System);
    story.by_sender(Command::Resend { recipient: None });
    story.act(signer, &["two cats", "true", "false"]);
    story.act(viewer, &[]);
    story.act(approver, &["1250.00"]);
    story.events
}

/// The same of an envelope whose recipients are all identified by passkeys, and sign with them.
pub(crate) fn until_sealing_with(passkey: Authenticator) -> Vec<Event> {
    let mut new = new_envelope(Environment::Live);
    for recipient in &mut new.recipients {
        recipient.factor = Factor::Passkey;
    }
    new.assurance = Some(Level::Aal2Phr);
    let mut story = Story { passkey: Some(passkey), ..Story::new() };
    story.by_sender(Command::Create(Box::new(new)));
    story.by_sender(Command::Send);
    let (signer, approver, viewer) = (story.recipient(0), story.recipient(1), story.recipient(2));
    story.act(signer, &["two cats", "true", "false"]);
    story.act(viewer, &[]);
    story.act(approver, &["1250.00"]);
    story.events
}

/// The same of an envelope whose approver typed a code of a member's authenticator app.
pub(crate) fn until_sealing_with_an_app() -> Vec<Event> {
    let mut new = new_envelope(Environment::Live);
    new.recipients[1].factor = Factor::Totp;
    let mut story = Story::new();
    story.by_sender(Command::Create(Box::new(new)));
    story.by_sender(Command::Send);
    let (signer, approver, viewer) = (story.recipient(0), story.recipient(1), story.recipient(2));
    story.act(signer, &["two cats", "true", "false"]);
    story.act(viewer, &[]);
    story.act(approver, &["1250.00"]);
    story.events
}

/// The same of an envelope in which a copied passkey was used and locked the link of the signer, who then made another,
/// and whose approver typed an access code.
pub(crate) fn until_sealing_after_a_copy() -> Vec<Event> {
    let mut new = new_envelope(Environment::Live);
    new.recipients[0].factor = Factor::Passkey;
    new.recipients[1].factor = Factor::AccessCode;
    new.recipients[1].access_code = Some(personal("00ff"));
    let mut story = Story { passkey: Some(Authenticator::es256()), ..Story::new() };
    story.by_sender(Command::Create(Box::new(new)));
    story.by_sender(Command::Send);
    let (signer, approver, viewer) = (story.recipient(0), story.recipient(1), story.recipient(2));
    let session = story.session(signer);
    story.code(signer, session, true);
    let mut passkey = Authenticator::es256();
    story.pass(signer, session, &mut passkey);
    let later = story.session(signer);
    story.identify(signer, later, &mut Authenticator::es256());
    story.by_sender(Command::Resend { recipient: None });
    story.act(signer, &["two cats", "true", "false"]);
    story.act(viewer, &[]);
    story.act(approver, &["1250.00"]);
    story.events
}

/// The same of an envelope for as many as there can be, whose sender mailed links until all shared room was used.
pub(crate) fn until_sealing_when_full() -> Vec<Event> {
    let mut new = new_envelope(Environment::Live);
    let more = (new.recipients.len()..limits::RECIPIENTS_PER_ENVELOPE).map(|index| NewRecipient {
        person: PersonId::from_bytes([u8::try_from(index).expect("few"); 16]),
        role: Role::Signer,
        order: 1,
        name: personal("One of many"),
        email: personal(&format!("one{index}@example.com")),
        factor: Factor::EmailCode,
        access_code: None,
    });
    new.recipients.extend(more);
    let mut story = Story::new();
    story.by_sender(Command::Create(Box::new(new)));
    story.by_sender(Command::Send);
    while (story.events.len() as u64) < limits::EVENTS_IN_COMMON {
        story.by_sender(Command::Resend { recipient: None });
    }
    story.act(story.recipient(0), &["two cats", "true", "false"]);
    for index in 4..limits::RECIPIENTS_PER_ENVELOPE {
        story.act(story.recipient(index), &[]);
    }
    story.act(story.recipient(2), &[]);
    story.act(story.recipient(1), &["1250.00"]);
    story.events
}

/// Records events in a chain of their own.
pub(crate) fn record(events: Vec<Event>) -> Vec<Recorded> {
    let mut chain = countersign_core::envelope::Chain::default();
    events.into_iter().map(|event| chain.record(event)).collect()
}

/// A log that others write to as well.
pub(crate) struct Log {
    edge: Edge,
    tiles: TileSet,
    pub(crate) signer: LogSigner,
}

impl Log {
    pub(crate) fn new(signer: LogSigner) -> Self {
        Self { edge: Edge::empty(), tiles: TileSet::new(), signer }
    }

    fn append(&mut self, entry: &[u8]) -> u64 {
        let index = self.edge.size();
        for (id, content) in self.edge.append(&[leaf_hash(entry)]).expect("room").tiles {
            self.tiles.insert(id, content).expect("a wider tile");
        }
        index
    }

    fn log(&mut self, recorded: &Recorded) -> LoggedEvent {
        for noise in 0..recorded.event.seq % 4 {
            self.append(&[u8::try_from(noise).expect("small"); 48]);
        }
        let leaf_id = Digest::of(&self.edge.size().to_be_bytes()).0[..16].try_into().expect("16");
        let leaf = countersign_core::envelope::encode::leaf(&leaf_id, &recorded.hash);
        LoggedEvent { recorded: recorded.clone(), leaf_id, log_index: self.append(&leaf) }
    }

    /// Many events at once, and nothing of others between them.
    fn log_all(&mut self, recorded: &[Recorded]) -> Vec<LoggedEvent> {
        let logged = (self.edge.size()..).zip(recorded).map(|(log_index, recorded)| {
            let leaf_id = Digest::of(&log_index.to_be_bytes()).0[..16].try_into().expect("16");
            LoggedEvent { recorded: recorded.clone(), leaf_id, log_index }
        });
        let logged: Vec<LoggedEvent> = logged.collect();
        let leaf = |one: &LoggedEvent| {
            leaf_hash(&countersign_core::envelope::encode::leaf(&one.leaf_id, &one.recorded.hash))
        };
        let leaves: Vec<_> = logged.iter().map(leaf).collect();
        for (id, content) in self.edge.append(&leaves).expect("room").tiles {
            self.tiles.insert(id, content).expect("a wider tile");
        }
        logged
    }

    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    pub(crate) fn proof(&self, index: u64) -> String {
        let checkpoint = Checkpoint::new(ORIGIN, self.size(), self.edge.root()).expect("an origin");
        let note = sign_checkpoint(&checkpoint, &self.signer).expect("its own log");
        let path = inclusion_proof(&self.tiles, index, self.size()).expect("all tiles");
        ProofFile::new(index, path, note).expect("short").to_string()
    }
}

/// Seals one PDF with its trail.
fn seal_pdf(original: &[u8], trail: &[u8], at: Time, key: &SoftwareKey) -> Vec<u8> {
    let opened = Original::open(original, &Limits::default()).expect("a plain PDF");
    let calendar = at.calendar();
    let part = |number: i8| u8::try_from(number).expect("positive");
    let signed_at = UtcTime {
        year: u16::try_from(calendar.year).expect("positive"),
        month: part(calendar.month),
        day: part(calendar.day),
        hour: part(calendar.hour),
        minute: part(calendar.minute),
        second: part(calendar.second),
    };
    let attachments = [Attachment {
        file_name: countersign_verify::trail::FILE_NAME.to_owned(),
        mime_type: "application/json".to_owned(),
        description: "What happened, with its proof".to_owned(),
        bytes: trail.to_vec(),
        modified: signed_at,
    }];
    let text = |text: &str| text.to_owned();
    let signer = SignerText {
        name: text("Test seal"),
        reason: text("Sealed after all signatures"),
        location: String::new(),
    };
    let request = SealRequest {
        overlays: &[],
        extra_pages: &[],
        objects: NewObjects::new(opened.first_free_object()),
        attachments: &attachments,
        signer: &signer,
        signed_at,
        certificate_chain: key.certificate_chain(),
    };
    seal(&opened, request, key).expect("sealed")
}

/// A trail of a few events, which needs no seal.
pub(crate) fn short_trail() -> Trail<'static> {
    let mut log = Log::new(log_signer());
    let recorded = record(until_sealing().into_iter().take(3).collect());
    let events: Vec<LoggedEvent> = recorded.iter().map(|one| log.log(one)).collect();
    let proof = log.proof(events.last().expect("events").log_index);
    let (document, original) = (document_ids()[0], &originals()[0]);
    let subject = Subject::Document {
        document,
        original_sha256: Digest::of(original),
        original_size_bytes: original.len() as u64,
    };
    Trail { subject, events: events.into(), proof, system: Cow::Owned(system()) }
}

/// The first document of an envelope whose events end in `envelope.sealing`, sealed as the server does.
pub(crate) fn sealed_document(events: Vec<Event>) -> Vec<u8> {
    let sealed_at = events.last().expect("events").at;
    let mut log = Log::new(log_signer());
    let events = log.log_all(&record(events));
    let proof = log.proof(events.last().expect("events").log_index);
    let (document, [original, _]) = (document_ids()[0], originals());
    let subject = Subject::Document {
        document,
        original_sha256: Digest::of(&original),
        original_size_bytes: original.len() as u64,
    };
    let trail = Trail { subject, events: events.into(), proof, system: Cow::Owned(system()) };
    seal_pdf(&original, &trail.to_bytes(), sealed_at, &seal_key())
}

/// Logs, seals and packs an envelope whose events end in `envelope.sealing`, as the server does, whatever they say.
pub(crate) fn assemble(events: Vec<Event>, signer: LogSigner) -> Package {
    assemble_with(events, signer, |_| {}, |_| {})
}

/// What `envelope.sealed` will say.
pub(crate) struct Outcome {
    pub(crate) documents: Vec<SealedDocument>,
    pub(crate) certificate_sha256: Digest,
    pub(crate) checkpoint_size: u64,
}

/// The same, with the trail changed before it goes under the seal, and with what is recorded of the seals changed.
pub(crate) fn assemble_with(
    events: Vec<Event>,
    signer: LogSigner,
    change: impl Fn(&mut Trail),
    record_otherwise: impl Fn(&mut Outcome),
) -> Package {
    assemble_by(&seal_key(), 0, events, signer, change, record_otherwise)
}

/// The same, sealed by another key and so many seconds after the sealing began.
pub(crate) fn assemble_by(
    key: &SoftwareKey,
    later_s: i64,
    events: Vec<Event>,
    signer: LogSigner,
    change: impl Fn(&mut Trail),
    record_otherwise: impl Fn(&mut Outcome),
) -> Package {
    let sealed_at = events.last().expect("events").at.plus_s(later_s);
    let mut log = Log::new(signer);
    let recorded = record(events);
    let mut logged: Vec<LoggedEvent> = recorded.iter().map(|one| log.log(one)).collect();
    log.append(&[0; 48]);
    let sealing_size = log.size();
    let proof = log.proof(logged.last().expect("events").log_index);
    let sealed = |original: &[u8], subject| {
        let mut trail = Trail {
            subject,
            events: Cow::Borrowed(&logged),
            proof: proof.clone(),
            system: Cow::Owned(system()),
        };
        change(&mut trail);
        seal_pdf(original, &trail.to_bytes(), sealed_at, key)
    };
    let documents: Vec<PackageDocument> = document_ids()
        .into_iter()
        .zip(originals())
        .map(|(id, original)| {
            let subject = Subject::Document {
                document: id,
                original_sha256: Digest::of(&original),
                original_size_bytes: original.len() as u64,
            };
            let sealed = sealed(&original, subject);
            PackageDocument { id, original, sealed }
        })
        .collect();
    let certificate = sealed(&pdf(1, "certificate"), Subject::Certificate);

    let mut story = Story::after(&recorded);
    let sealed = documents.iter().map(|document| SealedDocument {
        document: document.id,
        sha256: Digest::of(&document.sealed),
        size_bytes: document.sealed.len() as u64,
    });
    let mut outcome = Outcome {
        documents: sealed.collect(),
        certificate_sha256: Digest::of(&certificate),
        checkpoint_size: sealing_size,
    };
    record_otherwise(&mut outcome);
    let seal = Command::RecordSealed {
        documents: outcome.documents,
        certificate_sha256: outcome.certificate_sha256,
        certificate_size_bytes: certificate.len() as u64,
        checkpoint_size: outcome.checkpoint_size,
    };
    story.run(seal, ActorNow::System);
    let copied = story.recipient(3);
    let mail = story.mail(copied);
    story.run(Command::RecordCopied { recipient: copied, mail }, ActorNow::System);
    story.by_sender(Command::RecordDownload { what: Download::Certificate });
    story.by_sender(Command::RecordExport);
    let after: Vec<Recorded> = record(story.events).into_iter().skip(recorded.len()).collect();
    logged.extend(after.iter().map(|one| log.log(one)));
    log.append(&[1; 48]);
    let proof = log.proof(logged.last().expect("events").log_index);
    let consents = vec![ConsentFile { version: CONSENT_VERSION.to_owned(), text: CONSENT.to_owned() }];
    Package { documents, certificate, events: logged, proof, consents, system: system() }
}

/// The genuine package.
pub(crate) fn package() -> &'static Package {
    static PACKAGE: OnceLock<Package> = OnceLock::new();
    PACKAGE.get_or_init(|| assemble(until_sealing(), log_signer()))
}

/// A package that is as genuine, of a sandbox.
pub(crate) fn sandbox_package() -> Package {
    assemble(until_sealing_in(Environment::Sandbox), log_signer())
}

/// The genuine archive.
pub(crate) fn archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| package().to_bytes().expect("a package"))
}
