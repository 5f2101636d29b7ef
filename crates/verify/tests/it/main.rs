//! Tests of evidence packages, sealed PDFs and the program that checks them.

mod files;
mod story;
mod untouched;
