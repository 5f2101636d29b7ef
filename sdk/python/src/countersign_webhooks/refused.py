"""Why a request is not taken: the one error that verification raises."""

from __future__ import annotations

from typing import Literal

#: What is wrong, as in the table of the wire format, and two more: `not_an_event` (a right signature over something
#: else), and `unavailable` (keys or store could not be asked, which is the receiver's own fault).
RefusalCode = Literal[
    "too_large",
    "unsupported_encoding",
    "malformed",
    "stale",
    "future",
    "unknown_key",
    "bad_signature",
    "replayed",
    "not_an_event",
    "unavailable",
]

_STATUS: dict[RefusalCode, int] = {
    "too_large": 413,
    "unsupported_encoding": 415,
    "malformed": 400,
    "stale": 408,
    "future": 400,
    "unknown_key": 401,
    "bad_signature": 401,
    "replayed": 409,
    "not_an_event": 400,
    "unavailable": 503,
}


class WebhookRefused(Exception):
    """The request is refused. Answer with `status`; `message` says what to do, and holds nothing of the request.

    After 503 the sender tries again.
    """

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message)
        self.code: RefusalCode = code
        self.status = _STATUS[code]
        self.message = message


class WebhookConfigurationError(Exception):
    """A key or a setting that cannot be used, found when it is given and not when a webhook arrives."""


def malformed(message: str) -> WebhookRefused:
    return WebhookRefused("malformed", message)
