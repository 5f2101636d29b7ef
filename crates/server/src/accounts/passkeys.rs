//! Passkeys (WebAuthn Level 3): always with user verification, bound to this server's own name, each challenge good once,
//! and a counter that does not grow is the end of the passkey.

use countersign_core::{
    digest::Digest,
    id::{AuthenticatorId, UserId},
    level::Level,
    limits,
    refusal::{Code, Refusal},
};
use countersign_store::access_rows::{AuthenticatorRow, Spend};
use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::{
    CreationChallengeResponse, CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, RequestChallengeResponse, Url, Uuid, Webauthn,
    WebauthnBuilder, WebauthnError,
};

use super::{
    changes,
    people::{self, Factors, PASSKEY, User},
    proofs::Proven,
    refused, sealed,
};
use crate::{
    app::{App, Records},
    fault::{Failure, Fault},
    keys::Binding,
    signer::strict::Caller,
};

const REGISTRATION: &str = "passkey-registration";
const SIGN_IN: &str = "passkey-sign-in";

/// Registers and verifies.
pub struct Passkeys {
    webauthn: Webauthn,
}

/// What a browser needs for a passkey, and what it brings back with the answer.
#[derive(Debug, Serialize)]
pub struct Asked<T> {
    /// For `navigator.credentials`.
    pub options: T,
    /// The state, sealed.
    pub state: String,
}

/// A state with what makes its challenge good once.
#[derive(Serialize, Deserialize)]
struct Challenge<T> {
    id: [u8; 16],
    user: Option<UserId>,
    state: T,
}

/// A passkey under its owner's key.
#[derive(Serialize, Deserialize)]
struct Kept {
    label: String,
    passkey: Passkey,
}

/// The answer of a passkey that was right.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Whose it is.
    pub user: UserId,
    row: AuthenticatorRow,
    spend: Spend,
}

/// A passkey that was made.
pub struct Made {
    passkey: Passkey,
    /// For whom.
    pub user: UserId,
    /// Its challenge, used up.
    pub spend: Spend,
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::Task(format!("a passkey: {error}"))
}

fn too_late() -> Refusal {
    Refusal::new(Code::LinkExpired, "this took too long; try again")
}

fn binding(user: UserId, authenticator: AuthenticatorId) -> Binding {
    Binding::new("passkey", &[user.as_bytes(), authenticator.as_bytes()])
}

fn spend<T>(app: &Records, challenge: &Challenge<T>) -> Spend {
    let hash = Digest::of_parts(&[b"countersign/webauthn-challenge/v1\0", &challenge.id]);
    Spend { hash, expires_at: app.now().plus_s(limits::CHALLENGE_S) }
}

/// What is kept of a passkey, as its owner sees it.
pub fn label(user: &User, row: &AuthenticatorRow) -> Result<String, Fault> {
    Ok(kept(user, row)?.label)
}

fn kept(user: &User, row: &AuthenticatorRow) -> Result<Kept, Fault> {
    let plain = user.key.open(&binding(row.user, row.authenticator), &row.sealed)?;
    serde_json::from_slice(&plain).map_err(|_| Fault::Sealed("a passkey".to_owned()))
}

fn sealed_as(app: &Records, user: &User, row: &AuthenticatorRow, kept: &Kept) -> Result<Vec<u8>, Fault> {
    let plain = serde_json::to_vec(kept).map_err(broken)?;
    user.key.seal(&*app.random, &binding(row.user, row.authenticator), &plain)
}

/// The row with another label.
pub fn renamed(
    app: &Records,
    user: &User,
    row: &AuthenticatorRow,
    label: &str,
) -> Result<AuthenticatorRow, Fault> {
    let kept = Kept { label: label.to_owned(), ..kept(user, row)? };
    let sealed = sealed_as(app, user, row, &kept)?;
    Ok(AuthenticatorRow { sealed, version: row.version + 1, ..row.clone() })
}

impl Made {
    /// The row of a new passkey.
    pub fn row(&self, app: &Records, user: &User, label: &str) -> Result<AuthenticatorRow, Fault> {
        let mut row = AuthenticatorRow {
            authenticator: AuthenticatorId::new(app.now(), app.draw()),
            user: user.id(),
            kind: PASSKEY.to_owned(),
            lookup: Some(Digest::of(self.passkey.cred_id())),
            sealed: Vec::new(),
            counter: 0,
            created_at: app.now(),
            used_at: None,
            ended_at: None,
            version: 1,
        };
        let kept = Kept { label: label.to_owned(), passkey: self.passkey.clone() };
        row.sealed = sealed_as(app, user, &row, &kept)?;
        Ok(row)
    }
}

impl Verified {
    pub(super) fn proven(&self) -> Proven {
        Proven {
            level: Level::Aal2Phr,
            methods: vec![PASSKEY],
            used: Some(self.row.clone()),
            spends: vec![self.spend],
        }
    }
}

