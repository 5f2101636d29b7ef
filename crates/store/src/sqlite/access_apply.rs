//! What a batch writes of credentials and people, within the writer's transaction.

use std::collections::BTreeSet;

use countersign_core::{
    access::Tenant,
    id::{ApiKeyId, ClientId, OrganizationId, ProviderId, SignInId, UserId},
    level::Level,
    role::Role,
    secret::HashedToken,
    time::Time,
};
use rusqlite::{Connection, params};

use super::{
    apply::tenant,
    row::{execute, first},
    sql, webhook_sql, webhooks,
};
use crate::{
    access_cells::{binding_columns, networks_column},
    access_rows::{
        AccessTokenRow, AuthenticatorRow, AuthorizationCodeRow, Change, ClientRow, Ending, GrantRow,
        MemberRow, ProviderRow, PushedRequestRow, SecurityRow, SignInRow, Spend, TicketRow, UserRow,
    },
    batch::{CommitError, Row, waits_already},
    cells::signed,
    fault::Fault,
    rows::ApiKeyRow,
};

fn level(authenticated: Option<&(Level, Time)>) -> (Option<&'static str>, Option<i64>) {
    (authenticated.map(|(level, _)| level.text()), authenticated.map(|(_, at)| at.unix_ms()))
}

fn shown(tenant: Option<&Tenant>) -> (Option<[u8; 16]>, Option<&'static str>) {
    let shown = tenant.map(self::tenant);
    (shown.map(|(organization, _)| organization), shown.map(|(_, environment)| environment))
}

fn ms(at: Option<Time>) -> Option<i64> {
    at.map(Time::unix_ms)
}

/// Uses up what is good once.
pub(super) fn spend(connection: &Connection, spends: &[Spend]) -> Result<(), CommitError> {
    for spend in spends {
        let values = params![spend.hash.0, spend.expires_at.unix_ms()];
        if execute(connection, sql::ADD_SPENT, values)? == 0 {
            return Err(CommitError::Spent);
        }
    }
    Ok(())
}

/// Puts security events into the inbox.
pub(super) fn receive(connection: &Connection, security: &[SecurityRow]) -> Result<(), CommitError> {
    for row in security {
        let (organization, environment) = tenant(&row.tenant);
        let values = params![row.event.as_bytes(), organization, environment, row.bytes];
        if execute(connection, sql::ADD_SECURITY, values)? == 0 {
            return Err(waits_already(row.event));
        }
    }
    Ok(())
}

/// Whether a user or an authenticator with the lookup of this one exists.
pub(super) fn has_lookup(connection: &Connection, row: &Row) -> Result<bool, Fault> {
    let found = match row {
        Row::User(row) => first(connection, "users", sql::USER_BY_LOOKUP, params![row.lookup.0], |_| Ok(()))?,
        Row::Authenticator(row) => match row.lookup {
            None => None,
            Some(lookup) => {
                let same = params![lookup.0];
                first(connection, "authenticators", sql::AUTHENTICATOR_BY_LOOKUP, same, |_| Ok(()))?
            }
        },
        _ => None,
    };
    Ok(found.is_some())
}

/// Changes what is of the version before.
pub(super) fn change(connection: &Connection, change: &Change) -> Result<(), CommitError> {
    let changed = match change {
        Change::Endpoint(row) => webhooks::change_endpoint(connection, row),
        Change::WebhookKey(row) => webhooks::change_key(connection, row),
        Change::Unblock(key) => webhooks::remove_block(connection, key),
        Change::Client(row) => change_client(connection, row),
        Change::Grant(row) => change_grant(connection, row),
        Change::AuthorizationCode(row) => change_authorization_code(connection, row),
        Change::PushedRequest(row) => change_pushed_request(connection, row),
        Change::User(row) => change_user(connection, row),
        Change::Member(row) => change_member(connection, row),
        Change::Authenticator(row) => change_authenticator(connection, row),
        Change::SignIn(row) => change_sign_in(connection, row),
        Change::Ticket(row) => change_ticket(connection, row),
        Change::Provider(row) => change_provider(connection, row),
        Change::NameProvider { organization, names } => {
            return name_provider(connection, *organization, names);
        }
        Change::NameResource { tenant, client, resource } => {
            return name_resource(connection, tenant, *client, resource.as_deref());
        }
        Change::ApiKey(row) => change_api_key(connection, row),
        Change::EndTokens { grant, from, to } => {
            let ended = params![grant.as_bytes(), signed(*from)?, signed(*to)?];
            return Ok(execute(connection, sql::END_TOKENS, ended).map(drop)?);
        }
        Change::EndToken(token) => {
            return Ok(execute(connection, sql::END_TOKEN, params![token.as_bytes()]).map(drop)?);
        }
        Change::SeeToken(token, at) => {
            let seen = params![token.as_bytes(), at.unix_ms()];
            return Ok(execute(connection, sql::SEE_TOKEN, seen).map(drop)?);
        }
        Change::End { what, at, once: true } => end(connection, what, *at),
        Change::End { what, at, once: false } => return Ok(end(connection, what, *at).map(drop)?),
        Change::Vouch { organization, user, role } => {
            execute(connection, sql::VOUCH, params![organization.as_bytes(), user.as_bytes(), role.text()])
        }
        Change::Tries { user, version, before, after } => {
            let tried = params![user.as_bytes(), signed(*version)?, before, after];
            execute(connection, sql::CHANGE_TRIES, tried)
        }
    };
    if changed? == 0 { Err(CommitError::Outdated) } else { Ok(()) }
}

