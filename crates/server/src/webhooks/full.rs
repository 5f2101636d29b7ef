//! The event itself in a message, for endpoints that chose it and hold the scope: as the API shows it.

use countersign_core::webhook::payload::Place;
use countersign_store::webhook_rows::NewMessage;
use serde_json::value::RawValue;

use crate::{
    api::{event_json, security_event_json},
    app::App,
    envelopes,
    fault::{Failure, Fault},
};

/// The event of a message as JSON; `None` where there is none to show any more, so that the message is thin.
pub(crate) async fn event(
    app: &App,
    message: &NewMessage,
    place: Place,
) -> Result<Option<Box<RawValue>>, Fault> {
    let shown = match place {
        Place::Test => None,
        Place::Security { seq, .. } => security_event_json(app, &message.tenant, seq).await?,
        Place::Envelope { envelope, seq, .. } => {
            match envelopes::read_placed(app, &message.tenant, envelope).await {
                Ok(placed) => event_json(&placed, seq)?,
                Err(Failure::Broken(fault)) => return Err(fault),
                Err(_) => None,
            }
        }
    };
    shown.map(RawValue::from_string).transpose().map_err(|error| Fault::Task(error.to_string()))
}
