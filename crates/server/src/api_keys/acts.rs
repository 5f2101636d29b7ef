//! What is done to API keys. Each act is one commit with its security events; of two at the same time, one wins.

use countersign_core::{
    access::{Environment, Tenant},
    api_key::{Edit, Wish, life as lives},
    id::{ApiKeyId, JobId},
    limits,
    network::Networks,
    refusal::{Code, Refusal},
    secret::PlainToken,
    security::{EndReason, SecurityBody},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, Ending},
    batch::Row,
    rows::{ApiKeyRow, NewJob},
};

use super::{Giver, Keep, Known, State, all, ended, life, living, networks, read, token_kind, watch};
use crate::{
    app::Records,
    fault::{Failure, Fault},
    persons,
    security::{self, Circumstances},
};

/// A key that was made just now.
#[derive(Debug)]
pub struct NewKey {
    /// The key.
    pub key: Known,
    /// What its holder gets, once.
    pub token: PlainToken,
}

/// How a key is rotated.
#[derive(Clone, Copy, Debug)]
pub struct Rotating {
    /// How long the old key works beside the new one, in seconds.
    pub overlap_s: i64,
    /// How long the new key lives, in seconds; as long as the old one was to live if nothing is said.
    pub lifetime_s: Option<i64>,
}

/// Makes a key: scoped, ending within 90 days, kept as a hash.
pub async fn create(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    giver: Giver,
    wish: &Wish,
    keep: Option<Keep<'_>>,
) -> Result<NewKey, Failure> {
    wish.check(giver.scopes)?;
    let now = app.now();
    let open = all(app, tenant).await?.iter().filter(|known| known.state(now) != State::Ended).count();
    if open >= limits::API_KEYS {
        let sentence =
            format!("an environment has at most {} keys: end those that nobody uses", limits::API_KEYS);
        return Err(Refusal::new(Code::Invalid, sentence).into());
    }
    let mut batch = Batch::default();
    let made = make(app, tenant, giver, wish, None, &mut batch).await?;
    record_made(app, circumstances, &made.key.row, &mut batch).await?;
    batch.answers = keep.map(|keep| keep(&made.key)).transpose()?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(made)
}

/// Gives a key another name, fewer scopes or other networks, from its next use on.
pub async fn change(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    key: ApiKeyId,
    edit: &Edit,
    keep: Option<Keep<'_>>,
) -> Result<Known, Failure> {
    let old = read(app, tenant, key).await?;
    if old.state(app.now()) == State::Ended {
        return Err(over("the key has ended, and is not changed any more").into());
    }
    edit.check(old.row.scopes)?;
    let row = ApiKeyRow {
        label: edit.label.clone().unwrap_or_else(|| old.row.label.clone()),
        scopes: edit.scopes.unwrap_or(old.row.scopes),
        networks: edit.networks.as_ref().map_or_else(|| old.row.networks.clone(), Networks::texts),
        version: old.row.version + 1,
        ..old.row
    };
    let count = u32::try_from(row.networks.len()).unwrap_or(u32::MAX);
    let body = SecurityBody::KeyChanged { key, scopes: row.scopes, networks: count };
    let changed = Known { row, ..old };
    let mut batch = Batch::default();
    security::record(app, tenant, circumstances, body, &mut batch).await?;
    replace(app, &changed, batch, keep).await?;
    Ok(changed)
}

/// Makes a key that takes over from another: the same name, scopes and networks. Both work until the overlap is over.
pub async fn rotate(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    giver: Giver,
    key: ApiKeyId,
    how: Rotating,
    keep: Option<Keep<'_>>,
) -> Result<NewKey, Failure> {
    let old = read(app, tenant, key).await?;
    let now = app.now();
    if let Some(by) = old.replaced_by {
        return Err(over(&format!("the key was rotated to {by}: rotate that one")).into());
    }
    let rotation = lives::rotate(life(&old.row), how.overlap_s, how.lifetime_s, now)?;
    let wish = Wish {
        label: old.row.label.clone(),
        scopes: old.row.scopes,
        networks: networks(&old.row)?,
        lifetime_s: rotation.new_expires_at.since_ms(now) / 1_000,
    };
    // Whoever rotates holds the new token: it gets nothing by it that it does not have.
    wish.check(giver.scopes)?;
    let giver = Giver { user: giver.user.or(old.row.created_by), ..giver };
    let mut batch = Batch::default();
    let made = make(app, tenant, giver, &wish, Some(key), &mut batch).await?;
    record_made(app, circumstances, &made.key.row, &mut batch).await?;
    let until = rotation.old.expires_at;
    let by = made.key.row.key;
    security::record(app, tenant, circumstances, SecurityBody::KeyRotated { key, by, until }, &mut batch)
        .await?;
    let is_over = rotation.old.is_over(now);
    let row = if is_over { ended(&old.row, until) } else { living(&old.row, rotation.old) };
    if is_over {
        let body = SecurityBody::KeyEnded { key, reason: EndReason::Rotated };
        security::record(app, tenant, circumstances, body, &mut batch).await?;
    } else {
        // The job of the old key sleeps until moments that are not right any more.
        let job = JobId::new(now, app.draw());
        batch.jobs.push(NewJob { job, ..watch::job(&row, now, circumstances.correlation) });
    }
    batch.answers = keep.map(|keep| keep(&made.key)).transpose()?;
    replace(app, &Known { row, replaced_by: Some(by) }, batch, None).await?;
    Ok(made)
}

