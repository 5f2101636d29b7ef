//! What somebody who came back from a provider gets: a session in its organization, a session that goes on, an account that
//! is connected, or a new member.

use axum::http::HeaderValue;
use countersign_core::{
    accounts::{provider::Reason, ticket::Purpose},
    id::{SignInId, UserId},
    level::Level,
    limits,
    refusal::{Code, Refusal},
    secret::Secret,
    security::{SecurityActor, SecurityBody},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{AuthenticatorRow, Change, MemberRow},
    batch::Row,
};

use super::{
    flow::{self, Aim, Returned},
    links::{self, Found},
};
use crate::{
    accounts::{
        busy,
        changes::{Changing, Edit},
        circumstances,
        letters::Notice,
        people::{self, User},
        session::{self, SignedIn},
        tickets, welcome,
    },
    app::App,
    fault::{Failure, Fault},
    signer::strict::Caller,
};

/// How sessions and events name this way in.
const METHOD: &str = "provider";

/// Why somebody did not get what was begun: what the person is told, and what the organization reads.
struct Stopped {
    reason: Reason,
    failure: Failure,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self { reason: Reason::Refused, failure }
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self { reason: Reason::Fault, failure: fault.into() }
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Failure::from(refusal).into()
    }
}

fn refused(reason: Reason, sentence: &str) -> Stopped {
    Stopped { reason, failure: Refusal::new(Code::SignInRefused, sentence).into() }
}

fn not_connected() -> Stopped {
    refused(
        Reason::NotConnected,
        "your organization's sign-in worked, but no account here is connected with it: open your invitation, or sign in with \
         a passkey or a password of your own and connect it on your account page",
    )
}

fn connected() -> Stopped {
    refused(
        Reason::Connected,
        "this account of your organization's sign-in is connected with an account here already",
    )
}

fn not_sure() -> Stopped {
    Stopped { reason: Reason::Level, failure: flow::not_let_in().into() }
}

/// Lets somebody go on who came back. Gives the cookies to set.
pub async fn enter(app: &App, caller: &Caller, returned: Returned) -> Result<Vec<HeaderValue>, Failure> {
    let entered = match returned.flow.aim.clone() {
        Aim::SignIn => sign_in(app, caller, &returned).await,
        Aim::Again(sign_in) => again(app, caller, &returned, sign_in).await,
        Aim::Link(sign_in) => link(app, caller, &returned, sign_in).await,
        Aim::Join { secret, name } => join(app, caller, &returned, Secret::new(secret), &name).await,
    };
    if let Err(Stopped { reason, failure: Failure::Refused(_) }) = &entered {
        app.accounts.provider_failures.tell(app, caller, &returned.provider, *reason).await?;
    }
    entered.map_err(|stopped| stopped.failure)
}

/// The user whom the subject is connected with, as a member of the provider's organization.
async fn member(
    app: &App,
    returned: &Returned,
) -> Result<Option<(User, MemberRow, AuthenticatorRow)>, Failure> {
    let found = links::find(app, &returned.provider, &returned.subject).await?;
    let Some(Found::Linked(row)) = found else { return Ok(None) };
    let Some(user) = people::by_id(app, row.user).await? else { return Ok(None) };
    let member =
        app.store.member(returned.provider.row.organization, user.id()).await.map_err(Fault::from)?;
    let member = member.filter(|member| member.ended_at.is_none());
    Ok(member.map(|member| (user, member, *row)))
}

fn used(row: &AuthenticatorRow, app: &App) -> Change {
    Change::Authenticator(AuthenticatorRow {
        used_at: Some(app.now()),
        version: row.version + 1,
        ..row.clone()
    })
}

