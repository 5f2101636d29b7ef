//! An envelope loaded from the store: its chain followed, its personal values opened, its events folded.

use std::{collections::HashMap, sync::Arc};

use countersign_core::{
    access::Tenant,
    digest::Digest,
    envelope::{Event, Opening, encode::Recorded, state::Folded},
    id::{EnvelopeId, PersonId},
    secret::Personal,
    time::Time,
};
use countersign_store::rows::{EnvelopeRow, StoredEvent, Stream};

use crate::{
    app::{App, Organization},
    fault::Fault,
    persons::{self, PersonKeys},
};

/// An envelope, open.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Which.
    pub envelope: EnvelopeId,
    /// Its state and the end of its chain.
    pub folded: Folded,
    /// Its events in order, personal values opened where they are not erased.
    pub events: Vec<Arc<Recorded>>,
    /// Keys of the persons in it.
    pub persons: PersonKeys,
}

/// An envelope with the places of its events in the log.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The envelope.
    pub opened: Opened,
    /// Its events as they are stored, in the same order.
    pub stored: Vec<StoredEvent>,
}

/// An envelope as it is now; one that does not exist is `Absent`.
pub(super) async fn load(app: &App, tenant: &Tenant, envelope: EnvelopeId) -> Result<Opened, Fault> {
    if let Some(recent) = app.recent.get(tenant, envelope, app.now())
        && app.store.head(tenant, envelope).await? == Some(recent.folded.chain.head())
    {
        return Ok(recent);
    }
    match load_placed(app, tenant, envelope).await? {
        Some(placed) => Ok(placed.opened),
        None => Ok(Opened::empty(envelope)),
    }
}

/// An envelope from the store, if there is one.
pub(super) async fn load_placed(
    app: &App,
    tenant: &Tenant,
    envelope: EnvelopeId,
) -> Result<Option<Placed>, Fault> {
    let Some(stream) = app.store.load(tenant, envelope).await? else { return Ok(None) };
    let organization = app.organization(tenant.organization()).await?;
    let placed = Placed::new(&organization, envelope, stream)?;
    app.recent.keep(tenant, &placed.opened, app.now());
    Ok(Some(placed))
}

impl Placed {
    /// Follows and folds a stream.
    pub fn new(organization: &Organization, envelope: EnvelopeId, stream: Stream) -> Result<Self, Fault> {
        let mut persons = PersonKeys::default();
        persons.add(organization, &stream.persons)?;
        let mut openings: HashMap<Digest, Opening> = HashMap::with_capacity(stream.openings.len());
        for row in &stream.openings {
            openings.insert(row.commitment, persons::open(&persons, row)?);
        }
        let broken = |reason: String| Fault::Chain { stream: envelope.to_string(), reason };
        let mut folded = Folded::default();
        let mut events = Vec::with_capacity(stream.events.len());
        for stored in &stream.events {
            let mut recorded =
                folded.chain.follow_own(&stored.bytes).map_err(|error| broken(error.to_string()))?;
            if recorded.hash != stored.hash {
                return Err(broken(format!("the stored hash of event {} is another one", stored.seq)));
            }
            if recorded.event.envelope != envelope {
                return Err(broken(format!("event {} belongs to another envelope", stored.seq)));
            }
            for veiled in recorded.event.veiled_mut() {
                if let Some(opening) = openings.get(&veiled.sha256) {
                    veiled.open(opening.clone());
                }
            }
            folded.apply(&recorded.event);
            events.push(Arc::new(recorded));
        }
        Ok(Self { opened: Opened { envelope, folded, events, persons }, stored: stream.events })
    }

    /// The events with their places.
    pub fn events(&self) -> impl Iterator<Item = (&Recorded, &StoredEvent)> {
        self.opened.events.iter().map(Arc::as_ref).zip(&self.stored)
    }
}

impl Opened {
    /// One that nothing has happened to yet.
    pub(super) fn empty(envelope: EnvelopeId) -> Self {
        Self { envelope, folded: Folded::default(), events: Vec::new(), persons: PersonKeys::default() }
    }

    /// Loads the keys of persons who appear in `events` for the first time.
    pub(super) async fn add_missing_keys(
        &mut self,
        app: &App,
        organization: &Organization,
        tenant: &Tenant,
        events: &[Event],
    ) -> Result<(), Fault> {
        let mut missing: Vec<PersonId> = events
            .iter()
            .flat_map(Event::veiled)
            .map(|veiled| veiled.person)
            .filter(|person| !self.persons.has(*person))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let rows = app.store.persons(tenant, &missing).await?;
            self.persons.add(organization, &rows)?;
        }
        Ok(())
    }

    /// Chains and folds new events.
    pub(super) fn record(&mut self, events: Vec<Event>) -> Vec<Arc<Recorded>> {
        let mut new = Vec::with_capacity(events.len());
        for event in events {
            let recorded = Arc::new(self.folded.chain.record(event));
            self.folded.apply(&recorded.event);
            self.events.push(Arc::clone(&recorded));
            new.push(recorded);
        }
        new
    }

    /// The row for lists.
    pub fn projection(&self) -> Option<EnvelopeRow> {
        projection(self.envelope, &self.folded)
    }

    /// The title, unless it was erased.
    pub fn title(&self) -> Option<&Personal<String>> {
        self.folded.state.contents()?.title.value()
    }
}

/// The row for lists: a fold of the same events, which `doctor` compares.
pub fn projection(envelope: EnvelopeId, folded: &Folded) -> Option<EnvelopeRow> {
    let contents = folded.state.contents()?;
    let expires_at: Option<Time> = folded.state.underway().map(|underway| underway.expires_at);
    Some(EnvelopeRow {
        envelope,
        status: folded.state.status_text().to_owned(),
        created_at: contents.created_at,
        changed_at: folded.last_at.unwrap_or(contents.created_at),
        expires_at,
        title: contents.title.sha256,
        last_seq: folded.chain.next_seq().saturating_sub(1),
    })
}
