//! Changes of a password or a factor: they end all other sessions and all grants of the user, who gets a mail; and the end
//! of sessions by hand. A dangerous act asks for a proof of the last minutes.

use axum::http::HeaderValue;
use countersign_core::{
    id::{AuthenticatorId, SignInId},
    level::Level,
    limits,
    refusal::{Code, Refusal},
    secret::Secret,
    security::{EndReason, SecurityActor, SecurityBody},
    time::Time,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{AuthenticatorRow, Change, Ending, MemberRow, SignInRow, Spend},
    batch::Row,
};
use webauthn_rs::prelude::RegisterPublicKeyCredential;

use super::{
    Accounts, busy, circumstances, devices,
    letters::Notice,
    mails, passkeys, passwords,
    people::{self, Factors, PASSKEY, RECOVERY_CODE, TOTP, User},
    recovery,
    session::{self, SignedIn},
    totp,
};
use crate::{
    app::{App, Records},
    fault::{Failure, Fault},
    grants,
    security::Circumstances,
    signer::strict::Caller,
};

/// What a change does besides what all of them do.
pub struct Edit {
    /// Rows of factors that are new.
    pub added: Vec<AuthenticatorRow>,
    /// Rows of factors that end.
    pub removed: Vec<AuthenticatorRow>,
    /// What is good once and was used.
    pub spends: Vec<Spend>,
    /// The level of the session afterwards, if it rises.
    pub level: Option<Level>,
    /// What to tell besides added and removed factors.
    pub events: Vec<SecurityBody>,
    /// What the mail says.
    pub notice: Notice,
}

impl Edit {
    /// An edit that does nothing yet.
    pub fn new(notice: Notice) -> Self {
        let (added, removed, spends) = (Vec::new(), Vec::new(), Vec::new());
        Self { added, removed, spends, level: None, events: Vec::new(), notice }
    }
}

/// Who changes something.
pub struct Changing<'a> {
    /// The application.
    pub app: &'a App,
    /// The request.
    pub caller: &'a Caller,
    /// In which session.
    pub signed_in: &'a SignedIn,
}

/// Ends all sessions of a user, also those that begin while this is on its way; grants end with the user's new beginning. It
/// lies a millisecond ahead, so that nothing that was made at this very moment survives. Gives the sessions that are told of.
/// [`put_user`] and [`put_end_of_sessions`] put it into the batch.
pub(super) async fn end_everything(app: &Records, user: &mut User) -> Result<Vec<SignInRow>, Fault> {
    let now = app.now();
    let rows = app.store.sign_ins(user.id()).await?;
    let open: Vec<SignInRow> = rows.into_iter().filter(|row| session::is_open(row, user, now)).collect();
    user.row.valid_from = now.plus_ms(1).max(user.row.valid_from.plus_ms(1));
    let mut failures = user.failures()?;
    failures.begin_anew();
    user.set_failures(&failures)?;
    Ok(open)
}

/// Puts the changed user into the batch, before any of its factors: whoever comes in takes these rows in the same order.
pub(super) fn put_user(user: &mut User, batch: &mut Batch) {
    user.row = user.next();
    batch.changes.push(Change::User(user.row.clone()));
}

/// Puts the end of the sessions into the batch, after the user and its factors: whoever comes in meanwhile is refused by
/// these, or was before them, and is ended.
pub(super) fn put_end_of_sessions(app: &Records, user: &User, batch: &mut Batch) {
    let what = Ending::SignInsOf(user.id());
    batch.changes.push(Change::End { what, at: app.now(), once: false });
}

/// Ends factors and adds others: rows and events. That a factor is used meanwhile does not hold up its end.
pub(super) fn apply_factors(edit: &Edit, now: Time, batch: &mut Batch) -> Vec<SecurityBody> {
    let mut events = Vec::new();
    for row in &edit.removed {
        let what = Ending::Authenticator(row.authenticator);
        batch.changes.push(Change::End { what, at: now, once: false });
        events.push(SecurityBody::FactorRemoved {
            user: row.user,
            authenticator: row.authenticator,
            factor: row.kind.clone(),
        });
    }
    for row in &edit.added {
        batch.rows.push(Row::Authenticator(row.clone()));
        events.push(SecurityBody::FactorAdded {
            user: row.user,
            authenticator: row.authenticator,
            factor: row.kind.clone(),
        });
    }
    events.extend(edit.events.iter().cloned());
    events
}

/// The events of sessions that ended.
pub(super) fn signed_out(
    rows: &[SignInRow],
    except: Option<SignInId>,
    reason: EndReason,
) -> Vec<SecurityBody> {
    let others = rows.iter().filter(|row| Some(row.sign_in) != except);
    others.map(|row| SecurityBody::SignedOut { user: row.user, sign_in: row.sign_in, reason }).collect()
}

