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
    /// Width times height of an image.
    pub image_pixels: u64,
    /// Steps: a byte parsed costs 8, a byte expanded 1. Two thousand million take seconds, not minutes.
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
            image_pixels: 256 << 20,
            work: 2_000_000_000,
        }
    }
}

impl Limits {
    /// Bounds for verifying a sealed file, which is an accepted original with pages and attachments added.
    pub fn for_sealed() -> Self {
        let upload = Self::default();
        Self {
            size_bytes: 3 * upload.size_bytes,
            pages: 2 * upload.pages,
            objects: 2 * upload.objects,
            ..upload
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
}

/// Steps for one byte that is parsed.
const PARSED_BYTE_STEPS: u64 = 8;

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            work: Cell::new(limits.work),
            expansion: Cell::new(limits.total_stream_bytes),
            structure: Cell::new(limits.structure_bytes),
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

    /// Counts `bytes` that came out of a decoder and stay in memory.
    pub(crate) fn held(&self, bytes: u64) -> Result<(), Refusal> {
        take(&self.structure, bytes, Refusal::ExpansionBomb)
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
