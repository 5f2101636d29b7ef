//! Classes of events, and what an endpoint sees of them: the classes that it asked for, as far as its scopes go, in the
//! fields that they allow (W-6). Both are judged again at each delivery.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    envelope::event::Body,
    scope::{Scope, Scopes},
    security::SecurityBody,
};

/// What an event is about, for whoever chooses what to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Where an envelope is in its life, from its creation to each of its ends.
    Envelope,
    /// What recipients are sent and do.
    Recipient,
    /// Who took what of documents and evidence, and whether what is stored is still what was uploaded.
    Evidence,
    /// What happened to credentials, people and powers.
    Security,
    /// Nothing happened: somebody tries the endpoint.
    Test,
}

/// How much of an event an endpoint is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// Which event it is.
    Thin,
    /// The event itself, too.
    Full,
}

impl Payload {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Thin => "thin",
            Self::Full => "full",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Thin, Self::Full].into_iter().find(|payload| payload.text() == text)
    }
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 5] = [Self::Envelope, Self::Recipient, Self::Evidence, Self::Security, Self::Test];

    /// As it is written: the value of `webhook-event-class`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Recipient => "recipient",
            Self::Evidence => "evidence",
            Self::Security => "security",
            Self::Test => "test",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.text() == text)
    }

    /// The class of an envelope's event. Whatever ends an envelope is of the class of the envelope, also where a recipient did
    /// it: who asks for that class alone misses no end.
    pub fn of(body: &Body) -> Self {
        match body {
            Body::Created { .. }
            | Body::Sent { .. }
            | Body::Declined { .. }
            | Body::Voided { .. }
            | Body::Expired
            | Body::SealingStarted { .. }
            | Body::Sealed { .. } => Self::Envelope,
            Body::LinkIssued { .. }
            | Body::Notified { .. }
            | Body::Bounced { .. }
            | Body::SessionOpened { .. }
            | Body::CodeIssued { .. }
            | Body::CodeDelivered { .. }
            | Body::PasskeyRegistered { .. }
            | Body::PasskeyCloned { .. }
            | Body::FactorPassed { .. }
            | Body::FactorFailed { .. }
            | Body::FactorLocked { .. }
            | Body::DisclosureShown { .. }
            | Body::ConsentGiven { .. }
            | Body::DocumentOpened { .. }
            | Body::PagesShown { .. }
            | Body::SignatureAdopted { .. }
            | Body::Signed(_)
            | Body::Approved(_)
            | Body::Read(_)
            | Body::Copied { .. } => Self::Recipient,
            Body::DocumentMismatched { .. } | Body::Downloaded { .. } | Body::Exported => Self::Evidence,
        }
    }

    /// The class of an event of a security stream: there is one.
    pub fn of_security(_: &SecurityBody) -> Self {
        Self::Security
    }

    /// The scope that it takes to be told so much of an event of this class. A test tells nothing.
    pub fn needs(self, payload: Payload) -> Option<Scope> {
        match (self, payload) {
            (Self::Envelope, Payload::Thin) => Some(Scope::EnvelopesStatus),
            (Self::Envelope, Payload::Full) => Some(Scope::EnvelopesRead),
            (Self::Recipient, _) => Some(Scope::EventsRead),
            (Self::Evidence, _) => Some(Scope::EvidenceRead),
            (Self::Security, _) => Some(Scope::SecurityRead),
            (Self::Test, _) => None,
        }
    }

    /// Whether whoever has these scopes may know which event of it happened.
    pub fn is_read_by(self, scopes: Scopes) -> bool {
        told(self, Payload::Thin, scopes).is_some()
    }

    /// Its bit in a set, as it is stored: a class never gets another one.
    pub const fn bit(self) -> u8 {
        match self {
            Self::Envelope => 1,
            Self::Recipient => 2,
            Self::Evidence => 4,
            Self::Security => 8,
            Self::Test => 16,
        }
    }
}

