//! Proof files (C2SP tlog-proof): strict form, and verification that names what is wrong first (E-3).

use crate::served::{Log, entry};
use countersign_tlog::{
    EMPTY_ROOT, NoteRefusal, ProofFailure, ProofFile, ProofFileRefusal, ProofRefusal, leaf_hash,
    verify_proof_file,
};

fn code(file: &str, entry: &[u8], log: &Log) -> &'static str {
    verify_proof_file(file.as_bytes(), entry, &[log.signer.verifier()]).unwrap_err().code()
}

#[test]
fn a_proof_file_shows_its_entry_and_no_other() {
    let log = Log::with_sizes(&[300]);
    let file = log.prove(299).with_extra(b"\x00opaque".to_vec()).unwrap();
    let text = file.to_string();
    let verified = verify_proof_file(text.as_bytes(), &entry(299), &[log.signer.verifier()]).unwrap();
    assert_eq!((verified.index, verified.checkpoint.size()), (299, 300));
    assert_eq!(ProofFile::parse(text.as_bytes()).unwrap(), file);
    assert_eq!(file.extra(), Some(b"\x00opaque".as_slice()));
    assert_eq!(file.checkpoint().text(), log.prove(0).checkpoint().text());
    assert_eq!(code(&text, &entry(298), &log), "root_differs");
    assert_eq!(code(&text.replace("index 299", "index 298"), &entry(299), &log), "root_differs");
    assert_eq!(code(&text.replace("index 299", "index 7"), &entry(299), &log), "proof_too_short");
    assert_eq!(code(&text.replace("index 299", "index 300"), &entry(299), &log), "index_outside_tree");
}

#[test]
fn the_first_thing_that_is_wrong_is_named() {
    let log = Log::with_sizes(&[300]);
    let text = log.prove(7).to_string();
    let malformed = format!(" {}", text.replace("\n300\n", "\n301\n"));
    assert_eq!(code(&malformed, &entry(8), &log), "proof_file_header");
    // A flipped size, though the path has the same shape at both sizes: the signature holds the size.
    let unsigned = text.replace("\n300\n", "\n301\n");
    assert_eq!(code(&unsigned, &entry(8), &log), "bad_signature");
    assert_eq!(code(&text, &entry(8), &log), "root_differs");
    let stranger = Log::with_sizes(&[1]).prove(0);
    let failure = stranger.verify(&entry(0), &[]).unwrap_err();
    assert!(matches!(failure, ProofFailure::Checkpoint(_)) && failure.code() == "unsigned");
    let too_long = log.prove(7).proof().iter().copied().chain([EMPTY_ROOT]).collect();
    let too_long = ProofFile::new(7, too_long, log.prove(7).checkpoint().clone()).unwrap();
    let failure = too_long.verify(&entry(7), &[log.signer.verifier()]).unwrap_err();
    assert_eq!(failure, ProofFailure::Inclusion(ProofRefusal::TooLong));
}

#[test]
fn every_flipped_bit_of_a_proof_file_is_refused() {
    let log = Log::with_sizes(&[21]);
    let good = log.prove(13).to_string().into_bytes();
    let keys = [log.signer.verifier()];
    verify_proof_file(&good, &entry(13), &keys).unwrap();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(verify_proof_file(&bad, &entry(13), &keys).is_err(), "bit {bit}");
    }
    for cut in 0..good.len() {
        verify_proof_file(&good[..cut], &entry(13), &keys).unwrap_err();
    }
}

#[test]
fn a_proof_file_with_any_other_spelling_is_refused() {
    let log = Log::with_sizes(&[5]);
    let file = log.prove(3);
    let text = file.to_string();
    let refusal = |text: &str| ProofFile::parse(text.as_bytes()).unwrap_err();
    let replaced = |from: &str, to: &str| refusal(&text.replacen(from, to, 1));
    assert_eq!(refusal(""), ProofFileRefusal::Header);
    assert_eq!(replaced("@v1\n", "@v2\n"), ProofFileRefusal::Header);
    assert_eq!(replaced("@v1\n", "@v1\r\n"), ProofFileRefusal::Header);
    assert_eq!(replaced("index 3", "index 03"), ProofFileRefusal::Index);
    assert_eq!(replaced("index 3", "index  3"), ProofFileRefusal::Index);
    assert_eq!(replaced("index 3", "Index 3"), ProofFileRefusal::Index);
    assert_eq!(replaced("index 3\n", ""), ProofFileRefusal::Index);
    assert_eq!(replaced("index 3", "extra"), ProofFileRefusal::Index);
    assert_eq!(replaced("index 3", "extra \nindex 3"), ProofFileRefusal::Extra);
    assert_eq!(replaced("index 3", "extra AA\nindex 3"), ProofFileRefusal::Extra);
    assert_eq!(replaced("index 3", "extra AAAA\nextra AAAA\nindex 3"), ProofFileRefusal::Index);
    assert_eq!(replaced("index 3", "index 3\nextra AAAA"), ProofFileRefusal::ProofHash { line: 1 });
    let last = file.proof().last().unwrap().to_base64();
    assert_eq!(
        replaced(&last, last.trim_end_matches('=')),
        ProofFileRefusal::ProofHash { line: file.proof().len() }
    );
    assert_eq!(refusal(text.split("\n\n").next().unwrap()), ProofFileRefusal::NoCheckpoint);
    // Without the empty line the origin stands where a hash belongs.
    let origin_line = file.proof().len() + 1;
    assert_eq!(replaced("\n\n", "\n"), ProofFileRefusal::ProofHash { line: origin_line });
    assert_eq!(refusal(text.trim_end()), ProofFileRefusal::Checkpoint(NoteRefusal::NoSignatures));
    assert_eq!(ProofFile::parse(b"\xff"), Err(ProofFileRefusal::NotUtf8));
    let many = vec![EMPTY_ROOT; 65];
    let too_many = ProofFile::new(0, many.clone(), file.checkpoint().clone());
    assert_eq!(too_many, Err(ProofFileRefusal::TooManyHashes));
    let lines: String = many.iter().map(|hash| hash.to_base64() + "\n").collect();
    assert_eq!(replaced("index 3\n", &format!("index 3\n{lines}")), ProofFileRefusal::TooManyHashes);
    assert_eq!(file.clone().with_extra(vec![]), Err(ProofFileRefusal::Extra));
}

#[test]
fn the_only_entry_of_a_log_needs_no_hashes() {
    let log = Log::with_sizes(&[1]);
    let file = log.prove(0);
    assert!(file.proof().is_empty());
    let verified =
        verify_proof_file(file.to_string().as_bytes(), &entry(0), &[log.signer.verifier()]).unwrap();
    assert_eq!(verified.checkpoint.root(), leaf_hash(&entry(0)));
}
