//! What happens at the same time: exactly one wins, and nothing is given out twice.

use std::{collections::BTreeSet, sync::Arc};

use countersign_store::{
    Batch, CommitError, Memory, Postgres, Sqlite, Store,
    access_rows::Change,
    batch::Row,
    rows::{IdempotencyState, TileRow},
    testing,
};
use tokio::task::JoinSet;

use crate::{people, rows};

/// Each backend as one or two servers over the same rows.
pub(crate) struct Servers {
    pub(crate) name: &'static str,
    running: Vec<Arc<dyn Store>>,
    _folder: Option<tempfile::TempDir>,
}

impl Servers {
    pub(crate) fn turn(&self, number: u64) -> Arc<dyn Store> {
        Arc::clone(&self.running[usize::try_from(number).unwrap() % self.running.len()])
    }
}

pub(crate) async fn all() -> Vec<Servers> {
    let memory: Vec<Arc<dyn Store>> = vec![Arc::new(Memory::new())];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let sqlite: Vec<Arc<dyn Store>> =
        vec![Arc::new(Sqlite::open(&path).unwrap()), Arc::new(Sqlite::open(&path).unwrap())];
    let url = testing::cluster().unwrap().database().await.unwrap();
    let postgres: Vec<Arc<dyn Store>> = vec![
        Arc::new(Postgres::open(&url, None).await.unwrap()),
        Arc::new(Postgres::open(&url, None).await.unwrap()),
    ];
    vec![
        Servers { name: "memory", running: memory, _folder: None },
        Servers { name: "sqlite", running: sqlite, _folder: Some(folder) },
        Servers { name: "postgres", running: postgres, _folder: None },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_parallel_commits_at_one_position_exactly_one_wins() {
    for servers in all().await {
        for seq in 1..=3 {
            let mut commits = JoinSet::new();
            for number in 0..100 {
                let store = servers.turn(number);
                let batch = Batch { append: Some(rows::append(0, 1, seq, 1, number)), ..Batch::default() };
                commits.spawn(async move { store.commit(batch).await });
            }
            let answers = commits.join_all().await;
            let won = answers.iter().filter(|answer| answer.is_ok()).count();
            let lost = answers.iter().filter(|a| matches!(a, Err(CommitError::Conflict))).count();
            assert_eq!((won, lost), (1, 99), "{}", servers.name);
        }
        let stream = servers.turn(0).load(&rows::tenant(0), rows::envelope(1)).await.unwrap().unwrap();
        assert_eq!(stream.events.len(), 3, "{}", servers.name);
    }
}

/// A refused batch in a group takes nobody with it, and the others lose nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_does_not_fail_those_beside_it() {
    for servers in all().await {
        let first = Batch { rows: vec![rows::person(0, 1, 1)], ..Batch::default() };
        servers.turn(0).commit(first).await.unwrap();
        let mut commits = JoinSet::new();
        for number in 10..310 {
            let store = servers.turn(number);
            let refused = number % 7 == 0;
            let person = if refused { rows::person(0, number, 1) } else { rows::person(0, number, number) };
            let append = Some(rows::append(0, number, 1, 2, number));
            let jobs = vec![rows::job(0, number, rows::at(0))];
            let batch = Batch { append, rows: vec![person], jobs, ..Batch::default() };
            commits.spawn(async move { (number, refused, store.commit(batch).await) });
        }
        for (number, refused, answer) in commits.join_all().await {
            match answer {
                Ok(_) => assert!(!refused, "{} {number}", servers.name),
                Err(CommitError::Conflict) => assert!(refused, "{} {number}", servers.name),
                Err(other) => panic!("{} {number}: {other:?}", servers.name),
            }
            let stream = servers.turn(1).load(&rows::tenant(0), rows::envelope(number)).await.unwrap();
            assert_eq!(stream.is_some(), !refused, "{} {number}", servers.name);
        }
        let leaves = servers.turn(0).next_leaves(10_000).await.unwrap();
        let kept = (10..310).filter(|number| number % 7 != 0).count();
        assert_eq!(leaves.len(), 2 * kept, "{}", servers.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_workers_never_lease_the_same_job() {
    for servers in all().await {
        let jobs = (0..400).map(|number| rows::job(0, number, rows::at(number % 7))).collect();
        servers.turn(0).commit(Batch { jobs, ..Batch::default() }).await.unwrap();
        let mut workers = JoinSet::new();
        for number in 0..16 {
            let store = servers.turn(number);
            workers.spawn(async move {
                let mut leased = Vec::new();
                loop {
                    match store.claim_jobs(rows::at(10), 1_000, 5).await.unwrap() {
                        none if none.is_empty() => return leased,
                        some => leased.extend(some),
                    }
                }
            });
        }
        let leased: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
        let different: BTreeSet<_> = leased.iter().map(|job| job.job).collect();
        assert_eq!(leased.len(), different.len(), "{}: a job was leased twice", servers.name);
        // Workers may pass over jobs that others look at; what they left is there for the next look.
        let rest = servers.turn(0).claim_jobs(rows::at(10), 1_000, 999).await.unwrap();
        assert_eq!(leased.len() + rest.len(), 400, "{}", servers.name);
        let finishes = |job| Batch { finishes: Some(job), ..Batch::default() };
        let job = leased[0].clone();
        servers.turn(1).commit(finishes(job.clone())).await.unwrap();
        let again = servers.turn(0).commit(finishes(job)).await;
        assert!(matches!(again, Err(CommitError::LeaseLost)), "{}", servers.name);
    }
}

/// G-6: of many requests with one idempotency key exactly one does the work.
#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_idempotency_claims_exactly_one_holds() {
    for servers in all().await {
        for key in 0..3 {
            let mut claims = JoinSet::new();
            for number in 0..100 {
                let store = servers.turn(number);
                let claim = rows::claim(0, key, 0, number, rows::at(0));
                claims.spawn(async move { store.claim_idempotency(&claim).await.unwrap() });
            }
            let states = claims.join_all().await;
            let held = states.iter().filter(|state| **state == IdempotencyState::Claimed).count();
            let waiting = states.iter().filter(|state| **state == IdempotencyState::InFlight).count();
            assert_eq!((held, waiting), (1, 99), "{}", servers.name);
        }
    }
}

/// Of parallel take-overs of a claim whose server died, exactly one holds, and the dead one's answer is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_claim_is_taken_over_once() {
    for servers in all().await {
        let dead = rows::claim(0, 1, 0, 1_000, rows::at(0));
        servers.turn(0).claim_idempotency(&dead).await.unwrap();
        let mut claims = JoinSet::new();
        for number in 0..50 {
            let store = servers.turn(number);
            let claim = rows::claim(0, 1, 0, number, rows::at(0).plus_ms(dead.stale_after_ms));
            claims.spawn(async move { (store.claim_idempotency(&claim).await.unwrap(), claim) });
        }
        let states = claims.join_all().await;
        let held: Vec<_> =
            states.iter().filter(|(state, _)| *state == IdempotencyState::Claimed).map(|(_, c)| c).collect();
        assert_eq!(held.len(), 1, "{}", servers.name);
        let answers = |claim| Batch { answers: Some(rows::answer(claim, 2)), ..Batch::default() };
        let late = servers.turn(0).commit(answers(&dead)).await;
        assert!(matches!(late, Err(CommitError::ClaimLost)), "{}", servers.name);
        servers.turn(1).commit(answers(held[0])).await.unwrap();
        let state = servers.turn(0).claim_idempotency(&dead).await.unwrap();
        assert_eq!(state, IdempotencyState::Answered(rows::answer(&dead, 2).answer), "{}", servers.name);
    }
}

/// G-6: answers that come together are each judged by themselves: whose key was taken over is refused beside those who are not, and
/// tenants and callers that use the same keys get their own.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_together_are_each_judged_by_themselves() {
    for servers in all().await {
        let names = || (0..4).flat_map(|of| (0..20).map(move |key| (of, key)));
        let number = |of, key| of * 100 + key;
        let first = |of, key| rows::claim(of, key, 0, 1_000 + number(of, key), rows::at(0));
        let later = rows::at(0).plus_ms(first(0, 0).stale_after_ms);
        let second = |of, key| rows::claim(of, key, 0, number(of, key), later);
        // In each third the key was taken over by then.
        let is_over = |of, key| number(of, key).is_multiple_of(3);
        let mut answers = JoinSet::new();
        for (of, key) in names() {
            servers.turn(key).claim_idempotency(&first(of, key)).await.unwrap();
            if is_over(of, key) {
                let taken = servers.turn(key).claim_idempotency(&second(of, key)).await.unwrap();
                assert_eq!(taken, IdempotencyState::Claimed, "{}", servers.name);
            }
        }
        for (of, key) in names() {
            for (claim, holds) in [(first(of, key), !is_over(of, key)), (second(of, key), is_over(of, key))] {
                let store = servers.turn(key);
                let answer = rows::answer(&claim, number(of, key) + u64::from(holds));
                let batch = Batch { answers: Some(answer), ..Batch::default() };
                answers.spawn(async move { (holds, store.commit(batch).await) });
            }
        }
        for (holds, answered) in answers.join_all().await {
            let as_expected =
                if holds { answered.is_ok() } else { matches!(answered, Err(CommitError::ClaimLost)) };
            assert!(as_expected, "{}: {answered:?}", servers.name);
        }
        for (of, key) in names() {
            let state = servers.turn(key).claim_idempotency(&first(of, key)).await.unwrap();
            let expected = rows::answer(&first(of, key), number(of, key) + 1).answer;
            assert_eq!(state, IdempotencyState::Answered(expected), "{} {of} {key}", servers.name);
        }
    }
}

/// Two servers publish the same leaves: the log grows once, without a gap.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_sequencers_one_publishes() {
    for servers in all().await {
        let batch = Batch { append: Some(rows::append(0, 1, 1, 5, 0)), ..Batch::default() };
        servers.turn(0).commit(batch).await.unwrap();
        let leaves = servers.turn(0).next_leaves(9).await.unwrap();
        let mut publishers = JoinSet::new();
        for number in 0..8 {
            let (store, leaves) = (servers.turn(number), leaves.clone());
            let tiles = vec![TileRow { level: 0, index: 0, bytes: vec![1; 5 * 32] }];
            publishers.spawn(async move { store.publish_checkpoint(0, &leaves, &tiles, "note").await });
        }
        let published = publishers.join_all().await.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(published, 1, "{}", servers.name);
        let stream = servers.turn(1).load(&rows::tenant(0), rows::envelope(1)).await.unwrap().unwrap();
        let indexes: Vec<_> = stream.events.iter().map(|event| event.log_index.unwrap()).collect();
        assert_eq!(indexes, [0, 1, 2, 3, 4], "{}", servers.name);
    }
}

