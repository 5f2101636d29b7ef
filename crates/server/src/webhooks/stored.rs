//! How the settings, the condition and the keys of an endpoint are kept: as JSON that never changes but by new members. The
//! settings are encrypted, because an address may hold a secret of the receiver.

use countersign_core::{
    scope::Scopes,
    time::Time,
    webhook::{
        again::Again,
        class::{Classes, Payload},
        endpoint::{Profile, Settings},
        health::Health,
        proof::Answers,
        rotation::{Key, State as KeyState},
        standing::{Standing, State},
    },
};
use countersign_store::{
    Fault as StoreFault,
    webhook_rows::{EndpointRow, Taking, WebhookKeyRow},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::kept_channel::KeptChannel;
use crate::{
    app::{Organization, Randomness},
    fault::Fault,
    keys::Binding,
};

#[derive(Serialize, Deserialize)]
struct KeptSettings {
    url: String,
    description: String,
    classes: Classes,
    scopes: Scopes,
    payload: Payload,
    profile: Profile,
    is_ordered: bool,
    #[serde(default, skip_serializing_if = "KeptChannel::is_empty")]
    channel: KeptChannel,
}

/// What became of an endpoint so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Condition {
    pub(crate) standing: Standing,
    #[serde(default)]
    pub(crate) health: Health,
    /// What the probes of its receiver showed last, at this address and with this profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proof: Option<Proof>,
    /// What somebody has sent again.
    #[serde(default, skip_serializing_if = "is_untouched")]
    pub(crate) again: Again,
}

fn is_untouched(again: &Again) -> bool {
    *again == Again::default()
}

/// What a receiver answered to the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// When the last answer was there.
    pub(crate) at: Time,
    /// What it answered to each.
    pub(crate) answers: Answers,
}

fn corrupt(
    table: &'static str,
    column: &'static str,
    row: &dyn std::fmt::Display,
    error: &serde_json::Error,
) -> Fault {
    let reason = error.to_string();
    Fault::Store(StoreFault::CorruptRow { table, column, row: row.to_string(), reason })
}

fn text<T: Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Task(error.to_string()))
}

fn binding(row: &[u8; 16]) -> Binding {
    Binding::new("webhook-settings", &[row])
}

/// Encrypts settings for keeping in the row of an endpoint.
pub(crate) fn sealed_settings(
    organization: &Organization,
    endpoint: &[u8; 16],
    settings: &Settings,
    random: &dyn Randomness,
) -> Result<Vec<u8>, Fault> {
    let plain = Zeroizing::new(text(&KeptSettings {
        url: settings.url.clone(),
        description: settings.description.clone(),
        classes: settings.classes,
        scopes: settings.scopes,
        payload: settings.payload,
        profile: settings.profile,
        is_ordered: settings.is_ordered,
        channel: KeptChannel::of(&settings.channel),
    })?);
    organization.key.seal(random, &binding(endpoint), plain.as_bytes())
}

pub(crate) fn settings_of(organization: &Organization, row: &EndpointRow) -> Result<Settings, Fault> {
    let plain = organization.key.open(&binding(row.endpoint.as_bytes()), &row.settings)?;
    let kept: KeptSettings = serde_json::from_slice(&plain)
        .map_err(|error| corrupt("endpoints", "settings", &row.endpoint, &error))?;
    let KeptSettings { url, description, classes, scopes, payload, profile, is_ordered, channel } = kept;
    let damaged = || Fault::Sealed(format!("the channel of {}", row.endpoint));
    let channel = channel.opened().ok_or_else(damaged)?;
    Ok(Settings { url, description, classes, scopes, payload, profile, is_ordered, channel })
}

pub(crate) fn condition_text(condition: &Condition) -> Result<String, Fault> {
    text(condition)
}

/// The condition of an endpoint. An end meets any version of the row, and writes nothing here.
pub(crate) fn condition_of(row: &EndpointRow) -> Result<Condition, Fault> {
    let mut kept: Condition = serde_json::from_str(&row.condition)
        .map_err(|error| corrupt("endpoints", "condition", &row.endpoint, &error))?;
    if row.ended_at.is_some() {
        kept.standing.state = State::Ended;
    }
    Ok(kept)
}

/// What the commit of an event does for an endpoint in this condition.
pub(crate) fn taking(standing: Standing) -> Taking {
    match (standing.is_sent(), standing.is_parked()) {
        (true, _) => Taking::Due,
        (false, true) => Taking::Parked,
        (false, false) => Taking::Nothing,
    }
}

pub(crate) fn stage_text(key: &Key) -> Result<String, Fault> {
    text(key)
}

/// Where a key is in its life. Likewise: what was ended before its time is revoked.
pub(crate) fn key_of(row: &WebhookKeyRow) -> Result<Key, Fault> {
    let mut key: Key = serde_json::from_str(&row.stage)
        .map_err(|error| corrupt("webhook_keys", "stage", &row.key, &error))?;
    if row.ended_at.is_some() && key.state != KeyState::Retired {
        key.state = KeyState::Revoked;
    }
    Ok(key)
}
