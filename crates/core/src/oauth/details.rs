//! Authorization details: a token for some acts on some envelopes (RFC 9396). They narrow what scopes allow and add
//! nothing: an operation needs both.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    access::Operation,
    digest::Digest,
    id::EnvelopeId,
    oauth::{
        error::{ErrorCode, OAuthError},
        json::{self, Members},
    },
    scope::Scopes,
};

/// The one type.
pub const TYPE: &str = "envelope";

const DETAILS: usize = 10;
const ENVELOPES: usize = 100;
const DOCUMENTS: usize = 10;
const MEMBERS: [&str; 5] = ["type", "actions", "envelopes", "documents", "single_use"];

macro_rules! actions {
    ($($name:ident = $text:literal, $words:literal => [$first:ident $(, $more:ident)*];)*) => {
        /// What may be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Action { $(#[doc = $words] $name,)* }

        impl Action {
            /// All actions.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is written.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// In plain words that follow on "may".
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }

            /// The operations that it allows; the first is what it is for.
            pub fn operations(self) -> &'static [Operation] {
                match self { $(Self::$name => &[Operation::$first $(, Operation::$more)*],)* }
            }

            /// The operation that it is for.
            pub fn purpose(self) -> Operation {
                match self { $(Self::$name => Operation::$first,)* }
            }
        }
    };
}

actions! {
    Create = "create", "create an envelope" => [CreateEnvelope, UploadDocument];
    Read = "read", "read the envelope, its people and its events" => [ReadEnvelope, ListEnvelopes, ListEvents];
    Send = "send", "send the envelope, and its links again" => [SendEnvelope, ResendEnvelope];
    Void = "void", "void the envelope" => [VoidEnvelope];
    Download = "download", "download its documents"
        => [ReadSealed, ReadCertificate, ReadOriginal, ReadDocument];
    Evidence = "evidence", "export its evidence" => [ReadEvidence];
}

impl Action {
    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.text() == text)
    }
}

/// The type of a detail: there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Acts on envelopes.
    #[default]
    Envelope,
}

/// One authorization detail. An empty set does not narrow. With documents and without envelopes it is for the envelopes
/// that have no other documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// Of which type.
    #[serde(rename = "type")]
    pub of: Type,
    /// What may be done.
    pub actions: BTreeSet<Action>,
    /// On which envelopes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub envelopes: BTreeSet<EnvelopeId>,
    /// On envelopes with no other documents than these.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub documents: BTreeSet<Digest>,
    /// Whether it is good for one change only.
    #[serde(default)]
    pub single_use: bool,
}

fn wrong(sentence: impl AsRef<str>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidAuthorizationDetails, sentence)
}

