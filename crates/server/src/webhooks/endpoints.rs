//! What is done to endpoints. Each act is one commit with its security events; of two at the same time, one wins.

use countersign_core::{
    access::Tenant,
    id::{CorrelationId, EndpointId, WebhookKeyId},
    refusal::{Code, Refusal},
    scope::Scopes,
    security::{SecurityActor, SecurityBody},
    webhook::{
        endpoint::{Profile, Settings, host_of},
        health::Health,
        rotation::Keys,
        standing::{DisableReason, Standing},
    },
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, Ending},
    batch::Row,
    webhook_rows::{EndpointRow, WebhookKeyRow},
};
use countersign_webhooks::Secret;

use super::{
    keys,
    loaded::{self, Loaded},
    stored::{Condition, condition_text, sealed_settings, stage_text, taking},
};
use crate::{
    app::App,
    fault::{Failure, Fault},
    security::{self, Circumstances},
};

/// An endpoint that was made just now.
pub struct NewEndpoint {
    /// Which.
    pub endpoint: EndpointId,
    /// Its first key.
    pub key: WebhookKeyId,
    /// The secret of that key, for whoever is to verify with it.
    pub secret: Secret,
}

/// Makes an endpoint with its first key. It is told of nothing before it is activated.
pub async fn create(
    app: &App,
    tenant: &Tenant,
    circumstances: &Circumstances,
    giver: Scopes,
    settings: &Settings,
) -> Result<NewEndpoint, Failure> {
    settings.check(giver)?;
    check_profile(settings.profile)?;
    let url = app.webhooks.messenger.check(&settings.url);
    let url = url.map_err(|why| Refusal::at(Code::Invalid, "/url", why.to_string()))?;
    // As it stands in the request: a signature over another spelling of it would be refused (RFC 9421 §2.2).
    let settings = &Settings { url: url.to_string(), ..settings.clone() };
    let now = app.now();
    let (endpoint, key) = (EndpointId::new(now, app.draw()), WebhookKeyId::new(now, app.draw()));
    let organization = app.organization(tenant.organization()).await?;
    let made = keys::make(&organization, key, &*app.random)?;
    let mut stages = Keys::default();
    let step = stages.stage(key, now)?;
    let condition = Condition { standing: Standing::NEW, health: Health::default() };
    let mut batch = Batch::default();
    batch.rows.push(Row::Endpoint(EndpointRow {
        tenant: *tenant,
        endpoint,
        settings: sealed_settings(&organization, endpoint.as_bytes(), settings, &*app.random)?,
        condition: condition_text(&condition)?,
        classes: u32::from(settings.classes.visible(settings.scopes).bits()),
        takes: taking(condition.standing),
        is_ordered: settings.is_ordered,
        created_at: now,
        ended_at: None,
        version: 1,
    }));
    for stage in stages.all() {
        batch.rows.push(Row::WebhookKey(WebhookKeyRow {
            tenant: *tenant,
            endpoint,
            key,
            sealed: made.sealed.clone(),
            public: made.public.clone(),
            stage: stage_text(stage)?,
            created_at: now,
            ended_at: None,
            version: 1,
        }));
    }
    let Settings { classes, scopes, payload, profile, .. } = *settings;
    let host = host_of(&settings.url);
    let body = SecurityBody::WebhookCreated { endpoint, host, classes, scopes, payload, profile };
    security::record(app, tenant, circumstances, body, &mut batch).await?;
    security::record(app, tenant, circumstances, step.event(endpoint), &mut batch).await?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(NewEndpoint { endpoint, key, secret: made.secret })
}

/// The keys of endpoints are of Ed25519: what another algorithm would sign is refused, and not signed with this one.
fn check_profile(profile: Profile) -> Result<(), Refusal> {
    match profile {
        Profile::Standard | Profile::Ed25519 => Ok(()),
        Profile::EcdsaP256Sha256 | Profile::RsaPssSha512 => {
            let sentence = "this server signs with Ed25519 alone so far: choose `standard` or `ed25519`";
            Err(Refusal::at(Code::Invalid, "/profile", sentence))
        }
    }
}

/// Has events delivered to it from now on.
pub async fn activate(
    app: &App,
    tenant: &Tenant,
    circumstances: &Circumstances,
    endpoint: EndpointId,
) -> Result<(), Failure> {
    let loaded = read(app, tenant, endpoint).await?;
    let standing = loaded.condition.standing.activated(tenant.environment())?;
    let body = SecurityBody::WebhookActivated { endpoint, is_proven: standing.is_proven };
    change(app, &loaded, Condition { standing, health: Health::default() }, circumstances, body).await
}

/// Ends an endpoint, whatever else changes in it: nothing goes out any more.
pub async fn end(
    app: &App,
    tenant: &Tenant,
    circumstances: &Circumstances,
    endpoint: EndpointId,
) -> Result<(), Failure> {
    let loaded = read(app, tenant, endpoint).await?;
    loaded.condition.standing.ended()?;
    let what = Ending::Endpoint(endpoint);
    let mut batch =
        Batch { changes: vec![Change::End { what, at: app.now(), once: true }], ..Batch::default() };
    security::record(app, tenant, circumstances, SecurityBody::WebhookEnded { endpoint }, &mut batch).await?;
    commit(app, batch).await
}

/// Disables an endpoint that answered that it is gone (410). If somebody changes it meanwhile, the next answer says it again.
pub(crate) async fn gone(app: &App, tenant: &Tenant, endpoint: EndpointId, correlation: CorrelationId) {
    let disable = async {
        let loaded = read(app, tenant, endpoint).await?;
        let reason = DisableReason::Gone;
        let Ok(standing) = loaded.condition.standing.disabled(reason) else { return Ok(()) };
        let condition = Condition { standing, ..loaded.condition };
        let circumstances = Circumstances { actor: SecurityActor::System, origin: None, correlation };
        let body = SecurityBody::WebhookDisabled { endpoint, reason };
        change(app, &loaded, condition, &circumstances, body).await
    };
    if let Err(failure) = disable.await {
        tracing::warn!(event_type = "webhook.gone", event_result = "later", fault = %failure);
    }
}

async fn read(app: &App, tenant: &Tenant, endpoint: EndpointId) -> Result<std::sync::Arc<Loaded>, Failure> {
    let found = loaded::load(app, tenant, endpoint, app.now()).await?;
    Ok(found.ok_or_else(Refusal::not_found)?)
}

async fn change(
    app: &App,
    loaded: &Loaded,
    condition: Condition,
    circumstances: &Circumstances,
    body: SecurityBody,
) -> Result<(), Failure> {
    let row = EndpointRow {
        condition: condition_text(&condition)?,
        takes: taking(condition.standing),
        version: loaded.row.version + 1,
        ..loaded.row.clone()
    };
    let tenant = row.tenant;
    let mut batch = Batch { changes: vec![Change::Endpoint(row)], ..Batch::default() };
    security::record(app, &tenant, circumstances, body, &mut batch).await?;
    commit(app, batch).await
}

async fn commit(app: &App, batch: Batch) -> Result<(), Failure> {
    match app.store.commit(batch).await {
        Ok(_) => Ok(()),
        Err(CommitError::Outdated) => {
            Err(Refusal::new(Code::Busy, "somebody else is changing this endpoint; try again").into())
        }
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}
