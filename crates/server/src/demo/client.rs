//! An OAuth client as an integrator would write one: it proves who it is with one key, binds its tokens to another, takes the
//! server's nonces, and asks for a new token before the old one ends.

use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{digest::Digest, id::ClientId, oauth::assertion::ASSERTION_TYPE, time::Time};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::DemoFault;
use crate::{
    app::{Clock, Randomness, draw},
    keys::SigningKey,
};

/// A token is asked for anew so long before its end.
const EARLIER_MS: i64 = 30_000;

/// A client with its keys.
pub struct DpopClient {
    /// Its id.
    pub id: ClientId,
    /// Its name for the server: the audience of its assertions.
    pub issuer: String,
    /// The scopes that it asks for.
    pub scope: String,
    /// Proves who it is.
    pub key: SigningKey,
    /// What its tokens are bound to.
    pub dpop: SigningKey,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The dice.
    pub random: Arc<dyn Randomness>,
    /// What the server said last.
    pub held: Mutex<Held>,
}

/// A token and a nonce, as far as there are some.
#[derive(Default)]
pub struct Held {
    token: Option<(String, Time)>,
    nonce: Option<String>,
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> Result<String, DemoFault> {
    let input = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(input.as_bytes())?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

impl DpopClient {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jti(&self) -> String {
        URL_SAFE_NO_PAD.encode(draw::<16>(&*self.random))
    }

    fn now_s(&self) -> i64 {
        self.clock.now().unix_ms() / 1_000
    }

    /// RFC 7523, as FAPI 2.0 has it.
    fn assertion(&self) -> Result<String, DemoFault> {
        let (id, now_s) = (self.id.to_string(), self.now_s());
        let claims = json!({
            "iss": id, "sub": id, "aud": self.issuer, "jti": self.jti(), "iat": now_s, "exp": now_s + 60,
        });
        signed(&self.key, &json!({ "alg": "ES256" }), &claims)
    }

    /// RFC 9449 §4.2.
    fn proof(&self, method: &str, url: &str, token: Option<&str>) -> Result<String, DemoFault> {
        let public = self.dpop.public_jwk().ok_or_else(|| super::unexpected("a key has no public part"))?;
        let mut claims = Map::new();
        claims.insert("htm".to_owned(), json!(method));
        claims.insert("htu".to_owned(), json!(url));
        claims.insert("jti".to_owned(), json!(self.jti()));
        claims.insert("iat".to_owned(), json!(self.now_s()));
        if let Some(nonce) = &self.held().nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        if let Some(token) = token {
            let hash = URL_SAFE_NO_PAD.encode(Digest::of(token.as_bytes()).0);
            claims.insert("ath".to_owned(), json!(hash));
        }
        let header = json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": public });
        signed(&self.dpop, &header, &Value::Object(claims))
    }

    /// Keeps the nonce of an answer; whether the request is to be sent again with it (RFC 9449 §8).
    fn is_to_be_sent_again(&self, response: &Response) -> bool {
        let nonce =
            response.headers().get("dpop-nonce").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut held = self.held();
        let is_new = nonce.is_some() && nonce != held.nonce;
        held.nonce = nonce.or(held.nonce.take());
        is_new && matches!(response.status(), StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED)
    }

    /// A token that does not end at once.
    async fn token(&self, http: &Client) -> Result<String, DemoFault> {
        let now = self.clock.now();
        if let Some((token, ends_at)) = &self.held().token
            && ends_at.since_ms(now) > EARLIER_MS
        {
            return Ok(token.clone());
        }
        let url = format!("{}/oauth/token", self.issuer);
        for _ in 0..2 {
            let assertion = self.assertion()?;
            let form = [
                ("grant_type", "client_credentials"),
                ("scope", self.scope.as_str()),
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", assertion.as_str()),
            ];
            let proof = self.proof("POST", &url, None)?;
            let response = http.post(&url).form(&form).header("dpop", proof).send().await?;
            let again = self.is_to_be_sent_again(&response);
            let status = response.status();
            let body = response.text().await?;
            if status.is_success() {
                return self.keep(&body);
            }
            if !again {
                return Err(DemoFault::Refused { what: "a token".to_owned(), status: status.as_u16(), body });
            }
        }
        Err(super::unexpected("the server took no nonce of its own"))
    }

    fn keep(&self, body: &str) -> Result<String, DemoFault> {
        let answer: Value =
            serde_json::from_str(body).map_err(|error| DemoFault::Unexpected(error.to_string()))?;
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| super::unexpected("the answer has no access token"))?;
        let life_s = answer.get("expires_in").and_then(Value::as_i64).unwrap_or_default();
        self.held().token = Some((token.to_owned(), self.clock.now().plus_s(life_s)));
        Ok(token.to_owned())
    }

    /// Sends a request with a token and a proof, and once more with the nonce that the server wants.
    pub async fn send(&self, http: &Client, request: RequestBuilder) -> Result<Response, DemoFault> {
        let token = self.token(http).await?;
        let mut request = request.header("authorization", format!("DPoP {token}")).build()?;
        for is_last in [false, true] {
            let mut url = request.url().clone();
            url.set_query(None);
            let proof = self.proof(request.method().as_str(), url.as_str(), Some(&token))?;
            let again = request.try_clone();
            let value = proof.parse().map_err(|_| super::unexpected("a proof is no header"))?;
            request.headers_mut().insert("dpop", value);
            let response = http.execute(request).await?;
            match again {
                Some(again) if self.is_to_be_sent_again(&response) && !is_last => request = again,
                _ => return Ok(response),
            }
        }
        Err(super::unexpected("the server took no nonce of its own"))
    }
}
