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
        Work::SendAgain { endpoint, since, until, delivered } => {
            moving::again(app, job, Again { endpoint, since, until, delivered }).await?
        }
        Work::ReplayEvents { endpoint, since, until, after } => {
            let is_done = replay::step(app, job, Replay { endpoint, since, until, after }).await?;
            return Ok(if is_done { Ended::Done } else { later() });
        }
        _ => return Err(Fault::Missing("the deliveries of this job".to_owned()).into()),
    };
    match (stepped, &job.work) {
        // One that was asked for by name is no recovery.
        (Stepped::Done, Work::SendAgain { endpoint, since, until, .. }) if since != until => {
            let is_done = again::finish(app, job, *endpoint).await?;
            Ok(if is_done { Ended::Done } else { later() })
        }
        (Stepped::Done, _) => finish(app, job).await,
        (Stepped::Replaced, _) => Ok(Ended::Done),
        (Stepped::Later(wait_ms), _) => Ok(Ended::Later(wait_ms, "there is more to move")),
    }
}

fn later() -> Ended {
    Ended::Later(CHANGED_MS, "the endpoint was changed meanwhile")
}
