//! The security stream of an organization's environment: what happened to credentials, people and powers (L-4). It is
//! chained and logged like an envelope, and holds fingerprints, never a token.
//!
//! Names and shapes here are a stored format: version 1 never changes but by new kinds of events.

use serde::{Deserialize, Serialize};

use crate::{
    access::Environment,
    digest::Digest,
    envelope::event::Origin,
    id::{
        ApiKeyId, AuthenticatorId, ClientId, CorrelationId, GrantId, OrganizationId, SecurityEventId,
        SignInId, TicketId, UserId,
    },
    level::Level,
    role::Role,
    scope::Scopes,
    secret::HashedToken,
    time::Time,
};

/// One event, before it has its place in the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityEvent {
    /// Which.
    pub id: SecurityEventId,
    /// Whose.
    pub organization: OrganizationId,
    /// In which environment.
    pub environment: Environment,
    /// When, by the server's clock.
    pub at: Time,
    /// Who.
    pub actor: SecurityActor,
    /// From where, for what came from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The request or job that caused it.
    pub correlation: CorrelationId,
    /// What.
    pub body: SecurityBody,
}

/// Who did it, as far as it was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SecurityActor {
    /// The server by itself.
    System,
    /// The operator, on the command line.
    Operator,
    /// Somebody who did not prove who it was.
    Unknown,
    /// A program with an API key.
    ApiKey {
        /// Which key.
        key: ApiKeyId,
    },
    /// A client, for itself or for a user.
    Client {
        /// Which.
        client: ClientId,
        /// For whom.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<UserId>,
    },
    /// A user in person.
    User {
        /// Who.
        user: UserId,
        /// In which session, once there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign_in: Option<SignInId>,
    },
}

/// The first eight bytes of a token's hash, in hexadecimal: enough to find its events, useless to whoever has them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// Of a token.
    pub fn of(token: &HashedToken) -> Self {
        Self(token.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut bytes = [0; 8];
        hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// Why a grant, a session, a key or a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its holder gave it up.
    Revoked,
    /// Somebody with the power ended it.
    Ended,
    /// A refresh token was used again after its time.
    RefreshReused,
    /// An authorization code was used again.
    CodeReused,
    /// The user's password or factor changed.
    FactorChanged,
    /// It was replaced by another.
    Rotated,
    /// The person is no longer a member.
    MemberRemoved,
}

/// Why somebody was not let in. For the organization's eyes: the caller is told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The credential was not right.
    WrongCredential,
    /// It was used before.
    Replayed,
    /// It had expired.
    Expired,
    /// It was bound to another key or certificate.
    WrongBinding,
    /// It came from a network that it is not for.
    WrongNetwork,
    /// It was ended before.
    Ended,
    /// It was tried too often.
    Locked,
    /// It may not do that.
    NotAllowed,
}

