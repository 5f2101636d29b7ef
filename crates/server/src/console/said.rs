//! A word about what was just done.

use axum::http::HeaderValue;

use crate::{accounts::session, fault::Fault, signer::strict::Caller};

/// A word about what was just done, carried to the next page in a cookie that lives for seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    PasskeyAdded,
    PasskeyRemoved,
    PasskeyRenamed,
    CodesSet,
    PasswordChanged,
    PasswordRemoved,
    RecoveryKept,
    SessionsEnded,
    Joined,
    Invited,
    InvitedByHand,
    InvitationCancelled,
    RoleChanged,
    MemberRemoved,
    Left,
    ClientRegistered,
    ClientEnded,
    ApplicationEnded,
    ProviderUnlinked,
    ProviderSet,
    ProviderRemoved,
    WebhookChanged,
    WebhookActivated,
    WebhookDisabled,
    WebhookEnded,
    WebhookBlocked,
    WebhookReleased,
    WebhooksBlocked,
    WebhooksReleased,
    WebhookProven,
    WebhookNotProven,
    WebhookTestAccepted,
    WebhookTestRefused,
    WebhookKeyJoined,
    WebhookKeyPromoted,
    WebhookKeyRevoked,
    WebhookResent,
    WebhookRecovered,
    WebhookReplayed,
}

impl Said {
    const COOKIE: &'static str = "__Host-cs-said";
    const ALL: [(Self, &'static str, &'static str); 39] = [
        (Self::PasskeyAdded, "passkey-added", "The passkey was added. Other sessions have ended."),
        (Self::PasskeyRemoved, "passkey-removed", "The passkey was removed. Other sessions have ended."),
        (Self::PasskeyRenamed, "passkey-renamed", "The passkey has its new name."),
        (Self::CodesSet, "codes-set", "One-time codes are set up. Other sessions have ended."),
        (Self::PasswordChanged, "password-changed", "The password was changed. Other sessions have ended."),
        (
            Self::PasswordRemoved,
            "password-removed",
            "Password and one-time codes are off. Other sessions have ended.",
        ),
        (Self::RecoveryKept, "recovery-kept", "Your new recovery codes are good from now on."),
        (Self::SessionsEnded, "sessions-ended", "Done: what you ended is signed out."),
        (Self::Joined, "joined", "Welcome: you are a member now."),
        (Self::Invited, "invited", "The invitation is on its way. Its link works for three days."),
        (
            Self::InvitedByHand,
            "invited-by-hand",
            "The invitation is ready. This server sends no mail: its operator gets the link with `countersign mails`, and \
             it works for three days.",
        ),
        (
            Self::InvitationCancelled,
            "invitation-cancelled",
            "The invitation was taken back: its link is dead.",
        ),
        (Self::RoleChanged, "role-changed", "The role was changed. It holds from the next request on."),
        (Self::MemberRemoved, "member-removed", "The member was removed, with all access that it gave."),
        (Self::Left, "left", "You have left the organization."),
        (Self::ClientRegistered, "client-registered", "The client is registered. Its id is below."),
        (Self::ClientEnded, "client-ended", "The client was ended, with all its access."),
        (Self::ApplicationEnded, "application-ended", "The application has no access any more."),
        (
            Self::ProviderUnlinked,
            "provider-unlinked",
            "Your organization's sign-in is disconnected. Other sessions have ended.",
        ),
        (Self::ProviderSet, "provider-set", "The provider is set."),
        (
            Self::ProviderRemoved,
            "provider-removed",
            "The provider was removed, and every session that it opened has ended.",
        ),
        (Self::WebhookChanged, "webhook-changed", "The endpoint was changed."),
        (
            Self::WebhookActivated,
            "webhook-activated",
            "The endpoint is active: it is told of what happens from now on.",
        ),
        (
            Self::WebhookDisabled,
            "webhook-disabled",
            "The endpoint is disabled: it is told of nothing until it is activated.",
        ),
        (Self::WebhookEnded, "webhook-ended", "The endpoint has ended."),
        (
            Self::WebhookBlocked,
            "webhook-blocked",
            "Deliveries are blocked: they are parked, and none is lost.",
        ),
        (
            Self::WebhooksBlocked,
            "webhooks-blocked",
            "Deliveries are blocked here: they are parked, and none is lost.",
        ),
        (Self::WebhooksReleased, "webhooks-released", "The block is gone: what it parked goes out."),
        (Self::WebhookReleased, "webhook-released", "Deliveries are released: what was parked goes out."),
        (
            Self::WebhookProven,
            "webhook-proven",
            "The receiver is proven: it takes what is right, and refuses what is not.",
        ),
        (
            Self::WebhookNotProven,
            "webhook-not-proven",
            "The receiver is not proven: what it must mend is below.",
        ),
        (Self::WebhookTestAccepted, "webhook-test-accepted", "The receiver accepted the test."),
        (
            Self::WebhookTestRefused,
            "webhook-test-refused",
            "The receiver did not accept the test. What it answered is below.",
        ),
        (Self::WebhookKeyJoined, "webhook-key-joined", "Both keys sign from now on."),
        (Self::WebhookKeyPromoted, "webhook-key-promoted", "The new key is the primary one now."),
        (Self::WebhookKeyRevoked, "webhook-key-revoked", "The key is revoked: it signs nothing any more."),
        (Self::WebhookResent, "webhook-resent", "The message is sent again in a moment."),
        (
            Self::WebhookRecovered,
            "webhook-recovered",
            "What failed since then is sent again, a part at a time.",
        ),
        (
            Self::WebhookReplayed,
            "webhook-replayed",
            "What the endpoint was not told since then is sent, a part at a time.",
        ),
    ];

    /// It, on its way to the next page.
    pub(super) fn cookie(self) -> Result<HeaderValue, Fault> {
        let found = Self::ALL.iter().find(|(said, ..)| *said == self);
        session::set_cookie(Self::COOKIE, found.map_or("", |(_, name, _)| name), 20)
    }

    /// What to say on this page, and the cookie that forgets it.
    pub(super) fn heard(caller: &Caller) -> Option<(&'static str, HeaderValue)> {
        let name = session::cookie(&caller.headers, Self::COOKIE)?;
        let words = Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(.., words)| *words)?;
        Some((words, session::set_cookie(Self::COOKIE, "", 0).ok()?))
    }
}
