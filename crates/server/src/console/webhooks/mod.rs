//! The webhook endpoints of an environment: seen, made, changed, tested, rotated, ended; what was delivered to them, and what
//! there is to be told of. A secret is on the page that answers its making, and on no other. What an endpoint may be is decided in
//! `core/webhook/`.

mod acts;
mod catalogue;
mod channel_form;
mod containment;
mod deliveries;
mod delivery;
mod endpoint;
mod forms;
mod lines;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::Uri,
    response::Response,
    routing::{get, post},
};
use countersign_core::{
    access::{Environment, Operation, most_given, scopes_of},
    id::{EndpointId, WebhookKeyId},
    limits,
    refusal::{Code, Refusal},
    scope::Scopes,
    webhook::{
        class::{Class, Payload},
        endpoint::Profile,
    },
};

use self::{
    containment::Blocks,
    forms::Fields,
    lines::{Certificate, EndpointLine, class_name, class_words, profile_words},
};
use super::{
    Paged,
    desk::{self, Desk, Frame, Place, Tab, again},
    notice::NotShown,
    read_query, spoken, to_confirm,
};
use crate::{
    app::App,
    fault::Failure,
    signer::{
        assets::Assets,
        strict::{self, Caller},
    },
    webhooks::{endpoints, loaded::Loaded},
};

/// Endpoints on one page.
const PAGE: usize = 50;

/// The pages of webhooks.
pub fn routes() -> Router<Arc<App>> {
    Router::new().nest("/console/{organization}/{environment}/webhooks", webhook_routes())
}

fn webhook_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(show))
        .route("/new", get(show_new).post(create))
        .route("/events", get(catalogue::show))
        .route("/block", post(containment::block))
        .route("/release", post(containment::release))
        .route("/{endpoint}", get(endpoint::show))
        .route("/{endpoint}/change", get(endpoint::show_change).post(endpoint::change))
        .route("/{endpoint}/activate", post(acts::activate))
        .route("/{endpoint}/disable", post(acts::disable))
        .route("/{endpoint}/end", post(acts::end))
        .route("/{endpoint}/block", post(acts::block))
        .route("/{endpoint}/release", post(acts::release))
        .route("/{endpoint}/test", post(acts::test))
        .route("/{endpoint}/prove", post(acts::prove))
        .route("/{endpoint}/keys/stage", post(acts::stage))
        .route("/{endpoint}/keys/join", post(acts::join))
        .route("/{endpoint}/keys/promote", post(acts::promote))
        .route("/{endpoint}/keys/{webhook_key}/revoke", post(acts::revoke))
        .route("/{endpoint}/deliveries", get(deliveries::show))
        .route("/{endpoint}/deliveries/recover", post(deliveries::recover))
        .route("/{endpoint}/deliveries/replay", post(deliveries::replay))
        .route("/{endpoint}/deliveries/{message}", get(delivery::show))
        .route("/{endpoint}/deliveries/{message}/resend", post(delivery::resend))
}

fn page_of(place: Place, endpoint: EndpointId) -> String {
    place.page(&format!("/webhooks/{endpoint}"))
}

/// The way to prove who one is and back to `page`, where that is what is missing.
fn astray(failure: Failure, page: &str) -> Result<Response, NotShown> {
    match failure {
        Failure::Refused(refusal) if refusal.code == Code::StepUpRequired => Ok(to_confirm(page)),
        other => Err(other.into()),
    }
}

/// A refusal that belongs on the page whose form was sent; the others are said on a page of their own.
fn said_in_place(refusal: &Refusal) -> bool {
    !matches!(refusal.code, Code::NotFound | Code::ScopeMissing | Code::StepUpRequired)
}

#[derive(Template)]
#[template(path = "console/webhooks.html")]
struct WebhooksPage {
    assets: Assets,
    frame: Frame,
    endpoints: Vec<EndpointLine>,
    next: Option<String>,
    may_create: bool,
    blocks: Blocks,
    error: Option<String>,
}

