//! `countersign providers`: list, end. For an organization that cannot end its provider itself, because nobody of it comes in
//! without.

use clap::Subcommand;
use countersign_core::{
    id::ProviderId,
    refusal::{Code, Refusal},
};

use super::print;
use crate::{
    accounts::provider,
    app::Records,
    fault::Failure,
    organizations::{self, operator},
};

/// The OpenID providers of organizations.
#[derive(Subcommand)]
pub enum Providers {
    /// List providers: id, organization, handle, whether members must use it, issuer.
    List {
        /// Name or id of an organization; without it, the providers of all.
        #[arg(long)]
        organization: Option<String>,
    },
    /// End an organization's provider at once, also in a server that runs: with every session that it opened, every connection,
    /// and what connected members had granted. For one that is gone for good, where nobody comes in to remove it. Who has
    /// no other way in asks for a mail to set a password.
    End {
        /// Its id, `prv_…`.
        provider: ProviderId,
    },
}

/// Runs a command on the records.
pub async fn run(records: &Records, command: Providers) -> Result<(), Failure> {
    match command {
        Providers::List { organization } => list(records, organization.as_deref()).await,
        Providers::End { provider } => {
            end(records, provider).await?;
            eprintln!(
                "{provider} has ended, with every session that it opened and every connection. Who has no other way in asks \
                 for a mail at {}/reset.",
                records.config.server.public_url
            );
            Ok(())
        }
    }
}

async fn list(records: &Records, organization: Option<&str>) -> Result<(), Failure> {
    let rows = match organization {
        Some(one) => vec![organizations::find(records, one).await?],
        None => records.store.organizations().await?,
    };
    for organization in rows {
        let Some(found) = provider::of(records, organization.organization).await? else { continue };
        let settings = &found.settings;
        print(format_args!(
            "{}  {}  {}  {}  {}",
            found.row.provider,
            organization.name,
            settings.handle,
            if settings.is_required { "required" } else { "optional" },
            settings.issuer,
        ))?;
    }
    Ok(())
}

async fn end(records: &Records, id: ProviderId) -> Result<(), Failure> {
    let found = provider::by_id(records, id).await?.ok_or_else(|| {
        let sentence = "there is no such provider, or it is over (`countersign providers list` shows all)";
        Refusal::new(Code::NotFound, sentence)
    })?;
    provider::end::remove(records, &operator(records), (found.row.organization, Some(id))).await.map(drop)
}
