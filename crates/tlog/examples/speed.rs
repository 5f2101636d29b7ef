//! Measures appending and proving at a million leaves: `cargo run --release -p countersign-tlog --example speed`.

use countersign_tlog::{
    Edge, Hash, TileId, TileSet, consistency_proof, consistency_tiles, inclusion_proof, inclusion_tiles,
    leaf_hash, verify_consistency, verify_inclusion,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

const SIZE: u64 = 1_000_000;
const BATCH: usize = 500;
const PROOFS: u64 = 2_000;

#[expect(
    clippy::disallowed_methods,
    reason = "an example that measures time reads the clock; the crate does not"
)]
fn now() -> Instant {
    Instant::now()
}

fn load(published: &BTreeMap<TileId, Vec<u8>>, ids: Vec<TileId>) -> Result<TileSet, Box<dyn Error>> {
    let mut tiles = TileSet::new();
    for id in ids {
        let content = published.get(&id).ok_or("a tile was not published")?;
        tiles.insert(id, content.clone())?;
    }
    Ok(tiles)
}

fn report(what: &str, total: Duration, count: u64) {
    let each_ns = total.as_nanos() / u128::from(count);
    println!("{what:<42} {:>9}.{:03} µs each", each_ns / 1000, each_ns % 1000);
}

fn main() -> Result<(), Box<dyn Error>> {
    let leaves: Vec<Hash> = (0..SIZE).map(|number| leaf_hash(&number.to_be_bytes())).collect();
    let mut edge = Edge::empty();
    let mut published = BTreeMap::new();
    let mut half_root = edge.root();
    let started = now();
    for batch in leaves.chunks(BATCH) {
        let growth = edge.append(batch)?;
        published.extend(growth.tiles);
        if growth.size == SIZE / 2 {
            half_root = growth.root;
        }
    }
    report(&format!("append, {BATCH} a batch, tiles published"), started.elapsed(), SIZE);

    let mut proofs = Vec::new();
    let started = now();
    for number in 0..PROOFS {
        let index = number * 499_979 % SIZE;
        let tiles = load(&published, inclusion_tiles(index, SIZE)?)?;
        proofs.push((index, leaf_hash(&index.to_be_bytes()), inclusion_proof(&tiles, index, SIZE)?));
    }
    report("inclusion proof, tiles loaded each time", started.elapsed(), PROOFS);

    let root = edge.root();
    let started = now();
    for (index, leaf, proof) in &proofs {
        verify_inclusion(*index, SIZE, root, *leaf, proof)?;
    }
    report("inclusion verification", started.elapsed(), PROOFS);

    let started = now();
    for old_size in SIZE - PROOFS..SIZE {
        let tiles = load(&published, consistency_tiles(old_size, SIZE)?)?;
        consistency_proof(&tiles, old_size, SIZE)?;
    }
    report("consistency proof, tiles loaded each time", started.elapsed(), PROOFS);
    let tiles = load(&published, consistency_tiles(SIZE / 2, SIZE)?)?;
    let proof = consistency_proof(&tiles, SIZE / 2, SIZE)?;
    verify_consistency(SIZE / 2, SIZE, half_root, root, &proof)?;
    Ok(())
}
