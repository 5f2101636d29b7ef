//! Deciding everything again: each event must be what `decide` makes of a command in the state before it, apart from
//! what was random (E-2). Erased values are replaced by ones that the rules accept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use countersign_core::{
    digest::Digest,
    envelope::{
        Body, Command, Context, Event, Opening, Veiled,
        command::{ActorNow, NewEnvelope, NewField, NewRecipient, OriginNow, Submission, UploadedDocument},
        decide,
        event::{Act, Actor, Factor, Field, FieldKind, Origin, Recipient},
        fields::{button_label, is_set_by_server},
        passkey::{PublicKey, VerifyPasskey},
        state::{Folded, State},
    },
    id::PersonId,
    limits,
    secret::Personal,
};
use serde_json::Value;

use super::Checked;
use crate::{line::Followed, passkey::PurePasskeys};

/// Decides the whole stream again.
pub(super) fn check(events: &[Followed]) -> Checked {
    let erased: BTreeSet<PersonId> = events
        .iter()
        .flat_map(|logged| logged.recorded.event.veiled())
        .filter(|veiled| veiled.opening.is_none())
        .map(|veiled| veiled.person)
        .collect();
    let filled = Filler::new(&erased).fill_all(events);
    let seal = super::stream::sealing(events).map(|(certificate, _)| certificate).unwrap_or_default();
    let mut folded = Folded::default();
    let mut rest = filled.as_slice();
    let mut bytes = events.iter().map(|logged| &logged.recorded.bytes);
    let mut decisions = 0;
    while let Some(first) = rest.first() {
        let illegal = |why: String| format!("event {} ({}): {why}", first.seq, first.body.type_text());
        let made = decide_again(&folded, rest, seal).map_err(illegal)?;
        let (recorded, after) = rest
            .split_at_checked(made.len())
            .filter(|_| !made.is_empty())
            .ok_or_else(|| illegal("nothing, or more than this, had to happen here".to_owned()))?;
        let mut fresh = Fresh::default();
        for (made, recorded) in made.iter().zip(recorded) {
            if !fresh.same(made, recorded) {
                let seq = recorded.seq;
                return Err(illegal(format!("by the rules event {seq} would have to be another one")).into());
            }
            let followed = bytes.next().map(|bytes| folded.chain.follow(bytes));
            assert!(
                matches!(followed, Some(Ok(_))),
                "the chain was followed before anything is decided again"
            );
            folded.apply(recorded);
        }
        decisions += 1;
        rest = after;
    }
    Ok(format!("{} events from {decisions} decisions", filled.len()))
}

/// Runs the command that must have led to the first event.
fn decide_again(folded: &Folded, events: &[Event], seal: Digest) -> Result<Vec<Event>, String> {
    let event = events.first().ok_or("there is no event")?;
    actor_fits(event)?;
    let context = Context {
        now: event.at,
        actor: actor_now(&event.actor),
        correlation: event.correlation,
        nonce: [0; 32],
        seal_certificate_sha256: Some(seal),
        passkeys: Arc::new(Recorded { expected: expected(events) }),
    };
    let command = command_for(&folded.state, events).ok_or("no command leads to it here")?;
    decide(event.envelope, folded, command, &context).map_err(|refusal| refusal.to_string())
}

/// Verifies passkeys over what was recorded: salts are drawn anew here, so that an act that is decided again has another
/// challenge than the recorded one, which is the same otherwise.
#[derive(Debug)]
struct Recorded {
    expected: Option<Digest>,
}

impl VerifyPasskey for Recorded {
    fn is_signed(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        PurePasskeys.is_signed(key, message, signature)
    }

    fn expected(&self, made: Digest) -> Digest {
        self.expected.unwrap_or(made)
    }
}

/// The challenge that these events' assertion answers, where no decision makes it again: that of an act, and whatever a
/// copied passkey was asked for, which led to nothing.
fn expected(events: &[Event]) -> Option<Digest> {
    match &events.first()?.body {
        Body::Signed(act) | Body::Approved(act) | Body::Read(act) => Some(act.challenge()),
        Body::SignatureAdopted { .. } => match &events.get(1)?.body {
            Body::Signed(act) => Some(act.challenge()),
            _ => None,
        },
        Body::PasskeyCloned { assertion, .. } => assertion.challenge(),
        _ => None,
    }
}

