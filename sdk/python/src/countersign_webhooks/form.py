"""The form of the headers that every message has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .encoding import from_base64
from .refused import WebhookRefused, malformed
from .request import HeaderLines

_TIMESTAMP = re.compile(r"0|[1-9][0-9]{0,11}")
_SCHEME = re.compile(r"[a-z][a-z0-9]*")
_REST_OF_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
_SIGNATURES_MAX = 4
_KEY_IDS_MAX = 2


@dataclass(frozen=True)
class Claims:
    """What the headers say, before any of it is believed."""

    id: str
    #: As it was sent, which is what is signed.
    timestamp: str
    timestamp_s: int
    #: Schemes, each with its signature.
    signatures: list[tuple[str, bytes]]
    key_ids: list[str]
    attempt_id: str


def claims_of(headers: HeaderLines) -> Claims:
    for encoding in headers.get("content-encoding", []):
        if encoding.strip().lower() != "identity":
            raise WebhookRefused("unsupported_encoding", "Send the body as it is, without content-encoding.")
    id = _identifier("webhook-id", "msg_", once(headers, "webhook-id"))
    timestamp = once(headers, "webhook-timestamp")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise malformed("webhook-timestamp must be whole seconds since 1970, in digits.")
    signatures = [_offered(word) for word in _words(headers, "webhook-signature", _SIGNATURES_MAX)]
    key_ids = [
        _identifier("webhook-key-id", "whk_", word) for word in _words(headers, "webhook-key-id", _KEY_IDS_MAX)
    ]
    attempt_id = _identifier("webhook-attempt-id", "att_", once(headers, "webhook-attempt-id"))
    return Claims(id, timestamp, int(timestamp), signatures, key_ids, attempt_id)


def once(headers: HeaderLines, name: str) -> str:
    """The header's value: it must be there, and once."""
    values = headers.get(name, [])
    if not values:
        raise malformed(f"The header {name} is missing.")
    if len(values) > 1:
        raise malformed(f"The header {name} must be there once.")
    return values[0]


def is_identifier(prefix: str, value: str) -> bool:
    return value.startswith(prefix) and _REST_OF_ID.fullmatch(value[len(prefix) :]) is not None


def _identifier(name: str, prefix: str, value: str) -> str:
    if not is_identifier(prefix, value):
        raise malformed(f"{name} must be {prefix} and 26 characters.")
    return value


def _words(headers: HeaderLines, name: str, count_max: int) -> list[str]:
    found = once(headers, name).split(" ", count_max)
    if len(found) > count_max:
        raise malformed(f"{name} must hold at most {count_max} parts, one space between.")
    return found


def _offered(word: str) -> tuple[str, bytes]:
    scheme, _, encoded = word.partition(",")
    signature = from_base64(encoded)
    if not _SCHEME.fullmatch(scheme) or not signature:
        raise malformed("webhook-signature must be schemes, each with a comma and padded base64.")
    return scheme, signature
