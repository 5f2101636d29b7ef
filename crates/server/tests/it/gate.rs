//! Every route, with every credential that must not open it (A-3, A-12, G-8). The list of routes is the table that the
//! router is made of, so a new route is tested by being there.

use countersign_core::{
    access::{Environment, Operation, Tenant},
    digest::Digest,
    id::{EnvelopeId, MessageId, OrganizationId, PersonId, UserId},
    refusal::Code,
    role::Role,
    scope::{Scope, Scopes},
    secret::Personal,
    security::SecurityActor,
    webhook::{
        channel::Channel,
        class::{Class, Classes, Payload},
        endpoint::{Profile, Settings},
    },
};
use countersign_server::{
    accounts::{invitations, people},
    api::{ENDPOINTS, OPEN_PATHS},
    http::gate::{Endpoint, Method, Takes},
    security::Circumstances,
    webhooks::{act::Act, endpoints},
};
use countersign_store::{Batch, access_rows::MemberRow, batch::Row, webhook_rows::NewMessage};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{Key, TestApp, envelope_of, pdf},
    oauth::{
        client::{Client, registration},
        keys::ClientKey,
    },
    people::{Human, sign, status},
};

/// What the routes are asked about: ids of one organization's sandbox.
struct Ids {
    document: String,
    envelope: String,
    client: String,
    member: String,
    invitation: String,
    grant: String,
    key: String,
    endpoint: String,
    webhook_key: String,
    message: String,
}

