//! Tokens in a second: one authorization server at a time, over plain HTTP on loopback and a database of its own, under
//! one generator that speaks only what the standards say. Server, database and generator share the machine's cores.

mod client;
mod load;
mod ours;
mod row;
mod subject;

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{Failure, cluster::Cluster};
use load::Load;
use ours::Ours;
use row::Row;
use subject::{Clients, Peer};

/// Connections at the same time, each with one request on its way.
const CONNECTIONS: usize = 64;

/// Which server is measured.
pub(crate) enum Which<'a> {
    /// oidc-provider on PostgreSQL: the folder of its program, and how many processes share the work.
    Peer(&'a Path, u32),
    /// Ours: its program, and whether its database is PostgreSQL or SQLite.
    Ours(&'a Path, bool),
}

/// Measures a server; each row for about `seconds`.
pub(crate) fn measure(which: &Which<'_>, seconds: u32) -> Result<Value, Failure> {
    let cluster = match which {
        Which::Ours(_, false) => None,
        _ => Some(Cluster::start()?),
    };
    let database = cluster.as_ref().map(Cluster::url);
    let clients = Clients::new()?;
    let subject = match which {
        Which::Peer(folder, workers) => {
            let database = database.as_deref().ok_or("the peer has no database")?;
            Peer { folder, workers: *workers }.start(database, &clients)?
        }
        Which::Ours(program, _) => Ours { program }.start(database.as_deref(), &clients)?,
    };
    let rows = if subject.api.is_some() { [Row::OAUTH, Row::API].concat() } else { Row::OAUTH.to_vec() };
    let mut load = Load { subject: &subject, clients: &clients, cluster: cluster.as_ref(), signed: 0 };
    let mut figures = Map::new();
    figures.insert("connections".to_owned(), json!(CONNECTIONS));
    for row in rows {
        let measured = load.measure(row, seconds)?;
        for (name, value) in [
            ("per_second", measured.per_second),
            ("p50_ms", measured.p50_ms),
            ("p99_ms", measured.p99_ms),
            ("cpu_ms", measured.server_cpu_ms + measured.database_cpu_ms),
            ("server_cpu_ms", measured.server_cpu_ms),
            ("database_cpu_ms", measured.database_cpu_ms),
            ("generator_cpu_ms", measured.generator_cpu_ms),
            ("put_off_s", measured.put_off_s),
            ("requests", f64::from(measured.requests)),
        ] {
            figures.insert(format!("{}_{name}", row.name()), json!(value));
        }
    }
    Ok(Value::Object(figures))
}
