//! Every legal transition of an envelope, in one place and pure: what is asked of a state gives events or a refusal.

mod ceremony;
mod passkeys;

use super::{
    command::{ActorNow, Command, Context, Dice, NewEnvelope, OriginNow, Submission},
    event::{
        Actor, Body, ConsentText, Document, Event, Factor, Field, Origin, Recipient, Role, SealedDocument,
    },
    fields,
    state::{Folded, Progress, State, Underway},
    veil::Veiled,
};
use crate::{
    digest::Digest,
    id::{EnvelopeId, FieldId, LinkId, MailId, PersonId, RecipientId},
    limits,
    refusal::{Code, Refusal},
    secret::Personal,
    time::Time,
};

/// Decides `command` on the envelope: the events to append, none if there is nothing to do, or why not.
pub fn decide(
    envelope: EnvelopeId,
    folded: &Folded,
    command: Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    let mut deciding = Deciding::new(envelope, folded, context);
    match command {
        Command::Create(new) => deciding.create(*new)?,
        Command::Send => deciding.send()?,
        Command::Resend { recipient } => deciding.resend(recipient)?,
        Command::Void { reason } => deciding.void(reason)?,
        Command::Expire => deciding.expire(),
        Command::RecordNotified { recipient, mail } => deciding.record_notified(recipient, mail),
        Command::RecordBounced { recipient, mail, smtp_status } => {
            deciding.record_bounced(recipient, mail, smtp_status);
        }
        Command::OpenSession { recipient, link, session } => {
            deciding.open_session(recipient, link, session)?;
        }
        Command::IssueCode { recipient, session, code } => deciding.issue_code(recipient, session, code)?,
        Command::RecordCodeDelivered { recipient, mail } => deciding.record_code_delivered(recipient, mail),
        Command::TryCode { recipient, session, code, right } => {
            deciding.try_code(recipient, session, code, right)?;
        }
        Command::TryAccessCode { recipient, session, right } => {
            deciding.try_told_code(Factor::AccessCode, recipient, session, right)?;
        }
        Command::TryTotp { recipient, session, right } => {
            deciding.try_told_code(Factor::Totp, recipient, session, right)?;
        }
        Command::RegisterPasskey { recipient, session, origin, registration } => {
            deciding.register_passkey(recipient, session, &origin, registration)?;
        }
        Command::UsePasskey { recipient, session, assertion } => {
            deciding.use_passkey(recipient, session, assertion)?;
        }
        Command::ShowDisclosure { recipient, session, version, sha256 } => {
            deciding.show_disclosure(recipient, session, ConsentText { version, sha256 })?;
        }
        Command::GiveConsent { recipient, session, version, sha256 } => {
            deciding.give_consent(recipient, session, ConsentText { version, sha256 })?;
        }
        Command::OpenDocument { recipient, session, document, sha256 } => {
            deciding.open_document(recipient, session, document, sha256)?;
        }
        Command::ShowPages { recipient, session, document, sha256, pages } => {
            deciding.show_pages(recipient, session, document, sha256, pages)?;
        }
        Command::Submit { recipient, submission } => deciding.submit(recipient, *submission)?,
        Command::Decline { recipient, session, reason } => deciding.decline(recipient, session, reason)?,
        Command::RecordSealed { documents, certificate_sha256, certificate_size_bytes, checkpoint_size } => {
            deciding.record_sealed(documents, certificate_sha256, certificate_size_bytes, checkpoint_size)?;
        }
        Command::RecordCopied { recipient, mail } => deciding.record_copied(recipient, mail),
        Command::RecordDownload { what } => deciding.record(Body::Downloaded { what })?,
        Command::RecordExport => deciding.record(Body::Exported)?,
    }
    Ok(deciding.events)
}

/// What a passkey has to sign for `submission` to be accepted in these circumstances; its assertion is left aside.
pub fn challenge_of_act(
    envelope: EnvelopeId,
    folded: &Folded,
    recipient: RecipientId,
    submission: Submission,
    context: &Context,
) -> Result<Digest, Refusal> {
    let mut deciding = Deciding::new(envelope, folded, context);
    Ok(deciding.compose(recipient, submission)?.act.challenge())
}

