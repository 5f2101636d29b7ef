//! Tokens for a client itself: how it proves who it is, what its tokens are bound to, and what they are worth.

use std::num::NonZeroU32;

use countersign_core::{
    access::Environment,
    limits,
    scope::Scopes,
    secret::{PlainToken, TokenKind},
};
use countersign_server::config::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    client::{Answered, Client, kinds, registration, security_events},
    keys::{ClientKey, assertion_claims, proof_claims},
};
use crate::app::{Options, TestApp};

const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "envelopes:status")];

/// a client that proves its key gets a token for ten minutes that is bound to its DPoP key, and the API takes it
/// with a proof.
#[tokio::test]
async fn a_client_gets_a_token_for_itself_and_uses_it() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let answered = client.ask(&OWN).await;
    let token = answered.token();
    assert_eq!(answered.body["token_type"], "DPoP");
    assert_eq!(answered.body["expires_in"], limits::ACCESS_TOKEN_S);
    assert_eq!(answered.body["scope"], "envelopes:status");
    assert_eq!(answered.headers["cache-control"], "no-store");
    assert!(token.starts_with("cst_sandbox_"));
    let response = client.api(Method::GET, "/v1/envelopes", &token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let other = client.api(Method::GET, "/v1/mailbox", &token).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::FORBIDDEN);
    let challenge = other.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("DPoP error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"mailbox:read\""), "{challenge}");
    let events = security_events(&test, &client.tenant).await;
    assert_eq!(kinds(&test, &client.tenant).await, ["client.registered", "token.issued"]);
    assert!(events[1].origin.is_some() && !format!("{events:?}").contains(&token));
    test.finish().await;
}

/// an access token ends after ten minutes, one with an admin scope after five.
#[tokio::test]
async fn an_access_token_ends_in_its_time() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    for (scope, path, life_s) in
        [("envelopes:status", "/v1/envelopes", 600), ("envelopes:status admin:clients", "/v1/envelopes", 300)]
    {
        let token = client.own_token(scope).await;
        test.clock.forward_s(life_s - 1);
        assert_eq!(
            client.api(Method::GET, path, &token).send().await.unwrap().status(),
            StatusCode::OK,
            "{scope}"
        );
        test.clock.forward_s(1);
        let ended = client.api(Method::GET, path, &token).send().await.unwrap();
        assert_eq!(ended.status(), StatusCode::UNAUTHORIZED, "{scope}");
        let challenge = ended.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    test.finish().await;
}

/// without the proof, with a proof of another key, for another token, method or address, or with one that was used, a
/// stolen token is worth nothing.
#[tokio::test]
async fn a_stolen_token_is_worth_nothing() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let token = client.own_token("envelopes:status").await;
    let other_token = client.own_token("envelopes:status").await;
    let thief = ClientKey::new("thief");
    let claims = |method: &str, path: &str, token: Option<&str>| {
        let (url, nonce) = (client.url(path), client.nonce());
        proof_claims(method, &url, &client.jti(), test.app.now(), Some(&nonce), token)
    };
    let get = |scheme: &str| {
        test.request(Method::GET, "/v1/envelopes").header("Authorization", format!("{scheme} {token}"))
    };
    let status = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        let challenges: Vec<_> = response.headers().get_all("www-authenticate").iter().cloned().collect();
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        (status, body["code"].as_str().unwrap_or_default().to_owned(), challenges)
    };
    let path = "/v1/envelopes";
    let good = claims("GET", path, Some(&token));
    for (what, request, code) in [
        ("as a bearer token", get("Bearer"), "token_invalid"),
        ("without a proof", get("DPoP"), "dpop_proof_invalid"),
        ("of another key", get("DPoP").header("DPoP", thief.proof(&good)), "dpop_proof_invalid"),
        (
            "for another token",
            get("DPoP").header("DPoP", client.dpop.proof(&claims("GET", path, Some(&other_token)))),
            "dpop_proof_invalid",
        ),
        (
            "for no token",
            get("DPoP").header("DPoP", client.dpop.proof(&claims("GET", path, None))),
            "dpop_proof_invalid",
        ),
        (
            "for another method",
            get("DPoP").header("DPoP", client.dpop.proof(&claims("POST", path, Some(&token)))),
            "dpop_proof_invalid",
        ),
        (
            "for another address",
            get("DPoP").header("DPoP", client.dpop.proof(&claims("GET", "/v1/mailbox", Some(&token)))),
            "dpop_proof_invalid",
        ),
    ] {
        let (found, found_code, challenges) = status(request).await;
        assert_eq!((found, found_code.as_str()), (401, code), "{what}");
        assert_eq!(challenges.len(), 1, "{what}");
    }
    // The one that was right, twice.
    let proof = client.dpop.proof(&claims("GET", path, Some(&token)));
    assert_eq!(get("DPoP").header("DPoP", &proof).send().await.unwrap().status(), StatusCode::OK);
    let (found, code, _) = status(get("DPoP").header("DPoP", &proof)).await;
    assert_eq!((found, code.as_str()), (401, "dpop_proof_invalid"), "G-7: a proof is good once");
    // Without the server's nonce, the answer has it.
    let bare = proof_claims("GET", &client.url(path), &client.jti(), test.app.now(), None, Some(&token));
    let response = get("DPoP").header("DPoP", client.dpop.proof(&bare)).send().await.unwrap();
    let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("error=\"use_dpop_nonce\""), "{challenge}");
    let nonce = response.headers()["dpop-nonce"].to_str().unwrap().to_owned();
    let with =
        proof_claims("GET", &client.url(path), &client.jti(), test.app.now(), Some(&nonce), Some(&token));
    assert_eq!(
        get("DPoP").header("DPoP", client.dpop.proof(&with)).send().await.unwrap().status(),
        StatusCode::OK
    );
    test.finish().await;
}

