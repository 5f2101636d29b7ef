//! Waits for the moments of an API key's life, and does what is due.

use countersign_core::id::ApiKeyId;
use countersign_store::rows::JobRow;

use super::{Ended, finish};
use crate::{
    api_keys::watch::{Looked, look},
    app::App,
    fault::Failure,
};

pub(super) async fn run(app: &App, job: &JobRow, key: ApiKeyId) -> Result<Ended, Failure> {
    loop {
        match look(app, job, key).await? {
            Looked::Again => {}
            Looked::Wait(wait_ms) => return Ok(Ended::Later(wait_ms, "the key lives on")),
            Looked::Done => return finish(app, job).await,
        }
    }
}
