//! How an act on an endpoint is committed: its row, its keys, its security events and the job that brings its deliveries after it.

use std::sync::Arc;

use countersign_core::{
    access::Tenant,
    id::{EndpointId, JobId},
    refusal::{Code, Refusal},
    security::SecurityBody,
    webhook::{
        endpoint::Settings,
        rotation::{Key, Keys},
    },
};
use countersign_store::{
    Batch, CommitError,
    access_rows::Change,
    batch::Row,
    rows::{FinishedIdempotency, NewJob, Work},
    webhook_rows::{EndpointRow, WebhookKeyRow},
};

use super::{
    loaded::Loaded,
    stored::{Condition, condition_text, stage_text, taking},
};
use crate::{
    app::App,
    fault::{Failure, Fault},
    security::{self, Circumstances},
};

/// What a commit keeps for the same request coming again: made of the endpoint as it is afterwards, without any secret.
pub type Keep<'a> = &'a (dyn Fn(&Loaded) -> Result<FinishedIdempotency, Fault> + Send + Sync);

/// Somebody who acts on endpoints.
pub struct Act<'a> {
    /// In which environment of which organization.
    pub tenant: &'a Tenant,
    /// Who, from where, and because of what.
    pub circumstances: &'a Circumstances,
    /// What to keep of it.
    pub keep: Option<Keep<'a>>,
}

impl Act<'_> {
    /// A job that follows from it.
    pub(super) fn job(&self, app: &App, work: Work) -> NewJob {
        NewJob {
            tenant: *self.tenant,
            job: JobId::new(app.now(), app.draw()),
            work,
            correlation: self.circumstances.correlation,
            due_at: app.now(),
        }
    }

    /// The job that brings the deliveries of an endpoint after it.
    pub(super) fn follow(&self, app: &App, endpoint: EndpointId) -> NewJob {
        self.job(app, Work::FollowEndpoint { endpoint, settled_at: None })
    }
}

/// The endpoint by itself.
pub(super) fn own(loaded: Arc<Loaded>) -> Loaded {
    let (row, settings) = (loaded.row.clone(), loaded.settings.clone());
    unique(loaded, row, settings)
}

/// The endpoint by itself, with another row and other settings.
pub(super) fn unique(loaded: Arc<Loaded>, row: EndpointRow, settings: Settings) -> Loaded {
    Loaded {
        row,
        settings,
        condition: loaded.condition,
        stopped: loaded.stopped,
        keys: loaded.keys.clone(),
        key_rows: loaded.key_rows.clone(),
        signers: Vec::new(),
    }
}

/// What becomes of the keys of an endpoint, with the row of one that is new.
pub(super) type KeyChange = (Keys, Option<WebhookKeyRow>);

/// Commits what an endpoint is from now on: with the rows of its keys where `keys` says that they changed.
pub(super) async fn commit(
    app: &App,
    act: &Act<'_>,
    old: Loaded,
    condition: Condition,
    keys: Option<KeyChange>,
    bodies: Vec<SecurityBody>,
) -> Result<Loaded, Failure> {
    commit_with(app, act, old, condition, keys, bodies, More::default()).await
}

/// What else a commit may hold.
#[derive(Default)]
pub(super) struct More {
    pub(super) jobs: Vec<NewJob>,
    /// Keys that are made anew under their ids.
    pub(super) remade: Vec<(Key, WebhookKeyRow)>,
}

/// The same, with more.
pub(super) async fn commit_with(
    app: &App,
    act: &Act<'_>,
    old: Loaded,
    condition: Condition,
    keys: Option<KeyChange>,
    bodies: Vec<SecurityBody>,
    more: More,
) -> Result<Loaded, Failure> {
    let mut batch = Batch { jobs: more.jobs, ..Batch::default() };
    let before = old.condition.standing;
    let row = EndpointRow {
        condition: condition_text(&condition)?,
        takes: taking(condition.standing),
        version: old.row.version + 1,
        ..old.row
    };
    batch.changes.push(Change::Endpoint(row.clone()));
    let mut now = Loaded { row, condition, ..old };
    if let Some((keys, new)) = keys {
        write_keys(app, &mut now, keys, new, &mut batch)?;
    }
    write_remade(app, &mut now, more.remade, &mut batch);
    if condition.standing != before {
        batch.jobs.push(act.follow(app, now.row.endpoint));
    }
    for body in bodies {
        security::record(app, act.tenant, act.circumstances, body, &mut batch).await?;
    }
    batch.answers = act.keep.map(|keep| keep(&now)).transpose()?;
    put(app, batch).await?;
    Ok(now)
}

fn write_keys(
    app: &App,
    endpoint: &mut Loaded,
    keys: Keys,
    new: Option<WebhookKeyRow>,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let at = app.now();
    for row in &mut endpoint.key_rows {
        let Some(key) = keys.all().iter().find(|key| key.id == row.key) else { continue };
        let stage = stage_text(key)?;
        if stage == row.stage {
            continue;
        }
        row.stage = stage;
        row.version += 1;
        row.ended_at = row.ended_at.or((!key.state.is_live()).then_some(at));
        batch.changes.push(Change::WebhookKey(row.clone()));
    }
    if let Some(row) = new {
        batch.rows.push(Row::WebhookKey(row.clone()));
        endpoint.key_rows.push(row);
    }
    endpoint.keys = keys;
    Ok(())
}

fn write_remade(app: &App, endpoint: &mut Loaded, remade: Vec<(Key, WebhookKeyRow)>, batch: &mut Batch) {
    if remade.is_empty() {
        return;
    }
    let mut keys = endpoint.keys.all().to_vec();
    for (key, row) in remade {
        keys.iter_mut().filter(|one| one.id == key.id).for_each(|one| *one = key);
        endpoint.key_rows.iter_mut().filter(|one| one.key == key.id).for_each(|one| *one = row.clone());
        batch.changes.push(Change::WebhookKey(row));
    }
    endpoint.keys = Keys::stored(keys, app.now());
}

/// How often a change is tried that somebody else's came before.
pub(super) const TRIES: usize = 5;

/// Commits what only one can do.
pub(super) async fn put(app: &App, batch: Batch) -> Result<(), Failure> {
    match app.store.commit(batch).await {
        Ok(_) => Ok(()),
        Err(CommitError::Outdated) => {
            let sentence = "somebody else changed this endpoint just now; read it and try again";
            Err(Refusal::new(Code::Busy, sentence).into())
        }
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}
