//! Which client calls, and whether it proved that: one credential, of the method that is registered, never two.
//! An unknown client, a wrong key and another method are told in the same words.

use countersign_core::{
    id::UserId,
    oauth::{
        assertion,
        client::{Certificate, Method, Registration},
        credential::Credential,
        dpop::Proof,
        error::OAuthError,
        jose::{Header, JwkSet, Unverified},
        token::CallerProof,
    },
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
    /// What it proved of itself and of its keys.
    pub fn proof(&self, proof: Option<&Proof>) -> CallerProof {
        CallerProof {
            is_authenticated: !self.registration.is_public(),
            key: proof.map(|proof| proof.thumbprint),
            certificate: self.certificate.as_ref().map(|certificate| certificate.sha256),
        }
    }

    /// Who did it, for the organization's security events.
    pub fn circumstances(&self, asked: &Asked) -> Circumstances {
        self.circumstances_for(asked, None)
    }

    /// The same where it acts for a user.
    pub fn circumstances_for(&self, asked: &Asked, user: Option<UserId>) -> Circumstances {
        Circumstances {
            actor: SecurityActor::Client { client: self.row.client, user },
            origin: Some((self.row.person, asked.context.origin.clone())),
            correlation: asked.context.correlation,
        }
    }
}

/// The client of a request. Its proof is judged here and spent later.
pub async fn authenticate(app: &App, asked: &Asked) -> Result<Client, Denied> {
    let credential = Credential::read(&asked.parameters, asked.authorization()?)?;
    let id = credential.client();
    let Some(row) = app.store.client(id).await? else { return Err(unknown(app, asked, &credential).await) };
    let registration: Registration = serde_json::from_str(&row.registration)
        .map_err(|error| Fault::Task(format!("the registration of {id}: {error}")))?;
    let certificate = asked
        .certificates
        .as_ref()
        .and_then(|certificates| certificates.judge(app.oauth.client_ca.as_deref(), app.now()));
    let mut client = Client { row, registration, certificate, spends: Vec::new() };
    let (error, reason) = match prove(app, &mut client, &credential).await {
        Ok(()) if client.row.ended_at.is_none() => return Ok(client),
        Ok(()) => (OAuthError::unproven_client(), FailureReason::Ended),
        Err(Denied::Error(error)) => (error, FailureReason::WrongCredential),
        Err(broken) => return Err(broken),
    };
    let body = SecurityBody::ClientFailed { client: id, reason };
    let circumstances = Circumstances { actor: SecurityActor::Unknown, ..client.circumstances(asked) };
    security::tell(app, &client.row.tenant, &circumstances, body).await?;
    Err(error.into())
}

async fn prove(app: &App, client: &mut Client, credential: &Credential) -> Result<(), Denied> {
    let unproven = || Denied::from(OAuthError::unproven_client());
    if let Err(error) = credential.check_method(client.registration.token_endpoint_auth_method) {
        return Err(without_keys(app, credential).unwrap_or(error).into());
    }
    match (client.registration.token_endpoint_auth_method, credential) {
        (Method::PrivateKeyJwt, Credential::Assertion { text, .. }) => {
            let (id, issuer) = (client.row.client, app.oauth.issuer.as_str());
            let named = Unverified::parse(text).ok().map(|token| token.header().clone());
            let wanted = |keys: &JwkSet| {
                let key = |header: &Header| keys.choose(header.kid.as_deref(), header.algorithm).is_ok();
                named.as_ref().is_none_or(key)
            };
            let keys = app.oauth.client_keys.of(app.now(), id, &client.registration, wanted).await;
            let assertion = assertion::check(text, id, &keys, issuer, app.now(), &Signatures)?;
            client.spends.push(Spend { hash: assertion.jti_hash, expires_at: assertion.expires_at });
            Ok(())
        }
        (Method::TlsClientAuth | Method::SelfSignedTlsClientAuth, Credential::Name { .. }) => {
            let judged = client.certificate.as_ref().ok_or_else(unproven)?;
            let (id, sha256) = (client.row.client, Some(judged.sha256));
            let wanted = |keys: &JwkSet| keys.keys().iter().any(|key| key.certificate() == sha256);
            let keys = app.oauth.client_keys.of(app.now(), id, &client.registration, wanted).await;
            let certificate = Certificate {
                thumbprint: judged.sha256,
                subject: judged.subject.as_ref(),
                dns_names: &judged.dns_names,
                is_trusted: judged.is_trusted,
            };
            let is_its = judged.is_current && client.registration.is_certificate_of(&certificate, &keys);
            if is_its { Ok(()) } else { Err(unproven()) }
        }
        (Method::ClientSecretBasic, Credential::Secret { secret, .. }) => {
            if client.row.secret == Some(secret.hash()) { Ok(()) } else { Err(unproven()) }
        }
        (Method::None, Credential::Name { .. }) => Ok(()),
        _ => Err(unproven()),
    }
}

/// The refusal of an assertion where there are no keys for it: in the same words, after the same work.
fn without_keys(app: &App, credential: &Credential) -> Option<OAuthError> {
    let Credential::Assertion { client, text } = credential else { return None };
    let none = JwkSet::default();
    assertion::check(text, *client, &none, &app.oauth.issuer, app.now(), &Signatures).err()
}

/// The refusal of a client that is not there: nothing in it, and not its time, tells that from a wrong key.
async fn unknown(app: &App, asked: &Asked, credential: &Credential) -> Denied {
    let error = without_keys(app, credential).unwrap_or_else(OAuthError::unproven_client);
    let client = credential.client();
    let body = SecurityBody::ClientFailed { client, reason: FailureReason::WrongCredential };
    let (origin, correlation) = (&asked.context.origin, asked.context.correlation);
    match security::tell_nobody(app, origin, correlation, body).await {
        Ok(()) => error.into(),
        Err(fault) => fault.into(),
    }
}