async fn ids(test: &TestApp, key: &Key) -> Ids {
    let document = test.upload(key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(key, &envelope_of(&document)).await;
    let organization = key.tenant.organization();
    let client = Client::register(test, organization, "a thing").await.id.to_string();
    let (member, invitation) = people_of(test, organization).await;
    let holder = Client::register(test, organization, "a holder").await;
    holder.own_token("envelopes:status").await;
    let grants = test.app.store.grants(&key.tenant, Some(holder.id), None, None, 1).await.unwrap();
    let grant = grants[0].grant.to_string();
    let [endpoint, webhook_key, message] = webhook_of(test, key.tenant).await;
    let key = test.key(organization, Environment::Sandbox, Scopes::NONE).await.id.to_string();
    Ids { document, envelope, client, member, invitation, grant, key, endpoint, webhook_key, message }
}

/// An active endpoint with its key, and a message for it.
async fn webhook_of(test: &TestApp, tenant: Tenant) -> [String; 3] {
    let app = &test.app;
    let circumstances =
        Circumstances { actor: SecurityActor::Operator, origin: None, correlation: app.new_correlation() };
    let settings = Settings {
        url: "https://hooks.invalid/".to_owned(),
        description: "The tests".to_owned(),
        classes: Classes::of(&[Class::Envelope]),
        scopes: Scopes::of(&[Scope::EnvelopesStatus]),
        payload: Payload::Thin,
        profile: Profile::Standard,
        is_ordered: false,
        channel: Channel::default(),
    };
    let made = endpoints::create(app, &tenant, &circumstances, Scopes::ALL, &settings, None).await.unwrap();
    let act = Act { tenant: &tenant, circumstances: &circumstances, keep: None };
    endpoints::activate(app, &act, made.endpoint).await.unwrap();
    let message = NewMessage {
        tenant,
        message: MessageId::new(app.now(), app.draw()),
        stream: EnvelopeId::new(app.now(), app.draw()),
        seq: 1,
        kind: "envelope.created".to_owned(),
        class: u32::from(Class::Envelope.bit()),
        at: app.now(),
        hash: Digest::of(b"x"),
        correlation: app.new_correlation(),
    };
    let id = message.message.to_string();
    app.store.commit(Batch { messages: vec![message], ..Batch::default() }).await.unwrap();
    [made.endpoint.to_string(), made.key.to_string(), id]
}

/// A member and an open invitation of an organization.
async fn people_of(test: &TestApp, organization: OrganizationId) -> (String, String) {
    let app = &test.app;
    let user = member_of(test, organization, Role::Reviewer).await;
    let circumstances =
        Circumstances { actor: SecurityActor::Operator, origin: None, correlation: app.new_correlation() };
    let tenant = Tenant::of_stored_row(organization, Environment::Live);
    let address = Personal::new(format!("friend.of.{user}@example.com"));
    let sent = invitations::send(app, &circumstances, &tenant, &address, Role::Reviewer, None).await;
    (user.to_string(), sent.unwrap().id().to_string())
}

/// A member, without anything to sign in with.
pub(crate) async fn member_of(test: &TestApp, organization: OrganizationId, role: Role) -> UserId {
    let app = &test.app;
    let user = UserId::new(app.now(), app.draw());
    let address = Personal::new(format!("{user}@example.com"));
    let user = people::new(app, user, Personal::new("Ada Lovelace".to_owned()), address).unwrap();
    let (sandbox, live) = (PersonId::new(app.now(), app.draw()), PersonId::new(app.now(), app.draw()));
    let member = MemberRow {
        organization,
        user: user.id(),
        role,
        persons: (sandbox, live),
        created_at: app.now(),
        ended_at: None,
        version: 1,
    };
    let rows = vec![Row::User(user.row.clone()), Row::Member(member)];
    app.store.commit(Batch { rows, ..Batch::default() }).await.unwrap();
    user.id()
}

/// What a request shows of its caller.
#[derive(Clone, Copy)]
enum Shown<'a> {
    Nothing,
    /// As a bearer token.
    Bearer(&'a str),
    /// An access token with a proof of its client's key.
    Proved(&'a Client<'a>, &'a str),
}

impl Shown<'_> {
    fn with(self, test: &TestApp, method: reqwest::Method, path: &str) -> RequestBuilder {
        match self {
            Self::Nothing => test.request(method, path),
            Self::Bearer(token) => test.request(method, path).bearer_auth(token),
            Self::Proved(client, token) => client.api(method, path, token),
        }
    }
}

/// The same of an envelope that everybody signed: there every route has something to show.
async fn completed_ids(test: &TestApp, key: &Key) -> Ids {
    let ids = ids(test, key).await;
    test.send(key, &ids.envelope).await;
    sign(test, key, &ids.envelope, &Human::typing("ada@example.com", "Ada Lovelace")).await.unwrap();
    test.work().await;
    assert_eq!(status(test, key, &ids.envelope).await, "completed");
    ids
}

fn path(endpoint: &Endpoint, ids: &Ids) -> String {
    let path = endpoint.path.replace("{document}", &ids.document).replace("{envelope}", &ids.envelope);
    let path = path.replace("{client}", &ids.client).replace("{member}", &ids.member);
    let path = path.replace("{endpoint}", &ids.endpoint).replace("{webhook_key}", &ids.webhook_key);
    let path = path.replace("{message}", &ids.message).replace("{key}", &ids.key);
    path.replace("{invitation}", &ids.invitation).replace("{grant}", &ids.grant)
}

/// A request that is right in everything but perhaps its credential.
fn request(test: &TestApp, endpoint: &Endpoint, ids: &Ids, shown: Shown<'_>, number: &str) -> RequestBuilder {
    let path = path(endpoint, ids);
    let path = if endpoint.takes == Takes::Pdf { format!("{path}?name=a.pdf") } else { path };
    let request = match endpoint.method {
        Method::Get => shown.with(test, reqwest::Method::GET, &path),
        Method::Post => shown.with(test, reqwest::Method::POST, &path).header("Idempotency-Key", number),
    };
    match endpoint.takes {
        Takes::Nothing => request,
        Takes::Json => request.json(&match endpoint.operation {
            Operation::CreateEnvelope => envelope_of(&ids.document),
            Operation::CreateClient | Operation::ChangeClient => {
                registration(&ClientKey::new("a thing"), Scopes::ALL)
            }
            Operation::InviteMember => json!({ "email": "bob@example.com", "role": "reviewer" }),
            Operation::ChangeMember => json!({ "role": "reviewer" }),
            Operation::CreateKey => json!({ "label": "a thing", "scopes": ["documents:read"] }),
            Operation::CreateWebhookEndpoint => json!({
                "url": "https://hooks.invalid/", "description": "a thing", "classes": ["envelope"],
                "scopes": ["envelopes:status"],
            }),
            Operation::BlockWebhookEndpoint | Operation::BlockWebhooks => json!({ "reason": "incident" }),
            Operation::RecoverWebhookEndpoint | Operation::ReplayWebhookEndpoint => {
                json!({ "since": test.app.now().plus_s(-60) })
            }
            _ => json!({}),
        }),
        Takes::Pdf => request.header("Content-Type", "application/pdf").body(pdf(1)),
    }
}

/// Status and code of a refusal, whose form is checked (RFC 9457, X-2).
async fn refusal(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{status} {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    let code = body["code"].as_str().unwrap().to_owned();
    assert_eq!(body["type"], format!("https://sign.test/docs/errors#{code}"));
    assert_eq!((&body["status"], &body["request_id"]), (&json!(status.as_u16()), &json!(id)));
    (status, code)
}

#[tokio::test]
async fn no_route_opens_without_a_credential_or_with_a_wrong_one() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let ids = ids(&test, &key).await;
    let mistyped = {
        let mut token = key.token.clone();
        // Not in the alphabet of tokens.
        token.pop();
        token.push('!');
        token
    };
    let unknown = countersign_core::secret::PlainToken::new(
        countersign_core::secret::TokenKind::SandboxApiKey,
        &[9; 32],
    );
    let wrong = [
        (Shown::Nothing, "unauthenticated"),
        (Shown::Bearer(&mistyped), "unauthenticated"),
        (Shown::Bearer(unknown.expose()), "unauthenticated"),
        (Shown::Bearer("cst_sandbox_0"), "token_invalid"),
    ];
    for endpoint in ENDPOINTS {
        for (number, (shown, code)) in wrong.iter().enumerate() {
            let request = request(&test, endpoint, &ids, *shown, &format!("n{number}"));
            let name = endpoint.operation.text();
            assert_eq!(refusal(request).await, (StatusCode::UNAUTHORIZED, (*code).to_owned()), "{name}");
        }
    }
    test.finish_without_worker().await;
}

/// a credential with all scopes but the one that a route needs is refused there, and only the one opens it.
#[tokio::test]
async fn every_route_needs_its_own_scope() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let all = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    let client = Client::register(&test, organization, "caller").await;
    for endpoint in ENDPOINTS {
        let ids = ids(&test, &all).await;
        let needed = Scopes::of(&[endpoint.operation.scope()]);
        let name = endpoint.operation.text();
        let missing = (StatusCode::FORBIDDEN, "scope_missing".to_owned());
        let without = client.own_token(&Scopes::ALL.without(needed).to_string()).await;
        let refused = request(&test, endpoint, &ids, Shown::Proved(&client, &without), "1");
        assert_eq!(refusal(refused).await, missing, "{name}");
        let key = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS.without(needed)).await;
        let refused = request(&test, endpoint, &ids, Shown::Bearer(&key.token), "1");
        assert_eq!(refusal(refused).await, missing, "{name}");
        let only = client.own_token(&needed.to_string()).await;
        let response =
            request(&test, endpoint, &ids, Shown::Proved(&client, &only), "2").send().await.unwrap();
        let status = response.status();
        assert!(status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN, "{name} {status}");
    }
    test.finish_without_worker().await;
}

