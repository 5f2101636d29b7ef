//! The figures: where each comes from, its unit, its aim, and its median over the rounds.

mod auth;
mod webhooks;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

/// What was measured in one round, by names like `seal.seal_cpu_ms`.
#[derive(Default)]
pub(crate) struct Round(BTreeMap<String, f64>);

impl Round {
    /// Takes in the numbers of one line of JSON.
    pub(super) fn add(&mut self, section: &str, said: &Value) {
        for (name, value) in said.as_object().into_iter().flatten() {
            if let Some(number) = value.as_f64() {
                self.0.insert(format!("{section}.{name}"), number);
            }
        }
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

#[derive(Clone, Copy)]
enum Aim {
    None,
    AtMost(f64),
    AtLeast(f64),
}

struct Figure {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    aim: Aim,
    of: fn(&Round) -> Option<f64>,
}

const fn figure(
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    aim: Aim,
    of: fn(&Round) -> Option<f64>,
) -> Figure {
    Figure { id, title, unit, aim, of }
}

const FIGURES: &[Figure] = &[
    figure(
        "seal_cpu_ms",
        "seal of 10 pages with stamps, certificate, trail (processor time)",
        "ms",
        Aim::AtMost(3.0),
        |r| r.get("seal.seal_cpu_ms"),
    ),
    figure("pyhanko_cpu_ms", "  pyHanko: signature and attachment only", "ms", Aim::None, |r| {
        r.get("pyhanko.cpu_ms_per_file")
    }),
    figure("libpdf_cpu_ms", "  @libpdf/core: signature and attachment only", "ms", Aim::None, |r| {
        r.get("libpdf.cpu_ms_per_file")
    }),
    figure("seal_ratio", "  the faster of them, as a multiple of ours", "×", Aim::AtLeast(8.0), |r| {
        let faster = r.get("pyhanko.cpu_ms_per_file")?.min(r.get("libpdf.cpu_ms_per_file")?);
        Some(faster / r.get("seal.seal_cpu_ms")?)
    }),
    figure(
        "lifecycles_per_second",
        "whole lifecycles over TLS, two signers, clients included",
        "/s",
        Aim::AtLeast(50.0),
        |r| r.get("lifecycles.per_second"),
    ),
    figure("lifecycle_cpu_ms", "  processor time of one, clients included", "ms", Aim::AtMost(40.0), |r| {
        r.get("lifecycles.cpu_ms_each")
    }),
    figure("lifecycle_clients_cpu_ms", "  of which the clients", "ms", Aim::None, |r| {
        r.get("lifecycles.cpu_ms_each_of_users")
    }),
    figure(
        "commits_per_second",
        "durable acts through the store, SQLite, 64 callers",
        "/s",
        Aim::AtLeast(10_000.0),
        |r| r.get("commits.commits_per_second"),
    ),
    figure("commits_per_sync", "  commits for each fsync", "", Aim::None, |r| {
        r.get("commits.commits_per_sync")
    }),
    figure("log_append_us", "log: append of a leaf, a million leaves", "µs", Aim::None, |r| {
        r.get("log.append_us")
    }),
    figure("log_proof_us", "log: inclusion proof at a million leaves", "µs", Aim::AtMost(1_000.0), |r| {
        r.get("log.inclusion_proof_us")
    }),
    figure(
        "log_consistency_us",
        "log: consistency proof at a million leaves",
        "µs",
        Aim::AtMost(1_000.0),
        |r| r.get("log.consistency_proof_us"),
    ),
    figure(
        "verify_package_cpu_ms",
        "verification of an evidence package (processor time)",
        "ms",
        Aim::None,
        |r| r.get("seal.verify_package_cpu_ms"),
    ),
    figure("verify_sealed_cpu_ms", "verification of a sealed PDF alone", "ms", Aim::None, |r| {
        r.get("seal.verify_sealed_cpu_ms")
    }),
    figure("memory_idle_mb", "resident memory, idle after start", "MB", Aim::AtMost(60.0), |r| {
        r.get("memory.idle_mb")
    }),
    figure("memory_idle_after_use_mb", "  idle after an envelope", "MB", Aim::AtMost(60.0), |r| {
        r.get("memory.idle_after_use_mb")
    }),
    figure(
        "memory_peak_mb",
        "  highest while 25 MiB are uploaded, signed and sealed",
        "MB",
        Aim::AtMost(200.0),
        |r| r.get("memory.peak_mb"),
    ),
];

/// The middle one; of two middle ones the lower.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

fn measured(rounds: &[Round]) -> impl Iterator<Item = (&'static Figure, f64)> {
    let auth = auth::ROWS.as_flattened().iter().chain(&auth::ADDED);
    let webhooks = webhooks::ROWS.as_flattened().iter().chain(webhooks::DISTURBED.as_flattened());
    let webhooks = webhooks.chain(webhooks::MACHINE.as_flattened()).chain(&webhooks::PARKED);
    let webhooks = webhooks.chain(webhooks::VERIFIED.as_flattened());
    FIGURES.iter().chain(auth).chain(webhooks).filter_map(|figure| {
        let values = rounds.iter().filter_map(figure.of).collect();
        Some((figure, median(values)?))
    })
}

fn verdict(aim: Aim, value: f64) -> Option<bool> {
    match aim {
        Aim::None => None,
        Aim::AtMost(most) => Some(value <= most),
        Aim::AtLeast(least) => Some(value >= least),
    }
}

fn shown(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// The table for people.
pub(super) fn table(rounds: &[Round]) -> String {
    let mut text = format!("{:<66} {:>10}      {:>10}  \n", "figure (median)", "measured", "aim");
    for (figure, value) in measured(rounds) {
        let aim = match figure.aim {
            Aim::None => String::new(),
            Aim::AtMost(most) => format!("≤ {most}"),
            Aim::AtLeast(least) => format!("≥ {least}"),
        };
        let word = match verdict(figure.aim, value) {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "{:<66} {:>10} {:<4} {aim:>10}  {word}", figure.title, shown(value), figure.unit);
    }
    text
}

/// The same for programs.
pub(super) fn to_json(rounds: &[Round]) -> String {
    let figures: Vec<Value> = measured(rounds)
        .map(|(figure, value)| {
            let (at_most, at_least) = match figure.aim {
                Aim::None => (None, None),
                Aim::AtMost(most) => (Some(most), None),
                Aim::AtLeast(least) => (None, Some(least)),
            };
            json!({
                "id": figure.id,
                "title": figure.title.trim(),
                "unit": figure.unit,
                "value": value,
                "aim_at_most": at_most,
                "aim_at_least": at_least,
                "met": verdict(figure.aim, value),
            })
        })
        .collect();
    let raw: Vec<Value> = rounds.iter().map(|round| json!(round.0)).collect();
    format!("{:#}\n", json!({ "rounds": rounds.len(), "figures": figures, "measured": raw }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(ours: f64, pyhanko: f64, libpdf: f64) -> Round {
        let mut round = Round::default();
        round.add("seal", &json!({ "seal_cpu_ms": ours, "note": "not a number" }));
        round.add("pyhanko", &json!({ "cpu_ms_per_file": pyhanko }));
        round.add("libpdf", &json!({ "cpu_ms_per_file": libpdf }));
        round
    }

    #[test]
    fn a_figure_is_the_median_of_its_rounds_and_is_held_against_its_aim() {
        let rounds = [round(2.0, 20.0, 30.0), round(9.0, 20.0, 30.0), round(1.0, 20.0, 30.0)];
        let json: Value = serde_json::from_str(&to_json(&rounds)).unwrap();
        let figures = json["figures"].as_array().unwrap();
        let find = |id: &str| figures.iter().find(|figure| figure["id"] == id).unwrap();
        assert_eq!((&find("seal_cpu_ms")["value"], &find("seal_cpu_ms")["met"]), (&json!(2.0), &json!(true)));
        assert_eq!((&find("seal_ratio")["value"], &find("seal_ratio")["met"]), (&json!(10.0), &json!(true)));
        assert_eq!(find("pyhanko_cpu_ms")["met"], Value::Null);
        assert_eq!(figures.len(), 4, "what was not measured is left out");
    }

    #[test]
    fn ours_and_the_faster_of_the_peers_ways_stand_beside_their_ratio() {
        let mut round = Round::default();
        let said = |per_second: f64, cpu_ms: f64| json!({ "refresh_per_second": per_second, "refresh_cpu_ms": cpu_ms });
        round.add("auth", &said(900.0, 0.5));
        round.add("auth_sqlite", &said(1_200.0, 0.25));
        round.add("auth_peer", &said(200.0, 2.0));
        round.add("auth_peer_two", &said(300.0, 2.5));
        let json: Value = serde_json::from_str(&to_json(&[round])).unwrap();
        let figures = json["figures"].as_array().unwrap();
        let find = |id: &str| figures.iter().find(|figure| figure["id"] == id).unwrap();
        assert_eq!(find("auth_refresh_per_second_of_peer_two")["value"], 300.0);
        assert_eq!(
            (&find("auth_refresh_rate_ratio")["value"], &find("auth_refresh_rate_ratio")["met"]),
            (&json!(3.0), &json!(true))
        );
        assert_eq!(find("auth_refresh_rate_ratio_on_sqlite")["value"], 4.0);
        assert_eq!(find("auth_refresh_cpu_ratio")["value"], 4.0);
        assert_eq!(figures.len(), 8, "what was not measured is left out");
    }

    #[test]
    fn what_authentication_adds_is_beside_a_request_that_nobody_authenticates() {
        let mut round = Round::default();
        let said = json!({ "open_cpu_ms": 0.5, "api_key_cpu_ms": 0.5625, "access_token_cpu_ms": 0.75 });
        round.add("auth", &said);
        let json: Value = serde_json::from_str(&to_json(&[round])).unwrap();
        let figures = json["figures"].as_array().unwrap();
        let told: Vec<_> =
            figures.iter().map(|figure| (&figure["id"], &figure["value"], &figure["met"])).collect();
        let (dpop, key) = (json!("auth_access_token_added_cpu_ms"), json!("auth_api_key_added_cpu_us"));
        let expected = [(&dpop, &json!(0.25), &json!(true)), (&key, &json!(62.5), &json!(false))];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_bad_receivers_do_is_held_against_a_quiet_run() {
        let mut round = Round::default();
        round.add(
            "webhooks_disturbed",
            &json!({ "quiet_p99_ms": 10.0, "disturbed_p99_ms": 25.0, "queued_p99_ms": 90.0 }),
        );
        round.add("webhooks_verified_rust", &json!({ "v1": 90_000.0, "http ed25519": 20_000.0 }));
        let json: Value = serde_json::from_str(&to_json(&[round])).unwrap();
        let figures = json["figures"].as_array().unwrap();
        let find = |id: &str| figures.iter().find(|figure| figure["id"] == id).unwrap();
        let times = find("webhooks_disturbed_times");
        assert_eq!((&times["value"], &times["met"]), (&json!(2.5), &json!(false)));
        assert_eq!(find("webhooks_disturbed_queued_p99_ms")["met"], true);
        assert_eq!(find("webhooks_verified_rust_http_ed25519")["value"], 20_000.0);
        assert_eq!(figures.len(), 6, "what was not measured is left out");
    }

    #[test]
    fn a_missed_aim_stands_out_in_the_table() {
        let text = table(&[round(4.0, 20.0, 30.0)]);
        assert_eq!(text.matches("MISSED").count(), 2, "{text}");
    }
}
