//! The signing pages in a real browser: mouse, keyboard, 320 px, no policy violation, no console error, axe clean.

mod ceremony;
pub(crate) mod driver;
mod guards;
mod once;
mod scene;
mod seen;
mod whole;
