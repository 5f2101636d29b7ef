//! Which client calls, and whether it proved that: one credential, of the method that is registered, never two.
//! An unknown client, a wrong key and another method are told in the same words.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::{
    id::ClientId,
    oauth::{
        assertion,
        client::{Certificate, Method, Registration},
        error::OAuthError,
        form::Parameters,
        jose::JwkSet,
    },
    secret::{PlainToken, TokenKind},
    security::{FailureReason, SecurityActor, SecurityBody},
};
use countersign_store::access_rows::{ClientRow, Spend};

use super::{answer::Denied, asked::Asked};
use crate::{
    app::App,
    fault::Fault,
    http::client_certificate::Judged,
    keys::Signatures,
    security::{self, Circumstances},
};

/// A client that proved who it is, as far as its registration asks for that.
pub struct Client {
    /// Its row.
    pub row: ClientRow,
    /// Its registration.
    pub registration: Registration,
    /// The certificate of its connection.
    pub certificate: Option<Judged>,
    /// What its proof of itself used up, to be spent with whatever follows.
    pub spends: Vec<Spend>,
}

impl Client {
    /// Who did it, for the organization's security events.
    pub fn circumstances(&self, asked: &Asked) -> Circumstances {
        Circumstances {
            actor: SecurityActor::Client { client: self.row.client, user: None },
            origin: Some((self.row.person, asked.context.origin.clone())),
            correlation: asked.context.correlation,
        }
    }
}

/// What a request brings to prove its client.
enum Credential<'a> {
    Assertion(&'a str),
    Secret(String),
    /// A certificate, or nothing: which of them counts, the registration says.
    Connection,
}

/// The client of a request. Its proof is judged here and spent later.
pub async fn authenticate(app: &App, asked: &Asked) -> Result<Client, Denied> {
    let (id, credential) = read(asked)?;
    let row = app.store.client(id).await?;
    let Some(row) = row.filter(|row| row.ended_at.is_none()) else {
        spend_the_same_time(app, id, &credential);
        return Err(OAuthError::unproven_client().into());
    };
    let registration: Registration = serde_json::from_str(&row.registration)
        .map_err(|error| Fault::Task(format!("the registration of {id}: {error}")))?;
    let certificate = asked
        .certificates
        .as_ref()
        .and_then(|certificates| certificates.judge(app.oauth.client_ca.as_deref(), app.now()));
    let mut client = Client { row, registration, certificate, spends: Vec::new() };
    match prove(app, &mut client, &credential).await {
        Ok(()) => Ok(client),
        Err(Denied::Error(error)) => {
            let body = SecurityBody::ClientFailed { client: id, reason: FailureReason::WrongCredential };
            let circumstances =
                Circumstances { actor: SecurityActor::Unknown, ..client.circumstances(asked) };
            security::tell(app, &client.row.tenant, &circumstances, body).await?;
            Err(error.into())
        }
        Err(broken) => Err(broken),
    }
}

/// Reads which client it says it is, and its one credential.
fn read(asked: &Asked) -> Result<(ClientId, Credential<'_>), OAuthError> {
    let parameters = &asked.parameters;
    let named = parameters.get("client_id");
    let assertion = read_assertion(parameters)?;
    let basic = asked.authorization()?;
    if parameters.has("client_secret") {
        let sentence =
            "a client_secret is sent in the Authorization header, never in the form (client_secret_basic)";
        return Err(OAuthError::request(sentence));
    }
    let (id, credential) = match (assertion, basic) {
        (Some(_), Some(_)) => {
            let sentence =
                "one way to prove the client, not two: a client_assertion or an Authorization header";
            return Err(OAuthError::request(sentence));
        }
        (Some(assertion), None) => {
            (assertion::client_of(assertion)?.to_string(), Credential::Assertion(assertion))
        }
        (None, Some(basic)) => {
            let (id, secret) = read_basic(basic)?;
            (id, Credential::Secret(secret))
        }
        (None, None) => (parameters.require("client_id")?.to_owned(), Credential::Connection),
    };
    if named.is_some_and(|named| named != id) {
        return Err(OAuthError::request("the client_id is another one than the credential's"));
    }
    Ok((id.parse().map_err(|_| OAuthError::unproven_client())?, credential))
}

fn read_assertion(parameters: &Parameters) -> Result<Option<&str>, OAuthError> {
    match (parameters.get("client_assertion"), parameters.get("client_assertion_type")) {
        (None, None) => Ok(None),
        (Some(assertion), Some(assertion::ASSERTION_TYPE)) => Ok(Some(assertion)),
        _ => Err(OAuthError::request(
            "client_assertion goes with client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        )),
    }
}

/// RFC 6749 §2.3.1: both halves are form-encoded first; ours have nothing to encode.
fn read_basic(header: &str) -> Result<(String, String), OAuthError> {
    let wrong =
        || OAuthError::request("the Authorization header is `Basic` and base64 of client_id:client_secret");
    let (scheme, encoded) = header.split_once(' ').ok_or_else(wrong)?;
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| wrong())?;
    let text = String::from_utf8(decoded).map_err(|_| wrong())?;
    let (id, secret) = text.split_once(':').ok_or_else(wrong)?;
    if scheme.eq_ignore_ascii_case("basic") { Ok((id.to_owned(), secret.to_owned())) } else { Err(wrong()) }
}

async fn prove(app: &App, client: &mut Client, credential: &Credential<'_>) -> Result<(), Denied> {
    let unproven = || Denied::from(OAuthError::unproven_client());
    match (client.registration.token_endpoint_auth_method, credential) {
        (Method::PrivateKeyJwt, Credential::Assertion(text)) => {
            let (id, issuer) = (client.row.client, app.oauth.issuer.as_str());
            let keys =
                app.oauth.keys_of(app.now(), client.row.client, &client.registration, Some(text)).await;
            let assertion = assertion::check(text, id, &keys, issuer, app.now(), &Signatures)?;
            client.spends.push(Spend { hash: assertion.jti_hash, expires_at: assertion.expires_at });
            Ok(())
        }
        (Method::TlsClientAuth | Method::SelfSignedTlsClientAuth, Credential::Connection) => {
            let keys = app.oauth.keys_of(app.now(), client.row.client, &client.registration, None).await;
            let judged = client.certificate.as_ref().ok_or_else(unproven)?;
            let certificate = Certificate {
                thumbprint: judged.sha256,
                subject_dn: &judged.subject,
                dns_names: &judged.dns_names,
                is_trusted: judged.is_trusted,
            };
            let is_its = judged.is_current && client.registration.is_certificate_of(&certificate, &keys);
            if is_its { Ok(()) } else { Err(unproven()) }
        }
        (Method::ClientSecretBasic, Credential::Secret(secret)) => {
            let secret = PlainToken::parse(TokenKind::ClientSecret, secret).map_err(|_| unproven())?;
            if client.row.secret == Some(secret.hash()) { Ok(()) } else { Err(unproven()) }
        }
        (Method::None, Credential::Connection) => Ok(()),
        _ => Err(unproven()),
    }
}

/// What an unknown client costs is what a wrong key costs, so that time does not tell them apart.
fn spend_the_same_time(app: &App, id: ClientId, credential: &Credential<'_>) {
    if let Credential::Assertion(text) = credential {
        let keys = JwkSet::new(vec![app.oauth.nobody.clone()]);
        let judged = assertion::check(text, id, &keys, &app.oauth.issuer, app.now(), &Signatures);
        debug_assert!(judged.is_err(), "nobody has this key");
    }
}
