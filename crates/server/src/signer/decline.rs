//! Declining.

use askama::Template;

use super::{assets::Assets, frame::Frame};

/// The page.
#[derive(Template)]
#[template(path = "signer/decline.html")]
pub struct DeclinePage {
    /// Addresses of assets.
    pub assets: Assets,
    /// The frame.
    pub frame: Frame,
    /// What was typed before it was refused.
    pub reason: String,
    /// What went wrong.
    pub error: Option<String>,
}
