//! Ends an envelope whose time is over.

use countersign_core::{envelope::Command, id::EnvelopeId};
use countersign_store::rows::JobRow;

use super::Ended;
use crate::{
    app::App,
    envelopes::{Along, Asking, act},
    fault::Failure,
};

pub(super) async fn run(app: &App, job: &JobRow, envelope: EnvelopeId) -> Result<Ended, Failure> {
    let along = Along { finishes: Some(job.clone()), ..Along::default() };
    act(app, &Asking::job(job), envelope, Command::Expire, along).await?;
    Ok(Ended::Done)
}