/// A decision in the making: each event is applied at once, so that what follows sees it.
struct Deciding<'a> {
    envelope: EnvelopeId,
    state: State,
    next_seq: u64,
    sender_record_count: u32,
    now: Time,
    context: &'a Context,
    dice: Dice<'a>,
    actor: Actor,
    events: Vec<Event>,
}

impl<'a> Deciding<'a> {
    fn new(envelope: EnvelopeId, folded: &Folded, context: &'a Context) -> Self {
        let mut dice = Dice::new(&context.nonce);
        let actor = actor(&folded.state, context, &mut dice);
        Self {
            envelope,
            state: folded.state.clone(),
            next_seq: folded.chain.next_seq(),
            sender_record_count: folded.sender_record_count,
            // A clock that was set back must not date an event before the one it follows.
            now: folded.last_at.map_or(context.now, |last| last.max(context.now)),
            context,
            dice,
            actor,
            events: Vec::new(),
        }
    }

    fn push(&mut self, body: Body) {
        let actor = self.actor.clone();
        self.push_by(actor, body);
    }

    /// What the server does by itself because of what somebody did.
    fn push_by_system(&mut self, body: Body) {
        self.push_by(Actor::System, body);
    }

    fn push_by(&mut self, actor: Actor, body: Body) {
        let event = Event {
            envelope: self.envelope,
            seq: self.next_seq,
            at: self.now,
            actor,
            correlation: self.context.correlation,
            body,
        };
        self.next_seq += 1;
        self.state.apply(&event);
        self.events.push(event);
    }

    fn veil(&mut self, person: PersonId, value: Personal<String>) -> Veiled {
        Veiled::new(person, self.dice.draw(), value)
    }

    fn create(&mut self, new: NewEnvelope) -> Result<(), Refusal> {
        if self.state != State::Absent {
            return Err(Refusal::new(Code::WrongState, "this envelope exists already"));
        }
        fields::check_new_envelope(&new)?;
        let sender = new.sender;
        let title = self.veil(sender, new.title);
        let message = new.message.map(|message| self.veil(sender, message));
        let documents: Vec<Document> = new
            .documents
            .into_iter()
            .map(|document| Document {
                id: document.id,
                name: self.veil(sender, document.name),
                sha256: document.sha256,
                size_bytes: document.size_bytes,
                page_count: u32::try_from(document.page_sizes_cpt.len()).unwrap_or(u32::MAX),
            })
            .collect();
        let recipients: Vec<Recipient> = new
            .recipients
            .into_iter()
            .map(|recipient| Recipient {
                id: RecipientId::new(self.now, self.dice.draw()),
                person: recipient.person,
                role: recipient.role,
                order: recipient.order,
                name: self.veil(recipient.person, recipient.name),
                email: self.veil(recipient.person, recipient.email),
                factor: recipient.factor,
                access_code: recipient.access_code.map(|code| self.veil(recipient.person, code)),
            })
            .collect();
        let fields = new
            .fields
            .into_iter()
            .filter_map(|field| {
                let (document, recipient) =
                    (documents.get(field.document_index)?.id, recipients.get(field.recipient_index)?.id);
                let id = FieldId::new(self.now, self.dice.draw());
                let (kind, page, rect) = (field.kind, field.page, field.rect);
                Some(Field {
                    id,
                    document,
                    recipient,
                    kind,
                    page,
                    rect,
                    required: field.required,
                    label: field.label,
                })
            })
            .collect();
        self.push(Body::Created {
            environment: new.environment,
            organization: new.organization,
            organization_name: new.organization_name,
            title,
            message,
            documents,
            recipients,
            fields,
            lifetime_s: new.lifetime_s,
            assurance: new.assurance,
        });
        Ok(())
    }

    fn send(&mut self) -> Result<(), Refusal> {
        match &self.state {
            State::Draft(contents) => {
                let expires_at = self.now.plus_s(contents.lifetime_s);
                self.push(Body::Sent { expires_at });
                self.issue_due_links();
                Ok(())
            }
            State::Absent => Err(Refusal::not_found()),
            State::Sent(_) | State::Sealing(..) | State::Completed(..) => Ok(()),
            State::Declined(..) | State::Voided(..) | State::Expired(_) => Err(ended(&self.state)),
        }
    }

