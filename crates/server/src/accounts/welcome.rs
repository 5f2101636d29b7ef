//! Becoming a member: a new user with complete factors, the membership and the use of the link are one commit, so that
//! nobody is left half way. Who has an account already confirms in a session of that account.

use axum::http::HeaderValue;
use countersign_core::{
    access::Environment,
    accounts::ticket::Purpose,
    digest::Digest,
    id::{ProviderId, UserId},
    level::Level,
    limits,
    refusal::{Code, Refusal},
    role::Role,
    secret::{Personal, Secret},
    security::SecurityBody,
    time::Time,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{AuthenticatorRow, Change, MemberRow, Spend},
    batch::Row,
};
use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::{CreationChallengeResponse, RegisterPublicKeyCredential};

use super::{
    busy,
    changes::{self, passkeys_of},
    circumstances, devices,
    passkeys::Asked,
    passwords,
    people::{self, Factors, User},
    sealed,
    session::{self, SignedIn},
    tickets::{self, Opened},
    totp,
};
use crate::{
    app::App,
    fault::{Failure, Fault},
    grants, organizations, persons,
    signer::strict::Caller,
};

const BEGUN: &str = "welcome";

/// A new user who is half way: what the browser carries.
#[derive(Serialize, Deserialize)]
struct Begun {
    user: UserId,
    name: String,
    /// Hash of the password and secret of the codes, on that way.
    codes: Option<(String, totp::Bytes)>,
    /// The state of the passkey's challenge, on the other.
    passkey: Option<String>,
}

/// What the page shows to set up one-time codes.
pub struct Codes {
    /// How the secret is shown.
    pub shown: totp::Shown,
    /// What the browser carries.
    pub state: String,
}

/// Who has an account joins with that.
pub fn has_account() -> Refusal {
    Refusal::new(Code::Invalid, "there is an account with this address: sign in to go on")
}

/// Refuses a link that is not for a new user.
fn check_new(opened: &Opened) -> Result<(), Refusal> {
    if opened.user.is_some() { Err(has_account()) } else { Ok(()) }
}

fn user_of(app: &App, opened: &Opened, begun: &Begun) -> Result<User, Failure> {
    Ok(people::new(app, begun.user, Personal::new(begun.name.clone()), opened.email.clone())?)
}

fn carried(app: &App, begun: &Begun) -> Result<String, Fault> {
    sealed::seal(app, BEGUN, app.now().plus_s(limits::FIRST_OWNER_S), begun)
}

fn read(app: &App, state: &str) -> Result<Begun, Refusal> {
    sealed::open(app, BEGUN, state).ok_or_else(|| {
        Refusal::new(Code::LinkExpired, "this took too long; load the page again and begin anew")
    })
}

/// Begins with a passkey.
pub fn ask_passkey(
    app: &App,
    opened: &Opened,
    name: &str,
) -> Result<Asked<CreationChallengeResponse>, Failure> {
    check_new(opened)?;
    let name = User::check_name(name)?;
    let mut begun = Begun {
        user: UserId::new(app.now(), app.draw()),
        name: name.disclose().clone(),
        codes: None,
        passkey: None,
    };
    let user = user_of(app, opened, &begun)?;
    let asked = passkeys_of(&app.accounts)?.ask_new(app, &user, &Factors::default())?;
    begun.passkey = Some(asked.state);
    Ok(Asked { options: asked.options, state: carried(app, &begun)? })
}

/// Begins with a password, and the secret of one-time codes.
pub async fn ask_codes(
    app: &App,
    opened: &Opened,
    name: &str,
    password: &Secret<String>,
) -> Result<Codes, Failure> {
    check_new(opened)?;
    let name = User::check_name(name)?;
    let organization = opened.organization.as_ref().map(|organization| organization.name.clone());
    let own =
        [opened.email.disclose().as_str(), name.disclose(), organization.as_deref().unwrap_or_default()];
    let hash = changes::hashed(app, password, &own).await?;
    let secret: totp::Bytes = app.draw();
    let begun = Begun {
        user: UserId::new(app.now(), app.draw()),
        name: name.disclose().clone(),
        codes: Some((hash.to_string(), secret)),
        passkey: None,
    };
    Ok(Codes { shown: totp::shown(app, &secret, &opened.email)?, state: carried(app, &begun)? })
}