/// One server leads the log; when it is gone, the other does.
#[tokio::test(flavor = "multi_thread")]
async fn one_server_leads_the_log_until_it_is_gone() {
    for mut servers in all().await {
        if servers.running.len() < 2 {
            continue;
        }
        assert!(servers.turn(0).lead_log().await.unwrap(), "{}", servers.name);
        assert!(servers.turn(0).lead_log().await.unwrap(), "{}", servers.name);
        assert!(!servers.turn(1).lead_log().await.unwrap(), "{}", servers.name);
        servers.running.remove(0);
        // The server of the database learns of it a moment later.
        while !servers.turn(0).lead_log().await.unwrap() {
            tokio::task::yield_now().await;
        }
    }
}

/// Work that one server adds wakes the other, long before its time is over.
#[tokio::test(flavor = "multi_thread")]
async fn work_wakes_the_other_server() {
    let url = testing::cluster().unwrap().database().await.unwrap();
    let (one, other) = (Postgres::open(&url, None).await.unwrap(), Postgres::open(&url, None).await.unwrap());
    // What the opening itself announced.
    other.wait_for_work(50).await;
    let wait = tokio::time::timeout(std::time::Duration::from_secs(20), other.wait_for_work(60_000));
    let add = one.commit(Batch { jobs: vec![rows::job(0, 1, rows::at(0))], ..Batch::default() });
    let (woken, added) = tokio::join!(wait, add);
    added.unwrap();
    woken.expect("nobody woke the other server");
}

