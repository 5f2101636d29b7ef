//! The pages that recipients see: from the link in a mail to the receipt.

pub mod assets;
pub mod code;
pub mod consent;
pub mod decline;
pub mod frame;
pub mod landing;
pub mod notice;
pub mod receipt;
pub mod sign;
