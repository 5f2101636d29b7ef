//! What mails about accounts say: links that work once, and notices of what changed. A notice has no link, so that nobody
//! learns to follow links in such mails.

use askama::Template;
use countersign_core::{
    access::Environment,
    id::{CorrelationId, EndpointId, MailId},
    role::Role,
    secret::{Personal, Secret},
    time::Time,
    webhook::standing::DisableReason,
};

use crate::{
    api_keys::Known,
    mail::{Letter, MailFault},
};

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The password.
    PasswordChanged,
    /// The password, through a mailed link and a second factor.
    PasswordReset,
    /// Password and one-time codes were turned off.
    PasswordRemoved,
    /// A secret for one-time codes was set up.
    CodesSet,
    /// A passkey was added.
    PasskeyAdded,
    /// A passkey was removed.
    PasskeyRemoved,
    /// A passkey was ended because its counter did not grow.
    PasskeyCloned,
    /// A set of recovery codes was made.
    RecoveryCodesMade,
    /// A recovery code was used, and others are left.
    RecoveryCodeUsed,
    /// The last recovery code was used.
    LastRecoveryCodeUsed,
    /// The account was connected with an organization's OpenID provider.
    ProviderLinked,
    /// That connection was removed.
    ProviderUnlinked,
    /// A refresh token came again after its time: what hung on it has ended.
    AccessStolen,
}

impl Notice {
    const ALL: [(Self, &'static str, &'static str, &'static str); 13] = [
        (
            Self::PasswordChanged,
            "password_changed",
            "Your password was changed",
            "The password of your account was changed.",
        ),
        (
            Self::PasswordReset,
            "password_reset",
            "Your password was reset",
            "The password of your account was reset, with a mailed link and a second factor.",
        ),
        (
            Self::PasswordRemoved,
            "password_removed",
            "Your password was turned off",
            "Signing in with a password and one-time codes was turned off for your account.",
        ),
        (
            Self::CodesSet,
            "codes_set",
            "One-time codes were set up",
            "An authenticator app was set up for your account. One that was set up before gives no valid codes any more.",
        ),
        (Self::PasskeyAdded, "passkey_added", "A passkey was added", "A passkey was added to your account."),
        (
            Self::PasskeyRemoved,
            "passkey_removed",
            "A passkey was removed",
            "A passkey was removed from your account.",
        ),
        (
            Self::PasskeyCloned,
            "passkey_cloned",
            "A passkey of yours may have been copied",
            "A passkey of your account answered as only a copy of it would. It opens your account no more.",
        ),
        (
            Self::RecoveryCodesMade,
            "recovery_codes_made",
            "New recovery codes were made",
            "New recovery codes were made for your account. Those of before are worth nothing.",
        ),
        (
            Self::RecoveryCodeUsed,
            "recovery_code_used",
            "A recovery code was used",
            "One of the recovery codes of your account was used. It is worth nothing now; the others are.",
        ),
        (
            Self::LastRecoveryCodeUsed,
            "last_recovery_code_used",
            "Your last recovery code was used",
            "The last recovery code of your account was used. Make new ones on your account page.",
        ),
        (
            Self::ProviderLinked,
            "provider_linked",
            "Your account was connected with your organization's sign-in",
            "Your account was connected with a sign-in of your organization. Whoever can sign in there as you comes into \
             what you may do for that organization.",
        ),
        (
            Self::ProviderUnlinked,
            "provider_unlinked",
            "Your organization's sign-in was disconnected",
            "Your account is no longer connected with your organization's sign-in.",
        ),
        (
            Self::AccessStolen,
            "access_stolen",
            "Access that you gave was ended",
            "A token of an application that acts for you was used twice, as happens when it was stolen. Its access has \
             ended, and so has the session in which you gave it.",
        ),
    ];

    /// The notice of a recovery code, after whose use so many are left.
    pub fn recovery_code_used(left: usize) -> Self {
        if left == 0 { Self::LastRecoveryCodeUsed } else { Self::RecoveryCodeUsed }
    }

    /// As jobs name it.
    pub fn text(self) -> &'static str {
        Self::ALL.iter().find(|(notice, ..)| *notice == self).map_or("", |(_, text, ..)| text)
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, ..)| *known == text).map(|(notice, ..)| *notice)
    }

    /// Subject and sentence.
    pub fn words(self) -> (&'static str, &'static str) {
        let found = Self::ALL.iter().find(|(notice, ..)| *notice == self);
        found.map_or(("", ""), |(_, _, subject, sentence)| (subject, sentence))
    }

    /// Whether the account has something else to be seen to than strangers.
    fn ends_sessions(self) -> bool {
        !matches!(self, Self::RecoveryCodeUsed | Self::LastRecoveryCodeUsed | Self::PasskeyCloned)
    }
}

