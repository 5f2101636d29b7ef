//! What the forms of webhook endpoints send. How far an endpoint may be told is not asked: it follows from what it is to be told.

use countersign_core::{
    limits,
    refusal::{Code, Refusal},
    scope::Scopes,
    time::Time,
    webhook::{
        channel::Channel,
        class::{Class, Classes, Payload},
        endpoint::{Profile, Settings},
        standing::BlockReason,
    },
};
use serde::Deserialize;

use super::channel_form::{ChannelFields, shown};
pub(super) use crate::console::members::Nothing;
use crate::webhooks::endpoints::Edit;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

/// The overlaps that the page offers, in seconds.
pub(super) const OVERLAPS: &[(i64, &str)] = &[
    (0, "Not at all: the old key ends now"),
    (HOUR_S, "1 hour"),
    (limits::WEBHOOK_KEY_OVERLAP_DEFAULT_S, "1 day"),
    (7 * DAY_S, "7 days"),
    (limits::WEBHOOK_KEY_OVERLAP_S, "30 days"),
];

/// Whether something that cannot be undone is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SureForm {
    sure: Option<String>,
}

impl SureForm {
    /// One click ends nothing: what has ended does not come back.
    pub(super) fn check(&self, what: &str) -> Result<(), Refusal> {
        if self.sure.as_deref() == Some("yes") {
            return Ok(());
        }
        let sentence = format!("confirm that {what} is to end: its end cannot be undone");
        Err(Refusal::at(Code::Invalid, "/sure", sentence))
    }
}

/// Why deliveries are to be blocked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockForm {
    reason: String,
}

impl BlockForm {
    pub(super) fn reason(&self) -> Result<BlockReason, Refusal> {
        BlockReason::parse(&self.reason).ok_or_else(unreadable)
    }
}

/// How long the old key signs beside the new one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PromoteForm {
    pub(super) overlap_s: i64,
}

/// From when on to send again, as browsers write a moment without a zone: it is of UTC.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SinceForm {
    pub(super) since: String,
}

impl SinceForm {
    pub(super) fn time(&self) -> Result<Time, Refusal> {
        let typed = self.since.trim();
        // Browsers leave out the seconds where they are zero.
        let seconds = if typed.len() == "2026-01-31T08:00".len() { ":00" } else { "" };
        let wrong = |_| Refusal::at(Code::Invalid, "/since", "write a moment like 2026-01-31T08:00, in UTC");
        Time::of_rfc3339(&format!("{typed}{seconds}Z")).map_err(wrong)
    }
}

/// A moment as a field for it shows it: to the minute, in UTC.
pub(super) fn minute(at: Time) -> String {
    at.to_string().chars().take("2026-01-31T08:00".len()).collect()
}

pub(super) fn unreadable() -> Refusal {
    Refusal::new(Code::Malformed, "reload the page and try again")
}

/// What was typed about an endpoint. It may be a secret in any field, so that there is no `Debug`.
#[derive(Default)]
pub(super) struct Fields {
    url: String,
    description: String,
    /// How much it is told.
    pub(super) payload: String,
    /// How its messages are signed.
    pub(super) profile: String,
    /// `yes` where events of an envelope wait for each other.
    ordered: String,
    /// What is shown to the receiver and asked of it besides.
    pub(super) channel: ChannelFields,
    classes: Vec<String>,
    /// The fields that were sent, whatever was in them.
    sent: Vec<String>,
}

impl Fields {
    /// A form that is empty but for what most choose.
    pub(super) fn new() -> Self {
        Self {
            payload: Payload::Thin.text().to_owned(),
            profile: Profile::Standard.text().to_owned(),
            classes: vec![Class::Envelope.text().to_owned()],
            ..Self::default()
        }
    }

