//! The mailed code.

use askama::Template;

use super::{assets::Assets, frame::Frame};

/// The page.
#[derive(Template)]
#[template(path = "signer/code.html")]
pub struct CodePage {
    /// Addresses of assets.
    pub assets: Assets,
    /// The frame.
    pub frame: Frame,
    /// Masked address.
    pub email: String,
    /// Minutes that the newest code is still valid, rounded up; `None` if there is no such code.
    pub minutes_left: Option<i64>,
    /// Tries left.
    pub tries_left: u32,
    /// What went wrong.
    pub error: Option<String>,
}
