//! The receivers: one that verifies each message with our own package, writes down when it came and answers 204, and, on paths
//! of their own, those that do not answer as they should.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use countersign_server::{app::Clock as _, app::SystemClock, config::Config, tls::Tls};
use countersign_webhooks::{Accept, Incoming, KeySet, Place, Verifier};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{Request, Response, body::Bytes, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, runtime};
use tokio_rustls::TlsAcceptor;

use crate::{Failure, cpu, house::Folder};

/// How long the slow one takes: longer than anybody waits.
const SLOW: Duration = Duration::from_secs(25);
/// Between two looks for what arrived.
const BETWEEN: Duration = Duration::from_millis(20);

/// How receivers answer, each on a path of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should be.
    Good,
    /// After [`SLOW`].
    Slow,
    /// 500.
    Fails,
    /// A head, and nothing after it.
    Hangs,
    /// Closes the connection.
    Resets,
    /// 503, to come back in thirty years.
    Lies,
    /// Nobody listens.
    Dead,
}

impl Manner {
    const ALL: [Self; 7] =
        [Self::Good, Self::Slow, Self::Fails, Self::Hangs, Self::Resets, Self::Lies, Self::Dead];

    fn path(self) -> &'static str {
        match self {
            Self::Good => "/good",
            Self::Slow => "/slow",
            Self::Fails => "/fails",
            Self::Hangs => "/hangs",
            Self::Resets => "/resets",
            Self::Lies => "/lies",
            Self::Dead => "/dead",
        }
    }
}

/// A message that arrived at the good one.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The envelope that it is about.
    pub(crate) envelope: String,
    /// When all of it was there.
    pub(crate) at: Instant,
    /// Bytes of its body.
    pub(crate) body_bytes: usize,
}

#[derive(Default)]
struct Seen {
    arrivals: Vec<Arrival>,
    refused: Option<String>,
    /// Requests at each of the others.
    requests: BTreeMap<&'static str, u32>,
}

struct Receiving {
    keys: KeySet,
    url: String,
    seen: Mutex<Seen>,
}

impl Receiving {
    fn seen<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Receivers at work, in threads of this process.
pub(crate) struct Receiver {
    runtime: runtime::Runtime,
    listener: std::net::TcpListener,
    tls: TlsAcceptor,
    ca_file: PathBuf,
    port: u16,
    receiving: Mutex<Option<Arc<Receiving>>>,
}

impl Receiver {
    /// Listens, with a certificate of a CA of its own under `folder`.
    pub(crate) fn start(folder: &Folder) -> Result<Self, Failure> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let mut config = Config::default();
        config.server.data_dir = folder.path().join("receiver");
        config.server.public_url = format!("https://localhost:{port}");
        std::fs::create_dir(&config.server.data_dir)?;
        let tls = Tls::open(&config, SystemClock.now())?;
        let runtime = runtime::Builder::new_multi_thread().enable_all().thread_name("receiver").build()?;
        let ca_file = config.development_ca_file();
        let receiving = Mutex::default();
        Ok(Self { runtime, listener, tls: TlsAcceptor::from(tls.server), ca_file, port, receiving })
    }

    /// Its CA.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Where messages go that are to be answered so.
    pub(crate) fn url(&self, manner: Manner) -> Result<String, Failure> {
        let port = if manner == Manner::Dead { crate::cluster::free_port()? } else { self.port };
        Ok(format!("https://localhost:{port}{}", manner.path()))
    }

