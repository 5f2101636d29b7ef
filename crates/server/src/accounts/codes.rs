//! A member's authenticator app beyond signing in: whose codes identify a recipient, and what taking one changes (S-3).

use countersign_core::{
    accounts::lockout::Kind,
    digest::Digest,
    id::{OrganizationId, UserId},
    secret::{Personal, Secret},
};
use countersign_store::access_rows::Change;

use super::people::{self, Factors, TOTP, User};
use crate::{app::Records, fault::Fault};

/// Whether an address is of somebody whose codes an organization's envelopes can ask for.
pub enum Holder {
    /// No member has it.
    Nobody,
    /// A member who has no authenticator app.
    WithoutCodes,
    /// A member who has one.
    Ready(Box<User>),
}

/// Whose this address is, now.
pub async fn holder(
    app: &Records,
    organization: OrganizationId,
    address: &Personal<String>,
) -> Result<Holder, Fault> {
    let Some(user) = people::by_address(app, address).await? else { return Ok(Holder::Nobody) };
    let memberships = people::memberships(app, user.id()).await?;
    if memberships.iter().all(|member| member.organization != organization) {
        return Ok(Holder::Nobody);
    }
    let has_codes = Factors::of(app, user.id()).await?.has(TOTP);
    Ok(if has_codes { Holder::Ready(Box::new(user)) } else { Holder::WithoutCodes })
}

/// What has to change with the code that was typed, for which a try was counted; nothing if it may not be taken. The step of
/// the code is spent for signing in and for envelopes alike, and the try counts no more.
pub async fn taken(
    app: &Records,
    user: UserId,
    device: Option<&Digest>,
    typed: &Secret<String>,
) -> Result<Vec<Change>, Fault> {
    let now = app.now();
    let Some(mut user) = people::by_id(app, user).await? else { return Ok(Vec::new()) };
    for row in Factors::of(app, user.id()).await?.kind(TOTP) {
        if let Some(used) = super::totp::taken(&user, row, typed.expose(), now)? {
            let mut failures = user.failures()?;
            failures.was_right(device, Kind::Totp, now);
            let before = user.row.failures.clone();
            user.set_failures(&failures)?;
            return Ok(vec![user.tried(before), Change::Authenticator(used)]);
        }
    }
    Ok(Vec::new())
}
