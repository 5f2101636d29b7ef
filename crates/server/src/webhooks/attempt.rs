//! One attempt of a delivery: what it says, who signs it, and what its answer means.

use countersign_core::{
    id::AttemptId,
    time::Time,
    webhook::{
        class::{Class, Payload, told},
        containment::Fate,
        endpoint::Profile,
        payload::{self, Place, Subject, TEST_TYPE},
        schedule::{Answer, Outcome, Tries, judge, timestamp_s},
    },
};
use countersign_store::{
    rows::security_stream,
    webhook_rows::{AttemptRow, DeliveryRow, DeliveryState, NewMessage, Settlement},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    full,
    keys::{self, Attempt, Signer},
    loaded::{self, Loaded},
};
use crate::{
    app::{App, Organization},
    egress::messenger::{Sent, Way},
    fault::Fault,
    keys::Binding,
};

/// Where what was sent and answered belongs.
pub(crate) fn attempt_binding(attempt: AttemptId) -> Binding {
    Binding::new("webhook-attempt", &[attempt.as_bytes()])
}

/// What came of an attempt.
pub(crate) struct Tried {
    pub(crate) settlement: Settlement,
    /// The attempt just before it, whose token was refused.
    pub(crate) refused: Option<AttemptRow>,
    pub(crate) outcome: Outcome,
    pub(crate) took_ms: u32,
}

/// Why a delivery is over without an attempt.
pub(crate) enum Prepared {
    /// It goes out.
    Message { body: Vec<u8>, class: Class, place: Place },
    /// The endpoint may not be told of it any more.
    NotTold,
}

/// The class of a message by its bit.
pub(crate) fn class_of(row: &DeliveryRow) -> Option<Class> {
    Class::ALL.into_iter().find(|class| u32::from(class.bit()) == row.message.class)
}

/// Writes the body of a message, as far as the endpoint may be told at this moment (W-6).
pub(crate) async fn prepare(app: &App, loaded: &Loaded, row: &DeliveryRow) -> Result<Prepared, Fault> {
    let message = &row.message;
    let Some(class) = class_of(row) else {
        return Err(Fault::Task(format!("{} has no class", message.message)));
    };
    let settings = &loaded.settings;
    let Some(payload) = told(class, settings.payload, settings.scopes) else { return Ok(Prepared::NotTold) };
    let place = place_of(message, class);
    Ok(Prepared::Message { body: body(app, message, class, payload).await?, class, place })
}

fn place_of(message: &NewMessage, class: Class) -> Place {
    match class {
        Class::Test => Place::Test,
        _ if message.stream == security_stream(&message.tenant) => {
            Place::Security { seq: message.seq, sha256: message.hash }
        }
        _ => Place::Envelope { envelope: message.stream, seq: message.seq, sha256: message.hash },
    }
}

/// What a message says.
pub(crate) async fn body(
    app: &App,
    message: &NewMessage,
    class: Class,
    payload: Payload,
) -> Result<Vec<u8>, Fault> {
    let place = place_of(message, class);
    let event: Option<Box<RawValue>> = match payload {
        Payload::Thin => None,
        Payload::Full => full::event(app, message, place).await?,
    };
    let subject = Subject {
        event_type: if class == Class::Test { TEST_TYPE } else { &message.kind },
        at: message.at,
        organization: message.tenant.organization(),
        environment: message.tenant.environment(),
        place,
    };
    payload::body(&subject, event.as_deref()).map_err(|error| Fault::Task(error.to_string()))
}

/// The headers of an attempt, signed by all keys that sign now.
pub(crate) async fn headers(
    loaded: &Loaded,
    signers: &[Signer],
    row: &DeliveryRow,
    (class, place): (Class, Place),
    attempt: Attempt<'_>,
) -> Result<Vec<(&'static str, String)>, Fault> {
    let more = payload::headers(class, place, row.message.correlation, attempt.id);
    written((&loaded.settings.url, loaded.settings.profile), signers, attempt, more).await
}