/// Recipients' acts are done by that recipient in that session, the sender's by a program.
fn actor_fits(event: &Event) -> Result<(), String> {
    let asked = match &event.body {
        Body::SessionOpened { recipient, session, .. }
        | Body::CodeIssued { recipient, session, .. }
        | Body::PasskeyRegistered { recipient, session, .. }
        | Body::PasskeyCloned { recipient, session, .. }
        | Body::FactorPassed { recipient, session, .. }
        | Body::FactorFailed { recipient, session, .. }
        | Body::DisclosureShown { recipient, session, .. }
        | Body::ConsentGiven { recipient, session, .. }
        | Body::DocumentOpened { recipient, session, .. }
        | Body::PagesShown { recipient, session, .. }
        | Body::SignatureAdopted { recipient, session, .. }
        | Body::Declined { recipient, session, .. } => Some((*recipient, *session)),
        Body::Signed(act) | Body::Approved(act) | Body::Read(act) => Some((act.recipient, act.session)),
        Body::Created { .. } | Body::Sent { .. } | Body::Voided { .. } => None,
        // A recipient whose link ended may ask for a new one, and anybody with a link may download.
        _ => return Ok(()),
    };
    let fits = match (&event.actor, asked) {
        (Actor::Recipient { recipient, session, .. }, asked) => asked == Some((*recipient, *session)),
        (Actor::ApiKey { .. } | Actor::Client { .. } | Actor::System, asked) => asked.is_none(),
    };
    if fits { Ok(()) } else { Err("somebody else did it than the one it is about".to_owned()) }
}

fn actor_now(actor: &Actor) -> ActorNow {
    let origin_now = |origin: &Origin| OriginNow {
        ip: disclosed(&origin.ip),
        ip_source: origin.ip_source,
        user_agent: origin.user_agent.as_ref().map(disclosed),
        time_zone: origin.time_zone.clone(),
    };
    match actor {
        Actor::System => ActorNow::System,
        Actor::ApiKey { key, origin } => {
            ActorNow::ApiKey { key: *key, person: origin.ip.person, origin: origin_now(origin) }
        }
        Actor::Client { client, user, grant, origin } => ActorNow::Client {
            client: *client,
            user: *user,
            grant: *grant,
            person: origin.ip.person,
            origin: origin_now(origin),
        },
        Actor::Recipient { recipient, session, origin, .. } => {
            ActorNow::Recipient { recipient: *recipient, session: *session, origin: origin_now(origin) }
        }
    }
}

/// The value; every value is filled before deciding.
fn disclosed(veiled: &Veiled) -> Personal<String> {
    veiled.value().cloned().unwrap_or_else(|| Personal::new(String::new()))
}

