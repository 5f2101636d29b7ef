//! Appending to a log and proving, at a million leaves.

use countersign_tlog::{
    Edge, Hash, TileId, TileSet, consistency_proof, consistency_tiles, inclusion_proof, inclusion_tiles,
    leaf_hash, verify_consistency, verify_inclusion,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Failure, cpu};

const SIZE: u64 = 1_000_000;
const BATCH: usize = 500;
const PROOFS: u64 = 2_000;

fn load(published: &BTreeMap<TileId, Vec<u8>>, ids: Vec<TileId>) -> Result<TileSet, Failure> {
    let mut tiles = TileSet::new();
    for id in ids {
        let content = published.get(&id).ok_or("a tile was not published")?;
        tiles.insert(id, content.clone())?;
    }
    Ok(tiles)
}

/// Mean in µs.
#[expect(clippy::cast_precision_loss, reason = "a measurement is not exact")]
fn each_us(total: Duration, count: u64) -> f64 {
    total.as_nanos() as f64 / 1_000.0 / count as f64
}

/// Measures; every proof is verified too.
pub(crate) fn measure() -> Result<Value, Failure> {
    let leaves: Vec<Hash> = (0..SIZE).map(|number| leaf_hash(&number.to_be_bytes())).collect();
    let mut edge = Edge::empty();
    let mut published = BTreeMap::new();
    let mut half_root = edge.root();
    let started = cpu::now();
    for batch in leaves.chunks(BATCH) {
        let growth = edge.append(batch)?;
        published.extend(growth.tiles);
        if growth.size == SIZE / 2 {
            half_root = growth.root;
        }
    }
    let append_us = each_us(started.elapsed(), SIZE);

    let mut proofs = Vec::new();
    let started = cpu::now();
    for number in 0..PROOFS {
        let index = number * 499_979 % SIZE;
        let tiles = load(&published, inclusion_tiles(index, SIZE)?)?;
        proofs.push((index, leaf_hash(&index.to_be_bytes()), inclusion_proof(&tiles, index, SIZE)?));
    }
    let inclusion_us = each_us(started.elapsed(), PROOFS);

    let root = edge.root();
    let started = cpu::now();
    for (index, leaf, proof) in &proofs {
        verify_inclusion(*index, SIZE, root, *leaf, proof)?;
    }
    let verification_us = each_us(started.elapsed(), PROOFS);

    let started = cpu::now();
    for old_size in SIZE - PROOFS..SIZE {
        let tiles = load(&published, consistency_tiles(old_size, SIZE)?)?;
        consistency_proof(&tiles, old_size, SIZE)?;
    }
    let consistency_us = each_us(started.elapsed(), PROOFS);
    let tiles = load(&published, consistency_tiles(SIZE / 2, SIZE)?)?;
    let proof = consistency_proof(&tiles, SIZE / 2, SIZE)?;
    verify_consistency(SIZE / 2, SIZE, half_root, root, &proof)?;
    Ok(json!({
        "leaves": SIZE,
        "batch": BATCH,
        "append_us": append_us,
        "inclusion_proof_us": inclusion_us,
        "inclusion_verification_us": verification_us,
        "consistency_proof_us": consistency_us,
    }))
}
