//! `countersign doctor`: folds every envelope again and compares what hangs on it: projections, chains, values, blobs,
//! and the log. What it gives is a report, never a repair.

mod security;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use countersign_core::{
    access::{Environment, Tenant},
    envelope::{Chain, State, encode::leaf},
    id::{DocumentId, EnvelopeId, PersonId},
};
use countersign_store::rows::{EnvelopeQuery, EnvelopeRow};
use countersign_tlog::{Edge, Hash, TileSet, leaf_hash, open, root, root_tiles};

use crate::{
    app::Records,
    egress::names,
    envelopes::{Opened, Placed},
    fault::Fault,
    keys::SealingKey,
    organizations,
    vault::{
        Kept,
        folder::{self, FOLDER_ID},
    },
};

/// Rows of one read.
const PAGE: usize = 500;
/// What looks wrong is looked at so often again, because a server that runs may have gone on between two reads.
const LOOKS: usize = 3;

/// What was examined, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was examined and is as it should be.
    pub examined: Vec<String>,
    /// What is wrong.
    pub findings: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn wrong(&mut self, what: impl fmt::Display) {
        self.findings.push(what.to_string());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.examined {
            writeln!(f, "ok     {line}")?;
        }
        for line in &self.findings {
            writeln!(f, "WRONG  {line}")?;
        }
        Ok(())
    }
}

/// What the first pass over the envelopes leaves for the later ones.
#[derive(Default)]
struct Seen {
    /// Leaf hashes by their index in the log.
    leaves: BTreeMap<u64, Hash>,
    /// Documents that an envelope uses, examined with it.
    documents: BTreeSet<DocumentId>,
    event_count: usize,
    envelope_count: usize,
    /// The largest log that a sealed document refers to.
    sealed_log_size: u64,
    /// Envelopes that never stood still while they were examined.
    unsettled_count: usize,
    /// Projections that no stream has claimed yet, by tenant.
    projections: HashMap<Tenant, HashMap<EnvelopeId, EnvelopeRow>>,
}

/// Examines everything. The server may run meanwhile; what is written meanwhile may or may not be examined.
pub async fn examine(app: &Records) -> Result<Report, Fault> {
    let mut report = Report::default();
    let mut seen = Seen::default();
    // First, so that every leaf under it has its index by the time its stream is read.
    let checkpoint = app.store.checkpoint().await?;
    let mut after = None;
    loop {
        let streams = app.store.streams(after, PAGE).await?;
        let Some((_, last)) = streams.last() else { break };
        after = Some(*last);
        for (tenant, envelope) in streams {
            examine_envelope(app, &tenant, envelope, &mut seen, &mut report).await?;
        }
    }
    for (tenant, unclaimed) in
        seen.projections.iter().flat_map(|(tenant, rows)| rows.keys().map(move |envelope| (tenant, envelope)))
    {
        if app.store.load(tenant, *unclaimed).await?.is_none() {
            report.wrong(format!("{unclaimed}: a list row, but no events"));
        }
    }
    report.examined.push(format!("{} envelopes with {} events", seen.envelope_count, seen.event_count));
    let of_envelopes = seen.event_count;
    for organization in app.store.organizations().await? {
        for environment in [Environment::Sandbox, Environment::Live] {
            let tenant = organizations::tenant(organization.organization, environment);
            security::examine(app, &tenant, &mut seen, &mut report).await?;
        }
    }
    report.examined.push(format!("{} security events", seen.event_count - of_envelopes));
    if seen.unsettled_count > 0 {
        report.examined.push(format!("{} envelopes went on all the time: look again", seen.unsettled_count));
    }
    examine_log(app, &seen, checkpoint, &mut report).await?;
    examine_uploads(app, &seen, &mut report).await?;
    examine_blobs(app, &mut report).await?;
    examine_seal_key(app, &mut report).await;
    // What is sent to nobody because no name is found looks like the fault of the receivers.
    report.findings.extend(names::doubt(&app.config.egress));
    Ok(report)
}