fn command_for(state: &State, events: &[Event]) -> Option<Command> {
    let event = events.first()?;
    Some(match event.body.clone() {
        Body::Created { .. } => Command::Create(Box::new(new_envelope(event)?)),
        Body::Sent { .. } => Command::Send,
        Body::LinkIssued { recipient, .. } => Command::Resend { recipient: Some(recipient) },
        Body::Notified { recipient, mail } => Command::RecordNotified { recipient, mail },
        Body::Bounced { recipient, mail, smtp_status } => {
            Command::RecordBounced { recipient, mail, smtp_status }
        }
        Body::SessionOpened { recipient, link, session } => Command::OpenSession { recipient, link, session },
        Body::CodeIssued { recipient, session, code, .. } => Command::IssueCode { recipient, session, code },
        Body::CodeDelivered { recipient, mail } => Command::RecordCodeDelivered { recipient, mail },
        Body::PasskeyRegistered { recipient, session, passkey, registration } => {
            Command::RegisterPasskey { recipient, session, origin: passkey.origin, registration }
        }
        Body::PasskeyCloned { recipient, session, assertion }
        | Body::FactorPassed { recipient, session, assertion: Some(assertion), .. } => {
            Command::UsePasskey { recipient, session, assertion }
        }
        Body::FactorPassed { recipient, session, factor: Factor::AccessCode, .. }
        | Body::FactorFailed { recipient, session, factor: Factor::AccessCode, .. } => {
            let right = matches!(event.body, Body::FactorPassed { .. });
            Command::TryAccessCode { recipient, session, right }
        }
        Body::FactorPassed { recipient, session, factor: Factor::Totp, .. }
        | Body::FactorFailed { recipient, session, factor: Factor::Totp, .. } => {
            let right = matches!(event.body, Body::FactorPassed { .. });
            Command::TryTotp { recipient, session, right }
        }
        Body::FactorPassed { recipient, session, .. } | Body::FactorFailed { recipient, session, .. } => {
            let right = matches!(event.body, Body::FactorPassed { .. });
            let (code, _) = state.underway()?.progress_of(recipient)?.session(session)?.code?;
            Command::TryCode { recipient, session, code, right }
        }
        Body::DisclosureShown { recipient, session, text } => {
            Command::ShowDisclosure { recipient, session, version: text.version, sha256: text.sha256 }
        }
        Body::ConsentGiven { recipient, session, text } => {
            Command::GiveConsent { recipient, session, version: text.version, sha256: text.sha256 }
        }
        Body::DocumentOpened { recipient, session, document, sha256 } => {
            Command::OpenDocument { recipient, session, document, sha256 }
        }
        Body::PagesShown { recipient, session, document, sha256, pages } => {
            Command::ShowPages { recipient, session, document, sha256, pages }
        }
        Body::DocumentMismatched { document, found, .. } => {
            let Actor::Recipient { recipient, session, .. } = event.actor else { return None };
            Command::OpenDocument { recipient, session, document, sha256: found }
        }
        Body::SignatureAdopted { method, mark, .. } => {
            let Body::Signed(act) = &events.get(1)?.body else { return None };
            submit(state, act, Some((method, disclosed(&mark))))
        }
        Body::Signed(act) | Body::Approved(act) | Body::Read(act) => submit(state, &act, None),
        Body::Declined { recipient, session, reason } => {
            Command::Decline { recipient, session, reason: reason.as_ref().map(disclosed) }
        }
        Body::Voided { reason } => Command::Void { reason: reason.as_ref().map(disclosed) },
        Body::Expired => Command::Expire,
        Body::Sealed { documents, certificate_sha256, certificate_size_bytes, checkpoint_size } => {
            Command::RecordSealed { documents, certificate_sha256, certificate_size_bytes, checkpoint_size }
        }
        Body::Copied { recipient, mail } => Command::RecordCopied { recipient, mail },
        Body::Downloaded { what } => Command::RecordDownload { what },
        Body::Exported => Command::RecordExport,
        // These only ever follow from another event of the same decision.
        Body::FactorLocked { .. } | Body::SealingStarted { .. } => return None,
    })
}

fn submit(
    state: &State,
    act: &Act,
    adopted: Option<(countersign_core::envelope::event::AdoptionMethod, Personal<String>)>,
) -> Command {
    let is_typed = |field| {
        let field = state.contents().and_then(|contents| contents.fields.iter().find(|one| one.id == field));
        field.is_some_and(|field| !is_set_by_server(&field.kind))
    };
    let typed = act.values.iter().filter(|value| is_typed(value.field));
    let submission = Submission {
        session: act.session,
        documents: act.documents.clone(),
        values: typed.map(|value| (value.field, disclosed(&value.value))).collect(),
        adopted,
        consent_sha256: act.consent.sha256,
        label: disclosed(&act.label),
        nonce: act.nonce,
        salts: None,
        assertion: act.assertion.clone(),
    };
    Command::Submit { recipient: act.recipient, submission: Box::new(submission) }
}

