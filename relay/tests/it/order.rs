//! Ordered mode: messages of one envelope come out one after the other, whatever fails on the way.

use std::collections::HashSet;

use crate::desk::{BOTH, Relay, Sent, configuration, event, forward_to, id, message, now_s, signed, until};
use crate::system::{Got, System};

fn ordered(url: &str, gap_s: u32) -> String {
    format!("{}ordered = true\ngap_s = {gap_s}\n", forward_to(url))
}

fn of(envelope: &str, sequence: u64) -> Sent {
    signed(&id("msg"), now_s(), &event(envelope, sequence))
}

/// The envelope and the sequence of what came.
pub(crate) fn place(got: &Got) -> (String, u64) {
    let body: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
    (body["data"]["envelope"].as_str().unwrap().to_owned(), body["data"]["sequence"].as_u64().unwrap())
}

/// W-4, W-10: what fails holds up its envelope, and no other one.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_holds_up_its_envelope_and_no_other() {
    for database in BOTH {
        let system = System::start().await;
        // The first of one envelope is refused until everything of the others is there.
        system.behave(|got, before| if place(got) == ("env_a".into(), 1) && before < 40 { 500 } else { 200 });
        let relay = Relay::start_over(database, &configuration("", "", &ordered(&system.url, 5))).await;
        for sequence in 1..=10 {
            for envelope in ["env_a", "env_b", "env_c", "env_d"] {
                assert_eq!(relay.post(&of(envelope, sequence)).await, 202);
            }
        }
        until("30 of the others", || {
            let taken = system.got().iter().filter(|got| place(got).0 != "env_a").count();
            std::future::ready((taken == 30).then_some(()))
        })
        .await;
        assert!(system.got().iter().all(|got| place(got).0 != "env_a" || place(got).1 == 1), "{database:?}");
        system.behave(|_, _| 200);
        relay.until_empty().await;
        for envelope in ["env_a", "env_b", "env_c", "env_d"] {
            let mut sequences: Vec<u64> = system
                .got()
                .iter()
                .map(place)
                .filter(|place| place.0 == envelope)
                .map(|place| place.1)
                .collect();
            sequences.dedup();
            assert_eq!(sequences, (1..=10).collect::<Vec<_>>(), "{database:?} {envelope}");
        }
    }
}

/// W-4, W-10: a message waits a while for one that it overtook; one that comes too late is set aside, and not lost.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_overtook_waits_and_one_that_is_too_late_is_set_aside() {
    for database in BOTH {
        let system = System::start().await;
        let relay = Relay::start_over(database, &configuration("", "", &ordered(&system.url, 3))).await;
        for sequence in [1, 3, 2] {
            assert_eq!(relay.post(&of("env_a", sequence)).await, 202);
        }
        relay.until_empty().await;
        let sequences: Vec<u64> = system.got().iter().map(|got| place(got).1).collect();
        assert_eq!(sequences, [1, 2, 3], "{database:?}");
        // A class that the endpoint does not hear of leaves a gap: after a while it goes on.
        assert_eq!(relay.post(&of("env_a", 5)).await, 202);
        until("the fifth", || std::future::ready((system.got().len() == 4).then_some(()))).await;
        relay.until_empty().await;
        let late = of("env_a", 4);
        assert_eq!(relay.post(&late).await, 202);
        assert_eq!(relay.counted("received", "overtaken").await, 1);
        until("it is set aside", || async { (relay.metric("dead_messages").await == 1).then_some(()) }).await;
        assert_eq!(system.got().len(), 4);
        let listed = String::from_utf8(relay.run(&["dead", "list"]).stdout).unwrap();
        assert!(listed.contains(&late.id) && listed.contains("a later message"), "{listed}");
        let back = relay.run(&["dead", "requeue", "--sender", "countersign"]);
        assert!(back.status.success(), "{back:?}");
        until("the fourth", || std::future::ready((system.got().len() == 5).then_some(()))).await;
    }
}

