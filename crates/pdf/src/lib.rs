//! PDF for signing: inspect a hostile upload, place values on it, certify what happened, seal it as one
//! incremental update (PAdES), and verify the result strictly.

pub mod certify;
pub mod font;
mod file;
pub mod geometry;
pub mod inspect;
pub mod objects;
pub mod place;
pub mod seal;
pub mod verify;
