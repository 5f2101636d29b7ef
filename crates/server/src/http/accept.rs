//! The accept loop: TLS handshakes in tasks of their own with a deadline, no Nagle delay, a bound on connections, an end
//! to those that are not used, and a shutdown that lets requests in work end.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, http::header};
use countersign_core::limits;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::{client_certificate::PeerCertificates, client_ip::Peer, leftover::Leftover, presence::Presence};
use crate::{app::App, fault::Fault, http::router::router, tls::Tls};

/// Time for a TLS handshake, for the first request after it, and for the headers of a request.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// A server that listens.
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    /// Where it asks for certificates, if it does.
    pub mutual_address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    loops: Vec<JoinHandle<()>>,
}

impl Serving {
    /// Accepts no more, lets requests in work end, and returns when they have or when their time is over.
    pub async fn stop(self) -> Result<(), Fault> {
        self.stop.send_replace(true);
        for accepting in self.loops {
            accepting.await.map_err(|error| Fault::Task(error.to_string()))?;
        }
        Ok(())
    }
}

/// Binds and serves in the background.
pub async fn serve(app: Arc<App>, tls: Option<&Tls>) -> Result<Serving, Fault> {
    let (listener, address) = listen(app.config.server.listen, "COUNTERSIGN_SERVER__LISTEN").await?;
    let (stop, stopped) = watch::channel(false);
    let accepting = Accepting {
        router: router(Arc::clone(&app)),
        tls: tls.map(|tls| TlsAcceptor::from(Arc::clone(&tls.server))),
        asks_for_certificates: false,
        connections: Arc::new(Semaphore::new(app.config.server.connections)),
        idle: Duration::from_secs(app.config.server.idle_s.into()),
        request: Duration::from_secs(app.config.server.request_s.into()),
        last_words: Duration::from_secs(app.config.server.shutdown_s),
    };
    let mut loops = Vec::new();
    let mut mutual_address = None;
    if let (Some(tls), Some(wanted)) = (tls, app.config.oauth.mtls_listen) {
        let (listener, address) = listen(wanted, "COUNTERSIGN_OAUTH__MTLS_LISTEN").await?;
        let asking = Accepting {
            tls: Some(TlsAcceptor::from(Arc::clone(&tls.mutual))),
            asks_for_certificates: true,
            ..accepting.clone()
        };
        loops.push(tokio::spawn(asking.run(listener, stopped.clone())));
        mutual_address = Some(address);
    }
    loops.push(tokio::spawn(accepting.run(listener, stopped)));
    Ok(Serving { address, mutual_address, stop, loops })
}

async fn listen(wanted: SocketAddr, variable: &str) -> Result<(TcpListener, SocketAddr), Fault> {
    let listener = TcpListener::bind(wanted).await.map_err(|error| {
        let sentence = format!(
            "cannot listen on {wanted}: {error}. If another server runs there, stop it, or set {variable} to another \
             address"
        );
        Fault::Unsafe(sentence)
    })?;
    let address = listener.local_addr().map_err(|error| Fault::Task(error.to_string()))?;
    Ok((listener, address))
}

#[derive(Clone)]
struct Accepting {
    router: Router,
    tls: Option<TlsAcceptor>,
    asks_for_certificates: bool,
    connections: Arc<Semaphore>,
    idle: Duration,
    request: Duration,
    last_words: Duration,
}

impl Accepting {
    async fn run(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        loop {
            // With all permits taken, new connections wait in the kernel's queue.
            let accepted = async {
                let permit = Arc::clone(&self.connections).acquire_owned().await.ok();
                (listener.accept().await, permit)
            };
            tokio::select! {
                (accepted, permit) = accepted => match (accepted, permit) {
                    (Ok((stream, peer)), Some(permit)) => self.connected(stream, peer, permit, graceful.watcher()),
                    (Err(error), _) => {
                        tracing::warn!(event_type = "accept", event_result = "failed", "{error}");
                        // Out of file descriptors, most likely: some come back as connections end.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    (_, None) => return,
                },
                () = told_to_stop(&mut stopped) => break,
            }
        }
        drop(listener);
        let ended = tokio::time::timeout(self.last_words, graceful.shutdown()).await;
        if ended.is_err() {
            tracing::warn!(event_type = "shutdown", event_result = "cut", "connections were cut at shutdown");
        }
    }

    fn connected(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit, watcher: Watcher) {
        let (router, tls) = (self.router.clone(), self.tls.clone());
        let (presence, request_time) = (Presence::new(self.idle), self.request);
        let asks = self.asks_for_certificates;
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(event_type = "accept", event_result = "failed", "{error}");
                return;
            }
            match tls {
                None => converse(stream, (peer, None), router, presence, watcher, request_time).await,
                Some(tls) => {
                    // A handshake that fails is the client's affair: most are scanners.
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                        let shown =
                            asks.then(|| PeerCertificates::of(stream.get_ref().1.peer_certificates()));
                        converse(stream, (peer, shown), router, presence, watcher, request_time).await;
                    }
                }
            }
        });
    }
}

/// Ends when the server is told to stop, or when nobody is left who could tell it.
async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // Either answer means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await.map(|_| ());
}

async fn converse<S>(
    stream: S,
    (peer, certificates): (SocketAddr, Option<PeerCertificates>),
    router: Router,
    presence: Arc<Presence>,
    watcher: Watcher,
    request_time: Duration,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let of_requests = Arc::clone(&presence);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        if let Some(certificates) = &certificates {
            request.extensions_mut().insert(certificates.clone());
        }
        let (router, presence) = (router.clone(), Arc::clone(&of_requests));
        async move {
            let _in_work = presence.request();
            let expects = request.headers().contains_key(header::EXPECT);
            let request = request.map(|body| Body::new(Leftover::new(body, expects, request_time)));
            let answered = router.oneshot(request).await;
            let response = answered.unwrap_or_else(|never| match never {});
            Ok::<_, Infallible>(response.map(|body| presence.answer(body)))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE)
        .max_headers(limits::HEADER_COUNT * 2)
        .max_buf_size(limits::HEADER_BYTES * 4);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits::HEADER_BYTES * 2).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    tokio::select! {
        ended = watcher.watch(connection) => if let Err(error) = ended {
            tracing::debug!(event_type = "connection", event_result = "ended", "{error}");
        },
        () = presence.left(HANDSHAKE) => {
            tracing::debug!(event_type = "connection", event_result = "cut", "its client did not use it");
        }
    }
}