/// What happened. In canonical JSON the name `type` comes before `value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of the variants are named after the types that document them")]
pub enum SecurityBody {
    /// A client was registered.
    #[serde(rename = "client.registered")]
    ClientRegistered { client: ClientId, scopes: Scopes, profile: String, method: String },
    /// A client's registration changed.
    #[serde(rename = "client.changed")]
    ClientChanged { client: ClientId, scopes: Scopes, profile: String, method: String },
    /// A client ended, and all that it was granted.
    #[serde(rename = "client.ended")]
    ClientEnded { client: ClientId },
    /// A client did not prove who it was.
    #[serde(rename = "client.failed")]
    ClientFailed { client: ClientId, reason: FailureReason },
    /// A person agreed to what a client asked for.
    #[serde(rename = "grant.consented")]
    GrantConsented { grant: GrantId, client: ClientId, user: UserId, scopes: Scopes, level: Level },
    /// A person refused what a client asked for.
    #[serde(rename = "grant.refused")]
    GrantRefused { client: ClientId, user: UserId },
    /// A grant ended, with its tokens.
    #[serde(rename = "grant.ended")]
    GrantEnded { grant: GrantId, client: ClientId, reason: EndReason },
    /// An access token was issued.
    #[serde(rename = "token.issued")]
    TokenIssued {
        grant: GrantId,
        client: ClientId,
        token: Fingerprint,
        grant_type: String,
        scopes: Scopes,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        binding: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        expires_at: Time,
    },
    /// A refresh token was used for the next one.
    #[serde(rename = "token.refreshed")]
    TokenRefreshed { grant: GrantId, client: ClientId, token: Fingerprint, generation: u64, expires_at: Time },
    /// A refresh token was used again because its response had been lost: the successor, unused, is void.
    #[serde(rename = "token.refresh_retried")]
    RefreshRetried { grant: GrantId, client: ClientId, token: Fingerprint, generation: u64, expires_at: Time },
    /// A refresh token was used again: the grant, its tokens and the session have ended.
    #[serde(rename = "token.refresh_reused")]
    RefreshReused { grant: GrantId, client: ClientId, generation: u64 },
    /// An authorization code was used again: the grant and its tokens have ended.
    #[serde(rename = "token.code_reused")]
    CodeReused { grant: GrantId, client: ClientId },
    /// A token was revoked by its holder.
    #[serde(rename = "token.revoked")]
    TokenRevoked { grant: GrantId, client: ClientId, token: Fingerprint },
    /// A resource server asked about a token.
    #[serde(rename = "token.introspected")]
    TokenIntrospected { client: ClientId, token: Fingerprint, active: bool },
    /// A token or a key was presented and refused.
    #[serde(rename = "access.refused")]
    AccessRefused { token: Fingerprint, reason: FailureReason },
    /// An API key was created.
    #[serde(rename = "key.created")]
    KeyCreated { key: ApiKeyId, scopes: Scopes, expires_at: Time },
    /// An API key was replaced by another; it works beside it until then.
    #[serde(rename = "key.rotated")]
    KeyRotated { key: ApiKeyId, by: ApiKeyId, until: Time },
    /// An API key ended.
    #[serde(rename = "key.ended")]
    KeyEnded { key: ApiKeyId },
    /// An API key was used from an address or by an agent that it was not used by before.
    #[serde(rename = "key.used")]
    KeyUsed { key: ApiKeyId },
    /// Its holder was warned that an API key ends.
    #[serde(rename = "key.warned")]
    KeyWarned { key: ApiKeyId, days: u32 },
    /// Somebody was invited.
    #[serde(rename = "member.invited")]
    MemberInvited { ticket: TicketId, role: Role },
    /// Somebody became a member.
    #[serde(rename = "member.joined")]
    MemberJoined { user: UserId, role: Role },
    /// A member's role changed.
    #[serde(rename = "member.changed")]
    MemberChanged { user: UserId, from: Role, to: Role },
    /// A member was removed.
    #[serde(rename = "member.removed")]
    MemberRemoved { user: UserId },
    /// A user signed in.
    #[serde(rename = "user.signed_in")]
    SignedIn { user: UserId, sign_in: SignInId, level: Level, methods: Vec<String> },
    /// A user proved again, in a session, who it is.
    #[serde(rename = "user.stepped_up")]
    SteppedUp { user: UserId, sign_in: SignInId, level: Level, methods: Vec<String> },
    /// Somebody tried to sign in as this user and was not let in.
    #[serde(rename = "user.failed")]
    SignInFailed { user: UserId, method: String, reason: FailureReason },
    /// Sign-in with this kind of credential is locked until then.
    #[serde(rename = "user.locked")]
    Locked { user: UserId, method: String, until: Time },
    /// A session ended.
    #[serde(rename = "user.signed_out")]
    SignedOut { user: UserId, sign_in: SignInId, reason: EndReason },
    /// A passkey, a TOTP secret or recovery codes were added.
    #[serde(rename = "factor.added")]
    FactorAdded { user: UserId, authenticator: AuthenticatorId, factor: String },
    /// A factor was removed or, a recovery code, used up.
    #[serde(rename = "factor.removed")]
    FactorRemoved { user: UserId, authenticator: AuthenticatorId, factor: String },
    /// A passkey's counter went back: there may be a copy of it. It is not taken any more.
    #[serde(rename = "factor.cloned")]
    FactorCloned { user: UserId, authenticator: AuthenticatorId },
    /// The password was set.
    #[serde(rename = "password.changed")]
    PasswordChanged { user: UserId },
    /// Somebody asked for a link to reset the password.
    #[serde(rename = "password.reset_asked")]
    ResetAsked { user: UserId, ticket: TicketId },
    /// A signing key of the authorization server changed its state.
    #[serde(rename = "signing_key.changed")]
    SigningKeyChanged { name: String, state: String, public_sha256: Digest },
}

impl SecurityBody {
    /// The name of its kind.
    pub fn kind(&self) -> String {
        let named = serde_json::to_value(self).ok();
        let kind = named.as_ref().and_then(|value| value.get("type")?.as_str());
        kind.unwrap_or_default().to_owned()
    }
}
