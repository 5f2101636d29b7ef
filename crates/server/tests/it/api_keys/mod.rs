//! The full life of API keys through HTTPS: made, used, changed, rotated, warned of, ended.

mod acts;
mod browser;
mod life;
mod pages;
mod uses;

use countersign_core::{
    access::Tenant,
    id::ApiKeyId,
    scope::Scopes,
    security::{SecurityBody, SecurityEvent},
};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{
    app::{Key, TestApp},
    oauth::client::{Answered, Client, security_events},
};

const DAY_S: i64 = 24 * 3_600;

/// A program that manages keys, with a token that is good now.
struct Manager<'a> {
    client: Client<'a>,
    scopes: Scopes,
}

impl<'a> Manager<'a> {
    async fn new(test: &'a TestApp, key: &Key, scopes: Scopes) -> Self {
        Self { client: Client::register(test, key.tenant.organization(), "manager").await, scopes }
    }

    /// A POST, with a token of its own.
    async fn post(&self, path: &str, body: Option<&Value>, idempotency_key: &str) -> Answered {
        let token = self.client.own_token(&self.scopes.to_string()).await;
        let request = self.client.api(Method::POST, path, &token).header("Idempotency-Key", idempotency_key);
        Answered::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// A POST that must go well.
    async fn ask(&self, path: &str, body: &Value, idempotency_key: &str) -> Value {
        let answered = self.post(path, Some(body), idempotency_key).await;
        assert!(answered.status.is_success(), "{path}: {}", answered.body);
        answered.body
    }

    async fn get(&self, path: &str) -> Value {
        let token = self.client.own_token(&self.scopes.to_string()).await;
        let answered = Answered::of(self.client.api(Method::GET, path, &token)).await;
        assert_eq!(answered.status, StatusCode::OK, "{path}: {}", answered.body);
        answered.body
    }
}

/// Status and code of what the API answers to a key.
async fn tried(test: &TestApp, token: &str) -> (u16, String) {
    let asked = test.request(Method::GET, "/v1/envelopes").bearer_auth(token);
    let answered = Answered::of(asked).await;
    (answered.status.as_u16(), answered.body["code"].as_str().unwrap_or("ok").to_owned())
}

fn ok() -> (u16, String) {
    (200, "ok".to_owned())
}

fn over() -> (u16, String) {
    (401, "key_expired".to_owned())
}

fn token(body: &Value) -> String {
    body["token"].as_str().unwrap_or_else(|| panic!("no token: {body}")).to_owned()
}

fn id(body: &Value) -> ApiKeyId {
    body["id"].as_str().unwrap().parse().unwrap()
}

/// The security events of a tenant that are about this key, in short.
async fn told(test: &TestApp, tenant: &Tenant, key: ApiKeyId) -> Vec<String> {
    let of_key = |event: &SecurityEvent| {
        let (about, more) = match &event.body {
            SecurityBody::KeyCreated { key, .. }
            | SecurityBody::KeyUsed { key }
            | SecurityBody::KeyRotated { key, .. } => (*key, String::new()),
            SecurityBody::KeyChanged { key, networks, .. } => (*key, format!(" {networks}")),
            SecurityBody::KeyEnded { key, reason } => (*key, format!(" {reason:?}")),
            SecurityBody::KeyWarned { key, days } => (*key, format!(" {days}")),
            _ => return None,
        };
        (about == key).then(|| format!("{}{more}", event.body.kind()))
    };
    security_events(test, tenant).await.iter().filter_map(of_key).collect()
}
