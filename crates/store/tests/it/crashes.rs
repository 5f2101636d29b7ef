//! What was answered is there after a crash, once, and nothing half-done is.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use countersign_store::{
    AccessStore as _, Batch, CommitError, Fault, Postgres, Sqlite, Store,
    rows::IdempotencyState,
    testing::{
        self,
        proxy::{Cut, Proxy},
    },
};
use tokio::task::JoinSet;

use crate::{dice::Dice, people, rows};

// Each event brings a job and a mail of its own, so that halves would show.
fn one_event(stream: u64, seq: u64) -> Batch {
    let number = stream * 100_000 + seq;
    Batch {
        append: Some(rows::append(0, stream, seq, 1, 0)),
        rows: vec![rows::mail(0, number)],
        jobs: vec![rows::job(0, number, rows::at(0))],
        ..Batch::default()
    }
}

/// Every answered event is there, in order, and as many jobs, mails and leaves as events.
async fn check(store: &dyn Store, told: &BTreeMap<u64, u64>) {
    let mut events = 0;
    for (stream, seq) in told {
        let found = store.load(&rows::tenant(0), rows::envelope(*stream)).await.unwrap();
        let found = found.map_or(0, |stream| {
            assert!(stream.events.iter().zip(1..).all(|(event, seq)| event.seq == seq), "a gap");
            stream.events.len()
        });
        assert!(found as u64 >= *seq, "stream {stream}: {seq} events were answered, {found} are there");
        events += found;
    }
    let leaves = store.next_leaves(1_000_000).await.unwrap();
    let mails = store.mailbox(&rows::tenant(0), None, 1_000_000).await.unwrap().rows;
    let jobs = store.claim_jobs(rows::at(1), 0, 1_000_000).await.unwrap();
    assert_eq!((leaves.len(), mails.len(), jobs.len()), (events, events, events), "halves of batches");
}

const CHILD: &str = "CS_TEST_CRASHING_CHILD";

// What the child does until it is killed: says each answer that it got.
async fn write_until_killed(path: &Path) {
    let store = Arc::new(Sqlite::open(path).unwrap());
    let mut callers = JoinSet::new();
    for stream in 1..=16 {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            let found = store.load(&rows::tenant(0), rows::envelope(stream)).await.unwrap();
            let first = found.map_or(1, |stream| stream.events.len() as u64 + 1);
            for seq in first.. {
                store.commit(one_event(stream, seq)).await.unwrap();
                let line = format!("\ntold {stream} {seq}\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    callers.join_all().await;
}

/// A process that writes is killed (SIGKILL) in the middle, again and again over the same file.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_after_a_kill_has_every_answered_batch_once_and_whole() {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut told = BTreeMap::new();
    let mut dice = Dice::new(11);
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "crashes::sqlite_after_a_kill_has_every_answered_batch_once_and_whole",
                "--exact",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut enough = 50 + dice.below(400);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some((stream, seq)) = line.strip_prefix("told ").and_then(|told| told.split_once(' ')) else {
                continue;
            };
            told.insert(stream.parse().unwrap(), seq.parse().unwrap());
            // What the child said after the kill counts as well: the loop goes on to the end.
            enough = enough.saturating_sub(1);
            if enough == 0 {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success(), "the child ended by itself");
        check(&Sqlite::open(&path).unwrap(), &told).await;
        assert!(!told.is_empty(), "round {round}");
    }
}

#[tokio::test]
async fn the_files_of_sqlite_belong_to_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Sqlite::open(&path).unwrap();
    store.commit(one_event(1, 1)).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

/// Connections are cut at random moments, in the middle of commits too. Callers reload and go on.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_with_connections_cut_keeps_every_answered_batch_once_and_whole() {
    let cluster = testing::cluster().unwrap();
    let url = cluster.database().await.unwrap();
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let through = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", proxy.port()));
    let store = Arc::new(Postgres::open(&through, None).await.unwrap());
    let unknown = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for stream in 1..=12 {
        let (store, unknown) = (Arc::clone(&store), Arc::clone(&unknown));
        callers.spawn(async move {
            let mut seq = 1;
            while seq <= 60 {
                match store.commit(one_event(stream, seq)).await {
                    Ok(_) => {}
                    // It may be durable: a conflict at the next try says so.
                    Err(CommitError::Fault(Fault::Unavailable(_))) => {
                        unknown.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    Err(CommitError::Conflict) => {
                        let found = loop {
                            match store.load(&rows::tenant(0), rows::envelope(stream)).await {
                                Ok(stream) => break stream.unwrap().events.len() as u64,
                                Err(Fault::Unavailable(_)) => {}
                                Err(other) => panic!("{other:?}"),
                            }
                        };
                        assert_eq!(found, seq, "only the lost answer can be in the way");
                    }
                    Err(other) => panic!("{other:?}"),
                }
                seq += 1;
            }
        });
    }
    let mut dice = Dice::new(7);
    let mut cuts = 0;
    while !callers.is_empty() {
        let enough = proxy.packets() + 20 + dice.below(60);
        while proxy.packets() < enough && !callers.is_empty() {
            tokio::task::yield_now().await;
            while let Some(done) = callers.try_join_next() {
                done.unwrap();
            }
        }
        proxy.cut();
        cuts += 1;
    }
    assert!(cuts > 10 && unknown.load(Ordering::Relaxed) > 0, "{cuts} cuts, {unknown:?} lost answers");
    drop(store);
    let fresh = Postgres::open(&url, None).await.unwrap();
    let all = (1..=12).map(|stream| (stream, 60)).collect();
    check(&fresh, &all).await;
}

async fn behind_a_proxy() -> (Proxy, Postgres) {
    let cluster = testing::cluster().unwrap();
    let url = cluster.database().await.unwrap();
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let through = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", proxy.port()));
    let store = Postgres::open(&through, None).await.unwrap();
    (proxy, store)
}

async fn events_of(store: &Postgres, stream: u64) -> usize {
    let stream = store.load(&rows::tenant(0), rows::envelope(stream)).await.unwrap();
    stream.map_or(0, |stream| stream.events.len())
}

/// Before the commit is sent nothing is durable: the batch is sent again, and the caller does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_connection_is_cut_before_the_commit_is_sent_again() {
    let (proxy, store) = behind_a_proxy().await;
    store.commit(one_event(1, 1)).await.unwrap();
    // The mail is in the statements between the two.
    for (seq, cut) in [(2, Cut::Before("BEGIN")), (3, Cut::After("BEGIN")), (4, Cut::Before("sandbox"))] {
        proxy.cut_once(cut);
        store.commit(one_event(1, seq)).await.unwrap();
        assert!(proxy.was_cut());
    }
    check(&store, &BTreeMap::from([(1, 4)])).await;
}

