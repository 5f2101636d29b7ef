//! Tokens in a second: one authorization server at a time, over plain HTTP on loopback and a PostgreSQL of its own, under
//! one generator that speaks only what the standards say. Server, database and generator share the machine's cores.

mod client;
mod cluster;
mod connection;
mod load;
mod subject;

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Failure;
use cluster::Cluster;
use load::{Load, Row};
use subject::{Clients, Ours, Peer};

/// Connections at the same time, each with one request on its way.
const CONNECTIONS: usize = 16;

/// Measures our own server, or the peer whose program is in a folder; each row for about `seconds`.
pub(crate) fn measure(peer: Option<&Path>, seconds: u32) -> Result<Value, Failure> {
    let cluster = Cluster::start()?;
    let clients = Clients::new()?;
    let subject = match peer {
        Some(folder) => Peer(folder).start(&cluster.url(), &clients)?,
        None => Ours::start(&cluster.url(), &clients)?,
    };
    let mut load = Load { subject: &subject, clients: &clients, cluster: &cluster, signed: 0 };
    let mut figures = Map::new();
    figures.insert("connections".to_owned(), json!(CONNECTIONS));
    for row in Row::ALL {
        let measured = load.measure(row, seconds)?;
        for (name, value) in [
            ("per_second", measured.per_second),
            ("p50_ms", measured.p50_ms),
            ("p99_ms", measured.p99_ms),
            ("cpu_ms", measured.server_cpu_ms + measured.database_cpu_ms),
            ("server_cpu_ms", measured.server_cpu_ms),
            ("database_cpu_ms", measured.database_cpu_ms),
            ("generator_cpu_ms", measured.generator_cpu_ms),
            ("requests", f64::from(measured.requests)),
        ] {
            figures.insert(format!("{}_{name}", row.name()), json!(value));
        }
    }
    Ok(Value::Object(figures))
}
