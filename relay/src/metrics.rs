//! What the relay counts, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

type Counts = BTreeMap<(Arc<str>, &'static str), u64>;

/// Counters: how requests and attempts ended, by sender.
#[derive(Debug, Default)]
pub struct Metrics {
    received: Mutex<Counts>,
    forwarded: Mutex<Counts>,
}

impl Metrics {
    /// A request was answered.
    pub fn received(&self, sender: &Arc<str>, outcome: &'static str) {
        count(&self.received, sender, outcome);
    }

    /// An attempt ended.
    pub fn forwarded(&self, sender: &Arc<str>, outcome: &'static str) {
        count(&self.forwarded, sender, outcome);
    }

    /// Writes the counters, and gauges with what they mean.
    pub fn write(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut text = String::new();
        for (name, help, counts) in [
            ("received", "Requests, by sender and how they were answered.", &self.received),
            ("forwarded", "Attempts to forward, by sender and how they ended.", &self.forwarded),
        ] {
            head(&mut text, &format!("{name}_total"), help, "counter");
            for ((sender, outcome), count) in &*counts.lock().unwrap_or_else(PoisonError::into_inner) {
                line(
                    &mut text,
                    &format!("{name}_total{{sender=\"{sender}\",outcome=\"{outcome}\"}}"),
                    *count,
                );
            }
        }
        for (name, help, value) in gauges {
            head(&mut text, name, help, "gauge");
            line(&mut text, name, *value);
        }
        text
    }
}

fn count(counts: &Mutex<Counts>, sender: &Arc<str>, outcome: &'static str) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry((Arc::clone(sender), outcome)).or_default() += 1;
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing into a text does not fail.
    let _ = writeln!(text, "# HELP countersign_relay_{name} {help}\n# TYPE countersign_relay_{name} {kind}");
}

fn line(text: &mut String, name: &str, value: u64) {
    let _ = writeln!(text, "countersign_relay_{name} {value}");
}