/// How much of an event of `class` an endpoint is told that wants `payload` and holds `scopes`: less than it wants where its
/// scopes do not go as far, and nothing where they do not go at all.
pub fn told(class: Class, payload: Payload, scopes: Scopes) -> Option<Payload> {
    let allows = |payload: Payload| class.needs(payload).is_none_or(|scope| scopes.has(scope));
    // Whoever may read all of it may know that it is there: what is thin is in what is full.
    match payload {
        Payload::Full if allows(Payload::Full) => Some(Payload::Full),
        _ => (allows(Payload::Thin) || allows(Payload::Full)).then_some(Payload::Thin),
    }
}

/// Every scope that an endpoint can use.
pub const SCOPES: Scopes = Scopes::of(&[
    Scope::EnvelopesStatus,
    Scope::EnvelopesRead,
    Scope::EventsRead,
    Scope::EvidenceRead,
    Scope::SecurityRead,
]);

/// A set of classes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Classes(u8);

impl Classes {
    /// No class.
    pub const NONE: Self = Self(0);
    /// All classes.
    pub const ALL: Self = Self::of(&Class::ALL);

    /// The set of these.
    pub const fn of(classes: &[Class]) -> Self {
        let (mut bits, mut rest) = (0, classes);
        while let [first, others @ ..] = rest {
            bits |= first.bit();
            rest = others;
        }
        Self(bits)
    }

    /// Reads what [`fmt::Display`] wrote: names with one space between them. Gives the first name that is unknown.
    pub fn parse(text: &str) -> Result<Self, &str> {
        let names = text.split(' ').filter(|name| !name.is_empty());
        names.map(|name| Class::parse(name).ok_or(name)).collect()
    }

    /// The set of these bits; `None` where one of them is of no class.
    pub fn of_bits(bits: u8) -> Option<Self> {
        (bits & !Self::ALL.0 == 0).then_some(Self(bits))
    }

    /// Whether `class` is in it.
    pub const fn has(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }

    /// One bit for each class, as a store keeps and compares them.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its classes in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |class| self.has(*class))
    }

    /// Those of which an endpoint with these scopes is told something.
    #[must_use]
    pub fn visible(self, scopes: Scopes) -> Self {
        self.iter().filter(|class| told(*class, Payload::Thin, scopes).is_some()).collect()
    }
}

impl FromIterator<Class> for Classes {
    fn from_iter<T: IntoIterator<Item = Class>>(classes: T) -> Self {
        Self(classes.into_iter().fold(0, |bits, class| bits | class.bit()))
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, class) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(class.text())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Classes({self})")
    }
}