/// The endpoints before `before`, newest first, with what blocks them all.
async fn list_page(
    app: &App,
    caller: &Caller,
    desk: &Desk,
    before: Option<EndpointId>,
) -> Result<WebhooksPage, NotShown> {
    let tenant = *desk.allow(app, Operation::ListWebhookEndpoints)?;
    let mut found = endpoints::page(app, &tenant, before, PAGE).await?;
    let has_more = found.len() > PAGE;
    found.truncate(PAGE);
    Ok(WebhooksPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Webhooks).await?,
        endpoints: found
            .iter()
            .map(|loaded| EndpointLine::of(loaded, app.now(), scopes_of(&desk.principal)))
            .collect(),
        next: found.last().filter(|_| has_more).map(|last| last.row.endpoint.to_string()),
        may_create: desk.may(Operation::CreateWebhookEndpoint),
        blocks: Blocks::of(app, desk, &tenant).await?,
        error: None,
    })
}

/// `GET /console/{organization}/{environment}/webhooks`
async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    uri: Uri,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &place.page("/webhooks")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let query: Paged = read_query(&uri)?;
    let before = query.before.map(|text| text.parse()).transpose().map_err(|_| Refusal::not_found())?;
    let page = list_page(&app, &caller, &desk, before).await?;
    page.frame.show(&page)
}

/// A class to tick.
struct ClassChoice {
    text: &'static str,
    name: &'static str,
    words: &'static str,
    is_chosen: bool,
    /// Whether whoever asks may let an endpoint have it.
    is_allowed: bool,
}

/// Something to choose.
struct Choice {
    text: &'static str,
    name: &'static str,
    words: &'static str,
    is_chosen: bool,
}

/// How much is told of an event.
const PAYLOADS: [(Payload, &str, &str); 2] = [
    (
        Payload::Thin,
        "Thin",
        "what happened, and to which envelope: no names and no contents. The receiver asks the API for the rest",
    ),
    (
        Payload::Full,
        "Full",
        "the event itself too, with the names, addresses and values in it: choose it if the receiver may hold them",
    ),
];

#[derive(Template)]
#[template(path = "console/webhook_form.html")]
struct FormPage {
    assets: Assets,
    frame: Frame,
    typed: Fields,
    classes: Vec<ClassChoice>,
    payloads: Vec<Choice>,
    profiles: Vec<Choice>,
    error: Option<String>,
    /// The field that it is about.
    wrong: Option<&'static str>,
    /// The endpoint that is changed: its address and its name.
    changed: Option<(String, String)>,
    /// What it has of a channel now, as its page shows it.
    set: Option<EndpointLine>,
    is_live: bool,
}

impl FormPage {
    /// The page again, with what was wrong and where.
    fn refused(self, refusal: &Refusal) -> Result<Response, NotShown> {
        let wrong = refusal.pointer.as_deref().and_then(field_of);
        again(&Self { error: Some(spoken(refusal)), wrong, ..self }, refusal)
    }

    /// What is wrong with a field.
    fn wrong(&self, field: &str) -> Option<&str> {
        self.error.as_deref().filter(|_| self.wrong == Some(field))
    }

    /// Whether something in this part is wrong, or was typed or ticked.
    fn is_open(&self, part: &str) -> bool {
        let (typed, wrong) = (&self.typed.channel, self.wrong.unwrap_or_default());
        match part {
            "certificate" => {
                wrong.starts_with(part) || typed.takes_certificate_away() || !typed.chain().is_empty()
            }
            "pins" => wrong == part || !typed.pins().is_empty(),
            _ => {
                let is_typed =
                    [typed.token_url(), typed.client_id(), typed.scope()].iter().any(|text| !text.is_empty());
                wrong.starts_with("oauth") || typed.takes_oauth_away() || is_typed
            }
        }
    }

    fn certificate(&self) -> Option<&Certificate> {
        self.set.as_ref().and_then(|line| line.certificate.as_ref())
    }

    fn oauth(&self) -> Option<&(String, String)> {
        self.set.as_ref().and_then(|line| line.oauth.as_ref())
    }
}

/// The field of the form that a JSON pointer into an endpoint means.
fn field_of(pointer: &str) -> Option<&'static str> {
    Some(match pointer {
        "/url" => "url",
        "/description" => "description",
        "/client_certificate/chain" => "certificate_chain",
        "/client_certificate/key" => "certificate_key",
        "/pins" => "pins",
        "/oauth/token_url" => "oauth_token_url",
        "/oauth/client_id" => "oauth_client_id",
        "/oauth/client_secret" => "oauth_client_secret",
        "/oauth/scope" => "oauth_scope",
        _ => return None,
    })
}

