//! Removes what ended of credentials, grants and sessions.

use countersign_core::time::Time;
use rusqlite::{Connection, params};

use super::{row::execute, sql};
use crate::{
    cells,
    fault::Fault,
    limits::{SWEPT_ROWS, grants_swept_before, swept_before},
};

/// Sweeps what ended, a bounded number of rows of each kind; the most that there were of one.
pub(super) fn sweep(connection: &Connection, now: Time) -> Result<usize, Fault> {
    let most = cells::limit(SWEPT_ROWS);
    let ended = swept_before(now).unix_ms();
    let grants_ended = grants_swept_before(now).unix_ms();
    let mut swept = 0;
    for (sql, until) in [
        (sql::SWEEP_SESSIONS, ended),
        (sql::SWEEP_CODES, ended),
        (sql::SWEEP_IDEMPOTENCY, now.unix_ms()),
        (sql::SWEEP_SPENT, now.unix_ms()),
        (sql::SWEEP_ACCESS_TOKENS, ended),
        (sql::SWEEP_AUTHORIZATION_CODES, ended),
        (sql::SWEEP_PUSHED_REQUESTS, ended),
        (sql::SWEEP_TICKETS, ended),
        (sql::END_GRANTS_OF_SIGN_INS, ended),
        (sql::SWEEP_SIGN_INS, ended),
        (sql::SWEEP_TOKENS_OF_GRANTS, grants_ended),
        (sql::SWEEP_GRANTS, grants_ended),
    ] {
        swept = swept.max(execute(connection, sql, params![until, most])?);
    }
    Ok(swept)
}
