//! The members of an organization and its invitations: seen, invited, given another role, removed. Members are of both
//! environments; they are changed as in live, where they have their powers.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use countersign_core::{
    access::{Operation, Principal},
    accounts::members::{check_power, may_give},
    id::{TicketId, UserId},
    refusal::{Code, Refusal},
    role::Role,
    secret::Personal,
};
use serde::Deserialize;

use super::{
    Moment, Said,
    desk::{self, Desk, Frame, Place, Tab, again, settle},
    go,
    notice::NotShown,
    spoken, to_confirm,
};
use crate::{
    accounts::{
        invitations,
        members::{self, Member},
    },
    app::App,
    fault::Failure,
    http::auth,
    signer::{
        assets::Assets,
        strict::{self, Caller, Id},
    },
};

struct MemberLine {
    id: String,
    name: String,
    email: String,
    role: &'static str,
    since: Moment,
    is_you: bool,
}

struct InvitationLine {
    id: String,
    email: String,
    role: &'static str,
    sent: Moment,
    until: Moment,
    may_change: bool,
}

struct RoleChoice {
    text: &'static str,
    words: &'static str,
    is_chosen: bool,
}

fn choices(principal: &Principal, chosen: Option<Role>) -> Vec<RoleChoice> {
    may_give(principal)
        .map(|role| RoleChoice { text: role.text(), words: role.words(), is_chosen: Some(role) == chosen })
        .collect()
}

#[derive(Template)]
#[template(path = "console/members.html")]
struct MembersPage {
    assets: Assets,
    frame: Frame,
    members: Vec<MemberLine>,
    invitations: Vec<InvitationLine>,
    may_change: bool,
    roles: Vec<RoleChoice>,
    email: String,
    error: Option<String>,
}

/// The member in live, whether a fresh proof is missing or not: for what is shown.
fn as_in_live(desk: &Desk) -> Result<Principal, Refusal> {
    auth::member(&desk.signed_in, desk.place.organization, countersign_core::access::Environment::Live)
}

async fn page(app: &App, caller: &Caller, desk: &Desk, chosen: Role) -> Result<MembersPage, NotShown> {
    let principal = as_in_live(desk)?;
    let may_change = desk.may(Operation::ChangeMember);
    let mut members: Vec<MemberLine> = members::all(app, desk.place.organization)
        .await?
        .iter()
        .map(|member| MemberLine {
            id: member.row.user.to_string(),
            name: member.user.name.disclose().clone(),
            email: member.user.email.disclose().clone(),
            role: member.row.role.text(),
            since: member.row.created_at.into(),
            is_you: member.row.user == desk.signed_in.user_id(),
        })
        .collect();
    members.sort_by_cached_key(|line| line.name.to_lowercase());
    let open = invitations::open(app, desk.place.organization).await?;
    let invitations = open.iter().map(|one| InvitationLine {
        id: one.id().to_string(),
        email: one.email.disclose().clone(),
        role: one.role.text(),
        sent: one.row.created_at.into(),
        until: one.row.expires_at.into(),
        may_change: may_change && check_power(&principal, one.role).is_ok(),
    });
    Ok(MembersPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Members).await?,
        members,
        invitations: invitations.collect(),
        may_change,
        roles: choices(&principal, Some(chosen)),
        email: String::new(),
        error: None,
    })
}

/// `GET /console/{organization}/{environment}/members`
pub async fn show(State(app): State<Arc<App>>, caller: Caller, place: Place) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &place.page("/members")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    desk.allow(&app, Operation::ListMembers)?;
    let page = page(&app, &caller, &desk, Role::Sender).await?;
    page.frame.show(&page)
}

/// How the link gets to whom it is for.
fn said_invited(app: &App) -> Said {
    if app.smtp.is_some() { Said::Invited } else { Said::InvitedByHand }
}

/// Whom to invite.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InviteForm {
    email: Personal<String>,
    role: Role,
}

