//! What a webhook endpoint may be: where its messages go, what it asks to be told, and how they are signed. An endpoint has no
//! headers of its own: what a receiver goes by is the signature.

use serde::{Deserialize, Serialize};

use super::{
    channel::Channel,
    class::{self, Class, Classes, Payload},
};
use crate::{
    envelope::fields::check_line,
    limits,
    oauth::uri::Uri,
    refusal::{Code, Refusal},
    scope::{Scope, Scopes},
};

/// How its messages are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// As Standard Webhooks does it.
    #[serde(rename = "standard")]
    Standard,
    /// And with an HTTP Message Signature (RFC 9421) by Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// And with one by ECDSA over P-256.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// And with one by RSA-PSS.
    #[serde(rename = "rsa-pss-sha512")]
    RsaPssSha512,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Ed25519, Self::EcdsaP256Sha256, Self::RsaPssSha512];

    /// As it is written: `standard`, or the algorithm of the HTTP Message Signature (RFC 9421 §6.2.2).
    pub fn text(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::RsaPssSha512 => "rsa-pss-sha512",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.text() == text)
    }
}

/// What an endpoint is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where its messages go. Its path and query may hold a secret of the receiver: it stands in no event and no log.
    pub url: String,
    /// What people call it.
    pub description: String,
    /// What it asks to be told of.
    pub classes: Classes,
    /// How far it may be told.
    pub scopes: Scopes,
    /// How much it asks to be told.
    pub payload: Payload,
    /// How its messages are signed.
    pub profile: Profile,
    /// Whether an event waits until those before it, of the same envelope, were delivered.
    pub is_ordered: bool,
    /// What its receiver is shown and asked for besides.
    pub channel: Channel,
}

impl Settings {
    /// Refuses what cannot be, or what goes further than its giver may read: at the creation, and at each change all of it
    /// again, because a change of the address alone gives what others were allowed to read to another receiver.
    pub fn check(&self, giver: Scopes) -> Result<(), Refusal> {
        check_url(&self.url, "/url", "webhook URL")?;
        check_line("/description", &self.description)?;
        self.check_scopes(giver)?;
        self.check_classes()
    }

    fn check_scopes(&self, giver: Scopes) -> Result<(), Refusal> {
        let useless = self.scopes.without(class::SCOPES);
        if !useless.is_empty() {
            let sentence = format!("no event takes {useless}: an endpoint holds some of {}", class::SCOPES);
            return Err(Refusal::at(Code::Invalid, "/scopes", sentence));
        }
        let missing = self.scopes.without(giver);
        if !missing.is_empty() {
            let sentence =
                format!("you cannot let an endpoint have what you may not read yourself: {missing}");
            return Err(Refusal::at(Code::Invalid, "/scopes", sentence));
        }
        Ok(())
    }

    fn check_classes(&self) -> Result<(), Refusal> {
        if self.classes.has(Class::Test) {
            let sentence = "tests reach every endpoint: leave `test` out";
            return Err(Refusal::at(Code::Invalid, "/classes", sentence));
        }
        if self.classes.is_empty() {
            let sentence =
                "name at least one of the classes `envelope`, `recipient`, `evidence` and `security`";
            return Err(Refusal::at(Code::Invalid, "/classes", sentence));
        }
        let unseen = |class: &Class| class::told(*class, self.payload, self.scopes) != Some(self.payload);
        let Some(class) = self.classes.iter().find(unseen) else { return Ok(()) };
        let scope = class.needs(self.payload).map_or("", |scope| scope.text());
        let sentence = format!(
            "the class `{}` with a {} payload takes the scope `{scope}`: name it in `scopes`, or leave the class out",
            class.text(),
            self.payload.text()
        );
        Err(Refusal::at(Code::Invalid, "/classes", sentence))
    }

    /// Its address for a reader with these scopes: path and query are for those who may change endpoints, or block them.
    pub fn url_for(&self, reader: Scopes) -> String {
        if reader.has(Scope::WebhooksWrite) || reader.has(Scope::AdminWebhooks) {
            return self.url.clone();
        }
        format!("https://{}/…", host_of(&self.url))
    }

    /// Whether the same goes out by these settings as by `other`, and to the same receiver: what people call an endpoint, and which
    /// event waits for which, is nothing that a receiver sees of a message.
    pub fn tells_alike(&self, other: &Self) -> bool {
        let named =
            Self { description: other.description.clone(), is_ordered: other.is_ordered, ..self.clone() };
        named == *other
    }

    /// Whether what was proven of the receiver of these settings says nothing of the receiver of `other`.
    pub fn is_other_receiver(&self, other: &Self) -> bool {
        self.url != other.url || self.profile != other.profile || self.channel != other.channel
    }
}

