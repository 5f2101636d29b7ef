//! What batches write of credentials and people, as calls. What each request of a client may write (spends, grants and
//! their changes, access tokens, security events) goes out in one statement each for many batches.

use countersign_core::{
    access::Tenant,
    id::{GrantId, OrganizationId},
    level::Level,
    role::Role,
    secret::HashedToken,
    time::Time,
};

use super::{
    batch::{Step, Unmet, tenant},
    connection::{Call, Parameter, call},
    sql,
};
use crate::{
    access_cells::{binding_columns, networks_column},
    access_rows::{
        AccessTokenRow, AuthenticatorRow, AuthorizationCodeRow, Change, ClientRow, GrantRow, MemberRow,
        ProviderRow, PushedRequestRow, SecurityRow, SignInRow, Spend, TicketRow, UserRow,
    },
    batch::{Batch, Chain, Row},
    cells::signed,
    fault::Fault,
    rows::{ApiKeyRow, security_stream},
};

fn level(authenticated: Option<&(Level, Time)>) -> (Option<&'static str>, Option<i64>) {
    (authenticated.map(|(level, _)| level.text()), authenticated.map(|(_, at)| at.unix_ms()))
}

fn shown(tenant: Option<&Tenant>) -> (Option<Vec<u8>>, Option<&'static str>) {
    tenant.map(self::tenant).unzip()
}

fn ms(at: Option<Time>) -> Option<i64> {
    at.map(Time::unix_ms)
}

/// The version that a change must find.
fn before(version: u64) -> Result<i64, Fault> {
    signed(version).map(|version| version - 1)
}

/// One column of many rows.
fn column<R, T>(rows: &[&R], cell: impl Fn(&R) -> T) -> Parameter
where
    Vec<T>: tokio_postgres::types::ToSql + Send + Sync + 'static,
{
    Box::new(rows.iter().map(|row| cell(row)).collect::<Vec<T>>())
}

/// One column of many rows, whose cells may not fit.
fn fitting<R, T>(rows: &[&R], cell: impl Fn(&R) -> Result<T, Fault>) -> Result<Parameter, Fault>
where
    Vec<T>: tokio_postgres::types::ToSql + Send + Sync + 'static,
{
    Ok(Box::new(rows.iter().map(|row| cell(row)).collect::<Result<Vec<T>, _>>()?))
}

fn count<R>(rows: &[R]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

/// What the batches use up: all servers take the locks in the same order.
pub(super) fn spends<'batch>(group: &[&'batch Batch], steps: &mut Vec<Step<'batch>>) {
    let mut rows: Vec<&Spend> = group.iter().flat_map(|batch| &batch.spends).collect();
    if rows.is_empty() {
        return;
    }
    rows.sort();
    let parameters =
        vec![column(&rows, |row| row.hash.0.to_vec()), column(&rows, |row| row.expires_at.unix_ms())];
    let call = Call { sql: sql::ADD_SPENT, parameters };
    steps.push(Step { call, must: Some((count(&rows), Unmet::Spent)) });
}

/// Changes of rows that exist: of a batch alone one by one, because its first fault is told; of several those of grants and
/// tokens together.
pub(super) fn changes<'batch>(group: &[&'batch Batch], steps: &mut Vec<Step<'batch>>) -> Result<(), Fault> {
    let is_alone = group.len() == 1;
    let (mut grants, mut tokens, mut generations) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen: Vec<(&HashedToken, Time, &Change)> = Vec::new();
    for one in group.iter().flat_map(|batch| &batch.changes) {
        match one {
            Change::Grant(row) if !is_alone => grants.push(row),
            Change::EndToken(token) if !is_alone => tokens.push(token),
            Change::EndTokens { grant, from, to } if !is_alone => generations.push((*grant, *from, *to)),
            Change::SeeToken(token, at) => seen.push((token, *at, one)),
            Change::NameProvider { organization, names } => {
                let unname = name_provider(sql::UNNAME_PROVIDER, *organization, names);
                let must = Some((u64::try_from(names.len()).unwrap_or(u64::MAX), Unmet::Name));
                steps.extend([Step { call: unname, must: None }, Step { call: change(one)?, must }]);
            }
            Change::EndToken(_) | Change::EndTokens { .. } => {
                steps.push(Step { call: change(one)?, must: None });
            }
            _ => steps.push(Step { call: change(one)?, must: Some((1, Unmet::Change)) }),
        }
    }
    // All servers take the locks in the same order.
    seen.sort_by_key(|(token, at, _)| (*token.as_bytes(), *at));
    for (.., one) in seen {
        steps.push(Step { call: change(one)?, must: None });
    }
    if !grants.is_empty() {
        // All servers take the locks in the same order.
        grants.sort_by_key(|row| row.grant);
        steps.push(Step { call: change_grants(&grants)?, must: Some((count(&grants), Unmet::Change)) });
    }
    if !tokens.is_empty() {
        steps.push(Step { call: end_tokens(&tokens), must: None });
    }
    if !generations.is_empty() {
        generations.sort();
        steps.push(Step { call: end_generations(&generations)?, must: None });
    }
    Ok(())
}

