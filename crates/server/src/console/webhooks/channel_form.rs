//! What the form of an endpoint sends of its channel (W-7). What is secret is taken in and on no page again: left empty, what
//! is set stays.

use countersign_core::{
    refusal::{Code, Refusal},
    secret::Secret,
    webhook::{
        channel::{Channel, ClientCertificate},
        oauth::OAuth,
        pin::{NotAPin, Pin},
    },
};

use crate::{egress::certificate, webhooks::given::Given};

/// How PEM writes that it is one.
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// What comes back of a text that was typed: a private key is pasted into any field by mistake, and comes back on no page.
pub(super) fn shown(text: &str) -> &str {
    if text.contains(PRIVATE_KEY) { "" } else { text }
}

/// What was typed of a channel. It may be a secret in any field, so that there is no `Debug`.
#[derive(Default)]
pub(super) struct ChannelFields {
    chain: String,
    key: Option<Secret<String>>,
    gone_certificate: String,
    /// Keys of the receiver, one a line; `None` where the form has no such field.
    pins: Option<String>,
    token_url: String,
    client_id: String,
    client_secret: Option<Secret<String>>,
    scope: String,
    gone_oauth: String,
}

impl ChannelFields {
    /// What can be shown of a channel in fields to type in.
    pub(super) fn of(channel: &Channel) -> Self {
        let pins: Vec<_> = channel.pins.iter().map(ToString::to_string).collect();
        Self { pins: Some(pins.join("\n")), ..Self::default() }
    }

    /// Takes a field in; `false` if it is none of these.
    pub(super) fn take(&mut self, name: &str, value: String) -> bool {
        match name {
            "certificate_chain" => self.chain = value,
            "certificate_key" => self.key = typed(value),
            "certificate_gone" => self.gone_certificate = value,
            "pins" => self.pins = Some(value),
            "oauth_token_url" => self.token_url = value,
            "oauth_client_id" => self.client_id = value,
            "oauth_client_secret" => self.client_secret = typed(value),
            "oauth_scope" => self.scope = value,
            "oauth_gone" => self.gone_oauth = value,
            _ => return false,
        }
        true
    }

    /// Whether what is ticked is what the page has to tick.
    pub(super) fn is_known(&self) -> bool {
        [&self.gone_certificate, &self.gone_oauth].iter().all(|ticked| matches!(ticked.as_str(), "" | "yes"))
    }

    /// The client certificate and those between it and its authority, as they were typed.
    pub(super) fn chain(&self) -> &str {
        shown(&self.chain)
    }

    /// Whether a private key was typed, which is to be typed again.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some() || self.chain() != self.chain
    }

    /// The same of a client secret.
    pub(super) fn has_client_secret(&self) -> bool {
        self.client_secret.is_some()
    }

    /// The pins as they were typed. Beside a private key they stay: a field that came back empty would take them away.
    pub(super) fn pins(&self) -> String {
        let typed = self.pins.as_deref().unwrap_or_default();
        if shown(typed) == typed {
            return typed.to_owned();
        }
        let pins: Vec<_> =
            typed.lines().map(str::trim).filter(|line| Pin::read_all([*line]).is_ok()).collect();
        pins.join("\n")
    }

    /// Where tokens come from.
    pub(super) fn token_url(&self) -> &str {
        shown(&self.token_url)
    }

    /// Who asks for them.
    pub(super) fn client_id(&self) -> &str {
        shown(&self.client_id)
    }

    /// What they are to be good for.
    pub(super) fn scope(&self) -> &str {
        shown(&self.scope)
    }

    /// Whether the certificate is to be taken away.
    pub(super) fn takes_certificate_away(&self) -> bool {
        self.gone_certificate == "yes"
    }

    /// The same of the credentials.
    pub(super) fn takes_oauth_away(&self) -> bool {
        self.gone_oauth == "yes"
    }

    /// What becomes of the client certificate.
    pub(super) fn read_certificate(&self) -> Result<Given<ClientCertificate>, Refusal> {
        let none = Secret::new(String::new());
        let is_typed = !self.chain.trim().is_empty() || self.key.is_some();
        match (self.takes_certificate_away(), is_typed) {
            (true, true) => Err(either("/client_certificate/chain", "the certificate")),
            (true, false) => Ok(Given::Null),
            (false, false) => Ok(Given::Absent),
            (false, true) => {
                certificate::read(&self.chain, self.key.as_ref().unwrap_or(&none)).map(Given::Value)
            }
        }
    }

    /// Keys of which the receiver must have one; `None` leaves them as they are.
    pub(super) fn read_pins(&self) -> Result<Option<Vec<Pin>>, Refusal> {
        let Some(typed) = &self.pins else { return Ok(None) };
        let lines: Vec<_> =
            typed.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty()).collect();
        let wrong = |(place, none): (usize, NotAPin)| {
            let number = lines.get(place).map_or(0, |(number, _)| number + 1);
            Refusal::at(Code::Invalid, "/pins", format!("line {number}: {none}"))
        };
        Pin::read_all(lines.iter().map(|(_, line)| *line)).map_err(wrong).map(Some)
    }

    /// What becomes of the credentials that deliveries are sent with.
    pub(super) fn read_oauth(&self) -> Result<Given<OAuth>, Refusal> {
        let [token_url, client_id, scope] =
            [&self.token_url, &self.client_id, &self.scope].map(|text| text.trim().to_owned());
        let is_typed = [&token_url, &client_id, &scope].iter().any(|text| !text.is_empty());
        match (self.takes_oauth_away(), is_typed || self.client_secret.is_some()) {
            (true, true) => Err(either("/oauth/token_url", "the credentials")),
            (true, false) => Ok(Given::Null),
            (false, false) => Ok(Given::Absent),
            (false, true) => {
                let client_secret = self.client_secret.clone().ok_or_else(|| missing("client_secret"));
                for (member, text) in [("token_url", &token_url), ("client_id", &client_id)] {
                    if text.is_empty() {
                        return Err(missing(member));
                    }
                }
                let scope = Some(scope).filter(|scope| !scope.is_empty());
                Ok(Given::Value(OAuth { token_url, client_id, client_secret: client_secret?, scope }))
            }
        }
    }

    /// The channel of an endpoint that is made.
    pub(super) fn read(&self) -> Result<Channel, Refusal> {
        Ok(Channel {
            certificate: self.read_certificate()?.over(None),
            pins: self.read_pins()?.unwrap_or_default(),
            oauth: self.read_oauth()?.over(None),
        })
    }
}

/// What was typed of a secret, if anything was.
fn typed(value: String) -> Option<Secret<String>> {
    let secret = Secret::new(value);
    (!secret.expose().trim().is_empty()).then_some(secret)
}

fn missing(member: &str) -> Refusal {
    let sentence = "address, client id and client secret go together: fill this in, too";
    Refusal::at(Code::Invalid, format!("/oauth/{member}"), sentence)
}

fn either(pointer: &str, what: &str) -> Refusal {
    let sentence =
        format!("take {what} away or give another: untick the one, or empty the fields of the other");
    Refusal::at(Code::Invalid, pointer, sentence)
}
