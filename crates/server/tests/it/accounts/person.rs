//! A person in tests: a browser, an address, a password, and an authenticator app that is `oathtool`.

use std::process::Command;

use countersign_core::{
    access::{Environment, Tenant},
    id::OrganizationId,
    scope::{Scope, Scopes},
    secret::Personal,
    security::{SecurityBody, SecurityEvent, Tail},
    time::Time,
};
use countersign_server::accounts::{people, tickets, undelivered};
use countersign_store::{
    Batch,
    access_rows::{Change, UserRow},
};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{Key, TestApp},
    people::{Letter, letters_to},
};

pub(crate) const PASSWORD: &str = "wheel harbour copper eleven";
pub(crate) const OTHER_PASSWORD: &str = "tribute lantern seven gardens";

/// Somebody with a browser.
pub(crate) struct Person {
    pub(crate) http: Client,
    pub(crate) email: String,
    /// The secret that the authenticator app has, in base32.
    pub(crate) secret: String,
}

/// The code that an authenticator app shows at this moment.
pub(crate) fn code_at(secret: &str, now: Time) -> String {
    let at = now.in_utc();
    let run = Command::new("oathtool")
        .args(["--totp", "--base32", "--now", &at, &secret.replace(' ', "")])
        .output()
        .expect("oathtool is installed (Debian: oathtool)");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

/// What follows the `#` of a link.
pub(crate) fn secret_of(link: &str) -> String {
    link.split_once('#').unwrap().1.to_owned()
}

/// An answer's status and JSON.
pub(crate) async fn json_of(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

impl TestApp {
    /// The link for the first owner of an organization, as `countersign init` prints it.
    pub(crate) async fn init(&self, organization: &str, email: &str) -> (OrganizationId, String) {
        let (row, link) = tickets::first_owner(&self.app, organization, email).await.unwrap();
        (row.organization, link.expose().clone())
    }

    /// An organization whose owner has an account with password and one-time codes, and is signed in.
    pub(crate) async fn owner(&self, organization: &str, email: &str) -> (OrganizationId, Person) {
        let (id, link) = self.init(organization, email).await;
        let mut person = Person::new(self, email);
        person.welcome(self, &link).await;
        (id, person)
    }

    /// Sets the counters of an account, as so many wrong tries would have.
    pub(crate) async fn set_failures(&self, email: &str, failures: &str) {
        let address = Personal::new(email.to_owned());
        let user = people::by_address(&self.app, &address).await.unwrap().unwrap();
        let row = UserRow { failures: failures.to_owned(), ..user.next() };
        let batch = Batch { changes: vec![Change::User(row)], ..Batch::default() };
        self.app.store.commit(batch).await.unwrap();
    }

    /// A key that reads the mailbox of an organization's sandbox.
    pub(crate) async fn mailbox_key(&self, organization: OrganizationId) -> Key {
        self.key(organization, Environment::Sandbox, Scopes::of(&[Scope::MailboxRead])).await
    }

    /// The mails to an address that no mail server took, newest first: those about accounts, as `countersign mails` prints
    /// them, before those of the organization's sandbox.
    pub(crate) async fn letters(&self, key: &Key, email: &str) -> Vec<Letter> {
        self.work().await;
        let kept = undelivered::last(&self.app, key.tenant.organization(), None, 1_000).await.unwrap();
        let its = kept.into_iter().filter(|mail| mail.to.disclose() == email);
        let mut letters: Vec<Letter> = its
            .map(|mail| Letter {
                head: format!("To: {}\nSubject: {}", mail.to.disclose(), mail.subject.disclose()),
                text: mail.text.expose().clone(),
                html: String::new(),
            })
            .collect();
        letters.extend(letters_to(&self.get_json(key, "/v1/mailbox").await, email));
        letters
    }

    /// The security events of an organization, oldest first.
    pub(crate) async fn security(&self, organization: OrganizationId) -> Vec<SecurityEvent> {
        self.work().await;
        let tenant = Tenant::of_stored_row(organization, Environment::Live);
        let mut stored = self.app.store.security_events(&tenant, None, 10_000).await.unwrap();
        stored.reverse();
        let mut tail = Tail::after(organization, Environment::Live, None);
        stored.iter().map(|event| tail.follow(&event.bytes).unwrap()).collect()
    }

    /// The kinds of these events.
    pub(crate) async fn security_kinds(&self, organization: OrganizationId) -> Vec<String> {
        self.security(organization).await.iter().map(|event| event.body.kind()).collect()
    }
}

/// How many events are of this kind.
pub(crate) fn count(events: &[SecurityEvent], is: impl Fn(&SecurityBody) -> bool) -> usize {
    events.iter().filter(|event| is(&event.body)).count()
}

impl Person {
    pub(crate) fn new(test: &TestApp, email: &str) -> Self {
        Self { http: test.browser(), email: email.to_owned(), secret: String::new() }
    }

    /// The same person at another device.
    pub(crate) fn elsewhere(&self, test: &TestApp) -> Self {
        Self { http: test.browser(), email: self.email.clone(), secret: self.secret.clone() }
    }

    /// A GET; ways to other pages are followed.
    pub(crate) async fn get(&self, test: &TestApp, path: &str) -> Response {
        self.http.get(format!("{}{path}", test.url)).send().await.unwrap()
    }

    /// The path on which one ends up.
    pub(crate) async fn lands_on(&self, test: &TestApp, path: &str) -> String {
        self.get(test, path).await.url().path().to_owned()
    }

    /// Whether this browser is signed in.
    pub(crate) async fn is_in(&self, test: &TestApp) -> bool {
        self.lands_on(test, "/account").await == "/account"
    }

    pub(crate) async fn form(&self, test: &TestApp, path: &str, form: &[(&str, &str)]) -> Response {
        let request = self.http.post(format!("{}{path}", test.url)).header("sec-fetch-site", "same-origin");
        request.form(form).send().await.unwrap()
    }

    pub(crate) async fn post(&self, test: &TestApp, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", test.url)).header("sec-fetch-site", "same-origin");
        json_of(request.json(body).send().await.unwrap()).await
    }

    /// The same for what must go well.
    pub(crate) async fn ask(&self, test: &TestApp, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(test, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// The code of this person's app now. A code is good once, so that time goes on by a step.
    pub(crate) fn code(&self, test: &TestApp) -> String {
        test.clock.forward_s(30);
        code_at(&self.secret, test.app.now())
    }

    /// Makes an account with password and one-time codes from a link.
    pub(crate) async fn welcome(&mut self, test: &TestApp, link: &str) {
        let secret = secret_of(link);
        let begun = json!({ "secret": secret, "name": "Ada Lovelace", "password": PASSWORD });
        let codes = self.ask(test, "/welcome/codes", &begun).await;
        codes["text"].as_str().unwrap().clone_into(&mut self.secret);
        let code = code_at(&self.secret, test.app.now());
        let finish = json!({ "secret": secret, "state": codes["state"], "code": code });
        let next = self.ask(test, "/welcome/codes/finish", &finish).await;
        assert_eq!(next["next"], "/account/recovery");
    }

    /// Types address and password; the page that follows.
    pub(crate) async fn password(&self, test: &TestApp, password: &str) -> Response {
        self.form(test, "/signin", &[("email", &self.email), ("password", password)]).await
    }

    /// Types a code after the password; the page that follows.
    pub(crate) async fn type_code(&self, test: &TestApp, code: &str) -> Response {
        self.form(test, "/signin/code", &[("code", code)]).await
    }

    /// Signs in with password and code.
    pub(crate) async fn sign_in(&self, test: &TestApp) {
        let step = self.password(test, PASSWORD).await;
        let path = step.url().path().to_owned();
        let text = step.text().await.unwrap();
        assert_eq!(path, "/signin/code", "{text}");
        let page = self.type_code(test, &self.code(test)).await;
        let path = page.url().path().to_owned();
        let text = page.text().await.unwrap();
        assert_eq!(path, "/account", "{text}");
    }

    /// Proves again who it is, with password and code.
    pub(crate) async fn confirm(&self, test: &TestApp) {
        let code = self.code(test);
        let form = [("password", PASSWORD), ("code", code.as_str()), ("return_to", "/account")];
        let page = self.form(test, "/signin/again", &form).await;
        let path = page.url().path().to_owned();
        let text = page.text().await.unwrap();
        assert_eq!(path, "/account", "{text}");
    }

    /// Makes recovery codes and keeps them.
    pub(crate) async fn recovery_codes(&self, test: &TestApp) -> Vec<String> {
        let page = self.form(test, "/account/recovery", &[]).await.text().await.unwrap();
        let codes = shown_codes(&page);
        assert_eq!(codes.len(), 10, "{page}");
        let state = hidden(&page, "state");
        let kept = self.form(test, "/account/recovery/keep", &[("state", &state), ("kept", "yes")]).await;
        assert_eq!(kept.url().path(), "/account");
        codes
    }
}

/// The recovery codes on a page.
pub(crate) fn shown_codes(page: &str) -> Vec<String> {
    page.split("<li><code>").skip(1).map(|rest| rest.split_once('<').unwrap().0.to_owned()).collect()
}

/// The value of a hidden field on a page.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let (_, rest) =
        page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name}: {page}"));
    rest.split_once('"').unwrap().0.to_owned()
}

/// The sentence about what was wrong, on a page.
pub(crate) fn error_of(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("id=\"form-error\">")?;
    Some(rest.split_once('<')?.0.to_owned())
}