/// an assertion is for this server, of this client, signed by its key, fresh, and good once; everything else is told in
/// the words for an unknown client.
#[tokio::test]
async fn an_assertion_that_is_not_right_gets_no_token() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let stranger = ClientKey::new("stranger");
    let issuer = test.app.config.server.public_url.clone();
    let good = || assertion_claims(&client.id.to_string(), &issuer, &client.jti(), test.app.now());
    let with = |member: &str, value: Value| {
        let mut claims = good();
        claims[member] = value;
        claims
    };
    let header = json!({ "alg": "ES256", "kid": "1" });
    let seconds = test.app.now().unix_ms() / 1_000;
    let unknown = "cli_00000000000000000000000000";
    let mut cases = vec![
        ("another key", stranger.sign(&header, &good())),
        ("another audience", client.key.sign(&header, &with("aud", json!("https://other.test")))),
        (
            "the endpoint as audience",
            client.key.sign(&header, &with("aud", json!(client.url("/oauth/token")))),
        ),
        ("a list as audience", client.key.sign(&header, &with("aud", json!([issuer])))),
        ("expired", client.key.sign(&header, &with("exp", json!(seconds - 1)))),
        ("from the future", client.key.sign(&header, &with("iat", json!(seconds + 60)))),
        ("too long", client.key.sign(&header, &with("exp", json!(seconds + 3_600)))),
        ("another issuer", client.key.sign(&header, &with("iss", json!(unknown)))),
        ("an unknown crit", client.key.sign(&json!({ "alg": "ES256", "crit": ["x"], "x": 1 }), &good())),
        ("the typ of a proof", client.key.sign(&json!({ "alg": "ES256", "typ": "dpop+jwt" }), &good())),
        (
            "no algorithm",
            format!("{}.", client.key.sign(&json!({ "alg": "none" }), &good()).rsplit_once('.').unwrap().0),
        ),
    ];
    let mut of_nobody = good();
    of_nobody["iss"] = json!(unknown);
    of_nobody["sub"] = json!(unknown);
    cases.push(("an unknown client", client.key.sign(&header, &of_nobody)));
    for (what, assertion) in cases {
        let mut form = client.form(&OWN);
        form.retain(|(name, _)| name != "client_assertion");
        form.push(("client_assertion".to_owned(), assertion));
        let proof = client.dpop.proof(&client.proof_claims());
        let answered = Answered::of(client.post("/oauth/token", &form).header("DPoP", proof)).await;
        assert_eq!(answered.error(), (401, "invalid_client"), "{what}: {}", answered.body);
        assert!(answered.headers.contains_key("www-authenticate"), "{what}");
    }
    // G-7: the right one, twice.
    let form = client.form(&OWN);
    for (attempt, expected) in [(1, (200, "no error")), (2, (401, "invalid_client"))] {
        let proof = client.dpop.proof(&client.proof_claims());
        let answered = Answered::of(client.post("/oauth/token", &form).header("DPoP", proof)).await;
        assert_eq!(answered.error(), expected, "attempt {attempt}");
    }
    let told = kinds(&test, &client.tenant).await;
    // Those that cannot be read, or name nobody, are no news of this client.
    assert_eq!(told.iter().filter(|kind| *kind == "client.failed").count(), 10, "{told:?}");
    test.finish().await;
}

