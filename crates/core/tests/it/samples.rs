//! One event of every type, with every optional part filled, from fixed bytes.

use countersign_core::{
    access::Environment,
    digest::Digest,
    envelope::{
        Body, Event, Veiled,
        event::{
            Act, Actor, AdoptionMethod, ConsentText, Document, Download, Factor, Field, FieldKind,
            FieldValue, IpSource, Origin, Recipient, Rect, Role, SealedDocument, ShownDocument,
        },
        passkey::{Algorithm, Assertion, Bytes, Passkey, Registration},
    },
    id::{
        ApiKeyId, CodeId, CorrelationId, DocumentId, EnvelopeId, FieldId, LinkId, MailId, OrganizationId,
        PersonId, RecipientId, SessionId,
    },
    level::Level,
    time::Time,
};

use crate::world::personal;

const DOCUMENT: DocumentId = DocumentId::from_bytes([0x11; 16]);
const RECIPIENT: RecipientId = RecipientId::from_bytes([0x22; 16]);
const SESSION: SessionId = SessionId::from_bytes([0x33; 16]);
const MAIL: MailId = MailId::from_bytes([0x44; 16]);
const PERSON: PersonId = PersonId::from_bytes([0x55; 16]);

fn veiled(text: &str) -> Veiled {
    Veiled::new(PERSON, [0x66; 16], personal(text))
}

fn at(second: i64) -> Time {
    Time::from_unix_ms(1_795_000_000_120).plus_s(second)
}

fn consent() -> ConsentText {
    ConsentText { version: "2026-11".to_owned(), sha256: Digest::of(b"consent") }
}

fn act() -> Act {
    Act {
        recipient: RECIPIENT,
        session: SESSION,
        documents: vec![ShownDocument { document: DOCUMENT, sha256: Digest::of(b"pdf"), page_count: 3 }],
        values: vec![FieldValue { field: FieldId::from_bytes([0x77; 16]), value: veiled("12.50") }],
        consent: consent(),
        label: veiled("Sign “Lease”"),
        nonce: Digest::of(b"nonce"),
        mark: None,
        assertion: None,
    }
}

fn created() -> Body {
    let kinds = [
        FieldKind::Signature,
        FieldKind::Initials,
        FieldKind::DateSigned,
        FieldKind::Name,
        FieldKind::Email,
        FieldKind::Company,
        FieldKind::Title,
        FieldKind::Text { max_chars: 200, multiline: true },
        FieldKind::Number { decimals: 2 },
        FieldKind::Checkbox,
        FieldKind::Radio { group: "Rent".to_owned() },
        FieldKind::Dropdown { options: vec!["Zürich".to_owned(), "Γενεύη \u{20ac}".to_owned()] },
    ];
    let fields = kinds.into_iter().zip(0..).map(|(kind, index)| Field {
        id: FieldId::from_bytes([0x80 + index; 16]),
        document: DOCUMENT,
        recipient: RECIPIENT,
        kind,
        page: 1,
        rect: Rect { x_cpt: 100, y_cpt: 200, width_cpt: 3_000, height_cpt: 1_000 },
        required: index % 2 == 0,
        label: format!("Field \"{index}\""),
    });
    let recipients = [Role::Signer, Role::Approver, Role::Viewer, Role::Copy].into_iter().zip(0..);
    let recipients = recipients.map(|(role, index)| Recipient {
        id: RecipientId::from_bytes([0x22 + index; 16]),
        person: PERSON,
        role,
        order: u16::from(index) + 1,
        name: veiled("Zoë"),
        email: veiled("zoe@example.com"),
        factor: if index == 0 { Factor::EmailCode } else { Factor::Link },
        access_code: None,
    });
    Body::Created {
        environment: Environment::Sandbox,
        organization: OrganizationId::from_bytes([0x99; 16]),
        organization_name: "Rose & Søn".to_owned(),
        title: veiled("Lease"),
        message: Some(veiled("Please sign.")),
        documents: vec![Document {
            id: DOCUMENT,
            name: veiled("lease.pdf"),
            sha256: Digest::of(b"pdf"),
            size_bytes: 26_214_400,
            page_count: 3,
        }],
        recipients: recipients.collect(),
        fields: fields.collect(),
        lifetime_s: 2_592_000,
        assurance: None,
    }
}

