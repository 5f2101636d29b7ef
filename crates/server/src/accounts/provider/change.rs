//! Setting and removing an organization's provider: by owners and admins who proved lately who they are. What ends with the
//! one before, ends in the same commit.

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
    security::SecurityBody,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, MemberRow, ProviderRow},
    batch::Row,
};

use super::{
    Provider, end, read,
    required::{self, By},
    sealed,
};
use crate::{
    accounts::{
        busy,
        changes::{Changing, Edit},
        circumstances,
        letters::Notice,
        people::PROVIDER,
        session::SignedIn,
    },
    app::App,
    fault::{Failure, Fault},
    organizations,
    security::{self, Circumstances},
    signer::strict::Caller,
};

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
        let live = organizations::tenant(member.organization, Environment::Live);
        let circumstances = self.circumstances();
        for _ in 0..limits::CONFLICT_TRIES {
            self.check_names(settings).await?;
            let before = app.store.provider(member.organization).await.map_err(Fault::from)?;
            let in_force = before.clone().filter(|row| row.ended_at.is_none()).map(read).transpose()?;
            let row = self.row(before.as_ref(), in_force.as_ref(), settings, secret).await?;
            let set = read(row.clone())?;
            let mut batch = Batch::default();
            if let Some(old) = in_force.as_ref().filter(|old| old.row.provider != row.provider) {
                end::add_end(app, &circumstances, old, &mut batch).await?;
            }
            if settings.is_required && in_force.is_none_or(|old| !old.settings.is_required) {
                self.end_grants_without((&live, &circumstances), &set, &mut batch).await?;
            }
            let body = SecurityBody::ProviderSet {
                provider: row.provider,
                issuer: settings.issuer.clone(),
                is_required: settings.is_required,
            };
            security::record(app, &live, &circumstances, body, &mut batch).await?;
            let (organization, names) = (member.organization, settings.names());
            batch.changes.push(Change::NameProvider { organization, names });
            match before {
                Some(_) => batch.changes.push(Change::Provider(row)),
                None => batch.rows.push(Row::Provider(row)),
            }
            match app.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Outdated | CommitError::Conflict) => {}
                Err(error) => return Err(Fault::of_commit(error).into()),
            }
        }
        Err(busy().into())
    }

    /// Removes the provider.
    pub async fn remove(&self) -> Result<(), Failure> {
        self.signed_in.check_fresh(self.app.now())?;
        end::remove(self.app, &self.circumstances(), (self.member.organization, None)).await.map(drop)
    }

    fn circumstances(&self) -> Circumstances {
        let person = self.member.person(Environment::Live);
        Circumstances {
            actor: circumstances::in_person(self.signed_in.user_id(), Some(self.signed_in.sign_in())),
            origin: Some((person, self.caller.origin.clone())),
            correlation: self.caller.correlation,
        }
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

    /// Says which handle or domain leads to another organization's provider already. That there is one alone is settled by
    /// the commit.
    async fn check_names(&self, settings: &Settings) -> Result<(), Failure> {
        for name in settings.names() {
            let found = self.app.store.provider_by_name(&name).await.map_err(Fault::from)?;
            if found.is_none_or(|other| other.organization == self.member.organization) {
                continue;
            }
            let (pointer, sentence) = if name == settings.handle {
                ("/handle", "this handle is taken: choose another".to_owned())
            } else {
                ("/domains", format!("{name} leads to another organization's provider"))
            };
            return Err(Refusal::at(Code::Invalid, pointer, sentence).into());
        }
        Ok(())
    }

    /// Ends what members other than owners granted without the provider, now that they must come in through it.
    async fn end_grants_without(
        &self,
        by: By<'_>,
        provider: &Provider,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let members = self.app.store.members(self.member.organization).await?;
        for member in members.iter().filter(|row| row.ended_at.is_none() && row.role != Role::Owner) {
            required::end_grants_without(self.app, by, provider, member, batch).await?;
        }
        Ok(())
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
