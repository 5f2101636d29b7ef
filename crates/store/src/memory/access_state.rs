//! The rules of credentials and people, written as changes of plain maps.

use std::collections::BTreeMap;

use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{AuthenticatorId, ClientId, GrantId, OrganizationId, SecurityEventId, SignInId, TicketId, UserId},
    secret::HashedToken,
    time::Time,
};

use super::state::sweep;
use crate::{
    access_rows::{
        AccessTokenRow, AuthenticatorRow, AuthorizationCodeRow, Change, ClientRow, Ending, GrantRow,
        GrantView, MemberRow, ProviderRow, PushedRequestRow, SecurityRow, SignInRow, Spend, TicketRow,
        TokenView, UserRow,
    },
    batch::{CommitError, Row, waits_already},
    fault::Fault,
    limits::{grants_swept_before, swept_before},
};

/// A key of a row that is found by a hash.
pub(super) fn hash(token: &HashedToken) -> Digest {
    Digest(*token.as_bytes())
}

/// Credentials and people.
#[derive(Clone, Default)]
pub(super) struct Access {
    pub(super) clients: BTreeMap<ClientId, ClientRow>,
    pub(super) grants: BTreeMap<GrantId, GrantRow>,
    tokens: BTreeMap<Digest, AccessTokenRow>,
    pub(super) codes: BTreeMap<Digest, AuthorizationCodeRow>,
    pub(super) requests: BTreeMap<Digest, PushedRequestRow>,
    pub(super) users: BTreeMap<UserId, UserRow>,
    pub(super) members: BTreeMap<(OrganizationId, UserId), MemberRow>,
    pub(super) authenticators: BTreeMap<AuthenticatorId, AuthenticatorRow>,
    pub(super) sign_ins: BTreeMap<SignInId, SignInRow>,
    pub(super) tickets: BTreeMap<TicketId, TicketRow>,
    pub(super) providers: BTreeMap<OrganizationId, ProviderRow>,
    pub(super) provider_names: BTreeMap<String, OrganizationId>,
    pub(super) resources: BTreeMap<(Tenant, String), ClientId>,
    pub(super) spent: BTreeMap<Digest, Time>,
    pub(super) inbox: Vec<SecurityRow>,
}

impl Access {
    pub(super) fn token_view(&self, token: &HashedToken) -> Option<TokenView> {
        let token = self.tokens.get(&hash(token))?;
        let GrantView { grant, sign_in_ended, user_valid_from, member } = self.grant_view(token.grant)?;
        let client = self.clients.get(&grant.client)?.clone();
        Some(TokenView { token: token.clone(), grant, client, sign_in_ended, user_valid_from, member })
    }

    pub(super) fn grant_view(&self, grant: GrantId) -> Option<GrantView> {
        let grant = self.grants.get(&grant)?;
        let sign_in = grant.sign_in.and_then(|sign_in| self.sign_ins.get(&sign_in));
        let user = grant.user.and_then(|user| self.users.get(&user)).filter(|user| user.ended_at.is_none());
        let member = grant.user.and_then(|user| self.members.get(&(grant.tenant.organization(), user)));
        Some(GrantView {
            grant: grant.clone(),
            sign_in_ended: sign_in.is_some_and(|row| row.ended_at.is_some()),
            user_valid_from: user.map(|user| user.valid_from),
            member: member.cloned(),
        })
    }

    pub(super) fn spend(&mut self, spends: &[Spend]) -> Result<(), CommitError> {
        for spend in spends {
            if self.spent.insert(spend.hash, spend.expires_at).is_some() {
                return Err(CommitError::Spent);
            }
        }
        Ok(())
    }

    pub(super) fn receive(&mut self, security: Vec<SecurityRow>) -> Result<(), CommitError> {
        for row in security {
            if self.inbox.iter().any(|waiting| waiting.event == row.event) {
                return Err(waits_already(row.event));
            }
            self.inbox.push(row);
        }
        Ok(())
    }

