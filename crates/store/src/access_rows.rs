//! Rows of credentials and people as values: clients, grants, tokens, users, members, sessions. What can change has a
//! version, and a change replaces the row whose version is the one before: of several that saw the same row, one wins.

use std::collections::BTreeSet;

use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{
        ApiKeyId, AuthenticatorId, ClientId, GrantId, OrganizationId, PersonId, ProviderId, SecurityEventId,
        SignInId, TicketId, UserId,
    },
    level::Level,
    role::Role,
    scope::Scopes,
    secret::HashedToken,
    time::Time,
};

pub use countersign_core::oauth::token::Binding;

/// An OAuth client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    /// Its tenant.
    pub tenant: Tenant,
    /// Which.
    pub client: ClientId,
    /// Whether it keeps to the FAPI 2.0 profile. A client that does not cannot have an admin scope: the database refuses it.
    pub is_fapi: bool,
    /// The most that it may ask for.
    pub scopes: Scopes,
    /// Under whose key the addresses of its callers go.
    pub person: PersonId,
    /// The rest of its registration as canonical JSON.
    pub registration: String,
    /// SHA-256 of its secret, where it has one.
    pub secret: Option<HashedToken>,
    /// When it was registered.
    pub created_at: Time,
    /// When it ended: what it was granted ended with it.
    pub ended_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
}

/// What a client was granted. Access tokens and refresh tokens hang on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Its tenant.
    pub tenant: Tenant,
    /// Which.
    pub grant: GrantId,
    /// To which client.
    pub client: ClientId,
    /// By which user; a client's own grant has none.
    pub user: Option<UserId>,
    /// In which session that user agreed.
    pub sign_in: Option<SignInId>,
    /// The scopes.
    pub scopes: Scopes,
    /// Authorization details (RFC 9396), audience, nonce and what else belongs to the grant, as canonical JSON.
    pub terms: String,
    /// How surely the user was authenticated, and when.
    pub authenticated: Option<(Level, Time)>,
    /// The thumbprint that refresh tokens of public clients are bound to.
    pub binding: Option<Digest>,
    /// The generation of the refresh token that is good; 0 where there is none.
    pub generation: u64,
    /// The generation whose use may be the retry of a lost response.
    pub retry_of: Option<u64>,
    /// When that generation was used first.
    pub rotated_at: Time,
    /// When it was made.
    pub created_at: Time,
    /// When it ends if nothing happens.
    pub expires_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenRow {
    /// SHA-256 of the token.
    pub hash: HashedToken,
    /// Of which grant.
    pub grant: GrantId,
    /// Issued together with this generation of the refresh token.
    pub generation: u64,
    /// The scopes.
    pub scopes: Scopes,
    /// For which resource server; this one's API if there is none.
    pub audience: Option<String>,
    /// The key or certificate that it is bound to.
    pub binding: Option<Binding>,
    /// When it was issued.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// When the resource server that it is for asked about it last.
    pub seen_at: Option<Time>,
}

/// An access token with all that it hangs on, in one read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenView {
    /// The token.
    pub token: AccessTokenRow,
    /// Its grant.
    pub grant: GrantRow,
    /// The client.
    pub client: ClientRow,
    /// Whether the session in which it was granted has ended; `false` where there is none.
    pub sign_in_ended: bool,
    /// Since when the user's grants hold; earlier ones have ended. `None` without a user, or for one that ended.
    pub user_valid_from: Option<Time>,
    /// The user as a member of the grant's organization, if that still is so.
    pub member: Option<MemberRow>,
}

/// A grant with the people that it hangs on, in one read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantView {
    /// The grant.
    pub grant: GrantRow,
    /// Whether the session in which it was given has ended; `false` where there is none.
    pub sign_in_ended: bool,
    /// Since when the user's grants hold; earlier ones have ended. `None` without a user, or for one that ended.
    pub user_valid_from: Option<Time>,
    /// The user as a member of the grant's organization, if that still is so.
    pub member: Option<MemberRow>,
}

/// An authorization code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCodeRow {
    /// SHA-256 of the code.
    pub hash: HashedToken,
    /// The grant that it stands for.
    pub grant: GrantId,
    /// What must fit when it is redeemed, as canonical JSON.
    pub request: String,
    /// When it ends.
    pub expires_at: Time,
    /// When it was redeemed.
    pub used_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
}

/// An authorization request that waits for its user: pushed, or come with a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedRequestRow {
    /// SHA-256 of its handle.
    pub hash: HashedToken,
    /// The client's tenant.
    pub tenant: Tenant,
    /// The client.
    pub client: ClientId,
    /// The request as canonical JSON.
    pub request: String,
    /// The browser that came with it: SHA-256 of its cookie.
    pub browser: Option<Digest>,
    /// When it ends.
    pub expires_at: Time,
    /// When the user decided.
    pub used_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
}

