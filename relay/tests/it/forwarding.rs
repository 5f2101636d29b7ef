//! What comes out behind: once, signed, again as long as the system does not take it, and aside at the end.

use crate::desk::{BOTH, KEY_ID, Relay, configuration, event, forward_to, id, message, now_s, signed, until};
use crate::system::System;

/// W-10: what was verified is forwarded byte for byte, with one idempotency key in every attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_forwarded_until_the_system_takes_it() {
    let system = System::start().await;
    system.behave(|_, before| if before == 0 { 500 } else { 204 });
    let mut relay = Relay::start_with(&configuration("", "", &forward_to(&system.url))).await;
    let sent = message();
    assert_eq!(relay.post(&sent).await, 202);
    let got = until("two attempts", || {
        let got = system.got();
        std::future::ready((got.len() == 2).then_some(got))
    })
    .await;
    for (attempt, got) in ["1", "2"].into_iter().zip(&got) {
        assert_eq!(got.body, sent.body);
        assert_eq!(got.header("idempotency-key"), format!("countersign:{}", sent.id));
        assert_eq!(got.header("relay-attempt"), attempt);
        assert_eq!(got.header("relay-sender"), "countersign");
        assert_eq!(got.header("content-type"), "application/json");
        assert_eq!(got.header("webhook-event-class"), "envelope");
    }
    until("the queue is empty", || async { (relay.metric("queue_messages").await == 0).then_some(()) }).await;
    assert_eq!(relay.stop().await.code(), Some(0));
}

/// W-3: a replay is refused, a retry of a known message is taken and not forwarded again.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_taken_once_and_a_replay_is_refused() {
    let system = System::start().await;
    let mut relay = Relay::start_with(&configuration("", "", &forward_to(&system.url))).await;
    let (id, now_s) = (id("msg"), now_s());
    let first = signed(&id, now_s, &event("env_1", 1));
    assert_eq!(relay.post(&first).await, 202);
    assert_eq!(relay.post(&first).await, 409);
    assert_eq!(relay.post(&signed(&id, now_s + 1, &first.body)).await, 202);
    // A restart forgets nothing.
    assert_eq!(relay.stop().await.code(), Some(0));
    relay.start().await;
    assert_eq!(relay.post(&first).await, 409);
    assert_eq!(relay.post(&signed(&id, now_s + 2, &first.body)).await, 202);
    let other = message();
    assert_eq!(relay.post(&other).await, 202);
    until("the other message", || {
        std::future::ready(
            system.got().iter().any(|got| got.header("idempotency-key").ends_with(&other.id)).then_some(()),
        )
    })
    .await;
    assert_eq!(system.got().len(), 2, "{:?}", system.got());
}

/// W-10: a system that hangs holds up its own sender alone, and what waits for it is forwarded once it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_hangs_holds_up_no_other() {
    for database in BOTH {
        let (hanging, other) = (System::start().await, System::start().await);
        hanging.shut(true);
        let second = format!(
            "[senders.other]\nformat = \"countersign\"\nkeys = [{{ id = \"{KEY_ID}\", secret_env = \"CS_SECRET\" }}]\n\
             [senders.other.forward]\nurl = \"{}\"\n",
            other.url
        );
        let first = forward_to(&hanging.url).replace("attempt_s = 2", "attempt_s = 60\nconcurrency = 2");
        let relay = Relay::start_over(database, &configuration("", "", &format!("{first}{second}"))).await;
        for _ in 0..20 {
            assert_eq!(relay.post(&message()).await, 202);
            assert_eq!(relay.post_to("other", &message()).await.status().as_u16(), 202);
        }
        until("all of the other", || std::future::ready((other.got().len() == 20).then_some(()))).await;
        assert_eq!(hanging.got().len(), 2, "no more than concurrency says");
        hanging.shut(false);
        relay.until_empty().await;
        assert_eq!((hanging.got().len(), other.got().len()), (20, 20));
    }
}

/// W-10: one message has one idempotency key for each sender: two senders with one id are two messages.
#[tokio::test(flavor = "multi_thread")]
async fn two_senders_do_not_share_ids() {
    let system = System::start().await;
    let second = format!(
        "[senders.other]\nformat = \"countersign\"\nkeys = [{{ id = \"{KEY_ID}\", secret_env = \"CS_SECRET\" }}]\n\
         [senders.other.forward]\nurl = \"{}\"\n",
        system.url
    );
    let configuration = configuration("", "", &format!("{}{second}", forward_to(&system.url)));
    let relay = Relay::start_with(&configuration).await;
    let sent = message();
    assert_eq!(relay.post(&sent).await, 202);
    assert_eq!(relay.post_to("other", &sent).await.status().as_u16(), 202);
    relay.until_empty().await;
    let mut keys: Vec<_> = system.got().iter().map(|got| got.header("idempotency-key").to_owned()).collect();
    keys.sort();
    assert_eq!(keys, [format!("countersign:{}", sent.id), format!("other:{}", sent.id)]);
}

/// W-3: what is over is forgotten and takes no room; a nonce or an id counts until then.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_forgotten() {
    let system = System::start().await;
    let relay = Relay::start_with(&configuration("", "", &forward_to(&system.url))).await;
    let sent = message();
    assert_eq!(relay.post(&sent).await, 202);
    let database = rusqlite::Connection::open(relay.folder.path().join("relay.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let day_ms = 24 * 3_600_000;
    let left_ms = |table: &str| {
        let until: i64 =
            database.query_row(&format!("SELECT until_ms FROM {table}"), [], |row| row.get(0)).unwrap();
        until - now_s() * 1_000
    };
    assert!((600_000..=602_000).contains(&left_ms("seen_attempts")), "twice the window");
    assert!((35 * day_ms - 5_000..=35 * day_ms + 1_000).contains(&left_ms("seen_messages")), "35 days");
    database
        .execute_batch(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 20000)
             INSERT INTO seen_attempts SELECT 'countersign', 'old-' || n, n FROM number;
             UPDATE seen_messages SET until_ms = 1;",
        )
        .unwrap();
    assert_eq!(relay.post(&sent).await, 409, "its nonce is known all the same");
    until("it is swept", || {
        let count = |table| {
            database
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        std::future::ready((count("seen_attempts") == 1 && count("seen_messages") == 0).then_some(()))
    })
    .await;
    assert_eq!(relay.post(&signed(&sent.id, now_s() + 1, &sent.body)).await, 202);
    relay.until_empty().await;
    assert_eq!(system.got().len(), 2, "nobody remembers it");
}
