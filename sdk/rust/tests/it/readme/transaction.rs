//! Message and memory in one transaction, as README.md shows it, and a test that runs it.

use countersign_webhooks::replay::{Remembered, create_tables, remember_within};
use countersign_webhooks::{Accept, Incoming, KeySet, Refused, Verifier};
use rusqlite::{Connection, TransactionBehavior};

/// At the start: what was seen is in the same database as the messages.
fn open(path: &str) -> Result<Connection, Box<dyn std::error::Error>> {
    let database = Connection::open(path)?;
    create_tables(&database)?;
    database.execute_batch("CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, kind TEXT, data TEXT)")?;
    Ok(database)
}

/// Gives the status to answer with.
fn receive(
    database: &mut Connection,
    incoming: &Incoming<'_>,
    keys: &KeySet,
    now_s: i64,
) -> Result<u16, Box<dyn std::error::Error>> {
    let verifier = Verifier::new(Accept::V1a);
    let event = match verifier.authenticate(incoming, keys, now_s) {
        Ok(event) => event,
        Err(refused) => return Ok(refused.status()),
    };
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match remember_within(&transaction, &verifier.attempt(&event, now_s), now_s)? {
        Remembered::New => {
            let data = serde_json::to_string(&event.data)?;
            let row = (event.id.as_str(), &event.kind, data);
            transaction.execute("INSERT INTO inbox (id, kind, data) VALUES (?1, ?2, ?3)", row)?;
        }
        Remembered::Duplicate => {}
        Remembered::Replayed => return Ok(Refused::Replayed.status()),
    }
    // Only then is it answered.
    transaction.commit()?;
    Ok(200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{NOW_S, Sample, keys};

    /// W-3, W-11: what README.md shows keeps a message once, and refuses its replay and a forgery.
    #[test]
    fn the_transaction_keeps_a_message_once() {
        let mut database = open(":memory:").unwrap();
        let (first, retry) = (Sample::at(NOW_S), Sample::at(NOW_S + 5));
        let forged = Sample { body: b"{}".to_vec(), ..Sample::at(NOW_S) };
        for (sample, status) in [(&forged, 401), (&first, 200), (&first, 409), (&retry, 200)] {
            let incoming = sample.incoming().unwrap();
            assert_eq!(receive(&mut database, &incoming, &keys(), NOW_S + 6).unwrap(), status);
        }
        let kept: Vec<(String, String)> = database
            .prepare("SELECT id, kind FROM inbox")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(kept, [(crate::sample::ID.to_owned(), "envelope.sent".to_owned())]);
    }
}
