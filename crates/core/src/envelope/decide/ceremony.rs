//! What a recipient does: opens the link, is identified, reads, consents, signs or declines.

use std::collections::BTreeMap;

use super::{Deciding, not_turn};
use crate::{
    digest::Digest,
    envelope::{
        Veiled,
        command::{ActorNow, Dice, Submission},
        event::{Act, AdoptionMethod, Body, ConsentText, Factor, FieldValue, Recipient, Role},
        fields,
        passkey::Judged,
        state::{Contents, Progress, Session, State, Underway},
    },
    id::{CodeId, DocumentId, LinkId, MailId, RecipientId, SessionId},
    limits,
    refusal::{Code, Refusal},
    secret::Personal,
};

/// An act before it is recorded.
pub(super) struct Composed {
    pub(super) act: Act,
    adopted: Option<(AdoptionMethod, Veiled)>,
    role: Role,
    factor: Factor,
}

impl Deciding<'_> {
    pub(super) fn open_session(
        &mut self,
        recipient: RecipientId,
        link: LinkId,
        session: SessionId,
    ) -> Result<(), Refusal> {
        let underway = self.visible()?;
        let progress = underway.progress_of(recipient).ok_or_else(Refusal::not_found)?;
        let issued = progress.link.as_ref().filter(|issued| issued.link == link);
        if issued.is_none_or(|issued| issued.expires_at <= self.now) {
            return Err(Refusal::new(
                Code::LinkExpired,
                "this link has expired; ask the sender for a new one",
            ));
        }
        self.check_room(recipient)?;
        if progress.session_count(link) >= limits::SESSIONS_PER_LINK {
            return Err(Refusal::new(
                Code::TooMany,
                "this link was opened too often; ask the sender for a new one",
            ));
        }
        let may_look =
            progress.status.is_done() || matches!(self.state, State::Sealing(..) | State::Completed(..));
        if !may_look && !underway.is_turn_of(recipient) {
            return Err(not_turn());
        }
        self.push(Body::SessionOpened { recipient, link, session });
        Ok(())
    }

    pub(super) fn issue_code(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        code: CodeId,
    ) -> Result<(), Refusal> {
        let underway = self.visible()?;
        let (progress, open) = in_session(underway, recipient, session)?;
        if progress.is_locked() {
            return Err(locked());
        }
        // A right code forgives wrong ones, and must not forgive those of another factor.
        let known = underway.contents.recipient(recipient);
        let told = match known.map(|known| known.factor) {
            Some(Factor::AccessCode) => Some("type the access code that the sender told you"),
            Some(Factor::Totp) => Some("type the code that your authenticator app shows"),
            Some(Factor::Link | Factor::EmailCode | Factor::Passkey) | None => None,
        };
        if let Some(told) = told {
            let sentence = format!("no code is mailed to this recipient: {told}");
            return Err(Refusal::new(Code::WrongState, sentence));
        }
        self.check_room(recipient)?;
        if open.code_count >= limits::CODES_PER_SESSION {
            return Err(Refusal::new(
                Code::TooMany,
                "too many codes were sent; open the link from your mail again",
            ));
        }
        let mail = MailId::new(self.now, self.dice.draw());
        let expires_at = self.now.plus_s(limits::CODE_S);
        self.push(Body::CodeIssued { recipient, session, code, mail, expires_at });
        Ok(())
    }

    pub(super) fn try_code(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        code: CodeId,
        right: bool,
    ) -> Result<(), Refusal> {
        let underway = self.visible()?;
        let (progress, open) = in_session(underway, recipient, session)?;
        if progress.is_locked() {
            return Err(locked());
        }
        if open.code.is_none_or(|(current, expires_at)| current != code || expires_at <= self.now) {
            return Err(Refusal::new(Code::CodeExpired, "this code is no longer valid; ask for a new one"));
        }
        self.check_room(recipient)?;
        self.judge_code(recipient, session, Factor::EmailCode, right);
        Ok(())
    }

    /// Records how a code came out that may be tried; the last wrong one locks.
    pub(super) fn judge_code(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        factor: Factor,
        right: bool,
    ) {
        if right {
            self.push(Body::FactorPassed { recipient, session, factor, assertion: None });
            return;
        }
        let progress = self.state.underway().and_then(|underway| underway.progress_of(recipient));
        let wrong_codes = progress.map_or(limits::CODE_TRIES, |progress| progress.wrong_codes + 1);
        let tries_left = limits::CODE_TRIES.saturating_sub(wrong_codes);
        self.push(Body::FactorFailed { recipient, session, factor, tries_left });
        if tries_left == 0 {
            self.push(Body::FactorLocked { recipient, factor });
        }
    }

    pub(super) fn show_disclosure(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        text: ConsentText,
    ) -> Result<(), Refusal> {
        let (_, open) = self.acting(recipient, session)?;
        if !open.disclosure_shown {
            self.check_room(recipient)?;
            self.push(Body::DisclosureShown { recipient, session, text });
        }
        Ok(())
    }

    pub(super) fn give_consent(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        text: ConsentText,
    ) -> Result<(), Refusal> {
        let (_, open) = self.acting(recipient, session)?;
        if !open.disclosure_shown {
            return Err(Refusal::new(Code::ConsentMissing, "read the disclosure before agreeing to it"));
        }
        if open.consent.as_ref() != Some(&text) {
            self.check_room(recipient)?;
            self.push(Body::ConsentGiven { recipient, session, text });
        }
        Ok(())
    }

    pub(super) fn open_document(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        document: DocumentId,
        found: Digest,
    ) -> Result<(), Refusal> {
        let (_, open) = self.acting(recipient, session)?;
        if open.consent.is_none() {
            return Err(consent_missing());
        }
        let already = open.opened.contains(&(document, found));
        let contents = self.state.contents().ok_or_else(Refusal::not_found)?;
        let expected = contents.document(document).ok_or_else(Refusal::not_found)?.sha256;
        if expected != found {
            if !self.has_room_for_record() {
                return Err(document_changed());
            }
            self.push(Body::DocumentMismatched { document, expected, found });
        } else if !already {
            self.check_room(recipient)?;
            self.push(Body::DocumentOpened { recipient, session, document, sha256: found });
        }
        Ok(())
    }

    pub(super) fn show_pages(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        document: DocumentId,
        sha256: Digest,
        mut pages: Vec<u32>,
    ) -> Result<(), Refusal> {
        let (_, open) = self.acting(recipient, session)?;
        if !open.opened.contains(&(document, sha256)) {
            return Err(document_changed());
        }
        let reported = open.shown.get(&document).cloned().unwrap_or_default();
        let contents = self.state.contents().ok_or_else(Refusal::not_found)?;
        let page_count = contents.document(document).map_or(0, |document| document.page_count);
        pages.retain(|page| (1..=page_count).contains(page) && !reported.contains(page));
        pages.sort_unstable();
        pages.dedup();
        if !pages.is_empty() {
            self.push_record(Body::PagesShown { recipient, session, document, sha256, pages });
        }
        Ok(())
    }

    pub(super) fn submit(&mut self, recipient: RecipientId, submission: Submission) -> Result<(), Refusal> {
        let done = self
            .state
            .underway()
            .and_then(|underway| underway.progress_of(recipient))
            .filter(|one| one.status.is_done());
        if let Some(done) = done {
            let contents = self.state.contents().ok_or_else(Refusal::not_found)?;
            return if repeats(contents, done, &submission) { Ok(()) } else { Err(already_done()) };
        }
        let assertion = submission.assertion.clone();
        let Composed { mut act, adopted, role, factor } = self.compose(recipient, submission)?;
        match (factor, assertion) {
            (Factor::Passkey, assertion) => {
                if self.bind(&mut act, assertion)? == Judged::Cloned {
                    return Ok(());
                }
            }
            (_, None) => {}
            (_, Some(_)) => {
                let sentence = "this recipient signs without a passkey; leave the assertion out";
                return Err(Refusal::at(Code::Invalid, "/assertion", sentence));
            }
        }
        if let Some((method, mark)) = adopted {
            let session = act.session;
            self.push(Body::SignatureAdopted { recipient, session, method, mark });
        }
        self.push(match role {
            Role::Signer => Body::Signed(act),
            Role::Approver => Body::Approved(act),
            Role::Viewer | Role::Copy => Body::Read(act),
        });
        self.go_on()
    }

    /// The act that a submission comes to, without an assertion. Its values are veiled by the submission's own salts,
    /// where it has some, so that it comes to the same act again.
    pub(super) fn compose(
        &mut self,
        recipient: RecipientId,
        submission: Submission,
    ) -> Result<Composed, Refusal> {
        let (contents, person) = self.check_submission(recipient, &submission)?;
        let time_zone = match &self.context.actor {
            ActorNow::Recipient { origin, .. } => origin.time_zone.as_deref(),
            _ => None,
        };
        let values = fields::complete_values(&contents, &person, &submission, self.now, time_zone)?;
        let Submission { session, documents, adopted, label, nonce, salts, .. } = submission;
        let consent = self.acting(recipient, session)?.1.consent.clone().ok_or_else(consent_missing)?;
        let mut own = salts.as_ref().map(|salts| Dice::new(salts.expose()));
        let mut veil = |value| {
            let salt = own.as_mut().map_or_else(|| self.dice.draw(), Dice::draw);
            Veiled::new(person.person, salt, value)
        };
        let adopted = adopted.map(|(method, mark)| (method, veil(mark)));
        let values =
            values.into_iter().map(|(field, value)| FieldValue { field, value: veil(value) }).collect();
        let label = veil(label);
        let is_bound = person.factor == Factor::Passkey;
        let mark = adopted.as_ref().filter(|_| is_bound).map(|(_, mark)| mark.clone());
        let act = Act { recipient, session, documents, values, consent, label, nonce, mark, assertion: None };
        Ok(Composed { act, adopted, role: person.role, factor: person.factor })
    }

    /// Checks what a submission is bound to (E-7): consent, documents as opened and as uploaded, label, mark.
    fn check_submission(
        &self,
        recipient: RecipientId,
        submission: &Submission,
    ) -> Result<(Contents, Recipient), Refusal> {
        let (contents, open) = self.acting(recipient, submission.session)?;
        let person = contents.recipient(recipient).ok_or_else(Refusal::not_found)?;
        let agreed = open.consent.as_ref().ok_or_else(consent_missing)?;
        if agreed.sha256 != submission.consent_sha256 {
            return Err(Refusal::new(
                Code::ConsentMissing,
                "the disclosure changed; read it and agree again",
            ));
        }
        let as_uploaded = contents.documents.len() == submission.documents.len()
            && contents.documents.iter().zip(&submission.documents).all(|(document, shown)| {
                document.id == shown.document
                    && document.sha256 == shown.sha256
                    && document.page_count == shown.page_count
                    && open.opened.contains(&(document.id, shown.sha256))
            });
        if !as_uploaded {
            return Err(document_changed());
        }
        let title = contents.title.value().map(|title| title.disclose().as_str()).unwrap_or_default();
        if *submission.label.disclose() != fields::button_label(person.role, title) {
            return Err(Refusal::at(
                Code::Invalid,
                "/label",
                "this is not the label of the button that was shown",
            ));
        }
        fields::check_adopted(person.role, submission.adopted.as_ref())?;
        Ok((contents.clone(), person.clone()))
    }

    pub(super) fn decline(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        reason: Option<Personal<String>>,
    ) -> Result<(), Refusal> {
        if let State::Declined(_, by, _) = &self.state
            && *by == recipient
        {
            return Ok(());
        }
        let (contents, _) = self.acting(recipient, session)?;
        let person = contents.recipient(recipient).ok_or_else(Refusal::not_found)?.person;
        if let Some(reason) = &reason {
            fields::check_text("/reason", reason.disclose())?;
        }
        let reason = reason.map(|reason| self.veil(person, reason));
        self.push(Body::Declined { recipient, session, reason });
        Ok(())
    }

    /// The session of a recipient whose turn it is and who is identified.
    fn acting(&self, recipient: RecipientId, session: SessionId) -> Result<(&Contents, &Session), Refusal> {
        let done = self.state.underway().and_then(|underway| underway.progress_of(recipient));
        if done.is_some_and(|progress| progress.status.is_done()) {
            return Err(already_done());
        }
        let underway = self.in_progress()?;
        let (progress, open) = in_session(underway, recipient, session)?;
        if progress.is_locked() {
            return Err(locked());
        }
        if !underway.is_turn_of(recipient) {
            return Err(not_turn());
        }
        let needed = underway.contents.recipient(recipient).map_or(Factor::EmailCode, |one| one.factor);
        if !fields::is_identified(needed, &open.factors) {
            return Err(Refusal::new(Code::FactorMissing, factor_missing(needed)));
        }
        Ok((&underway.contents, open))
    }
}

