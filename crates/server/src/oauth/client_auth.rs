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
        jose::JwkSet,
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
    let row = app.store.client(id).await?;
    let Some(row) = row.filter(|row| row.ended_at.is_none()) else {
        spend_the_same_time(app, &credential);
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

async fn prove(app: &App, client: &mut Client, credential: &Credential) -> Result<(), Denied> {
    let unproven = || Denied::from(OAuthError::unproven_client());
    credential.check_method(client.registration.token_endpoint_auth_method)?;
    match (client.registration.token_endpoint_auth_method, credential) {
        (Method::PrivateKeyJwt, Credential::Assertion { text, .. }) => {
            let (id, issuer) = (client.row.client, app.oauth.issuer.as_str());
            let keys =
                app.oauth.keys_of(app.now(), client.row.client, &client.registration, Some(text)).await;
            let assertion = assertion::check(text, id, &keys, issuer, app.now(), &Signatures)?;
            client.spends.push(Spend { hash: assertion.jti_hash, expires_at: assertion.expires_at });
            Ok(())
        }
        (Method::TlsClientAuth | Method::SelfSignedTlsClientAuth, Credential::Name { .. }) => {
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
        (Method::ClientSecretBasic, Credential::Secret { secret, .. }) => {
            if client.row.secret == Some(secret.hash()) { Ok(()) } else { Err(unproven()) }
        }
        (Method::None, Credential::Name { .. }) => Ok(()),
        _ => Err(unproven()),
    }
}

/// What an unknown client costs is what a wrong key costs, so that time does not tell them apart.
fn spend_the_same_time(app: &App, credential: &Credential) {
    if let Credential::Assertion { client, text } = credential {
        let keys = JwkSet::new(vec![app.oauth.nobody.clone()]);
        let judged = assertion::check(text, *client, &keys, &app.oauth.issuer, app.now(), &Signatures);
        debug_assert!(judged.is_err(), "nobody has this key");
    }
}
