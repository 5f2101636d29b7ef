//! What follows from an event: jobs, by a pure function, and rows with the secrets that an event must not hold.

use countersign_core::{
    access::Tenant,
    digest::Digest,
    envelope::{Body, Event, State, state::Progress},
    id::{CodeId, EnvelopeId, JobId, LinkId, MailId, PersonId, RecipientId},
    limits,
    secret::{Personal, PlainToken, Secret, TokenKind},
};
use countersign_store::{
    batch::Row,
    rows::{CodeRow, LinkRow, NewJob, Work},
};
use zeroize::Zeroizing;

use super::Opened;
use crate::{
    app::{App, Organization},
    fault::Fault,
    keys::{Binding, WrappingKey},
};

/// The one id that the job of an event can have: deciding the same event again adds no second job.
pub fn job_id(envelope: EnvelopeId, seq: u64) -> JobId {
    let parts: [&[u8]; 3] = [b"countersign/job/v1\0", envelope.as_bytes(), &seq.to_be_bytes()];
    JobId::from_bytes(leading(Digest::of_parts(&parts)))
}

/// The job that follows from an event, if one does.
pub fn job_of(tenant: Tenant, event: &Event) -> Option<NewJob> {
    let envelope = event.envelope;
    let (work, due_at) = match &event.body {
        Body::LinkIssued { recipient, link, mail, .. } => {
            (Work::MailLink { envelope, recipient: *recipient, link: *link, mail: *mail }, event.at)
        }
        Body::CodeIssued { recipient, session, code, mail, .. } => {
            let (recipient, session, code, mail) = (*recipient, *session, *code, *mail);
            (Work::MailCode { envelope, recipient, session, code, mail }, event.at)
        }
        Body::SealingStarted { .. } => (Work::Seal { envelope }, event.at),
        Body::Sent { expires_at } => (Work::Expire { envelope }, *expires_at),
        _ => return None,
    };
    Some(NewJob { tenant, job: job_id(envelope, event.seq), work, correlation: event.correlation, due_at })
}

/// Whether a recipient is told by mail that the envelope was ended by `event`: who was asked is, unless it was the one
/// who declined.
fn is_told(event: &Event, progress: &Progress) -> bool {
    match &event.body {
        Body::Voided { .. } => progress.was_reached(),
        Body::Declined { recipient, .. } => progress.was_reached() && progress.recipient != *recipient,
        _ => false,
    }
}

/// The jobs that tell the recipients of the end of an envelope, given the state that the event led to.
pub(super) fn notices_of(tenant: Tenant, event: &Event, state: &State) -> Vec<NewJob> {
    let progress = state.underway().map(|underway| underway.progress.as_slice()).unwrap_or_default();
    let told = progress.iter().filter(|progress| is_told(event, progress));
    told.map(|progress| {
        let (envelope, recipient) = (event.envelope, progress.recipient);
        let seed = [envelope.as_bytes().as_slice(), &event.seq.to_be_bytes(), recipient.as_bytes()].concat();
        let job = JobId::from_bytes(leading(Digest::of_parts(&[b"countersign/job/v1\0", &seed])));
        let random = leading(Digest::of_parts(&[b"countersign/mail/v1\0", &seed]));
        let work = Work::MailEnded { envelope, recipient, mail: MailId::new(event.at, random) };
        NewJob { tenant, job, work, correlation: event.correlation, due_at: event.at }
    })
    .collect()
}

fn leading<const N: usize>(digest: Digest) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(digest.0) {
        *to = from;
    }
    bytes
}

