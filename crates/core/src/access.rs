//! Who may do what: one table from operation to scope, one decision, and a [`Tenant`] that only a [`Principal`]
//! gives and without which the store reads nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    id::{
        ApiKeyId, ClientId, EnvelopeId, GrantId, OrganizationId, PersonId, RecipientId, SessionId, SignInId,
        UserId,
    },
    level::{Level, StepUp},
    limits,
    oauth::details::{self, Detail},
    refusal::{Code, Refusal},
    role::Role,
    scope::{Scope, Scopes},
    time::Time,
};

/// Sandbox and live share nothing but people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// For trying out: mail goes to the mailbox page only.
    Sandbox,
    /// For real.
    Live,
}

impl Environment {
    /// As it is written in the database, in configuration and in answers.
    pub fn text(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Live => "live",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Sandbox, Self::Live].into_iter().find(|environment| environment.text() == text)
    }

    /// The most that any credential may do there.
    pub fn ceiling(self) -> Scopes {
        match self {
            Self::Sandbox => Scopes::ALL,
            Self::Live => Scopes::ALL.without(Scopes::of(&[Scope::MailboxRead])),
        }
    }
}

/// One environment of one organization. Every row belongs to a tenant, and no read of the store goes without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant {
    organization: OrganizationId,
    environment: Environment,
}

impl Tenant {
    /// The organization.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The environment.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The tenant of a row or a job that the store itself returned. `xtask tidy` keeps every other place from
    /// calling it: tenants of requests come from [`Principal::tenant`].
    pub fn of_stored_row(organization: OrganizationId, environment: Environment) -> Self {
        Self { organization, environment }
    }
}

/// Who calls. Built in `server/http/auth.rs` and nowhere else.
#[derive(Clone, Debug)]
pub struct Principal {
    tenant: Tenant,
    identity: Identity,
}

/// How a caller is known.
#[derive(Clone, Debug)]
pub enum Identity {
    /// By an API key.
    ApiKey {
        /// Which.
        key: ApiKeyId,
        /// Whose personal values its acts concern.
        person: PersonId,
        /// What it may do.
        scopes: Scopes,
        /// When it ends.
        expires_at: Time,
    },
    /// By an access token: a client, for itself or for a member.
    Client(ClientIdentity),
    /// By a session on the console: a member in person.
    Member(MemberIdentity),
    /// By a signer's session: may see and sign one envelope as one recipient.
    Signer {
        /// The session.
        session: SessionId,
        /// The envelope.
        envelope: EnvelopeId,
        /// As whom.
        recipient: RecipientId,
    },
}

/// A client with an access token that was looked up, with its binding checked.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// Which client.
    pub client: ClientId,
    /// Whose personal values its acts concern: the member's, or the client's own.
    pub person: PersonId,
    /// The root of its token.
    pub grant: GrantId,
    /// For whom it acts, where not for itself.
    pub member: Option<Behind>,
    /// What the token may do.
    pub scopes: Scopes,
    /// What its client may do at this moment.
    pub client_ceiling: Scopes,
    /// What narrows the scopes (RFC 9396); nothing if it is empty.
    pub details: Vec<Detail>,
    /// When the token ends.
    pub expires_at: Time,
}

/// The member behind a client's token.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    /// Who.
    pub user: UserId,
    /// The member's role at this moment.
    pub role: Role,
    /// How surely the person was authenticated.
    pub level: Level,
    /// When.
    pub authenticated_at: Time,
}

/// A member with a session on the console.
#[derive(Clone, Debug)]
pub struct MemberIdentity {
    /// The session.
    pub sign_in: SignInId,
    /// Whose personal values the acts concern.
    pub person: PersonId,
    /// Who, as what, and how surely.
    pub member: Behind,
    /// Whether an organization's provider opened the session: whoever runs it could have done that.
    pub is_through_provider: bool,
}

impl Principal {
    /// A caller whose credential was checked.
    pub fn authenticated(tenant: Tenant, identity: Identity) -> Self {
        Self { tenant, identity }
    }

    /// The tenant that this caller acts in.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// How the caller is known.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The sender whom its acts concern; a recipient is none.
    pub fn sender(&self) -> Option<PersonId> {
        match &self.identity {
            Identity::ApiKey { person, .. } => Some(*person),
            Identity::Client(client) => Some(client.person),
            Identity::Member(member) => Some(member.person),
            Identity::Signer { .. } => None,
        }
    }
}

macro_rules! operations {
    ($($name:ident = $text:literal => $scope:ident;)*) => {
        /// Everything that a caller with a credential can ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation { $(#[doc = $text] $name,)* }

        impl Operation {
            /// All operations.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The OpenAPI operation id.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The one scope that it needs.
            pub fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }
        }
    };
}

