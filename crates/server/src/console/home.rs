//! `/console`: the organizations of whoever is signed in, and the overview of an environment of one.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use countersign_core::access::Environment;

use super::{
    desk::{self, Frame, Place, Tab},
    go,
    notice::NotShown,
    to_sign_in,
};
use crate::{
    accounts::session,
    app::App,
    signer::{answer, assets::Assets, strict::Caller},
};

struct OrganizationLine {
    name: String,
    role: &'static str,
    words: &'static str,
    live: String,
    sandbox: String,
}

#[derive(Template)]
#[template(path = "console/organizations.html")]
struct OrganizationsPage {
    assets: Assets,
    email: String,
    organizations: Vec<OrganizationLine>,
}

/// `GET /console`: who is a member of one organization goes there.
pub async fn organizations(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, NotShown> {
    let Some(signed_in) = session::current(&app, &caller.headers).await? else {
        return Ok(to_sign_in("/console"));
    };
    let page = |organization, environment| Place { organization, environment }.page("");
    if let [only] = signed_in.memberships.as_slice() {
        return Ok(go(&page(only.organization, Environment::Live), Vec::new()));
    }
    let mut organizations = Vec::new();
    for member in &signed_in.memberships {
        organizations.push(OrganizationLine {
            name: app.organization(member.organization).await?.name.clone(),
            role: member.role.text(),
            words: member.role.words(),
            live: page(member.organization, Environment::Live),
            sandbox: page(member.organization, Environment::Sandbox),
        });
    }
    let email = signed_in.user.email.disclose().clone();
    let page = OrganizationsPage { assets: Assets, email, organizations };
    Ok(answer::page(&page, StatusCode::OK)?)
}

struct Card {
    href: String,
    title: &'static str,
    text: &'static str,
}

#[derive(Template)]
#[template(path = "console/home.html")]
struct HomePage {
    assets: Assets,
    frame: Frame,
    name: String,
    role_words: &'static str,
    cards: Vec<Card>,
}

/// `GET /console/{organization}/{environment}`
pub async fn show(State(app): State<Arc<App>>, caller: Caller, place: Place) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &place.page("")).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let frame = desk.frame(&app, &caller, Tab::Home).await?;
    let cards = frame.nav.iter().filter(|item| !item.is_here).map(|item| Card {
        href: item.href.clone(),
        title: item.label,
        text: about(item.label),
    });
    let page = HomePage {
        assets: Assets,
        name: desk.signed_in.user.name.disclose().clone(),
        role_words: desk.role().words(),
        cards: cards.collect(),
        frame,
    };
    page.frame.show(&page)
}

fn about(label: &str) -> &'static str {
    match label {
        "Members" => "Who belongs to the organization, and as what.",
        "Clients" => "Programs that may ask for access, with their keys and the most they may do.",
        "API keys" => "Keys of simple scripts: what each may do, and when it ends.",
        "Connected applications" => "What people allowed programs to do in their name.",
        "Webhooks" => "Where your systems are told of what happens, and what became of each message.",
        "Security events" => "Every sign-in, change of power and token, chained and logged.",
        _ => "",
    }
}
