//! OAuth clients: registered, changed and ended, by an operator on the command line, by a member on the console, or by a
//! program with the admin scope. A secret is given once, when it is made.

use countersign_core::{
    access::{Environment, Tenant},
    canonical,
    id::ClientId,
    oauth::client::{self, Method, Registration},
    refusal::{Code, Refusal},
    scope::Scopes,
    secret::{PlainToken, TokenKind},
    security::SecurityBody,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, ClientRow, Ending},
    batch::Row,
    rows::{FinishedIdempotency, OrganizationRow},
};

use crate::{
    app::Records,
    fault::{Failure, Fault},
    organizations, persons,
    security::{self, Circumstances},
};

/// A client with its registration read.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Its row.
    pub row: ClientRow,
    /// Its registration.
    pub registration: Registration,
}

/// A client that was registered just now.
#[derive(Debug)]
pub struct NewClient {
    /// The client.
    pub client: Registered,
    /// Its secret, where its method has one: shown once.
    pub secret: Option<PlainToken>,
}

/// What a commit keeps for the same request coming again: made of what is stored, a client without its secret.
pub type Keep<'a, T = Registered> = &'a (dyn Fn(&T) -> Result<FinishedIdempotency, Fault> + Send + Sync);

impl Registered {
    /// Reads a row.
    pub fn read(row: ClientRow) -> Result<Self, Fault> {
        let registration = serde_json::from_str(&row.registration);
        let registration = registration
            .map_err(|error| Fault::Task(format!("the registration of {}: {error}", row.client)))?;
        Ok(Self { row, registration })
    }
}

