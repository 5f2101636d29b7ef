//! An append-only Merkle log as C2SP writes it (tlog-tiles, tlog-checkpoint, signed-note, tlog-proof, with
//! RFC 6962 hashing): grow it tile by tile, prove and verify inclusion and consistency, sign and open checkpoints.
//!
//! The crate is pure: it reads no clock, no randomness and no file. Callers load the tiles that a function
//! names (`…_tiles`, `Edge::tiles`) into a [`TileSet`] and hand it back. What comes out of tiles is only as
//! good as the tiles; [`verify_inclusion`] and [`verify_consistency`] against a signed root decide.

mod checkpoint;
mod edge;
mod entries;
mod hash;
mod note;
mod proof_file;
mod prove;
mod text;
mod tile;
mod verifier;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointRefusal, OpenRefusal, Opened, open, sign_checkpoint};
pub use edge::{Edge, EdgeRefusal, Growth};
pub use entries::{EntriesId, EntriesRefusal, bundles_between, decode_entries, encode_entries};
pub use hash::{EMPTY_ROOT, HASH_BYTES, Hash, HashRefusal, leaf_hash, node_hash, root_of};
pub use note::{MAX_NOTE_BYTES, MAX_SIGNATURES, NoteRefusal, NoteSignature, SignedNote};
pub use proof_file::{ProofFailure, ProofFile, ProofFileRefusal, VerifiedProof, verify_proof_file};
pub use prove::{
    ProveRefusal, consistency_proof, consistency_tiles, inclusion_proof, inclusion_tiles, root, root_tiles,
};
pub use tile::{PathRefusal, TILE_WIDTH, TileId, TileRefusal, TileSet};
pub use verifier::{Cosignature, KeyKind, KeyRefusal, LogSigner, Verifier};
pub use verify::{ProofRefusal, verify_consistency, verify_inclusion};
