//! How webhook endpoints, their keys and deliveries are written: what is asked for, and what is shown of them.

use countersign_core::{
    limits,
    refusal::{Code, Refusal},
    scope::{Scope, Scopes},
    time::Time,
    webhook::{
        again::{Again, Over, Wish},
        channel::Channel,
        class::{Class, Classes, Payload},
        endpoint::{Profile, Settings},
        health::Due,
        rotation::{Key, State as KeyState},
        standing::{BlockReason, State},
    },
};
use countersign_store::webhook_rows::{AttemptRow, DeliveryRow, WebhookKeyRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    key_shapes::scopes,
    webhook_channel_shapes::{
        ClientCertificateBody, NewClientCertificateBody, NewOAuthBody, OAuthBody, pins,
    },
};
use crate::{
    app::Organization,
    fault::Fault,
    webhooks::{
        attempt,
        endpoints::Edit,
        given::Given,
        loaded::Loaded,
        proof::{Line, Report},
    },
};

/// An endpoint to make. Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEndpointBody {
    /// Where messages go: `https`, on the public Internet.
    #[schema(max_length = 1000)]
    url: String,
    /// What people call it, one line of at most 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    description: String,
    /// What it is told of: `envelope`, `recipient`, `evidence`, `security`.
    #[schema(min_items = 1, max_items = 4)]
    classes: Vec<String>,
    /// How far it may be told: scopes that whoever asks has as well, among `envelopes:status`, `envelopes:read`, `events:read`,
    /// `evidence:read` and `security:read`.
    #[schema(max_items = 5)]
    scopes: Vec<String>,
    /// `thin`, the default: which event it is. `full`: the event itself too.
    #[serde(default = "thin")]
    #[schema(default = "thin")]
    payload: String,
    /// `standard`, the default: as Standard Webhooks does it. `ed25519`, `ecdsa-p256-sha256`, `rsa-pss-sha512`: with an HTTP
    /// Message Signature (RFC 9421) of this algorithm besides.
    #[serde(default = "standard")]
    #[schema(default = "standard")]
    profile: String,
    /// Whether an event waits until those before it, of the same envelope, were delivered.
    #[serde(default)]
    ordered: bool,
    /// What is shown where the receiver asks for a client certificate (mutual TLS); nothing by default.
    client_certificate: Option<NewClientCertificateBody>,
    /// Keys of which the receiver must have one, besides a certificate that an authority vouches for: `sha256/` and base64 of the
    /// hash of the SubjectPublicKeyInfo. None by default: any key.
    #[serde(default)]
    #[schema(max_items = 8)]
    pins: Vec<String>,
    /// What each delivery has a token from (OAuth 2.0, client credentials); none by default.
    oauth: Option<NewOAuthBody>,
}

fn thin() -> String {
    Payload::Thin.text().to_owned()
}

fn standard() -> String {
    Profile::Standard.text().to_owned()
}

/// What is to be otherwise about an endpoint. What is left out stays as it is; unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointEditBody {
    /// Where messages go. In `live` another address takes another proof.
    #[schema(max_length = 1000)]
    url: Option<String>,
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    description: Option<String>,
    /// What it is told of.
    #[schema(min_items = 1, max_items = 4)]
    classes: Option<Vec<String>>,
    /// How far it may be told.
    #[schema(max_items = 5)]
    scopes: Option<Vec<String>>,
    /// `thin` or `full`.
    payload: Option<String>,
    /// `standard`, `ed25519`, `ecdsa-p256-sha256` or `rsa-pss-sha512`.
    profile: Option<String>,
    /// Whether events of an envelope wait for each other.
    ordered: Option<bool>,
    /// What is shown where the receiver asks for a client certificate; `null` takes it away. Another one is another receiver.
    #[serde(default)]
    #[schema(value_type = Option<NewClientCertificateBody>)]
    client_certificate: Given<NewClientCertificateBody>,
    /// Keys of which the receiver must have one; `[]` takes any. Others make it another receiver.
    #[schema(max_items = 8)]
    pins: Option<Vec<String>>,
    /// What each delivery has a token from, given whole; `null` takes it away. Another one is another receiver.
    #[serde(default)]
    #[schema(value_type = Option<NewOAuthBody>)]
    oauth: Given<NewOAuthBody>,
}