async fn examine_envelope(
    app: &Records,
    tenant: &Tenant,
    envelope: EnvelopeId,
    seen: &mut Seen,
    report: &mut Report,
) -> Result<(), Fault> {
    seen.envelope_count += 1;
    if !seen.projections.contains_key(tenant) {
        seen.projections.insert(*tenant, projections(app, tenant).await?);
    }
    let listed = seen.projections.get_mut(tenant).and_then(|rows| rows.remove(&envelope));
    let (mut placed, mut found) = look(app, tenant, envelope, listed).await?;
    let (mut is_settled, mut looks) = (found.is_clean(), 0);
    while !is_settled && looks < LOOKS {
        let before = event_count(app, tenant, envelope).await;
        let listed = projection(app, tenant, envelope).await?;
        (placed, found) = look(app, tenant, envelope, listed).await?;
        is_settled = found.is_clean() || before == event_count(app, tenant, envelope).await;
        looks += 1;
    }
    if is_settled {
        report.findings.append(&mut found.findings);
    } else {
        seen.unsettled_count += 1;
    }
    let Some(placed) = placed else { return Ok(()) };
    seen.event_count += placed.stored.len();
    let contents = placed.opened.folded.state.contents().into_iter();
    seen.documents.extend(contents.flat_map(|contents| &contents.documents).map(|document| document.id));
    for stored in &placed.stored {
        let Some(index) = stored.log_index else { continue };
        if seen.leaves.insert(index, leaf_hash(&leaf(&stored.leaf_id, &stored.hash))).is_some() {
            report.wrong(format!("{envelope}: event {} shares log index {index} with another", stored.seq));
        }
    }
    for recorded in &placed.opened.events {
        if let countersign_core::envelope::Body::Sealed { checkpoint_size, .. } = &recorded.event.body {
            seen.sealed_log_size = seen.sealed_log_size.max(*checkpoint_size);
        }
    }
    Ok(())
}

/// Looks at one envelope, whose list row was read before.
async fn look(
    app: &Records,
    tenant: &Tenant,
    envelope: EnvelopeId,
    listed: Option<EnvelopeRow>,
) -> Result<(Option<Placed>, Report), Fault> {
    let mut report = Report::default();
    let organization = app.organization(tenant.organization()).await?;
    let placed = match app.store.load(tenant, envelope).await {
        Ok(Some(stream)) => Placed::new(&organization, envelope, stream),
        Ok(None) => Err(Fault::Missing(format!("the stream of {envelope}"))),
        Err(fault) => Err(fault.into()),
    };
    let placed = match placed {
        Ok(placed) => placed,
        Err(fault) => {
            report.wrong(format!("{envelope}: {fault}"));
            return Ok((None, report));
        }
    };
    let opened = &placed.opened;
    if listed != opened.projection() {
        report.wrong(format!("{envelope}: the list row is not the fold of the events"));
    }
    let mut chain = Chain::default();
    for stored in &placed.stored {
        if let Err(broken) = chain.follow(&stored.bytes) {
            report.wrong(format!("{envelope}: {broken}"));
            break;
        }
    }
    examine_values(app, tenant, opened, &mut report).await?;
    examine_links(app, tenant, opened, &mut report).await?;
    examine_documents(app, tenant, opened, &mut report).await?;
    examine_artifacts(app, tenant, opened, &mut report).await?;
    Ok((Some(placed), report))
}

/// The personal values: each can be read as long as its person's key is there, because whoever is erased loses that.
async fn examine_values(
    app: &Records,
    tenant: &Tenant,
    opened: &Opened,
    report: &mut Report,
) -> Result<(), Fault> {
    let values = opened.events.iter().flat_map(|recorded| recorded.event.veiled());
    let closed: Vec<PersonId> =
        values.filter(|veiled| veiled.opening.is_none()).map(|veiled| veiled.person).collect();
    let known: BTreeSet<PersonId> =
        app.store.persons(tenant, &closed).await?.into_iter().map(|row| row.person).collect();
    let lost_count = closed.iter().filter(|person| known.contains(person)).count();
    if lost_count > 0 {
        let envelope = opened.envelope;
        report.wrong(format!("{envelope}: {lost_count} personal values are lost: their rows are missing"));
    }
    Ok(())
}

/// The links that people have: there, so that they open.
async fn examine_links(
    app: &Records,
    tenant: &Tenant,
    opened: &Opened,
    report: &mut Report,
) -> Result<(), Fault> {
    let progress = opened.folded.state.underway().into_iter().flat_map(|underway| &underway.progress);
    for link in progress.filter_map(|progress| progress.link.as_ref()) {
        if app.store.link_by_id(tenant, link.link).await?.is_none() {
            report.wrong(format!(
                "{}: the row of the link {} is missing: resend it",
                opened.envelope, link.link
            ));
        }
    }
    Ok(())
}

