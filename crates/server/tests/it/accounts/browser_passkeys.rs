//! What an attacker could do with a passkey of a member, by Chromium's own virtual authenticator: answers without a verified
//! user, answers that were made on another site, answers that are sent again, and a copy with its counter behind
//! (WebAuthn Level 3 §7.1, §7.2).

use countersign_core::{id::OrganizationId, limits, security::SecurityBody};
use serde_json::{Value, json};

use super::{
    browser::{authenticator, open, serve, start, url},
    person::{count, secret_of},
};
use crate::{app::TestApp, browser::driver::Browser};

const ADA: &str = "ada@example.com";
/// A page of the server that asks for no passkey by itself.
const QUIET: &str = "/reset";

/// A page of somebody who plays with a passkey, and the server that it is for.
struct Scene {
    test: TestApp,
    browser: Browser,
    authenticator: String,
}

fn with(mut form: Value, more: Value) -> Value {
    form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    form
}

impl Scene {
    async fn start() -> Self {
        let (test, browser) = start().await;
        let authenticator = authenticator(&browser, true).await;
        browser
            .expect_warning("pubKeyCredParams is missing at least one of the default algorithm identifiers");
        open(&browser, &url(&test, QUIET)).await;
        Self { test, browser, authenticator }
    }

    async fn script(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => {{ {body} }})().then(done, (error) => done({{ thrown: String(error) }}));"
        );
        self.browser.driver.execute_async(script, Vec::new()).await.unwrap().json().clone()
    }

    /// A request of the page that is open, with its cookies or without.
    async fn send(&self, path: &str, body: &Value, cookies: &str) -> (u64, Value) {
        let body = serde_json::to_string(&body.to_string()).unwrap();
        let sent = self
            .script(&format!(
                "const headers = {{ 'Content-Type': 'application/json' }};
                 const request = {{ method: 'POST', headers, body: {body}, credentials: '{cookies}' }};
                 const answer = await fetch('{path}', request);
                 return {{ status: answer.status, body: await answer.json() }};"
            ))
            .await;
        (sent["status"].as_u64().unwrap_or_else(|| panic!("{path}: {sent}")), sent["body"].clone())
    }

    /// The same by a stranger.
    async fn post(&self, path: &str, body: &Value) -> (u64, Value) {
        self.send(path, body, "omit").await
    }

    /// What the server asks for.
    async fn asked(&self, path: &str, body: &Value) -> Value {
        let (status, asked) = self.post(path, body).await;
        assert_eq!(status, 200, "{asked}");
        asked
    }

    async fn asked_to_sign_in(&self) -> Value {
        self.asked("/signin/passkey/options", &json!({})).await
    }

    /// What the authenticator answers on the page that is open, by the page's own code: `make` or `use`.
    async fn answer(&self, what: &str, asked: &Value) -> Value {
        let answer = self
            .script(&format!(
                "const page = await (await fetch('/signin')).text();
                 const script = new URL(/src=\"([^\"]+[.]js[^\"]*)\"/.exec(page)[1], location);
                 const passkey = await import(new URL('passkey.js', script));
                 return passkey.{what}({asked});"
            ))
            .await;
        assert!(answer["credential"].is_object(), "{answer}");
        answer
    }

    /// The same by an authenticator that does not know who holds it, in a browser that is told not to mind.
    async fn unverified_answer(&self, asked: &Value) -> Value {
        self.knows_owner(false).await;
        let mut asked = asked.clone();
        asked["options"]["publicKey"]["userVerification"] = json!("discouraged");
        let answer = self.answer("use", &asked).await;
        self.knows_owner(true).await;
        answer
    }

    /// A passkey made by an authenticator that cannot know who holds it, in such a browser. What was plugged in is not any more.
    async fn unverified_passkey(&mut self, asked: &Value) -> Value {
        let unplug = async |id: &str| {
            let plugged = json!({ "authenticatorId": id });
            self.browser.devtools("WebAuthn.removeVirtualAuthenticator", plugged).await;
        };
        unplug(&self.authenticator).await;
        let weak = json!({ "options": {
            "protocol": "ctap2", "transport": "usb", "hasResidentKey": true, "hasUserVerification": false,
            "automaticPresenceSimulation": true,
        } });
        let weak = self.browser.devtools("WebAuthn.addVirtualAuthenticator", weak).await;
        let mut asked = asked.clone();
        // A browser makes nothing that is found without a name, or protected, for somebody who was not verified.
        let options = &mut asked["options"]["publicKey"];
        options["authenticatorSelection"] =
            json!({ "userVerification": "discouraged", "residentKey": "discouraged" });
        options["extensions"] = json!({});
        let made = self.answer("make", &asked).await;
        unplug(weak["authenticatorId"].as_str().unwrap()).await;
        self.authenticator = authenticator(&self.browser, true).await;
        made
    }

    /// The same on a page of another site that has the passkey's name, too: another port.
    async fn answer_elsewhere(&self, what: &str, asked: &Value) -> Value {
        let other = serve().await;
        open(&self.browser, &url(&other, QUIET)).await;
        let answer = self.answer(what, asked).await;
        open(&self.browser, &url(&self.test, QUIET)).await;
        answer
    }

    async fn knows_owner(&self, is_known: bool) {
        let asked = json!({ "authenticatorId": self.authenticator, "isUserVerified": is_known });
        self.browser.devtools("WebAuthn.setUserVerified", asked).await;
    }

    /// Makes an account with the passkey.
    async fn begin(&self) -> OrganizationId {
        let (organization, link) = self.test.init("Harbour Mills", ADA).await;
        let secret = secret_of(&link);
        let asked = self.asked_to_begin(&secret).await;
        let made = self.answer("make", &asked).await;
        assert_eq!(self.register(&secret, made).await, 200);
        organization
    }

    async fn asked_to_begin(&self, secret: &str) -> Value {
        self.asked("/welcome/passkey/options", &json!({ "secret": secret, "name": "Ada" })).await
    }

    async fn register(&self, secret: &str, made: Value) -> u64 {
        self.post("/welcome/passkey", &with(made, json!({ "secret": secret, "label": "Key" }))).await.0
    }

    /// The page that somebody lands on who is signed in, or is not.
    async fn lands_on(&self, path: &str) -> Value {
        self.script(&format!("return new URL((await fetch('{path}')).url).pathname;")).await
    }

    async fn end(self) {
        self.browser.quit().await;
        self.test.work().await;
        self.test.finish().await;
    }
}

