//! Receivers of webhooks over TLS: what they listen with, and how a server is told to trust them.

pub(crate) mod careless;
pub(crate) mod mutual;
pub(crate) mod processes;
pub(crate) mod relay;

use std::sync::{Arc, OnceLock};

use axum::Router;
use countersign_core::webhook::channel::Channel;
use countersign_server::{
    app::{Clock as _, SystemClock},
    config::Config,
    egress::messenger::{Messenger, Sent, Way},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

use crate::oauth::certificates::{Authority, Shown, Wish};

/// The authority of the receivers.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("CA of a receiver"))
}

/// Has a server send to receivers of this machine.
pub(crate) fn trusting(config: &mut Config) {
    let file = config.server.data_dir.parent().unwrap().join("egress-ca.pem");
    std::fs::write(&file, authority().pem()).unwrap();
    config.egress.ca_file = Some(file);
    config.egress.allow_hosts = vec!["localhost".to_owned()];
}

/// What shows that it is `localhost`.
fn own_certificate() -> Parts {
    parts(&authority().certify(&Wish::dns("localhost")))
}

type Parts = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn parts(shown: &Shown) -> Parts {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (chain, key) = shown.pem();
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    (chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
}

/// Listens as `localhost`; the port.
pub(crate) async fn listen(router: Router) -> u16 {
    listen_as(router, own_certificate()).await
}

/// The same with this certificate.
pub(crate) async fn listen_showing(router: Router, shown: &Shown) -> u16 {
    listen_as(router, parts(shown)).await
}

async fn listen_as(router: Router, (chain, key): Parts) -> u16 {
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    accept(config, move |_| router.clone()).await
}

/// Listens with this configuration, and serves each connection with what `serve` has for it; the port.
async fn accept(
    config: rustls::ServerConfig,
    serve: impl Fn(&rustls::ServerConnection) -> Router + Send + Sync + 'static,
) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (acceptor, serve) = (TlsAcceptor::from(Arc::new(config)), Arc::new(serve));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = TowerToHyperService::new(serve(stream.get_ref().1));
                let io = TokioIo::new(stream);
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
            });
        }
    });
    port
}

/// Posts something small to a receiver that is shown nothing and asked for nothing.
pub(crate) async fn post(messenger: &Messenger, url: &str) -> Sent {
    let way = Way { url, channel: &Channel::default(), now: SystemClock.now(), refused_token: None };
    messenger.post(way, &[], b"{}".to_vec()).await
}
