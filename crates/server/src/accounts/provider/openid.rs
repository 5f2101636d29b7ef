//! The protocol (OpenID Connect Core, RFC 6749, RFC 7636), which the `openidconnect` package speaks; every request goes out
//! through the guard.

use std::{
    pin::Pin,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{
    accounts::provider::{Answer, Reason},
    limits,
    oauth::jose::compact,
    secret::Secret,
    time::Time,
};
use openidconnect::{
    AdditionalProviderMetadata, AsyncHttpClient, AuthenticationContextClass, AuthorizationCode,
    ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, DiscoveryError, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, ProviderMetadata, RedirectUrl, RequestTokenError, SignatureVerificationError,
    TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient,
        CoreClientAuthMethod, CoreGrantType, CoreIdToken, CoreIdTokenClaims, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm as Signed,
        CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Credential, Provider, SIGNS_WITH, public};
use crate::{
    app::{App, Records},
    egress::guard::{Guard, NotFetched},
    fault::Fault,
};

/// How ID tokens may be signed: with a private key of the provider. No `none`, and no secret that both sides have.
const ALGORITHMS: [Signed; 6] = [
    Signed::EcdsaP256Sha256,
    Signed::EdDsa,
    Signed::RsaSsaPssSha256,
    Signed::RsaSsaPkcs1V15Sha256,
    Signed::EcdsaP384Sha384,
    Signed::RsaSsaPssSha512,
];
/// Life of an assertion.
const ASSERTION_S: i64 = 60;

/// What is read of a provider's metadata besides what OpenID Connect Discovery has.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Additional {
    /// RFC 9207 §3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Additional {}

type Metadata = ProviderMetadata<
    Additional,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why nothing came of talking to a provider. What it wrote itself is never told: events do not change, and logs are read by
/// machines.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It does not answer, or not as a provider does.
    #[error("the provider does not answer as it should: {}", .0.text())]
    Silent(Reason),
    /// It answered, and the answer is not taken.
    #[error("the answer of the provider is not taken: {}", .0.text())]
    Wrong(Reason),
    /// Something of ours broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Trouble {
    /// For the organization's events.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Silent(reason) | Self::Wrong(reason) => *reason,
            Self::Fault(_) => Reason::Fault,
        }
    }
}

fn not_found(error: &DiscoveryError<NotFetched>) -> Reason {
    match error {
        DiscoveryError::Request(_) | DiscoveryError::Response(..) => Reason::Unreachable,
        _ => Reason::Metadata,
    }
}

/// Why an ID token is not taken.
fn unfit(error: &ClaimsVerificationError) -> Trouble {
    use ClaimsVerificationError as E;
    use SignatureVerificationError as S;
    Trouble::Wrong(match error {
        E::Expired(_) => Reason::Expired,
        E::InvalidAudience(_) => Reason::Audience,
        E::InvalidIssuer(_) => Reason::Issuer,
        E::InvalidNonce(_) => Reason::Nonce,
        E::SignatureVerification(S::DisallowedAlg(_) | S::UnsupportedAlg(_)) => Reason::Algorithm,
        E::SignatureVerification(_) => Reason::Signature,
        _ => Reason::IdToken,
    })
}

/// Metadata and keys of a provider.
pub(super) struct Known {
    metadata: Metadata,
}

/// What only this browser and this server know of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Secrets {
    /// Ties the answer to the browser.
    pub state: String,
    /// Ties the ID token to the request.
    pub nonce: String,
    /// Ties the code to the request (RFC 7636).
    pub verifier: String,
}

impl Secrets {
    pub(super) fn draw(app: &Records) -> Self {
        let word = || URL_SAFE_NO_PAD.encode(app.draw::<32>());
        Self { state: word(), nonce: word(), verifier: word() }
    }
}

/// Who came back.
pub(super) struct Found {
    claims: CoreIdTokenClaims,
}

/// The guard, as the library calls it.
struct Through<'a>(&'a Guard);

impl<'c> AsyncHttpClient<'c> for Through<'_> {
    type Error = NotFetched;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NotFetched>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.send(request, limits::PROVIDER_BYTES))
    }
}

impl Known {
    /// Reads metadata and keys of a provider. The metadata must name the issuer that was set (OpenID Connect Discovery §4.3).
    pub(super) async fn fetch(guard: Guard, issuer: String) -> Result<Self, Reason> {
        let issuer = IssuerUrl::new(issuer).map_err(|_| Reason::Metadata)?;
        let metadata = Metadata::discover_async(issuer, &Through(&guard)).await;
        let metadata = metadata.map_err(|error| not_found(&error))?;
        if metadata.authorization_endpoint().url().scheme() != "https" {
            return Err(Reason::Metadata);
        }
        Ok(Self { metadata })
    }

    /// Whether the answer must name its issuer (RFC 9207 §2.4).
    pub(super) fn names_issuer(&self) -> bool {
        self.metadata.additional_metadata().authorization_response_iss_parameter_supported
    }

    fn client(
        &self,
        app: &Records,
        provider: &Provider,
        secret: Option<&Secret<String>>,
    ) -> Result<Client, Trouble> {
        let redirect_uri = RedirectUrl::new(provider.redirect_uri(app))
            .map_err(|_| Fault::Missing("the redirect URI of a provider".to_owned()))?;
        let id = ClientId::new(provider.settings.client_id.clone());
        let secret = secret.map(|secret| ClientSecret::new(secret.expose().clone()));
        Ok(CoreClient::from_provider_metadata(self.metadata.clone(), id, secret)
            .set_redirect_uri(redirect_uri))
    }

