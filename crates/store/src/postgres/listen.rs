//! Hears of work that other servers added, over a connection of its own that is opened again when it is lost.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_postgres::{AsyncMessage, Client};

use super::{
    connection::{Access, fault},
    sql,
};
use crate::{
    fault::Fault,
    work::{Calls, Work},
};

/// How long to wait before a lost connection is opened again. Polling goes on meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

/// The name under which this server tells others of work: the process that listens for it. What comes back under it says
/// nothing new.
#[derive(Default)]
pub(super) struct Name(Mutex<String>);

impl Name {
    /// As it is sent.
    pub(super) fn text(&self) -> String {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens until it is aborted. `listening` hears when the first connection listens, or why it does not.
pub(super) async fn listen(
    access: Access,
    work: Arc<Work>,
    name: Arc<Name>,
    listening: oneshot::Sender<Result<(), Fault>>,
) {
    let mut first = Some(listening);
    loop {
        if let Err(fault) = listen_once(&access, &work, &name, &mut first).await {
            tracing::warn!(%fault, "the connection that listens for work was lost");
            if let Some(first) = first.take() {
                // Whoever opened the store gave up if nobody waits here.
                let _: Result<(), _> = first.send(Err(fault));
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen_once(
    access: &Access,
    work: &Work,
    name: &Name,
    first: &mut Option<oneshot::Sender<Result<(), Fault>>>,
) -> Result<(), Fault> {
    let (client, mut connection) =
        access.config.connect(access.tls.clone()).await.map_err(|error| fault(&error))?;
    let hear = async {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(told))) if told.payload() != *name.held() => {
                    work.arrived(Calls::ALL);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(fault(&error)),
                None => return Err(Fault::Unavailable("the server closed the connection".to_owned())),
            }
        }
    };
    let mut hear = pin!(hear);
    tokio::select! {
        lost = &mut hear => return lost,
        listens = begin(&client, name) => listens?,
    }
    if let Some(first) = first.take() {
        // Whoever opened the store gave up if nobody waits here.
        let _: Result<(), _> = first.send(Ok(()));
    }
    // What was added while nobody listened was not heard of.
    work.arrived(Calls::ALL);
    hear.await
}

async fn begin(client: &Client, name: &Name) -> Result<(), Fault> {
    client.batch_execute(sql::LISTEN).await.map_err(|error| fault(&error))?;
    let process = client.query_one(sql::PROCESS, &[]).await.and_then(|row| row.try_get(0));
    *name.held() = process.map_err(|error| fault(&error))?;
    Ok(())
}
