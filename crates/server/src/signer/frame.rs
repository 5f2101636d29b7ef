//! What all pages of a ceremony have in common: who asks, whom, for what, and how far it is.

use countersign_core::{
    envelope::event::{Factor, Role},
    id::{EnvelopeId, SessionId},
};

use crate::words;

/// The frame of a page.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Name of the sender's organization.
    pub organization: String,
    /// Title of the envelope.
    pub title: String,
    /// Name of the recipient.
    pub recipient: String,
    /// Whether all this is a test.
    pub is_sandbox: bool,
    /// What is asked of the recipient.
    pub role: Role,
    /// What identifies the recipient.
    pub factor: Factor,
    /// Which envelope.
    pub envelope: EnvelopeId,
    /// The session, for forms.
    pub session: SessionId,
    /// Address of the ceremony.
    pub base: String,
    /// Position in [`Frame::steps`], where the page is one of them.
    pub step: Option<usize>,
    /// Whether declining is possible.
    pub may_decline: bool,
}

impl Frame {
    /// The steps of this ceremony.
    pub fn steps(&self) -> Vec<&'static str> {
        let fill = match self.role {
            Role::Signer | Role::Approver => "Read and fill in",
            Role::Viewer | Role::Copy => "Read",
        };
        let act = match self.role {
            Role::Signer => "Sign",
            Role::Approver => "Approve",
            Role::Viewer | Role::Copy => "Confirm",
        };
        let identify = (self.factor != Factor::Link).then_some("Confirm it is you");
        identify.into_iter().chain(["Agree", fill, act]).collect()
    }

    /// What the sender does, after its name.
    pub fn request(&self) -> &'static str {
        words::request(self.role)
    }

    /// What pressing the last button means.
    pub fn effect(&self) -> &'static str {
        words::effect(self.role, self.is_sandbox)
    }

    /// What the recipient does to the documents.
    pub fn verb(&self) -> &'static str {
        match self.role {
            Role::Signer => "sign",
            Role::Approver => "approve",
            Role::Viewer | Role::Copy => "confirm",
        }
    }

    /// The first letter of the sender's name.
    pub fn initial(&self) -> String {
        self.organization.chars().take(1).flat_map(char::to_uppercase).collect()
    }
}

/// An address that its owner recognises and others do not: `a…e@example.com`.
pub fn masked_email(email: &str) -> String {
    let Some((local, domain)) = email.rsplit_once('@') else { return "…".to_owned() };
    let mut letters = local.chars();
    match (letters.next(), letters.next_back()) {
        (Some(first), Some(last)) if local.chars().count() > 3 => format!("{first}…{last}@{domain}"),
        (Some(first), _) => format!("{first}…@{domain}"),
        (None, _) => format!("…@{domain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::masked_email;

    #[test]
    fn a_masked_address_keeps_little_of_the_name() {
        assert_eq!(masked_email("alice@example.com"), "a…e@example.com");
        assert_eq!(masked_email("bob@example.com"), "b…@example.com");
        assert_eq!(masked_email("@"), "…@");
    }
}