/// The headers of an attempt at a URL, with `more` that tell where the message belongs.
pub(crate) async fn written(
    (url, profile): (&str, Profile),
    signers: &[Signer],
    attempt: Attempt<'_>,
    more: Vec<(&'static str, String)>,
) -> Result<Vec<(&'static str, String)>, Fault> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.push(("user-agent", "Countersign-Webhooks/1".to_owned()));
    headers.extend(keys::standard(signers, attempt)?);
    headers.extend(more);
    let signature = keys::message_signature((profile, signers), attempt, url, &headers).await?;
    headers.extend(signature);
    Ok(headers)
}

/// Tries a delivery once.
pub(crate) async fn run(app: &App, loaded: &Loaded, row: &DeliveryRow) -> Result<Tried, Fault> {
    if loaded.signers.is_empty() {
        return over(app, row, "no_key");
    }
    let Some(sent) = send(app, loaded, &loaded.signers, row).await? else {
        return over(app, row, "not_told");
    };
    let (outcome, took_ms) = (sent.outcome, sent.attempt.took_ms);
    let settlement = settle(row, outcome, sent.ended, Some(sent.attempt))?;
    Ok(Tried { settlement, refused: sent.refused, outcome, took_ms })
}

/// What was sent, and what came of it.
pub(crate) struct Attempted {
    pub(crate) attempt: AttemptRow,
    /// The attempt just before it, whose token was refused.
    pub(crate) refused: Option<AttemptRow>,
    pub(crate) outcome: Outcome,
    pub(crate) ended: Time,
}

impl Attempted {
    /// Of what is sent once: nobody tries it again.
    pub(crate) fn once(self) -> AttemptRow {
        let outcome = match self.outcome {
            Outcome::Again { .. } => Outcome::GivenUp,
            other => other,
        };
        AttemptRow { outcome: text(outcome).to_owned(), ..self.attempt }
    }
}

/// A request, and its answer.
struct Exchange {
    attempt: AttemptId,
    signed_s: i64,
    lines: Vec<(&'static str, String)>,
    began: Time,
    sent: Sent,
    ended: Time,
}

impl Exchange {
    fn row(&self, row: &DeliveryRow, outcome: &str, sealed: Vec<u8>) -> AttemptRow {
        AttemptRow {
            tenant: row.message.tenant,
            attempt: self.attempt,
            endpoint: row.endpoint,
            message: row.message.message,
            at: self.began,
            took_ms: u32::try_from(self.ended.since_ms(self.began)).unwrap_or(0),
            signed_s: self.signed_s,
            status: self.sent.status,
            outcome: outcome.to_owned(),
            sealed,
        }
    }
}

/// Sends a message, signed by these keys; `None` where the endpoint may not be told of it any more.
pub(crate) async fn send(
    app: &App,
    loaded: &Loaded,
    signers: &[Signer],
    row: &DeliveryRow,
) -> Result<Option<Attempted>, Fault> {
    let (body, class, place) = match prepare(app, loaded, row).await? {
        Prepared::Message { body, class, place } => (body, class, place),
        Prepared::NotTold => return Ok(None),
    };
    let exchange = async |began, refused_token, last_signed_s| -> Result<Exchange, Fault> {
        let (id, signed_s) = (AttemptId::new(began, app.draw()), timestamp_s(began, last_signed_s));
        let signed = Attempt { message: row.message.message, id, signed_s, body: &body };
        let lines = headers(loaded, signers, row, (class, place), signed).await?;
        let way = Way { refused_token, ..loaded.way(began) };
        let sent = app.webhooks.messenger.post(way, &lines, body.clone()).await;
        Ok(Exchange { attempt: id, signed_s, lines, began, sent, ended: app.now() })
    };
    let organization = app.organization(row.message.tenant.organization()).await?;
    let (mut made, mut refused) = (exchange(app.now(), None, row.signed_s).await?, None);
    if let (Some(401), Some(token)) = (made.sent.status, made.sent.kept_token) {
        // The token may have been taken back before its end. With another one it is another attempt, signed anew.
        let again = async {
            if !goes_out_alike(app, loaded, signers, row).await? {
                return Ok(None);
            }
            let began = app.now().max(made.began.plus_ms(1));
            exchange(began, Some(token), Some(made.signed_s)).await.map(Some)
        };
        let next = again.await;
        match next {
            Ok(Some(next)) => refused = Some(std::mem::replace(&mut made, next)),
            Ok(None) => {}
            // What went out is in the record, whatever breaks after it (W-12).
            Err(fault) => not_again(row, &fault),
        }
    }
    let answer = made.sent.status.map_or(Answer::None, |status| Answer::Status {
        status,
        retry_after: made.sent.retry_after.as_deref(),
    });
    let tries = Tries { attempts: row.attempt_count.saturating_add(1), asked: row.asked_count };
    let outcome = judge(answer, tries, made.ended, app.draw());
    let kept = |made: &Exchange, outcome: &str, is_asked: bool| -> Result<AttemptRow, Fault> {
        let (binding, plain) = (attempt_binding(made.attempt), record(made, is_asked));
        Ok(made.row(row, outcome, organization.key.seal(&*app.random, &binding, &plain)?))
    };
    // A test is sent once.
    let is_asked = class != Class::Test && matches!(outcome, Outcome::Again { is_asked: true, .. });
    let attempt = kept(&made, text(outcome), is_asked)?;
    let refused = refused.map(|refused| kept(&refused, TOKEN_REFUSED, false)).transpose()?;
    Ok(Some(Attempted { attempt, refused, outcome, ended: made.ended }))
}

/// Whether a delivery would go out now as it did when the endpoint was read: to the same receiver, telling as much, signed by keys that
/// still live. What else became of the endpoint since is no reason to keep it back.
async fn goes_out_alike(
    app: &App,
    loaded: &Loaded,
    signers: &[Signer],
    row: &DeliveryRow,
) -> Result<bool, Fault> {
    let at = app.now();
    let Some(now) = loaded::load(app, &loaded.row.tenant, loaded.row.endpoint, at).await? else {
        return Ok(false);
    };
    let is_live = |signer: &Signer| {
        now.keys.all().iter().any(|key| key.id == signer.id() && key.state.at(at).is_live())
    };
    let goes = match class_of(row) {
        Some(Class::Test) => now.is_tested(),
        _ => now.fate_of(row) == Fate::Goes,
    };
    Ok(goes && now.settings.tells_alike(&loaded.settings) && signers.iter().all(is_live))
}

fn not_again(row: &DeliveryRow, fault: &Fault) {
    tracing::error!(
        event_type = "webhook.delivery",
        event_result = "not_again",
        fault = %fault,
        endpoint = %row.endpoint,
        message_id = %row.message.message,
        correlation_id = %row.message.correlation
    );
}

/// What became of an attempt whose token was refused, and which another one with a new token followed at once.
const TOKEN_REFUSED: &str = "token_refused";

/// Bytes of an answer that are kept: enough for a sentence of the receiver, and a dead one does not fill the disk.
const KEPT_BYTES: usize = 1_024;

/// Characters of `Retry-After` that are kept: a date of HTTP has 29.
const RETRY_AFTER_CHARS: usize = 60;

/// What an attempt sent and got, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The headers of the request, but for the signatures.
    pub(crate) headers: Vec<(String, String)>,
    /// How the answer began, or why there was none.
    pub(crate) answer: String,
    /// `Retry-After`, where it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<RetryAfter>,
}

/// How long a receiver asked to wait.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RetryAfter {
    /// As it came.
    pub(crate) value: String,
    /// Whether the next attempt is when it says.
    pub(crate) is_followed: bool,
}