    pub(super) fn take(&mut self, tenant: &Tenant, taken: &[SecurityEventId]) -> Result<(), CommitError> {
        for event in taken {
            let waiting = self.inbox.iter().position(|row| row.event == *event && row.tenant == *tenant);
            self.inbox.remove(waiting.ok_or(CommitError::Conflict)?);
        }
        Ok(())
    }

    /// Whether a row with the same id, or the same secret, exists.
    pub(super) fn has(&self, row: &Row) -> bool {
        match row {
            Row::Client(row) => self.clients.contains_key(&row.client),
            Row::Grant(row) => self.grants.contains_key(&row.grant),
            Row::AccessToken(row) => self.tokens.contains_key(&hash(&row.hash)),
            Row::AuthorizationCode(row) => self.codes.contains_key(&hash(&row.hash)),
            Row::PushedRequest(row) => self.requests.contains_key(&hash(&row.hash)),
            Row::User(row) => self.users.contains_key(&row.user),
            Row::Member(row) => self.members.contains_key(&(row.organization, row.user)),
            Row::Authenticator(row) => self.authenticators.contains_key(&row.authenticator),
            Row::SignIn(row) => {
                self.sign_ins.values().any(|old| old.sign_in == row.sign_in || old.cookie == row.cookie)
            }
            Row::Ticket(row) => {
                self.tickets.values().any(|old| old.ticket == row.ticket || old.secret == row.secret)
            }
            Row::Provider(row) => {
                let is_same = |old: &ProviderRow| old.provider == row.provider;
                self.providers.contains_key(&row.organization) || self.providers.values().any(is_same)
            }
            _ => false,
        }
    }

    /// Whether somebody else has the lookup.
    pub(super) fn has_lookup(&self, row: &Row) -> bool {
        match row {
            Row::User(row) => self.users.values().any(|old| old.lookup == row.lookup),
            Row::Authenticator(row) => {
                row.lookup.is_some() && self.authenticators.values().any(|old| old.lookup == row.lookup)
            }
            _ => false,
        }
    }

    pub(super) fn insert(&mut self, row: Row) {
        match row {
            Row::Client(row) => drop(self.clients.insert(row.client, row)),
            Row::Grant(row) => drop(self.grants.insert(row.grant, row)),
            Row::AccessToken(row) => drop(self.tokens.insert(hash(&row.hash), row)),
            Row::AuthorizationCode(row) => drop(self.codes.insert(hash(&row.hash), row)),
            Row::PushedRequest(row) => drop(self.requests.insert(hash(&row.hash), row)),
            Row::User(row) => drop(self.users.insert(row.user, row)),
            Row::Member(row) => drop(self.members.insert((row.organization, row.user), row)),
            Row::Authenticator(row) => drop(self.authenticators.insert(row.authenticator, row)),
            Row::SignIn(row) => drop(self.sign_ins.insert(row.sign_in, row)),
            Row::Ticket(row) => drop(self.tickets.insert(row.ticket, row)),
            Row::Provider(row) => drop(self.providers.insert(row.organization, row)),
            _ => {}
        }
    }

