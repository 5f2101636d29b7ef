//! The security events of an environment, newest first, with their places in the chain and the log; and the chain itself as
//! lines of JSON, to keep and to check elsewhere.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    access::Operation,
    refusal::{Code, Refusal},
    security::SecurityActor,
    time::Time,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Moment,
    desk::{self, Desk, Frame, Place, Tab},
    notice::NotShown,
    read_query,
};
use crate::{
    accounts::people,
    app::App,
    clients::Registered,
    fault::{Failure, Fault},
    security::reading::{self, Read, Wanted},
    signer::{assets::Assets, strict::Caller},
};

/// Events on one page.
const PAGE: usize = 50;
/// Events in one file.
const LINES: usize = 10_000;
/// Seconds of a day.
const DAY_S: i64 = 24 * 3_600;

/// The groups of events, as their kinds begin, in words.
const GROUPS: [(&str, &str); 13] = [
    ("user", "Signing in and out"),
    ("factor", "Passkeys and codes"),
    ("password", "Passwords"),
    ("provider", "Sign-in through a provider"),
    ("member", "Members"),
    ("client", "Clients"),
    ("grant", "Consents"),
    ("token", "Tokens"),
    ("access", "Refused access"),
    ("key", "API keys"),
    ("signing_key", "Signing keys"),
    ("webhook", "Webhooks"),
    ("webhook_key", "Keys of webhooks"),
];

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    kind: Option<String>,
    actor: Option<String>,
    from: Option<String>,
    until: Option<String>,
    before: Option<String>,
}