async fn sign_in(app: &App, caller: &Caller, returned: &Returned) -> Result<Vec<HeaderValue>, Stopped> {
    for _ in 0..limits::CONFLICT_TRIES {
        let (user, member, row) = member(app, returned).await?.ok_or_else(not_connected)?;
        let level = returned.level.filter(|level| *level >= Level::Aal2).ok_or_else(not_sure)?;
        let provider = Some(returned.provider.row.provider);
        let (members, authenticated) = ([member], (level, returned.at));
        let begun = session::begin_through(app, &user, &members, authenticated, &[METHOD], caller, provider)?;
        let sign_in = begun.row.sign_in;
        let methods = vec![METHOD.to_owned()];
        let body = SecurityBody::SignedIn { user: user.id(), sign_in, level, methods, provider };
        // Whose version this is for: a change of the account that ends all sessions ends this one, too, or refuses it.
        let as_read = user.tried(user.row.failures.clone());
        let changes = vec![as_read, used(&row, app)];
        let mut batch = Batch { rows: vec![Row::SignIn(begun.row)], changes, ..Batch::default() };
        let actor = circumstances::in_person(user.id(), Some(sign_in));
        circumstances::record(app, &members, actor, caller, &body, &mut batch).await?;
        match app.store.commit(batch).await {
            Ok(_) => return Ok(vec![begun.cookie]),
            Err(CommitError::Outdated) => {}
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Err(busy().into())
}

/// The session in which something was begun, if this browser still has it.
async fn same_session(app: &App, caller: &Caller, sign_in: SignInId) -> Result<SignedIn, Failure> {
    let found = session::current(app, &caller.headers).await?;
    let same = found.filter(|signed_in| signed_in.sign_in() == sign_in);
    Ok(same.ok_or_else(|| Refusal::new(Code::SignInNeeded, "your session has ended; sign in again"))?)
}

async fn again(
    app: &App,
    caller: &Caller,
    returned: &Returned,
    sign_in: SignInId,
) -> Result<Vec<HeaderValue>, Stopped> {
    let signed_in = same_session(app, caller, sign_in).await?;
    let (user, member, row) = member(app, returned).await?.ok_or_else(not_connected)?;
    let is_its = signed_in.row.provider == Some(returned.provider.row.provider);
    if !is_its || user.id() != signed_in.user_id() {
        tell_of_stranger(app, caller, &signed_in).await?;
        return Err(refused(
            Reason::AnotherPerson,
            "somebody else came back from your organization's sign-in: sign in there as yourself",
        ));
    }
    let level = returned.level.filter(|level| *level >= Level::Aal2).ok_or_else(not_sure)?;
    let begun = session::raise(app, &signed_in.row, (level, returned.at))?;
    let methods = vec![METHOD.to_owned()];
    let provider = signed_in.row.provider;
    let body = SecurityBody::SteppedUp { user: user.id(), sign_in, level, methods, provider };
    let changes = vec![Change::SignIn(begun.row), used(&row, app)];
    let mut batch = Batch { changes, ..Batch::default() };
    let actor = circumstances::in_person(user.id(), Some(sign_in));
    circumstances::record(app, &[member], actor, caller, &body, &mut batch).await?;
    match app.store.commit(batch).await {
        Ok(_) => Ok(vec![begun.cookie]),
        Err(CommitError::Outdated) => Err(busy().into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

async fn tell_of_stranger(app: &App, caller: &Caller, signed_in: &SignedIn) -> Result<(), Failure> {
    let reason = countersign_core::security::FailureReason::NotAllowed;
    let (user, method): (UserId, _) = (signed_in.user_id(), METHOD.to_owned());
    let body = SecurityBody::SignInFailed { user, method, reason };
    let mut batch = Batch::default();
    circumstances::record(app, &signed_in.told, SecurityActor::Unknown, caller, &body, &mut batch).await?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}

async fn link(
    app: &App,
    caller: &Caller,
    returned: &Returned,
    sign_in: SignInId,
) -> Result<Vec<HeaderValue>, Stopped> {
    let signed_in = same_session(app, caller, sign_in).await?;
    let organization = returned.provider.row.organization;
    // Also a member whom this session does not open the organization to, because the provider is required.
    if !signed_in.told.iter().any(|member| member.organization == organization) {
        return Err(Refusal::not_found().into());
    }
    let Some(Found::Free(lookup)) = links::find(app, &returned.provider, &returned.subject).await? else {
        return Err(connected());
    };
    let changing = Changing { app, caller, signed_in: &signed_in };
    let changed = changing
        .make(|user, factors| {
            for row in factors.kind(people::PROVIDER) {
                if links::read(user, row)?.provider == returned.provider.row.provider {
                    let sentence = "your account is connected already: disconnect it first";
                    return Err(Refusal::new(Code::Invalid, sentence).into());
                }
            }
            let mut edit = Edit::new(Notice::ProviderLinked);
            edit.added.push(links::new_row(app, user, &returned.provider, lookup)?);
            Ok(edit)
        })
        .await;
    Ok(changed?)
}

async fn join(
    app: &App,
    caller: &Caller,
    returned: &Returned,
    secret: Secret<String>,
    name: &str,
) -> Result<Vec<HeaderValue>, Stopped> {
    let opened = tickets::open(app, &secret, &[Purpose::Invitation]).await?;
    if opened.row.organization != Some(returned.provider.row.organization) {
        return Err(Refusal::not_found().into());
    }
    if opened.user.is_some() {
        return Err(welcome::has_account().into());
    }
    let level = returned.level.filter(|level| *level >= Level::Aal2).ok_or_else(not_sure)?;
    let Some(Found::Free(lookup)) = links::find(app, &returned.provider, &returned.subject).await? else {
        return Err(connected());
    };
    let id = UserId::new(app.now(), app.draw());
    let user = people::new(app, id, User::check_name(name)?, opened.email.clone())?;
    let row = links::new_row(app, &user, &returned.provider, lookup)?;
    let newcomer = welcome::Newcomer {
        user,
        rows: vec![row],
        spends: Vec::new(),
        authenticated: (level, returned.at),
        methods: &[METHOD],
        provider: Some(returned.provider.row.provider),
    };
    Ok(newcomer.join(app, caller, &opened).await?)
}
