//! Rows made from small numbers, so that random sequences meet each other again and again.

use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{
        ApiKeyId, CodeId, CorrelationId, DocumentId, EnvelopeId, JobId, LinkId, MailId, OrganizationId,
        PersonId, RecipientId, SessionId,
    },
    scope::{Scope, Scopes},
    secret::HashedToken,
    time::Time,
};
use countersign_store::{
    batch::{Append, NewEvent, Row},
    rows::{
        ApiKeyRow, ArtifactRow, CodeRow, DocumentRow, EnvelopeRow, FinishedIdempotency, IdempotencyClaim,
        KeyRow, LinkRow, MailboxRow, NewJob, OpeningRow, OrganizationRow, PersonRow, SessionRow,
        StoredAnswer, Work,
    },
};

/// The bytes of an id, the number last, so that ids sort like numbers.
pub(crate) fn bytes(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(crate) fn digest(text: &str, number: u64) -> Digest {
    Digest::of(format!("{text}{number}").as_bytes())
}

pub(crate) fn token(text: &str, number: u64) -> HashedToken {
    HashedToken::from_bytes(digest(text, number).0)
}

pub(crate) fn at(ms: u64) -> Time {
    Time::from_unix_ms(1_800_000_000_000 + i64::try_from(ms).unwrap())
}

/// Tenants 0 and 1 are the environments of one organization, 2 and 3 of another.
pub(crate) fn tenant(number: u64) -> Tenant {
    let environment = if number.is_multiple_of(2) { Environment::Sandbox } else { Environment::Live };
    Tenant::of_stored_row(organization_id(number / 2), environment)
}

/// Organizations have other ids than envelopes, as they have in earnest.
pub(crate) fn organization_id(number: u64) -> OrganizationId {
    OrganizationId::from_bytes(bytes(1_000_000 + number))
}

/// The number of a tenant.
pub(crate) fn number_of(tenant: &Tenant) -> u64 {
    (0..4).find(|number| self::tenant(*number) == *tenant).unwrap()
}

pub(crate) fn api_key_id(number: u64) -> ApiKeyId {
    ApiKeyId::from_bytes(bytes(number))
}

pub(crate) fn envelope(number: u64) -> EnvelopeId {
    EnvelopeId::from_bytes(bytes(number))
}

pub(crate) fn event(stream: u64, seq: u64, salt: u64) -> NewEvent {
    let bytes = format!("{{\"stream\":{stream},\"seq\":{seq},\"salt\":{salt}}}").into_bytes();
    let hash = Digest::of(&bytes);
    let mut leaf_id = [0; 16];
    leaf_id.copy_from_slice(&hash.0[..16]);
    NewEvent { bytes, hash, leaf_id }
}

pub(crate) const STATUSES: [&str; 3] = ["draft", "sent", "completed"];

pub(crate) fn append(of: u64, stream: u64, expected_seq: u64, count: u64, salt: u64) -> Append {
    let last_seq = expected_seq + count - 1;
    Append {
        tenant: tenant(of),
        envelope: envelope(stream),
        expected_seq,
        events: (expected_seq..=last_seq).map(|seq| event(stream, seq, salt)).collect(),
        projection: EnvelopeRow {
            envelope: envelope(stream),
            status: STATUSES[usize::try_from(salt % 3).unwrap()].to_owned(),
            created_at: at(stream),
            changed_at: at(stream + last_seq),
            expires_at: salt.is_multiple_of(2).then(|| at(1_000 + salt)),
            title: digest("title", salt),
            last_seq,
        },
    }
}

pub(crate) fn organization(number: u64) -> Row {
    Row::Organization(OrganizationRow {
        organization: organization_id(number),
        name: format!("Organization {number} 'quoted' \u{e9}"),
        wrapped_key: vec![1, 2, 3],
        created_at: at(number),
    })
}

pub(crate) fn person(of: u64, number: u64, lookup: u64) -> Row {
    Row::Person(PersonRow {
        tenant: tenant(of),
        person: PersonId::from_bytes(bytes(number)),
        lookup: digest("lookup", lookup),
        wrapped_key: vec![7; 40],
    })
}

pub(crate) fn opening(of: u64, stream: u64, commitment: u64, person: u64) -> Row {
    Row::Opening(OpeningRow {
        tenant: tenant(of),
        envelope: envelope(stream),
        commitment: digest("commitment", commitment),
        person: PersonId::from_bytes(bytes(person)),
        sealed: vec![9; 20],
    })
}

pub(crate) fn document(of: u64, number: u64) -> Row {
    Row::Document(DocumentRow {
        tenant: tenant(of),
        document: DocumentId::from_bytes(bytes(number)),
        sha256: digest("document", number),
        size_bytes: 1_000 + number,
        blob: format!("originals/{number}"),
        wrapped_key: vec![4; 40],
        inspection: vec![],
        person: PersonId::from_bytes(bytes(number)),
        created_at: at(number),
    })
}

pub(crate) fn api_key(of: u64, number: u64, secret: u64) -> Row {
    Row::ApiKey(ApiKeyRow {
        tenant: tenant(of),
        key: ApiKeyId::from_bytes(bytes(number)),
        hash: token("key", secret),
        scopes: Scopes::of(&[Scope::EnvelopesRead, Scope::MailboxRead]),
        person: PersonId::from_bytes(bytes(number)),
        label: "for \u{43}I".to_owned(),
        created_at: at(0),
        expires_at: at(90),
        networks: (0..number % 3).map(|network| format!("10.{network}.0.0/16")).collect(),
        replaces: None,
        used: None,
        warned_days: None,
        created_by: None,
        version: 1,
    })
}

pub(crate) fn link(of: u64, number: u64, stream: u64, recipient: u64, secret: u64) -> Row {
    Row::Link(LinkRow {
        tenant: tenant(of),
        link: LinkId::from_bytes(bytes(number)),
        envelope: envelope(stream),
        recipient: RecipientId::from_bytes(bytes(recipient)),
        secret: token("link", secret),
        sealed_secret: vec![5; 30],
        expires_at: at(number),
    })
}

pub(crate) fn session(of: u64, number: u64, cookie: u64, end: Time) -> Row {
    Row::Session(SessionRow {
        tenant: tenant(of),
        session: SessionId::from_bytes(bytes(number)),
        cookie: token("cookie", cookie),
        envelope: envelope(number),
        recipient: RecipientId::from_bytes(bytes(number)),
        nonce: digest("nonce", number),
        created_at: at(0),
        expires_at: end,
    })
}

pub(crate) fn code(of: u64, number: u64, end: Time) -> Row {
    Row::Code(CodeRow {
        tenant: tenant(of),
        code: CodeId::from_bytes(bytes(number)),
        session: SessionId::from_bytes(bytes(number)),
        mac: digest("mac", number),
        sealed_digits: vec![6; 10],
        expires_at: end,
    })
}

pub(crate) fn artifact(of: u64, stream: u64, document: Option<u64>) -> Row {
    Row::Artifact(ArtifactRow {
        tenant: tenant(of),
        envelope: envelope(stream),
        document: document.map(|number| DocumentId::from_bytes(bytes(number))),
        sha256: digest("artifact", stream),
        size_bytes: stream,
        blob: format!("sealed/{stream}-{document:?}"),
        wrapped_key: vec![8; 40],
    })
}

pub(crate) fn mail(of: u64, number: u64) -> Row {
    Row::Mailbox(MailboxRow {
        tenant: tenant(of),
        mail: MailId::from_bytes(bytes(number)),
        at: at(number),
        sealed: vec![3; 50],
    })
}

pub(crate) fn server_key(number: u64, created: u64) -> Row {
    Row::Key(KeyRow {
        name: format!("key-{number}"),
        purpose: "log".to_owned(),
        wrapped_key: vec![2; 60],
        public: format!("public {created}"),
        created_at: at(created),
    })
}

pub(crate) fn job(of: u64, number: u64, due_at: Time) -> NewJob {
    let work = match number % 3 {
        0 => Work::Seal { envelope: envelope(number) },
        1 => Work::Expire { envelope: envelope(number) },
        _ => Work::MailLink {
            envelope: envelope(number),
            recipient: RecipientId::from_bytes(bytes(number)),
            link: LinkId::from_bytes(bytes(number)),
            mail: MailId::from_bytes(bytes(number)),
        },
    };
    NewJob {
        tenant: tenant(of),
        job: JobId::from_bytes(bytes(number)),
        work,
        correlation: CorrelationId::from_bytes(bytes(number)),
        due_at,
    }
}

pub(crate) fn claim(of: u64, key: u64, fingerprint: u64, claim: u64, now: Time) -> IdempotencyClaim {
    IdempotencyClaim {
        tenant: tenant(of),
        caller: bytes(of),
        key: format!("key-{key}"),
        fingerprint: digest("fingerprint", fingerprint),
        claim: bytes(claim),
        now,
        expires_at: now.plus_ms(1_500),
        stale_after_ms: 400,
    }
}

pub(crate) fn answer(claim: &IdempotencyClaim, number: u64) -> FinishedIdempotency {
    let answer = StoredAnswer {
        status: 201,
        location: number.is_multiple_of(2).then(|| format!("/v1/envelopes/{number}")),
        sealed_body: number.to_be_bytes().repeat(4),
    };
    FinishedIdempotency { claim: claim.clone(), answer }
}
