//! The certificate of completion as a story that a judge can read: each event in words, each recipient with how it
//! was identified, what it agreed to and what it did.

use countersign_core::{
    access::Environment as CoreEnvironment,
    envelope::{
        Body, Recorded, Veiled,
        event::{Act, Actor, AdoptionMethod, Download, Factor, IpSource, Origin, Recipient, Role},
        fields::DrawnMark,
        state::{Contents, Underway},
    },
    id::RecipientId,
    limits,
    time::Time,
};
use countersign_pdf::{
    certify::{
        Certificate, CertifiedDocument, CertifiedRecipient, Environment, LogStatement, Moment, SealStatement,
        TimelineRow, VerificationStep,
    },
    place::Handwriting,
};

/// What the certificate says beyond the events.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// Origin, size and root (base64) of the covering checkpoint.
    pub log: LogStatement,
    /// The seal's certificate.
    pub seal: SealStatement,
}

/// The certificate of an envelope whose recipients have all acted.
pub fn certificate(
    underway: &Underway,
    envelope: &str,
    events: &[&Recorded],
    circumstances: &Circumstances,
) -> Certificate {
    let contents = &underway.contents;
    let completed = underway.progress.iter().filter_map(|progress| progress.acted_at).max();
    Certificate {
        title: shown(&contents.title),
        envelope_id: envelope.to_owned(),
        organization: contents.organization_name.clone(),
        sender: sender(contents, events),
        environment: match contents.environment {
            CoreEnvironment::Live => Environment::Live,
            CoreEnvironment::Sandbox => Environment::Sandbox,
        },
        sent: moment(underway.sent_at, None),
        completed: moment(completed.unwrap_or(underway.sent_at), None),
        documents: contents
            .documents
            .iter()
            .map(|document| CertifiedDocument {
                name: shown(&document.name),
                sha256: document.sha256.to_string(),
                page_count: document.page_count,
                size_bytes: document.size_bytes,
            })
            .collect(),
        recipients: recipients(underway, events),
        timeline: told(events).into_iter().map(|recorded| row(contents, recorded)).collect(),
        timeline_note: left_out(events),
        seal: circumstances.seal.clone(),
        log: circumstances.log.clone(),
        verification: vec![VerificationStep {
            text: "Check this file, or the evidence package, without the network and without us. log.vkey is the log's key, \
                   which you have from the sender or from an earlier envelope, not from this file."
                .to_owned(),
            command: "countersign-verify sealed.pdf --key log.vkey".to_owned(),
        }],
    }
}

/// The events that the timeline tells: all, or as many as there is room for. Acts come first, then what led to them,
/// then what was only read; what is told stays in order.
fn told<'e>(events: &[&'e Recorded]) -> Vec<&'e Recorded> {
    let rank = |body: &Body| match body {
        Body::Created { .. }
        | Body::Sent { .. }
        | Body::SignatureAdopted { .. }
        | Body::Signed(_)
        | Body::Approved(_)
        | Body::Read(_)
        | Body::SealingStarted { .. } => 0,
        body if body.is_record() => 2,
        _ => 1,
    };
    let mut told = events.to_vec();
    told.sort_by_key(|recorded| (rank(&recorded.event.body), recorded.event.seq));
    told.truncate(limits::CERTIFICATE_ROWS);
    told.sort_by_key(|recorded| recorded.event.seq);
    told
}

/// What the timeline does not tell.
fn left_out(events: &[&Recorded]) -> String {
    match events.len().checked_sub(limits::CERTIFICATE_ROWS) {
        None | Some(0) => String::new(),
        Some(count) => format!(
            "{count} of {} events are left out here for want of room. All of them stand, with their proof, in the \
             attachment {}.",
            events.len(),
            countersign_verify::trail::FILE_NAME
        ),
    }
}

/// A personal value, or that it was erased.
fn shown(value: &Veiled) -> String {
    value.value().map_or_else(|| "[erased]".to_owned(), |value| value.disclose().clone())
}

fn moment(at: Time, zone: Option<&str>) -> Moment {
    Moment { utc: at.in_utc(), local: zone.and_then(|zone| at.in_zone(zone)).unwrap_or_default() }
}

fn sender(contents: &Contents, events: &[&Recorded]) -> String {
    match events.first().map(|first| &first.event.actor) {
        Some(Actor::ApiKey { key, .. }) => format!("{} through API key {key}", contents.organization_name),
        Some(Actor::Client { client, user, .. }) => {
            let member = user.map(|user| format!(" for member {user}")).unwrap_or_default();
            format!("{} through client {client}{member}", contents.organization_name)
        }
        _ => contents.organization_name.clone(),
    }
}

