//! What a password may be (NIST SP 800-63B-4 §3.1.1): 12 to 128 characters of any kind, compared in one normal form, not
//! a known one, and not made of what is known of its owner. No composition rules, and no expiry.

use unicode_normalization::UnicodeNormalization as _;

use crate::{
    limits,
    refusal::{Code, Refusal},
    secret::Secret,
};

/// Words by themselves, and passwords of every list of leaked ones: whoever guesses begins with them.
const KNOWN: &str = include_str!("known_passwords.txt");
/// Shorter words in a password say nothing about it.
const TELLING_CHARS: usize = 4;
/// What must be left of a password without the words that are known of its owner.
const OWN_CHARS: usize = 8;
/// The least score of the estimate of guesses, of 0 to 4.
pub const LEAST_SCORE: u8 = 3;

/// A password in the one form in which it is hashed (Unicode NFKC), so that it is the same from every keyboard.
pub fn normalized(text: &Secret<String>) -> Secret<String> {
    Secret::new(text.expose().nfkc().collect())
}

/// Whether a normalized password can be the one that is stored: anything else need not be hashed to be known as wrong, but
/// is, so that its answer takes as long.
pub fn has_possible_length(password: &Secret<String>) -> bool {
    let length = password.expose().chars().count();
    (limits::PASSWORD_LEAST_CHARS..=limits::PASSWORD_CHARS).contains(&length)
}

fn refused(sentence: &str) -> Refusal {
    Refusal::at(Code::Invalid, "/password", sentence)
}

/// Refuses a new, normalized password. `own` are words that are known of its owner: address, name, organization. `score`
/// estimates how hard it is to guess, from 0 to 4; it is asked only where the rest is right.
pub fn check_new(
    password: &Secret<String>,
    own: &[&str],
    score: impl FnOnce(&str) -> u8,
) -> Result<(), Refusal> {
    let text = password.expose();
    let length = text.chars().count();
    if length < limits::PASSWORD_LEAST_CHARS {
        return Err(refused(
            "a password has at least 12 characters; a few words in a row are easy to remember",
        ));
    }
    if length > limits::PASSWORD_CHARS {
        return Err(refused("a password has at most 128 characters"));
    }
    let lower = text.to_lowercase();
    if is_known(&lower) {
        return Err(refused("this password is on every list of those that are tried first; choose another"));
    }
    if is_made_of(&lower, own) {
        return Err(refused(
            "a password is not made of your name, your address or your organization; choose another",
        ));
    }
    if score(text) < LEAST_SCORE {
        return Err(refused(
            "this password is easy to guess; three or four words that have nothing to do with each other are hard to",
        ));
    }
    Ok(())
}

/// On the list, once or several times in a row, perhaps with digits and signs at its ends.
fn is_known(lower: &str) -> bool {
    let core = lower.trim_matches(|c: char| !c.is_alphabetic());
    KNOWN.lines().any(|known| {
        let repeats = |text: &str| !text.is_empty() && text.replace(known, "").is_empty();
        repeats(lower) || repeats(core)
    })
}

/// Whether little is left without the words that are known of its owner.
fn is_made_of(lower: &str, own: &[&str]) -> bool {
    let mut rest = lower.to_owned();
    let mut found = false;
    let words = own.iter().flat_map(|text| {
        let whole = text.to_lowercase();
        let parts: Vec<String> = whole.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
        std::iter::once(whole).chain(parts)
    });
    for word in words.chain(std::iter::once("countersign".to_owned())) {
        if word.chars().count() >= TELLING_CHARS && rest.contains(&word) {
            rest = rest.replace(&word, "");
            found = true;
        }
    }
    found && rest.chars().filter(|c| c.is_alphanumeric()).count() < OWN_CHARS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, own: &[&str]) -> Option<String> {
        let password = normalized(&Secret::new(text.to_owned()));
        check_new(&password, own, |_| 4).err().map(|refusal| refusal.sentence)
    }

    /// length counts, and nothing about the kinds of characters.
    #[test]
    fn any_characters_make_a_password_if_there_are_enough() {
        assert!(refusal("elevenchars", &[]).unwrap().contains("at least 12"));
        assert_eq!(refusal("twelve chars", &[]), None);
        assert_eq!(refusal("🦀🦀🦀🦀🌊🌊🌊🌊🪨🪨🪨🪨", &[]), None);
        assert_eq!(refusal(&"ab ".repeat(42), &[]), None);
        assert!(refusal(&"a".repeat(129), &[]).unwrap().contains("at most 128"));
    }

    /// the same password from another keyboard is the same password.
    #[test]
    fn a_password_has_one_normal_form() {
        let composed = normalized(&Secret::new("Zürich ﬁnds it".to_owned()));
        let decomposed = normalized(&Secret::new("Zu\u{308}rich finds it".to_owned()));
        assert_eq!(composed.expose(), decomposed.expose());
    }

    /// known passwords are refused, also in capitals, doubled, and with the usual ends.
    #[test]
    fn known_passwords_are_refused() {
        for known in [
            "passwordpassword",
            "Password123456!",
            "qwertyqwerty",
            "1q2w3e4r5t6y",
            "123456789012",
            "LETMEIN!!!!!!!",
        ] {
            assert!(refusal(known, &[]).is_some_and(|said| said.contains("list")), "{known}");
        }
    }

    /// what is known of its owner is no password, and may be part of one.
    #[test]
    fn a_password_is_not_made_of_what_is_known_of_its_owner() {
        let own = ["ada.lovelace@example.com", "Ada Lovelace", "Harbour Mills"];
        for made in ["harbourmills1", "Lovelace-2026!", "countersign1234", "ada.lovelace@example.com"] {
            assert!(refusal(made, &own).is_some_and(|said| said.contains("your name")), "{made}");
        }
        assert_eq!(refusal("lovelace counts analytical wheels", &own), None);
    }

    /// what is guessed in a moment is refused, and the estimate is not asked where something else is wrong.
    #[test]
    fn the_estimate_has_the_last_word() {
        let password = Secret::new("tribute to the tide".to_owned());
        assert!(check_new(&password, &[], |_| 2).is_err());
        assert!(check_new(&password, &[], |_| 3).is_ok());
        let short = Secret::new("short".to_owned());
        assert!(check_new(&short, &[], |_| panic!("asked")).is_err());
    }
}
