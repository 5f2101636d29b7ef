//! Signing in: a passkey, or the password and then a second factor. Unknown, locked and wrong are one refusal, and take as
//! long.

use axum::http::HeaderValue;
use countersign_core::{
    accounts::{email, lockout::Kind, password},
    id::UserId,
    level::Level,
    limits,
    secret::{Personal, Secret},
    security::{FailureReason, SecurityBody},
    time::Time,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, SignInRow},
    batch::Row,
};
use serde::{Deserialize, Serialize};

use super::{
    busy, circumstances, devices,
    letters::Notice,
    mails, passwords,
    people::{self, Factors, User},
    proofs::{Proof, Proven, kind_of},
    refused, sealed, session, tries,
};
use crate::{
    app::App,
    fault::{Failure, Fault},
    signer::strict::Caller,
};

/// Between the password and the second factor.
const HALF_WAY: &str = "second-factor";
/// The cookie of somebody who is half way.
pub const HALF_WAY_COOKIE: &str = "__Host-cs-half-way";

/// Somebody whose password was right.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct HalfWay {
    /// Who.
    pub user: UserId,
    /// As of which change of password or factors.
    pub valid_from: Time,
}

/// Somebody who came in.
pub struct CameIn {
    /// The session.
    pub row: SignInRow,
    /// Cookies to set: the session's and the device's.
    pub cookies: Vec<HeaderValue>,
}

/// What a proof is for.
#[derive(Clone)]
pub enum Aim {
    /// A new session.
    New,
    /// To confirm it in a session.
    Again(Box<SignInRow>),
}

/// Checks address and password. Whatever is wrong, one try is counted or as much time passes, one hash is made, and one
/// more commit follows.
pub async fn password(
    app: &App,
    caller: &Caller,
    address: &str,
    typed: &Secret<String>,
) -> Result<HalfWay, Failure> {
    // What is no address is nobody's.
    let address = email::read(address).unwrap_or_else(|_| Personal::new(address.to_owned()));
    let lookup = people::lookup(app, &address);
    let found = people::by_address(app, &address).await?;
    if found.is_none() {
        people::open(app, app.accounts.nobody.row.clone())?;
    }
    // Who has no password has nothing to guess.
    let user = found.filter(|user| user.row.sealed_password.is_some()).map(|user| user.id());
    let device = devices::of(app, &caller.headers, &lookup);
    check_password(app, caller, user, device.as_ref(), typed).await
}

/// The same for a user who is known: by a session, say.
pub async fn password_of(
    app: &App,
    caller: &Caller,
    user: &User,
    typed: &Secret<String>,
) -> Result<HalfWay, Failure> {
    let device = devices::of(app, &caller.headers, &user.row.lookup);
    check_password(app, caller, Some(user.id()), device.as_ref(), typed).await
}

async fn check_password(
    app: &App,
    caller: &Caller,
    user: Option<UserId>,
    device: Option<&countersign_core::digest::Digest>,
    typed: &Secret<String>,
) -> Result<HalfWay, Failure> {
    let counted = tries::count(app, caller, user, device, Kind::Password).await?;
    let whose = counted.as_ref().filter(|user| user.row.sealed_password.is_some());
    let has_password = whose.is_some();
    let stored = passwords::stored(whose.unwrap_or(&app.accounts.nobody))?;
    let stored = stored.ok_or_else(|| Fault::Missing("the password of nobody".to_owned()))?;
    let normal = password::normalized(typed);
    let is_the_one = app.accounts.hashing.verify(&normal, stored).await?;
    let is_right = is_the_one && has_password && password::has_possible_length(&normal);
    let counted_user = counted.as_ref().map(User::id);
    if let Some(user) = counted.filter(|_| is_right) {
        return Ok(HalfWay { user: user.id(), valid_from: user.row.valid_from });
    }
    let (method, reason) = (Kind::Password.text(), FailureReason::WrongCredential);
    tries::failed(app, caller, counted_user, method, reason).await?;
    Err(refused().into())
}

/// The cookie of somebody half way.
pub fn half_way_cookie(app: &App, half_way: &HalfWay) -> Result<HeaderValue, Fault> {
    let until = app.now().plus_s(limits::SECOND_FACTOR_S);
    let value = sealed::seal(app, HALF_WAY, until, half_way)?;
    session::set_cookie(HALF_WAY_COOKIE, &value, limits::SECOND_FACTOR_S)
}

/// Who is half way, by the cookie, and still as the account was then.
pub async fn half_way(app: &App, caller: &Caller) -> Result<Option<(HalfWay, User)>, Fault> {
    let text = session::cookie(&caller.headers, HALF_WAY_COOKIE);
    let Some(half_way) = text.and_then(|text| sealed::open::<HalfWay>(app, HALF_WAY, text)) else {
        return Ok(None);
    };
    let user = people::by_id(app, half_way.user).await?;
    let same = user.filter(|user| user.row.valid_from == half_way.valid_from);
    Ok(same.map(|user| (half_way, user)))
}

