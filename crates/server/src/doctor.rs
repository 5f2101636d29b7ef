//! `countersign doctor`.
