//! The server is killed (SIGKILL) at random moments under load, again and again over the same data: what it
//! acknowledged is there, once, and what it began completes. `cargo xtask soak` runs the long form.

mod load;
mod service;
mod verdict;

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use self::{
    load::{Load, below},
    service::{Database, Service, until},
};
use crate::app::TestDice;

/// Set by `cargo xtask soak`.
const KILLS: &str = "COUNTERSIGN_SOAK_KILLS";
/// So that what a crash cut off is taken up again within seconds.
const SHORT_WAITS: &[(&str, u32)] = &[("SERVER__REQUEST_S", 5), ("SERVER__JOB_LEASE_S", 6)];
const WORKERS: u64 = 4;

fn kills() -> u64 {
    std::env::var(KILLS).map_or(8, |kills| kills.parse().unwrap())
}

/// Waits for a random moment, counted in answers.
async fn moment(service: &Service, load: &mut Load, dice: &TestDice, most: u64) {
    let enough = service.front.packets() + 1 + below(dice, most);
    until("answers of the server", 90, || {
        load.check();
        std::future::ready((service.front.packets() >= enough).then_some(()))
    })
    .await;
    tokio::time::sleep(Duration::from_micros(below(dice, 20_000))).await;
}

async fn campaign(name: &str, database: Database, seed: u64) {
    let begun = Instant::now();
    let dice = TestDice::new(seed);
    let mut service = Service::new(database, SHORT_WAITS).await;
    service.start().await;
    let mut load = Load::start(&service, WORKERS, seed);
    let (mut killed, mut cut) = (0, 0);
    while killed < kills() {
        moment(&service, &mut load, &dice, 150).await;
        for _ in 0..below(&dice, 3) {
            service.database.as_ref().unwrap_or(&service.front).cut();
            cut += 1;
            moment(&service, &mut load, &dice, 40).await;
        }
        service.kill();
        killed += 1;
        if below(&dice, 4) == 0 && killed < kills() {
            // Killed again while it starts.
            service.begin();
            tokio::time::sleep(Duration::from_millis(below(&dice, 150))).await;
            service.kill();
            killed += 1;
        }
        service.start().await;
    }
    let (acknowledged, workers) = (std::sync::Arc::clone(&load.shared), load.stop().await);
    let mut completed = 0;
    for worker in &workers {
        completed += verdict::check(worker).await;
    }
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0), "{}", service.said());
    let report = service.run(&["doctor"]);
    let envelopes: usize = workers.iter().map(|worker| worker.stories.len()).sum();
    println!(
        "{name}: {killed} kills, {cut} times all connections cut, {} acts acknowledged, {} requests repeated, \
         {completed} of {envelopes} envelopes completed and the others voided, {} s\n{report}",
        acknowledged.acknowledged.load(Ordering::SeqCst),
        acknowledged.repeated.load(Ordering::Relaxed),
        begun.elapsed().as_secs(),
    );
    assert!(completed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_nothing_acknowledged_is_lost_or_doubled_by_kills() {
    campaign("SQLite", Database::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_nothing_acknowledged_is_lost_or_doubled_by_kills_and_cuts() {
    campaign("PostgreSQL", Database::Postgres, 2).await;
}
