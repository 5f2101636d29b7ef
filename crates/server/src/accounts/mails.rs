//! Mails about accounts on their way: jobs in the commit of what they tell, then the mail server, or where only the operator
//! reads where there is none.

use countersign_core::{
    access::Environment,
    accounts::ticket::Purpose,
    id::{ApiKeyId, CorrelationId, JobId, MailId, TicketId, UserId},
    secret::{Personal, Secret},
    time::Time,
};
use countersign_store::{
    Batch,
    access_rows::MemberRow,
    batch::Row,
    rows::{JobRow, NewJob, Work},
};
use lettre::message::Mailbox;

use super::{
    letters::{self, Notice},
    people, tickets, undelivered,
};
use crate::{
    api_keys,
    app::{App, Records},
    fault::{Failure, Fault},
    mail::{Addressed, Letter, MailFault, smtp::SmtpFault, write},
};

/// Adds a mail that tells a user of a change. Who is a member nowhere has no mailbox to be told in.
pub fn notify(
    app: &Records,
    user: UserId,
    memberships: &[MemberRow],
    notice: Notice,
    correlation: CorrelationId,
    batch: &mut Batch,
) {
    let Some(member) = memberships.first() else { return };
    let mail = MailId::new(app.now(), app.draw());
    let work = Work::MailNotice { user, notice: notice.text().to_owned(), mail };
    batch.jobs.push(job(app, people::tenant_of(member, Environment::Sandbox), work, correlation));
}

/// Adds a mail with a one-time link, in the name of this organization.
pub(super) fn send_ticket(
    app: &Records,
    tenant: countersign_core::access::Tenant,
    ticket: TicketId,
    correlation: CorrelationId,
    batch: &mut Batch,
) {
    let mail = MailId::new(app.now(), app.draw());
    batch.jobs.push(job(app, tenant, Work::MailTicket { ticket, mail }, correlation));
}

fn job(
    app: &Records,
    tenant: countersign_core::access::Tenant,
    work: Work,
    correlation: CorrelationId,
) -> NewJob {
    NewJob { tenant, job: JobId::new(app.now(), app.draw()), work, correlation, due_at: app.now() }
}

/// A mail that is ready, and for whom.
pub struct Ready {
    /// Which.
    pub mail: MailId,
    /// Name and address.
    pub to: (Personal<String>, Personal<String>),
    /// What it says.
    pub letter: Letter,
}

/// The mail of a one-time link; `None` where it was used or has expired meanwhile.
pub async fn of_ticket(
    app: &App,
    job: &JobRow,
    ticket: TicketId,
    mail: MailId,
) -> Result<Option<Ready>, Failure> {
    let Some(row) = app.store.ticket_by_id(ticket).await? else { return Ok(None) };
    if row.used_at.is_some() || row.expires_at <= app.now() {
        return Ok(None);
    }
    let (sealed, user) = tickets::sealed_of(app, &row).await?;
    let path = tickets::path(Purpose::parse(&row.purpose).unwrap_or(Purpose::Invitation));
    let url = Secret::new(format!("{}{path}#{}", app.config.server.public_url, sealed.secret.expose()));
    let reference = (mail, job.correlation);
    let letter = match (&user, row.organization, row.role) {
        (Some(user), _, _) => letters::reset(&user.name, &url, row.expires_at, reference),
        (None, Some(organization), Some(role)) => {
            let name = app.organization(organization).await?.name.clone();
            letters::invitation(&name, role, &url, row.expires_at, reference)
        }
        _ => return Ok(None),
    };
    let name = user.map_or_else(|| sealed.email.clone(), |user| user.name);
    Ok(Some(Ready { mail, to: (name, sealed.email), letter: letter.map_err(Fault::mail)? }))
}

/// The mail of a notice.
pub async fn of_notice(
    app: &App,
    job: &JobRow,
    user: UserId,
    notice: &str,
    mail: MailId,
) -> Result<Option<Ready>, Failure> {
    let (Some(user), Some(notice)) = (people::by_id(app, user).await?, Notice::parse(notice)) else {
        return Ok(None);
    };
    let at = Time::from_unix_ms(mail.unix_ms());
    let url = &app.config.server.public_url;
    let letter = letters::notice(&user.name, notice, at, url, (mail, job.correlation));
    Ok(Some(Ready { mail, to: (user.name, user.email), letter: letter.map_err(Fault::mail)? }))
}

/// The mail that an API key ends soon; `None` where it has ended meanwhile, or the user is gone.
pub async fn of_key_warning(
    app: &App,
    job: &JobRow,
    key: ApiKeyId,
    user: UserId,
    mail: MailId,
) -> Result<Option<Ready>, Failure> {
    let Some(user) = people::by_id(app, user).await? else { return Ok(None) };
    let Some(row) = app.store.api_key_by_id(key).await? else { return Ok(None) };
    let known = api_keys::read(app, &row.tenant, key).await?;
    if known.state(app.now()) == api_keys::State::Ended {
        return Ok(None);
    }
    let organization = app.organization(row.tenant.organization()).await?;
    let used = api_keys::uses::last(app, &known.row).await?.map(|(at, _)| at);
    let url = &app.config.server.public_url;
    let letter =
        letters::key_ends(&user.name, &organization.name, &known, used, url, (mail, job.correlation));
    Ok(Some(Ready { mail, to: (user.name, user.email), letter: letter.map_err(Fault::mail)? }))
}

/// Hands a mail over, and ends its job. An address that no server takes mail for is in the log, and nowhere else.
pub async fn deliver(app: &App, job: &JobRow, ready: Ready) -> Result<(), Failure> {
    let from: Mailbox = app.config.mail.from.parse().map_err(|_| {
        Fault::Unsafe("mail.from must be an address like `Name <mail@example.com>`".to_owned())
    })?;
    let at = Time::from_unix_ms(ready.mail.unix_ms());
    let addressed = Addressed { mail: ready.mail, to: ready.to, at, correlation: job.correlation };
    let mut batch = Batch { finishes: Some(job.clone()), ..Batch::default() };
    match (write(&ready.letter, &addressed, &from, &app.config.public_host()?), &app.smtp) {
        (Err(MailFault::Address), _) => {
            tracing::warn!(
                event_type = "account_mail",
                event_result = "bounced",
                "the address cannot be written"
            );
        }
        (Err(fault), _) => return Err(Fault::mail(fault).into()),
        (Ok(_), None) => {
            let row = undelivered::row(app, job.tenant.organization(), &addressed, &ready.letter).await?;
            batch.rows.push(Row::Mailbox(row));
            tracing::info!(
                event_type = "account_mail",
                event_result = "kept",
                "no mail server is set: `countersign mails` prints this mail"
            );
        }
        (Ok(message), Some(smtp)) => match smtp.send(message).await {
            Ok(()) => {}
            Err(SmtpFault::Permanent(smtp_status)) => {
                tracing::warn!(event_type = "account_mail", event_result = "bounced", smtp_status);
            }
            Err(fault) => return Err(Fault::mail(fault).into()),
        },
    }
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}
