//! The words for what a role is asked: the same on pages and in mails.

use countersign_core::envelope::event::Role;

/// What a sandbox is, for people who were sent something from one.
pub const SANDBOX: &str = "Sandbox: this is a test and binds nobody.";

/// What the role is asked to do to the documents.
pub fn verb(role: Role) -> &'static str {
    match role {
        Role::Signer => "sign",
        Role::Approver => "approve",
        Role::Viewer | Role::Copy => "read",
    }
}

/// What a sender asks of a role, after the sender's name.
pub fn request(role: Role) -> &'static str {
    match role {
        Role::Signer => "asks you to sign",
        Role::Approver => "asks you to approve",
        Role::Viewer => "asks you to read",
        Role::Copy => "sends you a copy",
    }
}

/// The same once the role has done it.
pub fn request_met(role: Role) -> &'static str {
    match role {
        Role::Signer => "asked you to sign, and you have",
        Role::Approver => "asked you to approve, and you have",
        Role::Viewer | Role::Copy => "asked you to read, and you have",
    }
}

/// What a link is opened for, as a button says it.
pub fn task(role: Role) -> &'static str {
    match role {
        Role::Signer => "Read and sign",
        Role::Approver => "Read and approve",
        Role::Viewer | Role::Copy => "Read",
    }
}

/// What pressing the last button means.
pub fn effect(role: Role, is_sandbox: bool) -> &'static str {
    match role {
        _ if is_sandbox => "This is a test in a sandbox: pressing the button binds nobody.",
        Role::Signer => "Pressing the button has the effect of a signature on paper.",
        Role::Approver => {
            "Pressing the button records that you approve the documents. It puts no signature on them."
        }
        Role::Viewer | Role::Copy => {
            "Pressing the button records that you have read the documents. It is no signature and agrees to nothing in them."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 3] = [Role::Signer, Role::Approver, Role::Viewer];

    #[test]
    fn only_a_signer_outside_of_a_sandbox_reads_of_a_signature_on_paper() {
        for role in ROLES {
            assert_eq!(effect(role, false).contains("signature on paper"), role == Role::Signer);
            assert!(effect(role, true).contains("binds nobody"));
        }
    }

    #[test]
    fn every_role_is_asked_with_its_own_verb() {
        for role in ROLES {
            assert!(request(role).ends_with(verb(role)) && task(role).to_lowercase().ends_with(verb(role)));
        }
        assert_eq!(task(Role::Viewer), "Read");
    }
}
