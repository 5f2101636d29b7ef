//! The server is killed (SIGKILL) at random moments under load, again and again over the same data: what it
//! acknowledged is there, once, and what it began completes. `cargo xtask soak` runs the long form.

#![expect(
    clippy::disallowed_methods,
    reason = "another process is watched here, and that lives in real time"
)]

mod deliveries;
pub(crate) mod load;
pub(crate) mod service;
mod verdict;

use std::{
    convert::Infallible,
    fmt::Write as _,
    pin::Pin,
    sync::atomic::Ordering,
    task::Poll,
    time::{Duration, Instant},
};

use axum::body::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use self::{
    load::{Load, below},
    service::{Database, Service, until},
};
use crate::{app::TestDice, receivers::authority, webhooks::Receiver};

/// Set by `cargo xtask soak`.
const KILLS: &str = "CS_TEST_SOAK_KILLS";
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
    let receiver = Receiver::start().await;
    receiver.fail_one_in(9);
    service.trust(authority().pem());
    service.start().await;
    let mut load = Load::start(&service, WORKERS, seed, Some(&receiver)).await;
    let (mut killed, mut cut) = (0, 0);
    if database == Database::Postgres {
        service.start_beside().await;
    }
    while killed < kills() {
        moment(&service, &mut load, &dice, 150).await;
        // At least one cut of the database for each kill; on SQLite only callers can be cut off, now and then.
        let least = u64::from(database == Database::Postgres);
        for _ in 0..least + below(&dice, 3) {
            service.database.as_ref().unwrap_or(&service.front).cut();
            cut += 1;
            moment(&service, &mut load, &dice, 40).await;
        }
        // Of two servers now this one is killed, now the other, now both.
        let which = if database == Database::Postgres { below(&dice, 3) } else { 0 };
        if which > 0 {
            service.kill_beside();
            killed += 1;
            service.start_beside().await;
        }
        if which == 1 {
            continue;
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
    let mut delivered = 0;
    for worker in &workers {
        completed += verdict::check(worker).await;
        delivered += deliveries::check(worker, &receiver).await;
    }
    if database == Database::Postgres {
        service.kill_beside();
    }
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0), "{}", service.said());
    let report = service.run(&["doctor"]);
    let envelopes: usize = workers.iter().map(|worker| worker.stories.len()).sum();
    println!(
        "{name}: {killed} kills, {cut} times all connections cut, {} acts acknowledged, {} requests repeated, \
         {completed} of {envelopes} envelopes completed and the others voided, {delivered} events delivered by {} \
         requests, {} s\n{report}",
        acknowledged.acknowledged.load(Ordering::SeqCst),
        acknowledged.repeated.load(Ordering::Relaxed),
        receiver.came().len(),
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

/// A PDF of one page with so many bytes of nothing in it.
fn large_pdf(bytes: usize) -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Count 1 /Kids [3 0 R] >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> /Contents 4 0 R >>".to_owned(),
        format!("<< /Length {bytes} >>\nstream\n{}\nendstream", " ".repeat(bytes)),
    ];
    let mut file = "%PDF-1.7\n".to_owned();
    let mut table = "0000000000 65535 f \n".to_owned();
    for (index, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", file.len()).unwrap();
        write!(file, "{} 0 obj\n{object}\nendobj\n", index + 1).unwrap();
    }
    let xref = file.len();
    let trailer = "trailer\n<< /Size 5 /Root 1 0 R >>";
    write!(file, "xref\n0 5\n{table}{trailer}\nstartxref\n{xref}\n%%EOF\n").unwrap();
    file.into_bytes()
}

/// A body that arrives as slowly as the test likes.
struct Slow(mpsc::Receiver<Bytes>);

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// SIGTERM under load: a request in work is answered, the jobs in work are done and none keeps its lease, the exit code
/// is 0, and the next start goes on. With the lease as it is by default, a job that kept it would come too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_ends_what_it_has_in_work_and_goes_on_at_the_next_start() {
    let mut service = Service::new(Database::Sqlite, &[]).await;
    service.start().await;
    let (token, client) = (service.token("slow"), service.clients()());
    let mut load = Load::start(&service, 2, 3, None).await;
    moment(&service, &mut load, &TestDice::new(3), 200).await;

    let pdf = large_pdf(8 << 20);
    let (sender, receiver) = mpsc::channel(1);
    let upload = client
        .post(format!("{}/v1/documents?name=slow.pdf", service.url()))
        .bearer_auth(token)
        .header("idempotency-key", "slow")
        .header("content-type", "application/pdf")
        .body(reqwest::Body::wrap(Slow(receiver)));
    let upload = tokio::spawn(upload.send());
    // The first half is more than what the connection holds: the server reads it.
    let mut chunks = pdf.chunks(64 << 10).map(Bytes::copy_from_slice);
    for chunk in chunks.by_ref().take(64) {
        sender.send(chunk).await.unwrap();
    }
    service.terminate();
    let port = service.port;
    until("the end of listening", 30, async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err().then_some(())
    })
    .await;
    for chunk in chunks {
        sender.send(chunk).await.unwrap();
    }
    drop(sender);
    let answer = upload.await.unwrap().unwrap();
    assert_eq!(answer.status(), reqwest::StatusCode::CREATED, "{:?}", answer.text().await);
    assert_eq!(service.ended().await.code(), Some(0), "{}", service.said());
    assert!(!service.said().contains("connections were cut"), "{}", service.said());

    service.start().await;
    let begun = Instant::now();
    for worker in load.stop().await {
        verdict::check(&worker).await;
    }
    assert!(begun.elapsed() < Duration::from_mins(1), "a job waited for the end of a lease");
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0), "{}", service.said());
    service.run(&["doctor"]);
}

/// A first start that was killed between its files is made good by the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_was_killed_is_completed_by_the_next() {
    let mut service = Service::new(Database::Sqlite, &[]).await;
    let dice = TestDice::new(4);
    for _ in 0..5 {
        service.begin();
        tokio::time::sleep(Duration::from_millis(below(&dice, 60))).await;
        service.kill();
    }
    service.start().await;
    service.kill();
    // As if killed after the key of the development CA and before its certificate.
    std::fs::remove_file(service.data().join("tls-ca.pem")).unwrap();
    service.start().await;
    let health = service.clients()().get(format!("{}/health", service.url())).send().await.unwrap();
    assert_eq!(health.status(), reqwest::StatusCode::OK);
}