/// Ends with the passkey that the browser made.
pub async fn with_passkey(
    app: &App,
    caller: &Caller,
    opened: &Opened,
    state: &str,
    answer: &RegisterPublicKeyCredential,
    label: &str,
) -> Result<Vec<HeaderValue>, Failure> {
    check_new(opened)?;
    let begun = read(app, state)?;
    let passkey_state = begun.passkey.as_deref().ok_or_else(Refusal::not_found)?;
    let made = passkeys_of(&app.accounts)?.made(app, passkey_state, answer)?;
    let user = user_of(app, opened, &begun)?;
    if made.user != user.id() {
        return Err(super::refused().into());
    }
    let rows = vec![made.row(app, &user, &changes::check_label(label)?)?];
    let newcomer = Newcomer {
        user,
        rows,
        spends: vec![made.spend],
        authenticated: (Level::Aal2Phr, app.now()),
        methods: &["passkey"],
        provider: None,
    };
    newcomer.join(app, caller, opened).await
}

/// Ends with the first code of the authenticator app.
pub async fn with_codes(
    app: &App,
    caller: &Caller,
    opened: &Opened,
    state: &str,
    typed: &Secret<String>,
) -> Result<Vec<HeaderValue>, Failure> {
    check_new(opened)?;
    let begun = read(app, state)?;
    let (hash, secret) = begun.codes.as_ref().ok_or_else(Refusal::not_found)?;
    let step = totp::step(secret, typed.expose(), 0, app.now())?.ok_or_else(changes::wrong_code)?;
    let mut user = user_of(app, opened, &begun)?;
    passwords::put(app, &mut user, hash)?;
    let rows = vec![totp::new_row(app, &user, secret, step)?];
    let newcomer = Newcomer {
        user,
        rows,
        spends: Vec::new(),
        authenticated: (Level::Aal2, app.now()),
        methods: &["password", "totp"],
        provider: None,
    };
    newcomer.join(app, caller, opened).await
}

/// A user who does not exist yet.
pub(super) struct Newcomer {
    /// Who.
    pub(super) user: User,
    /// What the user comes in with.
    pub(super) rows: Vec<AuthenticatorRow>,
    /// What is good once and was used.
    pub(super) spends: Vec<Spend>,
    /// How surely, and when the user proved who it is.
    pub(super) authenticated: (Level, Time),
    /// With what.
    pub(super) methods: &'static [&'static str],
    /// The provider that opens the first session, where one does.
    pub(super) provider: Option<ProviderId>,
}

impl Newcomer {
    /// Makes the user, the membership and the first session.
    pub(super) async fn join(
        mut self,
        app: &App,
        caller: &Caller,
        opened: &Opened,
    ) -> Result<Vec<HeaderValue>, Failure> {
        let (device, device_cookie) = devices::renewed(app, &self.user.row.lookup)?;
        let mut failures = self.user.failures()?;
        failures.came_in(None, device, app.now());
        self.user.set_failures(&failures)?;
        let mut batch = Batch { spends: self.spends, ..Batch::default() };
        batch.rows.push(Row::User(self.user.row.clone()));
        let member = membership(app, opened, &self.user, &mut batch).await?;
        let memberships = [member];
        let (authenticated, provider) = (self.authenticated, self.provider);
        let begun = session::begin_through(
            app,
            &self.user,
            &memberships,
            authenticated,
            self.methods,
            caller,
            provider,
        )?;
        batch.rows.push(Row::SignIn(begun.row.clone()));
        let (user, sign_in) = (self.user.id(), begun.row.sign_in);
        let [member] = &memberships;
        let mut events = vec![SecurityBody::MemberJoined { user, role: member.role }];
        for row in self.rows {
            let (authenticator, factor) = (row.authenticator, row.kind.clone());
            events.push(SecurityBody::FactorAdded { user, authenticator, factor });
            batch.rows.push(Row::Authenticator(row));
        }
        let methods = self.methods.iter().map(|method| (*method).to_owned()).collect();
        events.push(SecurityBody::SignedIn { user, sign_in, level: authenticated.0, methods, provider });
        let actor = circumstances::in_person(user, Some(sign_in));
        for body in &events {
            circumstances::record(app, &memberships, actor, caller, body, &mut batch).await?;
        }
        match app.store.commit(batch).await {
            Ok(_) => Ok(vec![begun.cookie, device_cookie]),
            Err(CommitError::Conflict) => Err(has_account().into()),
            Err(CommitError::Outdated | CommitError::Spent) => Err(used_before().into()),
            Err(error) => Err(Fault::of_commit(error).into()),
        }
    }
}