    /// The address that the browser goes to.
    pub(super) fn address(
        &self,
        app: &Records,
        provider: &Provider,
        secrets: &Secrets,
        max_age_s: i64,
        classes: &[&str],
    ) -> Result<String, Trouble> {
        let client = self.client(app, provider, None)?;
        let verifier = PkceCodeVerifier::new(secrets.verifier.clone());
        let (state, nonce) = (CsrfToken::new(secrets.state.clone()), Nonce::new(secrets.nonce.clone()));
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client
            .authorize_url(flow, move || state, move || nonce)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .set_max_age(Duration::from_secs(max_age_s.unsigned_abs()));
        for class in classes {
            request = request.add_auth_context_value(AuthenticationContextClass::new((*class).to_owned()));
        }
        Ok(request.url().0.to_string())
    }

    /// Redeems a code.
    async fn token(
        &self,
        app: &App,
        provider: &Provider,
        secrets: &Secrets,
        code: String,
    ) -> Result<CoreIdToken, Trouble> {
        let credential = provider.credential(app).await?;
        let secret = match &credential {
            Credential::Secret(secret) => Some(secret),
            Credential::Key(_) => None,
        };
        let client = self.client(app, provider, secret)?;
        let mut request = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| Trouble::Silent(Reason::Metadata))?
            .set_pkce_verifier(PkceCodeVerifier::new(secrets.verifier.clone()));
        if let Credential::Key(key) = &credential {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let assertion = assertion(app, provider, key)?;
            request = request
                .add_extra_param("client_assertion_type", kind)
                .add_extra_param("client_assertion", assertion);
        }
        let http = Through(&app.oauth.guard);
        let response = request.request_async(&http).await.map_err(|error| match error {
            RequestTokenError::Request(_) => Trouble::Silent(Reason::Unreachable),
            RequestTokenError::ServerResponse(said) => {
                Trouble::Wrong(Reason::registered(said.error().as_ref()))
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                Trouble::Wrong(Reason::TokenResponse)
            }
        })?;
        response.id_token().cloned().ok_or(Trouble::Wrong(Reason::NoIdToken))
    }

    /// Checks signature, issuer, audience, end and nonce of an ID token. `None` if it is signed with a key that is not known.
    fn claims(
        &self,
        app: &App,
        provider: &Provider,
        secrets: &Secrets,
        token: &CoreIdToken,
    ) -> Result<Option<Found>, Trouble> {
        let client = self.client(app, provider, None)?;
        let now = UNIX_EPOCH + Duration::from_millis(app.now().unix_ms().unsigned_abs());
        let verifier =
            client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(move || now.into());
        match token.claims(&verifier, &Nonce::new(secrets.nonce.clone())) {
            Ok(claims) => Ok(Some(Found { claims: claims.clone() })),
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => Ok(None),
            Err(error) => Err(unfit(&error)),
        }
    }
}

/// Redeems a code and checks the ID token. For a key that is not known the provider is asked for its keys again.
pub(super) async fn redeem(
    app: &App,
    provider: &Provider,
    secrets: &Secrets,
    code: String,
) -> Result<Found, Trouble> {
    let providers = &app.accounts.providers;
    let known = providers.of(app, provider).await?;
    let token = known.token(app, provider, secrets, code).await?;
    if let Some(found) = known.claims(app, provider, secrets, &token)? {
        return Ok(found);
    }
    let newer = providers.newer(app, provider, &known).await?;
    newer.claims(app, provider, secrets, &token)?.ok_or(Trouble::Wrong(Reason::Signature))
}

/// The proof of who this server is (RFC 7523 §3), for this provider and for a minute.
fn assertion(app: &Records, provider: &Provider, key: &crate::keys::SigningKey) -> Result<String, Fault> {
    let (id, now_s) = (&provider.settings.client_id, app.now().unix_ms() / 1_000);
    let claims = json!({
        "iss": id,
        "sub": id,
        "aud": provider.settings.issuer,
        "jti": URL_SAFE_NO_PAD.encode(app.draw::<16>()),
        "iat": now_s,
        "exp": now_s + ASSERTION_S,
    });
    let kid = public(key)?.kid.unwrap_or_default();
    compact(SIGNS_WITH, "JWT", &kid, &claims, |input| key.sign(input))
}

impl Found {
    /// Who, as the issuer names it.
    pub(super) fn subject(&self) -> &str {
        self.claims.subject()
    }

    /// Judges the rest of the claims.
    pub(super) fn judged<T>(&self, judge: impl FnOnce(&Answer<'_>) -> T) -> T {
        let claims = &self.claims;
        let audiences: Vec<String> =
            claims.audiences().iter().map(|audience| audience.as_str().to_owned()).collect();
        let amr: Vec<String> = claims
            .auth_method_refs()
            .map(|methods| methods.iter().map(|method| method.as_str().to_owned()).collect())
            .unwrap_or_default();
        judge(&Answer {
            audiences: &audiences,
            azp: claims.authorized_party().map(|azp| azp.as_str()),
            issued_at: Time::from_unix_ms(claims.issue_time().timestamp_millis()),
            auth_time: claims.auth_time().map(|at| Time::from_unix_ms(at.timestamp_millis())),
            acr: claims.auth_context_ref().map(|class| class.as_str()),
            amr: &amr,
        })
    }
}
