//! Members who are identified by the codes of the authenticator app with which they sign in (S-3, S-4, G-4, G-7).

use countersign_core::{access::Environment, id::OrganizationId, scope::Scopes, security::SecurityBody};
use countersign_server::accounts::people;
use countersign_store::{
    Batch,
    access_rows::{AuthenticatorRow, Change, MemberRow, UserRow},
};
use countersign_verify::{Verdict, Verifier, verify_package};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    accounts::person::{PASSWORD, Person, code_at, count, hidden},
    app::{Key, Options, TestApp, logged, pdf},
    browser::driver::Browser,
    console::browser::{check, on_localhost, url},
    people::{Human, letters, link, sign_with, status, types},
};

const ADA: &str = "ada@example.com";
/// The same address as a sender may write it.
const AS_SENT: &str = "Ada@Example.com";

/// An organization whose owner is Ada, who has an authenticator app, and a key of its sandbox.
async fn mills(test: &TestApp) -> (OrganizationId, Person, Key) {
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let key = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    (organization, ada, key)
}

async fn create(test: &TestApp, key: &Key, email: &str, assurance: &str) -> (StatusCode, Value) {
    let document = test.upload(key, "lease.pdf", pdf(1)).await;
    let signer = json!({ "name": "Ada Lovelace", "email": email, "role": "signer", "factor": "totp" });
    let body = json!({
        "title": "Lease", "documents": [{ "id": document }], "recipients": [signer], "assurance": assurance,
    });
    test.post_json(key, "/v1/envelopes", &body).await
}

/// An envelope for Ada that was sent.
async fn sent(test: &TestApp, key: &Key) -> String {
    let (status, body) = create(test, key, AS_SENT, "aal2").await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(body["recipients"][0]["factor"], "totp");
    let envelope = body["id"].as_str().unwrap().to_owned();
    test.send(key, &envelope).await;
    envelope
}

/// A session that the newest link opens in somebody's browser.
struct Visit<'a> {
    test: &'a TestApp,
    by: &'a Person,
    path: String,
    session: String,
}

async fn visit<'a>(test: &'a TestApp, key: &Key, envelope: &str, by: &'a Person) -> Visit<'a> {
    test.work().await;
    let link = link(test, key, envelope, AS_SENT).await;
    let (_, secret) = link.split_once('#').unwrap();
    let path = format!("/s/{envelope}");
    let entered = by.ask(test, &format!("{path}/session"), &json!({ "secret": secret })).await;
    assert_eq!(entered["next"], format!("{path}/totp"));
    let page = by.get(test, &format!("{path}/totp")).await.text().await.unwrap();
    Visit { test, by, session: hidden(&page, "session"), path }
}

impl Visit<'_> {
    /// Types a code; the status and the page on which one ends up.
    async fn types(&self, code: &str) -> (StatusCode, String, String) {
        let form = [("session", self.session.as_str()), ("code", code)];
        let answer = self.by.form(self.test, &format!("{}/totp", self.path), &form).await;
        let (status, at) = (answer.status(), answer.url().path().to_owned());
        (status, at, answer.text().await.unwrap())
    }

    async fn is_let_on(&self, code: &str) -> bool {
        let (_, at, page) = self.types(code).await;
        let is_on = at == format!("{}/consent", self.path);
        assert!(is_on || page.contains("was not right, or was used before"), "{at}\n{page}");
        is_on
    }
}

async fn user(test: &TestApp) -> (UserRow, Vec<AuthenticatorRow>, Vec<MemberRow>) {
    let address = countersign_core::secret::Personal::new(ADA.to_owned());
    let user = people::by_address(&test.app, &address).await.unwrap().unwrap();
    let apps = test.app.store.authenticators(user.id()).await.unwrap();
    let members = people::memberships(&test.app, user.id()).await.unwrap();
    (user.row, apps.into_iter().filter(|row| row.kind == people::TOTP).collect(), members)
}

async fn change(test: &TestApp, change: Change) {
    let batch = Batch { changes: vec![change], ..Batch::default() };
    test.app.store.commit(batch).await.unwrap();
}

