//! The pages of webhooks by HTTP: every act, wrong input answered where it was typed, and nobody who may not.

use countersign_core::{access::Environment, id::OrganizationId, limits, scope::Scopes, webhook::catalogue};
use countersign_server::webhooks::work;
use countersign_webhooks::{Accept, KeySet, MemoryStore};
use reqwest::{Response, StatusCode};

use super::{Receiver, event, trusting, verify};
use crate::{
    accounts::person::{Person, error_of},
    app::{Key, Options, TestApp, envelope_of, pdf},
    console::Scene,
};

/// An owner at the pages of the sandbox, with a receiver.
pub(super) struct Office {
    pub(super) test: TestApp,
    organization: OrganizationId,
    ada: Person,
    key: Key,
    receiver: Receiver,
}

impl Office {
    pub(super) async fn open() -> Self {
        let test = TestApp::start_with(Options { configure: trusting, ..Options::default() }).await;
        let (organization, ada) = test.owner("Harbour Mills", "ada@example.com").await;
        let key = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
        Self { test, organization, ada, key, receiver: Receiver::start().await }
    }

    fn page(&self, rest: &str) -> String {
        format!("/console/{}/sandbox/webhooks{rest}", self.organization)
    }

    pub(super) async fn see(&self, rest: &str) -> String {
        let page = self.ada.get(&self.test, &self.page(rest)).await;
        let status = page.status();
        let text = page.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{rest}: {text}");
        text
    }

    pub(super) async fn post(&self, rest: &str, form: &[(&str, &str)]) -> Response {
        self.ada.form(&self.test, &self.page(rest), form).await
    }

    /// A form that must go well, and the page that follows.
    pub(super) async fn done(&self, rest: &str, form: &[(&str, &str)], word: &str) -> String {
        let page = self.post(rest, form).await;
        let status = page.status();
        let text = page.text().await.unwrap();
        assert!(status == StatusCode::OK && text.contains(word), "{rest}: {status} {word}: {text}");
        text
    }

    /// A form that must not, and what is said about it.
    pub(super) async fn refused(&self, rest: &str, form: &[(&str, &str)], status: u16) -> (String, String) {
        let page = self.post(rest, form).await;
        assert_eq!(page.status().as_u16(), status, "{rest}");
        let text = page.text().await.unwrap();
        (error_of(&text).unwrap_or_else(|| panic!("{rest}: {text}")), text)
    }

    pub(super) fn good(&self) -> Vec<(&str, &str)> {
        let (url, name) = (self.receiver.url.as_str(), "The <archive>");
        vec![
            ("url", url),
            ("description", name),
            ("class", "envelope"),
            ("payload", "thin"),
            ("profile", "standard"),
        ]
    }

    /// An endpoint that is made on the page: its id, and the secret of its key.
    pub(super) async fn make(&self) -> (String, KeySet) {
        let made = self.post("/new", &self.good()).await;
        assert_eq!(made.headers()["cache-control"], "no-store");
        let text = made.text().await.unwrap();
        let list = self.see("").await;
        assert!(!list.contains("whsec_"));
        (id_on(&list, "whe_"), keys_on(&text))
    }

    async fn send_envelope(&self) -> String {
        let document = self.test.upload(&self.key, "Contract.pdf", pdf(1)).await;
        let envelope = self.test.create(&self.key, &envelope_of(&document)).await;
        self.test.send(&self.key, &envelope).await;
        self.settle().await;
        envelope
    }

    async fn settle(&self) {
        while self.test.work().await + work::deliver_due(&self.test.app).await.unwrap() > 0 {}
    }

    pub(super) async fn close(self) {
        self.settle().await;
        self.test.finish().await;
    }

    fn now_s(&self) -> i64 {
        self.test.app.now().unix_ms() / 1_000
    }
}

/// The first id with this prefix on a page.
pub(super) fn id_on(page: &str, prefix: &str) -> String {
    let (_, rest) = page.split_once(prefix).unwrap_or_else(|| panic!("no {prefix}: {page}"));
    format!("{prefix}{}", rest.chars().take(26).collect::<String>())
}

/// The secret on a page, under the id of its key.
fn keys_on(page: &str) -> KeySet {
    let (_, rest) = page.split_once("id=\"secret\"").unwrap_or_else(|| panic!("no secret: {page}"));
    let (_, rest) = rest.split_once("value=\"").unwrap();
    let secret = rest.split_once('"').unwrap().0;
    KeySet::new().with_secret(id_on(page, "whk_").parse().unwrap(), secret.parse().unwrap())
}

