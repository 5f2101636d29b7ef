"""Judges a log's files with the PyPI package aics-tlog, or cosigns its checkpoint as a witness.

    aics_tlog_judge.py judge DIRECTORY VKEY
    aics_tlog_judge.py cosign DIRECTORY TIMESTAMP

See mod.rs for the directory. Prints "accepted: …" or "refused: …"; a refusal exits with 1.
"""

import base64
import sys
from pathlib import Path

import aics_tlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HEADER = b"c2sp.org/tlog-proof@v1\n"


class Refused(Exception):
    """The log, or something shown about it, is not what it claims to be."""


def require(condition, sentence):
    if not condition:
        raise Refused(sentence)


def read_checkpoint(content, key):
    result = aics_tlog.verify_checkpoint(aics_tlog.parse_note(content), key, expected_origin=key.name)
    require(result.ok, f"checkpoint: {result.error}")
    return result


def hash_lines(lines):
    return [base64.b64decode(line, validate=True) for line in lines]


def judge_proof(path, key, reader):
    content = path.read_bytes()
    require(content.startswith(HEADER), f"{path.name} has another header")
    head, _, checkpoint = content.removeprefix(HEADER).partition(b"\n\n")
    lines = [line for line in head.decode().split("\n") if not line.startswith("extra ")]
    index = int(lines[0].removeprefix("index "))
    proof = hash_lines(lines[1:])
    signed = read_checkpoint(checkpoint, key)
    entry = reader.entry(index)
    own = aics_tlog.inclusion_proof_from_tiles(reader, index, reader.size)
    require(signed.size != reader.size or proof == own, f"{path.name} differs from the proof in the tiles")
    require(
        aics_tlog.verify_leaf_inclusion(entry, index, signed.size, proof, signed.root),
        f"{path.name} does not show the entry",
    )


def judge_history(path, key, reader, directory):
    old = read_checkpoint(path.read_bytes(), key)
    require(str(old.size) == path.name, f"history/{path.name} is a checkpoint of another size")
    require(old.size <= reader.size, f"truncated: {old.size} entries were signed before, {reader.size} are left")
    proofs = [aics_tlog.consistency_proof_from_tiles(reader, old.size, reader.size)]
    shown = directory / "consistency" / path.name
    if shown.exists():
        proofs.append(hash_lines(shown.read_text().splitlines()))
    for proof in proofs:
        require(
            aics_tlog.verify_consistency(old.size, reader.size, old.root, reader.root, proof),
            f"forked: the log is not a continuation of its checkpoint of size {old.size}",
        )
    return len(proofs) - 1


def judge(directory, vkey):
    key = aics_tlog.parse_vkey(vkey)
    newest = read_checkpoint((directory / "checkpoint").read_bytes(), key)
    files = aics_tlog.FileSystemTileReader(directory)
    audit = aics_tlog.audit_tiles(files, newest.size, newest.root)
    reader = aics_tlog.VerifiedTileReader(files, newest.size, newest.root)
    proofs = sorted(directory.glob("proofs/*.tlog-proof"))
    for path in proofs:
        judge_proof(path, key, reader)
    history = sorted(directory.glob("history/*"))
    consistency = sum(judge_history(path, key, reader, directory) for path in history)
    return (
        f"size {newest.size}, {audit.tiles} tiles, {audit.bundles} bundles, "
        f"{len(proofs)} proofs, {len(history)} older checkpoints, {consistency} consistency proofs"
    )


def cosign(directory, timestamp):
    path = directory / "checkpoint"
    note = aics_tlog.parse_note(path.read_bytes())
    checkpoint = aics_tlog.parse_checkpoint(note.text)
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    name = "witness.example/w1"
    _, line = aics_tlog.sign_cosignature(
        key, name, timestamp, checkpoint.origin, checkpoint.size, checkpoint.root
    )
    path.write_bytes(aics_tlog.Note(text=note.text, signatures=(*note.signatures, line)).to_bytes())
    return aics_tlog.format_vkey(aics_tlog.cosignature_vkey(name, key.public_key()))


def main():
    command, directory, argument = sys.argv[1:]
    try:
        run = {"judge": lambda: judge(Path(directory), argument), "cosign": lambda: cosign(Path(directory), int(argument))}
        print("accepted:", run[command]())
    except (Refused, ValueError, OSError) as refusal:
        print("refused:", refusal)
        sys.exit(1)


main()