/// The command that created the envelope. Page sizes are not in the event, so every field is taken to fit its page.
fn new_envelope(event: &Event) -> Option<NewEnvelope> {
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
        return None;
    };
    let uploaded = documents.iter().map(|document| {
        let page_count =
            usize::try_from(document.page_count).ok().filter(|count| *count <= limits::UPLOAD_PAGES)?;
        Some(UploadedDocument {
            id: document.id,
            name: disclosed(&document.name),
            sha256: document.sha256,
            size_bytes: document.size_bytes,
            page_sizes_cpt: vec![(u32::MAX, u32::MAX); page_count],
        })
    });
    let asked = recipients.iter().map(|recipient| NewRecipient {
        person: recipient.person,
        role: recipient.role,
        order: recipient.order,
        name: disclosed(&recipient.name),
        email: disclosed(&recipient.email),
        factor: recipient.factor,
        access_code: recipient.access_code.as_ref().map(disclosed),
    });
    let placed = fields.iter().map(|field| {
        Some(NewField {
            document_index: documents.iter().position(|document| document.id == field.document)?,
            recipient_index: recipients.iter().position(|recipient| recipient.id == field.recipient)?,
            kind: field.kind.clone(),
            page: field.page,
            rect: field.rect,
            required: field.required,
            label: field.label.clone(),
        })
    });
    Some(NewEnvelope {
        envelope: event.envelope,
        environment: *environment,
        organization: *organization,
        organization_name: organization_name.clone(),
        sender: title.person,
        title: disclosed(title),
        message: message.as_ref().map(disclosed),
        documents: uploaded.collect::<Option<_>>()?,
        recipients: asked.collect(),
        fields: placed.collect::<Option<_>>()?,
        lifetime_s: *lifetime_s,
        assurance: *assurance,
    })
}

/// Ids that a decision drew at random, and what they are in the recorded events.
#[derive(Default)]
struct Fresh {
    recorded_by_made: BTreeMap<String, String>,
}

impl Fresh {
    /// Whether two events are the same apart from random ids and salts.
    fn same(&mut self, made: &Event, recorded: &Event) -> bool {
        let values =
            made.veiled().len() == recorded.veiled().len()
                && made.veiled().iter().zip(recorded.veiled()).all(|(made, recorded)| {
                    made.person == recorded.person && made.value() == recorded.value()
                });
        let (Ok(made_json), Ok(recorded_json)) = (serde_json::to_value(made), serde_json::to_value(recorded))
        else {
            return false;
        };
        values && self.same_json(&made_json, &recorded_json, matches!(made.body, Body::Created { .. }))
    }

    fn same_json(&mut self, made: &Value, recorded: &Value, is_created: bool) -> bool {
        match (made, recorded) {
            (Value::Object(made), Value::Object(recorded)) => {
                // A veiled value: its commitment has its own salt, its value was compared above.
                let is_veiled = made.len() == 2 && made.contains_key("person") && made.contains_key("sha256");
                made.len() == recorded.len()
                    && made.iter().zip(recorded).all(|((made_key, made), (recorded_key, recorded))| {
                        made_key == recorded_key
                            && ((is_veiled && made_key == "sha256")
                                || self.same_json(made, recorded, is_created))
                    })
            }
            (Value::Array(made), Value::Array(recorded)) => {
                made.len() == recorded.len()
                    && made
                        .iter()
                        .zip(recorded)
                        .all(|(made, recorded)| self.same_json(made, recorded, is_created))
            }
            (Value::String(made), Value::String(recorded)) => {
                made == recorded || self.same_id(made, recorded, is_created)
            }
            _ => made == recorded,
        }
    }

    fn same_id(&mut self, made: &str, recorded: &str, is_created: bool) -> bool {
        let drawn: &[&str] = if is_created { &["rcp_", "fld_"] } else { &["lnk_", "mai_"] };
        if !drawn.iter().any(|prefix| made.starts_with(prefix) && recorded.starts_with(prefix)) {
            return false;
        }
        if let Some(known) = self.recorded_by_made.get(made) {
            return known == recorded;
        }
        let is_new = !self.recorded_by_made.values().any(|known| known == recorded);
        self.recorded_by_made.insert(made.to_owned(), recorded.to_owned());
        is_new
    }
}

