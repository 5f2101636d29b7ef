//! Answers that come a byte at a time, or that unpack to more than anybody has: one deadline over all of an answer, and little of it
//! is held.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use countersign_server::{
    config::Egress,
    egress::messenger::{ANSWER_BYTES, Messenger},
};
use flate2::{Compression, write::GzEncoder};
use tokio::io::AsyncWriteExt as _;

use super::hostile::raw;
use crate::receivers::{self, authority};

/// The time for an attempt in these tests, which is real.
const DEADLINE: Duration = Duration::from_secs(2);

fn messenger(folder: &std::path::Path) -> Messenger {
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, authority().pem()).unwrap();
    let allow_hosts = vec!["localhost".to_owned()];
    Messenger::new(&Egress { allow_hosts, ca_file: Some(ca), ..Egress::default() }).unwrap()
}

/// A receiver that writes `begin`, and then `drop` again and again, a beat apart, for as long as somebody listens; and how
/// often it did.
async fn dripping(begin: &'static str, drop: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&drops);
    let url = raw(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            let mut beat = tokio::time::interval(Duration::from_millis(20));
            let mut next = begin.as_bytes();
            while stream.write_all(next).await.is_ok() && stream.flush().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
                beat.tick().await;
                next = drop;
            }
        }
    })
    .await;
    (url, drops)
}

/// W-8: whatever of an answer comes slowly, it has the time of the attempt and no more, and what came of it does not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_drips_has_one_deadline_over_headers_and_body() {
    let folder = tempfile::tempdir().unwrap();
    let messenger = messenger(folder.path()).within(DEADLINE);
    for (what, begin, drop) in [
        ("the first line", "HTTP/1.1 200 ", &b"O"[..]),
        ("a header", "HTTP/1.1 200 OK\r\nx-slow: ", b"a"),
        ("headers", "HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        ("answers before the answer", "", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        ("a body with a length", "HTTP/1.1 200 OK\r\ncontent-length: 16000\r\n\r\n", b"a"),
        ("a body without one", "HTTP/1.1 200 OK\r\n\r\n", b"a"),
        ("a body in chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        ("the length of a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"0"),
        ("trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    ] {
        let (url, drops) = dripping(begin, drop).await;
        #[expect(clippy::disallowed_methods, reason = "sockets live in real time")]
        let begun = Instant::now();
        let sent = receivers::post(&messenger, &url).await;
        assert!(begun.elapsed() < 5 * DEADLINE, "{what}: {:?}", begun.elapsed());
        let said = String::from_utf8(sent.answer).unwrap();
        let is_told = said.contains("no whole answer within 2 seconds");
        assert!(sent.status.is_none() && is_told, "{what}: {:?} {said}", sent.status);
        assert!(drops.load(Ordering::SeqCst) > 1, "{what}");
    }
}

/// W-8: an answer that is packed is not unpacked, whatever it calls itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_is_kept_as_it_came_and_no_more_of_it_than_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let messenger = messenger(folder.path());
    // 256 MiB of nothing, in some 256 KiB.
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..256 {
        packed.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let packed: Arc<[u8]> = packed.finish().unwrap().into();
    assert!(packed.len() > ANSWER_BYTES);
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, gzip, br"] {
        let bomb = Arc::clone(&packed);
        let url = raw(move |mut stream| {
            let bomb = Arc::clone(&bomb);
            async move {
                let length = bomb.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {length}\r\n\r\n"
                );
                let _ = stream.write_all(&[head.as_bytes(), &bomb].concat()).await;
            }
        })
        .await;
        let sent = receivers::post(&messenger, &url).await;
        assert_eq!(sent.status, Some(200), "{encoding}");
        assert!(sent.answer == packed[..ANSWER_BYTES], "{encoding}");
    }
}
