//! Recovery codes: a set of ten, of which only keyed hashes are kept, each good once.

use countersign_core::{
    accounts::recovery::{CODE_BYTES, CODES, read, text},
    digest::Digest,
    id::{AuthenticatorId, UserId},
    secret::{Secret, equal_in_constant_time},
    time::Time,
};
use countersign_store::access_rows::AuthenticatorRow;

use super::people::{Factors, RECOVERY_CODE};
use crate::app::Records;

/// A set that is shown and not yet kept.
pub type Set = Vec<[u8; CODE_BYTES]>;

/// Draws a set.
pub fn draw(app: &Records) -> Set {
    (0..CODES).map(|_| app.draw()).collect()
}

/// A set as it is shown.
pub fn shown(set: &Set) -> Vec<Secret<String>> {
    set.iter().map(text).collect()
}

fn lookup(app: &Records, user: UserId, code: &[u8; CODE_BYTES]) -> Digest {
    app.root().derive("recovery-code").mac(&[user.as_bytes(), code])
}

/// The rows of a set.
pub fn rows(app: &Records, user: UserId, set: &Set) -> Vec<AuthenticatorRow> {
    let row = |code| AuthenticatorRow {
        authenticator: AuthenticatorId::new(app.now(), app.draw()),
        user,
        kind: RECOVERY_CODE.to_owned(),
        lookup: Some(lookup(app, user, code)),
        sealed: Vec::new(),
        counter: 0,
        created_at: app.now(),
        used_at: None,
        ended_at: None,
        version: 1,
    };
    set.iter().map(row).collect()
}

/// The row of the code that was typed, used up; `None` if there is none that is good.
pub fn taken(
    app: &Records,
    user: UserId,
    factors: &Factors,
    typed: &str,
    now: Time,
) -> Option<AuthenticatorRow> {
    let wanted = lookup(app, user, &read(typed)?);
    let found = factors
        .kind(RECOVERY_CODE)
        .find(|row| row.lookup.is_some_and(|lookup| equal_in_constant_time(&lookup.0, &wanted.0)))?;
    Some(AuthenticatorRow {
        used_at: Some(now),
        ended_at: Some(now),
        version: found.version + 1,
        ..found.clone()
    })
}