/// W-4, W-10: the events of classes that an ordered endpoint is not told of leave gaps. Without a wait for them nothing is held up by what
/// never comes, and what fails holds up its envelope all the same.
#[tokio::test(flavor = "multi_thread")]
async fn gaps_of_other_classes_cost_nothing_and_no_order() {
    for (database, gap_s) in [(BOTH[0], 0), (BOTH[1], 0), (BOTH[0], 3_600)] {
        let system = System::start().await;
        system.behave(|got, before| if place(got).1 == 2 && before < 1 { 500 } else { 200 });
        let relay = Relay::start_over(database, &configuration("", "", &ordered(&system.url, gap_s))).await;
        for sequence in [2, 5, 9] {
            assert_eq!(relay.post(&of("env_a", sequence)).await, 202);
        }
        if gap_s > 0 {
            assert_eq!(relay.metric("queue_messages").await, 3, "each waits for what is not there");
            continue;
        }
        relay.until_empty().await;
        let mut sequences: Vec<u64> = system.got().iter().map(|got| place(got).1).collect();
        sequences.dedup();
        assert_eq!(sequences, [2, 5, 9], "{database:?}");
        assert_eq!(relay.metric("dead_messages").await, 0);
    }
}

/// W-10: what the system never takes is set aside, listed, and put back by a command.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_is_set_aside_and_comes_back_by_command() {
    for database in BOTH {
        let system = System::start().await;
        system.behave(|_, _| 410);
        let relay = Relay::start_over(database, &configuration("", "", &forward_to(&system.url))).await;
        let sent = message();
        assert_eq!(relay.post(&sent).await, 202);
        until("it is set aside", || async { (relay.metric("dead_messages").await == 1).then_some(()) }).await;
        assert_eq!(
            relay.post(&signed(&sent.id, now_s() + 1, &sent.body)).await,
            202,
            "it is known all the same"
        );
        let listed = String::from_utf8(relay.run(&["dead", "list"]).stdout).unwrap();
        let line = listed.lines().find(|line| line.contains(&sent.id)).unwrap();
        assert!(line.contains("410"), "{line}");
        system.behave(|_, _| 200);
        let number = line.split('\t').next().unwrap();
        let wrong = relay.run(&["dead", "requeue", "--number", "99999"]);
        assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("dead list"));
        assert!(relay.run(&["dead", "requeue", "--number", number]).status.success());
        until("it comes", || std::future::ready((system.got().len() == 2).then_some(()))).await;
        until("none is set aside", || async { (relay.metric("dead_messages").await == 0).then_some(()) })
            .await;
        relay.until_empty().await;
        let keys: HashSet<_> =
            system.got().iter().map(|got| got.header("idempotency-key").to_owned()).collect();
        assert_eq!(keys.len(), 1);
        system.behave(|_, _| 410);
        assert_eq!(relay.post(&message()).await, 202);
        until("another one", || async { (relay.metric("dead_messages").await == 1).then_some(()) }).await;
        assert!(relay.run(&["dead", "remove", "--sender", "countersign"]).status.success());
        assert!(!relay.run(&["dead", "remove", "--sender", "countersign"]).status.success(), "it is gone");
    }
}

/// W-10: two relays share a PostgreSQL: each message comes out once, whichever took it in.
#[tokio::test(flavor = "multi_thread")]
async fn two_relays_share_a_queue() {
    let system = System::start().await;
    let url = crate::desk::database().await;
    let mut relays = Vec::new();
    for _ in 0..2 {
        let mut relay = Relay::new(&configuration("", "", &forward_to(&system.url)));
        relay.over_url(&url);
        relay.start().await;
        relays.push(relay);
    }
    let messages: Vec<Sent> = (0..200).map(|_| message()).collect();
    for (number, sent) in messages.iter().enumerate() {
        assert_eq!(relays[number % 2].post(sent).await, 202);
    }
    let again = &messages[0];
    assert_eq!(relays[1].post(again).await, 409, "the other relay knows it");
    assert_eq!(relays[1].post(&signed(&again.id, now_s() + 1, &again.body)).await, 202);
    until("all of them", || std::future::ready((system.got().len() >= 200).then_some(()))).await;
    for relay in &relays {
        relay.until_empty().await;
    }
    let keys: HashSet<_> = system.got().iter().map(|got| got.header("idempotency-key").to_owned()).collect();
    assert_eq!((keys.len(), system.got().len()), (200, 200));
    for relay in &mut relays {
        assert_eq!(relay.stop().await.code(), Some(0));
    }
}