/// A body of every type.
fn bodies() -> Vec<Body> {
    let (recipient, session, document, mail) = (RECIPIENT, SESSION, DOCUMENT, MAIL);
    let sha256 = Digest::of(b"pdf");
    let (link, code) = (LinkId::from_bytes([0xaa; 16]), CodeId::from_bytes([0xbb; 16]));
    let factor = Factor::EmailCode;
    vec![
        created(),
        Body::Sent { expires_at: at(2_592_000) },
        Body::LinkIssued { recipient, link, mail, expires_at: at(259_200) },
        Body::Notified { recipient, mail },
        Body::Bounced { recipient, mail, smtp_status: 550 },
        Body::SessionOpened { recipient, link, session },
        Body::CodeIssued { recipient, session, code, mail, expires_at: at(600) },
        Body::CodeDelivered { recipient, mail },
        Body::FactorFailed { recipient, session, factor, tries_left: 4 },
        Body::FactorLocked { recipient, factor },
        Body::FactorPassed { recipient, session, factor, assertion: None },
        Body::DisclosureShown { recipient, session, text: consent() },
        Body::ConsentGiven { recipient, session, text: consent() },
        Body::DocumentOpened { recipient, session, document, sha256 },
        Body::PagesShown { recipient, session, document, sha256, pages: vec![1, 2, 3] },
        Body::DocumentMismatched { document, expected: sha256, found: Digest::of(b"other") },
        Body::SignatureAdopted { recipient, session, method: AdoptionMethod::Drawn, mark: veiled("{}") },
        Body::Signed(act()),
        Body::Approved(act()),
        Body::Read(act()),
        Body::Declined { recipient, session, reason: Some(veiled("No.")) },
        Body::Voided { reason: Some(veiled("Withdrawn.")) },
        Body::Expired,
        Body::SealingStarted { seal_certificate_sha256: Digest::of(b"certificate") },
        Body::Sealed {
            documents: vec![SealedDocument { document, sha256, size_bytes: 26_300_000 }],
            certificate_sha256: Digest::of(b"completion"),
            certificate_size_bytes: 40_000,
            checkpoint_size: 9_007_199_254_740_991,
        },
        Body::Copied { recipient, mail },
        Body::Downloaded { what: Download::Sealed { document } },
        Body::Exported,
        high_value(),
        Body::PasskeyRegistered { recipient, session, passkey: passkey(), registration: registration() },
        Body::FactorPassed { recipient, session, factor: Factor::Passkey, assertion: Some(assertion()) },
        Body::PasskeyCloned { recipient, session, assertion: assertion() },
        Body::Signed(Act { mark: Some(veiled("{}")), assertion: Some(assertion()), ..act() }),
    ]
}

/// A created envelope that asks for a level, with the factors that came later.
fn high_value() -> Body {
    let mut body = created();
    if let Body::Created { recipients, assurance, .. } = &mut body {
        *assurance = Some(Level::Aal2Phr);
        for (recipient, factor) in recipients.iter_mut().zip([Factor::Passkey, Factor::AccessCode]) {
            recipient.factor = factor;
            recipient.access_code = (factor == Factor::AccessCode).then(|| veiled("00ff"));
        }
    }
    body
}

fn passkey() -> Passkey {
    Passkey {
        credential: Bytes(vec![0xfb; 20]),
        algorithm: Algorithm::Es256,
        public_key: Bytes(vec![0xa5; 77]),
        sign_count: 7,
        backup_eligible: true,
        origin: "https://sign.example.com".to_owned(),
    }
}

fn registration() -> Registration {
    Registration { authenticator_data: Bytes(vec![1; 37]), client_data_json: Bytes(b"{}".to_vec()) }
}

fn assertion() -> Assertion {
    Assertion {
        credential: Bytes(vec![0xfb; 20]),
        authenticator_data: Bytes(vec![2; 37]),
        client_data_json: Bytes(b"{}".to_vec()),
        signature: Bytes(vec![3; 70]),
    }
}

/// An event of every type, by actors of every kind.
pub(crate) fn events() -> Vec<Event> {
    let origin = |ip_source, is_named: bool| Origin {
        ip: veiled("2001:db8::7"),
        ip_source,
        user_agent: is_named.then(|| veiled("Test/1.0")),
        time_zone: is_named.then(|| "Europe/Zurich".to_owned()),
    };
    let event = |(body, seq): (Body, u64)| Event {
        envelope: EnvelopeId::from_bytes([0xcc; 16]),
        seq,
        at: at(i64::try_from(seq).unwrap()),
        actor: match seq % 3 {
            0 => Actor::System,
            1 => Actor::ApiKey {
                key: ApiKeyId::from_bytes([0xdd; 16]),
                origin: origin(IpSource::Connection, false),
            },
            _ => Actor::Recipient {
                recipient: RECIPIENT,
                session: SESSION,
                factors: vec![Factor::Link, Factor::EmailCode],
                origin: origin(IpSource::TrustedProxy, true),
            },
        },
        correlation: CorrelationId::from_bytes([0xee; 16]),
        body,
    };
    bodies().into_iter().zip(1..).map(event).collect()
}
