//! What the stores promise of credentials and people, one by one, on each backend.

use std::sync::Arc;

use countersign_core::{scope::Scopes, time::Time};
use countersign_store::{
    Batch, CommitError, Fault, Memory, Postgres, Sqlite, Store,
    access_rows::{Change, Ending, KeyUse},
    batch::Row,
    rows::security_stream,
    testing,
};
use tokio_postgres::NoTls;

use crate::{people, rows};

async fn stores() -> (tempfile::TempDir, Vec<Arc<dyn Store>>) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(&folder.path().join("store.db")).unwrap();
    let url = testing::cluster().unwrap().database().await.unwrap();
    let postgres = Postgres::open(&url, None).await.unwrap();
    (folder, vec![Arc::new(Memory::new()), Arc::new(sqlite), Arc::new(postgres)])
}

fn with(rows: Vec<Row>) -> Batch {
    Batch { rows, ..Batch::default() }
}

fn changing(change: Change) -> Batch {
    Batch { changes: vec![change], ..Batch::default() }
}

fn is_contradiction<T>(answer: &Result<T, CommitError>) -> bool {
    matches!(answer, Err(CommitError::Fault(Fault::Contradiction(_))))
}

/// nobody commits a client with an admin scope that does not keep to the profile, or an API key with one.
#[tokio::test]
async fn admin_scopes_are_for_clients_of_the_profile_alone() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let mut client = people::client(0, 1, 2);
        assert!(client.is_fapi && client.scopes.has_admin());
        store.commit(with(vec![Row::Client(client.clone())])).await.unwrap();
        client.is_fapi = false;
        client.version = 2;
        let refused = store.commit(changing(Change::Client(client.clone()))).await;
        assert!(is_contradiction(&refused), "{refused:?}");
        client.client = people::client_id(2);
        let refused = store.commit(with(vec![Row::Client(client)])).await;
        assert!(is_contradiction(&refused), "{refused:?}");
        let Row::ApiKey(mut key) = rows::api_key(0, 1, 1) else { unreachable!() };
        key.scopes = Scopes::ALL;
        let refused = store.commit(with(vec![Row::ApiKey(key)])).await;
        assert!(is_contradiction(&refused), "{refused:?}");
        assert!(store.client(people::client_id(2)).await.unwrap().is_none());
    }
}

const ATTACKS: [&str; 6] = [
    "UPDATE clients SET is_fapi = FALSE",
    "UPDATE clients SET is_fapi = FALSE, scopes = 'admin:keys'",
    "UPDATE clients SET is_fapi = FALSE, scopes = 'envelopes:read admin:clients'",
    "UPDATE api_keys SET scopes = 'admin:keys'",
    "UPDATE api_keys SET scopes = 'envelopes:read admin:members mailbox:read'",
    "INSERT INTO api_keys (api_key, organization, environment, hash, scopes, person, label, created_at, expires_at)
        SELECT person, organization, environment, person, 'admin:grants', person, label, created_at, expires_at
        FROM clients CROSS JOIN (SELECT 'x' AS label, 1 AS expires_at) more",
];

fn attacked() -> Batch {
    with(vec![Row::Client(people::client(0, 7, 2)), rows::api_key(0, 1, 1)])
}

/// not even who has the database gives admin scopes away by mistake.
#[tokio::test]
async fn sqlite_refuses_admin_scopes_where_they_do_not_belong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Sqlite::open(&path).unwrap();
    store.commit(attacked()).await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    for attack in ATTACKS {
        let refused = connection.execute(attack, []).unwrap_err();
        let code = refused.sqlite_error_code();
        assert_eq!(code, Some(rusqlite::ErrorCode::ConstraintViolation), "{attack}: {refused}");
    }
    assert_eq!(connection.execute("UPDATE clients SET is_fapi = 0, scopes = 'mailbox:read'", []), Ok(1));
    assert_eq!(connection.execute("UPDATE api_keys SET scopes = 'keys:read'", []), Ok(1));
}

/// the same on PostgreSQL.
#[tokio::test]
async fn postgres_refuses_admin_scopes_where_they_do_not_belong() {
    let url = testing::cluster().unwrap().database().await.unwrap();
    let store = Postgres::open(&url, None).await.unwrap();
    store.commit(attacked()).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    for attack in ATTACKS {
        let refused = client.batch_execute(attack).await.unwrap_err();
        let code = refused.code().map(tokio_postgres::error::SqlState::code);
        assert_eq!(code, Some("23514"), "{attack}: {refused}");
    }
    client.batch_execute("UPDATE clients SET is_fapi = FALSE, scopes = 'mailbox:read'").await.unwrap();
    client.batch_execute("UPDATE api_keys SET scopes = 'keys:read'").await.unwrap();
}