    pub(super) fn change(&mut self, change: Change) -> Result<(), CommitError> {
        match change {
            Change::Client(row) => replace(self.clients.get_mut(&row.client), row),
            Change::Grant(row) => replace(self.grants.get_mut(&row.grant), row),
            Change::AuthorizationCode(row) => replace(self.codes.get_mut(&hash(&row.hash)), row),
            Change::PushedRequest(row) => replace(self.requests.get_mut(&hash(&row.hash)), row),
            Change::User(row) => {
                let lookup_is_taken =
                    self.users.values().any(|old| old.user != row.user && old.lookup == row.lookup);
                let user = row.user;
                replace(self.users.get_mut(&row.user), row)?;
                unless(lookup_is_taken, || format!("the lookup of {user} is another user's"))
            }
            Change::Member(row) => replace(self.members.get_mut(&(row.organization, row.user)), row),
            Change::Authenticator(row) => replace(self.authenticators.get_mut(&row.authenticator), row),
            Change::SignIn(row) => {
                let cookie_is_taken =
                    self.sign_ins.values().any(|old| old.sign_in != row.sign_in && old.cookie == row.cookie);
                let sign_in = row.sign_in;
                replace(self.sign_ins.get_mut(&row.sign_in), row)?;
                unless(cookie_is_taken, || format!("the cookie of {sign_in} is another session's"))
            }
            Change::Ticket(row) => replace(self.tickets.get_mut(&row.ticket), row),
            Change::Provider(row) => replace(self.providers.get_mut(&row.organization), row),
            Change::NameProvider { organization, names } => {
                self.provider_names.retain(|name, of| *of != organization || names.contains(name));
                for name in names {
                    let of = *self.provider_names.entry(name).or_insert(organization);
                    if of != organization {
                        return Err(CommitError::Conflict);
                    }
                }
                Ok(())
            }
            Change::NameResource { tenant, client, resource } => {
                self.resources.retain(|(_, name), of| *of != client || Some(name) == resource.as_ref());
                let Some(resource) = resource else { return Ok(()) };
                let of = *self.resources.entry((tenant, resource)).or_insert(client);
                if of == client { Ok(()) } else { Err(CommitError::Conflict) }
            }
            Change::EndTokens { grant, from, to } => {
                self.tokens.retain(|_, row| row.grant != grant || !(from..=to).contains(&row.generation));
                Ok(())
            }
            Change::EndToken(token) => {
                self.tokens.remove(&hash(&token));
                Ok(())
            }
            Change::SeeToken(token, at) => {
                if let Some(row) = self.tokens.get_mut(&hash(&token)) {
                    row.seen_at = row.seen_at.max(Some(at));
                }
                Ok(())
            }
            Change::End { what, at, once } => {
                let ended = self.end(what, at);
                if once && ended == 0 { Err(CommitError::Outdated) } else { Ok(()) }
            }
            Change::Vouch { organization, user, role } => {
                let is_so = |row: &&MemberRow| row.role == role && row.ended_at.is_none();
                self.members.get(&(organization, user)).filter(is_so).map(drop).ok_or(CommitError::Outdated)
            }
            Change::Tries { user, version, before, after } => {
                let is_as_read = |row: &&mut UserRow| row.version == version && row.failures == before;
                let row = self.users.get_mut(&user).filter(is_as_read).ok_or(CommitError::Outdated)?;
                row.failures = after;
                Ok(())
            }
            // The state has the API keys, and webhooks are apart.
            Change::ApiKey(_) | Change::Endpoint(_) | Change::WebhookKey(_) | Change::Unblock(_) => Ok(()),
        }
    }

    // How many rows it ended.
    fn end(&mut self, what: Ending, at: Time) -> usize {
        match what {
            Ending::Client(client) => end(self.clients.get_mut(&client), at),
            Ending::Grant(grant) => end(self.grants.get_mut(&grant), at),
            Ending::Member { organization, user, role } => {
                end(self.members.get_mut(&(organization, user)).filter(|row| row.role == role), at)
            }
            Ending::Authenticator(authenticator) => end(self.authenticators.get_mut(&authenticator), at),
            Ending::SignIn(sign_in) => end(self.sign_ins.get_mut(&sign_in), at),
            Ending::SignInsOf(user) => end(self.sign_ins.values_mut().filter(|row| row.user == user), at),
            Ending::SignInsThrough(provider) => {
                end(self.sign_ins.values_mut().filter(|row| row.provider == Some(provider)), at)
            }
            Ending::Provider(provider) => {
                end(self.providers.values_mut().filter(|row| row.provider == provider), at)
            }
            // The state has the API keys, and webhooks are apart.
            Ending::ApiKey(_) | Ending::Endpoint(_) | Ending::WebhookKey(_) => 0,
        }
    }

