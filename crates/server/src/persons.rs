//! Persons: found by the keyed hash of their address, made when they are new, each with a key of its own (D-2).

use std::collections::HashMap;

use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::PersonId,
    limits,
    refusal::{Code, Refusal},
    secret::Personal,
};
use countersign_store::{
    Batch, CommitError,
    batch::Row,
    rows::{OpeningRow, PersonRow},
};

use crate::{
    app::{App, Organization, Records},
    fault::{Failure, Fault},
    keys::{Binding, WrappingKey},
};

/// Keys of persons, unwrapped.
#[derive(Clone, Debug, Default)]
pub struct PersonKeys(HashMap<PersonId, WrappingKey>);

impl PersonKeys {
    /// The key of a person.
    pub fn of(&self, person: PersonId) -> Result<&WrappingKey, Fault> {
        self.0.get(&person).ok_or_else(|| Fault::Missing(format!("the key of {person}")))
    }

    /// Whether the key is here.
    pub fn has(&self, person: PersonId) -> bool {
        self.0.contains_key(&person)
    }

    /// Takes in the keys of stored persons.
    pub fn add(&mut self, organization: &Organization, rows: &[PersonRow]) -> Result<(), Fault> {
        for row in rows {
            self.0.insert(row.person, unwrapped(organization, row)?);
        }
        Ok(())
    }
}

/// The key of a stored person.
pub(crate) fn unwrapped(organization: &Organization, row: &PersonRow) -> Result<WrappingKey, Fault> {
    organization.key.unwrap(&key_binding(&row.tenant, row.person), &row.wrapped_key)
}

fn key_binding(tenant: &Tenant, person: PersonId) -> Binding {
    let environment = tenant.environment().text().as_bytes();
    Binding::new("person-key", &[tenant.organization().as_bytes(), environment, person.as_bytes()])
}

/// Where an opening belongs.
pub(crate) fn opening_binding(person: PersonId, commitment: &Digest) -> Binding {
    Binding::new("opening", &[person.as_bytes(), &commitment.0])
}

/// Opens a stored opening.
pub(crate) fn open(
    keys: &PersonKeys,
    row: &OpeningRow,
) -> Result<countersign_core::envelope::Opening, Fault> {
    let plain = keys.of(row.person)?.open(&opening_binding(row.person, &row.commitment), &row.sealed)?;
    let opening = countersign_core::envelope::Opening::from_bytes(&plain);
    let opening = opening.ok_or_else(|| Fault::Sealed("an opening".to_owned()))?;
    if opening.commitment() == row.commitment {
        Ok(opening)
    } else {
        Err(Fault::Sealed("an opening".to_owned()))
    }
}

/// The hash that a person is found by: HMAC under a key of the organization over the environment and the address in
/// lower case.
pub fn lookup(organization: &Organization, tenant: &Tenant, email: &Personal<String>) -> Digest {
    let address = email.disclose().to_lowercase();
    organization.lookup_key.mac(&[tenant.environment().text().as_bytes(), b"\0", address.as_bytes()])
}

/// A new person with a new key.
pub(crate) fn new_person(
    app: &Records,
    organization: &Organization,
    tenant: &Tenant,
    lookup: Digest,
) -> Result<PersonRow, Fault> {
    let person = PersonId::new(app.now(), app.draw());
    let key = WrappingKey::generate(&*app.random);
    let wrapped_key = organization.key.wrap(&*app.random, &key_binding(tenant, person), &key)?;
    Ok(PersonRow { tenant: *tenant, person, lookup, wrapped_key })
}

/// The persons behind `emails`, in that order; new ones are made first.
pub async fn ensure(
    app: &App,
    tenant: &Tenant,
    emails: &[&Personal<String>],
) -> Result<Vec<PersonId>, Failure> {
    let organization = app.organization(tenant.organization()).await?;
    let lookups: Vec<Digest> = emails.iter().map(|email| lookup(&organization, tenant, email)).collect();
    for _ in 0..limits::CONFLICT_TRIES {
        let rows = app.store.persons_by_lookup(tenant, &lookups).await?;
        let mut known: HashMap<Digest, PersonId> = rows.iter().map(|row| (row.lookup, row.person)).collect();
        let mut new = Vec::new();
        for lookup in &lookups {
            if !known.contains_key(lookup) {
                let row = new_person(app, &organization, tenant, *lookup)?;
                known.insert(*lookup, row.person);
                new.push(Row::Person(row));
            }
        }
        if !new.is_empty() {
            match app.store.commit(Batch { rows: new, ..Batch::default() }).await {
                Ok(_) => {}
                Err(CommitError::Conflict) => continue,
                Err(error) => return Err(Fault::of_commit(error).into()),
            }
        }
        return Ok(lookups.iter().filter_map(|lookup| known.get(lookup).copied()).collect());
    }
    Err(Refusal::new(Code::Busy, "too many others are changing this now; try again").into())
}