    fn resend(&mut self, only: Option<RecipientId>) -> Result<(), Refusal> {
        let underway = self.visible()?;
        let are_acting = matches!(self.state, State::Sent(_));
        let is_to_act =
            |one: &Progress| are_acting && underway.is_turn_of(one.recipient) && !one.status.is_done();
        // A receipt can be opened by who has acted, and once all have acted by everybody.
        let has_receipt = |one: &Progress| !are_acting || one.status.is_done();
        let due: Vec<RecipientId> = match only {
            None => {
                let due = |one: &&Progress| is_to_act(one) || !are_acting;
                underway.progress.iter().filter(due).map(|one| one.recipient).collect()
            }
            Some(recipient) => {
                let progress = underway.progress_of(recipient).ok_or_else(Refusal::not_found)?;
                if !is_to_act(progress) && !has_receipt(progress) {
                    let known = underway.contents.recipient(recipient);
                    let is_copy = known.is_some_and(|known| known.role == Role::Copy);
                    return Err(if is_copy { no_copy_yet() } else { not_turn() });
                }
                vec![recipient]
            }
        };
        let has_room = |one: &&RecipientId| self.has_room(**one, limits::EVENTS_RESERVED_FOR_LINKS);
        let possible: Vec<RecipientId> = due.iter().filter(has_room).copied().collect();
        if possible.is_empty() && !due.is_empty() {
            let sentence =
                "too many links were asked for; keep what you have, and create a new envelope for more";
            return Err(Refusal::new(Code::TooMany, sentence));
        }
        for recipient in possible {
            self.issue_link(recipient);
        }
        Ok(())
    }

    /// Whether there is room for what a recipient asks for or is sent (G-8): while there is room for all, or in the part
    /// that each has of its own, so that none takes the room of another. What ends the envelope, and what brings it to
    /// its end, never comes here.
    fn has_room(&self, recipient: RecipientId, reserved_count: u32) -> bool {
        let progress = self.state.underway().and_then(|underway| underway.progress_of(recipient));
        self.next_seq <= limits::EVENTS_IN_COMMON
            || progress.is_some_and(|progress| progress.reserved_count < reserved_count)
    }

    fn has_room_for_mail(&self, recipient: RecipientId) -> bool {
        self.has_room(recipient, limits::EVENTS_RESERVED_PER_RECIPIENT)
    }

    /// Refuses what a recipient asks again and again.
    fn check_room(&self, recipient: RecipientId) -> Result<(), Refusal> {
        if self.has_room(recipient, limits::EVENTS_RESERVED_PER_RECIPIENT) {
            return Ok(());
        }
        let sentence = "too much was asked of this envelope; ask the sender for a new one";
        Err(Refusal::new(Code::TooMany, sentence))
    }

    /// Whether one more thing that was read is recorded: as long as whoever read has a share left.
    fn has_room_for_record(&self) -> bool {
        let has_share = match &self.context.actor {
            ActorNow::Recipient { recipient, .. } => self.state.underway().is_some_and(|underway| {
                let share = limits::records_of_one(underway.progress.len());
                underway.progress_of(*recipient).is_some_and(|progress| progress.record_count < share)
            }),
            ActorNow::ApiKey { .. } | ActorNow::Client { .. } | ActorNow::System => {
                self.sender_record_count < limits::RECORDS_OF_SENDER
            }
        };
        has_share && self.next_seq <= limits::EVENTS_IN_COMMON
    }

    /// Records what was read, or nothing once there is enough of it: nobody is refused what there is to read.
    fn push_record(&mut self, body: Body) {
        if self.has_room_for_record() {
            self.push(body);
        }
    }

    fn void(&mut self, reason: Option<Personal<String>>) -> Result<(), Refusal> {
        match &self.state {
            State::Absent => Err(Refusal::not_found()),
            State::Voided(..) => Ok(()),
            State::Draft(_) | State::Sent(_) => {
                if let Some(reason) = &reason {
                    fields::check_text("/reason", reason.disclose())?;
                }
                let person = match &self.context.actor {
                    ActorNow::ApiKey { person, .. } | ActorNow::Client { person, .. } => Some(*person),
                    _ => self.state.contents().map(|contents| contents.title.person),
                };
                let reason = reason.zip(person).map(|(reason, person)| self.veil(person, reason));
                self.push(Body::Voided { reason });
                Ok(())
            }
            State::Sealing(..) | State::Completed(..) => Err(Refusal::new(
                Code::WrongState,
                "everybody has signed already; a completed envelope cannot be voided",
            )),
            State::Declined(..) | State::Expired(_) => Err(ended(&self.state)),
        }
    }

