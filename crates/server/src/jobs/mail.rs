//! Mails a link, a code, or word of the end: to the mail server, or into the mailbox of a sandbox. The event that
//! says so, the mailbox row and the end of the job are one commit; a crash before it sends the same mail again, with
//! the same Message-ID.

use countersign_core::{
    access::Environment,
    envelope::{Command, State, event::Recipient, state::Underway},
    id::{CodeId, LinkId, MailId, RecipientId},
    refusal::Code,
    secret::{Personal, Secret},
};
use countersign_store::{
    batch::Row,
    rows::{JobRow, LinkRow, MailboxRow, Work},
};
use lettre::message::Mailbox;

use super::{Ended, finish};
use crate::{
    api::list_mailbox::mail_binding,
    app::App,
    envelopes::{self, Along, Asking, Opened, act_on, code_digits, link_secret},
    fault::{Failure, Fault},
    mail::{About, Addressed, Letter, MailFault, smtp::SmtpFault, write},
};

/// What a mail server says of a mailbox whose name cannot be (RFC 5321 §4.2.3): recorded where an address cannot even
/// be written.
const NO_SUCH_NAME: u16 = 553;

pub(super) async fn run(app: &App, job: &JobRow) -> Result<Ended, Failure> {
    match &job.work {
        Work::MailLink { envelope, recipient, link, mail } => {
            let opened = envelopes::read(app, &job.tenant, *envelope).await?;
            let (recipient, mail) = (*recipient, *mail);
            let row = app.store.link_by_id(&job.tenant, *link).await?;
            if row.as_ref().is_some_and(|row| row.expires_at <= app.now()) {
                return renew(app, job, opened, recipient, *link).await;
            }
            let letter = link_letter(app, &opened, recipient, row.as_ref()).await?;
            let is_complete = matches!(opened.folded.state, State::Completed(..));
            let command = if is_complete {
                Command::RecordCopied { recipient, mail }
            } else {
                Command::RecordNotified { recipient, mail }
            };
            deliver(app, job, opened, recipient, mail, letter, command).await
        }
        Work::MailCode { envelope, recipient, code, mail, .. } => {
            let opened = envelopes::read(app, &job.tenant, *envelope).await?;
            let letter = code_letter(app, job, &opened, *recipient, *code).await?;
            let (recipient, mail) = (*recipient, *mail);
            let command = Command::RecordCodeDelivered { recipient, mail };
            deliver(app, job, opened, recipient, mail, letter, command).await
        }
        Work::MailEnded { envelope, recipient, mail } => {
            let opened = envelopes::read(app, &job.tenant, *envelope).await?;
            let letter = ended_letter(app, &opened, *recipient).await?;
            let (recipient, mail) = (*recipient, *mail);
            let command = Command::RecordNotified { recipient, mail };
            deliver(app, job, opened, recipient, mail, letter, command).await
        }
        Work::MailTicket { .. }
        | Work::MailNotice { .. }
        | Work::MailKeyWarning { .. }
        | Work::MailEndpointNotice { .. }
        | Work::MailCertificateNotice { .. }
        | Work::WatchCertificate { .. }
        | Work::WatchKey { .. }
        | Work::FollowEndpoint { .. }
        | Work::FollowBlocks
        | Work::SendAgain { .. }
        | Work::ReplayEvents { .. }
        | Work::Seal { .. }
        | Work::Expire { .. } => Err(Fault::Missing("a mail in this job".to_owned()).into()),
    }
}

fn recipient_of(opened: &Opened, recipient: RecipientId) -> Result<&Recipient, Fault> {
    let contents = opened.folded.state.contents();
    let known = contents.and_then(|contents| contents.recipient(recipient));
    known.ok_or_else(|| Fault::Missing(format!("the recipient {recipient}")))
}

/// What letters about this envelope share; `None` if the personal values were erased meanwhile.
async fn about(app: &App, opened: &Opened, recipient: &Recipient) -> Result<Option<About>, Fault> {
    let contents = opened.folded.state.contents();
    let (Some(contents), Some(title), Some(to_name)) = (contents, opened.title(), recipient.name.value())
    else {
        return Ok(None);
    };
    let checkpoint = app.log.checkpoint().await?.and_then(|note| {
        let mut lines = note.lines().skip(1);
        Some(format!("{} {}", lines.next()?, lines.next()?))
    });
    Ok(Some(About {
        to_name: to_name.clone(),
        organization: contents.organization_name.clone(),
        title: title.clone(),
        is_sandbox: contents.environment == Environment::Sandbox,
        envelope: opened.envelope,
        checkpoint,
    }))
}

/// The letter with a link; `None` where there is nothing to mail any more: the link was replaced, or the envelope
/// has ended.
async fn link_letter(
    app: &App,
    opened: &Opened,
    recipient: RecipientId,
    row: Option<&LinkRow>,
) -> Result<Option<Letter>, Failure> {
    let Some(row) = row else { return Ok(None) };
    let recipient = recipient_of(opened, recipient)?;
    let Some(about) = about(app, opened, recipient).await? else { return Ok(None) };
    let secret = link_secret(opened, row)?;
    let public_url = app.config.server.public_url.trim_end_matches('/');
    let url = Secret::new(format!("{public_url}/s/{}#{}", opened.envelope, secret.expose()));
    let letter = match &opened.folded.state {
        State::Completed(..) => Letter::receipt(&about, true, &url, row.expires_at),
        State::Sealing(..) => Letter::receipt(&about, false, &url, row.expires_at),
        State::Sent(underway) if has_acted(underway, recipient.id) => {
            Letter::receipt(&about, false, &url, row.expires_at)
        }
        State::Sent(underway) => {
            let message = underway.contents.message.as_ref().and_then(|message| message.value());
            Letter::link(&about, recipient.role, message, &url, row.expires_at)
        }
        _ => return Ok(None),
    };
    Ok(Some(letter.map_err(Fault::mail)?))
}

