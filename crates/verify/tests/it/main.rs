//! Tests of evidence packages, sealed PDFs and the program that checks them.

mod arbitrary;
mod files;
mod golden;
mod judges;
mod mutations;
mod operator;
mod program;
mod story;
mod untouched;
