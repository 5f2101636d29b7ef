//! Our own server: seeded through the application's own use cases and store, then served by the program that ships, in
//! plain on loopback as behind a proxy that ends TLS.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

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
    auth::{
        cluster::free_port,
        connection::{Connection, Endpoint},
        subject::{Clients, Introduction, SCOPE, Subject, USERS},
    },
    cpu,
    house::Folder,
};

/// What people and programs would reach it under.
const ISSUER: &str = "https://sign.example";
/// How often it is looked whether the server serves, and how long between two looks.
const TRIES: u32 = 400;
const BETWEEN: Duration = Duration::from_millis(50);

/// Our own server.
pub(crate) struct Ours<'a> {
    /// Its program.
    pub(crate) program: &'a Path,
}

impl Ours<'_> {
    /// Starts it over an empty database, or over SQLite, with both clients and [`USERS`] grants of the first.
    pub(crate) fn start(&self, database: Option<&str>, clients: &Clients) -> Result<Subject, Failure> {
        let folder = Folder::new()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut config = Config::default();
        config.server.listen = address;
        ISSUER.clone_into(&mut config.server.public_url);
        config.server.plain_http = true;
        config.server.data_dir = folder.path().join("data");
        config.server.database_url_file = database.map(|url| secret(folder.path(), url)).transpose()?;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let introduction = runtime.block_on(seed(config.clone(), clients, address))?;
        // Closes the seeding side's connections before the server is measured.
        drop(runtime);
        let log = folder.path().join("log");
        let server = self.serve(&config, &log)?;
        let server = ready(server, address, &log)?;
        Subject::begin(server, None, Some(folder), introduction)
    }

    fn serve(&self, config: &Config, log: &Path) -> Result<Child, Failure> {
        let mut command = Command::new(self.program);
        command
            .arg("serve")
            .env("COUNTERSIGN_SERVER__LISTEN", config.server.listen.to_string())
            .env("COUNTERSIGN_SERVER__PUBLIC_URL", &config.server.public_url)
            .env("COUNTERSIGN_SERVER__PLAIN_HTTP", "true")
            .env("COUNTERSIGN_OAUTH__INTROSPECTIONS_PER_MINUTE", "1000000000")
            .env("COUNTERSIGN_SERVER__DATA_DIR", &config.server.data_dir);
        if let Some(file) = &config.server.database_url_file {
            command.env("COUNTERSIGN_SERVER__DATABASE_URL_FILE", file);
        }
        // Its log is written as it is by default: that is part of what a request costs.
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(log)?).spawn()?)
    }
}

/// A file with a secret that its owner alone can read.
fn secret(folder: &Path, text: &str) -> Result<PathBuf, Failure> {
    let path = folder.join("database-url");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(path)
}

/// Waits until the server serves.
fn ready(mut server: Child, address: SocketAddr, log: &Path) -> Result<Child, Failure> {
    let probe = Endpoint::behind(&format!("{ISSUER}/ready"), &address.to_string())?;
    for _ in 0..TRIES {
        cpu::pause(BETWEEN);
        let answer = Connection::open(&probe).and_then(|mut connection| connection.ask(&probe.get("")));
        if answer.is_ok_and(|answer| answer.status == 200) {
            return Ok(server);
        }
    }
    // It is ours, and there is nobody to tell if it has ended already.
    let _ = server.kill().and_then(|()| server.wait());
    Err(format!("the server did not start: {}", fs::read_to_string(log)?).into())
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
