//! The store on PostgreSQL: group commit over two connections, look-ups in groups over four, a pool that reads, one connection
//! that listens.

mod access;
mod access_batch;
mod access_change;
mod batch;
mod claims;
mod connection;
mod listen;
mod lookups;
mod migrate;
mod sql;
mod tls;
mod together;
mod webhook_batch;
mod webhook_sql;
mod webhooks;
mod writer;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{CodeId, DocumentId, EnvelopeId, LinkId, OrganizationId, PersonId, SessionId},
    secret::HashedToken,
    time::Time,
};
use deadpool_postgres::{ClientWrapper, Object, Pool, Transaction};
use futures_util::future::try_join_all;
use tokio::{
    sync::{Mutex, oneshot},
    task::JoinSet,
};
use tokio_postgres::types::ToSql;

use crate::{
    Store, access_cells,
    access_rows::{ClientRow, GrantView, TokenView},
    batch::{Batch, CommitError, Committed},
    cells::{self, Cells as _, signed},
    fault::Fault,
    limits::{SWEPT_ROWS, grants_swept_before, swept_before},
    rows::{
        ApiKeyRow, ArtifactRow, CodeRow, DocumentRow, EnvelopePage, EnvelopeQuery, IdempotencyClaim,
        IdempotencyState, JobRow, KeyRow, LeafRow, LinkRow, MailPage, OpeningRow, OrganizationRow, PersonRow,
        PutBack, SessionRow, Stream, TileRow, security_stream,
    },
    work::Work,
};
use batch::tenant as owner;
use claims::Claims;
use connection::{Call, PostgresCells, call, execute, fault, query};
use lookups::{Kind, Lookup};
pub use writer::GroupStats;
use writer::Writer;

/// Connections that read lists.
const READERS: usize = 4;
/// Connections that read by keys, lease and claim.
const KEYED: usize = 8;
/// Connections that look up what each request needs.
const LOOKUPS: usize = 4;
/// A claim that races with releases is tried so often.
const CLAIM_TRIES: usize = 5;

/// A store in a PostgreSQL database, which several servers may share.
pub struct Postgres {
    readers: Pool,
    keyed: Pool,
    lookups: Lookups,
    claims: Claims,
    writer: Writer,
    work: Arc<Work>,
    lead: Mutex<Option<ClientWrapper>>,
    // Dropping them ends the writers and the listener.
    _tasks: JoinSet<()>,
}

impl Postgres {
    /// Connects to the database at `url` (`postgres://user@host:port/database` or `host=… dbname=…`), brings its schema
    /// up to date and begins to listen for work. A schema of a newer program is refused with [`Fault::Schema`].
    ///
    /// Whatever leaves this machine is under TLS, with a server whose certificate names the host and comes from a CA of
    /// the file `ca` (PEM) or, without one, of the system; [`Fault::Address`] refuses what asks for less.
    pub async fn open(url: &str, ca: Option<&Path>) -> Result<Self, Fault> {
        let access = connection::configured(url, ca)?;
        let readers = connection::pool(&access, READERS)?;
        migrate::migrate(connection::connection(&readers).await?).await?;
        let work = Arc::<Work>::default();
        let mut tasks = JoinSet::new();
        let name = Arc::<listen::Name>::default();
        let (listening, heard) = oneshot::channel();
        tasks.spawn(listen::listen(access.clone(), Arc::clone(&work), Arc::clone(&name), listening));
        heard.await.map_err(|error| Fault::Unavailable(error.to_string()))??;
        let one_plan = connection::with_one_plan(&access);
        let writers = connection::pool(&one_plan, Writer::connections())?;
        let writer = Writer::start(&writers, &work, name, &mut tasks);
        let keyed = connection::pool(&one_plan, KEYED)?;
        let lookups = connection::pool(&one_plan, LOOKUPS)?;
        let lookups = Lookups::start(&lookups, &keyed, &mut tasks);
        let claims = Claims::start(&keyed, &mut tasks);
        Ok(Self { readers, keyed, lookups, claims, writer, work, lead: Mutex::new(None), _tasks: tasks })
    }

    /// How many batches were committed since it was opened, in how many transactions.
    pub fn stats(&self) -> GroupStats {
        self.writer.stats()
    }