/// Of several things that are wrong with a batch, the first is told in the promised order.
#[tokio::test]
async fn faults_of_a_batch_are_told_in_the_promised_order() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let first = Batch {
            spends: vec![people::spend(1, 1)],
            append: Some(rows::append(0, 1, 1, 1, 0)),
            chains: Some(people::chain(0, 1, 1, 0)),
            rows: vec![
                Row::User(people::user(1, 1, 1)),
                rows::person(0, 1, 1),
                Row::Grant(people::grant(0, 1, 1)),
            ],
            security: vec![people::security(0, 1)],
            ..Batch::default()
        };
        store.commit(first).await.unwrap();
        let mut late = people::grant(0, 1, 2);
        late.version = 9;
        // A user of another id with the same address; then rows and events that exist.
        let mut batch = Batch {
            spends: vec![people::spend(1, 1)],
            changes: vec![Change::Grant(late)],
            append: Some(rows::append(0, 1, 1, 1, 0)),
            rows: vec![Row::Grant(people::grant(0, 1, 1)), Row::User(people::user(2, 1, 1))],
            security: vec![people::security(0, 1)],
            ..Batch::default()
        };
        assert!(matches!(store.commit(batch.clone()).await, Err(CommitError::Spent)));
        batch.spends.clear();
        assert!(matches!(store.commit(batch.clone()).await, Err(CommitError::Outdated)));
        batch.changes.clear();
        assert!(matches!(store.commit(batch.clone()).await, Err(CommitError::Conflict)));
        batch.append = None;
        batch.chains = Some(people::chain(0, 1, 1, 0));
        assert!(matches!(store.commit(batch.clone()).await, Err(CommitError::Conflict)));
        batch.chains = None;
        let refused = store.commit(batch.clone()).await;
        assert!(is_contradiction(&refused), "{refused:?}");
        batch.rows.remove(0);
        assert!(matches!(store.commit(batch.clone()).await, Err(CommitError::Conflict)));
        batch.rows.clear();
        let refused = store.commit(batch.clone()).await;
        assert!(is_contradiction(&refused), "{refused:?}");
        batch.security.clear();
        store.commit(batch).await.unwrap();
    }
}

/// a change finds its row only with all that never changes of it: not that of another tenant or client.
#[tokio::test]
async fn a_change_of_what_never_changes_is_outdated() {
    let (_folder, stores) = stores().await;
    for store in stores {
        store.commit(with(vec![Row::Grant(people::grant(0, 1, 1))])).await.unwrap();
        let mut good = people::grant(0, 1, 2);
        good.version = 2;
        let mut wrong = vec![good.clone(); 5];
        wrong[0].tenant = rows::tenant(1);
        wrong[1].tenant = rows::tenant(2);
        wrong[2].client = people::client_id(3);
        wrong[3].user = None;
        wrong[4].created_at = rows::at(99);
        for wrong in wrong {
            let refused = store.commit(changing(Change::Grant(wrong))).await;
            assert!(matches!(refused, Err(CommitError::Outdated)), "{refused:?}");
        }
        store.commit(changing(Change::Grant(good.clone()))).await.unwrap();
        assert_eq!(store.grant(good.grant).await.unwrap(), Some(good));
    }
}

/// a token has ended with its grant's generations, or alone, and no other with it.
#[tokio::test]
async fn tokens_end_with_the_generations_that_are_named() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let mut rows = vec![Row::Client(people::client(0, 1, 2))];
        rows.extend([1, 5].map(|grant| Row::Grant(people::grant(0, grant, 1))));
        // Generations 0 to 4 of grant 1, and generation 2 of grant 5.
        rows.extend((0..5).map(|salt| Row::AccessToken(people::access_token(salt, 1, salt))));
        rows.push(Row::AccessToken(people::access_token(9, 5, 2)));
        store.commit(with(rows)).await.unwrap();
        let left = async || {
            let mut left = Vec::new();
            for number in [0, 1, 2, 3, 4, 9] {
                let found = store.access_token(&rows::token("access token", number)).await.unwrap();
                left.extend(found.map(|_| number));
            }
            left
        };
        assert_eq!(left().await, [0, 1, 2, 3, 4, 9]);
        let some = Change::EndTokens { grant: people::grant_id(1), from: 1, to: 2 };
        store.commit(changing(some)).await.unwrap();
        assert_eq!(left().await, [0, 3, 4, 9]);
        let one = || Change::EndToken(rows::token("access token", 4));
        store.commit(changing(one())).await.unwrap();
        store.commit(changing(one())).await.unwrap();
        assert_eq!(left().await, [0, 3, 9]);
        let rest = Change::EndTokens { grant: people::grant_id(1), from: 0, to: i64::MAX.unsigned_abs() };
        store.commit(changing(rest)).await.unwrap();
        assert_eq!(left().await, [9]);
    }
}

