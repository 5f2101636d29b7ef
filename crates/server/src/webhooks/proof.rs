//! Proves the receiver of an endpoint (W-9): sends it the probes, says what they showed, and keeps that with the endpoint. Live
//! events take the proof; a change to another receiver takes the next one.

use countersign_core::{
    access::Tenant,
    id::EndpointId,
    refusal::{Code, Refusal},
    security::SecurityBody,
    time::Time,
    webhook::{
        proof::{Answers, Finding, Probe, Report as Judged},
        standing::Standing,
    },
};
use countersign_store::{
    Batch, CommitError, access_rows::Change, rows::FinishedIdempotency, webhook_rows::EndpointRow,
};
use serde::Serialize;

use super::{
    act::Act,
    keys::Signer,
    loaded::{self, Loaded},
    probes::{Probed, Prober},
    stored::{Condition, Proof, condition_text},
};
use crate::{
    app::App,
    fault::{Failure, Fault},
    security::{self, Circumstances},
};

/// How often what was found is written down anew, because somebody changed the endpoint meanwhile.
const TRIES: usize = 5;

/// What the probes showed, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// When the last answer was there.
    pub at: Time,
    /// Whether every probe showed what it should.
    #[serde(rename = "proven")]
    pub is_proven: bool,
    /// One for each probe, in the order in which they are sent.
    pub probes: Vec<Line>,
}

/// What one probe showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Which.
    pub probe: &'static str,
    /// What was sent.
    pub sent: &'static str,
    /// What a receiver should answer.
    pub expected: &'static str,
    /// The status that came, if one did.
    pub status: Option<u16>,
    /// What came, in words.
    pub came: String,
    /// `passed`, `failed`, or `unclear` where it shows neither.
    pub finding: &'static str,
    /// How to mend it; empty where it passed.
    pub advice: String,
    /// Where the documentation tells more.
    pub page: String,
}

impl Report {
    /// Of what came back, with what went wrong where nothing did.
    pub(crate) fn of(at: Time, answers: &Answers, troubles: &[(Probe, String)]) -> Self {
        let judged = Judged::of(answers);
        let is_proven = judged.is_proven();
        let trouble = |probe: Probe| troubles.iter().find(|(one, _)| *one == probe).map(|(_, said)| said);
        let line = |line: countersign_core::webhook::proof::Line| {
            let came = match trouble(line.probe) {
                Some(said) => format!("{}: {said}", line.answer),
                None => line.answer.to_string(),
            };
            Line {
                probe: line.probe.text(),
                sent: line.probe.sent(),
                expected: line.probe.expected(),
                status: line.answer.status(),
                came,
                finding: line.finding.text(),
                advice: line.advice,
                page: line.probe.page(),
            }
        };
        Self { at, is_proven, probes: judged.lines.into_iter().map(line).collect() }
    }
}

/// What the commit of a report keeps for the same request coming again.
pub type KeepReport<'a> = &'a (dyn Fn(&Report) -> Result<FinishedIdempotency, Fault> + Send + Sync);

/// Probes the receiver of an endpoint. What was found is kept with it, and told by an event, whatever it is.
pub async fn prove(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    keep: Option<KeepReport<'_>>,
) -> Result<Report, Failure> {
    let (tenant, circumstances) = (act.tenant, act.circumstances);
    let loaded = loaded::read(app, tenant, endpoint).await?;
    loaded.check_tested()?;
    if loaded.signers.is_empty() {
        return Err(refused("the endpoint has no key that signs: stage one first").into());
    }
    let prober = Prober {
        messenger: &app.webhooks.messenger,
        clock: &*app.clock,
        random: &*app.random,
        url: &loaded.settings.url,
        channel: &loaded.settings.channel,
        profile: loaded.settings.profile,
        signers: &loaded.signers,
        organization: tenant.organization(),
        environment: tenant.environment(),
        correlation: circumstances.correlation,
    };
    let may_go_on = || async {
        Ok(is_still_probed(&loaded, loaded::load(app, tenant, endpoint, app.now()).await?.as_deref()))
    };
    let Some(Probed { answers, troubles }) = prober.run(may_go_on).await? else {
        let sentence = "the endpoint was changed, blocked or ended while its receiver was probed, and the rest was not sent: look at it, and run \
                        the probes again";
        return Err(refused(sentence).into());
    };
    let proof = Proof { at: app.now(), answers };
    let report = Report::of(proof.at, &answers, &troubles);
    let finished = keep.map(|keep| keep(&report)).transpose()?;
    write(app, circumstances, &loaded, proof, finished).await?;
    Ok(report)
}

