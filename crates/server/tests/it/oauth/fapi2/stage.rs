//! Who plays the cases: clients, a person with a browser, and what they remember from one step to the next.

use std::collections::BTreeMap;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{access::Environment, digest::Digest};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::{Map, Value, json};

use super::{
    super::{
        client::Client,
        flow::challenge,
        keys::{ClientKey, assertion_claims, base64url, proof_claims},
    },
    answers::{Came, compare},
};
use crate::{accounts::person::Person, app::TestApp};

const REDIRECT: &str = "https://app.test/cb";
const SCOPE: &str = "envelopes:read envelopes:status envelopes:void";
const VERIFIER: &str = "a-verifier-of-the-client-that-is-long-enough-for-pkce";
const RESOURCE: &str = "/v1/envelopes";

/// A key of RSA of 2048 bits, for the one algorithm that is taken and the one that is not.
struct RsaKey(aws_lc_rs::rsa::KeyPair);

impl RsaKey {
    fn new() -> Self {
        Self(aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap())
    }

    fn public(&self) -> Value {
        // RFC 8017, appendix A.1.1: the modulus, then 65537 with its tag and length.
        let der = self.0.public_key().as_ref();
        let n = &der[der.len() - 5 - self.0.public_modulus_len()..der.len() - 5];
        json!({ "kty": "RSA", "n": base64url(n), "e": "AQAB" })
    }

    fn sign(&self, algorithm: &str, mut header: Value, claims: &Value) -> String {
        header["alg"] = json!(algorithm);
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let input = format!("{}.{}", part(&header), part(claims));
        let padding: &dyn RsaEncoding = match algorithm {
            "PS256" => &RSA_PSS_SHA256,
            "RS256" => &RSA_PKCS1_SHA256,
            unknown => panic!("nobody signs with {unknown}"),
        };
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(padding, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
        format!("{input}.{}", base64url(&signature))
    }
}

/// What a client was given.
#[derive(Clone, Default)]
struct Tokens {
    access: String,
    refresh: String,
}

#[derive(Default)]
struct Memory {
    request_uri: String,
    code: String,
    tokens: BTreeMap<String, Tokens>,
    assertion: String,
    proof: String,
    /// The nonce of the last answer.
    nonce: String,
}

pub(super) struct Stage<'a> {
    test: &'a TestApp,
    clients: BTreeMap<&'static str, Client<'a>>,
    person: Person,
    memory: Memory,
    rsa: RsaKey,
}

fn registration(profile: &str, key: &ClientKey, rsa: &Value) -> Value {
    json!({
        "client_name": "Conformance suite",
        "profile": profile,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [key.public("1"), rsa] },
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "scope": SCOPE,
        "dpop_bound_access_tokens": true,
        "require_pushed_authorization_requests": true,
    })
}

fn text<'v>(step: &'v Value, name: &str, otherwise: &'v str) -> &'v str {
    step.get(name).and_then(Value::as_str).unwrap_or(otherwise)
}

/// The thumbprint of a key (RFC 7638).
fn thumbprint(key: &ClientKey) -> String {
    let bare = key.bare();
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, bare["x"], bare["y"]);
    base64url(&Digest::of(text.as_bytes()).0)
}

fn other_key() -> ClientKey {
    ClientKey::new("another DPoP key")
}

impl<'a> Stage<'a> {
    pub(super) async fn new(test: &'a TestApp) -> Self {
        let (organization, person) = test.owner("Acme", "ada@example.com").await;
        let rsa = RsaKey::new();
        let mut of_all = rsa.public();
        of_all["kid"] = json!("rsa");
        let mut clients = BTreeMap::new();
        for (name, profile) in [("first", "fapi2"), ("second", "fapi2"), ("rotating", "standard")] {
            let key = ClientKey::new(name);
            let registration = registration(profile, &key, &of_all);
            let client =
                Client::register_with(test, organization, Environment::Sandbox, key, &registration).await;
            clients.insert(name, client);
        }
        Self { test, clients, person, memory: Memory::default(), rsa }
    }

    /// Another case begins.
    pub(super) fn forget(&mut self) {
        self.memory = Memory::default();
    }

