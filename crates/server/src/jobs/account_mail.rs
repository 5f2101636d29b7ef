//! Mails a one-time link of an account, word of a change to one, or a warning that an API key, an endpoint or its certificate ends.

use countersign_store::rows::{JobRow, Work};

use super::{Ended, finish};
use crate::{
    accounts::mails,
    app::App,
    fault::{Failure, Fault},
    webhooks::{
        certificates::{self, CertificateNotice},
        notices::{self, EndpointNotice},
    },
};

pub(super) async fn run(app: &App, job: &JobRow) -> Result<Ended, Failure> {
    let ready = match &job.work {
        Work::MailTicket { ticket, mail } => mails::of_ticket(app, job, *ticket, *mail).await?,
        Work::MailNotice { user, notice, mail } => mails::of_notice(app, job, *user, notice, *mail).await?,
        Work::MailKeyWarning { key, user, mail, .. } => {
            mails::of_key_warning(app, job, *key, *user, *mail).await?
        }
        Work::MailEndpointNotice { endpoint, environment, user, days, mail } => {
            let (endpoint, environment) = (*endpoint, *environment);
            let notice = EndpointNotice { endpoint, environment, user: *user, days: *days, mail: *mail };
            notices::of_endpoint(app, job, notice).await?
        }
        Work::MailCertificateNotice { endpoint, environment, sha256, user, mail } => {
            let notice = CertificateNotice {
                endpoint: *endpoint,
                environment: *environment,
                sha256: *sha256,
                user: *user,
                mail: *mail,
            };
            certificates::of_notice(app, job, notice).await?
        }
        _ => return Err(Fault::Missing("an account's mail in this job".to_owned()).into()),
    };
    let Some(ready) = ready else { return finish(app, job).await };
    mails::deliver(app, job, ready).await?;
    Ok(Ended::Done)
}
