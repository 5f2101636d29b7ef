//! One security event of every kind, with every optional part filled, from fixed bytes.

use std::num::NonZeroU64;

use countersign_core::{
    access::Environment,
    accounts::provider,
    digest::Digest,
    id::{
        ApiKeyId, AuthenticatorId, ClientId, CorrelationId, EndpointId, GrantId, MessageId, OrganizationId,
        ProviderId, SecurityEventId, SignInId, TicketId, UserId, WebhookKeyId,
    },
    level::Level,
    role::Role,
    scope::{Scope, Scopes},
    secret::HashedToken,
    security::{EndReason, FailureReason, Fingerprint, SecurityActor, SecurityBody as Body, SecurityEvent},
    time::Time,
    webhook::{
        class::{Class, Classes, Payload},
        endpoint::Profile,
        proof::Probe,
        standing::{BlockReason, DisableReason},
    },
};

const CLIENT: ClientId = ClientId::from_bytes([0x11; 16]);
const USER: UserId = UserId::from_bytes([0x22; 16]);
const GRANT: GrantId = GrantId::from_bytes([0x33; 16]);
const KEY: ApiKeyId = ApiKeyId::from_bytes([0x44; 16]);
const TICKET: TicketId = TicketId::from_bytes([0x55; 16]);
const SIGN_IN: SignInId = SignInId::from_bytes([0x66; 16]);
const AUTHENTICATOR: AuthenticatorId = AuthenticatorId::from_bytes([0x77; 16]);
const PROVIDER: ProviderId = ProviderId::from_bytes([0x88; 16]);
const ENDPOINT: EndpointId = EndpointId::from_bytes([0x99; 16]);
const WEBHOOK_KEY: WebhookKeyId = WebhookKeyId::from_bytes([0xaa; 16]);
const NEXT_KEY: WebhookKeyId = WebhookKeyId::from_bytes([0xbb; 16]);

fn at(second: i64) -> Time {
    Time::from_unix_ms(1_795_000_000_120).plus_s(second)
}

fn token() -> Fingerprint {
    Fingerprint::of(&HashedToken::from_bytes([0xcc; 32]))
}

fn scopes() -> Scopes {
    Scopes::of(&[Scope::EnvelopesStatus, Scope::EventsRead])
}

fn of_clients() -> Vec<Body> {
    let (client, grant, user, token, scopes) = (CLIENT, GRANT, USER, token(), scopes());
    let (profile, method) = ("fapi2".to_owned(), "private_key_jwt".to_owned());
    vec![
        Body::ClientRegistered { client, scopes, profile: profile.clone(), method: method.clone() },
        Body::ClientChanged { client, scopes, profile, method },
        Body::ClientEnded { client },
        Body::ClientFailed { client, reason: FailureReason::WrongSignature },
        Body::GrantConsented { grant, client, user, scopes, level: Level::Aal2 },
        Body::GrantRefused { client, user },
        Body::GrantEnded { grant, client, reason: EndReason::Ended },
        Body::TokenIssued {
            grant,
            client,
            token,
            grant_type: "authorization_code".to_owned(),
            scopes,
            binding: Some("dpop".to_owned()),
            audience: Some("https://api.example.com".to_owned()),
            expires_at: at(300),
        },
        Body::TokenRefreshed { grant, client, token, generation: 2, expires_at: at(300) },
        Body::RefreshRetried { grant, client, token, generation: 2, expires_at: at(300) },
        Body::RefreshReused { grant, client, generation: 1 },
        Body::CodeReused { grant, client },
        Body::TokenRevoked { grant, client, token },
        Body::TokenIntrospected { client, token, active: true },
        Body::AccessRefused {
            token,
            reason: FailureReason::Expired,
            key: Some(KEY),
            client: Some(client),
            grant: Some(grant),
        },
        Body::KeyCreated { key: KEY, scopes, expires_at: at(7_776_000) },
        Body::KeyRotated { key: KEY, by: ApiKeyId::from_bytes([0x45; 16]), until: at(86_400) },
        Body::KeyChanged { key: KEY, scopes, networks: 2 },
        Body::KeyEnded { key: KEY, reason: EndReason::Ended },
        Body::KeyUsed { key: KEY },
        Body::KeyWarned { key: KEY, days: 7 },
    ]
}

