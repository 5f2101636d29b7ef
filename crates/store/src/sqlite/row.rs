//! What rusqlite gives, as the rest of the store takes it: cells of rows, and faults.

use std::{ops::Range, rc::Rc};

use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Params, Row,
    types::{FromSql, ValueRef},
};

use crate::{
    cells::{Cells, part_of},
    fault::Fault,
};

/// A row of a named table, or a part of a joined one.
pub(super) struct SqliteCells<'row> {
    table: &'static str,
    row: &'row Row<'row>,
    // Asked of SQLite once for a row: it is slower to say a name than to compare a dozen.
    names: Rc<[&'row str]>,
    columns: Range<usize>,
}

impl<'row> SqliteCells<'row> {
    fn new(table: &'static str, row: &'row Row<'row>) -> Self {
        let names: Rc<[&str]> = row.as_ref().column_names().collect();
        Self { table, row, columns: 0..names.len(), names }
    }

    fn cell<T: FromSql>(&self, column: &'static str) -> Result<Option<T>, String> {
        let named = |at: &usize| self.names.get(*at) == Some(&column);
        let at = self.columns.clone().find(named).ok_or("there is no such column")?;
        self.row.get(at).map_err(|error| match error {
            rusqlite::Error::InvalidColumnType(_, _, found) => format!("its type is {found}"),
            other => other.to_string(),
        })
    }
}

impl Cells for SqliteCells<'_> {
    fn table(&self) -> &'static str {
        self.table
    }

    fn key(&self) -> String {
        match self.row.get_ref(self.columns.start) {
            Ok(ValueRef::Integer(number)) => number.to_string(),
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Ok(ValueRef::Blob(bytes)) => hex::encode(bytes),
            _ => "without a key".to_owned(),
        }
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
        let columns = part_of(self.names.iter().copied(), table);
        Self { table, row: self.row, names: Rc::clone(&self.names), columns }
    }
}

/// What a refusal of SQLite means to us. No message of SQLite holds a value.
pub(super) fn fault(error: rusqlite::Error) -> Fault {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory,
        ) => Fault::Unavailable(text),
        Some(ErrorCode::ConstraintViolation) => Fault::Contradiction(text),
        _ => Fault::Database(text),
    }
}

/// Reads all rows of a query.
pub(super) fn rows<T>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    parameters: impl Params,
    read: impl Fn(&SqliteCells<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let mut found = statement.query(parameters).map_err(fault)?;
    let mut values = Vec::new();
    while let Some(row) = found.next().map_err(fault)? {
        values.push(read(&SqliteCells::new(table, row))?);
    }
    Ok(values)
}

/// Reads the first row of a query.
pub(super) fn first<T>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    parameters: impl Params,
    read: impl Fn(&SqliteCells<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let row = statement.query_row(parameters, |row| Ok(read(&SqliteCells::new(table, row))));
    row.optional().map_err(fault)?.transpose()
}

/// Executes a statement; gives the number of rows that it changed.
pub(super) fn execute(connection: &Connection, sql: &str, parameters: impl Params) -> Result<usize, Fault> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters)).map_err(fault)
}
