"""The vectors: what is sent, to whom, and what must come of it. The page `docs/webhooks/vectors.md` says how to read them."""

import base64
import hashlib
import hmac

from http_cases import http_cases
from keys import b64, identifier
from message import NOW, Message, body_of, raw_signature, request

WINDOW_S = 300
BODY_MAX_BYTES = 256 * 1024
PLAIN = ["v1", "v1a"]
HEADERS = {
    "webhook-id": "id",
    "webhook-timestamp": "timestamp",
    "webhook-signature": "signature",
    "webhook-key-id": "key id",
    "webhook-attempt-id": "attempt id",
}


class Vectors:
    """Collects vectors, each built from its message."""

    def __init__(self, keys, kept):
        self.keys, self.kept, self.made = keys, kept, []

    def add(self, expect, message, profiles, held=("primary",), now=NOW, seen=()):
        self.made.append(
            {
                "name": message.name,
                "profiles": list(profiles),
                "request": request(message, self.keys, self.kept),
                "now": now,
                "keys": [self.keys.id_of(name) for name in held],
                "seen": [list(pair) for pair in seen],
                "expect": expect,
            }
        )


def all_of_them(keys, kept):
    vectors = Vectors(keys, kept)
    good(vectors)
    edges(vectors)
    seen_before(vectors)
    malformed_headers(vectors)
    malformed_timestamps(vectors)
    malformed_signatures(vectors)
    keys_unknown(vectors)
    forged(vectors)
    size_and_encoding(vectors)
    http_cases(vectors)
    return vectors.made


def good(vectors):
    add, keys = vectors.add, vectors.keys
    both = ("primary", "next")
    add("accepted", Message("one key"), PLAIN)
    add("accepted", Message("an empty query is none", url="https://receiver.example/hooks?"), PLAIN)
    add("accepted", Message("a body in UTF-8", body=body_of(name="Zoë Łęcka — 契約書 ✍️")), PLAIN)
    pretty = body_of().replace(b'":', b'": ').replace(b',"', b',\n  "') + b"\n"
    add("accepted", Message("a body with white space, signed as it is", body=pretty), PLAIN)
    add("accepted", Message("an event of a type that nobody knows", body=body_of("envelope.folded")), PLAIN)
    test = b'{"type":"webhook.test","timestamp":"2026-11-22T10:20:30.456Z","data":{"organization":"org"}}'
    add("accepted", Message("a test without a sequence", body=test, event_class="test", sequence=None), PLAIN)
    rotated = Message("two keys while rotated, both held", signers=both)
    add("accepted", rotated, PLAIN, held=both)
    add("accepted", rotated.but(name="two keys while rotated, the old one held"), PLAIN)
    add("accepted", rotated.but(name="two keys while rotated, the new one held"), PLAIN, held=("next",))
    add("accepted", Message("one key signed, two held"), PLAIN, held=("next", "primary"))
    backwards = ("v1a:next", "v1:next", "v1a:primary", "v1:primary")
    add("accepted", Message("signatures in another order", signers=both, signatures=backwards), PLAIN)
    unknown = ("v2," + b64(b"of a scheme to come"), "v1:primary", "v1a:primary")
    add("accepted", Message("an unknown scheme beside a good one", signatures=unknown), PLAIN)
    wrong = ("v1:stranger", "v1a:stranger", "v1:primary", "v1a:primary")
    add("accepted", Message("a wrong signature beside a good one", signatures=wrong), PLAIN)
    add("accepted", Message("v1 alone", signatures=("v1:primary",)), ["v1"])
    add("accepted", Message("v1a alone", signatures=("v1a:primary",)), ["v1a"])
    halves = {"v1": ("v1:primary", "v1a:stranger"), "v1a": ("v1:stranger", "v1a:primary")}
    for scheme, other in [("v1", "v1a"), ("v1a", "v1")]:
        message = Message(f"{scheme} is right and {other} is not", signatures=halves[scheme])
        add("accepted", message, [scheme])
        add("bad_signature", message.but(name=f"{scheme} is right, to a receiver of {other}"), [other])
    cased = {"Webhook-Id": Message("").id, "webhook-id": None, "WEBHOOK-TIMESTAMP": str(NOW), "webhook-timestamp": None}
    add("accepted", Message("names of headers in capitals", headers=cased), PLAIN)
    add("accepted", Message("content-encoding identity", headers={"content-encoding": "identity"}), PLAIN)
    ignored = {"signature-input": "sig=(", "signature": "?", "content-digest": "none"}
    add("accepted", Message("headers of another profile, out of form", headers=ignored), PLAIN)
    swapped = Message("the attempt id is not signed by v1 and v1a", headers={"webhook-attempt-id": identifier("att", "x")})
    add("accepted", swapped, PLAIN)
    extra = f"{keys.id_of('stranger')} {keys.id_of('primary')}"
    add("accepted", Message("a key that nobody knows is named beside one that is held", key_id=extra), PLAIN)