/// what a request must not have.
#[tokio::test]
async fn a_request_that_is_not_right_is_told_why() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let ask = async |form: &[(String, String)], headers: &[(&str, &str)]| {
        let proof = client.dpop.proof(&client.proof_claims());
        let request = client.post("/oauth/token", form).header("DPoP", proof);
        Answered::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
            .await
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let changed = |name: &str, value: Option<&str>| {
        let mut form = client.form(&OWN);
        form.retain(|(found, _)| found != name);
        form.extend(value.map(|value| pair(name, value)));
        form
    };
    for (form, expected) in [
        (changed("grant_type", Some("password")), (400, "unsupported_grant_type")),
        (changed("grant_type", Some("implicit")), (400, "unsupported_grant_type")),
        (changed("grant_type", None), (400, "invalid_request")),
        (changed("scope", None), (400, "invalid_scope")),
        (changed("scope", Some("everything")), (400, "invalid_scope")),
        (changed("client_assertion_type", Some("jwt")), (401, "invalid_client")),
        (changed("client_assertion_type", None), (401, "invalid_client")),
        (changed("client_id", Some("cli_00000000000000000000000000")), (401, "invalid_client")),
        (changed("client_secret", Some("x")), (401, "invalid_client")),
        (changed("grant_type", Some("authorization_code")), (400, "unauthorized_client")),
        ([client.form(&OWN), vec![pair("scope", "envelopes:read")]].concat(), (400, "invalid_request")),
    ] {
        let answered = ask(&form, &[]).await;
        assert_eq!(answered.error(), expected, "{form:?} {}", answered.body);
        assert!(answered.body["error_description"].as_str().unwrap().len() > 10);
    }
    let basic = ask(&client.form(&OWN), &[("Authorization", "Basic YTpi")]).await;
    assert_eq!(basic.error(), (400, "invalid_request"), "two credentials");
    let twice = client.dpop.proof(&client.proof_claims());
    assert_eq!(ask(&client.form(&OWN), &[("DPoP", &twice)]).await.error(), (400, "invalid_dpop_proof"));
    let without = Answered::of(client.post("/oauth/token", &client.form(&OWN))).await;
    assert_eq!(without.error(), (400, "invalid_request"), "A-5: its tokens are bound, always");
    let nonceless =
        proof_claims("POST", &client.url("/oauth/token"), &client.jti(), test.app.now(), None, None);
    let request = client.post("/oauth/token", &client.form(&OWN));
    let answered = Answered::of(request.header("DPoP", client.dpop.proof(&nonceless))).await;
    assert_eq!(answered.error(), (400, "use_dpop_nonce"));
    assert_eq!(answered.headers["dpop-nonce"].to_str().unwrap(), client.nonce());
    let json =
        test.request(Method::POST, "/oauth/token").json(&json!({ "grant_type": "client_credentials" }));
    assert_eq!(Answered::of(json).await.error(), (400, "invalid_request"));
    test.finish().await;
}

/// a client gets no scope that its registration or its environment does not have, and a ceiling that sinks takes away
/// what was given before.
#[tokio::test]
async fn scopes_are_held_below_every_ceiling_at_issue_and_at_use() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let key = ClientKey::new("small");
    let small = registration(&key, Scopes::parse("envelopes:status envelopes:read").unwrap());
    let client = Client::register_with(&test, organization, Environment::Sandbox, key, &small).await;
    let beyond =
        client.ask(&[("grant_type", "client_credentials"), ("scope", "envelopes:status mailbox:read")]).await;
    assert_eq!(beyond.error(), (400, "invalid_scope"));
    assert!(beyond.body["error_description"].as_str().unwrap().contains("mailbox:read"));
    let token = client.own_token("envelopes:status").await;
    let list = async || client.api(Method::GET, "/v1/envelopes", &token).send().await.unwrap().status();
    assert_eq!(list().await, StatusCode::OK);
    let admin = Client::register(&test, organization, "admin").await;
    let manage = admin.own_token("admin:clients").await;
    let path = format!("/v1/clients/{}", client.id);
    let mut smaller = small.clone();
    smaller["scope"] = json!("envelopes:read");
    let change = admin.api(Method::POST, &path, &manage).header("Idempotency-Key", "1").json(&smaller);
    assert_eq!(Answered::of(change).await.status, StatusCode::OK);
    assert_eq!(list().await, StatusCode::FORBIDDEN, "the token was not asked for anew");
    let end = admin.api(Method::POST, &format!("{path}/end"), &manage).header("Idempotency-Key", "2");
    assert_eq!(Answered::of(end).await.status, StatusCode::OK);
    assert_eq!(list().await, StatusCode::UNAUTHORIZED, "A-4: a client that ended takes its tokens along");
    assert_eq!(client.ask(&OWN).await.error(), (401, "invalid_client"));
    test.finish().await;
}

