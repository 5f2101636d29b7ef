//! The right edge of the tree: all that appending needs, and the tiles that appending makes.

use crate::hash::{EMPTY_ROOT, Hash, fold_right, perfect_subtrees, root_of};
use crate::tile::{TILE_WIDTH, TileId, TileRefusal, TileSet};

/// The partial tiles of a tree, one row of hashes per level, ready to take more leaves.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    size: u64,
    rows: Vec<Vec<Hash>>,
}

/// What appending made: the new tree, and every tile that is new or wider, full ones before partial ones per level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// Number of leaves now.
    pub size: u64,
    /// Root at that size.
    pub root: Hash,
    /// Tiles to store, with their content. Partial ones are those of this size.
    pub tiles: Vec<(TileId, Vec<u8>)>,
}

/// Why the edge was not loaded, or did not grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EdgeRefusal {
    /// A tile of the edge was not loaded.
    #[error(transparent)]
    Tile(#[from] TileRefusal),
    /// The stored tiles do not lead to the root that was published: growing them would fork the log.
    #[error("the stored tiles of size {size} have root {found}, but {expected} was published")]
    RootDiffers {
        /// Size of the tree.
        size: u64,
        /// The published root.
        expected: Hash,
        /// The root that the tiles lead to.
        found: Hash,
    },
    /// More than 2⁶⁴ − 1 leaves.
    #[error("a log holds at most 2^64 - 1 leaves")]
    Full,
}

impl EdgeRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Tile(refusal) => refusal.code(),
            Self::RootDiffers { .. } => "edge_root_differs",
            Self::Full => "log_full",
        }
    }
}

impl Edge {
    /// The edge of the tree without leaves.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The tiles that [`Edge::load`] needs for a tree of `size` leaves: the partial tile of each level.
    pub fn tiles(size: u64) -> Vec<TileId> {
        (0..8)
            .filter_map(|level| {
                let index = size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
                TileId::in_tree(level, index, size)
            })
            .collect()
    }

    /// Loads the edge of a tree of `size` leaves and checks it against the root that was published for it.
    pub fn load(size: u64, root: Hash, tiles: &TileSet) -> Result<Self, EdgeRefusal> {
        let mut rows = Vec::new();
        for tile in Self::tiles(size) {
            let row = tiles.hashes(tile.level(), tile.index(), 0, tile.width())?.collect();
            rows.resize(usize::from(tile.level()), Vec::new());
            rows.push(row);
        }
        let edge = Self { size, rows };
        let found = edge.root();
        if found == root { Ok(edge) } else { Err(EdgeRefusal::RootDiffers { size, expected: root, found }) }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        self.rows
            .iter()
            .fold(None, |right, row| fold_right(perfect_subtrees(row.iter().copied()), right))
            .unwrap_or(EMPTY_ROOT)
    }

    /// Appends leaf hashes in order. On refusal the edge is unchanged.
    pub fn append(&mut self, leaves: &[Hash]) -> Result<Growth, EdgeRefusal> {
        let added = u64::try_from(leaves.len()).map_err(|_| EdgeRefusal::Full)?;
        self.size.checked_add(added).ok_or(EdgeRefusal::Full)?;
        let mut tiles = Vec::new();
        let mut reached = 0;
        for leaf in leaves {
            reached = reached.max(self.push(*leaf, &mut tiles));
        }
        // A leaf that reached a level passed through all below it, so these rows and no others have changed.
        let changed = (0..).zip(self.rows.iter()).take(reached);
        tiles.extend(changed.filter_map(|(level, row)| {
            let index = self.size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            Some((TileId::new(level, index, u16::try_from(row.len()).ok()?).ok()?, content(row)))
        }));
        tiles.sort_by_key(|(id, _)| *id);
        Ok(Growth { size: self.size, root: self.root(), tiles })
    }

    /// Adds one leaf, emits the tiles that it completes, and returns how many levels it reached.
    fn push(&mut self, leaf: Hash, completed: &mut Vec<(TileId, Vec<u8>)>) -> usize {
        self.size += 1;
        let mut carried = leaf;
        let mut reached = 0;
        for level in 0u8..8 {
            if self.rows.len() == reached {
                self.rows.push(Vec::with_capacity(usize::from(TILE_WIDTH)));
            }
            let Some(row) = self.rows.get_mut(reached) else { break };
            row.push(carried);
            reached += 1;
            if row.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let index = self.size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0).saturating_sub(1);
            completed.extend(TileId::new(level, index, TILE_WIDTH).ok().map(|id| (id, content(row))));
            carried = root_of(row.drain(..));
        }
        reached
    }
}

/// A row of hashes as the bytes of a tile.
fn content(row: &[Hash]) -> Vec<u8> {
    row.iter().flat_map(|hash| hash.0).collect()
}
