//! Look-ups of single rows, over one connection that all callers share: their statements travel together, so that neither
//! side sleeps and wakes for each.

use std::sync::Arc;

use deadpool_postgres::{ClientWrapper, Object, Pool};
use tokio::sync::Mutex;
use tokio_postgres::Row;

use super::connection::{Call, TRIES, connection, fault, is_lost, query};
use crate::fault::Fault;

/// The connection.
pub(super) struct Lookups {
    pool: Pool,
    shared: Mutex<Option<Arc<ClientWrapper>>>,
}

impl Lookups {
    /// A connection that comes from `pool`, and leaves it.
    pub(super) fn new(pool: &Pool) -> Self {
        Self { pool: pool.clone(), shared: Mutex::default() }
    }

    /// Runs a query that may be run twice: again where the connection was lost.
    pub(super) async fn query(&self, call: &Call) -> Result<Vec<Row>, Fault> {
        let mut tries = 1;
        loop {
            let client = self.client().await?;
            match query(&client, call).await {
                Ok(rows) => return Ok(rows),
                Err(error) if is_lost(&error) => {
                    self.forget(&client).await;
                    if tries >= TRIES {
                        return Err(fault(&error));
                    }
                    tries += 1;
                }
                Err(error) => return Err(fault(&error)),
            }
        }
    }

    async fn client(&self) -> Result<Arc<ClientWrapper>, Fault> {
        // Whoever finds none connects, and the others wait for that.
        let mut held = self.shared.lock().await;
        if let Some(client) = held.as_ref()
            && !client.is_closed()
        {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(Object::take(connection(&self.pool).await?));
        *held = Some(Arc::clone(&client));
        Ok(client)
    }

    async fn forget(&self, lost: &Arc<ClientWrapper>) {
        let mut held = self.shared.lock().await;
        if held.as_ref().is_some_and(|client| Arc::ptr_eq(client, lost)) {
            *held = None;
        }
    }
}
