//! What is done to endpoints. Each act is one commit with its security events; of two at the same time, one wins.

use std::sync::Arc;

use countersign_core::{
    access::Tenant,
    id::{EndpointId, WebhookKeyId},
    limits,
    refusal::{Code, Refusal},
    scope::Scopes,
    security::SecurityBody,
    webhook::{
        again::Again,
        channel::{Channel, ClientCertificate},
        class::{Classes, Payload},
        endpoint::{Profile, Settings, host_of},
        health::Health,
        oauth::OAuth,
        pin::Pin,
        rotation::{Key, Keys},
        standing::{BlockReason, DisableReason, Standing},
    },
};
use countersign_store::{
    Batch,
    access_rows::{Change, Ending},
    batch::Row,
    webhook_rows::{EndpointRow, WebhookKeyRow},
};
use countersign_webhooks::Secret;

use super::{
    act::{self, Act, Keep, More},
    certificates, containment,
    given::Given,
    keys,
    loaded::{self, Loaded},
    message_keys::Kind,
    stored::{Condition, condition_text, sealed_settings, stage_text, taking},
};
use crate::{
    app::{App, Organization},
    egress::guard::NotFetched,
    fault::{Failure, Fault},
    security::{self, Circumstances},
};

/// Endpoints that are read at once to count them.
const PAGE: usize = 100;

/// An endpoint that was made just now.
pub struct NewEndpoint {
    /// Which.
    pub endpoint: EndpointId,
    /// Its first key.
    pub key: WebhookKeyId,
    /// The secret of that key, for whoever is to verify with it.
    pub secret: Secret,
    /// As it is.
    pub loaded: Loaded,
}

/// What is to be otherwise about an endpoint.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// Where its messages go.
    pub url: Option<String>,
    /// What people call it.
    pub description: Option<String>,
    /// What it asks to be told of.
    pub classes: Option<Classes>,
    /// How far it may be told.
    pub scopes: Option<Scopes>,
    /// How much it asks to be told.
    pub payload: Option<Payload>,
    /// How its messages are signed.
    pub profile: Option<Profile>,
    /// Whether events of an envelope wait for each other.
    pub is_ordered: Option<bool>,
    /// What is shown where the receiver asks who connects, or nothing more.
    pub certificate: Given<ClientCertificate>,
    /// Keys of which the receiver must have one.
    pub pins: Option<Vec<Pin>>,
    /// What each delivery has a token from.
    pub oauth: Given<OAuth>,
}

impl Edit {
    fn of(&self, old: &Settings) -> Settings {
        Settings {
            url: self.url.clone().unwrap_or_else(|| old.url.clone()),
            description: self.description.clone().unwrap_or_else(|| old.description.clone()),
            classes: self.classes.unwrap_or(old.classes),
            scopes: self.scopes.unwrap_or(old.scopes),
            payload: self.payload.unwrap_or(old.payload),
            profile: self.profile.unwrap_or(old.profile),
            is_ordered: self.is_ordered.unwrap_or(old.is_ordered),
            channel: Channel {
                certificate: self.certificate.over(old.channel.certificate.as_ref()),
                pins: self.pins.clone().unwrap_or_else(|| old.channel.pins.clone()),
                oauth: self.oauth.over(old.channel.oauth.as_ref()),
            },
        }
    }
}

/// Makes an endpoint with its first key. It is told of nothing before it is activated.
pub async fn create(
    app: &App,
    tenant: &Tenant,
    circumstances: &Circumstances,
    giver: Scopes,
    settings: &Settings,
    keep: Option<Keep<'_>>,
) -> Result<NewEndpoint, Failure> {
    let settings = checked(app, giver, settings.clone(), &Channel::default())?;
    check_count(app, tenant).await?;
    let now = app.now();
    let (endpoint, key) = (EndpointId::new(now, app.draw()), WebhookKeyId::new(now, app.draw()));
    let organization = app.organization(tenant.organization()).await?;
    let made = keys::make(&organization, key, settings.profile, &*app.random).await?;
    let mut stages = Keys::default();
    let step = stages.stage(key, now)?;
    let condition = Condition {
        standing: Standing::NEW,
        health: Health::default(),
        proof: None,
        again: Again::default(),
    };
    let row = EndpointRow {
        tenant: *tenant,
        endpoint,
        settings: sealed_settings(&organization, endpoint.as_bytes(), &settings, &*app.random)?,
        condition: condition_text(&condition)?,
        classes: visible(&settings),
        takes: taking(condition.standing),
        is_ordered: settings.is_ordered,
        created_at: now,
        ended_at: None,
        version: 1,
    };
    let mut key_rows = Vec::new();
    for stage in stages.all() {
        key_rows.push(WebhookKeyRow {
            tenant: *tenant,
            endpoint,
            key,
            sealed: made.sealed.clone(),
            public: made.public.clone(),
            stage: stage_text(stage)?,
            created_at: now,
            ended_at: None,
            version: 1,
        });
    }
    let mut batch = Batch::default();
    batch.rows.push(Row::Endpoint(row.clone()));
    batch.rows.extend(key_rows.iter().cloned().map(Row::WebhookKey));
    batch.jobs.extend(certificates::watch(
        tenant,
        endpoint,
        (None, &settings),
        now,
        circumstances.correlation,
    ));
    let Settings { classes, scopes, payload, profile, .. } = settings;
    let (host, channel) = (host_of(&settings.url), settings.channel.outline_after(&Channel::default()));
    let body = SecurityBody::WebhookCreated { endpoint, host, classes, scopes, payload, profile, channel };
    security::record(app, tenant, circumstances, body, &mut batch).await?;
    security::record(app, tenant, circumstances, step.event(endpoint), &mut batch).await?;
    let stopped = containment::stopped(app, tenant).await?;
    let loaded = Loaded { row, settings, condition, stopped, keys: stages, key_rows, signers: Vec::new() };
    batch.answers = keep.map(|keep| keep(&loaded)).transpose()?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(NewEndpoint { endpoint, key, secret: made.secret, loaded })
}