/// on every route, a token that has ended, was revoked, is shown without its key or with another one, or whose
/// client has ended, is worth nothing.
#[tokio::test]
async fn no_route_opens_with_a_token_that_does_not_hold() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let ids = ids(&test, &key).await;
    let organization = key.tenant.organization();
    let expired = Client::register(&test, organization, "expired").await;
    let scopes = Scopes::ALL.to_string();
    let old = expired.own_token(&scopes).await;
    test.clock.forward_s(301);
    let client = Client::register(&test, organization, "caller").await;
    let good = client.own_token(&scopes).await;
    let revoked = client.own_token(&scopes).await;
    let form = client.form(&[("token", &revoked)]);
    assert_eq!(client.post("/oauth/revoke", &form).send().await.unwrap().status(), StatusCode::OK);
    let ended = Client::register(&test, organization, "ended").await;
    let orphan = ended.own_token(&scopes).await;
    let path = format!("/v1/clients/{}/end", ended.id);
    let end = client.api(reqwest::Method::POST, &path, &good).header("Idempotency-Key", "end");
    assert_eq!(end.send().await.unwrap().status(), StatusCode::OK);
    for endpoint in ENDPOINTS {
        for (what, shown, code) in [
            ("expired", Shown::Proved(&expired, &old), "token_invalid"),
            ("revoked", Shown::Proved(&client, &revoked), "token_invalid"),
            ("of an ended client", Shown::Proved(&ended, &orphan), "token_invalid"),
            ("without its key", Shown::Bearer(&good), "token_invalid"),
            ("with another key", Shown::Proved(&expired, &good), "dpop_proof_invalid"),
        ] {
            let answered = refusal(request(&test, endpoint, &ids, shown, what)).await;
            let name = endpoint.operation.text();
            assert_eq!(answered, (StatusCode::UNAUTHORIZED, code.to_owned()), "{name} {what}");
        }
    }
    test.finish_without_worker().await;
}

