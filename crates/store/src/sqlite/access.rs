//! Credentials and people, read from SQLite.

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{ApiKeyId, ClientId, GrantId, OrganizationId, ProviderId, SignInId, TicketId, UserId},
    secret::HashedToken,
    time::Time,
};
use rusqlite::{Connection, Params, ToSql, params};

use super::{
    Sqlite,
    apply::tenant as owner,
    row::{SqliteCells, execute, first, rows},
    sql,
};
use crate::{
    access::AccessStore,
    access_cells,
    access_rows::{
        AuthenticatorRow, AuthorizationCodeRow, ClientRow, GrantRow, GrantView, KeyUse, MemberRow,
        ProviderRow, PushedRequestRow, SecurityRow, SignInRow, TicketRow, TokenView, UserRow,
    },
    cells::{self, Cells as _, signed},
    fault::Fault,
    rows::{ApiKeyRow, StoredEvent, security_stream},
};

impl Sqlite {
    // The row with a key.
    async fn one<T: Send>(
        &self,
        table: &'static str,
        sql: &'static str,
        key: impl ToSql + Send,
        read: fn(&SqliteCells<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.look_up(move |connection| first(connection, table, sql, params![key], read)).await
    }

    // The rows with an id.
    async fn all<T: Send + 'static>(
        &self,
        table: &'static str,
        sql: &'static str,
        id: [u8; 16],
        read: fn(&SqliteCells<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        self.read(move |connection| rows(connection, table, sql, params![id], read)).await
    }
}

#[async_trait]
impl AccessStore for Sqlite {
    async fn access_token(&self, hash: &HashedToken) -> Result<Option<TokenView>, Fault> {
        self.one("access_tokens", sql::ACCESS_TOKEN, *hash.as_bytes(), |row| access_cells::token_view(row))
            .await
    }

    async fn client(&self, client: ClientId) -> Result<Option<ClientRow>, Fault> {
        self.one("clients", sql::CLIENT, *client.as_bytes(), |row| access_cells::client(row)).await
    }

    async fn clients(
        &self,
        tenant: &Tenant,
        before: Option<ClientId>,
        limit: usize,
    ) -> Result<Vec<ClientRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.read(move |connection| {
            let before = before.as_ref().map(ClientId::as_bytes);
            let page = params![organization, environment, before, cells::limit(limit)];
            rows(connection, "clients", sql::CLIENTS, page, |row| access_cells::client(row))
        })
        .await
    }

    async fn grant(&self, grant: GrantId) -> Result<Option<GrantRow>, Fault> {
        self.one("grants", sql::GRANT, *grant.as_bytes(), |row| access_cells::grant(row)).await
    }

    async fn grant_view(&self, grant: GrantId) -> Result<Option<GrantView>, Fault> {
        self.one("grants", sql::GRANT_VIEW, *grant.as_bytes(), |row| access_cells::grant_view(row)).await
    }

    async fn grants(
        &self,
        tenant: &Tenant,
        client: Option<ClientId>,
        user: Option<UserId>,
        before: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.read(move |connection| {
            let before = before.as_ref().map(GrantId::as_bytes);
            let (client, limit) = (client.as_ref().map(ClientId::as_bytes), cells::limit(limit));
            let user = user.as_ref().map(UserId::as_bytes);
            match (client, user) {
                (_, Some(user)) => {
                    let page = params![organization, environment, before, limit, user, client];
                    grants(connection, sql::GRANTS_OF_USER, page)
                }
                (Some(client), None) => {
                    let page = params![organization, environment, before, limit, client];
                    grants(connection, sql::GRANTS_OF_CLIENT, page)
                }
                (None, None) => {
                    grants(connection, sql::GRANTS, params![organization, environment, before, limit])
                }
            }
        })
        .await
    }

