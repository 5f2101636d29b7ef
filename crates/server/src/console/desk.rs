//! What every page of the console begins with: who is signed in, as a member of which organization, in which of its
//! environments. All of that is in the address, so that a form of one window never acts where another window went.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderValue, StatusCode, request::Parts},
    response::Response,
};
use countersign_core::{
    access::{Environment, Operation, Principal, Tenant, allow, scopes_of},
    id::OrganizationId,
    refusal::{Code, Refusal},
    role::Role,
    scope::Scope,
};

use super::{Said, go, notice::NotShown, to_confirm, to_sign_in, with_cookies};
use crate::{
    accounts::session::{self, SignedIn},
    app::{App, Organization},
    fault::{Failure, Fault},
    http::{auth, problem::status_of},
    security::Circumstances,
    signer::{answer, strict::Caller},
};

/// An environment of an organization, as an address names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The organization.
    pub(super) organization: OrganizationId,
    /// Its environment.
    pub(super) environment: Environment,
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = NotShown;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, NotShown> {
        let parameters = RawPathParams::from_request_parts(parts, state).await.ok();
        let text = |name: &str| {
            let found = parameters.as_ref()?.iter().find(|(found, _)| *found == name)?;
            Some(found.1.to_owned())
        };
        let organization = text("organization").and_then(|text| text.parse().ok());
        let environment = text("environment").and_then(|text| Environment::parse(&text));
        let (Some(organization), Some(environment)) = (organization, environment) else {
            return Err(Failure::from(Refusal::not_found()).into());
        };
        Ok(Self { organization, environment })
    }
}

impl Place {
    /// The address of a page there: `""`, or a path with a slash before it.
    pub(super) fn page(self, rest: &str) -> String {
        format!("/console/{}/{}{rest}", self.organization, self.environment.text())
    }
}

/// A member at work.
pub(super) struct Desk {
    /// Where.
    pub(super) place: Place,
    /// Who.
    pub(super) signed_in: SignedIn,
    /// The same as a caller, in this environment.
    pub(super) principal: Principal,
    /// The organization.
    pub(super) organization: Arc<Organization>,
}

/// Lets a member in, or leads to the sign-in and back to `page`.
pub(super) async fn enter(
    app: &App,
    caller: &Caller,
    place: Place,
    page: &str,
) -> Result<Result<Desk, Response>, NotShown> {
    let Some(signed_in) = session::current(app, &caller.headers).await? else {
        return Ok(Err(to_sign_in(page)));
    };
    let principal = auth::member(&signed_in, place.organization, place.environment)?;
    let organization = app.organization(place.organization).await?;
    Ok(Ok(Desk { place, signed_in, principal, organization }))
}

impl Desk {
    /// Whether the member's role allows it at all.
    pub(super) fn may(&self, operation: Operation) -> bool {
        scopes_of(&self.principal).has(operation.scope())
    }

    /// Refuses what the role does not allow, and what needs a fresh proof.
    pub(super) fn allow(&self, app: &App, operation: Operation) -> Result<&Tenant, Refusal> {
        allow(&self.principal, operation, app.now())
    }

    /// The same member as a caller in live: where members are changed, because they have powers there.
    pub(super) fn in_live(&self, app: &App, operation: Operation) -> Result<Principal, Refusal> {
        let principal = auth::member(&self.signed_in, self.place.organization, Environment::Live)?;
        allow(&principal, operation, app.now())?;
        Ok(principal)
    }

    /// For the security events of what is done.
    pub(super) fn circumstances(principal: &Principal, caller: &Caller) -> Circumstances {
        Circumstances::of(principal, &caller.origin, caller.correlation)
    }

    /// The member's role.
    pub(super) fn role(&self) -> Role {
        let is_here = |member: &&countersign_store::access_rows::MemberRow| {
            member.organization == self.place.organization
        };
        self.signed_in.memberships.iter().find(is_here).map_or(Role::Reviewer, |member| member.role)
    }

