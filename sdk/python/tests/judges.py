"""Packages of others look at the vectors: `standardwebhooks` and `svix` at `v1`, `cryptography` at `v1a`,
`http-message-signatures` at HTTP Message Signatures. Prints how many each took and refused, as JSON; ends with 1 where
one disagrees."""

import base64
import datetime
import json
import re
import sys
import types

import http_message_signatures.signatures
import standardwebhooks.webhooks
import svix.webhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, algorithms

from samples import FILE

GOOD = ["accepted", "duplicate", "replayed"]
BAD = ["bad_signature", "stale", "future"]
#: Whatever has one of these missing cannot be taken by anybody.
WITHOUT = [f"{how} {what}" for how in ("no", "an empty") for what in ("id", "timestamp", "signature")]

counts, disagreed = {}, []


def count(judge, vector, took):
    good = vector["expect"] in GOOD
    found = counts.setdefault(judge, {"took": 0, "refused": 0})
    found["took" if good else "refused"] += 1
    if took != good:
        disagreed.append(f"{judge} {'takes' if took else 'refuses'} \"{vector['name']}\"")


class At(datetime.datetime):
    """The clock of the judges, which have none to set."""

    now_s = 0

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(cls.now_s, tz)


standardwebhooks.webhooks.datetime = At
http_message_signatures.signatures.datetime = types.SimpleNamespace(
    datetime=At, timedelta=datetime.timedelta, timezone=datetime.timezone
)


def of_profile(profile):
    for vector in FILE["vectors"]:
        if profile in vector["profiles"]:
            At.now_s = vector["now"]
            request = vector["request"]
            headers = {name.lower(): value for name, value in request["headers"]}
            yield vector, headers, base64.b64decode(request["body_base64"])


def held_and_named(vector, headers):
    return [id for id in vector["keys"] if id in headers["webhook-key-id"].split(" ")]


def takes(work):
    """Whether the judge takes it. They raise errors of many kinds."""
    try:
        work()
    except Exception:
        return False
    return True


def shared_secret():
    for vector, headers, body in of_profile("v1"):
        if vector["expect"] not in GOOD + BAD and vector["name"] not in WITHOUT:
            continue
        ids = vector["keys"] if vector["name"] in WITHOUT else held_and_named(vector, headers)
        secrets = [FILE["keys"][id]["secret"] for id in ids]
        for judge in (standardwebhooks.webhooks, svix.webhooks):
            took = any(takes(lambda: judge.Webhook(secret).verify(body, dict(headers))) for secret in secrets)
            count(judge.__name__.split(".")[0], vector, took)


def public_key():
    for vector, headers, body in of_profile("v1a"):
        if vector["expect"] not in [*GOOD, "bad_signature"]:
            continue
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        words = [word for word in headers["webhook-signature"].split(" ") if word.startswith("v1a,")]
        took = False
        for id in held_and_named(vector, headers):
            point = base64.b64decode(FILE["keys"][id]["public"][len("whpk_") :])
            key = ed25519.Ed25519PublicKey.from_public_bytes(point)
            for word in words:
                try:
                    key.verify(base64.b64decode(word[len("v1a,") :], validate=True), text)
                    took = True
                except InvalidSignature:
                    pass
        count("cryptography", vector, took)


COMPONENTS = (
    "@method", "@authority", "@path", "@query", "content-type", "content-digest", "webhook-id", "webhook-timestamp",
    "webhook-attempt-id", "webhook-key-id", "webhook-event-class", "correlation-id",
)  # fmt: skip
#: Out of form in a way that the package knows: what must be covered, and the tag.
FORM = re.compile(r"http: (without (created|keyid|tag)|a tag |(?!webhook-sequence)\S+ is not signed$|nothing is signed|a component )")
#: The package has one clock skew for both directions; here it is none.
SKEWED = ["http: as far ahead as the window"]


def number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def public_keys(ids):
    """The keys of the JWK set with these ids, by algorithm."""
    found = {algorithms.ED25519: {}, algorithms.ECDSA_P256_SHA256: {}, algorithms.RSA_PSS_SHA512: {}}
    for jwk in FILE["jwks"]["keys"]:
        if jwk["kid"] not in ids:
            continue
        if jwk["kty"] == "OKP":
            point = number(jwk["x"]).to_bytes(32, "big")
            found[algorithms.ED25519][jwk["kid"]] = ed25519.Ed25519PublicKey.from_public_bytes(point)
        elif jwk["kty"] == "EC":
            numbers = ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), ec.SECP256R1())
            found[algorithms.ECDSA_P256_SHA256][jwk["kid"]] = numbers.public_key()
        else:
            numbers = rsa.RSAPublicNumbers(number(jwk["e"]), number(jwk["n"]))
            found[algorithms.RSA_PSS_SHA512][jwk["kid"]] = numbers.public_key()
    return found


class Verifier(HTTPMessageVerifier):
    max_clock_skew = datetime.timedelta(0)


def http_signatures():
    for vector, headers, body in of_profile("http-message-signature"):
        if vector["expect"] not in GOOD + BAD and not FORM.match(vector["name"]) or vector["name"] in SKEWED:
            continue
        request = vector["request"]
        message = types.SimpleNamespace(method=request["method"], url=request["url"], headers=headers)
        labels = re.findall(r"(?:^|, )([a-z][a-z0-9-]*)=\(", headers["signature-input"])
        took = False
        for algorithm, keys in public_keys(vector["keys"]).items():
            verifier = Verifier(signature_algorithm=algorithm, key_resolver=MappingKeyResolver(public_keys=keys, private_keys={}))
            for label in labels:
                took |= takes(
                    lambda: verifier.verify(
                        message,
                        max_age=datetime.timedelta(seconds=300),
                        expect_tag="countersign-webhook",
                        expect_label=label,
                        require_components=COMPONENTS,
                        body=body,
                    )
                )
        count("http-message-signatures", vector, took)


shared_secret()
public_key()
http_signatures()
for line in disagreed:
    print(line, file=sys.stderr)
print(json.dumps(counts))
sys.exit(1 if disagreed else 0)
