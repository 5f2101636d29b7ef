//! Our own server: seeded through the application's own use cases and store, then served by the program that ships, in
//! plain on loopback as behind a proxy that ends TLS.

use std::{net::SocketAddr, path::Path, sync::Arc};

use countersign_core::{
    access::{Environment, Tenant},
    id::{ClientId, GrantId, OrganizationId, SignInId, UserId},
    level::Level,
    limits,
    oauth::{
        client::{GrantType, Registration},
        terms::{BoundBy, Terms},
    },
    role::Role,
    scope::{Scope, Scopes},
    secret::{Personal, PlainToken, TokenKind},
    security::SecurityActor,
};
use countersign_server::{
    accounts::people,
    app::{App, SystemClock, SystemRandomness},
    clients,
    config::Config,
    oauth::issue,
    organizations::{self, ApiKeyWish},
    persons,
    security::Circumstances,
};
use countersign_store::{
    Batch,
    access_rows::{GrantRow, MemberRow, SignInRow},
    batch::Row,
};
use serde_json::{Value, json};
use tokio::runtime;

use crate::{
    Failure,
    auth::subject::{Clients, Introduction, SCOPE, Subject, USERS},
    house::Folder,
    program::{self, ISSUER},
};

/// Our own server.
pub(crate) struct Ours<'a> {
    /// Its program.
    pub(crate) program: &'a Path,
}

impl Ours<'_> {
    /// Starts it over an empty database, or over SQLite, with both clients and [`USERS`] grants of the first.
    pub(crate) fn start(&self, database: Option<&str>, clients: &Clients) -> Result<Subject, Failure> {
        let folder = Folder::new()?;
        let config = program::plain(folder.path(), database)?;
        let address = config.server.listen;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let introduction = runtime.block_on(seed(config.clone(), clients, address))?;
        // Closes the seeding side's connections before the server is measured.
        drop(runtime);
        let log = folder.path().join("log");
        let server = program::serve(self.program, &config, &log)?;
        Subject::begin(server, None, Some(folder), introduction)
    }
}

async fn seed(config: Config, clients: &Clients, address: SocketAddr) -> Result<Introduction, Failure> {
    let app = App::open(config, Arc::new(SystemClock), Arc::new(SystemRandomness)).await?.app;
    let organization = organizations::create(&app, "Bench").await?.organization;
    let tenant = Tenant::of_stored_row(organization, Environment::Sandbox);
    let integrator = json!({
        "client_name": "Integrator",
        "profile": "standard",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": clients.integrator.jwks(),
        "redirect_uris": ["https://integrator.example/back"],
        "grant_types": ["authorization_code", "client_credentials", "refresh_token"],
        "scope": SCOPE,
        "dpop_bound_access_tokens": true,
    });
    let resource_server = json!({
        "client_name": "Resource server",
        "profile": "standard",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": clients.resource_server.jwks(),
        "grant_types": ["client_credentials"],
        "scope": Scope::TokensIntrospect.text(),
        "dpop_bound_access_tokens": true,
    });
    let integrator = register(&app, &tenant, &integrator).await?;
    let resource_server = register(&app, &tenant, &resource_server).await?;
    let wish = ApiKeyWish {
        environment: Environment::Sandbox,
        scopes: Scopes::of(&[Scope::EnvelopesRead]),
        label: "bench".to_owned(),
        lifetime_s: 24 * 3_600,
    };
    let key = organizations::create_api_key(&app, organization, wish).await?;
    Ok(Introduction {
        address: Some(address.to_string()),
        issuer: ISSUER.to_owned(),
        client_ids: [integrator.to_string(), resource_server.to_string()],
        refresh_tokens: grants(&app, organization, integrator).await?,
        api_key: Some(key.token.expose().to_owned()),
    })
}

async fn register(app: &App, tenant: &Tenant, registration: &Value) -> Result<ClientId, Failure> {
    let registration = Registration::parse(registration.to_string().as_bytes())
        .map_err(|error| format!("a registration: {error}"))?;
    let circumstances =
        Circumstances { actor: SecurityActor::Operator, origin: None, correlation: app.new_correlation() };
    let made = clients::register(app, tenant, &circumstances, Scopes::ALL, registration, None).await?;
    Ok(made.client.row.client)
}

/// What [`USERS`] people leave behind that signed in and agreed: accounts, memberships, sessions, grants. Gives the refresh
/// tokens.
async fn grants(app: &App, organization: OrganizationId, client: ClientId) -> Result<Vec<String>, Failure> {
    let addresses: Vec<Personal<String>> =
        (0..USERS).map(|number| Personal::new(format!("user-{number}@integrator.example"))).collect();
    let addresses: Vec<&Personal<String>> = addresses.iter().collect();
    let [sandbox, live] = [Environment::Sandbox, Environment::Live]
        .map(|environment| Tenant::of_stored_row(organization, environment));
    let persons = persons::ensure(app, &sandbox, &addresses).await?;
    let persons_in_live = persons::ensure(app, &live, &addresses).await?;
    let (now, mut rows, mut refresh_tokens) = (app.now(), Vec::new(), Vec::new());
    for ((address, person), person_in_live) in addresses.into_iter().zip(persons).zip(persons_in_live) {
        let user = UserId::new(now, app.draw());
        let name = Personal::new("Somebody".to_owned());
        rows.push(Row::User(people::new(app, user, name, address.clone())?.row));
        rows.push(Row::Member(MemberRow {
            organization,
            user,
            role: Role::Sender,
            persons: (person, person_in_live),
            created_at: now,
            ended_at: None,
            version: 1,
        }));
        let sign_in = SignInRow {
            sign_in: SignInId::new(now, app.draw()),
            user,
            cookie: PlainToken::new(TokenKind::SignIn, &app.draw()).hash(),
            tenant: Some(sandbox),
            authenticated: (Level::Aal2, now),
            provider: None,
            sealed_origin: Vec::new(),
            created_at: now,
            expires_at: now.plus_s(limits::SIGN_IN_S),
            ended_at: None,
            version: 1,
        };
        let grant = granted(app, &sandbox, client, &sign_in)?;
        refresh_tokens.push(app.oauth.refresh.issue(grant.grant, grant.generation).expose().clone());
        rows.extend([Row::SignIn(sign_in), Row::Grant(grant)]);
    }
    app.store.commit(Batch { rows, ..Batch::default() }).await?;
    Ok(refresh_tokens)
}

/// A grant whose code was redeemed.
fn granted(app: &App, tenant: &Tenant, client: ClientId, sign_in: &SignInRow) -> Result<GrantRow, Failure> {
    let now = app.now();
    let terms = Terms {
        grant_type: GrantType::AuthorizationCode,
        bound: Some(BoundBy::Key),
        ..Terms::of_client(Vec::new())
    };
    Ok(GrantRow {
        tenant: *tenant,
        grant: GrantId::new(now, app.draw()),
        client,
        user: Some(sign_in.user),
        sign_in: Some(sign_in.sign_in),
        scopes: Scopes::of(&[Scope::EnvelopesRead]),
        terms: issue::terms_text(&terms)?,
        authenticated: Some(sign_in.authenticated),
        binding: None,
        generation: 1,
        retry_of: None,
        rotated_at: now,
        created_at: now,
        expires_at: now.plus_s(limits::GRANT_IDLE_S),
        ended_at: None,
        version: 1,
    })
}
