"""Verifications in a second, of messages with 1 KB, for each scheme, in one thread, and what one costs of
CPU. Usage: PYTHONPATH=src:tests python bench.py [seconds]"""

import base64
import hashlib
import sys
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from countersign_webhooks import Key, StaticKeys, VerifyOptions, WebhookRequest, jwk_set, verify
from samples import ATTEMPT_ID, FILE, ID, KEY, KEY_ID, NOW_S, headers

BODY = b'{"type":"envelope.sent","timestamp":"2026-11-22T10:20:30.456Z","data":{"filler":"' + b"x" * 940 + b'"}}'
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)


class Forgetful:
    """A store that costs nothing and remembers nothing."""

    def take(self, attempt):
        return "new"

    def acted(self, id, now_s, keep_until_s):
        pass


def private_key(algorithm):
    """A key of this algorithm, and its id."""
    member = {"ed25519": "ed25519_seed", "ecdsa-p256-sha256": "ecdsa_pkcs8", "rsa-pss-sha512": "rsa_pkcs8"}[algorithm]
    id = next(id for id, key in FILE["keys"].items() if member in key["private_for_tests"])
    material = base64.b64decode(FILE["keys"][id]["private_for_tests"][member])
    if algorithm == "ed25519":
        return id, ed25519.Ed25519PrivateKey.from_private_bytes(material)
    return id, serialization.load_der_private_key(material, None)


def sign(key, algorithm, base):
    if algorithm == "ed25519":
        return key.sign(base)
    if algorithm == "rsa-pss-sha512":
        return key.sign(base, PSS, hashes.SHA512())
    r, s = decode_dss_signature(key.sign(base, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def message(**changes):
    given = {**headers(body=BODY), **changes}
    return WebhookRequest(given, BODY, "POST", "https://receiver.example/hooks")


def with_public_key():
    _, key = private_key("ed25519")
    signature = key.sign(f"{ID}.{NOW_S}.".encode() + BODY)
    return message(**{"Webhook-Signature": "v1a," + base64.b64encode(signature).decode()})


def with_http_signature(algorithm):
    id, key = private_key(algorithm)
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    more = {
        "Webhook-Key-Id": id,
        "Content-Digest": f"sha-256=:{digest}:",
        "Webhook-Event-Class": "envelope",
        "Correlation-Id": "cor",
    }
    plain = {name.lower(): value for name, value in {**headers(body=BODY), **more}.items()}
    del plain["webhook-signature"]
    values = {"@method": "POST", "@authority": "receiver.example", "@path": "/hooks", "@query": "?", **plain}
    listed = " ".join(f'"{name}"' for name in values)
    listed = f'({listed});created={NOW_S};keyid="{id}";alg="{algorithm}";nonce="{ATTEMPT_ID}";tag="countersign-webhook"'
    base = "\n".join([*(f'"{name}": {value}' for name, value in values.items()), f'"@signature-params": {listed}'])
    signature = base64.b64encode(sign(key, algorithm, base.encode())).decode()
    return message(**more, **{"Signature-Input": f"countersign={listed}", "Signature": f"countersign=:{signature}:"})


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    cases = [
        ("v1", message(), StaticKeys([Key(KEY_ID, secret=KEY["secret"])]), "message"),
        ("v1a", with_public_key(), StaticKeys([Key(KEY_ID, public=KEY["public"])]), "message"),
    ]
    for algorithm in ("ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512"):
        cases.append((f"http {algorithm}", with_http_signature(algorithm), jwk_set(FILE["jwks"]), "http-message-signature"))
    for name, request, keys, profile in cases:
        options = VerifyOptions(keys=keys, replay=Forgetful(), profile=profile, clock=lambda: NOW_S)
        count, start, cpu_start = 0, time.perf_counter(), time.process_time()
        while (taken := time.perf_counter() - start) < seconds:
            verify(request, options)
            count += 1
        cost_us = (time.process_time() - cpu_start) / count * 1_000_000
        print(f"{name}: {count / taken:.0f} a second, {cost_us:.0f} µs of CPU each")


if __name__ == "__main__":
    main()
