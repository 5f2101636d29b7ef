//! The modules of the OpenID conformance suite for the FAPI 2.0 Security Profile, as data. `pure.json` has what values
//! alone decide, and runs here with real signatures. The server's tests run it once more over HTTP, with what needs a server,
//! and see that no module of `modules.json` is without a case.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{
    digest::Digest,
    id::ClientId,
    limits,
    oauth::{
        assertion,
        authorize::{self, AuthorizationRequest, Source},
        client::Registration,
        dpop::{self, BadProof, Request},
        error::OAuthError,
        form::Parameters,
        jose::{Algorithm, Jwk, JwkSet, PublicKey, VerifySignature},
        nonce::NonceKey,
        refresh::{self, GrantNow, Use},
        terms::BoundBy,
        token::{self, CallerProof, CodeNow, CodeTerms, Redeemer, Redemption},
    },
    time::Time,
};
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{Signer as _, Verifier as _},
};
use serde_json::{Map, Value, json};

const NOW_S: i64 = 1_795_000_000;
const ISSUER: &str = "https://sign.test";
const URL: &str = "https://sign.test/v1/envelopes";
const TOKEN: &str = "cst_sandbox_example";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn pure() -> Vec<Value> {
    serde_json::from_str(include_str!("oauth_fapi2/pure.json")).unwrap()
}

fn now() -> Time {
    Time::from_unix_ms(NOW_S * 1_000)
}

fn client(is_other: bool) -> ClientId {
    ClientId::from_bytes([if is_other { 5 } else { 4 }; 16])
}

/// A key pair of ES256, by a library of others.
struct Key(SigningKey);

impl Key {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    fn jwk(&self) -> Jwk {
        let point = self.0.verifying_key().to_sec1_point(false);
        let coordinate = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).unwrap();
        let key = PublicKey::P256 { x: coordinate(point.x().unwrap()), y: coordinate(point.y().unwrap()) };
        Jwk::new(key, "a")
    }

    fn jkt(&self) -> Digest {
        self.jwk().thumbprint()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().to_vec()
    }
}

struct Verify;

impl VerifySignature for Verify {
    fn verify(&self, key: &Jwk, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let PublicKey::P256 { x, y } = &key.key else { return false };
        let point: Vec<u8> = [&[4], x.as_slice(), y.as_slice()].concat();
        let key = VerifyingKey::from_sec1_bytes(&point);
        let signature = Signature::from_slice(signature);
        algorithm == Algorithm::Es256
            && key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify(message, &signature).is_ok()))
    }
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn own() -> Key {
    Key::new(7)
}

fn other() -> Key {
    Key::new(8)
}

/// The value that a text of the data stands for.
fn meant(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    match text {
        "$client" => json!(client(false).to_string()),
        "$other_client" => json!(client(true).to_string()),
        "$jkt" => json!(base64url(&own().jkt().0)),
        "$other_jkt" => json!(base64url(&other().jkt().0)),
        "$private_jwk" => {
            let mut jwk = own().jwk().to_json();
            jwk["d"] = json!(base64url(&[7; 32]));
            jwk
        }
        _ => match text.strip_prefix("$now") {
            Some("") => json!(NOW_S),
            Some(moved) => json!(NOW_S + moved.parse::<i64>().unwrap()),
            None => value.clone(),
        },
    }
}

/// The object with the changes of a case: a member that is null there is taken out.
fn changed(mut object: Value, changes: Option<&Value>) -> Value {
    let members: &mut Map<String, Value> = object.as_object_mut().unwrap();
    for (name, value) in changes.and_then(Value::as_object).into_iter().flatten() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), meant(value));
        }
    }
    object
}

/// A token with the header, claims and signature of a case.
fn signed(case: &Value, header: Value, claims: Value, key: &Key) -> String {
    let header = changed(header, case.get("header"));
    let claims = changed(claims, case.get("claims"));
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    let input = format!("{}.{}", part(&header), part(&claims));
    let mut signature = key.sign(input.as_bytes());
    match case.get("signature").and_then(Value::as_str) {
        None => {}
        Some("none") => signature.clear(),
        Some("broken") => signature[40] ^= 1,
        Some("cut") => return input,
        Some(unknown) => panic!("no signature is called {unknown}"),
    }
    format!("{input}.{}", base64url(&signature))
}

fn outcome<T>(result: Result<T, OAuthError>) -> String {
    result.map_or_else(|error| error.code.text().to_owned(), |_| "ok".to_owned())
}

fn judge_assertion(case: &Value) -> String {
    let header = json!({ "alg": "ES256", "kid": "a", "typ": "JWT" });
    let name = client(false).to_string();
    let claims = json!({
        "iss": name, "sub": name, "aud": ISSUER, "jti": "0123456789abcdef",
        "iat": NOW_S, "exp": NOW_S + 60,
    });
    let text = signed(case, header, claims, &own());
    let judged = assertion::client_of(&text).and_then(|found| {
        let keys = if found == client(false) { own().jwk() } else { other().jwk() };
        assertion::check(&text, found, &JwkSet::new(vec![keys]), ISSUER, now(), &Verify)
            .map_err(|wrong| wrong.error)
    });
    outcome(judged)
}

