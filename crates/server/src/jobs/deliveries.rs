//! Brings deliveries after their endpoint, sends again what somebody asked for, and replays what an endpoint was not told.

use countersign_store::rows::{JobRow, Work};

use super::{Ended, finish};
use crate::{
    app::App,
    fault::{Failure, Fault},
    webhooks::{
        containment,
        moving::{self, Again, Stepped},
        replay::{self, Replay},
    },
};

pub(super) async fn run(app: &App, job: &JobRow) -> Result<Ended, Failure> {
    let stepped = match job.work {
        Work::FollowEndpoint { endpoint } => moving::follow(app, job, endpoint).await?,
        Work::FollowBlocks => {
            containment::follow(app, job).await?;
            return Ok(Ended::Done);
        }
        Work::SendAgain { endpoint, since, until, delivered } => {
            moving::again(app, job, Again { endpoint, since, until, delivered }).await?
        }
        Work::ReplayEvents { endpoint, since, until, after } => {
            replay::step(app, job, Replay { endpoint, since, until, after }).await?;
            return Ok(Ended::Done);
        }
        _ => return Err(Fault::Missing("the deliveries of this job".to_owned()).into()),
    };
    match stepped {
        Stepped::Done => finish(app, job).await,
        Stepped::Later(wait_ms) => Ok(Ended::Later(wait_ms, "there is more to move")),
    }
}
