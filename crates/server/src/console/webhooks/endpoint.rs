//! One endpoint: what it is, what can be done with it now, and the next step of the rotation of its keys.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use countersign_core::{
    access::{Environment, Operation, most_given, scopes_of},
    id::EndpointId,
    limits,
    refusal::Code,
    webhook::{
        rotation::State as KeyState,
        standing::{BlockReason, Standing, State as EndpointState},
    },
};

use super::{
    astray, form_page,
    forms::{Fields, OVERLAPS},
    jwks_uri,
    lines::{EndpointLine, KeyLine, block_words},
    page_of, said_in_place,
};
use crate::{
    app::App,
    console::{
        Moment, Said,
        desk::{self, Desk, Frame, Place, Tab, again},
        go,
        notice::NotShown,
        spoken,
    },
    fault::Failure,
    signer::{
        assets::Assets,
        strict::{self, Caller, Id},
    },
    webhooks::{
        act::Act,
        endpoints,
        loaded::{self, Loaded},
        proof::{self, Line},
    },
};

/// Keys that are gone and are still shown.
const GONE_SHOWN: usize = 5;

/// What is to be done next in the life of the keys.
enum Next {
    /// No key is left: nothing is sent.
    First,
    /// One key signs: the next one can be made.
    Stage,
    /// The receiver is given the new key; then both sign.
    Join,
    /// A test that the new key alone signs.
    Test,
    /// The new key becomes the primary one.
    Promote,
    /// The old key signs until then.
    Wait(Moment),
}

/// A step of a rotation, and whether it is `done`, `now` or later.
struct Step {
    words: &'static str,
    is_done: bool,
    is_now: bool,
}

const STEPS: [&str; 4] = ["Make the next key", "Both sign", "Test it", "Promote it"];

impl Next {
    fn of(loaded: &Loaded, now: countersign_core::time::Time) -> Self {
        let live = || {
            let states = loaded.keys.all().iter().map(|key| (key.state.at(now), key.proven_at));
            states.filter(|(state, _)| state.is_live())
        };
        if live().next().is_none() {
            return Self::First;
        }
        live()
            .find_map(|(state, proven_at)| match state {
                KeyState::Staged => Some(Self::Join),
                KeyState::Dual if proven_at.is_none() => Some(Self::Test),
                KeyState::Dual => Some(Self::Promote),
                KeyState::Retiring(until) => Some(Self::Wait(until.into())),
                _ => None,
            })
            .unwrap_or(Self::Stage)
    }

    fn operation(&self) -> Operation {
        match self {
            Self::First | Self::Stage => Operation::StageWebhookKey,
            Self::Join => Operation::JoinWebhookKey,
            Self::Test => Operation::TestWebhookEndpoint,
            Self::Promote | Self::Wait(_) => Operation::PromoteWebhookKey,
        }
    }

    /// The steps, for as long as a rotation goes on.
    fn steps(&self) -> Vec<Step> {
        let at = match self {
            Self::First | Self::Stage | Self::Wait(_) => return Vec::new(),
            Self::Join => 1,
            Self::Test => 2,
            Self::Promote => 3,
        };
        let steps = STEPS.into_iter().enumerate();
        steps.map(|(number, words)| Step { words, is_done: number < at, is_now: number == at }).collect()
    }
}

/// What whoever looks may do with the endpoint at this moment.
#[expect(clippy::struct_excessive_bools, reason = "each is a button that the page has or leaves out")]
struct Acts {
    change: bool,
    activate: bool,
    disable: bool,
    end: bool,
    block: bool,
    release: bool,
    test: bool,
    prove: bool,
    next: bool,
    revoke: bool,
    /// Whether one of them takes a proof of who it is that is older.
    asks_proof: bool,
}

impl Acts {
    fn of(desk: &Desk, standing: Standing, next: &Next) -> Self {
        let is_open = standing.state != EndpointState::Ended;
        let is_live = desk.place.environment == Environment::Live;
        let may = |operation, is_possible: bool| is_open && is_possible && desk.may(operation);
        let is_told = standing.is_told();
        Self {
            change: may(Operation::ChangeWebhookEndpoint, true),
            activate: may(Operation::ActivateWebhookEndpoint, !is_told && (!is_live || standing.is_proven)),
            disable: may(Operation::DisableWebhookEndpoint, is_told),
            end: may(Operation::EndWebhookEndpoint, true),
            block: may(Operation::BlockWebhookEndpoint, standing.blocked.is_none()),
            release: may(Operation::ReleaseWebhookEndpoint, standing.blocked.is_some()),
            test: may(Operation::TestWebhookEndpoint, standing.is_tested() && !matches!(next, Next::First)),
            prove: may(Operation::ProveWebhookEndpoint, standing.is_tested() && !matches!(next, Next::First)),
            next: may(next.operation(), !matches!(next, Next::Test) || standing.is_tested()),
            revoke: may(Operation::RevokeWebhookKey, true),
            asks_proof: is_open && desk.may(Operation::BlockWebhookEndpoint),
        }
    }
}

