//! The system behind the relay: it notes what it gets, and answers as it is told.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What came.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How it is answered.
    pub(crate) status: u16,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

type Behaviour = Box<dyn Fn(&Got, usize) -> u16 + Send>;

/// The system.
pub(crate) struct System {
    pub(crate) url: String,
    got: Arc<Mutex<Vec<Got>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    shut: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl System {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
        let got = Arc::<Mutex<Vec<Got>>>::default();
        let behaviour: Arc<Mutex<Behaviour>> = Arc::new(Mutex::new(Box::new(|_, _| 200)));
        let (shut, opened) = watch::channel(false);
        let (all, how) = (Arc::clone(&got), Arc::clone(&behaviour));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (all, how, opened) = (Arc::clone(&all), Arc::clone(&how), opened.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (all, how, mut opened) = (Arc::clone(&all), Arc::clone(&how), opened.clone());
                    async move {
                        let response = answer(request, &all, &how).await;
                        let _ = opened.wait_for(|shut| !*shut).await.map(drop);
                        Ok::<_, Infallible>(response)
                    }
                });
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(serving);
            }
        });
        Self { url, got, behaviour, shut, accepting }
    }

    /// How it answers from now on, by what came and how much came before.
    pub(crate) fn behave(&self, behaviour: impl Fn(&Got, usize) -> u16 + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    /// Whether answers wait until it is open again.
    pub(crate) fn shut(&self, is_shut: bool) {
        self.shut.send_replace(is_shut);
    }

    /// How often it answered so.
    pub(crate) fn count(&self, status: u16) -> usize {
        self.got.lock().unwrap().iter().filter(|got| got.status == status).count()
    }

    /// All that came.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    all: &Mutex<Vec<Got>>,
    how: &Mutex<Behaviour>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(Full::default());
    let Ok(body) = body.collect().await else { return response };
    let mut got = Got { headers: head.headers, body: body.to_bytes(), status: 0 };
    let mut all = all.lock().unwrap();
    let status = how.lock().unwrap()(&got, all.len());
    got.status = status;
    all.push(got);
    *response.status_mut() = status.try_into().unwrap();
    response
}

impl Drop for System {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
