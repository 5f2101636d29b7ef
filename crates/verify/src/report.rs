//! What was checked and what came out: items in a fixed order, so that the first failure names the first thing wrong.

use std::fmt::Write as _;

use countersign_core::access::Environment;
use serde::Serialize;

macro_rules! checks {
    ($($name:ident = $id:literal, $title:literal;)*) => {
        /// Every check, in the order of reports. Ids are never renamed or given another meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = $title] $name,)*
        }

        impl Check {
            /// All checks, for the docs and their test.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable id.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// What the check shows when it passes.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

checks! {
    Archive = "archive", "The archive is whole and in the one form of this format";
    Files = "files", "It holds exactly the files that the events call for, in order";
    Manifest = "manifest", "The manifest names each file with its size and SHA-256";
    Seal = "seal", "The seal is intact, covers the whole file, and nothing was added after it";
    Trail = "trail", "The sealed PDF carries its trail in the one form of this format";
    Events = "events", "Every event can be read and is in canonical form";
    Chain = "chain", "Every event holds the hash of the one before it";
    Openings = "openings", "Every disclosed personal value is the one that was committed to";
    Disclosed = "disclosed", "Every personal value is disclosed";
    Checkpoint = "checkpoint", "The checkpoint is signed by a pinned key of the log";
    Inclusion = "inclusion", "The last event, and through the chain all before it, is in the log";
    Positions = "positions", "The events state their places in the log as far as these are vouched for, in order";
    Acts = "acts", "Each signature is bound to documents, values, consent and button as they were shown";
    Legal = "legal", "Every event could follow from the ones before it by the rules of envelopes";
    Ended = "ended", "The envelope went as far as this evidence claims";
    Consent = "consent", "The consent texts are those that were agreed to";
    Original = "original", "The original is the one that was uploaded";
    SealedFile = "sealed_file", "The sealed PDF is the one that the events name";
    SealCertificate = "seal_certificate", "The seal was made with the certificate that the events name, which could seal then";
    SealTime = "seal_time", "The seal bears the time at which the events began it";
    Prefix = "prefix", "The sealed PDF begins with the original, byte for byte, which has the pages that the events say";
    TrailSubject = "trail_subject", "The trail speaks of this file and this system";
    TrailEvents = "trail_events", "The trail's events are those of the package, up to the seal";
    TrailInclusion = "trail_inclusion", "The trail's own proof shows its last event in the log";
    TrailCheckpoint = "trail_checkpoint", "The trail's checkpoint is signed by a pinned key of the log";
    Growth = "growth", "The log was not smaller at export than at sealing";
    System = "system", "The system description is in form and names the log of the checkpoint";
    Readme = "readme", "The README is the one that belongs to these events";
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// It could not be checked; the sentence says why.
    NotChecked,
}

/// One check of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What was checked.
    pub check: Check,
    /// The file that it was checked on, where there are several of the kind.
    pub file: Option<String>,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found, in words.
    pub sentence: String,
}

impl Item {
    fn file_text(&self) -> String {
        self.file.as_ref().map(|file| format!(" ({})", one_line(file))).unwrap_or_default()
    }
}

/// Text from the evidence without what could steer a terminal, break the line or turn its direction.
fn one_line(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The whole in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything was checked and holds, and the envelope is a live one.
    Genuine,
    /// Everything was checked and holds, but the envelope is a sandbox's: a test that binds nobody.
    GenuineSandbox,
    /// Something does not hold.
    Failed,
    /// What was checked holds, but not everything was checked.
    Incomplete,
}

/// What was checked, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The envelope, once its events could be read.
    pub envelope: Option<String>,
    /// Sandbox or live, once its first event could be read.
    pub environment: Option<Environment>,
    /// What the events say in words: who sent, who acted, how each was identified.
    pub account: Vec<String>,
    /// The checks, in the order of [`Check`].
    pub items: Vec<Item>,
}

#[derive(Serialize)]
struct JsonItem<'a> {
    id: &'static str,
    title: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    outcome: Outcome,
    sentence: &'a str,
}

#[derive(Serialize)]
struct JsonReport<'a> {
    format: &'static str,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<&'static str>,
    account: &'a [String],
    items: Vec<JsonItem<'a>>,
}

impl Report {
    /// The first thing that is wrong.
    pub fn first_failure(&self) -> Option<&Item> {
        self.items.iter().find(|item| item.outcome == Outcome::Failed)
    }

    /// The whole in one word.
    pub fn verdict(&self) -> Verdict {
        if self.first_failure().is_some() {
            return Verdict::Failed;
        }
        let all_passed = self.items.iter().all(|item| item.outcome == Outcome::Passed);
        match self.environment.filter(|_| all_passed) {
            Some(Environment::Live) => Verdict::Genuine,
            Some(Environment::Sandbox) => Verdict::GenuineSandbox,
            None => Verdict::Incomplete,
        }
    }

    /// For people. What the evidence itself says stands on lines of its own and cannot write others.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            let word = match item.outcome {
                Outcome::Passed => "passed     ",
                Outcome::Failed => "FAILED     ",
                Outcome::NotChecked => "not checked",
            };
            // Writing to a string cannot fail.
            let _ =
                writeln!(text, "{word}  {:<16} {}{}", item.check.id(), item.check.title(), item.file_text());
            if item.outcome != Outcome::Passed {
                let _ = writeln!(text, "             {}", one_line(&item.sentence));
            }
        }
        if !self.account.is_empty() {
            text.push_str("\nWhat the record says\n");
        }
        for line in &self.account {
            let _ = writeln!(text, "  {}", one_line(line));
        }
        let _ = writeln!(text, "\n{}", self.verdict_line());
        text
    }

    fn verdict_line(&self) -> String {
        let envelope = self.envelope.as_deref().unwrap_or("unknown envelope");
        match (self.verdict(), self.first_failure()) {
            (Verdict::Genuine, _) => format!("GENUINE: {envelope}. Everything was checked and holds."),
            (Verdict::GenuineSandbox, _) => format!(
                "GENUINE BUT A SANDBOX TEST: it binds nobody. {envelope}. Everything was checked and holds."
            ),
            (_, Some(item)) => {
                let (id, file, sentence) = (item.check.id(), item.file_text(), one_line(&item.sentence));
                format!("NOT GENUINE: {envelope}. First failure: {id}{file}. {sentence}")
            }
            _ => {
                let sandbox = match self.environment {
                    Some(Environment::Sandbox) => " It is a sandbox test and binds nobody.",
                    _ => "",
                };
                format!(
                    "NOT FULLY CHECKED: {envelope}. What was checked holds; see above for what was not.{sandbox}"
                )
            }
        }
    }

    /// For programs.
    pub fn to_json(&self) -> String {
        let items = self.items.iter().map(|item| JsonItem {
            id: item.check.id(),
            title: item.check.title(),
            file: item.file.as_deref(),
            outcome: item.outcome,
            sentence: &item.sentence,
        });
        let report = JsonReport {
            format: "countersign-report/1",
            verdict: self.verdict(),
            envelope: self.envelope.as_deref(),
            environment: self.environment,
            first_failure: self.first_failure().map(|item| item.check.id()),
            account: &self.account,
            items: items.collect(),
        };
        serde_json::to_string_pretty(&report).unwrap_or_default()
    }
}
