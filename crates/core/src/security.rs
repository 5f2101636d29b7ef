//! The security stream of an organization's environment: what happened to credentials, people and powers (L-4). It is
//! chained and logged like an envelope, and holds fingerprints, never a token.
//!
//! Names and shapes here are a stored format: once released, version 1 never changes but by new kinds of events, new
//! reasons, and new members that may be absent.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    access::Environment,
    accounts::provider,
    canonical,
    digest::Digest,
    envelope::event::Origin,
    id::{
        ApiKeyId, AuthenticatorId, ClientId, CorrelationId, EndpointId, GrantId, MessageId, OrganizationId,
        ProviderId, SecurityEventId, SignInId, TicketId, UserId, WebhookKeyId,
    },
    level::Level,
    role::Role,
    scope::Scopes,
    secret::HashedToken,
    time::Time,
    webhook::{
        channel::Outline,
        class::{Class, Classes, Payload},
        endpoint::Profile,
        proof::Probe,
        standing::{BlockReason, DisableReason},
    },
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
    /// The organization's OpenID provider was removed, or replaced by another.
    ProviderRemoved,
    /// Members come in through the organization's OpenID provider alone from now on.
    ProviderRequired,
    /// Its time was over.
    Expired,
}

/// Why somebody was not let in. For the organization's eyes: the caller is told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The credential was not right.
    WrongCredential,
    /// It was of another kind than the one that is registered.
    WrongMethod,
    /// It was signed by no key that is registered.
    WrongSignature,
    /// Its certificate is not the registered one, is not trusted, or was not valid.
    WrongCertificate,
    /// It was for another server.
    WrongAudience,
    /// Its times were in the future, or too far apart.
    WrongTime,
    /// It was not of the form that is taken.
    Malformed,
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
    /// A token or a key was presented and refused: this key, or a token of this client and grant. Whoever showed it is not
    /// the actor: it may have been stolen.
    #[serde(rename = "access.refused")]
    AccessRefused {
        token: Fingerprint,
        reason: FailureReason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<ApiKeyId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<ClientId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<GrantId>,
    },
    /// An API key was created.
    #[serde(rename = "key.created")]
    KeyCreated { key: ApiKeyId, scopes: Scopes, expires_at: Time },
    /// An API key was replaced by another; it works beside it until then.
    #[serde(rename = "key.rotated")]
    KeyRotated { key: ApiKeyId, by: ApiKeyId, until: Time },
    /// An API key got another name, fewer scopes, or this number of other networks; none is from everywhere.
    #[serde(rename = "key.changed")]
    KeyChanged { key: ApiKeyId, scopes: Scopes, networks: u32 },
    /// An API key ended.
    #[serde(rename = "key.ended")]
    KeyEnded { key: ApiKeyId, reason: EndReason },
    /// An API key was used from an address or by an agent that did not use it in the last day.
    #[serde(rename = "key.used")]
    KeyUsed { key: ApiKeyId },
    /// Its holder was warned that an API key ends.
    #[serde(rename = "key.warned")]
    KeyWarned { key: ApiKeyId, days: u32 },
    /// Somebody was invited.
    #[serde(rename = "member.invited")]
    MemberInvited { ticket: TicketId, role: Role },
    /// An invitation was taken back, or replaced by another.
    #[serde(rename = "member.invitation_cancelled")]
    InvitationCancelled { ticket: TicketId },
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
    SignedIn {
        user: UserId,
        sign_in: SignInId,
        level: Level,
        methods: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<ProviderId>,
    },
    /// A user proved again, in a session, who it is.
    #[serde(rename = "user.stepped_up")]
    SteppedUp {
        user: UserId,
        sign_in: SignInId,
        level: Level,
        methods: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<ProviderId>,
    },
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
    /// The organization's OpenID provider was set, or its settings changed.
    #[serde(rename = "provider.set")]
    ProviderSet { provider: ProviderId, issuer: String, is_required: bool },
    /// The organization's OpenID provider was removed: the sessions that it opened have ended.
    #[serde(rename = "provider.removed")]
    ProviderRemoved { provider: ProviderId },
    /// Somebody came back from the organization's OpenID provider and was not let in. So many others are not told since the
    /// last of these events, because there were too many.
    #[serde(rename = "provider.failed")]
    ProviderFailed {
        provider: ProviderId,
        reason: provider::Reason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_out: Option<NonZeroU64>,
    },
    /// A signing key of the authorization server changed its state.
    #[serde(rename = "signing_key.changed")]
    SigningKeyChanged { name: String, state: String, public_sha256: Digest },
    /// A webhook endpoint was created, at this host.
    #[serde(rename = "webhook.created")]
    WebhookCreated {
        endpoint: EndpointId,
        host: String,
        classes: Classes,
        scopes: Scopes,
        payload: Payload,
        profile: Profile,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<Outline>,
    },
    /// A webhook endpoint was changed. Another path at the same host is told by `is_moved` alone: it may hold a secret.
    #[serde(rename = "webhook.changed")]
    WebhookChanged {
        endpoint: EndpointId,
        host: String,
        is_moved: bool,
        classes: Classes,
        scopes: Scopes,
        payload: Payload,
        profile: Profile,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<Outline>,
    },
    /// A webhook endpoint ended.
    #[serde(rename = "webhook.ended")]
    WebhookEnded { endpoint: EndpointId },
    /// A webhook endpoint is told of events from now on.
    #[serde(rename = "webhook.activated")]
    WebhookActivated { endpoint: EndpointId, is_proven: bool },
    /// The receiver of a webhook endpoint was sent the probes: whether they proved it, and which it failed.
    #[serde(rename = "webhook.probed")]
    WebhookProbed { endpoint: EndpointId, is_proven: bool, failed: Vec<Probe> },
    /// A webhook endpoint is told of nothing from now on.
    #[serde(rename = "webhook.disabled")]
    WebhookDisabled { endpoint: EndpointId, reason: DisableReason },
    /// Deliveries are parked: of an endpoint, of a class, of both, or all.
    #[serde(rename = "webhook.blocked")]
    WebhookBlocked {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<EndpointId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<Class>,
        reason: BlockReason,
    },
    /// What was parked goes out.
    #[serde(rename = "webhook.released")]
    WebhookReleased {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<EndpointId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<Class>,
    },
    /// Somebody had one message sent again.
    #[serde(rename = "webhook.resent")]
    WebhookResent { endpoint: EndpointId, message: MessageId },
    /// Somebody had what failed since then sent again.
    #[serde(rename = "webhook.recovered")]
    WebhookRecovered { endpoint: EndpointId, since: Time },
    /// Somebody had events since then sent of which the endpoint was told nothing.
    #[serde(rename = "webhook.replayed")]
    WebhookReplayed { endpoint: EndpointId, since: Time },
    /// A key of a webhook endpoint was made, and is published.
    #[serde(rename = "webhook_key.staged")]
    WebhookKeyStaged { endpoint: EndpointId, key: WebhookKeyId },
    /// A new key of a webhook endpoint signs beside the one before it.
    #[serde(rename = "webhook_key.joined")]
    WebhookKeyJoined { endpoint: EndpointId, key: WebhookKeyId },
    /// The receiver accepted a message that the new key alone had signed.
    #[serde(rename = "webhook_key.proven")]
    WebhookKeyProven { endpoint: EndpointId, key: WebhookKeyId },
    /// A key took the place of the one before it, which signs beside it until then.
    #[serde(rename = "webhook_key.promoted")]
    WebhookKeyPromoted {
        endpoint: EndpointId,
        key: WebhookKeyId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retiring: Option<WebhookKeyId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A key of a webhook endpoint signs no more, and is published no more.
    #[serde(rename = "webhook_key.retired")]
    WebhookKeyRetired { endpoint: EndpointId, key: WebhookKeyId },
    /// A key of a webhook endpoint ended at once, because it may be known to others or was not wanted after all.
    #[serde(rename = "webhook_key.revoked")]
    WebhookKeyRevoked { endpoint: EndpointId, key: WebhookKeyId },
}

