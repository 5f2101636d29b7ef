//! Credentials and people of the model.

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{ApiKeyId, ClientId, GrantId, OrganizationId, ProviderId, SignInId, TicketId, UserId},
    secret::HashedToken,
    time::Time,
};

use super::{Memory, access_state::hash};
use crate::{
    access::AccessStore,
    access_rows::{
        AuthenticatorRow, AuthorizationCodeRow, ClientRow, GrantRow, GrantView, KeyUse, MemberRow,
        ProviderRow, PushedRequestRow, SecurityRow, SignInRow, TicketRow, TokenView, UserRow,
    },
    fault::Fault,
    rows::{ApiKeyRow, StoredEvent, security_stream},
};

#[async_trait]
impl AccessStore for Memory {
    async fn access_token(&self, hash: &HashedToken) -> Result<Option<TokenView>, Fault> {
        Ok(self.state().access.token_view(hash))
    }

    async fn client(&self, client: ClientId) -> Result<Option<ClientRow>, Fault> {
        Ok(self.state().access.clients.get(&client).cloned())
    }

    async fn clients(
        &self,
        tenant: &Tenant,
        before: Option<ClientId>,
        limit: usize,
    ) -> Result<Vec<ClientRow>, Fault> {
        let state = self.state();
        let its = |row: &&ClientRow| row.tenant == *tenant && before.is_none_or(|before| row.client < before);
        Ok(state.access.clients.values().rev().filter(its).take(limit).cloned().collect())
    }

    async fn grant(&self, grant: GrantId) -> Result<Option<GrantRow>, Fault> {
        Ok(self.state().access.grants.get(&grant).cloned())
    }

    async fn grant_view(&self, grant: GrantId) -> Result<Option<GrantView>, Fault> {
        Ok(self.state().access.grant_view(grant))
    }

