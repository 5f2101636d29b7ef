//! Who a subject of a provider is here: a row that connects it with a user, made by that user or with an invitation, and
//! never by an address.

use countersign_core::{
    canonical,
    digest::Digest,
    id::{AuthenticatorId, OrganizationId, ProviderId, UserId},
};
use countersign_store::access_rows::AuthenticatorRow;
use serde::{Deserialize, Serialize};

use super::Provider;
use crate::{
    accounts::people::{PROVIDER, User},
    app::Records,
    fault::Fault,
    keys::Binding,
};

/// How often a subject may be connected with one account after the other.
const TURNS: u8 = 16;

/// What a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Which provider.
    pub provider: ProviderId,
    /// Whose provider.
    pub organization: OrganizationId,
    /// The issuer.
    pub issuer: String,
}

fn binding(user: UserId, authenticator: AuthenticatorId) -> Binding {
    Binding::new("provider-link", &[user.as_bytes(), authenticator.as_bytes()])
}

/// The connection of a subject, if there is one, or the place for the next.
pub enum Found {
    /// It is connected.
    Linked(Box<AuthenticatorRow>),
    /// It is not; a new connection goes here.
    Free(Digest),
}

/// Looks for the connection of a subject.
pub async fn find(app: &Records, provider: &Provider, subject: &str) -> Result<Option<Found>, Fault> {
    for turn in 0..TURNS {
        let lookup = provider.lookup(app, subject, turn);
        match app.store.authenticator_by_lookup(lookup).await? {
            None => return Ok(Some(Found::Free(lookup))),
            Some(row) if row.ended_at.is_none() && row.kind == PROVIDER => {
                return Ok(Some(Found::Linked(Box::new(row))));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

/// The row that connects a user with a subject.
pub fn new_row(
    app: &Records,
    user: &User,
    provider: &Provider,
    lookup: Digest,
) -> Result<AuthenticatorRow, Fault> {
    let authenticator = AuthenticatorId::new(app.now(), app.draw());
    let link = Link {
        provider: provider.row.provider,
        organization: provider.row.organization,
        issuer: provider.settings.issuer.clone(),
    };
    let plain = canonical::to_vec(&link).map_err(|error| Fault::Task(error.to_string()))?;
    Ok(AuthenticatorRow {
        authenticator,
        user: user.id(),
        kind: PROVIDER.to_owned(),
        lookup: Some(lookup),
        sealed: user.key.seal(&*app.random, &binding(user.id(), authenticator), &plain)?,
        counter: 0,
        created_at: app.now(),
        used_at: None,
        ended_at: None,
        version: 1,
    })
}

/// What a connection leads to.
pub fn read(user: &User, row: &AuthenticatorRow) -> Result<Link, Fault> {
    let plain = user.key.open(&binding(row.user, row.authenticator), &row.sealed)?;
    serde_json::from_slice(&plain).map_err(|_| Fault::Sealed(format!("{}", row.authenticator)))
}