impl Passkeys {
    /// For a server that people reach under this URL; `None` where it is an address without a name, which no passkey can be
    /// bound to (WebAuthn §5.1.3).
    pub fn new(public_url: &str) -> Result<Option<Self>, Fault> {
        let url = Url::parse(public_url).map_err(broken)?;
        let Some(name) = url.domain().map(str::to_owned) else { return Ok(None) };
        let timeout_s = u64::try_from(limits::CHALLENGE_S).unwrap_or_default();
        let built = WebauthnBuilder::new(&name, &url)
            .map(|builder| builder.rp_name("Countersign").timeout(std::time::Duration::from_secs(timeout_s)));
        let webauthn = built.and_then(WebauthnBuilder::build).map_err(broken)?;
        Ok(Some(Self { webauthn }))
    }

    /// Asks for a new passkey of a user, besides those that there are.
    pub fn ask_new(
        &self,
        app: &Records,
        user: &User,
        factors: &Factors,
    ) -> Result<Asked<CreationChallengeResponse>, Failure> {
        let mut known: Vec<CredentialID> = Vec::new();
        for row in factors.kind(PASSKEY) {
            known.push(kept(user, row)?.passkey.cred_id().clone());
        }
        if known.len() >= limits::PASSKEYS {
            return Err(
                Refusal::new(Code::TooMany, "you have as many passkeys as one can have; remove one").into()
            );
        }
        let handle = Uuid::from_bytes(*user.id().as_bytes());
        let (name, email) = (user.name.disclose(), user.email.disclose());
        let (mut options, state) =
            self.webauthn.start_passkey_registration(handle, email, name, Some(known)).map_err(broken)?;
        if let Some(selection) = &mut options.public_key.authenticator_selection {
            // Found without an address: the passkey says whose it is.
            selection.resident_key = serde_json::from_str("\"required\"").map_err(broken)?;
            selection.require_resident_key = true;
        }
        let challenge = Challenge { id: app.draw(), user: Some(user.id()), state };
        let until = app.now().plus_s(limits::CHALLENGE_S);
        Ok(Asked { options, state: sealed::seal(app, REGISTRATION, until, &challenge)? })
    }

    /// The passkey that a browser made.
    pub fn made(
        &self,
        app: &Records,
        state: &str,
        answer: &RegisterPublicKeyCredential,
    ) -> Result<Made, Failure> {
        let challenge: Option<Challenge<PasskeyRegistration>> = sealed::open(app, REGISTRATION, state);
        let challenge = challenge.ok_or_else(too_late)?;
        let user = challenge.user.ok_or_else(too_late)?;
        let passkey = self.webauthn.finish_passkey_registration(answer, &challenge.state);
        let passkey = passkey.map_err(|error| {
            tracing::info!(event_type = "passkey.made", event_result = "refused", %error);
            Refusal::new(Code::Invalid, "this passkey cannot be used here; it must verify who uses it")
        })?;
        Ok(Made { passkey, user, spend: spend(app, &challenge) })
    }

    /// Asks for any passkey of this server.
    pub fn ask(&self, app: &Records) -> Result<Asked<RequestChallengeResponse>, Failure> {
        let (options, state) = self.webauthn.start_discoverable_authentication().map_err(broken)?;
        let challenge = Challenge { id: app.draw(), user: None, state };
        let until = app.now().plus_s(limits::CHALLENGE_S);
        Ok(Asked { options, state: sealed::seal(app, SIGN_IN, until, &challenge)? })
    }

    /// The answer of a passkey, verified. One whose counter did not grow is ended: there may be a copy of it.
    pub async fn verify(
        &self,
        app: &App,
        caller: &Caller,
        state: &str,
        answer: &PublicKeyCredential,
    ) -> Result<Verified, Failure> {
        let challenge: Option<Challenge<DiscoverableAuthentication>> = sealed::open(app, SIGN_IN, state);
        let challenge = challenge.ok_or_else(too_late)?;
        let (handle, id) =
            self.webauthn.identify_discoverable_authentication(answer).map_err(|_| refused())?;
        let row = app.store.authenticator_by_lookup(Digest::of(id)).await?;
        let row = row.filter(|row| row.ended_at.is_none() && row.kind == PASSKEY).ok_or_else(refused)?;
        if row.user.as_bytes() != handle.as_bytes() {
            return Err(refused().into());
        }
        let user = people::by_id(app, row.user).await?.ok_or_else(refused)?;
        let mut kept = kept(&user, &row)?;
        let spend = spend(app, &challenge);
        let found =
            self.webauthn.finish_discoverable_authentication_v2(answer, challenge.state, &kept.passkey);
        let result = match found {
            Ok(result) if result.user_verified() => result,
            Err(WebauthnError::CredentialPossibleCompromise) => {
                changes::passkey_was_cloned(app, caller, &user, &row, spend).await?;
                return Err(refused().into());
            }
            Ok(_) => return Err(refused().into()),
            Err(error) => {
                tracing::info!(event_type = "passkey.used", event_result = "refused", %error);
                super::tries::failed(
                    app,
                    caller,
                    Some(user.id()),
                    PASSKEY,
                    countersign_core::security::FailureReason::WrongCredential,
                )
                .await?;
                return Err(refused().into());
            }
        };
        kept.passkey.update_credential(&result);
        let next = AuthenticatorRow {
            sealed: sealed_as(app, &user, &row, &kept)?,
            counter: result.counter().into(),
            used_at: Some(app.now()),
            version: row.version + 1,
            ..row
        };
        Ok(Verified { user: user.id(), row: next, spend })
    }
}