def edges(vectors):
    for name, distance_s, expect in [
        ("as old as the window", -WINDOW_S, "accepted"),
        ("a second older than the window", -WINDOW_S - 1, "stale"),
        ("a year old", -31_536_000, "stale"),
        ("of 1970", -NOW, "stale"),
        ("as far ahead as the window", WINDOW_S, "accepted"),
        ("a second further ahead than the window", WINDOW_S + 1, "future"),
        ("milliseconds instead of seconds", NOW * 999, "malformed"),
        ("the last timestamp that is in form", 999_999_999_999 - NOW, "future"),
    ]:
        vectors.add(expect, Message(name, timestamp=str(NOW + distance_s)), PLAIN)
    stale = Message("stale comes before an unknown key", timestamp=str(NOW - 301), signers=("stranger",))
    vectors.add("stale", stale, PLAIN)


def seen_before(vectors):
    first, later = Message("").id, str(NOW + 35)
    add = vectors.add
    add("replayed", Message("a replay: id and timestamp were seen"), PLAIN, seen=[(first, NOW)])
    add("replayed", Message("a replay as a new attempt", attempt_id=identifier("att", "second")), PLAIN, seen=[(first, NOW)])
    retry = Message("a retry of a known id", timestamp=later, attempt_id=identifier("att", "second"))
    add("duplicate", retry, PLAIN, seen=[(first, NOW)], now=NOW + 35)
    add("replayed", retry.but(name="a replay of a retry"), PLAIN, seen=[(first, NOW), (first, NOW + 35)], now=NOW + 36)
    resigned = retry.but(name="a retry after rotation", signers=("next",))
    add("duplicate", resigned, PLAIN, held=("primary", "next"), seen=[(first, NOW)], now=NOW + 35)
    for name, days in [("a retry after four days", 4), ("sent again after 29 days", 29)]:
        again = retry.but(name=name, timestamp=str(NOW + days * 86_400))
        add("duplicate", again, PLAIN, seen=[(first, NOW)], now=NOW + days * 86_400)
    other = Message("another id at a timestamp that was seen", id=identifier("msg", "second"))
    add("accepted", other, PLAIN, seen=[(first, NOW)])
    forged = Message("a forged replay is forged", signed_body=b"{}")
    add("bad_signature", forged, PLAIN, seen=[(first, NOW)])
    add("stale", Message("a late replay is stale"), PLAIN, seen=[(first, NOW)], now=NOW + 301)


