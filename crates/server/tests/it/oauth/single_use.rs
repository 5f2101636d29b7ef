//! What of a token's details is good once (RFC 9396): spent by the one request that is done, and by no other.

use countersign_core::{access::Environment, digest::Digest, scope::Scopes};
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::client::{Answered, Client};
use crate::app::{TestApp, envelope_of, pdf};

/// A client whose token may void one envelope, once.
struct Scene<'a> {
    client: Client<'a>,
    token: String,
    path: String,
}

impl<'a> Scene<'a> {
    async fn new(test: &'a TestApp) -> Self {
        let organization = test.organization("Acme").await;
        let client = Client::register(test, organization, "one").await;
        let key = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
        let document = test.upload(&key, "a.pdf", pdf(1)).await;
        let envelope = test.create(&key, &envelope_of(&document)).await;
        let details =
            json!([{ "type": "envelope", "actions": ["void"], "envelopes": [envelope], "single_use": true }]);
        let answered = client
            .ask(&[
                ("grant_type", "client_credentials"),
                ("scope", "envelopes:void"),
                ("authorization_details", &details.to_string()),
            ])
            .await;
        Self { token: answered.token(), client, path: format!("/v1/envelopes/{envelope}/void") }
    }

    fn request(&self, key: &str, body: &Value) -> RequestBuilder {
        self.client.api(Method::POST, &self.path, &self.token).header("Idempotency-Key", key).json(body)
    }

    async fn void(&self, key: &str, body: &Value) -> Answered {
        Answered::of(self.request(key, body)).await
    }
}

/// A-7, G-6, G-7: the same request again gets the answer that is stored; another one finds the detail spent.
#[tokio::test]
async fn a_repeated_request_gets_its_answer_and_another_one_finds_the_detail_spent() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let good = json!({ "reason": "signed on paper" });
    let first = scene.void("one", &good).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    let again = scene.void("one", &good).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(scene.void("two", &good).await.status, StatusCode::NOT_FOUND);
    test.work().await;
    test.finish().await;
}

/// a request that is refused did nothing, and spends nothing.
#[tokio::test]
async fn a_request_that_is_refused_spends_nothing() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    for (number, wrong) in [json!({ "reason": 5 }), json!({ "because": "x" }), json!([])].iter().enumerate() {
        let refused = scene.void(&format!("wrong-{number}"), wrong).await;
        assert!(refused.status.is_client_error(), "{}", refused.body);
        assert_ne!(refused.status, StatusCode::NOT_FOUND, "{}", refused.body);
    }
    let good = json!({ "reason": "signed on paper" });
    assert_eq!(scene.void("right", &good).await.status, StatusCode::OK);
    assert_eq!(scene.void("next", &good).await.status, StatusCode::NOT_FOUND);
    test.work().await;
    test.finish().await;
}

/// A-7, G-7: of many at once, wrong ones among them, one is done at most; what nobody used is still good.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_is_done() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let (good, wrong) = (json!({ "reason": "signed on paper" }), json!({ "reason": 5 }));
    let requests = (0..20).map(|number| {
        let body = if number % 2 == 0 { &good } else { &wrong };
        Answered::of(scene.request(&format!("at-once-{number}"), body))
    });
    let answers = join_all(requests).await;
    let done = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    let after = usize::from(scene.void("after", &good).await.status == StatusCode::OK);
    assert_eq!(done + after, 1);
    test.work().await;
    test.finish().await;
}

/// a detail for one creation with these documents is spent by it, though another detail, for other documents, can be
/// used again.
#[tokio::test(flavor = "multi_thread")]
async fn a_creation_spends_the_detail_of_its_documents() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let key = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    let document = test.upload(&key, "a.pdf", pdf(1)).await;
    let (own, other) = (Digest::of(&pdf(1)).to_string(), Digest::of(b"another document").to_string());
    let details = json!([
        { "type": "envelope", "actions": ["create"], "documents": [own], "single_use": true },
        { "type": "envelope", "actions": ["create"], "documents": [other] },
    ]);
    let asked = [
        ("grant_type", "client_credentials"),
        ("scope", "envelopes:write"),
        ("authorization_details", &details.to_string()),
    ];
    let token = client.ask(&asked).await.token();
    let body = envelope_of(&document);
    let create = |name: String, body: Value| {
        let request = client.api(Method::POST, "/v1/envelopes", &token);
        Answered::of(request.header("Idempotency-Key", name).json(&body))
    };
    let refused = create("wrong".to_owned(), json!({})).await;
    assert!(refused.status.is_client_error() && refused.status != StatusCode::NOT_FOUND, "{}", refused.body);
    let answers = join_all((0..6).map(|number| create(format!("key-{number}"), body.clone()))).await;
    let made: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(made.iter().filter(|status| **status == StatusCode::CREATED).count(), 1, "{made:?}");
    assert_eq!(made.iter().filter(|status| **status == StatusCode::NOT_FOUND).count(), 5, "{made:?}");
    assert_eq!(create("later".to_owned(), body).await.status, StatusCode::NOT_FOUND);
    test.work().await;
    test.finish().await;
}

/// to create one envelope its documents are uploaded with the same token first, one or several: that spends nothing.
#[tokio::test]
async fn an_upload_leaves_the_detail_to_the_creation() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let details = json!([{ "type": "envelope", "actions": ["create"], "single_use": true }]);
    let asked = [
        ("grant_type", "client_credentials"),
        ("scope", "envelopes:write documents:write"),
        ("authorization_details", &details.to_string()),
    ];
    let token = client.ask(&asked).await.token();
    let post =
        |path: &str, name: &str| client.api(Method::POST, path, &token).header("Idempotency-Key", name);
    let mut documents = Vec::new();
    for (name, pages) in [("first", 1), ("second", 2)] {
        let upload =
            post("/v1/documents?name=a.pdf", name).header("Content-Type", "application/pdf").body(pdf(pages));
        let answered = Answered::of(upload).await;
        assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.body);
        documents.push(answered.body["id"].as_str().unwrap().to_owned());
    }
    let create =
        |name: &'static str| Answered::of(post("/v1/envelopes", name).json(&envelope_of(&documents[0])));
    let made = create("create").await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(create("again").await.status, StatusCode::NOT_FOUND);
    let late =
        post("/v1/documents?name=a.pdf", "late").header("Content-Type", "application/pdf").body(pdf(1));
    assert_eq!(
        Answered::of(late).await.status,
        StatusCode::NOT_FOUND,
        "there is nothing to prepare any more"
    );
    test.work().await;
    test.finish().await;
}
