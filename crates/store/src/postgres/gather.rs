//! Those who wait for the same thing go together.

use tokio::sync::mpsc;

/// Waits until somebody is there; `false` if nobody will be. Those who are about to come are let in, up to `most`: a
/// statement costs the database more than a row, and to let others run costs nothing where nobody else does.
pub(super) async fn gather<T>(group: &mut Vec<T>, queue: &mut mpsc::Receiver<T>, most: usize) -> bool {
    if queue.recv_many(group, most).await == 0 {
        return false;
    }
    loop {
        let before = group.len();
        tokio::task::yield_now().await;
        while group.len() < most
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        if group.len() == before || group.len() == most {
            return true;
        }
    }
}