    fn expire(&mut self) {
        if let State::Sent(underway) = &self.state
            && underway.expires_at <= self.now
        {
            self.push(Body::Expired);
        }
    }

    fn record_notified(&mut self, recipient: RecipientId, mail: MailId) {
        let is_told = match &self.state {
            State::Sent(_) | State::Sealing(..) | State::Declined(..) => true,
            State::Voided(before, _) => matches!(**before, State::Sent(_)),
            _ => false,
        };
        if is_told && self.is_underway_with(recipient) && self.has_room_for_mail(recipient) {
            self.push(Body::Notified { recipient, mail });
        }
    }

    fn record_code_delivered(&mut self, recipient: RecipientId, mail: MailId) {
        if self.is_underway_with(recipient) && self.has_room_for_mail(recipient) {
            self.push(Body::CodeDelivered { recipient, mail });
        }
    }

    fn is_underway_with(&self, recipient: RecipientId) -> bool {
        self.state.underway().is_some_and(|underway| underway.progress_of(recipient).is_some())
    }

    fn record_bounced(&mut self, recipient: RecipientId, mail: MailId, smtp_status: u16) {
        if self.is_underway_with(recipient) && self.has_room_for_mail(recipient) {
            self.push(Body::Bounced { recipient, mail, smtp_status });
        }
    }

    fn record_copied(&mut self, recipient: RecipientId, mail: MailId) {
        let progress = self.state.underway().and_then(|underway| underway.progress_of(recipient));
        let is_new = progress.is_some_and(|progress| progress.copied != Some(mail));
        if matches!(self.state, State::Completed(..)) && is_new && self.has_room_for_mail(recipient) {
            self.push(Body::Copied { recipient, mail });
        }
    }

    fn record_sealed(
        &mut self,
        documents: Vec<SealedDocument>,
        certificate_sha256: Digest,
        certificate_size_bytes: u64,
        checkpoint_size: u64,
    ) -> Result<(), Refusal> {
        match &self.state {
            State::Completed(..) => return Ok(()),
            State::Sealing(underway, _) => {
                let asked: Vec<_> = underway.contents.documents.iter().map(|document| document.id).collect();
                let sealed: Vec<_> = documents.iter().map(|document| document.document).collect();
                if asked != sealed {
                    return Err(Refusal::new(
                        Code::Invalid,
                        "exactly the documents of the envelope must be sealed",
                    ));
                }
            }
            _ => {
                return Err(Refusal::new(Code::WrongState, "only an envelope that is sealing can be sealed"));
            }
        }
        self.push(Body::Sealed { documents, certificate_sha256, certificate_size_bytes, checkpoint_size });
        let all: Vec<_> = self
            .state
            .underway()
            .into_iter()
            .flat_map(|underway| &underway.progress)
            .map(|one| one.recipient)
            .collect();
        for recipient in all {
            self.issue_link(recipient);
        }
        Ok(())
    }

    /// Records something that is possible in every state once the envelope exists.
    fn record(&mut self, body: Body) -> Result<(), Refusal> {
        if self.state == State::Absent {
            return Err(Refusal::not_found());
        }
        if let ActorNow::Recipient { recipient, session, .. } = &self.context.actor {
            let progress = self.state.underway().and_then(|underway| underway.progress_of(*recipient));
            let open = progress.and_then(|progress| Some((progress, progress.session(*session)?)));
            let (progress, open) = open.ok_or_else(Refusal::not_found)?;
            if !progress.may_read(open) {
                return Err(ceremony::replaced());
            }
        }
        self.push_record(body);
        Ok(())
    }

    /// After an act: links for the next in order, or the seal when all have acted. An envelope is never bound to a
    /// certificate that is not valid: nobody would believe its seal, and no other could take its place.
    fn go_on(&mut self) -> Result<(), Refusal> {
        let State::Sent(underway) = &self.state else { return Ok(()) };
        if underway.current_order().is_some() {
            self.issue_due_links();
            return Ok(());
        }
        let sentence = "nothing can be sealed at this moment, so this was not recorded: try again later";
        let certificate = self.context.seal_certificate_sha256;
        let seal_certificate_sha256 =
            certificate.ok_or_else(|| Refusal::new(Code::SealUnavailable, sentence))?;
        self.push_by_system(Body::SealingStarted { seal_certificate_sha256 });
        Ok(())
    }