fn recipients(underway: &Underway, events: &[&Recorded]) -> Vec<CertifiedRecipient> {
    let mut ordered: Vec<&Recipient> = underway.contents.recipients.iter().collect();
    ordered.sort_by_key(|recipient| recipient.order);
    ordered.into_iter().map(|recipient| certified(underway, recipient, events)).collect()
}

fn certified(underway: &Underway, recipient: &Recipient, events: &[&Recorded]) -> CertifiedRecipient {
    let mut certified = CertifiedRecipient {
        name: shown(&recipient.name),
        email: shown(&recipient.email),
        role: role_text(recipient.role).to_owned(),
        routing_order: u32::from(recipient.order),
        ..CertifiedRecipient::default()
    };
    let Some((recorded, act)) =
        events.iter().find_map(|recorded| Some((recorded, act_of(recorded, recipient.id)?)))
    else {
        "Receives the sealed documents".clone_into(&mut certified.outcome);
        return certified;
    };
    let Actor::Recipient { factors, origin, .. } = &recorded.event.actor else { return certified };
    certified.identified = identified(factors, act);
    certified.consent = consent(act, events);
    let outcome = match recorded.event.body {
        Body::Signed(_) => "Signed",
        Body::Approved(_) => "Approved",
        _ => "Confirmed having read",
    };
    outcome.clone_into(&mut certified.outcome);
    certified.at = moment(recorded.event.at, origin.time_zone.as_deref());
    certified.ip = shown(&origin.ip);
    source(origin.ip_source).clone_into(&mut certified.ip_source);
    certified.user_agent = origin.user_agent.as_ref().map(shown).unwrap_or_default();
    certified.mark = underway
        .progress_of(recipient.id)
        .and_then(|progress| progress.adopted.as_ref())
        .and_then(|(method, mark)| handwriting(*method, mark));
    certified
}

fn act_of(recorded: &Recorded, recipient: RecipientId) -> Option<&Act> {
    match &recorded.event.body {
        Body::Signed(act) | Body::Approved(act) | Body::Read(act) if act.recipient == recipient => Some(act),
        _ => None,
    }
}

/// How a person was identified, no better than it was (E-8).
fn identified(factors: &[Factor], act: &Act) -> String {
    let has = |factor| factors.contains(&factor);
    let signed =
        if act.assertion.is_some() { " The same passkey signed the hash of what was acted on" } else { "" };
    let known = match (has(Factor::Passkey), has(Factor::AccessCode), has(Factor::EmailCode)) {
        _ if has(Factor::Totp) => {
            "By a personal link sent to this address, and by a one-time code of the authenticator app with which this member \
             of the sender's organization signs in"
        }
        (true, _, true) => {
            "By a personal link sent to this address, a one-time code sent to it, and a passkey made then, which checked a \
             finger, a face or a PIN."
        }
        (true, _, false) => {
            "By a personal link sent to this address, and by the passkey made in an earlier session after a one-time code \
             sent to it, which checked a finger, a face or a PIN."
        }
        (false, true, _) => {
            "By a personal link sent to this address, and by an access code that the sender told them by another way"
        }
        (false, false, true) => {
            "By a personal link sent to this address, and by a one-time code sent to it and typed into the same browser"
        }
        (false, false, false) => "By a personal link sent to this address, and by nothing else",
    };
    format!("{known}{signed}")
}

fn consent(act: &Act, events: &[&Recorded]) -> String {
    let given = events.iter().find(|recorded| {
        matches!(&recorded.event.body, Body::ConsentGiven { recipient, session, .. }
            if *recipient == act.recipient && *session == act.session)
    });
    given.map_or_else(String::new, |recorded| {
        format!(
            "Agreed to do business electronically (disclosure {}) on {}",
            act.consent.version,
            recorded.event.at.in_utc()
        )
    })
}

/// An adopted mark as ink; `None` if it was erased.
pub fn handwriting(method: AdoptionMethod, mark: &Veiled) -> Option<Handwriting> {
    ink(method, mark.value()?.disclose())
}

/// A mark as ink; `None` for a drawing that cannot be read.
pub(super) fn ink(method: AdoptionMethod, mark: &str) -> Option<Handwriting> {
    match method {
        AdoptionMethod::Typed => Some(Handwriting::Typed { name: mark.to_owned() }),
        AdoptionMethod::Drawn => {
            let drawn = DrawnMark::parse(mark)?;
            let (width, height) = (f64::from(drawn.width), f64::from(drawn.height));
            let point = |(x, y): &(u32, u32)| (f64::from(*x) / width, f64::from(*y) / height);
            let strokes = drawn.strokes.iter().map(|stroke| stroke.iter().map(point).collect()).collect();
            Some(Handwriting::Drawn { strokes, aspect: width / height })
        }
    }
}

