//! Connections, calls on them, and what PostgreSQL says as the rest of the store takes it.

use std::{ops::Range, path::Path, time::Duration};

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio_postgres::{
    Column, Config, Error, Row,
    error::SqlState,
    types::{FromSql, ToSql},
};

use super::tls::{Tls, guarded};
use crate::{
    cells::{Cells, part_of},
    fault::Fault,
};

/// How long connecting, and waiting for a free connection, may take.
const CONNECT: Duration = Duration::from_secs(10);
/// After this long without an answer to its packets a connection is given up.
const SILENT: Duration = Duration::from_secs(30);
/// Reads that lost their connection are tried so often.
pub(super) const TRIES: usize = 4;
/// Whatever the server's configuration says: an answered commit is durable, and nothing runs or waits for ever. Each
/// statement is about a few rows and has its index: a plan that was made while the tables were small, and is kept, would
/// read large ones whole.
const SETTINGS: &str = "-c synchronous_commit=on -c statement_timeout=60s -c lock_timeout=30s \
    -c idle_in_transaction_session_timeout=60s -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c max_parallel_workers_per_gather=0 -c jit=off";

/// Besides, for connections that write, and look up by keys: no statement is planned anew for its values. Those that read
/// lists are, for each begins where its page does.
const ONE_PLAN: &str = "-c plan_cache_mode=force_generic_plan";

/// A parameter that a call owns.
pub(super) type Parameter = Box<dyn ToSql + Sync + Send>;

/// A statement with its parameters.
pub(super) struct Call {
    pub(super) sql: &'static str,
    pub(super) parameters: Vec<Parameter>,
}

/// A [`Call`] of a statement with values that it owns.
macro_rules! call {
    ($sql:expr $(, $value:expr)* $(,)?) => {
        $crate::postgres::connection::Call {
            sql: $sql,
            parameters: vec![$(Box::new($value) as $crate::postgres::connection::Parameter),*],
        }
    };
}
pub(super) use call;

/// How to reach the database.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) config: Config,
    pub(super) tls: Tls,
}

/// Our settings over those of the operator.
pub(super) fn configured(url: &str, ca: Option<&Path>) -> Result<Access, Fault> {
    let mut config: Config = url.parse().map_err(|error: Error| Fault::Address(error.to_string()))?;
    let tls = guarded(&mut config, ca)?;
    let options = config.get_options().map_or(SETTINGS.to_owned(), |own| format!("{own} {SETTINGS}"));
    config.options(options).application_name("countersign").keepalives_idle(SILENT).tcp_user_timeout(SILENT);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    Ok(Access { config, tls })
}

/// The same for connections whose statements have one plan each.
pub(super) fn with_one_plan(access: &Access) -> Access {
    let mut access = access.clone();
    let options = format!("{} {ONE_PLAN}", access.config.get_options().unwrap_or_default());
    access.config.options(options);
    access
}

/// A pool of up to `size` connections.
pub(super) fn pool(access: &Access, size: usize) -> Result<Pool, Fault> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_config(access.config.clone(), access.tls.clone(), recycling))
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECT))
        .create_timeout(Some(CONNECT))
        .recycle_timeout(Some(CONNECT))
        .build()
        .map_err(|error| Fault::Unavailable(error.to_string()))
}

/// A connection of the pool.
pub(super) async fn connection(pool: &Pool) -> Result<Object, Fault> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => Fault::Unavailable(text(&error)),
        other => Fault::Unavailable(other.to_string()),
    })
}

/// Whether the connection, and not the statement, is at fault.
pub(super) fn is_lost(error: &Error) -> bool {
    match error.code() {
        Some(code) => code.code().starts_with("08") || code.code().starts_with("57P"),
        None => {
            error.is_closed()
                || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
        }
    }
}