/// Fills in the values of persons of whom something was erased, so that the rules can be run.
struct Filler<'a> {
    erased: &'a BTreeSet<PersonId>,
    title: String,
    recipients: Vec<Recipient>,
    fields: Vec<Field>,
}

impl<'a> Filler<'a> {
    fn new(erased: &'a BTreeSet<PersonId>) -> Self {
        Self { erased, title: String::new(), recipients: Vec::new(), fields: Vec::new() }
    }

    fn fill_all(&mut self, events: &[Followed]) -> Vec<Event> {
        let mut all: Vec<Event> = events.iter().map(|logged| logged.recorded.event.clone()).collect();
        for event in &mut all {
            self.fill(event);
        }
        all
    }

    fn fill(&mut self, event: &mut Event) {
        match &mut event.body {
            Body::Created { recipients, .. } => {
                for recipient in recipients {
                    self.put(&mut recipient.email, "erased@example.invalid");
                }
            }
            Body::SignatureAdopted { method, mark, .. } => {
                let drawn = r#"{"width":1,"height":1,"strokes":[[[0,0],[1,1]]]}"#;
                let is_drawn = *method == countersign_core::envelope::event::AdoptionMethod::Drawn;
                self.put(mark, if is_drawn { drawn } else { "erased" });
            }
            Body::Signed(act) | Body::Approved(act) | Body::Read(act) => {
                self.fill_act(act, event.at, &event.actor);
            }
            _ => {}
        }
        for veiled in event.veiled_mut() {
            if self.erased.contains(&veiled.person) && !is_stand_in(veiled) {
                self.put(veiled, "erased");
            }
        }
        if let Body::Created { title, recipients, fields, .. } = &event.body {
            self.title.clone_from(disclosed(title).disclose());
            self.recipients.clone_from(recipients);
            self.fields.clone_from(fields);
        }
    }

    fn fill_act(&self, act: &mut Act, at: countersign_core::time::Time, actor: &Actor) {
        let Some(recipient) = self.recipients.iter().find(|recipient| recipient.id == act.recipient) else {
            return;
        };
        let zone = match actor {
            Actor::Recipient { origin, .. } => origin.time_zone.as_deref(),
            _ => None,
        };
        let mut chosen: BTreeSet<&str> = BTreeSet::new();
        for value in &mut act.values {
            let Some(field) = self.fields.iter().find(|field| field.id == value.field) else { continue };
            let stand_in = match &field.kind {
                FieldKind::DateSigned => at.date_in_zone(zone),
                FieldKind::Email => disclosed(&recipient.email).disclose().clone(),
                FieldKind::Signature | FieldKind::Name => disclosed(&recipient.name).disclose().clone(),
                FieldKind::Initials => {
                    countersign_core::envelope::fields::initials(disclosed(&recipient.name).disclose())
                }
                FieldKind::Number { .. } => "0".to_owned(),
                FieldKind::Checkbox => "true".to_owned(),
                FieldKind::Radio { group } => chosen.insert(group).to_string(),
                FieldKind::Dropdown { options } => options.first().cloned().unwrap_or_default(),
                FieldKind::Company | FieldKind::Title | FieldKind::Text { .. } => "x".to_owned(),
            };
            self.put(&mut value.value, &stand_in);
        }
        // The label holds the title, which is somebody else's value.
        let label = button_label(recipient.role, &self.title);
        if self.title == "erased" || self.erased.contains(&act.label.person) {
            act.label.opening = Some(stand_in(&label));
        }
    }

    fn put(&self, veiled: &mut Veiled, value: &str) {
        if self.erased.contains(&veiled.person) {
            veiled.opening = Some(stand_in(value));
        }
    }
}

/// An opening that stands for an erased value. It opens nothing, and stays in this module.
fn stand_in(value: &str) -> Opening {
    Opening { salt: [0; 16], value: Personal::new(value.to_owned()) }
}

fn is_stand_in(veiled: &Veiled) -> bool {
    veiled.opening.as_ref().is_some_and(|opening| opening.commitment() != veiled.sha256)
}
