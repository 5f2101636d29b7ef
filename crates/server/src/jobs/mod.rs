//! Jobs: leased rows that carry ids only, run again after a crash, and finish in the same commit as what they did.
//! One dispatcher takes events into the log, claims due jobs and runs them beside each other.

mod account_mail;
mod deliveries;
mod expire;
mod mail;
mod seal;
mod watch_key;

use std::{sync::Arc, time::Duration};

use countersign_core::time::Time;
use countersign_store::{
    Batch, Fault as StoreFault,
    rows::{JobRow, PutBack, Work},
};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::MissedTickBehavior,
};
use tracing::Instrument as _;

use crate::{
    app::App,
    fault::{Failure, Fault},
    webhooks::certificates,
};

/// Jobs in work at the same time.
const CONCURRENT_JOBS: usize = 8;
/// Longest wait between two looks at the table, when nobody wakes us.
const POLL_MS: u64 = 1_000;
/// From one look to the next, when commits wake us and no job runs, which may wait for the log: what comes in between goes
/// into it together, which costs little more than one event.
const PACE: Duration = Duration::from_millis(25);
/// How often what ended is removed.
const SWEEP_MS: i64 = 1_000;
/// Wait after the first failure; it doubles up to [`LONGEST_RETRY_S`].
const FIRST_RETRY_S: i64 = 2;
/// Longest wait after a failure.
const LONGEST_RETRY_S: i64 = 3_600;
/// Attempts that the database's absence ended after which the wait doubles all the same: one that takes small writes
/// alone, being full or locked, would have the same mail handed over every few seconds.
const PATIENT_ATTEMPTS: u32 = 20;

/// How a job ended.
enum Ended {
    /// Done, in the commit that did it.
    Done,
    /// To be tried again after so many milliseconds, for a reason that is no failure: this was no attempt.
    Later(i64, &'static str),
}

/// Ends a job that has nothing left to do.
async fn finish(app: &App, job: &JobRow) -> Result<Ended, Failure> {
    let batch = Batch { finishes: Some(job.clone()), ..Batch::default() };
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(Ended::Done)
}

/// The dispatcher at work.
pub struct Dispatcher {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Dispatcher {
    /// Starts to run jobs.
    pub fn start(app: Arc<App>) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(dispatch(app, stopped)) }
    }

    /// Takes no more jobs, and waits for those in work.
    pub async fn stop(self) -> Result<(), Fault> {
        self.stop.send_replace(true);
        self.task.await.map_err(|error| Fault::Task(error.to_string()))
    }
}

