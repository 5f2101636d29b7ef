//! SQLite and PostgreSQL against the model: the same random commands, the same answers.

use std::{collections::BTreeMap, sync::Arc};

use countersign_store::{Memory, Postgres, Sqlite, Store, testing};

use crate::{
    command::{Command, Runner, draw},
    dice::Dice,
};

const SEEDS: u64 = 12;
const STEPS: u64 = 600;

async fn compare(store: Arc<dyn Store>, seed: u64, seen: &mut BTreeMap<String, usize>) {
    let model = Memory::new();
    let (mut dice, mut expected, mut found) = (Dice::new(seed), Runner::default(), Runner::default());
    let mut history: Vec<Command> = Vec::new();
    for step in 0..STEPS {
        let command = draw(&mut dice, step);
        let wanted = expected.run(&model, &command).await;
        let got = found.run(store.as_ref(), &command).await;
        let recent = history.iter().rev().take(3).collect::<Vec<_>>();
        assert_eq!(got, wanted, "seed {seed}, step {step}: {command:#?}\nbefore: {recent:#?}");
        if matches!(command, Command::Commit { .. } | Command::Claim { .. } | Command::Publish { .. }) {
            let word: String = wanted.chars().take_while(char::is_ascii_alphabetic).collect();
            let kind = if word.is_empty() { "Published".to_owned() } else { word };
            *seen.entry(kind).or_default() += 1;
        }
        if matches!(command, Command::Tokens { .. }) && wanted.starts_with("Some") {
            *seen.entry("TokenView".to_owned()).or_default() += 1;
        }
        history.push(command);
    }
}

// A suite that never met a refusal would prove little.
fn all_were_seen(seen: &BTreeMap<String, usize>) {
    for kind in [
        "Committed",
        "Conflict",
        "LeaseLost",
        "ClaimLost",
        "Spent",
        "Outdated",
        "TokenView",
        "Claimed",
        "InFlight",
        "Mismatch",
        "Answered",
        "a",
    ] {
        assert!(seen.get(kind).is_some_and(|count| *count > 3), "{kind} was hardly seen: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_answers_like_the_model() {
    let mut seen = BTreeMap::new();
    for seed in 0..SEEDS {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("store.db")).unwrap());
        compare(store, seed, &mut seen).await;
    }
    all_were_seen(&seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_answers_like_the_model() {
    let cluster = testing::cluster().unwrap();
    let mut seen = BTreeMap::new();
    for seed in 0..SEEDS {
        let store = Arc::new(Postgres::open(&cluster.database().await.unwrap(), None).await.unwrap());
        compare(store, seed, &mut seen).await;
    }
    all_were_seen(&seen);
}
