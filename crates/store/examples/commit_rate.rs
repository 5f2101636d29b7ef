//! Measures durable commits: 64 callers that append one event each, again and again. `commit_rate sqlite [FILE]`,
//! `commit_rate postgres URL`. Prints one line of JSON, for `cargo xtask bench`.

use std::{env, error::Error, path::PathBuf, sync::Arc, time::Instant};

use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{EnvelopeId, OrganizationId},
    time::Time,
};
use countersign_store::{
    Batch, Postgres, Sqlite, Store,
    batch::{Append, NewEvent},
    rows::EnvelopeRow,
};
use tokio::task::JoinSet;

const CALLERS: u64 = 64;
const COMMITS: u64 = 2_000;
/// Size of a usual event.
const EVENT_BYTES: usize = 600;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (None | Some("sqlite"), file) => {
            let file = file.map_or_else(|| env::temp_dir().join("commit_rate.db"), PathBuf::from);
            for suffix in ["", "-wal", "-shm"] {
                let mut path = file.clone().into_os_string();
                path.push(suffix);
                // A first run has nothing to remove.
                let _: Result<(), _> = std::fs::remove_file(path);
            }
            let store = Arc::new(Sqlite::open(&file)?);
            let rate = measure(store.clone()).await?;
            let stats = store.stats();
            print("sqlite", rate, stats.writes, stats.transactions);
        }
        (Some("postgres"), Some(url)) => {
            let store = Arc::new(Postgres::open(&url).await?);
            let rate = measure(store.clone()).await?;
            let stats = store.stats();
            print("postgres", rate, stats.batches, stats.transactions);
        }
        _ => return Err("commit_rate sqlite [FILE] | postgres URL".into()),
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement is printed, and is not exact"
)]
fn print(backend: &str, commits_per_second: f64, commits: u64, syncs: u64) {
    let per_sync = commits as f64 / syncs.max(1) as f64;
    println!(
        "{{\"backend\":\"{backend}\",\"callers\":{CALLERS},\"commits\":{commits},\
         \"commits_per_second\":{commits_per_second:.0},\"commits_per_sync\":{per_sync:.1}}}"
    );
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
async fn measure(store: Arc<dyn Store>) -> Result<f64, Failure> {
    let begin = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            for number in 0..COMMITS {
                store.commit(one_event(caller, number)).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate is not exact")]
    Ok((CALLERS * COMMITS) as f64 / begin.elapsed().as_secs_f64())
}

/// Each caller has a stream at a time, of ten events.
fn one_event(caller: u64, number: u64) -> Batch {
    let (stream, seq) = (number / 10, number % 10 + 1);
    let mut random = [0; 10];
    for (to, from) in random.iter_mut().zip(caller.to_be_bytes()) {
        *to = from;
    }
    let now = Time::from_unix_ms(1_800_000_000_000 + i64::try_from(stream).unwrap_or_default());
    let envelope = EnvelopeId::new(now, random);
    let organization = OrganizationId::new(Time::from_unix_ms(0), [0; 10]);
    let tenant = Tenant::of_stored_row(organization, Environment::Live);
    let bytes = vec![b'x'; EVENT_BYTES];
    let hash = Digest::of(&caller.to_be_bytes());
    let projection = EnvelopeRow {
        envelope,
        status: "sent".to_owned(),
        created_at: now,
        changed_at: now,
        expires_at: None,
        title: hash,
        last_seq: seq,
    };
    let event = NewEvent { bytes, hash, leaf_id: [1; 16] };
    let append = Append { tenant, envelope, expected_seq: seq, events: vec![event], projection };
    Batch { append: Some(append), ..Batch::default() }
}