/// What both forms of a letter show.
#[derive(Clone)]
struct Content {
    subject: String,
    hello: String,
    paragraphs: Vec<String>,
    link: Option<(String, String)>,
    close: String,
    reference: String,
}

#[derive(Template)]
#[template(path = "mail/account.txt")]
struct Text<'a> {
    letter: &'a Content,
}

#[derive(Template)]
#[template(path = "mail/account.html")]
struct Html<'a> {
    letter: &'a Content,
}

impl Content {
    fn write(&self) -> Result<Letter, MailFault> {
        Ok(Letter {
            subject: Personal::new(self.subject.clone()),
            text: Secret::new(Text { letter: self }.render()?),
            html: Secret::new(Html { letter: self }.render()?),
        })
    }
}

/// The mail and the request that caused it, for whoever looks into it later.
fn reference(mail: MailId, correlation: CorrelationId) -> String {
    format!("Mail {mail}, request {correlation}")
}

/// Invites somebody to an organization.
pub fn invitation(
    organization: &str,
    role: Role,
    link: &Secret<String>,
    expires_at: Time,
    mail: (MailId, CorrelationId),
) -> Result<Letter, MailFault> {
    let content = Content {
        subject: format!("{organization} invites you to Countersign"),
        hello: "Hello".to_owned(),
        paragraphs: vec![format!(
            "{organization} invites you to become a member on its Countersign server, as {}: somebody who {}.",
            role.text(),
            role.words()
        )],
        link: Some(("Accept the invitation".to_owned(), link.expose().clone())),
        close: format!(
            "The link is for you alone, works once, and until {}. If you did not expect this, you need not do anything.",
            expires_at.in_utc()
        ),
        reference: reference(mail.0, mail.1),
    };
    content.write()
}

/// Brings a link to reset a password.
pub fn reset(
    name: &Personal<String>,
    link: &Secret<String>,
    expires_at: Time,
    mail: (MailId, CorrelationId),
) -> Result<Letter, MailFault> {
    let content = Content {
        subject: "Reset your password".to_owned(),
        hello: format!("Hello {}", name.disclose()),
        paragraphs: vec![
            "Somebody, perhaps you, asked to reset the password of your Countersign account. The link is one half: you \
             also need a code of your authenticator app, a recovery code, or a passkey."
                .to_owned(),
        ],
        link: Some(("Choose another password".to_owned(), link.expose().clone())),
        close: format!(
            "The link works once, and until {}. If it was not you, ignore this mail: nothing has changed.",
            expires_at.in_utc()
        ),
        reference: reference(mail.0, mail.1),
    };
    content.write()
}

/// Tells what changed.
pub fn notice(
    name: &Personal<String>,
    notice: Notice,
    at: Time,
    public_url: &str,
    mail: (MailId, CorrelationId),
) -> Result<Letter, MailFault> {
    let (subject, sentence) = notice.words();
    let mut paragraphs = vec![format!("{sentence} It happened at {}.", at.in_utc())];
    if notice.ends_sessions() {
        paragraphs
            .push("All other sessions, and what programs were allowed to do for you, have ended.".to_owned());
    }
    let content = Content {
        subject: subject.to_owned(),
        hello: format!("Hello {}", name.disclose()),
        paragraphs,
        link: None,
        close: format!(
            "If it was you, there is nothing to do. If it was not, go to {} by typing the address, change your password \
             and passkeys there, and tell the owner of your organization.",
            public_url.trim_start_matches("https://")
        ),
        reference: reference(mail.0, mail.1),
    };
    content.write()
}

/// Tells that an API key ends soon, and what to do.
pub fn key_ends(
    name: &Personal<String>,
    organization: &str,
    key: &Known,
    used_at: Option<Time>,
    public_url: &str,
    mail: (MailId, CorrelationId),
) -> Result<Letter, MailFault> {
    let row = &key.row;
    let environment = row.tenant.environment().text();
    let used = used_at
        .map_or("It was not used yet.".to_owned(), |at| format!("It was used last at {}.", at.in_utc()));
    let what = match key.replaced_by {
        Some(by) => format!(
            "It was rotated: {by} takes its place. Whatever still uses the old key is refused from then on, so look where \
             it is still in use."
        ),
        None => "Whatever uses it is refused from then on. Rotate it before: the new key and the old one work side by side \
                 while you put the new one in place."
            .to_owned(),
    };
    let content = Content {
        subject: format!(
            "The API key \u{201c}{}\u{201d} ends on {}",
            row.label,
            row.expires_at.date_in_zone(None)
        ),
        hello: format!("Hello {}", name.disclose()),
        paragraphs: vec![
            format!(
                "The API key \u{201c}{}\u{201d} ({}) of {organization}, {environment}, ends at {}. {used}",
                row.label,
                row.key,
                row.expires_at.in_utc()
            ),
            what,
        ],
        link: None,
        close: format!(
            "Go to {} by typing the address, and there to the API keys of {organization}; or use the command \
             `countersign keys rotate`.",
            public_url.trim_start_matches("https://")
        ),
        reference: reference(mail.0, mail.1),
    };
    content.write()
}

