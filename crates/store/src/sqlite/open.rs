//! Opens the database: file mode, pragmas, schema; and the lock file of the log's leader.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{row::fault, sql};
use crate::fault::Fault;

/// How long a connection waits for the lock of another process.
const BUSY: Duration = Duration::from_secs(10);
/// Statements that each connection keeps prepared.
const PREPARED: usize = 192;

/// The connection that writes, after the schema was brought up to date.
pub(super) fn for_writing(path: &Path) -> Result<Connection, Fault> {
    make_private(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(fault)?;
    if mode != "wal" {
        return Err(Fault::Database(format!("SQLite cannot use a write-ahead log here, but {mode}")));
    }
    // FULL: a commit that was answered survives a power cut. The checkpointer copies pages, not the writer.
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA recursive_triggers = ON;
             PRAGMA temp_store = MEMORY;",
        )
        .map_err(fault)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// A connection that reads.
pub(super) fn for_reading(path: &Path) -> Result<Connection, Fault> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;").map_err(fault)?;
    Ok(connection)
}

/// The connection of the checkpointer. It never writes rows.
pub(super) fn for_checkpoints(path: &Path) -> Result<Connection, Fault> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;").map_err(fault)?;
    Ok(connection)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, Fault> {
    let connection =
        Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(fault)?;
    connection.busy_timeout(BUSY).map_err(fault)?;
    // Without it SQLite plans a cached statement anew whenever a bound that it compares with has changed.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

// Brings the schema to the version of this program, one migration after the other.
fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    let known = u32::try_from(sql::MIGRATIONS.len()).unwrap_or(u32::MAX);
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(fault)?;
    let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fault)?;
    if found > known {
        return Err(Fault::Schema { found, known });
    }
    for (version, migration) in (1..=known).zip(sql::MIGRATIONS).skip_while(|(version, _)| *version <= found)
    {
        transaction.execute_batch(migration).map_err(fault)?;
        transaction.pragma_update(None, "user_version", version).map_err(fault)?;
    }
    transaction.commit().map_err(fault)
}

fn file_fault(path: &Path, error: &std::io::Error) -> Fault {
    Fault::File(format!("{}: {error}", path.display()))
}

// The file exists, and belongs to nobody else, before SQLite writes the first page; its companions get its mode.
fn make_private(path: &Path) -> Result<(), Fault> {
    let file = private_file(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
            .map_err(|error| file_fault(path, &error))?;
    }
    drop(file);
    Ok(())
}

fn private_file(path: &Path) -> Result<File, Fault> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| file_fault(path, &error))
}

