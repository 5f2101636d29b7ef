//! Tiles: 256 neighbouring hashes of one level of the tree, their paths (tlog-tiles §Merkle Tree) and a set of
//! loaded ones.

use crate::hash::{HASH_BYTES, Hash};
use crate::text::decimal;
use std::collections::BTreeMap;

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Highest level that a path can name (tlog-tiles §Merkle Tree).
const MAX_LEVEL: u8 = 63;

/// Names one tile: its level, its place in the level, and how many hashes it holds (256 = full).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

/// Why a path or a set of coordinates names no tile or bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    /// The path does not have the one spelling that tlog-tiles gives it.
    #[error("the path is not of the form tile/<level>/<index>[.p/<width>] as tlog-tiles spells it")]
    Form,
    /// The level is above 63.
    #[error("the level of a tile lies between 0 and 63")]
    Level,
    /// The width is 0 or above 256.
    #[error("a tile or bundle holds between 1 and 256 items")]
    Width,
}

impl PathRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "tile_path_form",
            Self::Level => "tile_level",
            Self::Width => "tile_width",
        }
    }
}

impl TileId {
    /// A tile with `width` hashes; refuses a level above 63 and a width outside 1..=256.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, PathRefusal> {
        if level > MAX_LEVEL {
            return Err(PathRefusal::Level);
        }
        if width == 0 || width > TILE_WIDTH {
            return Err(PathRefusal::Width);
        }
        Ok(Self { level, index, width })
    }

    /// The tile at this place in a tree of `size` leaves; `None` where that tree has none.
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let first = index.checked_mul(u64::from(TILE_WIDTH))?;
        let width = hashes.checked_sub(first)?.min(u64::from(TILE_WIDTH));
        Self::new(level, index, u16::try_from(width).ok()?).ok()
    }

    /// Level: 0 holds leaf hashes, level *n* the roots of full tiles of level *n* − 1.
    pub fn level(self) -> u8 {
        self.level
    }

    /// Place within the level, from 0.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Number of hashes, 1..=256.
    pub fn width(self) -> u16 {
        self.width
    }

    /// True when the tile holds 256 hashes and so never changes again.
    pub fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Length of the content in bytes.
    pub fn size_bytes(self) -> usize {
        usize::from(self.width) * HASH_BYTES
    }

    /// `tile/<L>/<N>[.p/<W>]`, relative to the log's prefix.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, place_path(self.index, self.width))
    }

    /// Reads a path; every tile has exactly one spelling.
    pub fn parse(path: &str) -> Result<Self, PathRefusal> {
        let (level, place) =
            path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(PathRefusal::Form)?;
        let level = decimal(level).ok_or(PathRefusal::Form)?;
        let (index, width) = parse_place(place)?;
        Self::new(u8::try_from(level).map_err(|_| PathRefusal::Level)?, index, width)
    }
}

/// `<N>[.p/<W>]`: the index in groups of three digits, all but the last prefixed with `x`.
pub(crate) fn place_path(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width == TILE_WIDTH { path } else { format!("{path}.p/{width}") }
}

/// Reads `<N>[.p/<W>]`; refuses what [`place_path`] would spell differently.
pub(crate) fn parse_place(place: &str) -> Result<(u64, u16), PathRefusal> {
    let (groups, width) = match place.split_once(".p/") {
        Some((groups, width)) => {
            let width = decimal(width).ok_or(PathRefusal::Form)?;
            (groups, u16::try_from(width).map_err(|_| PathRefusal::Width)?)
        }
        None => (place, TILE_WIDTH),
    };
    let mut index: u64 = 0;
    for group in groups.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PathRefusal::Form);
        }
        let value = digits.parse().map_err(|_| PathRefusal::Form)?;
        index =
            index.checked_mul(1000).and_then(|index| index.checked_add(value)).ok_or(PathRefusal::Form)?;
    }
    if place == place_path(index, width) { Ok((index, width)) } else { Err(PathRefusal::Form) }
}

/// Why a tile's content was not taken, or not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileRefusal {
    /// The content is not width × 32 bytes long.
    #[error("tile {} must hold {} bytes but holds {found_bytes}", id.path(), id.size_bytes())]
    Length {
        /// The tile that was offered.
        id: TileId,
        /// Length of what was offered, in bytes.
        found_bytes: usize,
    },
    /// Two widths of one tile were offered and the narrow one is not the beginning of the wide one.
    #[error("tile {} differs from another width of the same tile", id.path())]
    Conflict {
        /// The tile that was offered second.
        id: TileId,
    },
    /// A hash was needed that no loaded tile holds.
    #[error("hash {position} of tile {level}/{index} was not loaded")]
    Missing {
        /// Level of the tile.
        level: u8,
        /// Place of the tile in its level.
        index: u64,
        /// Place of the first needed hash in the tile.
        position: u16,
    },
}

impl TileRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Length { .. } => "tile_length",
            Self::Conflict { .. } => "tile_conflict",
            Self::Missing { .. } => "tile_missing",
        }
    }
}

/// Tiles that the caller loaded. A tile may be wider than what was asked for; nothing in it is trusted.
#[derive(Debug, Clone, Default)]
pub struct TileSet {
    contents: BTreeMap<(u8, u64), Vec<u8>>,
}

impl TileSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tile, keeping the wider of two widths; refuses a wrong length and widths that disagree.
    pub fn insert(&mut self, id: TileId, content: Vec<u8>) -> Result<(), TileRefusal> {
        if content.len() != id.size_bytes() {
            return Err(TileRefusal::Length { id, found_bytes: content.len() });
        }
        let known = self.contents.entry((id.level, id.index)).or_default();
        let shared = known.len().min(content.len());
        if known.get(..shared) != content.get(..shared) {
            return Err(TileRefusal::Conflict { id });
        }
        if content.len() > known.len() {
            *known = content;
        }
        Ok(())
    }

    /// `count` neighbouring hashes of a tile, from `position` on.
    pub(crate) fn hashes(
        &self,
        level: u8,
        index: u64,
        position: u16,
        count: u16,
    ) -> Result<impl Iterator<Item = Hash>, TileRefusal> {
        let first = usize::from(position) * HASH_BYTES;
        let end = first + usize::from(count) * HASH_BYTES;
        let content = self.contents.get(&(level, index)).and_then(|content| content.get(first..end));
        let content = content.ok_or(TileRefusal::Missing { level, index, position })?;
        let (hashes, _) = content.as_chunks::<HASH_BYTES>();
        Ok(hashes.iter().copied().map(Hash))
    }
}
