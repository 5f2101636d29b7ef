//! A recipient in a session: found by the cookie, with the envelope as it is now.

use std::sync::Arc;

use countersign_core::{
    access::Environment,
    digest::Digest,
    envelope::{
        Command, Context, Event, challenge_of_act,
        command::Submission,
        event::{Recipient, Role},
        state::{Contents, Progress, Session},
    },
    id::{EnvelopeId, SessionId},
    limits,
    refusal::{Code, Refusal},
    time::Time,
};
use countersign_store::rows::SessionRow;

use super::{
    consent,
    frame::Frame,
    step::{Step, step},
    strict::Caller,
};
use crate::{
    app::App,
    envelopes::{self, Along, Asking, Opened, OwnPasskeys},
    fault::{Failure, Fault},
    http::auth,
};

/// A recipient in a session.
pub struct Ceremony {
    /// The session.
    pub session: SessionRow,
    /// Who asks.
    pub asking: Asking,
    /// The envelope.
    pub opened: Opened,
    /// The page that is right now.
    pub step: Step,
}

fn ended() -> Refusal {
    Refusal::new(Code::SessionEnded, "this session has ended; open the link from your newest mail")
}

/// When a session ends in which something is done now: after a while without activity, and at last in any case.
pub(super) fn end_of_session(created_at: Time, now: Time) -> Time {
    now.plus_s(limits::SESSION_IDLE_S).min(created_at.plus_s(limits::SESSION_S))
}

impl Ceremony {
    /// Enters with the cookie in `headers`; every visit moves the end of the session. One that a newer link has ended
    /// is not entered.
    pub async fn enter(app: &App, caller: &Caller, envelope: EnvelopeId) -> Result<Self, Failure> {
        let (principal, session) = auth::signer(app, &caller.headers, envelope).await?;
        let now = app.now();
        let expires_at = end_of_session(session.created_at, now);
        // Once a minute is often enough.
        if expires_at.since_ms(session.expires_at) > 60_000 {
            app.store.touch_session(session.session, now, expires_at).await?;
        }
        let asking = Asking::principal(&principal, caller.origin.clone(), caller.correlation);
        let opened = envelopes::read(app, &asking.tenant, envelope).await?;
        let step = step_of(app, &opened, &session);
        if step == Step::Notice(Code::SessionEnded) {
            return Err(ended().into());
        }
        let ceremony = Self { session, asking, opened, step };
        if let Ok(recipient) = ceremony.recipient() {
            tracing::Span::current().record("user_id", recipient.person.to_string());
        }
        Ok(ceremony)
    }

    /// Enters for something that a page of `session` asks. The browser may hold a newer session by now.
    pub async fn enter_as(
        app: &App,
        caller: &Caller,
        envelope: EnvelopeId,
        session: SessionId,
    ) -> Result<Self, Failure> {
        let ceremony = Self::enter(app, caller, envelope).await?;
        if ceremony.session.session == session { Ok(ceremony) } else { Err(ended().into()) }
    }

    /// Asks something of the envelope; gives the new events, and is the ceremony as it then is.
    pub async fn act(&mut self, app: &App, command: Command) -> Result<Vec<Event>, Failure> {
        self.act_along(app, command, Along::default()).await
    }

    /// The same with more in its commit.
    pub async fn act_along(
        &mut self,
        app: &App,
        command: Command,
        along: Along<'_>,
    ) -> Result<Vec<Event>, Failure> {
        let opened = self.opened.clone();
        let acted = envelopes::act_on(app, &self.asking, opened, command, along).await?;
        self.opened = acted.opened;
        self.step = step_of(app, &self.opened, &self.session);
        Ok(acted.events)
    }

    /// What a passkey has to sign for `submission` to be accepted now.
    pub fn challenge_of(&self, app: &App, submission: Submission) -> Result<Digest, Failure> {
        let context = Context {
            now: app.now(),
            actor: self.asking.actor.clone(),
            correlation: self.asking.correlation,
            nonce: app.draw(),
            seal_certificate_sha256: app.seal.certificate_at(app.now()),
            passkeys: Arc::new(OwnPasskeys),
        };
        let (envelope, recipient) = (self.session.envelope, self.session.recipient);
        Ok(challenge_of_act(envelope, &self.opened.folded, recipient, submission, &context)?)
    }

    /// Address of the ceremony.
    pub fn base(&self) -> String {
        format!("/s/{}", self.session.envelope)
    }

    /// What was sent.
    pub fn contents(&self) -> Result<&Contents, Fault> {
        let contents = self.opened.folded.state.contents();
        contents.ok_or_else(|| Fault::Missing(format!("the contents of {}", self.session.envelope)))
    }

    /// The recipient.
    pub fn recipient(&self) -> Result<&Recipient, Fault> {
        let recipient = self.contents()?.recipient(self.session.recipient);
        recipient.ok_or_else(|| Fault::Missing(format!("the recipient {}", self.session.recipient)))
    }

    /// How far the recipient is.
    pub fn progress(&self) -> Result<&Progress, Fault> {
        let underway = self.opened.folded.state.underway();
        let progress = underway.and_then(|underway| underway.progress_of(self.session.recipient));
        progress.ok_or_else(|| Fault::Missing(format!("the progress of {}", self.session.recipient)))
    }

    /// The session as the events tell it.
    pub fn open(&self) -> Result<&Session, Fault> {
        let open = self.progress()?.session(self.session.session);
        open.ok_or_else(|| Fault::Missing(format!("the session {}", self.session.session)))
    }

    /// The title.
    pub fn title(&self) -> String {
        self.opened.title().map(|title| title.disclose().clone()).unwrap_or_default()
    }

    /// The frame of a page.
    pub fn frame(&self) -> Result<Frame, Fault> {
        let recipient = self.recipient()?;
        let mut frame = Frame {
            organization: self.contents()?.organization_name.clone(),
            title: self.title(),
            is_sandbox: self.contents()?.environment == Environment::Sandbox,
            recipient: recipient.name.value().map(|name| name.disclose().clone()).unwrap_or_default(),
            role: recipient.role,
            factor: recipient.factor,
            envelope: self.session.envelope,
            session: self.session.session,
            base: self.base(),
            step: None,
            may_decline: matches!(self.step, Step::Consent | Step::Sign) && recipient.role != Role::Copy,
        };
        let before_act = frame.steps().len().checked_sub(1);
        frame.step = match self.step {
            Step::Code | Step::AccessCode | Step::Totp | Step::Passkey => Some(0),
            Step::Consent => before_act.and_then(|count| count.checked_sub(2)),
            Step::Sign => before_act.and_then(|count| count.checked_sub(1)),
            Step::Receipt | Step::Notice(_) => None,
        };
        Ok(frame)
    }
}

/// The page that is right for a session in an envelope as it is.
pub(super) fn step_of(app: &App, opened: &Opened, session: &SessionRow) -> Step {
    step(&opened.folded.state, session.recipient, session.session, &consent::sha256(), app.now())
}
