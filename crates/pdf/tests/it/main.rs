//! Integration tests of the PDF crate.