/// Work that is added before anybody waits is not missed.
#[tokio::test(flavor = "multi_thread")]
async fn work_that_came_before_the_wait_ends_it_at_once() {
    for servers in all().await {
        let batch = Batch { append: Some(rows::append(0, 1, 1, 1, 0)), ..Batch::default() };
        servers.turn(0).commit(batch).await.unwrap();
        let store = servers.turn(0);
        let wait = tokio::time::timeout(std::time::Duration::from_secs(20), store.wait_for_work(60_000));
        wait.await.unwrap_or_else(|_| panic!("{}", servers.name));
    }
}

/// Batches that need the same rows in opposite orders: PostgreSQL ends the deadlock, and the callers do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_wait_for_each_other_are_all_decided() {
    for servers in all().await {
        let mut commits = JoinSet::new();
        for number in 0..60 {
            let store = servers.turn(number);
            let (low, high) = (number / 4, 100 + number / 4);
            let (first, second) = if number % 2 == 0 { (low, high) } else { (high, low) };
            let persons = vec![rows::person(0, 2 * number, first), rows::person(0, 2 * number + 1, second)];
            let batch = Batch { rows: persons, ..Batch::default() };
            commits.spawn(async move { (number / 4, store.commit(batch).await) });
        }
        let mut won = BTreeSet::new();
        for (pair, answer) in commits.join_all().await {
            match answer {
                Ok(_) => assert!(won.insert(pair), "{}: two for one address", servers.name),
                Err(CommitError::Conflict) => {}
                Err(other) => panic!("{}: {other:?}", servers.name),
            }
        }
        assert_eq!(won.len(), 15, "{}", servers.name);
    }
}