def malformed_headers(vectors):
    right = {"webhook-id": Message("").id, "webhook-timestamp": str(NOW), "webhook-attempt-id": Message("").attempt_id}
    right["webhook-key-id"] = vectors.keys.id_of("primary")
    right["webhook-signature"] = None

    def add(name, **changes):
        vectors.add("malformed", Message(name, **changes), PLAIN)

    for header, what in HEADERS.items():
        add(f"no {what}", headers={header: None})
        add(f"an empty {what}", headers={header: ""})
        add(f"{what} twice", headers={header: [lambda value: value, lambda value: value]})
        add(f"{what} twice in one header", headers={header: lambda value: f"{value}, {value}"})
        add(f"{what} and a comma", headers={header: lambda value: f"{value},"})
    for member, prefix, what in [("id", "msg", "id"), ("attempt_id", "att", "attempt id"), ("key_id", "whk", "key id")]:
        name = "primary" if prefix == "whk" else "first"
        value = identifier(prefix, name)
        add(f"{what} with a space", **{member: value[:10] + " " + value[11:]})
        add(f"{what} in capitals", **{member: value.upper()})
        add(f"{what} without its prefix", **{member: value[4:]})
        add(f"{what} of another kind", **{member: "env" + value[3:]})
        add(f"{what} one character short", **{member: value[:-1]})
        add(f"{what} one character long", **{member: value + "0"})
        add(f"{what} with a letter that is in no id", **{member: value[:-1] + "l"})
        add(f"{what} with a full stop", **{member: value[:-1] + "."})
    three = " ".join(vectors.keys.id_of(name) for name in ("primary", "next", "stranger"))
    add("three key ids", key_id=three)
    add("two key ids with two spaces between", key_id=three[:30] + " " + three[30:61])
    add("two key ids with a comma between", key_id=three[:61].replace(" ", ","))


def malformed_timestamps(vectors):
    for name, timestamp in [
        ("a negative timestamp", f"-{NOW}"),
        ("a timestamp with a plus", f"+{NOW}"),
        ("a timestamp with a fraction", f"{NOW}.0"),
        ("a timestamp with an exponent", "1795342830e0"),
        ("a timestamp in base 16", hex(NOW)),
        ("a timestamp with a zero before it", f"0{NOW}"),
        ("a timestamp with an underscore", "1_795_342_830"),
        ("a timestamp with a space inside", "1795 342830"),
        ("a timestamp of 13 digits", "1" + "0" * 12),
        ("a timestamp past 64 bits", "18446744073709551616"),
        ("a timestamp past every number", "9" * 400),
        ("a timestamp that is a date", "2026-11-22T10:20:30Z"),
        ("a timestamp that is no number", "now"),
    ]:
        vectors.add("malformed", Message(name, timestamp=timestamp), PLAIN)


def malformed_signatures(vectors):
    keys = vectors.keys
    message = Message("")
    v1 = "v1," + b64(raw_signature(message, keys, "v1", "primary"))
    v1a = "v1a," + b64(raw_signature(message, keys, "v1a", "primary"))
    # 32 bytes end in a character with 2 bits too many, 64 in one with 4. They are zero; one of them set is the same bytes.
    v1_again, v1a_again = another_last_character(v1), another_last_character(v1a)
    high = base64.b64encode(b"\xfb\xff\xfe" * 11).decode()
    for name, signatures in [
        ("signatures without padding", (v1.rstrip("="), v1a.rstrip("="))),
        ("v1 without padding beside a good v1a", (v1.rstrip("="), v1a)),
        ("signatures with too much padding", (v1 + "=", v1a + "=")),
        ("a good signature beside one with padding inside", (v1, v1a, "v2,YQ==YQ==")),
        ("v1 with bits behind its last byte", (v1_again, v1a)),
        ("v1a with bits behind its last byte", (v1, v1a_again)),
        ("signatures with bits behind their last byte", (v1_again, v1a_again)),
        ("good signatures beside one with bits behind its last byte", (v1, v1a, "v2,YWJj", "v2,YWJ=")),
        ("signatures in the alphabet for URLs", (v1, v1a, "v2," + high.replace("+", "-").replace("/", "_"))),
        ("a signature with a tab", (v1, v1a, "v2,YWJj\tYWJj")),
        ("a signature with another character", (v1, v1a, "v2,YWJ*")),
        ("a signature without a comma", (v1, v1a, "v1")),
        ("a signature with two commas", (v1, v1a, "v1,YWJj,YWJj")),
        ("a signature without a scheme", (v1, v1a, ",YWJj")),
        ("a scheme with nothing behind it", (v1, v1a, "v1,")),
        ("signatures with two spaces between", (v1 + " ", v1a)),
        ("signatures with a comma between", (v1 + "," + v1a,)),
        ("five signatures", (v1, v1a, v1, v1a, v1)),
        ("a scheme alone", ("v1",)),
        ("base64 alone", (v1[3:],)),
    ]:
        vectors.add("malformed", Message(name, signatures=signatures), PLAIN)