fn change_grants(rows: &[&GrantRow]) -> Result<Call, Fault> {
    Ok(Call { sql: sql::CHANGE_GRANTS, parameters: grant_columns(rows)? })
}

fn end_tokens(tokens: &[&HashedToken]) -> Call {
    Call { sql: sql::END_TOKEN, parameters: vec![column(tokens, |token| token.as_bytes().to_vec())] }
}

fn end_generations(ended: &[(GrantId, u64, u64)]) -> Result<Call, Fault> {
    let ended: Vec<_> = ended.iter().collect();
    let parameters = vec![
        column(&ended, |(grant, ..)| grant.as_bytes().to_vec()),
        fitting(&ended, |(_, from, _)| signed(*from))?,
        fitting(&ended, |(.., to)| signed(*to))?,
    ];
    Ok(Call { sql: sql::END_TOKENS, parameters })
}

// The names are sorted: all servers take the locks in the same order.
fn name_provider(sql: &'static str, of: OrganizationId, names: &std::collections::BTreeSet<String>) -> Call {
    call!(sql, of.as_bytes().to_vec(), names.iter().cloned().collect::<Vec<_>>())
}

fn change(change: &Change) -> Result<Call, Fault> {
    match change {
        Change::Client(row) => change_client(row),
        Change::Grant(row) => change_grants(&[row]),
        Change::AuthorizationCode(row) => change_authorization_code(row),
        Change::PushedRequest(row) => change_pushed_request(row),
        Change::User(row) => change_user(row),
        Change::Member(row) => change_member(row),
        Change::Authenticator(row) => change_authenticator(row),
        Change::SignIn(row) => change_sign_in(row),
        Change::Ticket(row) => change_ticket(row),
        Change::Provider(row) => change_provider(row),
        Change::NameProvider { organization, names } => {
            Ok(name_provider(sql::NAME_PROVIDER, *organization, names))
        }
        Change::ApiKey(row) => change_api_key(row),
        Change::EndTokens { grant, from, to } => end_generations(&[(*grant, *from, *to)]),
        Change::EndToken(token) => Ok(end_tokens(&[token])),
        Change::SeeToken(token, at) => Ok(call!(sql::SEE_TOKEN, token.as_bytes().to_vec(), at.unix_ms())),
    }
}

/// Security events get their places: one step each, because chains are rare.
pub(super) fn chain<'batch>(chain: &'batch Chain, steps: &mut Vec<Step<'batch>>) -> Result<(), Fault> {
    let (organization, environment) = tenant(&chain.tenant);
    let stream = security_stream(&chain.tenant).as_bytes().to_vec();
    let before = signed(chain.expected_seq - 1)?;
    let places: Vec<i64> = (before + 1..).take(chain.events.len()).collect();
    let (bytes, hashes): (Vec<_>, Vec<_>) =
        chain.events.iter().map(|event| (event.bytes.clone(), event.hash.0.to_vec())).unzip();
    let leaf_ids: Vec<_> = chain.events.iter().map(|event| event.leaf_id.to_vec()).collect();
    let call = call!(
        sql::ADD_CHAIN,
        organization.clone(),
        environment,
        stream.clone(),
        before,
        places.clone(),
        bytes,
        hashes,
        leaf_ids
    );
    steps.push(Step { call, must: Some((count(&chain.events), Unmet::Append)) });
    let same = |value: Vec<u8>| vec![value; chain.events.len()];
    let environments = vec![environment; chain.events.len()];
    let call = call!(sql::ADD_WAITING, same(organization.clone()), environments, same(stream), places);
    steps.push(Step { call, must: None });
    if !chain.taken.is_empty() {
        let taken: Vec<_> = chain.taken.iter().map(|event| event.as_bytes().to_vec()).collect();
        let call = call!(sql::TAKE_SECURITY, taken, organization, environment);
        steps.push(Step { call, must: Some((count(&chain.taken), Unmet::Append)) });
    }
    Ok(())
}

