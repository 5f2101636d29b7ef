//! Mails to those who answer for an endpoint: that it fails and is disabled soon, and that it was.

use countersign_core::{
    access::{Environment, Tenant},
    id::{CorrelationId, EndpointId, JobId, MailId, UserId},
    role::Role,
    webhook::{
        endpoint::host_of,
        standing::{DisableReason, State},
    },
};
use countersign_store::rows::{JobRow, NewJob, Work};

use super::loaded;
use crate::{
    accounts::{letters, mails::Ready, people},
    app::{App, Records},
    fault::{Failure, Fault},
    organizations,
};

/// The jobs that tell owners, admins and developers that it fails.
pub(super) async fn mails(
    app: &Records,
    tenant: &Tenant,
    endpoint: EndpointId,
    days: u32,
    correlation: CorrelationId,
) -> Result<Vec<NewJob>, Fault> {
    let environment = tenant.environment();
    let work = |user, mail| Work::MailEndpointNotice { endpoint, environment, user, days, mail };
    mails_of(app, tenant, endpoint, correlation, work).await
}

/// The jobs that tell owners, admins and developers something about an endpoint.
pub(super) async fn mails_of(
    app: &Records,
    tenant: &Tenant,
    endpoint: EndpointId,
    correlation: CorrelationId,
    work: impl Fn(UserId, MailId) -> Work,
) -> Result<Vec<NewJob>, Fault> {
    let mut members = app.store.members(tenant.organization()).await?;
    members.retain(|member| {
        member.ended_at.is_none() && matches!(member.role, Role::Owner | Role::Admin | Role::Developer)
    });
    if members.is_empty() {
        tracing::warn!(event_type = "webhook.notice", event_result = "untold", endpoint = %endpoint);
    }
    // Jobs of mails about accounts are the sandbox's.
    let of = organizations::tenant(tenant.organization(), Environment::Sandbox);
    let mail = |user| NewJob {
        tenant: of,
        job: JobId::new(app.now(), app.draw()),
        work: work(user, MailId::new(app.now(), app.draw())),
        correlation,
        due_at: app.now(),
    };
    Ok(members.into_iter().map(|member| mail(member.user)).collect())
}

/// What is mailed to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndpointNotice {
    pub(crate) endpoint: EndpointId,
    pub(crate) environment: Environment,
    pub(crate) user: UserId,
    pub(crate) days: u32,
    pub(crate) mail: MailId,
}

/// The mail; `None` where it is not so any more, or the user is gone.
pub(crate) async fn of_endpoint(
    app: &App,
    job: &JobRow,
    notice: EndpointNotice,
) -> Result<Option<Ready>, Failure> {
    let EndpointNotice { endpoint, environment, user, days, mail } = notice;
    let Some(user) = people::by_id(app, user).await? else { return Ok(None) };
    let tenant = organizations::tenant(job.tenant.organization(), environment);
    let Some(loaded) = loaded::load(app, &tenant, endpoint, app.now()).await? else { return Ok(None) };
    let reason = match (loaded.condition.standing.state, loaded.condition.health.failing) {
        (State::Active, Some(_)) if days > 0 => None,
        (State::Disabled(reason), _) if days == 0 && reason != DisableReason::ByHand => Some(reason),
        _ => return Ok(None),
    };
    let organization = app.organization(tenant.organization()).await?;
    let place = (organization.name.as_str(), environment);
    let about = letters::AboutEndpoint {
        id: endpoint,
        host: &host_of(&loaded.settings.url),
        since: loaded.condition.health.failing.map(|failing| failing.since),
        reason,
        days,
    };
    let url = &app.config.server.public_url;
    let letter = letters::endpoint_fails(&user.name, place, &about, url, (mail, job.correlation));
    Ok(Some(Ready { mail, to: (user.name, user.email), letter: letter.map_err(Fault::mail)? }))
}
