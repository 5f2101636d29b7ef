"""One message as the sender would make it, or as somebody would who changed a part of it before or after signing."""

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from keys import b64, identifier

NOW = 1795342830  # 2026-11-22T10:20:30Z
URL = "https://receiver.example/hooks/countersign?tenant=7"
COMPONENTS = [
    "@method", "@authority", "@path", "@query", "content-type", "content-digest", "webhook-id",
    "webhook-timestamp", "webhook-attempt-id", "webhook-key-id", "webhook-event-class", "webhook-sequence",
    "correlation-id",
]  # fmt: skip
TAG = "countersign-webhook"


def body_of(kind="envelope.sent", **more):
    """A thin body, in the sender's own spacing: none."""
    event = {
        "type": kind,
        "timestamp": "2026-11-22T10:20:30.456Z",
        "data": {
            "organization": identifier("org", "vectors"),
            "environment": "sandbox",
            "envelope": identifier("env", "vectors"),
            "sequence": 2,
            "sha256": hashlib.sha256(kind.encode()).hexdigest(),
            **more,
        },
    }
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Signature:
    """One HTTP Message Signature. A parameter that is None is left out; `components` as they are listed."""

    key: str = "primary"
    algorithm: str = "ed25519"
    label: str = "countersign"
    components: tuple = tuple(COMPONENTS)
    parameters: dict = field(default_factory=dict)
    #: What the base says of a component, where it is not what the request says.
    signed: dict = field(default_factory=dict)
    #: The signature's bytes as they are sent, made from the right ones.
    sent: object = None


@dataclass(frozen=True)
class Message:
    """What is sent. `signed_…` is what was signed instead, where the two differ."""

    name: str
    method: str = "POST"
    url: str = URL
    body: bytes = body_of()
    signed_body: bytes = None
    id: str = identifier("msg", "first")
    signed_id: str = None
    timestamp: str = str(NOW)
    signed_timestamp: str = None
    attempt_id: str = identifier("att", "first")
    key_id: str = None
    #: Names of the keys that sign.
    signers: tuple = ("primary",)
    #: Words `v1:primary`, or whole signatures as they are sent.
    signatures: tuple = None
    event_class: str = "envelope"
    sequence: str = "2"
    http: tuple = ()
    digest: str = None
    #: Headers in place of those that the message would have: None takes one away, a list sends it several times.
    headers: dict = field(default_factory=dict)

    def but(self, **changes):
        return replace(self, **changes)


class Kept:
    """Signatures of the file as it was, by vector: the random ones among them are kept while they are right."""

    def __init__(self, old):
        self._of = {}
        for vector in (old or {}).get("vectors", []):
            values = [value for name, value in vector["request"]["headers"] if name == "signature"]
            found = re.findall(r":([A-Za-z0-9+/=]+):", " ".join(values))
            self._of[vector["name"]] = [base64.b64decode(value) for value in found]

    def of(self, name):
        return self._of.get(name, [])


def http_signature(key, algorithm, base, kept):
    """The signature over a base, as RFC 9421 §3.3 encodes it."""
    if algorithm == "ed25519":
        return key.sign(base)
    if algorithm == "ecdsa-p256-sha256":
        # RFC 6979: the same for the same base.
        r, s = decode_dss_signature(key.sign(base, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for signature in kept:
        try:
            key.public_key().verify(signature, base, _pss(), hashes.SHA512())
        except InvalidSignature:
            continue
        return signature
    return key.sign(base, _pss(), hashes.SHA512())


def _pss():
    return padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)


def request(message, keys, kept):
    """The request of the message: method, URL, headers, body."""
    key_id = message.key_id
    if key_id is None:
        key_id = " ".join(keys.id_of(name) for name in message.signers)
    headers = {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": message.timestamp,
        "webhook-signature": " ".join(_signatures(message, keys)),
        "webhook-key-id": key_id,
        "webhook-attempt-id": message.attempt_id,
        "webhook-event-class": message.event_class,
        "webhook-sequence": message.sequence,
        "correlation-id": identifier("cor", message.id),
        "user-agent": "Countersign-Webhooks/1",
        "accept-encoding": "identity",
    }
    if message.sequence is None:
        del headers["webhook-sequence"]
    if message.http:
        body = message.body if message.signed_body is None else message.signed_body
        digest = message.digest or f"sha-256=:{b64(hashlib.sha256(body).digest())}:"
        headers["content-digest"] = digest
        inputs, signatures = [], []
        for signature in message.http:
            found_input, found = _http(message, signature, headers, keys, kept)
            inputs.append(f"{signature.label}={found_input}")
            signatures.append(f"{signature.label}=:{b64(found)}:")
        headers["signature-input"] = ", ".join(inputs)
        headers["signature"] = ", ".join(signatures)
    lines = []
    changes = {name.lower() for name in message.headers}
    for name, value in [*((n, v) for n, v in headers.items() if n not in changes), *message.headers.items()]:
        values = value if isinstance(value, (list, tuple)) else [value]
        lines.extend([name, each(headers.get(name)) if callable(each) else each] for each in values if each is not None)
    return {
        "method": message.method,
        "url": message.url,
        "headers": lines,
        "body_base64": b64(message.body),
    }


def _signatures(message, keys):
    if message.signatures is not None:
        return [_one(message, keys, *word.split(":")) if ":" in word else word for word in message.signatures]
    return [_one(message, keys, scheme, name) for name in message.signers for scheme in ("v1", "v1a")]


def _one(message, keys, scheme, name):
    return f"{scheme},{b64(raw_signature(message, keys, scheme, name))}"


def raw_signature(message, keys, scheme, name):
    """The bytes of a signature `v1` or `v1a`."""
    signed_id = message.id if message.signed_id is None else message.signed_id
    timestamp = message.timestamp if message.signed_timestamp is None else message.signed_timestamp
    body = message.body if message.signed_body is None else message.signed_body
    text = f"{signed_id}.{timestamp}.".encode() + body
    if scheme == "v1":
        return hmac.new(keys.secret(name), text, hashlib.sha256).digest()
    return keys.ed25519(name).sign(text)


def _http(message, signature, headers, keys, kept):
    """`signature-input` of one label, and the signature's bytes (RFC 9421 §2.5)."""
    timestamp = message.timestamp if message.timestamp.isdigit() else str(NOW)
    parameters = {
        "created": int(timestamp),
        "expires": int(timestamp) + 300,
        "keyid": keys.id_of(signature.key),
        "alg": signature.algorithm,
        "nonce": message.attempt_id,
        "tag": TAG,
        **signature.parameters,
    }
    url = urlsplit(message.url)
    port = f":{url.port}" if url.port not in (None, 443) else ""
    values = {
        "@method": message.method,
        "@authority": url.hostname + port,
        "@path": url.path or "/",
        "@query": "?" + url.query,
        **headers,
        **signature.signed,
    }
    components = [name for name in signature.components if name != "webhook-sequence" or message.sequence]
    listed = "(" + " ".join(f'"{name}"' for name in components) + ")"
    for name, value in parameters.items():
        if value is not None:
            listed += f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
    lines = [f'"{name}": {values[name]}' for name in components if name in values]
    base = "\n".join([*lines, f'"@signature-params": {listed}']).encode()
    key = keys.of_algorithm(signature.key, signature.algorithm)
    made = http_signature(key, signature.algorithm, base, kept.of(message.name))
    return listed, signature.sent(made) if signature.sent else made
