//! What there is to be told of: every type of event with its class and an example, thin and full, as the code itself has them.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{extract::State, response::Response};
use countersign_core::{
    access::{Environment, Operation},
    id::{EnvelopeId, OrganizationId},
    scope::Scope,
    time::Time,
    webhook::{
        catalogue::{self, Kind},
        class::{Class, Payload},
        payload::{self, Place as At, Subject},
    },
};
use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::lines::{class_name, class_words};
use crate::{
    app::App,
    console::{
        desk::{self, Frame, Place, Tab},
        notice::NotShown,
    },
    fault::Fault,
    signer::{assets::Assets, strict::Caller},
};

/// A type of event.
struct KindLine {
    name: &'static str,
    meaning: &'static str,
    thin: String,
    full: String,
}

/// The types of a class.
struct Group {
    name: &'static str,
    text: &'static str,
    words: &'static str,
    /// The scope that a thin message takes.
    thin: &'static str,
    /// The scope that a full one takes.
    full: &'static str,
    kinds: Vec<KindLine>,
}

#[derive(Template)]
#[template(path = "console/webhook_events.html")]
struct EventsPage {
    assets: Assets,
    frame: Frame,
    groups: Vec<Group>,
}

/// The event in a full message, as `GET /v1/envelopes/{envelope}/events` shows it.
#[derive(Serialize)]
struct EnvelopeEvent<'a> {
    seq: u64,
    r#type: &'a str,
    at: &'a Value,
    sha256: String,
    log_index: Option<u64>,
    chained: &'a Value,
    values: &'a BTreeMap<String, String>,
}

/// The same of a security stream, as `GET /v1/security-events` shows it.
#[derive(Serialize)]
struct SecurityEvent<'a> {
    seq: u64,
    id: &'a Value,
    r#type: &'a str,
    at: &'a Value,
    correlation: &'a Value,
    sha256: String,
    log_index: Option<u64>,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
    chained: &'a Value,
}

/// The place in the log of the examples.
const LOG_INDEX: Option<u64> = Some(4_711);

/// A member of the example of a type; null where it has none.
fn member<'a>(kind: &'a Kind, pointer: &str) -> &'a Value {
    kind.chained.pointer(pointer).unwrap_or(&Value::Null)
}

fn event(kind: &Kind, seq: u64) -> Result<Box<RawValue>, serde_json::Error> {
    let at = member(kind, "/event/at");
    let (r#type, sha256, chained) = (kind.r#type.as_str(), kind.sha256.to_string(), &kind.chained);
    if kind.class == Class::Security {
        let (id, correlation) = (member(kind, "/event/id"), member(kind, "/event/correlation"));
        let (log_index, ip, user_agent) = (LOG_INDEX, Some("192.0.2.7"), Some("Mozilla/5.0"));
        let shown =
            SecurityEvent { seq, id, r#type, at, correlation, sha256, log_index, ip, user_agent, chained };
        return to_raw_value(&shown);
    }
    let values = &kind.values;
    to_raw_value(&EnvelopeEvent { seq, r#type, at, sha256, log_index: LOG_INDEX, chained, values })
}

/// A message about the example of this type, written by what writes all messages.
fn example(kind: &Kind, payload: Payload) -> Result<String, Fault> {
    let unreadable = || Fault::Task(format!("the example of {} cannot be shown", kind.r#type));
    let read = |value: &Value| value.as_str().map(str::to_owned);
    // Security events have their position beside them, those of envelopes in them.
    let seq = member(kind, "/seq").as_u64().or_else(|| member(kind, "/event/seq").as_u64());
    let seq = seq.ok_or_else(unreadable)?;
    let at: Time =
        read(member(kind, "/event/at")).and_then(|text| text.parse().ok()).ok_or_else(unreadable)?;
    let place = if kind.class == Class::Security {
        At::Security { seq, sha256: kind.sha256 }
    } else {
        let envelope: Option<EnvelopeId> =
            read(member(kind, "/event/envelope")).and_then(|text| text.parse().ok());
        At::Envelope { envelope: envelope.ok_or_else(unreadable)?, seq, sha256: kind.sha256 }
    };
    let subject = Subject {
        event_type: &kind.r#type,
        at,
        organization: OrganizationId::from_bytes([0x99; 16]),
        environment: Environment::Sandbox,
        place,
    };
    let full = match payload {
        Payload::Thin => None,
        Payload::Full => Some(event(kind, seq).map_err(|_| unreadable())?),
    };
    let body = payload::body(&subject, full.as_deref()).map_err(|_| unreadable())?;
    Ok(spread(str::from_utf8(&body).map_err(|_| unreadable())?))
}

/// JSON over lines, with its members in the order in which they are sent.
fn spread(json: &str) -> String {
    let (mut shown, mut depth, mut is_text, mut is_escaped) = (String::new(), 0_usize, false, false);
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_closing = |next: Option<&char>| matches!(next, Some('}' | ']'));
        match letter {
            _ if is_text => {
                shown.push(letter);
                is_text = is_escaped || letter != '"';
                is_escaped = !is_escaped && letter == '\\';
                continue;
            }
            '{' | '[' if is_closing(letters.peek()) => {
                shown.push(letter);
                shown.extend(letters.next());
                continue;
            }
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            '"' => is_text = true,
            _ => {}
        }
        let new_line = || format!("\n{}", "  ".repeat(depth));
        match letter {
            '{' | '[' | ',' => shown.extend([letter.to_string(), new_line()]),
            '}' | ']' => shown.extend([new_line(), letter.to_string()]),
            ':' => shown.push_str(": "),
            _ => shown.push(letter),
        }
    }
    shown
}

fn group(class: Class) -> Result<Group, Fault> {
    let mut kinds = Vec::new();
    for kind in catalogue::kinds().iter().filter(|kind| kind.class == class) {
        kinds.push(KindLine {
            name: &kind.r#type,
            meaning: &kind.meaning,
            thin: example(kind, Payload::Thin)?,
            full: example(kind, Payload::Full)?,
        });
    }
    let scope = |payload| class.needs(payload).map_or("", Scope::text);
    let (thin, full) = (scope(Payload::Thin), scope(Payload::Full));
    Ok(Group { name: class_name(class), text: class.text(), words: class_words(class), thin, full, kinds })
}

/// `GET /console/{organization}/{environment}/webhooks/events`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &place.page("/webhooks/events")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    desk.allow(&app, Operation::ListWebhookEndpoints)?;
    let mut groups = Vec::new();
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Test) {
        groups.push(group(class)?);
    }
    let page = EventsPage { assets: Assets, frame: desk.frame(&app, &caller, Tab::Webhooks).await?, groups };
    page.frame.show(&page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W-12: an example is the message as it is sent but for its white space.
    #[test]
    fn an_example_is_the_message_over_lines() {
        let json = r#"{"b":"a \"{,:}\\","a":[1,{}],"c":{"d":[]}}"#;
        let shown = spread(json);
        assert_eq!(
            shown,
            "{\n  \"b\": \"a \\\"{,:}\\\\\",\n  \"a\": [\n    1,\n    {}\n  ],\n  \"c\": {\n    \"d\": []\n  }\n}"
        );
        for kind in catalogue::kinds() {
            for payload in [Payload::Thin, Payload::Full] {
                let shown = example(kind, payload).unwrap();
                let read: Value = serde_json::from_str(&shown).unwrap();
                assert_eq!(read["type"], kind.r#type.as_str());
                assert_eq!(read["data"].get("event").is_some(), payload == Payload::Full);
            }
        }
    }
}