/// Takes a code that was typed after a right password: counted first, and good once.
pub async fn code(
    app: &App,
    caller: &Caller,
    half_way: &HalfWay,
    typed: &Secret<String>,
    aim: Aim,
) -> Result<CameIn, Failure> {
    let user = people::by_id(app, half_way.user).await?.ok_or_else(refused)?;
    let device = devices::of(app, &caller.headers, &user.row.lookup);
    let kind = kind_of(typed);
    let counted = tries::count(app, caller, Some(user.id()), device.as_ref(), kind).await?;
    let Some(_) = counted else { return Err(refused().into()) };
    let came_in = finish(app, caller, half_way, &Proof::Typed(typed.clone()), aim).await;
    if let Err(Failure::Refused(_)) = &came_in {
        let reason = FailureReason::WrongCredential;
        tries::failed(app, caller, Some(user.id()), kind.text(), reason).await?;
    }
    came_in
}

/// Lets somebody in who proved it: of several who bring the same code at once, one comes in.
pub async fn finish(
    app: &App,
    caller: &Caller,
    half_way: &HalfWay,
    proof: &Proof,
    aim: Aim,
) -> Result<CameIn, Failure> {
    for _ in 0..limits::CONFLICT_TRIES {
        let user = people::by_id(app, half_way.user).await?.ok_or_else(refused)?;
        if user.row.valid_from != half_way.valid_from {
            return Err(refused().into());
        }
        let factors = Factors::of(app, user.id()).await?;
        let proven = proof.beside_password(app, &user, &factors, app.now())?.ok_or_else(refused)?;
        let (came_in, batch) = entry(app, caller, user, &factors, &proven, &aim).await?;
        match app.store.commit(batch).await {
            Ok(_) => return Ok(came_in),
            // A passkey's answer belongs to the row as it was read.
            Err(CommitError::Outdated) if !matches!(proof, Proof::Passkey(_)) => {}
            Err(CommitError::Outdated | CommitError::Spent) => return Err(refused().into()),
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Err(busy().into())
}

/// Lets somebody in with a passkey whose answer was verified.
pub async fn with_passkey(
    app: &App,
    caller: &Caller,
    verified: super::passkeys::Verified,
    aim: Aim,
) -> Result<CameIn, Failure> {
    let user = people::by_id(app, verified.user).await?.ok_or_else(refused)?;
    let half_way = HalfWay { user: user.id(), valid_from: user.row.valid_from };
    finish(app, caller, &half_way, &Proof::Passkey(Box::new(verified)), aim).await
}

/// All that one commit of somebody who comes in holds.
async fn entry(
    app: &App,
    caller: &Caller,
    mut user: User,
    factors: &Factors,
    proven: &Proven,
    aim: &Aim,
) -> Result<(CameIn, Batch), Failure> {
    let now = app.now();
    let memberships = people::memberships(app, user.id()).await?;
    let device = devices::of(app, &caller.headers, &user.row.lookup);
    let (known_as, device_cookie) = devices::renewed(app, &user.row.lookup)?;
    let mut failures = user.failures()?;
    // A password alone may have been guessed: its tries go on to count.
    if proven.level >= Level::Aal2 {
        failures.came_in(device.as_ref(), known_as, now);
    }
    let before = user.row.failures.clone();
    user.set_failures(&failures)?;
    let changes = vec![user.tried(before)];
    let mut batch = Batch { spends: proven.spends.clone(), changes, ..Batch::default() };
    batch.changes.extend(proven.used.clone().map(Change::Authenticator));
    let authenticated = (proven.level, now);
    let (methods, id) = (proven.methods.iter().map(|m| (*m).to_owned()).collect(), user.id());
    let (begun, body) = match aim {
        Aim::New => {
            let begun = session::begin(app, &user, &memberships, authenticated, &proven.methods, caller)?;
            batch.rows.push(Row::SignIn(begun.row.clone()));
            let sign_in = begun.row.sign_in;
            (
                begun,
                SecurityBody::SignedIn { user: id, sign_in, level: proven.level, methods, provider: None },
            )
        }
        Aim::Again(row) => {
            let begun = session::raise(app, row, authenticated)?;
            batch.changes.push(Change::SignIn(begun.row.clone()));
            let sign_in = begun.row.sign_in;
            (
                begun,
                SecurityBody::SteppedUp { user: id, sign_in, level: proven.level, methods, provider: None },
            )
        }
    };
    let actor = circumstances::in_person(id, Some(begun.row.sign_in));
    circumstances::record(app, &memberships, actor, caller, &body, &mut batch).await?;
    if let Some(used_up) = proven.used.as_ref().filter(|row| row.ended_at.is_some()) {
        let body = SecurityBody::FactorRemoved {
            user: id,
            authenticator: used_up.authenticator,
            factor: used_up.kind.clone(),
        };
        circumstances::record(app, &memberships, actor, caller, &body, &mut batch).await?;
        let left = factors.kind(people::RECOVERY_CODE).count().saturating_sub(1);
        mails::notify(
            app,
            user.id(),
            &memberships,
            Notice::recovery_code_used(left),
            caller.correlation,
            &mut batch,
        );
    }
    let mut cookies = vec![begun.cookie];
    if proven.level >= Level::Aal2 {
        cookies.push(device_cookie);
    }
    cookies.push(session::set_cookie(HALF_WAY_COOKIE, "", 0)?);
    Ok((CameIn { row: begun.row, cookies }, batch))
}
