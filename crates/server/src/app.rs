//! The application: the only place for clock, randomness and files. Everything else gets them from here, so that
//! a test can move the clock and seed the dice.

use std::{
    collections::HashMap,
    fs,
    ops::Deref,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use countersign_core::{
    access::{Environment, Tenant},
    id::{CorrelationId, OrganizationId, PersonId},
    limits,
    time::Time,
};
use countersign_pdf::font::FontBook;
use countersign_store::{
    Postgres, Sqlite, Store,
    blob::{Blobs, DiskBlobs},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    accounts::{Accounts, passwords::Cost},
    api_keys::{uses::Uses, watch},
    config::Config,
    egress,
    envelopes::Recent,
    fault::{Failure, Fault},
    http::{headers, limits::overloaded},
    keys::{Binding, Making, RootKey, SealingKey, ServerKeys, WrappingKey, log_name},
    log::Log,
    mail::smtp::Smtp,
    oauth::AuthorizationServer,
    persons,
    sealing::fonts::SystemFonts,
    security,
    vault::{folder, on_blocking_thread},
    webhooks::Webhooks,
};

/// Evidence packages made at the same time.
const EXPORTS: usize = 3;
/// Uploads inspected at the same time.
const INSPECTIONS: usize = 3;
/// Envelopes sealed at the same time.
const SEALS: usize = 3;

/// Keys of persons that are kept unwrapped.
const KEPT_PERSON_KEYS: usize = 4_096;

/// Answers to `GET /ready` in the making at the same time.
const PROBES: usize = 8;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Time;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> Time {
        let since_1970 =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time::from_unix_ms(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Gives random bytes.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that draws the machine's randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        let drawn = aws_lc_rs::rand::fill(bytes);
        assert!(drawn.is_ok(), "without randomness nothing here is safe: better to stop");
    }
}

/// `N` random bytes.
pub fn draw<const N: usize>(random: &dyn Randomness) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// An organization with its key at hand.
#[derive(Debug)]
pub struct Organization {
    /// Which.
    pub id: OrganizationId,
    /// Its name, shown to recipients.
    pub name: String,
    /// Wraps its persons' and documents' keys.
    pub key: WrappingKey,
    /// Hashes addresses for look-ups.
    pub lookup_key: WrappingKey,
    /// Hashes mailed codes.
    pub code_key: WrappingKey,
}

/// Where the key of an organization belongs.
pub(crate) fn organization_binding(organization: OrganizationId) -> Binding {
    Binding::new("organization-key", &[organization.as_bytes()])
}

/// What the server keeps, and what opens it. An operator's command needs no more, and must not: a leaked key is ended
/// also while the token that seals or the mail server is away.
pub struct Records {
    /// What the operator set.
    pub config: Config,
    /// The database.
    pub store: Arc<dyn Store>,
    /// The files.
    pub blobs: Arc<dyn Blobs>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The dice.
    pub random: Arc<dyn Randomness>,
    /// The server's own keys.
    pub keys: ServerKeys,
    root: RootKey,
    organizations: RwLock<HashMap<OrganizationId, Arc<Organization>>>,
    person_keys: Mutex<HashMap<PersonId, Arc<WrappingKey>>>,
    /// Where programs called from lately.
    pub origins: security::Origins,
}

/// Records that are open, and what the operator should be told.
pub struct Opened {
    /// The records.
    pub records: Records,
    /// Sentences about what was made for the first time.
    pub announcements: Vec<String>,
}

impl Records {
    /// Opens data folder, database and keys; makes what the first start needs; refuses what is unsafe.
    pub async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Randomness>,
    ) -> Result<Opened, Fault> {
        config.check()?;
        open_data_folder(&config.server.data_dir)?;
        let store = open_store(&config).await?;
        let folder = config.server.data_dir.join("blobs");
        let blobs = Arc::new(on_blocking_thread(move || DiskBlobs::open(&folder)).await??);
        let mut announcements = Vec::new();
        let root = open_root_key(&config, &*store, &*random, &mut announcements).await?;
        let host = config.public_host()?;
        let is_first_start = store.keys().await?.is_empty();
        let making =
            Making { store: &*store, root: root.wrapping(), random: &*random, now: clock.now(), host: &host };
        let keys = ServerKeys::open(&making).await?;
        announcements.extend(told_of_log_name(keys.log.verifier().name(), &host, is_first_start));
        let organizations = RwLock::default();
        let person_keys = Mutex::default();
        let origins = security::Origins::default();
        let records =
            Self { config, store, blobs, clock, random, keys, root, organizations, person_keys, origins };
        records.check_organizations().await?;
        Ok(Opened { records, announcements })
    }

    /// The same, but refuses a data folder that no server was started on: for what only looks.
    pub async fn open_existing(
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Randomness>,
    ) -> Result<Opened, Fault> {
        let database = config.server.data_dir.join("countersign.sqlite");
        if config.server.database_url_file.is_none() && !database.exists() {
            return Err(Fault::Unsafe(format!(
                "there is nothing to look at: {} does not exist. Name the configuration of the server with --config, \
                 or its folder with COUNTERSIGN_SERVER__DATA_DIR",
                database.display()
            )));
        }
        let root_key = config.root_key_file();
        if !root_key.exists() {
            return Err(Fault::Unsafe(format!(
                "the root key {} is missing, and nothing can be read without it: put it back from your backup, or \
                 name its place with server.root_key_file",
                root_key.display()
            )));
        }
        Self::open(config, clock, random).await
    }

    /// Now.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// `N` random bytes.
    pub fn draw<const N: usize>(&self) -> [u8; N] {
        draw(&*self.random)
    }

    /// A new correlation id (L-2): one for each request from outside, carried on by its jobs and mails.
    pub fn new_correlation(&self) -> CorrelationId {
        CorrelationId::new(self.now(), self.draw())
    }

    /// The root key.
    pub(crate) fn root(&self) -> &WrappingKey {
        self.root.wrapping()
    }

    /// An organization with its key, which is unwrapped once and then kept.
    pub async fn organization(&self, id: OrganizationId) -> Result<Arc<Organization>, Fault> {
        let known = self.organizations.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let row = self.store.organization(id).await?;
        let row = row.ok_or_else(|| Fault::Missing(format!("the organization {id}")))?;
        let key = self.root().unwrap(&organization_binding(id), &row.wrapped_key)?;
        let organization = Arc::new(Organization {
            id,
            name: row.name,
            lookup_key: key.derive("person-lookup"),
            code_key: key.derive("mailed-code"),
            key,
        });
        let mut known = self.organizations.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(known.entry(id).or_insert(organization)))
    }

    /// The key of a person of this tenant, unwrapped. Keys of callers that come again and again are kept for a while.
    pub async fn person_key(&self, tenant: &Tenant, person: PersonId) -> Result<Arc<WrappingKey>, Fault> {
        let kept = || self.person_keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = kept().get(&person) {
            return Ok(Arc::clone(key));
        }
        let organization = self.organization(tenant.organization()).await?;
        let rows = self.store.persons(tenant, &[person]).await?;
        let row = rows.first().ok_or_else(|| Fault::Missing(format!("the key of {person}")))?;
        let key = Arc::new(persons::unwrapped(&organization, row)?);
        let mut kept = kept();
        if kept.len() >= KEPT_PERSON_KEYS {
            kept.clear();
        }
        kept.insert(person, Arc::clone(&key));
        Ok(key)
    }

    /// Unwraps every organization's key once, so that a damaged one is found at the start and not by a caller.
    async fn check_organizations(&self) -> Result<(), Fault> {
        for row in self.store.organizations().await? {
            self.organization(row.organization).await?;
        }
        Ok(())
    }
}

