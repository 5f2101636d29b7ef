//! Integration tests of the PDF crate.

mod certify;
mod drawing;
mod font;
mod place;
mod sample;