fn class_choices(typed: &Fields, giver: Scopes) -> Vec<ClassChoice> {
    let offered = Class::ALL.into_iter().filter(|class| *class != Class::Test);
    offered
        .map(|class| ClassChoice {
            text: class.text(),
            name: class_name(class),
            words: class_words(class),
            is_chosen: typed.has(class),
            is_allowed: class.needs(Payload::Thin).is_none_or(|scope| giver.has(scope)),
        })
        .collect()
}

async fn form_page(
    app: &App,
    caller: &Caller,
    desk: &Desk,
    typed: Fields,
    changed: Option<&Loaded>,
) -> Result<FormPage, NotShown> {
    let payloads = PAYLOADS.map(|(payload, name, words)| Choice {
        text: payload.text(),
        name,
        words,
        is_chosen: typed.payload == payload.text(),
    });
    let profiles = Profile::ALL.map(|profile| Choice {
        text: profile.text(),
        name: profile_words(profile).0,
        words: profile_words(profile).1,
        is_chosen: typed.profile == profile.text(),
    });
    Ok(FormPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Webhooks).await?,
        classes: class_choices(&typed, most_given(&desk.principal)),
        payloads: payloads.into(),
        profiles: profiles.into(),
        typed,
        error: None,
        wrong: None,
        set: changed.map(|loaded| EndpointLine::of(loaded, app.now(), scopes_of(&desk.principal))),
        changed: changed
            .map(|loaded| (page_of(desk.place, loaded.row.endpoint), loaded.settings.description.clone())),
        is_live: desk.place.environment == Environment::Live,
    })
}

/// `GET /console/{organization}/{environment}/webhooks/new`
async fn show_new(State(app): State<Arc<App>>, caller: Caller, place: Place) -> Result<Response, NotShown> {
    let page = place.page("/webhooks/new");
    let desk = match desk::enter(&app, &caller, place, &page).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    match desk.allow(&app, Operation::CreateWebhookEndpoint) {
        Ok(_) => {
            let page = form_page(&app, &caller, &desk, Fields::new(), None).await?;
            page.frame.show(&page)
        }
        Err(refusal) => astray(refusal.into(), &page),
    }
}

/// `POST /console/{organization}/{environment}/webhooks/new`
async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    strict::Form(pairs): strict::Form<Vec<(String, String)>, { limits::WEBHOOK_FORM_BYTES }>,
) -> Result<Response, NotShown> {
    let page = place.page("/webhooks/new");
    let desk = match desk::enter(&app, &caller, place, &page).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = match desk.allow(&app, Operation::CreateWebhookEndpoint) {
        Ok(tenant) => *tenant,
        Err(refusal) => return astray(refusal.into(), &page),
    };
    let typed = Fields::read(pairs)?;
    let giver = most_given(&desk.principal);
    let made = match typed.settings(giver) {
        Ok(settings) => {
            let circumstances = Desk::circumstances(&desk.principal, &caller);
            endpoints::create(&app, &tenant, &circumstances, giver, &settings, None).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    match made {
        Ok(made) => {
            let secret = made.secret.expose();
            secret_page(&app, &caller, &desk, &made.loaded, (made.key, &secret), true).await
        }
        Err(Failure::Refused(refusal)) => {
            form_page(&app, &caller, &desk, typed, None).await?.refused(&refusal)
        }
        Err(other) => Err(other.into()),
    }
}

#[derive(Template)]
#[template(path = "console/webhook_secret.html")]
struct SecretPage<'a> {
    assets: Assets,
    frame: Frame,
    line: EndpointLine,
    key: String,
    secret: &'a str,
    jwks_uri: String,
    /// Whether the endpoint was made just now, and not only its next key.
    is_new: bool,
}

/// The one page that has a secret. Nobody keeps it: no answer of this server is cached.
async fn secret_page(
    app: &App,
    caller: &Caller,
    desk: &Desk,
    loaded: &Loaded,
    (key, secret): (WebhookKeyId, &str),
    is_new: bool,
) -> Result<Response, NotShown> {
    let page = SecretPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Webhooks).await?,
        line: EndpointLine::of(loaded, app.now(), scopes_of(&desk.principal)),
        key: key.to_string(),
        secret,
        jwks_uri: jwks_uri(app, loaded.row.endpoint),
        is_new,
    };
    page.frame.show(&page)
}

/// Where the public keys of an endpoint are.
fn jwks_uri(app: &App, endpoint: EndpointId) -> String {
    format!("{}/webhooks/{endpoint}/jwks.json", app.config.server.public_url)
}
