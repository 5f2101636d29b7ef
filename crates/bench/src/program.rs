//! The program that ships, as a process of its own, over data that was seeded before.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use countersign_server::config::Config;

use crate::{Failure, cluster::free_port, cpu};

/// What people and programs would reach it under where something before it ends TLS.
pub(crate) const ISSUER: &str = "https://sign.example";
/// How often it is looked whether the server serves, and how long between two looks.
const TRIES: u32 = 400;
const BETWEEN: Duration = Duration::from_millis(50);

/// A server with its data under `folder`, under TLS of its own on loopback.
pub(crate) fn over_tls(folder: &Path, database: Option<&str>) -> Result<Config, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let mut config = Config::default();
    config.server.listen = address;
    config.server.public_url = format!("https://localhost:{}", address.port());
    config.server.data_dir = folder.join("data");
    config.server.database_url_file = database.map(|url| secret(folder, url)).transpose()?;
    Ok(config)
}

/// The same in plain on loopback, as behind a proxy that ends TLS.
pub(crate) fn plain(folder: &Path, database: Option<&str>) -> Result<Config, Failure> {
    let mut config = over_tls(folder, database)?;
    ISSUER.clone_into(&mut config.server.public_url);
    config.server.plain_http = true;
    Ok(config)
}

/// Starts the program and waits until it serves. Its log goes to a file, as detailed as it is by default: that is part of what
/// a request costs.
pub(crate) fn serve(program: &Path, config: &Config, log: &Path) -> Result<Child, Failure> {
    let mut command = Command::new(program);
    command
        .arg("serve")
        .env("COUNTERSIGN_SERVER__LISTEN", config.server.listen.to_string())
        .env("COUNTERSIGN_SERVER__PUBLIC_URL", &config.server.public_url)
        .env("COUNTERSIGN_SERVER__PLAIN_HTTP", config.server.plain_http.to_string())
        .env("COUNTERSIGN_OAUTH__INTROSPECTIONS_PER_MINUTE", "1000000000")
        .env("COUNTERSIGN_SERVER__DATA_DIR", &config.server.data_dir)
        .env("COUNTERSIGN_EGRESS__ALLOW_HOSTS", format!("{:?}", config.egress.allow_hosts));
    if let Some(file) = &config.egress.ca_file {
        command.env("COUNTERSIGN_EGRESS__CA_FILE", file);
    }
    if let Some(file) = &config.server.database_url_file {
        command.env("COUNTERSIGN_SERVER__DATABASE_URL_FILE", file);
    }
    let output = fs::File::create(log)?;
    let mut server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn()?;
    // It listens when everything behind it is open.
    for _ in 0..TRIES {
        cpu::pause(BETWEEN);
        if std::net::TcpStream::connect(config.server.listen).is_ok() {
            return Ok(server);
        }
    }
    // It is ours, and there is nobody to tell if it has ended already.
    let _ = server.kill().and_then(|()| server.wait());
    Err(format!("the server did not start: {}", fs::read_to_string(log)?).into())
}

/// A file with a secret that its owner alone can read.
fn secret(folder: &Path, text: &str) -> Result<PathBuf, Failure> {
    let path = folder.join("database-url");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(path)
}
