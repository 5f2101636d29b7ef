//! Rules of API keys: what one may be, how long it lives, what a rotation gives and ends, and what of its use is
//! kept.

pub mod life;
pub mod usage;

use crate::{
    envelope::fields::check_line,
    limits,
    network::Networks,
    refusal::{Code, Refusal},
    scope::Scopes,
};

const DAY_S: i64 = 24 * 3_600;

/// What an API key is to be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What people call it.
    pub label: String,
    /// What it may do.
    pub scopes: Scopes,
    /// From where it is taken.
    pub networks: Networks,
    /// How long it lives, in seconds.
    pub lifetime_s: i64,
}

impl Wish {
    /// Refuses what cannot be, or what its giver does not have: nobody gives more than that.
    pub fn check(&self, giver: Scopes) -> Result<(), Refusal> {
        check_line("/label", &self.label)?;
        check_lifetime(self.lifetime_s)?;
        check_scopes(self.scopes)?;
        let missing = self.scopes.without(giver);
        if missing.is_empty() {
            return Ok(());
        }
        let sentence = format!("you cannot give what you may not do yourself: {missing}");
        Err(Refusal::at(Code::Invalid, "/scopes", sentence))
    }
}

/// Refuses a life that is none, or longer than any may be.
pub fn check_lifetime(lifetime_s: i64) -> Result<(), Refusal> {
    if (1..=limits::API_KEY_S).contains(&lifetime_s) {
        return Ok(());
    }
    let sentence =
        format!("an API key lives at most {} days: rotate it before its end", limits::API_KEY_S / DAY_S);
    Err(Refusal::at(Code::Invalid, "/lifetime_s", sentence))
}

fn check_scopes(scopes: Scopes) -> Result<(), Refusal> {
    let never = scopes.without(Scopes::FOR_KEYS);
    if never.is_empty() {
        return Ok(());
    }
    let sentence = format!("an API key cannot have {never}: register a client instead");
    Err(Refusal::at(Code::Invalid, "/scopes", sentence))
}

/// What is to be otherwise about a key; nothing where it stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// What people call it.
    pub label: Option<String>,
    /// What it may do: less than before.
    pub scopes: Option<Scopes>,
    /// From where it is taken.
    pub networks: Option<Networks>,
}

impl Edit {
    /// Refuses an edit of a key with these scopes that gives it more power.
    pub fn check(&self, scopes: Scopes) -> Result<(), Refusal> {
        if let Some(label) = &self.label {
            check_line("/label", label)?;
        }
        let more = self.scopes.unwrap_or_default().without(scopes);
        if !more.is_empty() {
            let sentence = format!(
                "a key is never given more than it began with, and this one has no {more}: create another"
            );
            return Err(Refusal::at(Code::Invalid, "/scopes", sentence));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;

    fn wish(scopes: Scopes, lifetime_s: i64) -> Wish {
        Wish { label: "nightly export".to_owned(), scopes, networks: Networks::default(), lifetime_s }
    }

    fn pointer(result: Result<(), Refusal>) -> Option<String> {
        result.err().and_then(|refusal| refusal.pointer)
    }

    /// a key lives 90 days at most, and has no admin scope whoever makes it.
    #[test]
    fn a_key_is_scoped_and_ends() {
        let scopes = Scopes::of(&[Scope::DocumentsRead]);
        assert_eq!(wish(scopes, limits::API_KEY_S).check(Scopes::ALL), Ok(()));
        for wrong in [0, -1, limits::API_KEY_S + 1, i64::MAX] {
            assert_eq!(pointer(wish(scopes, wrong).check(Scopes::ALL)).as_deref(), Some("/lifetime_s"));
        }
        for scope in Scope::ALL {
            let one = Scopes::of(&[*scope]);
            assert_eq!(wish(one, 1).check(Scopes::ALL).is_ok(), Scopes::FOR_KEYS.has(*scope), "{scope:?}");
            // and nobody gives more than they have.
            let refused = wish(one, 1).check(Scopes::ALL.without(one));
            assert_eq!(pointer(refused).as_deref(), Some("/scopes"), "{scope:?}");
        }
        let nameless = Wish { label: String::new(), ..wish(scopes, 1) };
        assert_eq!(pointer(nameless.check(Scopes::ALL)).as_deref(), Some("/label"));
    }

    /// a change takes scopes away and gives none.
    #[test]
    fn a_change_gives_no_power() {
        let has = Scopes::of(&[Scope::DocumentsRead, Scope::EventsRead]);
        let edit = |scopes| Edit { scopes: Some(scopes), ..Edit::default() };
        assert_eq!(edit(Scopes::of(&[Scope::EventsRead])).check(has), Ok(()));
        assert_eq!(edit(has).check(has), Ok(()));
        assert_eq!(Edit::default().check(has), Ok(()));
        let more = edit(has.or(Scopes::of(&[Scope::SealedRead]))).check(has);
        assert_eq!(pointer(more).as_deref(), Some("/scopes"));
    }
}
