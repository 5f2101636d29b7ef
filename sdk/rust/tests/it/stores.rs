//! The replay stores: what each remembers, for how long, and that one caller of many is first (W-3).

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;

use countersign_webhooks::replay::{
    Attempt, MemoryStore, RedisStore, Remembered, ReplayStore, SqliteStore, StoreFault, create_tables,
    remember_within,
};
use rusqlite::Connection;

const MESSAGE: &str = "msg_01kb1x8a9wh5t0c8m2q4r6s7vw";
const OTHER: &str = "msg_01kb1x8a9wh5t0c8m2q4r6s7vx";
const NOW_S: i64 = 1_795_342_830;

fn attempt(id: &str, signed_at_s: i64) -> Attempt {
    Attempt {
        id: id.parse().unwrap(),
        signed_at_s,
        attempt_until_s: NOW_S + 600,
        id_until_s: NOW_S + 3_024_000,
    }
}

fn remembers_attempts_and_messages(store: &dyn ReplayStore) {
    let remember = |id, signed_at_s| store.remember(&attempt(id, signed_at_s), NOW_S).unwrap();
    assert_eq!(remember(MESSAGE, NOW_S), Remembered::New);
    assert_eq!(remember(MESSAGE, NOW_S), Remembered::Replayed);
    assert_eq!(remember(OTHER, NOW_S), Remembered::New);
    // Nobody has acted on it: a process may have ended before that.
    assert_eq!(remember(MESSAGE, NOW_S + 35), Remembered::New);
    for _ in 0..2 {
        store.acted(&attempt(MESSAGE, NOW_S + 35), NOW_S).unwrap();
        assert_eq!(remember(MESSAGE, NOW_S), Remembered::Replayed);
    }
    assert_eq!(remember(MESSAGE, NOW_S + 70), Remembered::Duplicate);
    assert_eq!(remember(MESSAGE, NOW_S + 70), Remembered::Replayed);
    assert_eq!(remember(OTHER, NOW_S + 70), Remembered::New);
}

fn forgets_what_ended(store: &dyn ReplayStore) {
    let later = |signed_at_s, now_s| {
        let until = Attempt {
            attempt_until_s: now_s + 600,
            id_until_s: now_s + 3_024_000,
            ..attempt(MESSAGE, signed_at_s)
        };
        let remembered = store.remember(&until, now_s).unwrap();
        if remembered == Remembered::New {
            store.acted(&until, now_s).unwrap();
        }
        remembered
    };
    assert_eq!(later(NOW_S, NOW_S), Remembered::New);
    assert_eq!(later(NOW_S, NOW_S + 599), Remembered::Replayed);
    assert_eq!(later(NOW_S, NOW_S + 600), Remembered::Duplicate);
    assert_eq!(later(NOW_S, NOW_S + 601), Remembered::Replayed);
    assert_eq!(later(NOW_S + 9, NOW_S + 3_023_999), Remembered::Duplicate);
    assert_eq!(later(NOW_S + 9, NOW_S + 3_024_600), Remembered::New);
}

/// Eight callers with one attempt, at once and over again: one of them is first.
fn tells_one_caller_that_it_is_first(stores: &[Arc<dyn ReplayStore>]) {
    for round in 0..20 {
        let barrier = Arc::new(Barrier::new(8));
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let (store, barrier) = (Arc::clone(&stores[caller % stores.len()]), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    store.remember(&attempt(OTHER, NOW_S + 1000 + round), NOW_S).unwrap()
                })
            })
            .collect();
        let answers: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        let first = answers.iter().filter(|answer| **answer != Remembered::Replayed).count();
        assert_eq!(first, 1, "{answers:?}");
    }
}

/// W-3
#[test]
fn memory_remembers_and_never_forgets_early() {
    remembers_attempts_and_messages(&MemoryStore::new(100));
    forgets_what_ended(&MemoryStore::new(100));
    tells_one_caller_that_it_is_first(&[Arc::new(MemoryStore::new(1000))]);
    let full = MemoryStore::new(3);
    assert_eq!(full.remember(&attempt(MESSAGE, 1), NOW_S), Ok(Remembered::New));
    assert_eq!(full.acted(&attempt(MESSAGE, 1), NOW_S), Ok(()));
    assert!(full.remember(&attempt(OTHER, 1), NOW_S).is_err());
    assert_eq!(full.remember(&attempt(MESSAGE, 2), NOW_S), Ok(Remembered::Duplicate));
    assert!(full.remember(&attempt(MESSAGE, 3), NOW_S).is_err());
    assert_eq!(full.remember(&attempt(MESSAGE, 1), NOW_S), Ok(Remembered::Replayed));
    assert!(full.acted(&attempt(OTHER, 1), NOW_S).is_err());
    assert_eq!(full.acted(&attempt(MESSAGE, 1), NOW_S), Ok(()), "it is known");
    assert_eq!(full.remember(&attempt(MESSAGE, 3), NOW_S + 600), Ok(Remembered::Duplicate));
}

