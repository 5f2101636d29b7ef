//! A transaction as data: what must still be true, what to append, which rows and jobs go with it.

use std::collections::BTreeSet;

use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{EnvelopeId, SecurityEventId},
    scope::Scopes,
};
use thiserror::Error;

use crate::{
    access_rows::{
        AccessTokenRow, AuthenticatorRow, AuthorizationCodeRow, Change, ClientRow, Ending, GrantRow,
        MemberRow, ProviderRow, PushedRequestRow, SecurityRow, SignInRow, Spend, TicketRow, UserRow,
    },
    fault::Fault,
    rows::{
        ApiKeyRow, ArtifactRow, CodeRow, DocumentRow, EnvelopeRow, FinishedIdempotency, JobRow, KeyRow,
        LinkRow, MailboxRow, NewJob, OpeningRow, OrganizationRow, PersonRow, SessionRow, security_stream,
    },
    webhook_rows::{AttemptRow, BlockRow, DeliveryRow, EndpointRow, NewMessage, Settlement, WebhookKeyRow},
    work::Calls,
};

/// One transaction. Everything in it becomes durable together, or nothing does.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What is good once, and is used up by this batch: refused if any of it was used up before, whenever that ends.
    pub spends: Vec<Spend>,
    /// Changes of rows that exist, in order; refused if one of these changed meanwhile.
    pub changes: Vec<Change>,
    /// Events to append to one stream.
    pub append: Option<Append>,
    /// Security events to append to a tenant's stream.
    pub chains: Option<Chain>,
    /// Rows to insert or replace.
    pub rows: Vec<Row>,
    /// Security events that wait for their place from now on, in order. One whose id waits already is a contradiction.
    pub security: Vec<SecurityRow>,
    /// Jobs to add. A job whose id exists is left alone.
    pub jobs: Vec<NewJob>,
    /// The leased job that this batch finishes: removed, and refused if the lease was lost.
    pub finishes: Option<JobRow>,
    /// The idempotency claim that this batch answers.
    pub answers: Option<FinishedIdempotency>,
    /// What became of deliveries that a worker has: refused as a lost lease if it has one of them no longer.
    pub settles: Vec<Settlement>,
    /// Events that endpoints may ask for: each makes a delivery for every endpoint of its tenant that does.
    pub messages: Vec<NewMessage>,
}

/// Events for one stream.
#[derive(Clone, Debug)]
pub struct Append {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub envelope: EnvelopeId,
    /// Position that the first event must get; anything else is a conflict.
    pub expected_seq: u64,
    /// The events in order.
    pub events: Vec<NewEvent>,
    /// The projection after them.
    pub projection: EnvelopeRow,
}

/// Security events that get their place in a tenant's stream, which has no projection.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Whose.
    pub tenant: Tenant,
    /// Position that the first event must get; anything else is a conflict.
    pub expected_seq: u64,
    /// The events in order.
    pub events: Vec<NewEvent>,
    /// Those that waited for it: removed, and a conflict if one of them waits no longer.
    pub taken: Vec<SecurityEventId>,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Canonical JSON.
    pub bytes: Vec<u8>,
    /// Its SHA-256.
    pub hash: Digest,
    /// Random id of its leaf in the log.
    pub leaf_id: [u8; 16],
}

/// A row that goes with a batch. Rows are keyed by their id; inserting one that exists is a contradiction, unless
/// said otherwise.
#[derive(Clone, Debug)]
pub enum Row {
    /// A new organization.
    Organization(OrganizationRow),
    /// A new person. One with the same tenant and lookup makes the batch a conflict: reload and use that one.
    Person(PersonRow),
    /// A personal value. One with the same tenant and commitment is left alone.
    Opening(OpeningRow),
    /// A new document.
    Document(DocumentRow),
    /// A new API key.
    ApiKey(ApiKeyRow),
    /// A new signing link. Earlier links of the same recipient are removed.
    Link(LinkRow),
    /// A new session.
    Session(SessionRow),
    /// A new code.
    Code(CodeRow),
    /// A sealed document or certificate.
    Artifact(ArtifactRow),
    /// A mail for the sandbox mailbox. One with the same id is left alone.
    Mailbox(MailboxRow),
    /// A new server key.
    Key(KeyRow),
    /// A new client.
    Client(ClientRow),
    /// A new grant.
    Grant(GrantRow),
    /// A new access token.
    AccessToken(AccessTokenRow),
    /// A new authorization code.
    AuthorizationCode(AuthorizationCodeRow),
    /// A new authorization request.
    PushedRequest(PushedRequestRow),
    /// A new user. One with the same lookup makes the batch a conflict.
    User(UserRow),
    /// A new member. One of the same organization and user makes the batch a conflict.
    Member(MemberRow),
    /// A new authenticator. One with the same lookup makes the batch a conflict.
    Authenticator(AuthenticatorRow),
    /// A new session on the console.
    SignIn(SignInRow),
    /// A new one-time link.
    Ticket(TicketRow),
    /// An organization's first OpenID provider. One of the same organization makes the batch a conflict.
    Provider(ProviderRow),
    /// A new webhook endpoint.
    Endpoint(EndpointRow),
    /// A new key of a webhook endpoint.
    WebhookKey(WebhookKeyRow),
    /// A new block of webhooks. One that there is already makes the batch a conflict.
    WebhookBlock(BlockRow),
    /// A delivery besides those that events make. One of the same endpoint and message is left alone, and one for an endpoint
    /// that its tenant does not have is not made. Nobody has it at work, and the endpoint says whether it is ordered.
    Delivery(DeliveryRow),
    /// What was tried besides the work of a worker. One with the same id is left alone.
    Attempt(AttemptRow),
}

