//! The store on SQLite: one writer that commits many batches with one sync, and a few connections that read.

mod access;
mod access_apply;
mod access_sweep;
mod apply;
mod open;
mod row;
mod sql;
mod webhook_sql;
mod webhooks;
mod writer;

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{CodeId, DocumentId, EnvelopeId, LinkId, OrganizationId, PersonId, SessionId},
    secret::HashedToken,
    time::Time,
};
use rusqlite::{Connection, params};
use tokio::sync::Semaphore;

use crate::{
    Store, access_cells,
    batch::{Batch, CommitError, Committed},
    cells::{self, Cells as _, signed},
    fault::Fault,
    limits::SWEPT_ROWS,
    rows::{
        ApiKeyRow, ArtifactRow, CodeRow, DocumentRow, EnvelopePage, EnvelopeQuery, IdempotencyClaim,
        IdempotencyState, JobRow, KeyRow, LeafRow, LinkRow, MailPage, OpeningRow, OrganizationRow, PersonRow,
        PutBack, SessionRow, Stream, TileRow, security_stream,
    },
    work::Work,
};
use apply::tenant as owner;
use row::{execute, first, rows};
pub use writer::Stats;
use writer::Writer;

/// Connections that read.
const READERS: usize = 4;
/// An envelope with fewer events is read where it is asked for.
const SMALL_EVENTS: u64 = 64;

/// A store in one file.
pub struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
    work: Work,
    lead: Mutex<Option<File>>,
    lead_path: PathBuf,
}

struct Readers {
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Sqlite {
    /// Opens the database at `path`, or makes it (readable by its owner only), and brings its schema up to date.
    /// Blocks for as long as that takes. A schema of a newer program is refused with [`Fault::Schema`].
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let writer = open::for_writing(path)?;
        let idle = (0..READERS).map(|_| open::for_reading(path)).collect::<Result<_, _>>()?;
        let mut lead_path = path.as_os_str().to_owned();
        lead_path.push("-lead");
        Ok(Self {
            writer: Writer::start(writer, open::for_checkpoints(path)?)?,
            readers: Arc::new(Readers { permits: Semaphore::new(READERS), idle: Mutex::new(idle) }),
            work: Work::default(),
            lead: Mutex::new(None),
            lead_path: lead_path.into(),
        })
    }

    /// How much was written since it was opened, and with how many syncs.
    pub fn stats(&self) -> Stats {
        self.writer.stats()
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let unavailable = |error: &dyn std::fmt::Display| Fault::Unavailable(error.to_string());
        let readers = Arc::clone(&self.readers);
        let _permit = self.readers.permits.acquire().await.map_err(|error| unavailable(&error))?;
        let reading = tokio::task::spawn_blocking(move || {
            // One transaction, so that several statements see the same moment.
            readers.lend(|connection| {
                let transaction = connection.unchecked_transaction().map_err(row::fault)?;
                read(&transaction)
            })
        });
        reading.await.map_err(|error| unavailable(&error))?
    }

    /// Looks rows up by their keys. That takes microseconds, fewer than to hand it to another thread and back, and readers
    /// of a write-ahead log wait for nobody. What lists, searches or reads whole tables goes through [`Self::read`].
    async fn look_up<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let permit = self.readers.permits.acquire().await;
        let _permit = permit.map_err(|error| Fault::Unavailable(error.to_string()))?;
        self.readers.lend(read)
    }
}

impl Readers {
    /// Lends a connection that is idle: whoever has a permit finds one.
    fn lend<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = idle().pop();
        let Some(connection) = connection else {
            return Err(Fault::Unavailable("a reader was lost".to_owned()));
        };
        let answer = read(&connection);
        idle().push(connection);
        answer
    }
}

/// An envelope, unless it is large.
enum Small {
    Read(Option<Stream>),
    Large,
}

fn load_small(connection: &Connection, tenant: &Tenant, envelope: EnvelopeId) -> Result<Small, Fault> {
    // One transaction, so that the statements see the same moment.
    let connection = connection.unchecked_transaction().map_err(row::fault)?;
    let (organization, environment) = owner(tenant);
    let of = params![organization, environment, envelope.as_bytes(), signed(SMALL_EVENTS)?];
    if first(&connection, "events", sql::HAS_EVENT, of, |_| Ok(()))?.is_some() {
        return Ok(Small::Large);
    }
    load(&connection, tenant, envelope).map(Small::Read)
}

