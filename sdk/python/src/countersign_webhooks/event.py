"""The body of a message: one event."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Optional

from .refused import WebhookRefused


@dataclass(frozen=True)
class WebhookEvent:
    """New types and members come without a new version: ignore those that you do not know."""

    #: As `envelope.sent`.
    type: str
    #: When it happened (RFC 3339, UTC), which is not when it was sent.
    timestamp: str
    #: All that the body has under `data`.
    data: Mapping[str, Any]

    @property
    def organization(self) -> Optional[str]:
        return self._text("organization")

    @property
    def environment(self) -> Optional[str]:
        """`sandbox` or `live`."""
        return self._text("environment")

    @property
    def envelope(self) -> Optional[str]:
        return self._text("envelope")

    @property
    def sequence(self) -> Optional[int]:
        """The position in its stream, from 1."""
        found = self.data.get("sequence")
        return found if type(found) is int else None

    @property
    def sha256(self) -> Optional[str]:
        """The hash of the event in the evidence, in hexadecimal digits."""
        return self._text("sha256")

    @property
    def event(self) -> Optional[Mapping[str, Any]]:
        """The event's own members, where the endpoint chose full messages."""
        found = self.data.get("event")
        return found if isinstance(found, dict) else None

    def _text(self, member: str) -> Optional[str]:
        found = self.data.get(member)
        return found if isinstance(found, str) else None


def event_of(body: bytes) -> WebhookEvent:
    """The event of a body whose signature is right."""
    event = _parsed(body)
    if not isinstance(event, dict):
        raise _not_an_event("The body must be one JSON object.")
    kind, timestamp, data = event.get("type"), event.get("timestamp"), event.get("data")
    if not isinstance(kind, str) or not isinstance(timestamp, str) or not isinstance(data, dict):
        raise _not_an_event("The body must have type, timestamp and data.")
    return WebhookEvent(kind, timestamp, data)


def _not_an_event(message: str) -> WebhookRefused:
    return WebhookRefused("not_an_event", message)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite
        )
    except (ValueError, RecursionError):
        raise _not_an_event("The body must be JSON in UTF-8, without members of one name.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("two members have one name")
    return found


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
