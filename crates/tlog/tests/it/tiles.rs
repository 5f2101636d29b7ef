//! Paths, bundles, loaded tiles and the edge: what is refused, and with which code.

use crate::served::entry;
use countersign_tlog::{
    EMPTY_ROOT, Edge, EdgeRefusal, EntriesId, EntriesRefusal, Hash, PathRefusal, ProveRefusal, TileId,
    TileRefusal, TileSet, bundles_between, consistency_tiles, decode_entries, encode_entries,
    inclusion_proof, inclusion_tiles, leaf_hash,
};

#[test]
fn a_path_with_any_other_spelling_is_refused() {
    let form = [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/00/000",
        "tile/+1/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x234",
        "tile/0/000/",
        "tile/0/000.p/",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/00a",
        "tile/8/0/000",
        "tile/0/000.p/1/",
        "tile/data/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/..",
        "tile/0/\u{661}\u{661}",
    ];
    for path in form {
        assert_eq!(TileId::parse(path), Err(PathRefusal::Form), "{path}");
    }
    assert_eq!(TileId::parse("tile/64/000"), Err(PathRefusal::Level));
    assert_eq!(TileId::parse("tile/0/000.p/0"), Err(PathRefusal::Width));
    assert_eq!(TileId::parse("tile/0/000.p/70000"), Err(PathRefusal::Width));
    assert_eq!(TileId::parse("tile/63/x018/x446/x744/x073/x709/x551/615").unwrap().index(), u64::MAX);
    assert_eq!(EntriesId::parse("tile/0/000"), Err(PathRefusal::Form));
    assert_eq!(EntriesId::parse("tile/entries/x001/000.p/3").map(EntriesId::index), Ok(1000));
}

#[test]
fn a_bundle_holds_exactly_the_entries_of_its_name() {
    let id = EntriesId::new(0, 3).unwrap();
    let longest = vec![7; 65_535];
    let entries: [&[u8]; 3] = [b"", b"two", &longest];
    let bundle = encode_entries(entries).unwrap();
    assert_eq!(decode_entries(id, &bundle).unwrap(), entries);
    assert_eq!(bundle[..7], [0, 0, 0, 3, b't', b'w', b'o']);
    for cut in [0, 1, 3, 6, 8, bundle.len() - 1] {
        assert!(matches!(decode_entries(id, &bundle[..cut]), Err(EntriesRefusal::Truncated { .. })), "{cut}");
    }
    let trailing = [bundle.as_slice(), b"x"].concat();
    assert_eq!(decode_entries(id, &trailing), Err(EntriesRefusal::Trailing { extra_bytes: 1 }));
    let too_long = encode_entries([vec![0; 65_536]]);
    assert_eq!(too_long, Err(EntriesRefusal::TooLong { position: 0, found_bytes: 65_536 }));
}

