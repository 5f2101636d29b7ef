//! Known answers from the Certificate Transparency project and from the C2SP specifications.

use crate::naive;
use countersign_tlog::{
    EMPTY_ROOT, Edge, EntriesId, Growth, Hash, KeyKind, SignedNote, TileId, TileSet, Verifier,
    consistency_proof, inclusion_proof, leaf_hash, open, root_of, verify_consistency, verify_inclusion,
};
use std::slice;

/// The eight entries that the Certificate Transparency project tests its trees with.
const ENTRIES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// Roots of the trees of the first one to eight of them.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// (index, size, path), counted from 0.
const PATHS: [(u64, u64, &[&str]); 4] = [
    (0, 1, &[]),
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
];

/// (old size, new size, proof).
const CONSISTENCY: [(u64, u64, &[&str]); 4] = [
    (1, 1, &[]),
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

fn hashes(hex: &[&str]) -> Vec<Hash> {
    hex.iter().map(|hash| hash.parse().unwrap()).collect()
}

fn leaves() -> Vec<Hash> {
    ENTRIES.iter().map(|entry| leaf_hash(entry)).collect()
}

fn tiles() -> TileSet {
    let Growth { tiles, .. } = Edge::empty().append(&leaves()).unwrap();
    let mut set = TileSet::new();
    for (id, content) in tiles {
        set.insert(id, content).unwrap();
    }
    set
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    assert_eq!(root_of([]), EMPTY_ROOT);
    assert_eq!(EMPTY_ROOT.to_base64(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    let mut edge = Edge::empty();
    for (leaf, root) in leaves().iter().zip(ROOTS) {
        assert_eq!(edge.append(&[*leaf]).unwrap().root.to_string(), root);
    }
    for size in 1..=8 {
        assert_eq!(root_of(leaves().into_iter().take(size)).to_string(), ROOTS[size - 1]);
        assert_eq!(naive::root(&leaves()[..size]).to_string(), ROOTS[size - 1]);
    }
}

#[test]
fn inclusion_paths_are_those_of_certificate_transparency() {
    for (index, size, path) in PATHS {
        let path = hashes(path);
        assert_eq!(inclusion_proof(&tiles(), index, size), Ok(path.clone()));
        let leaf = leaves()[usize::try_from(index).unwrap()];
        let root = ROOTS[usize::try_from(size).unwrap() - 1].parse().unwrap();
        assert_eq!(verify_inclusion(index, size, root, leaf, &path), Ok(()));
    }
}

#[test]
fn consistency_proofs_are_those_of_certificate_transparency() {
    for (old_size, new_size, proof) in CONSISTENCY {
        let proof = hashes(proof);
        assert_eq!(consistency_proof(&tiles(), old_size, new_size), Ok(proof.clone()));
        let root = |size: u64| ROOTS[usize::try_from(size).unwrap() - 1].parse().unwrap();
        assert_eq!(verify_consistency(old_size, new_size, root(old_size), root(new_size), &proof), Ok(()));
    }
}

#[test]
fn tile_paths_are_those_of_the_specification() {
    let id = TileId::new(4, 1_234_067, 256).unwrap();
    assert_eq!(id.path(), "tile/4/x001/x234/067");
    assert_eq!(TileId::new(0, 0, 1).unwrap().path(), "tile/0/000.p/1");
    assert_eq!(EntriesId::new(1_234_067, 17).unwrap().path(), "tile/entries/x001/x234/067.p/17");
    let edge = Edge::tiles(70_000).into_iter().map(TileId::path).collect::<Vec<_>>();
    assert_eq!(edge, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    assert_eq!(Edge::tiles(256), [TileId::new(1, 0, 1).unwrap()]);
}

#[test]
fn the_note_of_the_specification_has_the_key_of_the_specification() {
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let note = "This is an example message.\n\n\u{2014} example.com/foo \
                Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let verifier: Verifier = vkey.parse().unwrap();
    assert_eq!(verifier.to_string(), vkey);
    assert_eq!((verifier.kind(), verifier.key_id()), (KeyKind::Ed25519, 0x530d_903a));
    // The signature verifies, so the refusal is about the text, which is no checkpoint.
    assert_eq!(open(note.as_bytes(), slice::from_ref(&verifier)).unwrap_err().code(), "checkpoint_lines");
    let altered = note.replace("example message", "example massage");
    assert_eq!(open(altered.as_bytes(), &[verifier]).unwrap_err().code(), "bad_signature");
}

#[test]
fn the_cosigned_checkpoint_of_the_specification_is_read_and_written_back() {
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
                \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGz\
                Gku9nTo+zyWE+xeMcTOAYQ8=\n\
                \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin\
                1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let parsed = SignedNote::parse(note.as_bytes()).unwrap();
    assert_eq!(parsed.to_string(), note);
    assert_eq!(
        parsed.text().parse().map(|checkpoint: countersign_tlog::Checkpoint| checkpoint.size()),
        Ok(20_852_163)
    );
    assert_eq!(parsed.signatures()[1].name(), "witness.example.com/w1");
    assert_eq!(parsed.signatures()[1].signature().len(), 8 + 64);
    assert_eq!(open(note.as_bytes(), &[]).unwrap_err().code(), "unsigned");
}