/// Grants and access tokens of several batches.
pub(super) fn pooled<'batch>(group: &[&'batch Batch], steps: &mut Vec<Step<'batch>>) -> Result<(), Fault> {
    let (mut grants, mut tokens) = (Vec::new(), Vec::new());
    let (mut a_grant, mut a_token) = (None, None);
    for row in group.iter().flat_map(|batch| &batch.rows) {
        match row {
            Row::Grant(grant) => {
                grants.push(grant);
                a_grant = Some(row);
            }
            Row::AccessToken(token) => {
                tokens.push(token);
                a_token = Some(row);
            }
            _ => {}
        }
    }
    if let Some(row) = a_grant {
        steps.push(Step { call: add_grants(&grants)?, must: Some((count(&grants), Unmet::Row(row))) });
    }
    if let Some(row) = a_token {
        steps.push(Step { call: add_access_tokens(&tokens)?, must: Some((count(&tokens), Unmet::Row(row))) });
    }
    Ok(())
}

/// Security events go into the inbox.
pub(super) fn security<'batch>(group: &[&'batch Batch], steps: &mut Vec<Step<'batch>>) {
    let rows: Vec<&SecurityRow> = group.iter().flat_map(|batch| &batch.security).collect();
    let Some(last) = rows.last() else { return };
    let parameters = vec![
        column(&rows, |row| row.event.as_bytes().to_vec()),
        column(&rows, |row| tenant(&row.tenant).0),
        column(&rows, |row| row.tenant.environment().text()),
        column(&rows, |row| row.bytes.clone()),
    ];
    let call = Call { sql: sql::ADD_SECURITY, parameters };
    steps.push(Step { call, must: Some((count(&rows), Unmet::Security(last.event))) });
}

/// New grants.
pub(super) fn add_grants(rows: &[&GrantRow]) -> Result<Call, Fault> {
    Ok(Call { sql: sql::ADD_GRANTS, parameters: grant_columns(rows)? })
}

fn grant_columns(rows: &[&GrantRow]) -> Result<Vec<Parameter>, Fault> {
    Ok(vec![
        column(rows, |row| row.grant.as_bytes().to_vec()),
        column(rows, |row| tenant(&row.tenant).0),
        column(rows, |row| row.tenant.environment().text()),
        column(rows, |row| row.client.as_bytes().to_vec()),
        column(rows, |row| row.user.map(|id| id.as_bytes().to_vec())),
        column(rows, |row| row.sign_in.map(|id| id.as_bytes().to_vec())),
        column(rows, |row| row.scopes.to_string()),
        column(rows, |row| row.terms.clone()),
        column(rows, |row| level(row.authenticated.as_ref()).0),
        column(rows, |row| level(row.authenticated.as_ref()).1),
        column(rows, |row| row.binding.map(|binding| binding.0.to_vec())),
        fitting(rows, |row| signed(row.generation))?,
        fitting(rows, |row| row.retry_of.map(signed).transpose())?,
        column(rows, |row| row.rotated_at.unix_ms()),
        column(rows, |row| row.created_at.unix_ms()),
        column(rows, |row| row.expires_at.unix_ms()),
        column(rows, |row| ms(row.ended_at)),
        fitting(rows, |row| signed(row.version))?,
    ])
}

/// New access tokens.
pub(super) fn add_access_tokens(rows: &[&AccessTokenRow]) -> Result<Call, Fault> {
    let parameters = vec![
        column(rows, |row| row.hash.as_bytes().to_vec()),
        column(rows, |row| row.grant.as_bytes().to_vec()),
        fitting(rows, |row| signed(row.generation))?,
        column(rows, |row| row.scopes.to_string()),
        column(rows, |row| row.audience.clone()),
        column(rows, |row| binding_columns(row.binding.as_ref()).0),
        column(rows, |row| binding_columns(row.binding.as_ref()).1.map(|digest| digest.to_vec())),
        column(rows, |row| row.created_at.unix_ms()),
        column(rows, |row| row.expires_at.unix_ms()),
        column(rows, |row| ms(row.seen_at)),
    ];
    Ok(Call { sql: sql::ADD_ACCESS_TOKENS, parameters })
}

