//! Brings deliveries after their endpoint, sends again what somebody asked for, and replays what an endpoint was not told.

use countersign_store::rows::{JobRow, Work};

use super::{Ended, finish};
use crate::{
    app::App,
    fault::{Failure, Fault},
    webhooks::{
        again, containment,
        moving::{self, Again, Stepped},
        replay::{self, Replay},
    },
};

/// Wait after somebody else changed the endpoint.
const CHANGED_MS: i64 = 500;

pub(super) async fn run(app: &App, job: &JobRow) -> Result<Ended, Failure> {
    let stepped = match job.work {
        Work::FollowEndpoint { endpoint, settled_at } => {
            moving::follow(app, job, endpoint, settled_at).await?
        }
        Work::FollowBlocks => {
            containment::follow(app, job).await?;
            return Ok(Ended::Done);
        }
        Work::SendAgain { endpoint, since, until, delivered, done } => {
            return send_again(app, job, Again { endpoint, since, until, delivered, done }).await;
        }
        Work::ReplayEvents { endpoint, since, until, after, count } => {
            let is_done = replay::step(app, job, Replay { endpoint, since, until, after, count }).await?;
            return Ok(if is_done { Ended::Done } else { later() });
        }
        _ => return Err(Fault::Missing("the deliveries of this job".to_owned()).into()),
    };
    ended(app, job, stepped).await
}

async fn send_again(app: &App, job: &JobRow, what: Again) -> Result<Ended, Failure> {
    match moving::again(app, job, what).await? {
        // One that was asked for by name is no recovery.
        Stepped::Done if what.since != what.until => {
            let is_done = again::finish(app, job, what.endpoint, what.so_far(job).count).await?;
            Ok(if is_done { Ended::Done } else { later() })
        }
        stepped => ended(app, job, stepped).await,
    }
}

async fn ended(app: &App, job: &JobRow, stepped: Stepped) -> Result<Ended, Failure> {
    match stepped {
        Stepped::Done => finish(app, job).await,
        Stepped::Replaced => Ok(Ended::Done),
        Stepped::Later(wait_ms) => Ok(Ended::Later(wait_ms, "there is more to move")),
    }
}

fn later() -> Ended {
    Ended::Later(CHANGED_MS, "the endpoint was changed meanwhile")
}
