//! Tests of the whole server through HTTPS, in one binary.

mod app;
mod lifecycle;
