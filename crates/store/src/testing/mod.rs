//! A throw-away PostgreSQL for tests: one cluster for each test binary, one database for each test. A shell keeps it
//! and stops it when the test binary ends, however it ends, because then its standard input does.

pub mod proxy;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    iter,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use tokio_postgres::NoTls;

/// What the shell does: `$1` is the folder of the programs, `$2` the port, `$3` whether commits are synced, `$4` and `$5`
/// certificate and key of a server that takes connections under TLS alone.
const SCRIPT: &str = r#"
trap '' INT
cd /
folder=$(mktemp -d "${TMPDIR:-/tmp}/countersign-postgres-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
"$1/initdb" -D "$folder/data" -U countersign --auth=trust -N -E UTF8 --locale=C >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2; exit 1; }
if [ -n "$4" ]; then
    printf %s "$4" >"$folder/data/server.crt" && printf %s "$5" >"$folder/data/server.key" || exit 1
    chmod 600 "$folder/data/server.key"
    echo ssl=on >>"$folder/data/postgresql.conf"
    printf '%s\n' "local all all trust" "hostssl all all 127.0.0.1/32 trust" >"$folder/data/pg_hba.conf"
fi
"$1/pg_ctl" -D "$folder/data" -w -t 60 -l "$folder/server-log" -o "-p $2 -k $folder -c listen_addresses=127.0.0.1 \
    -c fsync=$3 -c max_connections=300 -c timezone=UTC" start >>"$folder/log" 2>&1 || {
    cat "$folder/log" "$folder/server-log" >&2 2>/dev/null; exit 1; }
echo "$folder"
cat >/dev/null
"$1/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1
"#;

/// A running cluster, stopped when it is dropped or when the process ends.
pub struct Cluster {
    port: u16,
    databases: AtomicU64,
    // Its standard input is what keeps the cluster.
    shell: Child,
}

/// The cluster of this test binary, started by whoever asks first. The error says what to install.
pub fn cluster() -> Result<&'static Cluster, String> {
    static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(false)).as_ref().map_err(Clone::clone)
}

impl Cluster {
    /// Starts a cluster of its own; `synced` if commits are to reach the disk, as they do in earnest.
    pub fn start(synced: bool) -> Result<Self, String> {
        Self::launch(synced, "", "")
    }

    /// Starts a cluster of its own that takes connections under TLS alone, with this certificate and key (PEM).
    pub fn start_with_tls(certificate: &str, key: &str) -> Result<Self, String> {
        Self::launch(false, certificate, key)
    }

    fn launch(synced: bool, certificate: &str, key: &str) -> Result<Self, String> {
        let programs = programs()?;
        let port = free_port()?;
        let mut command = as_somebody(PathBuf::from("/bin/sh"))?;
        command.arg("-c").arg(SCRIPT).arg("sh").arg(&programs).arg(port.to_string());
        command.arg(if synced { "on" } else { "off" }).arg(certificate).arg(key);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = command.spawn().map_err(|error| format!("no shell for PostgreSQL: {error}"))?;
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        }
        if line.is_empty() {
            let mut reason = String::new();
            if let Some(mut errors) = shell.stderr.take() {
                errors.read_to_string(&mut reason).map_err(|error| error.to_string())?;
            }
            return Err(format!("PostgreSQL of {} did not start: {reason}", programs.display()));
        }
        Ok(Self { port, databases: AtomicU64::new(0), shell })
    }

    /// The port on 127.0.0.1 where it answers.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and gives its URL.
    pub async fn database(&self) -> Result<String, String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let url = |name: &str| format!("postgres://countersign@127.0.0.1:{}/{name}", self.port);
        let name = format!("test_{number}");
        let (client, connection) = tokio_postgres::connect(&url("postgres"), NoTls)
            .await
            .map_err(|error| format!("PostgreSQL does not answer: {error}"))?;
        let driver = tokio::spawn(connection);
        let made = client.batch_execute(&format!("CREATE DATABASE {name}")).await;
        drop(client);
        driver.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        made.map_err(|error| format!("no database for the test: {error}"))?;
        Ok(url(&name))
    }
}

/// The first column of what a statement selects, bytes in each row: for what the store has no read for.
pub async fn first_column(url: &str, statement: &str) -> Result<Vec<Vec<u8>>, String> {
    let said = |error: tokio_postgres::Error| error.to_string();
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(said)?;
    let driver = tokio::spawn(connection);
    let rows = client.query(statement, &[]).await.map_err(said)?;
    drop(client);
    driver.await.map_err(|error| error.to_string())?.map_err(said)?;
    rows.iter().map(|row| row.try_get(0).map_err(said)).collect()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The shell ends by itself: nothing can be done about one that does not.
        let _: Result<_, _> = self.shell.wait();
    }
}

// The folder with `initdb` and `postgres`: the newest below /usr/lib/postgresql (Debian), or one of PATH.
fn programs() -> Result<PathBuf, String> {
    let complete =
        |folder: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file());
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(|version| {
        let version = version.ok()?;
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        Some((number, version.path().join("bin")))
    });
    let newest = debian.filter(|(_, folder)| complete(folder)).max_by_key(|(number, _)| *number);
    if let Some((_, folder)) = newest {
        return Ok(folder);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).find(complete).ok_or_else(|| {
        "PostgreSQL is not installed: these tests need the Debian package `postgresql`".to_owned()
    })
}

// PostgreSQL refuses to run as root.
fn as_somebody(program: PathBuf) -> Result<Command, String> {
    let said = |program: &str, argument: &str| {
        let output =
            Command::new(program).args(["-u", argument].iter().filter(|text| !text.is_empty())).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let own = said("id", "").map_err(|error| format!("`id` does not run: {error}"))?;
    if own != "0" {
        return Ok(Command::new(program));
    }
    let postgres = said("id", "postgres").is_ok_and(|id| !id.is_empty());
    let mut command = Command::new("runuser");
    command.args(["-u", if postgres { "postgres" } else { "nobody" }, "--"]).arg(program);
    Ok(command)
}

/// Ports that [`free_port`] gives: below those that the system gives away by itself, because such a one may be somebody
/// else's again at any moment, be it as the near end of a connection.
const PORTS: Range<u32> = 12_000..32_000;

/// A port of 127.0.0.1 that nobody has and that this process gives to nobody else, for who must know it before it listens.
pub fn free_port() -> Result<u16, String> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    // Programs that run beside each other begin at places of their own.
    let start = process::id().wrapping_mul(7919) % count;
    let next = || PORTS.start + (start + GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
    iter::repeat_with(next)
        .take(count as usize)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| format!("no port of {PORTS:?} is free"))
}