/// Why deliveries are blocked. Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockBody {
    /// `compromised`, `wrong_receiver`, `overload` or `incident`.
    pub(super) reason: String,
}

/// How a new key takes over. Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromotionBody {
    /// How long the old key signs beside the new one, in seconds; a day by default, 30 days at most.
    #[serde(default = "overlap")]
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    pub(super) overlap_s: i64,
}

fn overlap() -> i64 {
    limits::WEBHOOK_KEY_OVERLAP_DEFAULT_S
}

/// From when on to send again. Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SinceBody {
    /// When (RFC 3339), at most 29 days ago.
    #[schema(format = DateTime)]
    since: String,
}

impl SinceBody {
    pub(super) fn time(&self) -> Result<Time, Refusal> {
        let wrong = |_| Refusal::at(Code::Invalid, "/since", "`since` is a moment like 2026-01-31T08:00:00Z");
        Time::of_rfc3339(&self.since).map_err(wrong)
    }
}

impl NewEndpointBody {
    pub(super) fn settings(self) -> Result<Settings, Refusal> {
        Ok(Settings {
            classes: classes(&self.classes)?,
            scopes: scopes(&self.scopes)?,
            payload: payload(&self.payload)?,
            profile: profile(&self.profile)?,
            url: self.url,
            description: self.description,
            is_ordered: self.ordered,
            channel: Channel {
                certificate: self
                    .client_certificate
                    .as_ref()
                    .map(NewClientCertificateBody::read)
                    .transpose()?,
                pins: pins(&self.pins)?,
                oauth: self.oauth.map(NewOAuthBody::taken),
            },
        })
    }
}

impl EndpointEditBody {
    pub(super) fn edit(self) -> Result<Edit, Refusal> {
        Ok(Edit {
            classes: self.classes.as_deref().map(classes).transpose()?,
            scopes: self.scopes.as_deref().map(scopes).transpose()?,
            payload: self.payload.as_deref().map(payload).transpose()?,
            profile: self.profile.as_deref().map(profile).transpose()?,
            url: self.url,
            description: self.description,
            is_ordered: self.ordered,
            certificate: self.client_certificate.read(NewClientCertificateBody::read)?,
            pins: self.pins.as_deref().map(pins).transpose()?,
            oauth: self.oauth.map(NewOAuthBody::taken),
        })
    }
}

fn classes(names: &[String]) -> Result<Classes, Refusal> {
    let read = names.iter().enumerate().map(|(index, name)| {
        let unknown = || {
            let sentence = format!(
                "no class is called `{name}`: name `envelope`, `recipient`, `evidence` or `security`"
            );
            Refusal::at(Code::Invalid, format!("/classes/{index}"), sentence)
        };
        Class::parse(name).ok_or_else(unknown)
    });
    read.collect()
}

fn payload(text: &str) -> Result<Payload, Refusal> {
    Payload::parse(text)
        .ok_or_else(|| Refusal::at(Code::Invalid, "/payload", "`payload` is `thin` or `full`"))
}

const PROFILES: &str = "`profile` is `standard`, `ed25519`, `ecdsa-p256-sha256` or `rsa-pss-sha512`";

fn profile(text: &str) -> Result<Profile, Refusal> {
    Profile::parse(text).ok_or_else(|| Refusal::at(Code::Invalid, "/profile", PROFILES))
}