/// Takes the lock file at `path`, until the file is dropped; `None` while another process has it.
pub(super) fn lock(path: &Path) -> Result<Option<File>, Fault> {
    let file = private_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(file_fault(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::webhook_sql;

    #[test]
    fn every_statement_fits_the_schema() {
        let folder = tempfile::tempdir().unwrap();
        let connection = for_writing(&folder.path().join("store.db")).unwrap();
        for (name, statement) in sql::ALL.iter().chain(webhook_sql::ALL) {
            if let Err(error) = connection.prepare(statement) {
                panic!("{name}: {error}");
            }
        }
    }

    /// An envelope is loaded for each request: what the tenant has besides must not be read for it.
    #[test]
    fn loading_an_envelope_reads_by_the_envelopes_index() {
        let folder = tempfile::tempdir().unwrap();
        let connection = for_writing(&folder.path().join("store.db")).unwrap();
        let by_envelope =
            "SEARCH openings USING PRIMARY KEY (organization=? AND environment=? AND envelope=?)";
        let cases = [
            (sql::HEAD, vec!["(organization=? AND environment=? AND envelope=?)"]),
            (sql::LOAD_EVENTS, vec!["(organization=? AND environment=? AND envelope=?)"]),
            (sql::LOAD_OPENINGS, vec![by_envelope]),
            (sql::LOAD_PERSONS, vec![by_envelope, "(person=?)"]),
        ];
        for (statement, needed) in cases {
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let plan: Vec<String> = explained
                .query_map(rusqlite::params![[1_u8; 16], "sandbox", [2_u8; 16]], |row| row.get("detail"))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert!(plan.iter().all(|step| !step.starts_with("SCAN")), "{statement}\n{plan:#?}");
            for index in needed {
                assert!(plan.iter().any(|step| step.contains(index)), "{index}\n{statement}\n{plan:#?}");
            }
        }
    }

    fn plan(connection: &Connection, statement: &str) -> Vec<String> {
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let parameters = vec![rusqlite::types::Null; explained.parameter_count()];
        let steps = explained
            .query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>("detail"))
            .unwrap();
        steps.map(Result::unwrap).collect()
    }

    /// A token is looked up for each request: one row of each table, by its primary key.
    #[test]
    fn an_access_token_is_found_by_primary_keys() {
        let folder = tempfile::tempdir().unwrap();
        let connection = for_writing(&folder.path().join("store.db")).unwrap();
        let found = plan(&connection, sql::ACCESS_TOKEN);
        let by_key = [
            ("t", "access_tokens", "(hash=?)"),
            ("g", "grants", "(grant_id=?)"),
            ("c", "clients", "(client=?)"),
            ("s", "sign_ins", "(sign_in=?)"),
            ("u", "users", "(user_id=?)"),
            ("m", "members", "(organization=? AND user_id=?)"),
        ];
        assert_eq!(found.len(), by_key.len(), "{found:#?}");
        for (step, (alias, table, key)) in found.iter().zip(by_key) {
            let index = format!("SEARCH {alias} USING INDEX sqlite_autoindex_{table}_1 {key}");
            assert!(step.starts_with(&index), "{index}\n{found:#?}");
        }
    }

    /// What clients ask for and what is swept with each look for jobs reads no table as a whole.
    #[test]
    fn no_table_of_credentials_is_read_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let connection = for_writing(&folder.path().join("store.db")).unwrap();
        for statement in [
            sql::CLIENTS,
            sql::GRANTS,
            sql::GRANTS_OF_CLIENT,
            sql::GRANTS_OF_USER,
            sql::AUTHORIZATION_CODE,
            sql::SIGN_IN,
            sql::SIGN_INS,
            sql::MEMBERS,
            sql::MEMBERSHIPS,
            sql::AUTHENTICATORS,
            sql::SECURITY_EVENTS,
            sql::SECURITY_HEAD,
            sql::CHANGE_GRANT,
            sql::END_TOKENS,
            sql::TAKE_SECURITY,
            sql::REMOVE_WAITING,
            sql::SWEEP_SPENT,
            sql::SWEEP_ACCESS_TOKENS,
            sql::SWEEP_AUTHORIZATION_CODES,
            sql::SWEEP_PUSHED_REQUESTS,
            sql::SWEEP_TICKETS,
            sql::END_GRANTS_OF_SIGN_INS,
            sql::SWEEP_SIGN_INS,
            sql::SWEEP_TOKENS_OF_GRANTS,
            sql::SWEEP_GRANTS,
            webhook_sql::ENDPOINTS,
            webhook_sql::WEBHOOK_KEYS,
            webhook_sql::DELIVERIES,
            webhook_sql::DELIVERIES_BY_STATE,
            webhook_sql::DELIVERIES_OF_STREAM,
            webhook_sql::ATTEMPTS,
            webhook_sql::ANNOUNCE,
            webhook_sql::SETTLE,
            webhook_sql::FREE_DEAD,
            webhook_sql::FORGET_WORKERS,
            webhook_sql::WAITING_IN_LANE,
            webhook_sql::WAITING_OF_ENDPOINT,
            webhook_sql::NEXT_DELIVERY_DUE,
            webhook_sql::MOVE_LANE,
            webhook_sql::MOVE_DELIVERIES,
            webhook_sql::SWEEP_ATTEMPTS,
            webhook_sql::SWEEP_DELIVERIES,
        ] {
            let found = plan(&connection, statement);
            let reads_all = |step: &String| step.starts_with("SCAN") && !step.contains("(subquery");
            assert!(!found.iter().any(reads_all), "{statement}\n{found:#?}");
        }
    }

    /// A claim of deliveries costs what it takes: it goes along one index, in the order in which they are due.
    #[test]
    fn deliveries_are_taken_along_the_index_of_their_lane() {
        let folder = tempfile::tempdir().unwrap();
        let connection = for_writing(&folder.path().join("store.db")).unwrap();
        for (statement, index) in [
            (webhook_sql::WAITING_IN_LANE, "deliveries_to_take (lane=? AND due_at<?)"),
            (webhook_sql::WAITING_OF_ENDPOINT, "deliveries_to_take_of_endpoint (endpoint=? AND due_at<?)"),
            (webhook_sql::DELIVERIES_BY_STATE, "deliveries_by_state (endpoint=? AND state=? AND message<?)"),
            (webhook_sql::SWEEP_DELIVERIES, "deliveries_that_are_over (due_at<?)"),
            (webhook_sql::SWEEP_SHELF, "deliveries_to_take_of_endpoint (endpoint=?)"),
        ] {
            let found = plan(&connection, statement);
            assert!(found.iter().any(|step| step.contains(index)), "{index}\n{found:#?}");
            assert!(!found.iter().any(|step| step.contains("TEMP B-TREE")), "{statement}\n{found:#?}");
        }
    }

    /// what a constraint refuses is a contradiction, not a defect of the database.
    #[test]
    fn what_a_constraint_refuses_is_a_contradiction() {
        let folder = tempfile::tempdir().unwrap();
        let connection = for_writing(&folder.path().join("store.db")).unwrap();
        let client =
            "INSERT INTO clients VALUES (x'01', x'02', 'live', 0, 'keys:read admin:keys', x'03', '', NULL,
            1, NULL, 1)";
        let key = "INSERT INTO api_keys (api_key, organization, environment, hash, scopes, person, label, created_at,
            expires_at) VALUES (x'01', x'02', 'live', x'03', 'admin:keys', x'04', '', 1, 2)";
        for statement in [client, key] {
            let refused = super::super::row::execute(&connection, statement, []);
            assert!(matches!(refused, Err(Fault::Contradiction(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_schema_of_a_newer_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        for_writing(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let known = u32::try_from(sql::MIGRATIONS.len()).unwrap();
        match for_writing(&path) {
            Err(Fault::Schema { found: 99, known: told }) => assert_eq!(told, known),
            other => panic!("{other:?}"),
        }
    }
}
