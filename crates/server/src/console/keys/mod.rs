//! The API keys of an environment: seen, made, changed, rotated, ended. A token is on the page that answers its making, and on
//! no other. What a key may be is decided in `core/api_key/`.

mod forms;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use countersign_core::{
    access::Operation,
    id::{ApiKeyId, UserId},
    refusal::{Code, Refusal},
    scope::{Scope, Scopes},
};

use self::forms::{Fields, OVERLAPS};
use super::{
    Moment,
    desk::{self, Desk, Frame, Place, Tab, again},
    go,
    notice::NotShown,
    spoken, to_confirm,
};
use crate::{
    accounts::people,
    api_keys::{self, Giver, Known, NewKey, State as KeyState, token_kind, uses},
    app::App,
    fault::{Failure, Fault},
    signer::{
        assets::Assets,
        strict::{self, Caller, Id},
    },
};

/// Keys that have ended and are still shown.
const ENDED_SHOWN: usize = 20;

/// The pages of API keys.
pub fn routes() -> Router<Arc<App>> {
    let at = |rest: &str| format!("/console/{{organization}}/{{environment}}/keys{rest}");
    Router::new()
        .route(&at(""), get(show))
        .route(&at("/new"), get(show_new).post(create))
        .route(&at("/{key}"), get(show_one))
        .route(&at("/{key}/change"), post(change))
        .route(&at("/{key}/rotate"), post(rotate))
        .route(&at("/{key}/end"), post(end))
}

/// A key in words.
struct KeyLine {
    id: String,
    label: String,
    prefix: &'static str,
    state: &'static str,
    is_open: bool,
    is_replaced: bool,
    scopes: Vec<Scope>,
    networks: Vec<String>,
    made: Moment,
    made_by: Option<String>,
    ends: Moment,
    used: Option<(Moment, String, Option<String>)>,
    replaces: Option<String>,
    replaced_by: Option<String>,
}

impl KeyLine {
    async fn of(app: &App, known: &Known) -> Result<Self, Fault> {
        let (row, state) = (&known.row, known.state(app.now()));
        let used = uses::last(app, row).await?;
        Ok(Self {
            id: row.key.to_string(),
            label: row.label.clone(),
            prefix: token_kind(row.tenant.environment()).prefix(),
            state: state.text(),
            is_open: state != KeyState::Ended,
            is_replaced: known.replaced_by.is_some(),
            scopes: row.scopes.iter().collect(),
            networks: row.networks.clone(),
            made: row.created_at.into(),
            made_by: name(app, row.created_by).await?,
            ends: row.expires_at.into(),
            used: used.map(|(at, origin)| (at.into(), origin.ip, origin.user_agent)),
            replaces: row.replaces.map(|key| key.to_string()),
            replaced_by: known.replaced_by.map(|key| key.to_string()),
        })
    }
}

async fn name(app: &App, user: Option<UserId>) -> Result<Option<String>, Fault> {
    let Some(user) = user else { return Ok(None) };
    Ok(people::by_id(app, user).await?.map(|user| user.name.disclose().clone()))
}

#[derive(Template)]
#[template(path = "console/keys.html")]
struct KeysPage {
    assets: Assets,
    frame: Frame,
    open: Vec<KeyLine>,
    ended: Vec<KeyLine>,
    may_create: bool,
}

/// `GET /console/{organization}/{environment}/keys`
async fn show(State(app): State<Arc<App>>, caller: Caller, place: Place) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &place.page("/keys")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = desk.allow(&app, Operation::ListKeys).map_err(Failure::from)?;
    let (mut open, mut ended) = (Vec::new(), Vec::new());
    for known in api_keys::all(&app, tenant).await? {
        if known.state(app.now()) != KeyState::Ended {
            open.push(KeyLine::of(&app, &known).await?);
        } else if ended.len() < ENDED_SHOWN {
            ended.push(KeyLine::of(&app, &known).await?);
        }
    }
    let frame = desk.frame(&app, &caller, Tab::Keys).await?;
    let page = KeysPage { assets: Assets, frame, open, ended, may_create: desk.may(Operation::CreateKey) };
    page.frame.show(&page)
}

