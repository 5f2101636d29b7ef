//! The Merkle log's part: the proof of the last event and the checkpoint that it leads to.

use countersign_tlog::{Checkpoint, ProofFile, Verifier, leaf_hash, open, verify_inclusion};

use super::{Checked, Checks, Finding, stream::leaf};
use crate::{line::LoggedEvent, report::Check};

/// Which checks a proof file answers, and where it stands.
pub(super) struct Place<'a> {
    pub(super) inclusion: Check,
    pub(super) checkpoint: Check,
    pub(super) file: Option<&'a str>,
}

/// Checks a proof file for the last of `events`; gives the checkpoint as read, signed or not.
pub(super) fn check(
    checks: &mut Checks,
    place: &Place<'_>,
    proof: &[u8],
    events: &[LoggedEvent],
    keys: &[Verifier],
) -> Option<Checkpoint> {
    let read = ProofFile::parse(proof).map_err(|refusal| format!("the proof file cannot be read: {refusal}"));
    let proof = match read {
        Ok(proof) => proof,
        Err(reason) => {
            checks.record(place.inclusion, place.file, Err(Finding::Failed(reason)));
            return None;
        }
    };
    checks.record(place.checkpoint, place.file, signature(&proof, keys));
    let checkpoint = proof.checkpoint().text().parse::<Checkpoint>();
    let included = match (&checkpoint, events.last()) {
        (Err(refusal), _) => Err(Finding::Failed(format!("the checkpoint cannot be read: {refusal}"))),
        (_, None) => Err(Finding::failed("there are no events")),
        (Ok(checkpoint), Some(last)) => inclusion(&proof, checkpoint, last),
    };
    checks.record(place.inclusion, place.file, included);
    checkpoint.ok()
}

fn signature(proof: &ProofFile, keys: &[Verifier]) -> Checked {
    if keys.is_empty() {
        let sentence = "no key of the log was given (--key), so anyone could have signed this checkpoint";
        return Err(Finding::NotChecked(sentence.to_owned()));
    }
    let opened = open(proof.checkpoint().to_string().as_bytes(), keys)
        .map_err(|refusal| format!("the checkpoint is not accepted: {refusal}"))?;
    let (checkpoint, unknown) = (opened.checkpoint, opened.unverified.len());
    Ok(format!(
        "{} with {} leaves; {unknown} signatures of unknown keys say nothing",
        checkpoint.origin(),
        checkpoint.size()
    ))
}

fn inclusion(proof: &ProofFile, checkpoint: &Checkpoint, last: &LoggedEvent) -> Checked {
    if proof.extra().is_some() {
        return Err(Finding::failed("the proof file has an extra line, which nothing vouches for"));
    }
    if proof.index() != last.log_index {
        return Err(Finding::failed(format!(
            "the proof is of leaf {}, the last event says leaf {}",
            proof.index(),
            last.log_index
        )));
    }
    let hash = leaf_hash(&leaf(last));
    verify_inclusion(proof.index(), checkpoint.size(), checkpoint.root(), hash, proof.proof())
        .map_err(|refusal| format!("the last event is not shown to be in the log: {refusal}"))?;
    Ok(format!("event {} is leaf {} of {}", last.recorded.event.seq, proof.index(), checkpoint.size()))
}