    pub(super) fn sweep(&mut self, now: Time) {
        let ended = swept_before(now);
        sweep(&mut self.spent, now, |expires_at| *expires_at);
        sweep(&mut self.tokens, ended, |row| row.expires_at);
        sweep(&mut self.codes, ended, |row| row.expires_at);
        sweep(&mut self.requests, ended, |row| row.expires_at);
        sweep(&mut self.tickets, ended, |row| row.expires_at);
        let mut kept = self.sign_ins.clone();
        sweep(&mut kept, ended, |row| row.expires_at);
        for gone in self.sign_ins.values().filter(|row| !kept.contains_key(&row.sign_in)) {
            let its = |grant: &&mut GrantRow| grant.sign_in == Some(gone.sign_in) && grant.ended_at.is_none();
            for grant in self.grants.values_mut().filter(its).filter(|_| gone.ended_at.is_some()) {
                grant.ended_at = gone.ended_at;
                grant.version += 1;
            }
        }
        self.sign_ins = kept;
        let mut kept = self.grants.clone();
        sweep(&mut kept, grants_swept_before(now), |row| row.ended_at.unwrap_or(row.expires_at));
        let is_gone = |grant: &GrantId| self.grants.contains_key(grant) && !kept.contains_key(grant);
        self.tokens.retain(|_, row| !is_gone(&row.grant));
        self.grants = kept;
    }
}

fn unless(is_taken: bool, what: impl Fn() -> String) -> Result<(), CommitError> {
    if is_taken { Err(Fault::Contradiction(what()).into()) } else { Ok(()) }
}

/// Puts `new` in the place of the row before it: same identity, version one less.
pub(super) fn replace<T: Versioned>(old: Option<&mut T>, new: T) -> Result<(), CommitError> {
    match old {
        Some(old) if old.version().checked_add(1) == Some(new.version()) && old.is_same(&new) => {
            *old = new;
            Ok(())
        }
        _ => Err(CommitError::Outdated),
    }
}

/// A row that ends.
pub(super) trait Lasting {
    fn end(&mut self, at: Time) -> bool;
}

macro_rules! lasting {
    ($($row:ty)*) => {$(
        impl Lasting for $row {
            fn end(&mut self, at: Time) -> bool {
                let is_open = self.ended_at.is_none();
                if is_open {
                    self.ended_at = Some(at);
                    self.version += 1;
                }
                is_open
            }
        }
    )*};
}

lasting!(ClientRow GrantRow MemberRow AuthenticatorRow SignInRow ProviderRow crate::webhook_rows::WebhookKeyRow);

fn end<'rows, T: Lasting + 'rows>(rows: impl IntoIterator<Item = &'rows mut T>, at: Time) -> usize {
    rows.into_iter().map(|row| row.end(at)).filter(|ended| *ended).count()
}

/// A row that changes, and what of it never does.
pub(super) trait Versioned {
    fn version(&self) -> u64;
    /// Whether what never changes is the same, besides the id by which it was found.
    fn is_same(&self, other: &Self) -> bool;
}

macro_rules! versioned {
    ($($row:ty: $($never_changes:ident)*;)*) => {$(
        impl Versioned for $row {
            fn version(&self) -> u64 {
                self.version
            }

            fn is_same(&self, other: &Self) -> bool {
                true $(&& self.$never_changes == other.$never_changes)*
            }
        }
    )*};
}

versioned! {
    ClientRow: tenant person created_at;
    GrantRow: tenant client user created_at;
    AuthorizationCodeRow: grant;
    PushedRequestRow: tenant client;
    UserRow: created_at;
    MemberRow: created_at;
    AuthenticatorRow: user kind lookup created_at;
    SignInRow: user created_at;
    TicketRow: secret purpose organization created_at;
    ProviderRow: created_at;
    crate::rows::ApiKeyRow: tenant hash person created_at replaces created_by;
    crate::webhook_rows::EndpointRow: tenant created_at;
    crate::webhook_rows::WebhookKeyRow: tenant endpoint created_at;
}
