//! Receivers that do not behave: what one of them does to its own deliveries is nobody else's trouble.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{EnvelopeId, MessageId},
    limits,
    scope::Scopes,
    webhook::{
        class::{Class, Payload},
        endpoint::Profile,
    },
};
use countersign_server::webhooks::{
    act::Act,
    endpoints,
    work::{self, Deliverer},
};
use countersign_store::{
    Batch,
    webhook_rows::{DeliveryState, NewMessage},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{House, settings};
use crate::{oauth::certificates::Wish, receivers::authority};

pub(super) type Stream = TlsStream<tokio::net::TcpStream>;

/// A receiver that speaks TLS and does with each connection what the test wants, after the head of a request; its URL.
pub(super) async fn raw<F: Future<Output = ()> + Send + 'static>(
    act: impl Fn(Stream) -> F + Send + Sync + 'static,
) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (chain, key) = authority().certify(&Wish::dns("localhost")).pem();
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let (acceptor, act) = (TlsAcceptor::from(Arc::new(config)), Arc::new(act));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, act) = (acceptor.clone(), Arc::clone(&act));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut head = [0; 4_096];
                if stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                    act(stream).await;
                }
            });
        }
    });
    url
}

impl House {
    /// So many messages of an envelope's beginning.
    pub(crate) async fn queue(&self, tenant: Tenant, count: usize) {
        let app = &self.app.app;
        let message = |_| NewMessage {
            tenant,
            message: MessageId::new(app.now(), app.draw()),
            stream: EnvelopeId::new(app.now(), app.draw()),
            seq: 1,
            kind: "envelope.created".to_owned(),
            class: u32::from(Class::Envelope.bit()),
            at: app.now(),
            hash: Digest::of(b"x"),
            correlation: app.new_correlation(),
        };
        let messages = (0..count).map(message).collect();
        app.store.commit(Batch { messages, ..Batch::default() }).await.unwrap();
    }
}

/// W-4, W-5: 1,500 messages for an endpoint that never answers hold up no other organization's: those all come while it hangs, and it
/// never has more than its share at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_hangs_holds_up_nobody_else() {
    let house = House::start(false).await;
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (counted, highest) = (Arc::clone(&open), Arc::clone(&most));
    let url = raw(move |mut stream| {
        let (counted, highest) = (Arc::clone(&counted), Arc::clone(&highest));
        async move {
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Until the sender gives up.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            counted.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    let tar_pit = settings(&url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let stuck = house.endpoint(&tar_pit).await.endpoint;
    let other = house.app.sandbox("Lighthouse").await.tenant;
    let (app, circumstances) = (&house.app.app, house.circumstances());
    let good = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = endpoints::create(app, &other, &circumstances, Scopes::ALL, &good, None).await.unwrap();
    let act = Act { tenant: &other, circumstances: &circumstances, keep: None };
    endpoints::activate(app, &act, made.endpoint).await.unwrap();

    house.queue(house.tenant, 1_500).await;
    let deliverer = Deliverer::start(Arc::clone(app));
    until(|| open.load(Ordering::SeqCst) >= usize::from(limits::WEBHOOK_CONCURRENCY_FIRST)).await;
    house.queue(other, 300).await;
    until(|| house.receiver.came().len() == 300).await;
    assert!(
        house.states(stuck).await.iter().all(|state| *state == DeliveryState::Due),
        "nothing of it was done"
    );
    assert!(most.load(Ordering::SeqCst) <= usize::from(limits::WEBHOOK_CONCURRENCY));
    deliverer.stop().await.unwrap();
    house.app.finish_without_worker().await;
}

/// Looks again and again until it is so.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "sockets live in real time")]
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "not within a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// W-8: of an answer without end, or one that would unpack to more, as much is read as is kept, and its status decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_not_read_to_its_end() {
    for encoding in ["identity", "gzip"] {
        let house = House::start(false).await;
        let written = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&written);
        let url = raw(move |mut stream| {
            let counted = Arc::clone(&counted);
            async move {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 300000000\r\n\r\n"
                );
                let chunk = [b'x'; 16 * 1_024];
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
                while stream.write_all(&chunk).await.is_ok() {
                    counted.fetch_add(chunk.len(), Ordering::SeqCst);
                }
            }
        })
        .await;
        let asked = settings(&url, &[Class::Envelope], Payload::Thin, Profile::Standard);
        let made = house.endpoint(&asked).await;
        house.queue(house.tenant, 1).await;
        assert_eq!(work::deliver_due(&house.app.app).await.unwrap(), 1);
        assert_eq!(house.states(made.endpoint).await, [DeliveryState::Delivered], "{encoding}");
        // What the sockets of both sides hold, and no more.
        assert!(written.load(Ordering::SeqCst) < 16 << 20, "{} bytes", written.load(Ordering::SeqCst));
        house.finish().await;
    }
}