/// A new client.
pub(super) fn add_client(row: &ClientRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    Ok(call!(
        sql::ADD_CLIENT,
        row.client.as_bytes().to_vec(),
        organization,
        environment,
        row.is_fapi,
        row.scopes.to_string(),
        row.person.as_bytes().to_vec(),
        row.registration.clone(),
        row.secret.map(|id| id.as_bytes().to_vec()),
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?,
    ))
}

/// A new authorization code.
pub(super) fn add_authorization_code(row: &AuthorizationCodeRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::ADD_CODE_OF_GRANT,
        row.hash.as_bytes().to_vec(),
        row.grant.as_bytes().to_vec(),
        row.request.clone(),
        row.expires_at.unix_ms(),
        ms(row.used_at),
        signed(row.version)?,
    ))
}

/// A new authorization request.
pub(super) fn add_pushed_request(row: &PushedRequestRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    Ok(call!(
        sql::ADD_REQUEST,
        row.hash.as_bytes().to_vec(),
        organization,
        environment,
        row.client.as_bytes().to_vec(),
        row.request.clone(),
        row.browser.map(|browser| browser.0.to_vec()),
        row.expires_at.unix_ms(),
        ms(row.used_at),
        signed(row.version)?,
    ))
}

/// A new user.
pub(super) fn add_user(row: &UserRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::ADD_USER,
        row.user.as_bytes().to_vec(),
        row.lookup.0.to_vec(),
        row.wrapped_key.clone(),
        row.sealed_profile.clone(),
        row.sealed_password.clone(),
        row.valid_from.unix_ms(),
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?,
        row.failures.clone(),
    ))
}

/// A new member.
pub(super) fn add_member(row: &MemberRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::ADD_MEMBER,
        row.organization.as_bytes().to_vec(),
        row.user.as_bytes().to_vec(),
        row.role.text(),
        row.persons.0.as_bytes().to_vec(),
        row.persons.1.as_bytes().to_vec(),
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?,
    ))
}

/// A new authenticator.
pub(super) fn add_authenticator(row: &AuthenticatorRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::ADD_AUTHENTICATOR,
        row.authenticator.as_bytes().to_vec(),
        row.user.as_bytes().to_vec(),
        row.kind.clone(),
        row.lookup.map(|lookup| lookup.0.to_vec()),
        row.sealed.clone(),
        signed(row.counter)?,
        row.created_at.unix_ms(),
        ms(row.used_at),
        ms(row.ended_at),
        signed(row.version)?,
    ))
}

/// A new session on the console.
pub(super) fn add_sign_in(row: &SignInRow) -> Result<Call, Fault> {
    let (organization, environment) = shown(row.tenant.as_ref());
    let (level, authenticated_at) = level(Some(&row.authenticated));
    Ok(call!(
        sql::ADD_SIGN_IN,
        row.sign_in.as_bytes().to_vec(),
        row.user.as_bytes().to_vec(),
        row.cookie.as_bytes().to_vec(),
        organization,
        environment,
        level,
        authenticated_at,
        row.sealed_origin.clone(),
        row.created_at.unix_ms(),
        row.expires_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?,
        row.provider.map(|id| id.as_bytes().to_vec()),
    ))
}

/// A new one-time link.
pub(super) fn add_ticket(row: &TicketRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::ADD_TICKET,
        row.ticket.as_bytes().to_vec(),
        row.secret.as_bytes().to_vec(),
        row.purpose.clone(),
        row.organization.map(|id| id.as_bytes().to_vec()),
        row.user.map(|id| id.as_bytes().to_vec()),
        row.role.map(Role::text),
        row.sealed.clone(),
        row.created_at.unix_ms(),
        row.expires_at.unix_ms(),
        ms(row.used_at),
        signed(row.version)?,
    ))
}

/// An organization's first OpenID provider.
pub(super) fn add_provider(row: &ProviderRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::ADD_PROVIDER,
        row.organization.as_bytes().to_vec(),
        row.provider.as_bytes().to_vec(),
        row.settings.clone(),
        row.sealed.clone(),
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?,
    ))
}