/// Whether a commit that was sent is durable, only a look can tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_unknown_until_it_is_looked_up() {
    let (proxy, store) = behind_a_proxy().await;
    store.commit(one_event(1, 1)).await.unwrap();
    for (cut, durable) in [(Cut::Before("COMMIT"), 1), (Cut::After("COMMIT"), 2)] {
        proxy.cut_once(cut);
        let answer = store.commit(one_event(1, 2)).await;
        assert!(matches!(answer, Err(CommitError::Fault(Fault::Unavailable(_)))), "{answer:?}");
        assert!(proxy.was_cut());
        // The database may still be at it.
        while events_of(&store, 1).await < durable {
            tokio::task::yield_now().await;
        }
        assert_eq!(events_of(&store, 1).await, durable);
    }
    let again = store.commit(one_event(1, 2)).await;
    assert!(matches!(again, Err(CommitError::Conflict)), "{again:?}");
    check(&store, &BTreeMap::from([(1, 2)])).await;
}

/// A read, and a claim with its random bytes, may be sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn reads_and_claims_whose_connection_is_cut_are_sent_again() {
    let (proxy, store) = behind_a_proxy().await;
    store.commit(one_event(1, 1)).await.unwrap();
    let claim = rows::claim(0, 1, 1, 1, rows::at(0));
    assert_eq!(events_of(&store, 1).await, 1);
    store.release_idempotency(&claim).await.unwrap();
    // The tenant's text is in the parameters of both.
    for cut in [Cut::Before("sandbox"), Cut::After("sandbox")] {
        proxy.cut_once(cut);
        assert_eq!(events_of(&store, 1).await, 1);
        assert!(proxy.was_cut());
        proxy.cut_once(cut);
        assert_eq!(store.claim_idempotency(&claim).await.unwrap(), IdempotencyState::Claimed);
        assert!(proxy.was_cut());
    }
}

/// G-7: what was spent is not given back a second time: somebody else may have spent it in between.
#[tokio::test(flavor = "multi_thread")]
async fn giving_back_is_never_sent_again() {
    let (proxy, store) = behind_a_proxy().await;
    store.commit(Batch { spends: vec![people::spend(1, 1)], ..Batch::default() }).await.unwrap();
    proxy.cut_once(Cut::Before("DELETE FROM spent WHERE hash"));
    let answer = store.give_back(rows::digest("spend", 1)).await;
    assert!(matches!(answer, Err(Fault::Unavailable(_))), "{answer:?}");
    assert!(proxy.was_cut());
    assert!(store.is_spent(rows::digest("spend", 1)).await.unwrap());
}

/// The leader whose connection is cut asks for the role again, and the listener listens again.
#[tokio::test(flavor = "multi_thread")]
async fn leading_and_listening_come_back_after_all_connections_were_cut() {
    let (proxy, store) = behind_a_proxy().await;
    assert!(store.lead_log().await.unwrap());
    store.wait_for_work(50).await;
    proxy.cut();
    // The database learns of it a moment later, and until then the old connection holds the lock.
    while !store.lead_log().await.unwrap() {
        tokio::task::yield_now().await;
    }
    // The listener announces that it is back, because it may have missed something.
    let back = tokio::time::timeout(std::time::Duration::from_secs(20), store.wait_for_work(60_000));
    back.await.expect("the listener did not come back");
}