fn end(connection: &Connection, what: &Ending, at: Time) -> Result<usize, Fault> {
    let at = at.unix_ms();
    match what {
        Ending::Client(client) => execute(connection, sql::END_CLIENT, params![at, client.as_bytes()]),
        Ending::Grant(grant) => execute(connection, sql::END_GRANT, params![at, grant.as_bytes()]),
        Ending::Member { organization, user, role } => {
            let member = params![at, organization.as_bytes(), user.as_bytes(), role.text()];
            execute(connection, sql::END_MEMBER, member)
        }
        Ending::Authenticator(authenticator) => {
            execute(connection, sql::END_AUTHENTICATOR, params![at, authenticator.as_bytes()])
        }
        Ending::SignIn(sign_in) => execute(connection, sql::END_SIGN_IN, params![at, sign_in.as_bytes()]),
        Ending::SignInsOf(user) => execute(connection, sql::END_SIGN_INS_OF, params![at, user.as_bytes()]),
        Ending::SignInsThrough(provider) => {
            execute(connection, sql::END_SIGN_INS_THROUGH, params![at, provider.as_bytes()])
        }
        Ending::Provider(provider) => {
            execute(connection, sql::END_PROVIDER, params![at, provider.as_bytes()])
        }
        Ending::ApiKey(key) => execute(connection, sql::END_API_KEY, params![at, key.as_bytes()]),
        Ending::Endpoint(endpoint) => {
            execute(connection, webhook_sql::END_ENDPOINT, params![at, endpoint.as_bytes()])
        }
        Ending::WebhookKey(key) => {
            execute(connection, webhook_sql::END_WEBHOOK_KEY, params![at, key.as_bytes()])
        }
    }
}

/// The version that a change must find.
fn before(version: u64) -> Result<i64, Fault> {
    signed(version).map(|version| version - 1)
}

fn change_client(connection: &Connection, row: &ClientRow) -> Result<usize, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    let values = params![
        row.client.as_bytes(),
        organization,
        environment,
        row.person.as_bytes(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.is_fapi,
        row.scopes.to_string(),
        row.registration,
        row.secret.as_ref().map(HashedToken::as_bytes),
        ms(row.ended_at)
    ];
    execute(connection, sql::CHANGE_CLIENT, values)
}

fn change_grant(connection: &Connection, row: &GrantRow) -> Result<usize, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    let (level, authenticated_at) = level(row.authenticated.as_ref());
    let values = params![
        row.grant.as_bytes(),
        organization,
        environment,
        row.client.as_bytes(),
        row.user.as_ref().map(UserId::as_bytes),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.sign_in.as_ref().map(SignInId::as_bytes),
        row.scopes.to_string(),
        row.terms,
        level,
        authenticated_at,
        row.binding.map(|binding| binding.0),
        signed(row.generation)?,
        row.retry_of.map(signed).transpose()?,
        row.rotated_at.unix_ms(),
        row.expires_at.unix_ms(),
        ms(row.ended_at)
    ];
    execute(connection, sql::CHANGE_GRANT, values)
}

fn change_authorization_code(connection: &Connection, row: &AuthorizationCodeRow) -> Result<usize, Fault> {
    let values = params![
        row.hash.as_bytes(),
        row.grant.as_bytes(),
        before(row.version)?,
        row.request,
        row.expires_at.unix_ms(),
        ms(row.used_at)
    ];
    execute(connection, sql::CHANGE_CODE, values)
}

fn change_pushed_request(connection: &Connection, row: &PushedRequestRow) -> Result<usize, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    let values = params![
        row.hash.as_bytes(),
        organization,
        environment,
        row.client.as_bytes(),
        before(row.version)?,
        row.request,
        row.browser.map(|browser| browser.0),
        row.expires_at.unix_ms(),
        ms(row.used_at)
    ];
    execute(connection, sql::CHANGE_REQUEST, values)
}