    async fn grants(
        &self,
        tenant: &Tenant,
        client: Option<ClientId>,
        user: Option<UserId>,
        before: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantRow>, Fault> {
        let state = self.state();
        let asked = |row: &&GrantRow| {
            row.tenant == *tenant
                && client.is_none_or(|client| row.client == client)
                && (user.is_none() || row.user == user)
                && before.is_none_or(|before| row.grant < before)
        };
        Ok(state.access.grants.values().rev().filter(asked).take(limit).cloned().collect())
    }

    async fn authorization_code(
        &self,
        token: &HashedToken,
    ) -> Result<Option<(AuthorizationCodeRow, GrantRow)>, Fault> {
        let state = self.state();
        let Some(code) = state.access.codes.get(&hash(token)) else { return Ok(None) };
        Ok(state.access.grants.get(&code.grant).map(|grant| (code.clone(), grant.clone())))
    }

    async fn pushed_request(&self, token: &HashedToken) -> Result<Option<PushedRequestRow>, Fault> {
        Ok(self.state().access.requests.get(&hash(token)).cloned())
    }

    async fn is_spent(&self, hash: Digest) -> Result<bool, Fault> {
        Ok(self.state().access.spent.contains_key(&hash))
    }

    async fn give_back(&self, hash: Digest) -> Result<(), Fault> {
        self.state().access.spent.remove(&hash);
        Ok(())
    }

    async fn user(&self, user: UserId) -> Result<Option<UserRow>, Fault> {
        Ok(self.state().access.users.get(&user).cloned())
    }

    async fn user_by_lookup(&self, lookup: Digest) -> Result<Option<UserRow>, Fault> {
        Ok(self.state().access.users.values().find(|row| row.lookup == lookup).cloned())
    }

    async fn members(&self, organization: OrganizationId) -> Result<Vec<MemberRow>, Fault> {
        let state = self.state();
        let its = |row: &&MemberRow| row.organization == organization;
        Ok(state.access.members.values().filter(its).cloned().collect())
    }

    async fn member(&self, organization: OrganizationId, user: UserId) -> Result<Option<MemberRow>, Fault> {
        Ok(self.state().access.members.get(&(organization, user)).cloned())
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<MemberRow>, Fault> {
        let state = self.state();
        Ok(state.access.members.values().filter(|row| row.user == user).cloned().collect())
    }

    async fn authenticators(&self, user: UserId) -> Result<Vec<AuthenticatorRow>, Fault> {
        let state = self.state();
        Ok(state.access.authenticators.values().filter(|row| row.user == user).cloned().collect())
    }

    async fn authenticator_by_lookup(&self, lookup: Digest) -> Result<Option<AuthenticatorRow>, Fault> {
        let state = self.state();
        Ok(state.access.authenticators.values().find(|row| row.lookup == Some(lookup)).cloned())
    }

    async fn sign_in(&self, cookie: &HashedToken) -> Result<Option<(SignInRow, UserRow)>, Fault> {
        let state = self.state();
        let found = state.access.sign_ins.values().find(|row| row.cookie == *cookie);
        let Some(sign_in) = found else { return Ok(None) };
        Ok(state.access.users.get(&sign_in.user).map(|user| (sign_in.clone(), user.clone())))
    }

    async fn sign_ins(&self, user: UserId) -> Result<Vec<SignInRow>, Fault> {
        let state = self.state();
        Ok(state.access.sign_ins.values().filter(|row| row.user == user).cloned().collect())
    }

    async fn touch_sign_in(&self, sign_in: SignInId, now: Time, expires_at: Time) -> Result<(), Fault> {
        if let Some(row) = self.state().access.sign_ins.get_mut(&sign_in)
            && row.expires_at > now
            && row.ended_at.is_none()
        {
            row.expires_at = expires_at;
        }
        Ok(())
    }

    async fn ticket(&self, secret: &HashedToken) -> Result<Option<TicketRow>, Fault> {
        Ok(self.state().access.tickets.values().find(|row| row.secret == *secret).cloned())
    }

    async fn tickets(&self, organization: OrganizationId) -> Result<Vec<TicketRow>, Fault> {
        let state = self.state();
        let its = |row: &&TicketRow| row.organization == Some(organization);
        Ok(state.access.tickets.values().filter(its).cloned().collect())
    }

    async fn ticket_by_id(&self, ticket: TicketId) -> Result<Option<TicketRow>, Fault> {
        Ok(self.state().access.tickets.get(&ticket).cloned())
    }

    async fn provider(&self, organization: OrganizationId) -> Result<Option<ProviderRow>, Fault> {
        Ok(self.state().access.providers.get(&organization).cloned())
    }

    async fn provider_by_id(&self, provider: ProviderId) -> Result<Option<ProviderRow>, Fault> {
        Ok(self.state().access.providers.values().find(|row| row.provider == provider).cloned())
    }

    async fn client_by_resource(&self, tenant: &Tenant, resource: &str) -> Result<Option<ClientRow>, Fault> {
        let state = self.state();
        let client = state.access.resources.get(&(*tenant, resource.to_owned()));
        Ok(client.and_then(|client| state.access.clients.get(client)).cloned())
    }

    async fn provider_by_name(&self, name: &str) -> Result<Option<ProviderRow>, Fault> {
        let state = self.state();
        let organization = state.access.provider_names.get(name);
        Ok(organization.and_then(|organization| state.access.providers.get(organization)).cloned())
    }

    async fn providers(&self) -> Result<Vec<ProviderRow>, Fault> {
        Ok(self.state().access.providers.values().cloned().collect())
    }

    async fn api_key_by_id(&self, key: ApiKeyId) -> Result<Option<ApiKeyRow>, Fault> {
        Ok(self.state().api_keys.get(&key).cloned())
    }

    async fn touch_key(&self, usage: KeyUse) -> Result<(), Fault> {
        if let Some(row) = self.state().api_keys.get_mut(&usage.key)
            && row.used.as_ref().is_none_or(|(at, _)| *at < usage.at)
        {
            row.used = Some((usage.at, usage.sealed_origin));
        }
        Ok(())
    }

    async fn security_inbox(&self, limit: usize) -> Result<Vec<SecurityRow>, Fault> {
        Ok(self.state().access.inbox.iter().take(limit).cloned().collect())
    }

    async fn security_events(
        &self,
        tenant: &Tenant,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Fault> {
        let events = self.state().events_of(tenant, security_stream(tenant));
        let asked = |event: &StoredEvent| before.is_none_or(|before| event.seq < before);
        Ok(events.into_iter().rev().filter(asked).take(limit).collect())
    }

    async fn security_head(&self, tenant: &Tenant) -> Result<Option<(u64, Digest)>, Fault> {
        let events = self.state().events_of(tenant, security_stream(tenant));
        Ok(events.last().map(|event| (event.seq, event.hash)))
    }
}
