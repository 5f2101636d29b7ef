//! What is done to the keys of an endpoint: the steps of a rotation (W-2), each one commit with its security event.

use std::sync::Arc;

use countersign_core::{
    id::{EndpointId, WebhookKeyId},
    refusal::{Code, Refusal},
    security::SecurityBody,
    webhook::rotation::{Keys, Step},
};
use countersign_store::{
    Batch,
    access_rows::{Change, Ending},
    webhook_rows::WebhookKeyRow,
};
use countersign_webhooks::Secret;

use super::{
    act::{self, Act, TRIES},
    keys,
    loaded::{self, Loaded},
    stored::stage_text,
};
use crate::{app::App, fault::Failure, security};

/// A key that was made just now.
pub struct NewKey {
    /// Which.
    pub key: WebhookKeyId,
    /// Its secret, for whoever is to verify with it.
    pub secret: Secret,
    /// Its endpoint as it is.
    pub loaded: Loaded,
}

/// Makes the next key. It is published, and does not sign yet.
pub async fn stage(app: &App, act: &Act<'_>, endpoint: EndpointId) -> Result<NewKey, Failure> {
    let old = loaded::read(app, act.tenant, endpoint).await?;
    let standing = old.condition.standing.changed()?;
    let now = app.now();
    let mut stages = retired(&old.keys, app);
    let key = WebhookKeyId::new(now, app.draw());
    let step = stages.0.stage(key, now)?;
    let organization = app.organization(act.tenant.organization()).await?;
    let made = keys::make(&organization, key, old.settings.profile, &*app.random).await?;
    let mut stage = String::new();
    for one in stages.0.all().iter().filter(|one| one.id == key) {
        stage = stage_text(one)?;
    }
    let row = WebhookKeyRow {
        tenant: *act.tenant,
        endpoint,
        key,
        sealed: made.sealed,
        public: made.public,
        stage,
        created_at: now,
        ended_at: None,
        version: 1,
    };
    let condition = super::stored::Condition { standing, ..old.condition };
    let bodies = events(endpoint, stages.1.into_iter().chain([step]));
    // What came while there was none waits for this key.
    let jobs = if old.keys.is_signing() { Vec::new() } else { vec![act.follow(app, endpoint)] };
    let (keys, more) = (Some((stages.0, Some(row))), act::More { jobs, ..act::More::default() });
    let loaded = act::commit_with(app, act, act::own(old), condition, keys, bodies, more).await?;
    Ok(NewKey { key, secret: made.secret, loaded })
}

/// The new key signs beside the primary one.
pub async fn join(app: &App, act: &Act<'_>, endpoint: EndpointId) -> Result<Loaded, Failure> {
    change(app, act, endpoint, |keys| keys.join(app.now())).await
}

/// The new key becomes the primary one, if a receiver accepted what it alone had signed.
pub async fn promote(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    overlap_s: i64,
) -> Result<Loaded, Failure> {
    change(app, act, endpoint, |keys| keys.promote(app.now(), overlap_s)).await
}

async fn change(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    step: impl FnOnce(&mut Keys) -> Result<Step, Refusal>,
) -> Result<Loaded, Failure> {
    let old = loaded::read(app, act.tenant, endpoint).await?;
    let standing = old.condition.standing.changed()?;
    let (mut keys, retired) = retired(&old.keys, app);
    let step = step(&mut keys)?;
    let condition = super::stored::Condition { standing, ..old.condition };
    let bodies = events(endpoint, retired.into_iter().chain([step]));
    act::commit(app, act, act::own(old), condition, Some((keys, None)), bodies).await
}

/// Writes down that a receiver accepted what this key alone had signed.
pub(super) async fn proved(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    key: WebhookKeyId,
) -> Result<(), Failure> {
    let mut tries = 0;
    loop {
        let old = loaded::read(app, act.tenant, endpoint).await?;
        let (mut keys, retired) = retired(&old.keys, app);
        let Some(step) = keys.proved(key, app.now()) else { return Ok(()) };
        let (condition, bodies) = (old.condition, events(endpoint, retired.into_iter().chain([step])));
        tries += 1;
        match act::commit(app, act, act::own(old), condition, Some((keys, None)), bodies).await {
            Err(Failure::Refused(refusal)) if refusal.code == Code::Busy && tries < TRIES => {}
            other => return other.map(drop),
        }
    }
}

/// Ends a key at once, whatever else changes in it.
pub async fn revoke(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    key: WebhookKeyId,
) -> Result<Loaded, Failure> {
    let old = loaded::read(app, act.tenant, endpoint).await?;
    old.condition.standing.changed()?;
    if !old.key_rows.iter().any(|row| row.key == key) {
        return Err(Refusal::not_found().into());
    }
    let mut tries = 0;
    loop {
        let old = loaded::read(app, act.tenant, endpoint).await?;
        tries += 1;
        // What else is changed all the time cannot keep a key alive: in the end it goes alone.
        let is_alone = tries == TRIES;
        match revoked(app, act, &old, key, is_alone).await {
            Err(Failure::Refused(refusal)) if refusal.code == Code::Busy && !is_alone => {}
            other => return other,
        }
    }
}

async fn revoked(
    app: &App,
    act: &Act<'_>,
    old: &Arc<Loaded>,
    key: WebhookKeyId,
    is_alone: bool,
) -> Result<Loaded, Failure> {
    let (now, endpoint) = (app.now(), old.row.endpoint);
    let mut keys = old.keys.clone();
    let step = keys.revoke(key, now)?;
    let what = Ending::WebhookKey(key);
    let mut batch = Batch { changes: vec![Change::End { what, at: now, once: true }], ..Batch::default() };
    security::record(app, act.tenant, act.circumstances, step.event(endpoint), &mut batch).await?;
    let mut ended = act::own(Arc::clone(old));
    for row in &mut ended.key_rows {
        let stage = keys.all().iter().find(|one| one.id == row.key).map(stage_text).transpose()?;
        if row.key == key {
            row.ended_at = Some(now);
        } else if let Some(stage) = stage.filter(|stage| *stage != row.stage && !is_alone) {
            // The one that takes its place does so for good.
            row.stage = stage;
            row.version += 1;
            batch.changes.push(Change::WebhookKey(row.clone()));
        }
    }
    if !keys.is_signing() {
        batch.jobs.push(act.follow(app, endpoint));
    }
    ended.keys = keys;
    batch.answers = act.keep.map(|keep| keep(&ended)).transpose()?;
    act::put(app, batch).await?;
    Ok(ended)
}

/// The keys after those were written down as retired whose time is over.
fn retired(keys: &Keys, app: &App) -> (Keys, Vec<Step>) {
    let (mut keys, mut steps) = (keys.clone(), Vec::new());
    while let Some(step) = keys.retire(app.now()) {
        steps.push(step);
    }
    (keys, steps)
}

fn events(endpoint: EndpointId, steps: impl Iterator<Item = Step>) -> Vec<SecurityBody> {
    steps.map(|step| step.event(endpoint)).collect()
}
