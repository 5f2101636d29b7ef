//! Integration tests of the PDF crate.

mod corpus;
mod documented;
mod mutations;
mod prefix;
mod refusals;
mod shapes;
mod support;
mod survival;