async fn dispatch(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    let mut sweeps_at = app.now();
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stop.borrow() {
        let swept = sweep(&app, &mut sweeps_at).await;
        let busy = match swept.and(turn(&app, &mut running).await) {
            Ok(busy) => busy,
            Err(fault) => {
                tracing::error!(event_type = "jobs.turn", event_result = "fault", fault = %fault);
                false
            }
        };
        while running.try_join_next().is_some() {}
        if busy && running.len() < CONCURRENT_JOBS {
            continue;
        }
        let wait = wait_ms(&app).await;
        tokio::select! {
            () = app.store.wait_for_work(wait) => {
                if running.is_empty() {
                    pace.tick().await;
                }
            }
            Some(_) = running.join_next() => {}
            _ = stop.changed() => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Runs everything that is due now, and what follows from it, one after the other; how many jobs there were.
pub async fn run_due(app: &Arc<App>) -> Result<usize, Fault> {
    let mut count = 0;
    app.store.sweep(app.now()).await?;
    loop {
        let sequenced = app.log.sequence().await?;
        let jobs = app.store.claim_jobs(app.now(), lease_ms(app), CONCURRENT_JOBS).await?;
        if jobs.is_empty() && sequenced == 0 {
            return Ok(count);
        }
        for job in jobs {
            count += 1;
            app.log.sequence().await?;
            work(Arc::clone(app), job).await;
        }
    }
}

/// Removes what ended, once in a while: a turn follows each event, and few rows end in a second.
async fn sweep(app: &App, sweeps_at: &mut Time) -> Result<(), Fault> {
    let now = app.now();
    if now < *sweeps_at {
        return Ok(());
    }
    app.recent.sweep(now);
    let has_more = app.store.sweep(now).await?;
    *sweeps_at = if has_more { now } else { now.plus_ms(SWEEP_MS) };
    Ok(())
}

async fn turn(app: &Arc<App>, running: &mut JoinSet<()>) -> Result<bool, Fault> {
    // All that waits is in the log after it. What was appended meanwhile rang the bell, so that the loop looks again.
    app.log.sequence().await?;
    let free = CONCURRENT_JOBS.saturating_sub(running.len());
    if free == 0 {
        return Ok(false);
    }
    let jobs = app.store.claim_jobs(app.now(), lease_ms(app), free).await?;
    let busy = !jobs.is_empty();
    for job in jobs {
        running.spawn(work(Arc::clone(app), job));
    }
    Ok(busy)
}

/// How long a job may take before another worker may have it.
fn lease_ms(app: &App) -> i64 {
    i64::from(app.config.server.job_lease_s) * 1_000
}

async fn wait_ms(app: &App) -> u64 {
    let due = app.store.next_due().await.ok().flatten();
    due.map_or(POLL_MS, |due| u64::try_from(due.since_ms(app.now())).unwrap_or(0).clamp(10, POLL_MS))
}

/// Runs one job and says in the log how it ended.
async fn work(app: Arc<App>, job: JobRow) {
    let span = tracing::info_span!(
        "job",
        correlation_id = %job.correlation,
        job = %job.job,
        attempt = job.attempt_count,
        kind = kind(&job.work),
    );
    async {
        let ended = match &job.work {
            Work::MailLink { .. } | Work::MailCode { .. } | Work::MailEnded { .. } => {
                Box::pin(mail::run(&app, &job)).await
            }
            Work::MailTicket { .. }
            | Work::MailNotice { .. }
            | Work::MailKeyWarning { .. }
            | Work::MailEndpointNotice { .. }
            | Work::MailCertificateNotice { .. } => Box::pin(account_mail::run(&app, &job)).await,
            Work::WatchKey { key } => watch_key::run(&app, &job, *key).await,
            Work::WatchCertificate { endpoint, sha256 } => {
                certificates::look(&app, &job, *endpoint, *sha256).await.map(|()| Ended::Done)
            }
            Work::FollowEndpoint { .. }
            | Work::FollowBlocks
            | Work::SendAgain { .. }
            | Work::ReplayEvents { .. } => Box::pin(deliveries::run(&app, &job)).await,
            Work::Seal { envelope } => seal::run(&app, &job, *envelope).await,
            Work::Expire { envelope } => expire::run(&app, &job, *envelope).await,
        };
        match ended {
            Ok(Ended::Done) => tracing::info!(event_type = "job", event_result = "done"),
            Ok(Ended::Later(wait_ms, reason)) => {
                put_back(&app, &job, wait_ms, reason, false).await;
            }
            Err(Failure::Broken(Fault::LeaseLost(what))) => {
                tracing::warn!(event_type = "job", event_result = "lease_lost", what);
            }
            Err(failure) => {
                tracing::error!(event_type = "job", event_result = "fault", fault = %failure);
                let [roll] = app.draw::<1>();
                put_back(&app, &job, retry_in_ms(&failure, job.attempt_count, roll), "fault", true).await;
            }
        }
    }
    .instrument(span)
    .await;
}

/// When a failed job is tried again: the wait doubles with each attempt, and varies so that many do not come at once. That
/// the database was away says nothing about the job: all go on within seconds after it is back.
fn retry_in_ms(failure: &Failure, attempt_count: u32, roll: u8) -> i64 {
    let counted = match failure {
        Failure::Broken(Fault::Store(StoreFault::Unavailable(_))) => {
            attempt_count.min(2).max(attempt_count.saturating_sub(PATIENT_ATTEMPTS - 2))
        }
        _ => attempt_count,
    };
    let doubled_s = FIRST_RETRY_S.saturating_mul(1_i64 << counted.saturating_sub(1).min(20));
    let wait_ms = doubled_s.min(LONGEST_RETRY_S) * 1_000;
    wait_ms / 2 + wait_ms / 2 * i64::from(roll) / 255
}

async fn put_back(app: &App, job: &JobRow, wait_ms: i64, reason: &str, was_attempt: bool) {
    let due_at = app.now().plus_ms(wait_ms);
    let back = PutBack { due_at, reason: reason.to_owned(), was_attempt };
    match app.store.put_back_job(job, &back).await {
        Ok(true) => tracing::info!(event_type = "job", event_result = "later", reason, due_at = %due_at),
        Ok(false) => tracing::warn!(event_type = "job", event_result = "lease_lost"),
        Err(fault) => tracing::error!(event_type = "job", event_result = "fault", fault = %fault),
    }
}

fn kind(work: &Work) -> &'static str {
    match work {
        Work::MailLink { .. } => "mail_link",
        Work::MailCode { .. } => "mail_code",
        Work::MailEnded { .. } => "mail_ended",
        Work::MailTicket { .. } => "mail_ticket",
        Work::MailNotice { .. } => "mail_notice",
        Work::MailKeyWarning { .. } => "mail_key_warning",
        Work::WatchKey { .. } => "watch_key",
        Work::FollowEndpoint { .. } => "follow_endpoint",
        Work::FollowBlocks => "follow_blocks",
        Work::SendAgain { .. } => "send_again",
        Work::ReplayEvents { .. } => "replay_events",
        Work::MailEndpointNotice { .. } => "mail_endpoint_notice",
        Work::WatchCertificate { .. } => "watch_certificate",
        Work::MailCertificateNotice { .. } => "mail_certificate_notice",
        Work::Seal { .. } => "seal",
        Work::Expire { .. } => "expire",
    }
}

/// Waits until a checkpoint is published here, but not for long.
async fn published(app: &App, most: Duration) {
    let mut watch = app.log.watch();
    // A time-out is as good as a checkpoint: the caller looks again either way.
    let _ = tokio::time::timeout(most, watch.changed()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_job_waits_longer_each_time_but_not_because_the_database_was_away() {
        let failing = Failure::Broken(Fault::Mail("451".to_owned()));
        let away = Failure::Broken(Fault::Store(StoreFault::Unavailable("refused".to_owned())));
        let waits = |failure| [1, 2, 5, 20, 21, 40].map(|attempt| retry_in_ms(failure, attempt, 255));
        assert_eq!(waits(&failing), [2_000, 4_000, 32_000, 3_600_000, 3_600_000, 3_600_000]);
        assert_eq!(
            waits(&away),
            [2_000, 4_000, 4_000, 4_000, 8_000, 3_600_000],
            "nor is that believed for ever"
        );
        assert_eq!(retry_in_ms(&failing, 1, 0), 1_000, "half of the wait is by chance");
    }
}
