//! The calls of the API, as an integrator would write them.

use countersign_core::digest::Digest;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use super::{DemoFault, client::DpopClient};

/// The API as one caller sees it.
pub struct Api {
    http: Client,
    url: String,
    credential: Credential,
}

enum Credential {
    /// An API key.
    Key(String),
    /// A client with access tokens that are bound to its key.
    Client(Box<DpopClient>),
}

impl Api {
    /// A client for the service at `url` with an API key.
    pub fn new(http: Client, url: &str, token: &str) -> Self {
        Self { http, url: url.to_owned(), credential: Credential::Key(token.to_owned()) }
    }

    /// A client for the service at `url` with access tokens.
    pub fn of_client(http: Client, url: &str, client: DpopClient) -> Self {
        Self { http, url: url.to_owned(), credential: Credential::Client(Box::new(client)) }
    }

    async fn bytes(&self, what: &str, request: RequestBuilder) -> Result<Vec<u8>, DemoFault> {
        let response = match &self.credential {
            Credential::Key(token) => request.bearer_auth(token).send().await?,
            Credential::Client(client) => client.send(&self.http, request).await?,
        };
        let status = response.status();
        let bytes = response.bytes().await?;
        if status.is_success() {
            return Ok(bytes.to_vec());
        }
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Err(DemoFault::Refused { what: what.to_owned(), status: status.as_u16(), body })
    }

    /// Gets bytes.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, DemoFault> {
        self.bytes(path, self.http.get(format!("{}{path}", self.url))).await
    }

    /// Gets JSON.
    pub async fn get_json(&self, path: &str) -> Result<Value, DemoFault> {
        json(&self.get(path).await?)
    }

    /// Posts JSON under an idempotency key.
    pub async fn post_json(&self, path: &str, key: &str, body: &Value) -> Result<Value, DemoFault> {
        let request = self.http.post(format!("{}{path}", self.url)).header("idempotency-key", key).json(body);
        json(&self.bytes(path, request).await?)
    }

    /// Posts nothing under an idempotency key.
    pub async fn post(&self, path: &str, key: &str) -> Result<Value, DemoFault> {
        let request = self.http.post(format!("{}{path}", self.url)).header("idempotency-key", key);
        json(&self.bytes(path, request).await?)
    }

    /// Uploads a PDF; its id.
    pub async fn upload(&self, name: &str, key: &str, pdf: Vec<u8>) -> Result<String, DemoFault> {
        let request = self
            .http
            .post(format!("{}/v1/documents", self.url))
            .query(&[("name", name)])
            .header("idempotency-key", key)
            .header("content-type", "application/pdf")
            .body(pdf);
        id_of(&json(&self.bytes("/v1/documents", request).await?)?)
    }

    /// The newest mail to `address` that holds all of `words`, as text; `None` while there is none.
    pub async fn mail(&self, address: &str, words: &[&str]) -> Result<Option<String>, DemoFault> {
        let page = self.get_json("/v1/mailbox").await?;
        let mails = page.get("mails").and_then(Value::as_array);
        let messages = mails.into_iter().flatten().filter_map(|mail| mail.get("message")?.as_str());
        let found = messages.map(|message| message.replace("=\r\n", "")).find(|message| {
            message.lines().any(|line| line.starts_with("To:") && line.contains(address))
                && words.iter().all(|word| message.contains(word))
        });
        Ok(found)
    }
}

fn json(bytes: &[u8]) -> Result<Value, DemoFault> {
    serde_json::from_slice(bytes).map_err(|error| DemoFault::Unexpected(error.to_string()))
}

/// The id in an answer.
pub fn id_of(answer: &Value) -> Result<String, DemoFault> {
    let id = answer.get("id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| DemoFault::Unexpected("the answer has no id".to_owned()))
}

/// An idempotency key that is the same for the same act of the same run.
pub fn key_of(run: &[u8], act: &str) -> String {
    Digest::of_parts(&[run, act.as_bytes()]).to_string()
}
