//! The reader, the review and the act.

use askama::Template;

use super::{assets::Assets, frame::Frame};

/// The page.
#[derive(Template)]
#[template(path = "signer/sign.html")]
pub struct SignPage {
    /// Addresses of assets.
    pub assets: Assets,
    /// The frame.
    pub frame: Frame,
    /// What the scripts need, as JSON.
    pub ceremony: String,
    /// Text of the one button.
    pub label: String,
    /// Version of the consent text agreed to.
    pub consent_version: String,
    /// Whether a signature is adopted.
    pub signs: bool,
}