fn some(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The beginning of a day in UTC.
fn day(text: Option<&str>) -> Result<Option<Time>, Refusal> {
    let day = some(text).map(|text| Time::of_rfc3339(&format!("{text}T00:00:00Z"))).transpose();
    day.map_err(|_| Refusal::new(Code::Malformed, "a day is written like 2026-01-31"))
}

impl Query {
    fn wanted(&self) -> Result<Wanted, Refusal> {
        let wanted = Wanted {
            kind: some(self.kind.as_deref()),
            actor: some(self.actor.as_deref()),
            from: day(self.from.as_deref())?,
            until: day(self.until.as_deref())?.map(|day| day.plus_s(DAY_S)),
        };
        wanted.check()?;
        Ok(wanted)
    }

    /// The address of the next page with the same filter. What was checked needs no escaping.
    fn next(&self, place: Place, before: u64) -> String {
        let mut address = format!("{}?before={before}", place.page("/security"));
        for (name, value) in
            [("kind", &self.kind), ("actor", &self.actor), ("from", &self.from), ("until", &self.until)]
        {
            if let Some(value) = some(value.as_deref()) {
                address.extend(["&", name, "=", &value]);
            }
        }
        address
    }
}

struct Choice {
    value: String,
    words: String,
    is_chosen: bool,
}

struct EventLine {
    seq: u64,
    id: String,
    kind: String,
    words: &'static str,
    who: String,
    at: Moment,
    fields: Vec<(String, String)>,
    ip: Option<String>,
    user_agent: Option<String>,
    correlation: String,
    sha256: String,
    log_index: Option<u64>,
}

struct Part {
    href: String,
    first: u64,
    last: u64,
}

#[derive(Template)]
#[template(path = "console/security.html")]
struct SecurityPage {
    assets: Assets,
    frame: Frame,
    events: Vec<EventLine>,
    next: Option<String>,
    groups: Vec<Choice>,
    actors: Vec<Choice>,
    from: String,
    until: String,
    is_filtered: bool,
    parts: Vec<Part>,
}

/// Names of those who are in events.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    /// Members of now and before.
    async fn of_members(app: &App, desk: &Desk) -> Result<Self, Fault> {
        let mut names = Self::default();
        for row in app.store.members(desk.place.organization).await? {
            if let Some(user) = people::by_id(app, row.user).await? {
                names.0.insert(row.user.to_string(), user.name.disclose().clone());
            }
        }
        Ok(names)
    }

    /// Adds the clients that these events name.
    async fn add_clients(&mut self, app: &App, desk: &Desk, events: &[Read]) -> Result<(), Fault> {
        for read in events {
            let event = serde_json::to_value(&read.placed.event).unwrap_or_default();
            let named = [event.pointer("/actor/client"), event.pointer("/body/value/client")];
            for id in named.into_iter().flatten().filter_map(Value::as_str) {
                if self.0.contains_key(id) {
                    continue;
                }
                let Ok(client) = id.parse() else { continue };
                let row = app.store.client(client).await?;
                if let Some(row) = row.filter(|row| row.tenant == *desk.principal.tenant()) {
                    let name = Registered::read(row)?.registration.client_name;
                    self.0.insert(id.to_owned(), name);
                }
            }
        }
        Ok(())
    }

    /// A name, or the id itself.
    fn of(&self, id: &str) -> String {
        self.0.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    fn actor(&self, actor: &SecurityActor) -> String {
        match actor {
            SecurityActor::System => "The server".to_owned(),
            SecurityActor::Operator => "The operator".to_owned(),
            SecurityActor::Unknown => "Somebody unknown".to_owned(),
            SecurityActor::ApiKey { key } => format!("API key {key}"),
            SecurityActor::Client { client, user: None } => self.of(&client.to_string()),
            SecurityActor::Client { client, user: Some(user) } => {
                format!("{} for {}", self.of(&client.to_string()), self.of(&user.to_string()))
            }
            SecurityActor::User { user, .. } => self.of(&user.to_string()),
        }
    }
}

fn line(names: &Names, read: Read) -> EventLine {
    let event = &read.placed.event;
    let kind = event.body.kind();
    let body = serde_json::to_value(&event.body).unwrap_or_default();
    let fields = body.get("value").and_then(Value::as_object).into_iter().flatten();
    let fields = fields.map(|(name, value)| {
        let text = plain(value);
        let shown = match names.of(&text) {
            name if name == text => text,
            name => format!("{name} ({text})"),
        };
        (name.replace('_', " "), shown)
    });
    EventLine {
        seq: read.stored.seq,
        id: event.id.to_string(),
        words: words(&kind),
        who: names.actor(&event.actor),
        at: event.at.into(),
        fields: fields.collect(),
        ip: read.ip,
        user_agent: read.user_agent,
        correlation: event.correlation.to_string(),
        sha256: read.stored.hash.to_string(),
        log_index: read.stored.log_index,
        kind,
    }
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// What happened, in a few words.
fn words(kind: &str) -> &'static str {
    match kind {
        "client.registered" => "A client was registered",
        "client.changed" => "A client was changed",
        "client.ended" => "A client was ended",
        "client.failed" => "A client did not prove who it is",
        "grant.consented" => "Access was allowed",
        "grant.refused" => "Access was refused by a person",
        "grant.ended" => "Access was ended",
        "token.issued" => "A token was issued",
        "token.refreshed" => "A token was refreshed",
        "token.refresh_retried" => "A refresh was tried again",
        "token.refresh_reused" => "A refresh token was used twice: its access has ended",
        "token.code_reused" => "An authorization code was used twice: its access has ended",
        "token.revoked" => "A token was given up",
        "token.introspected" => "A token was asked about",
        "access.refused" => "A token or key was refused",
        "key.created" => "An API key was created",
        "key.rotated" => "An API key was rotated",
        "key.changed" => "An API key was changed",
        "key.ended" => "An API key was ended",
        "key.used" => "An API key was used from a new place",
        "key.warned" => "The end of an API key was announced",
        "member.invited" => "Somebody was invited",
        "member.invitation_cancelled" => "An invitation was taken back",
        "member.joined" => "Somebody became a member",
        "member.changed" => "A member got another role",
        "member.removed" => "A member was removed",
        "user.signed_in" => "Signed in",
        "user.stepped_up" => "Confirmed who it is",
        "user.failed" => "A sign-in failed",
        "user.locked" => "Sign-in was locked",
        "user.signed_out" => "A session ended",
        "factor.added" => "A passkey or code was added",
        "factor.removed" => "A passkey or code was removed",
        "factor.cloned" => "A passkey may have been copied",
        "password.changed" => "A password was set",
        "password.reset_asked" => "A link to reset a password was asked for",
        "provider.set" => "The organization's OpenID provider was set",
        "provider.removed" => "The organization's OpenID provider was removed",
        "provider.failed" => "A sign-in through the OpenID provider failed",
        "signing_key.changed" => "A signing key changed its state",
        _ => words_of_webhooks(kind),
    }
}

/// What happened to webhooks.
fn words_of_webhooks(kind: &str) -> &'static str {
    match kind {
        "webhook.created" => "A webhook endpoint was created",
        "webhook.changed" => "A webhook endpoint was changed",
        "webhook.ended" => "A webhook endpoint was ended",
        "webhook.probed" => "The receiver of a webhook endpoint was probed",
        "webhook.activated" => "A webhook endpoint was activated",
        "webhook.disabled" => "A webhook endpoint was disabled",
        "webhook.blocked" => "Deliveries of webhooks were blocked",
        "webhook.released" => "Deliveries of webhooks were released",
        "webhook.resent" => "A message was sent again",
        "webhook.recovered" => "Messages that had failed were sent again",
        "webhook.replayed" => "Events that had been missed were sent",
        "webhook_key.staged" => "A key of a webhook endpoint was made",
        "webhook_key.joined" => "A new key of a webhook endpoint began to sign",
        "webhook_key.proven" => "A receiver accepted a new key",
        "webhook_key.promoted" => "A key of a webhook endpoint was promoted",
        "webhook_key.retired" => "A key of a webhook endpoint was retired",
        "webhook_key.revoked" => "A key of a webhook endpoint was revoked",
        _ => UNKNOWN,
    }
}