    /// What is around every page.
    pub(super) async fn frame(&self, app: &App, caller: &Caller, here: Tab) -> Result<Frame, Fault> {
        let mut switches = Vec::new();
        for member in &self.signed_in.memberships {
            let name = app.organization(member.organization).await?.name.clone();
            for environment in [Environment::Live, Environment::Sandbox] {
                let place = Place { organization: member.organization, environment };
                switches.push(Switch {
                    organization: name.clone(),
                    environment: environment_words(environment),
                    href: place.page(""),
                    is_here: place == self.place,
                });
            }
        }
        let scopes = scopes_of(&self.principal);
        let tabs = Tab::ALL.iter().filter(|tab| tab.scope().is_none_or(|scope| scopes.has(scope)));
        let nav = tabs.map(|tab| NavItem {
            href: self.place.page(tab.path()),
            label: tab.label(),
            is_here: *tab == here,
        });
        Ok(Frame {
            email: self.signed_in.user.email.disclose().clone(),
            organization: self.organization.name.clone(),
            environment: environment_words(self.place.environment),
            is_sandbox: self.place.environment == Environment::Sandbox,
            role: self.role().text(),
            here: self.place.page(here.path()),
            nav: nav.collect(),
            switches,
            is_fresh: self.signed_in.is_fresh(app.now()),
            heard: Said::heard(caller),
        })
    }
}

fn environment_words(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "Live",
        Environment::Sandbox => "Sandbox",
    }
}

/// The pages that the navigation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Home,
    Members,
    Clients,
    Keys,
    Applications,
    Webhooks,
    Security,
}

impl Tab {
    const ALL: [Self; 7] = [
        Self::Home,
        Self::Members,
        Self::Clients,
        Self::Keys,
        Self::Applications,
        Self::Webhooks,
        Self::Security,
    ];

    /// What follows on the address of the place.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Home => "",
            Self::Members => "/members",
            Self::Clients => "/clients",
            Self::Keys => "/keys",
            Self::Applications => "/applications",
            Self::Webhooks => "/webhooks",
            Self::Security => "/security",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Home => "Overview",
            Self::Members => "Members",
            Self::Clients => "Clients",
            Self::Keys => "API keys",
            Self::Applications => "Connected applications",
            Self::Webhooks => "Webhooks",
            Self::Security => "Security events",
        }
    }

    /// What it needs to be shown.
    fn scope(self) -> Option<Scope> {
        match self {
            Self::Home => None,
            Self::Members => Some(Scope::MembersRead),
            Self::Clients => Some(Scope::ClientsRead),
            Self::Keys => Some(Scope::KeysRead),
            Self::Applications => Some(Scope::GrantsRead),
            Self::Webhooks => Some(Scope::WebhooksRead),
            Self::Security => Some(Scope::SecurityRead),
        }
    }
}

/// A way in the navigation.
pub(super) struct NavItem {
    pub(super) href: String,
    pub(super) label: &'static str,
    pub(super) is_here: bool,
}

/// A way to another organization or environment.
pub(super) struct Switch {
    pub(super) organization: String,
    pub(super) environment: &'static str,
    pub(super) href: String,
    pub(super) is_here: bool,
}

/// What is around a page of the console.
pub(super) struct Frame {
    pub(super) email: String,
    pub(super) organization: String,
    pub(super) environment: &'static str,
    pub(super) is_sandbox: bool,
    pub(super) role: &'static str,
    /// The address of the page that the navigation marks.
    pub(super) here: String,
    pub(super) nav: Vec<NavItem>,
    pub(super) switches: Vec<Switch>,
    /// Whether something dangerous can be done without another proof.
    pub(super) is_fresh: bool,
    heard: Option<(&'static str, HeaderValue)>,
}

impl Frame {
    /// A word about what was just done.
    pub(super) fn said(&self) -> Option<&'static str> {
        self.heard.as_ref().map(|(words, _)| *words)
    }

    /// Shows a page in this frame; what was said is forgotten.
    pub(super) fn show(&self, page: &impl Template) -> Result<Response, NotShown> {
        let shown = answer::page(page, StatusCode::OK)?;
        Ok(with_cookies(shown, self.heard.iter().map(|(_, cookie)| cookie.clone()).collect()))
    }
}

/// A page that a form was sent to, again, with what was wrong.
pub(super) fn again(page: &impl Template, refusal: &Refusal) -> Result<Response, NotShown> {
    Ok(answer::page(page, status_of(refusal.code.kind()))?)
}

/// After a form: on to `done` with a word about it, or to the page that proves who it is and back to `page`.
pub(super) fn settle<T>(
    done: Result<T, Failure>,
    page: &str,
    on: (&str, Said),
) -> Result<Response, NotShown> {
    match done {
        Ok(_) => Ok(go(on.0, vec![on.1.cookie()?])),
        Err(Failure::Refused(refusal)) if refusal.code == Code::StepUpRequired => Ok(to_confirm(page)),
        Err(other) => Err(other.into()),
    }
}
