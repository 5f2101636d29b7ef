//! The landing page.

use askama::Template;

use super::{assets::Assets, notice::Notice};

/// The page: the same bytes for every envelope, known or not (E-8).
#[derive(Template)]
#[template(path = "signer/landing.html")]
pub struct LandingPage {
    /// Addresses of assets.
    pub assets: Assets,
    /// Every notice, hidden until the script shows one.
    pub notices: &'static [Notice],
}