/// Reads `authorization_details`: a list of one to ten details.
pub fn parse(text: &str) -> Result<Vec<Detail>, OAuthError> {
    let value = json::value(text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let Value::Array(list) = value else { return Err(wrong("authorization_details is a list")) };
    if list.is_empty() || list.len() > DETAILS {
        return Err(wrong("authorization_details has 1 to 10 entries"));
    }
    list.into_iter().map(read).collect()
}

fn read(value: Value) -> Result<Detail, OAuthError> {
    let json = |error: json::NotStrict| wrong(error.to_string());
    let members = Members::of(value).map_err(json)?;
    if members.required_text("type").map_err(json)? != TYPE {
        return Err(wrong("the only type is envelope"));
    }
    if members.names().any(|name| !MEMBERS.contains(&name)) {
        return Err(wrong(
            "an entry has type, actions, envelopes, documents and single_use, and nothing else",
        ));
    }
    let single_use = match members.get("single_use") {
        None => false,
        Some(value) => value.as_bool().ok_or_else(|| wrong("single_use is true or false"))?,
    };
    let actions = set(&members, "actions", Action::ALL.len(), Action::parse)?;
    let actions = actions.ok_or_else(|| wrong("actions is missing"))?;
    let envelopes = set(&members, "envelopes", ENVELOPES, |text| text.parse().ok())?.unwrap_or_default();
    let documents = set(&members, "documents", DOCUMENTS, |text| text.parse().ok())?.unwrap_or_default();
    Ok(Detail { of: Type::Envelope, actions, envelopes, documents, single_use })
}

/// A list without repetition; one that is there is not empty, so that nothing is taken for everything.
fn set<T: Ord>(
    members: &Members,
    name: &str,
    most: usize,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<BTreeSet<T>>, OAuthError> {
    let Some(texts) = members.texts(name).map_err(|error| wrong(error.to_string()))? else { return Ok(None) };
    let count = texts.len();
    let entries: Option<BTreeSet<T>> = texts.into_iter().map(parse).collect();
    match entries {
        Some(entries) if entries.len() == count && (1..=most).contains(&count) => Ok(Some(entries)),
        _ => Err(wrong(format!("{name} has 1 to {most} different entries that are known here"))),
    }
}

/// Whether the scopes suffice for what the details are for; a client that forgot one learns it here.
pub fn check_scopes(details: &[Detail], scopes: Scopes) -> Result<(), OAuthError> {
    let actions = details.iter().flat_map(|detail| &detail.actions);
    let lacking =
        actions.map(|action| (action, action.purpose().scope())).find(|(_, scope)| !scopes.has(*scope));
    match lacking {
        None => Ok(()),
        Some((action, scope)) => {
            Err(wrong(format!("the action {} needs the scope {} too", action.text(), scope.text())))
        }
    }
}

impl Detail {
    fn covers(&self, operation: Operation, envelope: Option<EnvelopeId>) -> bool {
        let allows = |action: &&Action| action.operations().contains(&operation);
        let Some(action) = self.actions.iter().find(allows) else { return false };
        match envelope {
            _ if *action == Action::Create => true,
            Some(envelope) => self.envelopes.contains(&envelope) || self.is_open(),
            None => self.is_open(),
        }
    }

    /// Whether it is for all envelopes.
    fn is_open(&self) -> bool {
        self.envelopes.is_empty() && self.documents.is_empty()
    }

    /// Whether all that `other` allows is allowed by it.
    fn contains(&self, other: &Self) -> bool {
        let within = |all: bool, part: bool, fits: bool| all || (!part && fits);
        other.actions.is_subset(&self.actions)
            && within(
                self.envelopes.is_empty(),
                other.envelopes.is_empty(),
                other.envelopes.is_subset(&self.envelopes),
            )
            && within(
                self.documents.is_empty(),
                other.documents.is_empty(),
                other.documents.is_subset(&self.documents),
            )
            && (other.single_use || !self.single_use)
    }

    /// What people are shown: one sentence for each action, and what narrows them.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<_> = self.actions.iter().map(|action| action.words().to_owned()).collect();
        if !self.envelopes.is_empty() {
            let ids: Vec<_> = self.envelopes.iter().map(ToString::to_string).collect();
            words.push(format!("only for {}", ids.join(", ")));
        }
        if !self.documents.is_empty() {
            let digests: Vec<_> = self.documents.iter().map(ToString::to_string).collect();
            words.push(format!("only with the documents whose SHA-256 is {}", digests.join(", ")));
        }
        if self.single_use {
            words.push("once only".to_owned());
        }
        words
    }
}

/// The detail that permits an operation: one that can be used again before one that is used up by it. The index is the
/// place in the list.
pub fn permitting(
    details: &[Detail],
    operation: Operation,
    envelope: Option<EnvelopeId>,
) -> Option<(usize, &Detail)> {
    let fitting = details.iter().enumerate().filter(|(_, detail)| detail.covers(operation, envelope));
    fitting.min_by_key(|(_, detail)| detail.single_use)
}

/// Whether a token with these details may do this on that envelope. Without details the scopes alone decide; with some,
/// whatever no action allows is not allowed. The documents of a new envelope are judged by
/// [`permitting_documents`].
pub fn permits(details: &[Detail], operation: Operation, envelope: Option<EnvelopeId>) -> bool {
    details.is_empty() || permitting(details, operation, envelope).is_some()
}

/// Whether what is good once is spent before the operation runs. A creation is judged by its documents, and spends the detail
/// that permits them: [`permitting_documents`]. An upload only prepares that: it spends nothing, and needs what is not spent.
pub fn is_spent_first(operation: Operation) -> bool {
    !Action::Create.operations().contains(&operation)
}

/// The detail that permits an operation with an envelope of these documents, because of its documents: to create it, or to
/// go on with it where [`permits`] knows it not by its id. One that can be used again comes first. The index is the place in
/// the list: this is the one to be spent, not another that would not fit.
pub fn permitting_documents<'d>(
    details: &'d [Detail],
    operation: Operation,
    documents: &BTreeSet<Digest>,
) -> Option<(usize, &'d Detail)> {
    let is_creation = Action::Create.operations().contains(&operation);
    let fits = |detail: &Detail| {
        let allows = |action: &Action| action.operations().contains(&operation);
        let is_unbound = detail.documents.is_empty() && (detail.envelopes.is_empty() || is_creation);
        let is_bound = !documents.is_empty() && documents.is_subset(&detail.documents);
        detail.actions.iter().any(allows) && (is_unbound || is_bound)
    };
    let fitting = details.iter().enumerate().filter(|(_, detail)| fits(detail));
    fitting.min_by_key(|(_, detail)| detail.single_use)
}