fn judge_dpop(case: &Value) -> String {
    let nonces = NonceKey::new([1; 32]);
    let key = if case.get("key").is_some() { other() } else { own() };
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk().to_json() });
    let claims = json!({
        "jti": "0123456789abcdef", "htm": "GET", "htu": URL, "iat": NOW_S,
        "ath": base64url(&Digest::of(TOKEN.as_bytes()).0), "nonce": nonces.issue(now()),
    });
    let proof = signed(case, header, claims, &key);
    let count = case.get("headers").and_then(Value::as_u64).unwrap_or(1);
    let headers: Vec<&str> = (0..count).map(|_| proof.as_str()).collect();
    let request = Request { method: "GET", url: &format!("{URL}?limit=1"), token: Some(TOKEN) };
    let checked = dpop::check(&headers, &request, Some(&nonces), now(), &Verify);
    // What `presented` judges once the token was looked up.
    let bound = checked
        .and_then(|proof| if proof.thumbprint == own().jkt() { Ok(proof) } else { Err(BadProof::OtherKey) });
    outcome(bound.map_err(OAuthError::from))
}

fn registration() -> Registration {
    let value = json!({
        "client_name": "Ledger", "profile": "fapi2", "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [own().jwk().to_json()] }, "redirect_uris": ["https://app.test/cb"],
        "grant_types": ["authorization_code", "refresh_token"], "scope": "envelopes:read envelopes:void",
        "dpop_bound_access_tokens": true, "require_pushed_authorization_requests": true,
    });
    Registration::parse(value.to_string().as_bytes()).unwrap()
}

/// What the caller proved: the key that the case names.
fn caller(case: &Value, name: &str) -> CallerProof {
    let key = match case.get(name).and_then(Value::as_str) {
        Some("other") => Some(other().jkt()),
        Some("own") => Some(own().jkt()),
        _ => None,
    };
    let is_authenticated = case.get("authenticated").and_then(Value::as_bool).unwrap_or(true);
    CallerProof { is_authenticated, key, certificate: None }
}

fn judge_authorize(case: &Value) -> String {
    let base = json!({
        "client_id": client(false).to_string(), "redirect_uri": "https://app.test/cb", "response_type": "code",
        "scope": "openid envelopes:read envelopes:void", "state": "s", "nonce": "n",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    });
    let parameters = changed(base, case.get("parameters"));
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let pairs = parameters.as_object().unwrap().iter();
    let pairs: Vec<_> =
        pairs.map(|(name, value)| format!("{name}={}", encode(value.as_str().unwrap()))).collect();
    let parameters = Parameters::parse(pairs.join("&").as_bytes()).unwrap();
    let registration = registration();
    let source = if case.get("source").is_some() { Source::Query } else { Source::Pushed };
    let read = authorize::read(&parameters, client(false), &registration, registration.scope, source);
    let proved = caller(case, "proved").key;
    let bound =
        read.map_err(|refused| refused.error().clone()).and_then(|mut request: AuthorizationRequest| {
            request.bind(proved)?;
            assert_eq!(request.dpop_jkt, proved, "the code is bound to the proved key");
            Ok(request)
        });
    outcome(bound)
}

fn judge_redeem(case: &Value) -> String {
    let is_bound = case.get("bound").is_some();
    let terms = CodeTerms {
        client_id: client(false),
        redirect_uri: "https://app.test/cb".to_owned(),
        code_challenge: serde_json::from_value(json!(CHALLENGE)).unwrap(),
        dpop_jkt: is_bound.then(|| own().jkt()),
    };
    let code = CodeNow {
        terms: &terms,
        expires_at: now().plus_s(limits::AUTHORIZATION_CODE_S),
        is_used: case.get("used").is_some(),
    };
    let base = json!({ "redirect_uri": "https://app.test/cb", "code_verifier": VERIFIER });
    let parameters = changed(base, case.get("parameters"));
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let key = if case.get("key").is_some() { other() } else { own() };
    let redeemer = Redeemer {
        client: client(case.get("client").is_some()),
        redirect_uri: text("redirect_uri"),
        code_verifier: text("code_verifier"),
        proof: CallerProof { is_authenticated: true, key: Some(key.jkt()), certificate: None },
    };
    match token::redeem(&code, &redeemer, later(case)) {
        Redemption::Granted => "ok".to_owned(),
        Redemption::Reused => "reused".to_owned(),
        Redemption::Refused(error) => error.code.text().to_owned(),
    }
}

fn later(case: &Value) -> Time {
    now().plus_s(case.get("later_s").and_then(Value::as_i64).unwrap_or(0))
}

fn judge_binding(case: &Value) -> String {
    let before = case.get("before").map(|_| BoundBy::Key);
    outcome(token::binding(&registration(), &caller(case, "proved"), before))
}

fn judge_refresh(case: &Value) -> String {
    let grant = GrantNow {
        client: client(false),
        is_confidential: true,
        rotates: registration().rotates(),
        binding: None,
        generation: 1,
        retry_of: None,
        rotated_at: now(),
        created_at: now(),
        expires_at: now().plus_s(limits::GRANT_IDLE_S),
        is_ended: false,
    };
    let who = client(case.get("client").is_some());
    match refresh::decide(&grant, 1, who, &caller(case, "proved"), later(case)) {
        Use::Keep => "keep".to_owned(),
        Use::Unproven => "unproven".to_owned(),
        other => format!("{other:?}"),
    }
}

/// each case of the suite that values decide, decided as the suite expects it.
#[test]
fn the_pure_cases_of_the_conformance_suite_are_judged_as_it_expects() {
    let cases = pure();
    assert!(cases.len() > 70);
    for case in &cases {
        let found = match case["judge"].as_str().unwrap() {
            "assertion" => judge_assertion(case),
            "dpop" => judge_dpop(case),
            "authorize" => judge_authorize(case),
            "redeem" => judge_redeem(case),
            "binding" => judge_binding(case),
            "refresh" => judge_refresh(case),
            unknown => panic!("nothing is judged by {unknown}"),
        };
        assert_eq!(json!(found), case["expect"], "{}: {}", case["module"], case["case"]);
    }
}
