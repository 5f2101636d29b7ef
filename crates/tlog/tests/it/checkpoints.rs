//! Checkpoints, notes and keys: what is written, what is refused, and with which code.

use crate::served::{Log, ORIGIN};
use countersign_tlog::{
    Checkpoint, CheckpointRefusal, EMPTY_ROOT, Hash, HashRefusal, KeyKind, KeyRefusal, LogSigner,
    MAX_NOTE_BYTES, MAX_SIGNATURES, NoteRefusal, NoteSignature, OpenRefusal, SignedNote, Verifier, leaf_hash,
    open, sign_checkpoint,
};
use ed25519_dalek::{Signer as _, SigningKey};
use std::slice;

fn signer() -> LogSigner {
    LogSigner::from_seed(ORIGIN, &[7; 32]).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new(ORIGIN, 42, leaf_hash(b"root")).unwrap()
}

fn note() -> SignedNote {
    sign_checkpoint(&checkpoint(), &signer()).unwrap()
}

fn bytes(note: &SignedNote) -> Vec<u8> {
    note.to_string().into_bytes()
}

#[test]
fn a_signed_checkpoint_opens_with_the_logs_key() {
    let opened = open(&bytes(&note()), &[signer().verifier()]).unwrap();
    assert_eq!(opened.checkpoint, checkpoint());
    assert!(opened.cosignatures.is_empty() && opened.unverified.is_empty());
}

#[test]
fn every_flipped_bit_of_a_checkpoint_is_refused() {
    let good = bytes(&note());
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        open(&bad, &[signer().verifier()]).unwrap_err();
    }
    for cut in 0..good.len() {
        open(&good[..cut], &[signer().verifier()]).unwrap_err();
    }
    open(&[good.as_slice(), b"\n"].concat(), &[signer().verifier()]).unwrap_err();
}

#[test]
fn a_checkpoint_text_with_any_other_spelling_is_refused() {
    let root = leaf_hash(b"root").to_base64();
    let refusal = |text: &str| text.parse::<Checkpoint>().unwrap_err();
    assert_eq!(refusal(""), CheckpointRefusal::Lines);
    assert_eq!(refusal(&format!("{ORIGIN}\n42\n{root}")), CheckpointRefusal::Lines);
    assert_eq!(refusal(&format!("{ORIGIN}\n42\n")), CheckpointRefusal::Lines);
    assert_eq!(refusal(&format!("\n42\n{root}\n")), CheckpointRefusal::Origin);
    assert_eq!(refusal(&format!("a\tb\n42\n{root}\n")), CheckpointRefusal::Origin);
    for size in ["", "042", "00", "+42", "-1", "4 2", "42 ", "0x2a", "18446744073709551616", "\u{664}\u{662}"]
    {
        assert_eq!(refusal(&format!("{ORIGIN}\n{size}\n{root}\n")), CheckpointRefusal::Size, "{size}");
    }
    let unpadded = root.trim_end_matches('=');
    let other_bits = format!("{}=", "A".repeat(42) + "B");
    for root in ["", unpadded, &other_bits, "AAAA", &format!("{root} "), &format!("{root}\r")] {
        assert_eq!(refusal(&format!("{ORIGIN}\n42\n{root}\n")), CheckpointRefusal::Root, "{root}");
    }
    assert_eq!(refusal(&format!("{ORIGIN}\n42\n{root}\n\n")), CheckpointRefusal::ExtensionLines);
    assert_eq!(refusal(&format!("{ORIGIN}\n42\n{root}\nmore\n")), CheckpointRefusal::ExtensionLines);
    assert_eq!(refusal(&format!("{ORIGIN}\n0\n{root}\n")), CheckpointRefusal::EmptyTreeRoot);
    let largest = format!("{ORIGIN}\n18446744073709551615\n{root}\n");
    assert_eq!(largest.parse::<Checkpoint>().map(|checkpoint| checkpoint.size()), Ok(u64::MAX));
    assert_eq!(Checkpoint::new("a\nb", 1, EMPTY_ROOT), Err(CheckpointRefusal::Origin));
}

