//! Mails about accounts on a server without a mail server. Whoever reads one can become a member, or set a password, so that
//! no credential of the API reads them: they wait for the operator alone, who prints them with `countersign mails`.

use countersign_core::{
    access::{Environment, Tenant},
    accounts::email,
    canonical,
    id::{MailId, OrganizationId},
    secret::{Personal, Secret},
    time::Time,
};
use countersign_store::rows::MailboxRow;
use serde::{Deserialize, Serialize};

use crate::{
    app::Records,
    fault::Fault,
    keys::Binding,
    mail::{Addressed, Letter},
    organizations,
};

/// Mails that are read at once.
const PAGE: usize = 100;

/// A mail that nobody delivered.
pub struct Undelivered {
    /// When it would have been sent.
    pub at: Time,
    /// To which address.
    pub to: Personal<String>,
    /// Its subject.
    pub subject: Personal<String>,
    /// What it says, with the link.
    pub text: Secret<String>,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    to: String,
    subject: String,
    text: String,
}

fn binding(mail: MailId) -> Binding {
    Binding::new("account-mail", &[mail.as_bytes()])
}

/// They lie where no mailbox is shown: the API and the mailbox page know that of the sandbox alone.
fn place(organization: OrganizationId) -> Tenant {
    organizations::tenant(organization, Environment::Live)
}

/// The row that keeps a mail.
pub(super) async fn row(
    app: &Records,
    organization: OrganizationId,
    addressed: &Addressed,
    letter: &Letter,
) -> Result<MailboxRow, Fault> {
    let plain = Plain {
        to: addressed.to.1.disclose().clone(),
        subject: letter.subject.disclose().clone(),
        text: letter.text.expose().clone(),
    };
    let plain = canonical::to_vec(&plain).map_err(|error| Fault::Task(error.to_string()))?;
    let key = &app.organization(organization).await?.key;
    let sealed = key.seal(&*app.random, &binding(addressed.mail), &plain)?;
    Ok(MailboxRow { tenant: place(organization), mail: addressed.mail, at: app.now(), sealed })
}

/// The last mails of an organization that nobody delivered, newest first: of all, or of those to one address.
pub async fn last(
    app: &Records,
    organization: OrganizationId,
    to: Option<&Personal<String>>,
    count: usize,
) -> Result<Vec<Undelivered>, Fault> {
    let key = &app.organization(organization).await?.key;
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = app.store.mailbox(&place(organization), before, PAGE).await?;
        before = page.rows.last().map(|(position, _)| *position);
        for (_, row) in &page.rows {
            let plain = key.open(&binding(row.mail), &row.sealed)?;
            let plain: Plain =
                serde_json::from_slice(&plain).map_err(|_| Fault::Sealed(row.mail.to_string()))?;
            let address = Personal::new(plain.to);
            if to.is_some_and(|to| email::compared(to) != email::compared(&address)) {
                continue;
            }
            found.push(Undelivered {
                at: row.at,
                to: address,
                subject: Personal::new(plain.subject),
                text: Secret::new(plain.text),
            });
            if found.len() == count {
                return Ok(found);
            }
        }
        if !page.more {
            return Ok(found);
        }
    }
}
