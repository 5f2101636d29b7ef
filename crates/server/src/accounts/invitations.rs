//! Invitations of an organization: sent by mail, sent again, taken back. Who may give which role is decided in
//! `core/accounts/members.rs`.

use countersign_core::{
    access::{Environment, Principal, Tenant},
    accounts::{email, invitation, members::check_power, ticket::Purpose},
    digest::Digest,
    id::{OrganizationId, TicketId},
    limits,
    refusal::{Code, Refusal},
    role::Role,
    secret::Personal,
    security::SecurityBody,
    time::Time,
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Spend, TicketRow},
    batch::Row,
};

use super::{
    busy, mails, people,
    tickets::{self, Wish},
};
use crate::{
    app::Records,
    clients::Keep,
    fault::{Failure, Fault},
    organizations,
    security::{self, Circumstances},
};

/// An invitation that nobody has taken up yet.
#[derive(Clone)]
pub struct Invitation {
    /// Its link, as stored.
    pub row: TicketRow,
    /// For whom.
    pub email: Personal<String>,
    /// As what.
    pub role: Role,
}

impl Invitation {
    /// Its id.
    pub fn id(&self) -> TicketId {
        self.row.ticket
    }
}

/// The open invitations of an organization, oldest first.
pub async fn open(app: &Records, organization: OrganizationId) -> Result<Vec<Invitation>, Fault> {
    let mut open = Vec::new();
    for row in app.store.tickets(organization).await? {
        let is_one = Purpose::parse(&row.purpose) == Some(Purpose::Invitation);
        let Some(role) = row.role.filter(|_| is_one) else { continue };
        if row.used_at.is_none() && row.expires_at > app.now() {
            let (sealed, _) = tickets::sealed_of(app, &row).await?;
            open.push(Invitation { row, email: sealed.email, role });
        }
    }
    Ok(open)
}

/// To whom the organization mailed invitations on a day, in any order: also those that were taken up, taken back or replaced.
async fn mailed_on(
    app: &Records,
    organization: OrganizationId,
    day: i64,
) -> Result<Vec<Personal<String>>, Fault> {
    let mut mailed = Vec::new();
    for row in app.store.tickets(organization).await? {
        let is_one = Purpose::parse(&row.purpose) == Some(Purpose::Invitation);
        if is_one && invitation::day(row.created_at) == day {
            mailed.push(tickets::sealed_of(app, &row).await?.0.email);
        }
    }
    Ok(mailed)
}

/// The place of an invitation that is made at `at` among those of its day, if there is one. Of several who take one at the same moment one has
/// it, and the others look again.
async fn place_of(
    app: &Records,
    organization: OrganizationId,
    address: &Personal<String>,
    at: Time,
) -> Result<Spend, Failure> {
    let day = invitation::day(at);
    let mailed = mailed_on(app, organization, day).await?;
    let same = mailed.iter().filter(|one| email::compared(one) == email::compared(address)).count();
    invitation::check_pace(mailed.len(), same)?;
    let place = u64::try_from(mailed.len()).unwrap_or(u64::MAX);
    let parts: [&[u8]; 4] =
        [b"countersign/invitation/v1\0", organization.as_bytes(), &day.to_be_bytes(), &place.to_be_bytes()];
    Ok(Spend { hash: Digest::of_parts(&parts), expires_at: at.plus_s(2 * 24 * 3_600) })
}

async fn find(app: &Records, principal: &Principal, invitation: TicketId) -> Result<Invitation, Failure> {
    let found = open(app, principal.tenant().organization()).await?;
    let found = found.into_iter().find(|one| one.id() == invitation).ok_or_else(Refusal::not_found)?;
    check_power(principal, found.role)?;
    Ok(found)
}

/// Invites somebody, if the caller may give this role.
pub async fn invite(
    app: &Records,
    principal: &Principal,
    circumstances: &Circumstances,
    address: &Personal<String>,
    role: Role,
    keep: Option<Keep<'_, Invitation>>,
) -> Result<Invitation, Failure> {
    check_power(principal, role)?;
    let may_end = |role| check_power(principal, role);
    send_over(app, circumstances, principal.tenant(), (address, role), &may_end, keep).await
}

/// Mails an invitation, in place of an open one for the same address, for an operator, who gives and takes every role.
pub async fn send(
    app: &Records,
    circumstances: &Circumstances,
    tenant: &Tenant,
    address: &Personal<String>,
    role: Role,
    keep: Option<Keep<'_, Invitation>>,
) -> Result<Invitation, Failure> {
    send_over(app, circumstances, tenant, (address, role), &|_| Ok(()), keep).await
}