/// The row with the secret that goes with an event: a link's or a code's.
pub(super) fn row_of(
    app: &App,
    tenant: &Tenant,
    organization: &Organization,
    opened: &Opened,
    event: &Event,
) -> Result<Option<Row>, Fault> {
    match &event.body {
        Body::LinkIssued { recipient, link, expires_at, .. } => {
            let token = PlainToken::new(TokenKind::SigningLink, &app.draw());
            let key = person_key(opened, *recipient)?;
            Ok(Some(Row::Link(LinkRow {
                tenant: *tenant,
                link: *link,
                envelope: event.envelope,
                recipient: *recipient,
                secret: token.hash(),
                sealed_secret: key.seal(&*app.random, &link_binding(*link), token.expose().as_bytes())?,
                expires_at: *expires_at,
            })))
        }
        Body::CodeIssued { recipient, session, code, expires_at, .. } => {
            let digits = digits(app);
            let key = person_key(opened, *recipient)?;
            Ok(Some(Row::Code(CodeRow {
                tenant: *tenant,
                code: *code,
                session: *session,
                mac: code_mac(organization, *code, &digits),
                sealed_digits: key.seal(&*app.random, &code_binding(*code), digits.as_bytes())?,
                expires_at: *expires_at,
            })))
        }
        _ => Ok(None),
    }
}

/// The person behind a recipient.
pub(crate) fn person_of(opened: &Opened, recipient: RecipientId) -> Result<PersonId, Fault> {
    let contents = opened.folded.state.contents();
    let known = contents.and_then(|contents| contents.recipient(recipient));
    known.map(|known| known.person).ok_or_else(|| Fault::Missing(format!("the recipient {recipient}")))
}

fn person_key(opened: &Opened, recipient: RecipientId) -> Result<&WrappingKey, Fault> {
    opened.persons.of(person_of(opened, recipient)?)
}

fn link_binding(link: LinkId) -> Binding {
    Binding::new("link-secret", &[link.as_bytes()])
}

fn code_binding(code: CodeId) -> Binding {
    Binding::new("code-digits", &[code.as_bytes()])
}

/// The secret of a link, for the mail that carries it.
pub fn link_secret(opened: &Opened, row: &LinkRow) -> Result<PlainToken, Fault> {
    let plain = person_key(opened, row.recipient)?.open(&link_binding(row.link), &row.sealed_secret)?;
    let text = std::str::from_utf8(&plain).map_err(|_| Fault::Sealed("a link's secret".to_owned()))?;
    PlainToken::parse(TokenKind::SigningLink, text).map_err(|_| Fault::Sealed("a link's secret".to_owned()))
}

/// The digits of a code, for the mail that carries them.
pub fn code_digits(
    opened: &Opened,
    recipient: RecipientId,
    row: &CodeRow,
) -> Result<Zeroizing<String>, Fault> {
    let plain = person_key(opened, recipient)?.open(&code_binding(row.code), &row.sealed_digits)?;
    let text = std::str::from_utf8(&plain).map_err(|_| Fault::Sealed("a code".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What a code is stored as: HMAC under a key of the organization, bound to the code's id.
pub fn code_mac(organization: &Organization, code: CodeId, digits: &str) -> Digest {
    organization.code_key.mac(&[code.as_bytes(), digits.as_bytes()])
}

/// What an access code is kept as: HMAC under a key of the organization, bound to its place in its envelope, so that
/// equal codes do not look equal and none can be guessed from what is stored.
pub fn access_code_mac(
    organization: &Organization,
    envelope: EnvelopeId,
    position: usize,
    code: &str,
) -> Personal<String> {
    let position = u64::try_from(position).unwrap_or(u64::MAX).to_be_bytes();
    let parts: [&[u8]; 4] =
        [b"countersign/access-code/v1\0", envelope.as_bytes(), &position, code.as_bytes()];
    Personal::new(organization.code_key.mac(&parts).to_string())
}

/// What the salts of an act are drawn from that a passkey signs: the same for the challenge and for the act, and gone
/// with the person's key.
pub fn act_salts(opened: &Opened, recipient: RecipientId, nonce: &Digest) -> Result<Secret<[u8; 32]>, Fault> {
    let key = person_key(opened, recipient)?.derive("act-salts");
    Ok(Secret::new(key.mac(&[&nonce.0]).0))
}

/// Random digits, each equally likely: bytes above 249 are drawn again.
fn digits(app: &App) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(String::with_capacity(limits::CODE_DIGITS));
    while digits.len() < limits::CODE_DIGITS {
        let [byte] = app.draw::<1>();
        if byte < 250 {
            digits.push(char::from(b'0' + byte % 10));
        }
    }
    digits
}
