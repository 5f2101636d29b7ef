//! An access token that somebody presents: everything that it hangs on must still hold at this moment, and whoever has it
//! must prove the key or certificate that it is bound to (RFC 6750 §3.1, RFC 9449 §7, RFC 8705 §3).

use crate::{
    access::Environment,
    digest::Digest,
    oauth::{challenge::Scheme, token::Binding},
    security::FailureReason,
    time::Time,
};

/// What the caller showed with the token.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// The scheme of the `Authorization` header.
    pub scheme: Scheme,
    /// The environment that the token's text names.
    pub environment: Environment,
    /// The thumbprint of the proof's key, of a proof that was checked.
    pub key: Option<Digest>,
    /// SHA-256 of the certificate of the connection.
    pub certificate: Option<Digest>,
}

/// The token and all that it hangs on.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one of the things that a token hangs on")]
pub struct Standing {
    /// The environment of its tenant.
    pub environment: Environment,
    /// What it is bound to; whoever has an unbound one may use it.
    pub bound: Option<Binding>,
    /// When it ends.
    pub expires_at: Time,
    /// Whether it is for this API, and not for another resource server.
    pub is_for_this_api: bool,
    /// When its grant was made.
    pub granted_at: Time,
    /// Whether its grant has ended.
    pub grant_ended: bool,
    /// Whether its client has ended.
    pub client_ended: bool,
    /// Whether the session in which it was granted has ended.
    pub sign_in_ended: bool,
    /// The user behind it, if there is one.
    pub user: Option<UserStanding>,
}

/// The user behind a token.
#[derive(Clone, Copy, Debug)]
pub struct UserStanding {
    /// Grants of before have ended; `None` for a user who is gone.
    pub valid_from: Option<Time>,
    /// Whether the user is a member of the organization.
    pub is_member: bool,
}

/// Whether the token is good at `now` in the hands of whoever shows it. The caller of a token that is not good learns no
/// more than that; the reason is for the organization.
pub fn judge(standing: &Standing, shown: &Shown, now: Time) -> Result<(), FailureReason> {
    let ended = standing.grant_ended || standing.client_ended || standing.sign_in_ended;
    let user_ended = standing.user.is_some_and(|user| {
        !user.is_member || user.valid_from.is_none_or(|valid_from| standing.granted_at < valid_from)
    });
    if standing.environment != shown.environment || !standing.is_for_this_api {
        return Err(FailureReason::NotAllowed);
    }
    if ended || user_ended {
        return Err(FailureReason::Ended);
    }
    if standing.expires_at <= now {
        return Err(FailureReason::Expired);
    }
    let fits = match (standing.bound, shown.scheme) {
        (None, Scheme::Bearer) => true,
        (Some(Binding::Key(thumbprint)), Scheme::Dpop) => shown.key == Some(thumbprint),
        (Some(Binding::Certificate(sha256)), Scheme::Bearer) => shown.certificate == Some(sha256),
        // A bound token is no bearer token, and an unbound one is not proved by any key (RFC 9449 §7.1).
        _ => false,
    };
    if fits { Ok(()) } else { Err(FailureReason::WrongBinding) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(bound: Option<Binding>) -> Standing {
        Standing {
            environment: Environment::Live,
            bound,
            expires_at: Time::from_unix_ms(2_000),
            is_for_this_api: true,
            granted_at: Time::from_unix_ms(500),
            grant_ended: false,
            client_ended: false,
            sign_in_ended: false,
            user: Some(UserStanding { valid_from: Some(Time::from_unix_ms(500)), is_member: true }),
        }
    }

    fn shown(scheme: Scheme, key: Option<u8>, certificate: Option<u8>) -> Shown {
        let digest = |byte: u8| Digest([byte; 32]);
        Shown {
            scheme,
            environment: Environment::Live,
            key: key.map(digest),
            certificate: certificate.map(digest),
        }
    }

    fn now() -> Time {
        Time::from_unix_ms(1_000)
    }

    /// a bound token is worth nothing without its key or certificate, and no binding stands in for another.
    #[test]
    fn a_token_is_good_with_its_own_binding_alone() {
        let (key, certificate) =
            (Some(Binding::Key(Digest([1; 32]))), Some(Binding::Certificate(Digest([2; 32]))));
        for (bound, shown, fits) in [
            (None, shown(Scheme::Bearer, None, None), true),
            (None, shown(Scheme::Bearer, None, Some(2)), true),
            (None, shown(Scheme::Dpop, Some(1), None), false),
            (key, shown(Scheme::Dpop, Some(1), None), true),
            (key, shown(Scheme::Dpop, Some(9), None), false),
            (key, shown(Scheme::Dpop, None, None), false),
            (key, shown(Scheme::Bearer, None, None), false),
            (key, shown(Scheme::Bearer, Some(1), None), false),
            (certificate, shown(Scheme::Bearer, None, Some(2)), true),
            (certificate, shown(Scheme::Bearer, None, Some(9)), false),
            (certificate, shown(Scheme::Bearer, None, None), false),
            (certificate, shown(Scheme::Dpop, Some(1), Some(2)), false),
        ] {
            let expected = if fits { Ok(()) } else { Err(FailureReason::WrongBinding) };
            assert_eq!(judge(&standing(bound), &shown, now()), expected, "{bound:?} {shown:?}");
        }
    }

    /// whatever of what it hangs on has ended, the token has too.
    #[test]
    fn a_token_ends_with_whatever_it_hangs_on() {
        let good = standing(None);
        let bearer = shown(Scheme::Bearer, None, None);
        assert_eq!(judge(&good, &bearer, now()), Ok(()));
        let user = |valid_from: Option<i64>, is_member| {
            Some(UserStanding { valid_from: valid_from.map(Time::from_unix_ms), is_member })
        };
        for (standing, reason) in [
            (Standing { grant_ended: true, ..good }, FailureReason::Ended),
            (Standing { client_ended: true, ..good }, FailureReason::Ended),
            (Standing { sign_in_ended: true, ..good }, FailureReason::Ended),
            (Standing { user: user(Some(501), true), ..good }, FailureReason::Ended),
            (Standing { user: user(None, true), ..good }, FailureReason::Ended),
            (Standing { user: user(Some(500), false), ..good }, FailureReason::Ended),
            (Standing { expires_at: now(), ..good }, FailureReason::Expired),
            (Standing { is_for_this_api: false, ..good }, FailureReason::NotAllowed),
            (Standing { environment: Environment::Sandbox, ..good }, FailureReason::NotAllowed),
        ] {
            assert_eq!(judge(&standing, &bearer, now()), Err(reason), "{standing:?}");
        }
    }
}
