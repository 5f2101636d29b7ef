//! Proof files: an entry's inclusion proof and the checkpoint it leads to, in one text that is verified offline
//! (C2SP tlog-proof).

use crate::checkpoint::{OpenRefusal, Opened, open_note};
use crate::hash::{Hash, leaf_hash};
use crate::note::{NoteRefusal, SignedNote};
use crate::text::{decimal, from_base64, to_base64};
use crate::verifier::{Cosignature, Verifier};
use crate::verify::{ProofRefusal, verify_inclusion};
use crate::{Checkpoint, NoteSignature};
use std::fmt;

/// First line of every proof file.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A tree of 2⁶⁴ leaves has paths of 64 hashes; longer proofs are not read.
const MAX_HASHES: usize = 64;

/// A proof file. Nothing is verified; [`ProofFile::verify`] does that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    extra: Option<Vec<u8>>,
    index: u64,
    proof: Vec<Hash>,
    checkpoint: SignedNote,
}

/// What a proof file shows once it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProof {
    /// The checkpoint that the entry is under.
    pub checkpoint: Checkpoint,
    /// Number of the entry in the log, from 0.
    pub index: u64,
    /// Valid cosignatures of known witnesses.
    pub cosignatures: Vec<Cosignature>,
    /// Signatures of keys that are not known. They say nothing.
    pub unverified: Vec<NoteSignature>,
}

/// Why bytes are not a proof file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileRefusal {
    /// Not UTF-8.
    #[error("the proof file is not valid UTF-8")]
    NotUtf8,
    /// Another first line.
    #[error("the proof file does not begin with the line {HEADER}")]
    Header,
    /// An `extra` line that is empty or not canonical base64.
    #[error("the extra line is not 'extra' and canonical base64 of at least one byte")]
    Extra,
    /// No index line, or not a decimal without leading zeros.
    #[error("the index line is not 'index' and a decimal number without leading zeros")]
    Index,
    /// A line of the proof is not a hash.
    #[error("hash {line} of the proof is not the canonical base64 of 32 bytes")]
    ProofHash {
        /// Number of the line within the proof, from 1.
        line: usize,
    },
    /// More than 64 hashes.
    #[error("the proof has more than {MAX_HASHES} hashes")]
    TooManyHashes,
    /// No empty line after the proof.
    #[error("the proof file has no empty line followed by a checkpoint")]
    NoCheckpoint,
    /// The checkpoint is not a signed note.
    #[error("the checkpoint is malformed: {0}")]
    Checkpoint(#[from] NoteRefusal),
}

impl ProofFileRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotUtf8 => "proof_file_not_utf8",
            Self::Header => "proof_file_header",
            Self::Extra => "proof_file_extra",
            Self::Index => "proof_file_index",
            Self::ProofHash { .. } => "proof_file_hash",
            Self::TooManyHashes => "proof_file_too_many_hashes",
            Self::NoCheckpoint => "proof_file_no_checkpoint",
            Self::Checkpoint(refusal) => refusal.code(),
        }
    }
}

/// What is wrong with a proof file: the first of form, checkpoint, inclusion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFailure {
    /// It cannot be read.
    #[error("the proof file is malformed: {0}")]
    Malformed(#[from] ProofFileRefusal),
    /// No known log signed its checkpoint.
    #[error("the checkpoint is not accepted: {0}")]
    Checkpoint(#[from] OpenRefusal),
    /// The entry is not in the log at that place.
    #[error("the entry is not shown to be in the log: {0}")]
    Inclusion(#[from] ProofRefusal),
}

impl ProofFailure {
    /// A stable short name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(refusal) => refusal.code(),
            Self::Checkpoint(refusal) => refusal.code(),
            Self::Inclusion(refusal) => refusal.code(),
        }
    }
}

impl ProofFile {
    /// A proof file for entry `index`. `proof` leads from the entry to the root of `checkpoint`.
    pub fn new(index: u64, proof: Vec<Hash>, checkpoint: SignedNote) -> Result<Self, ProofFileRefusal> {
        if proof.len() > MAX_HASHES {
            return Err(ProofFileRefusal::TooManyHashes);
        }
        Ok(Self { extra: None, index, proof, checkpoint })
    }