/// A scope to tick.
struct Choice {
    text: &'static str,
    words: &'static str,
    is_chosen: bool,
}

fn choices(most: Scopes, chosen: Scopes) -> Vec<Choice> {
    let offered = most.iter();
    offered
        .map(|scope| Choice { text: scope.text(), words: scope.words(), is_chosen: chosen.has(scope) })
        .collect()
}

#[derive(Template)]
#[template(path = "console/new_key.html")]
struct NewKeyPage {
    assets: Assets,
    frame: Frame,
    typed: Fields,
    scopes: Vec<Choice>,
    error: Option<String>,
}

async fn new_page(app: &App, caller: &Caller, desk: &Desk, typed: Fields) -> Result<NewKeyPage, NotShown> {
    let most = Giver::of(&desk.principal).scopes.and(Scopes::FOR_KEYS);
    let scopes = choices(most, typed.chosen());
    let frame = desk.frame(app, caller, Tab::Keys).await?;
    Ok(NewKeyPage { assets: Assets, frame, typed, scopes, error: None })
}

/// `GET /console/{organization}/{environment}/keys/new`
async fn show_new(State(app): State<Arc<App>>, caller: Caller, place: Place) -> Result<Response, NotShown> {
    let page = place.page("/keys/new");
    let desk = match desk::enter(&app, &caller, place, &page).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    match desk.allow(&app, Operation::CreateKey) {
        Ok(_) => {
            let page = new_page(&app, &caller, &desk, Fields::default()).await?;
            page.frame.show(&page)
        }
        Err(refusal) => astray(refusal, &page),
    }
}

/// The way to prove who one is and back to `page`, where that is what is missing.
fn astray(refusal: Refusal, page: &str) -> Result<Response, NotShown> {
    match refusal.code {
        Code::StepUpRequired => Ok(to_confirm(page)),
        _ => Err(Failure::from(refusal).into()),
    }
}

/// `POST /console/{organization}/{environment}/keys/new`
async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    strict::Form(pairs): strict::Form<Vec<(String, String)>>,
) -> Result<Response, NotShown> {
    let page = place.page("/keys/new");
    let desk = match desk::enter(&app, &caller, place, &page).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = match desk.allow(&app, Operation::CreateKey) {
        Ok(tenant) => *tenant,
        Err(refusal) => return astray(refusal, &page),
    };
    let typed = Fields::read(pairs).map_err(Failure::from)?;
    let made = match typed.wish() {
        Ok(wish) => {
            api_keys::create(
                &app,
                &tenant,
                &Desk::circumstances(&desk.principal, &caller),
                Giver::of(&desk.principal),
                &wish,
                None,
            )
            .await
        }
        Err(refusal) => Err(refusal.into()),
    };
    match made {
        Ok(made) => token_page(&app, &caller, &desk, &made, None).await,
        Err(Failure::Refused(refusal)) => {
            let page = new_page(&app, &caller, &desk, typed).await?;
            again(&NewKeyPage { error: Some(spoken(&refusal)), ..page }, &refusal)
        }
        Err(other) => Err(other.into()),
    }
}

#[derive(Template)]
#[template(path = "console/key_token.html")]
struct TokenPage<'a> {
    assets: Assets,
    frame: Frame,
    label: &'a str,
    id: String,
    token: &'a str,
    ends: Moment,
    old_ends: Option<Moment>,
    is_rotated: bool,
}

/// The one page that has a token. Nobody keeps it: no answer of this server is cached.
async fn token_page(
    app: &App,
    caller: &Caller,
    desk: &Desk,
    made: &NewKey,
    old: Option<&Known>,
) -> Result<Response, NotShown> {
    let is_open = |old: &&Known| old.state(app.now()) != KeyState::Ended;
    let page = TokenPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Keys).await?,
        label: &made.key.row.label,
        id: made.key.row.key.to_string(),
        token: made.token.expose(),
        ends: made.key.row.expires_at.into(),
        old_ends: old.filter(is_open).map(|old| old.row.expires_at.into()),
        is_rotated: old.is_some(),
    };
    page.frame.show(&page)
}