/// How long an envelope's stream is; none where it cannot be read.
async fn event_count(app: &Records, tenant: &Tenant, envelope: EnvelopeId) -> Option<usize> {
    app.store.load(tenant, envelope).await.ok().flatten().map(|stream| stream.events.len())
}

/// The list row of one envelope, as it is now.
async fn projection(
    app: &Records,
    tenant: &Tenant,
    envelope: EnvelopeId,
) -> Result<Option<EnvelopeRow>, Fault> {
    let after = u128::from_be_bytes(*envelope.as_bytes()).checked_add(1);
    let before = after.map(|number| EnvelopeId::from_bytes(number.to_be_bytes()));
    let page = app.store.find_envelopes(tenant, &EnvelopeQuery { status: None, before, limit: 1 }).await?;
    Ok(page.rows.into_iter().find(|row| row.envelope == envelope))
}

async fn projections(app: &Records, tenant: &Tenant) -> Result<HashMap<EnvelopeId, EnvelopeRow>, Fault> {
    let mut all = HashMap::new();
    let mut before = None;
    loop {
        let query = EnvelopeQuery { status: None, before, limit: PAGE };
        let page = app.store.find_envelopes(tenant, &query).await?;
        before = page.rows.last().map(|row| row.envelope);
        all.extend(page.rows.into_iter().map(|row| (row.envelope, row)));
        if !page.more {
            return Ok(all);
        }
    }
}

/// The originals: there, readable, and with the digest in the events (D-1).
async fn examine_documents(
    app: &Records,
    tenant: &Tenant,
    opened: &Opened,
    report: &mut Report,
) -> Result<(), Fault> {
    for document in opened.folded.state.contents().into_iter().flat_map(|contents| &contents.documents) {
        let found = match app.store.document(tenant, document.id).await? {
            Some(row) => {
                let kept = Kept { blob: row.blob, wrapped_key: row.wrapped_key };
                app.fetch(tenant, &kept, document.sha256).await
            }
            None => Err(Fault::Missing(format!("the document {}", document.id))),
        };
        if let Err(fault) = found {
            report.wrong(format!("{}: {fault}", opened.envelope));
        }
    }
    Ok(())
}

/// What the seal made: exactly what the events say, there, and readable.
async fn examine_artifacts(
    app: &Records,
    tenant: &Tenant,
    opened: &Opened,
    report: &mut Report,
) -> Result<(), Fault> {
    let rows = app.store.artifacts(tenant, opened.envelope).await?;
    let mut promised = BTreeSet::new();
    if let State::Completed(_, outcome) = &opened.folded.state {
        promised.insert((None, outcome.certificate_sha256));
        promised.extend(outcome.documents.iter().map(|sealed| (Some(sealed.document), sealed.sha256)));
    }
    let stored: BTreeSet<_> = rows.iter().map(|row| (row.document, row.sha256)).collect();
    if promised != stored {
        report.wrong(format!("{}: the sealed files are not those of its events", opened.envelope));
    }
    for row in rows {
        let kept = Kept { blob: row.blob, wrapped_key: row.wrapped_key };
        if let Err(fault) = app.fetch(tenant, &kept, row.sha256).await {
            report.wrong(format!("{}: {fault}", opened.envelope));
        }
    }
    Ok(())
}

/// The log: every event is the leaf that it says, the leaves give the root that was signed, and so do the tiles.
async fn examine_log(
    app: &Records,
    seen: &Seen,
    checkpoint: Option<(u64, String)>,
    report: &mut Report,
) -> Result<(), Fault> {
    let waiting = seen.event_count.saturating_sub(seen.leaves.len());
    let newest_size = app.store.checkpoint().await?.map_or(0, |(size, _)| size);
    if let Some((index, _)) = seen.leaves.last_key_value().filter(|(index, _)| **index >= newest_size) {
        report.wrong(format!("the log has {newest_size} leaves, but an event has the index {index}"));
    }
    if seen.sealed_log_size > newest_size {
        report.wrong(format!(
            "the log has {newest_size} leaves, a sealed document saw {}",
            seen.sealed_log_size
        ));
    }
    let Some((size, note)) = checkpoint else {
        report.examined.push(format!("an empty log; {waiting} events wait for their place"));
        return Ok(());
    };
    let opened = match open(note.as_bytes(), &[app.keys.log.verifier()]) {
        Ok(opened) => opened.checkpoint,
        Err(error) => {
            report.wrong(format!("the log's checkpoint: {error}"));
            return Ok(());
        }
    };
    if opened.size() != size {
        report.wrong(format!("the log: the checkpoint is for {} leaves, its row says {size}", opened.size()));
    }
    let is_gapless = seen.leaves.range(..size).map(|(index, _)| *index).eq(0..size);
    let leaves: Vec<Hash> = seen.leaves.range(..size).map(|(_, hash)| *hash).collect();
    let mut edge = Edge::empty();
    match edge.append(&leaves) {
        Ok(_) if is_gapless && edge.root() == opened.root() => {
            let line =
                format!("the log: all {size} leaves are under the signed checkpoint; {waiting} events wait");
            report.examined.push(line);
        }
        _ => report
            .wrong(format!("the log: its {} leaves do not give the signed root of {size}", leaves.len())),
    }
    examine_tiles(app, size, opened.root(), report).await
}

