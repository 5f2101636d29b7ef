//! Hears of work that other servers added, over a connection of its own that is opened again when it is lost.

use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};

use tokio::sync::oneshot;
use tokio_postgres::AsyncMessage;

use super::{
    connection::{Access, fault},
    sql,
};
use crate::{fault::Fault, work::Work};

/// How long to wait before a lost connection is opened again. Polling goes on meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens until it is aborted. `listening` hears when the first connection listens, or why it does not.
pub(super) async fn listen(access: Access, work: Arc<Work>, listening: oneshot::Sender<Result<(), Fault>>) {
    let mut first = Some(listening);
    loop {
        if let Err(fault) = listen_once(&access, &work, &mut first).await {
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
    first: &mut Option<oneshot::Sender<Result<(), Fault>>>,
) -> Result<(), Fault> {
    let (client, mut connection) =
        access.config.connect(access.tls.clone()).await.map_err(|error| fault(&error))?;
    let hear = async {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(_))) => work.arrived(),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(fault(&error)),
                None => return Err(Fault::Unavailable("the server closed the connection".to_owned())),
            }
        }
    };
    let mut hear = pin!(hear);
    tokio::select! {
        lost = &mut hear => return lost,
        listens = client.batch_execute(sql::LISTEN) => listens.map_err(|error| fault(&error))?,
    }
    if let Some(first) = first.take() {
        // Whoever opened the store gave up if nobody waits here.
        let _: Result<(), _> = first.send(Ok(()));
    }
    // What was added while nobody listened was not heard of.
    work.arrived();
    hear.await
}