#[test]
fn a_note_with_any_other_spelling_is_refused() {
    let good = note().to_string();
    let line = good.lines().last().unwrap();
    let refusal = |note: &str| SignedNote::parse(note.as_bytes()).unwrap_err();
    let bad_line = |line: &str| refusal(&good.replace(good.lines().last().unwrap(), line));
    assert_eq!(refusal(""), NoteRefusal::NoSignatures);
    assert_eq!(refusal("text\n"), NoteRefusal::NoSignatures);
    assert_eq!(refusal("text\n\n"), NoteRefusal::NoSignatures);
    assert_eq!(refusal(good.trim_end()), NoteRefusal::NoSignatures);
    assert_eq!(refusal(&good.replace("42", "4\r2")), NoteRefusal::ControlCharacter);
    assert_eq!(SignedNote::parse(b"\xff\n\n"), Err(NoteRefusal::NotUtf8));
    assert_eq!(SignedNote::parse(&vec![b'a'; MAX_NOTE_BYTES + 1]), Err(NoteRefusal::TooLarge));
    let first = NoteRefusal::SignatureLine { line: 1 };
    let em_dash = "\u{2014}";
    for wrong in [
        line.replace(em_dash, "-"),
        line.replace(&format!("{em_dash} "), em_dash),
        line.replace(ORIGIN, ""),
        line.replace(ORIGIN, "a+b"),
        line.replace(ORIGIN, "a\u{a0}b"),
        line.replace(&format!("{ORIGIN} "), &format!("{ORIGIN}  ")),
        line.trim_end_matches('=').to_owned(),
        format!("{line} "),
        format!("{em_dash} {ORIGIN} AAAAAA=="),
    ] {
        assert_eq!(bad_line(&wrong), first, "{wrong}");
    }
    assert_eq!(bad_line(&format!("{line}\nmore")), NoteRefusal::SignatureLine { line: 2 });
    let many = |count: usize| good.replace(line, &vec![line; count].join("\n"));
    assert!(SignedNote::parse(many(MAX_SIGNATURES).as_bytes()).is_ok());
    assert_eq!(refusal(&many(MAX_SIGNATURES + 1)), NoteRefusal::TooManySignatures);
    assert_eq!(SignedNote::new("text".into(), note().signatures().to_vec()), Err(NoteRefusal::TextEnd));
    assert_eq!(SignedNote::new("text\n".into(), vec![]), Err(NoteRefusal::NoSignatures));
    assert_eq!(SignedNote::new("a\tb\n".into(), vec![]), Err(NoteRefusal::ControlCharacter));
    assert_eq!(NoteSignature::new("a b", 1, vec![1]), Err(NoteRefusal::KeyName));
    assert_eq!(NoteSignature::new("a", 1, vec![]), Err(NoteRefusal::EmptySignature));
}

#[test]
fn unknown_signatures_are_kept_aside_and_never_open_a_note() {
    let stranger = LogSigner::from_seed("stranger.example", &[8; 32]).unwrap().verifier();
    let foreign = NoteSignature::new("stranger.example", 1, vec![1; 64]).unwrap();
    // Neither the name nor the id alone makes a key known (signed-note, Signatures).
    let same_name = NoteSignature::new(ORIGIN, 2, vec![2; 64]).unwrap();
    let same_id = NoteSignature::new("other.example", signer().verifier().key_id(), vec![3; 64]).unwrap();
    let signed = [foreign, same_name, same_id]
        .into_iter()
        .fold(note(), |note, signature| note.with_signature(signature).unwrap());
    let opened = open(&bytes(&signed), &[signer().verifier(), stranger.clone()]).unwrap();
    assert_eq!(opened.unverified, signed.signatures()[1..]);
    assert_eq!(open(&bytes(&signed), &[stranger]), Err(OpenRefusal::Unsigned));
    assert_eq!(open(&bytes(&signed), &[]), Err(OpenRefusal::Unsigned));
}