/// Looks whether the server is ready.
pub struct Probes {
    /// One permit for each look.
    pub turns: Semaphore,
    /// What the last one found in the way.
    pub last: Mutex<Option<&'static str>>,
}

/// The running application: the records, and what serving needs besides.
pub struct App {
    records: Records,
    /// Seals documents.
    pub seal: SealingKey,
    /// The authorization server.
    pub oauth: AuthorizationServer,
    /// What accounts of people need.
    pub accounts: Accounts,
    /// What is remembered of the use of API keys.
    pub key_uses: Uses,
    /// What delivering webhooks needs.
    pub webhooks: Webhooks,
    /// The log of all events.
    pub log: Log,
    /// Envelopes that were open a moment ago.
    pub recent: Recent,
    /// The fonts of stamps and certificates.
    pub fonts: FontBook,
    /// The mail server, when one is configured; sandboxes do without.
    pub smtp: Option<Smtp>,
    /// One permit for each evidence package in the making: each holds all files of an envelope in memory.
    pub exports: Semaphore,
    /// One permit for each envelope that is being sealed, for the same reason.
    pub seals: Semaphore,
    /// One permit for each byte of an upload that is held in memory.
    pub upload_room: Arc<Semaphore>,
    /// One permit for each upload that is being inspected: it stays with the work, which nothing cuts short.
    pub inspections: Arc<Semaphore>,
    /// Looks whether the server is ready.
    pub probes: Probes,
    /// Whether browsers are told to come over HTTPS alone.
    pub is_strict: bool,
}