/// W-6, W-12: an endpoint is made, tested, activated, told, looked at and ended on the pages; its secret is on one page alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_made_used_and_ended_on_the_pages() {
    let office = Office::open().await;
    assert!(office.see("").await.contains("No endpoint in the sandbox yet"));
    let (id, keys) = office.make().await;
    let list = office.see("").await;
    for shown in ["The &#60;archive&#62;", "localhost:", "Not active yet", "envelopes"] {
        assert!(list.contains(shown), "{shown}: {list}");
    }
    let one = format!("/{id}");
    let page = office.see(&one).await;
    assert!(
        page.contains("which envelope it is and what became of it") && !page.contains("whsec_"),
        "{page}"
    );

    let tested = office.done(&format!("{one}/test"), &[], "The receiver accepted the test").await;
    assert!(tested.contains("Status 200") && tested.contains("webhook-attempt-id"), "{tested}");
    assert!(!tested.contains("Send it again") && !tested.contains("webhook-signature"), "{tested}");
    let came = office.receiver.came();
    assert_eq!(came.len(), 1);
    event(verify(&came[0], Accept::V1, &keys, &MemoryStore::new(10), office.now_s()));
    office.receiver.answers(&[(500, None)]);
    let tested = office.done(&format!("{one}/test"), &[], "did not accept the test").await;
    assert!(tested.contains("Status 500") && !tested.contains("tried again later"), "{tested}");

    office.done(&format!("{one}/activate"), &[], "is told of what happens").await;
    let (said, _) = office.refused(&format!("{one}/activate"), &[], 409).await;
    assert!(said.contains("active already"), "{said}");
    let envelope = office.send_envelope().await;
    let deliveries = format!("{one}/deliveries");
    let all = office.see(&deliveries).await;
    for shown in ["envelope.created", "envelope.sent", &envelope, "Delivered", "webhook.test"] {
        assert!(all.contains(shown), "{shown}: {all}");
    }
    let failed = office.see(&format!("{deliveries}?state=failed&envelope=")).await;
    assert!(failed.contains("webhook.test") && !failed.contains("envelope.sent"), "{failed}");
    let its = office.see(&format!("{deliveries}?envelope={envelope}")).await;
    assert!(its.contains("envelope.sent") && !its.contains("webhook.test"), "{its}");
    let odd = office.ada.get(&office.test, &office.page(&format!("{deliveries}?envelope=env_1"))).await;
    assert_eq!(odd.status(), StatusCode::BAD_REQUEST);
    let odd = odd.text().await.unwrap();
    assert!(error_of(&odd).unwrap().contains("whole id") && odd.contains("value=\"env_1\""), "{odd}");

    let message = id_on(&its, "msg_");
    let resend = format!("{deliveries}/{message}/resend");
    office.done(&resend, &[], "sent again in a moment").await;
    office.settle().await;
    let ids: Vec<_> = office
        .receiver
        .came()
        .iter()
        .map(|one| one.headers["webhook-id"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.iter().filter(|id| **id == message).count(), 2, "{ids:?}");

    office.done(&format!("{one}/disable"), &[], "It is told of nothing until it is activated").await;
    let (said, _) = office.refused(&resend, &[], 409).await;
    assert!(said.contains("activate it first"), "{said}");
    let (said, _) = office.refused(&format!("{one}/end"), &[], 422).await;
    assert!(said.contains("Confirm that the endpoint is to end"), "{said}");
    let ended =
        office.done(&format!("{one}/end"), &[("sure", "yes")], "It is told of nothing any more").await;
    for act in ["activate", "disable", "change", "keys", "end", "block"] {
        assert!(!ended.contains(&format!("{id}/{act}")), "{act}: {ended}");
    }
    assert!(office.see(&deliveries).await.contains("envelope.sent"), "what was sent can still be read");
    office.close().await;
}