impl SecurityBody {
    /// The name of its kind.
    pub fn kind(&self) -> String {
        let named = serde_json::to_value(self).ok();
        let kind = named.as_ref().and_then(|value| value.get("type")?.as_str());
        kind.unwrap_or_default().to_owned()
    }
}

/// The version of the encoding that is written.
pub const VERSION: u32 = 1;

/// An event in its place, as it is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// Version of the encoding.
    pub v: u32,
    /// SHA-256 of the event before, zeros before the first.
    pub previous: Digest,
    /// Position in the stream, from 1.
    pub seq: u64,
    /// The event.
    pub event: SecurityEvent,
}

/// Why bytes are not the next event of a security stream.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NotNext {
    /// Not an event of a known version, or not in canonical form.
    #[error("security event {0} cannot be read")]
    Unreadable(u64),
    /// It does not follow from the one before, or belongs to another stream.
    #[error("security event {0} does not follow from the one before it")]
    Break(u64),
}

/// The end of a security stream: where the next event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    organization: OrganizationId,
    environment: Environment,
    seq: u64,
    hash: Digest,
}

impl Tail {
    /// The end of a stream whose last event is this; `None` for an empty one.
    pub fn after(
        organization: OrganizationId,
        environment: Environment,
        last: Option<(u64, Digest)>,
    ) -> Self {
        let (seq, hash) = last.unwrap_or((0, Digest([0; 32])));
        Self { organization, environment, seq, hash }
    }