impl Deref for App {
    type Target = Records;

    fn deref(&self) -> &Records {
        &self.records
    }
}

/// An application that is ready, and what its operator should be told.
pub struct Started {
    /// The application.
    pub app: Arc<App>,
    /// Sentences about what was made for the first time.
    pub announcements: Vec<String>,
}

impl App {
    /// Opens the records, tries the key that seals, and refuses to serve without what serving needs.
    pub async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Randomness>,
    ) -> Result<Started, Fault> {
        Self::open_with(config, clock, random, Cost::STANDARD).await
    }

    /// The same with another cost of a password's hash, for tests that hash thousands.
    pub async fn open_with(
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Randomness>,
        cost: Cost,
    ) -> Result<Started, Fault> {
        let Opened { records, announcements } = Records::open(config, clock, random).await?;
        Ok(Started { app: Arc::new(Self::serving(records, cost).await?), announcements })
    }

    async fn serving(records: Records, cost: Cost) -> Result<Self, Fault> {
        let Records { config, store, .. } = &records;
        let making = Making {
            store: &**store,
            root: records.root(),
            random: &*records.random,
            now: records.now(),
            host: &config.public_host()?,
        };
        let seal = SealingKey::open(&making, &config.seal).await?;
        folder::check(&making, &*records.blobs).await?;
        let smtp = egress::smtp(&config.mail)?;
        if smtp.is_none() && store.has_live_keys(records.now()).await? {
            let sentence = "there are API keys of live environments, and no mail server: nobody would get a link. Set \
                            mail.smtp_host";
            return Err(Fault::Unsafe(sentence.to_owned()));
        }
        watch::begin(&records).await?;
        let is_strict = headers::is_strict(config)?;
        Ok(Self {
            is_strict,
            seal,
            oauth: AuthorizationServer::open(&records)?,
            accounts: Accounts::new(&records, cost)?,
            key_uses: Uses::default(),
            webhooks: Webhooks::new(&records)?,
            log: Log::new(Arc::clone(store), Arc::clone(&records.random), records.keys.log.clone()),
            recent: Recent::default(),
            fonts: FontBook::new().with_fallback(Arc::new(SystemFonts::list())),
            smtp,
            exports: Semaphore::new(EXPORTS),
            seals: Semaphore::new(SEALS),
            upload_room: Arc::new(Semaphore::new(limits::UPLOADS_BYTES)),
            inspections: Arc::new(Semaphore::new(INSPECTIONS)),
            probes: Probes {
                turns: Semaphore::new(PROBES),
                last: Mutex::new(Some("the first look at the database and the folder is not over yet")),
            },
            records,
        })
    }

    /// Waits for its turn, but not for as long as the request has time: then it is refused.
    pub async fn turn(&self, turns: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Failure> {
        let turn = Arc::clone(turns).acquire_many_owned(count);
        match tokio::time::timeout(self.config.server.patience(), turn).await {
            Ok(turn) => turn.map_err(|error| Fault::Task(error.to_string()).into()),
            Err(_) => Err(overloaded().into()),
        }
    }

    /// Whether mails of this tenant go to the mailbox page only.
    pub fn mails_to_mailbox(&self, tenant: &Tenant) -> bool {
        tenant.environment() == Environment::Sandbox
    }
}