fn role_text(role: Role) -> &'static str {
    match role {
        Role::Signer => "Signer",
        Role::Approver => "Approver",
        Role::Viewer => "Viewer",
        Role::Copy => "Copy",
    }
}

fn source(source: IpSource) -> &'static str {
    match source {
        IpSource::Connection => "as the other end of the connection",
        IpSource::TrustedProxy => "as reported by a trusted proxy",
    }
}

fn row(contents: &Contents, recorded: &Recorded) -> TimelineRow {
    let (actor, origin) = match &recorded.event.actor {
        Actor::System => ("Countersign".to_owned(), None),
        Actor::ApiKey { origin, .. } | Actor::Client { origin, .. } => {
            (brief(&contents.organization_name), Some(origin))
        }
        Actor::Recipient { recipient, origin, .. } => (name(contents, *recipient), Some(origin)),
    };
    let zone = origin.and_then(|origin: &Origin| origin.time_zone.as_deref());
    TimelineRow {
        at: moment(recorded.event.at, zone),
        actor,
        action: action(contents, &recorded.event.body),
        ip: origin.map(|origin| shown(&origin.ip)).unwrap_or_default(),
        event_hash: recorded.hash.to_string().chars().take(16).collect(),
    }
}

fn name(contents: &Contents, recipient: RecipientId) -> String {
    contents.recipient(recipient).map_or_else(String::new, |recipient| brief(&shown(&recipient.name)))
}

fn document_name(contents: &Contents, document: countersign_core::id::DocumentId) -> String {
    contents
        .document(document)
        .map_or_else(String::new, |document| format!("“{}”", brief(&shown(&document.name))))
}

/// Characters of a name in the timeline, whose columns are narrow; in full it stands further up.
const BRIEF_CHARS: usize = 40;

fn brief(name: &str) -> String {
    match name.char_indices().nth(BRIEF_CHARS) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// What happened, in words, as the last part of a sentence whose subject is the actor.
fn action(contents: &Contents, body: &Body) -> String {
    match body {
        Body::Created { documents, recipients, fields, assurance, .. } => {
            let (documents, recipients, fields) = (documents.len(), recipients.len(), fields.len());
            let asked = assurance.map(|level| format!(", assurance {}", level.text())).unwrap_or_default();
            format!(
                "created the envelope: documents {documents}, recipients {recipients}, fields {fields}{asked}"
            )
        }
        Body::Sent { expires_at } => format!("sent the envelope, to be signed by {}", expires_at.in_utc()),
        Body::LinkIssued { recipient, .. } => {
            format!("issued a personal link for {}", name(contents, *recipient))
        }
        Body::Notified { recipient, .. } => mailed(contents, "mail", *recipient),
        Body::Bounced { recipient, smtp_status, .. } => {
            format!("could not mail {}: the mail server answered {smtp_status}", name(contents, *recipient))
        }
        Body::SessionOpened { .. } => "opened the personal link and began a session".to_owned(),
        Body::CodeIssued { .. } => "asked for a one-time code".to_owned(),
        Body::CodeDelivered { recipient, .. } => mailed(contents, "one-time code", *recipient),
        Body::PasskeyRegistered { .. } => "made a passkey for this envelope".to_owned(),
        Body::PasskeyCloned { .. } => {
            "used a passkey that may be a copy, since its counter had not grown; it was not taken".to_owned()
        }
        Body::FactorPassed { factor, .. } => match factor {
            Factor::Passkey => "used their passkey, which checked a finger, a face or a PIN".to_owned(),
            other => format!("typed the right {}", code_text(*other)),
        },
        Body::FactorFailed { factor, tries_left, .. } => {
            format!("typed a wrong {} ({tries_left} tries left)", code_text(*factor))
        }
        Body::FactorLocked { factor: Factor::Passkey, .. } => "was locked out after that".to_owned(),
        Body::FactorLocked { .. } => "was locked out after too many wrong codes".to_owned(),
        Body::DisclosureShown { text, .. } => format!("was shown the disclosure {}", text.version),
        Body::ConsentGiven { text, .. } => format!("agreed to do business electronically ({})", text.version),
        Body::DocumentOpened { document, .. } => format!("opened {}", document_name(contents, *document)),
        Body::PagesShown { document, pages, .. } => {
            format!("was shown {} of {}", page_list(pages), document_name(contents, *document))
        }
        Body::DocumentMismatched { document, .. } => {
            format!(
                "found that the stored bytes of {} had changed, and stopped",
                document_name(contents, *document)
            )
        }
        Body::SignatureAdopted { method: AdoptionMethod::Typed, .. } => {
            "adopted a typed signature".to_owned()
        }
        Body::SignatureAdopted { method: AdoptionMethod::Drawn, .. } => {
            "adopted a drawn signature".to_owned()
        }
        Body::Signed(act) => pressed("signed", act),
        Body::Approved(act) => pressed("approved", act),
        Body::Read(act) => pressed("confirmed having read", act),
        Body::Declined { .. } => "declined".to_owned(),
        Body::Voided { .. } => "voided the envelope".to_owned(),
        Body::Expired => "closed the envelope: its time was over".to_owned(),
        Body::SealingStarted { .. } => "began to seal: everybody has acted".to_owned(),
        Body::Sealed { .. } => "sealed the documents".to_owned(),
        Body::Copied { recipient, .. } => mailed(contents, "link to the sealed documents", *recipient),
        Body::Downloaded { what: Download::Original { document } } => {
            format!("downloaded {} as uploaded", document_name(contents, *document))
        }
        Body::Downloaded { what: Download::Sealed { document } } => {
            format!("downloaded {} as sealed", document_name(contents, *document))
        }
        Body::Downloaded { what: Download::Certificate } => {
            "downloaded the certificate of completion".to_owned()
        }
        Body::Exported => "exported the evidence package".to_owned(),
    }
}

/// That a mail left the house; in a sandbox it stays in the mailbox.
fn mailed(contents: &Contents, what: &str, recipient: RecipientId) -> String {
    let to = name(contents, recipient);
    match contents.environment {
        CoreEnvironment::Live => format!("handed the {what} for {to} to the mail server"),
        CoreEnvironment::Sandbox => format!("put the {what} for {to} into the sandbox's mailbox"),
    }
}

fn pressed(verb: &str, act: &Act) -> String {
    let with = if act.assertion.is_some() { " and using their passkey" } else { "" };
    format!("{verb}, by pressing the button {}{with}", shown(&act.label))
}

/// What a code is called that identifies.
fn code_text(factor: Factor) -> &'static str {
    match factor {
        Factor::AccessCode => "access code",
        Factor::Totp => "code of the authenticator app",
        Factor::Link | Factor::EmailCode | Factor::Passkey => "one-time code",
    }
}

