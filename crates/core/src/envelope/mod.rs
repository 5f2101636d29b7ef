//! The envelope: what can be asked of it (`command`), what happened to it (`event`), what it is (`state`), and the
//! one function that decides (`decide`). Its events are the truth; everything else is their fold.

pub mod command;
pub mod decide;
pub mod encode;
pub mod event;
pub mod factor;
pub mod fields;
pub mod passkey;
pub mod state;
pub mod veil;

pub use command::{Command, Context};
pub use decide::{challenge_of_act, decide};
pub use encode::{Chain, Recorded, event_of_own};
pub use event::{Body, Event};
pub use state::State;
pub use veil::{Opening, Veiled};