    fn issue_due_links(&mut self) {
        let due: Vec<_> = self
            .state
            .underway()
            .into_iter()
            .flat_map(|underway| {
                let due = |one: &&Progress| underway.is_turn_of(one.recipient) && one.link.is_none();
                underway.progress.iter().filter(due).map(|one| one.recipient)
            })
            .collect();
        for recipient in due {
            self.issue_link(recipient);
        }
    }

    fn issue_link(&mut self, recipient: RecipientId) {
        let link = LinkId::new(self.now, self.dice.draw());
        let mail = MailId::new(self.now, self.dice.draw());
        self.push_by_system(Body::LinkIssued {
            recipient,
            link,
            mail,
            expires_at: self.now.plus_s(limits::LINK_S),
        });
    }

    /// The envelope while recipients act on it.
    fn in_progress(&self) -> Result<&Underway, Refusal> {
        match &self.state {
            State::Absent => Err(Refusal::not_found()),
            State::Draft(_) => Err(Refusal::new(Code::WrongState, "the envelope has not been sent yet")),
            State::Sent(underway) if underway.expires_at <= self.now => Err(expired()),
            State::Sent(underway) => Ok(underway),
            State::Sealing(..) | State::Completed(..) => {
                Err(Refusal::new(Code::WrongState, "everybody has acted on this envelope already"))
            }
            State::Declined(..) | State::Voided(..) | State::Expired(_) => Err(ended(&self.state)),
        }
    }

    /// The envelope as its recipients may see it: while they act, and afterwards for their receipt.
    fn visible(&self) -> Result<&Underway, Refusal> {
        match &self.state {
            State::Sealing(underway, _) | State::Completed(underway, _) => Ok(underway),
            _ => self.in_progress(),
        }
    }
}

fn actor(state: &State, context: &Context, dice: &mut Dice<'_>) -> Actor {
    let mut veil = |person: PersonId, origin: &OriginNow| Origin {
        ip: Veiled::new(person, dice.draw(), origin.ip.clone()),
        ip_source: origin.ip_source,
        user_agent: origin.user_agent.as_ref().map(|agent| {
            let kept = agent.disclose().chars().take(limits::USER_AGENT_CHARS).collect();
            Veiled::new(person, dice.draw(), Personal::new(kept))
        }),
        time_zone: origin.time_zone.clone().filter(|zone| context.now.in_zone(zone).is_some()),
    };
    match &context.actor {
        ActorNow::System => Actor::System,
        ActorNow::ApiKey { key, person, origin } => {
            Actor::ApiKey { key: *key, origin: veil(*person, origin) }
        }
        ActorNow::Client { client, user, grant, person, origin } => {
            Actor::Client { client: *client, user: *user, grant: *grant, origin: veil(*person, origin) }
        }
        ActorNow::Recipient { recipient, session, origin } => {
            let known = state.contents().and_then(|contents| contents.recipient(*recipient));
            let Some(person) = known.map(|recipient| recipient.person) else { return Actor::System };
            let open =
                state.underway().and_then(|underway| underway.progress_of(*recipient)?.session(*session));
            let factors = open.map_or_else(|| vec![Factor::Link], |open| open.factors.clone());
            Actor::Recipient {
                recipient: *recipient,
                session: *session,
                factors,
                origin: veil(person, origin),
            }
        }
    }
}

fn ended(state: &State) -> Refusal {
    match state {
        State::Declined(..) => Refusal::new(Code::Declined, "a recipient declined; the envelope is closed"),
        State::Voided(..) => Refusal::new(Code::Voided, "the sender voided the envelope; it is closed"),
        _ => expired(),
    }
}

fn expired() -> Refusal {
    Refusal::new(Code::Expired, "the envelope has expired; ask the sender for a new one")
}

fn no_copy_yet() -> Refusal {
    Refusal::new(
        Code::NotYourTurn,
        "this recipient gets a copy: its mail follows when everybody has acted, and can be sent again then",
    )
}

fn not_turn() -> Refusal {
    Refusal::new(
        Code::NotYourTurn,
        "others act first; a mail with a link follows when it is this recipient's turn",
    )
}