/// G-7: of 20 parallel uses of something that is good once exactly one is taken, and nothing of the others.
#[tokio::test(flavor = "multi_thread")]
async fn of_20_parallel_batches_with_one_spend_exactly_one_commits() {
    for servers in all().await {
        for round in 0..20 {
            let mut commits = JoinSet::new();
            for number in 0..20 {
                let store = servers.turn(number);
                let token = Row::AccessToken(people::access_token(round * 20 + number, round, 1));
                // Each spends something of its own besides, before or after the one in the order of hashes.
                let spends = vec![people::spend(round, 1), people::spend(1_000 + round * 20 + number, 1)];
                let batch = Batch { spends, rows: vec![token], ..Batch::default() };
                commits.spawn(async move { (number, store.commit(batch).await) });
            }
            let answers = commits.join_all().await;
            let won: Vec<_> = answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(n, _)| *n).collect();
            let lost = answers.iter().filter(|(_, a)| matches!(a, Err(CommitError::Spent))).count();
            assert_eq!((won.len(), lost), (1, 19), "{}: {answers:?}", servers.name);
            for number in 0..20 {
                let own = rows::digest("spend", 1_000 + round * 20 + number);
                let is_spent = servers.turn(number).is_spent(own).await.unwrap();
                assert_eq!(is_spent, won.contains(&number), "{}", servers.name);
            }
        }
    }
}

/// of 20 parallel changes of the same version exactly one commits: a refresh token is used once.
#[tokio::test(flavor = "multi_thread")]
async fn of_20_parallel_changes_of_one_version_exactly_one_commits() {
    for servers in all().await {
        let first = Batch { rows: vec![Row::Grant(people::grant(0, 1, 0))], ..Batch::default() };
        servers.turn(0).commit(first).await.unwrap();
        for version in 2..22 {
            let mut commits = JoinSet::new();
            for number in 0..20 {
                let store = servers.turn(number);
                let mut grant = people::grant(0, 1, number);
                grant.version = version;
                let token = people::access_token(version * 20 + number, 1, number);
                let batch = Batch {
                    changes: vec![
                        Change::EndTokens { grant: grant.grant, from: 0, to: 9 },
                        Change::Grant(grant),
                    ],
                    rows: vec![Row::AccessToken(token)],
                    security: vec![people::security(0, version * 20 + number)],
                    ..Batch::default()
                };
                commits.spawn(async move { (number, store.commit(batch).await) });
            }
            let answers = commits.join_all().await;
            let won: Vec<_> = answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(n, _)| *n).collect();
            let lost = answers.iter().filter(|(_, a)| matches!(a, Err(CommitError::Outdated))).count();
            assert_eq!((won.len(), lost), (1, 19), "{}: {answers:?}", servers.name);
            let grant = servers.turn(1).grant(people::grant_id(1)).await.unwrap().unwrap();
            assert_eq!((grant.version, grant.generation), (version, won[0]), "{}", servers.name);
        }
        let kept = servers.turn(0).security_inbox(999).await.unwrap();
        assert_eq!(kept.len(), 20, "{}: one event for each change", servers.name);
    }
}

