//! The Merkle log's part: the proof of the last event and the checkpoint that it leads to.

use countersign_core::envelope::encode;
use countersign_tlog::{Checkpoint, ProofFile, Verifier};

use super::{Checked, Checks, Finding, account::quoted};
use crate::{line::Followed, report::Check};

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
    events: &[Followed],
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
    let opened = proof.open(keys).map_err(|refusal| {
        let signers = proof.checkpoint().signatures().iter().map(|by| key_text(by.name(), by.key_id()));
        let given = keys.iter().map(|key| key_text(key.name(), key.key_id()));
        format!(
            "the checkpoint is not accepted: {refusal}; it is signed by {}, and the keys given are {}",
            signers.collect::<Vec<_>>().join(", "),
            given.collect::<Vec<_>>().join(", ")
        )
    })?;
    let (checkpoint, unknown) = (opened.checkpoint, opened.unverified.len());
    Ok(format!(
        "{} with {} leaves; {unknown} signatures of unknown keys say nothing",
        checkpoint.origin(),
        checkpoint.size()
    ))
}

/// A key as a verifier key begins, name and id (C2SP signed-note); the name may be anybody's.
fn key_text(name: &str, id: u32) -> String {
    format!("{}+{id:08x}", quoted(name))
}

fn inclusion(proof: &ProofFile, checkpoint: &Checkpoint, last: &Followed) -> Checked {
    if proof.extra().is_some() {
        return Err(Finding::failed("the proof file has an extra line, which nothing vouches for"));
    }
    let leaf = last.leaf.ok_or_else(|| Finding::failed("the last event states no place in the log"))?;
    if proof.index() != leaf.index {
        return Err(Finding::failed(format!(
            "the proof is of leaf {}, the last event says leaf {}",
            proof.index(),
            leaf.index
        )));
    }
    proof
        .includes(&encode::leaf(&leaf.id, &last.recorded.hash), checkpoint)
        .map_err(|refusal| format!("the last event is not shown to be in the log: {refusal}"))?;
    Ok(format!("event {} is leaf {} of {}", last.recorded.event.seq, proof.index(), checkpoint.size()))
}
