//! The tiled log against the naive tree of RFC 6962, and every proof against every flip of it (E-3).

use crate::naive;
use crate::served::entry;
use countersign_tlog::{
    Checkpoint, Edge, EntriesId, Hash, ProofRefusal, TileId, TileSet, Verifier, consistency_proof,
    consistency_tiles, inclusion_proof, inclusion_tiles, leaf_hash, open, root, root_tiles,
    verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Everything that growing published, by tile.
type Published = BTreeMap<TileId, Vec<u8>>;

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&entry(number))).collect()
}

fn load(published: &Published, ids: Vec<TileId>) -> TileSet {
    let mut set = TileSet::new();
    for id in ids {
        set.insert(id, published[&id].clone()).unwrap();
    }
    set
}

/// Grows a log in these batches, each time from the published tiles alone.
fn grow(leaves: &[Hash], batches: &[usize]) -> Published {
    let mut published = Published::new();
    let (mut size, mut newest) = (0, countersign_tlog::EMPTY_ROOT);
    let mut rest = leaves;
    for batch in batches.iter().copied().chain([leaves.len()]) {
        let (now, later) = rest.split_at(batch.min(rest.len()));
        rest = later;
        let mut edge = Edge::load(size, newest, &load(&published, Edge::tiles(size))).unwrap();
        let growth = edge.append(now).unwrap();
        assert_eq!(growth.size, size + now.len() as u64);
        (size, newest) = (growth.size, growth.root);
        assert_eq!(newest, naive::root(&leaves[..leaves.len() - rest.len()]));
        published.extend(growth.tiles);
    }
    published
}

fn at(leaves: &[Hash], size: u64) -> &[Hash] {
    &leaves[..usize::try_from(size).unwrap()]
}

#[test]
fn every_proof_of_every_small_tree_is_the_naive_one_and_verifies() {
    let leaves = leaves(70);
    let all = grow(&leaves, &[1; 70]);
    for size in 1..=70 {
        let tree = at(&leaves, size);
        let expected = naive::root(tree);
        assert_eq!(root(&load(&all, root_tiles(size)), size), Ok(expected));
        for index in 0..size {
            let tiles = load(&all, inclusion_tiles(index, size).unwrap());
            let proof = inclusion_proof(&tiles, index, size).unwrap();
            let position = usize::try_from(index).unwrap();
            assert_eq!(proof, naive::inclusion(position, tree));
            assert_eq!(verify_inclusion(index, size, expected, tree[position], &proof), Ok(()));
        }
        for old_size in 0..=size {
            let tiles = load(&all, consistency_tiles(old_size, size).unwrap());
            let proof = consistency_proof(&tiles, old_size, size).unwrap();
            assert_eq!(proof, naive::consistency(usize::try_from(old_size).unwrap(), tree));
            let old_root = naive::root(at(&leaves, old_size));
            assert_eq!(verify_consistency(old_size, size, old_root, expected, &proof), Ok(()));
        }
    }
}

#[test]
fn every_other_index_of_a_small_tree_is_refused_and_every_other_size_of_another_shape() {
    let leaves = leaves(40);
    for size in 1..=40 {
        let tree = at(&leaves, size);
        let root = naive::root(tree);
        for index in 0..size {
            let leaf = tree[usize::try_from(index).unwrap()];
            let proof = naive::inclusion(usize::try_from(index).unwrap(), tree);
            for other in (0..80).filter(|other| *other != index) {
                verify_inclusion(other, size, root, leaf, &proof).unwrap_err();
            }
            for other in (0..80).filter(|other| *other != size) {
                // The shape of a path does not fix the size: that is what the signed checkpoint is for.
                let same_shape = index < other && naive::shape(index, other) == naive::shape(index, size);
                assert_eq!(verify_inclusion(index, other, root, leaf, &proof).is_ok(), same_shape);
            }
        }
    }
}