    /// Takes messages that these keys sign.
    pub(crate) fn receive(&self, keys: KeySet) -> Result<(), Failure> {
        let receiving = Arc::new(Receiving { keys, url: self.url(Manner::Good)?, seen: Mutex::default() });
        *self.receiving.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&receiving));
        let (listener, tls) = (self.listener.try_clone()?, self.tls.clone());
        self.runtime.spawn(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, receiving) = (tls.clone(), Arc::clone(&receiving));
                tokio::spawn(async move {
                    // Who breaks off is not served further.
                    let Ok(stream) = stream.set_nodelay(true).map(|()| stream) else { return };
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(Arc::clone(&receiving), request));
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(())
    }

    fn seen<T: Default>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let receiving = self.receiving.lock().unwrap_or_else(PoisonError::into_inner);
        receiving.as_ref().map(|receiving| receiving.seen(change)).unwrap_or_default()
    }

    /// What arrived since it was asked last.
    pub(crate) fn take(&self) -> Vec<Arrival> {
        self.seen(|seen| std::mem::take(&mut seen.arrivals))
    }

    /// Requests so far that were answered otherwise than they should be, by path.
    pub(crate) fn requests(&self) -> BTreeMap<&'static str, u32> {
        self.seen(|seen| seen.requests.clone())
    }

    /// Waits until so many arrived, and takes them.
    pub(crate) fn wait_for(&self, count: usize, patience: Duration) -> Result<Vec<Arrival>, Failure> {
        let began = cpu::now();
        loop {
            if let Some(refused) = self.seen(|seen| seen.refused.clone()) {
                return Err(format!("the receiver refused a message: {refused}").into());
            }
            let arrived = self.seen(|seen| seen.arrivals.len());
            if arrived >= count {
                return Ok(self.take());
            }
            if began.elapsed() > patience {
                return Err(format!("{arrived} of {count} messages arrived in time").into());
            }
            cpu::pause(BETWEEN);
        }
    }
}

/// The receiver broke off on purpose.
#[derive(Debug)]
struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off")
    }
}

impl Error for BrokenOff {}

type Answer = Response<BoxBody<Bytes, BrokenOff>>;

fn with_status(status: u16, body: BoxBody<Bytes, BrokenOff>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    answer
}

fn empty() -> BoxBody<Bytes, BrokenOff> {
    Full::default().map_err(|never| match never {}).boxed()
}

async fn answer(
    receiving: Arc<Receiving>,
    request: Request<hyper::body::Incoming>,
) -> Result<Answer, BrokenOff> {
    let path = request.uri().path();
    let manner = Manner::ALL.into_iter().find(|manner| manner.path() == path).unwrap_or(Manner::Fails);
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| BrokenOff)?.to_bytes();
    let at = cpu::now();
    if manner != Manner::Good {
        receiving.seen(|seen| *seen.requests.entry(manner.path()).or_default() += 1);
    }
    match manner {
        Manner::Good => Ok(with_status(take(&receiving, &head, &body, at), empty())),
        Manner::Slow => {
            tokio::time::sleep(SLOW).await;
            Ok(with_status(204, empty()))
        }
        Manner::Fails => Ok(with_status(500, empty())),
        Manner::Hangs => Ok(with_status(200, Hanging.boxed())),
        Manner::Resets | Manner::Dead => Err(BrokenOff),
        Manner::Lies => {
            let mut answer = with_status(503, empty());
            let forever = hyper::header::HeaderValue::from_static("1000000000");
            answer.headers_mut().insert(hyper::header::RETRY_AFTER, forever);
            Ok(answer)
        }
    }
}

/// A body of which nothing ever comes.
struct Hanging;

impl hyper::body::Body for Hanging {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, BrokenOff>>> {
        std::task::Poll::Pending
    }
}

/// Verifies a message, and writes it down. Gives the status.
fn take(receiving: &Receiving, head: &hyper::http::request::Parts, body: &[u8], at: Instant) -> u16 {
    let verified = Place::of_url(&receiving.url).map_err(|error| error.to_string()).and_then(|place| {
        let incoming = Incoming::new("POST", place, &head.headers, body);
        let now_s = SystemClock.now().unix_ms() / 1_000;
        let verifier = Verifier::new(Accept::V1);
        verifier.authenticate(&incoming, &receiving.keys, now_s).map_err(|refused| refused.to_string())
    });
    match verified {
        Ok(event) => {
            let envelope = event.envelope().unwrap_or_default().to_owned();
            let arrival = Arrival { envelope, at, body_bytes: body.len() };
            receiving.seen(|seen| seen.arrivals.push(arrival));
            204
        }
        Err(refused) => {
            receiving.seen(|seen| seen.refused = Some(refused));
            401
        }
    }
}
