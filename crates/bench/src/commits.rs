//! Durable commits: 64 callers that append one event each, again and again.

use std::sync::Arc;

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
use serde_json::{Value, json};
use tokio::{runtime, task::JoinSet};

use crate::{Failure, cpu, house::Folder};

const CALLERS: u64 = 64;
const COMMITS: u64 = 2_000;
/// Size of a usual event.
const EVENT_BYTES: usize = 600;

/// Measures PostgreSQL if a URL is given, and SQLite otherwise.
pub(crate) fn measure(postgres: Option<&str>) -> Result<Value, Failure> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Some(url) = postgres {
            let store = Arc::new(Postgres::open(url, None).await?);
            let rate = rate(store.clone()).await?;
            let stats = store.stats();
            return Ok(figures("postgres", rate, stats.batches, stats.transactions));
        }
        let folder = Folder::new()?;
        let store = Arc::new(Sqlite::open(&folder.path().join("bench.sqlite"))?);
        let rate = rate(store.clone()).await?;
        let stats = store.stats();
        Ok(figures("sqlite", rate, stats.writes, stats.transactions))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a measurement is not exact")]
fn figures(backend: &str, commits_per_second: f64, commits: u64, syncs: u64) -> Value {
    json!({
        "backend": backend,
        "callers": CALLERS,
        "commits": commits,
        "commits_per_second": commits_per_second,
        "commits_per_sync": commits as f64 / syncs.max(1) as f64,
    })
}

async fn rate(store: Arc<dyn Store>) -> Result<f64, Failure> {
    let begin = cpu::now();
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