/// A-10, G-7: a passkey is registered by whoever it verified, on this site, for a challenge that was not used before.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_registration_is_refused() {
    let mut scene = Scene::start().await;
    scene.browser.expect_answers(&[403, 410, 422]);
    let (organization, link) = scene.test.init("Harbour Mills", ADA).await;
    let secret = secret_of(&link);
    let asked = scene.asked_to_begin(&secret).await;
    let unverified = scene.unverified_passkey(&asked).await;
    assert_eq!(scene.register(&secret, unverified).await, 422, "nobody was verified");
    let asked = scene.asked_to_begin(&secret).await;
    let elsewhere = scene.answer_elsewhere("make", &asked).await;
    assert_eq!(scene.register(&secret, elsewhere).await, 422, "on another site");
    let (asked, next) = (scene.asked_to_begin(&secret).await, scene.asked_to_begin(&secret).await);
    let made = scene.answer("make", &asked).await;
    let mixed = with(made.clone(), json!({ "state": next["state"] }));
    assert_eq!(scene.register(&secret, mixed).await, 422, "for another challenge");
    assert!(scene.test.app.store.members(organization).await.unwrap().is_empty());
    assert_eq!(scene.register(&secret, made.clone()).await, 200);
    let (_, other) = scene.test.init("Copper Works", "bob@example.com").await;
    assert_ne!(scene.register(&secret_of(&other), made).await, 200, "again");
    scene.end().await;
}

/// What an answer is sent to: the sign-in, or the proof of somebody who is signed in.
#[derive(Clone, Copy)]
enum Step {
    SignIn,
    Again,
}