fn stored(registration: &Registration) -> Result<String, Fault> {
    let bytes = canonical::to_vec(registration).map_err(|error| Fault::Task(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Fault::Task(error.to_string()))
}

/// Registers a client, if its registration may be and whoever gives its scopes has them.
pub async fn register(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    giver: Scopes,
    registration: Registration,
    keep: Option<Keep<'_>>,
) -> Result<NewClient, Failure> {
    client::check(&registration, tenant.environment())?;
    client::check_given(&registration, None, giver)?;
    if tenant.environment() == Environment::Live && app.config.mail.smtp_host.is_none() {
        let sentence =
            "a live environment needs a mail server, or nobody gets a link: set [mail] smtp_host first";
        return Err(Refusal::new(Code::Invalid, sentence).into());
    }
    let organization = app.organization(tenant.organization()).await?;
    let id = ClientId::new(app.now(), app.draw());
    // The client's own person: addresses of its callers go under a key that can be erased.
    let environment = tenant.environment().text().as_bytes();
    let lookup = organization.lookup_key.mac(&[environment, b"\0client\0", id.as_bytes()]);
    let person = persons::new_person(app, &organization, tenant, lookup)?;
    let has_secret = registration.token_endpoint_auth_method == Method::ClientSecretBasic;
    let secret = has_secret.then(|| PlainToken::new(TokenKind::ClientSecret, &app.draw()));
    let row = ClientRow {
        tenant: *tenant,
        client: id,
        is_fapi: registration.is_fapi(),
        scopes: registration.scope,
        person: person.person,
        registration: stored(&registration)?,
        secret: secret.as_ref().map(PlainToken::hash),
        created_at: app.now(),
        ended_at: None,
        version: 1,
    };
    let client = Registered { row, registration };
    let mut batch = Batch {
        rows: vec![Row::Person(person), Row::Client(client.row.clone())],
        answers: keep.map(|keep| keep(&client)).transpose()?,
        ..Batch::default()
    };
    let body = SecurityBody::ClientRegistered {
        client: id,
        scopes: client.registration.scope,
        profile: client.registration.profile.text().to_owned(),
        method: client.registration.token_endpoint_auth_method.text().to_owned(),
    };
    batch.changes.extend(client.registration.resource.clone().map(|name| stands_for(tenant, id, Some(name))));
    security::record(app, tenant, circumstances, body, &mut batch).await?;
    match app.store.commit(batch).await {
        Ok(_) => Ok(NewClient { client, secret }),
        Err(CommitError::Conflict) => Err(resource_is_taken().into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

fn stands_for(tenant: &Tenant, client: ClientId, resource: Option<String>) -> Change {
    Change::NameResource { tenant: *tenant, client, resource }
}

fn resource_is_taken() -> Refusal {
    let sentence =
        "another client of this environment stands for this resource: end that one, or name another resource";
    Refusal::at(Code::Invalid, "/resource", sentence)
}

/// A client of this tenant that has not ended.
pub async fn read(app: &Records, tenant: &Tenant, client: ClientId) -> Result<Registered, Failure> {
    let row = app.store.client(client).await?;
    let row = row.filter(|row| row.tenant == *tenant && row.ended_at.is_none());
    Ok(Registered::read(row.ok_or_else(Refusal::not_found)?)?)
}

/// Replaces a registration, if whoever does it may give what is in it before and after. Tokens that it would not give any more end with the ceilings at their next use.
pub async fn change(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    giver: Scopes,
    client: ClientId,
    registration: Registration,
    keep: Option<Keep<'_>>,
) -> Result<Registered, Failure> {
    let known = read(app, tenant, client).await?;
    client::check_given(&registration, Some(&known.registration), giver)?;
    client::check(&registration, tenant.environment())?;
    let had = known.registration.token_endpoint_auth_method;
    if had != registration.token_endpoint_auth_method {
        let sentence = "how a client proves who it is does not change: register another client";
        return Err(Refusal::at(Code::Invalid, "/token_endpoint_auth_method", sentence).into());
    }
    if known.registration.is_fapi() && !registration.is_fapi() {
        let sentence = "a client does not leave the FAPI 2.0 profile: register another client";
        return Err(Refusal::at(Code::Invalid, "/profile", sentence).into());
    }
    let row = ClientRow {
        is_fapi: registration.is_fapi(),
        scopes: registration.scope,
        registration: stored(&registration)?,
        version: known.row.version + 1,
        ..known.row
    };
    let changed = Registered { row, registration };
    let body = SecurityBody::ClientChanged {
        client,
        scopes: changed.registration.scope,
        profile: changed.registration.profile.text().to_owned(),
        method: changed.registration.token_endpoint_auth_method.text().to_owned(),
    };
    let resource = changed.registration.resource.clone();
    let changes = vec![Change::Client(changed.row.clone()), stands_for(tenant, client, resource)];
    match replace(app, circumstances, (changes, &changed), body, keep).await? {
        Replaced::Yes => Ok(changed),
        Replaced::Outdated => {
            let sentence = "somebody else changed this client just now; read it and try again";
            Err(Refusal::new(Code::Busy, sentence).into())
        }
    }
}

/// Ends a client, and with it everything that it was granted, from the next request on.
pub async fn end(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    client: ClientId,
    keep: Option<Keep<'_>>,
) -> Result<Registered, Failure> {
    let mut ended = read(app, tenant, client).await?;
    ended.row.ended_at = Some(app.now());
    // Also a client that may change registrations, and changes its own again and again, ends at the first try.
    let what = Ending::Client(client);
    let changes = vec![Change::End { what, at: app.now(), once: true }, stands_for(tenant, client, None)];
    match replace(app, circumstances, (changes, &ended), SecurityBody::ClientEnded { client }, keep).await? {
        Replaced::Yes => Ok(ended),
        Replaced::Outdated => Err(Refusal::not_found().into()),
    }
}

/// What came of a commit.
enum Replaced {
    Yes,
    Outdated,
}

async fn replace(
    app: &Records,
    circumstances: &Circumstances,
    (changes, client): (Vec<Change>, &Registered),
    body: SecurityBody,
    keep: Option<Keep<'_>>,
) -> Result<Replaced, Failure> {
    let mut batch =
        Batch { changes, answers: keep.map(|keep| keep(client)).transpose()?, ..Batch::default() };
    security::record(app, &client.row.tenant, circumstances, body, &mut batch).await?;
    match app.store.commit(batch).await {
        Ok(_) => Ok(Replaced::Yes),
        Err(CommitError::Outdated) => Ok(Replaced::Outdated),
        Err(CommitError::Conflict) => Err(resource_is_taken().into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

/// Clients of a list that are read at once.
const PAGE: usize = 100;

/// All clients of this organization, or of all, also those that ended: for the operator.
pub async fn all(
    app: &Records,
    name_or_id: Option<&str>,
) -> Result<Vec<(OrganizationRow, Registered)>, Failure> {
    let organizations = match name_or_id {
        Some(name_or_id) => vec![organizations::find(app, name_or_id).await?],
        None => app.store.organizations().await?,
    };
    let mut found = Vec::new();
    for organization in organizations {
        for environment in [Environment::Sandbox, Environment::Live] {
            let tenant = organizations::tenant(organization.organization, environment);
            let mut before = None;
            loop {
                let rows = app.store.clients(&tenant, before, PAGE).await?;
                before = rows.last().map(|row| row.client);
                let is_last = rows.len() < PAGE;
                for row in rows {
                    found.push((organization.clone(), Registered::read(row)?));
                }
                if is_last {
                    break;
                }
            }
        }
    }
    Ok(found)
}