/// As scopes are written: one string.
impl Serialize for Classes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Classes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text)
            .map_err(|unknown| serde::de::Error::custom(format!("no class of events is called `{unknown}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::Digest, id::RecipientId, id::SessionId};
    use proptest::prelude::*;

    fn scopes() -> impl Strategy<Value = Scopes> {
        proptest::sample::subsequence(Scope::ALL, 0..=Scope::ALL.len())
            .prop_map(|some| some.into_iter().collect())
    }

    fn classes() -> impl Strategy<Value = Classes> {
        (0..=Classes::ALL.0).prop_map(Classes)
    }

    proptest! {
        #[test]
        fn a_set_of_classes_survives_its_text(classes in classes()) {
            let text = classes.to_string();
            prop_assert_eq!(Classes::parse(&text), Ok(classes));
            let json = serde_json::to_string(&classes).unwrap();
            prop_assert_eq!(serde_json::from_str::<Classes>(&json).unwrap(), classes);
            prop_assert_eq!(Classes::of_bits(classes.bits()), Some(classes));
            prop_assert_eq!(classes.bits(), classes.iter().map(Class::bit).sum::<u8>());
        }

        /// W-6: an endpoint is told what it asked for and what its scopes allow, never more of either.
        #[test]
        fn an_endpoint_sees_the_intersection(classes in classes(), scopes in scopes(), lost in scopes(), is_full: bool) {
            let wanted = if is_full { Payload::Full } else { Payload::Thin };
            let left = scopes.without(lost);
            for class in Class::ALL {
                let before = classes.has(class).then(|| told(class, wanted, scopes)).flatten();
                prop_assert_eq!(classes.visible(scopes).has(class), before.is_some());
                prop_assert!(before <= Some(wanted), "never more than it wants");
                if let Some(scope) = before.and_then(|payload| class.needs(payload)) {
                    prop_assert!(scopes.has(scope) || (before == Some(Payload::Thin) && scopes.has(Scope::EnvelopesRead)));
                }
                let after = classes.has(class).then(|| told(class, wanted, left)).flatten();
                prop_assert!(after <= before, "what loses a scope sees no more than before");
            }
            if left.and(SCOPES).is_empty() {
                prop_assert!(!classes.visible(left).iter().any(|class| class != Class::Test));
            }
        }
    }

    /// W-6: which scope each class takes, and that full payloads of envelopes take more than thin ones.
    #[test]
    fn a_class_without_its_scope_is_not_seen() {
        let of = |scope: Scope| Scopes::of(&[scope]);
        let status = of(Scope::EnvelopesStatus);
        assert_eq!(told(Class::Envelope, Payload::Full, status), Some(Payload::Thin), "no people or fields");
        assert_eq!(told(Class::Envelope, Payload::Full, of(Scope::EnvelopesRead)), Some(Payload::Full));
        assert_eq!(told(Class::Envelope, Payload::Thin, of(Scope::EventsRead)), None);
        assert_eq!(told(Class::Recipient, Payload::Full, of(Scope::EventsRead)), Some(Payload::Full));
        assert_eq!(told(Class::Recipient, Payload::Thin, of(Scope::EnvelopesRead)), None);
        assert_eq!(told(Class::Evidence, Payload::Thin, of(Scope::EvidenceRead)), Some(Payload::Thin));
        assert_eq!(told(Class::Security, Payload::Full, of(Scope::SecurityRead)), Some(Payload::Full));
        assert_eq!(told(Class::Security, Payload::Thin, Scopes::ALL.without(of(Scope::SecurityRead))), None);
        assert_eq!(told(Class::Test, Payload::Full, Scopes::NONE), Some(Payload::Full));
        let used: Scopes = Class::ALL
            .iter()
            .flat_map(|class| [Payload::Thin, Payload::Full].map(|p| class.needs(p)))
            .flatten()
            .collect();
        assert_eq!(used, SCOPES);
    }

    /// W-6: what ends an envelope is of its class, whoever did it.
    #[test]
    fn every_end_of_an_envelope_is_of_its_class() {
        let (recipient, session) = (RecipientId::from_bytes([1; 16]), SessionId::from_bytes([1; 16]));
        let ends = [
            Body::Declined { recipient, session, reason: None },
            Body::Voided { reason: None },
            Body::Expired,
            Body::Sealed {
                documents: Vec::new(),
                certificate_sha256: Digest::default(),
                certificate_size_bytes: 0,
                checkpoint_size: 0,
            },
        ];
        assert!(ends.iter().all(|body| Class::of(body) == Class::Envelope));
        assert_eq!(Class::of(&Body::Exported), Class::Evidence);
    }

    #[test]
    fn an_unknown_name_is_named() {
        assert_eq!(Classes::parse("envelope people"), Err("people"));
        assert_eq!(Classes::parse(""), Ok(Classes::NONE));
        assert_eq!(Classes::ALL.to_string(), "envelope recipient evidence security test");
        assert_eq!(Payload::parse("full"), Some(Payload::Full));
        assert_eq!((Classes::ALL.bits(), Classes::of_bits(32)), (31, None));
    }
}
