//! The program that ships, with organizations that each have a webhook endpoint and a document to put into envelopes.

use std::{path::Path, process::Child, sync::Arc};

use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{EndpointId, EnvelopeId, MessageId},
    scope::{Scope, Scopes},
    security::SecurityActor,
    webhook::{
        channel::Channel,
        class::{Class, Classes, Payload},
        endpoint::{Profile, Settings},
        standing::BlockReason,
    },
};
use countersign_server::{
    app::{App, SystemClock, SystemRandomness},
    config::Config,
    organizations::{self, ApiKeyWish},
    security::Circumstances,
    webhooks::{act::Act, endpoints},
};
use countersign_store::{Batch, webhook_rows::NewMessage};
use countersign_webhooks::KeySet;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::runtime;

use super::receiver::{Manner, Receiver};
use crate::{
    Failure,
    cluster::Cluster,
    connection::{Connection, Endpoint},
    cpu,
    house::Folder,
    memory, program,
};

/// How a server is to be.
pub(crate) struct Wish<'a> {
    /// The program that ships.
    pub(crate) program: &'a Path,
    /// The PDF that is to be signed.
    pub(crate) pdf: &'a Path,
    /// Whether its database is PostgreSQL.
    pub(crate) postgres: bool,
    /// Whether integrators come in without TLS.
    pub(crate) plain: bool,
    /// What messages say.
    pub(crate) payload: Payload,
    /// The receiver of each organization's messages; the first one's is good.
    pub(crate) receivers: &'a [Manner],
    /// Deliveries that wait at an endpoint that is blocked, of one more organization.
    pub(crate) parked: u64,
}

struct Organization {
    token: String,
    /// The body of a request that creates an envelope.
    order: String,
}

/// A server at work, stopped when it is dropped.
pub(crate) struct Subject {
    server: Child,
    config: Config,
    trust: Option<Arc<ClientConfig>>,
    organizations: Vec<Organization>,
    cluster: Option<Cluster>,
}

impl Subject {
    /// Starts one.
    pub(crate) fn start(wish: &Wish<'_>, folder: &Folder, receiver: &Receiver) -> Result<Self, Failure> {
        let cluster = wish.postgres.then(Cluster::start).transpose()?;
        let database = cluster.as_ref().map(Cluster::url);
        let make = if wish.plain { program::plain } else { program::over_tls };
        let mut config = make(folder.path(), database.as_deref())?;
        config.egress.ca_file = Some(receiver.ca_file().to_owned());
        config.egress.allow_hosts = vec!["localhost".to_owned()];
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let (organizations, keys) = runtime.block_on(seed(&config, wish, receiver))?;
        // Closes the seeding side's connections before the server is measured.
        drop(runtime);
        receiver.receive(keys)?;
        let server = program::serve(wish.program, &config, &folder.path().join("log"))?;
        let trust = (!wish.plain).then(|| trust(&config)).transpose()?;
        let mut subject = Self { server, config, trust, organizations, cluster };
        subject.upload(&std::fs::read(wish.pdf)?)?;
        Ok(subject)
    }

    /// The place of a route.
    pub(crate) fn endpoint(&self, path: &str) -> Result<Endpoint, Failure> {
        let url = format!("{}{path}", self.config.server.public_url);
        Endpoint::behind(&url, &self.config.server.listen.to_string())
    }

    /// A connection of an integrator.
    pub(crate) fn connect(&self, endpoint: &Endpoint) -> Result<Connection, Failure> {
        match &self.trust {
            Some(trust) => Connection::open_tls(endpoint, trust),
            None => Connection::open(endpoint),
        }
    }

    /// With what an organization of this number creates an envelope: its key and the body.
    pub(crate) fn order(&self, organization: usize) -> Result<(&str, &str), Failure> {
        let found = self.organizations.get(organization).ok_or("there is no such organization")?;
        Ok((&found.token, &found.order))
    }

    /// Processor time so far in ns: of the server, of its database.
    pub(crate) fn cpu_ns(&self) -> Result<[u64; 2], Failure> {
        let database = self.cluster.as_ref().map(Cluster::cpu_ns).transpose()?.unwrap_or_default();
        Ok([cpu::of_process_and_children_ns(self.server.id())?, database])
    }

    /// Waits until server and database have nothing left to do.
    pub(crate) fn rest(&self) -> Result<(), Failure> {
        cpu::at_rest(|| self.cpu_ns().map(|[server, database]| server + database)).map(|_| ())
    }

    /// What the system says of the server's memory.
    pub(crate) fn memory_mb(&self, name: &str) -> Result<f64, Failure> {
        memory::status_mb(self.server.id(), name)
    }