/// A link that ended before its mail could be handed over: whoever waits for it gets another, mailed by a job of its
/// own. There is nothing to renew where the envelope has ended, or a newer link is on its way.
async fn renew(
    app: &App,
    job: &JobRow,
    opened: Opened,
    recipient: RecipientId,
    link: LinkId,
) -> Result<Ended, Failure> {
    let progress = opened.folded.state.underway().and_then(|underway| underway.progress_of(recipient));
    let newest = progress.and_then(|progress| progress.link.as_ref()).map(|issued| issued.link);
    if newest != Some(link) {
        return finish(app, job).await;
    }
    let along = Along { finishes: Some(job.clone()), ..Along::default() };
    let command = Command::Resend { recipient: Some(recipient) };
    match act_on(app, &Asking::job(job), opened, command, along).await {
        Ok(_) => Ok(Ended::Done),
        // Busy is tried again like a fault.
        Err(Failure::Refused(refusal)) if refusal.code != Code::Busy => {
            tracing::warn!(event_type = "job", event_result = "link_not_renewed", code = refusal.code.text());
            finish(app, job).await
        }
        Err(other) => Err(other),
    }
}

fn has_acted(underway: &Underway, recipient: RecipientId) -> bool {
    underway.progress_of(recipient).is_some_and(|progress| progress.status.is_done())
}

/// The letter that tells of the end; `None` where the personal values are gone.
async fn ended_letter(app: &App, opened: &Opened, recipient: RecipientId) -> Result<Option<Letter>, Failure> {
    let recipient = recipient_of(opened, recipient)?;
    let Some(about) = about(app, opened, recipient).await? else { return Ok(None) };
    let letter = match &opened.folded.state {
        State::Voided(_, reason) => Letter::voided(&about, reason.as_ref().and_then(|reason| reason.value())),
        State::Declined(..) => Letter::declined(&about),
        _ => return Ok(None),
    };
    Ok(Some(letter.map_err(Fault::mail)?))
}

/// The letter with a code; `None` where the code is gone.
async fn code_letter(
    app: &App,
    job: &JobRow,
    opened: &Opened,
    recipient: RecipientId,
    code: CodeId,
) -> Result<Option<Letter>, Failure> {
    let Some(row) = app.store.code(&job.tenant, code).await? else { return Ok(None) };
    if row.expires_at <= app.now() {
        return Ok(None);
    }
    let digits = code_digits(opened, recipient, &row)?;
    let recipient = recipient_of(opened, recipient)?;
    let Some(about) = about(app, opened, recipient).await? else { return Ok(None) };
    Ok(Some(Letter::code(&about, &Secret::new(digits.to_string())).map_err(Fault::mail)?))
}

async fn deliver(
    app: &App,
    job: &JobRow,
    opened: Opened,
    recipient: RecipientId,
    mail: MailId,
    letter: Option<Letter>,
    accepted: Command,
) -> Result<Ended, Failure> {
    let mut along = Along { finishes: Some(job.clone()), ..Along::default() };
    let asking = Asking::job(job);
    let address = recipient_of(&opened, recipient)?.email.value().cloned();
    let name = recipient_of(&opened, recipient)?.name.value().cloned();
    let (Some(letter), Some(address), Some(name)) = (letter, address, name) else {
        return finish(app, job).await;
    };
    let bounced = |smtp_status| Command::RecordBounced { recipient, mail, smtp_status };
    let message = match message(app, job, mail, (name, address), &letter)? {
        Ok(message) => message,
        Err(MailFault::Address) => {
            act_on(app, &asking, opened, bounced(NO_SUCH_NAME), along).await?;
            return Ok(Ended::Done);
        }
        Err(fault) => return Err(Fault::mail(fault).into()),
    };
    if app.mails_to_mailbox(&job.tenant) {
        let organization = app.organization(job.tenant.organization()).await?;
        let sealed = organization.key.seal(&*app.random, &mail_binding(mail), &message.formatted())?;
        along.rows.push(Row::Mailbox(MailboxRow { tenant: job.tenant, mail, at: app.now(), sealed }));
        act_on(app, &asking, opened, accepted, along).await?;
        return Ok(Ended::Done);
    }
    let smtp = app.smtp.as_ref().ok_or_else(|| Fault::Unsafe("no mail server is configured".to_owned()))?;
    match smtp.send(message).await {
        Ok(()) => act_on(app, &asking, opened, accepted, along).await?,
        Err(SmtpFault::Permanent(smtp_status)) => {
            act_on(app, &asking, opened, bounced(smtp_status), along).await?
        }
        Err(fault) => return Err(Fault::mail(fault).into()),
    };
    Ok(Ended::Done)
}

fn message(
    app: &App,
    job: &JobRow,
    mail: MailId,
    to: (Personal<String>, Personal<String>),
    letter: &Letter,
) -> Result<Result<lettre::Message, MailFault>, Fault> {
    let host = app.config.public_host()?;
    let from: Mailbox = app.config.mail.from.parse().map_err(|_| {
        Fault::Unsafe("mail.from must be an address like `Name <mail@example.com>`".to_owned())
    })?;
    // The date is that of the mail's id, so that the same mail looks the same however often it is sent.
    let at = countersign_core::time::Time::from_unix_ms(mail.unix_ms());
    let addressed = Addressed { mail, to, at, correlation: job.correlation };
    Ok(write(letter, &addressed, &from, &host))
}