#[derive(Template)]
#[template(path = "console/key.html")]
struct KeyPage {
    assets: Assets,
    frame: Frame,
    line: KeyLine,
    scopes: Vec<Choice>,
    networks: String,
    overlaps: &'static [(i64, &'static str)],
    may_change: bool,
    error: Option<String>,
}

async fn key_page(app: &App, caller: &Caller, desk: &Desk, known: &Known) -> Result<KeyPage, NotShown> {
    Ok(KeyPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Keys).await?,
        line: KeyLine::of(app, known).await?,
        scopes: choices(known.row.scopes, known.row.scopes),
        networks: known.row.networks.join("\n"),
        overlaps: OVERLAPS,
        may_change: desk.may(Operation::ChangeKey),
        error: None,
    })
}

/// `GET /console/{organization}/{environment}/keys/{key}`
async fn show_one(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(key): Id<ApiKeyId>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, key)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = desk.allow(&app, Operation::ReadKey).map_err(Failure::from)?;
    let known = api_keys::read(&app, tenant, key).await?;
    let page = key_page(&app, &caller, &desk, &known).await?;
    page.frame.show(&page)
}

fn page_of(place: Place, key: ApiKeyId) -> String {
    place.page(&format!("/keys/{key}"))
}

/// The page of a key again, with what was wrong; or the way to prove who one is.
async fn refused(
    app: &App,
    caller: &Caller,
    desk: &Desk,
    key: ApiKeyId,
    failure: Failure,
) -> Result<Response, NotShown> {
    match failure {
        Failure::Refused(refusal) if refusal.code == Code::StepUpRequired => {
            Ok(to_confirm(&page_of(desk.place, key)))
        }
        Failure::Refused(refusal) if !matches!(refusal.code, Code::NotFound | Code::ScopeMissing) => {
            let tenant = desk.allow(app, Operation::ReadKey).map_err(Failure::from)?;
            let known = api_keys::read(app, tenant, key).await?;
            let page = key_page(app, caller, desk, &known).await?;
            again(&KeyPage { error: Some(spoken(&refusal)), ..page }, &refusal)
        }
        other => Err(other.into()),
    }
}

/// `POST /console/{organization}/{environment}/keys/{key}/change`
async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(key): Id<ApiKeyId>,
    strict::Form(pairs): strict::Form<Vec<(String, String)>>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, key)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let changed = async {
        let tenant = desk.allow(&app, Operation::ChangeKey)?;
        let edit = Fields::read(pairs)?.edit()?;
        api_keys::change(&app, tenant, &Desk::circumstances(&desk.principal, &caller), key, &edit, None).await
    };
    match changed.await {
        Ok(_) => Ok(go(&page_of(place, key), Vec::new())),
        Err(failure) => refused(&app, &caller, &desk, key, failure).await,
    }
}

/// `POST /console/{organization}/{environment}/keys/{key}/rotate`
async fn rotate(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(key): Id<ApiKeyId>,
    strict::Form(form): strict::Form<forms::RotateForm>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, key)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let rotated = async {
        let tenant = desk.allow(&app, Operation::RotateKey)?;
        let (giver, circumstances) =
            (Giver::of(&desk.principal), Desk::circumstances(&desk.principal, &caller));
        let made = api_keys::rotate(&app, tenant, &circumstances, giver, key, form.how(), None).await?;
        Ok((api_keys::read(&app, tenant, key).await?, made))
    };
    match rotated.await {
        Ok((old, made)) => token_page(&app, &caller, &desk, &made, Some(&old)).await,
        Err(failure) => refused(&app, &caller, &desk, key, failure).await,
    }
}

/// `POST /console/{organization}/{environment}/keys/{key}/end`
async fn end(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(key): Id<ApiKeyId>,
    strict::Form(form): strict::Form<forms::EndForm>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, key)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let ended = async {
        let tenant = desk.allow(&app, Operation::EndKey)?;
        form.check()?;
        api_keys::end(&app, tenant, &Desk::circumstances(&desk.principal, &caller), key, None).await
    };
    match ended.await {
        Ok(_) => Ok(go(&page_of(place, key), Vec::new())),
        Err(failure) => refused(&app, &caller, &desk, key, failure).await,
    }
}