/// Routes without an id show or change only what is the caller's. This list may only shrink.
const WITHOUT_ID: &[&str] = &[
    "upload_document",
    "create_envelope",
    "list_envelopes",
    "list_mailbox",
    "list_clients",
    "create_client",
    "list_members",
    "list_invitations",
    "invite_member",
    "list_grants",
    "list_security_events",
    "list_keys",
    "create_key",
    "list_webhook_endpoints",
    "create_webhook_endpoint",
    "list_webhook_blocks",
    "block_webhooks",
    "release_webhooks",
    "pull_events",
];

/// what is another organization's, or another environment's, is answered as if it did not exist.
#[tokio::test]
async fn every_route_about_a_thing_of_somebody_else_answers_404() {
    // People are of both environments. This list may only shrink.
    let of_people = ["change_member", "remove_member", "resend_invitation", "cancel_invitation"];
    let live = |config: &mut countersign_server::config::Config| {
        config.mail.smtp_host = Some("mail.test".to_owned());
        config.mail.from = "sign@sign.test".to_owned();
    };
    let test = TestApp::start_with(crate::app::Options { configure: live, ..Default::default() }).await;
    let organization = test.organization("Acme").await;
    let own = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    let ids = completed_ids(&test, &own).await;
    let caller = Client::register(&test, organization, "owner").await;
    let token = caller.own_token(&Scopes::ALL.to_string()).await;
    for endpoint in ENDPOINTS {
        let shown = Shown::Proved(&caller, &token);
        let answered = request(&test, endpoint, &ids, shown, "own").send().await.unwrap().status();
        let name = endpoint.operation.text();
        match endpoint.method {
            Method::Get => assert_eq!(answered, StatusCode::OK, "its owner may {name}"),
            Method::Post => assert_ne!(answered, StatusCode::NOT_FOUND, "its owner may {name}"),
        }
    }
    let other = test.sandbox("Other").await;
    let live = test.key(organization, Environment::Live, Scopes::FOR_KEYS).await;
    for tenant in [other.tenant, live.tenant] {
        let key = ClientKey::new("stranger");
        let scopes = Scopes::ALL.and(tenant.environment().ceiling());
        let known = registration(&key, scopes);
        let (organization, environment) = (tenant.organization(), tenant.environment());
        let stranger = Client::register_with(&test, organization, environment, key, &known).await;
        let token = stranger.own_token(&scopes.to_string()).await;
        let is_own = tenant.organization() == own.tenant.organization();
        for endpoint in ENDPOINTS.iter().filter(|endpoint| {
            let name = endpoint.operation.text();
            !(WITHOUT_ID.contains(&name) || is_own && of_people.contains(&name))
        }) {
            let answered =
                refusal(request(&test, endpoint, &ids, Shown::Proved(&stranger, &token), "1")).await;
            let name = endpoint.operation.text();
            assert_eq!(answered, (StatusCode::NOT_FOUND, "not_found".to_owned()), "{name}");
        }
    }
    for stranger in [&other, &live] {
        let list = test.get_json(stranger, "/v1/envelopes").await;
        assert_eq!(list, json!({ "envelopes": [], "next_cursor": null }));
        let body = envelope_of(&ids.document);
        let (status, problem) = test.post_json(stranger, "/v1/envelopes", &body).await;
        assert_eq!(
            (status, &problem["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("/documents/0/id"))
        );
    }
    assert_eq!(test.get(&live, "/v1/mailbox").await.status(), StatusCode::NOT_FOUND, "live has no mailbox");
    test.finish_without_worker().await;
}

/// a key ends when it says.
#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let ids = ids(&test, &key).await;
    test.clock.forward_s(90 * 24 * 3_600);
    for endpoint in ENDPOINTS {
        let answered = refusal(request(&test, endpoint, &ids, Shown::Bearer(&key.token), "1")).await;
        assert_eq!(answered, (StatusCode::UNAUTHORIZED, Code::KeyExpired.text().to_owned()));
    }
    test.finish_without_worker().await;
}

/// G-8: what is not declared is refused, always in the same form.
#[tokio::test]
async fn undeclared_methods_parameters_types_and_fields_are_refused() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let ids = ids(&test, &key).await;
    let caller = Client::register(&test, key.tenant.organization(), "caller").await;
    let token = caller.own_token(&Scopes::ALL.to_string()).await;
    let shown = Shown::Proved(&caller, &token);
    for endpoint in ENDPOINTS {
        let path = path(endpoint, &ids);
        let allowed: Vec<&str> = ENDPOINTS
            .iter()
            .filter(|other| other.path == endpoint.path)
            .map(|other| other.method.text())
            .collect();
        let allowed = allowed.join(", ");
        for method in
            [reqwest::Method::PUT, reqwest::Method::PATCH, reqwest::Method::DELETE, reqwest::Method::OPTIONS]
        {
            let request = test.request(method, &path).bearer_auth(&key.token);
            let response = request.try_clone().unwrap().send().await.unwrap();
            assert_eq!(response.headers()["allow"], allowed, "{path}");
            assert_eq!(refusal(request).await.1, "method_not_allowed", "{path}");
        }
        // A HEAD would read like a GET, and leave the traces of one.
        let head = test.request(reqwest::Method::HEAD, &path).bearer_auth(&key.token).send().await.unwrap();
        assert_eq!(
            (head.status(), head.headers()["allow"].to_str().unwrap()),
            (StatusCode::METHOD_NOT_ALLOWED, allowed.as_str()),
            "{path}"
        );
        let odd = |query: &str| {
            let method = match endpoint.method {
                Method::Get => reqwest::Method::GET,
                Method::Post => reqwest::Method::POST,
            };
            shown.with(&test, method, &format!("{path}?{query}"))
        };
        assert_eq!(refusal(odd("surprise=1")).await.1, "unknown_parameter", "{path}");
        let picky = request(&test, endpoint, &ids, shown, "picky").header("Accept", "text/html");
        assert_eq!(refusal(picky).await, (StatusCode::NOT_ACCEPTABLE, "not_acceptable".to_owned()), "{path}");
        let typed = odd("").header("Content-Type", "text/plain").body("x");
        assert_eq!(refusal(typed).await.1, "unsupported_media_type", "{path}");
    }
    for path in OPEN_PATHS {
        let path = path.replace("{*path}", "0/000");
        let odd = test.request(reqwest::Method::GET, &format!("{path}?surprise=1"));
        assert_eq!(refusal(odd).await.1, "unknown_parameter", "{path}");
    }
    let mut body = envelope_of(&ids.document);
    body["surprise"] = json!(true);
    let (status, problem) = test.post_json(&key, "/v1/envelopes", &body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("malformed")));
    let unknown = test.request(reqwest::Method::GET, "/v1/surprise").bearer_auth(&key.token);
    assert_eq!(refusal(unknown).await.1, "not_found");
    test.finish_without_worker().await;
}

