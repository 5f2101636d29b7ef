//! `countersign mails`: what a server without a mail server could not send.

use clap::Args;
use countersign_core::accounts::email;

use super::print;
use crate::{accounts::undelivered, app::Records, fault::Failure, organizations};

/// Which mails.
#[derive(Args)]
pub struct Mails {
    /// Name or id of an organization; without it, the mails of all.
    #[arg(long)]
    organization: Option<String>,
    /// Only mails to this address.
    #[arg(long)]
    to: Option<String>,
    /// Print so many mails of each organization, the newest.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    last: u16,
}

/// Prints the mails, the newest at the end.
pub async fn run(records: &Records, wish: Mails) -> Result<(), Failure> {
    let organizations = match &wish.organization {
        Some(name_or_id) => vec![organizations::find(records, name_or_id).await?],
        None => records.store.organizations().await?,
    };
    let to = wish.to.map(|to| email::read(&to)).transpose()?;
    let mut count = 0;
    for organization in organizations {
        let mails =
            undelivered::last(records, organization.organization, to.as_ref(), wish.last.into()).await?;
        for mail in mails.iter().rev() {
            print(format_args!("{}  {}  {}", mail.at, organization.name, mail.to.disclose()))?;
            print(format_args!("{}\n", mail.subject.disclose()))?;
            print(format_args!("{}\n", mail.text.expose().trim_end()))?;
            count += 1;
        }
    }
    if count == 0 {
        eprintln!(
            "No mail about an account waits here. A server that runs puts them here while no mail server is set ([mail] \
             smtp_host); with one they are sent."
        );
    }
    Ok(())
}