/// A batch that became durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Position of the envelope's last event, 0 if the batch had none.
    pub last_seq: u64,
}

/// Why a batch did not become durable. Nothing of it did.
#[derive(Debug, Error)]
pub enum CommitError {
    /// Somebody else was first: load again and decide again.
    #[error("somebody else changed the same thing first")]
    Conflict,
    /// The job's lease was lost; another worker has it.
    #[error("the lease of the job was lost")]
    LeaseLost,
    /// The idempotency claim was lost to a take-over.
    #[error("the idempotency claim was lost")]
    ClaimLost,
    /// Something that is good once was used before: refuse whoever brought it.
    #[error("something that is good once was used before")]
    Spent,
    /// A row is no longer as it was read: load it again and decide again.
    #[error("a row was changed meanwhile")]
    Outdated,
    /// Something broke; whether the batch became durable is unknown only for [`Fault::Unavailable`].
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Batch {
    /// Refuses a batch that contradicts itself, before any backend sees it.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if let Some(append) = &self.append {
            append.check().map_err(|text| Fault::Contradiction(format!("{}: {text}", append.envelope)))?;
        }
        if let Some(chain) = &self.chains
            && (chain.events.is_empty() || chain.expected_seq == 0)
        {
            return contradiction("a chain has events, and positions begin at 1");
        }
        let spent: BTreeSet<_> = self.spends.iter().map(|spend| spend.hash).collect();
        if spent.len() < self.spends.len() {
            return contradiction("a batch spends the same thing twice");
        }
        self.changes.iter().try_for_each(Change::check)?;
        let mut changed = BTreeSet::new();
        for change in &self.changes {
            match change {
                Change::User(row) => drop(changed.insert(row.user)),
                Change::End { what: Ending::SignInsOf(user), .. } if !changed.contains(user) => {
                    return contradiction("sessions of a user all end after the change that refuses others");
                }
                _ => {}
            }
        }
        self.rows.iter().try_for_each(Row::check)
    }

    /// Who has something to do after it. Nobody waits for security events, which are durable where they wait: the next look takes
    /// them in, many at once.
    pub(crate) fn calls(&self) -> Calls {
        let is_delivery = |row: &Row| matches!(row, Row::Delivery(_));
        Calls {
            jobs: self.append.is_some() || !self.jobs.is_empty(),
            deliveries: !self.messages.is_empty() || self.rows.iter().any(is_delivery),
        }
    }

    /// Whether it is written without others beside it. What ends something meets whatever the others do to the same row, and
    /// waits for that; among others it would hold rows that those wait for. And what ends many rows at once must not come before
    /// the rows of those that it was to end.
    pub(crate) fn stands_alone(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::End { .. }))
    }

    /// What a caller gets once it is durable.
    pub(crate) fn committed(&self) -> Committed {
        Committed { last_seq: self.append.as_ref().map_or(0, |append| append.projection.last_seq) }
    }
}

impl Append {
    fn check(&self) -> Result<(), &'static str> {
        if self.events.is_empty() || self.expected_seq == 0 {
            return Err("an append has events, and positions begin at 1");
        }
        if self.projection.envelope != self.envelope {
            return Err("the projection is of another envelope");
        }
        if self.envelope == security_stream(&self.tenant) {
            return Err("this is the name of the tenant's security stream");
        }
        let count = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        if self.expected_seq.checked_add(count - 1) != Some(self.projection.last_seq) {
            return Err("the projection ends at another position than the events");
        }
        Ok(())
    }
}