#[derive(Template)]
#[template(path = "console/webhook.html")]
pub(super) struct EndpointPage {
    assets: Assets,
    frame: Frame,
    line: EndpointLine,
    keys: Vec<KeyLine>,
    gone: Vec<KeyLine>,
    next: Next,
    steps: Vec<Step>,
    acts: Acts,
    jwks_uri: String,
    reasons: Vec<(&'static str, &'static str)>,
    overlaps: &'static [(i64, &'static str)],
    /// Whether live events wait for the proof of its receiver (W-9).
    needs_proof: bool,
    /// What the last probes of it showed.
    probes: Vec<Line>,
    probed: Option<Moment>,
    error: Option<String>,
}

async fn endpoint_page(
    app: &App,
    caller: &Caller,
    desk: &Desk,
    loaded: &Loaded,
) -> Result<EndpointPage, NotShown> {
    let (now, standing) = (app.now(), loaded.condition.standing);
    let lines = loaded.keys.all().iter().map(|key| KeyLine::of(key, loaded, now));
    let (keys, mut gone): (Vec<_>, Vec<_>) = lines.partition(|line| line.is_live);
    gone.reverse();
    gone.truncate(GONE_SHOWN);
    let next = Next::of(loaded, now);
    let is_live = desk.place.environment == Environment::Live;
    let report = proof::of(loaded);
    Ok(EndpointPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Webhooks).await?,
        line: EndpointLine::of(loaded, now, scopes_of(&desk.principal)),
        keys,
        gone,
        steps: next.steps(),
        acts: Acts::of(desk, standing, &next),
        next,
        jwks_uri: jwks_uri(app, loaded.row.endpoint),
        reasons: BlockReason::ALL.map(|reason| (reason.text(), block_words(reason))).into(),
        overlaps: OVERLAPS,
        probed: report.as_ref().map(|report| Moment::from(report.at)),
        probes: report.map(|report| report.probes).unwrap_or_default(),
        needs_proof: is_live && !standing.is_proven && standing.state != EndpointState::Ended,
        error: None,
    })
}

/// `GET /console/{organization}/{environment}/webhooks/{endpoint}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, endpoint)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = desk.allow(&app, Operation::ReadWebhookEndpoint)?;
    let loaded = loaded::read(&app, tenant, endpoint).await?;
    let page = endpoint_page(&app, &caller, &desk, &loaded).await?;
    page.frame.show(&page)
}

/// The page of an endpoint again, with what was wrong; or the way to prove who one is.
pub(super) async fn refused(
    app: &App,
    caller: &Caller,
    desk: &Desk,
    endpoint: EndpointId,
    failure: Failure,
) -> Result<Response, NotShown> {
    match failure {
        Failure::Refused(refusal) if said_in_place(&refusal) => {
            let tenant = desk.allow(app, Operation::ReadWebhookEndpoint)?;
            let loaded = loaded::read(app, tenant, endpoint).await?;
            let page = endpoint_page(app, caller, desk, &loaded).await?;
            again(&EndpointPage { error: Some(spoken(&refusal)), ..page }, &refusal)
        }
        other => astray(other, &page_of(desk.place, endpoint)),
    }
}

/// `GET /console/{organization}/{environment}/webhooks/{endpoint}/change`
pub(super) async fn show_change(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
) -> Result<Response, NotShown> {
    let page = format!("{}/change", page_of(place, endpoint));
    let desk = match desk::enter(&app, &caller, place, &page).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = desk.allow(&app, Operation::ChangeWebhookEndpoint)?;
    let loaded = loaded::read(&app, tenant, endpoint).await?;
    let typed = Fields::of(&loaded.settings);
    let page = form_page(&app, &caller, &desk, typed, Some(&loaded)).await?;
    page.frame.show(&page)
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/change`
pub(super) async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(pairs): strict::Form<Vec<(String, String)>, { limits::WEBHOOK_FORM_BYTES }>,
) -> Result<Response, NotShown> {
    let here = page_of(place, endpoint);
    let desk = match desk::enter(&app, &caller, place, &format!("{here}/change")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = desk.allow(&app, Operation::ChangeWebhookEndpoint)?;
    let loaded = loaded::read(&app, tenant, endpoint).await?;
    let typed = Fields::read(pairs)?;
    let giver = most_given(&desk.principal);
    let changed = async {
        let edit = typed.edit(&loaded.settings, giver)?;
        let circumstances = Desk::circumstances(&desk.principal, &caller);
        let act = Act { tenant, circumstances: &circumstances, keep: None };
        endpoints::change(&app, &act, giver, endpoint, &edit).await
    };
    match changed.await {
        Ok(_) => Ok(go(&here, vec![Said::WebhookChanged.cookie()?])),
        Err(Failure::Refused(refusal)) if refusal.code != Code::NotFound => {
            form_page(&app, &caller, &desk, typed, Some(&loaded)).await?.refused(&refusal)
        }
        Err(other) => Err(other.into()),
    }
}
