//! E-3: independent implementations accept the log, its tiles and its proofs, and refuse forks and truncation.

use crate::judges::{JudgeInput, aics_cosign, aics_tlog, go_sumdb};
use crate::served::{Log, entries, entry};
use countersign_tlog::{Verifier, encode_entries, leaf_hash, open};
use std::fs;

type Judge = fn(&JudgeInput<'_>) -> Result<String, String>;

const JUDGES: [Judge; 2] = [go_sumdb, aics_tlog];

/// Both judges refuse the log, and say a word of why.
fn refused_by_all(log: &Log, reasons: [&str; 2]) {
    for (judge, reason) in JUDGES.iter().zip(reasons) {
        let verdict = judge(&log.judge_input());
        assert!(verdict.as_ref().is_err_and(|why| why.contains(reason)), "{verdict:?} should say {reason:?}");
    }
}

#[test]
fn e_3_judges_accept_a_log_of_three_tile_levels_with_its_proofs_and_history() {
    let sizes = [1, 2, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 70_000];
    let log = Log::with_sizes(&sizes);
    log.write_proofs([0, 1, 255, 256, 65_535, 65_536, 69_887, 69_999]);
    for size in sizes {
        log.write_consistency(size);
    }
    let go = go_sumdb(&log.judge_input()).unwrap();
    assert_eq!(
        go, "size 70000, 277 tiles, 8 proofs, 10 older checkpoints, 10 consistency proofs",
        "273 full and 1 partial tile of leaves, 2 above them, 1 on top (tlog-tiles, Partial Tiles)"
    );
    let aics = aics_tlog(&log.judge_input()).unwrap();
    assert_eq!(
        aics,
        "size 70000, 277 tiles, 274 bundles, 8 proofs, 10 older checkpoints, 10 consistency proofs"
    );
}

#[test]
fn e_3_judges_accept_small_logs_of_every_edge_shape() {
    for size in [1, 2, 3, 7, 8, 255, 256, 257, 512] {
        let log = Log::with_sizes(&[size]);
        log.write_proofs([0, size / 2, size - 1]);
        for judge in JUDGES {
            judge(&log.judge_input()).unwrap();
        }
    }
}

#[test]
fn e_3_judges_refuse_a_fork_whose_every_checkpoint_is_signed() {
    let honest = Log::with_sizes(&[300, 700]);
    let mut fork = Log::new();
    let mut altered = entries(0..700);
    altered[123] = entry(9_999);
    fork.append(altered);
    go_sumdb(&fork.judge_input()).unwrap();
    aics_tlog(&fork.judge_input()).unwrap();
    let signed_before = fs::read(honest.path().join("history/300")).unwrap();
    fork.write("history/300", &signed_before);
    refused_by_all(&fork, ["forked", "forked"]);
}

#[test]
fn e_3_judges_refuse_a_log_cut_back_to_an_earlier_state() {
    let log = Log::with_sizes(&[600, 700]);
    let earlier = fs::read(log.path().join("history/600")).unwrap();
    log.write("checkpoint", &earlier);
    refused_by_all(&log, ["truncated", "truncated"]);
}

#[test]
fn e_3_judges_refuse_cut_tiles_changed_tiles_and_changed_entries() {
    let spoil = |path: &str, change: fn(&mut Vec<u8>)| {
        let log = Log::with_sizes(&[700]);
        let mut content = fs::read(log.path().join(path)).unwrap();
        change(&mut content);
        log.write(path, &content);
        log
    };
    let cut = |content: &mut Vec<u8>| content.truncate(content.len() - 32);
    let flip = |content: &mut Vec<u8>| content[40] ^= 1;
    refused_by_all(&spoil("tile/0/002.p/188", cut), ["bad result slice", "do not match the root"]);
    refused_by_all(&spoil("tile/0/001", flip), ["differs from its leaf", "does not match its parent"]);
    refused_by_all(&spoil("tile/1/000.p/2", flip), ["inconsistent tile", "do not match the root"]);
    refused_by_all(&spoil("tile/entries/001", flip), ["differs from its leaf", "does not match its level 0"]);
    refused_by_all(&spoil("checkpoint", |note| note[25] ^= 1), ["signature", "signature"]);
}

#[test]
fn e_3_judges_refuse_an_entry_that_was_exchanged_together_with_its_leaf() {
    let log = Log::with_sizes(&[700]);
    let mut other = entries(256..512);
    other[7] = entry(9_999);
    log.write("tile/entries/001", &encode_entries(&other).unwrap());
    let leaves: Vec<u8> = other.iter().flat_map(|entry| leaf_hash(entry).0).collect();
    log.write("tile/0/001", &leaves);
    refused_by_all(&log, ["another root", "does not match its parent"]);
}

#[test]
fn e_3_judges_refuse_a_wrong_proof() {
    let log = Log::with_sizes(&[700]);
    let moved = log.prove(5).to_string().replace("index 5", "index 6");
    log.write("proofs/6.tlog-proof", moved.as_bytes());
    refused_by_all(&log, ["differs from the one in the tiles", "differs from the proof in the tiles"]);
}

#[test]
fn e_3_a_witness_of_another_make_cosigns_and_we_verify_it() {
    let log = Log::with_sizes(&[10]);
    let log_key = log.signer.verifier();
    let witness_vkey = aics_cosign(&log.judge_input(), 1_790_000_000).unwrap();
    let witness: Verifier = witness_vkey.parse().unwrap();
    assert_eq!(witness.to_string(), witness_vkey);
    let note = fs::read(log.path().join("checkpoint")).unwrap();

    let opened = open(&note, &[log_key.clone(), witness.clone()]).unwrap();
    assert_eq!(opened.cosignatures.len(), 1);
    assert_eq!(opened.cosignatures[0].name, "witness.example/w1");
    assert_eq!(opened.cosignatures[0].timestamp_s, 1_790_000_000);
    assert!(opened.unverified.is_empty());

    let opened = open(&note, &[log_key]).unwrap();
    assert!(opened.cosignatures.is_empty());
    assert_eq!(opened.unverified[0].name(), "witness.example/w1");

    let witness_alone = open(&note, &[witness]).unwrap_err();
    assert_eq!(witness_alone.code(), "no_log_signature");
    for judge in JUDGES {
        judge(&log.judge_input()).unwrap();
    }
}
