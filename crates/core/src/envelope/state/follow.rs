//! How far recipients come: what each event of an envelope under way changes.

use super::{
    super::event::{Act, Actor, Body, Event},
    IssuedLink, RecipientStatus, Session, Underway,
};
use crate::{id::RecipientId, limits, time::Time};

impl Underway {
    /// Takes in an event of an envelope that was sent.
    pub(super) fn apply(&mut self, event: &Event) {
        self.count(event);
        match &event.body {
            Body::LinkIssued { recipient, link, mail, expires_at } => {
                if let Some(progress) = self.progress_mut(*recipient) {
                    if progress.link.is_some() {
                        progress.sealed_link = None;
                    }
                    progress.link = Some(IssuedLink { link: *link, mail: *mail, expires_at: *expires_at });
                    progress.wrong_codes = 0;
                    progress.was_cloned = false;
                    if matches!(progress.status, RecipientStatus::FactorLocked | RecipientStatus::Bounced) {
                        progress.status = RecipientStatus::Pending;
                    }
                }
            }
            Body::Notified { recipient, .. } => {
                self.step(*recipient, RecipientStatus::Pending, RecipientStatus::Notified);
                self.step(*recipient, RecipientStatus::Bounced, RecipientStatus::Notified);
            }
            Body::Bounced { recipient, .. } => {
                self.step(*recipient, RecipientStatus::Pending, RecipientStatus::Bounced);
                self.step(*recipient, RecipientStatus::Notified, RecipientStatus::Bounced);
            }
            Body::SessionOpened { recipient, link, session } => {
                if let Some(progress) = self.progress_mut(*recipient) {
                    progress.sessions.push(Session::new(*session, *link));
                }
            }
            Body::PasskeyRegistered { recipient, passkey, .. } => {
                if let Some(progress) = self.progress_mut(*recipient) {
                    progress.passkey = Some(passkey.clone());
                }
            }
            Body::PasskeyCloned { recipient, .. } => {
                if let Some(progress) = self.progress_mut(*recipient) {
                    progress.passkey = None;
                    progress.was_cloned = true;
                }
            }
            Body::FactorLocked { recipient, .. } => {
                if let Some(progress) =
                    self.progress_mut(*recipient).filter(|progress| !progress.status.is_done())
                {
                    progress.status = RecipientStatus::FactorLocked;
                }
            }
            Body::SignatureAdopted { recipient, method, mark, .. } => {
                if let Some(progress) = self.progress_mut(*recipient) {
                    progress.adopted = Some((*method, mark.clone()));
                }
            }
            Body::Signed(act) => self.act(act, RecipientStatus::Signed, event.at),
            Body::Approved(act) => self.act(act, RecipientStatus::Approved, event.at),
            Body::Read(act) => self.act(act, RecipientStatus::Read, event.at),
            Body::Copied { recipient, mail } => {
                if let Some(progress) = self.progress_mut(*recipient) {
                    progress.copied = Some(*mail);
                }
            }
            _ => self.apply_to_session(event),
        }
    }

    /// Counts an event for the recipient who did it, or whom it is about.
    fn count(&mut self, event: &Event) {
        let recipient = match (&event.actor, &event.body) {
            (Actor::Recipient { recipient, .. }, _)
            | (
                _,
                Body::LinkIssued { recipient, .. }
                | Body::Notified { recipient, .. }
                | Body::Bounced { recipient, .. }
                | Body::CodeDelivered { recipient, .. }
                | Body::Copied { recipient, .. },
            ) => *recipient,
            _ => return,
        };
        if let Some(progress) = self.progress_mut(recipient) {
            progress.record_count += u32::from(event.body.is_record());
            progress.reserved_count += u32::from(event.seq > limits::EVENTS_IN_COMMON);
        }
    }

    fn apply_to_session(&mut self, event: &Event) {
        match &event.body {
            Body::CodeIssued { recipient, session, code, expires_at, .. } => {
                if let Some(open) = self.session_mut(*recipient, *session) {
                    open.code = Some((*code, *expires_at));
                    open.code_count += 1;
                }
            }
            Body::FactorPassed { recipient, session, factor, assertion } => {
                if let Some(open) = self.session_mut(*recipient, *session) {
                    open.factors.push(*factor);
                    open.code = None;
                }
                if let Some(progress) = self.progress_mut(*recipient) {
                    progress.wrong_codes = 0;
                    progress.used(assertion.as_ref());
                }
            }
            Body::FactorFailed { recipient, .. } => {
                if let Some(progress) = self.progress_mut(*recipient) {
                    progress.wrong_codes += 1;
                }
            }
            Body::DisclosureShown { recipient, session, .. } => {
                if let Some(open) = self.session_mut(*recipient, *session) {
                    open.disclosure_shown = true;
                }
            }
            Body::ConsentGiven { recipient, session, text } => {
                if let Some(open) = self.session_mut(*recipient, *session) {
                    open.consent = Some(text.clone());
                }
            }
            Body::DocumentOpened { recipient, session, document, sha256 } => {
                if let Some(open) = self.session_mut(*recipient, *session) {
                    open.opened.push((*document, *sha256));
                }
                self.step(*recipient, RecipientStatus::Pending, RecipientStatus::Viewed);
                self.step(*recipient, RecipientStatus::Notified, RecipientStatus::Viewed);
                self.step(*recipient, RecipientStatus::Bounced, RecipientStatus::Viewed);
            }
            Body::PagesShown { recipient, session, document, pages, .. } => {
                if let Some(open) = self.session_mut(*recipient, *session) {
                    open.shown.entry(*document).or_default().extend(pages);
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, recipient: RecipientId, from: RecipientStatus, to: RecipientStatus) {
        if let Some(progress) = self.progress_mut(recipient).filter(|progress| progress.status == from) {
            progress.status = to;
        }
    }

    fn act(&mut self, act: &Act, status: RecipientStatus, at: Time) {
        if let Some(progress) = self.progress_mut(act.recipient) {
            progress.used(act.assertion.as_ref());
            progress.acted(status, act, at);
        }
    }
}
