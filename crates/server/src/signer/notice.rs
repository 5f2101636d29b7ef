//! Notices: what a recipient sees when there is nothing to do here, one text for each reason.

use askama::Template;

use super::assets::Assets;
use crate::http::problem::About;

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The stable code of the reason.
    pub code: &'static str,
    /// Its colour: `good`, `bad` or `wait`.
    pub tone: &'static str,
    /// One character in a circle.
    pub sign: &'static str,
    /// Heading.
    pub heading: &'static str,
    /// What happened.
    pub text: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// The page of one notice.
#[derive(Template)]
#[template(path = "signer/notice.html")]
pub struct NoticePage<'a> {
    /// Addresses of assets.
    pub assets: Assets,
    /// What it says.
    pub notice: &'a Notice,
    /// What it is about, for a recipient who is in a session.
    pub about: Option<About>,
    /// Why the sender withdrew it, for the same.
    pub reason: Option<String>,
}

/// The notice for whoever declined.
pub const YOU_DECLINED: &str = "you_declined";

/// All notices; the landing page holds every one of them, so that it is the same for every envelope.
pub const ALL: &[Notice] = &[
    Notice {
        code: "not_found",
        tone: "bad",
        sign: "?",
        heading: "This link does not work",
        text: "It may have been cut off when it was copied, or a newer mail has replaced it.",
        advice: "Open the link from the newest mail, in full. If that does not help, ask the sender to send it again.",
    },
    Notice {
        code: "link_incomplete",
        tone: "bad",
        sign: "?",
        heading: "This link is incomplete",
        text: "The part after the # sign is missing. It is the key to the documents.",
        advice: "Open the link from your mail again, or copy all of it into the address bar.",
    },
    Notice {
        code: "link_expired",
        tone: "wait",
        sign: "!",
        heading: "This link has expired",
        text: "Links work for a limited time, to protect the documents. Nothing was lost.",
        advice: "Ask the sender for a new link. It comes to the same e-mail address.",
    },
    Notice {
        code: "expired",
        tone: "wait",
        sign: "!",
        heading: "The time to act is over",
        text: "The sender set a date until which this request was open, and it has passed.",
        advice: "If you still want to act, ask the sender for a new request.",
    },
    Notice {
        code: "voided",
        tone: "bad",
        sign: "×",
        heading: "The sender withdrew this request",
        text: "Nobody can act on it any more.",
        advice: "There is nothing for you to do. Ask the sender if you did not expect this.",
    },
    Notice {
        code: "declined",
        tone: "bad",
        sign: "×",
        heading: "This request was declined",
        text: "A recipient declined, which closed the request for everybody. The sender can see that.",
        advice: "There is nothing more for you to do.",
    },
    Notice {
        code: YOU_DECLINED,
        tone: "good",
        sign: "✓",
        heading: "You declined",
        text: "That closed the request for everybody. The sender can see that you declined, and your reason if you gave one.",
        advice: "There is nothing more for you to do.",
    },
    Notice {
        code: "not_your_turn",
        tone: "wait",
        sign: "…",
        heading: "It is not your turn yet",
        text: "Others act before you.",
        advice: "You get a mail with a link when it is your turn.",
    },
    Notice {
        code: "already_done",
        tone: "good",
        sign: "✓",
        heading: "You have done your part",
        text: "What you sent has arrived, and it counts once.",
        advice: "A link to the sealed copy follows by mail when everybody has acted. Open the link from your newest mail to see your receipt.",
    },
    Notice {
        code: "factor_locked",
        tone: "bad",
        sign: "!",
        heading: "This link is locked",
        text: "To protect the documents, nothing more is taken with it: too many wrong codes were typed, or a passkey was used that may be a copy of yours.",
        advice: "Ask the sender to send the request again. You then start afresh with a new link.",
    },
    Notice {
        code: "session_ended",
        tone: "wait",
        sign: "!",
        heading: "Your session has ended",
        text: "To protect the documents, they are closed after 30 minutes without activity, after 12 hours, and when a newer link is mailed to you.",
        advice: "Open the link from your newest mail. What you typed in this tab is kept if you open the link here.",
    },
    Notice {
        code: "session_missing",
        tone: "wait",
        sign: "!",
        heading: "Open the link from your mail",
        text: "This page works only in a browser in which you have opened the personal link from your mail.",
        advice: "Open the link from the newest mail, in full, in this browser.",
    },
    Notice {
        code: "too_many",
        tone: "wait",
        sign: "!",
        heading: "Too often",
        text: "This link was opened, or something was asked for with it, too many times.",
        advice: "Ask the sender for a new link. It comes to the same e-mail address.",
    },
    Notice {
        code: "document_changed",
        tone: "bad",
        sign: "!",
        heading: "The documents cannot be shown",
        text: "They are not the ones that the sender uploaded, so nothing can be signed.",
        advice: "Please tell the sender.",
    },
    Notice {
        code: "cross_site",
        tone: "bad",
        sign: "!",
        heading: "This came from another site",
        text: "For your protection, nothing was done.",
        advice: "Open the link from your mail again.",
    },
    Notice {
        code: "internal_error",
        tone: "wait",
        sign: "!",
        heading: "Something went wrong on our side",
        text: "Nothing was signed by this.",
        advice: "Please try again in a moment.",
    },
];

impl Notice {
    /// The notice for a stable code; for one without words of its own, that of a failure on our side.
    pub fn named(code: &str) -> &'static Self {
        let found = |code: &str| ALL.iter().find(|notice| notice.code == code);
        let Some(notice) = found(code).or_else(|| found("internal_error")) else {
            unreachable!("the list holds `internal_error`, as the test below shows")
        };
        notice
    }
}

#[cfg(test)]
mod tests {
    use super::Notice;

    #[test]
    fn every_reason_has_a_notice() {
        assert_eq!(Notice::named("voided").code, "voided");
        assert_eq!(Notice::named("no_such_code").code, "internal_error");
    }
}