/// What a person who is not identified yet has to do.
fn factor_missing(needed: Factor) -> &'static str {
    match needed {
        Factor::Link | Factor::EmailCode => "type the code that was mailed to you first",
        Factor::AccessCode => "type the access code that the sender told you first",
        Factor::Totp => "type the code that your authenticator app shows first",
        Factor::Passkey => "use your passkey first",
    }
}

/// The session of a recipient, which is of its newest link.
pub(super) fn in_session(
    underway: &Underway,
    recipient: RecipientId,
    session: SessionId,
) -> Result<(&Progress, &Session), Refusal> {
    let progress = underway.progress_of(recipient).ok_or_else(Refusal::not_found)?;
    let open = progress.session(session).ok_or_else(Refusal::not_found)?;
    if progress.is_current(open) { Ok((progress, open)) } else { Err(replaced()) }
}

/// That a newer link ended the session.
pub(super) fn replaced() -> Refusal {
    Refusal::new(
        Code::SessionEnded,
        "a newer link was mailed, which ended this session; open the link from your newest mail",
    )
}

fn already_done() -> Refusal {
    Refusal::new(Code::AlreadyDone, "this recipient has acted already; nothing was changed")
}

pub(super) fn locked() -> Refusal {
    Refusal::new(
        Code::FactorLocked,
        "this link is locked after wrong tries; ask the sender to send the envelope again",
    )
}