#[test]
fn a_proof_where_none_is_needed_is_refused() {
    let leaves = leaves(5);
    let (root, empty) = (naive::root(&leaves), countersign_tlog::EMPTY_ROOT);
    for superfluous in [&leaves[..1], &leaves[..]] {
        assert_eq!(verify_consistency(5, 5, root, root, superfluous), Err(ProofRefusal::TooLong));
        assert_eq!(verify_consistency(0, 5, empty, root, superfluous), Err(ProofRefusal::TooLong));
        assert_eq!(verify_inclusion(0, 1, leaves[0], leaves[0], superfluous), Err(ProofRefusal::TooLong));
    }
    assert_eq!(verify_consistency(4, 5, naive::root(&leaves[..4]), root, &[]), Err(ProofRefusal::TooShort));
    assert_eq!(verify_inclusion(0, 5, root, leaves[0], &[]), Err(ProofRefusal::TooShort));
}

fn flip(hash: &Hash, bit: usize) -> Hash {
    let mut bytes = hash.0;
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    Hash(bytes)
}

/// The proof with one hash changed, missing, doubled or added, at every place.
fn spoilt(proof: &[Hash], bit: usize) -> Vec<Vec<Hash>> {
    let edit = |change: &dyn Fn(&mut Vec<Hash>)| {
        let mut copy = proof.to_vec();
        change(&mut copy);
        copy
    };
    let mut all = vec![edit(&|copy| copy.push(countersign_tlog::EMPTY_ROOT))];
    for place in 0..proof.len() {
        all.push(edit(&|copy| copy[place] = flip(&copy[place], bit)));
        all.push(edit(&|copy| {
            copy.remove(place);
        }));
        all.push(edit(&|copy| copy.insert(place, copy[place])));
        if place > 0 {
            all.push(edit(&|copy| copy.swap(place - 1, place)));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_publish_the_tiles_of_the_naive_tree(
        batches in prop::collection::vec(0usize..600, 1..6),
        seed in any::<u64>(),
    ) {
        let size = batches.iter().sum::<usize>() as u64 + 1;
        let leaves = leaves(size);
        let published = grow(&leaves, &batches);
        for (id, content) in &published {
            let span = 256usize.pow(id.level().into());
            let first = usize::try_from(id.index()).unwrap() * 256;
            let expected: Vec<u8> = (first..first + usize::from(id.width()))
                .flat_map(|hash| naive::root(&leaves[hash * span..(hash + 1) * span]).0)
                .collect();
            prop_assert_eq!(content, &expected);
        }
        for level in 0..3 {
            for index in 0.. {
                let Some(id) = TileId::in_tree(level, index, size) else { break };
                prop_assert!(published.contains_key(&id), "{} is missing", id.path());
            }
        }
        let (index, old_size) = (seed % size, seed / 7 % (size + 1));
        let tiles = load(&published, inclusion_tiles(index, size).unwrap());
        let proof = inclusion_proof(&tiles, index, size).unwrap();
        prop_assert_eq!(&proof, &naive::inclusion(usize::try_from(index).unwrap(), &leaves));
        let tiles = load(&published, consistency_tiles(old_size, size).unwrap());
        let proof = consistency_proof(&tiles, old_size, size).unwrap();
        prop_assert_eq!(proof, naive::consistency(usize::try_from(old_size).unwrap(), &leaves));
    }

    #[test]
    fn tiles_wider_than_asked_for_give_the_same_proofs(size in 2u64..900, more in 1u64..900, seed in any::<u64>()) {
        let leaves = leaves(size + more);
        let published = grow(&leaves, &[]);
        let mut all = TileSet::new();
        for (id, content) in published {
            all.insert(id, content).unwrap();
        }
        let tree = at(&leaves, size);
        let (index, old_size) = (seed % size, seed / 7 % size);
        prop_assert_eq!(root(&all, size), Ok(naive::root(tree)));
        let path = naive::inclusion(usize::try_from(index).unwrap(), tree);
        prop_assert_eq!(inclusion_proof(&all, index, size), Ok(path));
        let proof = naive::consistency(usize::try_from(old_size).unwrap(), tree);
        prop_assert_eq!(consistency_proof(&all, old_size, size), Ok(proof));
    }

    #[test]
    fn every_flip_of_an_inclusion_proof_is_refused(size in 1u64..700, seed in any::<u64>(), bit in 0usize..256) {
        let leaves = leaves(size);
        let index = seed % size;
        let position = usize::try_from(index).unwrap();
        let (root, leaf) = (naive::root(&leaves), leaves[position]);
        let proof = naive::inclusion(position, &leaves);
        prop_assert_eq!(verify_inclusion(index, size, root, leaf, &proof), Ok(()));
        for wrong in spoilt(&proof, bit) {
            prop_assert!(verify_inclusion(index, size, root, leaf, &wrong).is_err());
        }
        prop_assert!(verify_inclusion(index, size, flip(&root, bit), leaf, &proof).is_err());
        prop_assert!(verify_inclusion(index, size, root, flip(&leaf, bit), &proof).is_err());
        prop_assert!(verify_inclusion(index ^ 1 << (bit % 64), size, root, leaf, &proof).is_err());
        let outside = verify_inclusion(size, size, root, leaf, &proof);
        prop_assert_eq!(outside, Err(ProofRefusal::IndexOutsideTree { index: size, size }));
    }

    #[test]
    fn every_flip_of_a_consistency_proof_is_refused(size in 2u64..700, seed in any::<u64>(), bit in 0usize..256) {
        let leaves = leaves(size);
        let old_size = 1 + seed % (size - 1);
        let (old_root, root) = (naive::root(at(&leaves, old_size)), naive::root(&leaves));
        let proof = naive::consistency(usize::try_from(old_size).unwrap(), &leaves);
        prop_assert_eq!(verify_consistency(old_size, size, old_root, root, &proof), Ok(()));
        for wrong in spoilt(&proof, bit) {
            prop_assert!(verify_consistency(old_size, size, old_root, root, &wrong).is_err());
        }
        prop_assert!(verify_consistency(old_size, size, flip(&old_root, bit), root, &proof).is_err());
        prop_assert!(verify_consistency(old_size, size, old_root, flip(&root, bit), &proof).is_err());
        prop_assert!(verify_consistency(old_size ^ 1 << (bit % 9), size, old_root, root, &proof).is_err());
        let cut = verify_consistency(size, old_size, root, old_root, &proof);
        prop_assert_eq!(cut, Err(ProofRefusal::SizesReversed { old_size: size, new_size: old_size }));
        prop_assert!(verify_consistency(0, size, old_root, root, &[]).is_err());
        prop_assert!(verify_consistency(size, size, old_root, root, &[]).is_err());
    }

    #[test]
    fn every_tile_and_bundle_path_is_read_back(level in 0u8..=63, index in any::<u64>(), shift in 0u32..64, width in 1u16..=256) {
        let tile = TileId::new(level, index >> shift, width).unwrap();
        prop_assert_eq!(TileId::parse(&tile.path()), Ok(tile));
        let bundle = EntriesId::new(index >> shift, width).unwrap();
        prop_assert_eq!(EntriesId::parse(&bundle.path()), Ok(bundle));
    }

    #[test]
    fn what_a_parser_takes_is_exactly_what_it_would_write(text in "\\PC{0,40}|[a-z/.]{1,9}\n[0-9]{1,21}\n[A-Za-z0-9+/]{43}=\n|(tile/)[0-9x/.p]{0,12}") {
        if let Ok(checkpoint) = text.parse::<Checkpoint>() {
            prop_assert_eq!(checkpoint.to_string(), text.clone());
        }
        if let Ok(verifier) = text.parse::<Verifier>() {
            prop_assert_eq!(verifier.to_string(), text.clone());
        }
        if let Ok(id) = TileId::parse(&text) {
            prop_assert_eq!(id.path(), text.clone());
        }
        prop_assert!(open(text.as_bytes(), &[]).is_err());
    }
}
