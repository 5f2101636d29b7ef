//! The event catalogue in the docs is made from the code (E-1).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

use countersign_core::{
    access::Environment,
    canonical,
    envelope::Chain,
    id::OrganizationId,
    security::Tail,
    webhook::{catalogue, class::Class},
};
use serde_json::json;

use crate::{golden, samples, security_samples};

/// `(type, what it says in the code)` of every variant of a source file, in order of declaration.
fn declared_in(path: &str) -> Vec<(String, String)> {
    let source = fs::read_to_string(golden::repository_file(path)).unwrap();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let mut declared = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(name) = line.strip_prefix("#[serde(rename = \"").and_then(|rest| rest.strip_suffix("\")]"))
        else {
            continue;
        };
        let mut words: Vec<&str> =
            lines[..number].iter().rev().map_while(|line| line.strip_prefix("/// ")).collect();
        words.reverse();
        declared.push((name.to_owned(), words.join(" ")));
    }
    declared
}

fn declared() -> Vec<(String, String)> {
    declared_in("src/envelope/event.rs")
}

/// The kinds of security events. Names with a dot are kinds; the others are of what stands in them.
fn declared_of_security() -> Vec<(String, String)> {
    declared_in("src/security.rs").into_iter().filter(|(name, _)| name.contains('.')).collect()
}

#[test]
fn e_1_every_declared_type_has_a_sample_and_its_own_text() {
    let declared: BTreeSet<String> = declared().into_iter().map(|(name, _)| name).collect();
    let samples: BTreeSet<String> =
        samples::events().iter().map(|event| event.body.type_text().to_owned()).collect();
    assert_eq!(declared, samples);
    for event in samples::events() {
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["body"]["type"], event.body.type_text());
    }
}

#[test]
fn e_1_the_catalogue_in_the_docs_is_the_code_s() {
    let mut text = String::from(
        "# Events\n\n\
         Everything that happens to an envelope is one of these events; the envelope is nothing else than their fold.\n\
         This page is made from the code by a test of `countersign-core`; do not edit it.\n\n\
         Each event holds `envelope`, `seq` (from 1), `at` (UTC, milliseconds), `actor` (the system, an API key, or a\n\
         recipient with session and factors, with client address, how the address was learnt, user agent and time\n\
         zone), `correlation`, and a `body` of one of these types. It is encoded as canonical JSON (RFC 8785) with a\n\
         version and the SHA-256 of the event before it. Personal values are not in it: their place holds whose they\n\
         are and a salted SHA-256.\n\n\
         What was only read (`pages.shown`, `envelope.downloaded`, `evidence.exported`) is recorded up to a share:\n\
         1,000 times for the sender, and for each recipient 1,000 times or its part of 9,000, whichever is less.\n\
         After that it is given all the same and leaves no event. An envelope has at most 20,000 events: when\n\
         12,000 are used, each recipient still has 150 of its own, and the act and the end are never refused.\n\n\
         | type | meaning | value |\n|---|---|---|\n",
    );
    for (name, meaning) in declared() {
        let samples = samples::events();
        let of_type = samples.iter().filter(|event| event.body.type_text() == name);
        let keys: BTreeSet<String> = of_type
            .flat_map(|event| {
                let json = serde_json::to_value(&event.body).unwrap();
                json["value"].as_object().cloned().unwrap_or_default().into_iter().map(|(key, _)| key)
            })
            .collect();
        let content = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        writeln!(text, "| `{name}` | {meaning} | {content} |").unwrap();
    }
    golden::compare("../../docs/events.md", &text);
}

/// W-12: the catalogue of what a webhook can tell of has every type, with its class and an example, and is the code's.
#[test]
fn w_12_the_catalogue_of_webhooks_has_every_type_of_event() {
    let mut lines = String::new();
    let (mut chain, mut of_envelopes) = (Chain::default(), BTreeMap::new());
    for event in samples::events() {
        let recorded = chain.record(event);
        let veiled = recorded.event.veiled();
        let opened = veiled.into_iter().filter_map(|veiled| {
            Some((veiled.sha256.to_string(), veiled.opening.as_ref()?.value.disclose().clone()))
        });
        let values: BTreeMap<String, String> = opened.collect();
        let chained: serde_json::Value = serde_json::from_slice(&recorded.bytes).unwrap();
        let (class, name) = (Class::of(&recorded.event.body), recorded.event.body.type_text());
        let example =
            json!({ "class": class, "sha256": recorded.hash, "chained": chained, "values": values });
        of_envelopes.entry(name.to_owned()).or_insert(example);
    }
    let mut tail = Tail::after(OrganizationId::from_bytes([0x99; 16]), Environment::Sandbox, None);
    let mut of_security = BTreeMap::new();
    for event in security_samples::events() {
        let (class, name) = (Class::of_security(&event.body), event.body.kind());
        let (bytes, sha256) = tail.place(event).unwrap();
        let chained: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let example = json!({ "class": class, "sha256": sha256, "chained": chained, "values": {} });
        of_security.insert(name, example);
    }
    for (declared, examples) in [(declared(), of_envelopes), (declared_of_security(), of_security)] {
        for (name, meaning) in declared {
            let mut line = examples.get(&name).unwrap_or_else(|| panic!("{name} has no sample")).clone();
            line["type"] = json!(name);
            line["meaning"] = json!(meaning);
            // In one order, whichever features JSON is built with.
            let line = canonical::to_vec(&line).unwrap();
            writeln!(lines, "{}", str::from_utf8(&line).unwrap()).unwrap();
        }
    }
    golden::compare("src/webhook/catalogue.jsonl", &lines);
    assert_eq!(catalogue::kinds().len(), lines.lines().count(), "each line can be read");
}
