//! What is refused, with its status, and that nothing of it comes out behind.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::desk::{BOTH, Relay, Sent, configuration, event, forward_to, id, message, now_s, signed, until};
use crate::system::System;

fn forged() -> Sent {
    message().with("webhook-signature", &format!("v1,{}=", "A".repeat(43)))
}

fn changed(change: impl FnOnce(&mut Sent)) -> Sent {
    let mut sent = message();
    change(&mut sent);
    sent
}

/// W-3, W-10: whatever is wrong with a message, it is refused with the status of the wire format, and nothing is forwarded.
#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_message_has_its_status_and_none_is_forwarded() {
    let now_s = now_s();
    for database in BOTH {
        let system = System::start().await;
        let relay = Relay::start_over(database, &configuration("", "", &forward_to(&system.url))).await;
        let at = |time_s| signed(&id("msg"), time_s, &event("env_1", 1));
        let cases = [
            ("bad_signature", 401, forged()),
            ("bad_signature", 401, changed(|sent| sent.body = event("env_2", 1))),
            ("bad_signature", 401, message().with("webhook-id", &id("msg"))),
            ("bad_signature", 401, message().with("webhook-timestamp", &(now_s - 7).to_string())),
            ("stale", 408, at(now_s - 330)),
            ("future", 400, at(now_s + 330)),
            ("unknown_key", 401, message().with("webhook-key-id", "whk_01kb1x8a9wh5t0c8m2q4r6s7vx")),
            ("malformed", 400, changed(|sent| sent.headers.retain(|(name, _)| name != "webhook-id"))),
            ("malformed", 400, message().with("webhook-timestamp", "soon")),
            ("unsupported_encoding", 415, message().with("content-encoding", "gzip")),
            ("too_large", 413, signed(&id("msg"), now_s, &vec![b' '; 256 * 1_024 + 1])),
            ("not_an_event", 400, signed(&id("msg"), now_s, b"[]")),
        ];
        for (code, status, sent) in cases {
            let before = relay.counted("received", code).await;
            let response = relay.post_to("countersign", &sent).await;
            assert_eq!(response.status().as_u16(), status, "{code}");
            assert_eq!(response.bytes().await.unwrap().len(), 0, "{code}: the answer says nothing more");
            assert_eq!(relay.counted("received", code).await, before + 1, "{code}");
        }
        assert_eq!(relay.post_to("nobody", &message()).await.status().as_u16(), 404);
        let got = relay.client.get(format!("{}/in/countersign", relay.url)).send().await.unwrap();
        assert_eq!((got.status().as_u16(), got.headers()["allow"].to_str().unwrap()), (405, "POST"));
        // After all of it, a right one is taken: and it is the only one that comes out.
        let right = message();
        assert_eq!(relay.post(&right).await, 202);
        until("the right one", || std::future::ready((!system.got().is_empty()).then_some(()))).await;
        relay.until_empty().await;
        let got = system.got();
        assert_eq!(got.len(), 1);
        assert!(got[0].header("idempotency-key").ends_with(&right.id));
        let said = relay.said();
        for secret in ["whsec_", "v1,", "env_2"] {
            assert!(!said.contains(secret), "the log holds {secret}: {said}");
        }
    }
}

/// W-10: who may send is said by network; a proxy's word counts only where it is trusted.
#[tokio::test(flavor = "multi_thread")]
async fn another_network_is_refused() {
    let system = System::start().await;
    let forward = forward_to(&system.url);
    let closed = Relay::start_with(&configuration("", "networks = [\"10.0.0.0/8\"]", &forward)).await;
    assert_eq!(closed.post(&message().with("x-forwarded-for", "10.0.0.1")).await, 403);
    let trusting = "behind_proxy = true\ntrusted_proxies = [\"127.0.0.0/8\"]";
    let open = Relay::start_with(&configuration(trusting, "networks = [\"10.0.0.0/8\"]", &forward)).await;
    assert_eq!(open.post(&message().with("x-forwarded-for", "10.0.0.1, 192.0.2.1")).await, 403);
    assert_eq!(open.post(&message().with("x-forwarded-for", "192.0.2.1, 10.0.0.1")).await, 202);
    open.until_empty().await;
    assert_eq!(system.got().len(), 1);
}

