//! The vectors that the examples are run over: the wire format's, and more about what a store remembers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

const VECTORS: &str = include_str!("../../../../../docs/webhooks/vectors.json");
const PAGE: &str = include_str!("../../../../../docs/webhooks/wire-format.md");
const DAYS_35_S: u64 = 35 * 24 * 60 * 60;

/// The vectors of the wire format and ours.
pub(super) fn all() -> Value {
    let mut file: Value = serde_json::from_str(VECTORS).unwrap();
    let (one, later) = (named(&file, "one key"), named(&file, "sent again after 29 days"));
    let vectors = file["vectors"].as_array_mut().unwrap();
    vectors.extend(in_turn(&one, &later));
    vectors.extend(of_a_store(&one));
    vectors.extend(of_form(&one));
    file
}

/// The vector of this name.
pub(super) fn named(file: &Value, name: &str) -> Value {
    let vectors = file["vectors"].as_array().unwrap();
    vectors
        .iter()
        .find(|vector| vector["name"] == name)
        .unwrap_or_else(|| panic!("no vector: {name}"))
        .clone()
}

/// What becomes of messages that come to one receiver in turn: those with the same `store`.
fn in_turn(one: &Value, later: &Value) -> Vec<Value> {
    let now = one["now"].as_u64().unwrap();
    let vector = |from: &Value, store: &str, at: &Value, expect: &str| {
        let mut vector = from.clone();
        vector["name"] = json!(format!("{store}: {expect} at {at}"));
        vector["now"] = at.clone();
        vector["seen"] = json!([]);
        vector["store"] = json!(store);
        vector["expect"] = json!(expect);
        vector
    };
    vec![
        vector(one, "from edge to edge", &json!(now - 300), "accepted"),
        vector(one, "from edge to edge", &json!(now + 300), "replayed"),
        vector(one, "over days", &one["now"], "accepted"),
        vector(later, "over days", &later["now"], "duplicate"),
        vector(later, "over days", &later["now"], "replayed"),
    ]
}

/// What a good message becomes with what was seen before: an id, a timestamp and when. `room` is how much the store holds.
fn of_a_store(one: &Value) -> Vec<Value> {
    let now = one["now"].as_u64().unwrap();
    let id = one["request"]["headers"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|header| (header[0] == "webhook-id").then(|| header[1].clone()))
        .unwrap();
    let other = |number: u8, at: u64| json!([format!("msg_{number:026}"), at, at]);
    let vector = |name: &str, at: u64, seen: Value, room: u8, expect: &str| {
        let mut vector = one.clone();
        vector["name"] = json!(name);
        vector["now"] = json!(at);
        vector["seen"] = seen;
        vector["room"] = json!(room);
        vector["expect"] = json!(expect);
        vector
    };
    let past = [other(1, now - 601), other(2, now - 601)];
    let not_yet_past = [other(1, now - 600), other(2, now - 600)];
    vec![
        vector("an id counts for 35 days", now, json!([[id, 1, now - DAYS_35_S]]), 9, "duplicate"),
        vector("an id counts no longer", now, json!([[id, 1, now - DAYS_35_S - 1]]), 9, "accepted"),
        vector("a full store lets nothing in", now, json!([other(1, now)]), 3, "unavailable"),
        vector("a full store lets no retry in", now, json!([[id, now - 5, now - 5]]), 2, "unavailable"),
        vector("a full store knows a replay", now, json!([[id, now, now]]), 2, "replayed"),
        vector("attempts that are past make room", now, json!(past), 4, "accepted"),
        vector("attempts that are not past make none", now, json!(not_yet_past), 4, "unavailable"),
    ]
}

