//! Setting and removing an organization's provider: by owners and admins who proved lately who they are. What is removed, or
//! replaced by another issuer, ends its sessions, its connections and what was granted in them, in the same commit.

use axum::http::HeaderValue;
use countersign_core::{
    access::Environment,
    accounts::{
        email,
        provider::{Authentication, Settings},
    },
    canonical,
    id::{AuthenticatorId, OrganizationId, ProviderId},
    limits,
    refusal::{Code, Refusal},
    role::Role,
    secret::Secret,
    security::{EndReason, SecurityBody},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, Ending, MemberRow, ProviderRow},
    batch::Row,
};

use super::{Provider, links, of, read, sealed};
use crate::{
    accounts::{
        busy,
        changes::{self, Changing, Edit},
        circumstances,
        letters::Notice,
        people::{self, Factors, PROVIDER},
        session::SignedIn,
    },
    app::App,
    fault::{Failure, Fault},
    grants, organizations,
    signer::strict::Caller,
};

/// Grants that are read at a time.
const PAGE: usize = 100;

/// Who sets an organization's provider.
pub struct Setting<'a> {
    /// The application.
    pub app: &'a App,
    /// The request.
    pub caller: &'a Caller,
    /// In which session.
    pub signed_in: &'a SignedIn,
    /// Whose provider.
    pub member: &'a MemberRow,
}

/// The member whose session this is, if it may set the provider of this organization.
pub fn may_set(signed_in: &SignedIn, organization: OrganizationId) -> Result<&MemberRow, Refusal> {
    let member = signed_in.memberships.iter().find(|member| member.organization == organization);
    let member = member.ok_or_else(Refusal::not_found)?;
    match member.role {
        Role::Owner | Role::Admin => Ok(member),
        _ => Err(Refusal::not_found()),
    }
}

