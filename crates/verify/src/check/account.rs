//! What the events say, in words, for the questions that are asked of evidence (E-9).

use std::{collections::BTreeMap, net::IpAddr};

use countersign_core::{
    access::Environment,
    envelope::{
        Body, Event, Veiled,
        event::{Act, Actor, AdoptionMethod, Factor, IpSource, Role},
        passkey::Passkey,
    },
    id::{MailId, RecipientId},
    level::Level,
};

use crate::line::Followed;

/// One line per answer: who sent it and how, what each recipient did, how each was identified, how the mark was made,
/// who received the signed copy.
pub(super) fn of(events: &[Followed]) -> Vec<String> {
    let mut names: BTreeMap<RecipientId, String> = BTreeMap::new();
    let mut mails: BTreeMap<MailId, &str> = BTreeMap::new();
    let mut lines = vec![environment_line(events)];
    let taken_by = taken_by(events);
    for logged in events {
        let event = &logged.recorded.event;
        let at = event.at.in_utc();
        let who =
            |recipient: &RecipientId| names.get(recipient).cloned().unwrap_or_else(|| recipient.to_string());
        match &event.body {
            Body::Created { organization_name, title, recipients, assurance, .. } => {
                for recipient in recipients {
                    let name = format!("{} ({})", shown(&recipient.name), shown(&recipient.email));
                    names.insert(recipient.id, name);
                }
                lines.push(format!(
                    "{} prepared {} at {at}, {}.",
                    quoted(organization_name),
                    shown(title),
                    by(&event.actor)
                ));
                lines.extend(assurance.map(asked_for));
            }
            Body::Sent { .. } => lines.push(format!("It was sent at {at}, {}.", by(&event.actor))),
            Body::LinkIssued { mail, .. } => {
                mails.insert(*mail, "the signing link");
            }
            Body::Notified { recipient, mail } => {
                let what = mails.get(mail).copied().unwrap_or("a mail");
                lines.push(format!("{taken_by} took {what} for {} at {at}.", who(recipient)));
            }
            Body::SignatureAdopted { recipient, method, .. } => {
                let how = match method {
                    AdoptionMethod::Typed => "typing their name",
                    AdoptionMethod::Drawn => "drawing it",
                };
                lines.push(format!("{} made their signature by {how}, at {at}.", who(recipient)));
            }
            Body::Signed(act) => lines.push(acted(event, &who(&act.recipient), "signed", act)),
            Body::Approved(act) => lines.push(acted(event, &who(&act.recipient), "approved", act)),
            Body::Read(act) => lines.push(acted(event, &who(&act.recipient), "confirmed reading", act)),
            Body::PasskeyRegistered { recipient, passkey, .. } => {
                lines.push(made(event, &who(recipient), passkey));
            }
            Body::PasskeyCloned { recipient, .. } => {
                lines.push(format!(
                    "A passkey of {} was used whose counter had not grown, as if it had been copied, at {at}; it was \
                     not taken.",
                    who(recipient)
                ));
            }
            Body::Sealed { .. } => lines.push(format!("The documents were sealed at {at}.")),
            Body::Copied { recipient, .. } => {
                lines.push(format!(
                    "{taken_by} took the mail with the link to the signed copy for {} at {at}.",
                    who(recipient)
                ));
            }
            _ => {}
        }
    }
    lines.extend(asked_only_for_a_copy(events, &names));
    lines
}

fn environment_line(events: &[Followed]) -> String {
    match events.first().map(|first| &first.recorded.event.body) {
        Some(Body::Created { environment: Environment::Live, .. }) => "This is a live envelope.",
        Some(Body::Created { environment: Environment::Sandbox, .. }) => {
            "This is a sandbox envelope: it was made to try things out and binds nobody."
        }
        _ => "Nothing says whether this is a live envelope.",
    }
    .to_owned()
}

/// What took the mails: those of a sandbox reach nobody.
fn taken_by(events: &[Followed]) -> &'static str {
    match events.first().map(|first| &first.recorded.event.body) {
        Some(Body::Created { environment: Environment::Sandbox, .. }) => "The sandbox's mailbox",
        _ => "The mail server",
    }
}

/// The level that the sender asked for.
fn asked_for(assurance: Level) -> String {
    format!(
        "The sender asked that everybody who signs or approves be identified at {} at least.",
        assurance.text()
    )
}

