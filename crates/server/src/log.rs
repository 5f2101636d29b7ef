//! The log of all events: durable order first, integration second. One sequencer gives committed events their index,
//! grows the tiles, signs a checkpoint, commits, and only then publishes. Start-up recovers along the same path.

use std::{collections::BTreeMap, sync::Arc};

use countersign_core::{
    access::Tenant,
    envelope::encode::leaf,
    security::{SecurityEvent, Tail},
};
use countersign_store::{
    Batch, CommitError, Fault, Store,
    access_rows::SecurityRow,
    batch::{Chain, NewEvent},
    rows::{LeafRow, StoredEvent, TileRow},
    webhook_rows::NewMessage,
};
use countersign_tlog::{
    Checkpoint, Edge, EntriesId, LogSigner, ProofFile, SignedNote, TILE_WIDTH, TileId, TileSet,
    bundles_between, decode_entries, encode_entries, inclusion_proof, inclusion_tiles, leaf_hash, open,
    sign_checkpoint,
};
use tokio::sync::{Mutex, watch};

use crate::{
    app::{Randomness, draw},
    webhooks::announce,
};

/// Level under which the store keeps entry bundles.
const BUNDLES: u8 = 255;
/// Events that one checkpoint takes in at most.
const LEAVES_PER_CHECKPOINT: usize = 4_096;
/// Security events that are given their places in one commit at most.
const CHAINED_AT_ONCE: usize = 500;

/// The log: sequences, proves, serves.
pub struct Log {
    store: Arc<dyn Store>,
    random: Arc<dyn Randomness>,
    signer: LogSigner,
    edge: Mutex<Option<Edge>>,
    published: watch::Sender<u64>,
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::Contradiction(format!("the log: {error}"))
}

impl Log {
    /// A log whose checkpoints `signer` signs; its name is the origin.
    pub fn new(store: Arc<dyn Store>, random: Arc<dyn Randomness>, signer: LogSigner) -> Self {
        Self { store, random, signer, edge: Mutex::new(None), published: watch::Sender::new(0) }
    }

    /// The key that verifies checkpoints, as C2SP writes it.
    pub fn verifier_key(&self) -> String {
        self.signer.verifier().to_string()
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.signer.name()
    }

    /// Takes all committed events into the log; how many there were. None while another server sequences.
    pub async fn sequence(&self) -> Result<usize, Fault> {
        let mut cached = self.edge.lock().await;
        if !self.store.lead_log().await? {
            return Ok(0);
        }
        self.chain_security_events().await?;
        let mut added = 0;
        loop {
            let leaves = self.store.next_leaves(LEAVES_PER_CHECKPOINT).await?;
            if leaves.is_empty() {
                return Ok(added);
            }
            let mut edge = match cached.take() {
                Some(edge) => edge,
                None => self.load_edge().await?,
            };
            self.integrate(&mut edge, &leaves).await?;
            added += leaves.len();
            self.published.send_replace(edge.size());
            *cached = Some(edge);
            if leaves.len() < LEAVES_PER_CHECKPOINT {
                return Ok(added);
            }
        }
    }

