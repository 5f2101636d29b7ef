//! The disclosure and the agreement to it.

use askama::Template;

use super::{assets::Assets, frame::Frame};

/// Version of the text.
pub const VERSION: &str = "en-v1";
/// The text.
pub const TEXT: &str = include_str!("../../consent/en-v1.txt");

/// A heading or a paragraph of the text.
pub struct Part {
    /// Whether it is a heading: those do not end with a full stop.
    pub is_heading: bool,
    /// Its words.
    pub text: &'static str,
}

/// The text in parts.
pub fn parts() -> Vec<Part> {
    TEXT.split("\n\n")
        .map(|part| Part { is_heading: !part.trim_end().ends_with('.'), text: part.trim_end() })
        .collect()
}

/// The page.
#[derive(Template)]
#[template(path = "signer/consent.html")]
pub struct ConsentPage {
    /// Addresses of assets.
    pub assets: Assets,
    /// The frame.
    pub frame: Frame,
    /// The text in parts.
    pub parts: Vec<Part>,
    /// Its version.
    pub version: &'static str,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// What went wrong.
    pub error: Option<String>,
}