/// Refuses an address that is not absolute, not `https`, or that could be read in two ways. Whether it leads to the public
/// Internet is judged where it is resolved, at each connection (W-8).
pub(super) fn check_url(url: &str, pointer: &str, what: &str) -> Result<(), Refusal> {
    let refused = |sentence: &str| Err(Refusal::at(Code::Invalid, pointer, sentence));
    if url.len() > limits::WEBHOOK_URL_BYTES {
        return refused(&format!("a {what} has at most {} characters", limits::WEBHOOK_URL_BYTES));
    }
    if url.contains('@') && url.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
        return refused(&format!("a {what} holds no user or password: leave out what is before the `@`"));
    }
    let Ok(uri) = Uri::parse(url) else {
        return refused("write an absolute URL in ASCII, like https://hooks.example.com/countersign");
    };
    if !uri.is("https") {
        return refused(&format!("a {what} is https: nothing is ever sent in plain text"));
    }
    let Some(authority) = uri.authority.filter(|authority| authority.port != Some(0)) else {
        return refused(&format!("a {what} names a host: https://host/path"));
    };
    if authority.host.contains(['%', '*']) {
        return refused("the host is written plainly, without `%` or `*`; an international name as `xn--…`");
    }
    if uri.fragment.is_some() {
        return refused(&format!(
            "a {what} has no fragment: take away the `#` and what follows, it would not be sent"
        ));
    }
    if uri.path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return refused("write the path without `.` and `..`");
    }
    Ok(())
}