impl Changing<'_> {
    /// Makes a change whole: what `edit` says of the account as it is at that moment, the end of everything else, events
    /// and mail, in one commit. Gives the cookies of the session that goes on.
    pub async fn make(
        &self,
        edit: impl Fn(&mut User, &Factors) -> Result<Edit, Failure> + Send + Sync,
    ) -> Result<Vec<HeaderValue>, Failure> {
        let Self { app, signed_in, .. } = self;
        signed_in.check_own()?;
        signed_in.check_fresh(app.now())?;
        for _ in 0..limits::CONFLICT_TRIES {
            let mut user = people::by_id(app, signed_in.user_id()).await?.ok_or_else(super::refused)?;
            if user.row.valid_from != signed_in.user.row.valid_from {
                return Err(Refusal::new(Code::SignInNeeded, "this session has ended; sign in again").into());
            }
            let factors = Factors::of(app, user.id()).await?;
            let edit = edit(&mut user, &factors)?;
            let (cookies, batch) = self.batch(user, edit).await?;
            match app.store.commit(batch).await {
                Ok(_) => return Ok(cookies),
                Err(CommitError::Outdated) => {}
                Err(CommitError::Conflict | CommitError::Spent) => {
                    return Err(Refusal::new(Code::Invalid, "this was added before").into());
                }
                Err(error) => return Err(Fault::of_commit(error).into()),
            }
        }
        Err(busy().into())
    }

    async fn batch(&self, mut user: User, edit: Edit) -> Result<(Vec<HeaderValue>, Batch), Failure> {
        let Self { app, caller, signed_in } = self;
        let mut batch = Batch { spends: edit.spends.clone(), ..Batch::default() };
        let open = end_everything(app, &mut user).await?;
        let (device, device_cookie) = devices::renewed(app, &user.row.lookup)?;
        let mut failures = user.failures()?;
        failures.came_in(None, device, app.now());
        user.set_failures(&failures)?;
        put_user(&mut user, &mut batch);
        let mut events = apply_factors(&edit, app.now(), &mut batch);
        put_end_of_sessions(app, &user, &mut batch);
        events.extend(signed_out(&open, Some(signed_in.sign_in()), EndReason::FactorChanged));
        let memberships = &signed_in.told;
        let (level, at) = signed_in.row.authenticated;
        let authenticated =
            edit.level.filter(|risen| *risen > level).map_or((level, at), |risen| (risen, app.now()));
        let methods = session::origin(&signed_in.user, &signed_in.row)?.methods;
        let methods: Vec<&str> = methods.iter().map(String::as_str).collect();
        let begun = session::begin(app, &user, memberships, authenticated, &methods, caller)?;
        batch.rows.push(Row::SignIn(begun.row.clone()));
        let actor = circumstances::in_person(user.id(), Some(begun.row.sign_in));
        for body in &events {
            circumstances::record(app, memberships, actor, caller, body, &mut batch).await?;
        }
        mails::notify(app, user.id(), memberships, edit.notice, caller.correlation, &mut batch);
        Ok((vec![begun.cookie, device_cookie], batch))
    }

    /// Adds a passkey.
    pub async fn add_passkey(
        &self,
        state: &str,
        answer: &RegisterPublicKeyCredential,
        label: &str,
    ) -> Result<Vec<HeaderValue>, Failure> {
        let made = passkeys_of(&self.app.accounts)?.made(self.app, state, answer)?;
        if made.user != self.signed_in.user_id() {
            return Err(super::refused().into());
        }
        let label = check_label(label)?;
        self.make(|user, _| {
            let mut edit = Edit::new(Notice::PasskeyAdded);
            edit.added.push(made.row(self.app, user, &label)?);
            edit.spends.push(made.spend);
            Ok(edit)
        })
        .await
    }

    /// Removes a passkey, but not the last way in.
    pub async fn remove_passkey(&self, passkey: AuthenticatorId) -> Result<Vec<HeaderValue>, Failure> {
        self.make(|user, factors| {
            let row = factors.kind(PASSKEY).find(|row| row.authenticator == passkey);
            let row = row.ok_or_else(Refusal::not_found)?;
            let has_password = user.row.sealed_password.is_some() && factors.has(TOTP);
            if factors.kind(PASSKEY).count() < 2 && !has_password {
                return Err(last_way_in().into());
            }
            let mut edit = Edit::new(Notice::PasskeyRemoved);
            edit.removed.push(row.clone());
            Ok(edit)
        })
        .await
    }

    /// Sets the secret of one-time codes after its first code was typed, in place of the one before; with a password where
    /// there was none.
    pub async fn set_codes(
        &self,
        secret: &totp::Bytes,
        typed: &Secret<String>,
        password_hash: Option<&str>,
    ) -> Result<Vec<HeaderValue>, Failure> {
        let step = totp::step(secret, typed.expose(), 0, self.app.now())?.ok_or_else(wrong_code)?;
        self.make(|user, factors| {
            let mut edit = Edit::new(Notice::CodesSet);
            edit.removed.extend(factors.kind(TOTP).cloned());
            edit.added.push(totp::new_row(self.app, user, secret, step)?);
            if let Some(hash) = password_hash {
                passwords::put(self.app, user, hash)?;
                edit.events.push(SecurityBody::PasswordChanged { user: user.id() });
            } else if user.row.sealed_password.is_none() {
                return Err(Refusal::at(Code::Invalid, "/password", "choose a password first").into());
            }
            edit.level = Some(Level::Aal2);
            Ok(edit)
        })
        .await
    }

    /// Sets another password.
    pub async fn change_password(&self, password: &Secret<String>) -> Result<Vec<HeaderValue>, Failure> {
        self.signed_in.check_fresh(self.app.now())?;
        let own = own_words(self.app, &self.signed_in.user, &self.signed_in.told).await?;
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let hash = hashed(self.app, password, &own).await?;
        self.make(|user, factors| {
            if !factors.has(TOTP) {
                return Err(
                    Refusal::new(Code::Invalid, "set up one-time codes together with a password").into()
                );
            }
            passwords::put(self.app, user, &hash)?;
            let mut edit = Edit::new(Notice::PasswordChanged);
            edit.events.push(SecurityBody::PasswordChanged { user: user.id() });
            Ok(edit)
        })
        .await
    }

    /// Turns the way in with password and one-time codes off, where a passkey is another.
    pub async fn remove_password(&self) -> Result<Vec<HeaderValue>, Failure> {
        self.make(|user, factors| {
            if !factors.has(PASSKEY) {
                return Err(last_way_in().into());
            }
            user.row.sealed_password = None;
            let mut edit = Edit::new(Notice::PasswordRemoved);
            edit.removed.extend(factors.kind(TOTP).cloned());
            Ok(edit)
        })
        .await
    }

    /// Keeps a set of recovery codes in place of the one before.
    pub async fn keep_recovery_codes(&self, set: &recovery::Set) -> Result<Vec<HeaderValue>, Failure> {
        self.make(|user, factors| {
            let mut edit = Edit::new(Notice::RecoveryCodesMade);
            edit.removed.extend(factors.kind(RECOVERY_CODE).cloned());
            edit.added = recovery::rows(self.app, user.id(), set);
            Ok(edit)
        })
        .await
    }

    /// Gives a passkey another name. This opens nothing and ends nothing.
    pub async fn rename_passkey(&self, passkey: AuthenticatorId, label: &str) -> Result<(), Failure> {
        self.signed_in.check_own()?;
        let label = check_label(label)?;
        let factors = Factors::of(self.app, self.signed_in.user_id()).await?;
        let row = factors.kind(PASSKEY).find(|row| row.authenticator == passkey);
        let row = row.ok_or_else(Refusal::not_found)?;
        let renamed = passkeys::renamed(self.app, &self.signed_in.user, row, &label)?;
        let batch = Batch { changes: vec![Change::Authenticator(renamed)], ..Batch::default() };
        match self.app.store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Outdated) => Err(busy().into()),
            Err(error) => Err(Fault::of_commit(error).into()),
        }
    }

    /// Ends sessions of the user: one, or all but this one.
    pub async fn end_sessions(&self, one: Option<SignInId>) -> Result<(), Failure> {
        let Self { app, caller, signed_in } = self;
        let rows = app.store.sign_ins(signed_in.user_id()).await?;
        let now = app.now();
        let chosen: Vec<SignInRow> = rows
            .into_iter()
            .filter(|row| session::is_open(row, &signed_in.user, now))
            .filter(|row| signed_in.sees(row))
            .filter(|row| one.map_or(row.sign_in != signed_in.sign_in(), |one| row.sign_in == one))
            .collect();
        if chosen.is_empty() && one.is_some() {
            return Err(Refusal::not_found().into());
        }
        for row in &chosen {
            end_one(app, caller, signed_in, row).await?;
        }
        Ok(())
    }
}

