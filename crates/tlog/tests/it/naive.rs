//! RFC 6962 §2.1 word for word, on all leaves at once: the model that the tiled log is compared with.

use countersign_tlog::{EMPTY_ROOT, Hash, node_hash};

/// MTH(D\[n\]).
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(root(left), root(right))
        }
    }
}

/// PATH(m, D\[n\]).
pub(crate) fn inclusion(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) =
        if index < k { (inclusion(index, left), right) } else { (inclusion(index - k, right), left) };
    path.push(root(sibling));
    path
}

/// PROOF(m, D\[n\]).
pub(crate) fn consistency(old_size: usize, leaves: &[Hash]) -> Vec<Hash> {
    if old_size == 0 { Vec::new() } else { subproof(old_size, leaves, true) }
}

fn subproof(old_size: usize, leaves: &[Hash], is_whole: bool) -> Vec<Hash> {
    if old_size == leaves.len() {
        return if is_whole { Vec::new() } else { vec![root(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, other) = if old_size <= k {
        (subproof(old_size, left, is_whole), right)
    } else {
        (subproof(old_size - k, right, false), left)
    };
    proof.push(root(other));
    proof
}

fn split(length: usize) -> usize {
    length.next_power_of_two() / 2
}

/// On which sides the hashes of an inclusion proof stand, from the leaf up.
pub(crate) fn shape(index: u64, size: u64) -> Vec<bool> {
    if size < 2 {
        return Vec::new();
    }
    let k = size.next_power_of_two() / 2;
    let mut sides = if index < k { shape(index, k) } else { shape(index - k, size - k) };
    sides.push(index < k);
    sides
}
