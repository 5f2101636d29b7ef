//! Blobs: named bytes on disk, already encrypted by the application. Written to a temporary name, synced, renamed.

mod disk;

use async_trait::async_trait;

pub use disk::DiskBlobs;

use crate::fault::Fault;

/// Named bytes that are written once.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Writes a blob durably. A blob of that name with the same bytes is left alone; with others it is a
    /// contradiction.
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Fault>;

    /// Reads a blob; `None` if there is none.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Fault>;

    /// All names, in order, for `doctor`.
    async fn names(&self) -> Result<Vec<String>, Fault>;

    /// Ends with an error when nothing can be written.
    async fn ping(&self) -> Result<(), Fault>;
}