/// What a refresh asks for must be within what was granted (RFC 9396 §6). Nothing asked is everything granted.
pub fn narrow(granted: &[Detail], asked: Option<&str>) -> Result<Vec<Detail>, OAuthError> {
    let Some(asked) = asked else { return Ok(granted.to_vec()) };
    let asked = parse(asked)?;
    let is_within = |detail: &Detail| granted.iter().any(|one| one.contains(detail));
    if granted.is_empty() || asked.iter().all(is_within) {
        Ok(asked)
    } else {
        Err(wrong("this goes beyond what was granted: ask a person for it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;

    fn permits_documents(details: &[Detail], operation: Operation, documents: &BTreeSet<Digest>) -> bool {
        permitting_documents(details, operation, documents).is_some()
    }

    fn envelope(byte: u8) -> EnvelopeId {
        EnvelopeId::from_bytes([byte; 16])
    }

    fn detail(text: &str) -> Detail {
        parse(&format!("[{text}]")).unwrap().remove(0)
    }

    fn on(byte: u8, actions: &str) -> Detail {
        detail(&format!(r#"{{"type":"envelope","actions":{actions},"envelopes":["{}"]}}"#, envelope(byte)))
    }

    /// A-7: what is not exactly understood is not granted.
    #[test]
    fn details_are_read_strictly() {
        let id = envelope(1);
        for text in [
            "{}".to_owned(),
            "[]".to_owned(),
            r#"[{"type":"payment","actions":["read"]}]"#.to_owned(),
            r#"[{"type":"envelope"}]"#.to_owned(),
            r#"[{"type":"envelope","actions":[]}]"#.to_owned(),
            r#"[{"type":"envelope","actions":["read","read"]}]"#.to_owned(),
            r#"[{"type":"envelope","actions":["sign"]}]"#.to_owned(),
            r#"[{"type":"envelope","actions":["read"],"envelopes":[]}]"#.to_owned(),
            r#"[{"type":"envelope","actions":["read"],"envelopes":["env_x"]}]"#.to_owned(),
            r#"[{"type":"envelope","actions":["read"],"locations":["https://sign.test"]}]"#.to_owned(),
            r#"[{"type":"envelope","actions":["read"],"single_use":1}]"#.to_owned(),
            r#"[{"type":"envelope","type":"envelope","actions":["read"]}]"#.to_owned(),
            format!(r#"[{{"type":"envelope","actions":["read"],"envelopes":["{id}","{id}"]}}]"#),
            r#"[{"type":"envelope","actions":["create"],"documents":["AB"]}]"#.to_owned(),
            format!("[{}]", [r#"{"type":"envelope","actions":["read"]}"#; 11].join(",")),
        ] {
            assert_eq!(parse(&text).unwrap_err().code, ErrorCode::InvalidAuthorizationDetails, "{text}");
        }
    }

    /// A-3: a token for one envelope does nothing to another, and nothing else to that one.
    #[test]
    fn a_detail_is_for_its_acts_on_its_envelopes() {
        let details = [on(1, r#"["read","void"]"#)];
        for operation in Operation::ALL.iter().copied() {
            let expected = matches!(
                operation,
                Operation::ReadEnvelope
                    | Operation::ListEvents
                    | Operation::VoidEnvelope
                    | Operation::ListEnvelopes
            );
            assert_eq!(permits(&details, operation, Some(envelope(1))), expected, "{operation:?}");
            assert!(!permits(&details, operation, Some(envelope(2))), "{operation:?}");
            assert!(!permits(&details, operation, None), "{operation:?}");
            assert!(permits(&[], operation, None));
        }
    }

    #[test]
    fn documents_narrow_what_is_created() {
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let text = format!(r#"{{"type":"envelope","actions":["create","read"],"documents":["{one}"]}}"#);
        let details = [detail(&text)];
        assert!(permits(&details, Operation::CreateEnvelope, None));
        assert!(permits(&details, Operation::UploadDocument, None));
        for operation in [Operation::CreateEnvelope, Operation::ReadEnvelope] {
            assert!(permits_documents(&details, operation, &BTreeSet::from([one])));
            assert!(!permits_documents(&details, operation, &BTreeSet::from([one, other])));
            assert!(!permits_documents(&details, operation, &BTreeSet::new()));
            assert!(!permits_documents(&[on(1, r#"["read"]"#)], operation, &BTreeSet::from([one])));
        }
        assert!(!permits_documents(&details, Operation::VoidEnvelope, &BTreeSet::from([one])));
        assert!(!permits(&details, Operation::ReadEnvelope, Some(envelope(1))));
        let download = [on(1, r#"["download"]"#)];
        assert!(!permits(&download, Operation::ReadDocument, None));
        assert!(!permits_documents(&download, Operation::ReadDocument, &BTreeSet::from([one])));
        let open = [detail(r#"{"type":"envelope","actions":["create"]}"#)];
        assert!(permits_documents(&open, Operation::CreateEnvelope, &BTreeSet::from([one])));
    }

    #[test]
    fn what_can_be_used_again_is_used_first() {
        let mut once = on(1, r#"["void"]"#);
        once.single_use = true;
        let details = [once, on(1, r#"["void"]"#)];
        let found = permitting(&details, Operation::VoidEnvelope, Some(envelope(1)));
        assert_eq!(found.map(|(index, _)| index), Some(1));
    }

    /// A-7: what is spent by a creation is the detail that fits its documents; one for others saves nothing.
    #[test]
    fn the_detail_that_fits_the_documents_is_spent() {
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let bound = |digest: &Digest, single_use: bool| {
            detail(&format!(
                r#"{{"type":"envelope","actions":["create"],"documents":["{digest}"],"single_use":{single_use}}}"#
            ))
        };
        let found = |details: &[Detail]| {
            let documents = BTreeSet::from([one]);
            permitting_documents(details, Operation::CreateEnvelope, &documents).map(|(index, _)| index)
        };
        assert_eq!(found(&[bound(&other, false), bound(&other, true), bound(&one, true)]), Some(2));
        assert_eq!(found(&[bound(&one, true), bound(&other, false), bound(&one, false)]), Some(2));
        assert_eq!(found(&[bound(&other, true)]), None);
        assert!(!is_spent_first(Operation::CreateEnvelope) && !is_spent_first(Operation::UploadDocument));
        assert!(is_spent_first(Operation::SendEnvelope) && is_spent_first(Operation::VoidEnvelope));
    }

    /// A-3: a refresh narrows and never widens.
    #[test]
    fn a_refresh_asks_for_no_more_than_was_granted() {
        let granted = [on(1, r#"["read","void"]"#)];
        let ask = |detail: &Detail| narrow(&granted, Some(&serde_json::to_string(&[detail]).unwrap()));
        assert_eq!(narrow(&granted, None), Ok(granted.to_vec()));
        assert_eq!(ask(&on(1, r#"["read"]"#)), Ok(vec![on(1, r#"["read"]"#)]));
        assert!(ask(&on(2, r#"["read"]"#)).is_err());
        assert!(ask(&on(1, r#"["send"]"#)).is_err());
        assert!(ask(&detail(r#"{"type":"envelope","actions":["read"]}"#)).is_err());
        let mut once = on(1, r#"["read"]"#);
        once.single_use = true;
        assert!(ask(&once).is_ok());
        let granted = [once];
        assert!(narrow(&granted, Some(&serde_json::to_string(&[on(1, r#"["read"]"#)]).unwrap())).is_err());
    }

    #[test]
    fn details_survive_their_text_and_are_shown_in_words() {
        let mut details = vec![on(1, r#"["send","create"]"#)];
        details[0].single_use = true;
        let text = serde_json::to_string(&details).unwrap();
        assert_eq!(parse(&text), Ok(details.clone()));
        assert_eq!(serde_json::from_str::<Vec<Detail>>(&text).unwrap(), details);
        assert_eq!(
            details[0].words(),
            [
                "create an envelope".to_owned(),
                "send the envelope, and its links again".to_owned(),
                format!("only for {}", envelope(1)),
                "once only".to_owned(),
            ]
        );
        assert!(check_scopes(&details, Scopes::of(&[Scope::EnvelopesWrite])).is_err());
        assert!(check_scopes(&details, Scopes::of(&[Scope::EnvelopesWrite, Scope::EnvelopesSend])).is_ok());
    }

    #[test]
    fn an_operation_belongs_to_one_action_at_most() {
        for operation in Operation::ALL {
            let count = Action::ALL.iter().filter(|action| action.operations().contains(operation)).count();
            assert!(count <= 1, "{operation:?}");
        }
    }
}
