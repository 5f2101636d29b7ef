//! Sign-in through an organization's own OpenID provider. What it opens is that organization alone: whoever runs the
//! provider could come in as any of its members, so it opens nothing else and changes nothing of the person's own.

pub mod change;
pub mod end;
pub mod enter;
pub mod failures;
pub mod flow;
pub mod known;
pub mod links;
mod openid;
pub mod required;

use countersign_core::{
    accounts::provider::{Authentication, Settings, name_meant},
    canonical,
    digest::Digest,
    id::{OrganizationId, ProviderId},
    oauth::jose::{Algorithm, Jwk},
    secret::Secret,
};
use countersign_store::access_rows::{MemberRow, ProviderRow, SignInRow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::people::{self, User};
use crate::{
    app::Records,
    fault::Fault,
    keys::{Binding, SigningKey},
};

/// The algorithm of the key that proves to a provider who this server is.
const SIGNS_WITH: Algorithm = Algorithm::Es256;

/// A provider that is in force.
pub struct Provider {
    /// As stored.
    pub row: ProviderRow,
    /// What the organization set.
    pub settings: Settings,
}

/// With what this server proves to a provider who it is.
pub enum Credential {
    /// A key of its own.
    Key(SigningKey),
    /// A shared secret.
    Secret(Secret<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sealed {
    Key(Vec<u8>),
    Secret(String),
}

fn binding(provider: ProviderId) -> Binding {
    Binding::new("provider-credential", &[provider.as_bytes()])
}

fn read(row: ProviderRow) -> Result<Provider, Fault> {
    let settings = serde_json::from_str(&row.settings)
        .map_err(|_| Fault::Sealed(format!("the settings of {}", row.provider)))?;
    Ok(Provider { row, settings })
}

fn in_force(row: Option<ProviderRow>) -> Result<Option<Provider>, Fault> {
    row.filter(|row| row.ended_at.is_none()).map(read).transpose()
}

/// The provider of an organization; one that was removed is none.
pub async fn of(app: &Records, organization: OrganizationId) -> Result<Option<Provider>, Fault> {
    in_force(app.store.provider(organization).await?)
}

/// A provider; one that was removed or replaced is none.
pub async fn by_id(app: &Records, provider: ProviderId) -> Result<Option<Provider>, Fault> {
    in_force(app.store.provider_by_id(provider).await?)
}

/// The provider that somebody means on the sign-in page.
pub async fn meant_by(app: &Records, typed: &str) -> Result<Option<Provider>, Fault> {
    match name_meant(typed) {
        Some(name) => in_force(app.store.provider_by_name(&name).await?),
        None => Ok(None),
    }
}

/// Where a user is a member as far as this session opens it, and who is told what happens in it. `None` if the provider that
/// opened the session is in force no more. Members who must come in through their organization's provider are none in any
/// other session; an owner always is one.
pub async fn opened_by(
    app: &Records,
    user: &User,
    row: &SignInRow,
) -> Result<Option<(Vec<MemberRow>, Vec<MemberRow>)>, Fault> {
    let all = people::memberships(app, user.id()).await?;
    if let Some(provider) = row.provider {
        let Some(provider) = by_id(app, provider).await? else { return Ok(None) };
        let of_it = |member: &MemberRow| member.organization == provider.row.organization;
        let opened: Vec<MemberRow> = all.into_iter().filter(of_it).collect();
        return Ok(Some((opened.clone(), opened)));
    }
    let mut opened = Vec::new();
    for member in &all {
        if required::for_member(app, member).await?.is_none() {
            opened.push(member.clone());
        }
    }
    Ok(Some((opened, all)))
}

impl Provider {
    /// Where the provider sends people back to. Each provider has its own address, so that an answer of one is never taken
    /// for another's (RFC 9700 §4.4).
    pub fn redirect_uri(&self, app: &Records) -> String {
        format!("{}/signin/provider/{}/callback", app.config.server.public_url, self.row.provider)
    }

    /// Where the provider finds the public key of this server.
    pub fn jwks_uri(&self, app: &Records) -> String {
        format!("{}/signin/provider/{}/keys", app.config.server.public_url, self.row.provider)
    }

    /// The host that people are sent to.
    pub fn host(&self) -> String {
        let rest = self.settings.issuer.strip_prefix("https://").unwrap_or_default();
        rest.split(['/', ':']).next().unwrap_or_default().to_owned()
    }

    /// The hash by which a subject of this provider is found. `turn` counts those who were connected with it one after the
    /// other.
    fn lookup(&self, app: &Records, subject: &str, turn: u8) -> Digest {
        let (provider, issuer) = (self.row.provider, self.settings.issuer.as_bytes());
        let key = app.root().derive("provider-subject");
        key.mac(&[provider.as_bytes(), &[turn], issuer, b"\0", subject.as_bytes()])
    }

    /// With what this server proves to the provider who it is.
    pub async fn credential(&self, app: &Records) -> Result<Credential, Fault> {
        let organization = app.organization(self.row.organization).await?;
        let plain = organization.key.open(&binding(self.row.provider), &self.row.sealed)?;
        let damaged = |_| Fault::Sealed(format!("the credential of {}", self.row.provider));
        Ok(match serde_json::from_slice(&plain).map_err(damaged)? {
            Sealed::Key(pkcs8) => Credential::Key(SigningKey::read(SIGNS_WITH, &pkcs8)?),
            Sealed::Secret(secret) => Credential::Secret(Secret::new(secret)),
        })
    }

    /// The public key of this server for this provider, as a JWK set.
    pub async fn jwks(&self, app: &Records) -> Result<Value, Fault> {
        let keys = match self.credential(app).await? {
            Credential::Key(key) => vec![public(&key)?.to_json()],
            Credential::Secret(_) => Vec::new(),
        };
        Ok(json!({ "keys": keys }))
    }
}

/// The public part of a key, named by its thumbprint (RFC 7638).
fn public(key: &SigningKey) -> Result<Jwk, Fault> {
    let public = key.public().ok_or_else(|| Fault::Key("a key has no public part".to_owned()))?;
    let unnamed = Jwk { key: public, kid: None, x5c: Vec::new() };
    let kid = hex::encode(unnamed.thumbprint().0.first_chunk::<8>().copied().unwrap_or_default());
    Ok(Jwk { kid: Some(kid), ..unnamed })
}

/// A new credential, sealed: a key that is made here, or the secret that the provider gave.
async fn sealed(
    app: &Records,
    organization: OrganizationId,
    provider: ProviderId,
    authentication: Authentication,
    secret: Option<&Secret<String>>,
) -> Result<Vec<u8>, Fault> {
    let sealed = match (authentication, secret) {
        (Authentication::PrivateKeyJwt, _) => Sealed::Key(SigningKey::generate(SIGNS_WITH)?),
        (Authentication::ClientSecret, Some(secret)) => Sealed::Secret(secret.expose().clone()),
        (Authentication::ClientSecret, None) => {
            return Err(Fault::Missing("the secret of a provider".to_owned()));
        }
    };
    let plain =
        zeroize::Zeroizing::new(canonical::to_vec(&sealed).map_err(|error| Fault::Task(error.to_string()))?);
    let organization = app.organization(organization).await?;
    organization.key.seal(&*app.random, &binding(provider), &plain)
}
