//! The clients of an environment: seen, registered, ended. What a registration may be is decided in
//! `core/oauth/client/check.rs`; this page offers the two kinds that most programs are, and the API all of them.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use countersign_core::{
    access::{Operation, most_given},
    id::ClientId,
    limits,
    oauth::client::{GrantType, Registration},
    refusal::{Code, Refusal},
    scope::Scope,
};
use serde_json::{Map, Value, json};

use super::{
    Moment, Said,
    desk::{self, Desk, Frame, Place, Tab, again, settle},
    go,
    members::Nothing,
    notice::NotShown,
    spoken, to_confirm,
};
use crate::{
    app::App,
    clients::{self, Registered},
    fault::Failure,
    signer::{
        assets::Assets,
        strict::{self, Caller, Id},
    },
};

/// Clients on one page.
const PAGE: usize = 50;
/// Bytes of a form: a set of keys, percent-encoded, and the rest.
const FORM_BYTES: usize = 3 * limits::JWKS_BYTES + limits::FORM_BYTES;

struct ClientLine {
    id: String,
    name: String,
    profile: &'static str,
    method: &'static str,
    since: Moment,
}

#[derive(Template)]
#[template(path = "console/clients.html")]
struct ClientsPage {
    assets: Assets,
    frame: Frame,
    clients: Vec<ClientLine>,
    next: Option<String>,
    may_register: bool,
}

fn profile_words(registration: &Registration) -> &'static str {
    if registration.is_fapi() { "FAPI 2.0" } else { "Standard" }
}

/// `GET /console/{organization}/{environment}/clients`
pub async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    uri: axum::http::Uri,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &place.page("/clients")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = *desk.allow(&app, Operation::ListClients)?;
    let query: super::Paged = super::read_query(&uri)?;
    let before = query.before.as_deref().map(str::parse::<ClientId>).transpose();
    let before = before.map_err(|_| Refusal::not_found())?;
    let rows = app.store.clients(&tenant, before, PAGE + 1).await.map_err(Failure::from)?;
    let more = rows.len() > PAGE;
    let next = rows.get(PAGE - 1).filter(|_| more).map(|row| row.client.to_string());
    let mut lines = Vec::new();
    for row in rows.into_iter().take(PAGE).filter(|row| row.ended_at.is_none()) {
        let client = Registered::read(row)?;
        lines.push(ClientLine {
            id: client.row.client.to_string(),
            name: client.registration.client_name.clone(),
            profile: profile_words(&client.registration),
            method: client.registration.token_endpoint_auth_method.text(),
            since: client.row.created_at.into(),
        });
    }
    let page = ClientsPage {
        assets: Assets,
        frame: desk.frame(&app, &caller, Tab::Clients).await?,
        clients: lines,
        next,
        may_register: desk.may(Operation::CreateClient),
    };
    page.frame.show(&page)
}

struct ScopeChoice {
    text: &'static str,
    words: &'static str,
    is_chosen: bool,
}

/// What was typed, to be shown again.
#[derive(Default)]
struct Typed {
    name: String,
    profile: String,
    acts: String,
    keys: String,
    jwks: String,
    jwks_uri: String,
    redirect_uris: String,
    scopes: Vec<Scope>,
}

#[derive(Template)]
#[template(path = "console/new_client.html")]
struct NewClientPage {
    assets: Assets,
    frame: Frame,
    typed: Typed,
    scopes: Vec<ScopeChoice>,
    admin_scopes: Vec<ScopeChoice>,
    error: Option<String>,
}

async fn new_page(app: &App, caller: &Caller, desk: &Desk, typed: Typed) -> Result<NewClientPage, NotShown> {
    let most = desk.place.environment.ceiling();
    let choices = |is_admin: bool| {
        let asked = most.iter().filter(move |scope| scope.is_admin() == is_admin);
        asked
            .map(|scope| ScopeChoice {
                text: scope.text(),
                words: scope.words(),
                is_chosen: typed.scopes.contains(&scope),
            })
            .collect()
    };
    let (scopes, admin_scopes) = (choices(false), choices(true));
    let frame = desk.frame(app, caller, Tab::Clients).await?;
    Ok(NewClientPage { assets: Assets, frame, scopes, admin_scopes, typed, error: None })
}

