//! Metadata and keys of providers, kept for a minute: whoever begins to sign in, or comes back, makes this server ask a
//! provider once a minute at most. Nothing older is believed, also while the provider is down: a code is redeemed there in
//! any case, and keys may have been taken from its set.

use std::sync::Arc;

use countersign_core::{accounts::provider::Reason, id::ProviderId};

use super::{
    Provider,
    openid::{Known, Trouble},
};
use crate::{
    app::App,
    egress::kept::{Kept, Terms},
};

/// A provider that does not answer, or whose keys are said to have changed, is asked again after ten seconds.
const TERMS: Terms = Terms { fresh_s: 60, again_s: 10, stale_s: 60 };

/// What is known of providers.
pub struct Providers(Kept<ProviderId, Known, Reason>);

impl Default for Providers {
    fn default() -> Self {
        Self(Kept::new(TERMS))
    }
}

impl Providers {
    /// What is known of a provider.
    pub(super) async fn of(&self, app: &App, provider: &Provider) -> Result<Arc<Known>, Trouble> {
        self.get(app, provider, |_| true).await
    }

    /// The same, but newer than this, of which something was missing; if it must not be asked for again yet, the same.
    pub(super) async fn newer(
        &self,
        app: &App,
        provider: &Provider,
        known: &Arc<Known>,
    ) -> Result<Arc<Known>, Trouble> {
        self.get(app, provider, |other| !Arc::ptr_eq(other, known)).await
    }

    async fn get(
        &self,
        app: &App,
        provider: &Provider,
        wanted: impl Fn(&Arc<Known>) -> bool,
    ) -> Result<Arc<Known>, Trouble> {
        let issuer = &provider.settings.issuer;
        let fetched = Known::fetch(app.oauth.guard.clone(), issuer.clone());
        let found = self.0.get(app.now(), (provider.row.provider, issuer), wanted, fetched).await?;
        found.map_err(|reason| Trouble::Silent(reason.unwrap_or(Reason::Unreachable)))
    }
}
