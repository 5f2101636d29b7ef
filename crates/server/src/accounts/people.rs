//! Users: found by the keyed hash of their address, each with a key of its own, under which all that is personal goes.

use countersign_core::{
    access::{Environment, Tenant},
    accounts::{email, lockout::Failures},
    canonical,
    digest::Digest,
    id::UserId,
    refusal::Refusal,
    secret::Personal,
};
use countersign_store::access_rows::{AuthenticatorRow, Change, MemberRow, UserRow};
use serde::{Deserialize, Serialize};

use crate::{
    app::Records,
    fault::Fault,
    keys::{Binding, WrappingKey},
    organizations,
};

/// A user with the key at hand.
#[derive(Clone)]
pub struct User {
    /// As stored.
    pub row: UserRow,
    /// Wraps what is the user's.
    pub key: WrappingKey,
    /// The name.
    pub name: Personal<String>,
    /// The address.
    pub email: Personal<String>,
}

#[derive(Serialize, Deserialize)]
struct Profile {
    name: String,
    email: String,
}

fn key_binding(user: UserId) -> Binding {
    Binding::new("user-key", &[user.as_bytes()])
}

fn profile_binding(user: UserId) -> Binding {
    Binding::new("user-profile", &[user.as_bytes()])
}

/// The hash that a user is found by.
pub fn lookup(app: &Records, address: &Personal<String>) -> Digest {
    app.root().derive("user-lookup").mac(&[email::compared(address).as_bytes()])
}

/// Opens a stored user.
pub fn open(app: &Records, row: UserRow) -> Result<User, Fault> {
    let key = app.root().unwrap(&key_binding(row.user), &row.wrapped_key)?;
    let plain = key.open(&profile_binding(row.user), &row.sealed_profile)?;
    let profile: Profile =
        serde_json::from_slice(&plain).map_err(|_| Fault::Sealed("a user's profile".to_owned()))?;
    Ok(User { row, key, name: Personal::new(profile.name), email: Personal::new(profile.email) })
}

/// The user with this address; one that ended is none.
pub async fn by_address(app: &Records, address: &Personal<String>) -> Result<Option<User>, Fault> {
    let row = app.store.user_by_lookup(lookup(app, address)).await?;
    row.filter(|row| row.ended_at.is_none()).map(|row| open(app, row)).transpose()
}

/// A user; one that ended is none.
pub async fn by_id(app: &Records, user: UserId) -> Result<Option<User>, Fault> {
    let row = app.store.user(user).await?;
    row.filter(|row| row.ended_at.is_none()).map(|row| open(app, row)).transpose()
}

/// A new user, not yet stored.
pub fn new(
    app: &Records,
    user: UserId,
    name: Personal<String>,
    address: Personal<String>,
) -> Result<User, Fault> {
    let key = WrappingKey::generate(&*app.random);
    let profile = Profile { name: name.disclose().clone(), email: address.disclose().clone() };
    let plain = canonical::to_vec(&profile).map_err(|error| Fault::Task(error.to_string()))?;
    let row = UserRow {
        user,
        lookup: lookup(app, &address),
        wrapped_key: app.root().wrap(&*app.random, &key_binding(user), &key)?,
        sealed_profile: key.seal(&*app.random, &profile_binding(user), &plain)?,
        sealed_password: None,
        failures: "{}".to_owned(),
        valid_from: app.now(),
        created_at: app.now(),
        ended_at: None,
        version: 1,
    };
    Ok(User { row, key, name, email: address })
}

impl User {
    /// Who.
    pub fn id(&self) -> UserId {
        self.row.user
    }

    /// Refuses a name that is none.
    pub fn check_name(name: &str) -> Result<Personal<String>, Refusal> {
        countersign_core::envelope::fields::check_line("/name", name)?;
        Ok(Personal::new(name.trim().to_owned()))
    }

    /// The counters of tries.
    pub fn failures(&self) -> Result<Failures, Fault> {
        serde_json::from_str(&self.row.failures)
            .map_err(|_| Fault::Sealed(format!("the counters of {}", self.row.user)))
    }

    /// Sets the counters of tries.
    pub fn set_failures(&mut self, failures: &Failures) -> Result<(), Fault> {
        let bytes = canonical::to_vec(failures).map_err(|error| Fault::Task(error.to_string()))?;
        self.row.failures = String::from_utf8(bytes).map_err(|error| Fault::Task(error.to_string()))?;
        Ok(())
    }

    /// The change of the counters, which were `before`. It is outdated if the account was changed since it was read.
    pub fn tried(&self, before: String) -> Change {
        let after = self.row.failures.clone();
        Change::Tries { user: self.id(), version: self.row.version, before, after }
    }

    /// The row of the next version, to replace this one.
    pub fn next(&self) -> UserRow {
        UserRow { version: self.row.version + 1, ..self.row.clone() }
    }
}

/// What somebody can come in with, now.
#[derive(Clone, Debug, Default)]
pub struct Factors {
    /// All that has not ended.
    pub rows: Vec<AuthenticatorRow>,
}

/// The kind of a passkey's row.
pub const PASSKEY: &str = "passkey";
/// The kind of a TOTP secret's row.
pub const TOTP: &str = "totp";
/// The kind of a recovery code's row.
pub const RECOVERY_CODE: &str = "recovery_code";
/// The kind of the row that connects a user with a subject of an organization's OpenID provider.
pub const PROVIDER: &str = "provider";

impl Factors {
    /// Those of a user.
    pub async fn of(app: &Records, user: UserId) -> Result<Self, Fault> {
        let mut rows = app.store.authenticators(user).await?;
        rows.retain(|row| row.ended_at.is_none());
        Ok(Self { rows })
    }

    /// Those of one kind.
    pub fn kind(&self, kind: &'static str) -> impl Iterator<Item = &AuthenticatorRow> {
        self.rows.iter().filter(move |row| row.kind == kind)
    }

    /// Whether there is one of this kind.
    pub fn has(&self, kind: &'static str) -> bool {
        self.kind(kind).next().is_some()
    }

    /// Whether there is anything of the user's own besides the password.
    pub fn has_second(&self) -> bool {
        self.rows.iter().any(|row| row.kind != PROVIDER)
    }
}

/// Where a user is a member now.
pub async fn memberships(app: &Records, user: UserId) -> Result<Vec<MemberRow>, Fault> {
    let mut rows = app.store.memberships(user).await?;
    rows.retain(|row| row.ended_at.is_none());
    Ok(rows)
}

/// The tenant of a member in an environment.
pub fn tenant_of(member: &MemberRow, environment: Environment) -> Tenant {
    organizations::tenant(member.organization, environment)
}