/// what is found of a token says whether the user, the session and the membership behind it still hold.
#[tokio::test]
async fn a_token_is_found_with_what_became_of_those_behind_it() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let grant = people::grant(0, 1, 1);
        let token = people::access_token(1, 1, 1);
        let (mut user, mut session) = (people::user(1, 1, 1), people::sign_in(1, 1, 1));
        let mut member = people::member(0, 1, 1);
        let client = people::client(0, 1, 2);
        let all =
            vec![Row::Client(client.clone()), Row::Grant(grant.clone()), Row::AccessToken(token.clone())];
        store.commit(with(all)).await.unwrap();
        let view = async || store.access_token(&token.hash).await.unwrap().unwrap();
        let found = view().await;
        assert_eq!((found.token, found.grant, found.client), (token.clone(), grant, client));
        assert_eq!((found.sign_in_ended, found.user_valid_from, found.member), (false, None, None));
        // The same user is a member elsewhere, too, which is none of this grant's business.
        let elsewhere = Row::Member(people::member(2, 1, 2));
        store.commit(with(vec![elsewhere])).await.unwrap();
        assert_eq!(view().await.member, None);
        let behind = [Row::User(user.clone()), Row::SignIn(session.clone()), Row::Member(member.clone())];
        store.commit(with(behind.to_vec())).await.unwrap();
        let found = view().await;
        let expected = (false, Some(user.valid_from), Some(member.clone()));
        assert_eq!((found.sign_in_ended, found.user_valid_from, found.member), expected);
        (user.ended_at, user.version) = (Some(rows::at(5)), 2);
        (session.ended_at, session.version) = (Some(rows::at(5)), 2);
        (member.ended_at, member.version) = (Some(rows::at(5)), 2);
        let changes = vec![Change::User(user), Change::SignIn(session), Change::Member(member.clone())];
        store.commit(Batch { changes, ..Batch::default() }).await.unwrap();
        let found = view().await;
        assert_eq!(
            (found.sign_in_ended, found.user_valid_from, found.member.as_ref()),
            (true, None, Some(&member))
        );
        let same = store.grant_view(found.grant.grant).await.unwrap().unwrap();
        assert_eq!((same.grant, same.sign_in_ended, same.user_valid_from), (found.grant, true, None));
        assert_eq!(same.member, Some(member));
    }
}

/// the last use of a key is the latest, and neither it nor a session's new end takes a version from those who change.
#[tokio::test]
async fn uses_are_noted_beside_the_versions() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let session = people::sign_in(1, 1, 5);
        let all =
            vec![rows::api_key(0, 1, 1), Row::User(people::user(1, 1, 1)), Row::SignIn(session.clone())];
        store.commit(with(all)).await.unwrap();
        let key = rows::api_key_id(1);
        for salt in [5, 9, 7] {
            store.touch_key(people::key_use(1, salt)).await.unwrap();
        }
        let unknown = KeyUse { key: rows::api_key_id(2), ..people::key_use(1, 1) };
        store.touch_key(unknown).await.unwrap();
        let mut found = store.api_key_by_id(key).await.unwrap().unwrap();
        let last = Some((rows::at(9), rows::bytes(9).to_vec()));
        assert_eq!((found.version, &found.used), (1, &last));
        (found.version, found.used, found.label) = (2, None, "new".to_owned());
        store.commit(changing(Change::ApiKey(found.clone()))).await.unwrap();
        found.used = last;
        assert_eq!(store.api_key_by_id(key).await.unwrap(), Some(found));
        let what = Ending::ApiKey(key);
        store.commit(changing(Change::End { what, at: rows::at(1), once: true })).await.unwrap();
        assert_eq!(store.api_key_by_id(key).await.unwrap().unwrap().version, 3);

        let end = async || store.sign_in(&session.cookie).await.unwrap().unwrap().0;
        store.touch_sign_in(session.sign_in, session.expires_at.plus_ms(-1), rows::at(900)).await.unwrap();
        assert_eq!((end().await.expires_at, end().await.version), (rows::at(900), 1));
        store.touch_sign_in(session.sign_in, rows::at(900), rows::at(999)).await.unwrap();
        assert_eq!(end().await.expires_at, rows::at(900), "it had expired");
        let mut ended = end().await;
        (ended.ended_at, ended.version) = (Some(rows::at(1)), 2);
        store.commit(changing(Change::SignIn(ended))).await.unwrap();
        store.touch_sign_in(session.sign_in, rows::at(2), rows::at(999)).await.unwrap();
        assert_eq!(end().await.expires_at, rows::at(900), "it had ended");
    }
}