/// Settings that may be, with the address as it stands in the request: a signature over another spelling of it would be
/// refused (RFC 9421 §2.2).
fn checked(app: &App, giver: Scopes, settings: Settings, before: &Channel) -> Result<Settings, Refusal> {
    settings.check(giver)?;
    settings.channel.check(before, app.now())?;
    let url = app.webhooks.messenger.check(&settings.url);
    let url = url.map_err(|why| not_named("/url", &why))?;
    if let Some(oauth) = &settings.channel.oauth {
        let taken = app.webhooks.messenger.check(&oauth.token_url);
        taken.map_err(|why| not_named("/oauth/token_url", &why))?;
    }
    Ok(Settings { url: url.to_string(), ..settings })
}

fn not_named(pointer: &str, why: &NotFetched) -> Refusal {
    let sentence = match why {
        NotFetched::NotPublic => {
            format!("{why}; its operator can allow it (egress.allow_hosts, egress.allow_networks)")
        }
        _ => why.to_string(),
    };
    Refusal::at(Code::Invalid, pointer, sentence)
}

async fn check_count(app: &App, tenant: &Tenant) -> Result<(), Failure> {
    let (mut open, mut before) = (0, None);
    loop {
        let page = app.store.endpoints(tenant, before, PAGE).await?;
        open += page.iter().filter(|row| row.ended_at.is_none()).count();
        if open >= limits::WEBHOOK_ENDPOINTS {
            let most = limits::WEBHOOK_ENDPOINTS;
            let sentence =
                format!("an environment has at most {most} webhook endpoints: end those that nobody needs");
            return Err(Refusal::new(Code::Invalid, sentence).into());
        }
        match page.last() {
            Some(last) if page.len() == PAGE => before = Some(last.endpoint),
            _ => return Ok(()),
        }
    }
}

/// The bits of the classes that it is told of.
fn visible(settings: &Settings) -> u32 {
    u32::from(settings.classes.visible(settings.scopes).bits())
}

/// Changes what an endpoint is. All of its settings are judged again: a change of the address alone gives what others were
/// allowed to read to another receiver, of which nothing was proven yet.
pub async fn change(
    app: &App,
    act: &Act<'_>,
    giver: Scopes,
    endpoint: EndpointId,
    edit: &Edit,
) -> Result<Loaded, Failure> {
    let old = loaded::read(app, act.tenant, endpoint).await?;
    let settings = checked(app, giver, edit.of(&old.settings), &old.settings.channel)?;
    let is_moved = settings.is_other_receiver(&old.settings);
    let standing = old.condition.standing;
    let standing = if is_moved { standing.moved(act.tenant.environment())? } else { standing.changed()? };
    let organization = app.organization(act.tenant.organization()).await?;
    let row = EndpointRow {
        settings: sealed_settings(&organization, endpoint.as_bytes(), &settings, &*app.random)?,
        classes: visible(&settings),
        is_ordered: settings.is_ordered,
        ..old.row.clone()
    };
    let Settings { classes, scopes, payload, profile, .. } = settings;
    let (host, channel) = (host_of(&settings.url), settings.channel.outline_after(&old.settings.channel));
    let body =
        SecurityBody::WebhookChanged { endpoint, host, is_moved, classes, scopes, payload, profile, channel };
    let proof = old.condition.proof.filter(|_| !is_moved);
    let health = if is_moved { Health::default() } else { old.condition.health };
    let condition = Condition { standing, health, proof, ..old.condition };
    let remade = remade(app, &organization, &old, settings.profile).await?;
    let (settings_before, correlation) = (Some(&old.settings), act.circumstances.correlation);
    let watch =
        certificates::watch(act.tenant, endpoint, (settings_before, &settings), app.now(), correlation);
    let old = act::unique(old, row, settings);
    let more = More { remade, jobs: watch.into_iter().collect() };
    act::commit_with(app, act, old, condition, None, vec![body], more).await
}

