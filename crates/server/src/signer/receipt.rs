//! The receipt.

use askama::Template;

use super::{assets::Assets, frame::Frame};

/// A moment, for machines and for people.
pub struct Moment {
    /// ISO 8601.
    pub machine: String,
    /// In words, UTC.
    pub people: String,
}

/// A document on the receipt.
pub struct ReceiptDocument {
    /// Its name.
    pub name: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Where its bytes are posted from.
    pub action: String,
}

/// The page.
#[derive(Template)]
#[template(path = "signer/receipt.html")]
pub struct ReceiptPage {
    /// Addresses of assets.
    pub assets: Assets,
    /// The frame.
    pub frame: Frame,
    /// Status of the envelope, for programs that read the page.
    pub state: &'static str,
    /// Heading.
    pub heading: String,
    /// What happened and what comes.
    pub text: String,
    /// What the recipient did: `Signed`, `Approved`, `Confirmed`.
    pub acted_name: &'static str,
    /// When.
    pub acted_at: Option<Moment>,
    /// How the recipient was identified.
    pub identified: &'static str,
    /// When the documents were sealed.
    pub sealed_at: Option<Moment>,
    /// Documents.
    pub documents: Vec<ReceiptDocument>,
    /// Last words.
    pub closing: &'static str,
}