/// What events and logs tell of an address: the host, and the port where it is not the usual one. Empty for what is none.
pub fn host_of(url: &str) -> String {
    let authority = Uri::parse(url).ok().and_then(|uri| uri.authority);
    let Some(authority) = authority else { return String::new() };
    let port = authority.port.filter(|port| *port != 443);
    authority.host.to_ascii_lowercase() + &port.map_or_else(String::new, |port| format!(":{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        secret::Secret,
        time::Time,
        webhook::{channel::ClientCertificate, pin::Pin},
    };
    use proptest::prelude::*;

    fn settings() -> Settings {
        Settings {
            url: "https://hooks.example.com/countersign".to_owned(),
            description: "the archive".to_owned(),
            classes: Classes::of(&[Class::Envelope, Class::Recipient]),
            scopes: Scopes::of(&[Scope::EnvelopesStatus, Scope::EventsRead]),
            payload: Payload::Thin,
            profile: Profile::Standard,
            is_ordered: false,
            channel: Channel::default(),
        }
    }

    /// W-8, A-3: path and query of an address, which may hold a secret, are for those who manage endpoints.
    #[test]
    fn who_only_reads_sees_the_host_of_an_address() {
        let url = "https://Hooks.example.com:8443/in/7?secret=8".to_owned();
        let settings = Settings { url: url.clone(), ..settings() };
        for manages in [Scope::WebhooksWrite, Scope::AdminWebhooks] {
            assert_eq!(settings.url_for(Scopes::of(&[manages])), url);
        }
        let rest = Scopes::ALL.without(Scopes::of(&[Scope::WebhooksWrite, Scope::AdminWebhooks]));
        assert_eq!(settings.url_for(rest), "https://hooks.example.com:8443/…");
    }

    fn pointer(settings: &Settings, giver: Scopes) -> Option<String> {
        settings.check(giver).err().and_then(|refusal| refusal.pointer)
    }

    #[test]
    fn a_url_is_https_and_can_be_read_in_one_way() {
        for url in [
            "https://hooks.example.com",
            "https://hooks.example.com:8443/a/b?tenant=7&x=a@b",
            "https://hooks.example.com/@team",
            "HTTPS://Hooks.Example.com/",
            "https://xn--bcher-kva.example/x",
            "https://192.0.2.7/x",
            "https://[2001:db8::1]:8443/x",
        ] {
            let settings = Settings { url: url.to_owned(), ..settings() };
            assert_eq!(settings.check(Scopes::ALL), Ok(()), "{url}");
        }
        let long = format!("https://hooks.example.com/{}", "x".repeat(limits::WEBHOOK_URL_BYTES));
        for (url, word) in [
            ("http://hooks.example.com/", "https"),
            ("ftp://hooks.example.com/", "https"),
            ("https:/hooks.example.com/", "host"),
            ("https://hooks.example.com:0/", "host"),
            ("https:///x", "absolute"),
            ("https://user:secret@hooks.example.com/", "user"),
            ("https://user@hooks.example.com", "user"),
            ("https://hooks.example.com/#part", "fragment"),
            ("https://hooks.example.com/a/../b", "path"),
            ("https://*.example.com/", "host"),
            ("https://%68ooks.example.com/", "host"),
            ("https://bücher.example/", "ASCII"),
            ("https://hooks.example.com:99999/", "absolute"),
            ("https://hooks.example.com/a b", "absolute"),
            ("/countersign", "absolute"),
            ("", "absolute"),
            (long.as_str(), "at most"),
        ] {
            let refusal = Settings { url: url.to_owned(), ..settings() }.check(Scopes::ALL).unwrap_err();
            assert_eq!(refusal.pointer.as_deref(), Some("/url"), "{url}");
            assert!(refusal.sentence.contains(word), "{url}: {}", refusal.sentence);
        }
    }

    /// W-6: each class takes its scope, full payloads theirs, and nobody gives an endpoint more than they may read.
    #[test]
    fn an_endpoint_holds_the_scopes_of_its_classes_and_no_others() {
        let right = settings();
        assert_eq!(right.check(right.scopes), Ok(()));
        for scope in right.scopes.iter() {
            let one = Scopes::of(&[scope]);
            assert_eq!(pointer(&right, Scopes::ALL.without(one)).as_deref(), Some("/scopes"));
            let without = Settings { scopes: right.scopes.without(one), ..right.clone() };
            let refusal = without.check(Scopes::ALL).unwrap_err();
            assert_eq!(refusal.pointer.as_deref(), Some("/classes"));
            assert!(refusal.sentence.contains(scope.text()), "{}", refusal.sentence);
        }
        let full = Settings { payload: Payload::Full, ..right.clone() };
        assert!(full.check(Scopes::ALL).unwrap_err().sentence.contains("`envelopes:read`"));
        let full = Settings { scopes: full.scopes.or(Scopes::of(&[Scope::EnvelopesRead])), ..full };
        assert_eq!(full.check(Scopes::ALL), Ok(()));
        for scope in Scope::ALL {
            let more = Settings { scopes: right.scopes.or(Scopes::of(&[*scope])), ..right.clone() };
            assert_eq!(more.check(Scopes::ALL).is_ok(), class::SCOPES.has(*scope), "{scope:?}");
        }
        for classes in [Classes::NONE, Classes::of(&[Class::Envelope, Class::Test])] {
            assert_eq!(
                pointer(&Settings { classes, ..right.clone() }, Scopes::ALL).as_deref(),
                Some("/classes")
            );
        }
        let nameless = Settings { description: " ".to_owned(), ..right };
        assert_eq!(pointer(&nameless, Scopes::ALL).as_deref(), Some("/description"));
    }

    /// L-3: what stands in an event of an address is the host; a secret in its path is not.
    #[test]
    fn events_tell_the_host_alone() {
        assert_eq!(host_of("https://Hooks.example.com:443/T0/secret?key=x"), "hooks.example.com");
        assert_eq!(host_of("https://[2001:db8::1]:8443/secret"), "[2001:db8::1]:8443");
        assert_eq!(host_of("not a URL"), "");
    }

    /// W-7, W-9: what was proven is of an address, a profile and a channel.
    #[test]
    fn another_address_profile_or_channel_is_another_receiver() {
        let other = Settings { profile: Profile::Ed25519, ..settings() };
        assert!(settings().is_other_receiver(&other) && !other.is_other_receiver(&other.clone()));
        let renamed = Settings { description: "x".to_owned(), ..settings() };
        assert!(!settings().is_other_receiver(&renamed));
        let moved = Settings { url: "https://hooks.example.com/other".to_owned(), ..settings() };
        assert!(settings().is_other_receiver(&moved));
        let shown = ClientCertificate {
            chain: vec![vec![1]],
            key: Secret::new(vec![2]),
            begins_at: Time::from_unix_ms(0),
            expires_at: Time::from_unix_ms(0),
        };
        let shown =
            Settings { channel: Channel { certificate: Some(shown), ..Channel::default() }, ..settings() };
        assert!(settings().is_other_receiver(&shown) && !shown.is_other_receiver(&shown.clone()));
        let pinned = Channel { pins: vec![Pin::of(b"a key")], ..Channel::default() };
        assert!(settings().is_other_receiver(&Settings { channel: pinned, ..settings() }));
    }

    /// W-2, W-6, W-7: whatever decides what goes out, and to whom, tells settings apart; their name and order do not.
    #[test]
    fn settings_that_differ_in_name_or_order_tell_alike() {
        let alike = [
            Settings { description: "x".to_owned(), ..settings() },
            Settings { is_ordered: !settings().is_ordered, ..settings() },
        ];
        assert!(alike.iter().all(|other| settings().tells_alike(other)));
        let pinned = Channel { pins: vec![Pin::of(b"a key")], ..Channel::default() };
        for other in [
            Settings { url: "https://hooks.example.com/other".to_owned(), ..settings() },
            Settings { classes: Classes::of(&[Class::Envelope]), ..settings() },
            Settings { scopes: Scopes::NONE, ..settings() },
            Settings { payload: Payload::Full, ..settings() },
            Settings { profile: Profile::Ed25519, ..settings() },
            Settings { channel: pinned, ..settings() },
        ] {
            assert!(!settings().tells_alike(&other), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_url_or_refused(url in "(https://)?[!-~]{0,40}") {
            let settings = Settings { url: url.clone(), ..settings() };
            if settings.check(Scopes::ALL).is_ok() {
                prop_assert!(!host_of(&url).is_empty());
                prop_assert!(!host_of(&url).contains(['@', '/', '?', '#', '%']));
            }
        }
    }
}