#[test]
fn a_bad_signature_by_a_known_key_refuses_the_note_even_beside_a_good_one() {
    let bad = |name: &str, key_id| {
        let forged = NoteSignature::new(name, key_id, vec![5; 64]).unwrap();
        bytes(&note().with_signature(forged).unwrap())
    };
    let log_key = signer().verifier();
    let witness_key = Verifier::new("witness.example", KeyKind::CosignatureV1, log_key.public_key()).unwrap();
    let refusal = |name: &str| Err(OpenRefusal::BadSignature { name: name.to_owned() });
    assert_eq!(open(&bad(ORIGIN, log_key.key_id()), slice::from_ref(&log_key)), refusal(ORIGIN));
    let forged = bad("witness.example", witness_key.key_id());
    assert_eq!(open(&forged, &[log_key.clone(), witness_key]), refusal("witness.example"));
    assert_eq!(open(&forged, &[log_key]).map(|opened| opened.unverified.len()), Ok(1));
}

#[test]
fn a_log_key_says_nothing_about_another_log() {
    let other = Checkpoint::new("other.example/log", 42, leaf_hash(b"root")).unwrap();
    let foreign = sign_checkpoint(&other, &signer()).unwrap_err();
    assert_eq!(foreign, OpenRefusal::Checkpoint(CheckpointRefusal::ForeignOrigin));
    let other_signer = LogSigner::from_seed("other.example/log", &[7; 32]).unwrap();
    let other_note = bytes(&sign_checkpoint(&other, &other_signer).unwrap());
    assert_eq!(open(&other_note, &[signer().verifier()]), Err(OpenRefusal::Unsigned));
    // The same key under its other name signs other bytes; a line moved over does not verify.
    let line = SignedNote::parse(&other_note).unwrap().signatures()[0].signature().to_vec();
    let moved = NoteSignature::new(ORIGIN, signer().verifier().key_id(), line).unwrap();
    let moved = SignedNote::new(checkpoint().to_string(), vec![moved]).unwrap();
    assert_eq!(open(&bytes(&moved), &[signer().verifier()]).unwrap_err().code(), "bad_signature");
    // A known log's own signature, over a text that names another log.
    let verifiers = [signer().verifier(), other_signer.verifier()];
    let crossed = signed_text(&other.to_string());
    let refusal = OpenRefusal::NoLogSignature { origin: "other.example/log".to_owned() };
    assert_eq!(open(&crossed, &verifiers), Err(refusal));
    // The same helper with the right text opens: it is the origin alone that was refused.
    let straight = signed_text(&checkpoint().to_string());
    assert_eq!(open(&straight, &verifiers).map(|opened| opened.checkpoint), Ok(checkpoint()));
}

/// A note of any text, signed with the key of [`signer`].
fn signed_text(text: &str) -> Vec<u8> {
    let signature = SigningKey::from_bytes(&[7; 32]).sign(text.as_bytes()).to_bytes().to_vec();
    let signature = NoteSignature::new(ORIGIN, signer().verifier().key_id(), signature).unwrap();
    bytes(&SignedNote::new(text.to_owned(), vec![signature]).unwrap())
}

#[test]
fn a_text_with_empty_lines_ends_at_the_last_one() {
    let text = "first\n\nsecond\n\n\nthird\n";
    let note = SignedNote::new(text.to_owned(), note().signatures().to_vec()).unwrap();
    assert_eq!(SignedNote::parse(&bytes(&note)), Ok(note.clone()));
    assert_eq!(note.text(), text);
    let signed = signed_text(text);
    let refusal = open(&signed, &[signer().verifier()]).unwrap_err();
    assert_eq!(
        refusal,
        OpenRefusal::Checkpoint(CheckpointRefusal::ExtensionLines),
        "verified first, then read"
    );
}

