//! An OpenID provider of our own, over TLS on the loopback address, that answers rightly or in any wrong way.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::digest::Digest;
use countersign_server::app::Clock as _;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use reqwest::Url;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use crate::{
    app::TestClock,
    oauth::keys::{ClientKey, base64url},
};

/// A CA of these tests, and a certificate of `localhost` with its key, both also as PEM files.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(folder.path().join("certificate.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    Authority { folder, certificate, key }
});

impl Authority {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// How the provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As it should.
    Well,
    /// With an ID token that is not signed.
    Unsigned,
    /// Signed with the secret that both sides have.
    Hs256,
    /// Signed with a key that it does not publish.
    OtherKey,
    /// Signed with a key of a name that it does not publish.
    UnknownKey,
    /// With this error of the token endpoint, and words of its own.
    Refuses(&'static str),
    /// With a status of 500.
    Broken,
    /// Never.
    Never,
    /// Without an end.
    Huge,
}

/// A header and a form.
type Seen = (Option<String>, HashMap<String, String>);
type Spoil = Arc<dyn Fn(&mut Value) + Send + Sync>;

struct Inner {
    clock: Arc<TestClock>,
    url: String,
    key: ClientKey,
    how: Mutex<How>,
    spoil: Mutex<Spoil>,
    /// Whether its metadata says that responses name the issuer (RFC 9207).
    names_issuer: Mutex<bool>,
    /// How often its metadata were asked for.
    lookups: AtomicUsize,
    /// The name of the key that it publishes and signs with.
    kid: Mutex<&'static str>,
    requests: Mutex<HashMap<String, HashMap<String, String>>>,
    /// What came to the token endpoint: header and form.
    seen: Mutex<Vec<Seen>>,
}

/// The provider.
pub(crate) struct Issuer(Arc<Inner>);

impl Drop for Issuer {
    fn drop(&mut self) {
        *self.0.how.lock().unwrap() = How::Broken;
    }
}

pub(crate) const SECRET: &str = "a secret that both sides have, and nobody else";

impl Issuer {
    pub(crate) async fn start(clock: Arc<TestClock>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let inner = Arc::new(Inner {
            clock,
            url,
            key: ClientKey::new("provider"),
            how: Mutex::new(How::Well),
            spoil: Mutex::new(Arc::new(|_| {})),
            names_issuer: Mutex::new(true),
            lookups: AtomicUsize::default(),
            kid: Mutex::new("1"),
            requests: Mutex::default(),
            seen: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(Arc::clone(&inner));
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(AUTHORITY.key.serialize_der()));
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![AUTHORITY.certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let io = TokioIo::new(stream);
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
                });
            }
        });
        Self(inner)
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) fn answer_like(&self, how: How) {
        *self.0.how.lock().unwrap() = how;
    }

    pub(crate) fn name_issuer(&self, names: bool) {
        *self.0.names_issuer.lock().unwrap() = names;
    }

    /// Publishes its key under another name, and signs with that.
    pub(crate) fn rename_key(&self, kid: &'static str) {
        *self.0.kid.lock().unwrap() = kid;
    }

    /// How often its metadata were asked for.
    pub(crate) fn lookups(&self) -> usize {
        self.0.lookups.load(Ordering::SeqCst)
    }

    /// Changes the claims of its ID tokens from now on.
    pub(crate) fn spoil(&self, spoil: impl Fn(&mut Value) + Send + Sync + 'static) {
        *self.0.spoil.lock().unwrap() = Arc::new(spoil);
    }

    /// What came to the token endpoint last.
    pub(crate) fn seen(&self) -> Seen {
        self.0.seen.lock().unwrap().last().unwrap().clone()
    }

    /// Lets somebody sign in who came to `address`: the path with which the browser is sent back.
    pub(crate) fn let_in(&self, address: &str) -> String {
        let url: Url = address.parse().unwrap();
        assert!(address.starts_with(&format!("{}/authorize?", self.0.url)), "{address}");
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let redirect: Url = asked["redirect_uri"].parse().unwrap();
        assert_eq!((&*asked["response_type"], &*asked["code_challenge_method"]), ("code", "S256"));
        let code = format!("code-{}", self.0.requests.lock().unwrap().len());
        let back = format!(
            "{}?code={code}&state={}&iss={}&session_state=x",
            redirect.path(),
            asked["state"],
            openidconnect::url::form_urlencoded::byte_serialize(self.0.url.as_bytes()).collect::<String>()
        );
        self.0.requests.lock().unwrap().insert(code, asked);
        back
    }
}

