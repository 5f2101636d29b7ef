//! Roles of members and the most that each may do, in one table.

use serde::{Deserialize, Serialize};

use crate::{
    access::Environment,
    scope::{Scope, Scopes},
};

/// What a member is in an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything, and alone makes and ends owners.
    Owner,
    /// May do everything but what concerns owners.
    Admin,
    /// Sends documents and reads what came of them.
    Sender,
    /// Reads envelopes and sealed documents.
    Reviewer,
    /// Reads everything that is evidence, and changes nothing.
    Auditor,
    /// Builds integrations: free in the sandbox, and in live sees only that things run.
    Developer,
}

const SENDER: Scopes = Scopes::of(&[
    Scope::DocumentsWrite,
    Scope::DocumentsRead,
    Scope::EnvelopesWrite,
    Scope::EnvelopesSend,
    Scope::EnvelopesVoid,
    Scope::EnvelopesRead,
    Scope::EnvelopesStatus,
    Scope::EventsRead,
    Scope::SealedRead,
    Scope::MailboxRead,
]);
const REVIEWER: Scopes = Scopes::of(&[
    Scope::DocumentsRead,
    Scope::EnvelopesRead,
    Scope::EnvelopesStatus,
    Scope::EventsRead,
    Scope::SealedRead,
]);
const AUDITOR: Scopes = Scopes::of(&[
    Scope::EnvelopesRead,
    Scope::EnvelopesStatus,
    Scope::EventsRead,
    Scope::SealedRead,
    Scope::EvidenceRead,
    Scope::ClientsRead,
    Scope::KeysRead,
    Scope::MembersRead,
    Scope::GrantsRead,
    Scope::SecurityRead,
    Scope::WebhooksRead,
]);
const DEVELOPER_SANDBOX: Scopes = SENDER.or(Scopes::of(&[
    Scope::EvidenceRead,
    Scope::ClientsRead,
    Scope::KeysRead,
    Scope::GrantsRead,
    Scope::WebhooksRead,
    Scope::WebhooksWrite,
    Scope::WebhooksSend,
    Scope::TokensIntrospect,
]));
const DEVELOPER_LIVE: Scopes =
    Scopes::of(&[Scope::EnvelopesStatus, Scope::ClientsRead, Scope::KeysRead, Scope::WebhooksRead]);

impl Role {
    /// All roles, the mightiest first.
    pub const ALL: [Self; 6] =
        [Self::Owner, Self::Admin, Self::Sender, Self::Reviewer, Self::Auditor, Self::Developer];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Sender => "sender",
            Self::Reviewer => "reviewer",
            Self::Auditor => "auditor",
            Self::Developer => "developer",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.text() == text)
    }

    /// What the role is for, as people are told who give it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Owner => "may do everything, and alone makes and ends owners",
            Self::Admin => "manages members, clients and keys, and may do all that the others may",
            Self::Sender => "sends documents and sees what came of them",
            Self::Reviewer => "reads envelopes and sealed documents",
            Self::Auditor => "reads evidence and security events, and changes nothing",
            Self::Developer => "builds integrations in the sandbox, and sees in live only that they run",
        }
    }

    /// The most that a member of this role may do there, by itself or through a client.
    pub fn ceiling(self, environment: Environment) -> Scopes {
        let role = match self {
            Self::Owner | Self::Admin => Scopes::ALL,
            Self::Sender => SENDER,
            Self::Reviewer => REVIEWER,
            Self::Auditor => AUDITOR,
            Self::Developer => match environment {
                Environment::Sandbox => DEVELOPER_SANDBOX,
                Environment::Live => DEVELOPER_LIVE,
            },
        };
        role.and(environment.ceiling())
    }

    /// Whether a member of this role may give `other` to somebody, or take it away.
    pub fn may_give(self, other: Self) -> bool {
        match self {
            Self::Owner => true,
            Self::Admin => other != Self::Owner,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// only owners and admins have a power over clients, keys, members, grants or the keys of webhooks.
    #[test]
    fn admin_scopes_are_for_owners_and_admins() {
        for role in Role::ALL {
            for environment in [Environment::Sandbox, Environment::Live] {
                let is_admin = matches!(role, Role::Owner | Role::Admin);
                assert_eq!(role.ceiling(environment).has_admin(), is_admin, "{role:?}");
                assert_eq!(Role::parse(role.text()), Some(role));
            }
        }
    }

    /// nobody reads the sandbox's mailbox with a live credential.
    #[test]
    fn no_role_goes_beyond_its_environment() {
        for role in Role::ALL {
            assert!(!role.ceiling(Environment::Live).has(Scope::MailboxRead), "{role:?}");
        }
    }

    #[test]
    fn an_admin_makes_no_owner() {
        assert!(Role::Owner.may_give(Role::Owner) && Role::Admin.may_give(Role::Admin));
        assert!(!Role::Admin.may_give(Role::Owner) && !Role::Auditor.may_give(Role::Reviewer));
    }
}