async fn examine_tiles(app: &Records, size: u64, expected: Hash, report: &mut Report) -> Result<(), Fault> {
    let ids = root_tiles(size);
    let places: Vec<(u8, u64)> = ids.iter().map(|id| (id.level(), id.index())).collect();
    let contents = app.store.tiles(&places).await?;
    let mut tiles = TileSet::new();
    for (id, content) in ids.into_iter().zip(contents) {
        // A stored tile may be wider than this tree needs it; its beginning is the same.
        let content = content.map(|mut content| {
            content.truncate(id.size_bytes());
            content
        });
        let inserted = content.map(|content| tiles.insert(id, content));
        if !matches!(inserted, Some(Ok(()))) {
            report.wrong(format!("the log: the tile {} is missing or too short", id.path()));
        }
    }
    match root(&tiles, size) {
        Ok(found) if found == expected => {
            report.examined.push("the log: its tiles give the same root".to_owned());
        }
        Ok(_) => report.wrong("the log: its tiles give another root"),
        Err(error) => report.wrong(format!("the log: {error}")),
    }
    Ok(())
}

/// The uploads that no envelope uses (yet): there, readable, and what was uploaded (D-1).
async fn examine_uploads(app: &Records, seen: &Seen, report: &mut Report) -> Result<(), Fault> {
    let (mut sound_count, mut after) = (0, None);
    loop {
        let rows = app.store.documents(after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.document);
        for row in rows.into_iter().filter(|row| !seen.documents.contains(&row.document)) {
            let kept = Kept { blob: row.blob, wrapped_key: row.wrapped_key };
            match app.fetch(&row.tenant, &kept, row.sha256).await {
                Ok(_) => sound_count += 1,
                Err(fault) => report.wrong(format!("{}: {fault}", row.document)),
            }
        }
    }
    report.examined.push(format!("{sound_count} uploads that no envelope uses"));
    Ok(())
}

/// Every blob that a row names is there: rows first, because a blob is written before its row. Blobs without a row are
/// left from uploads that were cut off: no harm.
async fn examine_blobs(app: &Records, report: &mut Report) -> Result<(), Fault> {
    if let Err(fault) = folder::examine(&*app.store, &*app.blobs).await {
        report.wrong(fault);
    }
    let (mut named, mut after) = (BTreeSet::new(), None::<String>);
    loop {
        let names = app.store.blob_names(after.as_deref(), PAGE).await?;
        let Some(last) = names.last() else { break };
        after = Some(last.clone());
        named.extend(names);
    }
    let stored: BTreeSet<String> = app.blobs.names().await?.into_iter().collect();
    let missing_count = named.difference(&stored).count();
    if missing_count > 0 {
        report.wrong(format!("{missing_count} of the {} blobs that rows name are missing", named.len()));
    }
    let spare_count = stored.difference(&named).filter(|name| *name != FOLDER_ID).count();
    report.examined.push(format!(
        "{} blobs are there; {spare_count} more are left from uploads that were cut off",
        named.len() - missing_count
    ));
    Ok(())
}

/// The key that seals: a server does not start without it, but everything else can be looked at.
async fn examine_seal_key(app: &Records, report: &mut Report) {
    match SealingKey::find(&*app.store, app.root(), &app.config.seal, app.now()).await {
        Ok(Some(_)) => report.examined.push("the key that seals signs, and its certificate holds".to_owned()),
        Ok(None) => {
            report.examined.push("there is no key that seals yet: the first start makes it".to_owned());
        }
        Err(fault) => report.wrong(format!("the key that seals: {fault}")),
    }
}