impl Step {
    async fn send(self, scene: &Scene, answer: &Value) -> u64 {
        match self {
            Self::SignIn => scene.post("/signin/passkey", answer).await.0,
            Self::Again => {
                let answer = with(answer.clone(), json!({ "return_to": "/account/recovery" }));
                scene.send("/signin/again/passkey", &answer, "include").await.0
            }
        }
    }
}

/// Every wrong answer, and in the end the right one.
async fn play(scene: &Scene, step: Step) {
    let asked = scene.asked_to_sign_in().await;
    let unverified = scene.unverified_answer(&asked).await;
    assert_eq!(step.send(scene, &unverified).await, 403, "nobody was verified");
    let asked = scene.asked_to_sign_in().await;
    let elsewhere = scene.answer_elsewhere("use", &asked).await;
    assert_eq!(step.send(scene, &elsewhere).await, 403, "on another site");
    let (asked, next) = (scene.asked_to_sign_in().await, scene.asked_to_sign_in().await);
    let answer = scene.answer("use", &asked).await;
    let mixed = with(answer.clone(), json!({ "state": next["state"] }));
    assert_eq!(step.send(scene, &mixed).await, 403, "for another challenge");
    if let Step::Again = step {
        assert_eq!(scene.lands_on("/account/recovery").await, "/signin/again");
    }
    assert_eq!(step.send(scene, &answer).await, 200);
    assert_eq!(step.send(scene, &answer).await, 403, "again");
}

/// A-10, G-7: a passkey signs in whoever it verified, on this site, for a challenge that was not used before; and so it does
/// where somebody who is signed in proves it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_answer_neither_signs_in_nor_confirms() {
    let scene = Scene::start().await;
    scene.browser.expect_answers(&[403]);
    scene.begin().await;
    play(&scene, Step::SignIn).await;
    assert_eq!(scene.lands_on("/account").await, "/signin", "strangers keep no cookies");
    let asked = scene.asked_to_sign_in().await;
    let answer = scene.answer("use", &asked).await;
    assert_eq!(scene.send("/signin/passkey", &answer, "include").await.0, 200);
    assert_eq!(scene.lands_on("/account/recovery").await, "/account/recovery");
    scene.test.clock.forward_s(limits::STEP_UP_S + 1);
    play(&scene, Step::Again).await;
    assert_eq!(scene.lands_on("/account/recovery").await, "/account/recovery");
    scene.end().await;
}

/// a copy of a passkey, whose counter is behind, opens nothing from the page where people sign in; it is told, and the
/// passkey ends, also for its owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_passkey_opens_nothing() {
    let scene = Scene::start().await;
    let organization = scene.begin().await;
    for _ in 0..2 {
        let asked = scene.asked_to_sign_in().await;
        let answer = scene.answer("use", &asked).await;
        assert_eq!(Step::SignIn.send(&scene, &answer).await, 200);
    }
    let plugged = json!({ "authenticatorId": scene.authenticator });
    let held = scene.browser.devtools("WebAuthn.getCredentials", plugged.clone()).await;
    let owner = held["credentials"][0].clone();
    assert!(owner["signCount"].as_u64().unwrap() >= 3, "{owner}");
    scene.browser.expect_answers(&[403]);
    for sign_count in [json!(0), json!(owner["signCount"].as_u64().unwrap() + 10)] {
        scene.browser.devtools("WebAuthn.clearCredentials", plugged.clone()).await;
        let credential = with(owner.clone(), json!({ "signCount": sign_count }));
        let copy = json!({ "authenticatorId": scene.authenticator, "credential": credential });
        scene.browser.devtools("WebAuthn.addCredential", copy).await;
        open(&scene.browser, &url(&scene.test, "/signin")).await;
        // The browser may offer it in the address field by itself; one press asks for it in any case.
        scene.browser.until("!document.getElementById('passkey-part').hidden").await;
        scene.browser.click("#passkey").await;
        scene.browser.until("document.getElementById('passkey-error').textContent !== ''").await;
        assert_eq!(scene.browser.run("return location.pathname").await, "/signin");
    }
    let events = scene.test.security(organization).await;
    assert_eq!(count(&events, |body| matches!(body, SecurityBody::FactorCloned { .. })), 1);
    scene.end().await;
}
