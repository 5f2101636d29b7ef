//! Signing in through an organization's own OpenID provider: one of ours that can be wrong in any way, and one that
//! nobody here wrote.

mod answers;
mod bounds;
mod browser;
mod issuer;
mod operator;
mod races;
mod required;
mod settings;
mod stranger;
mod strangers;
mod way;

use countersign_core::{
    id::OrganizationId,
    security::{SecurityBody, SecurityEvent},
};
use countersign_server::config::Config;
use countersign_store::access_rows::SignInRow;
use reqwest::{Response, StatusCode};

use super::person::{Person, count, error_of};
use crate::app::{Options, TestApp};
use issuer::{AUTHORITY, Issuer};

pub(super) const ADA: &str = "ada@example.com";
pub(super) const BOB: &str = "bob@example.com";
pub(super) const RULES: &str = "acr gold aal2-phr\nacr silver aal2\nacr bronze aal1\namr otp aal2";

/// Lets the server trust and reach providers on the loopback address.
pub(super) fn reach_providers(config: &mut Config) {
    config.egress.ca_file = Some(AUTHORITY.file("ca.pem"));
    config.egress.allow_hosts = vec!["localhost".to_owned()];
}

/// An organization with a provider, and its owner, who is not connected with it yet.
pub(super) struct Scene {
    pub(super) test: TestApp,
    pub(super) organization: OrganizationId,
    pub(super) ada: Person,
    pub(super) issuer: Issuer,
}

/// The form with good settings.
pub(super) fn settings(issuer: &str) -> Vec<(&'static str, String)> {
    vec![
        ("issuer", issuer.to_owned()),
        ("client_id", "countersign".to_owned()),
        ("authentication", "private_key_jwt".to_owned()),
        ("client_secret", String::new()),
        ("handle", "harbour-mills".to_owned()),
        ("domains", "example.com".to_owned()),
        ("rules", RULES.to_owned()),
    ]
}

/// The same with other values.
pub(super) fn with(
    mut form: Vec<(&'static str, String)>,
    others: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    for (name, value) in others {
        form.retain(|(known, _)| known != name);
        form.push((name, (*value).to_owned()));
    }
    form
}

/// Where a page leads away to.
pub(super) fn address_of(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"leave\" href=\"").unwrap_or_else(|| panic!("no way: {page}"));
    rest.split_once('"').unwrap().0.replace("&#38;", "&").replace("&amp;", "&")
}

impl Scene {
    pub(super) async fn start() -> Self {
        let options = Options { configure: reach_providers, ..Options::default() };
        Self::on(TestApp::start_with(options).await).await
    }

    /// The same on a server that reaches providers.
    pub(super) async fn on(test: TestApp) -> Self {
        let (organization, ada) = test.owner("Harbour Mills", ADA).await;
        let issuer = Issuer::start(test.clock.clone()).await;
        let scene = Self { test, organization, ada, issuer };
        scene.set(&[]).await;
        scene
    }

    pub(super) fn path(&self) -> String {
        format!("/console/provider/{}", self.organization)
    }

    /// Sets the provider, with other values than usual.
    pub(super) async fn set(&self, others: &[(&'static str, &str)]) {
        let form = with(settings(self.issuer.url()), others);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = self.ada.form(&self.test, &self.path(), &form).await;
        let (status, text) = (page.status(), page.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{:?} {text}", error_of(&text));
        assert!(text.contains("The provider is set."), "{text}");
    }

    /// Posts a form that leads away; where to.
    pub(super) async fn leave(&self, person: &Person, path: &str, form: &[(&str, &str)]) -> String {
        let page = person.form(&self.test, path, form).await;
        let (status, text) = (page.status(), page.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.contains("<strong>localhost</strong>") && text.contains("Harbour Mills"), "{text}");
        address_of(&text)
    }

    /// Begins to sign in with the organization.
    pub(super) async fn begin(&self, person: &Person) -> String {
        self.leave(person, "/signin/provider", &[("organization", "harbour-mills")]).await
    }

    /// Signs in through the provider; the page on which one ends up.
    pub(super) async fn come_in(&self, person: &Person) -> Response {
        let address = self.begin(person).await;
        person.get(&self.test, &self.issuer.let_in(&address)).await
    }

    /// Connects an account with the provider.
    pub(super) async fn connect(&self, person: &Person) {
        let organization = self.organization.to_string();
        let form = [("organization", organization.as_str())];
        let address = self.leave(person, "/account/provider/link", &form).await;
        let page = person.get(&self.test, &self.issuer.let_in(&address)).await;
        let (path, text) = (page.url().path().to_owned(), page.text().await.unwrap());
        assert_eq!(path, "/account", "{text}");
        assert!(text.contains("Disconnect"), "{text}");
    }

    /// A device of Ada's that came in through the provider, with which her account is connected.
    pub(super) async fn through(&self) -> Person {
        let elsewhere = self.ada.elsewhere(&self.test);
        let page = self.come_in(&elsewhere).await;
        let (path, text) = (page.url().path().to_owned(), page.text().await.unwrap());
        assert_eq!(path, "/account", "{text}");
        elsewhere
    }

    /// The sessions that the provider opened and nobody ended.
    pub(super) async fn sessions_of_provider(&self) -> Vec<SignInRow> {
        let mut found = Vec::new();
        for member in self.test.app.store.members(self.organization).await.unwrap() {
            found.extend(self.test.app.store.sign_ins(member.user).await.unwrap());
        }
        found.retain(|row| row.provider.is_some() && row.ended_at.is_none());
        found
    }

    pub(super) async fn events(&self) -> Vec<SecurityEvent> {
        self.test.security(self.organization).await
    }

    /// Why people who came back were not let in, oldest first.
    pub(super) async fn failures(&self) -> Vec<&'static str> {
        let events = self.events().await;
        let reason = |event: &SecurityEvent| match &event.body {
            SecurityBody::ProviderFailed { reason, .. } => Some(reason.text()),
            _ => None,
        };
        events.iter().filter_map(reason).collect()
    }

    pub(super) async fn finish(self) {
        self.test.work().await;
        self.test.finish().await;
    }
}

pub(super) fn signed_in_through(events: &[SecurityEvent]) -> usize {
    count(events, |body| matches!(body, SecurityBody::SignedIn { provider: Some(_), .. }))
}