/// An endpoint as it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct EndpointBody {
    /// Its id.
    #[schema(pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// Where messages go. Path and query may hold a secret of the receiver: who may neither change endpoints nor block them sees
    /// the host, and `…`.
    url: String,
    /// What people call it.
    description: String,
    /// What it is told of.
    classes: Vec<&'static str>,
    /// How far it may be told.
    scopes: Vec<&'static str>,
    /// `thin` or `full`.
    payload: &'static str,
    /// `standard`, `ed25519`, `ecdsa-p256-sha256` or `rsa-pss-sha512`.
    profile: &'static str,
    /// Whether events of an envelope wait for each other.
    ordered: bool,
    /// What is shown where the receiver asks for a client certificate; null if nothing is.
    client_certificate: Option<ClientCertificateBody>,
    /// Keys of which the receiver must have one; empty where any is taken.
    pins: Vec<String>,
    /// What each delivery has a token from; null if it has none.
    oauth: Option<OAuthBody>,
    /// `inactive` (it was not activated yet, or its receiver became another), `active`, `disabled` or `ended`.
    state: &'static str,
    /// Why it was disabled: `gone` (it answered 410), `failing` or `by_hand`; null if it was not.
    disabled_reason: Option<&'static str>,
    /// Whether its receiver refused what it must, at this address.
    proven: bool,
    /// Why its deliveries are blocked: `compromised`, `wrong_receiver`, `overload` or `incident`; null if they are not.
    blocked: Option<&'static str>,
    /// Those of its classes that something else blocks: the class, the organization, or everything (`/v1/webhook-blocks`).
    stopped: Vec<&'static str>,
    /// Since when every delivery fails; null where the last one did not.
    failing_since: Option<String>,
    /// When it is disabled unless something is delivered; null where nothing fails.
    disables_at: Option<String>,
    /// The last time that what failed was sent again; null if nobody asked for it.
    recovery: Option<ResentBody>,
    /// The last time that it was sent what it had not been told; null if nobody asked for it.
    replay: Option<ResentBody>,
    /// Its keys, in the order in which they were made; those that are gone are left out.
    keys: Vec<WebhookKeyBody>,
    /// Where its public keys are (RFC 7517).
    jwks_uri: String,
    /// When it was made.
    created_at: String,
}

/// What was sent again because somebody asked.
#[derive(Serialize, ToSchema)]
pub(super) struct ResentBody {
    /// When it was asked for.
    asked_at: String,
    /// When all of it was on its way; null as long as it is not.
    over_at: Option<String>,
    /// How many deliveries it was, at least: a server that is killed meanwhile may have counted fewer. Null as long as it is not over.
    count: Option<u64>,
}

impl ResentBody {
    fn of(again: &Again, wish: Wish) -> Option<Self> {
        if let Some(asked_at) = again.running(wish) {
            return Some(Self { asked_at: asked_at.to_string(), over_at: None, count: None });
        }
        let Over { asked_at, at, count } = again.last(wish)?;
        Some(Self { asked_at: asked_at.to_string(), over_at: Some(at.to_string()), count: Some(count) })
    }
}

/// A key of an endpoint as it is shown.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct WebhookKeyBody {
    /// Its id: what `webhook-key-id` names.
    #[schema(pattern = "^whk_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// `staged` (published), `dual` (signs beside the primary one), `primary`, or `retiring` (signs until its time is over).
    state: &'static str,
    /// Until when it signs, where it is retiring.
    until: Option<String>,
    /// When a receiver accepted what it alone had signed; null if none did yet.
    proven_at: Option<String>,
    /// When it was made.
    created_at: String,
    /// The secret of `v1`, `whsec_` and base64: in the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Its public keys (RFC 7517).
    #[schema(value_type = Vec<Object>)]
    public_keys: Value,
}

impl WebhookKeyBody {
    fn of(key: &Key, row: &WebhookKeyRow, now: Time) -> Result<Self, Fault> {
        let state = key.state.at(now);
        let until = if let KeyState::Retiring(until) = state { Some(until.to_string()) } else { None };
        Ok(Self {
            id: key.id.to_string(),
            state: state.text(),
            until,
            proven_at: key.proven_at.map(|at| at.to_string()),
            created_at: row.created_at.to_string(),
            secret: None,
            public_keys: serde_json::from_str(&row.public)
                .map_err(|error| Fault::Task(format!("the public keys of {}: {error}", row.key)))?,
        })
    }
}

