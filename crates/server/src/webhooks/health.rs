//! How deliveries to an endpoint go (W-5): what fails for days is told to those who answer for it, and disabled. A look follows
//! each attempt; few of them write anything.

use countersign_core::{
    id::CorrelationId,
    security::{SecurityActor, SecurityBody},
    time::Time,
    webhook::{
        health::{Due, Health},
        standing::DisableReason,
    },
};

use super::{
    act::{self, Act, More},
    loaded::{self, Loaded},
    notices,
    stored::Condition,
};
use crate::{app::App, fault::Failure, security::Circumstances};

/// A failure so soon after the last one that was written down says nothing new.
const WRITTEN_MS: i64 = 3_600_000;

/// After an attempt. Where somebody else changes the endpoint meanwhile, the next attempt says it again.
pub(super) async fn attempted(app: &App, loaded: &Loaded, is_success: bool, correlation: CorrelationId) {
    let (now, old) = (app.now(), loaded.condition.health);
    if !says_something(old, is_success, now) {
        return;
    }
    if let Err(failure) = note(app, loaded, is_success, correlation).await {
        tracing::warn!(event_type = "webhook.health", event_result = "later", fault = %failure);
    }
}

fn says_something(old: Health, is_success: bool, now: Time) -> bool {
    match old.failing {
        None => !is_success,
        Some(_) if is_success => true,
        Some(failing) => {
            now.since_ms(failing.last_at) >= WRITTEN_MS
                || matches!(old.failed(now).due(now), Due::Notice(_) | Due::Disable)
        }
    }
}

async fn note(app: &App, seen: &Loaded, is_success: bool, correlation: CorrelationId) -> Result<(), Failure> {
    // As it is now: of many attempts at the same time one writes it down.
    let (tenant, endpoint, now) = (seen.row.tenant, seen.row.endpoint, app.now());
    let old = loaded::read(app, &tenant, endpoint).await?;
    let health = old.condition.health;
    if old.settings.is_other_receiver(&seen.settings) {
        return Ok(());
    }
    if !old.condition.standing.is_told() || !says_something(health, is_success, now) {
        return Ok(());
    }
    let circumstances = Circumstances { actor: SecurityActor::System, origin: None, correlation };
    let act = Act { tenant: &tenant, circumstances: &circumstances, keep: None };
    let health = if is_success { health.succeeded() } else { health.failed(now) };
    let mut condition = Condition { health, ..old.condition };
    let (mut bodies, mut days) = (Vec::new(), None);
    match health.due(now) {
        Due::Nothing | Due::Later(_) => {}
        Due::Notice(before) => {
            condition.health = health.told(before, now);
            days = Some(before);
        }
        Due::Disable => {
            let reason = DisableReason::Failing;
            condition.standing = condition.standing.disabled(reason)?;
            bodies.push(SecurityBody::WebhookDisabled { endpoint, reason });
            days = Some(0);
        }
    }
    let mails = match days {
        Some(days) => notices::mails(app, &tenant, endpoint, days, correlation).await?,
        None => Vec::new(),
    };
    let more = More { jobs: mails, ..More::default() };
    act::commit_with(app, &act, act::own(old), condition, None, bodies, more).await.map(drop)
}

/// Disables an endpoint that answered that it is gone (410), and tells those who answer for it.
pub(super) async fn gone(app: &App, seen: &Loaded, correlation: CorrelationId) {
    let disable = async {
        let (tenant, endpoint) = (seen.row.tenant, seen.row.endpoint);
        let old = loaded::read(app, &tenant, endpoint).await?;
        // Of the receiver that said so, and of no other.
        if old.settings.is_other_receiver(&seen.settings) {
            return Ok(());
        }
        let reason = DisableReason::Gone;
        let Ok(standing) = old.condition.standing.disabled(reason) else { return Ok(()) };
        let condition = Condition { standing, ..old.condition };
        let circumstances = Circumstances { actor: SecurityActor::System, origin: None, correlation };
        let act = Act { tenant: &tenant, circumstances: &circumstances, keep: None };
        let bodies = vec![SecurityBody::WebhookDisabled { endpoint, reason }];
        let mails = notices::mails(app, &tenant, endpoint, 0, correlation).await?;
        let more = More { jobs: mails, ..More::default() };
        act::commit_with(app, &act, act::own(old), condition, None, bodies, more).await.map(drop)
    };
    let ended: Result<(), Failure> = disable.await;
    if let Err(failure) = ended {
        tracing::warn!(event_type = "webhook.gone", event_result = "later", fault = %failure);
    }
}