    /// What an endpoint is.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            url: settings.url.clone(),
            description: settings.description.clone(),
            payload: settings.payload.text().to_owned(),
            profile: settings.profile.text().to_owned(),
            ordered: if settings.is_ordered { "yes".to_owned() } else { String::new() },
            channel: ChannelFields::of(&settings.channel),
            classes: settings.classes.iter().map(|class| class.text().to_owned()).collect(),
            sent: Vec::new(),
        }
    }

    /// Reads a form: each field once at most, but for classes.
    pub(super) fn read(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for (name, value) in pairs {
            if name == "class" {
                fields.classes.push(value);
                continue;
            }
            if fields.sent.contains(&name) {
                return Err(unreadable());
            }
            if let Some(field) = fields.field(&name) {
                *field = value;
            } else if !fields.channel.take(&name, value) {
                return Err(unreadable());
            }
            fields.sent.push(name);
        }
        let is_sent = |name: &str| fields.sent.iter().any(|sent| sent == name);
        let is_whole = ["url", "description", "payload", "profile"].into_iter().all(is_sent);
        let is_known = matches!(fields.ordered.as_str(), "" | "yes") && fields.channel.is_known();
        if is_whole && is_known { Ok(fields) } else { Err(unreadable()) }
    }

    fn field(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "url" => &mut self.url,
            "description" => &mut self.description,
            "payload" => &mut self.payload,
            "profile" => &mut self.profile,
            "ordered" => &mut self.ordered,
            _ => return None,
        })
    }

    /// Where messages go, as it was typed.
    pub(super) fn url(&self) -> &str {
        shown(&self.url)
    }

    /// The same of what people call it.
    pub(super) fn description(&self) -> &str {
        shown(&self.description)
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.ordered == "yes"
    }

    /// Whether a class is ticked.
    pub(super) fn has(&self, class: Class) -> bool {
        self.classes.iter().any(|text| text == class.text())
    }

    fn classes(&self) -> Result<Classes, Refusal> {
        let read: Option<Classes> = self.classes.iter().map(|text| Class::parse(text)).collect();
        let classes = read.ok_or_else(unreadable)?;
        if classes.is_empty() {
            let sentence = "choose at least one thing that the endpoint is told of";
            return Err(Refusal::at(Code::Invalid, "/classes", sentence));
        }
        Ok(classes)
    }

    /// An endpoint to make, told as far as this takes, by somebody who may give so much.
    pub(super) fn settings(&self, giver: Scopes) -> Result<Settings, Refusal> {
        self.with(giver, self.channel.read()?)
    }

    fn with(&self, giver: Scopes, channel: Channel) -> Result<Settings, Refusal> {
        let classes = self.classes()?;
        let payload = Payload::parse(&self.payload).ok_or_else(unreadable)?;
        let profile = Profile::parse(&self.profile).ok_or_else(unreadable)?;
        Ok(Settings {
            url: self.url.trim().to_owned(),
            description: self.description.trim().to_owned(),
            classes,
            scopes: scopes(classes, payload, giver)?,
            payload,
            profile,
            is_ordered: self.is_ordered(),
            channel,
        })
    }

    /// An endpoint to change. One that is told of the same things keeps its scopes.
    pub(super) fn edit(&self, old: &Settings, giver: Scopes) -> Result<Edit, Refusal> {
        let is_same = self.classes()? == old.classes && Payload::parse(&self.payload) == Some(old.payload);
        let giver = if is_same { Scopes::ALL } else { giver };
        let new = self.with(giver, Channel::default())?;
        Ok(Edit {
            url: Some(new.url),
            description: Some(new.description),
            classes: Some(new.classes),
            scopes: (!is_same).then_some(new.scopes),
            payload: Some(new.payload),
            profile: Some(new.profile),
            is_ordered: Some(new.is_ordered),
            certificate: self.channel.read_certificate()?,
            pins: self.channel.read_pins()?,
            oauth: self.channel.read_oauth()?,
        })
    }
}

/// The scopes that it takes to be told so much of these classes: no more, and none that the giver does not have.
fn scopes(classes: Classes, payload: Payload, giver: Scopes) -> Result<Scopes, Refusal> {
    let missing = classes.iter().find(|class| class.needs(payload).is_some_and(|scope| !giver.has(scope)));
    if let Some(class) = missing {
        let sentence = format!(
            "your role may not read events of the class `{}` here with a {} payload, so no endpoint of yours is told of them: \
             leave them out, or ask an owner or admin to do this",
            class.text(),
            payload.text()
        );
        return Err(Refusal::at(Code::Invalid, "/classes", sentence));
    }
    Ok(classes.iter().filter_map(|class| class.needs(payload)).collect())
}