/// The same for somebody who may end invitations of some roles alone: one that is replaced ends.
async fn send_over(
    app: &Records,
    circumstances: &Circumstances,
    tenant: &Tenant,
    (address, role): (&Personal<String>, Role),
    may_end: &(dyn Fn(Role) -> Result<(), Refusal> + Send + Sync),
    keep: Option<Keep<'_, Invitation>>,
) -> Result<Invitation, Failure> {
    let address = email::read(address.disclose())?;
    for _ in 0..limits::CONFLICT_TRIES {
        if let Some(user) = people::by_address(app, &address).await? {
            let member = app.store.member(tenant.organization(), user.id()).await?;
            if member.is_some_and(|member| member.ended_at.is_none()) {
                return Err(Refusal::at(Code::Invalid, "/email", "this person is a member already").into());
            }
        }
        let open = open(app, tenant.organization()).await?;
        let same = |one: &&Invitation| email::compared(&one.email) == email::compared(&address);
        let before: Vec<&Invitation> = open.iter().filter(same).collect();
        before.iter().try_for_each(|one| may_end(one.role))?;
        if before.is_empty() && open.len() >= limits::INVITATIONS_OPEN {
            let sentence =
                "too many invitations are open: take some back, or wait until they end after three days";
            return Err(Refusal::new(Code::TooMany, sentence).into());
        }
        let wish = (&address, role);
        if let Some(made) = replace(app, circumstances, tenant, &before, wish, keep).await? {
            return Ok(made);
        }
    }
    Err(busy().into())
}

/// Mails an open invitation again, with another link: the one of before ends.
pub async fn resend(
    app: &Records,
    principal: &Principal,
    circumstances: &Circumstances,
    invitation: TicketId,
    keep: Option<Keep<'_, Invitation>>,
) -> Result<Invitation, Failure> {
    for _ in 0..limits::CONFLICT_TRIES {
        let before = find(app, principal, invitation).await?;
        let wish = (&before.email, before.role);
        let tenant = principal.tenant();
        if let Some(made) = replace(app, circumstances, tenant, &[&before], wish, keep).await? {
            return Ok(made);
        }
    }
    Err(busy().into())
}

/// Takes an open invitation back: its link opens nothing any more.
pub async fn cancel(
    app: &Records,
    principal: &Principal,
    circumstances: &Circumstances,
    invitation: TicketId,
    keep: Option<Keep<'_, Invitation>>,
) -> Result<Invitation, Failure> {
    let found = find(app, principal, invitation).await?;
    let mut batch = Batch { answers: keep.map(|keep| keep(&found)).transpose()?, ..Batch::default() };
    end(app, circumstances, principal.tenant(), &found, &mut batch).await?;
    match app.store.commit(batch).await {
        Ok(_) => Ok(found),
        // Somebody took it up, or took it back.
        Err(CommitError::Outdated) => Err(Refusal::not_found().into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

async fn end(
    app: &Records,
    circumstances: &Circumstances,
    tenant: &Tenant,
    invitation: &Invitation,
    batch: &mut Batch,
) -> Result<(), Fault> {
    batch.changes.push(tickets::taken_back(app, &invitation.row));
    let body = SecurityBody::InvitationCancelled { ticket: invitation.id() };
    security::record(app, tenant, circumstances, body, batch).await
}

/// Ends these invitations and mails another; `None` if somebody else changed one of them, or invited, meanwhile.
async fn replace(
    app: &Records,
    circumstances: &Circumstances,
    tenant: &Tenant,
    before: &[&Invitation],
    (address, role): (&Personal<String>, Role),
    keep: Option<Keep<'_, Invitation>>,
) -> Result<Option<Invitation>, Failure> {
    let organization = app.organization(tenant.organization()).await?;
    let made = tickets::make(
        app,
        &Wish {
            purpose: Purpose::Invitation,
            organization: Some(organization.id),
            user: None,
            role: Some(role),
            email: address,
            key: &organization.key,
        },
    )?;
    let invitation = Invitation { row: made.row, email: address.clone(), role };
    let mut batch = Batch {
        spends: vec![place_of(app, organization.id, address, invitation.row.created_at).await?],
        rows: vec![Row::Ticket(invitation.row.clone())],
        answers: keep.map(|keep| keep(&invitation)).transpose()?,
        ..Batch::default()
    };
    for one in before {
        end(app, circumstances, tenant, one, &mut batch).await?;
    }
    let body = SecurityBody::MemberInvited { ticket: invitation.id(), role };
    security::record(app, tenant, circumstances, body, &mut batch).await?;
    let mailbox = organizations::tenant(tenant.organization(), Environment::Sandbox);
    mails::send_ticket(app, mailbox, invitation.id(), circumstances.correlation, &mut batch);
    match app.store.commit(batch).await {
        Ok(_) => Ok(Some(invitation)),
        Err(CommitError::Outdated | CommitError::Spent) => Ok(None),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}
