//! Mail: what it says (`Letter`), how it is written (RFC 5322, text and HTML, a stable Message-ID, DKIM), and where it
//! goes: an SMTP server with TLS, or the mailbox page of a sandbox.

pub mod smtp;

use askama::Template;
use countersign_core::{
    envelope::event::Role,
    id::{CorrelationId, EnvelopeId, MailId},
    secret::{Personal, Secret},
    time::Time,
};
use lettre::{
    Message,
    message::{
        Body, Mailbox, MultiPart,
        header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};
use thiserror::Error;

use crate::words;

/// What a mail says.
pub struct Letter {
    /// Subject.
    pub subject: Personal<String>,
    /// Plain text.
    pub text: Secret<String>,
    /// The same as HTML.
    pub html: Secret<String>,
}

/// What all letters share.
#[derive(Clone)]
pub struct About {
    /// Name of the recipient.
    pub to_name: Personal<String>,
    /// The sending organization.
    pub organization: String,
    /// Title of the envelope.
    pub title: Personal<String>,
    /// Whether all this is a test.
    pub is_sandbox: bool,
    /// The envelope.
    pub envelope: EnvelopeId,
    /// Size and root of the newest checkpoint: mailed, it is out of the house.
    pub checkpoint: Option<String>,
}

impl About {
    /// What the templates show. The subject says first that all this is a test where it is one.
    fn shared(&self, subject: &str) -> Shared<'_> {
        Shared {
            subject: if self.is_sandbox { format!("[Sandbox] {subject}") } else { subject.to_owned() },
            is_sandbox: self.is_sandbox,
            to_name: self.to_name.disclose(),
            organization: &self.organization,
            title: self.title.disclose(),
            envelope: self.envelope.to_string(),
            checkpoint: self.checkpoint.as_deref(),
        }
    }
}

/// What the templates of all letters show.
struct Shared<'a> {
    subject: String,
    is_sandbox: bool,
    to_name: &'a str,
    organization: &'a str,
    title: &'a str,
    envelope: String,
    checkpoint: Option<&'a str>,
}

/// Asks a recipient to act.
struct LinkLetter<'a> {
    verb: &'a str,
    task: &'a str,
    message: Option<&'a str>,
    link: &'a str,
    expires: String,
}

/// Brings a one-time code.
struct CodeLetter<'a> {
    code: &'a str,
}

/// Brings a link to the receipt.
struct ReceiptLetter<'a> {
    is_complete: bool,
    link: &'a str,
    expires: String,
}

/// Tells that the envelope ended without being completed.
struct EndedLetter<'a> {
    is_voided: bool,
    reason: Option<&'a str>,
}

macro_rules! templates {
    ($($letter:ident = $text:tt, $html:tt;)*) => {$(
        impl $letter<'_> {
            fn write(&self, about: &About, subject: &str) -> Result<Letter, MailFault> {
                #[derive(Template)]
                #[template(path = $text)]
                struct Text<'a> {
                    shared: &'a Shared<'a>,
                    letter: &'a $letter<'a>,
                }

                #[derive(Template)]
                #[template(path = $html)]
                struct Html<'a> {
                    shared: &'a Shared<'a>,
                    letter: &'a $letter<'a>,
                }

                let shared = &about.shared(subject);
                let (text, html) = (Text { shared, letter: self }, Html { shared, letter: self });
                Ok(Letter::of(shared, &text.render()?, html.render()?))
            }
        }
    )*};
}

templates! {
    LinkLetter = "mail/link.txt", "mail/link.html";
    CodeLetter = "mail/code.txt", "mail/code.html";
    ReceiptLetter = "mail/receipt.txt", "mail/receipt.html";
    EndedLetter = "mail/ended.txt", "mail/ended.html";
}

