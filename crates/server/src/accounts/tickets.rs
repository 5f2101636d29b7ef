//! One-time links of accounts: for the first owner, for invitations, and to reset a password. The secret is in the
//! fragment, which no server log sees; looking at a link uses nothing up (mail scanners look at all of them).

use std::sync::Arc;

use countersign_core::{
    access::Environment,
    accounts::{
        email,
        ticket::{self, Purpose},
    },
    canonical,
    id::{OrganizationId, TicketId, UserId},
    limits,
    refusal::{Code, Refusal},
    role::Role,
    secret::{Personal, PlainToken, Secret, TokenKind},
    security::{SecurityActor, SecurityBody},
};
use countersign_store::{
    Batch,
    access_rows::{Change, TicketRow},
    batch::Row,
    rows::OrganizationRow,
};
use serde::{Deserialize, Serialize};

use super::{
    circumstances, mails,
    people::{self, User},
};
use crate::{
    app::{Organization, Records},
    fault::{Failure, Fault},
    keys::{Binding, WrappingKey},
    organizations,
    security::{self, Circumstances},
    signer::strict::Caller,
};

/// The page that a link opens.
pub fn path(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::FirstOwner | Purpose::Invitation => "/welcome",
        Purpose::PasswordReset => "/reset/password",
    }
}

/// What is sealed in a link's row.
pub struct Sealed {
    /// The address that it is bound to.
    pub email: Personal<String>,
    /// The secret, for the mail.
    pub secret: PlainToken,
}

#[derive(Serialize, Deserialize)]
struct SealedText {
    email: String,
    secret: String,
}

fn binding(ticket: TicketId) -> Binding {
    Binding::new("ticket", &[ticket.as_bytes()])
}

/// A link that was made.
pub(super) struct Made {
    /// Its row.
    pub(super) row: TicketRow,
    secret: PlainToken,
}

/// What a link is to be.
pub(super) struct Wish<'a> {
    pub(super) purpose: Purpose,
    pub(super) organization: Option<OrganizationId>,
    pub(super) user: Option<UserId>,
    pub(super) role: Option<Role>,
    pub(super) email: &'a Personal<String>,
    pub(super) key: &'a WrappingKey,
}

/// Makes a link.
pub(super) fn make(app: &Records, wish: &Wish<'_>) -> Result<Made, Fault> {
    let secret = PlainToken::new(TokenKind::Ticket, &app.draw());
    let ticket = TicketId::new(app.now(), app.draw());
    let text = SealedText { email: wish.email.disclose().clone(), secret: secret.expose().to_owned() };
    let plain = canonical::to_vec(&text).map_err(|error| Fault::Task(error.to_string()))?;
    let row = TicketRow {
        ticket,
        secret: secret.hash(),
        purpose: wish.purpose.text().to_owned(),
        organization: wish.organization,
        user: wish.user,
        role: wish.role,
        sealed: wish.key.seal(&*app.random, &binding(ticket), &plain)?,
        created_at: app.now(),
        expires_at: app.now().plus_s(wish.purpose.lifetime_s()),
        used_at: None,
        version: 1,
    };
    Ok(Made { row, secret })
}

/// What is sealed in a row, and the user whose it is, where there is one.
pub async fn sealed_of(app: &Records, row: &TicketRow) -> Result<(Sealed, Option<User>), Fault> {
    let missing = || Fault::Missing(format!("whose {} is", row.ticket));
    let user = match row.user {
        Some(user) => Some(people::by_id(app, user).await?.ok_or_else(missing)?),
        None => None,
    };
    let key = match (&user, row.organization) {
        (Some(user), _) => user.key.clone(),
        (None, Some(organization)) => app.organization(organization).await?.key.clone(),
        (None, None) => return Err(missing()),
    };
    let plain = key.open(&binding(row.ticket), &row.sealed)?;
    let damaged = || Fault::Sealed(format!("{}", row.ticket));
    let text: SealedText = serde_json::from_slice(&plain).map_err(|_| damaged())?;
    let secret = PlainToken::parse(TokenKind::Ticket, &text.secret).map_err(|_| damaged())?;
    Ok((Sealed { email: Personal::new(text.email), secret }, user))
}

/// A link that was looked at and can be used.
pub struct Opened {
    /// As stored.
    pub row: TicketRow,
    /// What it is for.
    pub purpose: Purpose,
    /// The address that it is bound to.
    pub email: Personal<String>,
    /// Where it leads to.
    pub organization: Option<Arc<Organization>>,
    /// Who has this address, if somebody has.
    pub user: Option<User>,
}

/// Looks at a link. This uses nothing up.
pub async fn open(app: &Records, secret: &Secret<String>, purposes: &[Purpose]) -> Result<Opened, Failure> {
    let token = PlainToken::parse(TokenKind::Ticket, secret.expose()).map_err(|_| Refusal::not_found())?;
    let hash = token.hash();
    let row = app.store.ticket(&hash).await?.filter(|row| row.secret == hash);
    let row = row.ok_or_else(Refusal::not_found)?;
    let purpose = Purpose::parse(&row.purpose).filter(|purpose| purposes.contains(purpose));
    let purpose = purpose.ok_or_else(Refusal::not_found)?;
    ticket::check(row.used_at, row.expires_at, app.now())?;
    let (sealed, user) = sealed_of(app, &row).await?;
    let user = match user {
        Some(user) => Some(user),
        None => people::by_address(app, &sealed.email).await?,
    };
    let organization = match row.organization {
        Some(organization) => Some(app.organization(organization).await?),
        None => None,
    };
    Ok(Opened { row, purpose, email: sealed.email, organization, user })
}