async fn misbehave(inner: &Inner) -> Option<Response> {
    let how = *inner.how.lock().unwrap();
    match how {
        How::Broken => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        How::Huge => Some(vec![b' '; 1 << 20].into_response()),
        How::Never => std::future::pending().await,
        _ => None,
    }
}

async fn metadata(State(inner): State<Arc<Inner>>) -> Response {
    inner.lookups.fetch_add(1, Ordering::SeqCst);
    if let Some(wrong) = misbehave(&inner).await {
        return wrong;
    }
    let url = &inner.url;
    let names_issuer = *inner.names_issuer.lock().unwrap();
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // It says more than is taken here.
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        "authorization_response_iss_parameter_supported": names_issuer,
    }))
    .into_response()
}

async fn jwks(State(inner): State<Arc<Inner>>) -> Response {
    Json(json!({ "keys": [inner.key.public(*inner.kid.lock().unwrap())] })).into_response()
}

async fn token(
    State(inner): State<Arc<Inner>>,
    headers: axum::http::HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    inner.seen.lock().unwrap().push((authorization, form.clone()));
    if let Some(wrong) = misbehave(&inner).await {
        return wrong;
    }
    // It takes a code again and again: that a response is good once must not depend on it.
    let asked = inner.requests.lock().unwrap().get(&form["code"]).cloned();
    let fits = asked.as_ref().is_some_and(|asked| {
        let challenge = base64url(&Digest::of(form["code_verifier"].as_bytes()).0);
        asked["code_challenge"] == challenge && asked["redirect_uri"] == form["redirect_uri"]
    });
    let Some(asked) = asked.filter(|_| fits) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    let now_s = inner.clock.now().unix_ms() / 1_000;
    let mut claims = json!({
        "iss": inner.url,
        "sub": "ada-of-the-provider",
        "aud": asked["client_id"],
        "iat": now_s,
        "exp": now_s + 300,
        "auth_time": now_s - 5,
        "nonce": asked["nonce"],
        "acr": "silver",
        "email": "ada@example.com",
        "email_verified": true,
    });
    let spoil = Arc::clone(&inner.spoil.lock().unwrap());
    spoil(&mut claims);
    let how = *inner.how.lock().unwrap();
    if let How::Refuses(error) = how {
        let said = json!({ "error": error, "error_description": "call-0123456" });
        return (StatusCode::BAD_REQUEST, Json(said)).into_response();
    }
    let id_token = match how {
        How::Unsigned => format!("{}.", input(&json!({ "alg": "none" }), &claims)),
        How::Hs256 => {
            let input = input(&json!({ "alg": "HS256" }), &claims);
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
            format!("{input}.{}", base64url(aws_lc_rs::hmac::sign(&key, input.as_bytes()).as_ref()))
        }
        How::UnknownKey => inner.key.sign(&json!({ "alg": "ES256", "kid": "unknown" }), &claims),
        How::OtherKey => ClientKey::new("other").sign(&json!({ "alg": "ES256", "kid": "1" }), &claims),
        _ => inner.key.sign(&json!({ "alg": "ES256", "kid": *inner.kid.lock().unwrap() }), &claims),
    };
    let answer =
        json!({ "access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": id_token });
    Json(answer).into_response()
}

fn input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// The header of `client_secret_basic` for a client of this id.
pub(crate) fn basic(client: &str) -> String {
    let encode =
        |text: &str| openidconnect::url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(client), encode(SECRET))))
}
