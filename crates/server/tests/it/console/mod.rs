//! The console through HTTPS: members, clients, connected applications, security events, and whom each page refuses
//!

mod applications;
pub(crate) mod browser;
mod clients;
mod guards;
mod invitations;
mod members;
mod members_api;
mod security;

use countersign_core::{
    access::{Environment, Identity, MemberIdentity, Principal, Tenant},
    id::{OrganizationId, PersonId, SignInId, UserId},
    level::Level,
    role::Role,
    secret::Personal,
};
use countersign_server::accounts::people;
use countersign_store::{Batch, access_rows::MemberRow, batch::Row};
use reqwest::StatusCode;

use crate::{accounts::person::Person, app::TestApp};

pub(crate) const ADA: &str = "ada@example.com";
pub(crate) const BOB: &str = "bob@example.com";

/// An organization in live with an owner at the console.
pub(crate) struct Scene<'a> {
    pub(crate) test: &'a TestApp,
    pub(crate) organization: OrganizationId,
    pub(crate) ada: Person,
}

impl<'a> Scene<'a> {
    pub(crate) async fn new(test: &'a TestApp) -> Self {
        let (organization, ada) = test.owner("Harbour Mills", ADA).await;
        Self { test, organization, ada }
    }

    pub(crate) fn page(&self, rest: &str) -> String {
        format!("/console/{}/live{rest}", self.organization)
    }

    /// The same page of the sandbox.
    pub(crate) fn sandbox(&self, rest: &str) -> String {
        format!("/console/{}/sandbox{rest}", self.organization)
    }

    /// A page as somebody sees it.
    pub(crate) async fn see(&self, person: &Person, rest: &str) -> String {
        let page = person.get(self.test, &self.page(rest)).await;
        let status = page.status();
        let text = page.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{rest}: {text}");
        text
    }

    /// Invites somebody on the console.
    pub(crate) async fn invite(&self, by: &Person, email: &str, role: &str) -> (StatusCode, String) {
        let form = [("email", email), ("role", role)];
        let page = by.form(self.test, &self.page("/members/invite"), &form).await;
        (page.status(), page.text().await.unwrap())
    }

    /// The link in the newest mail to an address.
    pub(crate) async fn mailed_link(&self, email: &str) -> String {
        let key = self.test.mailbox_key(self.organization).await;
        let letters = self.test.letters(&key, email).await;
        let text = &letters.first().expect("a mail").text;
        text.split_whitespace().find(|word| word.contains("/welcome#csi_")).unwrap().to_owned()
    }

    /// Somebody who was invited, and has joined.
    pub(crate) async fn joined(&self, email: &str, role: &str) -> Person {
        let (status, page) = self.invite(&self.ada, email, role).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let link = self.mailed_link(email).await;
        let mut person = Person::new(self.test, email);
        person.welcome(self.test, &link).await;
        person
    }

    /// The user with this address.
    pub(crate) async fn user(&self, email: &str) -> UserId {
        let address = Personal::new(email.to_owned());
        people::by_address(&self.test.app, &address).await.unwrap().unwrap().id()
    }

    pub(crate) async fn role(&self, email: &str) -> Option<Role> {
        let user = self.user(email).await;
        let row = self.test.app.store.member(self.organization, user).await.unwrap();
        row.filter(|row| row.ended_at.is_none()).map(|row| row.role)
    }
}

/// A member without a way in, for what is not about signing in.
pub(crate) async fn silent_member(test: &TestApp, organization: OrganizationId, role: Role) -> MemberRow {
    let app = &test.app;
    let user = UserId::new(app.now(), app.draw());
    let address = Personal::new(format!("{user}@example.com"));
    let user = people::new(app, user, Personal::new("Grace Hopper".to_owned()), address).unwrap();
    let rows = vec![Row::User(user.row.clone())];
    app.store.commit(Batch { rows, ..Batch::default() }).await.unwrap();
    membership(test, organization, &user, role).await
}

/// Makes a user a member.
pub(crate) async fn membership(
    test: &TestApp,
    organization: OrganizationId,
    user: &people::User,
    role: Role,
) -> MemberRow {
    let app = &test.app;
    let mut persons: Vec<PersonId> = Vec::new();
    for environment in [Environment::Sandbox, Environment::Live] {
        let tenant = Tenant::of_stored_row(organization, environment);
        let ensured = countersign_server::persons::ensure(app, &tenant, &[&user.email]).await.unwrap();
        persons.extend(ensured);
    }
    let member = MemberRow {
        organization,
        user: user.id(),
        role,
        persons: (persons[0], persons[1]),
        created_at: app.now(),
        ended_at: None,
        version: 1,
    };
    let rows = vec![Row::Member(member.clone())];
    app.store.commit(Batch { rows, ..Batch::default() }).await.unwrap();
    member
}

/// That member at the console.
pub(crate) fn in_person(test: &TestApp, member: &MemberRow) -> Principal {
    let identity = Identity::Member(MemberIdentity {
        sign_in: SignInId::new(test.app.now(), test.app.draw()),
        person: member.person(Environment::Live),
        member: countersign_core::access::Behind {
            user: member.user,
            role: member.role,
            level: Level::Aal2,
            authenticated_at: test.app.now(),
        },
        is_through_provider: false,
    });
    let tenant = Tenant::of_stored_row(member.organization, Environment::Live);
    Principal::authenticated(tenant, identity)
}