async fn raw(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(relay.url.trim_start_matches("http://")).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// All that comes until the connection ends. That it is reset is an end too.
async fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 1_024];
    loop {
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut buffer)).await;
        match read.expect("the relay closes the connection") {
            Ok(0) | Err(_) => break,
            Ok(count) => said.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn head(sent: &Sent, framing: &str) -> String {
    let headers =
        sent.headers.iter().fold(String::new(), |all, (name, value)| format!("{all}{name}: {value}\r\n"));
    format!("POST /in/countersign HTTP/1.1\r\nhost: relay\r\n{headers}{framing}\r\n\r\n")
}

/// Writes a byte now and then until the relay has enough of it.
async fn drip(mut stream: TcpStream, byte: u8) -> String {
    let (mut read, mut write) = stream.split();
    let mut said = Vec::new();
    let dripping = async {
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        loop {
            beat.tick().await;
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    };
    let reading = async {
        let mut buffer = [0; 1_024];
        while let Ok(count @ 1..) = read.read(&mut buffer).await {
            said.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::select! {
        () = dripping => {}
        () = reading => {}
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("the relay does not close the connection"),
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// W-10: one deadline holds over headers and body, however small the steps in which they come.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_slowly_is_cut_off() {
    let system = System::start().await;
    let relay = Relay::start_with(&configuration("request_s = 3", "", &forward_to(&system.url))).await;
    let sent = message();
    let mut slow_body = raw(&relay).await;
    slow_body.write_all(head(&sent, "content-length: 1000").as_bytes()).await.unwrap();
    let mut slow_chunks = raw(&relay).await;
    slow_chunks.write_all(head(&sent, "transfer-encoding: chunked").as_bytes()).await.unwrap();
    slow_chunks.write_all(b"ff\r\n").await.unwrap();
    let mut slow_head = raw(&relay).await;
    slow_head.write_all(b"POST /in/countersign HTTP/1.1\r\nx-slow: ").await.unwrap();
    let silent = raw(&relay).await;
    let (body, chunks, head, silence) =
        tokio::join!(drip(slow_body, b' '), drip(slow_chunks, b' '), drip(slow_head, b'a'), async {
            let mut silent = silent;
            rest(&mut silent).await
        });
    for said in [&body, &chunks, &head] {
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("connection: close"), "{said}");
    }
    assert_eq!(head.matches("HTTP/1.1").count(), 1, "{head}");
    assert!(silence.is_empty(), "{silence}");
    assert_eq!(relay.counted("received", "slow").await, 2);
    assert_eq!(relay.post(&sent).await, 202, "a message that was not whole is not known");
    relay.until_empty().await;
    assert_eq!(system.got().len(), 1);
}

/// W-10: a head that comes slowly on a connection that had an answer is told so after that answer, and not in its middle.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_after_an_answer_is_told() {
    let system = System::start().await;
    let relay = Relay::start_with(&configuration("request_s = 3", "", &forward_to(&system.url))).await;
    let sent = message();
    let mut stream = raw(&relay).await;
    let request = head(&sent, &format!("content-length: {}", sent.body.len()));
    stream.write_all(&[request.as_bytes(), &sent.body].concat()).await.unwrap();
    stream.write_all(b"POST /in/countersign HTTP/1.1\r\nx-slow: ").await.unwrap();
    let said = drip(stream, b'a').await;
    let statuses = said.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split(' ').next());
    assert_eq!(statuses.collect::<Vec<_>>(), ["202", "408"], "{said}");
}

/// W-10: headers are bounded in number and size.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_bomb_is_refused() {
    let system = System::start().await;
    let relay = Relay::start_with(&configuration("", "", &forward_to(&system.url))).await;
    let mut many = message();
    for number in 0..200 {
        many = many.with(&format!("x-{number}"), "a");
    }
    for sent in [many, message().with("x-long", &"a".repeat(64 * 1_024))] {
        let mut stream = raw(&relay).await;
        // The relay may have closed it before all of it was written.
        let _ = stream.write_all(head(&sent, "content-length: 0").as_bytes()).await;
        let said = rest(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    }
    assert_eq!(system.got().len(), 0);
}

/// W-10: bytes are counted as they come, in however many chunks; what is not HTTP ends the connection.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_a_length_are_counted_as_they_come() {
    let system = System::start().await;
    let relay = Relay::start_with(&configuration("body_bytes = 4096", "", &forward_to(&system.url))).await;
    let sent = message();
    // A byte in each chunk, and a body that is right.
    let mut stream = raw(&relay).await;
    let chunks: Vec<u8> =
        sent.body.iter().flat_map(|byte| [b"1\r\n", &[*byte][..], b"\r\n"].concat()).collect();
    stream
        .write_all(head(&sent, "transfer-encoding: chunked\r\nconnection: close").as_bytes())
        .await
        .unwrap();
    stream.write_all(&chunks).await.unwrap();
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let said = rest(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 202 "), "{said}");
    // A byte in each chunk, and no end.
    let mut stream = raw(&relay).await;
    stream.write_all(head(&message(), "transfer-encoding: chunked").as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let endless = async { while write.write_all(&b"1\r\na\r\n".repeat(1_000)).await.is_ok() {} };
    let mut said = [0; 12];
    tokio::select! {
        () = endless => {}
        read = read.read_exact(&mut said) => { read.unwrap(); }
    }
    assert_eq!(&said, b"HTTP/1.1 413", "{}", String::from_utf8_lossy(&said));
    // Two lengths, and a chunk that is none.
    for (framing, body) in [
        ("content-length: 5\r\ntransfer-encoding: chunked", "zz\r\n"),
        ("content-length: 5\r\ncontent-length: 6", "aaaaaa"),
        ("transfer-encoding: chunked", "fffffffffffffffff\r\na"),
    ] {
        let mut stream = raw(&relay).await;
        let _ = stream.write_all(format!("{}{body}", head(&message(), framing)).as_bytes()).await;
        let said = rest(&mut stream).await;
        assert!(!said.contains(" 202 "), "{framing}: {said}");
    }
    relay.until_empty().await;
    assert_eq!(system.got().len(), 1);
}

/// W-10: an address has so many connections, and more are cut off; what it gives up, it may take again.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_an_address_are_counted() {
    let system = System::start().await;
    let limits = "connections_per_address = 3\nrequest_s = 30";
    let relay = Relay::start_with(&configuration(limits, "", &forward_to(&system.url))).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut stream = raw(&relay).await;
        stream.write_all(b"POST /in/countersign HTTP/1.1\r\n").await.unwrap();
        kept.push(stream);
    }
    until("all three are counted", || async { (relay.metric("connections").await == 3).then_some(()) }).await;
    assert_eq!(rest(&mut raw(&relay).await).await, "");
    kept.pop();
    until("it is forgotten", || async { (relay.metric("connections").await == 2).then_some(()) }).await;
    assert_eq!(relay.post(&message()).await, 202);
}
