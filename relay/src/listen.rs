//! Connections: how many, of whom, TLS, one deadline over the headers and the body of a request, and an end in which requests
//! in work are answered.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

use crate::clock;
use crate::fault::Fault;
use crate::limits::Crowd;

/// Headers of a request at most: 431 beyond.
const HEADERS_MAX: usize = 64;
/// Bytes of a request's head at most: 431 beyond.
const HEAD_BYTES_MAX: usize = 16 * 1_024;

/// What is said to a head that does not come to its end in time, which no request is made of.
const SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A connection without a request is kept so long, for the next one.
const IDLE: Duration = Duration::from_secs(75);

/// What to do about an address that cannot be listened on.
pub const ADVICE: &str = "Stop what listens there, or set another address of this machine";

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Whether it showed a certificate that is believed.
    pub has_certificate: bool,
    /// When everything of the request has to be here.
    pub until: Instant,
}

/// What answers requests.
pub trait Answers: Send + Sync + 'static {
    /// Answers one.
    fn answer(self: Arc<Self>, peer: Peer, request: Request<Incoming>)
    -> impl Future<Output = Answer> + Send;
}

/// How a place listens.
#[derive(Clone)]
pub struct Door {
    /// TLS, if there is.
    pub tls: Option<TlsAcceptor>,
    /// Connections at once.
    pub connections: u32,
    /// How many each address has.
    pub crowd: Arc<Crowd>,
    /// Time for a handshake, and for a request from its first byte to its last.
    pub request: Duration,
    /// Time for requests in work at the end.
    pub drain: Duration,
}

/// Binds an address; `place` is where it stands in the configuration.
pub async fn bind(address: SocketAddr, place: &str) -> Result<(TcpListener, SocketAddr), Fault> {
    let failed =
        |error: io::Error| Fault::Machine(format!("{place}: cannot listen on {address}: {error}. {ADVICE}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Ends when the relay is told to stop, or when nobody is left who could tell it.
pub async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // Either answer means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await.map(|_| ());
}

/// Accepts until it is told to stop, and returns when requests in work were answered or their time is over.
pub async fn accept(
    listener: TcpListener,
    door: Door,
    answers: Arc<impl Answers>,
    mut stopped: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(usize::try_from(door.connections).unwrap_or(1)));
    loop {
        // With all places taken, new connections wait in the kernel's queue.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            (accepted, place) = accepted => match (accepted, place) {
                (Ok((stream, peer)), Ok(place)) => {
                    connected(stream, peer.ip().to_canonical(), place, &door, &answers, graceful.watcher());
                }
                (Err(error), _) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    // Out of file descriptors, most likely: some come back as connections end.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                (_, Err(_)) => return,
            },
            () = told_to_stop(&mut stopped) => break,
        }
    }
    drop(listener);
    if tokio::time::timeout(door.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut: their requests took longer than listen.drain_s");
    }
}

fn connected(
    stream: TcpStream,
    address: IpAddr,
    place: OwnedSemaphorePermit,
    door: &Door,
    answers: &Arc<impl Answers>,
    watcher: Watcher,
) {
    // Whoever has too many already is cut off without a word.
    let Some(one_of) = door.crowd.enter(address) else { return };
    let (answers, tls, request) = (Arc::clone(answers), door.tls.clone(), door.request);
    tokio::spawn(async move {
        let _held = (place, one_of);
        if stream.set_nodelay(true).is_err() {
            return;
        }
        match tls {
            None => converse(stream, (address, false), request, answers, watcher).await,
            Some(tls) => {
                // A handshake that fails is the client's affair: most are scanners.
                if let Ok(Ok(stream)) = tokio::time::timeout(request, tls.accept(stream)).await {
                    let shown = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
                    converse(stream, (address, shown), request, answers, watcher).await;
                }
            }
        }
    });
}

async fn converse<S>(
    stream: S,
    (address, has_certificate): (IpAddr, bool),
    request_time: Duration,
    answers: Arc<impl Answers>,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let clocked = Clocked::new();
    let of_requests = clocked.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (answers, clocked) = (Arc::clone(&answers), of_requests.clone());
        let until = clocked.work().checked_add(request_time).unwrap_or_else(clock::instant);
        async move {
            let answer = answers.answer(Peer { address, has_certificate, until }, request).await;
            clocked.idle();
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let timed = Timed { stream, clocked, request_time, alarm: None, is_writing: false };
    let connection = builder.serve_connection(TokioIo::new(timed), service);
    // How a connection ends is the client's affair.
    let _ = watcher.watch(connection).await;
}

/// Where a connection is with its request.
#[derive(Clone, Copy)]
enum Phase {
    /// Between two requests.
    Idle,
    /// Since then the first byte of the first one is waited for.
    First(Instant),
    /// Since then the head of one arrives.
    Head(Instant),
    /// One is answered, after the rest of it has come.
    Work,
}

/// The phase of a connection, for its stream and for its requests.
#[derive(Clone)]
struct Clocked(Arc<Mutex<Phase>>);

impl Clocked {
    /// A new connection: its first head is waited for no longer than one that has begun.
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Phase::First(clock::instant()))))
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    fn heard(&self) {
        let mut phase = self.phase();
        match *phase {
            Phase::Idle => *phase = Phase::Head(clock::instant()),
            Phase::First(begun) => *phase = Phase::Head(begun),
            Phase::Head(_) | Phase::Work => {}
        }
    }

    /// The head is here; when its first byte came.
    fn work(&self) -> Instant {
        match std::mem::replace(&mut *self.phase(), Phase::Work) {
            Phase::First(begun) | Phase::Head(begun) => begun,
            Phase::Idle | Phase::Work => clock::instant(),
        }
    }

    fn idle(&self) {
        *self.phase() = Phase::Idle;
    }
}

/// A stream that ends when the head of a request takes too long, and says so.
struct Timed<S> {
    stream: S,
    clocked: Clocked,
    request_time: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether an answer may be on its way: nothing is said in its middle.
    is_writing: bool,
}

impl<S: AsyncWrite + Unpin> Timed<S> {
    /// Says that the head took too long, if there is room for it: whoever sends slowly may read slowly, and is not waited for.
    fn say_slow(&mut self, context: &mut Context<'_>) {
        if !self.is_writing && Pin::new(&mut self.stream).poll_write(context, SLOW).is_ready() {
            let _ = Pin::new(&mut self.stream).poll_flush(context);
            let _ = Pin::new(&mut self.stream).poll_shutdown(context);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.clocked.heard();
        }
        let phase = *self.clocked.phase();
        let (Phase::First(begun) | Phase::Head(begun)) = phase else {
            self.alarm = None;
            return polled;
        };
        if polled.is_pending() {
            let until = begun.checked_add(self.request_time).unwrap_or(begun).into();
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if alarm.deadline() != until {
                alarm.as_mut().reset(until);
            }
            if alarm.as_mut().poll(context).is_ready() {
                if matches!(phase, Phase::Head(_)) {
                    self.say_slow(context);
                }
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_writing = true;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.is_writing &= flushed.is_pending();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
