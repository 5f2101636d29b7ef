//! Rules of webhooks (W-1 to W-9): what an endpoint may be, see and show, what a message holds and when it goes out again, when an
//! endpoint is warned and disabled, how its keys rotate, and what a receiver must refuse before it is trusted.

pub mod again;
pub mod catalogue;
pub mod channel;
pub mod class;
pub mod concurrency;
pub mod containment;
pub mod endpoint;
pub mod health;
pub mod message;
pub mod oauth;
pub mod payload;
pub mod pin;
pub mod proof;
pub mod release;
pub mod rotation;
pub mod schedule;
pub mod slots;
pub mod standing;