/// W-5: what failed and what was missed is sent again from the page, which says how much it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_recovered_and_what_was_missed_is_replayed_from_the_page() {
    let office = Office::open().await;
    let early = office.send_envelope().await;
    let (id, _) = office.make().await;
    let deliveries = format!("/{id}/deliveries");
    assert!(!office.see(&deliveries).await.contains("/recover"), "it is not active");
    let (said, _) =
        office.refused(&format!("{deliveries}/recover"), &[("since", "2026-01-31T08:00")], 409).await;
    assert!(said.contains("activate it first"), "{said}");
    office.done(&format!("/{id}/activate"), &[], "active").await;
    office.receiver.answers(&[(410, None)]);
    office.send_envelope().await;
    let gone = office.see(&format!("/{id}")).await;
    assert!(gone.contains("it is gone for good (410)"), "{gone}");
    office.done(&format!("/{id}/activate"), &[], "active").await;
    for wrong in ["yesterday", "2026-13-01T00:00", ""] {
        let (said, text) = office.refused(&format!("{deliveries}/recover"), &[("since", wrong)], 422).await;
        assert!(said.contains("2026-01-31T08:00") && text.contains(&format!("value=\"{wrong}\"")), "{said}");
    }
    let since = office.test.app.now().plus_s(-600).to_string();
    let since = since.get(..16).unwrap();
    let (said, _) =
        office.refused(&format!("{deliveries}/replay"), &[("since", "2020-01-31T08:00")], 422).await;
    assert!(said.contains("29 days"), "{said}");
    let recovering =
        office.done(&format!("{deliveries}/recover"), &[("since", since)], "What failed since then").await;
    assert!(recovering.contains("Under way since") && recovering.contains("/replay"), "{recovering}");
    assert!(!recovering.contains("/recover"), "one at a time: {recovering}");
    office.done(&format!("{deliveries}/replay"), &[("since", since)], "was not told since then").await;
    office.settle().await;
    // Each looks once more, a second later.
    office.test.clock.forward_s(2);
    office.settle().await;
    let told = office.see(&format!("{deliveries}?state=delivered")).await;
    assert!(told.contains(&early), "{told}");
    assert!(told.contains("The last time it was 2 deliveries"), "{told}");
    office.close().await;
}

/// The deliveries on a page of the list, and the way to the next one.
fn listed(page: &str) -> (Vec<String>, Option<String>) {
    let ids = page.split("/deliveries/msg_").skip(1).map(|rest| rest.get(..26).unwrap().to_owned());
    let older = page.split("href=\"").skip(1).map(|rest| rest.split_once('"').unwrap());
    let next = older.filter(|(_, rest)| rest.starts_with(">Older deliveries")).map(|(to, _)| to.to_owned());
    (ids.collect(), next.last())
}

/// W-12: past the fiftieth delivery the list goes on on another page, under the same filter, with each once and the newest first.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_deliveries_goes_on_past_its_first_page() {
    let office = Office::open().await;
    let (id, _) = office.make().await;
    office.done(&format!("/{id}/activate"), &[], "active").await;
    for _ in 0..26 {
        office.send_envelope().await;
        office.test.clock.forward_s(1);
    }
    let deliveries = format!("/{id}/deliveries");
    for filter in ["", "?state=delivered&envelope="] {
        let (first, older) = listed(&office.see(&format!("{deliveries}{filter}")).await);
        let older = older.expect("there are more than fifty").replace("&#38;", "&");
        assert_eq!((first.len(), older.contains("state=delivered")), (50, !filter.is_empty()), "{older}");
        let page = office.ada.get(&office.test, &older).await;
        let (rest, none) = listed(&page.text().await.unwrap());
        assert_eq!((rest.len(), none), (2, None));
        let all: Vec<_> = first.iter().chain(&rest).collect();
        assert!(all.is_sorted_by(|one, next| one > next), "each once, the newest first: {all:?}");
    }
    let wrong = office.ada.get(&office.test, &office.page(&format!("{deliveries}?before=msg_1"))).await;
    assert_eq!(wrong.status(), StatusCode::NOT_FOUND);
    office.close().await;
}

