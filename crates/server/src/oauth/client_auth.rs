//! Which client calls, and whether it proved that: one credential, of the method that is registered, never two.
//! An unknown client, a wrong key and another method are told in the same words.

use std::sync::Arc;

use countersign_core::{
    id::UserId,
    oauth::{
        assertion::{self, Wrong},
        client::{Certificate, Method, Registration},
        credential::Credential,
        dpop::Proof,
        error::OAuthError,
        jose::{Header, JwkSet, Unverified},
        token::CallerProof,
    },
    secret::HashedToken,
    security::{FailureReason, SecurityActor, SecurityBody},
};
use countersign_store::access_rows::{ClientRow, Spend};

use super::{answer::Denied, asked::Asked};
use crate::{
    app::App,
    http::client_certificate::Judged,
    keys::Signatures,
    security::{self, Circumstances},
};

/// A client that proved who it is, as far as its registration asks for that.
pub struct Client {
    /// Its row.
    pub row: ClientRow,
    /// Its registration.
    pub registration: Arc<Registration>,
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
    let row = app.store.client(id).await?;
    // A client that is not there is judged like one that is: nothing, and not its time, tells them apart.
    let registration = app.oauth.registrations.of(row.as_ref())?;
    let certificate = asked
        .certificates
        .as_ref()
        .and_then(|certificates| certificates.judge(app.oauth.client_cas.as_ref(), app.now()));
    let secret = row.as_ref().and_then(|row| row.secret);
    let (proof, reason) = match prove(app, &registration, secret, certificate.as_ref(), &credential).await {
        Err(Wrong { error, reason }) => (Err(error), reason),
        Ok(spent) => (Ok(spent), FailureReason::Ended),
    };
    let Some(row) = row else {
        let error = proof.err().unwrap_or_else(OAuthError::unproven_client);
        let body = SecurityBody::ClientFailed { client: id, reason };
        security::tell_nobody(app, &asked.context.origin, asked.context.correlation, body).await?;
        return Err(error.into());
    };
    let mut client = Client { row, registration, certificate, spends: Vec::new() };
    let error = match proof {
        Ok(spent) if client.row.ended_at.is_none() => {
            client.spends.extend(spent);
            return Ok(client);
        }
        Ok(_) => OAuthError::unproven_client(),
        Err(error) => error,
    };
    let body = SecurityBody::ClientFailed { client: id, reason };
    let circumstances = Circumstances { actor: SecurityActor::Unknown, ..client.circumstances(asked) };
    security::tell(app, &client.row.tenant, &circumstances, body).await?;
    Err(error.into())
}

/// Judges a credential by a registration; what it used up, if it is right.
async fn prove(
    app: &App,
    registration: &Registration,
    secret: Option<HashedToken>,
    certificate: Option<&Judged>,
    credential: &Credential,
) -> Result<Option<Spend>, Wrong> {
    let id = credential.client();
    if let Err(error) = credential.check_method(registration.token_endpoint_auth_method) {
        // Judged like one of the registered kind, in the same words; the organization learns that it was of another.
        let error = without_keys(app, credential).unwrap_or(error);
        return Err(Wrong { error, reason: FailureReason::WrongMethod });
    }
    match (registration.token_endpoint_auth_method, credential) {
        (Method::PrivateKeyJwt, Credential::Assertion { text, .. }) => {
            let named = Unverified::parse(text).ok().map(|token| token.header().clone());
            let wanted = |keys: &JwkSet| {
                let key = |header: &Header| keys.choose(header.kid.as_deref(), header.algorithm).is_ok();
                named.as_ref().is_none_or(key)
            };
            let keys = app.oauth.client_keys.of(app.now(), id, registration, wanted).await;
            let issuer = app.oauth.issuer.as_str();
            let assertion = assertion::check(text, id, &keys, issuer, app.now(), &Signatures)?;
            Ok(Some(Spend { hash: assertion.jti_hash, expires_at: assertion.expires_at }))
        }
        (Method::TlsClientAuth | Method::SelfSignedTlsClientAuth, Credential::Name { .. }) => {
            let unproven = || Wrong::unproven(FailureReason::WrongCertificate);
            let judged = certificate.ok_or_else(unproven)?;
            let sha256 = Some(judged.sha256);
            let wanted = |keys: &JwkSet| keys.keys().iter().any(|key| key.certificate() == sha256);
            let keys = app.oauth.client_keys.of(app.now(), id, registration, wanted).await;
            let certificate = Certificate {
                thumbprint: judged.sha256,
                subject: judged.subject.as_ref(),
                dns_names: &judged.dns_names,
                is_trusted: judged.is_trusted,
            };
            let is_its = judged.is_current && registration.is_certificate_of(&certificate, &keys);
            if is_its { Ok(None) } else { Err(unproven()) }
        }
        (Method::ClientSecretBasic, Credential::Secret { secret: given, .. }) => {
            let is_its = secret == Some(given.hash());
            if is_its { Ok(None) } else { Err(Wrong::unproven(FailureReason::WrongCredential)) }
        }
        (Method::None, Credential::Name { .. }) => Ok(None),
        _ => Err(Wrong::unproven(FailureReason::WrongMethod)),
    }
}

/// The refusal of an assertion where there are no keys for it: in the same words, after the same work.
fn without_keys(app: &App, credential: &Credential) -> Option<OAuthError> {
    let Credential::Assertion { client, text } = credential else { return None };
    let none = JwkSet::default();
    let checked = assertion::check(text, *client, &none, &app.oauth.issuer, app.now(), &Signatures);
    checked.err().map(|wrong| wrong.error)
}
