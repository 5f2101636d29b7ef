//! Resetting a password: a mailed link and, where a second factor is enrolled, that factor too. The mail alone opens
//! nothing.

use axum::http::HeaderValue;
use countersign_core::{
    level::Level,
    limits,
    refusal::{Code, Refusal},
    secret::Secret,
    security::{EndReason, FailureReason, SecurityBody},
};
use countersign_store::{Batch, CommitError, access_rows::Change, batch::Row};

use super::{
    busy, changes, circumstances, devices,
    letters::Notice,
    mails, passwords,
    people::{self, Factors, TOTP, User},
    proofs::{Proof, kind_of},
    provider::links,
    refused, session, tickets,
    tickets::Opened,
    tries,
};
use crate::{
    app::App,
    fault::{Failure, Fault},
    signer::strict::Caller,
};

/// Who reset a password.
pub struct Reset {
    /// Cookies of the new session.
    pub cookies: Vec<HeaderValue>,
    /// Whether one-time codes are to be set up before anything else.
    pub needs_codes: bool,
}

/// Refuses an account that has nothing to show beside a link, and is opened by an organization's provider: a mailbox alone
/// would open it. A provider that was removed opens nothing, also where it left a connection behind.
pub async fn check_way(app: &App, user: &User, factors: &Factors) -> Result<(), Failure> {
    if factors.has_second() {
        return Ok(());
    }
    let mut is_opened_elsewhere = false;
    for row in &factors.rows {
        is_opened_elsewhere |= row.kind != people::PROVIDER || {
            let provider = links::read(user, row)?.provider;
            let found = app.store.provider_by_id(provider).await.map_err(Fault::from)?;
            found.is_some_and(|row| row.ended_at.is_none())
        };
    }
    if !is_opened_elsewhere {
        return Ok(());
    }
    Err(Refusal::new(
        Code::SignInRefused,
        "your account is opened by your organization's sign-in, and a mailed link alone sets no password for it: sign in with \
         your organization, or ask an owner of it to remove its sign-in",
    )
    .into())
}

/// Sets another password. A code is counted before it is verified; nothing of the link is used up unless all is right.
pub async fn reset(
    app: &App,
    caller: &Caller,
    opened: &Opened,
    password: &Secret<String>,
    proof: Proof,
) -> Result<Reset, Failure> {
    let user = opened.user.as_ref().ok_or_else(Refusal::not_found)?;
    let memberships = people::memberships(app, user.id()).await?;
    let own = changes::own_words(app, user, &memberships).await?;
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let hash = changes::hashed(app, password, &own).await?;
    let mut kind = None;
    if let Proof::Typed(typed) = &proof {
        let device = devices::of(app, &caller.headers, &user.row.lookup);
        let asked = kind_of(typed);
        let counted = tries::count(app, caller, Some(user.id()), device.as_ref(), asked).await?;
        counted.ok_or_else(refused)?;
        kind = Some(asked);
    }
    let done = commit(app, caller, opened, user, &hash, &proof).await;
    if let (Err(Failure::Refused(_)), Some(kind)) = (&done, kind) {
        tries::failed(app, caller, Some(user.id()), kind.text(), FailureReason::WrongCredential).await?;
    }
    done
}

async fn commit(
    app: &App,
    caller: &Caller,
    opened: &Opened,
    user: &User,
    hash: &str,
    proof: &Proof,
) -> Result<Reset, Failure> {
    for _ in 0..limits::CONFLICT_TRIES {
        let mut user = people::by_id(app, user.id()).await?.ok_or_else(refused)?;
        let factors = Factors::of(app, user.id()).await?;
        if let Proof::Passkey(verified) = proof
            && verified.user != user.id()
        {
            return Err(refused().into());
        }
        check_way(app, &user, &factors).await?;
        let proven = proof.alone(app, &user, &factors, app.now())?.ok_or_else(refused)?;
        let mut batch = Batch { spends: proven.spends.clone(), ..Batch::default() };
        batch.changes.push(tickets::used(app, &opened.row));
        passwords::put(app, &mut user, hash)?;
        let open = changes::end_everything(app, &mut user).await?;
        let (device, device_cookie) = devices::renewed(app, &user.row.lookup)?;
        let mut failures = user.failures()?;
        failures.came_in(None, device, app.now());
        user.set_failures(&failures)?;
        changes::put_user(&mut user, &mut batch);
        batch.changes.extend(proven.used.clone().map(Change::Authenticator));
        changes::put_end_of_sessions(app, &user, &mut batch);
        let memberships = people::memberships(app, user.id()).await?;
        let authenticated = (proven.level, app.now());
        let begun = session::begin(app, &user, &memberships, authenticated, &proven.methods, caller)?;
        batch.rows.push(Row::SignIn(begun.row.clone()));
        let mut events = vec![SecurityBody::PasswordChanged { user: user.id() }];
        events.extend(changes::signed_out(&open, None, EndReason::FactorChanged));
        events.push(SecurityBody::SignedIn {
            user: user.id(),
            sign_in: begun.row.sign_in,
            level: proven.level,
            methods: proven.methods.iter().map(|method| (*method).to_owned()).collect(),
            provider: None,
        });
        let actor = circumstances::in_person(user.id(), Some(begun.row.sign_in));
        for body in &events {
            circumstances::record(app, &memberships, actor, caller, body, &mut batch).await?;
        }
        mails::notify(app, user.id(), &memberships, Notice::PasswordReset, caller.correlation, &mut batch);
        match app.store.commit(batch).await {
            Ok(_) => {
                let cookies = vec![begun.cookie, device_cookie];
                let needs_codes = !factors.has(TOTP) || proven.level < Level::Aal2;
                return Ok(Reset { cookies, needs_codes });
            }
            Err(CommitError::Spent) => return Err(refused().into()),
            Err(CommitError::Outdated) => {
                let used = app.store.ticket_by_id(opened.row.ticket).await?;
                if used.is_none_or(|row| row.used_at.is_some()) {
                    return Err(
                        Refusal::new(Code::LinkUsed, "this link was used before; it works once").into()
                    );
                }
            }
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Err(busy().into())
}