impl EndpointBody {
    /// An endpoint, for a reader with these scopes.
    pub(super) fn of(loaded: &Loaded, public_url: &str, now: Time, reader: Scopes) -> Result<Self, Fault> {
        let (row, settings, condition) = (&loaded.row, &loaded.settings, &loaded.condition);
        let standing = condition.standing;
        let mut keys = Vec::new();
        for key in loaded.keys.all().iter().filter(|key| key.state.at(now).is_live()) {
            for row in loaded.key_rows.iter().filter(|row| row.key == key.id) {
                keys.push(WebhookKeyBody::of(key, row, now)?);
            }
        }
        let disabled_reason =
            if let State::Disabled(reason) = standing.state { Some(reason.text()) } else { None };
        let failing = condition.health.failing.filter(|_| condition.health.due(now) != Due::Nothing);
        Ok(Self {
            id: row.endpoint.to_string(),
            url: settings.url_for(reader),
            description: settings.description.clone(),
            classes: settings.classes.iter().map(Class::text).collect(),
            scopes: settings.scopes.iter().map(Scope::text).collect(),
            payload: settings.payload.text(),
            profile: settings.profile.text(),
            ordered: settings.is_ordered,
            client_certificate: ClientCertificateBody::of(&settings.channel),
            pins: settings.channel.pins.iter().map(ToString::to_string).collect(),
            oauth: OAuthBody::of(&settings.channel),
            state: standing.state.text(),
            disabled_reason,
            proven: standing.is_proven,
            blocked: standing.blocked.map(BlockReason::text),
            stopped: settings
                .classes
                .iter()
                .filter(|class| loaded.stopped.has(*class))
                .map(Class::text)
                .collect(),
            failing_since: failing.map(|failing| failing.since.to_string()),
            disables_at: failing.map(|failing| failing.since.plus_s(limits::WEBHOOK_FAILING_S).to_string()),
            recovery: ResentBody::of(&condition.again, Wish::Recover),
            replay: ResentBody::of(&condition.again, Wish::Replay),
            keys,
            jwks_uri: format!("{public_url}/webhooks/{}/jwks.json", row.endpoint),
            created_at: row.created_at.to_string(),
        })
    }

    /// The same with the secret of a key that is new.
    pub(super) fn with_secret(mut self, key: &str, secret: &str) -> Self {
        for one in self.keys.iter_mut().filter(|one| one.id == key) {
            one.secret = Some(secret.to_owned());
        }
        self
    }
}

/// What the probes of a receiver showed.
#[derive(Serialize, ToSchema)]
pub(super) struct ProofBody {
    /// When the last answer was there.
    at: String,
    /// Whether every probe showed what it should.
    proven: bool,
    /// One for each probe, in the order in which they are sent.
    probes: Vec<ProbeBody>,
}

/// What one probe showed.
#[derive(Serialize, ToSchema)]
pub(super) struct ProbeBody {
    /// Which: `good`, `forged`, `stale`, `tampered`, `replayed`, `swapped` or `wrong_key_id`.
    probe: &'static str,
    /// What was sent.
    sent: &'static str,
    /// What a receiver should answer.
    expected: &'static str,
    /// The status that came; null if none did.
    status: Option<u16>,
    /// What came, in words.
    came: String,
    /// `passed`, `failed`, or `unclear` where it shows neither.
    finding: &'static str,
    /// How to mend it; empty where it passed.
    advice: String,
    /// Where the documentation tells more.
    page: String,
}

impl ProofBody {
    /// A report.
    pub(super) fn of(report: &Report) -> Self {
        let probe = |line: &Line| ProbeBody {
            probe: line.probe,
            sent: line.sent,
            expected: line.expected,
            status: line.status,
            came: line.came.clone(),
            finding: line.finding,
            advice: line.advice.clone(),
            page: line.page.clone(),
        };
        let probes = report.probes.iter().map(probe).collect();
        Self { at: report.at.to_string(), proven: report.is_proven, probes }
    }
}