/// W-6: what is typed wrong is said, and what was typed is kept; what a role may not read it cannot give.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_about_an_endpoint_is_said_and_the_rest_is_kept() {
    let office = Office::open().await;
    let with = |name: &'static str, value: &'static str| {
        let good = office.good().into_iter();
        good.map(|(known, old)| (known, if known == name { value } else { old })).collect::<Vec<_>>()
    };
    let without_class: Vec<_> = office.good().into_iter().filter(|(name, _)| *name != "class").collect();
    for (form, word) in [
        (with("url", "http://localhost/"), "https"),
        (with("url", "https://127.0.0.1/"), "not of the public Internet"),
        (with("description", ""), "must not be empty"),
        (without_class, "Choose at least one"),
    ] {
        let (said, text) = office.refused("/new", &form, 422).await;
        assert!(said.contains(word), "{word}: {said}");
        let typed = form.iter().find(|(name, _)| *name == "url").unwrap().1;
        assert!(text.contains(&format!("value=\"{typed}\"")), "{typed}: {text}");
    }
    let twice = [office.good(), vec![("url", "https://localhost/")]].concat();
    let odd = [office.good(), vec![("surprise", "1")]].concat();
    let lacking: Vec<_> = office.good().into_iter().filter(|(name, _)| *name != "profile").collect();
    for form in [twice, odd, lacking, with("class", "test2"), with("payload", "fat")] {
        let status = office.post("/new", &form).await.status().as_u16();
        assert_eq!(status, 400, "{form:?}");
    }
    let (id, _) = office.make().await;
    let change = format!("/{id}/change");
    let (said, text) = office.refused(&change, &with("url", "ftp://localhost/"), 422).await;
    assert!(said.contains("https") && text.contains("value=\"ftp://localhost/\""), "{said}");
    let wider = [with("payload", "full"), vec![("class", "security"), ("ordered", "yes")]].concat();
    let page = office.done(&change, &wider, "The endpoint was changed").await;
    for shown in ["with title, recipients and fields", "by whom and from where", "wait for each other"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }

    let scene = Scene {
        test: &office.test,
        organization: office.organization,
        ada: office.ada.elsewhere(&office.test),
    };
    scene.ada.sign_in(&office.test).await;
    let dora = scene.joined("dora@example.com", "developer").await;
    let page = dora.get(&office.test, &office.page("/new")).await.text().await.unwrap();
    assert!(page.contains("Your role may not read this here"), "{page}");
    let form = [office.good(), vec![("class", "security")]].concat();
    let refused = dora.form(&office.test, &office.page("/new"), &form).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let said = error_of(&refused.text().await.unwrap()).unwrap();
    assert!(said.contains("Your role may not read"), "{said}");
    let moved = dora.form(&office.test, &office.page(&change), &wider).await;
    assert_eq!(moved.status(), StatusCode::UNPROCESSABLE_ENTITY, "also not by saving what is there");
    office.close().await;
}

/// M-3, A-10: a class, or everything, is blocked and released on the page of all endpoints, by somebody who has just proved who it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_class_is_blocked_and_released_on_the_page() {
    let office = Office::open().await;
    let (id, _) = office.make().await;
    office.done(&format!("/{id}/activate"), &[], "active").await;
    office.test.clock.forward_s(limits::STEP_UP_S + 1);
    let form = [("class", "envelope"), ("reason", "overload")];
    assert_eq!(office.post("/block", &form).await.url().path(), "/signin/again");
    assert_eq!(office.post("/release", &form[..1]).await.url().path(), "/signin/again");
    office.ada.confirm(&office.test).await;
    let page = office.done("/block", &form, "Deliveries are blocked here").await;
    assert!(page.contains("there is too much of it") && page.contains("Release: envelopes"), "{page}");
    assert!(office.see(&format!("/{id}")).await.contains("blocked for all endpoints"));
    office.send_envelope().await;
    assert_eq!(office.receiver.came().len(), 0);
    let (said, _) = office.refused("/block", &form, 409).await;
    assert!(said.contains("blocked already"), "{said}");
    for wrong in [[("class", "mail"), ("reason", "overload")], [("class", ""), ("reason", "boredom")]] {
        office.refused("/block", &wrong, 400).await;
    }
    let page = office.done("/release", &form[..1], "The block is gone").await;
    assert!(!page.contains("Release: envelopes"), "{page}");
    office.settle().await;
    assert_eq!(office.receiver.came().len(), 2);
    office.close().await;
}

