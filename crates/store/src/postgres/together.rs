//! Those who wait for the same thing go together: a statement costs the database more than a row.

use std::sync::Arc;

use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};

use crate::fault::Fault;

/// How many may wait and go together.
pub(super) struct Size {
    /// Those who wait at most; callers beyond that wait for a place.
    pub(super) queue: usize,
    /// Those who go together at most.
    pub(super) group: usize,
    /// Groups on their way at the same time.
    pub(super) groups: usize,
}

type Waiting<Q, A> = (Q, oneshot::Sender<A>);

/// The way to what answers groups of `Q` with an `A` for each.
pub(super) struct Together<Q, A> {
    what: &'static str,
    queue: mpsc::Sender<Waiting<Q, A>>,
}

impl<Q: Send + 'static, A: Send + 'static> Together<Q, A> {
    /// Starts what answers among `tasks`: `answer` gives as many as it was given, in the same order. Errors call it `what`.
    pub(super) fn start<F: Future<Output = Vec<A>> + Send + 'static>(
        what: &'static str,
        size: &Size,
        tasks: &mut JoinSet<()>,
        answer: impl Fn(Vec<Q>) -> F + Clone + Send + 'static,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(size.queue);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..size.groups {
            tasks.spawn(run(Arc::clone(&waiting), size.group, answer.clone()));
        }
        Self { what, queue }
    }

    /// The answer to `question`, which goes out after this was called.
    pub(super) async fn ask(&self, question: Q) -> Result<A, Fault> {
        let stopped = || Fault::Unavailable(format!("{} stopped", self.what));
        let (reply, answer) = oneshot::channel();
        self.queue.send((question, reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }
}

async fn run<Q, A, F: Future<Output = Vec<A>>>(
    waiting: Arc<Mutex<mpsc::Receiver<Waiting<Q, A>>>>,
    most: usize,
    answer: impl Fn(Vec<Q>) -> F,
) {
    let mut group = Vec::with_capacity(most);
    while gather(&mut group, &mut *waiting.lock().await, most).await {
        let (questions, replies): (Vec<Q>, Vec<_>) = group.drain(..).unzip();
        for (reply, answer) in replies.into_iter().zip(answer(questions).await) {
            // A caller that went away needs no answer.
            let _: Result<(), _> = reply.send(answer);
        }
    }
}

/// Waits until somebody is there; `false` if nobody will be. Those who are about to come are let in, up to `most`: to let
/// others run costs nothing where nobody else does.
async fn gather<T>(group: &mut Vec<T>, queue: &mut mpsc::Receiver<T>, most: usize) -> bool {
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