/// whoever registers or changes a client gives it nothing that they may not do themselves, and takes over no client
/// that may do more: its keys are its powers.
#[tokio::test]
async fn a_client_gives_no_more_than_it_has() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let scopes = |text: &str| Scopes::parse(text).unwrap();
    let key = ClientKey::new("registrar");
    let registrar = registration(&key, scopes("admin:clients envelopes:status"));
    let registrar = Client::register_with(&test, organization, Environment::Sandbox, key, &registrar).await;
    let token = registrar.own_token("admin:clients").await;
    let post = async |path: &str, once: &str, body: &Value| {
        let request = registrar.api(Method::POST, path, &token).header("Idempotency-Key", once).json(body);
        Answered::of(request).await
    };
    let own = ClientKey::new("accomplice");
    let wide = registration(&own, scopes("envelopes:status envelopes:send"));
    let narrow = registration(&own, scopes("envelopes:status"));
    let refused = |answered: &Answered, named: &str| {
        let (status, code) = (answered.status, answered.body["code"].as_str().unwrap_or_default());
        assert_eq!((status, code), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"), "{}", answered.body);
        assert!(answered.body["detail"].as_str().unwrap_or_default().contains(named), "{}", answered.body);
    };
    refused(&post("/v1/clients", "1", &wide).await, "envelopes:send");
    // Its token has no more than admin:clients; it could ask for another, with all that it is registered for.
    let made = post("/v1/clients", "2", &narrow).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let path = format!("/v1/clients/{}", made.body["client_id"].as_str().unwrap());
    refused(&post(&path, "3", &wide).await, "envelopes:send");
    // Itself no more than others.
    let more = registration(&own, Scopes::ALL);
    refused(&post(&format!("/v1/clients/{}", registrar.id), "4", &more).await, "envelopes:send");
    // The keys of one that may do more, even if it were to do less.
    let strong = Client::register(&test, organization, "strong").await;
    let path = format!("/v1/clients/{}", strong.id);
    refused(&post(&path, "5", &narrow).await, "envelopes:send");
    strong.own_token("envelopes:send").await;
    // Ending gives nothing.
    let ended = registrar.api(Method::POST, &format!("{path}/end"), &token).header("Idempotency-Key", "6");
    assert_eq!(Answered::of(ended).await.status, StatusCode::OK);
    test.finish().await;
}

/// a resource server that has no more than its `resource` learns of the tokens that are for it, and of no others.
#[tokio::test]
async fn a_resource_learns_only_of_its_own_tokens() {
    const RESOURCE: &str = "https://archive.example/";
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let key = ClientKey::new("resource server");
    let archive = json!({
        "client_name": "Archive",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [key.public("1")] },
        "grant_types": ["client_credentials"],
        "scope": "envelopes:status",
        "resource": RESOURCE,
    });
    let archive = Client::register_with(&test, organization, Environment::Sandbox, key, &archive).await;
    let client = Client::register(&test, organization, "one").await;
    let of_the_api = client.own_token("envelopes:status").await;
    let [grant, scope] = OWN;
    let of_the_archive = client.ask(&[grant, scope, ("resource", RESOURCE)]).await.token();
    for (token, is_its_own) in [(of_the_api, false), (of_the_archive, true)] {
        let form = archive.form(&[("token", &token)]);
        let answered = Answered::of(archive.post("/oauth/introspect", &form)).await;
        assert_eq!(answered.body["active"], is_its_own, "{}", answered.body);
        assert_eq!(answered.body.get("client_id").is_some(), is_its_own, "{}", answered.body);
    }
    test.finish().await;
}

