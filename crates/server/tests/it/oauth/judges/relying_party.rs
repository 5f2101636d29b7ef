//! The crate `openidconnect` as a relying party: it finds the server by discovery, sends the person with PKCE and a nonce, and
//! verifies the ID token with its `at_hash`. There is no userinfo endpoint, and it finds none.

use openidconnect::{
    AccessToken, AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse as _,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreIdToken, CoreIdTokenClaims,
        CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm, CoreProviderMetadata,
        CoreTokenResponse,
    },
};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use super::{server, visit};
use crate::{
    app::TestApp,
    oauth::{
        flow::{REDIRECT, Scene, query},
        keys::ClientKey,
    },
};

/// The library's client after discovery.
type Party = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

async fn send(test: &TestApp, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let response = test.client.execute(request.try_into()?).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
    (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
    Ok(answer)
}

fn registration(method: &str, grant_types: &[&str]) -> Value {
    json!({
        "client_name": "Relying party",
        "token_endpoint_auth_method": method,
        "redirect_uris": [REDIRECT],
        "grant_types": grant_types,
        "scope": "envelopes:status",
    })
}

async fn discover(test: &TestApp) -> CoreProviderMetadata {
    let issuer = IssuerUrl::new(test.app.config.server.public_url.clone()).unwrap();
    CoreProviderMetadata::discover_async(issuer, &|request| send(test, request)).await.unwrap()
}

async fn party(scene: &Scene<'_>) -> Party {
    let metadata = discover(scene.client.test).await;
    assert!(metadata.userinfo_endpoint().is_none());
    let secret = scene.client.secret.clone().map(ClientSecret::new);
    let id = ClientId::new(scene.client.id.to_string());
    CoreClient::from_provider_metadata(metadata, id, secret)
        .set_redirect_uri(RedirectUrl::new(REDIRECT.to_owned()).unwrap())
}

/// Sends the person; what came back and what must fit it.
async fn authorize(scene: &Scene<'_>, party: &Party) -> (AuthorizationCode, PkceCodeVerifier, Nonce) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let asked = party
        .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("envelopes:status".to_owned()))
        .set_pkce_challenge(challenge);
    let (url, state, nonce) = asked.url();
    let back = visit(scene, &Url::parse(url.as_str()).unwrap()).await;
    assert_eq!(query(&back, "state").as_ref(), Some(state.secret()));
    (AuthorizationCode::new(query(&back, "code").unwrap()), verifier, nonce)
}

/// Whether the ID token ties this access token to itself (OpenID Connect Core §3.1.3.8).
fn ties(
    id_token: &CoreIdToken,
    claims: &CoreIdTokenClaims,
    verifier: &CoreIdTokenVerifier<'_>,
    token: &AccessToken,
) -> bool {
    let (algorithm, key) = (id_token.signing_alg().unwrap(), id_token.signing_key(verifier).unwrap());
    let hash = AccessTokenHash::from_token(token, algorithm, key).unwrap();
    claims.access_token_hash().expect("there is an at_hash") == &hash
}

/// with a secret in a sandbox, and as a public client, the crate takes the ID token as good and the API its access
/// token. Another nonce, another client, another key and another access token are told from it.
#[tokio::test(flavor = "multi_thread")]
async fn openidconnect_verifies_who_signed_in() {
    for (method, grant_types) in [
        ("client_secret_basic", ["authorization_code", "refresh_token"].as_slice()),
        ("none", &["authorization_code"]),
    ] {
        let test = server().await;
        let key = ClientKey::new("relying party");
        let scene = Scene::with(&test, key, &registration(method, grant_types)).await;
        let party = party(&scene).await;
        let (code, verifier, nonce) = authorize(&scene, &party).await;
        let exchange = party.exchange_code(code).unwrap().set_pkce_verifier(verifier);
        let answer: CoreTokenResponse =
            exchange.request_async(&|request| send(&test, request)).await.unwrap();
        let id_token = answer.id_token().unwrap();
        let verifier = party.id_token_verifier();
        let claims = id_token.claims(&verifier, &nonce).unwrap();
        let user = test.app.store.members(scene.organization).await.unwrap()[0].user;
        assert_eq!(claims.subject().as_str(), user.to_string());
        assert_eq!(claims.auth_context_ref().unwrap().as_str(), "aal2");
        assert!(ties(id_token, claims, &verifier, answer.access_token()));
        assert!(!ties(id_token, claims, &verifier, &AccessToken::new("cst_other".to_owned())));

        assert!(id_token.claims(&verifier, &Nonce::new_random()).is_err());
        let none: fn(Option<&Nonce>) -> Result<(), String> = |_| Ok(());
        let (issuer, keys) = (discover(&test).await.issuer().clone(), discover(&test).await.jwks().clone());
        let verifies = |client: &str, keys: CoreJsonWebKeySet| {
            let client = ClientId::new(client.to_owned());
            let verifier = CoreIdTokenVerifier::new_public_client(client, issuer.clone(), keys)
                .set_allowed_algs([CoreJwsSigningAlgorithm::EcdsaP256Sha256]);
            id_token.claims(&verifier, none).is_ok()
        };
        let id = scene.client.id.to_string();
        assert!(verifies(&id, keys.clone()));
        assert!(!verifies("cli_other", keys));
        assert!(!verifies(&id, CoreJsonWebKeySet::default()));

        let call = async |token: &AccessToken| {
            let call = test.request(reqwest::Method::GET, "/v1/envelopes").bearer_auth(token.secret());
            call.send().await.unwrap().status()
        };
        assert_eq!(call(answer.access_token()).await, StatusCode::OK);
        assert_eq!(answer.refresh_token().is_some(), method != "none");
        if let Some(token) = answer.refresh_token() {
            let refresh = party.exchange_refresh_token(token).unwrap();
            let next = refresh.request_async(&|request| send(&test, request)).await.unwrap();
            assert_eq!(call(next.access_token()).await, StatusCode::OK);
            assert_ne!(next.refresh_token().unwrap().secret(), token.secret(), "it rotates");
        }
    }
}

/// a code is worth nothing with the verifier of another request.
#[tokio::test(flavor = "multi_thread")]
async fn openidconnect_is_refused_with_another_verifier() {
    let test = server().await;
    let registration = registration("client_secret_basic", &["authorization_code"]);
    let scene = Scene::with(&test, ClientKey::new("relying party"), &registration).await;
    let party = party(&scene).await;
    let (code, ..) = authorize(&scene, &party).await;
    let (_, other) = PkceCodeChallenge::new_random_sha256();
    let exchange = party.exchange_code(code).unwrap().set_pkce_verifier(other);
    match exchange.request_async(&|request| send(&test, request)).await {
        Err(RequestTokenError::ServerResponse(refused)) => {
            assert_eq!(*refused.error(), CoreErrorResponseType::InvalidGrant, "{refused:?}");
        }
        other => panic!("{other:?}"),
    }
}
