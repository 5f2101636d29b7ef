//! A replay store in memory, for a receiver of one process: it forgets all when that ends.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Attempt, Remembered, ReplayStore, StoreFault};
use crate::ids::MessageId;

const FULL: &str = "the memory is full: give it more entries, or keep them in SQLite or Redis";

/// Remembers in memory, up to a number of entries. A message takes two entries at first, of some 150 bytes each, and
/// one after twice the window. When it is full of what must not be forgotten yet, it refuses: it never forgets early.
pub struct MemoryStore {
    entry_count_max: usize,
    entries: Mutex<Entries>,
}

/// A message alone, or with the time of one of its attempts.
type Entry = (MessageId, Option<i64>);

#[derive(Default)]
struct Entries {
    until_s: HashMap<Entry, i64>,
    /// The same by their ends.
    ends: BTreeSet<(i64, Entry)>,
}

impl MemoryStore {
    /// A store of at most `entry_count_max` entries.
    pub fn new(entry_count_max: usize) -> Self {
        Self { entry_count_max, entries: Mutex::default() }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Each step below leaves the two collections in agreement, or in the worst case an end without an entry.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn forget_what_ended(&mut self, now_s: i64) {
        while let Some((until_s, entry)) = self.ends.first().copied()
            && until_s <= now_s
        {
            self.ends.remove(&(until_s, entry));
            self.until_s.remove(&entry);
        }
    }

    fn add(&mut self, entry: Entry, until_s: i64) {
        self.until_s.insert(entry, until_s);
        self.ends.insert((until_s, entry));
    }
}

impl ReplayStore for MemoryStore {
    fn remember(&self, attempt: &Attempt, now_s: i64) -> Result<Remembered, StoreFault> {
        let mut entries = self.entries();
        entries.forget_what_ended(now_s);
        let (pair, message) = ((attempt.id, Some(attempt.signed_at_s)), (attempt.id, None));
        if entries.until_s.contains_key(&pair) {
            return Ok(Remembered::Replayed);
        }
        let is_duplicate = entries.until_s.contains_key(&message);
        // One more for the message, when it was acted on.
        let needed = if is_duplicate { 1 } else { 2 };
        if entries.until_s.len().saturating_add(needed) > self.entry_count_max {
            return Err(StoreFault::new(FULL));
        }
        entries.add(pair, attempt.attempt_until_s);
        Ok(if is_duplicate { Remembered::Duplicate } else { Remembered::New })
    }

    fn acted(&self, attempt: &Attempt, now_s: i64) -> Result<(), StoreFault> {
        let mut entries = self.entries();
        entries.forget_what_ended(now_s);
        let message = (attempt.id, None);
        if let Some(until_s) = entries.until_s.remove(&message) {
            entries.ends.remove(&(until_s, message));
        } else if entries.until_s.len() >= self.entry_count_max {
            return Err(StoreFault::new(FULL));
        }
        entries.add(message, attempt.id_until_s);
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore(at most {} entries)", self.entry_count_max)
    }
}