/// W-2, A-10: a key is rotated step by step on the page, behind its gate, by somebody who has just proved who it is.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_and_deliveries_blocked_on_the_page() {
    let office = Office::open().await;
    let (id, _) = office.make().await;
    office.test.clock.forward_s(limits::STEP_UP_S + 1);
    let keys = format!("/{id}/keys");
    for (act, form) in [
        ("stage", vec![]),
        ("join", vec![]),
        ("promote", vec![("overlap_s", "60")]),
        ("whk_00000000000000000000000000/revoke", vec![("sure", "yes")]),
    ] {
        let asked = office.post(&format!("{keys}/{act}"), &form).await;
        assert_eq!(asked.url().path(), "/signin/again", "{act}");
    }
    for (act, form) in [("block", vec![("reason", "incident")]), ("release", vec![])] {
        assert_eq!(office.post(&format!("/{id}/{act}"), &form).await.url().path(), "/signin/again", "{act}");
    }
    office.done(&format!("/{id}/activate"), &[], "active").await;
    office.ada.confirm(&office.test).await;

    let staged = office.done(&format!("{keys}/stage"), &[], "shown once").await;
    let new = keys_on(&staged);
    let page = office.see(&format!("/{id}")).await;
    assert!(page.contains("Staged") && page.contains("Let both sign") && !page.contains("whsec_"), "{page}");
    let (said, _) = office.refused(&format!("{keys}/promote"), &[("overlap_s", "60")], 409).await;
    assert!(said.contains("have it join first"), "{said}");
    let page = office.done(&format!("{keys}/join"), &[], "Both keys sign from now on").await;
    assert!(page.contains("Send the test") && !page.contains("Promote the new key"), "{page}");
    office.receiver.answers(&[(401, None)]);
    office.done(&format!("/{id}/test"), &[], "did not accept the test").await;
    let (said, _) = office.refused(&format!("{keys}/promote"), &[("overlap_s", "60")], 409).await;
    assert!(said.contains("has not accepted the new key"), "{said}");
    office.done(&format!("/{id}/test"), &[], "accepted the test").await;
    let came = office.receiver.came().pop().unwrap();
    event(verify(&came, Accept::V1, &new, &MemoryStore::new(10), office.now_s()));
    let (said, _) = office.refused(&format!("{keys}/promote"), &[("overlap_s", "99999999")], 422).await;
    assert!(said.contains("30 days"), "{said}");
    let page =
        office.done(&format!("{keys}/promote"), &[("overlap_s", "60")], "is the primary one now").await;
    assert!(page.contains("Retiring") && page.contains("There is nothing to do"), "{page}");
    let key = id_on(&page, "whk_");
    let (said, _) = office.refused(&format!("{keys}/{key}/revoke"), &[], 422).await;
    assert!(said.contains("Confirm that the key is to end"), "{said}");
    let page = office.done(&format!("{keys}/{key}/revoke"), &[("sure", "yes")], "The key is revoked").await;
    assert!(page.contains("Keys that are gone") && page.contains("Make the next key"), "{page}");

    office.refused(&format!("/{id}/block"), &[("reason", "boredom")], 400).await;
    let page =
        office.done(&format!("/{id}/block"), &[("reason", "overload")], "there is too much of it").await;
    assert!(page.contains("Release the deliveries") && !page.contains("Send a test"), "{page}");
    let before = office.receiver.came().len();
    office.send_envelope().await;
    assert_eq!(office.receiver.came().len(), before);
    assert!(office.see(&format!("/{id}/deliveries?state=parked")).await.contains("envelope.sent"));
    office.done(&format!("/{id}/release"), &[], "what was parked goes out").await;
    office.settle().await;
    assert_eq!(office.receiver.came().len(), before + 2);
    office.close().await;
}

/// W-9: in live an endpoint says that it waits for its proof, and there is no way around it on the page.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_live_says_that_its_proof_is_needed() {
    let office = Office::open().await;
    let live = |rest: &str| office.page(rest).replace("/sandbox/", "/live/");
    office.ada.form(&office.test, &live("/new"), &office.good()).await;
    let list = office.ada.get(&office.test, &live("")).await.text().await.unwrap();
    let id = id_on(&list, "whe_");
    let page = office.ada.get(&office.test, &live(&format!("/{id}"))).await.text().await.unwrap();
    assert!(page.contains("Proof of the receiver") && !page.contains(&format!("{id}/activate")), "{page}");
    let refused = office.ada.form(&office.test, &live(&format!("/{id}/activate")), &[]).await;
    let status = refused.status();
    let said = error_of(&refused.text().await.unwrap()).unwrap();
    assert!(status.is_client_error() && said.contains("proven"), "{status} {said}");
    office.close().await;
}