/// Somebody with an account. People are the server's, not an organization's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Who.
    pub user: UserId,
    /// Keyed hash of the address: unique.
    pub lookup: Digest,
    /// The user's key, wrapped by the root key.
    pub wrapped_key: Vec<u8>,
    /// Name and address, encrypted under the user's key.
    pub sealed_profile: Vec<u8>,
    /// The password as a PHC string of argon2id, encrypted under the user's key.
    pub sealed_password: Option<Vec<u8>>,
    /// How often somebody tried to come in, as canonical JSON.
    pub failures: String,
    /// Sessions and grants of before have ended.
    pub valid_from: Time,
    /// When the account was made.
    pub created_at: Time,
    /// When the account ended.
    pub ended_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
}

/// A user's role in an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// Where.
    pub organization: OrganizationId,
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Under whose keys the addresses of this member go: in the sandbox, and in live.
    pub persons: (PersonId, PersonId),
    /// Since when.
    pub created_at: Time,
    /// Until when.
    pub ended_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
}

impl MemberRow {
    /// The person in an environment.
    pub fn person(&self, environment: Environment) -> PersonId {
        match environment {
            Environment::Sandbox => self.persons.0,
            Environment::Live => self.persons.1,
        }
    }
}

/// What a user signs in with, besides the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatorRow {
    /// Which.
    pub authenticator: AuthenticatorId,
    /// Whose.
    pub user: UserId,
    /// `passkey`, `totp`, `recovery_code`, or `provider` for the subject of an organization's OpenID provider.
    pub kind: String,
    /// SHA-256 of a passkey's credential id, of a recovery code, or of a subject: unique.
    pub lookup: Option<Digest>,
    /// Its state and its label, encrypted under the user's key.
    pub sealed: Vec<u8>,
    /// A passkey's counter, or the last step of TOTP that was taken.
    pub counter: u64,
    /// When it was added.
    pub created_at: Time,
    /// When it was used last.
    pub used_at: Option<Time>,
    /// When it was removed or used up.
    pub ended_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
}

/// A user's session on the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInRow {
    /// Which.
    pub sign_in: SignInId,
    /// Whose.
    pub user: UserId,
    /// SHA-256 of the cookie.
    pub cookie: HashedToken,
    /// The tenant that the console shows.
    pub tenant: Option<Tenant>,
    /// How surely, and when the user was authenticated last.
    pub authenticated: (Level, Time),
    /// Device, address and methods, encrypted under the user's key.
    pub sealed_origin: Vec<u8>,
    /// When it began.
    pub created_at: Time,
    /// When it ends if nothing happens.
    pub expires_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
    /// The organization's OpenID provider that opened it, where one did.
    pub provider: Option<ProviderId>,
}

/// An organization's OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRow {
    /// Whose. There is one row for each organization.
    pub organization: OrganizationId,
    /// Which: another issuer is another provider.
    pub provider: ProviderId,
    /// Its settings as canonical JSON.
    pub settings: String,
    /// Our key, or the client secret, encrypted under the organization's key.
    pub sealed: Vec<u8>,
    /// When the organization had one first.
    pub created_at: Time,
    /// When it was removed.
    pub ended_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
}

/// A one-time link of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRow {
    /// Which.
    pub ticket: TicketId,
    /// SHA-256 of the secret.
    pub secret: HashedToken,
    /// `first_owner`, `invitation` or `password_reset`.
    pub purpose: String,
    /// To which organization.
    pub organization: Option<OrganizationId>,
    /// For which user, where there is one.
    pub user: Option<UserId>,
    /// As what.
    pub role: Option<Role>,
    /// Address and secret for the mail, encrypted under the organization's or the user's key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// When it was used.
    pub used_at: Option<Time>,
    /// Counts the changes from 1.
    pub version: u64,
}

/// Something that is good once: a DPoP proof, a client assertion, a challenge, a one-time code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spend {
    /// SHA-256 over what it is and whose.
    pub hash: Digest,
    /// When it ends by itself, and need not be remembered any more.
    pub expires_at: Time,
}

/// A security event that waits for its place in its organization's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityRow {
    /// Which.
    pub event: SecurityEventId,
    /// Whose.
    pub tenant: Tenant,
    /// The event as canonical JSON, not yet chained.
    pub bytes: Vec<u8>,
}

/// How an API key was used last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Which key.
    pub key: ApiKeyId,
    /// When.
    pub at: Time,
    /// Address and agent, encrypted under the key's person.
    pub sealed_origin: Vec<u8>,
}

/// A change of a row that exists: replaces it if its version is the one before.
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
    /// An API key.
    ApiKey(crate::rows::ApiKeyRow),
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
}
