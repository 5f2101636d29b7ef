//! Credentials and people, read from PostgreSQL.

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{ApiKeyId, ClientId, GrantId, OrganizationId, ProviderId, SignInId, TicketId, UserId},
    secret::HashedToken,
    time::Time,
};

use super::{
    Postgres,
    batch::tenant as owner,
    connection::{self, call, execute},
    sql, tokens,
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

#[async_trait]
impl AccessStore for Postgres {
    async fn access_token(&self, hash: &HashedToken) -> Result<Option<TokenView>, Fault> {
        self.lookups.access_tokens.find(hash.as_bytes().to_vec()).await
    }

    async fn client(&self, client: ClientId) -> Result<Option<ClientRow>, Fault> {
        self.lookups.clients.find(client.as_bytes().to_vec()).await
    }

    async fn clients(
        &self,
        tenant: &Tenant,
        before: Option<ClientId>,
        limit: usize,
    ) -> Result<Vec<ClientRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let before = before.map(|client| client.as_bytes().to_vec());
        let call = call!(sql::CLIENTS, organization, environment, before, cells::limit(limit));
        self.list("clients", call, |row| access_cells::client(row)).await
    }

    async fn grant(&self, grant: GrantId) -> Result<Option<GrantRow>, Fault> {
        let call = call!(sql::GRANT, grant.as_bytes().to_vec());
        self.first("grants", call, |row| access_cells::grant(row)).await
    }

    async fn grant_view(&self, grant: GrantId) -> Result<Option<GrantView>, Fault> {
        self.lookups.grants.find(grant.as_bytes().to_vec()).await
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
        let before = before.map(|grant| grant.as_bytes().to_vec());
        let (client, limit) = (client.map(|client| client.as_bytes().to_vec()), cells::limit(limit));
        let user = user.map(|user| user.as_bytes().to_vec());
        let call = match (client, user) {
            (client, Some(user)) => {
                call!(sql::GRANTS_OF_USER, organization, environment, before, limit, user, client)
            }
            (Some(client), None) => {
                call!(sql::GRANTS_OF_CLIENT, organization, environment, before, limit, client)
            }
            (None, None) => call!(sql::GRANTS, organization, environment, before, limit),
        };
        self.list("grants", call, |row| access_cells::grant(row)).await
    }

    async fn authorization_code(
        &self,
        hash: &HashedToken,
    ) -> Result<Option<(AuthorizationCodeRow, GrantRow)>, Fault> {
        let call = call!(sql::AUTHORIZATION_CODE, tokens(hash));
        self.first("authorization_codes", call, |row| access_cells::code_and_grant(row)).await
    }

    async fn pushed_request(&self, hash: &HashedToken) -> Result<Option<PushedRequestRow>, Fault> {
        let call = call!(sql::PUSHED_REQUEST, tokens(hash));
        self.first("pushed_requests", call, |row| access_cells::pushed_request(row)).await
    }

    async fn is_spent(&self, hash: Digest) -> Result<bool, Fault> {
        Ok(self.first("spent", call!(sql::IS_SPENT, hash.0.to_vec()), |_| Ok(())).await?.is_some())
    }

    async fn give_back(&self, hash: Digest) -> Result<(), Fault> {
        // Once only: if the connection is lost on the way, somebody else may have spent it before a second try.
        self.once(call!(sql::GIVE_BACK, hash.0.to_vec())).await.map(drop)
    }

    async fn user(&self, user: UserId) -> Result<Option<UserRow>, Fault> {
        let call = call!(sql::USER, user.as_bytes().to_vec());
        self.first("users", call, |row| access_cells::user(row)).await
    }

    async fn user_by_lookup(&self, lookup: Digest) -> Result<Option<UserRow>, Fault> {
        let call = call!(sql::USER_BY_LOOKUP, lookup.0.to_vec());
        self.first("users", call, |row| access_cells::user(row)).await
    }

    async fn members(&self, organization: OrganizationId) -> Result<Vec<MemberRow>, Fault> {
        let call = call!(sql::MEMBERS, organization.as_bytes().to_vec());
        self.rows("members", call, |row| access_cells::member(row)).await
    }

    async fn member(&self, organization: OrganizationId, user: UserId) -> Result<Option<MemberRow>, Fault> {
        let call = call!(sql::MEMBER, organization.as_bytes().to_vec(), user.as_bytes().to_vec());
        self.first("members", call, |row| access_cells::member(row)).await
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<MemberRow>, Fault> {
        let call = call!(sql::MEMBERSHIPS, user.as_bytes().to_vec());
        self.rows("members", call, |row| access_cells::member(row)).await
    }

    async fn authenticators(&self, user: UserId) -> Result<Vec<AuthenticatorRow>, Fault> {
        let call = call!(sql::AUTHENTICATORS, user.as_bytes().to_vec());
        self.rows("authenticators", call, |row| access_cells::authenticator(row)).await
    }

    async fn authenticator_by_lookup(&self, lookup: Digest) -> Result<Option<AuthenticatorRow>, Fault> {
        let call = call!(sql::AUTHENTICATOR_BY_LOOKUP, lookup.0.to_vec());
        self.first("authenticators", call, |row| access_cells::authenticator(row)).await
    }

    async fn sign_in(&self, cookie: &HashedToken) -> Result<Option<(SignInRow, UserRow)>, Fault> {
        let call = call!(sql::SIGN_IN, tokens(cookie));
        self.first("sign_ins", call, |row| access_cells::sign_in_and_user(row)).await
    }

    async fn sign_ins(&self, user: UserId) -> Result<Vec<SignInRow>, Fault> {
        let call = call!(sql::SIGN_INS, user.as_bytes().to_vec());
        self.rows("sign_ins", call, |row| access_cells::sign_in(row)).await
    }

    async fn touch_sign_in(&self, sign_in: SignInId, now: Time, expires_at: Time) -> Result<(), Fault> {
        let sign_in = sign_in.as_bytes().to_vec();
        let call = call!(sql::TOUCH_SIGN_IN, sign_in, now.unix_ms(), expires_at.unix_ms());
        connection::repeat(&self.keyed, &call, execute).await.map(drop)
    }

    async fn ticket(&self, secret: &HashedToken) -> Result<Option<TicketRow>, Fault> {
        let call = call!(sql::TICKET, tokens(secret));
        self.first("tickets", call, |row| access_cells::ticket(row)).await
    }

    async fn tickets(&self, organization: OrganizationId) -> Result<Vec<TicketRow>, Fault> {
        let call = call!(sql::TICKETS, organization.as_bytes().to_vec());
        self.rows("tickets", call, |row| access_cells::ticket(row)).await
    }

    async fn ticket_by_id(&self, ticket: TicketId) -> Result<Option<TicketRow>, Fault> {
        let call = call!(sql::TICKET_BY_ID, ticket.as_bytes().to_vec());
        self.first("tickets", call, |row| access_cells::ticket(row)).await
    }

    async fn provider(&self, organization: OrganizationId) -> Result<Option<ProviderRow>, Fault> {
        let call = call!(sql::PROVIDER, organization.as_bytes().to_vec());
        self.first("providers", call, |row| access_cells::provider(row)).await
    }

    async fn provider_by_id(&self, provider: ProviderId) -> Result<Option<ProviderRow>, Fault> {
        let call = call!(sql::PROVIDER_BY_ID, provider.as_bytes().to_vec());
        self.first("providers", call, |row| access_cells::provider(row)).await
    }

    async fn client_by_resource(&self, tenant: &Tenant, resource: &str) -> Result<Option<ClientRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let call = call!(sql::CLIENT_BY_RESOURCE, organization, environment, resource.to_owned());
        self.first("clients", call, |row| access_cells::client(row)).await
    }

    async fn provider_by_name(&self, name: &str) -> Result<Option<ProviderRow>, Fault> {
        let call = call!(sql::PROVIDER_BY_NAME, name.to_owned());
        self.first("providers", call, |row| access_cells::provider(row)).await
    }

    async fn providers(&self) -> Result<Vec<ProviderRow>, Fault> {
        self.rows("providers", call!(sql::PROVIDERS), |row| access_cells::provider(row)).await
    }

    async fn api_key_by_id(&self, key: ApiKeyId) -> Result<Option<ApiKeyRow>, Fault> {
        let call = call!(sql::API_KEY_BY_ID, key.as_bytes().to_vec());
        self.first("api_keys", call, |row| access_cells::api_key(row)).await
    }

    // Not with the batches: those who wait for the row of a busy key would hold up everybody's.
    async fn touch_key(&self, usage: KeyUse) -> Result<(), Fault> {
        let (key, at) = (usage.key.as_bytes().to_vec(), usage.at.unix_ms());
        let call = call!(sql::TOUCH_KEY, key, at, usage.sealed_origin);
        connection::repeat(&self.keyed, &call, execute).await.map(drop)
    }

    async fn security_inbox(&self, limit: usize) -> Result<Vec<SecurityRow>, Fault> {
        let call = call!(sql::SECURITY_INBOX, cells::limit(limit));
        self.rows("security_inbox", call, |row| access_cells::security(row)).await
    }

    async fn security_events(
        &self,
        tenant: &Tenant,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Fault> {
        let (organization, environment) = owner(tenant);
        let stream = security_stream(tenant).as_bytes().to_vec();
        let before = before.map(signed).transpose()?;
        let call =
            call!(sql::SECURITY_EVENTS, organization, environment, stream, before, cells::limit(limit));
        self.list("events", call, |row| cells::event(row)).await
    }

    async fn security_head(&self, tenant: &Tenant) -> Result<Option<(u64, Digest)>, Fault> {
        let (organization, environment) = owner(tenant);
        let stream = security_stream(tenant).as_bytes().to_vec();
        let call = call!(sql::SECURITY_HEAD, organization, environment, stream);
        self.first("events", call, |row| Ok((row.number("seq")?, row.digest("hash")?))).await
    }
}