const GETS: &[&str] = &[
    "",
    "/new",
    "/events",
    "/{endpoint}",
    "/{endpoint}/change",
    "/{endpoint}/deliveries",
    "/{endpoint}/deliveries/{message}",
];
/// Forms; `!` where it takes a fresh proof, and an owner or admin.
const POSTS: &[&str] = &[
    "/new",
    "!/block",
    "!/release",
    "/{endpoint}/change",
    "/{endpoint}/activate",
    "/{endpoint}/disable",
    "/{endpoint}/end",
    "!/{endpoint}/block",
    "!/{endpoint}/release",
    "/{endpoint}/prove",
    "/{endpoint}/test",
    "!/{endpoint}/keys/stage",
    "!/{endpoint}/keys/join",
    "!/{endpoint}/keys/promote",
    "!/{endpoint}/keys/{webhook_key}/revoke",
    "/{endpoint}/deliveries/recover",
    "/{endpoint}/deliveries/replay",
    "/{endpoint}/deliveries/{message}/resend",
];

fn form_of<'a>(path: &str, good: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    match path.rsplit('/').next().unwrap() {
        "new" | "change" => good.to_vec(),
        "end" | "revoke" => vec![("sure", "yes")],
        "block" if path == "!/block" => vec![("class", "recipient"), ("reason", "incident")],
        "release" if path == "!/release" => vec![("class", "recipient")],
        "block" => vec![("reason", "incident")],
        "promote" => vec![("overlap_s", "0")],
        "recover" | "replay" => vec![("since", "2026-01-31T08:00")],
        _ => vec![],
    }
}

/// G-8: the lists above are the router's: a page that is not in them is not tested, and fails here.
#[test]
fn every_page_of_webhooks_is_in_these_lists() {
    let source = include_str!("../../../src/console/webhooks/mod.rs");
    let (_, routes) = source.split_once("fn webhook_routes()").unwrap();
    let (routes, _) = routes.split_once("\n}\n").unwrap();
    for route in routes.split(".route(\"").skip(1) {
        let (path, methods) = route.split_once('"').unwrap();
        let path = if path == "/" { "" } else { path };
        assert_eq!(methods.contains("get("), GETS.contains(&path), "{path}");
        let is_form = POSTS.iter().any(|known| known.trim_start_matches('!') == path);
        assert_eq!(methods.contains("post("), is_form, "{path}");
    }
}

