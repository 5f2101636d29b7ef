//! Whether a session does for what an authorization request asks: its level, its age, and whether the person is to be
//! asked again (RFC 9470 §5, OpenID Connect Core §3.1.2.1).

use crate::{
    level::{Level, StepUp},
    oauth::{
        authorize::AuthorizationRequest,
        error::{ErrorCode, OAuthError},
    },
    time::Time,
};

/// What a request asks of the session of its person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The least level.
    pub level: Option<Level>,
    /// How long ago the person may have authenticated, in seconds.
    pub max_age_s: Option<i64>,
    /// Whether the person is to sign in again, whatever the session.
    pub again: bool,
}

impl From<&AuthorizationRequest> for Asked {
    fn from(request: &AuthorizationRequest) -> Self {
        Self { level: request.level, max_age_s: request.max_age, again: request.prompt.login }
    }
}

impl From<StepUp> for Asked {
    fn from(step_up: StepUp) -> Self {
        Self { level: Some(step_up.level), max_age_s: Some(step_up.max_age_s), again: false }
    }
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The person must sign in: there is no session, or it is too old, or it is asked for.
    SignIn,
    /// The person must add a factor to reach this level.
    Level(Level),
}

/// Judges a session. What was proved after the request came is recent enough for any age, or nobody could answer
/// `max_age=0`.
pub fn judge(
    asked: &Asked,
    authenticated: Option<(Level, Time)>,
    asked_at: Time,
    now: Time,
) -> Result<(), Missing> {
    let (level, at) = authenticated.ok_or(Missing::SignIn)?;
    let is_new = at >= asked_at;
    let is_old = asked.max_age_s.is_some_and(|most_s| now.since_ms(at) > most_s.saturating_mul(1_000));
    if !is_new && (asked.again || is_old) {
        return Err(Missing::SignIn);
    }
    match asked.level {
        Some(least) if level < least => Err(Missing::Level(least)),
        _ => Ok(()),
    }
}

impl Missing {
    /// The error for `prompt=none`, where nobody may be asked (OpenID Connect Core §3.1.2.6).
    pub fn silently(self) -> OAuthError {
        match self {
            Self::SignIn => OAuthError::new(ErrorCode::LoginRequired, "the person must sign in"),
            Self::Level(level) => OAuthError::new(
                ErrorCode::InteractionRequired,
                format!("the person must sign in with {} or better", level.text()),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// level and age are judged apart, and a fresh sign-in answers every age.
    #[test]
    fn a_session_is_judged_by_level_and_age() {
        let asked_at = Time::from_unix_ms(10_000_000);
        let now = asked_at.plus_s(30);
        let old = Some((Level::Aal2, asked_at.plus_s(-600)));
        let new = Some((Level::Aal1, asked_at.plus_s(20)));
        let asked = |level, max_age_s, again| Asked { level, max_age_s, again };
        for (name, asked, session, expected) in [
            ("nothing asked", asked(None, None, false), old, Ok(())),
            ("no session", asked(None, None, false), None, Err(Missing::SignIn)),
            ("young enough", asked(None, Some(630), false), old, Ok(())),
            ("too old", asked(None, Some(629), false), old, Err(Missing::SignIn)),
            ("now", asked(None, Some(0), false), old, Err(Missing::SignIn)),
            ("now, and done", asked(None, Some(0), false), new, Ok(())),
            ("again", asked(None, None, true), old, Err(Missing::SignIn)),
            ("again, and done", asked(None, None, true), new, Ok(())),
            ("same level", asked(Some(Level::Aal2), None, false), old, Ok(())),
            ("lower level asked", asked(Some(Level::Aal1), None, false), old, Ok(())),
            (
                "higher level",
                asked(Some(Level::Aal2Phr), None, false),
                old,
                Err(Missing::Level(Level::Aal2Phr)),
            ),
            ("fresh and low", asked(Some(Level::Aal2), Some(0), true), new, Err(Missing::Level(Level::Aal2))),
        ] {
            assert_eq!(judge(&asked, session, asked_at, now), expected, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_done_silently_has_its_code() {
        assert_eq!(Missing::SignIn.silently().code, ErrorCode::LoginRequired);
        assert_eq!(Missing::Level(Level::Aal2).silently().code, ErrorCode::InteractionRequired);
    }

    #[test]
    fn a_dangerous_operation_asks_in_the_same_words() {
        let step_up = StepUp { level: Level::Aal2, max_age_s: 600 };
        assert_eq!(
            Asked::from(step_up),
            Asked { level: Some(Level::Aal2), max_age_s: Some(600), again: false }
        );
    }
}
