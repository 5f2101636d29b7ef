//! The server in this process, as `countersign serve` runs it: SQLite and blobs in a folder, TLS on loopback, jobs.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use countersign_core::access::{Environment, Tenant};
use countersign_core::scope::Scopes;
use countersign_server::{
    app::{App, SystemClock, SystemRandomness},
    config::Config,
    http::accept::{Serving, serve},
    jobs::Dispatcher,
    organizations::{self, ApiKeyWish},
    tls::Tls,
};

use crate::Failure;

/// Folders that this process made.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder that ends with the measurement. By hand: a library for it would change the features of what ships.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes one, empty, under the system's place for them.
    pub(crate) fn new() -> Result<Self, Failure> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("countersign-bench-{}-{number}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind lies in the system's place for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server at work.
pub(crate) struct House {
    pub(crate) app: Arc<App>,
    pub(crate) tenant: Tenant,
    pub(crate) token: String,
    serving: Serving,
    dispatcher: Dispatcher,
}

/// The configuration of a server on a free port of loopback.
pub(crate) fn config(folder: &Path) -> Result<Config, Failure> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut config = Config::default();
    config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    config.server.public_url = format!("https://localhost:{port}");
    config.server.data_dir = folder.join("data");
    Ok(config)
}

impl House {
    /// Starts with its data under `folder`.
    pub(crate) async fn open(folder: &Path) -> Result<Self, Failure> {
        let app = App::open(config(folder)?, Arc::new(SystemClock), Arc::new(SystemRandomness)).await?.app;
        let tls = Tls::open(&app.config, app.now())?;
        let serving = serve(Arc::clone(&app), Some(&tls)).await?;
        let dispatcher = Dispatcher::start(Arc::clone(&app));
        let organization = organizations::create(&app, "Bench").await?.organization;
        let wish = ApiKeyWish {
            environment: Environment::Sandbox,
            scopes: Scopes::FOR_KEYS,
            label: "bench".to_owned(),
            lifetime_s: 24 * 3_600,
        };
        let key = organizations::create_api_key(&app, organization, wish).await?;
        let token = key.token.expose().to_owned();
        Ok(Self { app, tenant: key.row.tenant, token, serving, dispatcher })
    }

    /// Lets everything end.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.serving.stop().await?;
        self.dispatcher.stop().await?;
        Ok(())
    }
}
