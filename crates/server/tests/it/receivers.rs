//! Receivers of webhooks over TLS: what they listen with, and how a server is told to trust them.

pub(crate) mod careless;
pub(crate) mod processes;
pub(crate) mod relay;

use std::sync::{Arc, OnceLock};

use axum::Router;
use countersign_server::config::Config;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

use crate::oauth::certificates::{Authority, Wish};

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

/// Listens as `localhost`; the port.
pub(crate) async fn listen(router: Router) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (chain, key) = authority().certify(&Wish::dns("localhost")).pem();
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let io = TokioIo::new(stream);
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
            });
        }
    });
    port
}
