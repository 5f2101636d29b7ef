//! QR codes as an SVG path of our own drawing: pages draw it without a picture from elsewhere, or a style in the markup.

use qrcodegen::{QrCode, QrCodeEcc};

use crate::fault::Fault;

/// Modules that stay light around the code (ISO/IEC 18004 §9.1).
const QUIET: i32 = 4;

/// A code to draw.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// Width and height of the drawing, in modules.
    pub size: i32,
    /// The dark modules, as the `d` of an SVG path.
    pub path: String,
}

/// Draws a text.
pub fn draw(text: &str) -> Result<Drawing, Fault> {
    use std::fmt::Write as _;
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)
        .map_err(|error| Fault::Task(format!("a QR code: {error}")))?;
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let from = x;
            while x < code.size() && code.get_module(x, y) {
                x += 1;
            }
            if x > from {
                // Writing to a string does not fail.
                let _ = write!(path, "M{},{}h{}v1h-{}z", from + QUIET, y + QUIET, x - from, x - from);
            }
            x += 1;
        }
    }
    Ok(Drawing { size: code.size() + 2 * QUIET, path })
}