/// Why a mail could not be written.
#[derive(Debug, Error)]
pub enum MailFault {
    /// A template failed.
    #[error("the mail's template failed: {0}")]
    Template(#[from] askama::Error),
    /// An address that the mail library cannot take.
    #[error("an address cannot be written into a mail")]
    Address,
    /// The message could not be put together.
    #[error("the mail could not be put together: {0}")]
    Message(#[from] lettre::error::Error),
    /// The two forms of the message could not be written beside each other.
    #[error("the mail's parts could not be put together")]
    Parts,
}

impl Letter {
    /// Asks a recipient to act.
    pub fn link(
        about: &About,
        role: Role,
        message: Option<&Personal<String>>,
        link: &Secret<String>,
        expires_at: Time,
    ) -> Result<Self, MailFault> {
        let verb = words::verb(role);
        let letter = LinkLetter {
            verb,
            task: words::task(role),
            message: message.map(|message| message.disclose().as_str()),
            link: link.expose(),
            expires: expires_at.in_utc(),
        };
        let subject = format!("{} asks you to {verb} “{}”", about.organization, about.title.disclose());
        letter.write(about, &subject)
    }

    /// Brings a one-time code.
    pub fn code(about: &About, code: &Secret<String>) -> Result<Self, MailFault> {
        let subject = format!("Your code for “{}”", about.title.disclose());
        CodeLetter { code: code.expose() }.write(about, &subject)
    }

    /// Brings a link to the receipt, and tells that all is done where it is.
    pub fn receipt(
        about: &About,
        is_complete: bool,
        link: &Secret<String>,
        expires_at: Time,
    ) -> Result<Self, MailFault> {
        let title = about.title.disclose();
        let subject = if is_complete {
            format!("“{title}” is complete")
        } else {
            format!("Your receipt of “{title}”")
        };
        let letter = ReceiptLetter { is_complete, link: link.expose(), expires: expires_at.in_utc() };
        letter.write(about, &subject)
    }

    /// Tells that the sender withdrew what it had asked, and why if it said so.
    pub fn voided(about: &About, reason: Option<&Personal<String>>) -> Result<Self, MailFault> {
        let subject = format!("{} withdrew “{}”", about.organization, about.title.disclose());
        let reason = reason.map(|reason| reason.disclose().as_str());
        EndedLetter { is_voided: true, reason }.write(about, &subject)
    }

    /// Tells that a recipient declined, which closed the envelope for all. The reason is for the sender.
    pub fn declined(about: &About) -> Result<Self, MailFault> {
        let subject = format!("“{}” was declined", about.title.disclose());
        EndedLetter { is_voided: false, reason: None }.write(about, &subject)
    }

    fn of(shared: &Shared<'_>, text: &str, html: String) -> Self {
        let text = if shared.is_sandbox { format!("{}\n\n{text}", words::SANDBOX) } else { text.to_owned() };
        Self {
            subject: Personal::new(shared.subject.clone()),
            text: Secret::new(text),
            html: Secret::new(html),
        }
    }
}

/// Where a mail goes, and under which ids.
#[derive(Clone, Debug)]
pub struct Addressed {
    /// The mail: its Message-ID is the same however often it is sent.
    pub mail: MailId,
    /// Name and address of the recipient.
    pub to: (Personal<String>, Personal<String>),
    /// When it was caused: its date is the same however often it is sent.
    pub at: Time,
    /// The request that caused it (L-2).
    pub correlation: CorrelationId,
}

macro_rules! headers {
    ($($type:ident = $name:literal;)*) => {$(
        #[derive(Clone)]
        struct $type(String);

        impl Header for $type {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }

            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    )*};
}

headers! {
    AutoSubmitted = "Auto-Submitted";
    Correlation = "Countersign-Correlation-Id";
}

/// Writes a letter as a message.
pub fn write(
    letter: &Letter,
    to: &Addressed,
    from: &Mailbox,
    message_id_host: &str,
) -> Result<Message, MailFault> {
    let address = to.to.1.disclose().parse().map_err(|_| MailFault::Address)?;
    let unix_ms = u64::try_from(to.at.unix_ms()).unwrap_or(0);
    let message = Message::builder()
        .message_id(Some(format!("<{}@{message_id_host}>", to.mail)))
        .date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(unix_ms))
        .from(from.clone())
        .to(Mailbox::new(Some(to.to.0.disclose().clone()), address))
        .subject(letter.subject.disclose().clone())
        // RFC 3834 §5: no vacation answers, please.
        .header(AutoSubmitted("auto-generated".to_owned()))
        .header(Correlation(to.correlation.to_string()))
        .header(MIME_VERSION_1_0);
    let parts = MultiPart::alternative_plain_html(letter.text.expose().clone(), letter.html.expose().clone());
    let content_type = parts.headers().get::<ContentType>().ok_or(MailFault::Parts)?;
    let written = parts.formatted();
    let body = after_headers(&written).ok_or(MailFault::Parts)?;
    // DKIM signs the headers of the message alone: the Content-Type of its parts must be one of them (RFC 6376 §5.4.1).
    let body = Body::dangerous_pre_encoded(body.to_vec(), ContentTransferEncoding::SevenBit);
    Ok(message.header(content_type).body(body)?)
}

/// What follows the headers of a written part.
fn after_headers(written: &[u8]) -> Option<&[u8]> {
    let end = b"\r\n\r\n";
    let place = written.windows(end.len()).position(|bytes| bytes == end)?;
    written.get(place + end.len()..)
}