impl Setting<'_> {
    /// Sets the provider. A secret that is not given stays.
    pub async fn set(&self, settings: &Settings, secret: Option<&Secret<String>>) -> Result<(), Failure> {
        let Self { app, signed_in, member, .. } = self;
        signed_in.check_fresh(app.now())?;
        let address = email::compared(&signed_in.user.email);
        settings.check(address.rsplit_once('@').map_or("", |(_, domain)| domain))?;
        app.oauth.guard.takes(&settings.issuer).map_err(|error| {
            Refusal::at(Code::Invalid, "/issuer", format!("the issuer cannot be reached: {error}"))
        })?;
        for _ in 0..limits::CONFLICT_TRIES {
            self.check_names(settings).await?;
            let before = app.store.provider(member.organization).await.map_err(Fault::from)?;
            let in_force = before.clone().filter(|row| row.ended_at.is_none()).map(read).transpose()?;
            let row = self.row(before.as_ref(), in_force.as_ref(), settings, secret).await?;
            let mut batch = Batch::default();
            let mut events = Vec::new();
            if let Some(old) = in_force.as_ref().filter(|old| old.row.provider != row.provider) {
                events.extend(self.end(old, &mut batch).await?);
            }
            let is_required_now =
                settings.is_required && in_force.is_none_or(|old| !old.settings.is_required);
            if is_required_now {
                events.extend(self.end_grants_of_members(&mut batch).await?);
            }
            events.push(SecurityBody::ProviderSet {
                provider: row.provider,
                issuer: settings.issuer.clone(),
                is_required: settings.is_required,
            });
            match before {
                Some(_) => batch.changes.push(Change::Provider(row)),
                None => batch.rows.push(Row::Provider(row)),
            }
            if self.commit(events, batch).await? {
                return Ok(());
            }
        }
        Err(busy().into())
    }

    /// Removes the provider.
    pub async fn remove(&self) -> Result<(), Failure> {
        let Self { app, signed_in, member, .. } = self;
        signed_in.check_fresh(app.now())?;
        for _ in 0..limits::CONFLICT_TRIES {
            let old = of(app, member.organization).await?.ok_or_else(Refusal::not_found)?;
            let mut batch = Batch::default();
            let mut events = self.end(&old, &mut batch).await?;
            events.push(SecurityBody::ProviderRemoved { provider: old.row.provider });
            batch.changes.push(Change::Provider(ProviderRow {
                ended_at: Some(app.now()),
                version: old.row.version + 1,
                ..old.row
            }));
            if self.commit(events, batch).await? {
                return Ok(());
            }
        }
        Err(busy().into())
    }

    /// The row after the change. Another issuer, or the first after a removal, is another provider: whoever was connected
    /// with the one before is not with this one.
    async fn row(
        &self,
        before: Option<&ProviderRow>,
        in_force: Option<&Provider>,
        settings: &Settings,
        secret: Option<&Secret<String>>,
    ) -> Result<ProviderRow, Failure> {
        let app = self.app;
        let organization = self.member.organization;
        let same = in_force.filter(|old| old.settings.issuer == settings.issuer);
        let provider = same.map_or_else(|| ProviderId::new(app.now(), app.draw()), |old| old.row.provider);
        let keeps = same.filter(|old| old.settings.authentication == settings.authentication);
        let sealed = match keeps
            .filter(|_| secret.is_none() || settings.authentication == Authentication::PrivateKeyJwt)
        {
            Some(old) => old.row.sealed.clone(),
            None if settings.authentication == Authentication::ClientSecret && secret.is_none() => {
                let sentence = "type the client secret that the provider gave, or choose a signed assertion";
                return Err(Refusal::at(Code::Invalid, "/client_secret", sentence).into());
            }
            None => sealed(app, organization, provider, settings.authentication, secret).await?,
        };
        let text = canonical::to_vec(settings).map_err(|error| Fault::Task(error.to_string()))?;
        Ok(ProviderRow {
            organization,
            provider,
            settings: String::from_utf8(text).map_err(|error| Fault::Task(error.to_string()))?,
            sealed,
            created_at: before.map_or(app.now(), |row| row.created_at),
            ended_at: None,
            version: before.map_or(1, |row| row.version + 1),
        })
    }

    /// Refuses a handle or a domain that leads to another organization's provider already.
    async fn check_names(&self, settings: &Settings) -> Result<(), Failure> {
        for row in self.app.store.providers().await.map_err(Fault::from)? {
            if row.organization == self.member.organization || row.ended_at.is_some() {
                continue;
            }
            let other = read(row)?.settings;
            if other.handle == settings.handle {
                let sentence = "this handle is taken: choose another";
                return Err(Refusal::at(Code::Invalid, "/handle", sentence).into());
            }
            if settings.domains.iter().any(|domain| other.domains.contains(domain)) {
                let sentence = "one of these domains leads to another organization's provider";
                return Err(Refusal::at(Code::Invalid, "/domains", sentence).into());
            }
        }
        Ok(())
    }

    async fn members(&self) -> Result<Vec<MemberRow>, Fault> {
        let mut rows = self.app.store.members(self.member.organization).await?;
        rows.retain(|row| row.ended_at.is_none());
        Ok(rows)
    }

    /// Ends what hangs on a provider: connections, sessions, and the grants of whoever was connected.
    async fn end(&self, old: &Provider, batch: &mut Batch) -> Result<Vec<SecurityBody>, Failure> {
        let (app, now) = (self.app, self.app.now());
        let mut events = Vec::new();
        // Also of former members.
        for member in app.store.members(old.row.organization).await.map_err(Fault::from)? {
            let Some(user) = people::by_id(app, member.user).await? else { continue };
            let mut edit = Edit::new(Notice::ProviderUnlinked);
            for row in Factors::of(app, user.id()).await?.kind(PROVIDER) {
                if links::read(&user, row)?.provider == old.row.provider {
                    edit.removed.push(row.clone());
                }
            }
            let sessions = app.store.sign_ins(user.id()).await.map_err(Fault::from)?;
            let its = |row: &&countersign_store::access_rows::SignInRow| {
                row.provider == Some(old.row.provider) && row.ended_at.is_none()
            };
            let ended: Vec<_> = sessions.iter().filter(its).cloned().collect();
            events.extend(changes::signed_out(&ended, None, EndReason::ProviderRemoved));
            if !edit.removed.is_empty() {
                events.extend(self.end_grants(&member, EndReason::ProviderRemoved, batch).await?);
                events.extend(changes::apply_factors(&edit, now, batch));
            }
        }
        // After the connections, so that a session that begins through one of them at this moment ends, too.
        let what = Ending::SignInsThrough(old.row.provider);
        batch.changes.push(Change::End { what, at: now, once: false });
        Ok(events)
    }

    /// Ends what members other than owners granted before they had to come in through the provider.
    async fn end_grants_of_members(&self, batch: &mut Batch) -> Result<Vec<SecurityBody>, Failure> {
        let mut events = Vec::new();
        for member in self.members().await? {
            if member.role != Role::Owner {
                events.extend(self.end_grants(&member, EndReason::ProviderRequired, batch).await?);
            }
        }
        Ok(events)
    }

    async fn end_grants(
        &self,
        member: &MemberRow,
        reason: EndReason,
        batch: &mut Batch,
    ) -> Result<Vec<SecurityBody>, Failure> {
        let store = &self.app.store;
        let mut events = Vec::new();
        for environment in [Environment::Sandbox, Environment::Live] {
            let tenant = organizations::tenant(member.organization, environment);
            let mut before = None;
            loop {
                let page = store.grants(&tenant, None, Some(member.user), before, PAGE).await;
                let page = page.map_err(Fault::from)?;
                before = page.last().map(|row| row.grant);
                let is_full = page.len() == PAGE;
                for row in page.into_iter().filter(|row| row.ended_at.is_none()) {
                    let end = grants::ending(self.app, row.grant, false);
                    if !batch.changes.contains(&end) {
                        events.push(SecurityBody::GrantEnded {
                            grant: row.grant,
                            client: row.client,
                            reason,
                        });
                        batch.changes.push(end);
                    }
                }
                if !is_full {
                    break;
                }
            }
        }
        Ok(events)
    }

    /// Commits with the events; `false` if something changed meanwhile.
    async fn commit(&self, events: Vec<SecurityBody>, mut batch: Batch) -> Result<bool, Failure> {
        let Self { app, caller, signed_in, member } = self;
        let actor = circumstances::in_person(signed_in.user_id(), Some(signed_in.sign_in()));
        for body in &events {
            circumstances::record(app, std::slice::from_ref(member), actor, caller, body, &mut batch).await?;
        }
        match app.store.commit(batch).await {
            Ok(_) => Ok(true),
            Err(CommitError::Outdated | CommitError::Conflict) => Ok(false),
            Err(error) => Err(Fault::of_commit(error).into()),
        }
    }
}

/// Disconnects an account from a provider, by its owner.
pub async fn unlink(
    app: &App,
    caller: &Caller,
    signed_in: &SignedIn,
    connection: AuthenticatorId,
) -> Result<Vec<HeaderValue>, Failure> {
    let changing = Changing { app, caller, signed_in };
    changing
        .make(|_, factors| {
            let row = factors.kind(PROVIDER).find(|row| row.authenticator == connection);
            let mut edit = Edit::new(Notice::ProviderUnlinked);
            edit.removed.push(row.ok_or_else(Refusal::not_found)?.clone());
            Ok(edit)
        })
        .await
}