    async fn authorization_code(
        &self,
        hash: &HashedToken,
    ) -> Result<Option<(AuthorizationCodeRow, GrantRow)>, Fault> {
        let hash = *hash.as_bytes();
        self.one("authorization_codes", sql::AUTHORIZATION_CODE, hash, |row| {
            access_cells::code_and_grant(row)
        })
        .await
    }

    async fn pushed_request(&self, hash: &HashedToken) -> Result<Option<PushedRequestRow>, Fault> {
        self.one("pushed_requests", sql::PUSHED_REQUEST, *hash.as_bytes(), |row| {
            access_cells::pushed_request(row)
        })
        .await
    }

    async fn is_spent(&self, hash: Digest) -> Result<bool, Fault> {
        Ok(self.one("spent", sql::IS_SPENT, hash.0, |_| Ok(())).await?.is_some())
    }

    async fn give_back(&self, hash: Digest) -> Result<(), Fault> {
        let delete = move |connection: &Connection| execute(connection, sql::GIVE_BACK, [hash.0]).map(drop);
        self.writer.write(delete).await
    }

    async fn user(&self, user: UserId) -> Result<Option<UserRow>, Fault> {
        self.one("users", sql::USER, *user.as_bytes(), |row| access_cells::user(row)).await
    }

    async fn user_by_lookup(&self, lookup: Digest) -> Result<Option<UserRow>, Fault> {
        self.one("users", sql::USER_BY_LOOKUP, lookup.0, |row| access_cells::user(row)).await
    }

    async fn members(&self, organization: OrganizationId) -> Result<Vec<MemberRow>, Fault> {
        self.all("members", sql::MEMBERS, *organization.as_bytes(), |row| access_cells::member(row)).await
    }