/// L-4: security events wait in order, get one place each in their own tenant's stream, and are leaves of the log.
#[tokio::test]
async fn security_events_get_their_places_in_the_stream_of_their_tenant() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let security = vec![people::security(0, 3), people::security(1, 1), people::security(0, 2)];
        store.commit(Batch { security: security.clone(), ..Batch::default() }).await.unwrap();
        assert_eq!(store.security_inbox(9).await.unwrap(), security);
        let chain = async |of, seq, taken: &[u64]| {
            let mut chain = people::chain(of, seq, 1, seq);
            chain.taken = taken.iter().map(|number| people::security_event_id(*number)).collect();
            store.commit(Batch { chains: Some(chain), ..Batch::default() }).await
        };
        assert!(chain(0, 1, &[3]).await.is_ok());
        let refused = [
            chain(0, 1, &[2]).await, // the place is taken
            chain(0, 3, &[2]).await, // a gap
            chain(0, 2, &[3]).await, // taken before
            chain(0, 2, &[1]).await, // another environment's
            chain(0, 2, &[2, 2]).await,
            chain(2, 1, &[2]).await, // another organization's
        ];
        for (at, refused) in refused.iter().enumerate() {
            assert!(matches!(refused, Err(CommitError::Conflict)), "{at}: {refused:?}");
        }
        assert_eq!(store.security_inbox(9).await.unwrap(), security[1..]);
        for (of, seq, taken) in [(0, 2, 2), (1, 1, 1)] {
            chain(of, seq, &[taken]).await.unwrap();
        }
        // One by one: the first events of both environments have one name and one position, and are two leaves.
        for size in 0..3 {
            assert_eq!(store.next_leaves(9).await.unwrap().len(), 3 - size);
            let leaf = store.next_leaves(1).await.unwrap();
            store.publish_checkpoint(u64::try_from(size).unwrap(), &leaf, &[], "note").await.unwrap();
        }
        assert!(store.next_leaves(9).await.unwrap().is_empty());
        for (of, places) in [(0, vec![(2, Some(1)), (1, Some(0))]), (1, vec![(1, Some(2))]), (2, vec![])] {
            let tenant = rows::tenant(of);
            let events = store.security_events(&tenant, None, 9).await.unwrap();
            let found: Vec<_> = events.iter().map(|event| (event.seq, event.log_index)).collect();
            assert_eq!(found, places);
            let head = store.security_head(&tenant).await.unwrap();
            assert_eq!(head, events.first().map(|event| (event.seq, event.hash)));
            let stream = security_stream(&tenant);
            assert_eq!(store.head(&tenant, stream).await.unwrap(), head.map(|(_, hash)| hash));
            // who may read envelopes may not read it.
            assert!(store.load(&tenant, stream).await.unwrap().is_none());
        }
        // No envelope can be put in its place.
        let mut append = rows::append(0, 1, 1, 1, 0);
        append.envelope = security_stream(&append.tenant);
        append.projection.envelope = append.envelope;
        let refused = store.commit(Batch { append: Some(append), ..Batch::default() }).await;
        assert!(is_contradiction(&refused), "{refused:?}");
    }
}

/// G-7: what was given back is good again, once.
#[tokio::test]
async fn what_is_given_back_is_good_again() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let spend = || Batch { spends: vec![people::spend(1, 1)], ..Batch::default() };
        let hash = rows::digest("spend", 1);
        store.give_back(hash).await.unwrap();
        store.commit(spend()).await.unwrap();
        assert!(store.commit(spend()).await.is_err());
        store.give_back(hash).await.unwrap();
        assert!(!store.is_spent(hash).await.unwrap());
        store.commit(spend()).await.unwrap();
        assert!(store.commit(spend()).await.is_err());
    }
}

