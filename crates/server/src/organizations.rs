//! Organizations, as the operator makes them on the command line, and the short way to an API key.

use countersign_core::{
    access::{Environment, Tenant},
    api_key::Wish,
    envelope::fields::check_line,
    id::OrganizationId,
    network::Networks,
    refusal::{Code, Refusal},
    scope::Scopes,
    secret::PlainToken,
    security::SecurityActor,
};
use countersign_store::{
    Batch,
    batch::Row,
    rows::{ApiKeyRow, OrganizationRow},
};

use crate::{
    api_keys::{self, Giver},
    app::{Records, organization_binding},
    fault::{Failure, Fault},
    keys::WrappingKey,
    security::Circumstances,
};

/// An API key that was just made: its token is shown once.
#[derive(Debug)]
pub struct NewApiKey {
    /// What is stored.
    pub row: ApiKeyRow,
    /// What its holder gets.
    pub token: PlainToken,
}

/// What an API key is to be, in short.
#[derive(Clone, Debug)]
pub struct ApiKeyWish {
    /// Environment of the organization.
    pub environment: Environment,
    /// What it may do; nothing by default.
    pub scopes: Scopes,
    /// What the operator calls it.
    pub label: String,
    /// Life in seconds, at most 90 days.
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

/// The operator, as security events name it.
pub(crate) fn operator(app: &Records) -> Circumstances {
    Circumstances { actor: SecurityActor::Operator, origin: None, correlation: app.new_correlation() }
}

/// Makes an API key that is taken from everywhere.
pub async fn create_api_key(
    app: &Records,
    organization: OrganizationId,
    wish: ApiKeyWish,
) -> Result<NewApiKey, Failure> {
    let ApiKeyWish { environment, scopes, label, lifetime_s } = wish;
    let tenant = tenant(organization, environment);
    let wish = Wish { label, scopes, networks: Networks::default(), lifetime_s };
    let made = api_keys::create(app, &tenant, &operator(app), Giver::OPERATOR, &wish, None).await?;
    Ok(NewApiKey { row: made.key.row, token: made.token })
}
