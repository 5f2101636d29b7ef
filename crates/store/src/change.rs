//! Changes of rows that exist, as values.

use std::collections::BTreeSet;

use countersign_core::{
    access::Tenant,
    id::{
        ApiKeyId, AuthenticatorId, ClientId, EndpointId, GrantId, OrganizationId, ProviderId, SignInId,
        UserId, WebhookKeyId,
    },
    role::Role,
    secret::HashedToken,
    time::Time,
};

use crate::{
    access_rows::{
        AuthenticatorRow, AuthorizationCodeRow, ClientRow, GrantRow, MemberRow, ProviderRow,
        PushedRequestRow, SignInRow, TicketRow, UserRow,
    },
    rows::ApiKeyRow,
    webhook_rows::{BlockKey, EndpointRow, WebhookKeyRow},
};

/// A change of a row that exists. One that gives a whole row replaces it if its version is the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A client.
    Client(ClientRow),
    /// A grant.
    Grant(GrantRow),
    /// An authorization code.
    AuthorizationCode(AuthorizationCodeRow),
    /// An authorization request.
    PushedRequest(PushedRequestRow),
    /// A user.
    User(UserRow),
    /// A member.
    Member(MemberRow),
    /// An authenticator.
    Authenticator(AuthenticatorRow),
    /// A session on the console.
    SignIn(SignInRow),
    /// A one-time link.
    Ticket(TicketRow),
    /// An organization's OpenID provider.
    Provider(ProviderRow),
    /// The names that lead to an organization's OpenID provider, in place of those before. One that leads to another
    /// organization's makes the batch a conflict.
    NameProvider {
        /// Whose provider.
        organization: OrganizationId,
        /// Its names.
        names: BTreeSet<String>,
    },
    /// The resource that a client stands for, in place of the one before. If another client of the tenant stands for it, the
    /// batch is a conflict.
    NameResource {
        /// Where.
        tenant: Tenant,
        /// Which client.
        client: ClientId,
        /// For what; for nothing any more if there is none.
        resource: Option<String>,
    },
    /// An API key.
    ApiKey(ApiKeyRow),
    /// A webhook endpoint.
    Endpoint(EndpointRow),
    /// A key of a webhook endpoint.
    WebhookKey(WebhookKeyRow),
    /// Takes a block of webhooks away.
    Unblock(BlockKey),
    /// Ends the access tokens of a grant that were issued with these generations, both included. Any number may be there.
    EndTokens {
        /// Of which grant.
        grant: GrantId,
        /// From which generation.
        from: u64,
        /// To which generation.
        to: u64,
    },
    /// Ends one access token, if it is there.
    EndToken(HashedToken),
    /// Notes when an access token was seen last, if it is there and was not seen later.
    SeeToken(HashedToken, Time),
    /// Ends a row, whatever else changes in it: whoever is to be ended cannot hold that up by changing it. The version rises,
    /// so that a change by somebody who read the row before comes too late.
    End {
        /// What.
        what: Ending,
        /// When.
        at: Time,
        /// Whether the batch is outdated if it had ended before; otherwise that is as good.
        once: bool,
    },
    /// Changes nothing, and is outdated unless this is a member with this role, who stays so until the batch is durable.
    /// Whoever vouches is no newer for it: nobody escapes a change of their own row by acting on others.
    Vouch {
        /// Where.
        organization: OrganizationId,
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// Replaces the counters of a user's tries, if the user is of this version and the counters are those of `before`. It
    /// raises no version: nobody holds up a change of the user by trying to come in, or by coming in.
    Tries {
        /// Whose.
        user: UserId,
        /// The version of the row that was read.
        version: u64,
        /// The counters that were read.
        before: String,
        /// The counters from now on.
        after: String,
    },
}

/// What is ended by [`Change::End`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A client.
    Client(ClientId),
    /// A grant.
    Grant(GrantId),
    /// A member, if of this role: the power to end a member depends on it.
    Member {
        /// Where.
        organization: OrganizationId,
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// What a user signs in with.
    Authenticator(AuthenticatorId),
    /// A session on the console.
    SignIn(SignInId),
    /// All sessions of a user that have not ended, also those that begin while the batch is on its way, but for those that
    /// come with it. The change of the user stands before it in the batch, and refuses those that come later: whoever begins
    /// a session says which version of the user it is for, with [`Change::Tries`].
    SignInsOf(UserId),
    /// All sessions that an organization's OpenID provider opened, in the same way: put the end of whatever the provider is
    /// known by before it.
    SignInsThrough(ProviderId),
    /// An organization's OpenID provider: whoever sets it again and again does not hold up its end.
    Provider(ProviderId),
    /// An API key: its end is recorded as told.
    ApiKey(ApiKeyId),
    /// A webhook endpoint, which takes nothing any more.
    Endpoint(EndpointId),
    /// A key of a webhook endpoint.
    WebhookKey(WebhookKeyId),
}