    /// Gives security events their places in their streams, in the order in which they were committed. One server does
    /// it at a time, so that those who record them never wait for each other (ADR 8).
    async fn chain_security_events(&self) -> Result<(), Fault> {
        loop {
            let waiting = self.store.security_inbox(CHAINED_AT_ONCE).await?;
            let Some(first) = waiting.first() else { return Ok(()) };
            let tenant = first.tenant;
            let (its, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|row| row.tenant == tenant);
            let (chain, messages) = self.chained(&tenant, &its).await?;
            match self.store.commit(Batch { chains: Some(chain), messages, ..Batch::default() }).await {
                Ok(_) => {}
                // Another server took over the lead meanwhile: it goes on.
                Err(CommitError::Conflict) => return Ok(()),
                Err(CommitError::Fault(fault)) => return Err(fault),
                Err(other) => return Err(broken(other)),
            }
            if others.is_empty() && its.len() < CHAINED_AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn chained(
        &self,
        tenant: &Tenant,
        waiting: &[SecurityRow],
    ) -> Result<(Chain, Vec<NewMessage>), Fault> {
        let head = self.store.security_head(tenant).await?;
        let mut tail = Tail::after(tenant.organization(), tenant.environment(), head);
        let expected_seq = tail.next_seq();
        let mut events = Vec::with_capacity(waiting.len());
        let mut messages = Vec::with_capacity(waiting.len());
        for row in waiting {
            let event: SecurityEvent = serde_json::from_slice(&row.bytes).map_err(broken)?;
            let seq = tail.next_seq();
            let (bytes, hash) = tail.place(event.clone()).map_err(broken)?;
            messages.push(announce::of_security(tenant, &event, seq, hash));
            events.push(NewEvent { bytes, hash, leaf_id: draw(&*self.random) });
        }
        let taken = waiting.iter().map(|row| row.event).collect();
        Ok((Chain { tenant: *tenant, expected_seq, events, taken }, messages))
    }

    async fn integrate(&self, edge: &mut Edge, leaves: &[LeafRow]) -> Result<(), Fault> {
        let from_index = edge.size();
        let entries: Vec<[u8; 48]> = leaves.iter().map(|row| leaf(&row.leaf_id, &row.hash)).collect();
        let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let growth = edge.append(&hashes).map_err(broken)?;
        let mut tiles: BTreeMap<(u8, u64), Vec<u8>> = BTreeMap::new();
        for (id, bytes) in growth.tiles {
            tiles.insert((id.level(), id.index()), bytes);
        }
        tiles.extend(self.bundles(from_index, growth.size, &entries).await?);
        let tiles: Vec<_> =
            tiles.into_iter().map(|((level, index), bytes)| TileRow { level, index, bytes }).collect();
        let checkpoint = Checkpoint::new(self.signer.name(), growth.size, growth.root).map_err(broken)?;
        let note = sign_checkpoint(&checkpoint, &self.signer).map_err(broken)?;
        self.store.publish_checkpoint(from_index, leaves, &tiles, &note.to_string()).await
    }

    /// The entry bundles that are new or wider; the first continues the one that was not full.
    async fn bundles(
        &self,
        old_size: u64,
        new_size: u64,
        entries: &[[u8; 48]],
    ) -> Result<Vec<((u8, u64), Vec<u8>)>, Fault> {
        let width = u64::from(TILE_WIDTH);
        let mut rest = entries.iter();
        let mut bundles = Vec::new();
        for id in bundles_between(old_size, new_size) {
            let first = id.index() * width;
            let known = old_size.saturating_sub(first);
            let mut bytes = if known == 0 {
                Vec::new()
            } else {
                let stored = self.store.tiles(&[(BUNDLES, id.index())]).await?.pop().flatten();
                stored.ok_or_else(|| broken("the newest entry bundle is missing"))?
            };
            let count = usize::from(id.width()).saturating_sub(usize::try_from(known).unwrap_or(0));
            bytes.extend(encode_entries(rest.by_ref().take(count)).map_err(broken)?);
            bundles.push(((BUNDLES, id.index()), bytes));
        }
        Ok(bundles)
    }

    async fn load_edge(&self) -> Result<Edge, Fault> {
        let Some((_, note)) = self.store.checkpoint().await? else { return Ok(Edge::empty()) };
        let opened = open(note.as_bytes(), &[self.signer.verifier()]).map_err(broken)?;
        let (size, root) = (opened.checkpoint.size(), opened.checkpoint.root());
        let tiles = self.load_tiles(&Edge::tiles(size)).await?;
        Edge::load(size, root, &tiles).map_err(broken)
    }

    async fn load_tiles(&self, ids: &[TileId]) -> Result<TileSet, Fault> {
        let places: Vec<_> = ids.iter().map(|id| (id.level(), id.index())).collect();
        let mut set = TileSet::new();
        for (id, bytes) in ids.iter().zip(self.store.tiles(&places).await?) {
            let bytes = bytes.ok_or_else(|| broken(format!("{} is missing", id.path())))?;
            let width = u16::try_from(bytes.len() / 32).map_err(broken)?;
            let stored = TileId::new(id.level(), id.index(), width).map_err(broken)?;
            set.insert(stored, bytes).map_err(broken)?;
        }
        Ok(set)
    }

    /// Proves that `event` is in the log, under the newest checkpoint; `None` while it has no index yet.
    pub async fn prove(&self, event: &StoredEvent) -> Result<Option<ProofFile>, Fault> {
        let Some(index) = event.log_index else { return Ok(None) };
        let Some((size, note)) = self.store.checkpoint().await? else { return Ok(None) };
        let needed = inclusion_tiles(index, size).map_err(broken)?;
        let tiles = self.load_tiles(&needed).await?;
        let proof = inclusion_proof(&tiles, index, size).map_err(broken)?;
        let note = SignedNote::parse(note.as_bytes()).map_err(broken)?;
        ProofFile::new(index, proof, note).map(Some).map_err(broken)
    }

    /// The newest checkpoint as a signed note.
    pub async fn checkpoint(&self) -> Result<Option<String>, Fault> {
        Ok(self.store.checkpoint().await?.map(|(_, note)| note))
    }

    /// The bytes served at `path` below `/log/`: `tile/…` or `tile/entries/…`, full or partial, in any width that the
    /// log has reached; `None` for everything else.
    pub async fn file(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        if let Ok(id) = EntriesId::parse(path) {
            let Some(bytes) = self.store.tiles(&[(BUNDLES, id.index())]).await?.pop().flatten() else {
                return Ok(None);
            };
            return Ok(cut_bundle(id, &bytes));
        }
        let Ok(id) = TileId::parse(path) else { return Ok(None) };
        let bytes = self.store.tiles(&[(id.level(), id.index())]).await?.pop().flatten();
        Ok(bytes.and_then(|bytes| bytes.get(..id.size_bytes()).map(<[u8]>::to_vec)))
    }

    /// Resolves when a checkpoint was published after this call, by this server.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }
}

/// The first entries of a bundle, as many as `id` names; `None` if it has fewer.
fn cut_bundle(id: EntriesId, bytes: &[u8]) -> Option<Vec<u8>> {
    let entry_bytes = 2 + 48;
    let cut = bytes.get(..usize::from(id.width()) * entry_bytes)?;
    decode_entries(id, cut).ok()?;
    Some(cut.to_vec())
}