fn of_people() -> Vec<Body> {
    let (user, sign_in, authenticator, level) = (USER, SIGN_IN, AUTHENTICATOR, Level::Aal2Phr);
    let (methods, factor) = (vec!["passkey".to_owned()], "passkey".to_owned());
    let provider = Some(PROVIDER);
    vec![
        Body::MemberInvited { ticket: TICKET, role: Role::Sender },
        Body::InvitationCancelled { ticket: TICKET },
        Body::MemberJoined { user, role: Role::Sender },
        Body::MemberChanged { user, from: Role::Sender, to: Role::Admin },
        Body::MemberRemoved { user },
        Body::SignedIn { user, sign_in, level, methods: methods.clone(), provider },
        Body::SteppedUp { user, sign_in, level, methods, provider },
        Body::SignInFailed { user, method: "password".to_owned(), reason: FailureReason::WrongCredential },
        Body::Locked { user, method: "password".to_owned(), until: at(900) },
        Body::SignedOut { user, sign_in, reason: EndReason::Ended },
        Body::FactorAdded { user, authenticator, factor: factor.clone() },
        Body::FactorRemoved { user, authenticator, factor },
        Body::FactorCloned { user, authenticator },
        Body::PasswordChanged { user },
        Body::ResetAsked { user, ticket: TICKET },
        Body::ProviderSet {
            provider: PROVIDER,
            issuer: "https://login.example.com".to_owned(),
            is_required: true,
        },
        Body::ProviderRemoved { provider: PROVIDER },
        Body::ProviderFailed {
            provider: PROVIDER,
            reason: provider::Reason::Unreachable,
            left_out: NonZeroU64::new(3),
        },
        Body::SigningKeyChanged {
            name: "2026-11".to_owned(),
            state: "active".to_owned(),
            public_sha256: Digest::of(b"key"),
        },
    ]
}

fn of_webhooks() -> Vec<Body> {
    let (endpoint, key, since) = (ENDPOINT, WEBHOOK_KEY, at(-3_600));
    let classes = Classes::of(&[Class::Envelope, Class::Recipient]);
    let (payload, profile, host) = (Payload::Thin, Profile::Standard, "hooks.example.com".to_owned());
    let scopes = scopes();
    vec![
        Body::WebhookCreated {
            endpoint,
            host: host.clone(),
            classes,
            scopes,
            payload,
            profile,
            channel: None,
        },
        Body::WebhookChanged {
            endpoint,
            host,
            is_moved: true,
            classes,
            scopes,
            payload,
            profile,
            channel: None,
        },
        Body::WebhookEnded { endpoint },
        Body::WebhookActivated { endpoint, is_proven: true },
        Body::WebhookProbed { endpoint, is_proven: false, failed: vec![Probe::Stale, Probe::WrongKeyId] },
        Body::WebhookDisabled { endpoint, reason: DisableReason::Failing },
        Body::WebhookBlocked {
            endpoint: Some(endpoint),
            class: Some(Class::Recipient),
            reason: BlockReason::Compromised,
        },
        Body::WebhookReleased { endpoint: Some(endpoint), class: Some(Class::Recipient) },
        Body::WebhookResent { endpoint, message: MessageId::from_bytes([0xdd; 16]) },
        Body::WebhookRecovered { endpoint, since },
        Body::WebhookReplayed { endpoint, since },
        Body::WebhookKeyStaged { endpoint, key },
        Body::WebhookKeyJoined { endpoint, key },
        Body::WebhookKeyProven { endpoint, key },
        Body::WebhookKeyPromoted { endpoint, key, retiring: Some(NEXT_KEY), until: Some(at(86_400)) },
        Body::WebhookKeyRetired { endpoint, key },
        Body::WebhookKeyRevoked { endpoint, key },
    ]
}

/// An event of every kind.
pub(crate) fn events() -> Vec<SecurityEvent> {
    let bodies = of_clients().into_iter().chain(of_people()).chain(of_webhooks());
    let event = |(body, number): (Body, u8)| SecurityEvent {
        id: SecurityEventId::from_bytes([number; 16]),
        organization: OrganizationId::from_bytes([0x99; 16]),
        environment: Environment::Sandbox,
        at: at(i64::from(number)),
        actor: SecurityActor::User { user: USER, sign_in: Some(SIGN_IN) },
        origin: None,
        correlation: CorrelationId::from_bytes([0xee; 16]),
        body,
    };
    bodies.zip(1..).map(event).collect()
}