fn sqlite(path: &Path) -> SqliteStore {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    SqliteStore::new(connection).unwrap()
}

/// W-3
#[test]
fn sqlite_remembers_across_connections_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    remembers_attempts_and_messages(&sqlite(&folder.path().join("a")));
    assert_eq!(
        sqlite(&folder.path().join("a")).remember(&attempt(MESSAGE, NOW_S), NOW_S),
        Ok(Remembered::Replayed)
    );
    forgets_what_ended(&sqlite(&folder.path().join("b")));
    let shared = folder.path().join("c");
    tells_one_caller_that_it_is_first(&[Arc::new(sqlite(&shared)), Arc::new(sqlite(&shared))]);
}

/// W-3
#[test]
fn sqlite_sweeps_what_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let store = sqlite(&path);
    for second in 0..10 {
        store.remember(&attempt(MESSAGE, second), NOW_S).unwrap();
    }
    let late = |second| Attempt { attempt_until_s: NOW_S + 9000, ..attempt(MESSAGE, second) };
    let ended = store.remember(&late(9), NOW_S + 600);
    assert_eq!(ended, Ok(Remembered::New), "what ended counts no more, swept or not");
    for second in 10..14 {
        store.remember(&late(second), NOW_S + 600).unwrap();
    }
    let rows = "SELECT count(*) FROM countersign_webhook_attempt";
    let count: i64 = Connection::open(&path).unwrap().query_row(rows, (), |row| row.get(0)).unwrap();
    assert_eq!(count, 5);
}

/// W-3: message and memory are kept or lost together.
#[test]
fn sqlite_remembers_within_the_receivers_own_transaction() {
    let mut connection = Connection::open_in_memory().unwrap();
    create_tables(&connection).unwrap();
    let transaction = connection.transaction().unwrap();
    assert_eq!(remember_within(&transaction, &attempt(MESSAGE, 1), NOW_S), Ok(Remembered::New));
    transaction.rollback().unwrap();
    let transaction = connection.transaction().unwrap();
    assert_eq!(remember_within(&transaction, &attempt(MESSAGE, 1), NOW_S), Ok(Remembered::New));
    transaction.commit().unwrap();
    assert_eq!(remember_within(&connection, &attempt(MESSAGE, 1), NOW_S), Ok(Remembered::Replayed));
    assert_eq!(remember_within(&connection, &attempt(MESSAGE, 3), NOW_S), Ok(Remembered::Duplicate));
    connection.execute_batch("DROP TABLE countersign_webhook_message").unwrap();
    assert!(remember_within(&connection, &attempt(MESSAGE, 2), NOW_S).is_err());
}

/// A Redis of the test's own, at a socket in a folder.
struct Redis {
    process: Child,
}

impl Redis {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(folder.join("redis.sock"))
            .arg("--dir")
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is needed: run `cargo xtask prepare`");
        let mut said = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let is_ready = lines.by_ref().map_while(Result::ok).any(|line| {
            said.push_str(&line);
            line.to_lowercase().contains("ready to accept connections")
        });
        assert!(is_ready, "redis-server: {said}");
        // What it says afterwards is read, so that it never waits for us.
        thread::spawn(move || lines.for_each(drop));
        Self { process }
    }

    fn client(folder: &Path) -> redis::Client {
        redis::Client::open(format!("redis+unix://{}", folder.join("redis.sock").display())).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// W-3
#[test]
fn redis_remembers_for_several_machines() {
    let folder = tempfile::tempdir().unwrap();
    let _redis = Redis::start(folder.path());
    let store = || Arc::new(RedisStore::new(Redis::client(folder.path())));
    remembers_attempts_and_messages(&*store());
    store().acted(&attempt(MESSAGE, NOW_S), NOW_S).unwrap();
    tells_one_caller_that_it_is_first(&[store(), store(), store()]);
    let mut connection = Redis::client(folder.path()).get_connection().unwrap();
    let mut lifetime_s = |key: String| redis::cmd("TTL").arg(key).query::<i64>(&mut connection).unwrap();
    assert!((590..=600).contains(&lifetime_s(format!("countersign:webhook:{{{MESSAGE}}}:{NOW_S}"))));
    assert!((3_023_990..=3_024_000).contains(&lifetime_s(format!("countersign:webhook:{{{MESSAGE}}}"))));
}

/// W-3
#[test]
fn redis_that_is_gone_is_a_fault_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedisStore::new(Redis::client(folder.path()));
    let remember = |second| store.remember(&attempt(MESSAGE, second), NOW_S);
    assert!(matches!(remember(1), Err(StoreFault { .. })));
    let redis = Redis::start(folder.path());
    assert_eq!(remember(1), Ok(Remembered::New));
    drop(redis);
    assert!(remember(2).is_err());
    fs::remove_file(folder.path().join("redis.sock")).unwrap_or_default();
    let _redis = Redis::start(folder.path());
    assert_eq!(remember(3), Ok(Remembered::New), "what it kept in memory alone is gone");
}