    /// Reads a list, of which a page may begin anywhere.
    async fn list<T>(
        &self,
        table: &'static str,
        call: Call,
        read: impl Fn(&PostgresCells<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        rows(&self.readers, table, call, read).await
    }

    /// Reads rows by their keys.
    async fn rows<T>(
        &self,
        table: &'static str,
        call: Call,
        read: impl Fn(&PostgresCells<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        rows(&self.keyed, table, call, read).await
    }

    async fn first<T>(
        &self,
        table: &'static str,
        call: Call,
        read: impl Fn(&PostgresCells<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let rows = connection::repeat(&self.keyed, &call, query).await?;
        rows.first().map(|row| read(&PostgresCells::new(table, row))).transpose()
    }

    // Something that may have been done when its connection was lost, and must not be done twice.
    async fn once(&self, call: Call) -> Result<Vec<tokio_postgres::Row>, Fault> {
        let client = connection::connection(&self.keyed).await?;
        query(&client, &call).await.map_err(|error| fault(&error))
    }
}

async fn rows<T>(
    pool: &Pool,
    table: &'static str,
    call: Call,
    read: impl Fn(&PostgresCells<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let rows = connection::repeat(pool, &call, query).await?;
    rows.iter().map(|row| read(&PostgresCells::new(table, row))).collect()
}

/// What each request looks up.
struct Lookups {
    access_tokens: Lookup<TokenView>,
    api_keys: Lookup<ApiKeyRow>,
    clients: Lookup<ClientRow>,
    documents: Lookup<DocumentRow>,
    grants: Lookup<GrantView>,
    persons: Lookup<PersonRow>,
    persons_by_lookup: Lookup<PersonRow>,
}

impl Lookups {
    /// Credentials wait for no documents: these are larger.
    fn start(pool: &Pool, keyed: &Pool, tasks: &mut JoinSet<()>) -> Self {
        let access_tokens = Kind {
            table: "access_tokens",
            sql: sql::ACCESS_TOKEN,
            read: |row| access_cells::token_view(row),
            key: |view: &TokenView| view.token.hash.as_bytes().to_vec(),
        };
        let api_keys = Kind {
            table: "api_keys",
            sql: sql::API_KEY,
            read: |row| access_cells::api_key(row),
            key: |row: &ApiKeyRow| row.hash.as_bytes().to_vec(),
        };
        let clients = Kind {
            table: "clients",
            sql: sql::CLIENT,
            read: |row| access_cells::client(row),
            key: |row: &ClientRow| row.client.as_bytes().to_vec(),
        };
        let documents = Kind {
            table: "documents",
            sql: sql::DOCUMENT,
            read: |row| cells::document(row),
            key: |row: &DocumentRow| row.document.as_bytes().to_vec(),
        };
        let grants = Kind {
            table: "grants",
            sql: sql::GRANT_VIEW,
            read: |row| access_cells::grant_view(row),
            key: |view: &GrantView| view.grant.grant.as_bytes().to_vec(),
        };
        let persons = Kind {
            table: "persons",
            sql: sql::PERSON,
            read: |row| cells::person(row),
            key: |row: &PersonRow| row.person.as_bytes().to_vec(),
        };
        let persons_by_lookup = Kind {
            table: "persons",
            sql: sql::PERSON_BY_LOOKUP,
            read: |row| cells::person(row),
            key: |row: &PersonRow| lookup_key(&row.tenant, &row.lookup),
        };
        Self {
            access_tokens: Lookup::start(pool, access_tokens, tasks),
            api_keys: Lookup::start(pool, api_keys, tasks),
            clients: Lookup::start(pool, clients, tasks),
            documents: Lookup::start(keyed, documents, tasks),
            grants: Lookup::start(pool, grants, tasks),
            persons: Lookup::start(keyed, persons, tasks),
            persons_by_lookup: Lookup::start(keyed, persons_by_lookup, tasks),
        }
    }
}

/// By what a person of a tenant is looked up: organization and lookup are of one length, and the rest is the environment.
fn lookup_key(tenant: &Tenant, lookup: &Digest) -> Vec<u8> {
    let (organization, environment) = owner(tenant);
    [organization.as_slice(), &lookup.0, environment.as_bytes()].concat()
}

fn each_once(found: impl IntoIterator<Item = Option<PersonRow>>) -> Vec<PersonRow> {
    let mut rows: Vec<_> = found.into_iter().flatten().collect();
    rows.sort_unstable_by_key(|row| row.person);
    rows.dedup_by_key(|row| row.person);
    rows
}

fn tokens(hash: &HashedToken) -> Vec<u8> {
    hash.as_bytes().to_vec()
}

#[async_trait]
impl Store for Postgres {
    async fn load(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Option<Stream>, Fault> {
        let of = |sql| {
            let (organization, environment) = owner(tenant);
            call!(sql, organization, environment, envelope.as_bytes().to_vec())
        };
        if envelope == security_stream(tenant) {
            return Ok(None);
        }
        // In this order, and not at once: what a later commit adds to the later answers does no harm.
        let events = self.rows("events", of(sql::LOAD_EVENTS), |row| cells::event(row)).await?;
        if events.is_empty() {
            return Ok(None);
        }
        let openings = self.rows("openings", of(sql::LOAD_OPENINGS), |row| cells::opening(row)).await?;
        let persons = self.rows("persons", of(sql::LOAD_PERSONS), |row| cells::person(row)).await?;
        Ok(Some(Stream { events, openings, persons }))
    }

    async fn head(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Option<Digest>, Fault> {
        let (organization, environment) = owner(tenant);
        let call = call!(sql::HEAD, organization, environment, envelope.as_bytes().to_vec());
        self.first("events", call, |row| row.digest("hash")).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        batch.check()?;
        self.writer.commit(batch).await
    }

    async fn find_envelopes(&self, tenant: &Tenant, query: &EnvelopeQuery) -> Result<EnvelopePage, Fault> {
        let (organization, environment) = owner(tenant);
        let before = query.before.map(|envelope| envelope.as_bytes().to_vec());
        let limit = cells::limit(query.limit.saturating_add(1));
        let call = match query.status.clone() {
            None => call!(sql::FIND_ENVELOPES, organization, environment, before, limit),
            Some(status) => {
                call!(sql::FIND_ENVELOPES_BY_STATUS, organization, environment, before, limit, status)
            }
        };
        let mut rows = self.list("envelopes", call, |row| cells::envelope(row)).await?;
        let more = rows.len() > query.limit;
        rows.truncate(query.limit);
        Ok(EnvelopePage { rows, more })
    }

    async fn openings(
        &self,
        tenant: &Tenant,
        commitments: &[(EnvelopeId, Digest)],
    ) -> Result<Vec<OpeningRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let (envelopes, asked): (Vec<_>, Vec<_>) = commitments
            .iter()
            .map(|(envelope, commitment)| (envelope.as_bytes().to_vec(), commitment.0.to_vec()))
            .unzip();
        let call = call!(sql::OPENINGS, organization, environment, envelopes, asked);
        self.rows("openings", call, |row| cells::opening(row)).await
    }

    async fn document(&self, tenant: &Tenant, document: DocumentId) -> Result<Option<DocumentRow>, Fault> {
        let found = self.lookups.documents.find(document.as_bytes().to_vec()).await?;
        Ok(found.filter(|row| row.tenant == *tenant))
    }

    async fn artifacts(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Vec<ArtifactRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let call = call!(sql::ARTIFACTS, organization, environment, envelope.as_bytes().to_vec());
        self.rows("artifacts", call, |row| cells::artifact(row)).await
    }

    async fn organization(&self, organization: OrganizationId) -> Result<Option<OrganizationRow>, Fault> {
        let call = call!(sql::ORGANIZATION, organization.as_bytes().to_vec());
        self.first("organizations", call, |row| cells::organization(row)).await
    }

    async fn organizations(&self) -> Result<Vec<OrganizationRow>, Fault> {
        self.rows("organizations", call!(sql::ORGANIZATIONS), |row| cells::organization(row)).await
    }

    async fn persons_by_lookup(&self, tenant: &Tenant, lookups: &[Digest]) -> Result<Vec<PersonRow>, Fault> {
        let find = |lookup| self.lookups.persons_by_lookup.find(lookup_key(tenant, lookup));
        Ok(each_once(try_join_all(lookups.iter().map(find)).await?))
    }

    async fn persons(&self, tenant: &Tenant, persons: &[PersonId]) -> Result<Vec<PersonRow>, Fault> {
        let find = |person: &PersonId| self.lookups.persons.find(person.as_bytes().to_vec());
        let rows = try_join_all(persons.iter().map(find)).await?;
        Ok(each_once(rows.into_iter().filter(|row| row.as_ref().is_some_and(|row| row.tenant == *tenant))))
    }

    async fn api_key(&self, hash: &HashedToken) -> Result<Option<ApiKeyRow>, Fault> {
        self.lookups.api_keys.find(hash.as_bytes().to_vec()).await
    }

    async fn api_keys(&self, organization: OrganizationId) -> Result<Vec<ApiKeyRow>, Fault> {
        let call = call!(sql::API_KEYS, organization.as_bytes().to_vec());
        self.rows("api_keys", call, |row| access_cells::api_key(row)).await
    }

    async fn has_live_keys(&self, now: Time) -> Result<bool, Fault> {
        let found = self.first("api_keys", call!(sql::LIVE_KEYS, now.unix_ms()), |_| Ok(())).await?;
        Ok(found.is_some())
    }

    async fn link(&self, envelope: EnvelopeId, secret: &HashedToken) -> Result<Option<LinkRow>, Fault> {
        let call = call!(sql::LINK, envelope.as_bytes().to_vec(), tokens(secret));
        self.first("links", call, |row| cells::link(row)).await
    }

    async fn link_by_id(&self, tenant: &Tenant, link: LinkId) -> Result<Option<LinkRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let call = call!(sql::LINK_BY_ID, organization, environment, link.as_bytes().to_vec());
        self.first("links", call, |row| cells::link(row)).await
    }

    async fn code(&self, tenant: &Tenant, code: CodeId) -> Result<Option<CodeRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let call = call!(sql::CODE, organization, environment, code.as_bytes().to_vec());
        self.first("codes", call, |row| cells::code(row)).await
    }

    async fn session(&self, cookie: &HashedToken) -> Result<Option<SessionRow>, Fault> {
        self.first("sessions", call!(sql::SESSION, tokens(cookie)), |row| cells::session(row)).await
    }

    async fn touch_session(&self, session: SessionId, now: Time, expires_at: Time) -> Result<(), Fault> {
        let session = session.as_bytes().to_vec();
        let call = call!(sql::TOUCH_SESSION, session, now.unix_ms(), expires_at.unix_ms());
        connection::repeat(&self.keyed, &call, execute).await.map(drop)
    }

    async fn mailbox(&self, tenant: &Tenant, before: Option<u64>, limit: usize) -> Result<MailPage, Fault> {
        let (organization, environment) = owner(tenant);
        let before = before.map(signed).transpose()?;
        let most = cells::limit(limit.saturating_add(1));
        let call = call!(sql::MAILBOX, organization, environment, before, most);
        let mut rows = self.list("mailbox", call, |row| cells::mail(row)).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(MailPage { rows, more })
    }

    async fn claim_idempotency(&self, claim: &IdempotencyClaim) -> Result<IdempotencyState, Fault> {
        let (organization, environment) = owner(&claim.tenant);
        let caller = claim.caller.to_vec();
        for _ in 0..CLAIM_TRIES {
            if self.claims.take(claim).await? {
                return Ok(IdempotencyState::Claimed);
            }
            let held =
                call!(sql::CLAIMED, organization.clone(), environment, caller.clone(), claim.key.clone());
            let held = self.first("idempotency", held, |row| cells::idempotency(row, claim)).await?;
            // Between the two statements it may have been released.
            if let Some(state) = held {
                return Ok(state);
            }
        }
        Ok(IdempotencyState::InFlight)
    }

    async fn release_idempotency(&self, claim: &IdempotencyClaim) -> Result<(), Fault> {
        let (organization, environment) = owner(&claim.tenant);
        let caller = claim.caller.to_vec();
        let call =
            call!(sql::RELEASE, organization, environment, caller, claim.key.clone(), claim.claim.to_vec());
        connection::repeat(&self.keyed, &call, execute).await.map(drop)
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, Fault> {
        self.rows("server_keys", call!(sql::KEYS), |row| cells::server_key(row)).await
    }

    async fn claim_jobs(&self, now: Time, lease_ms: i64, limit: usize) -> Result<Vec<JobRow>, Fault> {
        let until = now.plus_ms(lease_ms).unix_ms();
        let rows = self.once(call!(sql::LEASE_JOBS, now.unix_ms(), until, cells::limit(limit))).await?;
        rows.iter().map(|row| cells::job(&PostgresCells::new("jobs", row))).collect()
    }

    async fn sweep(&self, now: Time) -> Result<bool, Fault> {
        let (most, ended) = (cells::limit(SWEPT_ROWS), swept_before(now).unix_ms());
        let client = connection::connection(&self.keyed).await?;
        let calls = [
            call!(sql::SWEEP_SESSIONS, ended, most),
            call!(sql::SWEEP_CODES, ended, most),
            call!(sql::SWEEP_IDEMPOTENCY, now.unix_ms(), most),
            call!(sql::SWEEP_SPENT, now.unix_ms(), most),
            call!(sql::SWEEP_ACCESS_TOKENS, ended, most),
            call!(sql::SWEEP_AUTHORIZATION_CODES, ended, most),
            call!(sql::SWEEP_PUSHED_REQUESTS, ended, most),
            call!(sql::SWEEP_TICKETS, ended, most),
            call!(sql::SWEEP_SIGN_INS, ended, most),
            call!(sql::SWEEP_GRANTS, grants_swept_before(now).unix_ms(), most),
        ];
        let swept = try_join_all(calls.iter().map(|call| execute(&client, call))).await;
        let swept = swept.map_err(|error| fault(&error))?;
        Ok(swept.iter().any(|rows| usize::try_from(*rows).is_ok_and(|rows| rows >= SWEPT_ROWS)))
    }

    async fn put_back_job(&self, job: &JobRow, back: &PutBack) -> Result<bool, Fault> {
        let id = job.job.as_bytes().to_vec();
        let (fence, due_at) = (signed(job.fence)?, back.due_at.unix_ms());
        let call = call!(sql::PUT_BACK_JOB, id, fence, due_at, back.reason.clone(), back.was_attempt);
        let client = connection::connection(&self.keyed).await?;
        Ok(execute(&client, &call).await.map_err(|error| fault(&error))? > 0)
    }

    async fn next_due(&self) -> Result<Option<Time>, Fault> {
        self.first("jobs", call!(sql::NEXT_DUE), |row| row.time("due_at")).await
    }

    async fn wait_for_work(&self, timeout_ms: u64) {
        self.work.wait(timeout_ms).await;
    }

    async fn lead_log(&self) -> Result<bool, Fault> {
        let mut lead = self.lead.lock().await;
        if let Some(leader) = lead.as_ref()
            && query(leader, &call!(sql::PING)).await.is_ok()
        {
            return Ok(true);
        }
        // The lock went with the connection, if there was one.
        *lead = None;
        let client = connection::connection(&self.keyed).await?;
        let asked = query(&client, &call!(sql::LEAD)).await.map_err(|error| fault(&error))?;
        let leads = asked.iter().any(|row| row.try_get("leads").unwrap_or(false));
        if leads {
            // The connection leaves the pool, and keeps the lock for as long as it lives.
            *lead = Some(Object::take(client));
        }
        Ok(leads)
    }

    async fn next_leaves(&self, limit: usize) -> Result<Vec<LeafRow>, Fault> {
        self.rows("unsequenced", call!(sql::NEXT_LEAVES, cells::limit(limit)), |row| cells::leaf(row)).await
    }

    async fn publish_checkpoint(
        &self,
        from_index: u64,
        leaves: &[LeafRow],
        tiles: &[TileRow],
        checkpoint: &str,
    ) -> Result<(), Fault> {
        let mut client = connection::connection(&self.keyed).await?;
        let transaction = client.transaction().await.map_err(|error| fault(&error))?;
        publish(&transaction, from_index, leaves, tiles, checkpoint).await?;
        transaction.commit().await.map_err(|error| fault(&error))
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, Fault> {
        self.first("checkpoints", call!(sql::CHECKPOINT), |row| Ok((row.number("size")?, row.text("note")?)))
            .await
    }

    async fn tiles(&self, places: &[(u8, u64)]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        let levels: Vec<_> = places.iter().map(|(level, _)| i64::from(*level)).collect();
        let indexes = places.iter().map(|(_, index)| signed(*index)).collect::<Result<Vec<_>, _>>()?;
        self.rows("tiles", call!(sql::TILES, levels, indexes), |row| {
            row.bytes_or_null("bytes").map_err(|reason| row.corrupt("bytes", reason))
        })
        .await
    }

    async fn streams(
        &self,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<(Tenant, EnvelopeId)>, Fault> {
        let after = after.map(|envelope| envelope.as_bytes().to_vec());
        self.list("envelopes", call!(sql::STREAMS, after, cells::limit(limit)), |row| {
            Ok((row.tenant()?, row.envelope()?))
        })
        .await
    }

    async fn documents(&self, after: Option<DocumentId>, limit: usize) -> Result<Vec<DocumentRow>, Fault> {
        let after = after.map(|document| document.as_bytes().to_vec());
        let call = call!(sql::DOCUMENTS, after, cells::limit(limit));
        self.list("documents", call, |row| cells::document(row)).await
    }

    async fn blob_names(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        let call = call!(sql::BLOB_NAMES, after.map(str::to_owned), cells::limit(limit));
        self.list("documents", call, |row| row.text("blob")).await
    }

    async fn ping(&self) -> Result<(), Fault> {
        connection::repeat(&self.keyed, &call!(sql::PING), query).await?;
        self.writer.ping().await
    }
}

// Makes the log longer, within a transaction.
async fn publish(
    transaction: &Transaction<'_>,
    from_index: u64,
    leaves: &[LeafRow],
    tiles: &[TileRow],
    checkpoint: &str,
) -> Result<(), Fault> {
    let run = async |sql: &'static str, parameters: &[&(dyn ToSql + Sync)]| {
        let statement = transaction.prepare_cached(sql).await?;
        transaction.execute(&statement, parameters).await
    };
    let broken = |error: tokio_postgres::Error| fault(&error);
    run(sql::LOCK_LOG, &[]).await.map_err(broken)?;
    let statement = transaction.prepare_cached(sql::LOG_SIZE).await.map_err(broken)?;
    let newest = transaction.query_opt(&statement, &[]).await.map_err(broken)?;
    let size = newest.map_or(Ok(0), |row| PostgresCells::new("checkpoints", &row).number("size"))?;
    if size != from_index {
        return Err(Fault::Contradiction(format!("the log has {size} leaves, not {from_index}")));
    }
    let first = signed(from_index)?;
    let (indexes, envelopes): (Vec<i64>, Vec<&[u8]>) =
        (first..).zip(leaves).map(|(index, leaf)| (index, leaf.envelope.as_bytes().as_slice())).unzip();
    let positions = leaves.iter().map(|leaf| signed(leaf.seq)).collect::<Result<Vec<_>, _>>()?;
    let hashes: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.hash.0.as_slice()).collect();
    let leaf_ids: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.leaf_id.as_slice()).collect();
    let added = run(sql::ADD_LEAVES, &[&indexes, &envelopes, &positions, &hashes, &leaf_ids]).await;
    let count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
    if added.map_err(broken)? != count {
        return Err(Fault::Contradiction(format!("not all of {count} events wait for the log")));
    }
    run(sql::REMOVE_WAITING, &[&indexes]).await.map_err(broken)?;
    // One statement cannot change a row twice: of the tiles for one place only the widest goes out.
    let mut widest: BTreeMap<(u8, u64), &[u8]> = BTreeMap::new();
    for tile in tiles {
        let place = widest.entry((tile.level, tile.index)).or_insert(&tile.bytes);
        if tile.bytes.len() > place.len() {
            *place = &tile.bytes;
        }
    }
    let levels: Vec<_> = widest.keys().map(|(level, _)| i64::from(*level)).collect();
    let places = widest.keys().map(|(_, index)| signed(*index)).collect::<Result<Vec<_>, _>>()?;
    let bytes: Vec<_> = widest.into_values().collect();
    run(sql::ADD_TILES, &[&levels, &places, &bytes]).await.map_err(broken)?;
    run(sql::ADD_CHECKPOINT, &[&signed(from_index + count)?, &checkpoint]).await.map(drop).map_err(broken)
}
