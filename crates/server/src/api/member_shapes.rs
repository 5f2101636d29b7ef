//! How members and invitations are written.

use countersign_core::role::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::{invitations::Invitation, members::Member};

/// A member.
#[derive(Serialize, ToSchema)]
pub(super) struct MemberBody {
    /// Id of the user.
    #[schema(pattern = "^usr_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// Name.
    name: String,
    /// Address.
    email: String,
    /// Role, in both environments.
    #[schema(value_type = MemberRole)]
    role: Role,
    /// Since when (RFC 3339, UTC).
    since: String,
}

impl MemberBody {
    /// A member as it is shown.
    pub(super) fn of(member: &Member) -> Self {
        Self {
            id: member.row.user.to_string(),
            name: member.user.name.disclose().clone(),
            email: member.user.email.disclose().clone(),
            role: member.row.role,
            since: member.row.created_at.to_string(),
        }
    }
}

/// An invitation that nobody has taken up.
#[derive(Serialize, ToSchema)]
pub(super) struct InvitationBody {
    /// Its id.
    #[schema(pattern = "^tkt_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// For whom.
    email: String,
    /// As what.
    #[schema(value_type = MemberRole)]
    role: Role,
    /// When it was sent (RFC 3339, UTC).
    sent_at: String,
    /// When its link ends.
    expires_at: String,
}

impl InvitationBody {
    /// An invitation as it is shown. Its link goes to the address alone.
    pub(super) fn of(invitation: &Invitation) -> Self {
        Self {
            id: invitation.id().to_string(),
            email: invitation.email.disclose().clone(),
            role: invitation.role,
            sent_at: invitation.row.created_at.to_string(),
            expires_at: invitation.row.expires_at.to_string(),
        }
    }
}

/// The roles.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes `Role`, for the API's document")]
pub(super) enum MemberRole {
    Owner,
    Admin,
    Sender,
    Reviewer,
    Auditor,
    Developer,
}

/// Whom to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteBody {
    /// Address, which the link is bound to.
    pub(super) email: String,
    /// As what. Nobody gives a role that may do more than the caller, and no program makes owners.
    #[schema(value_type = MemberRole)]
    pub(super) role: Role,
}

/// What a member is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberRoleBody {
    /// The role.
    #[schema(value_type = MemberRole)]
    pub(super) role: Role,
}