/// The keys as messages of another profile take them, if they have to be others. No receiver accepted yet what they sign.
async fn remade(
    app: &App,
    organization: &Organization,
    old: &Loaded,
    profile: Profile,
) -> Result<Vec<(Key, WebhookKeyRow)>, Fault> {
    let mut remade = Vec::new();
    if Kind::of(profile) == Kind::of(old.settings.profile) {
        return Ok(remade);
    }
    for key in old.keys.all().iter().filter(|key| key.state.at(app.now()).is_live()) {
        let key = Key { proven_at: None, ..*key };
        for row in old.key_rows.iter().filter(|row| row.key == key.id) {
            let made = keys::remake(organization, row, profile, &*app.random).await?;
            let (stage, version) = (stage_text(&key)?, row.version + 1);
            let row =
                WebhookKeyRow { sealed: made.sealed, public: made.public, stage, version, ..row.clone() };
            remade.push((key, row));
        }
    }
    Ok(remade)
}

/// Has events delivered to it from now on, and what was parked before.
pub async fn activate(app: &App, act: &Act<'_>, endpoint: EndpointId) -> Result<Loaded, Failure> {
    let old = loaded::read(app, act.tenant, endpoint).await?;
    let standing = old.condition.standing.activated(act.tenant.environment())?;
    let body = SecurityBody::WebhookActivated { endpoint, is_proven: standing.is_proven };
    let condition = Condition { standing, health: Health::default(), ..old.condition };
    act::commit(app, act, act::own(old), condition, None, vec![body]).await
}

/// Has nothing delivered to it from now on. What waited has failed, and can be recovered.
pub async fn disable(app: &App, act: &Act<'_>, endpoint: EndpointId) -> Result<Loaded, Failure> {
    let reason = DisableReason::ByHand;
    let old = loaded::read(app, act.tenant, endpoint).await?;
    let condition = Condition { standing: old.condition.standing.disabled(reason)?, ..old.condition };
    let body = SecurityBody::WebhookDisabled { endpoint, reason };
    act::commit(app, act, act::own(old), condition, None, vec![body]).await
}

/// Parks its deliveries: none goes out, and none is lost (M-3).
pub async fn block(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    reason: BlockReason,
) -> Result<Loaded, Failure> {
    let old = loaded::read(app, act.tenant, endpoint).await?;
    let condition = Condition { standing: old.condition.standing.blocked(reason)?, ..old.condition };
    let body = SecurityBody::WebhookBlocked { endpoint: Some(endpoint), class: None, reason };
    act::commit(app, act, act::own(old), condition, None, vec![body]).await
}

/// Has what was parked go out, at a bounded rate.
pub async fn release(app: &App, act: &Act<'_>, endpoint: EndpointId) -> Result<Loaded, Failure> {
    let old = loaded::read(app, act.tenant, endpoint).await?;
    let condition = Condition { standing: old.condition.standing.released()?, ..old.condition };
    let body = SecurityBody::WebhookReleased { endpoint: Some(endpoint), class: None };
    act::commit(app, act, act::own(old), condition, None, vec![body]).await
}

/// Ends an endpoint, whatever else changes in it: nothing goes out any more.
pub async fn end(app: &App, act: &Act<'_>, endpoint: EndpointId) -> Result<Loaded, Failure> {
    let old = loaded::read(app, act.tenant, endpoint).await?;
    let standing = old.condition.standing.ended()?;
    let ended = Loaded { condition: Condition { standing, ..old.condition }, ..act::own(old) };
    let (what, at) = (Ending::Endpoint(endpoint), app.now());
    let mut batch = Batch { changes: vec![Change::End { what, at, once: true }], ..Batch::default() };
    batch.jobs.push(act.follow(app, endpoint));
    let body = SecurityBody::WebhookEnded { endpoint };
    security::record(app, act.tenant, act.circumstances, body, &mut batch).await?;
    batch.answers = act.keep.map(|keep| keep(&ended)).transpose()?;
    act::put(app, batch).await?;
    Ok(ended)
}

/// The endpoints before `before`, newest first, and one more than `limit` where there are more.
pub(crate) async fn page(
    app: &App,
    tenant: &Tenant,
    before: Option<EndpointId>,
    limit: usize,
) -> Result<Vec<Arc<Loaded>>, Fault> {
    let mut found = Vec::new();
    for row in app.store.endpoints(tenant, before, limit.saturating_add(1)).await? {
        found.push(Arc::new(loaded::open(app, row, app.now()).await?));
    }
    Ok(found)
}