    /// A document for each organization, and what creates an envelope of it.
    fn upload(&mut self, pdf: &[u8]) -> Result<(), Failure> {
        let place = self.endpoint("/v1/documents?name=agreement.pdf")?;
        let mut connection = self.connect(&place)?;
        for organization in &mut self.organizations {
            let headers =
                format!("Authorization: Bearer {}\r\nIdempotency-Key: bench-upload\r\n", organization.token);
            let answer = connection.ask(&place.post_of("application/pdf", &headers, pdf))?;
            let said: Value = serde_json::from_slice(&answer.body)?;
            let id = said.get("id").and_then(Value::as_str).ok_or_else(|| format!("no document: {said}"))?;
            organization.order = order(id);
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It is ours, and there is nobody to tell if it has ended already.
        let _ = self.server.kill().and_then(|()| self.server.wait());
    }
}

/// Makes the organizations, and what is parked. Gives also the keys that sign for the first one.
async fn seed(
    config: &Config,
    wish: &Wish<'_>,
    receiver: &Receiver,
) -> Result<(Vec<Organization>, KeySet), Failure> {
    let app = App::open(config.clone(), Arc::new(SystemClock), Arc::new(SystemRandomness)).await?.app;
    let (mut organizations, mut keys) = (Vec::new(), None);
    for (number, manner) in wish.receivers.iter().enumerate() {
        let organization = organizations::create(&app, &format!("Bench {number}")).await?.organization;
        let tenant = Tenant::of_stored_row(organization, Environment::Sandbox);
        let key = ApiKeyWish {
            environment: Environment::Sandbox,
            scopes: Scopes::of(&[Scope::DocumentsWrite, Scope::EnvelopesWrite]),
            label: "bench".to_owned(),
            lifetime_s: 24 * 3_600,
        };
        let token = organizations::create_api_key(&app, organization, key).await?.token.expose().to_owned();
        let made = endpoint(&app, &tenant, wish.payload, receiver.url(*manner)?).await?;
        keys.get_or_insert(made.keys);
        organizations.push(Organization { token, order: String::new() });
    }
    if wish.parked > 0 {
        park(&app, wish.parked, receiver.url(Manner::Good)?).await?;
    }
    Ok((organizations, keys.unwrap_or_default()))
}

struct Active {
    endpoint: EndpointId,
    keys: KeySet,
}

fn by_the_operator(app: &App) -> Circumstances {
    Circumstances { actor: SecurityActor::Operator, origin: None, correlation: app.new_correlation() }
}

/// An endpoint that is told what happens to envelopes.
async fn endpoint(app: &App, tenant: &Tenant, payload: Payload, url: String) -> Result<Active, Failure> {
    let circumstances = by_the_operator(app);
    let settings = Settings {
        url,
        description: "bench".to_owned(),
        classes: Classes::of(&[Class::Envelope]),
        scopes: Scopes::of(&[Scope::EnvelopesStatus, Scope::EnvelopesRead]),
        payload,
        profile: Profile::Standard,
        is_ordered: false,
        channel: Channel::default(),
    };
    let made = endpoints::create(app, tenant, &circumstances, Scopes::ALL, &settings, None).await?;
    let act = Act { tenant, circumstances: &circumstances, keep: None };
    endpoints::activate(app, &act, made.endpoint).await?;
    let key = made.key.to_string().parse()?;
    Ok(Active { endpoint: made.endpoint, keys: KeySet::new().with_secret(key, made.secret) })
}

/// Messages that are committed together.
const TOGETHER: u64 = 1_000;

/// Puts deliveries to an endpoint that is blocked into the database.
async fn park(app: &App, count: u64, url: String) -> Result<(), Failure> {
    let organization = organizations::create(app, "Parked").await?.organization;
    let tenant = Tenant::of_stored_row(organization, Environment::Sandbox);
    let active = endpoint(app, &tenant, Payload::Thin, url).await?;
    let circumstances = by_the_operator(app);
    let act = Act { tenant: &tenant, circumstances: &circumstances, keep: None };
    endpoints::block(app, &act, active.endpoint, BlockReason::Incident).await?;
    for batch in 0..count.div_ceil(TOGETHER) {
        let messages = (0..TOGETHER).map(|number| message(app, &tenant, batch * TOGETHER + number)).collect();
        app.store.commit(Batch { messages, ..Batch::default() }).await?;
    }
    Ok(())
}

fn message(app: &App, tenant: &Tenant, number: u64) -> NewMessage {
    let now = app.now();
    NewMessage {
        tenant: *tenant,
        message: MessageId::new(now, app.draw()),
        stream: EnvelopeId::new(now, app.draw()),
        seq: number + 1,
        kind: "envelope.created".to_owned(),
        class: u32::from(Class::Envelope.bit()),
        at: now,
        hash: Digest::of(&number.to_be_bytes()),
        correlation: app.new_correlation(),
    }
}

/// Trusts the server's development CA.
fn trust(config: &Config) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(config.development_ca_file())? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// An envelope for one signer.
fn order(document: &str) -> String {
    json!({
        "title": "Consulting agreement",
        "message": "Please read the agreement and sign on its first page.",
        "documents": [{ "id": document }],
        "recipients": [{
            "name": "Clara Weber", "email": "clara.weber@example.com", "role": "signer", "factor": "link",
        }],
        "fields": [{
            "document": 0, "recipient": 0, "kind": "signature", "label": "Signature", "page": 1,
            "rect": { "x": 74.0, "y": 212.0, "width": 190.0, "height": 44.0 },
        }],
    })
    .to_string()
}