    fn client(&self, step: &Value) -> &Client<'a> {
        &self.clients[text(step, "as", "first")]
    }

    /// Does a step, and says what is not as it expects.
    pub(super) async fn run(&mut self, step: &Value) -> Result<(), String> {
        let came = match step["do"].as_str().unwrap() {
            "wait" => {
                self.test.clock.forward_s(step["seconds"].as_i64().unwrap());
                return Ok(());
            }
            "sign_in" => {
                self.person.sign_in(self.test).await;
                return Ok(());
            }
            "own" => {
                let access = self.clients["first"].own_token("envelopes:status").await;
                self.memory.tokens.insert("first".to_owned(), Tokens { access, ..Tokens::default() });
                return Ok(());
            }
            "discover" => self.answered(self.request(Method::GET, "/.well-known/openid-configuration")).await,
            "method" => {
                let method: Method = step["by"].as_str().unwrap().parse().unwrap();
                self.answered(self.request(method, "/oauth/par")).await
            }
            "push" => self.push(step).await,
            "authorize" => self.authorize(step).await,
            "token" => {
                let code = self.memory.code.clone();
                let base = json!({
                    "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT,
                    "code_verifier": VERIFIER,
                });
                self.tokens(step, base).await
            }
            "refresh" => {
                let of = text(step, "of", text(step, "as", "first"));
                let refresh = self.memory.tokens[of].refresh.clone();
                self.tokens(step, json!({ "grant_type": "refresh_token", "refresh_token": refresh })).await
            }
            "resource" => self.resource(step).await,
            unknown => panic!("nobody does {unknown}"),
        };
        if let Some(nonce) = came.headers.get("dpop-nonce") {
            nonce.to_str().unwrap().clone_into(&mut self.memory.nonce);
        }
        compare(step, &came, &self.test.app.oauth.issuer)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.test.request(method, path)
    }

    async fn answered(&self, request: RequestBuilder) -> Came {
        came(request.send().await.unwrap()).await
    }

    async fn push(&mut self, step: &Value) -> Came {
        let parameters = self.parameters(step);
        let form = self.form(step, &parameters);
        let request = self.request(Method::POST, "/oauth/par").form(&form);
        let request = self.proved(step, request, ("POST", "/oauth/par", None), "none");
        let came = self.answered(request).await;
        if let Some(request_uri) = came.body["request_uri"].as_str() {
            request_uri.clone_into(&mut self.memory.request_uri);
        }
        came
    }

    fn parameters(&self, step: &Value) -> Value {
        let base = json!({
            "redirect_uri": REDIRECT, "response_type": "code", "scope": format!("openid {SCOPE}"),
            "state": "s", "nonce": "n", "code_challenge": challenge(VERIFIER), "code_challenge_method": "S256",
        });
        self.changed(base, step.get("parameters"))
    }

    /// The browser comes with a request, and the person decides.
    async fn authorize(&mut self, step: &Value) -> Came {
        let id = json!({ "client_id": self.client(step).id.to_string() });
        let query = match &step["query"] {
            Value::String(_) => self.changed(id, Some(&self.parameters(step))),
            more => self.changed(
                self.changed(id, Some(&json!({ "request_uri": self.memory.request_uri }))),
                Some(more),
            ),
        };
        let mut url = Url::parse("https://sign.test/oauth/authorize").unwrap();
        for (name, value) in query.as_object().unwrap() {
            url.query_pairs_mut().append_pair(name, value.as_str().unwrap());
        }
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        let page = self.person.get(self.test, &path).await;
        let decision = text(step, "decision", "agree");
        let came = if decision == "none" || page.status() != reqwest::StatusCode::OK {
            came(page).await
        } else {
            let path = page.url().path().to_owned();
            came(self.person.form(self.test, &path, &[("decision", decision)]).await).await
        };
        if let Some(code) = came.location["code"].as_str() {
            code.clone_into(&mut self.memory.code);
        }
        came
    }

    async fn tokens(&mut self, step: &Value, base: Value) -> Came {
        let parameters = self.changed(base, step.get("parameters"));
        let form = self.form(step, &parameters);
        let request = self.request(Method::POST, "/oauth/token").form(&form);
        let request = self.proved(step, request, ("POST", "/oauth/token", None), "own");
        let came = self.answered(request).await;
        if let Some(access) = came.body["access_token"].as_str() {
            let who = text(step, "as", "first");
            let before = self.memory.tokens.get(who).map(|tokens| tokens.refresh.clone());
            let refresh =
                came.body["refresh_token"].as_str().map(str::to_owned).or(before).unwrap_or_default();
            let tokens = Tokens { access: access.to_owned(), refresh };
            if text(step, "keep", "") == "tokens" {
                self.memory.tokens.insert("kept".to_owned(), tokens.clone());
            }
            self.memory.tokens.insert(who.to_owned(), tokens);
        }
        came
    }

    async fn resource(&mut self, step: &Value) -> Came {
        let of = text(step, "of", text(step, "as", "first"));
        let access = self.memory.tokens[of].access.clone();
        let credentials = format!("{} {access}", text(step, "scheme", "DPoP"));
        let request = self.request(Method::GET, RESOURCE).header("Authorization", credentials);
        let request = self.proved(step, request, ("GET", RESOURCE, Some(access.as_str())), "own");
        self.answered(request).await
    }

    /// The parameters as a form, with the client's proof of itself.
    fn form(&mut self, step: &Value, parameters: &Value) -> Vec<(String, String)> {
        let own = json!({
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.assertion(step),
        });
        let mut form = match text(step, "assertion", "") {
            "none" => self
                .changed(parameters.clone(), Some(&json!({ "client_id": self.client(step).id.to_string() }))),
            _ => self.changed(parameters.clone(), Some(&own)),
        };
        form = self.changed(form, step.get("form"));
        if text(step, "keep", "") == "assertion" {
            own["client_assertion"].as_str().unwrap().clone_into(&mut self.memory.assertion);
        }
        let pairs = form.as_object().unwrap().iter();
        pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    fn assertion(&self, step: &Value) -> String {
        if text(step, "assertion", "") == "kept" {
            return self.memory.assertion.clone();
        }
        let client = self.client(step);
        let issuer = &self.test.app.oauth.issuer;
        let claims = assertion_claims(&client.id.to_string(), issuer, &client.jti(), self.test.app.now());
        let header = json!({ "alg": "ES256", "kid": "1", "typ": "JWT" });
        if let Some(algorithm) = step["assertion"]["rsa"].as_str() {
            return self.rsa.sign(algorithm, json!({ "kid": "rsa" }), &claims);
        }
        self.signed(&step["assertion"], header, claims, &client.key)
    }

    /// The request with the proof of possession that a step wants, and with its other headers.
    fn proved(
        &mut self,
        step: &Value,
        request: RequestBuilder,
        (method, path, token): (&str, &str, Option<&str>),
        otherwise: &str,
    ) -> RequestBuilder {
        let more = step["headers"].as_object().into_iter().flatten();
        let request =
            more.fold(request, |request, (name, value)| request.header(name, value.as_str().unwrap()));
        let wish =
            step.get("proof").filter(|wish| !wish.is_null()).cloned().unwrap_or_else(|| json!(otherwise));
        let client = self.client(step);
        let proof = match wish.as_str() {
            Some("none") => return request,
            Some("kept") => self.memory.proof.clone(),
            named => {
                let is_other = named == Some("other") || wish["key"] == "other";
                let key = if is_other { other_key() } else { client.dpop.clone() };
                let (url, nonce) = (client.url(path), client.nonce());
                let claims =
                    proof_claims(method, &url, &client.jti(), self.test.app.now(), Some(&nonce), token);
                let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.bare() });
                if let Some(algorithm) = wish["rsa"].as_str() {
                    let header = json!({ "typ": "dpop+jwt", "jwk": self.rsa.public() });
                    let proof = self.rsa.sign(algorithm, header, &claims);
                    return request.header("DPoP", proof);
                }
                self.signed(&wish, header, claims, &key)
            }
        };
        if text(step, "keep", "") == "proof" {
            self.memory.proof.clone_from(&proof);
        }
        let count = wish.get("headers").and_then(Value::as_u64).unwrap_or(1);
        (0..count).fold(request, |request, _| request.header("DPoP", &proof))
    }

    /// A token with the header, claims and signature of a step.
    fn signed(&self, wish: &Value, header: Value, claims: Value, key: &ClientKey) -> String {
        let good =
            key.sign(&self.changed(header, wish.get("header")), &self.changed(claims, wish.get("claims")));
        let (input, signature) = good.rsplit_once('.').unwrap();
        match wish.get("signature").and_then(Value::as_str) {
            None => good,
            Some("none") => format!("{input}."),
            Some("cut") => input.to_owned(),
            Some("broken") => {
                let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
                signature[40] ^= 1;
                format!("{input}.{}", base64url(&signature))
            }
            Some(unknown) => panic!("no signature is called {unknown}"),
        }
    }

    /// The object with changes: a member that is null there is taken out.
    fn changed(&self, mut object: Value, changes: Option<&Value>) -> Value {
        let members: &mut Map<String, Value> = object.as_object_mut().unwrap();
        for (name, value) in changes.and_then(Value::as_object).into_iter().flatten() {
            match self.meant(value) {
                Value::Null => members.remove(name),
                meant => members.insert(name.clone(), meant),
            };
        }
        object
    }

    /// The value that a word stands for.
    fn meant(&self, value: &Value) -> Value {
        let Some(word) = value.as_str() else { return value.clone() };
        let first = &self.clients["first"];
        match word {
            "$client" => json!(first.id.to_string()),
            "$other_client" => json!(self.clients["second"].id.to_string()),
            "$jkt" => json!(thumbprint(&first.dpop)),
            "$other_jkt" => json!(thumbprint(&other_key())),
            "$given" => json!(self.memory.nonce),
            "$private_jwk" => first.dpop.private("1"),
            _ => match word.strip_prefix("$now") {
                Some(moved) => {
                    let moved = if moved.is_empty() { 0 } else { moved.parse::<i64>().unwrap() };
                    json!(self.test.app.now().unix_ms() / 1_000 + moved)
                }
                None => value.clone(),
            },
        }
    }
}

async fn came(response: Response) -> Came {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let location = headers.get("location").and_then(|to| Url::parse(to.to_str().unwrap()).ok());
    let location = location.map_or(Value::Null, |to| {
        to.query_pairs().map(|(name, value)| (name.into_owned(), json!(value))).collect::<Map<_, _>>().into()
    });
    let body = serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null);
    let id_token = claims_of(&body["id_token"]);
    Came { status, headers, body, location, id_token }
}

/// The claims of a token, unproved.
fn claims_of(token: &Value) -> Value {
    let Some(text) = token.as_str() else { return Value::Null };
    let claims = URL_SAFE_NO_PAD.decode(text.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}
