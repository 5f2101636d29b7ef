//! How an API key is written: what is asked for, and what is shown of it.

use countersign_core::{
    limits,
    refusal::{Code, Refusal},
    scope::{Scope, Scopes},
    secret::PlainToken,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api_keys::{Known, State, token_kind, uses},
    app::Records,
    fault::Fault,
};

/// A key to make. Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeyBody {
    /// What people call it, one line of at most 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    pub(super) label: String,
    /// What it may do: scopes that whoever asks has as well, and no admin scope.
    #[schema(max_items = 64)]
    pub(super) scopes: Vec<String>,
    /// From where it is taken, as addresses or networks like `192.0.2.0/24` or `2001:db8::/32`; from everywhere if none is named.
    #[serde(default)]
    #[schema(max_items = 32)]
    pub(super) networks: Vec<String>,
    /// How long it lives, in seconds; 90 days by default and at most.
    #[serde(default = "longest")]
    #[schema(minimum = 1, maximum = 7_776_000, default = 7_776_000)]
    pub(super) lifetime_s: i64,
}

fn longest() -> i64 {
    limits::API_KEY_S
}

/// What is to be otherwise about a key. What is left out stays as it is; unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyEditBody {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    pub(super) label: Option<String>,
    /// What it may do: some of what it had, or all; never more.
    #[schema(max_items = 64)]
    pub(super) scopes: Option<Vec<String>>,
    /// From where it is taken; from everywhere if the list is empty.
    #[schema(max_items = 32)]
    pub(super) networks: Option<Vec<String>>,
}

/// How a key is rotated. Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotationBody {
    /// How long the old key works beside the new one, in seconds; a day by default, 7 days at most. With 0 it ends at once.
    #[serde(default = "overlap")]
    #[schema(minimum = 0, maximum = 604_800, default = 86_400)]
    pub(super) overlap_s: i64,
    /// How long the new key lives, in seconds; by default as long as the old one was to live.
    #[schema(minimum = 1, maximum = 7_776_000)]
    pub(super) lifetime_s: Option<i64>,
}

fn overlap() -> i64 {
    limits::API_KEY_OVERLAP_DEFAULT_S
}

/// A key as it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyBody {
    /// Its id.
    #[schema(pattern = "^key_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// The key itself: in the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// What the token begins with.
    prefix: &'static str,
    /// What people call it.
    label: String,
    /// `active`, `replaced` (rotated, and working until its overlap is over) or `ended`.
    state: &'static str,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// From where it is taken; from everywhere if there is none.
    networks: Vec<String>,
    /// When it was made (RFC 3339, UTC).
    created_at: String,
    /// The member who made it, in person or through a client; null where it was nobody.
    created_by: Option<String>,
    /// When it ends or ended.
    expires_at: String,
    /// The key that it takes over from.
    replaces: Option<String>,
    /// The key that it was rotated to.
    replaced_by: Option<String>,
    /// Its last use, known to the minute.
    last_used: Option<KeyUseBody>,
}

/// A use of a key.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct KeyUseBody {
    /// When.
    at: String,
    /// From which address.
    ip: String,
    /// By which agent.
    user_agent: Option<String>,
}

impl KeyUseBody {
    /// The last use of a key.
    pub(super) async fn of(app: &Records, known: &Known) -> Result<Option<Self>, Fault> {
        let last = uses::last(app, &known.row).await?;
        Ok(last.map(|(at, origin)| Self { at: at.to_string(), ip: origin.ip, user_agent: origin.user_agent }))
    }
}

impl KeyBody {
    /// A key.
    pub(super) fn of(known: &Known, state: State, used: Option<KeyUseBody>) -> Self {
        let row = &known.row;
        Self {
            id: row.key.to_string(),
            token: None,
            prefix: token_kind(row.tenant.environment()).prefix(),
            label: row.label.clone(),
            state: state.text(),
            scopes: row.scopes.iter().map(Scope::text).collect(),
            networks: row.networks.clone(),
            created_at: row.created_at.to_string(),
            created_by: row.created_by.map(|user| user.to_string()),
            expires_at: row.expires_at.to_string(),
            replaces: row.replaces.map(|key| key.to_string()),
            replaced_by: known.replaced_by.map(|key| key.to_string()),
            last_used: used,
        }
    }

    /// A key that is new, and its token if this is the answer that has it.
    pub(super) fn made(known: &Known, token: Option<&PlainToken>) -> Self {
        Self { token: token.map(|token| token.expose().to_owned()), ..Self::of(known, State::Active, None) }
    }
}

/// Reads names of scopes, and says which is none.
pub(super) fn scopes(names: &[String]) -> Result<Scopes, Refusal> {
    let read = names.iter().enumerate().map(|(index, name)| {
        let unknown = || {
            let sentence = format!("no scope is called `{name}`: docs/scopes.md has them all");
            Refusal::at(Code::Invalid, format!("/scopes/{index}"), sentence)
        };
        Scope::parse(name).ok_or_else(unknown)
    });
    read.collect()
}
