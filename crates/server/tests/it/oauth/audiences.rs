//! Tokens for named audiences: resource servers of others, which are registered, and verify signed tokens by themselves or
//! ask about opaque ones (RFC 8707, RFC 9068).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{
    access::{Environment, Tenant},
    id::{ClientId, OrganizationId},
    limits,
    oauth::client::Registration,
    role::Role,
    scope::Scopes,
    security::SecurityActor,
};
use countersign_server::{clients, fault::Failure, security::Circumstances};
use countersign_store::{
    Batch,
    access_rows::{Change, ClientRow, MemberRow},
};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    client::{Answered, Client, registration},
    flow::{self, REDIRECT, Scene, VERIFIER, query},
    judges,
    keys::ClientKey,
};
use crate::app::TestApp;

const ARCHIVE: &str = "https://archive.example/api";
const NOBODY: &str = "https://nobody.example/api";
const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "envelopes:status")];

/// The archive, which takes signed tokens.
async fn archive(test: &TestApp, organization: OrganizationId) -> Client<'_> {
    let key = ClientKey::new("archive");
    let registration = json!({
        "client_name": "Archive",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [key.public("1")] },
        "grant_types": [],
        "scope": "",
        "resource": ARCHIVE,
        "resource_token_format": "jwt",
    });
    Client::register_with(test, organization, Environment::Sandbox, key, &registration).await
}

async fn introspected(archive: &Client<'_>, token: &str) -> Value {
    Answered::of(archive.post("/oauth/introspect", &archive.form(&[("token", token)]))).await.body
}

/// Header and claims of a signed token, unproved.
fn parts(token: &str) -> [Value; 2] {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    [0, 1].map(|_| serde_json::from_slice(&parts.next().unwrap()).unwrap())
}

/// `oauth4webapi`, as a resource server, verifies a token with the published keys and the client's proof; what it was
/// given is what introspection says.
#[tokio::test(flavor = "multi_thread")]
async fn oauth4webapi_verifies_a_token_by_itself() {
    let test = judges::server().await;
    let organization = test.organization("Acme").await;
    let archive = archive(&test, organization).await;
    let client = Client::register(&test, organization, "one").await;
    let input = judges::input(&client, json!({ "steps": ["verify"], "audience": ARCHIVE }));
    let found = judges::run("oauth4webapi_resource.mjs", &input, None, &test).await.unwrap();
    let found = &found["steps"][0];
    let claims = &found["claims"];
    // This clock goes on while the answer is made.
    let life_s = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life_s, limits::JWT_ACCESS_TOKEN_S);
    assert!((life_s - 10..=life_s).contains(&found["expires_in"].as_i64().unwrap()), "{found}");
    let said = introspected(&archive, found["access_token"].as_str().unwrap()).await;
    assert_eq!(said["active"], true, "{said}");
    for name in ["iss", "aud", "sub", "client_id", "scope", "exp", "iat", "cnf"] {
        assert_eq!(claims[name], said[name], "{name}");
        assert!(!claims[name].is_null(), "{name}");
    }
}

/// a person's token for a named audience is signed, too, after a refresh as well. This API never takes it; whoever
/// asks learns at once that its grant was revoked, and it lives for five minutes at most.
#[tokio::test]
async fn a_signed_token_is_for_its_audience_alone() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "standard").await;
    let archive = archive(&test, scene.organization).await;
    let other = Client::register(&test, scene.organization, "introspects everything").await;
    let resource = [("resource".to_owned(), ARCHIVE.to_owned())];
    let pushed = scene.push(&[Scene::parameters(), resource.to_vec()].concat()).await;
    let page = scene.bring(pushed.body["request_uri"].as_str().unwrap()).await;
    let back = scene.decide(&page, "agree").await;
    let first = scene.redeem(&query(&back, "code").unwrap()).await;
    let refresh = first.body["refresh_token"].as_str().unwrap();
    let second = scene.refresh(refresh).await;
    for answered in [&first, &second] {
        let token = answered.token();
        let [header, claims] = parts(&token);
        assert_eq!(header["typ"], "at+jwt");
        assert_eq!((&claims["aud"], &claims["iss"]), (&json!(ARCHIVE), &json!("https://sign.test")));
        let life_s = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!((life_s, &answered.body["expires_in"]), (limits::JWT_ACCESS_TOKEN_S, &json!(life_s)));
        assert!(claims["cnf"]["jkt"].is_string() && claims["sub"] != claims["client_id"], "{claims}");
        assert_eq!(claims["acr"], "aal2");
        assert_eq!(introspected(&archive, &token).await["active"], true);
        assert_eq!(introspected(&other, &token).await["countersign_traces"], Value::Null);
        for scheme in ["DPoP", "Bearer"] {
            let api = scene.client.api(Method::GET, "/v1/envelopes", &token);
            let api = if scheme == "DPoP" {
                api
            } else {
                test.request(Method::GET, "/v1/envelopes").bearer_auth(&token)
            };
            let refused = api.send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{scheme}");
            let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        }
    }
    let token = second.token();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    assert_eq!(introspected(&archive, &forged).await, json!({ "active": false }));
    test.clock.forward_s(limits::JWT_ACCESS_TOKEN_S - 1);
    assert_eq!(introspected(&archive, &token).await["active"], true);
    test.clock.forward_s(1);
    assert_eq!(introspected(&archive, &token).await, json!({ "active": false }), "A-1");
    let third = scene.refresh(second.body["refresh_token"].as_str().unwrap()).await;
    assert_eq!(introspected(&archive, &third.token()).await["active"], true);
    let revoke = scene.client.form(&[("token", third.body["refresh_token"].as_str().unwrap())]);
    let revoked = Answered::of(scene.client.post("/oauth/revoke", &revoke)).await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(introspected(&archive, &third.token()).await, json!({ "active": false }));
    test.finish().await;
}

