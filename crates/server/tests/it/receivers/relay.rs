//! The relay as a process of its own, over TLS, and the system behind it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::authority;
use crate::oauth::certificates::Wish;

const FORWARD_SECRET: &str = "whsec_CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

type Got = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// What the relay forwards to: it takes everything.
pub(crate) struct System {
    url: String,
    got: Got,
}

impl System {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
        let got = Got::default();
        let take = async |State(got): State<Got>, headers: HeaderMap, body: Bytes| {
            got.lock().unwrap().push((headers, body));
        };
        let router = Router::new().fallback(take).with_state(Arc::clone(&got));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let io = TokioIo::new(stream);
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
                });
            }
        });
        Self { url, got }
    }

    pub(crate) fn got(&self) -> Vec<(HeaderMap, Bytes)> {
        self.got.lock().unwrap().clone()
    }
}

/// A relay that ends with its test.
pub(crate) struct Relay {
    _child: Child,
    _folder: tempfile::TempDir,
}

/// Cargo puts the programs of a workspace beside each other.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_countersign")).with_file_name("countersign-relay");
    assert!(program.exists(), "the relay is not built: cargo build -p countersign-relay");
    program
}

impl Relay {
    /// One that listens on `port` and takes what the key of this name signed: `key` is a member of `keys` in its settings.
    pub(crate) async fn start(port: u16, accept: &str, key: &str, secret: &str, system: &System) -> Self {
        let folder = tempfile::tempdir().unwrap();
        authority().certify(&Wish::dns("localhost")).files(folder.path(), "relay");
        let internal = countersign_store::testing::free_port().unwrap();
        let url = format!("https://localhost:{port}/in/countersign");
        let url = if accept == "message-signature" { format!("url = \"{url}\"") } else { String::new() };
        let settings = format!(
            "[listen]\naddress = \"127.0.0.1:{port}\"\n\
             tls_certificate_file = \"relay.pem\"\ntls_key_file = \"relay-key.pem\"\n\
             [internal]\naddress = \"127.0.0.1:{internal}\"\n[queue]\nfile = \"relay.db\"\n\
             [senders.countersign]\nformat = \"countersign\"\naccept = \"{accept}\"\nkeys = [{key}]\n{url}\n\
             [senders.countersign.forward]\nurl = \"{}\"\nsecret_envs = [\"FORWARD_SECRET\"]\n",
            system.url
        );
        std::fs::write(folder.path().join("relay.toml"), settings).unwrap();
        let mut child = Command::new(program())
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .env("CS_SECRET", secret)
            .env("FORWARD_SECRET", FORWARD_SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = said.next_line().await.unwrap().expect("it says where it listens");
        assert!(line.contains(&port.to_string()), "{line}");
        Self { _child: child, _folder: folder }
    }
}