/// S-2: whoever types the host alone comes to where people go in, and a mistyped page of the console is told as a page; programs
/// are answered as before.
#[tokio::test]
async fn people_who_lose_their_way_are_told_on_a_page() {
    let test = TestApp::start().await;
    let get = async |path: &str, accept: &str| {
        let request = test.request(reqwest::Method::GET, path).header("Accept", accept);
        let response = request.send().await.unwrap();
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), header("content-type").unwrap_or_default(), header("location"))
    };
    let html = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
    let (status, _, location) = get("/", html).await;
    assert_eq!((status, location.as_deref()), (303, Some("/console")));
    let (status, media_type, _) = get("/", "*/*").await;
    assert_eq!((status, media_type.as_str()), (404, "application/problem+json"));
    for path in ["/console/nowhere", "/console/", "/console/a/b/c/d"] {
        let (status, media_type, _) = get(path, html).await;
        assert_eq!((status, media_type.as_str()), (404, "text/html; charset=utf-8"), "{path}");
    }
    let (status, media_type, _) = get("/v1/nowhere", html).await;
    assert_eq!((status, media_type.as_str()), (404, "application/problem+json"));
    test.finish().await;
}

/// G-9: every answer has its security headers, also those of errors.
#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let test = TestApp::start().await;
    for path in OPEN_PATHS.iter().chain(&["/nowhere", "/v1/envelopes"]) {
        let response = test.request(reqwest::Method::GET, path).send().await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        // The certificate is of the development CA: no browser is held to it.
        assert!(!headers.contains_key("strict-transport-security"), "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
    test.finish().await;
}

/// G-8: a cursor is what a page before gave, and no number that the database could not take.
#[tokio::test]
async fn a_cursor_that_no_page_gave_is_refused() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let ids = ids(&test, &key).await;
    let lists: Vec<_> = ENDPOINTS.iter().filter(|endpoint| endpoint.query.contains(&"cursor")).collect();
    assert_eq!(lists.len(), 11);
    for endpoint in lists {
        let path = path(endpoint, &ids);
        for (name, values) in [
            ("cursor", ["9999999999999999999", "18446744073709551616", "-1", "+1", "", "x"]),
            ("limit", ["9999999999999999999", "18446744073709551616", "-1", "0", "101", "x"]),
        ] {
            for value in values {
                let asked = test.request(reqwest::Method::GET, &path).query(&[(name, value)]);
                let answered = refusal(asked.bearer_auth(&key.token)).await;
                assert_eq!(
                    answered,
                    (StatusCode::BAD_REQUEST, "malformed".to_owned()),
                    "{path} {name} {value}"
                );
            }
        }
    }
    test.finish_without_worker().await;
}

