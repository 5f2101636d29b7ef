//! The end of a row is nobody's to hold up: it meets whatever version is there, and who read the row before comes too late.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use countersign_core::role::Role;
use countersign_store::{
    Batch, CommitError,
    access_rows::{Change, Ending, GrantRow, MemberRow, SignInRow, UserRow},
    batch::Row,
};
use tokio::task::JoinSet;

use crate::{people, races::all, rows};

fn with(rows: Vec<Row>) -> Batch {
    Batch { rows, ..Batch::default() }
}

fn changing(changes: Vec<Change>) -> Batch {
    Batch { changes, ..Batch::default() }
}

fn end(what: Ending, salt: u64, once: bool) -> Batch {
    changing(vec![Change::End { what, at: rows::at(salt), once }])
}

fn is_outdated<T>(answer: &Result<T, CommitError>) -> bool {
    matches!(answer, Err(CommitError::Outdated))
}

fn member(number: u64, role: Role) -> MemberRow {
    MemberRow { role, ended_at: None, ..people::member(0, number, 1) }
}

/// every kind of row ends whatever its version is, once, and a change by somebody who read it before is refused.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "every kind of row, one after the other")]
async fn a_row_ends_whatever_its_version_is_and_a_change_of_before_comes_too_late() {
    for servers in all().await {
        let store = servers.turn(0);
        let client = people::client(0, 1, 2);
        let client = countersign_store::access_rows::ClientRow { ended_at: None, ..client };
        let mut authenticator = people::authenticator(1, 1);
        authenticator.ended_at = None;
        let mut rows_there = vec![
            Row::Client(client.clone()),
            Row::Grant(people::grant(0, 1, 1)),
            Row::Member(member(1, Role::Admin)),
            Row::Authenticator(authenticator.clone()),
            Row::SignIn(people::sign_in(1, 1, 1)),
            Row::SignIn(people::sign_in(4, 4, 1)),
            Row::SignIn(people::sign_in(7, 7, 7)),
        ];
        let Row::ApiKey(mut key) = rows::api_key(0, 1, 1) else { unreachable!() };
        let mut provider = people::provider(0, 1);
        rows_there.extend([Row::ApiKey(key.clone()), Row::Provider(provider.clone())]);
        store.commit(with(rows_there)).await.unwrap();
        // All of them changed since.
        let mut grant = people::grant(0, 1, 1);
        let (mut client, mut session) = (client, people::sign_in(1, 1, 1));
        let mut admin = member(1, Role::Admin);
        let next = |grant: &mut GrantRow, session: &mut SignInRow, admin: &mut MemberRow| {
            (grant.version, session.version, admin.version) =
                (grant.version + 1, session.version + 1, admin.version + 1);
        };
        next(&mut grant, &mut session, &mut admin);
        (client.version, authenticator.version, key.version, provider.version) = (2, 2, 2, 2);
        let changes = vec![
            Change::Client(client.clone()),
            Change::Grant(grant.clone()),
            Change::Member(admin.clone()),
            Change::Authenticator(authenticator.clone()),
            Change::SignIn(session.clone()),
            Change::ApiKey(key.clone()),
            Change::Provider(provider.clone()),
        ];
        store.commit(changing(changes)).await.unwrap();
        let organization = admin.organization;
        let (user, role) = (admin.user, Role::Sender);
        let other_role = end(Ending::Member { organization, user, role }, 50, true);
        assert!(is_outdated(&store.commit(other_role).await), "{}", servers.name);
        let through = SignInRow { version: 2, ..people::sign_in(7, 7, 7) };
        let member = Ending::Member { organization, user, role: Role::Admin };
        next(&mut grant, &mut session, &mut admin);
        (client.version, authenticator.version, key.version, provider.version) = (3, 3, 3, 3);
        for (what, late) in [
            (Ending::Client(client.client), Change::Client(client.clone())),
            (Ending::Grant(grant.grant), Change::Grant(grant.clone())),
            (member, Change::Member(admin.clone())),
            (
                Ending::Authenticator(authenticator.authenticator),
                Change::Authenticator(authenticator.clone()),
            ),
            (Ending::SignIn(session.sign_in), Change::SignIn(session.clone())),
            (Ending::SignInsThrough(through.provider.unwrap()), Change::SignIn(through.clone())),
            (Ending::ApiKey(key.key), Change::ApiKey(key.clone())),
            (Ending::Provider(provider.provider), Change::Provider(provider.clone())),
        ] {
            store.commit(end(what, 50, true)).await.unwrap_or_else(|error| panic!("{what:?}: {error}"));
            let name = servers.name;
            assert!(is_outdated(&store.commit(end(what, 40, true)).await), "{name}: {what:?} ended twice");
            store.commit(end(what, 40, false)).await.unwrap();
            assert!(is_outdated(&store.commit(changing(vec![late])).await), "{name}: {what:?} lives again");
        }
        let at = Some(rows::at(50));
        assert_eq!(store.client(client.client).await.unwrap().unwrap().ended_at, at);
        assert_eq!(store.grant(grant.grant).await.unwrap().unwrap().ended_at, at);
        assert_eq!(store.member(organization, user).await.unwrap().unwrap().ended_at, at);
        let found = store.authenticators(authenticator.user).await.unwrap();
        assert_eq!(found[0].ended_at, at);
        let sessions = store.sign_ins(session.user).await.unwrap();
        assert_eq!(
            sessions.iter().map(|row| row.ended_at).collect::<Vec<_>>(),
            [at, None, at],
            "one, and one through the provider"
        );
        let key = store.api_key_by_id(key.key).await.unwrap().unwrap();
        assert_eq!((key.expires_at, key.warned_days), (rows::at(50), Some(0)));
    }
}