/// Opens what is kept of an attempt.
pub(crate) fn kept(organization: &Organization, row: &AttemptRow) -> Result<Kept, Fault> {
    let plain = organization.key.open(&attempt_binding(row.attempt), &row.sealed)?;
    serde_json::from_slice(&plain).map_err(|error| Fault::Task(format!("{}: {error}", row.attempt)))
}

fn record(made: &Exchange, is_asked: bool) -> Vec<u8> {
    let shown = |name: &str| !matches!(name, "webhook-signature" | "signature");
    let headers = made.lines.iter().filter(|(name, _)| shown(name));
    let headers = headers.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let answer = made.sent.answer.get(..KEPT_BYTES).unwrap_or(&made.sent.answer);
    let retry_after = made.sent.retry_after.as_deref();
    let retry_after = retry_after.map(|value| RetryAfter {
        value: value.trim().chars().take(RETRY_AFTER_CHARS).collect(),
        is_followed: is_asked,
    });
    let kept = Kept { headers, answer: String::from_utf8_lossy(answer).into_owned(), retry_after };
    // Text can always be written.
    serde_json::to_vec(&kept).unwrap_or_default()
}

fn text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Gone => "gone",
        Outcome::Again { .. } => "again",
        Outcome::GivenUp => "given_up",
    }
}

fn settle(
    row: &DeliveryRow,
    outcome: Outcome,
    now: Time,
    attempt: Option<AttemptRow>,
) -> Result<Settlement, Fault> {
    let worker = row.worker.ok_or_else(|| Fault::Missing("the worker of a delivery".to_owned()))?;
    let (state, due_at, is_asked) = match outcome {
        Outcome::Delivered => (DeliveryState::Delivered, now, false),
        Outcome::Gone | Outcome::GivenUp => (DeliveryState::Failed, now, false),
        Outcome::Again { at, is_asked } => (DeliveryState::Due, at, is_asked),
    };
    let (endpoint, message) = (row.endpoint, row.message.message);
    Ok(Settlement { worker, endpoint, message, state, due_at, is_asked, attempt })
}

// What cannot go out is over, and says why in the log.
fn over(app: &App, row: &DeliveryRow, reason: &'static str) -> Result<Tried, Fault> {
    tracing::warn!(
        event_type = "webhook.delivery",
        event_result = "over",
        reason,
        endpoint = %row.endpoint,
        message_id = %row.message.message,
        correlation_id = %row.message.correlation
    );
    let settlement = settle(row, Outcome::GivenUp, app.now(), None)?;
    Ok(Tried { settlement, refused: None, outcome: Outcome::GivenUp, took_ms: 0 })
}
