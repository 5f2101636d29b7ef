//! The stored format of events, version 1.

use std::{env, fs, path::PathBuf};

use countersign_core::envelope::{Chain, encode::ChainBreak};

use crate::samples;

pub(crate) fn repository_file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares with a file that only `UPDATE_GOLDEN=1` writes, and only where there is none yet or its text follows
/// from the code.
pub(crate) fn compare(path: &str, now: &str) {
    let file = repository_file(path);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, now).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(
        golden, now,
        "{path} differs: a stored format never changes, write a new version of it instead"
    );
}

const GOLDEN: &str = "tests/golden/events-v1.jsonl";

#[test]
fn every_event_is_encoded_as_version_1_was_written_first() {
    let mut chain = Chain::default();
    let mut lines = String::new();
    for event in samples::events() {
        lines.push_str(str::from_utf8(&chain.record(event).bytes).unwrap());
        lines.push('\n');
    }
    compare(GOLDEN, &lines);
}

#[test]
fn version_1_stays_readable() {
    let golden = fs::read_to_string(repository_file(GOLDEN)).unwrap();
    let mut chain = Chain::default();
    let read: Vec<_> =
        golden.lines().map(|line| chain.follow(line.as_bytes()).expect("readable").event).collect();
    assert_eq!(read, samples::events());
}

#[test]
fn one_changed_byte_anywhere_breaks_the_chain() {
    let golden = fs::read_to_string(repository_file(GOLDEN)).unwrap();
    let lines: Vec<&str> = golden.lines().collect();
    for (number, line) in lines.iter().enumerate().take(lines.len() - 1).step_by(4) {
        for position in (0..line.len()).step_by(7) {
            let mut changed = line.as_bytes().to_vec();
            changed[position] ^= 1;
            let mut chain = Chain::default();
            let follows = lines.iter().enumerate().all(|(other, line)| {
                chain.follow(if other == number { &changed } else { line.as_bytes() }).is_ok()
            });
            assert!(!follows, "byte {position} of event {} was changed unseen", number + 1);
        }
    }
}

#[test]
fn the_chain_names_what_is_wrong() {
    let golden = fs::read_to_string(repository_file(GOLDEN)).unwrap();
    let lines: Vec<&str> = golden.lines().collect();
    let follow =
        |chain: &mut Chain, line: &str| chain.follow(line.as_bytes()).map(|recorded| recorded.event.seq);

    let mut chain = Chain::default();
    assert_eq!(follow(&mut chain, lines[0]), Ok(1));
    assert_eq!(follow(&mut chain, lines[2]), Err(ChainBreak::Previous { seq: 2 }));
    assert_eq!(follow(&mut chain, lines[1]), Ok(2), "a refused event moves nothing");
    let reason = |line: &str| match Chain::default().follow(line.as_bytes()) {
        Err(ChainBreak::Unreadable { seq: 1, reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason(&lines[0].replacen("\"v\":1", "\"v\":2", 1)).contains("version 2"));
    assert!(reason(&format!("{} ", lines[0])).contains("canonical"));
    assert!(reason(&lines[0].replacen("\"seq\":1", "\"seq\":1,\"more\":1", 1)).contains("more"));
    assert!(reason("").contains("EOF"));

    let moved = lines[0].replacen("\"seq\":1", "\"seq\":2", 1);
    assert_eq!(follow(&mut Chain::default(), &moved), Err(ChainBreak::OutOfPlace { seq: 1 }));
}

#[test]
fn an_event_dated_before_the_one_it_follows_is_refused() {
    let mut events = samples::events().into_iter();
    let (first, mut second) = (events.next().unwrap(), events.next().unwrap());
    second.at = first.at.plus_ms(-1);
    let mut writing = Chain::default();
    let lines = [writing.record(first).bytes, writing.record(second).bytes];
    let mut reading = Chain::default();
    reading.follow(&lines[0]).unwrap();
    assert_eq!(reading.follow(&lines[1]).unwrap_err(), ChainBreak::Backwards { seq: 2 });
}