/// Ends one session; that it ended already is as good.
async fn end_one(app: &App, caller: &Caller, signed_in: &SignedIn, row: &SignInRow) -> Result<(), Failure> {
    let mut batch = Batch { changes: vec![session::ending(row.sign_in, app.now())], ..Batch::default() };
    let actor = circumstances::in_person(signed_in.user_id(), Some(signed_in.sign_in()));
    let is_own = row.sign_in == signed_in.sign_in();
    let reason = if is_own { EndReason::Revoked } else { EndReason::Ended };
    let body = SecurityBody::SignedOut { user: row.user, sign_in: row.sign_in, reason };
    circumstances::record(app, &signed_in.told, actor, caller, &body, &mut batch).await?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}

/// Signs out: the session is over, as if its time were. What was granted in it to go on (with refresh tokens) does, as the
/// person was told when agreeing; what was granted for the time of the session ends with it. Ending a session from the list
/// is another thing: whoever does that suspects it, and all that was granted in it ends.
pub async fn sign_out(app: &App, caller: &Caller, signed_in: &SignedIn) -> Result<(), Failure> {
    let now = app.now();
    let actor = circumstances::in_person(signed_in.user_id(), Some(signed_in.sign_in()));
    for _ in 0..limits::CONFLICT_TRIES {
        // As it is now: somebody may have confirmed it in this session meanwhile.
        let rows = app.store.sign_ins(signed_in.user_id()).await?;
        let row = rows.into_iter().find(|row| row.sign_in == signed_in.sign_in() && row.ended_at.is_none());
        let Some(row) = row else { return Ok(()) };
        let over = SignInRow { expires_at: now, version: row.version + 1, ..row.clone() };
        let mut batch = Batch { changes: vec![Change::SignIn(over)], ..Batch::default() };
        let body =
            SecurityBody::SignedOut { user: row.user, sign_in: row.sign_in, reason: EndReason::Revoked };
        circumstances::record(app, &signed_in.memberships, actor, caller, &body, &mut batch).await?;
        for member in &signed_in.memberships {
            for grant in grants::open_of(app, member.organization, row.user).await? {
                if grant.sign_in != Some(row.sign_in) || grant.generation > 0 {
                    continue;
                }
                let person = member.person(grant.tenant.environment());
                let origin = Some((person, caller.origin.clone()));
                let circumstances = Circumstances { actor, origin, correlation: caller.correlation };
                grants::add_end(app, &circumstances, &grant, EndReason::Revoked, &mut batch).await?;
            }
        }
        match app.store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Outdated) => {}
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Err(busy().into())
}