/// What to say of the log's name: it is taken from the public URL once, because evidence carries it.
fn told_of_log_name(name: &str, host: &str, is_first_start: bool) -> Option<String> {
    if is_first_start {
        return Some(format!(
            "The log is called {name} from now on, after server.public_url. Another public URL later leaves this name."
        ));
    }
    (name != log_name(host)).then(|| {
        let warning = format!(
            "WARNING: server.public_url names the host {host}, but the log is called {name} since the first start. It \
             keeps this name, in evidence too."
        );
        tracing::warn!(event_type = "start", event_result = "doubtful", "{warning}");
        warning
    })
}

/// Makes the data folder for its owner alone, or refuses one that belongs to somebody else.
fn open_data_folder(folder: &Path) -> Result<(), Fault> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Fault::file(folder, error))?;
    let owner = |path: &Path| fs::metadata(path).map(|metadata| (metadata.uid(), metadata.mode()));
    let (uid, mode) = owner(folder).map_err(|error| Fault::file(folder, error))?;
    // /proc/self belongs to whoever runs this process; systems without it are not checked by owner.
    if owner(Path::new("/proc/self")).is_ok_and(|(own, _)| own != uid) {
        let sentence = format!(
            "the data folder {} belongs to another user; run the server as that user or set server.data_dir",
            folder.display()
        );
        return Err(Fault::Unsafe(sentence));
    }
    if mode & 0o077 != 0 {
        let sentence = format!("others may read the data folder {0}; run `chmod 700 {0}`", folder.display());
        return Err(Fault::Unsafe(sentence));
    }
    Ok(())
}

async fn open_store(config: &Config) -> Result<Arc<dyn Store>, Fault> {
    if let Some(url) = config.database_url()? {
        return Ok(Arc::new(Postgres::open(url.expose(), config.server.database_ca_file.as_deref()).await?));
    }
    let path = config.server.data_dir.join("countersign.sqlite");
    let store = on_blocking_thread(move || Sqlite::open(&path)).await??;
    Ok(Arc::new(store))
}

/// Reads the root key and tries it on what is stored; makes one only where nothing is stored yet.
async fn open_root_key(
    config: &Config,
    store: &dyn Store,
    random: &dyn Randomness,
    announcements: &mut Vec<String>,
) -> Result<RootKey, Fault> {
    let path = config.root_key_file();
    let (keys, organizations) = (store.keys().await?, store.organizations().await?);
    let Some(root) = RootKey::read(&path)? else {
        if !keys.is_empty() || !organizations.is_empty() {
            let sentence = format!(
                "there is data, but its root key {} is missing: put the key back from your backup. \
                 Without it the data cannot be read, and a new key would not help",
                path.display()
            );
            return Err(Fault::Unsafe(sentence));
        }
        let root = RootKey::create(&path, random)?;
        announcements.push(format!(
            "A new root key is in {}. Back it up apart from the data, and leave it out of the data folder's backup: \
             without it nothing can be read, and whoever has both can read everything.",
            path.display()
        ));
        return Ok(root);
    };
    let opens_keys = keys.iter().all(|row| {
        root.wrapping().open(&Binding::new("server-key", &[row.name.as_bytes()]), &row.wrapped_key).is_ok()
    });
    let opens_organizations = organizations
        .iter()
        .all(|row| root.wrapping().unwrap(&organization_binding(row.organization), &row.wrapped_key).is_ok());
    if opens_keys && opens_organizations {
        return Ok(root);
    }
    let sentence = format!(
        "{} is not the root key of this data: put the right one back from your backup",
        path.display()
    );
    Err(Fault::Unsafe(sentence))
}
