//! What the application needs of credentials and people, as the second part of the store.

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{ApiKeyId, ClientId, GrantId, OrganizationId, ProviderId, SignInId, TicketId, UserId},
    secret::HashedToken,
    time::Time,
};

use crate::{
    access_rows::{
        AuthenticatorRow, AuthorizationCodeRow, ClientRow, GrantRow, GrantView, KeyUse, MemberRow,
        ProviderRow, PushedRequestRow, SecurityRow, SignInRow, TicketRow, TokenView, UserRow,
    },
    fault::Fault,
    rows::{ApiKeyRow, StoredEvent},
};

/// Reads of credentials and people, and what is noted of their use. All give also what ended or expired, as long as it is
/// kept: whether it is good is decided by who asks. What is to change goes into a [`Batch`](crate::Batch).
///
/// Look-ups by a secret, or by an id that only a secret or a stored row gives, need no tenant; they give it.
#[async_trait]
pub trait AccessStore: Send + Sync {
    // Clients, grants and tokens

    /// An access token with its grant, its client, and the session, user and member behind it; `None` without its grant
    /// or its client. This look-up gives the tenant. One statement, by primary keys alone: it is made for each request.
    async fn access_token(&self, hash: &HashedToken) -> Result<Option<TokenView>, Fault>;

    /// A client: this look-up gives the tenant.
    async fn client(&self, client: ClientId) -> Result<Option<ClientRow>, Fault>;

    /// Clients before `before`, newest first.
    async fn clients(
        &self,
        tenant: &Tenant,
        before: Option<ClientId>,
        limit: usize,
    ) -> Result<Vec<ClientRow>, Fault>;

    /// A grant: this look-up gives the tenant.
    async fn grant(&self, grant: GrantId) -> Result<Option<GrantRow>, Fault>;

    /// A grant with the session, user and member behind it. One statement, by primary keys alone: it is made for each use of
    /// a refresh token.
    async fn grant_view(&self, grant: GrantId) -> Result<Option<GrantView>, Fault>;

    /// Grants before `before`, newest first: of all, or only of one client, one user, or both.
    async fn grants(
        &self,
        tenant: &Tenant,
        client: Option<ClientId>,
        user: Option<UserId>,
        before: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantRow>, Fault>;

    /// The client that stands for a resource.
    async fn client_by_resource(&self, tenant: &Tenant, resource: &str) -> Result<Option<ClientRow>, Fault>;

    /// An authorization code and the grant that it stands for.
    async fn authorization_code(
        &self,
        hash: &HashedToken,
    ) -> Result<Option<(AuthorizationCodeRow, GrantRow)>, Fault>;

    /// An authorization request by its handle.
    async fn pushed_request(&self, hash: &HashedToken) -> Result<Option<PushedRequestRow>, Fault>;

    /// Whether something that is good once was used. What ended is forgotten some time after its end.
    async fn is_spent(&self, hash: Digest) -> Result<bool, Fault>;

    /// Forgets that something was spent, for whoever spent it and then did nothing: it is good again.
    async fn give_back(&self, hash: Digest) -> Result<(), Fault>;

    // People

    /// A user.
    async fn user(&self, user: UserId) -> Result<Option<UserRow>, Fault>;

    /// The user with this keyed hash of an address.
    async fn user_by_lookup(&self, lookup: Digest) -> Result<Option<UserRow>, Fault>;

    /// The members of an organization, also former ones, by the user's id.
    async fn members(&self, organization: OrganizationId) -> Result<Vec<MemberRow>, Fault>;

    /// A user as a member of an organization.
    async fn member(&self, organization: OrganizationId, user: UserId) -> Result<Option<MemberRow>, Fault>;

    /// Where a user is or was a member, by the organization's id.
    async fn memberships(&self, user: UserId) -> Result<Vec<MemberRow>, Fault>;

    /// What a user signs in with, by id.
    async fn authenticators(&self, user: UserId) -> Result<Vec<AuthenticatorRow>, Fault>;

    /// The authenticator with this hash of a passkey's credential id, or of a recovery code.
    async fn authenticator_by_lookup(&self, lookup: Digest) -> Result<Option<AuthenticatorRow>, Fault>;

    /// The console's session with this cookie, and its user.
    async fn sign_in(&self, cookie: &HashedToken) -> Result<Option<(SignInRow, UserRow)>, Fault>;

    /// The console's sessions of a user, by id.
    async fn sign_ins(&self, user: UserId) -> Result<Vec<SignInRow>, Fault>;

    /// Moves the end of an idle session on the console; one that ended or expired stays so. It raises no version.
    async fn touch_sign_in(&self, sign_in: SignInId, now: Time, expires_at: Time) -> Result<(), Fault>;

    /// The one-time link with this secret.
    async fn ticket(&self, secret: &HashedToken) -> Result<Option<TicketRow>, Fault>;

    /// The one-time links of an organization that are to make members, used or not, by id.
    async fn tickets(&self, organization: OrganizationId) -> Result<Vec<TicketRow>, Fault>;

    /// A one-time link by id, for the job that mails it.
    async fn ticket_by_id(&self, ticket: TicketId) -> Result<Option<TicketRow>, Fault>;

    // OpenID providers

    /// The OpenID provider of an organization, also one that was removed.
    async fn provider(&self, organization: OrganizationId) -> Result<Option<ProviderRow>, Fault>;

    /// An OpenID provider by id, also one that was removed; `None` when its organization has another now.
    async fn provider_by_id(&self, provider: ProviderId) -> Result<Option<ProviderRow>, Fault>;

    /// The OpenID provider that a name leads to.
    async fn provider_by_name(&self, name: &str) -> Result<Option<ProviderRow>, Fault>;

    /// The OpenID providers of all organizations, by these.
    async fn providers(&self) -> Result<Vec<ProviderRow>, Fault>;

    // API keys

    /// An API key by id: this look-up gives the tenant.
    async fn api_key_by_id(&self, key: ApiKeyId) -> Result<Option<ApiKeyRow>, Fault>;

    /// Notes a use of an API key, unless a later one is noted. It raises no version.
    async fn touch_key(&self, usage: KeyUse) -> Result<(), Fault>;

    // Security events

    /// Security events that wait for their place in a stream, in commit order: those of a batch in theirs, those of
    /// batches that were committed at the same time in any.
    async fn security_inbox(&self, limit: usize) -> Result<Vec<SecurityRow>, Fault>;

    /// The tenant's security stream before position `before`, newest first.
    async fn security_events(
        &self,
        tenant: &Tenant,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Fault>;

    /// Position and hash of the last event of the tenant's security stream.
    async fn security_head(&self, tenant: &Tenant) -> Result<Option<(u64, Digest)>, Fault>;
}
