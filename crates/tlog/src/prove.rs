//! Proofs from tiles: which tiles a proof needs, and the proof itself (RFC 6962 §2.1.1 and §2.1.2).

use crate::hash::{EMPTY_ROOT, Hash, fold_right, root_of};
use crate::tile::{TileId, TileRefusal, TileSet};
use std::collections::BTreeSet;
use std::ops::Range;

/// Why there is no such proof, or it could not be made from the loaded tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProveRefusal {
    /// The index is not below the size.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    IndexOutsideTree {
        /// Index of the leaf, from 0.
        index: u64,
        /// Number of leaves.
        size: u64,
    },
    /// The old tree is larger than the new one.
    #[error("a tree of {old_size} leaves is no beginning of a tree of {new_size} leaves")]
    SizesReversed {
        /// Number of leaves before.
        old_size: u64,
        /// Number of leaves after.
        new_size: u64,
    },
    /// A needed tile was not loaded.
    #[error(transparent)]
    Tile(#[from] TileRefusal),
}

impl ProveRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::IndexOutsideTree { .. } => "index_outside_tree",
            Self::SizesReversed { .. } => "sizes_reversed",
            Self::Tile(refusal) => refusal.code(),
        }
    }
}

/// The tiles that [`inclusion_proof`] needs, in the widths of a tree of `size` leaves.
pub fn inclusion_tiles(index: u64, size: u64) -> Result<Vec<TileId>, ProveRefusal> {
    Ok(tiles_of(&inclusion_ranges(index, size)?, size))
}

/// Proof that leaf `index` is in the tree of `size` leaves, from the leaf's sibling up (RFC 6962 §2.1.1).
pub fn inclusion_proof(tiles: &TileSet, index: u64, size: u64) -> Result<Vec<Hash>, ProveRefusal> {
    hashes_of(tiles, inclusion_ranges(index, size)?)
}

/// The tiles that [`consistency_proof`] needs, in the widths of a tree of `new_size` leaves.
pub fn consistency_tiles(old_size: u64, new_size: u64) -> Result<Vec<TileId>, ProveRefusal> {
    Ok(tiles_of(&consistency_ranges(old_size, new_size)?, new_size))
}

/// Proof that the first `old_size` leaves of a tree of `new_size` are unchanged (RFC 6962 §2.1.2). Empty when the
/// sizes are equal or the old tree has no leaves.
pub fn consistency_proof(tiles: &TileSet, old_size: u64, new_size: u64) -> Result<Vec<Hash>, ProveRefusal> {
    hashes_of(tiles, consistency_ranges(old_size, new_size)?)
}

/// The tiles that [`root`] needs for a tree of `size` leaves.
pub fn root_tiles(size: u64) -> Vec<TileId> {
    tiles_of(std::slice::from_ref(&(0..size)), size)
}

/// Root of the tree of `size` leaves as the tiles have it.
pub fn root(tiles: &TileSet, size: u64) -> Result<Hash, ProveRefusal> {
    range_hash(tiles, &(0..size))
}

/// Leaves below each hash of an inclusion proof, in the proof's order.
fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Range<u64>>, ProveRefusal> {
    if index >= size {
        return Err(ProveRefusal::IndexOutsideTree { index, size });
    }
    let mut siblings = Vec::new();
    let mut tree = 0..size;
    while let Some(middle) = split(&tree) {
        if index < middle {
            siblings.push(middle..tree.end);
            tree.end = middle;
        } else {
            siblings.push(tree.start..middle);
            tree.start = middle;
        }
    }
    siblings.reverse();
    Ok(siblings)
}

/// Leaves below each hash of a consistency proof, in the proof's order: SUBPROOF of RFC 6962 §2.1.2.
fn consistency_ranges(old_size: u64, new_size: u64) -> Result<Vec<Range<u64>>, ProveRefusal> {
    if old_size > new_size {
        return Err(ProveRefusal::SizesReversed { old_size, new_size });
    }
    let mut ranges = Vec::new();
    if old_size == 0 {
        return Ok(ranges);
    }
    let mut tree = 0..new_size;
    while tree.end != old_size {
        let Some(middle) = split(&tree) else { break };
        if old_size <= middle {
            ranges.push(middle..tree.end);
            tree.end = middle;
        } else {
            ranges.push(tree.start..middle);
            tree.start = middle;
        }
    }
    // The verifier already has the old root: the last subtree is sent only if it is not the whole old tree.
    if tree.start != 0 {
        ranges.push(tree);
    }
    ranges.reverse();
    Ok(ranges)
}

/// Where RFC 6962 divides a tree: at the largest power of two below its number of leaves.
fn split(tree: &Range<u64>) -> Option<u64> {
    let leaves = tree.end - tree.start;
    if leaves < 2 { None } else { Some(tree.start + (1 << (leaves - 1).ilog2())) }
}

/// A subtree with 2^height leaves, the `index`-th of its height.
#[derive(Clone, Copy)]
struct Subtree {
    height: u8,
    index: u64,
}

impl Subtree {
    /// Level of the tile that holds its hash or the hashes below it.
    fn tile_level(self) -> u8 {
        self.height / 8
    }

    /// Number of hashes of that tile that lie below it.
    fn hash_count(self) -> u16 {
        1 << (self.height % 8)
    }

    /// Number of the first of these hashes within the whole level.
    fn first_hash(self) -> u64 {
        self.index << (self.height % 8)
    }

    fn tile_index(self) -> u64 {
        self.first_hash() / 256
    }

    fn position(self) -> u16 {
        let [.., lowest] = self.first_hash().to_be_bytes();
        u16::from(lowest)
    }
}

/// The perfect subtrees under a range that RFC 6962's division made, left to right: one for each bit of its length.
fn perfect(range: &Range<u64>) -> impl DoubleEndedIterator<Item = Subtree> {
    let Range { start, end } = *range;
    let leaves = end - start;
    (0u8..64).rev().filter(move |height| leaves >> height & 1 == 1).map(move |height| {
        let before = leaves.checked_shr(u32::from(height) + 1).unwrap_or(0) << 1;
        Subtree { height, index: (start >> height) + before }
    })
}

fn tiles_of(ranges: &[Range<u64>], size: u64) -> Vec<TileId> {
    let tiles: BTreeSet<TileId> = ranges
        .iter()
        .flat_map(perfect)
        .filter_map(|subtree| TileId::in_tree(subtree.tile_level(), subtree.tile_index(), size))
        .collect();
    tiles.into_iter().collect()
}

fn hashes_of(tiles: &TileSet, ranges: Vec<Range<u64>>) -> Result<Vec<Hash>, ProveRefusal> {
    ranges.iter().map(|range| range_hash(tiles, range)).collect()
}

fn range_hash(tiles: &TileSet, range: &Range<u64>) -> Result<Hash, ProveRefusal> {
    let subtrees = perfect(range).map(|subtree| {
        let (level, index) = (subtree.tile_level(), subtree.tile_index());
        tiles.hashes(level, index, subtree.position(), subtree.hash_count()).map(root_of)
    });
    let subtrees = subtrees.collect::<Result<Vec<Hash>, TileRefusal>>()?;
    Ok(fold_right(subtrees, None).unwrap_or(EMPTY_ROOT))
}