    /// The same file with opaque bytes that nothing authenticates; at least one.
    pub fn with_extra(self, extra: Vec<u8>) -> Result<Self, ProofFileRefusal> {
        if extra.is_empty() {
            return Err(ProofFileRefusal::Extra);
        }
        Ok(Self { extra: Some(extra), ..self })
    }

    /// Reads a file; what it accepts is exactly what [`ProofFile`]'s `Display` writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileRefusal> {
        let file = str::from_utf8(bytes).map_err(|_| ProofFileRefusal::NotUtf8)?;
        let (header, body) = file.split_once('\n').ok_or(ProofFileRefusal::Header)?;
        if header != HEADER {
            return Err(ProofFileRefusal::Header);
        }
        let (lines, checkpoint) = body.split_once("\n\n").ok_or(ProofFileRefusal::NoCheckpoint)?;
        let mut lines = lines.split('\n').peekable();
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            None => None,
            Some(line) => {
                let bytes =
                    line.strip_prefix("extra ").and_then(from_base64).ok_or(ProofFileRefusal::Extra)?;
                Some(bytes)
            }
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or(ProofFileRefusal::Index)?;
        let proof = (1..).zip(lines.take(MAX_HASHES + 1)).map(|(line, encoded)| {
            Hash::from_base64(encoded).map_err(|_| ProofFileRefusal::ProofHash { line })
        });
        let proof = proof.collect::<Result<Vec<Hash>, ProofFileRefusal>>()?;
        let file = Self::new(index, proof, SignedNote::parse(checkpoint.as_bytes())?)?;
        match extra {
            None => Ok(file),
            Some(extra) => file.with_extra(extra),
        }
    }

    /// Opaque bytes of the `extra` line. Nothing authenticates them.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Number of the entry in the log, from 0, as claimed.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof, from the entry's sibling up.
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The checkpoint as its log signed it.
    pub fn checkpoint(&self) -> &SignedNote {
        &self.checkpoint
    }

    /// The checkpoint, if one of the verifiers signed it: the first half of [`Self::verify`].
    pub fn open(&self, verifiers: &[Verifier]) -> Result<Opened, OpenRefusal> {
        open_note(&self.checkpoint, verifiers)
    }

    /// Shows that `entry` is under `checkpoint`, whoever signed it: the second half of [`Self::verify`].
    pub fn includes(&self, entry: &[u8], checkpoint: &Checkpoint) -> Result<(), ProofRefusal> {
        verify_inclusion(self.index, checkpoint.size(), checkpoint.root(), leaf_hash(entry), &self.proof)
    }

    /// Shows that `entry` is in the log of one of the verifiers, or names the first thing that is wrong
    /// (tlog-proof §Verifying a tlog proof). How many cosignatures are enough is for the caller to say.
    pub fn verify(&self, entry: &[u8], verifiers: &[Verifier]) -> Result<VerifiedProof, ProofFailure> {
        let Opened { checkpoint, cosignatures, unverified } = self.open(verifiers)?;
        self.includes(entry, &checkpoint)?;
        Ok(VerifiedProof { checkpoint, index: self.index, cosignatures, unverified })
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(formatter, "extra {}", to_base64(extra))?;
        }
        writeln!(formatter, "index {}", self.index)?;
        self.proof.iter().try_for_each(|hash| writeln!(formatter, "{}", hash.to_base64()))?;
        write!(formatter, "\n{}", self.checkpoint)
    }
}

/// Reads a proof file and verifies it for `entry`: [`ProofFile::parse`], then [`ProofFile::verify`].
pub fn verify_proof_file(
    file: &[u8],
    entry: &[u8],
    verifiers: &[Verifier],
) -> Result<VerifiedProof, ProofFailure> {
    ProofFile::parse(file)?.verify(entry, verifiers)
}
