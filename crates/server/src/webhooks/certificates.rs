//! The end of the client certificate of an endpoint (W-7): a job waits for each moment at which those who answer for it are told.

use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{CorrelationId, EndpointId, JobId, MailId, UserId},
    time::Time,
    webhook::{
        channel::ClientCertificate,
        endpoint::{Settings, host_of},
        standing::State,
    },
};
use countersign_store::{
    Batch,
    rows::{JobRow, NewJob, Work},
};

use super::{
    loaded::{self, Loaded},
    notices,
};
use crate::{
    accounts::{letters, mails::Ready, people},
    app::App,
    fault::{Failure, Fault},
    organizations,
};

/// The job for the next notice of a certificate that is new at an endpoint.
pub(super) fn watch(
    tenant: &Tenant,
    endpoint: EndpointId,
    (old, new): (Option<&Settings>, &Settings),
    now: Time,
    correlation: CorrelationId,
) -> Option<NewJob> {
    let certificate = new.channel.certificate.as_ref()?;
    let is_known = old.is_some_and(|old| old.channel.certificate.as_ref() == Some(certificate));
    if is_known { None } else { job(tenant, endpoint, certificate, now, correlation) }
}

/// The job for the next notice after `now`. It is named by what it is for: one that exists is left alone.
fn job(
    tenant: &Tenant,
    endpoint: EndpointId,
    certificate: &ClientCertificate,
    now: Time,
    correlation: CorrelationId,
) -> Option<NewJob> {
    let due_at = certificate.notice_after(now)?;
    let sha256 = certificate.fingerprint();
    let name = Digest::of_parts(&[
        b"webhook-certificate",
        endpoint.as_bytes(),
        &sha256.0,
        &due_at.unix_ms().to_be_bytes(),
    ]);
    let name = name.0.first_chunk().copied()?;
    let work = Work::WatchCertificate { endpoint, sha256 };
    Some(NewJob { tenant: *tenant, job: JobId::from_bytes(name), work, correlation, due_at })
}

/// The certificate, if the endpoint has it still.
fn still(loaded: &Loaded, sha256: Digest) -> Option<&ClientCertificate> {
    let certificate = loaded.settings.channel.certificate.as_ref();
    certificate.filter(|one| loaded.condition.standing.state != State::Ended && one.fingerprint() == sha256)
}

/// Has its people told, and waits for the next moment, in one commit.
pub(crate) async fn look(
    app: &App,
    job: &JobRow,
    endpoint: EndpointId,
    sha256: Digest,
) -> Result<(), Failure> {
    let mut batch = Batch { finishes: Some(job.clone()), ..Batch::default() };
    let (tenant, now) = (job.tenant, app.now());
    let loaded = loaded::load(app, &tenant, endpoint, now).await?;
    if let Some(certificate) = loaded.as_ref().and_then(|loaded| still(loaded, sha256)) {
        let environment = tenant.environment();
        let work = |user, mail| Work::MailCertificateNotice { endpoint, environment, sha256, user, mail };
        batch.jobs = notices::mails_of(app, &tenant, endpoint, job.correlation, work).await?;
        batch.jobs.extend(self::job(&tenant, endpoint, certificate, now, job.correlation));
    }
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}

/// What is mailed to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CertificateNotice {
    pub(crate) endpoint: EndpointId,
    pub(crate) environment: Environment,
    pub(crate) sha256: Digest,
    pub(crate) user: UserId,
    pub(crate) mail: MailId,
}

/// The mail; `None` where the endpoint has another certificate by now, or the user is gone.
pub(crate) async fn of_notice(
    app: &App,
    job: &JobRow,
    notice: CertificateNotice,
) -> Result<Option<Ready>, Failure> {
    let CertificateNotice { endpoint, environment, sha256, user, mail } = notice;
    let Some(user) = people::by_id(app, user).await? else { return Ok(None) };
    let tenant = organizations::tenant(job.tenant.organization(), environment);
    let loaded = loaded::load(app, &tenant, endpoint, app.now()).await?;
    let Some((loaded, certificate)) =
        loaded.as_ref().and_then(|loaded| Some((loaded, still(loaded, sha256)?)))
    else {
        return Ok(None);
    };
    let organization = app.organization(tenant.organization()).await?;
    let about = letters::AboutCertificate {
        endpoint,
        host: &host_of(&loaded.settings.url),
        ends_at: certificate.expires_at,
        has_ended: certificate.has_expired(app.now()),
    };
    let place = (organization.name.as_str(), environment);
    let url = &app.config.server.public_url;
    let letter = letters::certificate_ends(&user.name, place, &about, url, (mail, job.correlation));
    Ok(Some(Ready { mail, to: (user.name, user.email), letter: letter.map_err(Fault::mail)? }))
}