#[test]
fn growth_renews_exactly_the_bundles_that_changed() {
    let paths = |old, new| bundles_between(old, new).into_iter().map(EntriesId::path).collect::<Vec<_>>();
    assert!(paths(0, 0).is_empty() && paths(9, 9).is_empty() && paths(9, 8).is_empty());
    assert_eq!(paths(0, 1), ["tile/entries/000.p/1"]);
    assert_eq!(paths(200, 256), ["tile/entries/000"]);
    assert_eq!(paths(256, 257), ["tile/entries/001.p/1"]);
    assert_eq!(paths(255, 513), ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/1"]);
}

#[test]
fn growth_names_exactly_the_tiles_that_changed() {
    let leaves: Vec<Hash> = (0..66_000u64).map(|number| leaf_hash(&entry(number))).collect();
    let mut edge = Edge::empty();
    let mut grow = |count: usize| {
        let from = usize::try_from(edge.size()).unwrap();
        let growth = edge.append(&leaves[from..from + count]).unwrap();
        growth.tiles.iter().map(|(id, _)| id.path()).collect::<Vec<_>>()
    };
    assert!(grow(0).is_empty());
    assert_eq!(grow(3), ["tile/0/000.p/3"]);
    assert_eq!(grow(253), ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(grow(1), ["tile/0/001.p/1"]);
    assert_eq!(grow(511), ["tile/0/001", "tile/0/002", "tile/1/000.p/3"]);
    let many = grow(65_232);
    assert_eq!(
        many.len(),
        (257 - 3) + 1 + 2 + 1,
        "256 + 1 full leaf tiles but 3 old ones, a partial one, and above"
    );
    assert_eq!(
        many[many.len() - 4..],
        ["tile/0/257.p/208", "tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1"]
    );
}

#[test]
fn an_edge_that_does_not_lead_to_the_published_root_does_not_grow() {
    let leaves: Vec<Hash> = (0..300u64).map(|number| leaf_hash(&entry(number))).collect();
    let growth = Edge::empty().append(&leaves).unwrap();
    let mut tiles = TileSet::new();
    let missing = Edge::load(300, growth.root, &tiles).unwrap_err();
    assert_eq!(missing.code(), "tile_missing");
    for (id, content) in growth.tiles {
        tiles.insert(id, content).unwrap();
    }
    assert_eq!(Edge::load(300, growth.root, &tiles).map(|edge| edge.root()), Ok(growth.root));
    let refusal = Edge::load(299, growth.root, &tiles).unwrap_err();
    assert!(
        matches!(refusal, EdgeRefusal::RootDiffers { size: 299, .. }),
        "a wider tile serves, another root does not"
    );
    assert_eq!(Edge::load(0, EMPTY_ROOT, &tiles).map(|edge| edge.size()), Ok(0));
    assert_eq!(Edge::load(0, growth.root, &tiles).unwrap_err().code(), "edge_root_differs");
}

#[test]
fn a_full_log_takes_no_leaf_and_stays_as_it_was() {
    let mut tiles = TileSet::new();
    for id in Edge::tiles(u64::MAX) {
        tiles.insert(id, vec![9; id.size_bytes()]).unwrap();
    }
    let EdgeRefusal::RootDiffers { found, .. } = Edge::load(u64::MAX, EMPTY_ROOT, &tiles).unwrap_err() else {
        panic!("another root was expected");
    };
    let mut edge = Edge::load(u64::MAX, found, &tiles).unwrap();
    assert_eq!(edge.append(&[EMPTY_ROOT]), Err(EdgeRefusal::Full));
    assert_eq!(edge.append(&[]).map(|growth| growth.root), Ok(found));
    let id = inclusion_tiles(u64::MAX - 1, u64::MAX).unwrap();
    assert_eq!(inclusion_proof(&tiles, u64::MAX - 1, u64::MAX).map(|proof| proof.len()), Ok(63));
    assert_eq!(id, Edge::tiles(u64::MAX));
}

#[test]
fn a_loaded_tile_has_its_length_and_agrees_with_its_other_widths() {
    let id = |width| TileId::new(0, 0, width).unwrap();
    let mut tiles = TileSet::new();
    let short = tiles.insert(id(2), vec![0; 63]);
    assert_eq!(short, Err(TileRefusal::Length { id: id(2), found_bytes: 63 }));
    tiles.insert(id(2), vec![1; 64]).unwrap();
    tiles.insert(id(3), vec![1; 96]).unwrap();
    tiles.insert(id(1), vec![1; 32]).unwrap();
    assert_eq!(tiles.insert(id(1), vec![2; 32]), Err(TileRefusal::Conflict { id: id(1) }));
    let mut forked = vec![1; 128];
    forked[95] = 0;
    assert_eq!(tiles.insert(id(4), forked), Err(TileRefusal::Conflict { id: id(4) }));
    assert_eq!(inclusion_proof(&tiles, 0, 3).map(|proof| proof.len()), Ok(2), "the wider one was kept");
}

#[test]
fn proofs_that_cannot_be_are_refused_with_a_code() {
    assert_eq!(inclusion_tiles(5, 5), Err(ProveRefusal::IndexOutsideTree { index: 5, size: 5 }));
    assert_eq!(consistency_tiles(6, 5), Err(ProveRefusal::SizesReversed { old_size: 6, new_size: 5 }));
    assert_eq!(inclusion_proof(&TileSet::new(), 0, 2).unwrap_err().code(), "tile_missing");
    assert_eq!(inclusion_proof(&TileSet::new(), 0, 1), Ok(Vec::new()));
    assert_eq!(consistency_tiles(0, 5), Ok(Vec::new()));
}
