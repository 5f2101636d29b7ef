//! A PostgreSQL for one measurement, with its defaults, checked: commits reach the disk. By hand: the store's own for tests would
//! change the features of what ships.

use std::{
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::{Failure, cpu};

/// What the shell does: `$1` is the folder of the programs, `$2` the port. It prints the first process's id and keeps the
/// cluster until its standard input ends, however the measurement does.
const SCRIPT: &str = r#"
trap '' INT
cd /
folder=$(mktemp -d "${TMPDIR:-/tmp}/countersign-bench-postgres-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
"$1/initdb" -D "$folder/data" -U countersign --auth=trust -E UTF8 --locale=C >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2; exit 1; }
"$1/pg_ctl" -D "$folder/data" -w -t 60 -l "$folder/server-log" -o "-p $2 -k $folder -c listen_addresses=127.0.0.1" \
    start >>"$folder/log" 2>&1 || { cat "$folder/log" "$folder/server-log" >&2; exit 1; }
for setting in fsync full_page_writes synchronous_commit; do
    [ "$("$1/postgres" -D "$folder/data" -C $setting)" = on ] || { echo "$setting is off" >&2; exit 1; }
done
head -n 1 "$folder/data/postmaster.pid"
cat >/dev/null
"$1/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1
"#;

/// A running cluster, stopped when it is dropped.
pub(crate) struct Cluster {
    shell: Child,
    // Closed, it would be written to in vain.
    _output: BufReader<ChildStdout>,
    port: u16,
    postmaster: u32,
}

impl Cluster {
    /// Starts one.
    pub(crate) fn start() -> Result<Self, Failure> {
        let port = free_port()?;
        let mut command = as_somebody()?;
        command.args(["/bin/sh", "-c", SCRIPT, "sh"]).arg(programs()?).arg(port.to_string());
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(shell.stdout.take().ok_or("the shell of PostgreSQL has no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let postmaster = line.trim().parse().map_err(|_| "PostgreSQL did not start; it says why above")?;
        Ok(Self { shell, _output: output, port, postmaster })
    }

    /// URL of its empty database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://countersign@127.0.0.1:{}/postgres", self.port)
    }

    /// Processor time of all its processes in ns.
    pub(crate) fn cpu_ns(&self) -> Result<u64, Failure> {
        cpu::of_family_ns(self.postmaster)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The shell ends by itself: nothing can be done about one that does not.
        let _ = self.shell.wait();
    }
}

/// A port of loopback where nobody listens.
pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The folder with `initdb` and `pg_ctl`: the newest of Debian's, or one of PATH.
fn programs() -> Result<PathBuf, Failure> {
    let complete =
        |folder: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file());
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(|version| {
        let version = version.ok()?;
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        Some((number, version.path().join("bin")))
    });
    if let Some((_, folder)) =
        versions.filter(|(_, folder)| complete(folder)).max_by_key(|(number, _)| *number)
    {
        return Ok(folder);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(complete)
        .ok_or_else(|| "PostgreSQL is not installed: apt-get install postgresql".into())
}

/// PostgreSQL refuses to run as root: then its own user runs it.
fn as_somebody() -> Result<Command, Failure> {
    let id = Command::new("id").arg("-u").output()?;
    if id.stdout.trim_ascii() != b"0" {
        return Ok(Command::new("env"));
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]);
    Ok(command)
}