/// the resource server that a token is for learns of the token's grant, its key, and when it asked about it last; another
/// one that may ask about all tokens learns none of it, and leaves no trace.
#[tokio::test]
async fn traces_of_a_token_are_for_its_own_audience() {
    const RESOURCE: &str = "https://archive.example/";
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let server = async |name: &str, more: Value| {
        let key = ClientKey::new(name);
        let mut registration = json!({
            "client_name": name,
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": { "keys": [key.public("1")] },
            "grant_types": ["client_credentials"],
        });
        registration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Client::register_with(&test, organization, Environment::Sandbox, key, &registration).await
    };
    let archive = server("archive", json!({ "scope": "envelopes:status", "resource": RESOURCE })).await;
    let other = server("other", json!({ "scope": "tokens:introspect" })).await;
    let client = Client::register(&test, organization, "one").await;
    let [grant, scope] = OWN;
    let token = client.ask(&[grant, scope, ("resource", RESOURCE)]).await.token();
    let traces = async |asker: &Client<'_>| {
        let form = asker.form(&[("token", &token)]);
        let answered = Answered::of(asker.post("/oauth/introspect", &form)).await;
        assert_eq!(answered.body["active"], true, "{}", answered.body);
        answered.body.get("countersign_traces").cloned()
    };
    let first = traces(&archive).await.unwrap();
    assert_eq!((first["bound_by"].as_str(), first.get("last_seen")), (Some("dpop"), None));
    let seen_s = test.app.now().unix_ms() / 1_000;
    test.clock.forward_s(40);
    assert_eq!(traces(&other).await, None);
    test.clock.forward_s(40);
    assert_eq!(traces(&archive).await.unwrap()["last_seen"], seen_s);
    assert_eq!(traces(&archive).await.unwrap()["last_seen"], seen_s + 80);
    test.finish().await;
}

/// who asks about too many tokens in a minute is told when to come again; its own work and other resource servers go on.
#[tokio::test]
async fn a_resource_server_asks_at_a_pace() {
    let configure: fn(&mut Config) =
        |config| config.oauth.introspections_per_minute = NonZeroU32::new(3).unwrap();
    let test = TestApp::start_with(Options { configure, ..Options::default() }).await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let token = client.own_token("envelopes:status").await;
    let mut askers = Vec::new();
    for name in ["fast", "other"] {
        let key = ClientKey::new(name);
        let registration = json!({
            "client_name": name,
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": { "keys": [key.public("1")] },
            "grant_types": ["client_credentials"],
            "scope": "tokens:introspect envelopes:status",
        });
        askers
            .push(Client::register_with(&test, organization, Environment::Sandbox, key, &registration).await);
    }
    let [fast, other] = askers.try_into().ok().unwrap();
    let ask = async |asker: &Client<'_>| {
        let form = asker.form(&[("token", &token)]);
        Answered::of(asker.post("/oauth/introspect", &form)).await
    };
    for asked in 1..=4 {
        let answered = ask(&fast).await;
        if asked < 4 {
            assert_eq!(answered.body["active"], true, "{asked}");
            continue;
        }
        assert_eq!(answered.error(), (429, "temporarily_unavailable"));
        let wait: u64 = answered.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
    }
    fast.ask(&OWN).await.token();
    assert_eq!(ask(&other).await.body["active"], true);
    test.finish().await;
}

/// a client of `client_secret_basic` is for sandboxes, and its secret is its own.
#[tokio::test]
async fn a_secret_is_for_a_sandbox_and_shown_once() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let key = ClientKey::new("none");
    let mut with_secret = registration(&key, Scopes::parse("envelopes:status").unwrap());
    with_secret["profile"] = "standard".into();
    with_secret["token_endpoint_auth_method"] = "client_secret_basic".into();
    with_secret.as_object_mut().unwrap().remove("jwks");
    let client = Client::register_with(&test, organization, Environment::Sandbox, key, &with_secret).await;
    let ask = async |secret: &str| {
        let form = [("grant_type", "client_credentials"), ("scope", "envelopes:status")];
        let request = test.request(Method::POST, "/oauth/token").form(&form);
        let proof = client.dpop.proof(&client.proof_claims());
        Answered::of(request.basic_auth(client.id, Some(secret)).header("DPoP", proof)).await
    };
    let secret = client.secret.clone().unwrap();
    assert!(secret.starts_with("csx_sandbox_"));
    assert_eq!(ask(&secret).await.status, StatusCode::OK);
    let other = PlainToken::new(TokenKind::ClientSecret, &[9; 32]);
    assert_eq!(ask(other.expose()).await.error(), (401, "invalid_client"));
    assert_eq!(ask("x").await.error(), (401, "invalid_client"));
    test.finish().await;
}