fn consent_missing() -> Refusal {
    Refusal::new(Code::ConsentMissing, "agree to the disclosure first")
}

fn document_changed() -> Refusal {
    Refusal::new(Code::DocumentChanged, "the documents shown are not those of the envelope; reload the page")
}

/// Whether a page hands in again what was recorded, after a lost answer or a double click. Whoever hands in anything else
/// must not believe that it counts.
fn repeats(contents: &Contents, done: &Progress, submission: &Submission) -> bool {
    let Some(act) = &done.act else { return false };
    let typed = submission.values.iter().map(|(field, value)| (*field, Some(value.disclose().as_str())));
    let typed: BTreeMap<_, _> =
        typed.filter(|(_, value)| value.is_some_and(|value| !fields::is_blank(value))).collect();
    let is_typed = |value: &&FieldValue| {
        let field = contents.fields.iter().find(|field| field.id == value.field);
        field.is_some_and(|field| !fields::is_set_by_server(&field.kind))
    };
    let disclosed = |veiled: &Veiled| veiled.value().map(|value| value.disclose().clone());
    let recorded = act.values.iter().filter(is_typed).map(|value| (value.field, disclosed(&value.value)));
    let recorded: BTreeMap<_, _> = recorded.collect();
    let same_mark = match (&done.adopted, &submission.adopted) {
        (None, None) => true,
        (Some((method, mark)), Some((other_method, other))) => {
            method == other_method && disclosed(mark).as_ref() == Some(other.disclose())
        }
        _ => false,
    };
    act.nonce == submission.nonce
        && act.documents == submission.documents
        && act.consent.sha256 == submission.consent_sha256
        && same_mark
        && typed.len() == recorded.len()
        && typed
            .iter()
            .all(|(field, value)| recorded.get(field).is_some_and(|other| other.as_deref() == *value))
}