/// Whether probes that have begun go on: nothing is sent to what was blocked meanwhile (M-3), nor signed by a key that was revoked.
fn is_still_probed(begun: &Loaded, now: Option<&Loaded>) -> bool {
    let keys = |loaded: &Loaded| loaded.signers.iter().map(Signer::id).collect::<Vec<_>>();
    now.is_some_and(|now| {
        now.is_tested() && !now.settings.is_other_receiver(&begun.settings) && keys(now) == keys(begun)
    })
}

/// What the probes of its receiver showed last; `None` if it was not probed since it leads there.
pub async fn last(app: &App, tenant: &Tenant, endpoint: EndpointId) -> Result<Option<Report>, Failure> {
    Ok(of(&*loaded::read(app, tenant, endpoint).await?))
}

/// The same of an endpoint that was read.
pub(crate) fn of(loaded: &Loaded) -> Option<Report> {
    loaded.condition.proof.map(|proof| Report::of(proof.at, &proof.answers, &[]))
}

/// Writes down what was found of the receiver that was probed, and of no other.
async fn write(
    app: &App,
    circumstances: &Circumstances,
    probed: &Loaded,
    proof: Proof,
    finished: Option<FinishedIdempotency>,
) -> Result<(), Failure> {
    let (tenant, endpoint) = (probed.row.tenant, probed.row.endpoint);
    let judged = Judged::of(&proof.answers);
    for _ in 0..TRIES {
        let loaded = loaded::read(app, &tenant, endpoint).await?;
        if loaded.settings.is_other_receiver(&probed.settings) {
            break;
        }
        let standing = after(loaded.condition.standing, &judged)?;
        let row = EndpointRow {
            condition: condition_text(&Condition { standing, proof: Some(proof), ..loaded.condition })?,
            version: loaded.row.version + 1,
            ..loaded.row.clone()
        };
        let changes = vec![Change::Endpoint(row)];
        let mut batch = Batch { changes, answers: finished.clone(), ..Batch::default() };
        let (is_proven, failed) = (judged.is_proven(), judged.failed());
        let body = SecurityBody::WebhookProbed { endpoint, is_proven, failed };
        security::record(app, &tenant, circumstances, body, &mut batch).await?;
        match app.store.commit(batch).await {
            Ok(_) => return Ok(()),
            // Somebody changed something else about it meanwhile.
            Err(CommitError::Outdated) => {}
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    let sentence = "the endpoint was changed while its receiver was probed: run the probes again";
    Err(Refusal::new(Code::Busy, sentence).into())
}

/// What was found decides what the endpoint may be, and not whether it is told of events: that takes an activation.
fn after(standing: Standing, judged: &Judged) -> Result<Standing, Refusal> {
    let is_disproved = judged.lines.iter().any(|line| line.finding == Finding::Failed);
    match (judged.is_proven(), is_disproved) {
        (true, _) => standing.proved(),
        (false, true) => standing.disproved(),
        // A receiver that was away shows nothing of what it would have done. What has ended meanwhile is left as it is.
        (false, false) => standing.changed(),
    }
}

fn refused(sentence: &str) -> Refusal {
    Refusal::new(Code::WebhookState, sentence)
}