/// `POST /console/{organization}/{environment}/members/invite`
pub async fn invite(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    strict::Form(form): strict::Form<InviteForm>,
) -> Result<Response, NotShown> {
    let here = place.page("/members");
    let desk = match desk::enter(&app, &caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let invited = match desk.in_live(&app, Operation::InviteMember) {
        Ok(principal) => {
            let circumstances = Desk::circumstances(&principal, &caller);
            invitations::invite(&app, &principal, &circumstances, &form.email, form.role, None).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    match invited {
        Err(Failure::Refused(refusal)) if matches!(refusal.code, Code::Invalid | Code::TooMany) => {
            let error = Some(spoken(&refusal));
            let page = page(&app, &caller, &desk, form.role).await?;
            again(&MembersPage { error, email: form.email.disclose().clone(), ..page }, &refusal)
        }
        other => settle(other, &here, (&here, said_invited(&app))),
    }
}

/// Which invitation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvitationForm {
    invitation: TicketId,
}

/// `POST /console/{organization}/{environment}/members/invitations/resend`
pub async fn resend(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    strict::Form(form): strict::Form<InvitationForm>,
) -> Result<Response, NotShown> {
    let here = place.page("/members");
    let desk = match desk::enter(&app, &caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let sent = match desk.in_live(&app, Operation::ResendInvitation) {
        Ok(principal) => {
            let circumstances = Desk::circumstances(&principal, &caller);
            invitations::resend(&app, &principal, &circumstances, form.invitation, None).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    settle(sent, &here, (&here, said_invited(&app)))
}

/// `POST /console/{organization}/{environment}/members/invitations/cancel`
pub async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    strict::Form(form): strict::Form<InvitationForm>,
) -> Result<Response, NotShown> {
    let here = place.page("/members");
    let desk = match desk::enter(&app, &caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let cancelled = match desk.in_live(&app, Operation::CancelInvitation) {
        Ok(principal) => {
            let circumstances = Desk::circumstances(&principal, &caller);
            invitations::cancel(&app, &principal, &circumstances, form.invitation, None).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    settle(cancelled, &here, (&here, Said::InvitationCancelled))
}

#[derive(Template)]
#[template(path = "console/member.html")]
struct MemberPage {
    assets: Assets,
    frame: Frame,
    id: String,
    name: String,
    email: String,
    role: &'static str,
    words: &'static str,
    since: Moment,
    is_you: bool,
    /// Why this member cannot be changed by this one.
    hindrance: Option<String>,
    roles: Vec<RoleChoice>,
    error: Option<String>,
}

fn page_of(place: Place, member: UserId) -> String {
    place.page(&format!("/members/{member}"))
}

async fn member_page(
    app: &App,
    caller: &Caller,
    desk: &Desk,
    member: &Member,
) -> Result<MemberPage, NotShown> {
    let principal = as_in_live(desk)?;
    let role = member.row.role;
    Ok(MemberPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Members).await?,
        id: member.row.user.to_string(),
        name: member.user.name.disclose().clone(),
        email: member.user.email.disclose().clone(),
        role: role.text(),
        words: role.words(),
        since: member.row.created_at.into(),
        is_you: member.row.user == desk.signed_in.user_id(),
        hindrance: check_power(&principal, role).err().map(|refusal| spoken(&refusal)),
        roles: choices(&principal, Some(role)),
        error: None,
    })
}

/// `GET /console/{organization}/{environment}/members/{member}`
pub async fn show_one(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(member): Id<UserId>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, member)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    desk.allow(&app, Operation::ListMembers)?;
    if !desk.may(Operation::ChangeMember) {
        return Err(Refusal::new(Code::ScopeMissing, "your role does not change members").into());
    }
    let member = members::find(&app, place.organization, member).await?;
    let page = member_page(&app, &caller, &desk, &member).await?;
    page.frame.show(&page)
}

/// What the member is to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleForm {
    role: Role,
}

/// `POST /console/{organization}/{environment}/members/{member}/role`
pub async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(member): Id<UserId>,
    strict::Form(form): strict::Form<RoleForm>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, member)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let changed = match desk.in_live(&app, Operation::ChangeMember) {
        Ok(principal) => {
            let circumstances = Desk::circumstances(&principal, &caller);
            members::change(&app, &principal, &circumstances, member, form.role, None).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    after(&app, &caller, &desk, member, changed, Said::RoleChanged).await
}

/// `POST /console/{organization}/{environment}/members/{member}/remove`
pub async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(member): Id<UserId>,
    strict::Form(_): strict::Form<Nothing>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, member)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let removed = match desk.in_live(&app, Operation::RemoveMember) {
        Ok(principal) => {
            let circumstances = Desk::circumstances(&principal, &caller);
            members::remove(&app, &principal, &circumstances, member, None).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    if removed.is_ok() && member == desk.signed_in.user_id() {
        return Ok(go("/account", vec![Said::Left.cookie()?]));
    }
    after(&app, &caller, &desk, member, removed, Said::MemberRemoved).await
}

/// A form without fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

async fn after(
    app: &App,
    caller: &Caller,
    desk: &Desk,
    member: UserId,
    done: Result<Member, Failure>,
    said: Said,
) -> Result<Response, NotShown> {
    match done {
        Err(Failure::Refused(refusal)) if refusal.code == Code::Invalid => {
            let member = members::find(app, desk.place.organization, member).await?;
            let page = member_page(app, caller, desk, &member).await?;
            again(&MemberPage { error: Some(spoken(&refusal)), ..page }, &refusal)
        }
        Err(Failure::Refused(refusal)) if refusal.code == Code::StepUpRequired => {
            Ok(to_confirm(&page_of(desk.place, member)))
        }
        other => {
            let list = desk.place.page("/members");
            settle(other, &list, (&list, said))
        }
    }
}