operations! {
    UploadDocument = "upload_document" => DocumentsWrite;
    ReadDocument = "read_document" => DocumentsRead;
    ReadOriginal = "read_original" => DocumentsRead;
    CreateEnvelope = "create_envelope" => EnvelopesWrite;
    ListEnvelopes = "list_envelopes" => EnvelopesStatus;
    ReadEnvelope = "read_envelope" => EnvelopesRead;
    SendEnvelope = "send_envelope" => EnvelopesSend;
    ResendEnvelope = "resend_envelope" => EnvelopesSend;
    VoidEnvelope = "void_envelope" => EnvelopesVoid;
    ListEvents = "list_events" => EventsRead;
    ReadSealed = "read_sealed" => SealedRead;
    ReadCertificate = "read_certificate" => SealedRead;
    ReadEvidence = "read_evidence" => EvidenceRead;
    ListMailbox = "list_mailbox" => MailboxRead;
    ListClients = "list_clients" => ClientsRead;
    ReadClient = "read_client" => ClientsRead;
    CreateClient = "create_client" => AdminClients;
    ChangeClient = "change_client" => AdminClients;
    EndClient = "end_client" => AdminClients;
    ListKeys = "list_keys" => KeysRead;
    ReadKey = "read_key" => KeysRead;
    CreateKey = "create_key" => AdminKeys;
    ChangeKey = "change_key" => AdminKeys;
    RotateKey = "rotate_key" => AdminKeys;
    EndKey = "end_key" => AdminKeys;
    ListMembers = "list_members" => MembersRead;
    InviteMember = "invite_member" => AdminMembers;
    ChangeMember = "change_member" => AdminMembers;
    RemoveMember = "remove_member" => AdminMembers;
    ListInvitations = "list_invitations" => MembersRead;
    ResendInvitation = "resend_invitation" => AdminMembers;
    CancelInvitation = "cancel_invitation" => AdminMembers;
    ListGrants = "list_grants" => GrantsRead;
    EndGrant = "end_grant" => AdminGrants;
    ListSecurityEvents = "list_security_events" => SecurityRead;
    CreateWebhookEndpoint = "create_webhook_endpoint" => WebhooksWrite;
    ListWebhookEndpoints = "list_webhook_endpoints" => WebhooksRead;
    ReadWebhookEndpoint = "read_webhook_endpoint" => WebhooksRead;
    ChangeWebhookEndpoint = "change_webhook_endpoint" => WebhooksWrite;
    ActivateWebhookEndpoint = "activate_webhook_endpoint" => WebhooksWrite;
    DisableWebhookEndpoint = "disable_webhook_endpoint" => WebhooksWrite;
    EndWebhookEndpoint = "end_webhook_endpoint" => WebhooksWrite;
    BlockWebhookEndpoint = "block_webhook_endpoint" => AdminWebhooks;
    ReleaseWebhookEndpoint = "release_webhook_endpoint" => AdminWebhooks;
    ListWebhookBlocks = "list_webhook_blocks" => WebhooksRead;
    BlockWebhooks = "block_webhooks" => AdminWebhooks;
    ReleaseWebhooks = "release_webhooks" => AdminWebhooks;
    ProveWebhookEndpoint = "prove_webhook_endpoint" => WebhooksSend;
    ReadWebhookProof = "read_webhook_proof" => WebhooksRead;
    TestWebhookEndpoint = "test_webhook_endpoint" => WebhooksSend;
    RecoverWebhookEndpoint = "recover_webhook_endpoint" => WebhooksSend;
    ReplayWebhookEndpoint = "replay_webhook_endpoint" => WebhooksSend;
    StageWebhookKey = "stage_webhook_key" => AdminWebhooks;
    JoinWebhookKey = "join_webhook_key" => AdminWebhooks;
    PromoteWebhookKey = "promote_webhook_key" => AdminWebhooks;
    RevokeWebhookKey = "revoke_webhook_key" => AdminWebhooks;
    ListDeliveries = "list_deliveries" => WebhooksRead;
    ReadDelivery = "read_delivery" => WebhooksRead;
    ResendDelivery = "resend_delivery" => WebhooksSend;
    PullEvents = "pull_events" => EventsRead;
}

impl Operation {
    /// What a person must have proved, and how lately, to do it: in person or through a client (RFC 9470).
    pub fn step_up(self) -> Option<StepUp> {
        let dangerous = self.scope().is_admin() || self == Self::ReadEvidence;
        dangerous.then_some(StepUp { level: Level::Aal2, max_age_s: limits::STEP_UP_S })
    }
}

/// The most that a client may do at this moment, for itself or for a member with that role, whatever was granted.
pub fn ceiling_of_client(environment: Environment, client: Scopes, role: Option<Role>) -> Scopes {
    let most = client.and(environment.ceiling());
    role.map_or(most, |role| most.and(role.ceiling(environment)))
}

/// What `principal` may do at this moment: every ceiling over it, intersected.
pub fn scopes_of(principal: &Principal) -> Scopes {
    let environment = principal.tenant.environment();
    let most = environment.ceiling();
    match &principal.identity {
        Identity::ApiKey { scopes, .. } => scopes.and(Scopes::FOR_KEYS).and(most),
        Identity::Client(client) => {
            let role = client.member.map(|member| member.role);
            client.scopes.and(ceiling_of_client(environment, client.client_ceiling, role))
        }
        Identity::Member(member) => member.member.role.ceiling(environment),
        Identity::Signer { .. } => Scopes::NONE,
    }
}

