//! Scopes: the smallest powers that a credential can be given, each with the words that people are shown.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! scopes {
    ($($name:ident = $text:literal, $words:literal;)*) => {
        /// A scope: each operation needs exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Scope { $(#[doc = $words] #[serde(rename = $text)] $name,)* }

        impl Scope {
            /// All scopes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is written.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it allows, in plain words that follow on "may".
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

scopes! {
    DocumentsWrite = "documents:write", "upload documents";
    DocumentsRead = "documents:read", "download documents as they were uploaded";
    EnvelopesWrite = "envelopes:write", "create envelopes";
    EnvelopesSend = "envelopes:send", "send envelopes, and send their links again";
    EnvelopesVoid = "envelopes:void", "void envelopes";
    EnvelopesRead = "envelopes:read", "read envelopes with their people and fields";
    EnvelopesStatus = "envelopes:status", "list envelopes with their states, without people or fields";
    EventsRead = "events:read", "read the events of envelopes";
    SealedRead = "sealed:read", "download sealed documents";
    EvidenceRead = "evidence:read", "export evidence packages";
    MailboxRead = "mailbox:read", "read the mailbox of the sandbox";
    ClientsRead = "clients:read", "see which programs are registered as clients";
    KeysRead = "keys:read", "see which API keys there are, never the keys themselves";
    MembersRead = "members:read", "see who is a member";
    GrantsRead = "grants:read", "see what was granted to clients";
    SecurityRead = "security:read", "read the security events of the organization";
    WebhooksRead = "webhooks:read", "see webhook endpoints and what was delivered to them, never their secrets";
    WebhooksWrite = "webhooks:write", "create, change and end webhook endpoints";
    WebhooksSend = "webhooks:send", "test webhook endpoints, and send again what they missed";
    TokensIntrospect = "tokens:introspect", "ask whether a token is valid and what it allows";
    AdminClients = "admin:clients", "register, change and end clients";
    AdminKeys = "admin:keys", "create, change, rotate and end API keys";
    AdminMembers = "admin:members", "invite members, change their roles and remove them";
    AdminGrants = "admin:grants", "end grants and their tokens";
    AdminWebhooks = "admin:webhooks", "rotate and revoke the keys of webhooks, block deliveries and release them";
}

/// What the texts of all admin scopes begin with. The databases check it too.
pub const ADMIN_PREFIX: &str = "admin:";

impl Scope {
    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.text() == text)
    }

    /// Whether it is a power over clients, keys, members, grants or the keys of webhooks: only for clients of the FAPI 2.0
    /// profile, never for API keys, and in tokens of half the life.
    pub fn is_admin(self) -> bool {
        self.text().starts_with(ADMIN_PREFIX)
    }

    const fn bit(self) -> u64 {
        1 << self as u32
    }
}

const _: () = assert!(Scope::ALL.len() <= 64, "a set of scopes is one word");

/// A set of scopes. Ceilings are intersected, and nothing is ever added to a set that was granted.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u64);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);
    /// All scopes.
    pub const ALL: Self = Self(u64::MAX >> (64 - Scope::ALL.len()));

    /// All that an API key may have: no admin scope, and no introspection, which asks for a client that proves who it is
    ///
    pub const FOR_KEYS: Self = Self::ALL.without(Self::of(&[
        Scope::TokensIntrospect,
        Scope::AdminClients,
        Scope::AdminKeys,
        Scope::AdminMembers,
        Scope::AdminGrants,
        Scope::AdminWebhooks,
    ]));

    /// The set of these.
    pub const fn of(scopes: &[Scope]) -> Self {
        let (mut bits, mut rest) = (0, scopes);
        while let [first, others @ ..] = rest {
            bits |= first.bit();
            rest = others;
        }
        Self(bits)
    }

    /// Reads what [`fmt::Display`] wrote, or what a client asks for (RFC 6749 §3.3): names with one space between them.
    /// Gives the first name that is unknown.
    pub fn parse(text: &str) -> Result<Self, &str> {
        let names = text.split(' ').filter(|name| !name.is_empty());
        names.map(|name| Scope::parse(name).ok_or(name)).collect()
    }

    /// Whether `scope` is in it.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// What both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What either has.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What it has and `other` has not.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of it is in `other`.
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether one of them is an admin scope.
    pub fn has_admin(self) -> bool {
        self.iter().any(Scope::is_admin)
    }

    /// Its scopes in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.has(*scope))
    }
}

impl From<&[Scope]> for Scopes {
    fn from(scopes: &[Scope]) -> Self {
        Self::of(scopes)
    }
}

impl<const N: usize> From<&[Scope; N]> for Scopes {
    fn from(scopes: &[Scope; N]) -> Self {
        Self::of(scopes)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.text())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

/// As OAuth writes scopes: one string (RFC 6749 §3.3).
impl Serialize for Scopes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text)
            .map_err(|unknown| serde::de::Error::custom(format!("no scope is called `{unknown}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// what is written is read again, and an intersection has no more than either side.
        #[test]
        fn a_set_of_scopes_survives_its_text(one: u64, other: u64) {
            let (one, other) = (Scopes(one & Scopes::ALL.0), Scopes(other & Scopes::ALL.0));
            let text = one.to_string();
            prop_assert_eq!(Scopes::parse(&text), Ok(one));
            prop_assert!(one.and(other).is_within(one) && one.and(other).is_within(other));
            prop_assert_eq!(one.without(other).or(one.and(other)), one);
        }
    }

    #[test]
    fn an_unknown_name_is_named() {
        assert_eq!(Scopes::parse("documents:read nonsense"), Err("nonsense"));
        assert_eq!(Scopes::parse(""), Ok(Scopes::NONE));
        assert_eq!(Scopes::ALL.iter().count(), Scope::ALL.len());
    }

    /// the powers over clients, keys, members, grants and keys of webhooks are five scopes, and the databases can tell them by
    /// name.
    #[test]
    fn admin_scopes_are_told_by_their_names() {
        let admin: Vec<_> = Scopes::ALL.iter().filter(|scope| scope.is_admin()).map(Scope::text).collect();
        assert_eq!(admin, ["admin:clients", "admin:keys", "admin:members", "admin:grants", "admin:webhooks"]);
        assert!(!Scopes::FOR_KEYS.has_admin());
    }
}
