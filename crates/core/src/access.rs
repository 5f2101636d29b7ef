//! Who may do what: one table from operation to scope, one decision, and a [`Tenant`] that only a [`Principal`]
//! gives and without which the store reads nothing.

use serde::{Deserialize, Serialize};

use crate::{
    id::{ApiKeyId, EnvelopeId, OrganizationId, PersonId, RecipientId, SessionId},
    refusal::{Code, Refusal},
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
        scopes: Vec<Scope>,
        /// When it ends.
        expires_at: Time,
    },
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
}

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A scope: each operation needs exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Scope { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl Scope {
            /// All scopes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is written.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The inverse of [`Self::text`].
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|scope| scope.text() == text)
            }
        }
    };
}

scopes! {
    /// Upload documents.
    DocumentsWrite = "documents:write";
    /// Download documents as they were uploaded.
    DocumentsRead = "documents:read";
    /// Create envelopes.
    EnvelopesWrite = "envelopes:write";
    /// Send an envelope and send its links again.
    EnvelopesSend = "envelopes:send";
    /// Void envelopes.
    EnvelopesVoid = "envelopes:void";
    /// Read one envelope with its people and fields.
    EnvelopesRead = "envelopes:read";
    /// List envelopes with their states, without people or fields.
    EnvelopesStatus = "envelopes:status";
    /// Read the events of an envelope.
    EventsRead = "events:read";
    /// Download sealed documents.
    SealedRead = "sealed:read";
    /// Export evidence packages.
    EvidenceRead = "evidence:read";
    /// Read the sandbox mailbox.
    MailboxRead = "mailbox:read";
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
}

/// Decides whether `principal` may do `operation` at `now`. Fails closed: a signer's session may do none of them.
pub fn allow(principal: &Principal, operation: Operation, now: Time) -> Result<&Tenant, Refusal> {
    match &principal.identity {
        Identity::ApiKey { expires_at, .. } if *expires_at <= now => Err(Refusal::new(
            Code::KeyExpired,
            "this API key has expired or was ended; create another with `countersign keys create`",
        )),
        Identity::ApiKey { scopes, .. } if scopes.contains(&operation.scope()) => Ok(&principal.tenant),
        Identity::ApiKey { .. } => Err(Refusal::new(
            Code::ScopeMissing,
            format!("this needs the scope `{}`, which the API key does not have", operation.scope().text()),
        )),
        Identity::Signer { .. } => Err(Refusal::not_found()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scopes: Vec<Scope>, expires_at: Time) -> Principal {
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
            let principal = key(vec![*scope], now.plus_s(1));
            for operation in Operation::ALL {
                assert_eq!(
                    allow(&principal, *operation, now).is_ok(),
                    operation.scope() == *scope,
                    "{scope:?} {operation:?}"
                );
            }
        }
    }

    /// an expired key opens nothing, whatever its scopes.
    #[test]
    fn an_expired_key_opens_nothing() {
        let now = Time::from_unix_ms(1_000);
        let principal = key(Scope::ALL.to_vec(), now);
        for operation in Operation::ALL {
            assert_eq!(allow(&principal, *operation, now).unwrap_err().code, Code::KeyExpired);
        }
    }
}