/// whoever refreshes without a pause, on several servers, does not hold up the end of the grant; and whatever a refresh
/// that came too late would have added is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_refreshed_without_a_pause_ends_at_the_first_try() {
    for servers in all().await {
        let of = |number: u64| people::grant_id(number * 3);
        for round in 1..6 {
            let grant = people::grant(0, round * 3, 1);
            servers.turn(0).commit(with(vec![Row::Grant(grant.clone())])).await.unwrap();
            let is_over = Arc::new(AtomicBool::new(false));
            let mut refreshing = JoinSet::new();
            for task in 0..8 {
                let (store, is_over) = (servers.turn(task), Arc::clone(&is_over));
                refreshing.spawn(async move {
                    let mut won = Vec::new();
                    for number in 0.. {
                        let row = store.grant(of(round)).await.unwrap().unwrap();
                        if row.ended_at.is_some() || is_over.load(Ordering::SeqCst) {
                            break;
                        }
                        let token =
                            people::access_token(round * 1_000_000 + task * 10_000 + number, round * 3, 1);
                        let next = GrantRow { version: row.version + 1, ended_at: None, ..row };
                        let batch = Batch {
                            changes: vec![Change::Grant(next)],
                            rows: vec![Row::AccessToken(token.clone())],
                            ..Batch::default()
                        };
                        if store.commit(batch).await.is_ok() {
                            won.push(token);
                        }
                    }
                    won
                });
            }
            let version = async || servers.turn(1).grant(of(round)).await.unwrap().unwrap().version;
            while version().await < 8 {
                tokio::task::yield_now().await;
            }
            let ended = servers.turn(1).commit(end(Ending::Grant(of(round)), 50, true)).await;
            let at_end = version().await;
            is_over.store(true, Ordering::SeqCst);
            assert!(ended.is_ok(), "{}: {ended:?}", servers.name);
            let won: usize = refreshing.join_all().await.iter().map(Vec::len).sum();
            let after = servers.turn(0).grant(of(round)).await.unwrap().unwrap();
            assert_eq!((after.ended_at, after.version), (Some(rows::at(50)), at_end), "{}", servers.name);
            let changes = u64::try_from(won).unwrap() + 1;
            assert_eq!(after.version, 1 + changes, "{}: a refresh came after the end", servers.name);
        }
    }
}

/// of those who come in while the factors change, nobody stays: who was first is ended, who comes later is refused.
#[tokio::test(flavor = "multi_thread")]
async fn no_session_that_begins_beside_a_change_of_the_user_outlives_it() {
    for servers in all().await {
        for round in 0..10_u64 {
            let user =
                UserRow { user: people::user_id(round % 3 + round * 3), ..people::user(0, 20 + round, 1) };
            servers.turn(0).commit(with(vec![Row::User(user.clone())])).await.unwrap();
            let mut entering = JoinSet::new();
            for number in 0..20 {
                let (store, user) = (servers.turn(number), user.clone());
                entering.spawn(async move {
                    let tries = Change::Tries {
                        user: user.user,
                        version: 1,
                        before: user.failures.clone(),
                        after: user.failures,
                    };
                    let id = 1_000 + round * 100 + number;
                    let session = SignInRow { user: user.user, ..people::sign_in(id, id, 1) };
                    let batch = Batch { changes: vec![tries], ..with(vec![Row::SignIn(session)]) };
                    store.commit(batch).await.map(drop)
                });
            }
            let what = Ending::SignInsOf(user.user);
            let changed = UserRow { version: 2, ..user.clone() };
            let ends = Change::End { what, at: rows::at(50), once: false };
            let own = SignInRow { user: user.user, ..people::sign_in(900_000 + round, 900_000 + round, 1) };
            let batch =
                Batch { changes: vec![Change::User(changed), ends], ..with(vec![Row::SignIn(own.clone())]) };
            servers.turn(round).commit(batch).await.unwrap();
            let entered = entering.join_all().await;
            assert!(entered.iter().all(|answer| answer.is_ok() || is_outdated(answer)), "{entered:?}");
            let open = servers.turn(0).sign_ins(user.user).await.unwrap();
            let open: Vec<_> =
                open.iter().filter(|row| row.ended_at.is_none()).map(|row| row.sign_in).collect();
            assert_eq!(open, [own.sign_in], "{}", servers.name);
        }
    }
}