fn used_before() -> Refusal {
    Refusal::new(Code::LinkUsed, "this link was used before; it works once")
}

/// What makes a user a member, and uses the link up.
async fn membership(
    app: &App,
    opened: &Opened,
    user: &User,
    batch: &mut Batch,
) -> Result<MemberRow, Failure> {
    let organization = opened.organization.as_ref().ok_or_else(Refusal::not_found)?.id;
    let role = opened.row.role.ok_or_else(Refusal::not_found)?;
    if opened.purpose == Purpose::FirstOwner {
        if tickets::has_owner(app, organization).await? {
            return Err(Refusal::new(Code::LinkUsed, "this organization has an owner already").into());
        }
        // Of two links for the first owner one works: the other has ended by the time that this is forgotten.
        let parts: [&[u8]; 2] = [b"countersign/first-owner/v1\0", organization.as_bytes()];
        let expires_at = app.now().plus_s(2 * limits::FIRST_OWNER_S);
        batch.spends.push(Spend { hash: Digest::of_parts(&parts), expires_at });
    }
    let mut persons = Vec::new();
    for environment in [Environment::Sandbox, Environment::Live] {
        let tenant = organizations::tenant(organization, environment);
        persons.extend(persons::ensure(app, &tenant, &[&user.email]).await?);
    }
    let [sandbox, live] = persons.as_slice() else {
        return Err(Fault::Missing("a member's persons".to_owned()).into());
    };
    batch.changes.push(tickets::used(app, &opened.row));
    let before = app.store.member(organization, user.id()).await?;
    if before.as_ref().is_some_and(|member| member.ended_at.is_none()) {
        return Err(Refusal::new(Code::Invalid, "you are a member already").into());
    }
    let member = if let Some(before) = before {
        // What was granted at the very moment of the removal does not come back with the member.
        for grant in grants::open_of(app, organization, user.id()).await? {
            batch.changes.push(grants::ending(app, grant.grant, false));
        }
        let again = MemberRow { role, ended_at: None, version: before.version + 1, ..before };
        batch.changes.push(Change::Member(again.clone()));
        again
    } else {
        let member = MemberRow {
            organization,
            user: user.id(),
            role,
            persons: (*sandbox, *live),
            created_at: app.now(),
            ended_at: None,
            version: 1,
        };
        batch.rows.push(Row::Member(member.clone()));
        member
    };
    Ok(member)
}

/// Makes somebody who has an account a member, in a session of the account that the link is for.
pub async fn join(
    app: &App,
    caller: &Caller,
    opened: &Opened,
    signed_in: &SignedIn,
) -> Result<Role, Failure> {
    let is_for = opened.user.as_ref().is_some_and(|user| user.id() == signed_in.user_id());
    signed_in.check_own()?;
    if !is_for {
        return Err(Refusal::new(
            Code::SignInNeeded,
            "this invitation is for another address: sign in with the account of that address",
        )
        .into());
    }
    let mut batch = Batch::default();
    let member = membership(app, opened, &signed_in.user, &mut batch).await?;
    let role = member.role;
    let body = SecurityBody::MemberJoined { user: signed_in.user_id(), role };
    let actor = circumstances::in_person(signed_in.user_id(), Some(signed_in.sign_in()));
    circumstances::record(app, &[member], actor, caller, &body, &mut batch).await?;
    match app.store.commit(batch).await {
        Ok(_) => Ok(role),
        Err(CommitError::Outdated | CommitError::Spent) => Err(used_before().into()),
        Err(CommitError::Conflict) => Err(busy().into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}