fn change_user(connection: &Connection, row: &UserRow) -> Result<usize, Fault> {
    let values = params![
        row.user.as_bytes(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.lookup.0,
        row.wrapped_key,
        row.sealed_profile,
        row.sealed_password,
        row.valid_from.unix_ms(),
        ms(row.ended_at),
        row.failures
    ];
    execute(connection, sql::CHANGE_USER, values)
}

fn change_member(connection: &Connection, row: &MemberRow) -> Result<usize, Fault> {
    let values = params![
        row.organization.as_bytes(),
        row.user.as_bytes(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.role.text(),
        row.persons.0.as_bytes(),
        row.persons.1.as_bytes(),
        ms(row.ended_at)
    ];
    execute(connection, sql::CHANGE_MEMBER, values)
}

fn change_authenticator(connection: &Connection, row: &AuthenticatorRow) -> Result<usize, Fault> {
    let values = params![
        row.authenticator.as_bytes(),
        row.user.as_bytes(),
        row.kind,
        row.lookup.map(|lookup| lookup.0),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.sealed,
        signed(row.counter)?,
        ms(row.used_at),
        ms(row.ended_at)
    ];
    execute(connection, sql::CHANGE_AUTHENTICATOR, values)
}

fn change_sign_in(connection: &Connection, row: &SignInRow) -> Result<usize, Fault> {
    let (organization, environment) = shown(row.tenant.as_ref());
    let (level, authenticated_at) = level(Some(&row.authenticated));
    let values = params![
        row.sign_in.as_bytes(),
        row.user.as_bytes(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.cookie.as_bytes(),
        organization,
        environment,
        level,
        authenticated_at,
        row.sealed_origin,
        row.expires_at.unix_ms(),
        ms(row.ended_at),
        row.provider.as_ref().map(ProviderId::as_bytes)
    ];
    execute(connection, sql::CHANGE_SIGN_IN, values)
}

fn change_ticket(connection: &Connection, row: &TicketRow) -> Result<usize, Fault> {
    let values = params![
        row.ticket.as_bytes(),
        row.secret.as_bytes(),
        row.purpose,
        row.organization.as_ref().map(OrganizationId::as_bytes),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.user.as_ref().map(UserId::as_bytes),
        row.role.map(Role::text),
        row.sealed,
        row.expires_at.unix_ms(),
        ms(row.used_at)
    ];
    execute(connection, sql::CHANGE_TICKET, values)
}

fn change_provider(connection: &Connection, row: &ProviderRow) -> Result<usize, Fault> {
    let values = params![
        row.organization.as_bytes(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.provider.as_bytes(),
        row.settings,
        row.sealed,
        ms(row.ended_at)
    ];
    execute(connection, sql::CHANGE_PROVIDER, values)
}

fn name_provider(
    connection: &Connection,
    organization: OrganizationId,
    names: &BTreeSet<String>,
) -> Result<(), CommitError> {
    let list = serde_json::to_string(names).map_err(|error| Fault::Contradiction(error.to_string()))?;
    let values = params![organization.as_bytes(), list];
    execute(connection, sql::UNNAME_PROVIDER, values)?;
    let named = execute(connection, sql::NAME_PROVIDER, values)?;
    if named == names.len() { Ok(()) } else { Err(CommitError::Conflict) }
}

fn name_resource(
    connection: &Connection,
    of: &Tenant,
    client: ClientId,
    resource: Option<&str>,
) -> Result<(), CommitError> {
    execute(connection, sql::UNNAME_RESOURCE, params![client.as_bytes(), resource])?;
    let Some(resource) = resource else { return Ok(()) };
    let (organization, environment) = tenant(of);
    let named = params![organization, environment, resource, client.as_bytes()];
    if execute(connection, sql::NAME_RESOURCE, named)? == 1 { Ok(()) } else { Err(CommitError::Conflict) }
}

fn change_api_key(connection: &Connection, row: &ApiKeyRow) -> Result<usize, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    let values = params![
        row.key.as_bytes(),
        organization,
        environment,
        row.hash.as_bytes(),
        row.person.as_bytes(),
        row.created_at.unix_ms(),
        row.replaces.as_ref().map(ApiKeyId::as_bytes),
        row.created_by.as_ref().map(UserId::as_bytes),
        before(row.version)?,
        row.scopes.to_string(),
        row.label,
        row.expires_at.unix_ms(),
        networks_column(&row.networks),
        row.warned_days
    ];
    execute(connection, sql::CHANGE_API_KEY, values)
}

/// A new client.
pub(super) fn add_client(connection: &Connection, row: &ClientRow) -> Result<usize, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    let values = params![
        row.client.as_bytes(),
        organization,
        environment,
        row.is_fapi,
        row.scopes.to_string(),
        row.person.as_bytes(),
        row.registration,
        row.secret.as_ref().map(HashedToken::as_bytes),
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_CLIENT, values)
}

/// A new grant.
pub(super) fn add_grant(connection: &Connection, row: &GrantRow) -> Result<usize, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    let (level, authenticated_at) = level(row.authenticated.as_ref());
    let values = params![
        row.grant.as_bytes(),
        organization,
        environment,
        row.client.as_bytes(),
        row.user.as_ref().map(UserId::as_bytes),
        row.sign_in.as_ref().map(SignInId::as_bytes),
        row.scopes.to_string(),
        row.terms,
        level,
        authenticated_at,
        row.binding.map(|binding| binding.0),
        signed(row.generation)?,
        row.retry_of.map(signed).transpose()?,
        row.rotated_at.unix_ms(),
        row.created_at.unix_ms(),
        row.expires_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_GRANT, values)
}

/// A new access token.
pub(super) fn add_access_token(connection: &Connection, row: &AccessTokenRow) -> Result<usize, Fault> {
    let (kind, digest) = binding_columns(row.binding.as_ref());
    let values = params![
        row.hash.as_bytes(),
        row.grant.as_bytes(),
        signed(row.generation)?,
        row.scopes.to_string(),
        row.audience,
        kind,
        digest,
        row.created_at.unix_ms(),
        row.expires_at.unix_ms(),
        row.seen_at.map(Time::unix_ms)
    ];
    execute(connection, sql::ADD_ACCESS_TOKEN, values)
}

/// A new authorization code.
pub(super) fn add_authorization_code(
    connection: &Connection,
    row: &AuthorizationCodeRow,
) -> Result<usize, Fault> {
    let values = params![
        row.hash.as_bytes(),
        row.grant.as_bytes(),
        row.request,
        row.expires_at.unix_ms(),
        ms(row.used_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_CODE_OF_GRANT, values)
}

/// A new authorization request.
pub(super) fn add_pushed_request(connection: &Connection, row: &PushedRequestRow) -> Result<usize, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    let values = params![
        row.hash.as_bytes(),
        organization,
        environment,
        row.client.as_bytes(),
        row.request,
        row.browser.map(|browser| browser.0),
        row.expires_at.unix_ms(),
        ms(row.used_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_REQUEST, values)
}

/// A new user.
pub(super) fn add_user(connection: &Connection, row: &UserRow) -> Result<usize, Fault> {
    let values = params![
        row.user.as_bytes(),
        row.lookup.0,
        row.wrapped_key,
        row.sealed_profile,
        row.sealed_password,
        row.valid_from.unix_ms(),
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?,
        row.failures
    ];
    execute(connection, sql::ADD_USER, values)
}

/// A new member.
pub(super) fn add_member(connection: &Connection, row: &MemberRow) -> Result<usize, Fault> {
    let values = params![
        row.organization.as_bytes(),
        row.user.as_bytes(),
        row.role.text(),
        row.persons.0.as_bytes(),
        row.persons.1.as_bytes(),
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_MEMBER, values)
}

/// A new authenticator.
pub(super) fn add_authenticator(connection: &Connection, row: &AuthenticatorRow) -> Result<usize, Fault> {
    let values = params![
        row.authenticator.as_bytes(),
        row.user.as_bytes(),
        row.kind,
        row.lookup.map(|lookup| lookup.0),
        row.sealed,
        signed(row.counter)?,
        row.created_at.unix_ms(),
        ms(row.used_at),
        ms(row.ended_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_AUTHENTICATOR, values)
}

/// A new session on the console.
pub(super) fn add_sign_in(connection: &Connection, row: &SignInRow) -> Result<usize, Fault> {
    let (organization, environment) = shown(row.tenant.as_ref());
    let (level, authenticated_at) = level(Some(&row.authenticated));
    let values = params![
        row.sign_in.as_bytes(),
        row.user.as_bytes(),
        row.cookie.as_bytes(),
        organization,
        environment,
        level,
        authenticated_at,
        row.sealed_origin,
        row.created_at.unix_ms(),
        row.expires_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?,
        row.provider.as_ref().map(ProviderId::as_bytes)
    ];
    execute(connection, sql::ADD_SIGN_IN, values)
}

/// An organization's first OpenID provider.
pub(super) fn add_provider(connection: &Connection, row: &ProviderRow) -> Result<usize, Fault> {
    let values = params![
        row.organization.as_bytes(),
        row.provider.as_bytes(),
        row.settings,
        row.sealed,
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_PROVIDER, values)
}

/// A new one-time link.
pub(super) fn add_ticket(connection: &Connection, row: &TicketRow) -> Result<usize, Fault> {
    let values = params![
        row.ticket.as_bytes(),
        row.secret.as_bytes(),
        row.purpose,
        row.organization.as_ref().map(OrganizationId::as_bytes),
        row.user.as_ref().map(UserId::as_bytes),
        row.role.map(Role::text),
        row.sealed,
        row.created_at.unix_ms(),
        row.expires_at.unix_ms(),
        ms(row.used_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_TICKET, values)
}
