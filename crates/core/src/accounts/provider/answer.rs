//! What an ID token must say besides signature, issuer, nonce and end, which the library checks (OpenID Connect Core
//! §3.1.3.7), and the level that comes of it.

use thiserror::Error;

use super::Settings;
use crate::{level::Level, limits, time::Time};

/// What an ID token says.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// For whom it is.
    pub audiences: &'a [String],
    /// To whom it was issued.
    pub azp: Option<&'a str>,
    /// When it was issued.
    pub issued_at: Time,
    /// When the person signed in at the provider.
    pub auth_time: Option<Time>,
    /// With which class.
    pub acr: Option<&'a str>,
    /// With which methods.
    pub amr: &'a [String],
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// When.
    pub at: Time,
    /// How long before that the person may have signed in at the provider.
    pub max_age_s: i64,
    /// The least level; `None` where the level does not matter.
    pub level: Option<Level>,
}

/// Why an ID token does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// It is not for this client, and for it alone.
    #[error("the ID token is not for this server alone (aud, azp)")]
    Audience,
    /// It was not issued in answer to this request.
    #[error("the ID token was issued at another time (iat); look at the clock of the provider")]
    IssuedAt,
    /// It does not say when the person signed in.
    #[error("the ID token does not say when the person signed in (auth_time), though max_age was asked for")]
    NoAuthTime,
    /// The person signed in too long ago, or in the future.
    #[error("the person signed in at the provider too long ago, or in the future (auth_time)")]
    AuthTime,
    /// Neither its class nor a method has a rule, or the rule gives less than is needed.
    #[error(
        "neither the class (acr) nor a method (amr) of the sign-in is mapped to the level that is needed"
    )]
    Level,
}

impl Settings {
    /// How surely the person was authenticated, and when. Whatever is missing or does not fit is refused.
    pub fn judge(
        &self,
        answer: &Answer<'_>,
        asked: &Asked,
        now: Time,
    ) -> Result<(Option<Level>, Time), Unfit> {
        let is_for_us = answer.audiences.iter().all(|audience| *audience == self.client_id)
            && !answer.audiences.is_empty()
            && answer.azp.is_none_or(|azp| azp == self.client_id);
        if !is_for_us {
            return Err(Unfit::Audience);
        }
        let latest = now.plus_s(limits::PROVIDER_SKEW_S);
        let earliest = asked.at.plus_s(-limits::PROVIDER_SKEW_S);
        if answer.issued_at > latest || answer.issued_at < earliest {
            return Err(Unfit::IssuedAt);
        }
        let auth_time = answer.auth_time.ok_or(Unfit::NoAuthTime)?;
        if auth_time > latest || auth_time < earliest.plus_s(-asked.max_age_s) {
            return Err(Unfit::AuthTime);
        }
        let level = self.level(answer.acr, answer.amr);
        if let Some(needed) = asked.level
            && level.is_none_or(|level| level < needed)
        {
            return Err(Unfit::Level);
        }
        Ok((level, auth_time.min(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::settings, *};

    /// an answer is taken whole or not at all.
    #[test]
    fn an_answer_must_fit_in_every_claim() {
        let begun = Time::from_unix_ms(1_795_000_000_000);
        let settings = settings();
        let audiences = [settings.client_id.clone()];
        let now = begun.plus_s(120);
        let good = Answer {
            audiences: &audiences,
            azp: None,
            issued_at: now,
            auth_time: Some(begun.plus_s(30)),
            acr: Some("silver"),
            amr: &[],
        };
        let asked = Asked { at: begun, max_age_s: 60, level: Some(Level::Aal2) };
        let judge = |answer: Answer<'_>| settings.judge(&answer, &asked, now);
        assert_eq!(judge(good.clone()), Ok((Some(Level::Aal2), begun.plus_s(30))));
        assert_eq!(
            judge(Answer { azp: Some("countersign"), ..good.clone() }),
            Ok((Some(Level::Aal2), begun.plus_s(30)))
        );
        // A clock that is a little ahead makes nobody fresher than now.
        let ahead = Answer { auth_time: Some(now.plus_s(20)), issued_at: now.plus_s(20), ..good.clone() };
        assert_eq!(judge(ahead), Ok((Some(Level::Aal2), now)));
        let two = [settings.client_id.clone(), "other".to_owned()];
        for (answer, why) in [
            (Answer { audiences: &two, ..good.clone() }, Unfit::Audience),
            (Answer { audiences: &[], ..good.clone() }, Unfit::Audience),
            (Answer { azp: Some("other"), ..good.clone() }, Unfit::Audience),
            (Answer { issued_at: begun.plus_s(-31), ..good.clone() }, Unfit::IssuedAt),
            (Answer { issued_at: now.plus_s(31), ..good.clone() }, Unfit::IssuedAt),
            (Answer { auth_time: None, ..good.clone() }, Unfit::NoAuthTime),
            (Answer { auth_time: Some(begun.plus_s(-91)), ..good.clone() }, Unfit::AuthTime),
            (Answer { auth_time: Some(now.plus_s(31)), ..good.clone() }, Unfit::AuthTime),
            (Answer { acr: Some("bronze"), ..good.clone() }, Unfit::Level),
            (Answer { acr: None, ..good.clone() }, Unfit::Level),
            (Answer { acr: Some("platinum"), ..good.clone() }, Unfit::Level),
        ] {
            assert_eq!(judge(answer.clone()), Err(why), "{answer:?}");
        }
        let indifferent = Asked { level: None, ..asked };
        assert_eq!(
            settings.judge(&Answer { acr: None, ..good }, &indifferent, now),
            Ok((None, begun.plus_s(30)))
        );
    }
}