/// Pages that one row of the timeline lists.
const LISTED_PAGES: usize = 12;

fn page_list(pages: &[u32]) -> String {
    match pages {
        [page] => format!("page {page}"),
        [first, .., last] if usize::try_from(last - first + 1).is_ok_and(|count| count == pages.len()) => {
            format!("pages {first} to {last}")
        }
        _ => {
            let named: Vec<_> = pages.iter().take(LISTED_PAGES).map(ToString::to_string).collect();
            let more = match pages.len().saturating_sub(LISTED_PAGES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("pages {}{more}", named.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::{
        digest::Digest,
        envelope::{
            event::ConsentText,
            passkey::{Assertion, Bytes},
        },
        id::{PersonId, RecipientId, SessionId},
        secret::Personal,
    };

    use super::*;

    /// E-8, E-9: the certificate says how a person was identified, and no more than that.
    #[test]
    fn each_way_of_being_identified_has_its_own_honest_words() {
        let assertion = Assertion {
            credential: Bytes::default(),
            authenticator_data: Bytes::default(),
            client_data_json: Bytes::default(),
            signature: Bytes::default(),
        };
        let mut act = Act {
            recipient: RecipientId::from_bytes([1; 16]),
            session: SessionId::from_bytes([1; 16]),
            documents: Vec::new(),
            values: Vec::new(),
            consent: ConsentText { version: "1".to_owned(), sha256: Digest::default() },
            label: Veiled::new(PersonId::from_bytes([1; 16]), [0; 16], Personal::new("Sign".to_owned())),
            nonce: Digest::default(),
            mark: None,
            assertion: None,
        };
        assert!(identified(&[Factor::Link], &act).ends_with("and by nothing else"));
        assert!(identified(&[Factor::Link, Factor::EmailCode], &act).ends_with("into the same browser"));
        assert!(identified(&[Factor::Link, Factor::AccessCode], &act).contains("told them by another way"));
        assert!(
            identified(&[Factor::Link, Factor::Totp], &act)
                .contains("the authenticator app with which this member")
        );
        act.assertion = Some(assertion);
        let first = identified(&[Factor::Link, Factor::EmailCode, Factor::Passkey], &act);
        assert!(first.contains("a passkey made then") && first.contains("signed the hash"), "{first}");
        let later = identified(&[Factor::Link, Factor::Passkey], &act);
        assert!(later.contains("in an earlier session") && !later.contains("made then"), "{later}");
    }
}
