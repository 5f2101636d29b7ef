//! Sign-in through an organization's own OpenID provider: its settings, and what its answers are worth. Who somebody is
//! depends on the issuer and the subject alone, never on an e-mail address.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

mod answer;
mod mail_domains;
mod reason;
mod settings;

pub use answer::{Answer, Asked, Unfit};
pub use reason::Reason;

use crate::level::Level;

/// How this server proves to the provider who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// An assertion signed with a key of its own (RFC 7523, OpenID Connect Core §9).
    PrivateKeyJwt,
    /// A shared secret (`client_secret_basic`).
    ClientSecret,
}

/// The claim of an ID token that a rule reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// The class of the authentication.
    Acr,
    /// One of its methods (RFC 8176).
    Amr,
}

/// What a value of a provider is worth here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// In which claim it stands.
    pub claim: Claim,
    /// The value, letter for letter.
    pub value: String,
    /// The level.
    pub level: Level,
}

/// What an organization set for its provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The issuer, as its metadata and its tokens have it.
    pub issuer: String,
    /// Under which id the provider knows this server.
    pub client_id: String,
    /// How this server proves who it is.
    pub authentication: Authentication,
    /// What members type on the sign-in page.
    pub handle: String,
    /// The domains of addresses that lead to the provider, too. They find it, and prove nothing.
    pub domains: Vec<String>,
    /// What its answers are worth.
    pub rules: Vec<Rule>,
    /// Whether members other than owners come in through it alone.
    pub is_required: bool,
}

impl Settings {
    /// The level of an authentication. Where `acr` has a rule, that rule decides; otherwise the highest of `amr`. What has
    /// no rule is worth nothing.
    pub fn level(&self, acr: Option<&str>, amr: &[String]) -> Option<Level> {
        let of = |claim, value: &str| {
            self.rules.iter().find(|rule| rule.claim == claim && rule.value == value).map(|rule| rule.level)
        };
        let by_class = acr.and_then(|value| of(Claim::Acr, value));
        by_class.or_else(|| amr.iter().filter_map(|value| of(Claim::Amr, value)).max())
    }

    /// The classes to ask for when at least `level` is needed, the least first (OpenID Connect Core §3.1.2.1).
    pub fn classes_for(&self, level: Level) -> Vec<&str> {
        let fits = |rule: &&Rule| rule.claim == Claim::Acr && rule.level >= level;
        let mut rules: Vec<&Rule> = self.rules.iter().filter(fits).collect();
        rules.sort_by_key(|rule| rule.level);
        rules.into_iter().map(|rule| rule.value.as_str()).collect()
    }

    /// The names that lead to this provider: each to one alone. A handle has no dot, and a domain has one.
    pub fn names(&self) -> BTreeSet<String> {
        self.domains.iter().chain([&self.handle]).cloned().collect()
    }
}

/// The name that somebody means who typed this on the sign-in page: a handle, a domain, or the domain of an address.
pub fn name_meant(typed: &str) -> Option<String> {
    let typed = typed.trim().to_lowercase();
    match typed.rsplit_once('@') {
        Some((_, domain)) => domain.contains('.').then(|| domain.to_owned()),
        None => Some(typed).filter(|typed| !typed.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn settings() -> Settings {
        let rule = |claim, value: &str, level| Rule { claim, value: value.to_owned(), level };
        Settings {
            issuer: "https://login.example.com".to_owned(),
            client_id: "countersign".to_owned(),
            authentication: Authentication::PrivateKeyJwt,
            handle: "harbour-mills".to_owned(),
            domains: vec!["example.com".to_owned()],
            rules: vec![
                rule(Claim::Acr, "gold", Level::Aal2Phr),
                rule(Claim::Acr, "silver", Level::Aal2),
                rule(Claim::Acr, "bronze", Level::Aal1),
                rule(Claim::Amr, "hwk", Level::Aal2Phr),
                rule(Claim::Amr, "otp", Level::Aal2),
            ],
            is_required: false,
        }
    }

    /// an answer is worth what was set for its values, and nothing where nothing was set.
    #[test]
    fn a_level_is_what_was_set_and_never_more() {
        let of = |acr, amr: &[&str]| {
            settings().level(acr, &amr.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(Some("silver"), &[]), Some(Level::Aal2));
        assert_eq!(of(None, &["pwd", "otp"]), Some(Level::Aal2));
        assert_eq!(of(None, &["otp", "hwk"]), Some(Level::Aal2Phr));
        // A class that has a rule is not raised by a method.
        assert_eq!(of(Some("bronze"), &["hwk"]), Some(Level::Aal1));
        assert_eq!(of(Some("unknown"), &["otp"]), Some(Level::Aal2));
        for (acr, amr) in [
            (None, vec![]),
            (Some("Gold"), vec![]),
            (Some("gold "), vec!["HWK"]),
            (Some("hwk"), vec!["gold"]),
        ] {
            assert_eq!(of(acr, &amr), None, "{acr:?} {amr:?}");
        }
    }

    #[test]
    fn classes_are_asked_for_from_the_least_that_does() {
        assert_eq!(settings().classes_for(Level::Aal2), ["silver", "gold"]);
        assert_eq!(settings().classes_for(Level::Aal2Phr), ["gold"]);
    }

    #[test]
    fn a_provider_is_found_by_handle_and_domain() {
        let names = settings().names();
        let is_meant = |typed: &str| name_meant(typed).is_some_and(|name| names.contains(&name));
        for typed in ["harbour-mills", " Harbour-Mills ", "example.com", "ada@Example.com"] {
            assert!(is_meant(typed), "{typed}");
        }
        for typed in ["", "@", "harbour", "ada@mail.example.com", "example.com.evil.test", "x@harbour-mills"]
        {
            assert!(!is_meant(typed), "{typed}");
        }
    }
}
