"""Fresh messages for the tests, signed by the standard library and `cryptography`, not by the package."""

import base64
import hashlib
import hmac
import json
import os
from pathlib import Path

from countersign_webhooks import Key, MemoryReplayStore, StaticKeys, VerifyOptions, WebhookRefused, WebhookRequest

_DEFAULT = Path(__file__).resolve().parents[3] / "docs/webhooks/vectors.json"
FILE = json.loads(Path(os.environ.get("CS_TEST_VECTORS", _DEFAULT)).read_text(encoding="utf-8"))

NOW_S = FILE["vectors"][0]["now"]
KEY_ID = next(iter(FILE["keys"]))
KEY = FILE["keys"][KEY_ID]
ID = "msg_01kb1x8a9wh5t0c8m2q4r6s7vw"
ATTEMPT_ID = "att_01kb1x8a9wh5t0c8m2q4r6s7vw"
BODY = b'{"type":"envelope.sent","timestamp":"2026-11-22T10:20:30.456Z","data":{"sequence":2,"environment":"live"}}'


def signature(text):
    """A right `v1` over the text."""
    secret = base64.b64decode(KEY["secret"][len("whsec_") :])
    return "v1," + base64.b64encode(hmac.new(secret, text, hashlib.sha256).digest()).decode()


def headers(id=ID, timestamp=NOW_S, body=BODY):
    return {
        "Content-Type": "application/json",
        "Webhook-Id": id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": signature(f"{id}.{timestamp}.".encode() + body),
        "Webhook-Key-Id": KEY_ID,
        "Webhook-Attempt-Id": ATTEMPT_ID,
    }


def request(id=ID, timestamp=NOW_S, body=BODY):
    """A request with a right signature over whatever is given."""
    return WebhookRequest(headers(id, timestamp, body), body, "POST", "https://receiver.example/hooks")


def options(**more):
    given = {
        "keys": StaticKeys([Key(KEY_ID, secret=KEY["secret"])]),
        "replay": MemoryReplayStore(),
        "clock": lambda: NOW_S,
    }
    return VerifyOptions(**{**given, **more})


def outcome(work):
    """The code of the refusal that `work` ends with. Anything else fails the test."""
    try:
        work()
    except WebhookRefused as refused:
        return refused.code
    return "accepted"
