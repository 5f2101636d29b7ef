//! Keys: the root key in a file, what it wraps, and what that wraps (D-2). A person's values go under the person's
//! key, a document under its own; both are wrapped by the organization's key, which the root key wraps.

mod jose;
mod pkcs11;
mod root;
pub(crate) mod secret_file;
mod server;
mod software;
mod wrapping;

pub use jose::{Signatures, SigningKey};
pub use pkcs11::TokenKey;
pub use root::RootKey;
pub(crate) use server::{Making, blob_folder, log_name};
pub use server::{SealingKey, ServerKeys, SharedSealKey};
pub use wrapping::{Binding, WrappingKey};