/// A delivery as it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryBody {
    /// The message: `webhook-id`.
    #[schema(pattern = "^msg_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// The type of the event; null where whoever asks may not read events of its class.
    r#type: Option<String>,
    /// Its class.
    class: &'static str,
    /// The envelope; null for events of security and for tests.
    envelope: Option<String>,
    /// The position of the event in its stream.
    sequence: u64,
    /// When the event happened.
    at: String,
    /// The request or job that caused it.
    correlation: String,
    /// `due` (to be tried), `parked` (blocked), `delivered` or `failed` (given up).
    state: &'static str,
    /// When it is tried next, while it is due; when it was over, afterwards.
    due_at: String,
    /// How often it was tried. An attempt whose token was refused counts with the one that followed at once.
    attempts: u32,
}

impl DeliveryBody {
    /// A delivery, for a reader with these scopes.
    pub(super) fn of(row: &DeliveryRow, reader: Scopes) -> Self {
        let message = &row.message;
        let class = Class::ALL.into_iter().find(|class| u32::from(class.bit()) == message.class);
        let is_of_envelope = !matches!(class, Some(Class::Security | Class::Test) | None);
        Self {
            id: message.message.to_string(),
            r#type: class.filter(|class| class.is_read_by(reader)).map(|_| message.kind.clone()),
            class: class.map_or("", Class::text),
            envelope: is_of_envelope.then(|| message.stream.to_string()),
            sequence: message.seq,
            at: message.at.to_string(),
            correlation: message.correlation.to_string(),
            state: row.state.text(),
            due_at: row.due_at.to_string(),
            attempts: row.attempt_count,
        }
    }
}

/// An attempt as it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct AttemptBody {
    /// Its id: `webhook-attempt-id`.
    #[schema(pattern = "^att_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// When it began.
    at: String,
    /// How long it took, in milliseconds.
    took_ms: u32,
    /// `webhook-timestamp`.
    signed_s: i64,
    /// The status of the answer; null if none came.
    status: Option<u16>,
    /// `delivered`, `again` (it is tried again), `token_refused` (tried again at once with another token), `gone` (410) or
    /// `given_up`.
    outcome: String,
    /// The headers that were sent, without the signatures.
    headers: Vec<HeaderBody>,
    /// How the answer began, or why there was none.
    answer: String,
    /// `Retry-After` of the answer; null if there was none.
    retry_after: Option<RetryAfterBody>,
}

/// How long a receiver asked to wait (RFC 9110 §10.2.3).
#[derive(Serialize, ToSchema)]
pub(super) struct RetryAfterBody {
    /// As it came, cut to 60 characters.
    value: String,
    /// Whether the next attempt is when it says, or after an hour where it says later: of 429 and 503, where it is a number of
    /// seconds or a date of HTTP, 24 times at most for a delivery.
    followed: bool,
}

/// A header.
#[derive(Serialize, ToSchema)]
pub(super) struct HeaderBody {
    /// Its name, in small letters.
    name: String,
    /// Its value.
    value: String,
}

impl AttemptBody {
    /// An attempt.
    pub(super) fn of(organization: &Organization, row: &AttemptRow) -> Result<Self, Fault> {
        let kept = attempt::kept(organization, row)?;
        Ok(Self {
            id: row.attempt.to_string(),
            at: row.at.to_string(),
            took_ms: row.took_ms,
            signed_s: row.signed_s,
            status: row.status,
            outcome: row.outcome.clone(),
            headers: kept.headers.into_iter().map(|(name, value)| HeaderBody { name, value }).collect(),
            answer: kept.answer,
            retry_after: kept
                .retry_after
                .map(|asked| RetryAfterBody { value: asked.value, followed: asked.is_followed }),
        })
    }
}
