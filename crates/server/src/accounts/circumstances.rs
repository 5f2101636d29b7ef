//! What happened to a user, told to each organization that the user is a member of (L-4).

use countersign_core::{
    access::Environment,
    id::{SignInId, UserId},
    security::{SecurityActor, SecurityBody},
};
use countersign_store::{Batch, access_rows::MemberRow};

use super::people;
use crate::{
    app::Records,
    fault::Fault,
    security::{self, Circumstances},
    signer::strict::Caller,
};

/// The user, in this session if there is one.
pub fn in_person(user: UserId, sign_in: Option<SignInId>) -> SecurityActor {
    SecurityActor::User { user, sign_in }
}

/// Adds an event to what is about to be committed, for each of these organizations.
pub async fn record(
    app: &Records,
    memberships: &[MemberRow],
    actor: SecurityActor,
    caller: &Caller,
    body: &SecurityBody,
    batch: &mut Batch,
) -> Result<(), Fault> {
    for member in memberships {
        let tenant = people::tenant_of(member, Environment::Live);
        let circumstances = Circumstances {
            actor,
            origin: Some((member.person(Environment::Live), caller.origin.clone())),
            correlation: caller.correlation,
        };
        security::record(app, &tenant, &circumstances, body.clone(), batch).await?;
    }
    Ok(())
}
