//! What batches change of credentials and people, as calls: whole rows of the version before, and ends that meet any version.

use std::collections::BTreeSet;

use countersign_core::{
    id::{GrantId, OrganizationId},
    role::Role,
    secret::HashedToken,
    time::Time,
};

use super::{
    access_batch::{column, count, fitting, grant_columns, level, ms, shown},
    batch::{Step, Unmet, tenant},
    connection::{Call, call},
    sql, webhook_batch, webhook_sql,
};
use crate::{
    access_cells::networks_column,
    access_rows::{
        AuthenticatorRow, AuthorizationCodeRow, Change, ClientRow, Ending, GrantRow, MemberRow, ProviderRow,
        PushedRequestRow, SignInRow, TicketRow, UserRow,
    },
    batch::Batch,
    cells::signed,
    fault::Fault,
    rows::ApiKeyRow,
};

/// The version that a change must find.
fn before(version: u64) -> Result<i64, Fault> {
    signed(version).map(|version| version - 1)
}

/// Changes of rows that exist: of a batch alone one by one, because its first fault is told; of several those of grants and
/// tokens together.
pub(super) fn changes<'batch>(group: &[&'batch Batch], steps: &mut Vec<Step<'batch>>) -> Result<(), Fault> {
    let is_alone = group.len() == 1;
    let (mut grants, mut tokens, mut generations) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen: Vec<(&HashedToken, Time, &Change)> = Vec::new();
    let mut ended: Vec<(GrantId, &Change)> = Vec::new();
    for one in group.iter().flat_map(|batch| &batch.changes) {
        match one {
            Change::End { what: Ending::Grant(grant), once: false, .. } => ended.push((*grant, one)),
            Change::Grant(row) if !is_alone => grants.push(row),
            Change::EndToken(token) if !is_alone => tokens.push(token),
            Change::EndTokens { grant, from, to } if !is_alone => generations.push((*grant, *from, *to)),
            Change::SeeToken(token, at) => seen.push((token, *at, one)),
            Change::NameProvider { organization, names } => {
                let unname = name_provider(sql::UNNAME_PROVIDER, *organization, names);
                let must = Some((u64::try_from(names.len()).unwrap_or(u64::MAX), Unmet::Name));
                steps.extend([Step { call: unname, must: None }, Step { call: change(one)?, must }]);
            }
            Change::NameResource { client, resource, .. } => {
                let unname = call!(sql::UNNAME_RESOURCE, client.as_bytes().to_vec(), resource.clone());
                steps.push(Step { call: unname, must: None });
                if resource.is_some() {
                    steps.push(Step { call: change(one)?, must: Some((1, Unmet::Name)) });
                }
            }
            Change::EndToken(_) | Change::EndTokens { .. } | Change::End { once: false, .. } => {
                steps.push(Step { call: change(one)?, must: None });
            }
            _ => steps.push(Step { call: change(one)?, must: Some((1, Unmet::Change)) }),
        }
    }
    // All servers take the locks in the same order.
    ended.sort_by_key(|(grant, _)| *grant);
    for (_, one) in ended {
        steps.push(Step { call: change(one)?, must: None });
    }
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
fn name_provider(sql: &'static str, of: OrganizationId, names: &BTreeSet<String>) -> Call {
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
        Change::NameResource { tenant: of, client, resource } => {
            let ((organization, environment), client) = (tenant(of), client.as_bytes().to_vec());
            Ok(call!(sql::NAME_RESOURCE, organization, environment, resource.clone(), client))
        }
        Change::ApiKey(row) => change_api_key(row),
        Change::Endpoint(row) => webhook_batch::change_endpoint(row),
        Change::WebhookKey(row) => webhook_batch::change_key(row),
        Change::Unblock(key) => Ok(webhook_batch::remove_block(key)),
        Change::EndTokens { grant, from, to } => end_generations(&[(*grant, *from, *to)]),
        Change::EndToken(token) => Ok(end_tokens(&[token])),
        Change::SeeToken(token, at) => Ok(call!(sql::SEE_TOKEN, token.as_bytes().to_vec(), at.unix_ms())),
        Change::End { what, at, .. } => Ok(end(what, *at)),
        Change::Vouch { organization, user, role } => {
            Ok(call!(sql::VOUCH, organization.as_bytes().to_vec(), user.as_bytes().to_vec(), role.text()))
        }
        Change::Tries { user, version, before, after } => Ok(call!(
            sql::CHANGE_TRIES,
            user.as_bytes().to_vec(),
            signed(*version)?,
            before.clone(),
            after.clone()
        )),
    }
}

fn end(what: &Ending, at: Time) -> Call {
    let at = at.unix_ms();
    match what {
        Ending::Client(client) => call!(sql::END_CLIENT, at, client.as_bytes().to_vec()),
        Ending::Grant(grant) => call!(sql::END_GRANT, at, grant.as_bytes().to_vec()),
        Ending::Member { organization, user, role } => {
            call!(
                sql::END_MEMBER,
                at,
                organization.as_bytes().to_vec(),
                user.as_bytes().to_vec(),
                role.text()
            )
        }
        Ending::Authenticator(authenticator) => {
            call!(sql::END_AUTHENTICATOR, at, authenticator.as_bytes().to_vec())
        }
        Ending::SignIn(sign_in) => call!(sql::END_SIGN_IN, at, sign_in.as_bytes().to_vec()),
        Ending::SignInsOf(user) => call!(sql::END_SIGN_INS_OF, at, user.as_bytes().to_vec()),
        Ending::SignInsThrough(provider) => {
            call!(sql::END_SIGN_INS_THROUGH, at, provider.as_bytes().to_vec())
        }
        Ending::Provider(provider) => call!(sql::END_PROVIDER, at, provider.as_bytes().to_vec()),
        Ending::ApiKey(key) => call!(sql::END_API_KEY, at, key.as_bytes().to_vec()),
        Ending::Endpoint(endpoint) => call!(webhook_sql::END_ENDPOINT, at, endpoint.as_bytes().to_vec()),
        Ending::WebhookKey(key) => call!(webhook_sql::END_WEBHOOK_KEY, at, key.as_bytes().to_vec()),
    }
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
