//! What the forms of API keys send. A scope that is ticked comes as one pair among others, as browsers send it.

use countersign_core::{
    api_key::{Edit, Wish},
    limits,
    network::Networks,
    refusal::{Code, Refusal},
    scope::{Scope, Scopes},
};
use serde::Deserialize;

use crate::api_keys::Rotating;

const DAY_S: i64 = 24 * 3_600;

/// The overlaps that the page offers, in seconds.
pub(super) const OVERLAPS: &[(i64, &str)] = &[
    (0, "Not at all: the old key ends now"),
    (3_600, "1 hour"),
    (DAY_S, "1 day"),
    (3 * DAY_S, "3 days"),
    (limits::API_KEY_OVERLAP_S, "7 days"),
];

/// The overlap of a rotation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateForm {
    overlap_s: i64,
}

impl RotateForm {
    /// How the key is rotated.
    pub(super) fn how(&self) -> Rotating {
        Rotating { overlap_s: self.overlap_s, lifetime_s: None }
    }
}

/// Whether the end of a key is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndForm {
    sure: Option<String>,
}

impl EndForm {
    /// One click ends nothing: what has ended does not come back.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.sure.as_deref() == Some("yes") {
            return Ok(());
        }
        Err(Refusal::at(Code::Invalid, "/sure", "confirm that the key is to end: its end cannot be undone"))
    }
}

fn unreadable() -> Refusal {
    Refusal::new(Code::Malformed, "reload the page and try again")
}

/// What was typed about a key.
#[derive(Debug)]
pub(super) struct Fields {
    /// The name.
    pub(super) label: String,
    /// Networks, one a line.
    pub(super) networks: String,
    /// Days until it ends.
    pub(super) days: String,
    scopes: Vec<String>,
    /// The fields that were sent, whatever was in them.
    sent: Vec<String>,
}

impl Default for Fields {
    fn default() -> Self {
        let days = (limits::API_KEY_S / DAY_S).to_string();
        Self { label: String::new(), networks: String::new(), days, scopes: Vec::new(), sent: Vec::new() }
    }
}

impl Fields {
    /// Reads a form: each field once at most, but for scopes.
    pub(super) fn read(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for (name, value) in pairs {
            if name == "scope" {
                fields.scopes.push(value);
                continue;
            }
            let is_again = fields.sent.contains(&name);
            let field = match name.as_str() {
                "label" if !is_again => &mut fields.label,
                "networks" if !is_again => &mut fields.networks,
                "days" if !is_again => &mut fields.days,
                _ => return Err(unreadable()),
            };
            *field = value;
            fields.sent.push(name);
        }
        Ok(fields)
    }

    /// The scopes that are ticked, as far as they are known.
    pub(super) fn chosen(&self) -> Scopes {
        self.scopes.iter().filter_map(|name| Scope::parse(name)).collect()
    }

    fn scopes(&self) -> Result<Scopes, Refusal> {
        let read = self.scopes.iter().map(|name| Scope::parse(name));
        let read: Option<Scopes> = read.collect();
        let scopes = read.ok_or_else(unreadable)?;
        if scopes.is_empty() {
            return Err(Refusal::at(
                Code::Invalid,
                "/scopes",
                "choose at least one thing that the key may do",
            ));
        }
        Ok(scopes)
    }

    fn check_sent(&self, names: &[&str]) -> Result<(), Refusal> {
        let is_sent = |name: &&str| self.sent.iter().any(|sent| sent == *name);
        if names.iter().all(is_sent) { Ok(()) } else { Err(unreadable()) }
    }

    fn networks(&self) -> Result<Networks, Refusal> {
        let words = self.networks.split([' ', ',', '\n', '\r', '\t']).filter(|word| !word.is_empty());
        Networks::read(&words.map(str::to_owned).collect::<Vec<_>>())
    }

    /// A key to make. A form without its networks is none: it would open the key to all of them.
    pub(super) fn wish(&self) -> Result<Wish, Refusal> {
        self.check_sent(&["label", "networks", "days"])?;
        let days = self
            .days
            .trim()
            .parse::<i64>()
            .ok()
            .filter(|days| (1..=limits::API_KEY_S / DAY_S).contains(days));
        let days = days.ok_or_else(|| {
            let sentence = format!("a key lives between 1 and {} days", limits::API_KEY_S / DAY_S);
            Refusal::at(Code::Invalid, "/days", sentence)
        })?;
        Ok(Wish {
            label: self.label.clone(),
            scopes: self.scopes()?,
            networks: self.networks()?,
            lifetime_s: days * DAY_S,
        })
    }

    /// A key to change. A form without its networks is none: it would open the key to all of them.
    pub(super) fn edit(&self) -> Result<Edit, Refusal> {
        self.check_sent(&["label", "networks"])?;
        Ok(Edit {
            label: Some(self.label.clone()),
            scopes: Some(self.scopes()?),
            networks: Some(self.networks()?),
        })
    }
}