/// Takes the authenticator app away.
async fn without_app(test: &TestApp) {
    let (_, apps, _) = user(test).await;
    let row = apps.into_iter().find(|row| row.ended_at.is_none()).unwrap();
    let ended = AuthenticatorRow { ended_at: Some(test.app.now()), version: row.version + 1, ..row };
    change(test, Change::Authenticator(ended)).await;
}

/// S-3, E-8: a member signs with a code of the app, for an envelope that asks for two factors; events, receipt and evidence
/// say so, and the code is in none of them.
#[tokio::test]
async fn a_member_signs_with_a_code_of_the_authenticator_app() {
    let test = TestApp::start().await;
    let (_, ada, key) = mills(&test).await;
    let envelope = sent(&test, &key).await;
    let browser = ada.elsewhere(&test);
    let visit = visit(&test, &key, &envelope, &browser).await;
    let link = link(&test, &key, &envelope, AS_SENT).await;
    let (_, secret) = link.split_once('#').unwrap();
    let opened = browser.ask(&test, &format!("/s/{envelope}/open"), &json!({ "secret": secret })).await;
    assert!(opened["needs"].as_str().unwrap().contains("authenticator app"), "{opened}");
    let unidentified = browser.lands_on(&test, &format!("/s/{envelope}/sign")).await;
    assert_eq!(unidentified, format!("/s/{envelope}/totp"));
    assert!(!visit.is_let_on("000000").await);
    let code = ada.code(&test);
    assert!(visit.is_let_on(&code).await);
    let receipt = sign_with(&test, &key, &link, &Human::typing(ADA, "Ada Lovelace"), &browser.http).await;
    assert!(receipt.unwrap().ends_with("/receipt"));
    let page = browser.get(&test, &format!("/s/{envelope}/receipt")).await.text().await.unwrap();
    assert!(page.contains("a code of your authenticator app"), "{page}");
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed");

    let events = test.get_json(&key, &format!("/v1/envelopes/{envelope}/events")).await;
    let told = |kind: &str| {
        let all = events["events"].as_array().unwrap().iter();
        let of_kind = all.filter(|event| event["type"] == kind);
        of_kind.map(|event| event["chained"]["event"]["body"]["value"]["factor"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("factor.passed"), [json!("totp")]);
    assert_eq!(told("factor.failed"), [json!("totp")]);
    assert!(told("code.issued").is_empty());
    let is_in = |text: &str| text.contains(&format!("\"{code}\"")) || text.contains(&format!("={code}"));
    assert!(!is_in(&events.to_string()) && !logged().iter().any(|line| is_in(line)));
    let package = test.get(&key, &format!("/v1/envelopes/{envelope}/evidence")).await.bytes().await.unwrap();
    let log: Vec<Verifier> = vec![test.app.log.verifier_key().parse().unwrap()];
    let report = verify_package(&package, &log);
    assert_eq!(report.verdict(), Verdict::GenuineSandbox, "{}", report.to_text());
    assert!(report.to_text().contains("a code of the authenticator app of a member"), "{}", report.to_text());
    test.finish().await;
}

/// S-3, G-7: a code is good once, whether for signing in or for an envelope, and of many who bring it at once one is let on.
#[tokio::test]
async fn a_code_is_good_once_here_and_at_sign_in() {
    let test = TestApp::start().await;
    let (_, ada, key) = mills(&test).await;
    let envelope = sent(&test, &key).await;
    let browser = ada.elsewhere(&test);
    let first = visit(&test, &key, &envelope, &browser).await;
    let code = ada.code(&test);
    ada.password(&test, PASSWORD).await;
    assert_eq!(ada.type_code(&test, &code).await.url().path(), "/account");
    assert!(!first.is_let_on(&code).await, "it was used to sign in");
    let code = ada.code(&test);
    assert!(first.is_let_on(&code).await);
    ada.password(&test, PASSWORD).await;
    assert_eq!(
        ada.type_code(&test, &code).await.status(),
        StatusCode::FORBIDDEN,
        "it was used for an envelope"
    );

    let mut visits = Vec::new();
    let browsers: Vec<_> = (0..4).map(|_| ada.elsewhere(&test)).collect();
    for browser in &browsers {
        let envelope = sent(&test, &key).await;
        visits.push(visit(&test, &key, &envelope, browser).await);
    }
    // The account's tries are counted from anew.
    test.set_failures(ADA, "{}").await;
    let code = ada.code(&test);
    let (a, b, c, d) = tokio::join!(
        visits[0].types(&code),
        visits[1].types(&code),
        visits[2].types(&code),
        visits[3].types(&code)
    );
    let let_on = [a, b, c, d].iter().filter(|(_, at, _)| at.ends_with("/consent")).count();
    assert_eq!(let_on, 1);
    let (_, apps, _) = user(&test).await;
    assert_eq!(code_at(&ada.secret, test.app.now()), code);
    assert_eq!(apps[0].counter, countersign_core::accounts::totp::unix_s(test.app.now()) / 30);
    test.work().await;
    test.finish().await;
}

/// S-4: five wrong codes lock the link; a right one does not count then, and the sender's next link unlocks.
#[tokio::test]
async fn five_wrong_codes_lock_the_link() {
    let test = TestApp::start().await;
    let (organization, ada, key) = mills(&test).await;
    let envelope = sent(&test, &key).await;
    let browser = ada.elsewhere(&test);
    let first = visit(&test, &key, &envelope, &browser).await;
    for _ in 0..5 {
        test.clock.forward_s(60);
        first.types("000000").await;
    }
    let (status, _, page) = first.types(&ada.code(&test)).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
    let told = types(&test, &key, &envelope).await;
    assert_eq!(told.iter().filter(|one| *one == "factor.failed").count(), 5);
    assert_eq!(told.last().unwrap(), "factor.locked");
    let events = test.security(organization).await;
    let failed =
        |body: &SecurityBody| matches!(body, SecurityBody::SignInFailed { method, .. } if method == "totp");
    assert_eq!(count(&events, failed), 5, "the account's owner can see that somebody guesses");
    let (status, body) = test.post_json(&key, &format!("/v1/envelopes/{envelope}/resend"), &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let again = visit(&test, &key, &envelope, &browser).await;
    test.clock.forward_s(60);
    assert!(again.is_let_on(&ada.code(&test)).await);
    test.work().await;
    test.finish().await;
}

/// G-4: links are no side door to guess codes: strangers share the tries of the account, over all envelopes and sign-ins. The
/// device that the member knows goes on.
#[tokio::test]
async fn links_are_no_side_door_to_a_member_s_codes() {
    let test = TestApp::start().await;
    let (organization, ada, key) = mills(&test).await;
    let stranger = Person::new(&test, ADA);
    let mut verified = 0;
    for _ in 0..4 {
        let envelope = sent(&test, &key).await;
        let guess = visit(&test, &key, &envelope, &stranger).await;
        for _ in 0..5 {
            test.clock.forward_s(60);
            let (status, _, page) = guess.types("000000").await;
            match status {
                StatusCode::TOO_MANY_REQUESTS => {
                    assert!(page.contains("Nothing was checked"), "{page}");
                    // What was not checked is no try of the ceremony.
                    let told = types(&test, &key, &envelope).await;
                    assert_ne!(told.last().unwrap(), "factor.locked");
                }
                _ => verified += 1,
            }
        }
    }
    assert!((8..=10).contains(&verified), "{verified}");
    let events = test.security(organization).await;
    assert!(
        count(&events, |body| matches!(body, SecurityBody::Locked { method, .. } if method == "totp")) >= 1
    );

    let envelope = sent(&test, &key).await;
    let unknown = ada.elsewhere(&test);
    let locked = visit(&test, &key, &envelope, &unknown).await;
    let code = ada.code(&test);
    assert_eq!(locked.types(&code).await.0, StatusCode::TOO_MANY_REQUESTS, "right, and not looked at");
    let known = visit(&test, &key, &envelope, &ada).await;
    assert!(known.is_let_on(&code).await);
    ada.sign_in(&test).await;
    test.work().await;
    test.finish().await;
}

/// S-3: right codes are no tries: a member who signs much is not locked out by it.
#[tokio::test]
async fn right_codes_lock_nobody() {
    let test = TestApp::start().await;
    let (_, ada, key) = mills(&test).await;
    let browser = ada.elsewhere(&test);
    let before = user(&test).await.0.failures;
    for _ in 0..12 {
        let envelope = sent(&test, &key).await;
        let visit = visit(&test, &key, &envelope, &browser).await;
        assert!(visit.is_let_on(&ada.code(&test)).await);
    }
    assert_eq!(user(&test).await.0.failures, before);
    test.work().await;
    test.finish().await;
}

/// S-3: the factor is for members who have an authenticator app, and the refusal says what to do instead.
#[tokio::test]
async fn only_members_with_an_app_are_asked_for_its_code() {
    let test = TestApp::start().await;
    let (_, _, key) = mills(&test).await;
    test.owner("Copper Works", "bob@example.com").await;
    for outside in ["nobody@example.com", "bob@example.com"] {
        let (status, body) = create(&test, &key, outside, "aal2").await;
        assert_eq!(
            (status, &body["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("/recipients/0/email"))
        );
        let detail = body["detail"].as_str().unwrap();
        assert!(
            detail.contains("members of your organization") && detail.contains("`access_code`"),
            "{detail}"
        );
    }
    let (status, body) = create(&test, &key, ADA, "aal2-phr").await;
    assert_eq!(
        (status, &body["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/recipients/0/factor"))
    );
    assert_eq!(create(&test, &key, ADA, "aal1").await.0, StatusCode::CREATED);
    without_app(&test).await;
    let (status, body) = create(&test, &key, ADA, "aal2").await;
    assert_eq!(
        (status, &body["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/recipients/0/factor"))
    );
    assert!(body["detail"].as_str().unwrap().contains("/account"), "{body}");
    test.finish().await;
}

/// S-3: who is no member any more, or has no app any more, is told to ask the sender, and no code is taken.
#[tokio::test]
async fn who_lost_membership_or_app_is_told_to_ask_the_sender() {
    for is_member in [false, true] {
        let test = TestApp::start().await;
        let (organization, ada, key) = mills(&test).await;
        let envelope = sent(&test, &key).await;
        let browser = ada.elsewhere(&test);
        let visit = visit(&test, &key, &envelope, &browser).await;
        if is_member {
            without_app(&test).await;
        } else {
            let (_, _, members) = user(&test).await;
            let row = members.into_iter().find(|row| row.organization == organization).unwrap();
            let ended = MemberRow { ended_at: Some(test.app.now()), version: row.version + 1, ..row };
            change(&test, Change::Member(ended)).await;
        }
        let (_, at, page) = visit.types(&ada.code(&test)).await;
        assert_eq!(at, format!("/s/{envelope}/totp"));
        assert!(page.contains("Ask Harbour Mills") && !page.contains("name=\"code\""), "{page}");
        let told = types(&test, &key, &envelope).await;
        assert!(!told.iter().any(|one| one.starts_with("factor.")), "{told:?}");
        test.finish().await;
    }
}

/// S-2, S-3: the page that asks for the code, after a wrong one, and without an app, at the size of a desk and of phones, by
/// day and by night, axe clean.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_that_asks_for_the_code_is_fit_to_be_used() {
    let mut test = TestApp::start_with(Options { configure: on_localhost, ..Options::default() }).await;
    test.url.clone_from(&test.app.config.server.public_url);
    let (_, ada, key) = mills(&test).await;
    let envelope = sent(&test, &key).await;
    test.work().await;
    let browser = Browser::start(1280, 900).await;
    let letters = letters(&test, &key, AS_SENT).await;
    let mut words = letters.iter().flat_map(|letter| letter.text.split_whitespace());
    let link = words.find(|word| word.starts_with(&url(&test, &format!("/s/{envelope}#")))).expect("a link");
    browser.open(link).await;
    browser.until("!document.getElementById('ready').hidden").await;
    browser.click("#continue").await;
    browser.until_at("/totp").await;
    check(&browser, "totp").await;
    browser.expect_answers(&[422]);
    let right = ada.code(&test);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    browser.write("#code", wrong).await;
    browser.click("form[action$='/totp'] button").await;
    browser.until("document.getElementById('code-error')").await;
    check(&browser, "totp-wrong").await;
    without_app(&test).await;
    browser.open(&url(&test, &format!("/s/{envelope}/totp"))).await;
    assert!(browser.text("main").await.contains("Ask Harbour Mills"));
    check(&browser, "totp-without-app").await;
    browser.quit().await;
    test.finish().await;
}