fn load(connection: &Connection, tenant: &Tenant, envelope: EnvelopeId) -> Result<Option<Stream>, Fault> {
    let (organization, environment) = owner(tenant);
    let of = params![organization, environment, envelope.as_bytes()];
    let events = rows(connection, "events", sql::LOAD_EVENTS, of, |row| cells::event(row))?;
    if events.is_empty() {
        return Ok(None);
    }
    let openings = rows(connection, "openings", sql::LOAD_OPENINGS, of, |row| cells::opening(row))?;
    let persons = rows(connection, "persons", sql::LOAD_PERSONS, of, |row| cells::person(row))?;
    Ok(Some(Stream { events, openings, persons }))
}

#[async_trait]
impl Store for Sqlite {
    async fn load(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Option<Stream>, Fault> {
        if envelope == security_stream(tenant) {
            return Ok(None);
        }
        let tenant = *tenant;
        match self.look_up(|connection| load_small(connection, &tenant, envelope)).await? {
            Small::Read(stream) => Ok(stream),
            Small::Large => self.read(move |connection| load(connection, &tenant, envelope)).await,
        }
    }

    async fn head(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Option<Digest>, Fault> {
        let (organization, environment) = owner(tenant);
        self.look_up(move |connection| {
            let of = params![organization, environment, envelope.as_bytes()];
            first(connection, "events", sql::HEAD, of, |row| row.digest("hash"))
        })
        .await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        batch.check()?;
        let calls = batch.calls();
        let committed = self.writer.write(move |connection| apply::commit(connection, &batch)).await?;
        self.work.arrived(calls);
        Ok(committed)
    }

    async fn find_envelopes(&self, tenant: &Tenant, query: &EnvelopeQuery) -> Result<EnvelopePage, Fault> {
        let (organization, environment) = owner(tenant);
        let query = query.clone();
        self.read(move |connection| {
            let before = query.before.as_ref().map(EnvelopeId::as_bytes);
            let limit = cells::limit(query.limit.saturating_add(1));
            let mut rows = match &query.status {
                None => rows(
                    connection,
                    "envelopes",
                    sql::FIND_ENVELOPES,
                    params![organization, environment, before, limit],
                    |row| cells::envelope(row),
                )?,
                Some(status) => rows(
                    connection,
                    "envelopes",
                    sql::FIND_ENVELOPES_BY_STATUS,
                    params![organization, environment, before, limit, status],
                    |row| cells::envelope(row),
                )?,
            };
            let more = rows.len() > query.limit;
            rows.truncate(query.limit);
            Ok(EnvelopePage { rows, more })
        })
        .await
    }

    async fn openings(
        &self,
        tenant: &Tenant,
        commitments: &[(EnvelopeId, Digest)],
    ) -> Result<Vec<OpeningRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let commitments: BTreeSet<_> = commitments.iter().copied().collect();
        self.read(move |connection| {
            let one = |(envelope, commitment): (EnvelopeId, Digest)| {
                let of = params![organization, environment, envelope.as_bytes(), commitment.0];
                first(connection, "openings", sql::OPENING, of, |row| cells::opening(row)).transpose()
            };
            commitments.into_iter().filter_map(one).collect()
        })
        .await
    }

    async fn document(&self, tenant: &Tenant, document: DocumentId) -> Result<Option<DocumentRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.look_up(move |connection| {
            let of = params![organization, environment, document.as_bytes()];
            first(connection, "documents", sql::DOCUMENT, of, |row| cells::document(row))
        })
        .await
    }

    async fn artifacts(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Vec<ArtifactRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.look_up(move |connection| {
            let of = params![organization, environment, envelope.as_bytes()];
            rows(connection, "artifacts", sql::ARTIFACTS, of, |row| cells::artifact(row))
        })
        .await
    }

    async fn organization(&self, organization: OrganizationId) -> Result<Option<OrganizationRow>, Fault> {
        self.look_up(move |connection| {
            let of = params![organization.as_bytes()];
            first(connection, "organizations", sql::ORGANIZATION, of, |row| cells::organization(row))
        })
        .await
    }

    async fn organizations(&self) -> Result<Vec<OrganizationRow>, Fault> {
        self.read(|connection| {
            rows(connection, "organizations", sql::ORGANIZATIONS, [], |row| cells::organization(row))
        })
        .await
    }