/// The change that uses a link up: of several at once, one is first.
pub fn used(app: &Records, row: &TicketRow) -> Change {
    Change::Ticket(TicketRow { used_at: Some(app.now()), version: row.version + 1, ..row.clone() })
}

/// The change that ends a link before its time.
pub fn taken_back(app: &Records, row: &TicketRow) -> Change {
    Change::Ticket(TicketRow { expires_at: app.now(), version: row.version + 1, ..row.clone() })
}

/// Whether an organization has an owner.
pub async fn has_owner(app: &Records, organization: OrganizationId) -> Result<bool, Fault> {
    let members = app.store.members(organization).await?;
    Ok(members.iter().any(|member| member.ended_at.is_none() && member.role == Role::Owner))
}

/// Makes the link for the first owner of an organization, which is made if there is none of this name.
pub async fn first_owner(
    app: &Records,
    name_or_id: &str,
    address: &str,
) -> Result<(OrganizationRow, Secret<String>), Failure> {
    let address = email::read(address)?;
    let known = app.store.organizations().await?;
    let known =
        known.into_iter().find(|row| row.name == name_or_id || row.organization.to_string() == name_or_id);
    let row = match known {
        Some(row) => row,
        None => organizations::create(app, name_or_id).await?,
    };
    let members = app.store.members(row.organization).await?;
    if members.iter().any(|member| member.ended_at.is_none()) {
        let sentence = format!(
            "{} has members already: whoever owns it invites others, and nobody else makes owners",
            row.name
        );
        return Err(Refusal::new(Code::Invalid, sentence).into());
    }
    let organization = app.organization(row.organization).await?;
    let made = make(
        app,
        &Wish {
            purpose: Purpose::FirstOwner,
            organization: Some(row.organization),
            user: None,
            role: Some(Role::Owner),
            email: &address,
            key: &organization.key,
        },
    )?;
    let tenant = organizations::tenant(row.organization, Environment::Live);
    let circumstances =
        Circumstances { actor: SecurityActor::Operator, origin: None, correlation: app.new_correlation() };
    let body = SecurityBody::MemberInvited { ticket: made.row.ticket, role: Role::Owner };
    let mut batch = Batch { rows: vec![Row::Ticket(made.row)], ..Batch::default() };
    security::record(app, &tenant, &circumstances, body, &mut batch).await?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    let url =
        format!("{}{}#{}", app.config.server.public_url, path(Purpose::FirstOwner), made.secret.expose());
    Ok((row, Secret::new(url)))
}

/// Rows of the commit of a link to reset: spent place, link, event, address and agent, job.
const ROWS_OF_A_RESET: usize = 6;

/// Mails a link to reset a password, if somebody has this address. The caller is told the same in any case.
pub async fn ask_reset(app: &Records, caller: &Caller, address: &str) -> Result<(), Failure> {
    let address = email::read(address).unwrap_or_else(|_| Personal::new(address.to_owned()));
    let Some(user) = people::by_address(app, &address).await? else {
        return Ok(security::pass_time(app, ROWS_OF_A_RESET).await?);
    };
    let memberships = people::memberships(app, user.id()).await?;
    let Some(member) = memberships.first() else {
        return Ok(security::pass_time(app, ROWS_OF_A_RESET).await?);
    };
    // A few links for each user in the time that one lives: nobody's mailbox is filled with them.
    let slot = app.now().unix_ms() / 1_000 / limits::RESET_S;
    let places = u8::try_from(limits::RESETS_OPEN).unwrap_or(u8::MAX);
    for place in 0..places {
        let made = make(
            app,
            &Wish {
                purpose: Purpose::PasswordReset,
                organization: None,
                user: Some(user.id()),
                role: None,
                email: &user.email,
                key: &user.key,
            },
        )?;
        let ticket = made.row.ticket;
        let parts: [&[u8]; 4] =
            [b"countersign/reset/v1\0", user.row.user.as_bytes(), &slot.to_be_bytes(), &[place]];
        let spend = countersign_store::access_rows::Spend {
            hash: countersign_core::digest::Digest::of_parts(&parts),
            expires_at: app.now().plus_s(2 * limits::RESET_S),
        };
        let mut batch = Batch { spends: vec![spend], rows: vec![Row::Ticket(made.row)], ..Batch::default() };
        let body = SecurityBody::ResetAsked { user: user.id(), ticket };
        let unknown = SecurityActor::Unknown;
        circumstances::record(app, &memberships, unknown, caller, &body, &mut batch).await?;
        let mailbox = people::tenant_of(member, Environment::Sandbox);
        mails::send_ticket(app, mailbox, ticket, caller.correlation, &mut batch);
        match app.store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(countersign_store::CommitError::Spent) => {}
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Ok(())
}
