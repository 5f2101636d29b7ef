//! Bounds on what a file may cost, and the budget that counts it: no clock, so the same file always ends the same way.

use std::cell::Cell;

use super::Refusal;

/// Bounds on an uploaded file. Everything is counted, nothing is timed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Size of the file, bytes.
    pub size_bytes: u64,
    /// Pages.
    pub pages: u32,
    /// Highest object number.
    pub objects: u32,
    /// Values (numbers, names, …) in one object.
    pub values_per_object: u32,
    /// Nesting of arrays and dictionaries, of the page tree and of the field tree.
    pub depth: u32,
    /// Revisions (cross-reference sections).
    pub revisions: u32,
    /// What one stream may expand to, bytes.
    pub stream_bytes: u64,
    /// What all streams together may expand to, bytes.
    pub total_stream_bytes: u64,
    /// What object streams and cross-reference streams, which are held in memory, may expand to together, bytes.
    pub structure_bytes: u64,
    /// What a seal may copy from the file into its update, and names of fields, bytes: a part that a thousand pages
    /// share is copied for each of them. An upload is refused that takes more than half, which leaves the other half
    /// to what the rehearsal of its seal does not know.
    pub copied_bytes: u64,
    /// Width times height of an image.
    pub image_pixels: u64,
    /// Steps: a byte parsed costs 8, a byte expanded or copied 1. Two thousand million take seconds, not minutes.
    pub work: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size_bytes: 25 << 20,
            pages: 1000,
            objects: 500_000,
            values_per_object: 400_000,
            depth: 64,
            revisions: 200,
            stream_bytes: 256 << 20,
            total_stream_bytes: 1 << 30,
            structure_bytes: 48 << 20,
            copied_bytes: 50 << 20,
            image_pixels: 256 << 20,
            work: 2_000_000_000,
        }
    }
}

impl Limits {
    /// Bounds for verifying a sealed file, which is an accepted original with pages and attachments added.
    pub fn for_sealed() -> Self {
        Self::default().sealed()
    }

    /// Bounds for the sealed file of an original that was accepted within these. Each is larger, since a seal adds a
    /// revision, objects, and values to objects that may have been as large as they could be.
    pub(crate) fn sealed(&self) -> Self {
        Self {
            size_bytes: self.size_bytes.saturating_mul(3),
            pages: self.pages.saturating_mul(2),
            objects: self.objects.saturating_add(self.objects.max(100_000)),
            values_per_object: self.values_per_object.saturating_add(self.values_per_object.max(100_000)),
            depth: self.depth.saturating_add(8),
            revisions: self.revisions.saturating_add(1),
            stream_bytes: self.stream_bytes.saturating_mul(2),
            total_stream_bytes: self.total_stream_bytes.saturating_mul(2),
            structure_bytes: self.structure_bytes.saturating_mul(2),
            copied_bytes: self.copied_bytes.saturating_mul(2),
            image_pixels: self.image_pixels,
            work: self.work.saturating_mul(2),
        }
    }
}

/// What is left of the limits while a file is read.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    work: Cell<u64>,
    expansion: Cell<u64>,
    structure: Cell<u64>,
    listed: Cell<u64>,
    kept_values: Cell<u64>,
    copies: Cell<u64>,
}

/// Steps for one byte that is parsed.
const PARSED_BYTE_STEPS: u64 = 8;

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            work: Cell::new(limits.work),
            expansion: Cell::new(limits.total_stream_bytes),
            structure: Cell::new(limits.structure_bytes),
            // Every revision may list every object again; three full listings are more than real files have.
            listed: Cell::new(3 * u64::from(limits.objects)),
            kept_values: Cell::new(4 * u64::from(limits.values_per_object)),
            copies: Cell::new(limits.copied_bytes),
            limits: limits.clone(),
        }
    }

    /// Counts `bytes` parsed.
    pub(crate) fn parsed(&self, bytes: usize) -> Result<(), Refusal> {
        take(&self.work, (bytes as u64 + 1).saturating_mul(PARSED_BYTE_STEPS), Refusal::TooComplex)
    }

    /// Counts `bytes` that came out of a decoder.
    pub(crate) fn expanded(&self, bytes: u64) -> Result<(), Refusal> {
        take(&self.expansion, bytes, Refusal::ExpansionBomb)?;
        take(&self.work, bytes, Refusal::TooComplex)
    }

    /// Counts `bytes` that are read, compared or copied and dropped again.
    pub(crate) fn handled(&self, bytes: u64) -> Result<(), Refusal> {
        take(&self.work, bytes, Refusal::TooComplex)
    }

    /// Counts `bytes` of the file that are copied and stay: into a seal, or as the name of a field.
    pub(crate) fn copied(&self, bytes: usize) -> Result<(), Refusal> {
        take(&self.copies, bytes as u64, Refusal::TooComplex)?;
        self.handled(bytes as u64)
    }

    /// What was copied so far.
    pub(crate) fn copied_bytes(&self) -> u64 {
        self.limits.copied_bytes.saturating_sub(self.copies.get())
    }

    /// Counts `bytes` that came out of a decoder and stay in memory.
    pub(crate) fn held(&self, bytes: u64) -> Result<(), Refusal> {
        take(&self.structure, bytes, Refusal::ExpansionBomb)
    }

    /// Counts entries of cross-references and of object streams.
    pub(crate) fn listed(&self, entries: u64) -> Result<(), Refusal> {
        take(&self.listed, entries, Refusal::TooManyObjects { limit: self.limits.objects })
    }

    /// Counts values of objects that stay parsed.
    pub(crate) fn kept(&self, values: u32) -> Result<(), Refusal> {
        let limit = self.limits.values_per_object;
        take(&self.kept_values, u64::from(values), Refusal::TooManyObjects { limit })
    }

    /// What may still be held.
    pub(crate) fn holdable_bytes(&self) -> u64 {
        self.structure.get().min(self.expansion.get())
    }

    pub(crate) fn too_deep(&self) -> Refusal {
        Refusal::TooDeep { limit: self.limits.depth }
    }
}

fn take(cell: &Cell<u64>, amount: u64, refusal: Refusal) -> Result<(), Refusal> {
    let left = cell.get().checked_sub(amount).ok_or(refusal)?;
    cell.set(left);
    Ok(())
}
