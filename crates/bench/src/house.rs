//! The server in this process, as `countersign serve` runs it: SQLite and blobs in a folder, TLS on loopback, jobs.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
};

use countersign_core::access::{Environment, Scope, Tenant};
use countersign_server::{
    app::{App, SystemClock, SystemRandomness},
    config::Config,
    http::accept::{Serving, serve},
    jobs::Dispatcher,
    organizations::{self, ApiKeyWish},
    tls::Tls,
};

use crate::Failure;

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
            scopes: Scope::ALL.to_vec(),
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