/// C2SP tlog-tiles: a full tile is the same for ever and may be kept; what still grows may not.
#[tokio::test]
async fn only_what_never_changes_of_the_log_may_be_cached() {
    use countersign_store::rows::TileRow;
    let test = TestApp::start().await;
    let tile = TileRow { level: 0, index: 0, bytes: vec![7; 256 * 32] };
    test.app.store.publish_checkpoint(0, &[], &[tile], "a checkpoint").await.unwrap();
    let immutable = "public, max-age=31536000, immutable";
    for (path, caching) in [
        ("/log/tile/0/000", immutable),
        ("/log/tile/0/000.p/5", "no-store"),
        ("/log/tile/0/001", "no-store"),
        ("/log/checkpoint", "no-store"),
        ("/log/key", "no-store"),
    ] {
        let response = test.request(reqwest::Method::GET, path).send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], caching, "{path} {}", response.status());
    }
}

/// L-2: a correlation id is ours; one that a client sends is ignored.
#[tokio::test]
async fn a_request_id_of_the_client_is_ignored() {
    let test = TestApp::start().await;
    let mine = "cor_00000000000000000000000000";
    let request = test.request(reqwest::Method::GET, "/health").header("X-Request-Id", mine);
    let response = request.send().await.unwrap();
    assert_ne!(response.headers()["x-request-id"], mine);
    test.finish().await;
}