/// What a mail tells of a webhook endpoint.
pub struct AboutEndpoint<'a> {
    /// Which.
    pub id: EndpointId,
    /// Where it is.
    pub host: &'a str,
    /// Since when nothing was delivered to it.
    pub since: Option<Time>,
    /// Why it was disabled, if it was.
    pub reason: Option<DisableReason>,
    /// In so many days it is.
    pub days: u32,
}

/// That a webhook endpoint fails, or was disabled.
pub fn endpoint_fails(
    name: &Personal<String>,
    (organization, environment): (&str, Environment),
    endpoint: &AboutEndpoint<'_>,
    public_url: &str,
    mail: (MailId, CorrelationId),
) -> Result<Letter, MailFault> {
    let AboutEndpoint { id, host, since, reason, days } = endpoint;
    let since = since.map_or_else(String::new, |since| format!(" since {}", since.in_utc()));
    let day = if *days == 1 { "1 day" } else { &format!("{days} days") };
    let (subject, what, then) = match reason {
        Some(DisableReason::Gone) => (
            format!("Webhooks to {host} were stopped"),
            "It answered that it is gone for good (410), so it is told of nothing any more.".to_owned(),
            "If that was a mistake, activate it again, and have sent what it missed.",
        ),
        Some(_) => (
            format!("Webhooks to {host} were stopped"),
            format!("Nothing could be delivered to it{since}, so it is told of nothing any more."),
            "When it works again, activate it, recover what failed, and replay what it missed: nothing is lost for 29 days.",
        ),
        None => (
            format!("Webhooks to {host} fail, and are stopped in {day}"),
            format!("Nothing could be delivered to it{since}."),
            "The page of its deliveries shows what it answered. One that is taken is enough for it to stay.",
        ),
    };
    let content = Content {
        subject,
        hello: format!("Hello {}", name.disclose()),
        paragraphs: vec![
            format!(
                "The webhook endpoint {id} of {organization}, {}, is at {host}. {what}",
                environment.text()
            ),
            then.to_owned(),
        ],
        link: None,
        close: format!(
            "Go to {} by typing the address, and there to the webhooks of {organization}.",
            public_url.trim_start_matches("https://")
        ),
        reference: reference(mail.0, mail.1),
    };
    content.write()
}

/// What a mail tells of the client certificate of a webhook endpoint.
pub struct AboutCertificate<'a> {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Where it is.
    pub host: &'a str,
    /// When the certificate ends.
    pub ends_at: Time,
    /// Whether that is past.
    pub has_ended: bool,
}

/// That the client certificate of a webhook endpoint ends.
pub fn certificate_ends(
    name: &Personal<String>,
    (organization, environment): (&str, Environment),
    certificate: &AboutCertificate<'_>,
    public_url: &str,
    mail: (MailId, CorrelationId),
) -> Result<Letter, MailFault> {
    let AboutCertificate { endpoint, host, ends_at, has_ended } = certificate;
    let (day, at) = (ends_at.date_in_zone(None), ends_at.in_utc());
    let (subject, what) = if *has_ended {
        let subject = format!("The client certificate for webhooks to {host} has ended");
        (subject, format!("ended at {at}: nothing is delivered with it any more."))
    } else {
        let subject = format!("The client certificate for webhooks to {host} ends on {day}");
        (subject, format!("ends at {at}. Nothing is delivered with it afterwards."))
    };
    let content = Content {
        subject,
        hello: format!("Hello {}", name.disclose()),
        paragraphs: vec![
            format!(
                "The client certificate that the webhook endpoint {endpoint} of {organization}, {}, shows to {host} {what}",
                environment.text()
            ),
            "Have it renewed, and give the new one with its key on the page where the endpoint is changed, or through the API. In \
             live that is another receiver, which takes the proof anew: do it while somebody can look."
                .to_owned(),
        ],
        link: None,
        close: format!(
            "Go to {} by typing the address, and there to the webhooks of {organization}.",
            public_url.trim_start_matches("https://")
        ),
        reference: reference(mail.0, mail.1),
    };
    content.write()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notice_has_one_name_and_words() {
        for (notice, text, ..) in Notice::ALL {
            assert_eq!(Notice::parse(text), Some(notice));
            assert_eq!(notice.text(), text);
            assert!(notice.words().0.len() > 5);
        }
        assert_eq!(Notice::recovery_code_used(0), Notice::LastRecoveryCodeUsed);
    }
}
