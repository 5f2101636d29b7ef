//! Golden files: the formats that leave the house, byte for byte. `UPDATE_GOLDEN=1` writes them anew.

use crate::served::Log;
use countersign_tlog::{
    Edge, EntriesId, TileId, TileSet, Verifier, decode_entries, leaf_hash, open, root, verify_proof_file,
};
use std::path::PathBuf;
use std::{env, fs, slice};

/// A log of ten entries, its key from a fixed seed.
fn log() -> Log {
    Log::with_sizes(&[3, 10])
}

fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, written).unwrap();
    }
    let golden = fs::read(&path).unwrap();
    assert_eq!(String::from_utf8_lossy(&golden), String::from_utf8_lossy(written), "{name}");
    golden
}

#[test]
fn what_leaves_the_house_is_written_as_ever_and_still_read() {
    let log = log();
    let served = |path: &str| fs::read(log.path().join(path)).unwrap();

    let vkey = golden("log.vkey", format!("{}\n", log.vkey()).as_bytes());
    let verifier: Verifier = str::from_utf8(&vkey).unwrap().trim_end().parse().unwrap();

    let checkpoint = golden("checkpoint", &served("checkpoint"));
    let checkpoint = open(&checkpoint, slice::from_ref(&verifier)).unwrap().checkpoint;

    let tile = golden("tile-0-000.p-10", &served("tile/0/000.p/10"));
    let mut tiles = TileSet::new();
    tiles.insert(TileId::new(0, 0, 10).unwrap(), tile).unwrap();
    assert_eq!(root(&tiles, 10), Ok(checkpoint.root()));
    assert!(Edge::load(10, checkpoint.root(), &tiles).is_ok());

    let bundle = golden("entries-000.p-10", &served("tile/entries/000.p/10"));
    let entries = decode_entries(EntriesId::new(0, 10).unwrap(), &bundle).unwrap();
    assert_eq!(countersign_tlog::root_of(entries.iter().map(|entry| leaf_hash(entry))), checkpoint.root());

    let file = log.prove(6).with_extra(b"example".to_vec()).unwrap();
    let file = golden("entry-6.tlog-proof", file.to_string().as_bytes());
    let verified = verify_proof_file(&file, entries[6], &[verifier]).unwrap();
    assert_eq!((verified.index, verified.checkpoint), (6, checkpoint));
}
