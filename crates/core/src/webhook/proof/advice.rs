//! The probes in words: what is sent, what is expected, and how to mend a receiver that does otherwise.

use super::{Answer, Probe, Reaction};

impl Probe {
    /// What is sent, in a few words.
    pub fn sent(self) -> &'static str {
        match self {
            Self::Forged => "a message that a stranger signed in the name of your key",
            Self::Stale => "a right message of ten minutes ago",
            Self::Tampered => "a message with another body than was signed",
            Self::Swapped => "a message with another id and time than were signed",
            Self::WrongKeyId => "a message by a key that you cannot know, which it names",
            Self::Good => "a right message",
            Self::Replayed => "the right message again, byte for byte",
        }
    }

    /// What a receiver should answer: any status of that kind shows it, and the one named is that of the wire format.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Good => "2xx",
            Self::Stale => "4xx, best 408",
            Self::Replayed => "4xx, best 409",
            Self::Forged | Self::Tampered | Self::Swapped | Self::WrongKeyId => "4xx, best 401",
        }
    }

    /// Where the documentation tells more of it.
    pub fn page(self) -> String {
        format!("docs/webhooks/proof.md#{}", self.text())
    }

    /// How to mend a receiver that did the opposite.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Good => {
                "The right message was refused. Verify the body byte for byte as it arrived, with the secret or public key that \
                 `webhook-key-id` names, by a clock that is right; and do not block the sender because of a wrong message, \
                 which anybody can send."
            }
            Self::Forged => {
                "A message that somebody else had signed was accepted: anybody can make you act. Verify `webhook-signature` \
                 before anything else, and answer 401 where none is right."
            }
            Self::Stale => {
                "A message of ten minutes ago was accepted: whoever once saw one can send it later. Refuse a `webhook-timestamp` \
                 that is more than 5 minutes from your clock, with 408."
            }
            Self::Tampered => {
                "A message that was changed on its way was accepted. Sign `webhook-id`, `webhook-timestamp` and the raw body as one, \
                 before any JSON is parsed, compare it, and answer 401 where it differs."
            }
            Self::Swapped => {
                "The signature of one message was accepted on another id and time: whoever saw one message can send it for ever. Put \
                 `webhook-id` and `webhook-timestamp`, as they came in this request, before the raw body of what is verified, and \
                 answer 401 where it differs."
            }
            Self::WrongKeyId => {
                "A message signed by a key that you do not hold was accepted. Take keys from your own settings or from the \
                 endpoint's JWK set, never from the message, and answer 401 to a `webhook-key-id` that you do not know."
            }
            Self::Replayed => {
                "The same message was accepted twice: whoever saw it can make you act again. Keep each pair of `webhook-id` and \
                 `webhook-timestamp` for 10 minutes, in the transaction in which you act, and answer 409 when it comes again."
            }
        }
    }
}

/// What to do where nothing was shown.
pub(super) fn unclear(probe: Probe, answer: Answer) -> String {
    let wanted = if probe == Probe::Good { "2xx" } else { "4xx" };
    match answer {
        _ if answer.reaction() != Reaction::Unclear => {
            "Whether a replay is refused shows only where the right message is accepted first: mend that, and run the probes again."
                .to_owned()
        }
        Answer::Status(429) => "The receiver answered 429, which says nothing of the message: let the probes through your limits, \
                                and run them again."
            .to_owned(),
        Answer::Status(status @ 300..=399) => format!(
            "The receiver answered {status}, and redirects are not followed: give the address that answers itself."
        ),
        Answer::Status(status) => format!(
            "The receiver answered {status}, so what it thinks of the message could not be judged: answer {wanted} here, and \
             see its own log for what broke."
        ),
        Answer::None => format!(
            "The receiver gave no answer, so what it thinks of the message could not be judged: answer {wanted} here \
             within 15 seconds, over TLS with a certificate that is trusted."
        ),
        Answer::NotSent => {
            "It was not sent, because the probes before it took too long: mend those, and run the probes again.".to_owned()
        }
    }
}
