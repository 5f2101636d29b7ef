//! More than there is room for: limits hold, memory stays flat, and what was answered with 202 is there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::desk::{BOTH, Relay, configuration, event, forward_to, id, message, now_s, signed, until};
use crate::system::System;
use crate::testing::{self, proxy::Proxy};

/// W-10: an address and a sender have their pace; beyond it they are asked to wait, and nothing more comes out.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_held_to_its_pace() {
    for (listen, sender, code) in [
        ("requests_per_address_per_s = 20", "", "too_many_of_address"),
        ("", "messages_per_s = 20", "too_many_of_sender"),
    ] {
        let system = System::start().await;
        let relay = Relay::start_with(&configuration(listen, sender, &forward_to(&system.url))).await;
        let messages: Vec<_> = (0..400).map(|_| message()).collect();
        let posts = stream::iter(messages.iter().map(|sent| relay.post_to("countersign", sent)));
        let responses: Vec<_> = posts.buffered(100).collect().await;
        let taken = responses.iter().filter(|response| response.status().as_u16() == 202).count();
        for response in responses.iter().filter(|response| response.status().as_u16() != 202) {
            assert_eq!(response.status().as_u16(), 429);
            let wait_s: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=2).contains(&wait_s), "{wait_s}");
        }
        assert!((20..200).contains(&taken), "{taken} were taken");
        assert_eq!(relay.counted("received", code).await, 400 - taken as u64);
        until("what was taken", || std::future::ready((system.got().len() == taken).then_some(()))).await;
        relay.until_empty().await;
        assert_eq!(system.got().len(), taken);
    }
}

/// W-10: a full queue asks for patience, and loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_asks_for_patience_and_loses_nothing() {
    for database in BOTH {
        let system = System::start().await;
        system.behave(|_, _| 500);
        let configuration = configuration("", "", &forward_to(&system.url))
            .replace("file = \"relay.db\"", "file = \"relay.db\"\nmessages = 3");
        let relay = Relay::start_over(database, &configuration).await;
        let (mut taken, mut sent_back) = (Vec::new(), Vec::new());
        for sent in std::iter::repeat_with(message).take(6) {
            let response = relay.post_to("countersign", &sent).await;
            match response.status().as_u16() {
                202 => taken.push(sent),
                status => {
                    assert_eq!((status, response.headers()["retry-after"].to_str().unwrap()), (503, "5"));
                    sent_back.push(sent);
                }
            }
        }
        assert_eq!((taken.len(), sent_back.len()), (3, 3), "{database:?}");
        assert_eq!(relay.ask("/readyz").await.0, 503);
        assert_eq!(relay.ask("/healthz").await.0, 200);
        system.behave(|_, _| 200);
        relay.until_empty().await;
        assert_eq!(relay.ask("/readyz").await.0, 200);
        for sent in &sent_back {
            assert_eq!(relay.post(sent).await, 202, "what was not kept is not known");
        }
        relay.until_empty().await;
        let mut keys: Vec<_> =
            system.got().iter().map(|got| got.header("idempotency-key").to_owned()).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 6);
    }
}

/// W-4, W-10: a disk that is full gives 503; what was answered with 202 before is there, and the rest comes again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing() {
    let system = System::start().await;
    system.behave(|_, _| 500);
    let mut relay = Relay::new(&configuration("", "", &forward_to(&system.url)));
    relay.file_kib_max = Some(1_024);
    relay.start().await;
    let (mut taken, mut sent_back) = (Vec::new(), Vec::new());
    while sent_back.len() < 5 {
        let sent = message();
        match relay.post_to("countersign", &sent).await.status().as_u16() {
            202 => taken.push(sent),
            503 => sent_back.push(sent),
            status => panic!("{status}"),
        }
        assert!(taken.len() < 10_000);
    }
    assert!(!taken.is_empty());
    relay.kill();
    relay.file_kib_max = None;
    system.behave(|_, _| 200);
    relay.start().await;
    for sent in &sent_back {
        assert_eq!(relay.post(sent).await, 202);
    }
    relay.until_empty().await;
    let got = system.got();
    for sent in taken.iter().chain(&sent_back) {
        assert!(got.iter().any(|got| got.header("idempotency-key").ends_with(&sent.id)), "{}", sent.id);
    }
}