/// The most that `principal` may give to a client: what it may do itself. A client that acts for itself can ask for a token
/// with all that it is registered for, whatever the one has that it uses; for a member it has what it was granted.
pub fn most_given(principal: &Principal) -> Scopes {
    match &principal.identity {
        Identity::Client(client) if client.member.is_none() => {
            client.client_ceiling.and(principal.tenant.environment().ceiling())
        }
        _ => scopes_of(principal),
    }
}

/// Decides whether `principal` may do `operation` at `now`. Fails closed: a signer's session may do none of them.
pub fn allow(principal: &Principal, operation: Operation, now: Time) -> Result<&Tenant, Refusal> {
    let behind = match &principal.identity {
        Identity::ApiKey { expires_at, .. } if *expires_at <= now => {
            return Err(Refusal::new(
                Code::KeyExpired,
                "this API key has expired, was rotated, or was ended; use the one that replaces it, or create another with `countersign \
                 keys create`",
            ));
        }
        Identity::Client(client) if client.expires_at <= now => {
            return Err(Refusal::new(
                Code::TokenInvalid,
                "the access token has expired; ask for another at the token endpoint",
            ));
        }
        Identity::Signer { .. } => return Err(Refusal::not_found()),
        Identity::ApiKey { .. } => None,
        Identity::Client(client) => client.member,
        Identity::Member(member) => Some(member.member),
    };
    // What an environment does not have is not there, whoever asks.
    if !principal.tenant.environment().ceiling().has(operation.scope()) {
        return Err(Refusal::not_found());
    }
    if !scopes_of(principal).has(operation.scope()) {
        return Err(Refusal::new(
            Code::ScopeMissing,
            format!(
                "this needs the scope `{}`, which the credential does not have",
                operation.scope().text()
            ),
        ));
    }
    let (Some(step_up), Some(behind)) = (operation.step_up(), behind) else { return Ok(&principal.tenant) };
    let age_s = now.since_ms(behind.authenticated_at) / 1_000;
    if behind.level < step_up.level || age_s > step_up.max_age_s {
        return Err(Refusal::new(
            Code::StepUpRequired,
            format!(
                "this needs a person who signed in with `{}` or better in the last {} minutes: sign in again",
                step_up.level.text(),
                step_up.max_age_s / 60
            ),
        ));
    }
    Ok(&principal.tenant)
}

/// What of the details of a token permits `operation` on `envelope`, so that it can be spent if it is good once. Whatever
/// they do not permit is not found: it might as well not be there.
pub fn detail_for(
    principal: &Principal,
    operation: Operation,
    envelope: Option<EnvelopeId>,
) -> Result<Option<(usize, &Detail)>, Refusal> {
    let Identity::Client(client) = &principal.identity else { return Ok(None) };
    if client.details.is_empty() {
        return Ok(None);
    }
    details::permitting(&client.details, operation, envelope).map(Some).ok_or_else(Refusal::not_found)
}

/// What of the details of a token permits an envelope of these documents, by their SHA-256, so that it can be spent if it is
/// good once. Documents that they do not permit are not found.
pub fn detail_for_documents<'p>(
    principal: &'p Principal,
    operation: Operation,
    documents: &BTreeSet<Digest>,
) -> Result<Option<(usize, &'p Detail)>, Refusal> {
    let Identity::Client(client) = &principal.identity else { return Ok(None) };
    if client.details.is_empty() {
        return Ok(None);
    }
    let found = details::permitting_documents(&client.details, operation, documents);
    found.map(Some).ok_or_else(Refusal::not_found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scopes: Scopes, expires_at: Time) -> Principal {
        let tenant =
            Tenant { organization: OrganizationId::from_bytes([1; 16]), environment: Environment::Sandbox };
        let identity = Identity::ApiKey {
            key: ApiKeyId::from_bytes([2; 16]),
            person: PersonId::from_bytes([3; 16]),
            scopes,
            expires_at,
        };
        Principal::authenticated(tenant, identity)
    }

    /// with one scope, exactly the operations of that scope are open.
    #[test]
    fn a_scope_opens_its_own_operations_and_no_other() {
        let now = Time::from_unix_ms(1_000);
        for scope in Scope::ALL {
            let principal = key(Scopes::of(&[*scope]), now.plus_s(1));
            for operation in Operation::ALL {
                assert_eq!(
                    allow(&principal, *operation, now).is_ok(),
                    operation.scope() == *scope && Scopes::FOR_KEYS.has(*scope),
                    "{scope:?} {operation:?}"
                );
            }
        }
    }

    /// an expired key opens nothing, whatever its scopes.
    #[test]
    fn an_expired_key_opens_nothing() {
        let now = Time::from_unix_ms(1_000);
        let principal = key(Scopes::ALL, now);
        for operation in Operation::ALL {
            assert_eq!(allow(&principal, *operation, now).unwrap_err().code, Code::KeyExpired);
        }
    }
}
