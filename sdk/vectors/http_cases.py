"""The vectors of the profile with HTTP Message Signatures (RFC 9421)."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from keys import b64, identifier
from message import COMPONENTS, NOW, Message, Signature, body_of

HTTP = ["http-message-signature"]
NEXT = Signature(key="next", label="countersign-next")


def http_cases(vectors):
    good(vectors)
    malformed_headers(vectors)
    malformed_parameters(vectors)
    components(vectors)
    refused(vectors)


def signed(name, **changes):
    """A message with one signature, changed by what is for the signature and what is for the message."""
    fields = Signature.__dataclass_fields__
    signature = Signature(**{key: value for key, value in changes.items() if key in fields})
    rest = {key: value for key, value in changes.items() if key not in fields}
    return Message(name, **{"signers": (signature.key,), "http": (signature,), **rest})


def good(vectors):
    def add(message, held=("primary",), expect="accepted", **more):
        vectors.add(expect, message, HTTP, held=held, **more)

    add(signed("http: Ed25519"))
    add(signed("http: ECDSA with P-256", key="ecdsa", algorithm="ecdsa-p256-sha256"), held=("ecdsa",))
    add(signed("http: RSA-PSS with SHA-512", key="rsa", algorithm="rsa-pss-sha512"), held=("rsa",))
    rotated = Message("http: two signatures, both keys held", signers=("primary", "next"), http=(Signature(), NEXT))
    add(rotated, held=("primary", "next"))
    add(rotated.but(name="http: two signatures, the old key held"))
    add(rotated.but(name="http: two signatures, the new key held"), held=("next",))
    to_ecdsa = Signature(key="ecdsa", algorithm="ecdsa-p256-sha256", label="countersign-next")
    mixed = rotated.but(name="http: two signatures of two algorithms", signers=("primary", "ecdsa"), http=(Signature(), to_ecdsa))
    add(mixed, held=("ecdsa",))
    gateway = Signature(key="stranger", label="gateway", parameters={"tag": "gateway"}, components=("@method",))
    add(signed("http: a signature of somebody else for something else beside it", http=(gateway, Signature())))
    add(signed("http: no query", url="https://receiver.example/hooks/countersign"))
    add(signed("http: no path", url="https://receiver.example"))
    add(signed("http: the default port is no part of the authority", url="https://receiver.example:443/hooks"))
    add(signed("http: another port is", url="https://receiver.example:8443/hooks"))
    add(signed("http: escaped characters stay so", url="https://receiver.example/h%C3%B6oks/%7Ea?x=%20y+z&x=%2F"))
    add(signed("http: a test without a sequence", event_class="test", sequence=None, body=body_of("webhook.test")))
    add(signed("http: more components than asked", components=(*COMPONENTS, "user-agent")))
    add(signed("http: components in another order", components=tuple(reversed(COMPONENTS))))
    add(signed("http: without expires", parameters={"expires": None}))
    add(signed("http: a label of another name", label="sig1"))
    add(signed("http: a body in UTF-8", body=body_of(name="Zoë Łęcka — 契約書 ✍️")))
    two = f"sha-512=:{b64(hashlib.sha512(body_of()).digest())}:, sha-256=:{b64(hashlib.sha256(body_of()).digest())}:"
    add(signed("http: two digests, sha-256 among them", digest=two))
    wrong = ("v1:stranger", "v1a:stranger")
    add(signed("http: v1 and v1a are not what is asked", signatures=wrong))
    add(signed("http: as old as the window", timestamp=str(NOW - 300)))
    add(signed("http: as far ahead as the window", timestamp=str(NOW + 300)))
    retry = signed("http: a retry of a known id", timestamp=str(NOW + 35), attempt_id=identifier("att", "second"))
    add(retry, expect="duplicate", now=NOW + 35, seen=[(retry.id, NOW)])
    add(signed("http: a replay"), expect="replayed", seen=[(retry.id, NOW)])


def malformed_headers(vectors):
    def add(name, **changes):
        vectors.add("malformed", signed(name, **changes), HTTP)

    for header in ("content-digest", "signature-input", "signature"):
        add(f"http: no {header}", headers={header: None})
        add(f"http: an empty {header}", headers={header: ""})
        add(f"http: {header} out of form", headers={header: lambda value: value.replace("=", "==(", 1)})
        add(f"http: {header} with text behind it", headers={header: lambda value: value + " and so on"})
    for header in ("webhook-id", "webhook-timestamp", "webhook-signature", "webhook-key-id", "webhook-attempt-id"):
        add(f"http: no {header}", headers={header: None})
    for header in ("webhook-event-class", "correlation-id", "content-type"):
        add(f"http: {header} is signed and not there", headers={header: None})
    add("http: the sequence is signed and not there", headers={"webhook-sequence": None})
    digest = hashlib.sha256(body_of()).digest()
    add("http: a digest of another algorithm alone", digest=f"sha-512=:{b64(hashlib.sha512(body_of()).digest())}:")
    add("http: a digest of an algorithm that nobody knows", digest=f"sha-257=:{b64(digest)}:")
    add("http: a digest of MD5 alone", digest=f"md5=:{b64(hashlib.md5(body_of()).digest())}:")
    add("http: a digest cut to 16 bytes", digest=f"sha-256=:{b64(digest[:16])}:")
    add("http: a digest that is a string", digest=f'sha-256="{b64(digest)}"')
    add("http: no signature of the label", headers={"signature": lambda value: value.replace("countersign=", "other=")})
    add("http: a signature that is a string", headers={"signature": lambda value: value.replace(":", '"')})


def malformed_parameters(vectors):
    def add(name, **changes):
        vectors.add("malformed", signed(name, **changes), HTTP)

    for parameter in ("created", "keyid", "alg", "nonce", "tag"):
        add(f"http: without {parameter}", parameters={parameter: None})
    add("http: a tag for something else", parameters={"tag": "countersign-api"})
    add("http: created is not the timestamp", parameters={"created": NOW - 1})
    add("http: created is a string", parameters={"created": str(NOW)})
    add("http: created past 64 bits", parameters={"created": 10**19})
    add("http: nonce is not the attempt id", parameters={"nonce": identifier("att", "second")})
    other = signed("http: keyid is none of the key ids", key_id=vectors.keys.id_of("next"))
    vectors.add("malformed", other, HTTP, held=("primary", "next"))


def components(vectors):
    def add(name, **changes):
        vectors.add("malformed", signed(name, **changes), HTTP)

    for component in COMPONENTS:
        rest = tuple(name for name in COMPONENTS if name != component)
        add(f"http: {component} is not signed", components=rest)
    add("http: nothing is signed", components=())
    add("http: a component twice", components=(*COMPONENTS, "webhook-id"))
    add("http: a component that is not in the request", components=(*COMPONENTS, "x-absent"))
    add("http: a component of answers", components=(*COMPONENTS, "@status"), signed={"@status": "200"})
    weak = Signature(label="countersign-next", components=("@method",))
    both = signed("http: a signature over less beside a good one", http=(Signature(), weak))
    vectors.add("malformed", both, HTTP)


def as_der(made):
    """The signature as X.509 would write it, which RFC 9421 §3.3.4 does not."""
    return encode_dss_signature(int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big"))


def refused(vectors):
    def add(expect, name, held=("primary",), **changes):
        now = changes.pop("now", NOW)
        vectors.add(expect, signed(name, **changes), HTTP, held=held, now=now)

    add("stale", "http: a second older than the window", timestamp=str(NOW - 301))
    add("future", "http: a second further ahead than the window", timestamp=str(NOW + 301))
    add("stale", "http: expired within the window", timestamp=str(NOW - 61), parameters={"expires": NOW - 1})
    add("unknown_key", "http: a key that the receiver does not hold", key="stranger")
    forged = "bad_signature"
    stranger = (Signature(key="stranger", parameters={"keyid": vectors.keys.id_of("primary")}),)
    add(forged, "http: signed by another key", http=stranger)
    add(forged, "http: only the key that is not held signed", signers=("primary", "next"), http=(NEXT,))
    add(forged, "http: the body is not that of the digest", body=body_of().replace(b"sandbox", b"live"), signed_body=body_of())
    digest = f"sha-256=:{b64(hashlib.sha256(b'{}').digest())}:"
    add(forged, "http: a digest of another body, signed", digest=digest)
    changed = hashlib.sha256(body_of()).digest()
    add(forged, "http: a digest that was not signed", signed={"content-digest": digest}, digest=f"sha-256=:{b64(changed)}:")
    for component, value, what in [
        ("@method", "PUT", "another method"),
        ("@authority", "other.example", "another authority"),
        ("@authority", "receiver.example:8443", "another port"),
        ("@path", "/hooks/other", "another path"),
        ("@query", "?tenant=8", "another query"),
        ("content-type", "text/plain", "another content type"),
        ("webhook-id", identifier("msg", "second"), "another id"),
        ("webhook-timestamp", str(NOW - 5), "another timestamp"),
        ("webhook-attempt-id", identifier("att", "second"), "another attempt id"),
        ("webhook-key-id", vectors.keys.id_of("next"), "another key id"),
        ("webhook-event-class", "evidence", "another class"),
        ("webhook-sequence", "3", "another sequence"),
        ("correlation-id", identifier("cor", "other"), "another correlation id"),
    ]:
        add(forged, f"http: signed for {what}", signed={component: value})
    pss = {"alg": "rsa-pss-sha512"}
    add(forged, "http: alg of another kind than the key", parameters=pss)
    add(forged, "http: alg of a key of P-256 is Ed25519's and the signature is not", held=("ecdsa",), key="ecdsa",
        algorithm="ecdsa-p256-sha256", parameters={"alg": "ed25519"})  # fmt: skip
    add(forged, "http: an alg that nobody knows", parameters={"alg": "none"})
    add(forged, "http: an HMAC with the public key", parameters={"alg": "hmac-sha256"})
    add(forged, "http: alg of RSA as of old", held=("rsa",), key="rsa", algorithm="rsa-pss-sha512",
        parameters={"alg": "rsa-v1_5-sha256"})  # fmt: skip
    add(forged, "http: a signature cut to 32 bytes", sent=lambda made: made[:32])
    add(forged, "http: a signature without bytes", sent=lambda made: b"")
    add(forged, "http: one bit of the signature changed", sent=lambda made: bytes([made[0] ^ 1]) + made[1:])
    add(forged, "http: ECDSA in DER", held=("ecdsa",), key="ecdsa", algorithm="ecdsa-p256-sha256", sent=as_der)
    add(forged, "http: ECDSA of zeros", held=("ecdsa",), key="ecdsa", algorithm="ecdsa-p256-sha256",
        sent=lambda made: bytes(64))  # fmt: skip
    add(forged, "http: v1 and v1a are right and the other is not", sent=lambda made: bytes(64))