/// `GET /console/{organization}/{environment}/clients/new`: for somebody who has just proved who it is.
pub async fn show_new(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
) -> Result<Response, NotShown> {
    let here = place.page("/clients/new");
    let desk = match desk::enter(&app, &caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    match desk.allow(&app, Operation::CreateClient) {
        Err(refusal) if refusal.code == Code::StepUpRequired => return Ok(to_confirm(&here)),
        allowed => allowed?,
    };
    let typed = Typed {
        profile: "fapi2".to_owned(),
        acts: "itself".to_owned(),
        keys: "jwks".to_owned(),
        ..Typed::default()
    };
    let page = new_page(&app, &caller, &desk, typed).await?;
    page.frame.show(&page)
}

fn unreadable() -> Refusal {
    Refusal::new(Code::Malformed, "the form cannot be read here; reload the page and try again")
}

impl Typed {
    /// Reads the form: every name once, but `scope`, and no other.
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        let (mut typed, mut seen) = (Self::default(), Vec::new());
        for (name, value) in pairs {
            if name == "scope" {
                typed.scopes.push(Scope::parse(&value).ok_or_else(unreadable)?);
                continue;
            }
            let field = match name.as_str() {
                "name" => &mut typed.name,
                "profile" => &mut typed.profile,
                "acts" => &mut typed.acts,
                "keys" => &mut typed.keys,
                "jwks" => &mut typed.jwks,
                "jwks_uri" => &mut typed.jwks_uri,
                "redirect_uris" => &mut typed.redirect_uris,
                _ => return Err(unreadable()),
            };
            if seen.contains(&name) {
                return Err(unreadable());
            }
            *field = value;
            seen.push(name);
        }
        Ok(typed)
    }

    /// The registration that this asks for, as the API would take it.
    fn registration(&self) -> Result<Registration, Refusal> {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
        put("client_name", json!(self.name.trim()));
        put("profile", json!(self.profile));
        put("token_endpoint_auth_method", json!("private_key_jwt"));
        put("dpop_bound_access_tokens", json!(true));
        let grant_types = match self.acts.as_str() {
            "itself" => vec![GrantType::ClientCredentials],
            "people" => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            _ => return Err(unreadable()),
        };
        put("grant_types", json!(grant_types));
        if self.acts == "people" {
            let uris: Vec<&str> = self.redirect_uris.split_whitespace().collect();
            put("redirect_uris", json!(uris));
            put("require_pushed_authorization_requests", json!(true));
        }
        match self.keys.as_str() {
            "jwks" => {
                let jwks: Value = serde_json::from_str(&self.jwks).map_err(|_| {
                    let sentence = "paste the public keys as a JWK set: JSON that begins with {\"keys\":[";
                    Refusal::at(Code::Invalid, "/jwks", sentence)
                })?;
                put("jwks", jwks);
            }
            "jwks_uri" => put("jwks_uri", json!(self.jwks_uri.trim())),
            _ => return Err(unreadable()),
        }
        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.text()).collect();
        put("scope", json!(scopes.join(" ")));
        Registration::parse(Value::Object(members).to_string().as_bytes())
    }
}

/// `POST /console/{organization}/{environment}/clients/new`
pub async fn register(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    strict::Form(pairs): strict::Form<Vec<(String, String)>, FORM_BYTES>,
) -> Result<Response, NotShown> {
    let here = place.page("/clients/new");
    let desk = match desk::enter(&app, &caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let typed = Typed::read(pairs)?;
    let made = match (desk.allow(&app, Operation::CreateClient), typed.registration()) {
        (Err(refusal), _) | (Ok(_), Err(refusal)) => Err(refusal.into()),
        (Ok(tenant), Ok(registration)) => {
            let circumstances = Desk::circumstances(&desk.principal, &caller);
            clients::register(&app, tenant, &circumstances, most_given(&desk.principal), registration, None)
                .await
        }
    };
    match made {
        Ok(made) => {
            let page = place.page(&format!("/clients/{}", made.client.row.client));
            Ok(go(&page, vec![Said::ClientRegistered.cookie()?]))
        }
        Err(Failure::Refused(refusal)) if matches!(refusal.code, Code::Invalid | Code::Malformed) => {
            let error = Some(spoken(&refusal));
            let page = new_page(&app, &caller, &desk, typed).await?;
            again(&NewClientPage { error, ..page }, &refusal)
        }
        Err(other) => settle::<()>(Err(other), &here, (&here, Said::ClientRegistered)),
    }
}

#[derive(Template)]
#[template(path = "console/client.html")]
struct ClientPage {
    assets: Assets,
    frame: Frame,
    id: String,
    name: String,
    profile: &'static str,
    method: &'static str,
    keys: String,
    acts: String,
    redirect_uris: Vec<String>,
    powers: Vec<&'static str>,
    admin_powers: Vec<&'static str>,
    since: Moment,
    may_end: bool,
}

fn keys_words(registration: &Registration) -> String {
    match (&registration.jwks, &registration.jwks_uri) {
        (Some(jwks), _) => match jwks.keys().len() {
            1 => "one key, registered here".to_owned(),
            count => format!("{count} keys, registered here"),
        },
        (None, Some(uri)) => format!("fetched from {uri}"),
        (None, None) => "none".to_owned(),
    }
}

fn page_of(place: Place, client: ClientId) -> String {
    place.page(&format!("/clients/{client}"))
}

/// `GET /console/{organization}/{environment}/clients/{client}`
pub async fn show_one(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(client): Id<ClientId>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &page_of(place, client)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = desk.allow(&app, Operation::ReadClient)?;
    let client = clients::read(&app, tenant, client).await?;
    let registration = &client.registration;
    let words = |is_admin: bool| {
        let asked = registration.scope.iter().filter(|scope| scope.is_admin() == is_admin);
        asked.map(Scope::words).collect()
    };
    let acts: Vec<&str> = registration.grant_types.iter().map(|grant_type| grant_type.text()).collect();
    let page = ClientPage {
        assets: Assets,
        frame: desk.frame(&app, &caller, Tab::Clients).await?,
        id: client.row.client.to_string(),
        name: registration.client_name.clone(),
        profile: profile_words(registration),
        method: registration.token_endpoint_auth_method.text(),
        keys: keys_words(registration),
        acts: acts.join(", "),
        redirect_uris: registration.redirect_uris.clone(),
        powers: words(false),
        admin_powers: words(true),
        since: client.row.created_at.into(),
        may_end: desk.may(Operation::EndClient),
    };
    page.frame.show(&page)
}

/// `POST /console/{organization}/{environment}/clients/{client}/end`
pub async fn end(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(client): Id<ClientId>,
    strict::Form(_): strict::Form<Nothing>,
) -> Result<Response, NotShown> {
    let here = page_of(place, client);
    let desk = match desk::enter(&app, &caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let ended = match desk.allow(&app, Operation::EndClient) {
        Ok(tenant) => {
            let circumstances = Desk::circumstances(&desk.principal, &caller);
            clients::end(&app, tenant, &circumstances, client, None).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    settle(ended, &here, (&place.page("/clients"), Said::ClientEnded))
}