/// What a refused batch stands beside in a group is committed, whatever it is refused for.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_spent_or_outdated_does_not_fail_those_beside_it() {
    for servers in all().await {
        let first = Batch {
            spends: vec![people::spend(0, 1)],
            rows: vec![Row::Client(people::client(0, 0, 2)), Row::Grant(people::grant(0, 0, 1))],
            ..Batch::default()
        };
        servers.turn(0).commit(first).await.unwrap();
        // Each has a grant with a token of its own to refresh.
        let own = |number: u64| people::grant(0, 10_000 + number * 4, 1);
        let old = (1..301)
            .map(|number| Row::AccessToken(people::access_token(number + 500, number * 4 + 10_000, 1)));
        let old = old.chain((1..301).map(|number| Row::Grant(own(number)))).collect();
        servers.turn(0).commit(Batch { rows: old, ..Batch::default() }).await.unwrap();
        let mut commits = JoinSet::new();
        for number in 1..301 {
            let store = servers.turn(number);
            let mut refreshed = own(number);
            (refreshed.version, refreshed.generation) = (2, 77);
            let end = Change::EndTokens { grant: refreshed.grant, from: 1, to: 1 };
            let mut batch = Batch {
                changes: vec![end, Change::Grant(refreshed)],
                spends: vec![people::spend(number, 1)],
                rows: vec![
                    Row::Grant(people::grant(0, number * 4, 1)),
                    Row::AccessToken(people::access_token(number, number * 4, 1)),
                    rows::opening(0, number, 1, 1),
                ],
                security: vec![people::security(0, number)],
                ..Batch::default()
            };
            match number % 10 {
                3 => batch.spends.push(people::spend(0, 1)),
                5 => {
                    let mut late = people::grant(0, 0, 9);
                    late.version = 9;
                    batch.changes.push(Change::Grant(late));
                }
                7 => batch.rows.push(Row::Grant(people::grant(0, 0, 1))),
                _ => {}
            }
            commits.spawn(async move { (number, store.commit(batch).await) });
        }
        for (number, answer) in commits.join_all().await {
            let is_right = match number % 10 {
                3 => matches!(answer, Err(CommitError::Spent)),
                5 => matches!(answer, Err(CommitError::Outdated)),
                7 => matches!(answer, Err(CommitError::Fault(countersign_store::Fault::Contradiction(_)))),
                _ => answer.is_ok(),
            };
            assert!(is_right, "{} {number}: {answer:?}", servers.name);
            let found = servers.turn(1).access_token(&rows::token("access token", number)).await.unwrap();
            assert_eq!(found.is_some(), answer.is_ok(), "{} {number}", servers.name);
            let refreshed = servers.turn(0).grant(own(number).grant).await.unwrap().unwrap();
            let expected = if answer.is_ok() { (2, 77) } else { (1, 1) };
            assert_eq!((refreshed.version, refreshed.generation), expected, "{} {number}", servers.name);
            let old = servers.turn(1).access_token(&rows::token("access token", number + 500)).await.unwrap();
            assert_eq!(old.is_some(), answer.is_err(), "{} {number}", servers.name);
        }
        let waiting = servers.turn(0).security_inbox(999).await.unwrap();
        assert_eq!(waiting.len(), 210, "{}", servers.name);
    }
}

/// A place in the security stream is given once, and an event gets one place.
#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_chains_at_one_position_exactly_one_wins() {
    for servers in all().await {
        let security = (0..40).map(|number| people::security(0, number)).collect();
        servers.turn(0).commit(Batch { security, ..Batch::default() }).await.unwrap();
        for seq in (1..=10).step_by(2) {
            let mut commits = JoinSet::new();
            for number in 0..20 {
                let store = servers.turn(number);
                let mut chain = people::chain(0, seq, 2, number);
                chain.taken = vec![people::security_event_id(seq), people::security_event_id(seq + 1)];
                commits.spawn(async move {
                    store.commit(Batch { chains: Some(chain), ..Batch::default() }).await
                });
            }
            let answers = commits.join_all().await;
            let won = answers.iter().filter(|answer| answer.is_ok()).count();
            let lost = answers.iter().filter(|a| matches!(a, Err(CommitError::Conflict))).count();
            assert_eq!((won, lost), (1, 19), "{}: {answers:?}", servers.name);
        }
        let store = servers.turn(1);
        let events = store.security_events(&rows::tenant(0), None, 99).await.unwrap();
        let places: Vec<_> = events.iter().rev().map(|event| event.seq).collect();
        assert_eq!(places, (1..=10).collect::<Vec<_>>(), "{}", servers.name);
        assert_eq!(store.next_leaves(99).await.unwrap().len(), 10, "{}", servers.name);
        assert_eq!(store.security_inbox(99).await.unwrap().len(), 30, "{}", servers.name);
    }
}
