//! What settings of a provider must be, and the lines in which people write what its values are worth.

use super::{Claim, Rule, Settings, mail_domains::is_public};
use crate::{
    level::Level,
    limits,
    refusal::{Code, Refusal},
};

/// Longest address or value.
const CHARS: usize = 300;
/// Shortest and longest handle.
const HANDLE_CHARS: std::ops::RangeInclusive<usize> = 2..=40;

fn refused(pointer: &str, sentence: impl Into<String>) -> Refusal {
    Refusal::at(Code::Invalid, pointer, sentence)
}

/// Letters of a host name, without dots.
fn is_label(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = text.bytes().next().is_some_and(is_letter) && text.bytes().last().is_some_and(is_letter);
    ends_well && text.bytes().all(|byte| is_letter(byte) || byte == b'-')
}

/// Visible ASCII: no space, so that values can stand in one parameter with spaces between them.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= CHARS && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Settings {
    /// Refuses settings that cannot be meant. `own_domain` is the domain of the address of whoever sets them: nobody
    /// claims somebody else's.
    pub fn check(&self, own_domain: &str) -> Result<(), Refusal> {
        let rest = self.issuer.strip_prefix("https://").unwrap_or_default();
        if rest.is_empty() || !is_word(&self.issuer) || rest.contains(['?', '#', '@']) {
            let sentence =
                "the issuer is an https:// URL without query and fragment, as the provider's metadata has it";
            return Err(refused("/issuer", sentence));
        }
        if !is_word(&self.client_id) {
            return Err(refused("/client_id", "type the client id that the provider gave, without spaces"));
        }
        if !HANDLE_CHARS.contains(&self.handle.len()) || !is_label(&self.handle) {
            let sentence =
                "the handle has 2 to 40 small letters, digits and hyphens, and no hyphen at its ends";
            return Err(refused("/handle", sentence));
        }
        self.check_domains(own_domain)?;
        self.check_rules()
    }

    fn check_domains(&self, own_domain: &str) -> Result<(), Refusal> {
        if self.domains.len() > limits::PROVIDER_DOMAINS {
            let sentence = format!("at most {} domains lead to one provider", limits::PROVIDER_DOMAINS);
            return Err(refused("/domains", sentence));
        }
        for domain in &self.domains {
            if is_public(domain) {
                let sentence = format!(
                    "anybody gets an address at {domain}, so it leads nowhere: leave it out, and tell members the handle"
                );
                return Err(refused("/domains", sentence));
            }
            let is_domain = domain.contains('.') && domain.len() <= 253 && domain.split('.').all(is_label);
            let is_own = domain == own_domain || domain.ends_with(&format!(".{own_domain}"));
            if !is_domain || !is_own {
                let sentence = format!(
                    "{domain:?} cannot lead here: a domain must be that of your own address ({own_domain}), or below it"
                );
                return Err(refused("/domains", sentence));
            }
        }
        Ok(())
    }

    fn check_rules(&self) -> Result<(), Refusal> {
        if self.rules.len() > limits::PROVIDER_RULES {
            return Err(refused(
                "/rules",
                format!("at most {} values can be mapped", limits::PROVIDER_RULES),
            ));
        }
        for (place, rule) in self.rules.iter().enumerate() {
            if !is_word(&rule.value) {
                return Err(refused("/rules", "a value is visible ASCII without spaces"));
            }
            let is_same = |other: &Rule| other.claim == rule.claim && other.value == rule.value;
            if self.rules.iter().take(place).any(is_same) {
                return Err(refused("/rules", format!("{} is mapped twice: leave one line", rule.value)));
            }
        }
        if !self.rules.iter().any(|rule| rule.level >= Level::Aal2) {
            let sentence = "map at least one value to aal2 or aal2-phr: sessions of less open nothing";
            return Err(refused("/rules", sentence));
        }
        Ok(())
    }
}

impl Rule {
    /// Reads lines such as `acr urn:example:gold aal2-phr`; empty ones are left out.
    pub fn read_lines(text: &str) -> Result<Vec<Self>, Refusal> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(Self::read).collect()
    }

    fn read(line: &str) -> Result<Self, Refusal> {
        let wrong = || {
            let sentence = "each line is acr or amr, a value, and aal1, aal2 or aal2-phr, with spaces between: acr gold aal2";
            refused("/rules", sentence)
        };
        let mut words = line.split_whitespace();
        let (Some(claim), Some(value), Some(level), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong());
        };
        let claim = match claim {
            "acr" => Claim::Acr,
            "amr" => Claim::Amr,
            _ => return Err(wrong()),
        };
        let level = Level::parse(level).ok_or_else(wrong)?;
        Ok(Self { claim, value: value.to_owned(), level })
    }

    /// The inverse of [`Self::read_lines`].
    pub fn write_lines(rules: &[Self]) -> String {
        let line = |rule: &Self| {
            let claim = match rule.claim {
                Claim::Acr => "acr",
                Claim::Amr => "amr",
            };
            format!("{claim} {} {}", rule.value, rule.level.text())
        };
        rules.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::settings, *};

    #[test]
    fn rules_survive_their_lines() {
        let rules = settings().rules;
        assert_eq!(Rule::read_lines(&Rule::write_lines(&rules)).unwrap(), rules);
        assert_eq!(Rule::read_lines(" \n acr  gold\taal2 \r\n").unwrap().len(), 1);
        for wrong in ["acr gold", "acr gold aal3", "sub gold aal2", "acr gold aal2 more", "gold"] {
            assert!(Rule::read_lines(wrong).is_err(), "{wrong}");
        }
    }

    /// settings that open more than they say, or claim what is somebody else's, are not taken.
    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let own = "example.com";
        assert_eq!(settings().check(own), Ok(()));
        let at = |change: fn(&mut Settings)| {
            let mut changed = settings();
            change(&mut changed);
            changed.check(own).unwrap_err().pointer.unwrap()
        };
        for change in [
            (|it| it.issuer = "http://login.example.com".to_owned()) as fn(&mut Settings),
            |it| it.issuer = "https://".to_owned(),
            |it| it.issuer = "https://user@login.example.com".to_owned(),
            |it| it.issuer = "https://login.example.com/?x".to_owned(),
            |it| it.issuer = "https://login.example.com/#x".to_owned(),
        ] {
            assert_eq!(at(change), "/issuer");
        }
        assert_eq!(at(|it| it.client_id = "a b".to_owned()), "/client_id");
        for handle in ["", "a", "-ab", "Ab", "a.b", "a b"] {
            assert_eq!(
                Settings { handle: handle.to_owned(), ..settings() }.check(own).unwrap_err().pointer.unwrap(),
                "/handle"
            );
        }
        assert_eq!(at(|it| it.domains = vec!["bank.test".to_owned()]), "/domains");
        assert_eq!(at(|it| it.domains = vec!["notexample.com".to_owned()]), "/domains");
        assert_eq!(at(|it| it.domains = vec!["com".to_owned()]), "/domains");
        let public = Settings { domains: vec!["gmail.com".to_owned()], ..settings() };
        let refusal = public.check("gmail.com").unwrap_err();
        assert!(refusal.sentence.contains("handle"), "{}", refusal.sentence);
        assert_eq!(at(|it| it.rules.clear()), "/rules");
        assert_eq!(at(|it| it.rules.retain(|rule| rule.level == Level::Aal1)), "/rules");
        assert_eq!(at(|it| it.rules.push(it.rules[0].clone())), "/rules");
    }
}