// The message without its detail, which would hold values.
fn text(error: &Error) -> String {
    match error.as_db_error() {
        Some(refused) => format!("{} ({})", refused.message(), refused.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

/// What an error means to us.
pub(super) fn fault(error: &Error) -> Fault {
    let class = error.code().map(|code| code.code().get(..2).unwrap_or_default().to_owned());
    match class.as_deref() {
        // Connection, roll-back, resources, lock not available, operator, system.
        Some("08" | "40" | "53" | "55" | "57" | "58") => Fault::Unavailable(text(error)),
        // A stand-by that takes no writes.
        Some("25") if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
            Fault::Unavailable(text(error))
        }
        Some("23") => Fault::Contradiction(text(error)),
        None if is_lost(error) => Fault::Unavailable(text(error)),
        _ => Fault::Database(text(error)),
    }
}

/// Runs a query on a connection.
pub(super) async fn query(client: &ClientWrapper, call: &Call) -> Result<Vec<Row>, Error> {
    let statement = client.prepare_cached(call.sql).await?;
    let parameters: Vec<&(dyn ToSql + Sync)> =
        call.parameters.iter().map(|parameter| -> &(dyn ToSql + Sync) { parameter.as_ref() }).collect();
    client.query(&statement, &parameters).await
}

/// Runs a statement on a connection; gives the number of rows that it changed.
pub(super) async fn execute(client: &ClientWrapper, call: &Call) -> Result<u64, Error> {
    let statement = client.prepare_cached(call.sql).await?;
    let parameters: Vec<&(dyn ToSql + Sync)> =
        call.parameters.iter().map(|parameter| -> &(dyn ToSql + Sync) { parameter.as_ref() }).collect();
    client.execute(&statement, &parameters).await
}

/// Runs something that may be run twice: again on another connection where one was lost.
pub(super) async fn repeat<T>(
    pool: &Pool,
    call: &Call,
    run: impl AsyncFn(&ClientWrapper, &Call) -> Result<T, Error>,
) -> Result<T, Fault> {
    let mut tries = 1;
    loop {
        let client = connection(pool).await?;
        match run(&client, call).await {
            Ok(answer) => return Ok(answer),
            Err(error) if is_lost(&error) && tries < TRIES => tries += 1,
            Err(error) => return Err(fault(&error)),
        }
    }
}

/// A row of a named table, or a part of a joined one.
pub(super) struct PostgresCells<'row> {
    table: &'static str,
    row: &'row Row,
    columns: Range<usize>,
}

impl<'row> PostgresCells<'row> {
    pub(super) fn new(table: &'static str, row: &'row Row) -> Self {
        Self { table, row, columns: 0..row.len() }
    }

    fn cell<T: FromSql<'row>>(&self, column: &'static str) -> Result<Option<T>, String> {
        let mut columns =
            self.row.columns().iter().enumerate().take(self.columns.end).skip(self.columns.start);
        let named = |(_, found): &(usize, &Column)| found.name() == column;
        let (at, _) = columns.find(named).ok_or("there is no such column")?;
        self.row.try_get(at).map_err(|error| text(&error))
    }
}

impl Cells for PostgresCells<'_> {
    fn table(&self) -> &'static str {
        self.table
    }

    fn key(&self) -> String {
        let first = self.columns.start;
        if let Ok(bytes) = self.row.try_get::<_, &[u8]>(first) {
            return hex::encode(bytes);
        }
        let number = self.row.try_get::<_, i64>(first).map(|number| number.to_string());
        number.or_else(|_| self.row.try_get(first)).unwrap_or_else(|_| "without a key".to_owned())
    }

    fn bytes_or_null(&self, column: &'static str) -> Result<Option<Vec<u8>>, String> {
        self.cell(column)
    }

    fn integer_or_null(&self, column: &'static str) -> Result<Option<i64>, String> {
        self.cell(column)
    }

    fn text_or_null(&self, column: &'static str) -> Result<Option<String>, String> {
        self.cell(column)
    }

    fn flag_or_null(&self, column: &'static str) -> Result<Option<bool>, String> {
        self.cell(column)
    }

    fn part(&self, table: &'static str) -> Self {
        Self { table, row: self.row, columns: part_of(self.row.columns().iter().map(Column::name), table) }
    }
}
