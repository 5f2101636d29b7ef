//! Verification of proofs against roots: the algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2, step by step.

use crate::hash::{EMPTY_ROOT, Hash, node_hash};

/// Why a proof does not show what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofRefusal {
    /// The index is not below the size.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    IndexOutsideTree {
        /// Index of the leaf, from 0.
        index: u64,
        /// Number of leaves.
        size: u64,
    },
    /// The old tree is larger than the new one: leaves were cut off.
    #[error("the newer tree has {new_size} leaves, fewer than the {old_size} of the older one")]
    SizesReversed {
        /// Number of leaves before.
        old_size: u64,
        /// Number of leaves after.
        new_size: u64,
    },
    /// The proof has fewer hashes than these sizes need.
    #[error("the proof has too few hashes for trees of these sizes")]
    TooShort,
    /// The proof has more hashes than these sizes need.
    #[error("the proof has too many hashes for trees of these sizes")]
    TooLong,
    /// The leaf and the proof lead to another root.
    #[error("leaf and proof lead to root {found}, not to {expected}")]
    RootDiffers {
        /// The root to show.
        expected: Hash,
        /// The root that they lead to.
        found: Hash,
    },
    /// The proof leads to another old root: the old tree is no beginning of the new one.
    #[error("the proof leads to older root {found}, not to {expected}")]
    OldRootDiffers {
        /// The older root.
        expected: Hash,
        /// The root that the proof leads to.
        found: Hash,
    },
}

impl ProofRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::IndexOutsideTree { .. } => "index_outside_tree",
            Self::SizesReversed { .. } => "sizes_reversed",
            Self::TooShort => "proof_too_short",
            Self::TooLong => "proof_too_long",
            Self::RootDiffers { .. } => "root_differs",
            Self::OldRootDiffers { .. } => "old_root_differs",
        }
    }
}

/// Checks that `leaf` is leaf number `index` of the tree with `size` leaves and this root (RFC 9162 §2.1.3.2).
///
/// The root must come with its size from a signed checkpoint: a root alone does not fix the size, since some
/// neighbouring sizes give a leaf a path of the same shape.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    root: Hash,
    leaf: Hash,
    proof: &[Hash],
) -> Result<(), ProofRefusal> {
    if index >= size {
        return Err(ProofRefusal::IndexOutsideTree { index, size });
    }
    let mut climb = Climb { node: index, last: size - 1 };
    let mut found = leaf;
    for sibling in proof {
        found = match climb.step()? {
            Side::Left => node_hash(*sibling, found),
            Side::Right => node_hash(found, *sibling),
        };
    }
    climb.finish()?;
    if found == root { Ok(()) } else { Err(ProofRefusal::RootDiffers { expected: root, found }) }
}

/// Checks that the tree of `old_size` leaves is the beginning of the tree of `new_size` (RFC 9162 §2.1.4.2).
///
/// Equal sizes need equal roots and an empty proof; the tree without leaves begins every tree, with an empty proof
/// and its own root (SHA-256 of nothing). As with inclusion, sizes and roots must come from signed checkpoints.
pub fn verify_consistency(
    old_size: u64,
    new_size: u64,
    old_root: Hash,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), ProofRefusal> {
    if old_size > new_size {
        return Err(ProofRefusal::SizesReversed { old_size, new_size });
    }
    if old_size == 0 || old_size == new_size {
        return verify_trivial(old_size, new_size, old_root, new_root, proof);
    }
    // Step 2: a perfect old tree is a node of the new one, and its root begins the path.
    let begins_with_old_root = old_size.is_power_of_two();
    let (first, rest) = match proof.split_first() {
        None => return Err(ProofRefusal::TooShort),
        Some(_) if begins_with_old_root => (old_root, proof),
        Some((first, rest)) => (*first, rest),
    };
    // Step 3: climb to the largest subtree that both trees share.
    let shared = (old_size - 1).trailing_ones();
    let mut climb = Climb { node: (old_size - 1) >> shared, last: (new_size - 1) >> shared };
    let (mut old_found, mut new_found) = (first, first);
    for hash in rest {
        match climb.step()? {
            Side::Left => {
                old_found = node_hash(*hash, old_found);
                new_found = node_hash(*hash, new_found);
            }
            Side::Right => new_found = node_hash(new_found, *hash),
        }
    }
    climb.finish()?;
    if old_found != old_root {
        return Err(ProofRefusal::OldRootDiffers { expected: old_root, found: old_found });
    }
    if new_found != new_root {
        return Err(ProofRefusal::RootDiffers { expected: new_root, found: new_found });
    }
    Ok(())
}

/// The cases in which the roots speak for themselves.
fn verify_trivial(
    old_size: u64,
    new_size: u64,
    old_root: Hash,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), ProofRefusal> {
    if !proof.is_empty() {
        return Err(ProofRefusal::TooLong);
    }
    if old_size == 0 && old_root != EMPTY_ROOT {
        return Err(ProofRefusal::OldRootDiffers { expected: old_root, found: EMPTY_ROOT });
    }
    if old_size == new_size && old_root != new_root {
        return Err(ProofRefusal::RootDiffers { expected: new_root, found: old_root });
    }
    Ok(())
}

/// Which side of the node the next hash of the proof stands on.
enum Side {
    Left,
    Right,
}

/// The position of a climb through the tree: `fn` and `sn` of RFC 9162.
struct Climb {
    node: u64,
    last: u64,
}

impl Climb {
    /// One hash of the proof is used up.
    fn step(&mut self) -> Result<Side, ProofRefusal> {
        if self.last == 0 {
            return Err(ProofRefusal::TooLong);
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // The last node of a level without a sibling rises until it has one.
            let rise = self.node.trailing_zeros().min(63);
            self.node >>= rise;
            self.last >>= rise;
            Side::Left
        } else {
            Side::Right
        };
        self.node >>= 1;
        self.last >>= 1;
        Ok(side)
    }

    /// The proof is used up: the climb must have reached the root.
    fn finish(&self) -> Result<(), ProofRefusal> {
        if self.last == 0 { Ok(()) } else { Err(ProofRefusal::TooShort) }
    }
}
