//! Entry bundles: the entries behind a level 0 tile, each with a big-endian 16-bit length (tlog-tiles §Log entries).

use crate::tile::{PathRefusal, TILE_WIDTH, parse_place, place_path};

/// Names one bundle: its place, and how many entries it holds (256 = full).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntriesId {
    index: u64,
    width: u16,
}

/// Why entries make no bundle, or a bundle does not hold what its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntriesRefusal {
    /// An entry is longer than 65,535 bytes.
    #[error("entry {position} holds {found_bytes} bytes; a bundle takes at most 65535 bytes an entry")]
    TooLong {
        /// Place of the entry in the bundle.
        position: usize,
        /// Its length in bytes.
        found_bytes: usize,
    },
    /// The bundle ends within an entry or before the last one.
    #[error("the bundle ends within entry {position}")]
    Truncated {
        /// Place of the entry that is cut.
        position: u16,
    },
    /// Bytes follow the last entry.
    #[error("the bundle goes on for {extra_bytes} bytes after its last entry")]
    Trailing {
        /// Number of bytes too many.
        extra_bytes: usize,
    },
}

impl EntriesRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong { .. } => "entry_too_long",
            Self::Truncated { .. } => "entries_truncated",
            Self::Trailing { .. } => "entries_trailing",
        }
    }
}

impl EntriesId {
    /// A bundle with `width` entries; refuses a width outside 1..=256.
    pub fn new(index: u64, width: u16) -> Result<Self, PathRefusal> {
        if width == 0 || width > TILE_WIDTH {
            return Err(PathRefusal::Width);
        }
        Ok(Self { index, width })
    }

    /// Place of the bundle, from 0; its first entry is number 256 × index of the log.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Number of entries, 1..=256.
    pub fn width(self) -> u16 {
        self.width
    }

    /// `tile/entries/<N>[.p/<W>]`, relative to the log's prefix.
    pub fn path(self) -> String {
        format!("tile/entries/{}", place_path(self.index, self.width))
    }

    /// Reads a path; every bundle has exactly one spelling.
    pub fn parse(path: &str) -> Result<Self, PathRefusal> {
        let (index, width) = parse_place(path.strip_prefix("tile/entries/").ok_or(PathRefusal::Form)?)?;
        Self::new(index, width)
    }
}

/// The bundles that are new or wider when a log grows from `old_size` to `new_size` entries.
pub fn bundles_between(old_size: u64, new_size: u64) -> Vec<EntriesId> {
    let width = u64::from(TILE_WIDTH);
    if old_size >= new_size {
        return Vec::new();
    }
    (old_size / width..=(new_size - 1) / width)
        .filter_map(|index| {
            let entries = (new_size - index * width).min(width);
            EntriesId::new(index, u16::try_from(entries).ok()?).ok()
        })
        .collect()
}

/// Writes entries as a bundle; refuses an entry of more than 65,535 bytes.
pub fn encode_entries<T: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = T>,
) -> Result<Vec<u8>, EntriesRefusal> {
    let mut bundle = Vec::new();
    for (position, entry) in entries.into_iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len())
            .map_err(|_| EntriesRefusal::TooLong { position, found_bytes: entry.len() })?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// Reads a bundle that must hold exactly as many entries as its name says.
pub fn decode_entries(id: EntriesId, bundle: &[u8]) -> Result<Vec<&[u8]>, EntriesRefusal> {
    let mut rest = bundle;
    let mut entries = Vec::with_capacity(usize::from(id.width));
    for position in 0..id.width {
        let truncated = EntriesRefusal::Truncated { position };
        let (length, after) = rest.split_first_chunk::<2>().ok_or(truncated)?;
        let (entry, after) =
            after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(truncated)?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(EntriesRefusal::Trailing { extra_bytes: rest.len() }) }
}
