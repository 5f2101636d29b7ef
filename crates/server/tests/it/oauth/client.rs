//! A client under test: registered, with its keys, and able to do everything right, so that a test spoils one thing.

use std::sync::atomic::{AtomicU64, Ordering};

use countersign_core::{
    access::{Environment, Tenant},
    id::{ClientId, OrganizationId},
    oauth::client::Registration,
    scope::Scopes,
    security::{SecurityActor, SecurityEvent, Tail},
};
use countersign_server::{clients, security::Circumstances};
use countersign_store::rows::security_stream;
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::keys::{ClientKey, proof_claims};
use crate::app::TestApp;

/// What is registered unless a test wants otherwise: FAPI 2.0, `private_key_jwt`, tokens bound by DPoP.
pub(crate) fn registration(key: &ClientKey, scope: Scopes) -> Value {
    json!({
        "client_name": "Test program",
        "profile": "fapi2",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [key.public("1")] },
        "grant_types": ["client_credentials"],
        "scope": scope,
        "dpop_bound_access_tokens": true,
    })
}

/// A client and its keys.
pub(crate) struct Client<'a> {
    pub(crate) test: &'a TestApp,
    pub(crate) tenant: Tenant,
    pub(crate) id: ClientId,
    pub(crate) key: ClientKey,
    pub(crate) dpop: ClientKey,
    pub(crate) secret: Option<String>,
    drawn: AtomicU64,
}

/// An answer of the authorization server.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answered {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, headers, body }
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["error"].as_str().unwrap_or("no error"))
    }

    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body["access_token"].as_str().unwrap().to_owned()
    }
}

impl<'a> Client<'a> {
    /// Registers a client of a sandbox with all scopes.
    pub(crate) async fn register(test: &'a TestApp, organization: OrganizationId, name: &str) -> Self {
        let key = ClientKey::new(name);
        let registration = registration(&key, Scopes::ALL);
        Self::register_with(test, organization, Environment::Sandbox, key, &registration).await
    }

    pub(crate) async fn register_with(
        test: &'a TestApp,
        organization: OrganizationId,
        environment: Environment,
        key: ClientKey,
        registration: &Value,
    ) -> Self {
        let tenant = Tenant::of_stored_row(organization, environment);
        let registration = Registration::parse(registration.to_string().as_bytes()).unwrap();
        let circumstances = Circumstances {
            actor: SecurityActor::Operator,
            origin: None,
            correlation: test.app.new_correlation(),
        };
        let made = clients::register(&test.app, &tenant, &circumstances, Scopes::ALL, registration, None)
            .await
            .unwrap();
        let dpop = ClientKey::new(&format!("dpop of {}", made.client.row.client));
        let secret = made.secret.map(|secret| secret.expose().to_owned());
        let drawn = AtomicU64::new(0);
        Self { test, tenant, id: made.client.row.client, key, dpop, secret, drawn }
    }

    /// A `jti` that was not there before.
    pub(crate) fn jti(&self) -> String {
        format!("jti-{}-{}", self.id, self.drawn.fetch_add(1, Ordering::SeqCst))
    }

    /// The nonce that is good now.
    pub(crate) fn nonce(&self) -> String {
        self.test.app.oauth.nonces.issue(self.test.app.now())
    }

    /// The URL that the server believes that it has.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.test.app.config.server.public_url)
    }

    /// A good assertion.
    pub(crate) fn assertion(&self) -> String {
        let issuer = &self.test.app.config.server.public_url;
        self.key.assertion(&self.id.to_string(), issuer, &self.jti(), self.test.app.now())
    }

    /// The claims of a good proof for the token endpoint.
    pub(crate) fn proof_claims(&self) -> Value {
        let nonce = self.nonce();
        proof_claims("POST", &self.url("/oauth/token"), &self.jti(), self.test.app.now(), Some(&nonce), None)
    }

    /// A form with a good assertion in it.
    pub(crate) fn form(&self, parameters: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut form: Vec<_> = parameters.iter().map(own).collect();
        form.push((
            "client_assertion_type".to_owned(),
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
        ));
        form.push(("client_assertion".to_owned(), self.assertion()));
        form
    }

    /// A POST of a form.
    pub(crate) fn post(&self, path: &str, form: &[(String, String)]) -> RequestBuilder {
        self.test.request(Method::POST, path).form(form)
    }

    /// A token request with a good assertion and a good proof.
    pub(crate) async fn ask(&self, parameters: &[(&str, &str)]) -> Answered {
        let proof = self.dpop.proof(&self.proof_claims());
        Answered::of(self.post("/oauth/token", &self.form(parameters)).header("DPoP", proof)).await
    }

    /// A token for the client itself.
    pub(crate) async fn own_token(&self, scope: &str) -> String {
        self.ask(&[("grant_type", "client_credentials"), ("scope", scope)]).await.token()
    }

    /// A request to the API with a token and a good proof of the client's key.
    pub(crate) fn api(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let url = self.url(path.split('?').next().unwrap());
        let nonce = self.nonce();
        let claims =
            proof_claims(method.as_str(), &url, &self.jti(), self.test.app.now(), Some(&nonce), Some(token));
        let request = self.test.request(method, path).header("Authorization", format!("DPoP {token}"));
        request.header("DPoP", self.dpop.proof(&claims))
    }
}

/// The security events of a tenant, in order, after the log has taken them in; their chain is followed.
pub(crate) async fn security_events(test: &TestApp, tenant: &Tenant) -> Vec<SecurityEvent> {
    test.work().await;
    let mut stored = test.app.store.security_events(tenant, None, 10_000).await.unwrap();
    stored.reverse();
    let mut tail = Tail::after(tenant.organization(), tenant.environment(), None);
    let head = test.app.store.security_head(tenant).await.unwrap();
    assert_eq!(head.map_or(0, |(seq, _)| seq), stored.last().map_or(0, |event| event.seq));
    let as_envelope = test.app.store.load(tenant, security_stream(tenant)).await.unwrap();
    assert!(as_envelope.is_none(), "A-13: nobody reads it as the events of an envelope");
    stored.iter().map(|event| tail.follow(&event.bytes).unwrap()).collect()
}

/// The kinds of the security events of a tenant, in order.
pub(crate) async fn kinds(test: &TestApp, tenant: &Tenant) -> Vec<String> {
    security_events(test, tenant).await.iter().map(|event| event.body.kind()).collect()
}