/// That somebody acted, how it was identified, and what a passkey adds.
fn acted(event: &Event, who: &str, verb: &str, act: &Act) -> String {
    let with = if act.assertion.is_some() {
        " with their passkey, over the hash of what they acted on,"
    } else {
        ""
    };
    format!("{who} {verb}{with} at {}, {}.", event.at.in_utc(), by(&event.actor))
}

/// That somebody made a passkey, and what is known of it.
fn made(event: &Event, who: &str, passkey: &Passkey) -> String {
    let kept = if passkey.backup_eligible {
        "which may be copied to their other devices"
    } else {
        "which stays on one device"
    };
    let (origin, at) = (quoted(&passkey.origin), event.at.in_utc());
    format!("{who} made a passkey on {origin}, {kept}, at {at}, {}.", by(&event.actor))
}

/// How a person was identified, no better than it was.
fn identified(factors: &[Factor]) -> &'static str {
    let has = |factor| factors.contains(&factor);
    match (has(Factor::Passkey), has(Factor::AccessCode), has(Factor::EmailCode)) {
        _ if has(Factor::Totp) => {
            "identified by the mailed link and a code of the authenticator app of a member of the sender's organization"
        }
        (true, _, true) => {
            "identified by the mailed link, a mailed code and a passkey that checked its owner"
        }
        (true, _, false) => {
            "identified by the mailed link and the passkey of an earlier session, which checked its owner"
        }
        (false, true, _) => "identified by the mailed link and an access code from the sender",
        (false, false, true) => "identified by the mailed link and a mailed code",
        (false, false, false) => "identified by the mailed link only",
    }
}

fn asked_only_for_a_copy(events: &[Followed], names: &BTreeMap<RecipientId, String>) -> Vec<String> {
    let Some(Body::Created { recipients, .. }) = events.first().map(|first| &first.recorded.event.body)
    else {
        return Vec::new();
    };
    let copies = recipients.iter().filter(|recipient| recipient.role == Role::Copy);
    copies
        .filter_map(|recipient| Some(format!("{} only receives a copy.", names.get(&recipient.id)?)))
        .collect()
}

/// A disclosed value as somebody chose it, in quotes.
fn shown(veiled: &Veiled) -> String {
    veiled.value().map_or_else(|| "(erased)".to_owned(), |value| quoted(value.disclose()))
}

/// Text that somebody chose, in quotes that it cannot close: quotation marks, backslashes and what is not seen or turns
/// the direction are written as escapes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if is_deceptive(c) => quoted.extend(c.escape_unicode()),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Controls, marks of direction, characters without width, line ends, other spaces, and what looks like a quotation mark.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{2800}' | '\u{3164}')
        || matches!(
            c,
            '“' | '”'
                | '„'
                | '‟'
                | '″'
                | '‶'
                | '〃'
                | '〝'
                | '〞'
                | '〟'
                | '＂'
                | '«'
                | '»'
                | '״'
                | 'ˮ'
        )
}

/// An address as the server saw it; anything else than an address stands in quotes.
fn address(ip: &Veiled) -> String {
    let plain = ip.value().and_then(|value| value.disclose().parse::<IpAddr>().ok());
    plain.map_or_else(|| shown(ip), |ip| ip.to_string())
}

/// Who acted, how they were identified, and from where.
fn by(actor: &Actor) -> String {
    let from = |ip: &Veiled, source: &IpSource| {
        let source = match source {
            IpSource::Connection => "the connection's address",
            IpSource::TrustedProxy => "as a trusted proxy reported",
        };
        format!("from {} ({source})", address(ip))
    };
    match actor {
        Actor::System => "by the server itself".to_owned(),
        Actor::ApiKey { key, origin } => {
            format!("with the API key {key} {}", from(&origin.ip, &origin.ip_source))
        }
        Actor::Client { client, user, origin, .. } => {
            let for_whom = user.map(|user| format!(" for the member {user}")).unwrap_or_default();
            format!("through the client {client}{for_whom} {}", from(&origin.ip, &origin.ip_source))
        }
        Actor::Recipient { factors, origin, .. } => {
            format!("{}, {}", identified(factors), from(&origin.ip, &origin.ip_source))
        }
    }
}
