//! The checks of a package and of a sealed PDF alone, and what they have in common.

mod account;
mod acts;
mod log;
mod package;
mod replay;
mod seal;
mod sealed;
mod stream;

pub use package::verify_package;
pub use sealed::verify_sealed_pdf;

use countersign_core::envelope::Body;

use crate::{
    line::Followed,
    report::{Check, Item, Outcome, Report},
};

/// Why a check did not pass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It does not hold.
    Failed(String),
    /// It could not be checked.
    NotChecked(String),
}

impl Finding {
    fn failed(sentence: impl Into<String>) -> Self {
        Self::Failed(sentence.into())
    }
}

impl From<String> for Finding {
    fn from(sentence: String) -> Self {
        Self::Failed(sentence)
    }
}

/// A check's result: what was found in words, or why it did not pass.
pub(crate) type Checked = Result<String, Finding>;

/// A report in the making.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    report: Report,
}

impl Checks {
    /// Tells what the events say of the envelope, checked or not.
    fn tell(&mut self, events: &[Followed]) {
        let Some(first) = events.first().map(|first| &first.recorded.event) else { return };
        self.report.envelope = Some(first.envelope.to_string());
        if let Body::Created { environment, .. } = &first.body {
            self.report.environment = Some(*environment);
        }
        self.report.account = account::of(events);
    }

    fn record(&mut self, check: Check, file: Option<&str>, checked: Checked) {
        let (outcome, sentence) = match checked {
            Ok(sentence) => (Outcome::Passed, sentence),
            Err(Finding::Failed(sentence)) => (Outcome::Failed, sentence),
            Err(Finding::NotChecked(sentence)) => (Outcome::NotChecked, sentence),
        };
        self.report.items.push(Item { check, file: file.map(str::to_owned), outcome, sentence });
    }

    /// The report in the order of [`Check`]; those of `all` that nothing was recorded for are not checked.
    fn finish(mut self, all: &[Check]) -> Report {
        for check in all {
            if !self.report.items.iter().any(|item| item.check == *check) {
                let sentence = "not checked, because something that it builds on failed".to_owned();
                self.record(*check, None, Err(Finding::NotChecked(sentence)));
            }
        }
        self.report.items.sort_by_key(|item| item.check);
        self.report
    }
}

/// Passes with `sentence` if `holds`, else fails with `otherwise`.
fn ensure(holds: bool, sentence: impl Into<String>, otherwise: impl Into<String>) -> Checked {
    if holds { Ok(sentence.into()) } else { Err(Finding::failed(otherwise)) }
}