def another_last_character(signature):
    """The same bytes written in another way: the bits behind the last byte are no longer zero."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = signature.rstrip("=")
    padding = signature[len(text) :]
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1] + padding


def keys_unknown(vectors):
    def add(name, **more):
        held = more.pop("held", ("primary",))
        vectors.add("unknown_key", Message(name, **more), PLAIN, held=held)

    add("a key that the receiver does not hold", signers=("stranger",))
    add("signed by a key that is held, named as one that is not", key_id=vectors.keys.id_of("stranger"))
    add("two keys that the receiver does not hold", signers=("stranger", "next"))
    add("a receiver without keys", held=())


def forged(vectors):
    keys = vectors.keys
    message = Message("")

    def add(name, held=("primary",), profiles=PLAIN, **changes):
        vectors.add("bad_signature", Message(name, **changes), profiles, held=held)

    add("signed by another key", signatures=("v1:stranger", "v1a:stranger"))
    both = ("primary", "next")
    add("signed by a key that is held and not named", held=both, key_id=keys.id_of("next"), signatures=("v1:primary", "v1a:primary"))
    add("the id of another message", signed_id=identifier("msg", "second"))
    add("the timestamp of another attempt", signed_timestamp=str(NOW - 5))
    add("one byte of the body changed", signed_body=body_of().replace(b"sandbox", b"sandbOx"))
    add("a line break added to the body", body=body_of() + b"\n", signed_body=body_of())
    add("white space of the body changed", body=body_of().replace(b'":', b'": '), signed_body=body_of())
    add("an empty body", body=b"", signed_body=body_of())
    add("a part of the body moved into the timestamp", timestamp=str(NOW), signed_timestamp=str(NOW) + ".{}")
    v1, v1a = raw_signature(message, keys, "v1", "primary"), raw_signature(message, keys, "v1a", "primary")
    add("v1 offered as v1a and v1a as v1", signatures=(f"v1a,{b64(v1)}", f"v1,{b64(v1a)}"))
    add("v1 to a receiver of v1a", profiles=["v1a"], signatures=("v1:primary",))
    add("v1a to a receiver of v1", profiles=["v1"], signatures=("v1a:primary",))
    add("an HMAC cut to 16 bytes", signatures=(f"v1,{b64(v1[:16])}",))
    add("an HMAC cut to one byte", signatures=(f"v1,{b64(v1[:1])}",))
    add("an HMAC with more behind it", signatures=(f"v1,{b64(v1 + bytes(1))}",))
    add("an Ed25519 signature cut to 32 bytes", signatures=(f"v1a,{b64(v1a[:32])}",))
    add("an Ed25519 signature with more behind it", signatures=(f"v1a,{b64(v1a + bytes(1))}",))
    add("signatures of zeros", signatures=(f"v1,{b64(bytes(32))}", f"v1a,{b64(bytes(64))}"))
    add("unknown schemes alone", signatures=(f"v2,{b64(v1)}", f"v1b,{b64(v1a)}"))
    public = keys.ed25519("primary").public_key().public_bytes_raw()
    text = f"{message.id}.{message.timestamp}.".encode() + message.body
    confused = hmac.new(public, text, hashlib.sha256).digest()
    add("an HMAC with the public key", signatures=(f"v1,{b64(confused)}", f"v1a,{b64(confused * 2)}"))


def size_and_encoding(vectors):
    add = vectors.add
    padding = BODY_MAX_BYTES + 1 - len(body_of())
    add("too_large", Message("a body of 256 KiB and one byte", body=body_of() + b" " * padding), PLAIN)
    add("unsupported_encoding", Message("content-encoding gzip", headers={"content-encoding": "gzip"}), PLAIN)
    add("unsupported_encoding", Message("two encodings", headers={"content-encoding": "identity, br"}), PLAIN)
    headers = {"content-encoding": "gzip", "webhook-id": None}
    add("unsupported_encoding", Message("an encoding comes before the form", headers=headers), PLAIN)
