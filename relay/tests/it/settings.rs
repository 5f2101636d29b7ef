//! `example.toml`: it names each setting that there is, with its default.

use std::collections::BTreeSet;

use countersign_relay::config::{EXAMPLE, parse};

/// Tables, and where a setting of each is put into the example: behind this line.
const TABLES: &[(&str, &str)] = &[
    ("", "# countersign-relay: receives webhooks"),
    ("listen", "[listen]"),
    ("internal", "[internal]"),
    ("queue", "[queue]"),
    ("log", "[log]"),
    ("senders", "[senders.countersign]"),
    ("forward", "[senders.countersign.forward]"),
    ("pull", "[senders.stripe.pull]"),
];

/// The example with its last sender, who is commented out as a whole.
fn whole() -> String {
    let (before, stripe) = EXAMPLE.split_once("# [senders.stripe]").unwrap();
    let stripe: Vec<&str> = stripe.lines().map(|line| line.trim_start_matches("# ")).collect();
    format!("{before}[senders.stripe]{}\n", stripe.join("\n").replace("\n#\n", "\n"))
}

/// What a table may hold, as its reader says when it meets a setting that it does not know.
fn known(table: &str, behind: &str) -> BTreeSet<String> {
    let text = whole();
    let (before, after) = text.split_once(behind).unwrap();
    let (line, after) = after.split_once('\n').unwrap();
    let said = parse(&format!("{before}{behind}{line}\nzzz = 1\n{after}")).unwrap_err().to_string();
    let (_, listed) =
        said.split_once("unknown field `zzz`, expected ").unwrap_or_else(|| panic!("{table}: {said}"));
    let (listed, _) = listed.split_once(". ").unwrap();
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The settings of each table that stand in the example, those that are commented out too.
fn shown(table: &str) -> BTreeSet<String> {
    let mut here = "";
    let mut found = BTreeSet::new();
    for line in EXAMPLE.lines().map(|line| line.trim_start_matches("# ")) {
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap();
            here = match name.split('.').collect::<Vec<_>>().as_slice() {
                ["senders", _] => "senders",
                ["senders", _, last] => last,
                [only] => only,
                _ => panic!("{name}"),
            };
            if table.is_empty() {
                found.insert(name.split('.').next().unwrap().to_owned());
            }
            if table == "senders" && ["forward", "pull"].contains(&here) {
                found.insert(here.to_owned());
            }
        } else if let Some((name, _)) = line.split_once(" = ")
            && here == table
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            found.insert(name.to_owned());
        }
    }
    found
}

/// W-10: who reads the example has seen every setting.
#[test]
fn the_example_names_every_setting() {
    for (table, behind) in TABLES {
        assert_eq!(shown(table), known(table, behind), "[{table}]");
    }
    // Keys of a sender are written within a line.
    let said = parse(&EXAMPLE.replace("{ id = \"whk_01", "{ zzz = \"whk_01")).unwrap_err().to_string();
    let (_, listed) = said.split_once("expected one of ").unwrap();
    for name in listed.split_once(". ").unwrap().0.split('`').skip(1).step_by(2) {
        assert!(EXAMPLE.contains(&format!("{name} = \"")), "{name}");
    }
}

/// W-10: each line that is commented out can be used, and a number, true or false is what holds without it.
#[test]
fn what_is_commented_out_is_the_default() {
    let text = whole();
    let plain = format!("{:?}", parse(&text).unwrap());
    let mut defaults = 0;
    for (number, line) in text.lines().enumerate() {
        let Some((name, rest)) = line.strip_prefix("# ").and_then(|line| line.split_once(" = ")) else {
            continue;
        };
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            continue;
        }
        let one: Vec<String> = text
            .lines()
            .enumerate()
            .map(|(other, line)| if other == number { line.replacen("# ", "", 1) } else { line.to_owned() })
            .collect();
        let parsed = parse(&one.join("\n")).unwrap_or_else(|fault| panic!("{line}: {fault}"));
        if rest.starts_with(|first: char| first.is_ascii_digit())
            || rest.starts_with("true")
            || rest.starts_with("false")
        {
            assert_eq!(format!("{parsed:?}"), plain, "{line}");
            defaults += 1;
        }
    }
    assert!(defaults >= 17, "{defaults}");
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("lease_s")).collect();
    assert_eq!(format!("{:?}", parse(&without.join("\n")).unwrap()), plain, "lease_s");
}
