//! `/console/provider/{organization}`: the organization's own OpenID provider, set by owners and admins.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use countersign_core::{
    accounts::provider::{Authentication, Rule, Settings},
    id::OrganizationId,
    limits,
    refusal::{Code, Refusal},
};
use serde::Deserialize;

use super::{
    Said, Typed, again_with, enter, go, notice::NotShown, shown, spoken, to_confirm, to_sign_in, with_cookies,
};
use crate::{
    accounts::{
        provider::{
            self,
            change::{self, Setting},
        },
        session::SignedIn,
    },
    app::App,
    fault::Failure,
    signer::{
        assets::Assets,
        strict::{self, Caller},
    },
};

#[derive(Template)]
#[template(path = "console/provider_settings.html")]
struct SettingsPage {
    assets: Assets,
    email: String,
    path: String,
    organization: String,
    said: Option<&'static str>,
    is_set: bool,
    redirect_uri: String,
    jwks_uri: String,
    form: SettingsForm,
    error: Option<String>,
    /// Where it is, as a JSON pointer into the form.
    pointer: Option<String>,
}

impl SettingsPage {
    fn is_wrong(&self, field: &str) -> bool {
        self.pointer.as_deref().and_then(|pointer| pointer.strip_prefix('/')) == Some(field)
    }
}

/// The settings as they are typed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsForm {
    issuer: String,
    client_id: String,
    authentication: String,
    #[serde(default)]
    client_secret: Option<Typed>,
    handle: String,
    #[serde(default)]
    domains: String,
    rules: String,
    #[serde(default)]
    required: Option<String>,
}

impl SettingsForm {
    fn of(settings: &Settings) -> Self {
        let authentication = match settings.authentication {
            Authentication::PrivateKeyJwt => "private_key_jwt",
            Authentication::ClientSecret => "client_secret",
        };
        Self {
            issuer: settings.issuer.clone(),
            client_id: settings.client_id.clone(),
            authentication: authentication.to_owned(),
            client_secret: None,
            handle: settings.handle.clone(),
            domains: settings.domains.join(" "),
            rules: Rule::write_lines(&settings.rules),
            required: settings.is_required.then(|| "yes".to_owned()),
        }
    }

    fn read(&self) -> Result<Settings, Refusal> {
        let authentication = match self.authentication.as_str() {
            "private_key_jwt" => Authentication::PrivateKeyJwt,
            "client_secret" => Authentication::ClientSecret,
            _ => {
                let sentence = "choose how this server proves to the provider who it is";
                return Err(Refusal::at(Code::Invalid, "/authentication", sentence));
            }
        };
        let words = self.domains.split([' ', ',', '\n', '\r', '\t']).filter(|word| !word.is_empty());
        Ok(Settings {
            issuer: self.issuer.trim().to_owned(),
            client_id: self.client_id.trim().to_owned(),
            authentication,
            handle: self.handle.trim().to_lowercase(),
            domains: words.map(str::to_lowercase).collect(),
            rules: Rule::read_lines(&self.rules)?,
            is_required: self.required.is_some(),
        })
    }

    fn uses_secret(&self) -> bool {
        self.authentication == "client_secret"
    }
}

fn path_of(organization: OrganizationId) -> String {
    format!("/console/provider/{organization}")
}

async fn page(
    app: &App,
    signed_in: &SignedIn,
    organization: OrganizationId,
) -> Result<SettingsPage, NotShown> {
    let found = provider::of(app, organization).await?;
    let example = SettingsForm { authentication: "private_key_jwt".to_owned(), ..SettingsForm::default() };
    Ok(SettingsPage {
        assets: Assets,
        email: signed_in.user.email.disclose().clone(),
        path: path_of(organization),
        organization: app.organization(organization).await?.name.clone(),
        said: None,
        is_set: found.is_some(),
        redirect_uri: found.as_ref().map(|found| found.redirect_uri(app)).unwrap_or_default(),
        jwks_uri: found.as_ref().map(|found| found.jwks_uri(app)).unwrap_or_default(),
        form: found.map_or(example, |found| SettingsForm::of(&found.settings)),
        error: None,
        pointer: None,
    })
}

/// `GET /console/provider/{organization}`
pub async fn show(
    State(app): State<Arc<App>>,
    strict::Id(organization): strict::Id<OrganizationId>,
    caller: Caller,
) -> Result<Response, NotShown> {
    let signed_in = match enter(&app, &caller, &path_of(organization)).await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    change::may_set(&signed_in, organization).map_err(Failure::from)?;
    let heard = Said::heard(&caller);
    let said = heard.as_ref().map(|(words, _)| *words);
    let page = SettingsPage { said, ..page(&app, &signed_in, organization).await? };
    Ok(with_cookies(shown(&page)?, heard.map(|(_, cookie)| cookie).into_iter().collect()))
}

/// `POST /console/provider/{organization}`
pub async fn set(
    State(app): State<Arc<App>>,
    strict::Id(organization): strict::Id<OrganizationId>,
    caller: Caller,
    strict::Form(form): strict::Form<SettingsForm, { limits::PROVIDER_FORM_BYTES }>,
) -> Result<Response, NotShown> {
    let path = path_of(organization);
    let signed_in = match enter(&app, &caller, &path).await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let member = change::may_set(&signed_in, organization).map_err(Failure::from)?;
    let setting = Setting { app: &app, caller: &caller, signed_in: &signed_in, member };
    let secret = form.client_secret.as_ref().filter(|secret| !secret.expose().is_empty());
    let done = match form.read() {
        Ok(settings) => setting.set(&settings, secret).await,
        Err(refusal) => Err(refusal.into()),
    };
    match done {
        Ok(()) => Ok(go(&path, vec![Said::ProviderSet.cookie()?])),
        Err(Failure::Refused(refusal)) if refusal.code == Code::StepUpRequired => Ok(to_confirm(&path)),
        Err(Failure::Refused(refusal)) => {
            let error = Some(spoken(&refusal));
            let pointer = refusal.pointer.clone();
            let page = SettingsPage { form, error, pointer, ..page(&app, &signed_in, organization).await? };
            again_with(&page, &refusal)
        }
        Err(other) => Err(other.into()),
    }
}

/// `POST /console/provider/{organization}/remove`
pub async fn remove(
    State(app): State<Arc<App>>,
    strict::Id(organization): strict::Id<OrganizationId>,
    caller: Caller,
) -> Result<Response, NotShown> {
    let path = path_of(organization);
    let signed_in = match enter(&app, &caller, &path).await? {
        Ok(signed_in) => signed_in,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let member = change::may_set(&signed_in, organization).map_err(Failure::from)?;
    let setting = Setting { app: &app, caller: &caller, signed_in: &signed_in, member };
    match setting.remove().await {
        // Whoever came in through it is out now.
        Ok(()) if signed_in.row.provider.is_some() => Ok(to_sign_in(&path)),
        Ok(()) => Ok(go(&path, vec![Said::ProviderRemoved.cookie()?])),
        Err(Failure::Refused(refusal)) if refusal.code == Code::StepUpRequired => Ok(to_confirm(&path)),
        Err(other) => Err(other.into()),
    }
}
