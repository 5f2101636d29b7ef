//! One-time codes (RFC 6238): a secret under the user's key, and the step that was taken last beside it.

use countersign_core::{
    accounts::totp,
    digest::Digest,
    id::{AuthenticatorId, UserId},
    secret::{Personal, Secret},
    time::Time,
};
use countersign_store::access_rows::AuthenticatorRow;
use totp_rs::{Algorithm, Builder, Secret as TotpSecret, Totp};
use zeroize::Zeroizing;

use super::people::{TOTP, User};
use crate::{app::Records, fault::Fault, keys::Binding};

/// A secret that is being set up or used.
pub type Bytes = [u8; totp::SECRET_BYTES];

fn binding(user: UserId, authenticator: AuthenticatorId) -> Binding {
    Binding::new("totp-secret", &[user.as_bytes(), authenticator.as_bytes()])
}

fn generator(secret: &Bytes, account: &str, issuer: &str) -> Result<Totp, Fault> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(totp::DIGITS)
        .with_skew(totp::SKEW_STEPS)
        .with_step_duration(totp::STEP_S)
        .with_secret(secret.as_slice())
        .with_account_name(account.replace(':', " "))
        .with_issuer(Some(issuer.replace(':', ".")))
        .build()
        .map_err(|error| Fault::Task(format!("a one-time code: {error}")))
}

/// What an authenticator app reads: the address in a QR code, and the secret to type.
pub struct Shown {
    /// `otpauth://…`
    pub address: Secret<String>,
    /// The secret in groups of four letters.
    pub text: Secret<String>,
}

/// How a secret is shown to its owner. The app lists it under the host, so that those of two servers can be told apart.
pub fn shown(app: &Records, secret: &Bytes, email: &Personal<String>) -> Result<Shown, Fault> {
    let issuer = format!("Countersign {}", app.config.public_host()?);
    let generator = generator(secret, email.disclose(), &issuer)?;
    let address = generator.to_url().map_err(|error| Fault::Task(format!("a one-time code: {error}")))?;
    let plain = Zeroizing::new(TotpSecret::from(secret.as_slice()).to_base32());
    let mut text = String::new();
    for (index, letter) in plain.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            text.push(' ');
        }
        text.push(letter);
    }
    Ok(Shown { address: Secret::new(address), text: Secret::new(text) })
}

/// The step whose code was typed, if it may be taken after that of `last`.
pub fn step(secret: &Bytes, typed: &str, last: u64, now: Time) -> Result<Option<u64>, Fault> {
    let Some(code) = totp::read(typed) else { return Ok(None) };
    let matched = generator(secret, "account", "Countersign")?.check(&code, totp::unix_s(now));
    Ok(matched.filter(|matched| totp::may_follow(last, *matched)))
}

/// The row of a secret whose first code was that of `step`.
pub fn new_row(app: &Records, user: &User, secret: &Bytes, step: u64) -> Result<AuthenticatorRow, Fault> {
    let authenticator = AuthenticatorId::new(app.now(), app.draw());
    Ok(AuthenticatorRow {
        authenticator,
        user: user.id(),
        kind: TOTP.to_owned(),
        lookup: None::<Digest>,
        sealed: user.key.seal(&*app.random, &binding(user.id(), authenticator), secret)?,
        counter: step,
        created_at: app.now(),
        used_at: None,
        ended_at: None,
        version: 1,
    })
}

/// The row after the code that was typed was taken; `None` if it may not be.
pub fn taken(
    user: &User,
    row: &AuthenticatorRow,
    typed: &str,
    now: Time,
) -> Result<Option<AuthenticatorRow>, Fault> {
    let plain = user.key.open(&binding(row.user, row.authenticator), &row.sealed)?;
    let secret: Zeroizing<Bytes> = Zeroizing::new(
        plain.as_slice().try_into().map_err(|_| Fault::Sealed("a secret of one-time codes".to_owned()))?,
    );
    let step = step(&secret, typed, row.counter, now)?;
    Ok(step.map(|step| AuthenticatorRow {
        counter: step,
        used_at: Some(now),
        version: row.version + 1,
        ..row.clone()
    }))
}
