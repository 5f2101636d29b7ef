//! A package or a sealed PDF: always a report, never a panic, and nothing is genuine that is not the seed. The input is
//! checked as it is, and once more with checksums, manifest and chain made to fit, as a forger makes them, so that acts,
//! rules and the seals are reached.
#![no_main]

use countersign_verify::{Verdict, Verifier, verify_package, verify_sealed_pdf};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The key of the log that the seed packages are in.
const KEY: &str = include_str!("../seeds/log.vkey");
/// Seeds, which are genuine.
const PDF: &[u8] = include_bytes!("../seeds/verify_package/certificate.pdf");
const SEED: &[u8] = include_bytes!("../seeds/verify_package/package-v1.evidence.zip");

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let key: Vec<Verifier> = KEY.trim().parse().into_iter().collect();
    assert_eq!(key.len(), 1, "the seeds' key can be read");
    for keys in [&[][..], &key] {
        if bytes.starts_with(b"%PDF") {
            let report = verify_sealed_pdf(bytes, keys);
            let is_seed = bytes == PDF && !keys.is_empty();
            assert!(is_seed || is_not_genuine(report.verdict()), "{}", report.to_text());
            assert!(!report.to_text().is_empty() && !report.to_json().is_empty());
            continue;
        }
        check(bytes, keys);
        if let Some(fitted) = fitted(bytes) {
            check(&fitted, keys);
        }
    }
});

fn check(package: &[u8], keys: &[Verifier]) {
    let report = verify_package(package, keys);
    // Signatures of unknown keys may be added to a checkpoint by anybody; the events stay those of the seed.
    let may_hold = !keys.is_empty() && events(package) == events(SEED);
    assert!(may_hold || is_not_genuine(report.verdict()), "{}", report.to_text());
    assert!(!report.to_text().is_empty() && !report.to_json().is_empty());
}

fn is_not_genuine(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Failed | Verdict::Incomplete)
}

fn events(package: &[u8]) -> Option<Vec<u8>> {
    Some(read(package)?.into_iter().find(|(name, _)| name == "events.jsonl")?.1)
}

/// The files of an archive of our form, without any check of what it says about them.
fn read(archive: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut rest = archive;
    while rest.starts_with(b"PK\x03\x04") {
        let (header, after) = rest.split_at_checked(30)?;
        let size = u32::from_le_bytes(header[18..22].try_into().ok()?) as usize;
        let (name, after) = after.split_at_checked(u16::from_le_bytes([header[26], header[27]]).into())?;
        let (bytes, after) = after.split_at_checked(size)?;
        files.push((String::from_utf8(name.to_vec()).ok()?, bytes.to_vec()));
        rest = after;
    }
    Some(files)
}

/// The same files with chain, manifest and archive made to fit.
fn fitted(archive: &[u8]) -> Option<Vec<u8>> {
    let mut files = read(archive)?;
    let events = files.iter_mut().find(|(name, _)| name == "events.jsonl")?;
    events.1 = chained(&events.1)?;
    let envelope = serde_json::from_slice::<Value>(events.1.split(|byte| *byte == b'\n').next()?).ok()?;
    let envelope = envelope["event"]["event"]["envelope"].clone();
    let listed: Vec<Value> = files
        .iter()
        .filter(|(name, _)| name != "manifest.json")
        .map(|(name, bytes)| {
            json!({ "name": name, "sha256": hex(&Sha256::digest(bytes)), "size_bytes": bytes.len() })
        })
        .collect();
    let mut manifest = json!({ "envelope": envelope, "files": listed, "format": "countersign-evidence/1" });
    manifest.sort_all_objects();
    files.iter_mut().find(|(name, _)| name == "manifest.json")?.1 =
        (manifest.to_string() + "\n").into_bytes();
    Some(write(&files))
}

/// Every event with the hash of the one before it, in sorted compact JSON.
fn chained(events: &[u8]) -> Option<Vec<u8>> {
    let mut previous = "0".repeat(64);
    let mut file = Vec::new();
    for line in events.strip_suffix(b"\n")?.split(|byte| *byte == b'\n') {
        let mut line: Value = serde_json::from_slice(line).ok()?;
        *line.get_mut("event")?.get_mut("previous")? = json!(previous);
        line.sort_all_objects();
        previous = hex(&Sha256::digest(line["event"].to_string()));
        file.extend((line.to_string() + "\n").into_bytes());
    }
    Some(file)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let size = (bytes.len() as u32).to_le_bytes();
        let checksum = crc32fast::hash(bytes).to_le_bytes();
        let length = (name.len() as u16).to_le_bytes();
        let fixed = [10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        let common = [&fixed[..], &checksum, &size, &size, &length, &[0, 0]].concat();
        let offset = (archive.len() as u32).to_le_bytes();
        directory.extend([b"PK\x01\x02\x0a\0", &common[..], &[0; 10], &offset, name.as_bytes()].concat());
        archive.extend([b"PK\x03\x04", &common[..], name.as_bytes(), bytes].concat());
    }
    let (start, size) = ((archive.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    let count = (files.len() as u16).to_le_bytes();
    archive.extend(directory);
    archive.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &start, &[0, 0]].concat());
    archive
}