impl Row {
    fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Client(row) => check_client(row),
            Self::ApiKey(row) => check_api_key(row),
            _ => Ok(()),
        }
    }

    /// What it means that a row with the same key exists; `None` where that row is left alone. A person, a user or an
    /// authenticator with the same lookup is a conflict, which the backends find out themselves.
    pub(crate) fn refusal(&self) -> Option<CommitError> {
        let what = match self {
            Self::Opening(_) | Self::Mailbox(_) | Self::Delivery(_) | Self::Attempt(_) => return None,
            Self::Key(_) | Self::Member(_) | Self::Provider(_) | Self::WebhookBlock(_) => {
                return Some(CommitError::Conflict);
            }
            Self::Organization(row) => row.organization.to_string(),
            Self::Person(row) => row.person.to_string(),
            Self::Document(row) => row.document.to_string(),
            Self::ApiKey(row) => row.key.to_string(),
            Self::Link(row) => row.link.to_string(),
            Self::Session(row) => row.session.to_string(),
            Self::Code(row) => row.code.to_string(),
            Self::Artifact(row) => format!("the artifact {}", row.blob),
            Self::Client(row) => row.client.to_string(),
            Self::Grant(row) => row.grant.to_string(),
            Self::AccessToken(row) => format!("a token of {}", row.grant),
            Self::AuthorizationCode(row) => format!("a code of {}", row.grant),
            Self::PushedRequest(row) => format!("a request of {}", row.client),
            Self::User(row) => row.user.to_string(),
            Self::Authenticator(row) => row.authenticator.to_string(),
            Self::SignIn(row) => row.sign_in.to_string(),
            Self::Ticket(row) => row.ticket.to_string(),
            Self::Endpoint(row) => row.endpoint.to_string(),
            Self::WebhookKey(row) => row.key.to_string(),
        };
        Some(Fault::Contradiction(format!("{what} exists")).into())
    }
}

impl Change {
    fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Client(row) => check_client(row)?,
            Self::ApiKey(row) => check_api_key(row)?,
            _ => {}
        }
        if self.version() == Some(0) {
            return contradiction("a change makes a version of 1 or more");
        }
        Ok(())
    }

    /// The version that it makes; `None` where it is of no row with one.
    fn version(&self) -> Option<u64> {
        match self {
            Self::Client(row) => Some(row.version),
            Self::Grant(row) => Some(row.version),
            Self::AuthorizationCode(row) => Some(row.version),
            Self::PushedRequest(row) => Some(row.version),
            Self::User(row) => Some(row.version),
            Self::Member(row) => Some(row.version),
            Self::Authenticator(row) => Some(row.version),
            Self::SignIn(row) => Some(row.version),
            Self::Ticket(row) => Some(row.version),
            Self::Provider(row) => Some(row.version),
            Self::ApiKey(row) => Some(row.version),
            Self::Endpoint(row) => Some(row.version),
            Self::WebhookKey(row) => Some(row.version),
            Self::NameProvider { .. }
            | Self::NameResource { .. }
            | Self::EndTokens { .. }
            | Self::EndToken(_)
            | Self::Unblock(_)
            | Self::SeeToken(..)
            | Self::End { .. }
            | Self::Vouch { .. }
            | Self::Tries { .. } => None,
        }
    }
}

/// What it means that a security event waits already.
pub(crate) fn waits_already(event: SecurityEventId) -> CommitError {
    Fault::Contradiction(format!("{event} waits already")).into()
}

fn contradiction<T>(text: &str) -> Result<T, Fault> {
    Err(Fault::Contradiction(text.to_owned()))
}

// The databases refuse these two as well, whoever writes.
fn check_client(row: &ClientRow) -> Result<(), Fault> {
    check_scopes(row.is_fapi, row.scopes)
}

fn check_api_key(row: &ApiKeyRow) -> Result<(), Fault> {
    let is_one_word = |network: &String| !network.is_empty() && !network.contains(char::is_whitespace);
    if !row.networks.iter().all(is_one_word) {
        return contradiction("a network is a word");
    }
    check_scopes(false, row.scopes)
}

fn check_scopes(is_fapi: bool, scopes: Scopes) -> Result<(), Fault> {
    if scopes.has_admin() && !is_fapi {
        return contradiction("admin scopes are for clients of the FAPI 2.0 profile alone");
    }
    Ok(())
}