/// nobody can take a signed token back before its end, so that it is always bound; and one alone can be revoked,
/// for those who ask.
#[tokio::test]
async fn a_signed_token_is_bound_and_can_be_revoked() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let archive = archive(&test, organization).await;
    let key = ClientKey::new("bearer");
    let mut bearer = registration(&key, Scopes::parse("envelopes:status").unwrap());
    bearer["profile"] = json!("standard");
    bearer["dpop_bound_access_tokens"] = json!(false);
    let bearer = Client::register_with(&test, organization, Environment::Sandbox, key, &bearer).await;
    let [grant, scope] = OWN;
    let wish = [grant, scope, ("resource", ARCHIVE)];
    let unbound = Answered::of(bearer.post("/oauth/token", &bearer.form(&wish))).await;
    assert_eq!(unbound.error(), (400, "invalid_request"), "{}", unbound.body);
    let token = bearer.ask(&wish).await.token();
    assert_eq!(introspected(&archive, &token).await["active"], true);
    let revoked = Answered::of(bearer.post("/oauth/revoke", &bearer.form(&[("token", &token)]))).await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(introspected(&archive, &token).await, json!({ "active": false }));
    test.finish().await;
}

/// a resource that is not registered is `invalid_target` (RFC 8707 §2) wherever it is named: pushed, not pushed, at the
/// token endpoint, and when a token is refreshed after its resource server ended.
#[tokio::test]
async fn a_resource_that_is_not_registered_gets_no_token() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "standard").await;
    let archive = archive(&test, scene.organization).await;
    let named = |resource: &str| vec![("resource".to_owned(), resource.to_owned())];
    for wrong in [NOBODY, "http://archive.example/api", "https://archive.example/api#x", "archive"] {
        let pushed = scene.push(&[Scene::parameters(), named(wrong)].concat()).await;
        assert_eq!(pushed.error(), (400, "invalid_target"), "{wrong}");
    }
    let key = ClientKey::new("does not push");
    let mut unpushed = flow::registration("standard", &key, "envelopes:status envelopes:read");
    unpushed["require_pushed_authorization_requests"] = json!(false);
    let unpushed =
        Client::register_with(&test, scene.organization, Environment::Sandbox, key, &unpushed).await;
    for (resource, error) in [(NOBODY, Some("invalid_target")), (ARCHIVE, None)] {
        let mut url = reqwest::Url::parse("https://sign.test/oauth/authorize").unwrap();
        url.query_pairs_mut().append_pair("client_id", &unpushed.id.to_string());
        url.query_pairs_mut().extend_pairs([Scene::parameters(), named(resource)].concat());
        let came = scene.person.get(&test, &format!("{}?{}", url.path(), url.query().unwrap())).await;
        if let Some(error) = error {
            assert_eq!(came.status(), StatusCode::SEE_OTHER);
            let back: reqwest::Url = flow::location(&came).parse().unwrap();
            assert!(back.as_str().starts_with(REDIRECT));
            assert_eq!(query(&back, "error").as_deref(), Some(error));
            assert_eq!(query(&back, "state").as_deref(), Some("state-of-the-client"));
            assert_eq!(query(&back, "iss").as_deref(), Some("https://sign.test"));
        } else {
            assert_eq!(came.status(), StatusCode::OK);
            assert!(came.url().path().starts_with("/oauth/authorize/csp_"), "{}", came.url());
        }
    }
    let own = Client::register(&test, scene.organization, "one").await;
    let [grant, scope] = OWN;
    assert_eq!(own.ask(&[grant, scope, ("resource", NOBODY)]).await.error(), (400, "invalid_target"));
    let pushed = scene.push(&[Scene::parameters(), named(ARCHIVE)].concat()).await;
    let page = scene.bring(pushed.body["request_uri"].as_str().unwrap()).await;
    let code = query(&scene.decide(&page, "agree").await, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let given = scene.client.ask(&form).await;
    let circumstances = Circumstances {
        actor: SecurityActor::Operator,
        origin: None,
        correlation: test.app.new_correlation(),
    };
    let (tenant, id) = (archive.tenant, archive.id);
    clients::end(&test.app, &tenant, &circumstances, id, None).await.unwrap();
    let refreshed = scene.refresh(given.body["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refreshed.error(), (400, "invalid_target"));
    test.finish().await;
}

/// The scopes of a signed token.
fn scopes(answered: &Answered) -> Scopes {
    let [_, claims] = parts(&answered.token());
    assert_eq!(claims["scope"], answered.body["scope"]);
    Scopes::parse(claims["scope"].as_str().unwrap()).unwrap()
}

async fn change(test: &TestApp, change: Change) {
    test.app.store.commit(Batch { changes: vec![change], ..Batch::default() }).await.unwrap();
}

/// a signed token, which others take without asking, has no scope that the member's role or the client lost since the
/// grant; neither after a refresh nor for a code. With nothing left there is no token.
#[tokio::test]
async fn a_signed_token_has_no_scope_that_was_lost() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "standard").await;
    archive(&test, scene.organization).await;
    let wish = "envelopes:status envelopes:void";
    let mut asked = Scene::parameters();
    asked.retain(|(name, _)| name != "scope");
    asked.extend(
        [("scope", wish), ("resource", ARCHIVE)].map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let mut codes = Vec::new();
    for _ in 0..3 {
        let pushed = scene.push(&asked).await;
        let page = scene.bring(pushed.body["request_uri"].as_str().unwrap()).await;
        codes.push(query(&scene.decide(&page, "agree").await, "code").unwrap());
    }
    let first = scene.redeem(&codes[0]).await;
    assert_eq!(scopes(&first), Scopes::parse(wish).unwrap());
    let members = test.app.store.members(scene.organization).await.unwrap();
    let member = members.into_iter().next().unwrap();
    let left = Scopes::parse(wish).unwrap().and(Role::Auditor.ceiling(Environment::Sandbox));
    assert!(!left.is_empty() && left != Scopes::parse(wish).unwrap(), "{left}");
    let demoted = MemberRow { role: Role::Auditor, version: member.version + 1, ..member };
    change(&test, Change::Member(demoted)).await;
    let second = scene.refresh(first.body["refresh_token"].as_str().unwrap()).await;
    assert_eq!(scopes(&second), left, "refreshed");
    assert_eq!(scopes(&scene.redeem(&codes[1]).await), left, "a code");
    let client = test.app.store.client(scene.client.id).await.unwrap().unwrap();
    let cut = Scopes::parse("envelopes:void").unwrap();
    change(&test, Change::Client(ClientRow { scopes: cut, version: client.version + 1, ..client })).await;
    let refused = scene.refresh(second.body["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refused.error(), (400, "invalid_scope"), "{}", refused.body);
    assert_eq!(scene.redeem(&codes[2]).await.error(), (400, "invalid_scope"));
    test.finish().await;
}

/// of those who want to stand for a resource one does, in its tenant and until it ends or takes another: nobody else
/// gets to ask about its tokens, also if many try at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_one_client_s() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let key = ClientKey::new("archive");
    let wish = |resource: &str| {
        let registration = json!({
            "client_name": "Archive",
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": { "keys": [key.public("1")] },
            "grant_types": [],
            "scope": "",
            "resource": resource,
        });
        Registration::parse(registration.to_string().as_bytes()).unwrap()
    };
    let circumstances = Circumstances {
        actor: SecurityActor::Operator,
        origin: None,
        correlation: test.app.new_correlation(),
    };
    let other = test.organization("Other").await;
    let [sandbox, elsewhere] =
        [organization, other].map(|organization| Tenant::of_stored_row(organization, Environment::Sandbox));
    let register = async |tenant: &Tenant, resource: &str| {
        clients::register(&test.app, tenant, &circumstances, Scopes::ALL, wish(resource), None).await
    };
    let change = async |client: ClientId, resource: &str| {
        let changed =
            clients::change(&test.app, &sandbox, &circumstances, Scopes::ALL, client, wish(resource), None);
        changed.await.map(drop)
    };
    let mut won = join_all((0..20).map(|_| register(&sandbox, ARCHIVE))).await;
    won.sort_by_key(Result::is_err);
    let (first, others) = won.split_first().unwrap();
    let first = first.as_ref().unwrap().client.row.client;
    for refused in others {
        let Err(Failure::Refused(refusal)) = refused else { panic!("two clients stand for one resource") };
        assert_eq!(refusal.pointer.as_deref(), Some("/resource"), "{refusal}");
    }
    register(&elsewhere, ARCHIVE).await.unwrap();

    let second = register(&sandbox, NOBODY).await.unwrap().client.row.client;
    assert!(matches!(change(second, ARCHIVE).await, Err(Failure::Refused(_))));
    change(first, ARCHIVE).await.unwrap();
    change(first, "https://archive.example/new").await.unwrap();
    change(second, ARCHIVE).await.unwrap();
    clients::end(&test.app, &sandbox, &circumstances, second, None).await.unwrap();
    register(&sandbox, ARCHIVE).await.unwrap();
    test.finish().await;
}
