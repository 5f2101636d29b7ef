//! The probes of a receiver (W-9) as they go out, each a right message but for its one mutation. They are all of the type and
//! class of a test, so that a receiver that takes one acts on nothing.

use std::{pin::pin, time::Duration};

use countersign_core::{
    access::Environment,
    id::{AttemptId, CorrelationId, MessageId, OrganizationId, WebhookKeyId},
    time::Time,
    webhook::{
        channel::Channel,
        class::Class,
        endpoint::Profile,
        payload::{self, Place, Subject, TEST_TYPE},
        proof::{Answers, Message, Mutation, NamedKey, Probe, Signer as SignedBy},
    },
};

use super::{
    attempt::written,
    keys::{Attempt, Signer},
};
use crate::{
    app::{Clock, Randomness, draw},
    egress::messenger::{Messenger, Way},
    fault::Fault,
};

/// Time for all probes together: whoever asked for them waits.
const ALL: Duration = Duration::from_secs(20);

/// Probes one receiver.
pub(crate) struct Prober<'a> {
    pub(crate) messenger: &'a Messenger,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) random: &'a dyn Randomness,
    /// Where it is, spelled as it is sent to.
    pub(crate) url: &'a str,
    /// What it is shown and asked for.
    pub(crate) channel: &'a Channel,
    pub(crate) profile: Profile,
    /// The keys that it holds.
    pub(crate) signers: &'a [Signer],
    /// In whose name the test events are.
    pub(crate) organization: OrganizationId,
    pub(crate) environment: Environment,
    pub(crate) correlation: CorrelationId,
}

/// What the receiver did.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    pub(crate) answers: Answers,
    /// What went wrong where there was no answer.
    pub(crate) troubles: Vec<(Probe, String)>,
}

#[derive(Clone)]
struct Request {
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Prober<'_> {
    /// Sends the probes one after the other, as far as there is time, and as long as `may_go_on`, which is asked before each but the
    /// first; `None` where it said no.
    pub(crate) async fn run<F>(&self, may_go_on: impl Fn() -> F) -> Result<Option<Probed>, Fault>
    where
        F: Future<Output = Result<bool, Fault>>,
    {
        let mut probed = Probed::default();
        let mut good: Option<Request> = None;
        // A refusal is what most of them ask for: it says nothing of the token, which is a new one for that.
        self.messenger.forget_token(self.channel);
        let mut over = pin!(tokio::time::sleep(ALL));
        for (place, probe) in Probe::ALL.into_iter().enumerate() {
            if place > 0 && !may_go_on().await? {
                return Ok(None);
            }
            let mutation = probe.mutation();
            let request = match (mutation.message, &good) {
                (Message::SameAsGood, Some(good)) => good.clone(),
                (Message::SameAsGood, None) => {
                    return Err(Fault::Task("a replay comes after the message that it repeats".to_owned()));
                }
                (Message::New, _) => self.request(mutation).await?,
            };
            if probe == Probe::Good {
                good = Some(request.clone());
            }
            let way =
                Way { url: self.url, channel: self.channel, now: self.clock.now(), refused_token: None };
            tokio::select! {
                biased;
                sent = self.messenger.post(way, &request.headers, request.body) => {
                    probed.answers.add(probe, sent.status);
                    if sent.status.is_none() {
                        probed.troubles.push((probe, String::from_utf8_lossy(&sent.answer).into_owned()));
                    }
                }
                () = &mut over => {
                    probed.answers.add(probe, None);
                    probed.troubles.push((probe, "there was no time left to wait for it".to_owned()));
                    break;
                }
            }
        }
        Ok(Some(probed))
    }

    async fn request(&self, mutation: Mutation) -> Result<Request, Fault> {
        let now = self.clock.now();
        let now_s = now.unix_ms().div_euclid(1_000);
        // What is sent with another id and time was signed as the message of a second before.
        let age_s = mutation.age_s + i64::from(mutation.is_place_changed);
        let signed_s = now_s - age_s;
        let body = self.body(now, self.organization)?;
        let strangers = self.strangers(mutation, now).await?;
        let signers = strangers.as_deref().unwrap_or(self.signers);
        let id = AttemptId::new(now, draw(self.random));
        let attempt = Attempt { message: self.message(now), id, signed_s, body: &body };
        let more = payload::headers(Class::Test, Place::Test, self.correlation, id);
        let mut headers = written((self.url, self.profile), signers, attempt, more).await?;
        if mutation.is_place_changed {
            for (name, value) in &mut headers {
                match *name {
                    "webhook-id" => *value = self.message(now).to_string(),
                    "webhook-timestamp" => *value = now_s.to_string(),
                    _ => {}
                }
            }
        }
        let body = if mutation.is_body_changed { self.body(now, other(self.organization))? } else { body };
        Ok(Request { headers, body })
    }

    fn message(&self, now: Time) -> MessageId {
        MessageId::new(now, draw(self.random))
    }

    /// The keys of whoever is not the sender, under the ids that are named; `None` where the sender signs.
    async fn strangers(&self, mutation: Mutation, now: Time) -> Result<Option<Vec<Signer>>, Fault> {
        let ids: Vec<WebhookKeyId> = match (mutation.signer, mutation.named_key) {
            (SignedBy::Own, NamedKey::Own) => return Ok(None),
            (SignedBy::Stranger, NamedKey::Own) => self.signers.iter().map(Signer::id).collect(),
            (_, NamedKey::Stranger) => vec![WebhookKeyId::new(now, draw(self.random))],
        };
        let mut strangers = Vec::new();
        for id in ids {
            strangers.push(Signer::stranger(id, self.profile, self.random).await?);
        }
        Ok(Some(strangers))
    }

    /// The body of a test, with a space that no writer of JSON sets of itself: a receiver that verifies what it read and wrote
    /// again refuses it.
    fn body(&self, at: Time, organization: OrganizationId) -> Result<Vec<u8>, Fault> {
        let environment = self.environment;
        let subject = Subject { event_type: TEST_TYPE, at, organization, environment, place: Place::Test };
        let mut body = payload::body(&subject, None).map_err(|error| Fault::Task(error.to_string()))?;
        body.insert(1, b' ');
        Ok(body)
    }
}

/// The same organization but for its last byte.
fn other(organization: OrganizationId) -> OrganizationId {
    let mut bytes = *organization.as_bytes();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    OrganizationId::from_bytes(bytes)
}
