//! Organizations and API keys, as the operator makes them on the command line.

use countersign_core::{
    access::{Environment, Tenant},
    envelope::fields::check_line,
    id::{ApiKeyId, OrganizationId, PersonId},
    limits,
    refusal::{Code, Refusal},
    scope::Scopes,
    secret::{PlainToken, TokenKind},
};
use countersign_store::{
    Batch,
    batch::Row,
    rows::{ApiKeyRow, OrganizationRow},
};

use crate::{
    app::{Records, organization_binding},
    fault::{Failure, Fault},
    keys::WrappingKey,
    persons,
};

/// An API key that was just made: its token is shown once.
#[derive(Debug)]
pub struct NewApiKey {
    /// What is stored.
    pub row: ApiKeyRow,
    /// What its holder gets.
    pub token: PlainToken,
}

/// What an API key is to be.
#[derive(Clone, Debug)]
pub struct ApiKeyWish {
    /// Environment of the organization.
    pub environment: Environment,
    /// What it may do; nothing by default.
    pub scopes: Scopes,
    /// What the operator calls it.
    pub label: String,
    /// Life in seconds, at most [`limits::API_KEY_S`].
    pub lifetime_s: i64,
}

/// Makes an organization with a key of its own. No other may have its name, which stands for it on the command line.
pub async fn create(app: &Records, name: &str) -> Result<OrganizationRow, Failure> {
    check_line("/name", name)?;
    if app.store.organizations().await?.iter().any(|row| row.name == name) {
        let sentence = "there is an organization of this name: use it (`countersign organizations list` shows its id), or \
                        choose another name";
        return Err(Refusal::new(Code::Invalid, sentence).into());
    }
    let organization = OrganizationId::new(app.now(), app.draw());
    let key = WrappingKey::generate(&*app.random);
    let row = OrganizationRow {
        organization,
        name: name.to_owned(),
        wrapped_key: app.root().wrap(&*app.random, &organization_binding(organization), &key)?,
        created_at: app.now(),
    };
    let batch = Batch { rows: vec![Row::Organization(row.clone())], ..Batch::default() };
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(row)
}

/// An environment of an organization that was looked up: for the operator, who has all of them.
pub(crate) fn tenant(organization: OrganizationId, environment: Environment) -> Tenant {
    Tenant::of_stored_row(organization, environment)
}

/// The organization with this id or, if there is only one so called, this name.
pub async fn find(app: &Records, name_or_id: &str) -> Result<OrganizationRow, Failure> {
    let rows = app.store.organizations().await?;
    let mut found =
        rows.into_iter().filter(|row| row.name == name_or_id || row.organization.to_string() == name_or_id);
    match (found.next(), found.next()) {
        (Some(row), None) => Ok(row),
        (Some(_), Some(_)) => {
            Err(Refusal::new(Code::Invalid, "more than one organization has this name: give its id").into())
        }
        (None, _) => Err(Refusal::new(
            Code::NotFound,
            "there is no such organization; make one with `countersign organizations create NAME`",
        )
        .into()),
    }
}

/// All API keys of this organization, or of all, also those that ended.
pub async fn api_keys(
    app: &Records,
    name_or_id: Option<&str>,
) -> Result<Vec<(OrganizationRow, ApiKeyRow)>, Failure> {
    let organizations = match name_or_id {
        Some(name_or_id) => vec![find(app, name_or_id).await?],
        None => app.store.organizations().await?,
    };
    let mut keys = Vec::new();
    for organization in organizations {
        let rows = app.store.api_keys(organization.organization).await?;
        keys.extend(rows.into_iter().map(|row| (organization.clone(), row)));
    }
    Ok(keys)
}

/// How far the clock of whoever ends a key may be ahead of the servers' clocks.
const CLOCKS_APART_S: i64 = 300;

/// Ends an API key at once, also for a server that runs: it looks each key up again for each request.
pub async fn end_api_key(app: &Records, key: ApiKeyId) -> Result<(), Failure> {
    if app.store.end_api_key(key, app.now().plus_s(-CLOCKS_APART_S)).await? {
        return Ok(());
    }
    let sentence =
        "no key of this id can be ended: it has ended, or there is none (`countersign keys list` shows all)";
    Err(Refusal::new(Code::NotFound, sentence).into())
}

/// Makes an API key: scoped, ending within 90 days, kept as a hash.
pub async fn create_api_key(
    app: &Records,
    organization: OrganizationId,
    wish: ApiKeyWish,
) -> Result<NewApiKey, Failure> {
    check_line("/label", &wish.label)?;
    if !(1..=limits::API_KEY_S).contains(&wish.lifetime_s) {
        let sentence = format!("an API key lives at most {} days", limits::API_KEY_S / (24 * 3_600));
        return Err(Refusal::new(Code::Invalid, sentence).into());
    }
    if !wish.scopes.is_within(Scopes::FOR_KEYS) {
        let sentence = format!(
            "an API key cannot have {}: register a client instead",
            wish.scopes.without(Scopes::FOR_KEYS)
        );
        return Err(Refusal::new(Code::Invalid, sentence).into());
    }
    if wish.environment == Environment::Live && app.config.mail.smtp_host.is_none() {
        let sentence =
            "a live environment needs a mail server, or nobody gets a link: set [mail] smtp_host first";
        return Err(Refusal::new(Code::Invalid, sentence).into());
    }
    let tenant = Tenant::of_stored_row(organization, wish.environment);
    let known = app.organization(organization).await?;
    let key = ApiKeyId::new(app.now(), app.draw());
    // The key's own person: addresses of its callers go under a key that can be erased.
    let lookup = known.lookup_key.mac(&[wish.environment.text().as_bytes(), b"\0api-key\0", key.as_bytes()]);
    let person = persons::new_person(app, &known, &tenant, lookup)?;
    let person_id: PersonId = person.person;
    let kind = match wish.environment {
        Environment::Sandbox => TokenKind::SandboxApiKey,
        Environment::Live => TokenKind::LiveApiKey,
    };
    let token = PlainToken::new(kind, &app.draw());
    let row = ApiKeyRow {
        tenant,
        key,
        hash: token.hash(),
        scopes: wish.scopes,
        person: person_id,
        label: wish.label,
        created_at: app.now(),
        expires_at: app.now().plus_s(wish.lifetime_s),
        networks: Vec::new(),
        replaces: None,
        used: None,
        warned_days: None,
        created_by: None,
        version: 1,
    };
    let batch = Batch { rows: vec![Row::Person(person), Row::ApiKey(row.clone())], ..Batch::default() };
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(NewApiKey { row, token })
}