/// Ends a passkey whose counter did not grow.
pub async fn passkey_was_cloned(
    app: &App,
    caller: &Caller,
    user: &User,
    row: &AuthenticatorRow,
    spend: Spend,
) -> Result<(), Failure> {
    let memberships: Vec<MemberRow> = people::memberships(app, user.id()).await?;
    let what = Ending::Authenticator(row.authenticator);
    let end = Change::End { what, at: app.now(), once: true };
    let mut batch = Batch { spends: vec![spend], changes: vec![end], ..Batch::default() };
    let body = SecurityBody::FactorCloned { user: user.id(), authenticator: row.authenticator };
    circumstances::record(app, &memberships, SecurityActor::Unknown, caller, &body, &mut batch).await?;
    mails::notify(app, user.id(), &memberships, Notice::PasskeyCloned, caller.correlation, &mut batch);
    match app.store.commit(batch).await {
        // Of two answers at once the other was first: either way this one is refused.
        Ok(_) | Err(CommitError::Outdated | CommitError::Spent) => Ok(()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

/// The passkeys of a server that has a name.
pub fn passkeys_of(accounts: &Accounts) -> Result<&passkeys::Passkeys, Refusal> {
    accounts.passkeys.as_ref().ok_or_else(Refusal::not_found)
}

/// The hash of a new password that may be one.
pub async fn hashed(
    app: &App,
    password: &Secret<String>,
    own: &[&str],
) -> Result<zeroize::Zeroizing<String>, Failure> {
    let normal = passwords::check_new(password, own)?;
    app.accounts.hashing.hash(app, &normal).await
}

/// Words that a user's password is not made of.
pub async fn own_words(app: &App, user: &User, memberships: &[MemberRow]) -> Result<Vec<String>, Fault> {
    let mut words = vec![user.email.disclose().clone(), user.name.disclose().clone()];
    for member in memberships {
        words.push(app.organization(member.organization).await?.name.clone());
    }
    Ok(words)
}

/// Refuses a label that is none.
pub fn check_label(label: &str) -> Result<String, Refusal> {
    let label = label.trim();
    countersign_core::envelope::fields::check_line("/label", label)?;
    Ok(label.chars().take(60).collect())
}

fn last_way_in() -> Refusal {
    Refusal::new(Code::Invalid, "this is the last way into your account: add another one first")
}

/// A first code that was not right: whoever sets codes up is told so.
pub fn wrong_code() -> Refusal {
    Refusal::at(Code::Invalid, "/code", "this code is not right; type the one that the app shows now")
}