    async fn persons_by_lookup(&self, tenant: &Tenant, lookups: &[Digest]) -> Result<Vec<PersonRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let lookups: BTreeSet<_> = lookups.iter().copied().collect();
        self.look_up(move |connection| {
            let one = |lookup: Digest| {
                let of = params![organization, environment, lookup.0];
                first(connection, "persons", sql::PERSON_BY_LOOKUP, of, |row| cells::person(row)).transpose()
            };
            let mut persons: Vec<PersonRow> =
                lookups.into_iter().filter_map(one).collect::<Result<_, _>>()?;
            persons.sort_by_key(|row| row.person);
            Ok(persons)
        })
        .await
    }

    async fn persons(&self, tenant: &Tenant, persons: &[PersonId]) -> Result<Vec<PersonRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let persons: BTreeSet<_> = persons.iter().copied().collect();
        self.look_up(move |connection| {
            let one = |person: PersonId| {
                let of = params![organization, environment, person.as_bytes()];
                first(connection, "persons", sql::PERSON, of, |row| cells::person(row)).transpose()
            };
            persons.into_iter().filter_map(one).collect()
        })
        .await
    }

    async fn api_key(&self, hash: &HashedToken) -> Result<Option<ApiKeyRow>, Fault> {
        let hash = *hash.as_bytes();
        self.look_up(move |connection| {
            first(connection, "api_keys", sql::API_KEY, params![hash], |row| access_cells::api_key(row))
        })
        .await
    }

    async fn api_keys(&self, organization: OrganizationId) -> Result<Vec<ApiKeyRow>, Fault> {
        self.read(move |connection| {
            let of = params![organization.as_bytes()];
            rows(connection, "api_keys", sql::API_KEYS, of, |row| access_cells::api_key(row))
        })
        .await
    }

    async fn has_live_keys(&self, now: Time) -> Result<bool, Fault> {
        let now = now.unix_ms();
        self.read(move |connection| {
            first(connection, "api_keys", sql::LIVE_KEYS, params![now], |_| Ok(()))
                .map(|found| found.is_some())
        })
        .await
    }

    async fn link(&self, envelope: EnvelopeId, secret: &HashedToken) -> Result<Option<LinkRow>, Fault> {
        let secret = *secret.as_bytes();
        self.look_up(move |connection| {
            let of = params![envelope.as_bytes(), secret];
            first(connection, "links", sql::LINK, of, |row| cells::link(row))
        })
        .await
    }

    async fn link_by_id(&self, tenant: &Tenant, link: LinkId) -> Result<Option<LinkRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.look_up(move |connection| {
            let of = params![organization, environment, link.as_bytes()];
            first(connection, "links", sql::LINK_BY_ID, of, |row| cells::link(row))
        })
        .await
    }

    async fn code(&self, tenant: &Tenant, code: CodeId) -> Result<Option<CodeRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.look_up(move |connection| {
            let of = params![organization, environment, code.as_bytes()];
            first(connection, "codes", sql::CODE, of, |row| cells::code(row))
        })
        .await
    }

    async fn session(&self, cookie: &HashedToken) -> Result<Option<SessionRow>, Fault> {
        let cookie = *cookie.as_bytes();
        self.look_up(move |connection| {
            first(connection, "sessions", sql::SESSION, params![cookie], |row| cells::session(row))
        })
        .await
    }

    async fn touch_session(&self, session: SessionId, now: Time, expires_at: Time) -> Result<(), Fault> {
        self.writer
            .write(move |connection| {
                let values = params![session.as_bytes(), now.unix_ms(), expires_at.unix_ms()];
                execute(connection, sql::TOUCH_SESSION, values).map(drop)
            })
            .await
    }

    async fn mailbox(&self, tenant: &Tenant, before: Option<u64>, limit: usize) -> Result<MailPage, Fault> {
        let (organization, environment) = owner(tenant);
        let before = before.map(signed).transpose()?;
        self.read(move |connection| {
            let of = params![organization, environment, before, cells::limit(limit.saturating_add(1))];
            let mut rows = rows(connection, "mailbox", sql::MAILBOX, of, |row| cells::mail(row))?;
            let more = rows.len() > limit;
            rows.truncate(limit);
            Ok(MailPage { rows, more })
        })
        .await
    }

    async fn claim_idempotency(&self, claim: &IdempotencyClaim) -> Result<IdempotencyState, Fault> {
        let claim = claim.clone();
        self.writer.write(move |connection| apply::claim(connection, &claim)).await
    }

    async fn release_idempotency(&self, claim: &IdempotencyClaim) -> Result<(), Fault> {
        let claim = claim.clone();
        self.writer.write(move |connection| apply::release(connection, &claim)).await
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, Fault> {
        self.read(|connection| rows(connection, "server_keys", sql::KEYS, [], |row| cells::server_key(row)))
            .await
    }

    async fn claim_jobs(&self, now: Time, lease_ms: i64, limit: usize) -> Result<Vec<JobRow>, Fault> {
        self.writer.write(move |connection| apply::lease_jobs(connection, now, lease_ms, limit)).await
    }

    async fn sweep(&self, now: Time) -> Result<bool, Fault> {
        let swept = self.writer.write(move |connection| access_sweep::sweep(connection, now)).await?;
        Ok(swept >= SWEPT_ROWS)
    }

    async fn put_back_job(&self, job: &JobRow, back: &PutBack) -> Result<bool, Fault> {
        let (job, back) = (job.clone(), back.clone());
        self.writer.write(move |connection| apply::put_back_job(connection, &job, &back)).await
    }

    async fn next_due(&self) -> Result<Option<Time>, Fault> {
        self.look_up(|connection| first(connection, "jobs", sql::NEXT_DUE, [], |row| row.time("due_at")))
            .await
    }

    async fn wait_for_work(&self, timeout_ms: u64) {
        self.work.wait(timeout_ms).await;
    }

    async fn lead_log(&self) -> Result<bool, Fault> {
        let mut lead = self.lead.lock().unwrap_or_else(PoisonError::into_inner);
        if lead.is_none() {
            *lead = open::lock(&self.lead_path)?;
        }
        Ok(lead.is_some())
    }

    async fn next_leaves(&self, limit: usize) -> Result<Vec<LeafRow>, Fault> {
        self.read(move |connection| {
            rows(connection, "unsequenced", sql::NEXT_LEAVES, params![cells::limit(limit)], |row| {
                cells::leaf(row)
            })
        })
        .await
    }

    async fn publish_checkpoint(
        &self,
        from_index: u64,
        leaves: &[LeafRow],
        tiles: &[TileRow],
        checkpoint: &str,
    ) -> Result<(), Fault> {
        let (leaves, tiles, checkpoint) = (leaves.to_vec(), tiles.to_vec(), checkpoint.to_owned());
        self.writer
            .write(move |connection| apply::publish(connection, from_index, &leaves, &tiles, &checkpoint))
            .await
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, Fault> {
        self.look_up(|connection| {
            first(connection, "checkpoints", sql::CHECKPOINT, [], |row| {
                Ok((row.number("size")?, row.text("note")?))
            })
        })
        .await
    }

    async fn tiles(&self, places: &[(u8, u64)]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        let places = places.to_vec();
        self.read(move |connection| {
            let one = |(level, index): (u8, u64)| {
                let at = params![level, signed(index)?];
                first(connection, "tiles", sql::TILE, at, |row| row.bytes("bytes"))
            };
            places.into_iter().map(one).collect()
        })
        .await
    }

    async fn streams(
        &self,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<(Tenant, EnvelopeId)>, Fault> {
        self.read(move |connection| {
            let later = params![after.as_ref().map(EnvelopeId::as_bytes), cells::limit(limit)];
            rows(connection, "envelopes", sql::STREAMS, later, |row| Ok((row.tenant()?, row.envelope()?)))
        })
        .await
    }

    async fn documents(&self, after: Option<DocumentId>, limit: usize) -> Result<Vec<DocumentRow>, Fault> {
        self.read(move |connection| {
            let later = params![after.as_ref().map(DocumentId::as_bytes), cells::limit(limit)];
            rows(connection, "documents", sql::DOCUMENTS, later, |row| cells::document(row))
        })
        .await
    }

    async fn blob_names(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        let after = after.map(str::to_owned);
        self.read(move |connection| {
            let limit = cells::limit(limit);
            match after {
                None => rows(connection, "documents", sql::FIRST_BLOB_NAMES, params![limit], |row| {
                    row.text("blob")
                }),
                Some(after) => rows(connection, "documents", sql::BLOB_NAMES, params![after, limit], |row| {
                    row.text("blob")
                }),
            }
        })
        .await
    }

    async fn ping(&self) -> Result<(), Fault> {
        self.read(|connection| first(connection, "sqlite_schema", sql::PING, [], |_| Ok(())).map(drop))
            .await?;
        self.writer.write(|_| Ok(())).await
    }
}
