//! A test of an endpoint, sent now and signed by one key alone: the new one while a key is rotated, whose gate opens when the
//! receiver accepts it (W-2). It stands among the deliveries, and is not tried again.

use countersign_core::{
    digest::Digest,
    id::{EndpointId, MessageId, WebhookKeyId},
    refusal::{Code, Refusal},
    webhook::{class::Class, payload::TEST_TYPE},
};
use countersign_store::{
    Batch,
    batch::Row,
    rows::{FinishedIdempotency, security_stream},
    webhook_rows::{AttemptRow, DeliveryState, NewMessage},
};

use super::{
    act::Act,
    attempt,
    keys::Signer,
    loaded::{self, Loaded},
    replay::delivery,
    rotating,
};
use crate::{
    app::App,
    fault::{Failure, Fault},
};

/// How a test ended.
pub struct Tested {
    /// The message that was sent.
    pub message: MessageId,
    /// The key that signed it.
    pub key: WebhookKeyId,
    /// What came of it.
    pub(crate) attempt: AttemptRow,
}

impl Tested {
    /// Whether the receiver took it.
    pub fn is_accepted(&self) -> bool {
        self.attempt.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// What the commit of a test keeps for the same request coming again.
pub type KeepTested<'a> = &'a (dyn Fn(&Tested) -> Result<FinishedIdempotency, Fault> + Send + Sync);

/// Sends a test.
pub async fn test(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    keep: Option<KeepTested<'_>>,
) -> Result<Tested, Failure> {
    let loaded = loaded::read(app, act.tenant, endpoint).await?;
    loaded.check_tested()?;
    let now = app.now();
    let Some(signer) = signer(app, &loaded).await? else {
        let sentence = "the endpoint has no key that signs: stage one first";
        return Err(Refusal::new(Code::WebhookState, sentence).into());
    };
    let key = signer.id();
    let message = NewMessage {
        tenant: *act.tenant,
        message: MessageId::new(now, app.draw()),
        stream: security_stream(act.tenant),
        seq: 0,
        kind: TEST_TYPE.to_owned(),
        class: u32::from(Class::Test.bit()),
        at: now,
        hash: Digest::of(b""),
        correlation: act.circumstances.correlation,
    };
    let mut row = delivery(endpoint, message, DeliveryState::Failed, now);
    let tried = attempt::send(app, &loaded, &[signer], &row).await?;
    let tried = tried.ok_or_else(|| Fault::Missing("a test that every endpoint may be told".to_owned()))?;
    let refused = tried.refused.clone();
    let tested = Tested { message: row.message.message, key, attempt: tried.once() };
    if tested.is_accepted() {
        row.state = DeliveryState::Delivered;
    }
    (row.attempt_count, row.signed_s) = (1, Some(tested.attempt.signed_s));
    let mut rows = vec![Row::Delivery(row), Row::Attempt(tested.attempt.clone())];
    rows.extend(refused.map(Row::Attempt));
    let answers = keep.map(|keep| keep(&tested)).transpose()?;
    app.store.commit(Batch { rows, answers, ..Batch::default() }).await.map_err(Fault::of_commit)?;
    if tested.is_accepted() {
        rotating::proved(app, &Act { keep: None, ..*act }, endpoint, key).await?;
    }
    Ok(tested)
}

/// The key that is tested: the one that is to become primary, and else the primary one.
async fn signer(app: &App, loaded: &Loaded) -> Result<Option<Signer>, Fault> {
    let Some(key) = loaded.keys.tested(app.now()) else { return Ok(None) };
    let organization = app.organization(loaded.row.tenant.organization()).await?;
    match loaded.key_rows.iter().find(|row| row.key == key) {
        Some(row) => Signer::open(&organization, row).await.map(Some),
        None => Ok(None),
    }
}