/// Ends a key at once, also in servers that run: they look each key up again for each request.
pub async fn end(
    app: &Records,
    tenant: &Tenant,
    circumstances: &Circumstances,
    key: ApiKeyId,
    keep: Option<Keep<'_>>,
) -> Result<Known, Failure> {
    let old = read(app, tenant, key).await?;
    if old.state(app.now()) == State::Ended {
        return Err(over("the key cannot be ended: it has ended").into());
    }
    let row = ended(&old.row, app.now());
    let ended = Known { row, ..old };
    let answers = keep.map(|keep| keep(&ended)).transpose()?;
    let end = Change::End { what: Ending::ApiKey(key), at: app.now(), once: true };
    let mut batch = Batch { changes: vec![end], answers, ..Batch::default() };
    let body = SecurityBody::KeyEnded { key, reason: EndReason::Ended };
    security::record(app, tenant, circumstances, body, &mut batch).await?;
    match app.store.commit(batch).await {
        Ok(_) => Ok(ended),
        Err(CommitError::Outdated) => Err(over("the key cannot be ended: it has ended").into()),
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

fn over(sentence: &str) -> Refusal {
    Refusal::new(Code::KeyState, sentence)
}

/// A key that is about to be committed, with its person and the job that watches over its life.
async fn make(
    app: &Records,
    tenant: &Tenant,
    giver: Giver,
    wish: &Wish,
    replaces: Option<ApiKeyId>,
    batch: &mut Batch,
) -> Result<NewKey, Failure> {
    let environment = tenant.environment();
    if environment == Environment::Live && app.config.mail.smtp_host.is_none() {
        let sentence =
            "a live environment needs a mail server, or nobody gets a link: set [mail] smtp_host first";
        return Err(Refusal::new(Code::Invalid, sentence).into());
    }
    let organization = app.organization(tenant.organization()).await?;
    let key = ApiKeyId::new(app.now(), app.draw());
    // The key's own person: addresses of its callers go under a key that can be erased.
    let lookup =
        organization.lookup_key.mac(&[environment.text().as_bytes(), b"\0api-key\0", key.as_bytes()]);
    let person = persons::new_person(app, &organization, tenant, lookup)?;
    let token = PlainToken::new(token_kind(environment), &app.draw());
    let row = ApiKeyRow {
        tenant: *tenant,
        key,
        hash: token.hash(),
        scopes: wish.scopes,
        person: person.person,
        label: wish.label.trim().to_owned(),
        created_at: app.now(),
        expires_at: app.now().plus_s(wish.lifetime_s),
        networks: wish.networks.texts(),
        replaces,
        used: None,
        warned_days: None,
        created_by: giver.user,
        version: 1,
    };
    batch.rows.extend([Row::Person(person), Row::ApiKey(row.clone())]);
    Ok(NewKey { key: Known { row, replaced_by: None }, token })
}

async fn record_made(
    app: &Records,
    circumstances: &Circumstances,
    row: &ApiKeyRow,
    batch: &mut Batch,
) -> Result<(), Fault> {
    let body = SecurityBody::KeyCreated { key: row.key, scopes: row.scopes, expires_at: row.expires_at };
    security::record(app, &row.tenant, circumstances, body, batch).await?;
    batch.jobs.push(watch::job(row, app.now(), circumstances.correlation));
    Ok(())
}

async fn replace(
    app: &Records,
    known: &Known,
    mut batch: Batch,
    keep: Option<Keep<'_>>,
) -> Result<(), Failure> {
    batch.changes.push(Change::ApiKey(known.row.clone()));
    if let Some(keep) = keep {
        batch.answers = Some(keep(known)?);
    }
    match app.store.commit(batch).await {
        Ok(_) => Ok(()),
        Err(CommitError::Outdated) => {
            let sentence = "somebody else changed this key just now; read it and try again";
            Err(Refusal::new(Code::Busy, sentence).into())
        }
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}