/// G-9: without a session, from another organization, from another site, with another role and with an unknown
/// query or field, no page of webhooks shows or changes anything.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_webhooks_refuses_whoever_may_not() {
    let office = Office::open().await;
    let (id, _) = office.make().await;
    office.done(&format!("/{id}/test"), &[], "accepted").await;
    let message = id_on(&office.see(&format!("/{id}/deliveries")).await, "msg_");
    let key = id_on(&office.see(&format!("/{id}")).await, "whk_");
    let path = |path: &str| {
        let path = path.trim_start_matches('!').replace("{endpoint}", &id);
        path.replace("{message}", &message).replace("{webhook_key}", &key)
    };
    let (test, good) = (&office.test, office.good());
    let (other, eve) = test.owner("Copper Works", "eve@example.com").await;
    let nobody = Person::new(test, "ada@example.com");
    let scene = Scene { test, organization: office.organization, ada: office.ada.elsewhere(test) };
    scene.ada.sign_in(test).await;
    let auditor = scene.joined("auditor@example.com", "auditor").await;
    let sender = scene.joined("sender@example.com", "sender").await;
    let developer = scene.joined("developer@example.com", "developer").await;
    for page in GETS {
        let address = office.page(&path(page));
        assert_eq!(office.ada.get(test, &address).await.status(), StatusCode::OK, "{page}");
        assert_eq!(nobody.lands_on(test, &address).await, "/signin", "{page}");
        assert_eq!(eve.get(test, &address).await.status(), StatusCode::NOT_FOUND, "{page}");
        let odd = office.ada.get(test, &format!("{address}?surprise=1")).await;
        assert_eq!(odd.status(), StatusCode::BAD_REQUEST, "{page}");
        let writes = page.ends_with("/new") || page.ends_with("/change");
        let expected = if writes { StatusCode::FORBIDDEN } else { StatusCode::OK };
        assert_eq!(auditor.get(test, &address).await.status(), expected, "{page}");
        assert_eq!(developer.get(test, &address).await.status(), StatusCode::OK, "{page}");
        assert_eq!(sender.get(test, &address).await.status(), StatusCode::FORBIDDEN, "{page}");
        if page.contains('{') {
            let elsewhere = address.replace(&office.organization.to_string(), &other.to_string());
            assert_eq!(eve.get(test, &elsewhere).await.status(), StatusCode::NOT_FOUND, "{page}");
            let live = address.replace("/sandbox/", "/live/");
            assert_eq!(office.ada.get(test, &live).await.status(), StatusCode::NOT_FOUND, "{page}");
        }
    }
    let state =
        async || office.see(&format!("/{id}")).await.replace(|letter: char| letter.is_ascii_digit(), "");
    let before = state().await;
    for post in POSTS {
        let (address, form) = (office.page(&path(post)), form_of(post, &good));
        assert_eq!(nobody.form(test, &address, &form).await.url().path(), "/signin", "{post}");
        assert_eq!(eve.form(test, &address, &form).await.status(), StatusCode::NOT_FOUND, "{post}");
        if post.contains('{') {
            let elsewhere = address.replace(&office.organization.to_string(), &other.to_string());
            assert_eq!(eve.form(test, &elsewhere, &form).await.status(), StatusCode::NOT_FOUND, "{post}");
        }
        for person in [&auditor, &sender] {
            let refused = person.form(test, &address, &form).await.status();
            assert_eq!(refused, StatusCode::FORBIDDEN, "{post}");
        }
        if post.starts_with('!') {
            let refused = developer.form(test, &address, &form).await.status();
            assert_eq!(refused, StatusCode::FORBIDDEN, "{post}");
        }
        let url = format!("{}{address}", test.url);
        for site in ["cross-site", "same-site", "none"] {
            let request = office.ada.http.post(&url).header("sec-fetch-site", site).form(&form);
            assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{post} {site}");
        }
        let odd = [form, vec![("surprise", "1")]].concat();
        let refused = office.ada.form(test, &address, &odd).await.status();
        assert_eq!(refused, StatusCode::BAD_REQUEST, "{post}");
    }
    assert_eq!(state().await, before, "nothing changed");
    assert_eq!(office.receiver.came().len(), 1, "and nothing was sent");
    office.close().await;
}

/// W-12: the catalogue on the page has every type of event with its class, thin and full, as webhooks really tell of them.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_events_has_every_type_as_it_is_sent() {
    let office = Office::open().await;
    let page = office.see("/events").await;
    let plain = page.replace("&#34;", "\"");
    for kind in catalogue::kinds() {
        let name = &kind.r#type;
        assert!(page.contains(&format!("id=\"{name}\"")), "{name}");
        let examples = plain.matches(&format!("{{\n  \"type\": \"{name}\"")).count();
        assert_eq!(examples, 2, "{name}: thin and full");
    }
    office.send_envelope().await;
    let real = office.test.get_json(&office.key, "/v1/events?payload=full").await;
    let real = &real["events"][0]["event"];
    let name = real["type"].as_str().unwrap();
    let (_, full) = plain.rsplit_once(&format!("{{\n  \"type\": \"{name}\"")).unwrap();
    let full = format!("{{\"type\": \"{name}\"{}", full.split_once("</pre>").unwrap().0);
    let example: serde_json::Value = serde_json::from_str(&full).unwrap();
    let members = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&example), members(real));
    assert_eq!(members(&example["data"]), members(&real["data"]));
    assert_eq!(members(&example["data"]["event"]), members(&real["data"]["event"]));
    assert_eq!(members(&example["data"]["event"]["chained"]), members(&real["data"]["event"]["chained"]));
    office.close().await;
}

/// W-9, W-12: the page probes the receiver, and says of each probe what was found and how to mend it.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_an_endpoint_shows_what_its_probes_found() {
    let office = Office::open().await;
    let (id, _) = office.make().await;
    let page = office.see(&format!("/{id}")).await;
    assert!(page.contains("Run the probes") && !page.contains("Expected:"), "{page}");
    // It accepts whatever comes.
    let page = office.done(&format!("/{id}/prove"), &[], "The receiver is not proven").await;
    assert_eq!(page.matches("Expected:").count(), 7, "{page}");
    assert!(page.contains("badge bad") && page.contains("badge good"), "{page}");
    assert!(page.contains("anybody can make you act"), "{page}");
    office.settle().await;
    office.test.finish().await;
}