/// What is said of an event of a newer server.
const UNKNOWN: &str = "Something happened";

/// `GET /console/{organization}/{environment}/security`
pub async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    uri: Uri,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &place.page("/security")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = *desk.allow(&app, Operation::ListSecurityEvents)?;
    let query: Query = read_query(&uri)?;
    let wanted = query.wanted()?;
    let before = some(query.before.as_deref()).map(|text| text.parse::<u32>()).transpose();
    let before = before.map_err(|_| Refusal::not_found())?.map(u64::from);
    let found = reading::page(&app, &tenant, &wanted, before, PAGE).await?;
    let mut names = Names::of_members(&app, &desk).await?;
    let actors = actors(&names, wanted.actor.as_deref());
    names.add_clients(&app, &desk, &found.events).await?;
    let head = app.store.security_head(&tenant).await.map_err(Failure::from)?.map_or(0, |(seq, _)| seq);
    let page = SecurityPage {
        assets: Assets,
        frame: desk.frame(&app, &caller, Tab::Security).await?,
        next: found.next.map(|before| query.next(place, before)),
        events: found.events.into_iter().map(|read| line(&names, read)).collect(),
        groups: GROUPS.iter().map(|(value, words)| choice(value, words, wanted.kind.as_deref())).collect(),
        actors,
        from: some(query.from.as_deref()).unwrap_or_default(),
        until: some(query.until.as_deref()).unwrap_or_default(),
        is_filtered: wanted.kind.is_some()
            || wanted.actor.is_some()
            || wanted.from.is_some()
            || wanted.until.is_some(),
        parts: parts(place, head),
    };
    page.frame.show(&page)
}

fn choice(value: &str, words: &str, chosen: Option<&str>) -> Choice {
    Choice { value: value.to_owned(), words: words.to_owned(), is_chosen: chosen == Some(value) }
}

/// The members by name, those who are none, and whoever else is chosen.
fn actors(names: &Names, chosen: Option<&str>) -> Vec<Choice> {
    let mut choices: Vec<Choice> = names.0.iter().map(|(id, name)| choice(id, name, chosen)).collect();
    choices.sort_by_cached_key(|choice| choice.words.to_lowercase());
    let others = [("operator", "The operator"), ("system", "The server"), ("unknown", "Somebody unknown")];
    choices.extend(others.iter().map(|(value, words)| choice(value, words, chosen)));
    if let Some(chosen) = chosen.filter(|chosen| !choices.iter().any(|choice| choice.value == *chosen)) {
        choices.push(choice(chosen, chosen, Some(chosen)));
    }
    choices
}

fn parts(place: Place, head: u64) -> Vec<Part> {
    let size = u64::try_from(LINES).unwrap_or(u64::MAX);
    let firsts = (0..head.div_ceil(size)).rev().map(|part| part * size + 1);
    firsts
        .map(|first| Part {
            href: place.page(&format!("/security/export?from={first}")),
            first,
            last: (first + size - 1).min(head),
        })
        .collect()
}

/// From which event on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstLine {
    from: Option<String>,
}

/// `GET /console/{organization}/{environment}/security/export`: events as they are chained, oldest first, one a line. Names
/// and addresses are commitments in them; `countersign doctor` and the log vouch for their order.
pub async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    uri: Uri,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &place.page("/security")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = desk.allow(&app, Operation::ListSecurityEvents)?;
    let query: FirstLine = read_query(&uri)?;
    let from = some(query.from.as_deref()).map_or(Ok(1), |text| text.parse::<u32>());
    let from = u64::from(from.map_err(|_| Refusal::not_found())?.max(1));
    let mut file = reading::lines(&app, tenant, from, LINES).await?.join(&b'\n');
    file.push(b'\n');
    let mut response = file.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let name = format!("attachment; filename=\"security-{}-{from}.jsonl\"", place.environment.text());
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use countersign_core::webhook::{catalogue, class::Class};

    use super::*;

    /// S-2: whatever happens is said in words of its own, and found by its group.
    #[test]
    fn each_kind_of_event_has_words_and_a_group() {
        let kinds: Vec<_> = catalogue::kinds().iter().filter(|kind| kind.class == Class::Security).collect();
        let said: BTreeSet<_> = kinds.iter().map(|kind| words(&kind.r#type)).collect();
        assert!(said.len() == kinds.len() && kinds.len() > 50, "{}: {said:?}", kinds.len());
        for kind in kinds {
            assert_ne!(words(&kind.r#type), UNKNOWN, "{}", kind.r#type);
            let group = kind.r#type.split_once('.').unwrap().0;
            assert!(GROUPS.iter().any(|(known, _)| *known == group), "{}", kind.r#type);
        }
    }
}
