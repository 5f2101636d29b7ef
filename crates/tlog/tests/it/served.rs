//! A log served as files, in the layout that the server gives under `/log/`, grown through the public interface.

use crate::judges::JudgeInput;
use countersign_tlog::{
    Checkpoint, Edge, Hash, LogSigner, ProofFile, SignedNote, TileId, TileSet, bundles_between,
    consistency_proof, consistency_tiles, encode_entries, inclusion_proof, inclusion_tiles, leaf_hash, root,
    root_tiles, sign_checkpoint,
};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The name of every log in these tests.
pub(crate) const ORIGIN: &str = "sign.example/log";

/// A log with everything its server knows.
pub(crate) struct Log {
    pub(crate) directory: TempDir,
    pub(crate) signer: LogSigner,
    pub(crate) entries: Vec<Vec<u8>>,
    size: u64,
    root: Hash,
}

/// What a leaf of the product looks like: a random id and an event hash, here both derived from a number.
pub(crate) fn entry(number: u64) -> Vec<u8> {
    let id = leaf_hash(&number.to_be_bytes());
    let event = leaf_hash(id.as_bytes());
    [&id.as_bytes()[..16], event.as_bytes()].concat()
}

/// The entries with these numbers.
pub(crate) fn entries(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    numbers.map(entry).collect()
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            signer: LogSigner::from_seed(ORIGIN, &[7; 32]).unwrap(),
            entries: Vec::new(),
            size: 0,
            root: countersign_tlog::EMPTY_ROOT,
        }
    }

    /// A log that published a checkpoint at each of these sizes.
    pub(crate) fn with_sizes(sizes: &[u64]) -> Self {
        let mut log = Self::new();
        for size in sizes {
            log.append(entries(log.size..*size));
        }
        log
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn vkey(&self) -> String {
        self.signer.verifier().to_string()
    }

    pub(crate) fn judge_input(&self) -> JudgeInput<'_> {
        JudgeInput { directory: self.path(), vkey: self.vkey() }
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Reads the named tiles from the files.
    pub(crate) fn load(&self, tiles: Vec<TileId>) -> TileSet {
        let mut set = TileSet::new();
        for tile in tiles {
            set.insert(tile, fs::read(self.path().join(tile.path())).unwrap()).unwrap();
        }
        set
    }

    /// Grows from the files alone, then publishes tiles, bundles, checkpoint.
    pub(crate) fn append(&mut self, entries: Vec<Vec<u8>>) {
        let mut edge = Edge::load(self.size, self.root, &self.load(Edge::tiles(self.size))).unwrap();
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let growth = edge.append(&leaves).unwrap();
        self.entries.extend(entries);
        for (tile, content) in &growth.tiles {
            self.write(&tile.path(), content);
        }
        for bundle in bundles_between(self.size, growth.size) {
            let first = usize::try_from(bundle.index()).unwrap() * 256;
            let entries = &self.entries[first..first + usize::from(bundle.width())];
            self.write(&bundle.path(), &encode_entries(entries).unwrap());
        }
        (self.size, self.root) = (growth.size, growth.root);
        assert_eq!(root(&self.load(root_tiles(self.size)), self.size), Ok(self.root));
        let note = self.sign(self.size, self.root).to_string();
        self.write("checkpoint", note.as_bytes());
        self.write(&format!("history/{}", self.size), note.as_bytes());
    }

    pub(crate) fn sign(&self, size: u64, root: Hash) -> SignedNote {
        sign_checkpoint(&Checkpoint::new(ORIGIN, size, root).unwrap(), &self.signer).unwrap()
    }

    /// The proof file of an entry under the newest checkpoint.
    pub(crate) fn prove(&self, index: u64) -> ProofFile {
        let tiles = self.load(inclusion_tiles(index, self.size).unwrap());
        let proof = inclusion_proof(&tiles, index, self.size).unwrap();
        ProofFile::new(index, proof, self.sign(self.size, self.root)).unwrap()
    }

    /// Publishes proof files for judges: `proofs/<index>.tlog-proof`.
    pub(crate) fn write_proofs(&self, indexes: impl IntoIterator<Item = u64>) {
        for index in indexes {
            self.write(&format!("proofs/{index}.tlog-proof"), self.prove(index).to_string().as_bytes());
        }
    }

    /// Publishes a consistency proof for judges: `consistency/<old>`, a base64 hash a line.
    pub(crate) fn write_consistency(&self, old_size: u64) {
        let tiles = self.load(consistency_tiles(old_size, self.size).unwrap());
        let proof = consistency_proof(&tiles, old_size, self.size).unwrap();
        let lines: String = proof.iter().map(|hash| hash.to_base64() + "\n").collect();
        self.write(&format!("consistency/{old_size}"), lines.as_bytes());
    }
}
