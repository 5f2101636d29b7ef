//! How a recipient is identified by more than the mailbox: an access code, a code of a member's authenticator app, or a
//! passkey, which also signs the act (S-3, E-7).

use super::{
    Deciding,
    ceremony::{in_session, locked},
};
use crate::{
    envelope::{
        event::{Act, Body, Factor},
        passkey::{self, Assertion, Judged, Purpose, Registration, Unfit},
        state::{Progress, Session},
    },
    id::{RecipientId, SessionId},
    refusal::{Code, Refusal},
};

impl Deciding<'_> {
    /// A code that is typed and not mailed: the sender's, or that of an authenticator app.
    pub(super) fn try_told_code(
        &mut self,
        factor: Factor,
        recipient: RecipientId,
        session: SessionId,
        right: bool,
    ) -> Result<(), Refusal> {
        self.asked_for(factor, recipient, session)?;
        self.check_room(recipient)?;
        self.judge_code(recipient, session, factor, right);
        Ok(())
    }

    pub(super) fn register_passkey(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        origin: &str,
        registration: Registration,
    ) -> Result<(), Refusal> {
        let (progress, open) = self.asked_for(Factor::Passkey, recipient, session)?;
        if progress.passkey.is_some() {
            let sentence = "a passkey was made for this request already; use that one";
            return Err(Refusal::new(Code::WrongState, sentence));
        }
        if !open.factors.contains(&Factor::EmailCode) {
            let sentence = "type the code that was mailed to you before you make a passkey";
            return Err(Refusal::new(Code::FactorMissing, sentence));
        }
        self.check_room(recipient)?;
        let challenge = passkey::challenge(Purpose::Register, self.envelope, recipient, session);
        let passkey = passkey::register(&challenge, origin, &registration).map_err(refused)?;
        self.push(Body::PasskeyRegistered { recipient, session, passkey, registration });
        Ok(())
    }

    pub(super) fn use_passkey(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        assertion: Assertion,
    ) -> Result<(), Refusal> {
        let challenge = passkey::challenge(Purpose::Identify, self.envelope, recipient, session);
        let (_, open) = self.asked_for(Factor::Passkey, recipient, session)?;
        // The same answer again, after a lost one or a double click: its counter has not grown, and nobody copied it.
        if open.factors.contains(&Factor::Passkey) && assertion.challenge() == Some(challenge) {
            return Ok(());
        }
        self.check_room(recipient)?;
        let expected = self.context.passkeys.expected(challenge);
        if self.judge(recipient, session, expected, &assertion)? == Judged::Good {
            let factor = Factor::Passkey;
            self.push(Body::FactorPassed { recipient, session, factor, assertion: Some(assertion) });
        }
        Ok(())
    }

    /// Binds an act to the passkey of its recipient: the assertion must be over this very act (E-7).
    pub(super) fn bind(&mut self, act: &mut Act, assertion: Option<Assertion>) -> Result<Judged, Refusal> {
        let missing =
            || Refusal::new(Code::PasskeyRefused, "sign with your passkey: nothing was recorded yet");
        let assertion = assertion.ok_or_else(missing)?;
        let expected = self.context.passkeys.expected(act.challenge());
        let judged = self.judge(act.recipient, act.session, expected, &assertion)?;
        act.assertion = Some(assertion);
        Ok(judged)
    }

    /// Judges an assertion; that of a passkey which may be a copy is recorded, and locks.
    fn judge(
        &mut self,
        recipient: RecipientId,
        session: SessionId,
        challenge: crate::digest::Digest,
        assertion: &Assertion,
    ) -> Result<Judged, Refusal> {
        let progress = self.state.underway().and_then(|underway| underway.progress_of(recipient));
        let passkey = progress.and_then(|progress| progress.passkey.as_ref());
        let missing = || Refusal::new(Code::FactorMissing, "make a passkey for this request first");
        let passkey = passkey.ok_or_else(missing)?;
        let verifier = self.context.passkeys.as_ref();
        let judged = assertion.judge(passkey, &challenge, verifier).map_err(refused)?;
        if judged == Judged::Cloned {
            self.check_room(recipient)?;
            self.push(Body::PasskeyCloned { recipient, session, assertion: assertion.clone() });
            self.push(Body::FactorLocked { recipient, factor: Factor::Passkey });
        }
        Ok(judged)
    }

    /// The session of a recipient whom this factor identifies, and who is not locked out.
    fn asked_for(
        &self,
        factor: Factor,
        recipient: RecipientId,
        session: SessionId,
    ) -> Result<(&Progress, &Session), Refusal> {
        let underway = self.visible()?;
        let (progress, open) = in_session(underway, recipient, session)?;
        if progress.is_locked() {
            return Err(locked());
        }
        let known = underway.contents.recipient(recipient);
        if known.is_none_or(|known| known.factor != factor) {
            let sentence = "this recipient is identified in another way; reload the page";
            return Err(Refusal::new(Code::WrongState, sentence));
        }
        Ok((progress, open))
    }
}

fn refused(unfit: Unfit) -> Refusal {
    Refusal::new(Code::PasskeyRefused, unfit.to_string())
}
