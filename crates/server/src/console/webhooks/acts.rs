//! What is done to an endpoint and its keys with one click, each allowed as the same act of the API is.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use countersign_core::{
    access::Operation,
    id::{EndpointId, WebhookKeyId},
    refusal::Refusal,
    webhook::standing::BlockReason,
};

use super::{
    endpoint::refused,
    forms::{BlockForm, Nothing, PromoteForm, SureForm},
    page_of, secret_page,
};
use crate::{
    app::App,
    console::{
        Said,
        desk::{self, Desk, Place},
        go,
        notice::NotShown,
    },
    fault::Failure,
    signer::strict::{self, Caller, Id},
    webhooks::{act::Act, endpoints, proof, rotating, testing},
};

/// An act that changes an endpoint and shows nothing new.
enum Deed {
    Activate,
    Disable,
    End,
    Block(BlockReason),
    Release,
    Join,
    Promote(i64),
    Revoke(WebhookKeyId),
    Prove,
}

impl Deed {
    async fn run(self, app: &App, act: &Act<'_>, endpoint: EndpointId) -> Result<Said, Failure> {
        Ok(match self {
            Self::Activate => {
                endpoints::activate(app, act, endpoint).await.map(|_| Said::WebhookActivated)?
            }
            Self::Disable => endpoints::disable(app, act, endpoint).await.map(|_| Said::WebhookDisabled)?,
            Self::End => endpoints::end(app, act, endpoint).await.map(|_| Said::WebhookEnded)?,
            Self::Block(reason) => {
                endpoints::block(app, act, endpoint, reason).await.map(|_| Said::WebhookBlocked)?
            }
            Self::Release => endpoints::release(app, act, endpoint).await.map(|_| Said::WebhookReleased)?,
            Self::Join => rotating::join(app, act, endpoint).await.map(|_| Said::WebhookKeyJoined)?,
            Self::Promote(overlap_s) => {
                rotating::promote(app, act, endpoint, overlap_s).await.map(|_| Said::WebhookKeyPromoted)?
            }
            Self::Revoke(key) => {
                rotating::revoke(app, act, endpoint, key).await.map(|_| Said::WebhookKeyRevoked)?
            }
            Self::Prove => {
                let is_proven = proof::prove(app, act, endpoint, None).await?.is_proven;
                if is_proven { Said::WebhookProven } else { Said::WebhookNotProven }
            }
        })
    }
}

/// Does it if it is allowed, and leads back to the endpoint with a word about it.
async fn done(
    app: &App,
    caller: &Caller,
    (place, endpoint): (Place, EndpointId),
    operation: Operation,
    deed: Result<Deed, Refusal>,
) -> Result<Response, NotShown> {
    let page = page_of(place, endpoint);
    let desk = match desk::enter(app, caller, place, &page).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let ran = async {
        let tenant = desk.allow(app, operation)?;
        let circumstances = Desk::circumstances(&desk.principal, caller);
        let act = Act { tenant, circumstances: &circumstances, keep: None };
        deed?.run(app, &act, endpoint).await
    };
    match ran.await {
        Ok(said) => Ok(go(&page, vec![said.cookie()?])),
        Err(failure) => refused(app, caller, &desk, endpoint, failure).await,
    }
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/activate`
pub(super) async fn activate(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(Nothing {}): strict::Form<Nothing>,
) -> Result<Response, NotShown> {
    done(&app, &caller, (place, endpoint), Operation::ActivateWebhookEndpoint, Ok(Deed::Activate)).await
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/disable`
pub(super) async fn disable(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(Nothing {}): strict::Form<Nothing>,
) -> Result<Response, NotShown> {
    done(&app, &caller, (place, endpoint), Operation::DisableWebhookEndpoint, Ok(Deed::Disable)).await
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/end`
pub(super) async fn end(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(form): strict::Form<SureForm>,
) -> Result<Response, NotShown> {
    let deed = form.check("the endpoint").map(|()| Deed::End);
    done(&app, &caller, (place, endpoint), Operation::EndWebhookEndpoint, deed).await
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/block`
pub(super) async fn block(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(form): strict::Form<BlockForm>,
) -> Result<Response, NotShown> {
    let deed = form.reason().map(Deed::Block);
    done(&app, &caller, (place, endpoint), Operation::BlockWebhookEndpoint, deed).await
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/release`
pub(super) async fn release(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(Nothing {}): strict::Form<Nothing>,
) -> Result<Response, NotShown> {
    done(&app, &caller, (place, endpoint), Operation::ReleaseWebhookEndpoint, Ok(Deed::Release)).await
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/keys/join`
pub(super) async fn join(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(Nothing {}): strict::Form<Nothing>,
) -> Result<Response, NotShown> {
    done(&app, &caller, (place, endpoint), Operation::JoinWebhookKey, Ok(Deed::Join)).await
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/keys/promote`
pub(super) async fn promote(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(form): strict::Form<PromoteForm>,
) -> Result<Response, NotShown> {
    let deed = Ok(Deed::Promote(form.overlap_s));
    done(&app, &caller, (place, endpoint), Operation::PromoteWebhookKey, deed).await
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/keys/{webhook_key}/revoke`
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    Id(key): Id<WebhookKeyId>,
    strict::Form(form): strict::Form<SureForm>,
) -> Result<Response, NotShown> {
    let deed = form.check("the key").map(|()| Deed::Revoke(key));
    done(&app, &caller, (place, endpoint), Operation::RevokeWebhookKey, deed).await
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/keys/stage`: the answer has the secret of the new key.
pub(super) async fn stage(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(Nothing {}): strict::Form<Nothing>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, endpoint)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let staged = async {
        let tenant = desk.allow(&app, Operation::StageWebhookKey)?;
        let circumstances = Desk::circumstances(&desk.principal, &caller);
        let act = Act { tenant, circumstances: &circumstances, keep: None };
        rotating::stage(&app, &act, endpoint).await
    };
    match staged.await {
        Ok(made) => {
            let secret = made.secret.expose();
            secret_page(&app, &caller, &desk, &made.loaded, (made.key, &secret), false).await
        }
        Err(failure) => refused(&app, &caller, &desk, endpoint, failure).await,
    }
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/test`: on to the delivery, which has what came of it.
pub(super) async fn test(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(Nothing {}): strict::Form<Nothing>,
) -> Result<Response, NotShown> {
    let page = page_of(place, endpoint);
    let desk = match desk::enter(&app, &caller, place, &page).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tested = async {
        let tenant = desk.allow(&app, Operation::TestWebhookEndpoint)?;
        let circumstances = Desk::circumstances(&desk.principal, &caller);
        let act = Act { tenant, circumstances: &circumstances, keep: None };
        testing::test(&app, &act, endpoint, None).await
    };
    match tested.await {
        Ok(tested) => {
            let said =
                if tested.is_accepted() { Said::WebhookTestAccepted } else { Said::WebhookTestRefused };
            Ok(go(&format!("{page}/deliveries/{}", tested.message), vec![said.cookie()?]))
        }
        Err(failure) => refused(&app, &caller, &desk, endpoint, failure).await,
    }
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/prove`: the endpoint's page shows what was found.
pub(super) async fn prove(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(Nothing {}): strict::Form<Nothing>,
) -> Result<Response, NotShown> {
    done(&app, &caller, (place, endpoint), Operation::ProveWebhookEndpoint, Ok(Deed::Prove)).await
}