fn change_client(row: &ClientRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    Ok(call!(
        sql::CHANGE_CLIENT,
        row.client.as_bytes().to_vec(),
        organization,
        environment,
        row.person.as_bytes().to_vec(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.is_fapi,
        row.scopes.to_string(),
        row.registration.clone(),
        row.secret.map(|id| id.as_bytes().to_vec()),
        ms(row.ended_at),
    ))
}

fn change_authorization_code(row: &AuthorizationCodeRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::CHANGE_CODE,
        row.hash.as_bytes().to_vec(),
        row.grant.as_bytes().to_vec(),
        before(row.version)?,
        row.request.clone(),
        row.expires_at.unix_ms(),
        ms(row.used_at),
    ))
}

fn change_pushed_request(row: &PushedRequestRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    Ok(call!(
        sql::CHANGE_REQUEST,
        row.hash.as_bytes().to_vec(),
        organization,
        environment,
        row.client.as_bytes().to_vec(),
        before(row.version)?,
        row.request.clone(),
        row.browser.map(|browser| browser.0.to_vec()),
        row.expires_at.unix_ms(),
        ms(row.used_at),
    ))
}

fn change_user(row: &UserRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::CHANGE_USER,
        row.user.as_bytes().to_vec(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.lookup.0.to_vec(),
        row.wrapped_key.clone(),
        row.sealed_profile.clone(),
        row.sealed_password.clone(),
        row.valid_from.unix_ms(),
        ms(row.ended_at),
        row.failures.clone(),
    ))
}

fn change_member(row: &MemberRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::CHANGE_MEMBER,
        row.organization.as_bytes().to_vec(),
        row.user.as_bytes().to_vec(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.role.text(),
        row.persons.0.as_bytes().to_vec(),
        row.persons.1.as_bytes().to_vec(),
        ms(row.ended_at),
    ))
}

fn change_authenticator(row: &AuthenticatorRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::CHANGE_AUTHENTICATOR,
        row.authenticator.as_bytes().to_vec(),
        row.user.as_bytes().to_vec(),
        row.kind.clone(),
        row.lookup.map(|lookup| lookup.0.to_vec()),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.sealed.clone(),
        signed(row.counter)?,
        ms(row.used_at),
        ms(row.ended_at),
    ))
}

fn change_sign_in(row: &SignInRow) -> Result<Call, Fault> {
    let (organization, environment) = shown(row.tenant.as_ref());
    let (level, authenticated_at) = level(Some(&row.authenticated));
    Ok(call!(
        sql::CHANGE_SIGN_IN,
        row.sign_in.as_bytes().to_vec(),
        row.user.as_bytes().to_vec(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.cookie.as_bytes().to_vec(),
        organization,
        environment,
        level,
        authenticated_at,
        row.sealed_origin.clone(),
        row.expires_at.unix_ms(),
        ms(row.ended_at),
        row.provider.map(|id| id.as_bytes().to_vec()),
    ))
}

fn change_ticket(row: &TicketRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::CHANGE_TICKET,
        row.ticket.as_bytes().to_vec(),
        row.secret.as_bytes().to_vec(),
        row.purpose.clone(),
        row.organization.map(|id| id.as_bytes().to_vec()),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.user.map(|id| id.as_bytes().to_vec()),
        row.role.map(Role::text),
        row.sealed.clone(),
        row.expires_at.unix_ms(),
        ms(row.used_at),
    ))
}

fn change_provider(row: &ProviderRow) -> Result<Call, Fault> {
    Ok(call!(
        sql::CHANGE_PROVIDER,
        row.organization.as_bytes().to_vec(),
        row.created_at.unix_ms(),
        before(row.version)?,
        row.provider.as_bytes().to_vec(),
        row.settings.clone(),
        row.sealed.clone(),
        ms(row.ended_at),
    ))
}

fn change_api_key(row: &ApiKeyRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    Ok(call!(
        sql::CHANGE_API_KEY,
        row.key.as_bytes().to_vec(),
        organization,
        environment,
        row.hash.as_bytes().to_vec(),
        row.person.as_bytes().to_vec(),
        row.created_at.unix_ms(),
        row.replaces.map(|id| id.as_bytes().to_vec()),
        row.created_by.map(|id| id.as_bytes().to_vec()),
        before(row.version)?,
        row.scopes.to_string(),
        row.label.clone(),
        row.expires_at.unix_ms(),
        networks_column(&row.networks),
        row.warned_days.map(i64::from),
    ))
}