    async fn member(&self, organization: OrganizationId, user: UserId) -> Result<Option<MemberRow>, Fault> {
        self.look_up(move |connection| {
            let which = params![organization.as_bytes(), user.as_bytes()];
            first(connection, "members", sql::MEMBER, which, |row| access_cells::member(row))
        })
        .await
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<MemberRow>, Fault> {
        self.all("members", sql::MEMBERSHIPS, *user.as_bytes(), |row| access_cells::member(row)).await
    }

    async fn authenticators(&self, user: UserId) -> Result<Vec<AuthenticatorRow>, Fault> {
        self.all("authenticators", sql::AUTHENTICATORS, *user.as_bytes(), |row| {
            access_cells::authenticator(row)
        })
        .await
    }

    async fn authenticator_by_lookup(&self, lookup: Digest) -> Result<Option<AuthenticatorRow>, Fault> {
        self.one("authenticators", sql::AUTHENTICATOR_BY_LOOKUP, lookup.0, |row| {
            access_cells::authenticator(row)
        })
        .await
    }

    async fn sign_in(&self, cookie: &HashedToken) -> Result<Option<(SignInRow, UserRow)>, Fault> {
        self.one("sign_ins", sql::SIGN_IN, *cookie.as_bytes(), |row| access_cells::sign_in_and_user(row))
            .await
    }

    async fn sign_ins(&self, user: UserId) -> Result<Vec<SignInRow>, Fault> {
        self.all("sign_ins", sql::SIGN_INS, *user.as_bytes(), |row| access_cells::sign_in(row)).await
    }

    async fn touch_sign_in(&self, sign_in: SignInId, now: Time, expires_at: Time) -> Result<(), Fault> {
        self.writer
            .write(move |connection| {
                let values = params![sign_in.as_bytes(), now.unix_ms(), expires_at.unix_ms()];
                execute(connection, sql::TOUCH_SIGN_IN, values).map(drop)
            })
            .await
    }

    async fn ticket(&self, secret: &HashedToken) -> Result<Option<TicketRow>, Fault> {
        self.one("tickets", sql::TICKET, *secret.as_bytes(), |row| access_cells::ticket(row)).await
    }

    async fn tickets(&self, organization: OrganizationId) -> Result<Vec<TicketRow>, Fault> {
        self.all("tickets", sql::TICKETS, *organization.as_bytes(), |row| access_cells::ticket(row)).await
    }

    async fn ticket_by_id(&self, ticket: TicketId) -> Result<Option<TicketRow>, Fault> {
        self.one("tickets", sql::TICKET_BY_ID, *ticket.as_bytes(), |row| access_cells::ticket(row)).await
    }

    async fn provider(&self, organization: OrganizationId) -> Result<Option<ProviderRow>, Fault> {
        let key = *organization.as_bytes();
        self.one("providers", sql::PROVIDER, key, |row| access_cells::provider(row)).await
    }

    async fn provider_by_id(&self, provider: ProviderId) -> Result<Option<ProviderRow>, Fault> {
        let key = *provider.as_bytes();
        self.one("providers", sql::PROVIDER_BY_ID, key, |row| access_cells::provider(row)).await
    }

    async fn client_by_resource(&self, tenant: &Tenant, resource: &str) -> Result<Option<ClientRow>, Fault> {
        let of = *tenant;
        let read = |row: &SqliteCells<'_>| access_cells::client(row);
        self.look_up(move |connection| {
            let (organization, environment) = owner(&of);
            let named = params![organization, environment, resource];
            first(connection, "clients", sql::CLIENT_BY_RESOURCE, named, read)
        })
        .await
    }

    async fn provider_by_name(&self, name: &str) -> Result<Option<ProviderRow>, Fault> {
        self.one("providers", sql::PROVIDER_BY_NAME, name.to_owned(), |row| access_cells::provider(row)).await
    }

    async fn providers(&self) -> Result<Vec<ProviderRow>, Fault> {
        self.read(|connection| {
            rows(connection, "providers", sql::PROVIDERS, params![], |row| access_cells::provider(row))
        })
        .await
    }

    async fn api_key_by_id(&self, key: ApiKeyId) -> Result<Option<ApiKeyRow>, Fault> {
        self.one("api_keys", sql::API_KEY_BY_ID, *key.as_bytes(), |row| access_cells::api_key(row)).await
    }

    // Among the batches of a group, it costs no sync of its own.
    async fn touch_key(&self, usage: KeyUse) -> Result<(), Fault> {
        self.writer
            .write(move |connection| {
                let values = params![usage.key.as_bytes(), usage.at.unix_ms(), usage.sealed_origin];
                execute(connection, sql::TOUCH_KEY, values).map(drop)
            })
            .await
    }

    async fn security_inbox(&self, limit: usize) -> Result<Vec<SecurityRow>, Fault> {
        self.read(move |connection| {
            let limit = params![cells::limit(limit)];
            rows(connection, "security_inbox", sql::SECURITY_INBOX, limit, |row| access_cells::security(row))
        })
        .await
    }

    async fn security_events(
        &self,
        tenant: &Tenant,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Fault> {
        let ((organization, environment), stream) = (owner(tenant), security_stream(tenant));
        let before = before.map(signed).transpose()?;
        self.read(move |connection| {
            let page = params![organization, environment, stream.as_bytes(), before, cells::limit(limit)];
            rows(connection, "events", sql::SECURITY_EVENTS, page, |row| cells::event(row))
        })
        .await
    }

    async fn security_head(&self, tenant: &Tenant) -> Result<Option<(u64, Digest)>, Fault> {
        let ((organization, environment), stream) = (owner(tenant), security_stream(tenant));
        self.look_up(move |connection| {
            let of = params![organization, environment, stream.as_bytes()];
            first(connection, "events", sql::SECURITY_HEAD, of, |row| {
                Ok((row.number("seq")?, row.digest("hash")?))
            })
        })
        .await
    }
}

fn grants(connection: &Connection, sql: &'static str, page: impl Params) -> Result<Vec<GrantRow>, Fault> {
    rows(connection, "grants", sql, page, |row| access_cells::grant(row))
}