/// W-4, W-10: a database that goes away, again and again, gives 503; what was answered with 202 comes out, and the rest comes again.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_loses_nothing() {
    let system = System::start().await;
    let cluster = testing::cluster().unwrap();
    let cable = Proxy::start(cluster.port()).await.unwrap();
    let url = cluster.database().await.unwrap();
    let through = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", cable.port()));
    let forward = forward_to(&system.url).replace("attempt_s = 2", "attempt_s = 1");
    let mut relay = Relay::new(&configuration("", "", &forward));
    relay.over_url(&through);
    relay.start().await;
    let (mut sent, mut sent_back) = (Vec::new(), 0);
    for number in 0..120 {
        let (id, mut time_s) = (id("msg"), now_s());
        let body = event("env_1", number);
        if number % 5 == 0 {
            cable.cut();
        }
        loop {
            match relay.post(&signed(&id, time_s, &body)).await {
                202 => break,
                503 => sent_back += 1,
                status => panic!("{status}"),
            }
            time_s += 1;
        }
        sent.push(id);
    }
    assert!(sent_back > 0, "the cable was cut for nothing");
    until("all of them", || {
        let got = system.got();
        let came = |id: &String| got.iter().any(|got| got.header("idempotency-key").ends_with(id));
        std::future::ready(sent.iter().all(came).then_some(()))
    })
    .await;
    relay.until_empty().await;
}

async fn endless(address: String, framing: &'static str, encoding: &'static str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /in/countersign HTTP/1.1\r\nhost: relay\r\n{encoding}{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [&b"10000\r\n"[..], &vec![0x1f; 0x10000], b"\r\n"].concat();
    let (mut read, mut write) = stream.split();
    let mut said = vec![0; 12];
    let writing = async { while write.write_all(&chunk).await.is_ok() {} };
    // The answer comes while the body is still sent; that the connection is cut before it is read is as good.
    tokio::select! {
        _ = read.read_exact(&mut said) => {}
        () = writing => {}
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("the relay reads for ever"),
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// W-10: bodies without an end, bodies that are bombs, and bodies that never come leave memory flat.
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat_whatever_is_sent() {
    let system = System::start().await;
    let limits = "bodies_bytes = 8388608\nrequest_s = 5";
    let relay = Relay::start_with(&configuration(limits, "", &forward_to(&system.url))).await;
    assert_eq!(relay.post(&message()).await, 202);
    let before_kib = relay.memory_kib();
    let address = Arc::<str>::from(relay.url.trim_start_matches("http://"));
    for _ in 0..3 {
        let of = |framing, encoding| endless(address.to_string(), framing, encoding);
        let many = (0..150).map(|number| match number % 3 {
            0 => of("transfer-encoding: chunked", ""),
            1 => of("transfer-encoding: chunked", "content-encoding: gzip\r\n"),
            _ => of("content-length: 300000000", ""),
        });
        for said in join_all(many).await {
            let is_refused = ["413", "415", "503"].iter().any(|status| said.ends_with(status));
            assert!(is_refused || said.starts_with('\0'), "{said}");
        }
    }
    let grown_kib = relay.memory_kib() - before_kib;
    println!("450 endless bodies: {before_kib} KiB before, {grown_kib} KiB more at most");
    assert!(grown_kib < 48 * 1_024, "{grown_kib} KiB more");
    assert_eq!(relay.post(&message()).await, 202, "it goes on");
    until("both messages", || std::future::ready((system.got().len() == 2).then_some(()))).await;
}