/// those who come in at the very same moment, and are written together with the change, are ended, too; nobody else is. A
/// batch that ends sessions without the change that refuses later ones is a contradiction.
#[tokio::test]
async fn sessions_that_are_written_together_with_the_change_of_the_user_end_with_it() {
    for servers in all().await {
        let store = servers.turn(0);
        let user = people::user(1, 1, 1);
        let another = people::sign_in(2, 2, 1);
        store.commit(with(vec![Row::User(user.clone()), Row::SignIn(another.clone())])).await.unwrap();
        let what = Ending::SignInsOf(user.user);
        let alone = store.commit(end(what, 50, false)).await;
        assert!(matches!(alone, Err(CommitError::Fault(_))), "{}: {alone:?}", servers.name);
        let entering = (0..20_u64).map(|number| {
            let tries = Change::Tries {
                user: user.user,
                version: 1,
                before: user.failures.clone(),
                after: user.failures.clone(),
            };
            let session = SignInRow { user: user.user, ..people::sign_in(100 + number, 100 + number, 1) };
            Batch { changes: vec![tries], ..with(vec![Row::SignIn(session)]) }
        });
        let changed = Change::User(UserRow { version: 2, ..user.clone() });
        let ends = Change::End { what, at: rows::at(50), once: false };
        // On one thread: all wait before the first is written, and PostgreSQL gets them as a group.
        let batches = entering.chain([changing(vec![changed, ends])]);
        let answers = futures_util::future::join_all(batches.map(|batch| store.commit(batch))).await;
        assert!(answers.iter().all(Result::is_ok), "{}: {answers:?}", servers.name);
        let sessions = store.sign_ins(user.user).await.unwrap();
        assert_eq!(
            (sessions.len(), sessions.iter().filter(|row| row.ended_at.is_none()).count()),
            (20, 0),
            "{}",
            servers.name
        );
        assert_eq!(store.sign_ins(another.user).await.unwrap(), [another], "another's");
    }
}

/// of two owners who end each other at the same moment one remains, and whoever vouches is no newer for it.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_end_each_other_one_remains() {
    for servers in all().await {
        for round in 0..10 {
            let pair = [10 + round * 2, 11 + round * 2].map(|number| member(number, Role::Owner));
            servers.turn(0).commit(with(pair.iter().cloned().map(Row::Member).collect())).await.unwrap();
            let (organization, role) = (pair[0].organization, Role::Owner);
            let mut racing = JoinSet::new();
            for (number, (by, whom)) in [(0, 1), (1, 0)].into_iter().enumerate() {
                let store = servers.turn(u64::try_from(number).unwrap());
                let (by, whom) = (pair[by].user, pair[whom].user);
                let what = Ending::Member { organization, user: whom, role };
                let batch = changing(vec![
                    Change::Vouch { organization, user: by, role },
                    Change::End { what, at: rows::at(50), once: true },
                ]);
                racing.spawn(async move { store.commit(batch).await.map(drop) });
            }
            let answers = racing.join_all().await;
            assert_eq!(
                answers.iter().filter(|answer| answer.is_ok()).count(),
                1,
                "{}: {answers:?}",
                servers.name
            );
            assert_eq!(answers.iter().filter(|answer| is_outdated(answer)).count(), 1, "{answers:?}");
            let mut versions = Vec::new();
            for row in &pair {
                let row = servers.turn(0).member(organization, row.user).await.unwrap().unwrap();
                versions.push((row.ended_at.is_some(), row.version));
            }
            versions.sort_unstable();
            assert_eq!(versions, [(false, 1), (true, 2)], "{}", servers.name);
        }
    }
}