    /// The position that the next event gets.
    pub fn next_seq(&self) -> u64 {
        self.seq + 1
    }

    /// Gives an event its place: its bytes and their hash.
    pub fn place(&mut self, event: SecurityEvent) -> Result<(Vec<u8>, Digest), NotNext> {
        let seq = self.next_seq();
        let placed = Placed { v: VERSION, previous: self.hash, seq, event };
        let bytes = canonical::to_vec(&placed).map_err(|_| NotNext::Unreadable(seq))?;
        self.step(&placed, &bytes)?;
        Ok((bytes, self.hash))
    }

    /// Reads the next event of anybody's stream, and checks that it is in canonical form and follows.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<SecurityEvent, NotNext> {
        let unreadable = NotNext::Unreadable(self.next_seq());
        let Ok(placed) = serde_json::from_slice::<Placed>(bytes) else { return Err(unreadable) };
        let is_canonical = canonical::to_vec(&placed).is_ok_and(|canonical| canonical == bytes);
        if !is_canonical || placed.v != VERSION {
            return Err(unreadable);
        }
        self.step(&placed, bytes)?;
        Ok(placed.event)
    }

    fn step(&mut self, placed: &Placed, bytes: &[u8]) -> Result<(), NotNext> {
        let seq = self.next_seq();
        let is_next = placed.seq == seq
            && placed.previous == self.hash
            && placed.event.organization == self.organization
            && placed.event.environment == self.environment;
        if !is_next {
            return Err(NotNext::Break(seq));
        }
        self.seq = seq;
        self.hash = Digest::of(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scope::Scope, webhook::pin::Pin};

    fn event(number: u8) -> SecurityEvent {
        SecurityEvent {
            id: SecurityEventId::from_bytes([number; 16]),
            organization: OrganizationId::from_bytes([1; 16]),
            environment: Environment::Live,
            at: Time::from_unix_ms(1_700_000_000_000 + i64::from(number)),
            actor: SecurityActor::Client { client: ClientId::from_bytes([2; 16]), user: None },
            origin: None,
            correlation: CorrelationId::from_bytes([3; 16]),
            body: SecurityBody::TokenIntrospected {
                client: ClientId::from_bytes([2; 16]),
                token: Fingerprint([number; 8]),
                active: true,
            },
        }
    }

    fn empty() -> Tail {
        Tail::after(OrganizationId::from_bytes([1; 16]), Environment::Live, None)
    }

    /// L-4: a stream is read as it was written; an event that is missing, changed or of another stream is found.
    #[test]
    fn a_security_stream_is_a_chain() {
        let mut tail = empty();
        let stream: Vec<Vec<u8>> = (1..=3).map(|number| tail.place(event(number)).unwrap().0).collect();
        let read = |order: &[usize]| {
            let mut tail = empty();
            order.iter().try_for_each(|index| tail.follow(&stream[*index]).map(drop))
        };
        assert_eq!(read(&[0, 1, 2]), Ok(()));
        assert_eq!(read(&[0, 2]), Err(NotNext::Break(2)));
        assert_eq!(read(&[1]), Err(NotNext::Break(1)));
        let text = String::from_utf8(stream[0].clone()).unwrap();
        let changed = text.replace("true", "false");
        assert_ne!(changed, text);
        let mut tail = empty();
        tail.follow(changed.as_bytes()).unwrap();
        assert_eq!(tail.follow(&stream[1]), Err(NotNext::Break(2)), "its hash is another one");
        assert_eq!(empty().follow(format!(" {text}").as_bytes()), Err(NotNext::Unreadable(1)));
        let mut other = Tail::after(OrganizationId::from_bytes([9; 16]), Environment::Live, None);
        assert_eq!(other.follow(&stream[0]), Err(NotNext::Break(1)));
        assert_eq!(other.place(event(1)), Err(NotNext::Break(1)));
    }

    /// L-4: a refusal that was recorded before it named the key is read as it was written, and names none.
    #[test]
    fn an_old_refusal_is_still_read() {
        let body = SecurityBody::AccessRefused {
            token: Fingerprint([7; 8]),
            reason: FailureReason::Expired,
            key: None,
            client: None,
            grant: None,
        };
        let old = r#"{"type":"access.refused","value":{"reason":"expired","token":"0707070707070707"}}"#;
        assert_eq!(serde_json::from_str::<SecurityBody>(old).unwrap(), body);
        assert_eq!(canonical::to_vec(&body).unwrap(), old.as_bytes());
    }

    /// W-2, W-5, W-6: what happens to webhooks is told with ids, hosts and reasons, never with a path or a secret.
    #[test]
    fn events_of_webhooks_are_these() {
        let (endpoint, key) = (EndpointId::from_bytes([4; 16]), WebhookKeyId::from_bytes([5; 16]));
        let (at, message) = (Time::from_unix_ms(1_700_000_000_000), MessageId::from_bytes([6; 16]));
        let (host, profile) = ("hooks.example.com".to_owned(), Profile::EcdsaP256Sha256);
        let classes = Classes::of(&[Class::Envelope, Class::Security]);
        let scopes = Scopes::of(&[Scope::EnvelopesStatus, Scope::SecurityRead]);
        let payload = Payload::Thin;
        let created = |channel| {
            let host = host.clone();
            SecurityBody::WebhookCreated { endpoint, host, classes, scopes, payload, profile, channel }
        };
        let changed = |channel| SecurityBody::WebhookChanged {
            endpoint,
            host: host.clone(),
            is_moved: true,
            classes,
            scopes,
            payload: Payload::Full,
            profile: Profile::Standard,
            channel,
        };
        let outline = Outline {
            certificate_sha256: Some(Digest([7; 32])),
            pins: vec![Pin::of(b"key")],
            token_host: Some("as.example.com".to_owned()),
            token_client: Some("countersign".to_owned()),
            is_token_changed: false,
        };
        let bodies = [
            created(None),
            changed(None),
            created(Some(outline.clone())),
            changed(Some(outline.clone())),
            changed(Some(Outline::default())),
            changed(Some(Outline { is_token_changed: true, ..outline })),
            SecurityBody::WebhookEnded { endpoint },
            SecurityBody::WebhookProbed {
                endpoint,
                is_proven: false,
                failed: vec![Probe::Stale, Probe::WrongKeyId],
            },
            SecurityBody::WebhookActivated { endpoint, is_proven: true },
            SecurityBody::WebhookDisabled { endpoint, reason: DisableReason::ByHand },
            SecurityBody::WebhookBlocked {
                endpoint: Some(endpoint),
                class: None,
                reason: BlockReason::WrongReceiver,
            },
            SecurityBody::WebhookReleased { endpoint: None, class: Some(Class::Recipient) },
            SecurityBody::WebhookResent { endpoint, message },
            SecurityBody::WebhookRecovered { endpoint, since: at },
            SecurityBody::WebhookReplayed { endpoint, since: at },
            SecurityBody::WebhookKeyStaged { endpoint, key },
            SecurityBody::WebhookKeyJoined { endpoint, key },
            SecurityBody::WebhookKeyProven { endpoint, key },
            SecurityBody::WebhookKeyPromoted { endpoint, key, retiring: Some(key), until: Some(at) },
            SecurityBody::WebhookKeyRetired { endpoint, key },
            SecurityBody::WebhookKeyRevoked { endpoint, key },
        ];
        let lines: Vec<String> =
            bodies.iter().map(|body| String::from_utf8(canonical::to_vec(body).unwrap()).unwrap()).collect();
        insta::assert_snapshot!(lines.join("\n"));
        for (line, body) in lines.iter().zip(&bodies) {
            assert_eq!(serde_json::from_str::<SecurityBody>(line).as_ref().ok(), Some(body));
        }
    }

    /// The stored form: it changes by new kinds of events and in no other way.
    #[test]
    fn the_encoding_is_this() {
        let (bytes, _) = empty().place(event(1)).unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes).unwrap());
        assert_eq!(event(1).body.kind(), "token.introspected");
    }
}
