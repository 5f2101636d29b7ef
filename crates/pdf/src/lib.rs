//! PDF for signing: inspect a hostile upload, place values on it, certify what happened, seal it as one
//! incremental update (PAdES), and verify the result strictly.

pub mod certify;
mod file;
pub mod font;
pub mod geometry;
pub mod inspect;
pub mod objects;
pub mod place;
pub mod seal;
pub mod verify;
