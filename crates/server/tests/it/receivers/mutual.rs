//! Receivers that demand a certificate of whoever connects, and know on which connection a request came.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Extension, Router, extract::State};
use countersign_core::digest::Digest;
use rustls::{RootCertStore, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{accept, own_certificate};
use crate::oauth::certificates::Authority;

/// Whose request came, and how.
#[derive(Clone)]
pub(crate) struct Guest {
    /// SHA-256 of the certificate that was shown.
    pub(crate) sha256: String,
    /// The number of the connection.
    pub(crate) connection: usize,
}

/// A receiver that takes whatever comes from those it knows.
pub(crate) struct Door {
    pub(crate) url: String,
    guests: Arc<Mutex<Vec<Guest>>>,
}

async fn receive(State(guests): State<Arc<Mutex<Vec<Guest>>>>, Extension(guest): Extension<Guest>) {
    guests.lock().unwrap().push(guest);
}

impl Door {
    /// Opens one to certificates of this authority.
    pub(crate) async fn open(clients: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(clients.pem().as_bytes()).unwrap()).unwrap();
        let (chain, key) = own_certificate();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let config = rustls::ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        let guests = Arc::default();
        let router = Router::new().fallback(receive).with_state(Arc::clone(&guests));
        let count = AtomicUsize::new(0);
        let port = accept(config, move |connection| {
            let shown = connection.peer_certificates().and_then(<[_]>::first);
            let sha256 = Digest::of(shown.expect("a certificate is demanded")).to_string();
            router
                .clone()
                .layer(Extension(Guest { sha256, connection: count.fetch_add(1, Ordering::SeqCst) }))
        })
        .await;
        Self { url: format!("https://localhost:{port}/hooks?team=7"), guests }
    }

    /// Who came so far.
    pub(crate) fn guests(&self) -> Vec<Guest> {
        self.guests.lock().unwrap().clone()
    }
}
