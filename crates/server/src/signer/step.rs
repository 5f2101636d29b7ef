//! Where a recipient is in the ceremony: one pure function of the envelope's state, so that every address, reload and
//! way back leads to the one page that is right.

use countersign_core::{
    digest::Digest,
    envelope::{
        event::Factor,
        fields,
        state::{Session, State},
    },
    id::{RecipientId, SessionId},
    refusal::Code,
    time::Time,
};

/// The page that is right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to do: a notice says why.
    Notice(Code),
    /// A mailed code is to be typed.
    Code,
    /// The access code that the sender told is to be typed.
    AccessCode,
    /// The code that the member's authenticator app shows is to be typed.
    Totp,
    /// A passkey is to be made, or used.
    Passkey,
    /// The disclosure is to be read.
    Consent,
    /// The documents are to be read and acted on.
    Sign,
    /// All is done.
    Receipt,
}

impl Step {
    /// The last part of its address.
    pub fn path(self) -> &'static str {
        match self {
            Self::Notice(_) | Self::Receipt => "receipt",
            Self::Code => "code",
            Self::AccessCode => "access-code",
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::Consent => "consent",
            Self::Sign => "sign",
        }
    }
}

/// The step of `recipient` in `session`.
pub fn step(state: &State, recipient: RecipientId, session: SessionId, consent: &Digest, now: Time) -> Step {
    let ended = match state {
        State::Absent | State::Draft(_) => Some(Code::NotFound),
        State::Voided(..) => Some(Code::Voided),
        State::Declined(..) => Some(Code::Declined),
        State::Expired(_) => Some(Code::Expired),
        State::Sent(underway) if underway.expires_at <= now => Some(Code::Expired),
        State::Sent(_) | State::Sealing(..) | State::Completed(..) => None,
    };
    let Some(underway) = state.underway() else { return Step::Notice(ended.unwrap_or(Code::NotFound)) };
    let known = underway.contents.recipient(recipient).zip(underway.progress_of(recipient));
    let Some((person, progress)) = known else { return Step::Notice(Code::NotFound) };
    let open = progress.session(session).filter(|open| progress.may_read(open));
    let Some(open) = open else { return Step::Notice(Code::SessionEnded) };
    if let Some(code) = ended {
        return Step::Notice(code);
    }
    let is_identified = fields::is_identified(person.factor, &open.factors);
    if !progress.is_current(open) {
        return if is_identified { Step::Receipt } else { Step::Notice(Code::SessionEnded) };
    }
    if progress.is_locked() {
        return Step::Notice(Code::FactorLocked);
    }
    if !is_identified {
        return match person.factor {
            Factor::AccessCode => Step::AccessCode,
            Factor::Totp => Step::Totp,
            Factor::Passkey if progress.passkey.is_some() || open.factors.contains(&Factor::EmailCode) => {
                Step::Passkey
            }
            Factor::Link | Factor::EmailCode | Factor::Passkey => Step::Code,
        };
    }
    if progress.status.is_done() || !matches!(state, State::Sent(_)) {
        return Step::Receipt;
    }
    if !underway.is_turn_of(recipient) {
        return Step::Notice(Code::NotYourTurn);
    }
    if has_agreed(open, consent) { Step::Sign } else { Step::Consent }
}

fn has_agreed(open: &Session, consent: &Digest) -> bool {
    open.consent.as_ref().is_some_and(|agreed| agreed.sha256 == *consent)
}
