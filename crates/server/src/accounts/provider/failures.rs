//! Who came back from a provider and was not let in, told to the organization, but not as often as strangers like: they need
//! no account for it. What is left out is counted in the next event, and is a line of the log each.

use std::{num::NonZeroU64, time::Duration};

use countersign_core::{
    access::Environment,
    accounts::provider::Reason,
    id::ProviderId,
    limits,
    security::{SecurityActor, SecurityBody},
};

use super::Provider;
use crate::{
    app::App,
    fault::Fault,
    organizations,
    pace::Telling,
    security::{self, Circumstances},
    signer::strict::Caller,
};

/// One more event of a provider after each of these.
const EACH: Duration = Duration::from_mins(1);

/// How fast failures are told.
pub struct Failures(Telling<ProviderId>);

impl Default for Failures {
    fn default() -> Self {
        Self(Telling::one_each(EACH, limits::PROVIDER_FAILURES))
    }
}

impl Failures {
    /// Tells the organization that somebody came back from its provider and was not let in.
    pub async fn tell(
        &self,
        app: &App,
        caller: &Caller,
        provider: &Provider,
        reason: Reason,
    ) -> Result<(), Fault> {
        let id = provider.row.provider;
        let Some(left_out) = self.0.admit(&id) else {
            tracing::warn!(
                event_type = "provider.failed",
                event_result = "left_out",
                provider_id = %id,
                reason = reason.text(),
                correlation_id = %caller.correlation
            );
            return Ok(());
        };
        let tenant = organizations::tenant(provider.row.organization, Environment::Live);
        let circumstances =
            Circumstances { actor: SecurityActor::Unknown, origin: None, correlation: caller.correlation };
        let body = SecurityBody::ProviderFailed { provider: id, reason, left_out: NonZeroU64::new(left_out) };
        let told = security::tell(app, &tenant, &circumstances, body).await;
        if told.is_err() {
            self.0.put_back(&id, left_out);
        }
        told
    }
}
