//! Evidence that anyone can check without us: the evidence package, the trail inside each sealed PDF, and the checks
//! of both. Pure: no clock, no randomness, no network, no files.

mod archive;
mod check;
mod json;
mod line;
pub mod package;
mod passkey;
mod readme;
pub mod report;
pub mod system;
pub mod trail;

pub use check::{verify_package, verify_sealed_pdf};
pub use countersign_tlog::Verifier;
pub use line::LoggedEvent;
pub use package::{ConsentFile, Package, PackageDocument, PackageRefusal};
pub use passkey::PurePasskeys;
pub use report::{Check, Item, Outcome, Report, Verdict};
pub use system::System;
pub use trail::{Subject, Trail};