#[test]
fn a_cosignature_of_a_time_past_2_to_the_63_is_refused() {
    let witness =
        Verifier::new("witness.example", KeyKind::CosignatureV1, signer().verifier().public_key()).unwrap();
    let cosigned = |timestamp_s: u64| {
        let message = format!("cosignature/v1\ntime {timestamp_s}\n{}", checkpoint());
        let signature = SigningKey::from_bytes(&[7; 32]).sign(message.as_bytes()).to_bytes();
        let signature = [&timestamp_s.to_be_bytes(), signature.as_slice()].concat();
        let signature = NoteSignature::new(witness.name(), witness.key_id(), signature).unwrap();
        open(&bytes(&note().with_signature(signature).unwrap()), &[signer().verifier(), witness.clone()])
    };
    let latest = i64::MAX.unsigned_abs();
    assert_eq!(cosigned(latest).map(|opened| opened.cosignatures[0].timestamp_s), Ok(latest));
    assert_eq!(cosigned(latest + 1).unwrap_err().code(), "bad_signature");
}

#[test]
fn a_verifier_key_with_any_other_spelling_is_refused() {
    let vkey = signer().verifier().to_string();
    assert_eq!(vkey.parse(), Ok(signer().verifier()));
    let refusal = |vkey: &str| vkey.parse::<Verifier>().unwrap_err();
    assert_eq!(refusal(""), KeyRefusal::Form);
    assert_eq!(refusal("name"), KeyRefusal::Form);
    assert_eq!(refusal("name+00000000"), KeyRefusal::Form);
    assert_eq!(refusal("name+00000000+"), KeyRefusal::Form);
    assert_eq!(refusal(&format!("{vkey}=")), KeyRefusal::Form);
    assert_eq!(refusal(&vkey.replace(ORIGIN, "")), KeyRefusal::Name);
    assert_eq!(refusal(&vkey.replace(ORIGIN, "a b")), KeyRefusal::Name);
    assert_eq!(refusal(&vkey.replace(ORIGIN, "other.example")), KeyRefusal::KeyId);
    let id = format!("{:08x}", signer().verifier().key_id());
    assert_eq!(refusal(&vkey.replace(&id, &id.to_uppercase())), KeyRefusal::KeyId);
    assert_eq!(refusal("name+00000000+AQAA"), KeyRefusal::Key, "two bytes are no key");
    assert_eq!(refusal("name+00000000+BgAA"), KeyRefusal::Kind { signature_type: 6 });
    let neutral = [&[1u8; 1][..], &[0; 31]].concat().try_into().unwrap();
    assert_eq!(Verifier::new("name", KeyKind::Ed25519, &neutral), Err(KeyRefusal::Key), "small order");
    assert_eq!(LogSigner::from_seed("a b", &[7; 32]).unwrap_err(), KeyRefusal::Name);
}

#[test]
fn one_key_has_another_id_for_each_kind_and_name() {
    let key = *signer().verifier().public_key();
    let ids = [("a", KeyKind::Ed25519), ("a", KeyKind::CosignatureV1), ("b", KeyKind::Ed25519)]
        .map(|(name, kind)| Verifier::new(name, kind, &key).unwrap().key_id());
    assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
}

#[test]
fn the_signing_key_is_not_shown_by_debug() {
    let shown = format!("{:?}", signer());
    assert!(shown.contains(ORIGIN) && !shown.contains('7'), "{shown}");
}

#[test]
fn hashes_have_one_spelling_each() {
    let hash = leaf_hash(b"");
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(Hash::from_base64(&hash.to_base64()), Ok(hash));
    for hex in ["", "6e", &hash.to_string().to_uppercase(), &format!("{hash}00"), &format!("{hash}0")] {
        assert_eq!(hex.parse::<Hash>(), Err(HashRefusal::Hex));
    }
    assert_eq!(Hash::from_base64("AAAA"), Err(HashRefusal::Base64));
    assert_eq!(Hash::from_slice(&[0; 31]), None);
}

#[test]
fn a_log_without_entries_has_a_checkpoint_too() {
    let log = Log::new();
    let opened = open(&bytes(&log.sign(0, EMPTY_ROOT)), &[log.signer.verifier()]).unwrap();
    assert_eq!((opened.checkpoint.size(), opened.checkpoint.root()), (0, EMPTY_ROOT));
}