/// What ended goes, in its time: spends at once, tokens and sessions after a day, grants after a month.
#[tokio::test]
async fn what_ended_is_swept_in_its_time() {
    let (_folder, stores) = stores().await;
    let day = 86_400_000;
    for store in stores {
        let mut client = people::client(0, 1, 2);
        client.client = people::client_id(1);
        let mut ended = people::grant(0, 1, 1);
        ended.ended_at = Some(rows::at(0));
        let mut late = people::access_token(9, 1, 1);
        late.expires_at = rows::at(90 * day);
        let mut token = people::access_token(1, 1, 1);
        let (mut code, mut request) = (people::authorization_code(1, 1), people::pushed_request(0, 1, 1));
        let (mut session, mut ticket) = (people::sign_in(1, 1, 1), people::ticket(1, 1, 1));
        let ends: [&mut Time; 5] = [
            &mut token.expires_at,
            &mut code.expires_at,
            &mut request.expires_at,
            &mut session.expires_at,
            &mut ticket.expires_at,
        ];
        for end in ends {
            *end = rows::at(0);
        }
        let rows = vec![
            Row::Client(client),
            Row::User(people::user(1, 1, 1)),
            Row::Grant(ended),
            Row::AccessToken(late),
            Row::AccessToken(token),
            Row::AuthorizationCode(code),
            Row::PushedRequest(request),
            Row::SignIn(session),
            Row::Ticket(ticket),
        ];
        let mut spend = people::spend(1, 1);
        spend.expires_at = rows::at(5);
        store.commit(Batch { spends: vec![spend], rows, ..Batch::default() }).await.unwrap();
        let there = async |after_ms: u64| {
            store.sweep(rows::at(after_ms)).await.unwrap();
            let token = async |number| {
                store.access_token(&rows::token("access token", number)).await.unwrap().is_some()
            };
            [
                store.is_spent(rows::digest("spend", 1)).await.unwrap(),
                token(1).await,
                store.authorization_code(&rows::token("authorization code", 1)).await.unwrap().is_some(),
                store.pushed_request(&rows::token("request", 1)).await.unwrap().is_some(),
                store.sign_in(&rows::token("console cookie", 1)).await.unwrap().is_some(),
                store.ticket(&rows::token("ticket", 1)).await.unwrap().is_some(),
                token(9).await,
                store.grant(people::grant_id(1)).await.unwrap().is_some(),
            ]
        };
        assert_eq!(there(4).await, [true; 8]);
        assert_eq!(there(5).await, [false, true, true, true, true, true, true, true]);
        assert_eq!(there(day - 1).await, [false, true, true, true, true, true, true, true]);
        assert_eq!(there(day).await, [false, false, false, false, false, false, true, true]);
        assert_eq!(there(30 * day - 1).await, [false, false, false, false, false, false, true, true]);
        assert_eq!(there(30 * day).await, [false; 8]);
        // Its token went with it: a grant of the same id has none.
        store.commit(with(vec![Row::Grant(people::grant(0, 1, 1))])).await.unwrap();
        assert!(store.access_token(&rows::token("access token", 9)).await.unwrap().is_none());
    }
}

/// a grant does not outlive the end of its session by the sweep of that session.
#[tokio::test]
async fn a_session_that_was_ended_takes_its_grants_along_when_it_is_swept() {
    let (_folder, stores) = stores().await;
    for store in stores {
        // Session 1 was ended, session 4 only expired; salt 1 leaves the grants without an end.
        let (mut ended, mut expired) = (people::sign_in(1, 1, 1), people::sign_in(4, 4, 1));
        ended.ended_at = Some(rows::at(3));
        (ended.expires_at, expired.expires_at) = (rows::at(9), rows::at(9));
        let mut rows = vec![Row::SignIn(ended), Row::SignIn(expired)];
        for number in [1, 4] {
            let mut grant = people::grant(0, number, 1);
            grant.expires_at = rows::at(90 * 86_400_000);
            rows.push(Row::Grant(grant));
        }
        store.commit(with(rows)).await.unwrap();
        let ends = async || {
            let mut ends = Vec::new();
            for number in [1, 4] {
                let grant = store.grant(people::grant_id(number)).await.unwrap().unwrap();
                ends.push((grant.ended_at, grant.version));
            }
            ends
        };
        store.sweep(rows::at(9 + 86_399_999)).await.unwrap();
        assert_eq!(ends().await, [(None, 1), (None, 1)]);
        store.sweep(rows::at(9 + 86_400_000)).await.unwrap();
        assert_eq!(ends().await, [(Some(rows::at(3)), 2), (None, 1)]);
        assert!(store.sign_ins(people::user_id(1)).await.unwrap().is_empty());
    }
}
