//! Tests of the rules through their public face: encoding, decisions, fields, erasure.

mod catalogue;
mod erasure;
mod golden;
mod properties;
mod refusals;
mod samples;
mod values;
mod world;