/// What is as large as may be, and what is not ASCII.
fn of_form(one: &Value) -> Vec<Value> {
    let vector = |name: &str, header: &str, value: &dyn Fn(&str) -> String, expect: &str| {
        let mut vector = one.clone();
        let headers = vector["request"]["headers"].as_array_mut().unwrap();
        let before = headers.iter().find(|pair| pair[0] == header).map_or(json!(""), |pair| pair[1].clone());
        headers.retain(|pair| pair[0] != header);
        headers.push(json!([header, value(before.as_str().unwrap())]));
        vector["name"] = json!(name);
        vector["expect"] = json!(expect);
        vector
    };
    let long = |_: &str| format!("v1a,{}", "A".repeat(133_332));
    let mut whole = one.clone();
    whole["name"] = json!("a body of 256 KiB is not too large");
    whole["request"]["body_base64"] = json!(STANDARD.encode(vec![b' '; 256 * 1024]));
    whole["expect"] = json!("bad_signature");
    vec![
        whole,
        vector("a signature of 99,999 bytes", "webhook-signature", &long, "bad_signature"),
        vector("an id not in ASCII", "webhook-id", &|_| "msg_01kb\u{e9}\u{1f511}".into(), "malformed"),
        vector(
            "an encoding not in ASCII",
            "content-encoding",
            &|_| "\u{130}dentity".into(),
            "unsupported_encoding",
        ),
    ]
}

/// How often a vector is run: for who holds the secret, the public key, or both.
fn receivers(vector: &Value) -> usize {
    let profiles = vector["profiles"].as_array().unwrap();
    match profiles.iter().filter(|profile| *profile == "v1" || *profile == "v1a").count() {
        2 => 3,
        count => count,
    }
}

/// How many runs all of them are.
pub(super) fn count(file: &Value) -> usize {
    file["vectors"].as_array().unwrap().iter().map(receivers).sum()
}

/// What a runner prints if it judges all of them as expected: each outcome with its status, and how many ran.
pub(super) fn told_if_all_are_right(file: &Value) -> String {
    let statuses = statuses();
    let mut counts = BTreeMap::new();
    for vector in file["vectors"].as_array().unwrap() {
        let code = vector["expect"].as_str().unwrap();
        let status = statuses.get(code).unwrap_or_else(|| panic!("the page has no status for {code}"));
        *counts.entry(format!("{code} {status}")).or_insert(0) += receivers(vector);
    }
    counts.retain(|_, count| *count > 0);
    assert_eq!(counts.len(), statuses.len(), "each outcome has a vector: {counts:?}");
    let mut told = String::new();
    for (outcome, count) in &counts {
        writeln!(told, "{outcome}: {count}").unwrap();
    }
    format!("{told}{} ran, 0 judged otherwise\n", count(file))
}

/// The statuses of the page's table, and of what is no refusal.
fn statuses() -> BTreeMap<&'static str, &'static str> {
    let (_, table) = PAGE.split_once("| step | refused as | status |\n|---|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut statuses = BTreeMap::from([("accepted", "200"), ("duplicate", "200")]);
    for row in rows {
        let [_, _, codes, status, _] = row.split('|').collect::<Vec<_>>().try_into().unwrap();
        let codes = codes.split('`').skip(1).step_by(2);
        statuses.extend(codes.zip(status.split(',').map(str::trim)));
    }
    // The examples judge the bytes; what these say is read by whoever copies one.
    statuses.remove("not_an_event");
    statuses
}

/// The vectors as lines, for a language without a reader of JSON: members between tabs, the parts of a list between semicolons,
/// and the parts of those between spaces.
pub(super) fn as_lines(file: &Value) -> String {
    let mut lines = String::new();
    for vector in file["vectors"].as_array().unwrap() {
        let keys = list(&vector["keys"], |id| {
            let key = &file["keys"][id.as_str().unwrap()];
            format!("{} {} {}", text(id), text(&key["secret"]), text(&key["public"]))
        });
        let seen = list(&vector["seen"], |seen| {
            format!("{} {} {}", text(&seen[0]), text(&seen[1]), text(seen.get(2).unwrap_or(&seen[1])))
        });
        let headers = list(&vector["request"]["headers"], |header| {
            format!("{} {}", STANDARD.encode(text(&header[0])), STANDARD.encode(text(&header[1])))
        });
        let members = [
            text(&vector["name"]),
            text(&vector["expect"]),
            list(&vector["profiles"], text),
            text(&vector["now"]),
            text(&file["receiver"]["window_s"]),
            text(vector.get("room").unwrap_or(&json!(100))),
            text(vector.get("store").unwrap_or(&json!(""))),
            keys,
            seen,
            headers,
            text(&vector["request"]["body_base64"]),
        ];
        lines.push_str(&members.join("\t"));
        lines.push('\n');
    }
    lines
}

fn list(value: &Value, part: impl Fn(&Value) -> String) -> String {
    value.as_array().unwrap().iter().map(part).collect::<Vec<_>>().join(";")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
